"""Estimate of the training time on this machine, from a few timed steps."""

import json
import subprocess
import sys
import time
from dataclasses import dataclass

import numpy as np

from dvae_core.config import RunConfig
from dvae_core.data import load_dataset
from dvae_core.errors import TrainingError
from dvae_core.system.environment import package_environment
from dvae_core.system.processes import lower_priority
from dvae_core.training.snapshots import scheduled_steps, take_snapshot
from dvae_core.training.trainer import Training, choose_device, thread_count

WARM_UP_STEPS = 2
LEAST_STEPS = 3
BUDGET_SECONDS = 2.0


@dataclass(frozen=True)
class Estimate:
    """The time of a training, if the load of the machine does not change.

    Attributes:
        seconds: expected time.
        low: seconds if every step were as fast as the fastest tenth of the timed steps.
        high: seconds if every step were as slow as the slowest tenth.
        images_per_second: during training steps.
        steps_timed: number of timed steps.
    """

    seconds: float
    low: float
    high: float
    images_per_second: float
    steps_timed: int

    def in_words(self) -> str:
        """One line, such as `about 3 minutes (2 to 5 minutes), if ..`."""
        low, high = duration_in_words(self.low), duration_in_words(self.high)
        return (
            f"about {duration_in_words(self.seconds)} ({low} to {high}), if this machine stays as "
            f"busy as it is"
        )


def estimate_seconds(config: RunConfig, budget_seconds: float = BUDGET_SECONDS) -> Estimate:
    """Time steps for `budget_seconds` (at least three) and one snapshot, and extrapolate.

    Writes nothing. The budget does not include loading the data set; the estimate does not include
    saving.

    Raises:
        ConfigError: this machine cannot train it.
        DataError: the data set cannot be read.
    """
    device = choose_device(config.device, config.compiled)
    with thread_count(config.threads):
        training = Training(config, load_dataset(config.dataset, config.image_size, device), device)
        for _ in range(WARM_UP_STEPS):
            training.advance()
        training.take_means()  # waits for the device
        times: list[float] = []
        began = time.monotonic()
        while len(times) < LEAST_STEPS or time.monotonic() - began < budget_seconds:
            before = time.monotonic()
            training.advance()
            training.take_means()
            times.append(time.monotonic() - before)
        before = time.monotonic()
        if config.snapshot_every:
            take_snapshot(
                training.model,
                training.objective,
                training.regularizers,
                training.dataset,
                training.step,
            )
        snapshot_seconds = time.monotonic() - before
    snapshots = len(scheduled_steps(config.snapshot_every, config.steps))
    mean = float(np.mean(times))
    seconds = mean * config.steps + snapshot_seconds * snapshots
    low, high = (float(np.quantile(times, share)) / mean for share in (0.1, 0.9))
    # A single very slow step can raise the mean above the slowest tenth.
    return Estimate(
        seconds=seconds,
        low=seconds * min(low, 1.0),
        high=seconds * max(high, 1.0),
        images_per_second=config.batch_size / mean,
        steps_timed=len(times),
    )


def duration_in_words(seconds: float) -> str:
    """Seconds in the largest unit of which there are at least two, such as `3 minutes`."""
    for unit, size in (("hour", 3600), ("minute", 60), ("second", 1)):
        if seconds >= 2 * size or unit == "second":
            count = max(1, round(seconds / size))
            return f"{count} {unit}{'s' if count > 1 else ''}"
    raise AssertionError


class EstimateProcess:
    """A process of `python -m dvae_core estimate`, which takes a few seconds."""

    def __init__(self, config: RunConfig) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "dvae_core", "estimate", "--json", *to_flags(config)],
            env=package_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        lower_priority(self._process.pid)  # as for background trainings

    @property
    def is_running(self) -> bool:
        """Whether there is no result yet."""
        return self._process.poll() is None

    def result(self) -> Estimate:
        """Wait for the estimate.

        Raises:
            TrainingError: the process failed.
        """
        output, complaint = self._process.communicate()
        if self._process.returncode != 0:
            said = complaint.strip().splitlines()
            reason = said[-1].removeprefix("error: ") if said else "its process was killed"
            raise TrainingError(f"the time could not be estimated: {reason}")
        content = json.loads(output.splitlines()[-1])
        del content["words"]
        return Estimate(**content)


def to_flags(config: RunConfig) -> list[str]:
    """Command-line flags of a config."""
    flags = []
    for name, value in config.model_dump().items():
        flag = name.replace("_", "-")
        if value is True or value is False:
            flags.append(f"--{flag}" if value else f"--no-{flag}")
        elif isinstance(value, tuple):
            flags += [f"--{flag}", *map(str, value)] if value else []
        elif value is not None:
            flags += [f"--{flag}", str(value)]
    return flags
