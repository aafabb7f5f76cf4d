"""Tables of all metrics, made from the specs in `metrics/`."""

from collections.abc import Sequence
from importlib import import_module

from dvae_core.errors import ConfigError
from dvae_core.evaluation import metrics
from dvae_core.evaluation.metric_spec import MetricSpec, ScoreSpec

FAST_SECONDS = 10


def _read_specs() -> dict[str, MetricSpec]:
    specs = {
        name: import_module(f"{metrics.__name__}.{name}").SPEC for name in metrics.METRIC_NAMES
    }
    return dict(sorted(specs.items(), key=lambda entry: (entry[1].seconds, entry[0])))


METRIC_SPECS = _read_specs()
"""Every metric by name, fastest first."""

METRICS = tuple(METRIC_SPECS)

FAST_METRICS = tuple(name for name in METRICS if METRIC_SPECS[name].seconds < FAST_SECONDS)

PAPER_METRICS = tuple(name for name in METRICS if METRIC_SPECS[name].in_paper)

SETS = {"all": METRICS, "fast": FAST_METRICS, "paper": PAPER_METRICS}
"""Named sets of metrics."""

MEANINGS: dict[str, ScoreSpec] = {
    score.name: score
    for spec in sorted(
        METRIC_SPECS.values(), key=lambda spec: (not spec.in_paper, not spec.needs_factors)
    )
    for score in spec.scores
}
"""Every score by name, in the order of tables: the paper's first, those without labels last."""


LONG_SECONDS = 20 * 60
"""A metric that takes longer is computed only if it is named."""


def estimated_seconds(metric: str, factor_sizes: Sequence[int]) -> float:
    """Approximate time of a metric at the default settings on two cores, for factors of these
    numbers of values."""
    spec = METRIC_SPECS[metric]
    return spec.seconds_per_value * sum(factor_sizes) or spec.seconds


def describe_long(metric: str, factor_sizes: Sequence[int]) -> str:
    """Why a metric of `split_by_time` is left out, and how to compute it."""
    minutes = estimated_seconds(metric, factor_sizes) / 60
    return (
        f"{metric} is left out: {sum(factor_sizes):,} values of factors would take about "
        f"{minutes:,.0f} minutes; --metrics {metric} computes it"
    )


def split_by_time(
    metrics: Sequence[str], factor_sizes: Sequence[int]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The metrics that take at most 20 minutes each for these factors, and the others."""
    long = {name for name in metrics if estimated_seconds(name, factor_sizes) > LONG_SECONDS}
    return tuple(name for name in metrics if name not in long), tuple(long)


def metrics_named(names: str) -> tuple[str, ...]:
    """Metrics from comma-separated names, or from a set: all, fast or paper.

    Raises:
        ConfigError: a metric is unknown.
    """
    if names in SETS:
        return SETS[names]
    wanted = [name.strip() for name in names.split(",")]
    for name in wanted:
        if name not in METRICS:
            raise ConfigError(
                f"no metric is called {name[:40]!r}: there are {', '.join(METRICS)}, "
                f"and the sets {', '.join(SETS)}"
            )
    return tuple(metric for metric in METRICS if metric in wanted)
