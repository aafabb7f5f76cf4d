"""The images of an encoded set as a table: factors, loss, KL and codes of each, and as CSV."""

import csv
import io
from collections.abc import Iterable, Iterator
from itertools import count, repeat

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
    return "".join(csv_parts(encoded))


def csv_parts(
    encoded: EncodedSet, posteriors: Iterable[NDArray[np.float32]] | None = None
) -> Iterator[str]:
    """The text of `image_csv` part by part, since the text takes far more memory than the arrays.

    Args:
        encoded: codes of n images.
        posteriors: probabilities of all categories, parts of (B, N, K) that are n rows together,
            for further columns `posterior 2.5`, those of category 5 of latent 2.
    """
    table = image_table(encoded)
    names = [guarded(name) for name in table]
    if posteriors is None:
        yield _as_csv([names])
        sizes: Iterable[tuple[int, list[NDArray]]] = repeat((_ROWS, []))
    else:
        places = [
            (latent, category)
            for latent, categories in enumerate(encoded.category_counts)
            for category in range(categories)
        ]
        yield _as_csv([names + [f"posterior {latent}.{category}" for latent, category in places]])
        sizes = ((len(part), [part[:, i, k] for i, k in places]) for part in posteriors)
    start = 0
    for size, further in sizes:
        columns = [column[start : start + size] for column in table.values()]
        yield _as_csv(zip(*map(_cells, [*columns, *further]), strict=True))
        start += size
        if start >= len(encoded):
            break


def _as_csv(rows: Iterable[Iterable[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
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
