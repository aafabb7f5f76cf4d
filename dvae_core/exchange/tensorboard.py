"""Event files that TensorBoard reads, made of the rows that a run keeps of its training.

The rows are the truth: a writer begins with new files, from the first row on, so that every point
stands there once, however often the training was interrupted.
"""

import shutil
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from dvae_core.errors import ConfigError
from dvae_core.runs.row_log import RowTail
from dvae_core.runs.run import Run


def check_tensorboard() -> None:
    """Raise `ConfigError` where the package is not installed."""
    try:
        import torch.utils.tensorboard  # noqa: F401
    except ImportError:
        raise ConfigError(
            "TensorBoard is not installed: pip install tensorboard, or leave it out"
        ) from None


class EventWriter(AbstractContextManager["EventWriter"]):
    """Writes the rows of a run to event files in its folder `tensorboard`, as they come.

    It stays right for one training: the next one cuts rows back as it begins, before it needs a
    writer of its own.

    Attributes:
        folder: that the files are in.
    """

    def __init__(self, run: Run) -> None:
        check_tensorboard()
        from torch.utils.tensorboard import SummaryWriter

        self.folder: Path = run.events_folder
        self._tails = {"training": RowTail(run.metrics), "scores": RowTail(run.scores)}
        self._written = dict.fromkeys(self._tails, 0)
        shutil.rmtree(self.folder, ignore_errors=True)
        # A TensorBoard that has the folder open takes back what it read before.
        self._writer = SummaryWriter(str(self.folder), purge_step=0)

    def update(self) -> None:
        """Write the rows that are new.

        Raises:
            RunError: a row is damaged.
        """
        for group, tail in self._tails.items():
            tail.update()
            for row in tail.rows[self._written[group] :]:
                for name, value in row.items():
                    if name != "step":
                        self._writer.add_scalar(f"{group}/{name}", value, int(row["step"]))
            self._written[group] = len(tail.rows)
        self._writer.flush()

    def __exit__(self, *error: Any) -> None:
        self._writer.close()
