"""Training curves of several seeds: how fast and how stably runs converge."""

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
"""Quantities logged during training. The scores use few points and are less precise than those of
an evaluation; reconstruction and KL are means over training batches."""

GRID_POINTS = 200


@dataclass(frozen=True)
class TrainingCurve:
    """One quantity of one run: ascending steps, seconds of training, and values, (P,) each."""

    steps: Floats
    seconds: Floats
    values: Floats


@dataclass(frozen=True)
class Band:
    """Median, minimum and maximum over `count` runs at steps or seconds `at`, (G,) each."""

    at: Floats
    median: Floats
    low: Floats
    high: Floats
    count: int


def read_training_curves(run: Run) -> dict[str, TrainingCurve]:
    """All curves of a training by name; {} if it logged nothing.

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
            # Only rows of losses have seconds; step 0 is at 0 seconds.
            seconds = np.interp(steps, [0, *clock_steps], [0, *clock_seconds])
            values = np.array([row[name] for row in rows], float)
            curves[name] = TrainingCurve(steps, seconds, values)
    return curves


def band(curves: Sequence[TrainingCurve], against: str) -> Band | None:
    """Median and range of curves over "steps" or "seconds", interpolated linearly, on the interval
    that all of them cover; None if there is none."""
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
    """The steps or seconds after which the median stays within (1 - `share`) of its total change
    from its last value."""
    tolerance = (1 - share) * abs(band.median[-1] - band.median[0])
    outside = np.flatnonzero(np.abs(band.median - band.median[-1]) > tolerance)
    return float(band.at[outside[-1] + 1] if len(outside) else band.at[0])
