"""An estimate made by a process of its own, so that whoever waits for it can do other things."""

import contextlib
import json
import subprocess
import sys

import psutil

from dvae_core.config import RunConfig
from dvae_core.errors import TrainingError
from dvae_core.process import package_environment
from dvae_core.training.estimate import Estimate

_NICENESS = 10  # that of a training in the background


class EstimateProcess:
    """A running `python -m dvae_core estimate`. It ends by itself after some seconds."""

    def __init__(self, config: RunConfig) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "dvae_core", "estimate", "--json", *to_flags(config)],
            env=package_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with contextlib.suppress(psutil.Error):  # it has ended already
            psutil.Process(self._process.pid).nice(_NICENESS)

    @property
    def is_running(self) -> bool:
        """Whether there is no result yet."""
        return self._process.poll() is None

    def result(self) -> Estimate:
        """The estimate; waits for it.

        Raises:
            TrainingError: there is none, and why.
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
    """A config as flags of the command line."""
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
