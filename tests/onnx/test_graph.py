from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from dvae_core.errors import ModelError
from dvae_core.onnx.graph import CONTROL_FLOW, PLAIN, RANDOM, SHAPE_INPUTS, Graph, read_graph
from tests.onnx import graphs


def read(model: onnx.ModelProto) -> Graph:
    return read_graph(model.SerializeToString())


def constant(model: onnx.ModelProto, name: str, value: np.ndarray) -> None:
    model.graph.initializer.append(numpy_helper.from_array(value, name))


def with_node(node: onnx.NodeProto) -> onnx.ModelProto:
    model = graphs.decoder()
    constant(model, "yes", np.array(True))
    graphs.insert(model, [node], node.output[0])
    return model


def test_a_plain_graph_says_what_it_takes_and_gives() -> None:
    graph = read(graphs.decoder(num_latents=3, shape=(3, 32, 32)))
    assert graph.opset == graphs.OPSET
    assert graph.input.name == "codes"
    assert graph.input.shape == (None, 3)
    assert [port.shape for port in graph.outputs] == [(None, 3, 32, 32)]


def test_the_lists_of_operators_are_apart_and_all_are_of_onnx() -> None:
    known = {schema.name for schema in onnx.defs.get_all_schemas() if not schema.domain}
    assert known >= PLAIN | CONTROL_FLOW | RANDOM
    assert not PLAIN & (CONTROL_FLOW | RANDOM)
    assert set(SHAPE_INPUTS) <= PLAIN


def test_every_operator_of_which_values_decide_a_shape_is_listed() -> None:
    # What onnx calls a shape, a size, a count of repeats, … by its schemas' input names.
    telling = {"shape", "size", "sizes", "repeats", "pads", "axes", "starts", "ends", "steps",
               "split", "depth", "limit", "start", "delta", "scales", "output_shape"}  # fmt: skip
    for schema in onnx.defs.get_all_schemas_with_history():
        if schema.name in PLAIN and not schema.domain:
            names = {place: port.name.lower() for place, port in enumerate(schema.inputs)}
            places = {place for place, name in names.items() if name in telling}
            assert places <= set(SHAPE_INPUTS.get(schema.name, ())), (schema.name, names)


def spoilt_by_functions(model: onnx.ModelProto) -> None:
    node = helper.make_node("Relu", ["a"], ["b"])
    model.functions.append(
        helper.make_function("mine", "f", ["a"], ["b"], [node], [helper.make_opsetid("", 18)])
    )


def spoilt_by_external_weights(model: onnx.ModelProto) -> None:
    weight = model.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    for key, value in {"location": "/etc/passwd", "offset": "0", "length": "64"}.items():
        entry = weight.external_data.add()
        entry.key, entry.value = key, value


def spoilt_by_an_external_constant(model: onnx.ModelProto) -> None:
    value = TensorProto(name="secret", data_type=TensorProto.FLOAT, dims=[3])
    value.data_location = TensorProto.EXTERNAL
    node = helper.make_node("Constant", [], ["secret"], value=value)
    graphs.insert(model, [node, helper.make_node("Add", ["codes", "secret"], ["sum"])], "sum")


def spoilt_by_a_second_input(model: onnx.ModelProto) -> None:
    model.graph.input.append(helper.make_tensor_value_info("label", TensorProto.FLOAT, [1, 3]))
    graphs.insert(model, [helper.make_node("Add", ["codes", "label"], ["sum"])], "sum")


def spoilt_by_disorder(model: onnx.ModelProto) -> None:
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(nodes[::-1])


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda m: setattr(m.opset_import[0], "version", 99), "opset 99"),
        (lambda m: setattr(m.opset_import[0], "version", 1), "opset 1,"),
        (lambda m: setattr(m.graph.node[0], "domain", "com.stranger"), "com.stranger"),
        (lambda m: setattr(m.graph.node[0], "op_type", "ImageDecoder"), "'ImageDecoder'"),
        (spoilt_by_functions, "1 functions"),
        (spoilt_by_external_weights, "are in another file"),
        (spoilt_by_an_external_constant, "are in another file"),
        (spoilt_by_disorder, "order"),
        (lambda m: m.graph.sparse_initializer.add(), "sparse"),
        (spoilt_by_a_second_input, r"2 inputs \(codes, label\)"),
        (lambda m: m.graph.node[0].input.__setitem__(0, "weight"), "do not depend on an input"),
        (
            lambda m: setattr(m.graph.input[0].type.tensor_type, "elem_type", TensorProto.DOUBLE),
            "type double",
        ),
    ],
)  # fmt: skip
def test_what_is_not_plain_is_refused_in_words(
    spoil: Callable[[onnx.ModelProto], object], complaint: str
) -> None:
    model = graphs.decoder()
    spoil(model)
    with pytest.raises(ModelError, match=complaint):
        read(model)


@pytest.mark.parametrize("node", [graphs.loop_that_never_ends(), graphs.branch()])
def test_control_flow_is_refused(node: onnx.NodeProto) -> None:
    with pytest.raises(ModelError, match=f"control flow .{node.op_type}."):
        read(with_node(node))


def test_a_graph_hidden_in_a_plain_operator_is_refused() -> None:
    model = graphs.decoder()
    model.graph.node[0].attribute.append(helper.make_attribute("hidden", model.graph))
    with pytest.raises(ModelError, match="hides a graph"):
        read(model)


def test_random_numbers_are_refused() -> None:
    with pytest.raises(ModelError, match=r"draws random numbers \(RandomNormalLike\)"):
        read(with_node(helper.make_node("RandomNormalLike", ["codes"], ["noise"])))


def test_nodes_that_no_output_needs_are_left_out() -> None:
    """An encoder often samples the code too, and one exports only its parameters."""
    model = graphs.encoder((3, 3))
    noise = helper.make_node("RandomNormalLike", ["out0"], ["noise"])
    model.graph.node.extend([noise, helper.make_node("Add", ["out0", "noise"], ["sample"])])
    constant(model, "unused", np.zeros(9, np.float32))
    model.graph.input.append(helper.make_tensor_value_info("label", TensorProto.INT64, ["batch"]))
    graph = read(model)
    assert [port.name for port in graph.outputs] == ["out0", "out1"]
    kept = onnx.load_model_from_string(graph.content).graph
    assert [node.op_type for node in kept.node] == ["Flatten", "MatMul", "MatMul"]
    assert {tensor.name for tensor in kept.initializer} == {"weight0", "weight1"}
    assert [value.name for value in kept.input] == ["images"]


def test_a_file_without_such_nodes_is_run_as_it_is() -> None:
    content = graphs.decoder().SerializeToString()
    assert read_graph(content).content == content


@pytest.mark.parametrize(
    "nodes",
    [
        [helper.make_node("Cast", ["codes"], ["counts"], to=TensorProto.INT64),
         helper.make_node("TopK", ["codes", "counts"], ["out", "places"])],
        [helper.make_node("Cast", ["codes"], ["shape_of_codes"], to=TensorProto.INT64),
         helper.make_node("ConstantOfShape", ["shape_of_codes"], ["out"])],
        [helper.make_node("ReduceMax", ["codes"], ["most"], keepdims=0),
         helper.make_node("Range", ["most", "most", "most"], ["out"])],
    ],
)  # fmt: skip
def test_a_shape_that_follows_from_values_is_refused(nodes: list[onnx.NodeProto]) -> None:
    model = graphs.decoder()
    graphs.insert(model, nodes, "out")
    with pytest.raises(ModelError, match="depends on input values"):
        read(model)


def test_a_shape_that_follows_from_a_shape_is_taken() -> None:
    model = graphs.decoder()
    nodes = [
        helper.make_node("Shape", ["codes"], ["size"]),
        helper.make_node("Reshape", ["codes", "size"], ["same"]),
    ]
    graphs.insert(model, nodes, "same")
    assert read(model).input.name == "codes"


@pytest.mark.parametrize("content", [b"", b"no model", b"\0" * 1000])
def test_what_is_no_onnx_file_is_refused(content: bytes) -> None:
    with pytest.raises(ModelError, match="not an ONNX file"):
        read_graph(content)


def test_a_file_that_was_cut_off_is_refused() -> None:
    content = graphs.decoder().SerializeToString()
    for length in range(1, len(content), len(content) // 50):
        with pytest.raises(ModelError):
            read_graph(content[:length])
