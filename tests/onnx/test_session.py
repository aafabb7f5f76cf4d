import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from dvae_core.errors import ModelError
from dvae_core.onnx.session import Session
from tests.onnx import graphs


def with_weight(name: str, value: np.ndarray) -> onnx.ModelProto:
    model = graphs.decoder()
    (weight,) = (tensor for tensor in model.graph.initializer if tensor.name == name)
    weight.CopyFrom(numpy_helper.from_array(value, name))
    model.graph.output[0].type.tensor_type.ClearField("shape")
    return model


def with_attribute() -> onnx.ModelProto:
    model = graphs.decoder()
    graphs.insert(model, [helper.make_node("Relu", ["codes"], ["sum"], slope=3)], "sum")
    return model


@pytest.mark.parametrize(
    ("model", "cause"),
    [
        (
            with_weight("shape", np.array([-1, 1, 30, 32])),
            "Reshape: .*The input tensor cannot be reshaped to the requested shape",
        ),
        (with_weight("weight", np.zeros((4, 1024), np.float32)), "Incompatible dimensions"),
        (with_attribute(), "Unrecognized attribute: slope for operator Relu"),
    ],
)
def test_an_error_of_onnxruntime_says_its_cause(model: onnx.ModelProto, cause: str) -> None:
    with pytest.raises(ModelError, match=cause) as caught:
        Session(model.SerializeToString()).run(np.zeros((2, 3), np.float32))
    assert "onnxruntime_src" not in str(caught.value)
    assert "\n" not in str(caught.value)
