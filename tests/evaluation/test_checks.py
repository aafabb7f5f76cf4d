from collections.abc import Callable
from typing import Any

import pytest

from dvae_core.errors import EvaluationError
from dvae_core.evaluation.metrics.dci import dci
from dvae_core.evaluation.metrics.infomec import infomec
from dvae_core.evaluation.metrics.irs import irs
from dvae_core.evaluation.metrics.mig import mig
from dvae_core.evaluation.metrics.modularity import modularity
from dvae_core.evaluation.metrics.sap import sap
from tests.evaluation.known import full_grid

METRICS: dict[str, Callable[[Any, Any], object]] = {
    "dci": lambda codes, factors: dci(codes, factors, codes, factors, variant="fast"),
    "infomec": infomec,
    "irs": irs,
    "mig": mig,
    "modularity": modularity,
    "sap": lambda codes, factors: sap(codes, factors, codes, factors),
}


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_refuses_a_factor_with_a_single_value(metric: str) -> None:
    factors = full_grid(4, 4, repeats=4)
    with pytest.raises(EvaluationError, match="factor 1 has a single value"):
        METRICS[metric](factors, factors * [1, 0])
