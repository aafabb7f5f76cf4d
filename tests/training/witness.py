"""A log of all trainings of a proof: who took each step, and who reported the end of a run."""

import os
from itertools import groupby
from pathlib import Path

from dvae_core.runs.run import Run, State, Status
from dvae_core.training.trainer import Training

# A trainer that another one started would inherit what that one put in their place.
_advance, _write_status = Training.advance, Run.write_status


def write_all_steps(log: Path, run_id: str) -> None:
    """Let this process append a line to a log for each step of its training, and one after it
    reported that the run is finished."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def tell(what: str) -> None:
        os.write(descriptor, f"{run_id} {os.getpid()} {what}\n".encode())  # at once, so unbroken

    def advance(self: Training) -> None:
        tell("step")
        _advance(self)

    def write_status(self: Run, status: Status) -> None:
        _write_status(self, status)
        if status.state is State.FINISHED:
            tell("finished")

    Training.advance = advance  # type: ignore[method-assign]
    Run.write_status = write_status  # type: ignore[method-assign]


def assert_one_at_a_time(log: Path) -> int:
    """No two processes trained at the same time, and nobody trained a finished run. Returns the
    number of processes that trained."""
    lines = [line.split() for line in log.read_text().splitlines()]
    turns = [who for who, _ in groupby((run_id, process) for run_id, process, _ in lines)]
    assert len(turns) == len(set(turns)), "a training went on after another one had begun"
    finished: set[str] = set()
    for run_id, _, what in lines:
        assert run_id not in finished, f"{run_id} was trained after its end"
        if what == "finished":
            finished.add(run_id)
    return len(turns)
