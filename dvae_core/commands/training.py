"""The commands for training: train, resume, estimate, tensorboard."""

import contextlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from dvae_core.commands.command import Command, RunFolder
from dvae_core.commands.output import say
from dvae_core.commands.runs import described
from dvae_core.config import RunConfig
from dvae_core.data import load_dataset
from dvae_core.errors import ConfigError, CoreError, RunError
from dvae_core.system.processes import INTERRUPTED, interruptions

if TYPE_CHECKING:
    from dvae_core.runs.run import Run
    from dvae_core.training.trainer import TrainingProgress


@dataclass(frozen=True)
class Train(Command):
    """Train a model in a new run.

    Attributes:
        run_dir: folder to create; its name becomes the name of the run
        config: The settings of the run.
        preset: settings to start from: quick, paper, qlae, tripod or factorqvae; the other flags
            override them
        known_cardinalities: take the cardinalities from the factor sizes of the data set
        tensorboard: also write TensorBoard events to the folder of the run
        background: add the run to the queue of the app and return at once
    """

    run_dir: Path
    config: RunConfig
    preset: str | None = None
    known_cardinalities: bool = False
    tensorboard: bool = False
    background: bool = False

    def run(self) -> int:
        from dvae_core.data.dataset import known_cardinalities
        from dvae_core.data.listing import training_image_shape
        from dvae_core.runs.run import Run
        from dvae_core.training.trainer import choose_device

        # Check everything before the first file is written.
        _check_events(self)
        config = self.config
        choose_device(config.device, config.compiled)
        shape = training_image_shape(config.dataset, config.image_size)
        dataset = load_dataset(config.dataset, config.image_size)
        if self.known_cardinalities:
            if config.cardinalities:
                raise ConfigError("give either --cardinalities or --known-cardinalities, not both")
            known = {"cardinalities": known_cardinalities(dataset)}
            config = RunConfig(**(config.model_dump() | known))
        run = Run.create(self.run_dir, config, shape)
        return _train_in_background(self, run) if self.background else _train(self, run)


@dataclass(frozen=True)
class Resume(Command):
    """Resume a training from its last saved state.

    Attributes:
        steps: new total number of steps, at least the planned number; the noise scale keeps its
            final value
        tensorboard: also write TensorBoard events to the folder of the run
        background: add the run to the queue of the app and return at once
    """

    run_dir: RunFolder
    steps: int | None = None
    tensorboard: bool = False
    background: bool = False

    def run(self) -> int:
        from dvae_core.runs.run import Run, State
        from dvae_core.training.extension import extend_run

        run = Run(self.run_dir)
        _check_events(self)
        run.check_trainable()
        planned = run.record.steps
        if self.steps is not None and self.steps < planned:
            raise ConfigError(
                f"--steps is {self.steps:,}, but the run is planned for {planned:,} steps: give at "
                f"least that many"
            )
        if self.steps is not None and self.steps > planned:
            extend_run(run, self.steps - planned)
        if problem := run.problem():
            raise RunError(problem)
        if self.background:
            return _train_in_background(self, run)
        run.check_not_trained_elsewhere()
        if run.state() is State.FINISHED:
            raise RunError(
                f"{run.path} is finished at step {run.status().step:,}: extend it with --steps"
            )
        return _train(self, run)


@dataclass(frozen=True)
class Estimate(Command):
    """Time a few training steps and estimate the duration of the whole training; writes nothing.

    Attributes:
        config: The settings of the run.
        preset: settings to start from: quick, paper, qlae, tripod or factorqvae; the other flags
            override them
    """

    config: RunConfig
    preset: str | None = None

    def run(self) -> int:
        from dvae_core.system.memory import keep_freed_memory
        from dvae_core.training.estimate import estimate_seconds

        keep_freed_memory()
        estimate = estimate_seconds(self.config)
        say(f"{self.config.steps:,} steps: {estimate.in_words()}")
        self.print_json({**asdict(estimate), "words": estimate.in_words()})
        return 0


@dataclass(frozen=True)
class Tensorboard(Command):
    """Write the training history of a run as TensorBoard events to the folder of the run."""

    run_dir: RunFolder

    def run(self) -> int:
        from dvae_core.exchange.tensorboard import EventWriter
        from dvae_core.runs.run import Run

        run = Run(self.run_dir)
        if problem := run.problem():
            raise RunError(problem)
        with EventWriter(run) as events:
            events.update()
        say(f"{events.folder}: open it with: tensorboard --logdir {events.folder}")
        self.print_json({"run": str(run.path), "folder": str(events.folder)})
        return 0


def _check_events(command: Train | Resume) -> None:
    """Raise `ConfigError` if `--tensorboard` is given and no events can be written."""
    from dvae_core.exchange.tensorboard import check_tensorboard

    if not command.tensorboard:
        return
    if command.background:
        raise ConfigError(
            "--background and --tensorboard cannot be combined: run the command tensorboard later"
        )
    check_tensorboard()


def _train_in_background(command: Train | Resume, run: "Run") -> int:
    from dvae_core.jobs import find_training, queue_training

    queue_training(run)
    found = find_training(run)
    where = "training" if found.position is None else f"number {found.position} in the queue"
    say(f"{run.path} is {where}; stop it with: python -m dvae_core stop {run.path}")
    command.print_json(described(found))
    return 0


def _train(command: Train | Resume, run: "Run") -> int:
    from dvae_core.exchange.tensorboard import EventWriter
    from dvae_core.jobs import TRAINING, job_progress
    from dvae_core.runs.run import State
    from dvae_core.system.memory import keep_freed_memory
    from dvae_core.training.trainer import train

    keep_freed_memory()
    with (
        _advance_queue_after(run),
        interruptions() as interrupted,
        job_progress(run, TRAINING, lambda: run.status().state is State.STOPPED),
        tqdm(total=run.record.steps, unit="step", disable=None, desc=run.id) as bar,
        EventWriter(run) if command.tensorboard else contextlib.nullcontext() as events,
    ):

        def show(progress: "TrainingProgress") -> None:
            bar.update(progress.step - bar.n)
            if progress.metrics:
                bar.set_postfix(loss=f"{progress.metrics['loss']:.1f}", refresh=False)
            if events and progress.metrics.get("step") == progress.step:
                events.update()

        status = train(run, show, lambda: bool(interrupted))
    if status.state is State.STOPPED:
        say(
            f"{run.path} stopped at step {status.step:,} of {status.steps:,}; "
            f"resume it with: python -m dvae_core resume {run.path}"
        )
    else:
        say(f"{run.path} finished: {status.steps:,} steps in {status.seconds:,.0f} s")
    rows = run.metrics.read()
    metrics = rows[-1] if rows else {}
    command.print_json({"run": str(run.path), **status.model_dump(mode="json"), "metrics": metrics})
    return INTERRUPTED if interrupted else 0


@contextlib.contextmanager
def _advance_queue_after(run: "Run") -> Iterator[None]:
    """Start the next training of the queue, however this one ends."""
    from dvae_core.jobs import advance_queue, queue_of

    try:
        yield
    finally:
        with contextlib.suppress(CoreError, OSError):  # not an error of this training
            advance_queue(queue_of(run))
