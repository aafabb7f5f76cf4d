"""Curves of a training, made fit for a screen: numbers in, numbers out."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

Floats = NDArray[np.float64]

# Two for each pixel of a wide chart.
MAX_POINTS = 2_000


def series(rows: Sequence[Mapping[str, float]], name: str) -> tuple[Floats, Floats]:
    """Steps and values (P,) of one column of rows; rows that do not have it are passed over."""
    pairs = [(row["step"], row[name]) for row in rows if name in row]
    steps, values = np.array(pairs, dtype=np.float64).reshape(-1, 2).T
    return steps, values


def thin(steps: Floats, values: Floats, max_points: int = MAX_POINTS) -> tuple[Floats, Floats]:
    """At most `max_points` of the points of a curve (P,), chosen so that it looks the same.

    The points between the first and the last are cut into equal buckets, of which the least and
    the greatest value stay, so that no spike is lost.

    Args:
        steps: ascending, (P,).
        values: (P,), finite.
        max_points: at least 4.
    """
    if len(values) <= max_points:
        return steps, values
    last = len(values) - 1
    edges = np.linspace(1, last, (max_points - 2) // 2 + 1).astype(int)
    kept = {0, last}
    for begin, end in pairwise(edges):
        bucket = values[begin:end]
        kept |= {int(begin + bucket.argmin()), int(begin + bucket.argmax())}
    indices = sorted(kept)
    return steps[indices], values[indices]


def smooth(values: Floats, weight: float) -> Floats:
    """Exponential moving average of a curve (P,), corrected for its start.

    s_t = (1 - w) * sum over i of w^i v_(t-i), over (1 - w^(t+1)), the sum of these weights; so a
    constant stays what it is. For 1, 3 and w = 0.5: s = 1, (0.25 * 1 + 0.5 * 3) / 0.75 = 2.33.

    Args:
        values: (P,), finite.
        weight: w of what came before, in [0, 1); 0 changes nothing.
    """
    if not 0 <= weight < 1:
        raise ValueError(f"weight is {weight}, but must lie in [0, 1)")
    sums = lfilter([1 - weight], [1, -weight], values)
    return sums / (1 - weight ** np.arange(1, len(values) + 1))
