"""The training loop, which trains the model of a run folder.

The state of a `Training` is a set of tensors, saved in one file. A training killed at any moment
resumes from a consistent state, and on the CPU ends with the same bits as one without interruption.
"""

import errno
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dvae_core.config import RunConfig
from dvae_core.data import load_dataset
from dvae_core.data.dataset import Dataset
from dvae_core.data.listing import training_image_shape
from dvae_core.errors import ConfigError, RunError, TrainingError
from dvae_core.models.vae import VAE, build_model, reconstruction_loss
from dvae_core.objectives import build_objective
from dvae_core.progress import ShouldStop, never
from dvae_core.regularizers import Regularizers
from dvae_core.runs.run import Run, State, Status
from dvae_core.runs.trainer_state import logged_terms
from dvae_core.system.memory import memory_in_use
from dvae_core.system.processes import ProcessIdentity
from dvae_core.training.adam import EagerAdam
from dvae_core.training.snapshots import SnapshotTaker

# Errors of a full disk, an exhausted quota, or a file at its size limit.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class TrainingProgress:
    """Progress of a training: `step` of `steps`, with the terms of the last logged row."""

    step: int
    steps: int
    metrics: Mapping[str, float]


def train(
    run: Run,
    on_progress: Callable[[TrainingProgress], None] = lambda progress: None,
    should_stop: ShouldStop = never,
) -> Status:
    """Train a run to its last step, or until it is asked to stop. Resumes a saved state.

    Args:
        run: the run folder.
        on_progress: called after every step.
        should_stop: asked after every step, as is the run's `stop` file.

    Returns:
        The final status: finished or stopped, with all state saved.

    Raises:
        TrainingError: a loss is not finite.
        RunError: another process trains the run, its saved state cannot be read, or the disk is
            full. After an error during training the status is failed, with the reason, and the last
            good state is kept.
        DataError: the data set cannot be read.
    """
    run.check_trainable()
    with run.reserved_for("training"), _full_disk_explained(run):
        run.clear_leftovers()
        return _train(run, on_progress, should_stop)


def choose_device(name: str, compiled: bool = False) -> torch.device:
    """The device of a config's `device` setting on this machine.

    Raises:
        ConfigError: this machine has no such device, or `compiled` is set and it is not cuda.
    """
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        name = next(device for device, there in available.items() if there)
    if not available[name]:
        raise ConfigError(
            f"device {name} is asked for, but this machine offers "
            f"{', '.join(device for device, there in available.items() if there)}"
        )
    if compiled and name != "cuda":
        raise ConfigError(
            f"compiled is set, but the device is {name}: only on cuda is a compiled step faster"
        )
    return torch.device(name)


class Training:
    """Model, objective, optimizers and random generators of one run, after `step` updates that took
    `seconds`."""

    def __init__(self, config: RunConfig, dataset: Dataset, device: torch.device) -> None:
        self.config = config
        self.dataset = dataset
        self.device = device
        # Independent streams, so that a change in one does not affect the others.
        seeds = np.random.SeedSequence(config.seed).generate_state(3, np.uint64)
        weights = torch.Generator().manual_seed(int(seeds[0]))
        self.generators = {
            name: torch.Generator(device).manual_seed(int(seed))
            for name, seed in zip(("data", "noise"), seeds[1:], strict=True)
        }
        self.model = build_model(config, dataset.image_shape, weights).to(device)
        self.objective = build_objective(config, weights).to(device)
        self.regularizers = Regularizers(config)
        fused = device.type in ("cpu", "cuda")
        self.optimizers = {
            "model": EagerAdam(
                _decayed_apart(self.model, config.weight_decay),
                lr=config.learning_rate,
                decoupled_weight_decay=True,
                fused=fused,
            ),
        }
        if list(self.objective.parameters()):
            self.optimizers["objective"] = EagerAdam(
                self.objective.parameters(),
                lr=config.discriminator_learning_rate,
                betas=(0.5, 0.9),
                fused=fused,
            )
        self._parts: dict[str, nn.Module] = {"model": self.model, "objective": self.objective}
        self.step = 0
        self.seconds = 0.0
        self._sums: dict[str, Tensor] = {}
        self._summed_steps = 0
        self._losses = self._compute_losses
        if config.compiled:
            self._losses = torch.compile(self._compute_losses, mode="reduce-overhead")

    def advance(self) -> None:
        """Update all parameters once.

        Raises:
            TrainingError: a term is not finite; checked on the CPU, where it costs nothing.
        """
        config = self.config
        images = self.dataset.sample_images(config.batch_size, self.generators["data"])
        shape = (config.batch_size, config.num_latents)
        noise_generator = self.generators["noise"]
        terms, own_gradients = self._losses(
            images.contiguous(memory_format=torch.channels_last),
            torch.full((), config.noise_scale_at(self.step), device=self.device),
            self.model.latents.noise(config.batch_size, noise_generator),
            self.objective.noise(shape, noise_generator, self.device),
            self.regularizers.noise(shape, noise_generator, self.device),
            torch.full((), self.step, device=self.device),
        )
        weights = list(self.model.parameters())
        _set_gradients(weights, torch.autograd.grad(terms["loss"], weights))
        if self.step < config.steps_without_encoder:
            assert self.model.encoder is not None
            for parameter in self.model.encoder.parameters():
                parameter.grad = None  # the optimizer leaves it as it is
        _set_gradients(self.objective.parameters(), own_gradients)
        for optimizer in self.optimizers.values():
            optimizer.step()
        self.step += 1
        for name, term in terms.items():
            value = term.detach()
            self._sums[name] = self._sums[name] + value if name in self._sums else value.clone()
        self._summed_steps += 1
        if self.device.type == "cpu":
            self.check_finite()

    def check_finite(self) -> None:
        """Raise `TrainingError` if a term has not been finite since the last `take_means`."""
        for name, total in self._sums.items():
            if name != "loss" and not math.isfinite(total.item()):
                raise TrainingError(
                    f"{name} is {total.item()} at step {self.step}: the training diverged; "
                    f"try a smaller learning_rate"
                )

    def check_weights(self) -> None:
        """Raise `TrainingError` if a weight is not finite, so that no good state is replaced."""
        for module in self._parts.values():
            for name, tensor in module.state_dict().items():
                if not tensor.isfinite().all():
                    raise TrainingError(
                        f"{name} is not finite after step {self.step}: the training diverged; "
                        f"try a smaller learning_rate"
                    )

    def take_means(self) -> dict[str, float]:
        """Means of the loss terms over the steps since the last call, nats per image."""
        self.check_finite()
        means = {name: total.item() / self._summed_steps for name, total in self._sums.items()}
        self._sums, self._summed_steps = {}, 0
        return means

    def state(self) -> dict[str, Tensor]:
        """All tensors that determine how the training continues."""
        tensors = {
            "step": torch.tensor(self.step),
            "seconds": torch.tensor(self.seconds),
            "summed_steps": torch.tensor(self._summed_steps),
        }
        for name, generator in self.generators.items():
            tensors[f"generator/{name}"] = generator.get_state()
        for name in self._term_names():
            tensors[f"sum/{name}"] = self._sums.get(name, torch.tensor(0.0))
        for name, module in self._parts.items():
            for key, tensor in module.state_dict().items():
                tensors[f"{name}/{key}"] = tensor
        for name, optimizer in self.optimizers.items():
            for key, parameter in self._parts[name].named_parameters():
                moments = optimizer.state.get(parameter) or _zero_moments(parameter)
                for moment in ("step", "exp_avg", "exp_avg_sq"):
                    tensors[f"adam/{name}/{key}/{moment}"] = moments[moment]
        return tensors

    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore a `state`."""
        self.step = int(tensors["step"])
        self.seconds = float(tensors["seconds"])
        self._summed_steps = int(tensors["summed_steps"])
        for name, generator in self.generators.items():
            generator.set_state(tensors[f"generator/{name}"])
        if self._summed_steps:
            self._sums = {
                name: tensors[f"sum/{name}"].to(self.device) for name in self._term_names()
            }
        for name, module in self._parts.items():
            module.load_state_dict({key: tensors[f"{name}/{key}"] for key in module.state_dict()})
        for name, optimizer in self.optimizers.items():
            for key, parameter in self._parts[name].named_parameters():
                moments = _zero_moments(parameter)
                for moment in ("step", "exp_avg", "exp_avg_sq"):
                    moments[moment].copy_(tensors[f"adam/{name}/{key}/{moment}"])
                optimizer.state[parameter] = moments

    def _compute_losses(
        self,
        images: Tensor,
        noise_scale: Tensor,
        latent_noise: Tensor,
        objective_noise: Tensor | None,
        regularizer_noise: Tensor | None,
        step: Tensor,
    ) -> tuple[dict[str, Tensor], tuple[Tensor, ...]]:
        posterior = self.model.encode(images, noise_scale)
        code = posterior.sample(noise=latent_noise, sampling=self.config.sampling)
        reconstruction = reconstruction_loss(self.model.decode(code), images).mean()
        penalty = self.objective(posterior, code, objective_noise, step)
        added, regularized = self.regularizers(
            posterior, code, self.model.decoder, regularizer_noise
        )
        loss = reconstruction + penalty.total + added
        terms = {"loss": loss, "reconstruction": reconstruction}
        return terms | penalty.terms | regularized, penalty.own_gradients

    def _term_names(self) -> tuple[str, ...]:
        return logged_terms(self.objective, self.regularizers)


def _train(
    run: Run, on_progress: Callable[[TrainingProgress], None], should_stop: ShouldStop
) -> Status:
    config = run.record
    process, before = ProcessIdentity.current(), run.status()
    if before.process != process:  # otherwise the request may be new
        run.clear_stop_request()
    # Keep the step that was reached until the state is loaded.
    status = Status(
        state=State.RUNNING,
        step=before.step,
        steps=config.steps,
        seconds=before.seconds,
        process=process,
    )
    run.write_status(status)
    try:
        with (
            _full_disk_explained(run),
            run.space_for_last_words(),
            thread_count(config.threads),
            flushed_denormals(),
        ):
            device = choose_device(config.device, config.compiled)
            assert isinstance(config.image_size, int)  # only imported runs have two sides
            training_image_shape(config.dataset, config.image_size)  # refuses enlarged images
            dataset = load_dataset(config.dataset, config.image_size, device)
            training = Training(config, dataset, device)
            if run.has_trainer_state:
                training.load_state(run.load_trainer_state(training.state()))
            status = status.model_copy(
                update={"device": device.type, "step": training.step, "seconds": training.seconds}
            )
            run.write_status(status)
            finished = _run_steps(run, training, status, on_progress, should_stop)
    except BaseException as error:
        state = State.FAILED if isinstance(error, Exception) else State.STOPPED
        message, diverged = str(error) or type(error).__name__, isinstance(error, TrainingError)
        run.write_status(_ended(run.status(), state, message, diverged))
        raise
    status = _ended(run.status(), State.FINISHED if finished else State.STOPPED)
    run.write_status(status)
    return status


@contextmanager
def _full_disk_explained(run: Run) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise RunError(
            f"the disk is full ({error.strerror}): {run.path} keeps its last saved state; free "
            f"some space, then resume"
        ) from error


def _run_steps(
    run: Run,
    training: Training,
    status: Status,
    on_progress: Callable[[TrainingProgress], None],
    should_stop: ShouldStop,
) -> bool:
    config = training.config
    metrics: dict[str, float] = {}
    run.metrics.truncate(training.step)
    snapshots = SnapshotTaker(run, training.model, training.objective, training.dataset)
    snapshots.forget_later_than(training.step)
    if snapshots.is_due(training.step):
        snapshots.take(training.step)
    resumed_at, seconds_before = time.monotonic(), training.seconds
    first_step = logged_step = training.step
    logged_at = saved_at = resumed_at
    stopping = False
    while training.step < config.steps and not stopping:
        training.advance()
        now = time.monotonic()
        training.seconds = seconds_before + now - resumed_at
        stopping = should_stop() or run.stop_requested
        ending = stopping or training.step == config.steps
        if training.step % config.log_every == 0 or training.step == config.steps:
            rate = (training.step - logged_step) * config.batch_size / (now - logged_at)
            metrics = {
                "step": training.step,
                **training.take_means(),
                "noise_scale": config.noise_scale_at(training.step - 1),
                "images_per_second": round(rate, 1),
                "seconds": round(training.seconds, 2),
                "memory_mb": round(memory_in_use(training.device) / 2**20, 1),
            }
            run.metrics.append(metrics)
            status = status.model_copy(update={"step": training.step, "seconds": training.seconds})
            run.write_status(status)
            logged_step, logged_at = training.step, now
        if ending or now - saved_at >= config.checkpoint_seconds:
            save_state(run, training)
            saved_at = time.monotonic()
        if snapshots.is_due(training.step):
            training.check_finite()
            snapshots.take(training.step)
        on_progress(TrainingProgress(training.step, config.steps, metrics))
    if training.step == first_step == config.steps:  # a crash may have left old files
        save_state(run, training)
    run.write_status(status.model_copy(update={"step": training.step, "seconds": training.seconds}))
    return training.step >= config.steps


def save_state(run: Run, training: Training) -> None:
    """Save the state of a training and the weights for readers.

    Raises:
        TrainingError: a loss or a weight is not finite; nothing is replaced then.
    """
    training.check_finite()
    training.check_weights()
    # After a power failure, the state must not be newer than the rows.
    run.metrics.sync()
    run.scores.sync()
    # First the file for resuming, which is complete in itself.
    run.save_trainer_state(training.state())
    run.save_objective(training.objective)
    run.save_model(training.model, training.step)


def _ended(status: Status, state: State, message: str = "", diverged: bool = False) -> Status:
    ended = {"state": state, "message": message, "diverged": diverged}
    return status.model_copy(update={**ended, "process": None})


def _decayed_apart(model: VAE, weight_decay: float) -> list[dict[str, Any]]:
    """The parameters in two groups: weights, which decay, and biases and category values."""
    own = {id(values) for values in model.latents.parameters()}
    decayed: list[nn.Parameter] = []
    kept: list[nn.Parameter] = []
    for parameter in model.parameters():
        is_weight = parameter.ndim > 1 and id(parameter) not in own
        (decayed if is_weight else kept).append(parameter)
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": kept}]


def _set_gradients(parameters: Iterable[nn.Parameter], gradients: Sequence[Tensor]) -> None:
    for parameter, gradient in zip(parameters, gradients, strict=True):
        # A fused optimizer reads both as flat arrays, so their memory layout must be the same.
        same_order = gradient.stride() == parameter.stride()
        parameter.grad = gradient if same_order else torch.empty_like(parameter).copy_(gradient)


def _zero_moments(parameter: Tensor) -> dict[str, Tensor]:
    return {
        "step": torch.tensor(0.0, device=parameter.device if parameter.is_cuda else "cpu"),
        "exp_avg": torch.zeros_like(parameter, memory_format=torch.preserve_format),
        "exp_avg_sq": torch.zeros_like(parameter, memory_format=torch.preserve_format),
    }


@contextmanager
def thread_count(count: int) -> Iterator[None]:
    """Use this number of CPU threads in the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def flushed_denormals() -> Iterator[None]:
    """Round floats below 1e-38 to 0 in the block, on this thread and those that it starts.

    Processors compute with such floats many times slower. They come from gradients and their means
    that fade away, most of all where the codes hold no information.
    """
    before = bool(torch.tensor(1e-40) * 1 == 0)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)
