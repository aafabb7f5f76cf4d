"""Folders of small runs whose scores are planted: valid files, nothing trained."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from dvae_core.config import RunConfig
from dvae_core.evaluation.catalog import METRIC_SPECS
from dvae_core.evaluation.results import Evaluation, Metric, ProtocolName, Score, Table
from dvae_core.runs.files import WEIGHTS
from dvae_core.runs.run import Run, State, Status
from dvae_core.runs.storage import write_tensors

METRIC_OF: dict[str, Metric] = {
    score.name: metric for metric, spec in METRIC_SPECS.items() for score in spec.scores
}


def planted_score(
    name: str, value: float | None, protocol: ProtocolName = "paper", step: int = 12
) -> Score:
    return Score(
        metric=METRIC_OF[name],
        name=name,
        protocol=protocol,
        points=10_000,
        test_points=0,
        seed=0,
        step=step,
        estimator=f"{name} as planted",
        seconds=1.0,
        value=value,
        reason="" if value is not None else "not defined here",
    )


def planted_run(
    path: Path,
    config: RunConfig,
    scores: Mapping[str, float | None],
    *,
    protocol: ProtocolName = "paper",
    state: State = State.FINISHED,
    score_step: int | None = None,
    seconds: float = 6.0,
    tables: Mapping[str, Sequence[Sequence[float]]] | None = None,
) -> Run:
    """A run of a config that says it is done, with scores and no weights to speak of."""
    run = Run.create(path, config, (1, config.image_size, config.image_size))
    steps = config.steps
    write_tensors(path / WEIGHTS, {}, {"step": str(steps)})
    run.write_status(Status(state=state, step=steps, steps=steps, seconds=seconds))
    step = steps if score_step is None else score_step
    entries = [planted_score(name, value, protocol, step) for name, value in scores.items()]
    like = planted_score("mig", 0.0, protocol, step).model_dump()
    common = {key: like[key] for key in Table.model_fields if key in like}
    found = [
        Table(**common | {"metric": "kl", "name": name, "values": values, "columns": []})
        for name, values in (tables or {}).items()
    ]
    if entries or found:
        run.write_evaluation(Evaluation(scores=entries, tables=found).model_dump(mode="json"))
    return run


def changed(config: RunConfig, **settings: object) -> RunConfig:
    """A config with other settings, checked."""
    return RunConfig(**(config.model_dump() | settings))
