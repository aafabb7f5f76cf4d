"""The kinds of hostile files: how each is made, and how the project takes it in."""

import io
import json
import random
import shutil
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from onnx import helper, numpy_helper

from benchmarks.hostile.damage import damaged, odd
from benchmarks.hostile.originals import data_files, decoder, sweep
from dvae_core.data import load_dataset
from dvae_core.data.imported.dataset import import_images
from dvae_core.data.imported.options import ImportOptions
from dvae_core.exchange.archive import export_run, import_run
from dvae_core.onnx.check import check_model
from dvae_core.onnx.description import OnnxLayout
from dvae_core.onnx.session import Session
from dvae_core.runs.catalog import load_run
from dvae_core.runs.run import Run
from dvae_core.sweep.plan import read_sweep

RUNS = ("categorical", "gaussian", "imported")
RECORDS = ("config.json", "status.json", "notes.json", "names.json", "evaluation.json")
LOGS = ("metrics.jsonl", "scores.jsonl")


@dataclass(frozen=True)
class Kind:
    """A kind of hostile files.

    Attributes:
        make: writes one into a folder, from the folder of `make_runs`.
        take: takes it in; raises `CoreError` to refuse it.
        opens_pages: whether it is a run in the folder `runs`, which every page shows afterwards.
    """

    make: Callable[[random.Random, Path, Path], Path]
    take: Callable[[Path], object]
    opens_pages: bool = False


def _make_sweep(source: random.Random, originals: Path, folder: Path) -> Path:
    text = _json(odd(sweep(), source))
    if source.random() < 0.3:
        text = damaged(text, source)
    if source.random() < 0.3:  # a TOML file of one line each
        content = odd(sweep()["fixed"], source)
        text = b"[fixed]\n" + b"".join(
            f"{key} = {json.dumps(value)}\n".encode(errors="replace")
            for key, value in content.items()
        )
        return _written(folder / "study.toml", text)
    return _written(folder / "study.json", text)


def _take_sweep(path: Path) -> None:
    read_sweep(path)


def _make_archive(source: random.Random, originals: Path, folder: Path) -> Path:
    archive = export_run(Run(originals / source.choice(RUNS)))
    return _written(folder / "run.zip", damaged(archive, source))


def _make_packed_records(source: random.Random, originals: Path, folder: Path) -> Path:
    files = {}
    with zipfile.ZipFile(io.BytesIO(export_run(Run(originals / source.choice(RUNS))))) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    name = source.choice([name for name in files if name.endswith((*RECORDS, *LOGS))])
    files[name] = _odd_record(files[name], name, source)
    for name in [name for name in files if name.endswith(".safetensors")]:
        if source.random() < 0.1:
            del files[name]
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in files.items():
            packed.writestr(name, data)
    return _written(folder / "run.zip", content.getvalue())


def _make_tensors(source: random.Random, originals: Path, folder: Path) -> Path:
    run = Run(originals / source.choice(RUNS[:2]))
    files = sorted(run.path.rglob("*.safetensors"))
    target = Path(shutil.copytree(run.path, folder / "bad"))
    place = target / source.choice(files).relative_to(run.path)
    place.write_bytes(_odd_tensors(place.read_bytes(), source))
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(target.rglob("*")):
            if path.is_file() and not path.name.startswith("."):
                packed.write(path, f"bad/{path.relative_to(target).as_posix()}")
    shutil.rmtree(target)
    return _written(folder / "run.zip", content.getvalue())


def _take_archive(path: Path) -> None:
    import_run(path, path.parent / "runs", "bad")


def _make_folder(source: random.Random, originals: Path, folder: Path) -> Path:
    run = Path(shutil.copytree(originals / source.choice(RUNS), folder / "runs" / "bad"))
    for _ in range(source.choice((1, 1, 2))):
        place = source.choice([path for path in sorted(run.rglob("*")) if path.is_file()])
        match source.randrange(6):
            case 0:
                place.unlink()
            case 1:
                place.write_bytes(damaged(place.read_bytes() or b"x", source))
            case 2:
                place.unlink()
                place.mkdir()
            case _ if place.name in (*RECORDS, *LOGS):
                place.write_bytes(_odd_record(place.read_bytes(), place.name, source))
            case _ if place.suffix == ".safetensors":
                place.write_bytes(_odd_tensors(place.read_bytes(), source))
        if not any(path.is_file() for path in run.rglob("*")):
            break
    return run


def _make_onnx(source: random.Random, originals: Path, folder: Path) -> Path:
    model = decoder()
    for _ in range(source.choice((0, 1, 1, 2))):
        tensor = source.choice(model.graph.initializer)
        numbers = numpy_helper.to_array(tensor).copy()
        numbers.flat[source.randrange(numbers.size)] = source.choice(
            (-1, 0, 1, 3, 1_000, 1_000_000, 5_500_000, 2**31 - 1)
        )
        tensor.CopyFrom(numpy_helper.from_array(numbers, tensor.name))
    if source.random() < 0.5:
        model.graph.initializer.append(
            numpy_helper.from_array(
                np.array([source.choice((1, 10, 1_000, 100_000)) for _ in range(2)]), "size"
            )
        )
        name = source.choice(("Tile", "ConstantOfShape", "Exp", "Softmax", "Loop", "RandomNormal"))
        nodes = {
            "Tile": [helper.make_node("Tile", ["codes", "size"], ["much"])],
            "ConstantOfShape": [helper.make_node("ConstantOfShape", ["size"], ["much"])],
        }.get(name, [helper.make_node(name, ["codes"], ["much"])])
        nodes += [
            helper.make_node("ReduceMax", ["much"], ["greatest"], keepdims=0),
            helper.make_node("Add", ["codes", "greatest"], ["sum"]),
        ]
        model.graph.node[0].input[0] = "sum"
        for node in reversed(nodes):
            model.graph.node.insert(0, node)
    content = model.SerializeToString()
    return _written(
        folder / "decoder.onnx", damaged(content, source) if source.random() < 0.3 else content
    )


def _take_onnx(path: Path) -> None:
    """As an import does; then a batch, as the app decodes it."""
    checked = check_model(None, path, "gaussian", OnnxLayout())
    session = Session(checked.decoder.runnable, checked.decoder.one_at_a_time)
    session.run(np.zeros((32, checked.num_latents), np.float32))


def _make_data(source: random.Random, originals: Path, folder: Path) -> Path:
    name, content = source.choice(list(data_files().items()))
    if name.endswith(".npz"):
        return _written(folder / name, damaged(content, source))
    (folder / "pictures").mkdir()
    _written(folder / "pictures" / name, damaged(content, source))
    return folder / "pictures"


def _take_data(path: Path) -> None:
    import_images(path, "bad", ImportOptions(32))
    dataset = load_dataset("bad", 32)
    dataset.sample_images(4, torch.Generator().manual_seed(0))


KINDS = {
    "sweep files": Kind(_make_sweep, _take_sweep),
    "archives of runs": Kind(_make_archive, _take_archive, opens_pages=True),
    "records in archives": Kind(_make_packed_records, _take_archive, opens_pages=True),
    "weights, states, snapshots": Kind(_make_tensors, _take_archive, opens_pages=True),
    "run folders": Kind(_make_folder, load_run, opens_pages=True),
    "ONNX files": Kind(_make_onnx, _take_onnx),
    "data files": Kind(_make_data, _take_data),
}


def _json(content: Any) -> bytes:
    text = json.dumps(content).encode()
    return text.replace(b"Infinity", b"1e999")


def _odd_record(content: bytes, name: str, source: random.Random) -> bytes:
    if source.random() < 0.15:
        return damaged(content, source)
    try:
        if name.endswith(RECORDS):
            return _json(odd(json.loads(content), source))
        rows = [json.loads(line) for line in content.splitlines()]
    except ValueError:  # changed before
        return damaged(content or b"x", source)
    return b"".join(_json(row) + b"\n" for row in odd(rows, source))


def _odd_tensors(content: bytes, source: random.Random) -> bytes:
    """A safetensors file with another header or other numbers."""
    length = int.from_bytes(content[:8], "little")
    numbers = (len(content) - length - 8) // 4
    if numbers <= 0:  # changed before
        return damaged(content or b"x", source)
    if source.random() < 0.4:  # other numbers
        data = bytearray(content)
        for _ in range(source.choice((1, 10, 1_000))):
            place = 8 + length + 4 * source.randrange(numbers)
            number = source.choice((0.0, -1.0, 1e4, 1e10, 3e38, float("inf"), float("nan")))
            data[place : place + 4] = struct.pack("<f", number)
        return bytes(data)
    header = odd(json.loads(content[8 : 8 + length]), source)
    if source.random() < 0.2:
        name = source.choice(list(header) or ["x"])
        if isinstance(header.get(name), dict):
            header[name]["dtype"] = source.choice(("F8_E4M3", "F8_E5M2", "BF16", "F64", "BOOL"))
    if source.random() < 0.1:
        header |= {f"x{i}": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]} for i in range(9)}
    text = _json(header)
    return len(text).to_bytes(8, "little") + text + content[8 + length :]


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path
