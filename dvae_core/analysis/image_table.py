"""The images of an encoded set as a table: factors, loss, KL and codes of each, and as CSV."""

import csv
import io
from collections.abc import Iterator
from itertools import count

import numpy as np
from numpy.typing import NDArray

from dvae_core.analysis.encoded import EncodedSet
from dvae_core.system.spreadsheet import guarded

_ROWS = 10_000


def image_table(encoded: EncodedSet) -> dict[str, NDArray]:
    """All that is known of each image, as columns (n,) by name, in the order of the rows.

    Columns are `number` of the image, each factor by its name, `loss` and `kl` in nats, and for
    each latent its mean code `latent 2`, the `deviation 2` of its posterior, `kl 2` in nats, and
    with categories the most likely `category 2` and its `probability 2`. A factor whose name is
    taken gets another, such as `loss (factor)`.

    `pandas.DataFrame(image_table(encoded))` makes a data frame of it.

    Args:
        encoded: codes of n images.
    """
    columns: dict[str, NDArray] = {"number": encoded.numbers}
    of_latents: dict[str, NDArray] = {}
    for latent in range(encoded.num_latents):
        if encoded.categories is not None and encoded.probabilities is not None:
            of_latents[f"category {latent}"] = encoded.categories[:, latent]
            of_latents[f"probability {latent}"] = encoded.probabilities[:, latent]
        of_latents[f"latent {latent}"] = encoded.codes[:, latent]
        of_latents[f"deviation {latent}"] = encoded.deviations[:, latent]
        of_latents[f"kl {latent}"] = encoded.kl[:, latent]
    taken = {"number", "loss", "kl", *of_latents}
    for factor, name in enumerate(encoded.factor_names):
        free = next(each for each in _names_like(name) if each not in taken)
        taken.add(free)
        columns[free] = encoded.factors[:, factor]
    return columns | {"loss": encoded.losses, "kl": encoded.total_kl} | of_latents


def image_csv(encoded: EncodedSet) -> str:
    """`image_table` as comma-separated values with a head, floats with nine significant digits.

    Names of factors come from strangers and are `guarded`.

    Args:
        encoded: codes of n images.
    """
    table = image_table(encoded)
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow([guarded(name) for name in table])
    for start in range(0, len(encoded), _ROWS):  # as text, a part takes far more memory
        part = [_cells(column[start : start + _ROWS]) for column in table.values()]
        rows.writerows(zip(*part, strict=True))
    return text.getvalue()


def _cells(column: NDArray) -> list[object]:
    if np.issubdtype(column.dtype, np.floating):
        return [f"{value:.9g}" for value in column.tolist()]
    cells: list[object] = column.tolist()
    return cells


def _names_like(name: str) -> Iterator[str]:
    yield name
    yield f"{name} (factor)"
    yield from (f"{name} (factor {number})" for number in count(2))
