"""Operations of the child process on a parquet file of pictures, as HuggingFace stores sets."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dvae_core.data.untrusted.limits import MAX_FACTORS, MAX_TEXT_CHARACTERS
from dvae_core.errors import DataError, printable
from dvae_core.system.sandbox import Answer

_ROWS = 16  # read at a time
_MAX_PICTURE_BYTES = 32 * 2**20

_rows: Iterator[tuple[bytes, dict[str, str]]] | None = None


def open_parquet(path: str) -> Answer:
    """Open a file, and forget the previous one."""
    global _rows
    _rows = _read(Path(path))
    return {}, b""


def next_row() -> Answer:
    """The next picture and its labels by column; no labels object at the end."""
    if _rows is None:
        raise DataError("the reader was restarted: open the file again")
    found = next(_rows, None)
    if found is None:
        return {"labels": None}, b""
    picture, labels = found
    return {"labels": labels}, picture


def _read(path: Path) -> Iterator[tuple[bytes, dict[str, str]]]:
    file = pq.ParquetFile(path)
    schema = file.schema_arrow
    column = next((field.name for field in schema if _holds_pictures(field.type)), None)
    if column is None:
        raise DataError(f"it has no column of pictures, only {', '.join(schema.names[:20])}")
    factors = [field.name for field in schema if _is_factor(field.type)]
    if len(factors) > MAX_FACTORS:
        raise DataError(
            f"it has {len(factors)} columns beside pictures: give at most {MAX_FACTORS}"
        )
    names = _class_names(schema)
    for batch in file.iter_batches(batch_size=_ROWS, columns=[column, *factors]):
        for row in batch.to_pylist():
            picture = row[column]
            data = picture.get("bytes") if isinstance(picture, dict) else picture
            if not data or len(data) > _MAX_PICTURE_BYTES:
                raise DataError(f"a row of {column} has no picture, or one of more than 32 MB")
            yield data, {name: _text(row[name], names.get(name, [])) for name in factors}


def _holds_pictures(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return any(kind.field(i).name == "bytes" for i in range(kind.num_fields))
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _is_factor(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    types = pa.types
    texts = (types.is_string, types.is_large_string)
    numbers = (types.is_integer, types.is_floating, types.is_boolean)
    return any(check(kind) for check in (*texts, *numbers))


def _text(value: Any, names: list[str]) -> str:
    if value is None:
        raise DataError("a row has no value in a column of factors: fill it, or drop the column")
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(names):
        value = names[value]
    return printable(value)[:MAX_TEXT_CHARACTERS]


def _class_names(schema: pa.Schema) -> dict[str, list[str]]:
    """Names of the classes of each column, as HuggingFace keeps them in the metadata."""
    try:
        text = (schema.metadata or {})[b"huggingface"].decode()
        features = json.loads(text)["info"]["features"]
        return {
            name: list(map(str, feature["names"]))
            for name, feature in features.items()
            if isinstance(feature, dict) and "names" in feature
        }
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError):
        return {}
