from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from dvae_core.errors import ModelError
from dvae_core.onnx.reading import Reading
from dvae_core.onnx.session import Session
from dvae_core.onnx.trial import Report, TrialRequest, try_model
from tests.onnx import graphs

NO_READING = set(TrialRequest.__dataclass_fields__)


def tried(encoder: onnx.ModelProto | None, decoder: onnx.ModelProto, **asked: Any) -> Report:
    """Try both; `asked` has fields of the request or of its reading."""
    settings: dict[str, Any] = {
        "has_categories": False,
        "num_categories": None,
        "code_bounds": (-1.0, 1.0),
        "fixed": {},
    }
    settings |= {key: value for key, value in asked.items() if key in NO_READING}
    reading = Reading(**{key: value for key, value in asked.items() if key not in NO_READING})
    content = encoder.SerializeToString() if encoder is not None else None
    return try_model(
        content, decoder.SerializeToString(), TrialRequest(**settings, reading=reading)
    )


def test_a_pair_that_fits_is_described() -> None:
    report = tried(graphs.encoder((3, 3)), graphs.decoder(3))
    assert report.num_latents == 3
    assert report.image_shape == (1, 32, 32)
    assert report.num_categories is None
    assert report.one_at_a_time == {"encoder": False, "decoder": False}
    assert report.notes == []


def test_categories_are_counted_from_the_logits() -> None:
    asked = {"has_categories": True}
    assert tried(graphs.encoder((3 * 5,)), graphs.decoder(3), **asked).num_categories == 5


def test_a_sparse_code_is_taken() -> None:
    """The decoder keeps the two largest values of a code: TopK, then ScatterElements."""
    decoder = graphs.decoder(3, last="", scale=0.05)
    arrays = {"two": np.array([2]), "nothing": np.zeros((1, 3), np.float32)}
    for name, array in arrays.items():
        decoder.graph.initializer.append(numpy_helper.from_array(array, name))
    nodes = [
        helper.make_node("Shape", ["codes"], ["size"]),
        helper.make_node("Expand", ["nothing", "size"], ["zeros"]),
        helper.make_node("TopK", ["codes", "two"], ["largest", "places"]),
        helper.make_node("ScatterElements", ["zeros", "places", "largest"], ["sparse"], axis=1),
    ]
    graphs.insert(decoder, nodes, "sparse")
    report = tried(None, decoder, decoder_output="logits")
    assert report.one_at_a_time == {"decoder": False}
    session = Session(decoder.SerializeToString())
    codes = np.array([[3.0, -1.0, 2.0]], np.float32)
    (images,) = session.run_once(codes)
    weight = numpy_helper.to_array(decoder.graph.initializer[0])
    np.testing.assert_allclose(images.ravel(), [3, 0, 2] @ weight, rtol=1e-5)


def test_a_batch_fixed_at_one_is_taken_one_by_one() -> None:
    report = tried(graphs.encoder(batch=1), graphs.decoder(batch=1))
    assert report.one_at_a_time == {"encoder": True, "decoder": True}
    assert len(report.notes) == 2


def test_a_batch_that_only_looks_free_is_taken_one_by_one() -> None:
    decoder = graphs.decoder()
    decoder.graph.initializer[1].CopyFrom(
        numpy_helper.from_array(np.array([1, 1, 32, 32]), "shape")  # as a traced .view has it
    )
    assert tried(None, decoder).one_at_a_time == {"decoder": True}


@pytest.mark.parametrize(
    ("decoder", "complaint"),
    [
        (graphs.decoder(batch=64), "batch is fixed at 64"),
        (graphs.decoder(513), "513 latents, but must have 1 to 512"),
        (graphs.decoder(shape=(1, 28, 28)), "28x28, but they must have 32 to 256 pixels a side"),
        (graphs.decoder(shape=(1, 32, 257)), "32x257"),
        (graphs.decoder(shape=(32, 32, 2)), r"\(batch, 32, 32, 2\), but must return images"),
        (graphs.decoder(shape=(1024,)), r"\(batch, 1024\), but must return images"),
        (graphs.decoder(last="", scale=10.0), "image means 0 to 1.*logits"),
        (graphs.decoder(last="", scale=float("inf")), "not finite"),
    ],
)
def test_a_decoder_that_does_not_fit_is_refused_with_what_was_found(
    decoder: onnx.ModelProto, complaint: str
) -> None:
    with pytest.raises(ModelError, match=f"decoder: .*{complaint}"):
        tried(None, decoder)


@pytest.mark.parametrize(
    ("encoder", "complaint"),
    [
        (graphs.encoder((4, 4)), r"\(batch, 4\) and \(batch, 4\), but the decoder takes 3 latents"),
        (graphs.encoder((3, 3, 3)), r"3 outputs \(out0, out1, out2\), whose names do not tell"),
        (graphs.encoder((3,)), r"\(batch, 3\), but the decoder takes 3 latents"),
        (graphs.encoder(shape=(1, 64, 64)), r"\(\?, 1, 64, 64\), but the decoder returns images"),
        (graphs.encoder(shape=(3, 32, 32)), r"\(\?, 3, 32, 32\)"),
        (graphs.encoder(scale=100.0), "log variances range from"),
    ],
)
def test_an_encoder_that_does_not_fit_is_refused_with_what_was_found(
    encoder: onnx.ModelProto, complaint: str
) -> None:
    with pytest.raises(ModelError, match=f"encoder: .*{complaint}"):
        tried(encoder, graphs.decoder(3))


@pytest.mark.parametrize(("size", "given"), [(3 * 5, 4), (3 * 5 + 1, None), (4, None)])
def test_logits_of_another_number_of_categories_are_refused(size: int, given: int | None) -> None:
    asked = {"has_categories": True, "num_categories": given}
    with pytest.raises(ModelError, match="return logits"):
        tried(graphs.encoder((size,)), graphs.decoder(3), **asked)


def test_batch_normalisation_left_in_training_mode_is_noticed() -> None:
    encoder = graphs.encoder()
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], axes=[0], keepdims=1),
        helper.make_node("Sub", ["images", "mean"], ["centred"]),
    ]
    encoder.opset_import[0].version = 17  # the last whose axes are an attribute
    graphs.insert(encoder, nodes, "centred")
    with pytest.raises(ModelError, match=r"outputs differ between a batch and.*\.eval\(\)"):
        tried(encoder, graphs.decoder())


@pytest.mark.parametrize(
    ("last", "kind", "note"),
    [("Sigmoid", "logits", "if these are already images"), ("Tanh", "image", "will be clipped")],
)
def test_a_range_that_looks_odd_is_noted(last: str, kind: str, note: str) -> None:
    (found,) = tried(None, graphs.decoder(last=last, scale=0.05), decoder_output=kind).notes
    assert note in found


def test_a_tanh_is_taken_as_signed() -> None:
    assert tried(None, graphs.decoder(last="Tanh", scale=3.0), decoder_output="signed").notes == []
    with pytest.raises(ModelError, match="decoder output to signed"):
        tried(None, graphs.decoder(last="Tanh", scale=3.0))
