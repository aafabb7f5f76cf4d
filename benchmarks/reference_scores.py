"""Measure the perfect and the shuffled code of each full grid that ships with a data set.

    python -m benchmarks.reference_scores

Writes dvae_core/evaluation/reference_scores.json: by grid, protocol and score the values of the
perfect and of the shuffled code, on 10,000 points and 5,000 for testing; and the table of
docs/results.md.
"""

import json
from collections.abc import Mapping
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from benchmarks.tables import REPOSITORY, markdown, replace_table
from dvae_core.data import load_dataset
from dvae_core.evaluation.catalog import MEANINGS
from dvae_core.evaluation.reference_codes import (
    SHIPPED,
    ReferenceScore,
    grid_factors,
    name_of_grid,
    reference_factors,
    reference_scores,
)
from dvae_core.evaluation.results import EvaluationSettings, ProtocolName

FILE = REPOSITORY / "dvae_core" / "evaluation" / "reference_scores.json"
DOCUMENT = REPOSITORY / "docs" / "results.md"
GRIDS = {
    "circles": (32, 32),
    "sprites, dsprites": (3, 6, 40, 32, 32),
    "rooms, shapes3d": (10, 10, 10, 8, 4, 15),
}
EACH_ONCE = ("circles",)  # under native, for its few images
TABLE = ("mig", "modularity", "sap", "dci_fast_disentanglement", "infom", "infoe", "infoc")
PROTOCOLS: tuple[ProtocolName, ...] = get_args(ProtocolName)
DIGITS = 4


def main() -> None:
    settings = EvaluationSettings()
    found: dict[str, dict[str, Any]] = {}
    for name, sizes in GRIDS.items():
        train = grid_factors(sizes, settings.points, 0)
        test = grid_factors(sizes, settings.test_points, 1)
        found[name_of_grid(sizes)] = {
            protocol: measured(train, test, protocol) for protocol in PROTOCOLS
        }
        if name in EACH_ONCE:
            drawn = reference_factors(load_dataset(name, 32), "native")
            key = name_of_grid(sizes, each_once=True)
            found[key] = {"native": measured(*drawn, "native")}
        print(f"{name}: measured", flush=True)
    FILE.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    replace_table(DOCUMENT, "references", markdown(table(found)))


def measured(
    train: NDArray[np.int64], test: NDArray[np.int64], protocol: ProtocolName
) -> dict[str, list[float | None]]:
    """The two values of each score, by its name."""
    scores = reference_scores(train, test, protocol, SHIPPED)
    return {name: rounded(score) for name, score in scores.items()}


def table(found: Mapping[str, Any]) -> list[list[str]]:
    """One row per score: perfect and shuffled code under both protocols, for each grid."""
    rows = [["score", *(f"{name}, {protocol}" for name in GRIDS for protocol in PROTOCOLS)]]
    for score in TABLE:
        cells = [
            " / ".join(f"{value:.3f}" for value in found[key][protocol][score])
            for name, sizes in GRIDS.items()
            for protocol in PROTOCOLS
            for key in [name_of_grid(sizes, each_once=name in EACH_ONCE and protocol == "native")]
        ]
        rows.append([MEANINGS[score].label, *cells])
    return rows


def rounded(score: ReferenceScore) -> list[float | None]:
    """The two values as the file holds them."""
    values = (score.perfect, score.shuffled)
    return [None if value is None else round(value, DIGITS) for value in values]


if __name__ == "__main__":
    main()
