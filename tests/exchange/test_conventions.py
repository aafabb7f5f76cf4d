"""Models of other conventions: what the import makes of them, in numbers, and what it says.

The table of docs/models.md has a row for each case here, with the words of the import.
"""

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from dvae_core.__main__ import main
from dvae_core.analysis.latent_profile import latent_profile
from dvae_core.config import RunConfig
from dvae_core.data import load_dataset
from dvae_core.errors import ConfigError, ModelError
from dvae_core.evaluation.protocol import evaluate
from dvae_core.evaluation.results import EvaluationSettings
from dvae_core.exchange.onnx_export import export_model
from dvae_core.exchange.onnx_import import _variance_remarks, import_model
from dvae_core.models.latents import GaussianPosterior
from dvae_core.onnx.check import check_model
from dvae_core.onnx.description import OnnxLayout
from dvae_core.runs.run import Run, RunRecord
from tests.onnx import graphs

DOCUMENT = Path(__file__).parents[2] / "docs" / "models.md"
IMAGES = torch.rand(5, 1, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def own_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVAE_RUNS", str(tmp_path / "runs"))


def imported(
    folder: Path, encoder: onnx.ModelProto | None, decoder: onnx.ModelProto, **settings: Any
) -> tuple[Any, tuple[str, ...]]:
    """The model of the run as reloaded from its folder, and the notes of the import."""
    paths: dict[str, Any] = {}
    for part, model in {"encoder": encoder, "decoder": decoder}.items():
        if model is not None:
            paths[part] = folder / f"{part}.onnx"
            paths[part].write_bytes(model.SerializeToString())
    asked = {key: settings.pop(key) for key in list(settings) if key in OnnxLayout.model_fields}
    options: dict[str, Any] = {"latents": "gaussian", "dataset": "circles"} | settings
    made = import_model(folder / "mine", **paths, **options, layout=OnnxLayout(**asked))
    return Run(made.run.path).load_model(), made.notes


def weight(model: onnx.ModelProto, name: str) -> np.ndarray:
    (found,) = (tensor for tensor in model.graph.initializer if tensor.name == name)
    return numpy_helper.to_array(found)


def flat(images: torch.Tensor) -> np.ndarray:
    return images.flatten(1).numpy()


def constant_encoder(name: str, value: float) -> onnx.ModelProto:
    """Means 0, and `value` in an output of this name, whatever the image."""
    model = graphs.encoder((3, 3), scale=0.0)
    model.graph.initializer.append(
        numpy_helper.from_array(np.full((1, 3), value, np.float32), "value")
    )
    graphs.rename_outputs(model, "mean", "zeros")
    model.graph.node.append(helper.make_node("Add", ["zeros", "value"], [name]))
    model.graph.output[1].name = name
    return model


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("logvar", -6.0),
        ("z_log_var", -6.0),
        ("log_std", -3.0),
        ("logSigma", -3.0),
        ("variance", math.exp(-6.0)),
        ("std", math.exp(-3.0)),
    ],
)
def test_the_kl_is_that_of_the_posterior_whatever_is_returned(
    tmp_path: Path, name: str, value: float
) -> None:
    """A posterior N(0, e^-6) of three latents has a KL of 3 * (e^-6 + 6 - 1) / 2 nats."""
    model, notes = imported(tmp_path, constant_encoder(name, value), graphs.decoder(3))
    kl = model.encode(IMAGES).kl().sum(1)
    np.testing.assert_allclose(kl, 3 * (math.exp(-6.0) + 5.0) / 2, rtol=1e-4)
    assert any(repr(name) in note for note in notes) == (name not in ("logvar", "z_log_var"))


def test_a_flag_is_stronger_than_a_name(tmp_path: Path) -> None:
    encoder = constant_encoder("spread", -3.0)
    model, _ = imported(tmp_path, encoder, graphs.decoder(3), variance_as="log_std")
    np.testing.assert_allclose(model.encode(IMAGES).log_variance, -6.0)


def test_a_variance_below_zero_is_a_log_variance_whatever_its_name(tmp_path: Path) -> None:
    """PyTorch-VAE calls the layer of its log variances fc_var."""
    encoder = constant_encoder("fc_var", -6.0)
    model, notes = imported(tmp_path, encoder, graphs.decoder(3))
    np.testing.assert_allclose(model.encode(IMAGES).log_variance, -6.0)
    assert any("whatever its name says" in note for note in notes)


@pytest.mark.parametrize("seed", range(5))
def test_second_moments_tell_log_standard_deviations_apart(seed: int) -> None:
    """Trained latents have means of variance 1 - sigma^2."""
    generator = torch.Generator().manual_seed(seed)
    sigma = torch.linspace(0.3, 0.7, 8)
    mean = torch.randn(256, 8, generator=generator) * (1 - sigma.square()).sqrt()
    right = GaussianPosterior(mean, (2 * sigma.log()).expand(256, 8))
    wrong = GaussianPosterior(mean, sigma.log().expand(256, 8))
    assert not list(_variance_remarks(right))
    (remark,) = _variance_remarks(wrong)
    assert "variance_as log_std" in remark


def test_outputs_are_told_apart_by_name(tmp_path: Path) -> None:
    """A sample first, then log variances, then means; the noise of the sample needs no export."""
    encoder = graphs.rename_outputs(graphs.encoder((3, 3)), "mu", "logvar")
    noise = helper.make_node("RandomNormalLike", ["mu"], ["noise"])
    encoder.graph.node.extend([noise, helper.make_node("Add", ["mu", "noise"], ["z"])])
    mu, logvar = encoder.graph.output
    sample = helper.make_tensor_value_info("z", TensorProto.FLOAT, ["batch", 3])
    outputs = [sample, logvar, mu]
    copies = [onnx.ValueInfoProto.FromString(value.SerializeToString()) for value in outputs]
    del encoder.graph.output[:]
    encoder.graph.output.extend(copies)
    model, notes = imported(tmp_path, encoder, graphs.decoder(3))
    posterior = model.encode(IMAGES)
    images = flat(IMAGES)
    np.testing.assert_allclose(posterior.mean, images @ weight(encoder, "weight0"), atol=1e-5)
    np.testing.assert_allclose(
        posterior.log_variance, images @ weight(encoder, "weight1"), atol=1e-5
    )
    assert any("'mu' as means and 'logvar' as log variances" in note for note in notes)


def categorical_encoder(last: str = "Softmax") -> onnx.ModelProto:
    """Probabilities (Softmax), or one-hot rows (Hardmax), of 2 latents with 3 categories."""
    model = graphs.encoder((6,))
    model.graph.initializer.append(numpy_helper.from_array(np.array([-1, 2, 3]), "rows"))
    graphs.append(
        model,
        helper.make_node("Reshape", ["last", "rows"], ["logits"]),
        helper.make_node(last, ["logits"], ["outputs"], axis=-1),
    )
    port = helper.make_tensor_value_info("outputs", TensorProto.FLOAT, ["batch", 2, 3])
    model.graph.output[0].CopyFrom(port)
    return model


@pytest.mark.parametrize("last", ["Softmax", "Hardmax"])
def test_probabilities_become_logits(tmp_path: Path, last: str) -> None:
    encoder = categorical_encoder(last)
    model, notes = imported(tmp_path, encoder, graphs.decoder(2), latents="categorical")
    logits = (flat(IMAGES) @ weight(encoder, "weight0")).reshape(-1, 2, 3)
    expected = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    kl = (expected * np.log(3 * expected)).sum(-1)
    if last == "Hardmax":
        expected = np.eye(3)[logits.argmax(-1)]
        kl = np.full((5, 2), math.log(3))
    posterior = model.encode(IMAGES)
    np.testing.assert_allclose(posterior.probabilities(), expected, atol=1e-5)
    np.testing.assert_allclose(posterior.kl(), kl, atol=1e-5)
    assert any("rows sum to one" in note for note in notes)


def one_hot_decoder(rows: bool) -> onnx.ModelProto:
    """Reads 2 latents of 3 categories: (batch, 2, 3), or (batch, 6)."""
    model = graphs.decoder(6, scale=1.0)
    if rows:
        port = helper.make_tensor_value_info("codes", TensorProto.FLOAT, ["batch", 2, 3])
        model.graph.input[0].CopyFrom(port)
        graphs.insert(model, [helper.make_node("Flatten", ["codes"], ["six"])], "six")
    return model


@pytest.mark.parametrize("rows", [False, True])
def test_a_decoder_of_one_hot_rows_gets_them(tmp_path: Path, rows: bool) -> None:
    decoder = one_hot_decoder(rows)
    model, notes = imported(tmp_path, categorical_encoder(), decoder, latents="categorical")
    assert model.latents.num_latents == 2
    codes = torch.tensor([[-1.0, 1.0], [0.0, -0.5]])  # at the values, and half way between two
    fed = np.array([[1, 0, 0, 0, 0, 1], [0, 1, 0, 0.5, 0.5, 0]])
    expected = 1 / (1 + np.exp(-(fed @ weight(decoder, "weight"))))
    np.testing.assert_allclose(model.decode_images(codes).flatten(1), expected, atol=1e-5)
    assert any("reads one-hot rows of 2 latents with 3 categories" in note for note in notes)


def bytes_decoder() -> onnx.ModelProto:
    model = graphs.decoder(3, scale=1.0)
    model.graph.initializer.append(numpy_helper.from_array(np.array(255.0, np.float32), "white"))
    return graphs.append(model, helper.make_node("Mul", ["last", "white"], ["bytes"]))


def test_images_in_0_to_255_are_scaled(tmp_path: Path) -> None:
    encoder, decoder = graphs.encoder(scale=1e-4), bytes_decoder()
    model, notes = imported(tmp_path, encoder, decoder, encoder_input="bytes")
    codes = model.encode(IMAGES).mean_code()
    expected = 255 * flat(IMAGES) @ weight(encoder, "weight0")
    np.testing.assert_allclose(codes, expected, atol=1e-4)
    image = 1 / (1 + np.exp(-(codes.numpy() @ weight(decoder, "weight"))))
    np.testing.assert_allclose(model.decode_images(codes).flatten(1), image, atol=1e-5)
    assert any("divided by 255" in note for note in notes)


def test_channels_last_are_transposed(tmp_path: Path) -> None:
    shape = (32, 32, 3)
    encoder, decoder = graphs.encoder(shape=shape), graphs.decoder(3, shape)
    model, notes = imported(tmp_path, encoder, decoder, dataset="rooms")
    images = torch.rand(4, 3, 32, 32)
    codes = model.encode(images).mean_code()
    flattened = images.permute(0, 2, 3, 1).flatten(1).numpy()
    np.testing.assert_allclose(codes, flattened @ weight(encoder, "weight0"), atol=1e-4)
    expected = 1 / (1 + np.exp(-(codes.numpy() @ weight(decoder, "weight"))))
    decoded = model.decode_images(codes).permute(0, 2, 3, 1).flatten(1)
    np.testing.assert_allclose(decoded, expected, atol=1e-5)
    assert sum("the images are transposed" in note for note in notes) == 2


@pytest.mark.parametrize(
    ("kind", "shape", "text", "mean"),
    [
        (TensorProto.INT64, ["batch"], "label=3", 3.0),
        (TensorProto.FLOAT, ["batch", 4], "label=0,0,1,0", 0.25),
        (TensorProto.FLOAT, [], "label=0.5", 0.5),
        (TensorProto.INT64, [2], "label=1,2", 1.5),
    ],
)
def test_a_label_has_its_fixed_value(
    tmp_path: Path, kind: int, shape: list[int | str], text: str, mean: float
) -> None:
    decoder = graphs.labelled(graphs.decoder(3, scale=1.0), kind, shape)
    model, notes = imported(tmp_path, graphs.encoder(), decoder, fix=(text,))
    codes = torch.randn(37, 3)
    expected = 1 / (1 + np.exp(-((codes.numpy() + mean) @ weight(decoder, "weight"))))
    np.testing.assert_allclose(model.decode_images(codes).flatten(1), expected, atol=1e-5)
    assert any("'label' is fixed to" in note for note in notes)


def test_the_command_fixes_a_label_and_an_export_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for part, model in {"encoder": graphs.encoder(), "decoder": graphs.decoder()}.items():
        labelled = graphs.labelled(model, TensorProto.INT64, ["batch"])
        Path(f"{part}.onnx").write_bytes(labelled.SerializeToString())
    command = "import-model --name fixed --encoder encoder.onnx --decoder decoder.onnx --latents"
    assert main([*command.split(), "gaussian", "--dataset", "circles", "--fix", "label=3"]) == 0
    run = Run(tmp_path / "runs" / "fixed")
    assert run.record.imported is not None
    assert run.record.imported.fixed == {"label": (3.0,)}
    assert run.load_model().encode(IMAGES).mean_code().shape == (5, 3)
    readme = (export_model(run, tmp_path / "out") / "README.md").read_text()
    assert "--fix label=3" in readme
    assert "--variance-as log_variance" in readme


@pytest.mark.parametrize(
    ("fix", "complaint"),
    [
        (("labels=3",), "no input is called 'labels'"),
        (("label=1,2",), "has 1 numbers, but is fixed to 2"),
        (("label=2.5",), "does not hold 2.5"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(
    tmp_path: Path, fix: tuple[str, ...], complaint: str
) -> None:
    decoder = graphs.labelled(graphs.decoder(3), TensorProto.INT64, ["batch"])
    if "labels" in fix[0]:
        fix = (*fix, "label=3")
    with pytest.raises(ModelError, match=complaint):
        imported(tmp_path, None, decoder, fix=fix)


@pytest.mark.parametrize("text", ["label", "=3", "label=", "label=a", "label=nan", "label=1,,2"])
def test_a_fixed_input_is_a_name_and_numbers(text: str) -> None:
    with pytest.raises(ConfigError, match="must be NAME=VALUE"):
        OnnxLayout(fix=(text,))


@pytest.mark.parametrize(
    ("num_latents", "shape"), [(128, (1, 32, 32)), (512, (1, 48, 32)), (3, (1, 256, 200))]
)
def test_many_latents_and_large_images_are_taken(
    tmp_path: Path, num_latents: int, shape: tuple[int, int, int]
) -> None:
    encoder = graphs.encoder((num_latents, num_latents), shape, scale=1e-3)
    decoder = graphs.decoder(num_latents, shape, scale=1e-2)
    model, _ = imported(tmp_path, encoder, decoder)
    record = Run(tmp_path / "mine").record
    assert (record.num_latents, record.image_shape) == (num_latents, shape)
    images = load_dataset("circles", record.image_size).sample_images(
        2, torch.Generator().manual_seed(0)
    )
    assert images.shape[1:] == shape
    codes = model.encode(images).mean_code()
    np.testing.assert_allclose(codes, flat(images) @ weight(encoder, "weight0"), atol=1e-4)
    assert model.decode_images(codes).shape[1:] == shape


def test_a_model_of_images_that_are_not_square_is_measured(tmp_path: Path) -> None:
    shape = (1, 48, 32)
    imported(tmp_path, graphs.encoder((3, 3), shape), graphs.decoder(3, shape))
    run = Run(tmp_path / "mine")
    dataset = load_dataset("circles", run.record.image_size)
    settings = EvaluationSettings(points=256, test_points=128)
    evaluation = evaluate(run, dataset, "native", ("mig", "kl", "reconstruction"), settings)
    missing = {score.name for score in evaluation.scores if score.value is None}
    assert missing == {"sampled_kl"}  # the noise of its training is not known
    assert latent_profile(run.load_model(), dataset).kl.shape == (3,)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [({"num_latents": 65}, "num_latents is 65"), ({"image_size": [64, 32]}, "image_size is")],
)
def test_a_model_trained_here_keeps_its_limits(change: dict[str, Any], complaint: str) -> None:
    settings = RunConfig().model_dump() | {"image_shape": (1, 64, 64)}
    with pytest.raises(ConfigError, match=complaint):
        RunRecord.model_validate(settings | change)


def test_a_record_of_an_older_import_is_read_as_before(tmp_path: Path) -> None:
    """It lacks the new fields: outputs in their order, log variances, whatever the names say."""
    encoder = constant_encoder("log_std", -3.0)
    imported(tmp_path, encoder, graphs.decoder(3))
    path = tmp_path / "mine" / "config.json"
    known = ("encoder", "decoder", "interleaved", "encoder_input", "decoder_output")
    config = json.loads(path.read_text())
    config["imported"] = {key: config["imported"][key] for key in known}
    path.write_text(json.dumps(config))
    model: Any = Run(tmp_path / "mine").load_model()
    np.testing.assert_allclose(model.encode(IMAGES).log_variance, -3.0)


# --- the table of the document

Case = tuple[Callable[[], onnx.ModelProto | None], Callable[[], onnx.ModelProto], dict[str, Any]]


def with_node(node: onnx.NodeProto) -> onnx.ModelProto:
    model = graphs.decoder()
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "yes"))
    graphs.insert(model, [node], node.output[0])
    return model


def external() -> onnx.ModelProto:
    model = graphs.decoder()
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    return model


def double() -> onnx.ModelProto:
    model = graphs.decoder()
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.DOUBLE
    return model


def in_training() -> onnx.ModelProto:
    model = graphs.decoder()
    nodes = [
        helper.make_node("ReduceMean", ["codes"], ["mean"], axes=[0], keepdims=1),
        helper.make_node("Sub", ["codes", "mean"], ["centred"]),
    ]
    model.opset_import[0].version = 17
    graphs.insert(model, nodes, "centred")
    return model


def label(model: onnx.ModelProto) -> onnx.ModelProto:
    return graphs.labelled(model, TensorProto.INT64, ["batch"])


def logits_decoder() -> onnx.ModelProto:
    return graphs.decoder(last="", scale=5.0)


NOISE = helper.make_node("RandomNormalLike", ["codes"], ["noise"])
CATEGORICAL = {"latents": "categorical"}
CASES: dict[str, Case] = {
    "several encoder outputs": (
        lambda: graphs.rename_outputs(graphs.encoder((3, 3, 3)), "z", "logvar", "mu"),
        graphs.decoder,
        {},
    ),
    "log standard deviations": (lambda: constant_encoder("logstd", -3.0), graphs.decoder, {}),
    "variances, standard deviations": (lambda: constant_encoder("std", 0.1), graphs.decoder, {}),
    "probabilities, one-hot rows": (categorical_encoder, lambda: graphs.decoder(2), CATEGORICAL),
    "a decoder of one-hot rows": (categorical_encoder, lambda: one_hot_decoder(True), CATEGORICAL),
    "images in 0 to 255": (graphs.encoder, bytes_decoder, {}),
    "channels last": (
        lambda: graphs.encoder(shape=(32, 32, 1)),
        lambda: graphs.decoder(3, (32, 32, 1)),
        {},
    ),
    "a label, fixed": (graphs.encoder, lambda: label(graphs.decoder()), {"fix": ("label=3",)}),
    "a batch of 1": (graphs.encoder, lambda: graphs.decoder(batch=1), {}),
    "a label, not fixed": (graphs.encoder, lambda: label(graphs.decoder()), {}),
    "outputs of unclear names": (lambda: graphs.encoder((3, 3, 3)), graphs.decoder, {}),
    "image logits": (graphs.encoder, logits_decoder, {}),
    "more than 512 latents": (lambda: None, lambda: graphs.decoder(513), {}),
    "images of 28x28": (lambda: None, lambda: graphs.decoder(3, (1, 28, 28)), {}),
    "control flow": (lambda: None, lambda: with_node(graphs.branch()), {}),
    "random numbers": (lambda: None, lambda: with_node(NOISE), {}),
    "weights in other files": (lambda: None, external, {}),
    "other numbers than float32": (lambda: None, double, {}),
    "a network in training mode": (lambda: None, in_training, {}),
}


def said(folder: Path, case: Case) -> str:
    """All notes of an import, or its error."""
    encoder, decoder, settings = case
    options = dict(settings)
    layout = OnnxLayout(fix=options.pop("fix", ()))
    paths: list[Path | None] = []
    for part, model in (("encoder", encoder()), ("decoder", decoder())):
        paths.append(None if model is None else folder / f"{part}.onnx")
        if model is not None:
            (folder / f"{part}.onnx").write_bytes(model.SerializeToString())
    assert paths[1] is not None
    try:
        checked = check_model(
            paths[0],
            paths[1],
            options.get("latents", "gaussian"),
            layout,
        )
    except ModelError as error:
        return str(error)
    return " / ".join(checked.notes)


def rows() -> dict[str, tuple[str, str]]:
    """What becomes of each kind of file, and the words of the import, as the document says."""
    chapter = DOCUMENT.read_text().partition("\n## What is taken")[2].partition("\n## ")[0]
    found = re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \|$", chapter, re.MULTILINE)
    return {name: (becomes, words) for name, becomes, words in found[1:]}


def test_the_table_has_a_row_for_each_case() -> None:
    assert set(rows()) == {*CASES, "a checkpoint"}


@pytest.mark.parametrize("name", CASES)
def test_the_import_says_what_the_table_says(tmp_path: Path, name: str) -> None:
    _, words = rows()[name]
    assert words.strip("`") in said(tmp_path, CASES[name])


def test_a_checkpoint_is_refused_as_the_table_says(tmp_path: Path) -> None:
    _, words = rows()["a checkpoint"]
    (tmp_path / "model.pt").write_bytes(b"PK")
    with pytest.raises(ModelError, match=re.escape(words.strip("`"))):
        check_model(None, tmp_path / "model.pt", "gaussian", OnnxLayout())
