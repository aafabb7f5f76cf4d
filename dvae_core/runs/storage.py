"""Reading and writing the JSON and safetensors files of a run; files are replaced atomically."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any, TypeVar

import torch
from pydantic import BaseModel, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from dvae_core.config import explain
from dvae_core.errors import ConfigError, RunError, printable
from dvae_core.system.files import FileStamp, file_stamp, write_atomically
from dvae_core.system.strict_json import parse_json

MAX_JSON_BYTES = 16 * 2**20
_MAX_KEPT_BYTES = 2**16  # of a record that is kept; every page reads those of all runs
Schema = TypeVar("Schema", bound=BaseModel)


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file, as `parse_json` gives it.

    Raises:
        RunError: the file is missing, may not be read, is too large, or not a JSON object.
    """
    try:
        if not path.parent.is_dir():
            raise RunError(f"{path.parent} is not a run folder: there is no such folder")
        if not path.is_file():
            raise RunError(f"{path} is missing: the folder is not a run, or was partly deleted")
        if path.stat().st_size > MAX_JSON_BYTES:
            raise RunError(
                f"{path} has over {MAX_JSON_BYTES // 2**20} MB, more than a run's file has"
            )
        content = parse_json(path.read_bytes())
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise RunError(f"{path} is not valid JSON: the file is damaged or truncated") from None
    except ValueError as error:
        raise RunError(f"{path} is not valid JSON: {error}") from None
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror or error}") from None
    if not isinstance(content, dict):
        raise RunError(f"{path} does not hold a JSON object: the file is damaged")
    return content


def read_record(path: Path, schema: type[Schema]) -> Schema:
    """The record in a file. A small file that has not changed since gives the same object again.

    Raises:
        RunError: the file is missing, not a JSON object, or does not match the schema.
    """
    stamp = file_stamp(path)
    if stamp is None or stamp.size > _MAX_KEPT_BYTES:
        return _read_record(path, schema)
    return _kept_record(path, schema, stamp)


@lru_cache(maxsize=2048)
def _kept_record(path: Path, schema: type[Schema], stamp: FileStamp) -> Schema:
    return _read_record(path, schema)


def _read_record(path: Path, schema: type[Schema]) -> Schema:
    try:
        return schema.model_validate(read_object(path))
    except (ValidationError, ConfigError) as error:
        reason = explain(error) if isinstance(error, ValidationError) else error
        raise RunError(f"{path}: {reason}") from None


def read_optional_record(path: Path, schema: type[Schema]) -> Schema | None:
    """The record in a file, or None if there is no file.

    Raises:
        RunError: the file does not match the schema.
    """
    try:
        exists = path.is_file()
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror or error}") from None
    return read_record(path, schema) if exists else None


def write_record(path: Path, record: BaseModel, exclude: set[str] | None = None) -> None:
    """Replace a file by a record without the fields in `exclude`."""
    content = record.model_dump(mode="json", exclude=exclude)
    # A message may quote a path that is no text.
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    write_atomically(path, text.encode(errors="backslashreplace") + b"\n")


_DTYPES = {torch.float32: {"F32", "F16"}, torch.int64: {"I64"}, torch.uint8: {"U8"}}
_MAX_HEADER_BYTES = 2**18  # of a safetensors file; the largest of ours has 40 KB
_PIECE_VALUES = 2**20
_MAX_FREE_BYTES = 2**16


@contextmanager
def open_tensors(path: Path, framework: str = "pt") -> Iterator[Any]:
    """A safetensors file whose header is small enough to read.

    Raises:
        RunError: the file is missing, truncated or not such a file, or the block raises what the
            library raises for it.
    """
    if not path.is_file():
        raise RunError(f"{path} is missing: the run has not saved it yet, or it was deleted")
    try:
        with open(path, "rb") as file:
            header_bytes = int.from_bytes(file.read(8), "little")
        if header_bytes > _MAX_HEADER_BYTES:
            raise RunError(
                f"{path} is damaged or of another run (its header has {header_bytes:,} bytes)"
            )
        with safe_open(path, framework=framework) as file:
            yield file
    except (SafetensorError, OSError, ValueError) as error:
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise RunError(f"{path} is damaged or of another run ({reason})") from None


def read_tensors(path: Path, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a file, with the keys, shapes and dtypes of `expected`.

    Raises:
        RunError: the file is missing or truncated, or holds other tensors.
    """
    with open_tensors(path) as file:
        _check_headers(path, file, expected)
        return {key: file.get_tensor(key).to(expected[key].dtype) for key in expected}


def load_weights(path: Path, module: nn.Module) -> None:
    """Load the weights of a file into a module.

    Raises:
        RunError: the file is missing, truncated or of another module, or not all numbers are
            finite.
    """
    tensors = read_tensors(path, module.state_dict())
    for key, tensor in tensors.items():
        _check_finite(path, key, tensor)
    module.load_state_dict(tensors)


def check_tensors(path: Path, expected: Mapping[str, Tensor], free: Collection[str] = ()) -> None:
    """Check the tensors of a file without holding them in memory.

    Args:
        path: of the file.
        expected: tensors of its keys, shapes and dtypes, perhaps on the meta device.
        free: keys of byte strings of any length up to 64 KB, which depends on the machine.

    Raises:
        RunError: the file is missing or truncated, holds other tensors, or numbers that are not
            finite.
    """
    with open_tensors(path) as file:
        _check_headers(path, file, expected, free)
        for key, wanted in expected.items():
            if not wanted.is_floating_point():
                continue
            values = file.get_slice(key)
            shape = values.get_shape()
            if not shape:
                _check_finite(path, key, file.get_tensor(key))
                continue
            rows = max(1, _PIECE_VALUES // max(1, prod(shape[1:])))
            for start in range(0, shape[0], rows):
                _check_finite(path, key, values[start : start + rows])


def read_scalars(path: Path, keys: Sequence[str]) -> dict[str, float]:
    """Some tensors of a file that hold one number each; errors as in `read_tensors`."""
    with open_tensors(path) as file:
        return {key: file.get_tensor(key).item() for key in keys}


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Replace a file by tensors, and texts in its header."""
    plain = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    write_atomically(path, save(plain, dict(metadata) if metadata else None))


def read_metadata(path: Path) -> dict[str, str]:
    """The texts in the header of a safetensors file, by name.

    Raises:
        RunError: the file is missing or damaged.
    """
    with open_tensors(path) as file:
        found: dict[str, str] | None = file.metadata()
    return found or {}


def _check_finite(path: Path, key: str, tensor: Tensor) -> None:
    if tensor.is_floating_point() and not tensor.isfinite().all():
        raise RunError(
            f"{path}: {key[:80]} holds numbers that are not finite: the weights are damaged"
        )


def _check_headers(
    path: Path, file: Any, expected: Mapping[str, Tensor], free: Collection[str] = ()
) -> None:
    """Compare the names, shapes and types in the header with those that the config requires."""
    found = set(file.keys())
    wanted = {*expected, *free}
    if found != wanted:
        odd = min(found ^ wanted)
        verb = "is missing" if odd in wanted else "is unexpected"
        raise RunError(
            f"{path}: tensor {printable(odd, 80)} {verb}: the weights belong to another config"
        )
    for key in wanted:
        header = file.get_slice(key)
        shape, dtype = tuple(header.get_shape()), header.get_dtype()
        if key in free:
            if dtype != "U8" or len(shape) != 1 or shape[0] > _MAX_FREE_BYTES:
                raise RunError(f"{path}: tensor {key} has type {dtype} and shape {shape}")
            continue
        if shape != tuple(expected[key].shape):
            raise RunError(
                f"{path}: tensor {key} has shape {shape}, but the config requires "
                f"{tuple(expected[key].shape)}"
            )
        types = _DTYPES[expected[key].dtype]
        if dtype not in types:
            raise RunError(
                f"{path}: tensor {key} has type {dtype}, but the config requires "
                f"{' or '.join(sorted(types))}"
            )
