"""Reading and writing the JSON and safetensors files of a run; files are replaced atomically."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from pydantic import BaseModel, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from dvae_core.config import explain
from dvae_core.errors import ConfigError, RunError
from dvae_core.system.files import write_atomically

MAX_JSON_BYTES = 16 * 2**20
Schema = TypeVar("Schema", bound=BaseModel)


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        RunError: the file is missing, too large, or not a JSON object.
    """
    if not path.parent.is_dir():
        raise RunError(f"{path.parent} is not a run folder: there is no such folder")
    if not path.is_file():
        raise RunError(f"{path} is missing: the folder is not a run, or was partly deleted")
    if path.stat().st_size > MAX_JSON_BYTES:
        raise RunError(f"{path} has over {MAX_JSON_BYTES // 2**20} MB, more than a run's file has")
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise RunError(f"{path} is not valid JSON: the file is damaged or truncated") from None
    if not isinstance(content, dict):
        raise RunError(f"{path} does not hold a JSON object: the file is damaged")
    return content


def read_record(path: Path, schema: type[Schema]) -> Schema:
    """The record in a file.

    Raises:
        RunError: the file is missing, not a JSON object, or does not match the schema.
    """
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
    return read_record(path, schema) if path.is_file() else None


def write_record(path: Path, record: BaseModel, exclude: set[str] | None = None) -> None:
    """Replace a file by a record without the fields in `exclude`."""
    write_atomically(path, record.model_dump_json(indent=1, exclude=exclude) + "\n")


_DTYPES = {torch.float32: {"F32", "F16"}, torch.int64: {"I64"}, torch.uint8: {"U8"}}


def read_tensors(path: Path, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a file, with the keys, shapes and dtypes of `expected`.

    Raises:
        RunError: the file is missing or truncated, or holds other tensors.
    """
    if not path.is_file():
        raise RunError(f"{path} is missing: the run has not saved it yet, or it was deleted")
    try:
        with safe_open(path, framework="pt") as file:
            found = set(file.keys())
            if found != expected.keys():
                odd = sorted(found ^ expected.keys())[0]
                verb = "is missing" if odd in expected else "is unexpected"
                raise RunError(
                    f"{path}: tensor {odd[:80]} {verb}: the weights belong to another config"
                )
            for key, wanted in expected.items():
                header = file.get_slice(key)
                _check_header(path, key, header.get_shape(), header.get_dtype(), wanted)
            return {key: file.get_tensor(key).to(expected[key].dtype) for key in expected}
    except (SafetensorError, OSError, ValueError) as error:
        raise _unreadable(path, error) from None


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


def check_tensors(path: Path) -> None:
    """Raise `RunError` unless a file holds complete tensors of finite numbers."""
    try:
        with safe_open(path, framework="pt") as file:
            for key in file.keys():  # noqa: SIM118 (no mapping)
                _check_finite(path, key, file.get_tensor(key))
    except (SafetensorError, OSError, ValueError) as error:
        raise _unreadable(path, error) from None


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Replace a file by tensors."""
    plain = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    write_atomically(path, save(plain))


def _unreadable(path: Path, error: Exception) -> RunError:
    reason = str(error).splitlines()[0][:120]
    return RunError(f"{path} is truncated or not a safetensors file ({reason})")


def _check_finite(path: Path, key: str, tensor: Tensor) -> None:
    if tensor.is_floating_point() and not tensor.isfinite().all():
        raise RunError(
            f"{path}: {key[:80]} holds numbers that are not finite: the weights are damaged"
        )


def _check_header(path: Path, key: str, shape: list[int], dtype: str, wanted: Tensor) -> None:
    if tuple(shape) != tuple(wanted.shape):
        raise RunError(
            f"{path}: tensor {key} has shape {tuple(shape)}, but the config requires "
            f"{tuple(wanted.shape)}"
        )
    if dtype not in _DTYPES[wanted.dtype]:
        raise RunError(
            f"{path}: tensor {key} has type {dtype}, but the config requires "
            f"{' or '.join(sorted(_DTYPES[wanted.dtype]))}"
        )
