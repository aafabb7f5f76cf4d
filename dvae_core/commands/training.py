"""Commands of training: train, resume, estimate, tensorboard."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from dvae_core.commands.output import print_json
from dvae_core.commands.runs import train_in_background
from dvae_core.config import RunConfig
from dvae_core.errors import ConfigError, CoreError
from dvae_core.system.processes import INTERRUPTED, interruptions

if TYPE_CHECKING:
    from dvae_core.runs.run import Run


def training_commands(default: RunConfig) -> dict[str, Callable[..., Callable[[], int]]]:
    """The commands by name; `default` is what a training has where no flag says otherwise."""

    def train(
        run_dir: Path,
        config: RunConfig = default,
        preset: str | None = None,
        known_cardinalities: bool = False,
        tensorboard: bool = False,
        background: bool = False,
        json: bool = False,
    ) -> Callable[[], int]:
        """Train a new run.

        Args:
            run_dir: folder to make; its name is the run's.
            preset: settings to begin with, quick or paper; flags come on top.
            known_cardinalities: take the cardinalities from the factors of the data set.
            tensorboard: write events for TensorBoard into the run's folder, too.
            background: put it in the queue, as the app does, instead of training here.
            json: print one JSON object as the last line.
        """
        return lambda: _start_training(
            config, run_dir, known_cardinalities, tensorboard, background, json
        )

    def resume(
        run: tyro.conf.Positional[Path],
        steps: int | None = None,
        tensorboard: bool = False,
        background: bool = False,
        json: bool = False,
    ) -> Callable[[], int]:
        """Continue a training from its last saved state.

        Args:
            run: the run's folder.
            steps: train to so many in all, more than planned; the noise scale stays at its end.
            tensorboard: write events for TensorBoard into the run's folder, too.
            background: put it in the queue, as the app does, instead of training here.
            json: print one JSON object as the last line.
        """
        return lambda: _resume_training(run, steps, tensorboard, background, json)

    def estimate(
        config: RunConfig = default, preset: str | None = None, json: bool = False
    ) -> Callable[[], int]:
        """Time some steps of a training and tell how long all of it takes here; writes nothing.

        Args:
            preset: settings to begin with, quick or paper; flags come on top.
            json: print one JSON object as the last line.
        """
        return lambda: _estimate_training(config, json)

    def tensorboard(run: tyro.conf.Positional[Path], json: bool = False) -> Callable[[], int]:
        """Write the course of a training as events for TensorBoard into the run's folder.

        Args:
            run: the run's folder.
            json: print one JSON object as the last line.
        """
        return lambda: _write_events(run, json)

    return {
        "train": train,
        "resume": resume,
        "estimate": estimate,
        "tensorboard": tensorboard,
    }


def _start_training(
    config: RunConfig,
    run_dir: Path,
    takes_cardinalities: bool,
    writes_events: bool,
    in_background: bool,
    json: bool,
) -> int:
    """Make a run folder and train it."""
    from dvae_core.data import load_dataset
    from dvae_core.data.dataset import known_cardinalities
    from dvae_core.exchange.tensorboard import check_tensorboard
    from dvae_core.runs.run import Run
    from dvae_core.training.trainer import choose_device

    # Refuse before anything is written.
    _check_background(in_background, writes_events)
    choose_device(config.device, config.compiled)
    if writes_events:
        check_tensorboard()
    dataset = load_dataset(config.dataset, config.image_size)
    if takes_cardinalities:
        if config.cardinalities:
            raise ConfigError("give --cardinalities or --known-cardinalities, not both")
        known = {"cardinalities": known_cardinalities(dataset)}
        config = RunConfig(**(config.model_dump() | known))
    run = Run.create(run_dir, config, dataset.image_shape)
    return train_in_background(run, json) if in_background else _train(run, writes_events, json)


def _resume_training(
    run_dir: Path, steps: int | None, writes_events: bool, in_background: bool, json: bool
) -> int:
    """Continue a run, unless it is finished or another process is at it; with `steps`, to there."""
    from dvae_core.errors import RunError
    from dvae_core.exchange.tensorboard import check_tensorboard
    from dvae_core.runs.run import Run, State
    from dvae_core.training.extension import extend_run

    run = Run(run_dir)
    _check_background(in_background, writes_events)
    if writes_events:
        check_tensorboard()
    run.check_trainable()
    if steps is not None and steps < run.record.steps:
        raise ConfigError(
            f"--steps is {steps:,}, but the run is planned for {run.record.steps:,} steps: it can "
            f"only get more"
        )
    if steps is not None and steps > run.record.steps:
        extend_run(run, steps - run.record.steps)
    if problem := run.problem():
        raise RunError(problem)
    if in_background:
        return train_in_background(run, json)
    run.check_not_trained_elsewhere()
    if run.state() is State.FINISHED:
        raise RunError(
            f"{run_dir} is finished at step {run.status().step:,}: there is nothing to resume"
        )
    return _train(run, writes_events, json)


def _estimate_training(config: RunConfig, json: bool) -> int:
    """Print how long a training takes on this machine."""
    from dataclasses import asdict

    from dvae_core.system.memory import keep_freed_memory
    from dvae_core.training.estimate import estimate_seconds

    keep_freed_memory()
    estimate = estimate_seconds(config)
    print(f"{config.steps:,} steps: {estimate.in_words()}")
    print_json({**asdict(estimate), "words": estimate.in_words()}, json)
    return 0


def _write_events(run_dir: Path, json: bool) -> int:
    """Write what a run keeps of its training as events for TensorBoard."""
    from dvae_core.errors import RunError
    from dvae_core.exchange.tensorboard import EventWriter
    from dvae_core.runs.run import Run

    run = Run(run_dir)
    if problem := run.problem():
        raise RunError(problem)
    with EventWriter(run) as events:
        events.update()
    print(f"{events.folder}: read it with: tensorboard --logdir {events.folder}")
    print_json({"run": str(run.path), "folder": str(events.folder)}, json)
    return 0


def _check_background(in_background: bool, writes_events: bool) -> None:
    if in_background and writes_events:
        raise ConfigError(
            "--background and --tensorboard do not go together: the command tensorboard writes "
            "the events of a run at any time"
        )


def _train(run: "Run", writes_events: bool, json: bool) -> int:
    from tqdm import tqdm

    from dvae_core.exchange.tensorboard import EventWriter
    from dvae_core.jobs import TRAINING, job_progress
    from dvae_core.runs.run import State
    from dvae_core.system.memory import keep_freed_memory
    from dvae_core.training.trainer import Progress, train

    keep_freed_memory()
    with (
        _queue_goes_on_after(run),
        interruptions() as interrupted,
        job_progress(run, TRAINING, lambda: run.status().state is State.STOPPED),
        tqdm(total=run.record.steps, unit="step", disable=None, desc=run.id) as bar,
        EventWriter(run) if writes_events else contextlib.nullcontext() as events,
    ):

        def show(progress: Progress) -> None:
            bar.update(progress.step - bar.n)
            if progress.metrics:
                bar.set_postfix(loss=f"{progress.metrics['loss']:.1f}", refresh=False)
            if events and progress.metrics.get("step") == progress.step:
                events.update()

        status = train(run, show, lambda: bool(interrupted))
    rows = run.metrics.read()
    if status.state is State.STOPPED:
        print(
            f"{run.path} stopped at step {status.step:,} of {status.steps:,}; "
            f"continue with: python -m dvae_core resume {run.path}"
        )
    else:
        print(f"{run.path} finished: {status.steps:,} steps in {status.seconds:,.0f} s")
    print_json(
        {
            "run": str(run.path),
            **status.model_dump(mode="json"),
            "metrics": rows[-1] if rows else {},
        },
        json,
    )
    return INTERRUPTED if interrupted else 0


@contextlib.contextmanager
def _queue_goes_on_after(run: "Run") -> Iterator[None]:
    """Start the next training that waits, however this one ends."""
    from dvae_core.jobs import advance_queue, queue_of

    try:
        yield
    finally:
        with contextlib.suppress(CoreError, OSError):  # nothing of this training
            advance_queue(queue_of(run))
