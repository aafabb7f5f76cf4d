"""TensorBoard event files, made from the logged rows of a training.

A writer always starts new files from the first row, so every point appears once, however often the
training was interrupted.
"""

import shutil
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from dvae_core.errors import ConfigError
from dvae_core.runs.row_log import RowTail
from dvae_core.runs.run import Run


def check_tensorboard() -> None:
    """Raise `ConfigError` unless TensorBoard is installed."""
    try:
        import torch.utils.tensorboard  # noqa: F401
    except ImportError:
        raise ConfigError(
            "TensorBoard is not installed: pip install tensorboard, or leave out --tensorboard"
        ) from None


class EventWriter(AbstractContextManager["EventWriter"]):
    """Writes the rows of a run to event files in its folder `tensorboard` as they are logged.

    A writer serves one training: a resumed training cuts rows back, so it needs a new writer.

    Attributes:
        folder: the folder of the files.
    """

    def __init__(self, run: Run) -> None:
        check_tensorboard()
        from torch.utils.tensorboard import SummaryWriter

        self.folder: Path = run.path / "tensorboard"
        self._tails = {"training": RowTail(run.metrics), "scores": RowTail(run.scores)}
        self._written = dict.fromkeys(self._tails, 0)
        shutil.rmtree(self.folder, ignore_errors=True)
        # An open TensorBoard discards what it has read before.
        self._writer = SummaryWriter(str(self.folder), purge_step=0)

    def update(self) -> None:
        """Write the new rows.

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
