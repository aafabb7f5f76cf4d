"""What a call of a sweep did, and what is still missing."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvae_core.sweep.engine import Outcome
from dvae_core.sweep.plan import Sweep
from dvae_core.sweep.survey import Survey


@dataclass(frozen=True)
class SweepReport:
    """A sweep before and after one call.

    Attributes:
        sweep: what was asked for.
        output: folder of the runs.
        before: where it stood.
        after: where it stands.
        outcomes: of the runs that were worked on to an end.
    """

    sweep: Sweep
    output: Path
    before: Survey
    after: Survey
    outcomes: list[Outcome]

    @property
    def failures(self) -> dict[str, str]:
        """Reasons by run id: what failed now, and what diverged before and was not tried again."""
        now = {outcome.run_id: outcome.reason for outcome in self.outcomes if outcome.reason}
        return {**self.after.failed, **now}

    def lines(self) -> Iterator[str]:
        """For a reader: the failures, and how much is there."""
        for run_id, reason in self.failures.items():
            yield f"failed: {run_id}: {reason}"
        yield f"{len(self.after.complete):,} of {len(self.sweep.runs):,} runs are complete"
        if self.after.failed:
            yield "those that diverged are tried again with --retry-failed"
        if self.after.tasks:
            yield "repeat the command to do what is missing"

    def to_json(self) -> dict[str, Any]:
        """For a program."""
        before = set(self.before.complete)
        return {
            "sweep": str(self.sweep.path),
            "output": str(self.output),
            "runs": len(self.sweep.runs),
            "complete": len(self.after.complete),
            "done_now": [run_id for run_id in self.after.complete if run_id not in before],
            "missing": [task.run.id for task in self.after.tasks],
            "failed": self.failures,
        }
