"""How fast and how stably runs converge: a number in the course of training, over seeds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dvae_core.runs.run import Run

Floats = NDArray[np.float64]

COURSES = {
    "mig": "MIG",
    "straight_through_gap": "Straight-through gap, nats",
    "straight_through_gap_reconstruction": "Gap of the reconstruction, nats",
    "active_latents": "Active latents",
    "reconstruction": "Reconstruction, nats",
    "kl": "KL, nats",
}
"""Numbers that a training writes down as it goes. The scores are of few points, and quicker and
rougher than those of an evaluation; reconstruction and KL are means over training batches."""

GRID_POINTS = 200


@dataclass(frozen=True)
class TrainingCurve:
    """One number of one run in the course of its training.

    Attributes:
        steps: (P,), ascending.
        seconds: spent in training until then, (P,).
        values: (P,).
    """

    steps: Floats
    seconds: Floats
    values: Floats


@dataclass(frozen=True)
class Band:
    """Courses of several runs together, at points that all of them have come past.

    Attributes:
        at: steps or seconds, (G,).
        median: (G,).
        low: least, (G,).
        high: greatest, (G,).
        count: of runs.
    """

    at: Floats
    median: Floats
    low: Floats
    high: Floats
    count: int


def read_training_curves(run: Run) -> dict[str, TrainingCurve]:
    """All numbers that a training wrote down, by name; {} where it wrote none.

    Raises:
        RunError: a file is damaged.
    """
    losses = [row for row in run.metrics.read() if "seconds" in row]
    scores = run.scores.read()
    if not losses:
        return {}
    clock_steps = np.array([row["step"] for row in losses])
    clock_seconds = np.array([row["seconds"] for row in losses])
    curves = {}
    for name in COURSES:
        rows = losses if name in ("reconstruction", "kl") else scores
        rows = [row for row in rows if name in row]
        if rows:
            steps = np.array([row["step"] for row in rows], float)
            # Lines of losses carry the clock; before the first it runs from nothing.
            seconds = np.interp(steps, [0, *clock_steps], [0, *clock_seconds])
            values = np.array([row[name] for row in rows], float)
            curves[name] = TrainingCurve(steps, seconds, values)
    return curves


def band(curves: Sequence[TrainingCurve], against: str) -> Band | None:
    """Median and range of courses, each interpolated linearly, over what all of them cover.

    Args:
        courses: of runs that are to be compared.
        against: "steps" or "seconds".

    Returns:
        None where they have no point in common, or there are none.
    """
    axes = [curve.steps if against == "steps" else curve.seconds for curve in curves]
    if not axes:
        return None
    start, end = max(axis[0] for axis in axes), min(axis[-1] for axis in axes)
    if end < start:
        return None
    at = np.unique(np.concatenate(axes))
    at = at[(at >= start) & (at <= end)]
    if len(at) > GRID_POINTS:
        at = np.linspace(start, end, GRID_POINTS)
    values = np.array(
        [np.interp(at, axis, curve.values) for axis, curve in zip(axes, curves, strict=True)]
    )
    return Band(at, np.median(values, 0), values.min(0), values.max(0), len(curves))


def reaches(band: Band, share: float = 0.9) -> float:
    """Where the median has made `share` of its whole way for good: the steps or seconds from which
    on it stays within the rest of its last value."""
    tolerance = (1 - share) * abs(band.median[-1] - band.median[0])
    outside = np.flatnonzero(np.abs(band.median - band.median[-1]) > tolerance)
    return float(band.at[outside[-1] + 1] if len(outside) else band.at[0])
