import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

REFERENCE = Path(__file__).parent / "reference"


@pytest.fixture(scope="session")
def reference_arrays() -> dict[str, NDArray[Any]]:
    """Codes and factors that the reference implementation was run on."""
    with np.load(REFERENCE / "metrics.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="session")
def reference_values() -> dict[str, dict[str, Any]]:
    """What the reference implementation returned for them."""
    return json.loads((REFERENCE / "metrics.json").read_text())


CASES = ("identity", "rotated_45", "duplicated", "categorical_64", "entangled", "noise")


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> str:
    return request.param
