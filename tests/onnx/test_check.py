"""Files of strangers, through the child process that looks at them first."""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import psutil
import pytest
from onnx import helper, numpy_helper

from benchmarks.hostile.damage import mutated
from dvae_core.errors import ModelError
from dvae_core.onnx import check
from dvae_core.onnx.check import CheckedModel, check_model
from dvae_core.onnx.description import OnnxLayout
from dvae_core.onnx.graph import read_graph
from tests.onnx import graphs


def saved(folder: Path, **models: onnx.ModelProto | bytes) -> dict[str, Path]:
    paths = {}
    for part, model in models.items():
        paths[part] = folder / f"{part}.onnx"
        content = model if isinstance(model, bytes) else model.SerializeToString()
        paths[part].write_bytes(content)
    return paths


def checked(paths: dict[str, Path]) -> CheckedModel:
    return check_model(paths.get("encoder"), paths["decoder"], "gaussian", OnnxLayout())


def with_constant(shape: Sequence[int], *then: onnx.NodeProto) -> onnx.ModelProto:
    """A decoder that adds `much` to its codes: a constant of that shape, worked on by `then`."""
    model = graphs.decoder()
    model.graph.initializer.append(numpy_helper.from_array(np.array(shape), "size"))
    nodes = [
        helper.make_node("ConstantOfShape", ["size"], ["much"]),
        *then,
        helper.make_node("ReduceMax", ["most" if then else "much"], ["greatest"], keepdims=0),
        helper.make_node("Add", ["codes", "greatest"], ["sum"]),
    ]
    graphs.insert(model, nodes, "sum")
    return model


def expanding(times: int) -> onnx.ModelProto:
    """A decoder that reads the mean of as many copies of its codes."""
    model = graphs.decoder()
    for name, numbers in (("axis", [1]), ("copies", [1, times, 1])):
        model.graph.initializer.append(numpy_helper.from_array(np.array(numbers), name))
    nodes = [
        helper.make_node("Unsqueeze", ["codes", "axis"], ["row"]),
        helper.make_node("Expand", ["row", "copies"], ["rows"]),
        helper.make_node("ReduceMean", ["rows", "axis"], ["same"], keepdims=0),
    ]
    graphs.insert(model, nodes, "same")
    return model


def test_what_expands_is_limited_before_and_while_it_runs(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="Expand makes 240 MB for one image or code"):
        checked(saved(tmp_path, decoder=expanding(20_000_000)))
    # 24 MB for one code are allowed; 768 MB for a batch are not, in the child or in the app.
    assert checked(saved(tmp_path, decoder=expanding(2_000_000))).decoder.one_at_a_time


def test_files_that_fit_are_described_with_the_bytes_that_were_looked_at(tmp_path: Path) -> None:
    paths = saved(tmp_path, encoder=graphs.encoder(), decoder=graphs.decoder())
    found = checked(paths)
    assert (found.num_latents, found.image_shape) == (3, (1, 32, 32))
    assert found.encoder is not None
    assert found.encoder.content == paths["encoder"].read_bytes()
    assert found.decoder.opset == graphs.OPSET


@pytest.mark.parametrize(
    ("decoder", "complaint"),
    [
        (with_constant([2**38]), "makes 1,099,512 MB"),
        (with_constant([2**20, 2**20, 2**20, 2**20]), "makes .* MB for one"),
        (b"", "not an ONNX file"),
        (graphs.decoder().SerializeToString()[:-100], "not an ONNX file|cannot load it"),
    ],
)
def test_what_asks_for_too_much_is_one_line(
    tmp_path: Path, decoder: onnx.ModelProto | bytes, complaint: str
) -> None:
    with pytest.raises(ModelError, match=complaint) as caught:
        checked(saved(tmp_path, decoder=decoder))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_endless_work_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "SECONDS", 1)
    names = ["much", *(f"much{i}" for i in range(39)), "most"]
    powers = [
        helper.make_node("MatMul", [before, "much"], [after]) for before, after in pairwise(names)
    ]
    model = with_constant([1_500, 1_500], *powers)
    with pytest.raises(ModelError, match=r"decoder\.onnx cannot be read: it takes more than 1 s"):
        checked(saved(tmp_path, decoder=model))
    assert not children()


def test_a_child_that_crashes_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dying.py").write_text("import os\ndef die(**arguments): os.abort()\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path) + os.pathsep + os.environ.get("PYTHONPATH", ""))
    monkeypatch.setattr(check, "_OPERATION", "dying:die")
    with pytest.raises(ModelError, match="kills its reader"):
        checked(saved(tmp_path, decoder=graphs.decoder()))


@pytest.mark.parametrize("name", ["onnx", "onnxruntime", "numpy"])
def test_libraries_are_not_taken_from_the_working_directory(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"{name}.py").write_text("open('marker', 'w')")
    monkeypatch.chdir(tmp_path)
    assert checked(saved(tmp_path, decoder=graphs.decoder())).num_latents == 3
    assert not (tmp_path / "marker").exists()


def test_external_weights_are_never_opened(tmp_path: Path) -> None:
    """A pipe would hold whoever opens it for ever."""
    os.mkfifo(tmp_path / "weights")
    model = graphs.decoder()
    weight = model.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    entry = weight.external_data.add()
    entry.key, entry.value = "location", "weights"
    with pytest.raises(ModelError, match="are in another file"):
        checked(saved(tmp_path, decoder=model))


@pytest.mark.parametrize("name", ["nowhere", ".", "pipe"])
def test_what_is_no_file_is_refused(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ModelError, match="not a regular file"):
        check_model(None, tmp_path / name, "gaussian", OnnxLayout())


@pytest.mark.parametrize("name", ["model.pt", "model.pth", "last.ckpt", "Model.SAFETENSORS"])
def test_a_checkpoint_is_refused_with_the_way_on(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"PK")
    way_on = r"must be an ONNX file: export the network first, as in torch\.onnx\.export\("
    with pytest.raises(ModelError, match=f"decoder: {name} is a .*{way_on}"):
        check_model(None, tmp_path / name, "gaussian", OnnxLayout())


def test_what_runs_is_the_file_without_unneeded_nodes(tmp_path: Path) -> None:
    encoder = graphs.encoder()
    encoder.graph.node.append(helper.make_node("RandomNormalLike", ["out0"], ["noise"]))
    paths = saved(tmp_path, encoder=encoder, decoder=graphs.decoder())
    found = checked(paths)
    assert found.encoder is not None
    assert found.encoder.content == paths["encoder"].read_bytes()
    assert found.encoder.runnable == read_graph(found.encoder.content).content
    assert found.encoder.runnable != found.encoder.content
    assert found.decoder.runnable == found.decoder.content


def test_a_file_of_too_many_bytes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "MAX_FILE_BYTES", 2**20)
    path = tmp_path / "huge.onnx"
    path.write_bytes(b"\0" * (2**20 + 1))
    with pytest.raises(ModelError, match="larger than 1 MB"):
        check_model(None, path, "gaussian", OnnxLayout())


def test_names_of_a_file_cannot_steer_a_terminal(tmp_path: Path) -> None:
    model = graphs.decoder()
    model.graph.node[0].op_type = "\x1b[2J" + "x" * 10_000
    with pytest.raises(ModelError) as caught:
        checked(saved(tmp_path, decoder=model))
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 600


def test_mutated_graphs_are_read_or_refused() -> None:
    content = graphs.decoder().SerializeToString()
    for sample in mutated([content], 400):
        with suppress(ModelError):
            read_graph(sample)


def survive(folder: Path, count: int, seed: int) -> None:
    originals = [graphs.decoder().SerializeToString(), graphs.encoder().SerializeToString()]
    refusals: list[str] = []
    for number, content in enumerate(mutated(originals, count, seed)):
        parts = {"decoder": originals[0], "encoder": originals[1]}
        parts[("decoder", "encoder")[number % 2]] = content
        try:
            checked(saved(folder, **parts))
        except ModelError as error:
            refusals.append(str(error))
    assert refusals
    assert all(text.isprintable() and len(text) < 600 for text in refusals)
    assert not children()


def test_mutated_files_are_taken_or_refused(tmp_path: Path) -> None:
    survive(tmp_path, 10, seed=1)


@pytest.mark.slow
def test_many_mutated_files_are_taken_or_refused(tmp_path: Path) -> None:
    survive(tmp_path, 400, seed=2)


def children() -> list[psutil.Process]:
    found: Callable[[], list[psutil.Process]] = psutil.Process().children
    return [child for child in found() if "dvae_core.system.sandbox" in " ".join(child.cmdline())]
