"""Small JSON files that a schema describes: read checked, replaced in one stroke."""

import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from dvae_core.config import explain
from dvae_core.errors import ConfigError, RunError
from dvae_core.files import write_atomically

MAX_JSON_BYTES = 16 * 2**20
Schema = TypeVar("Schema", bound=BaseModel)


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        RunError: it is missing, too large, or no JSON object.
    """
    if not path.parent.is_dir():
        raise RunError(f"{path.parent} is no run folder: there is no such folder")
    if not path.is_file():
        raise RunError(f"{path} is missing: the folder is no run, or was half deleted")
    if path.stat().st_size > MAX_JSON_BYTES:
        raise RunError(f"{path} has more than {MAX_JSON_BYTES // 2**20} MB: it is no run's")
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise RunError(f"{path} is no JSON: the file was damaged or truncated") from None
    if not isinstance(content, dict):
        raise RunError(f"{path} holds no JSON object, which is expected there")
    return content


def read_record(path: Path, schema: type[Schema]) -> Schema:
    """The record in a file.

    Raises:
        RunError: it is missing, no JSON object, or not what the schema says.
    """
    try:
        return schema.model_validate(read_object(path))
    except ValidationError as error:
        raise RunError(f"{path}: {explain(error)}") from None
    except ConfigError as error:
        raise RunError(f"{path}: {error}") from None


def read_optional_record(path: Path, schema: type[Schema]) -> Schema | None:
    """The record in a file, or None where there is no such file.

    Raises:
        RunError: there is one, and it is wrong.
    """
    return read_record(path, schema) if path.is_file() else None


def write_record(path: Path, record: BaseModel, exclude: set[str] | None = None) -> None:
    """Replace a file by a record, some of its fields left out."""
    write_atomically(path, record.model_dump_json(indent=1, exclude=exclude) + "\n")
