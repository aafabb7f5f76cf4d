"""The scalars that a decoder reads for the categories of its latents."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dvae_core.data.limits import printable
from dvae_core.errors import ModelError

CategoryValues = Sequence[Sequence[float]]
_MAX_BYTES = 4 * 2**20
_LARGEST = 1e6  # of a value that networks are trained on


def read_category_values(path: Path) -> CategoryValues:
    """Category values out of a JSON file: a list of numbers, one such list a latent, or an object
    with such a value under `category_values`, as model.json of an export has it.

    Raises:
        ModelError: it is missing, or something else.
    """
    shown = printable(path, 200)
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ModelError(f"{shown} has more than {_MAX_BYTES // 2**20} MB")
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise ModelError(f"{shown} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise ModelError(f"{shown} is no JSON: give a list of numbers, or one a latent") from None
    if isinstance(content, dict):
        content = content.get("category_values")
    rows: Any = content
    if not (isinstance(content, list) and content and isinstance(content[0], list)):
        rows = [content]
    if not all(isinstance(row, list) and row and all(map(_is_value, row)) for row in rows):
        raise ModelError(f"{shown} holds something else than a list of numbers, or one a latent")
    checked: CategoryValues = rows
    return checked


def one_row_a_latent(values: CategoryValues, num_latents: int) -> tuple[tuple[float, ...], ...]:
    """One row of values for each latent, where there is one for all; () for none.

    Raises:
        ModelError: there are rows for another number of latents.
    """
    rows = tuple(tuple(float(value) for value in row) for row in values)
    if len(rows) == 1:
        rows *= num_latents
    if rows and len(rows) != num_latents:
        raise ModelError(
            f"category values of {len(rows)} latents were given, but the decoder takes "
            f"{num_latents}: give one row for each, or one for all"
        )
    return rows


def _is_value(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST
