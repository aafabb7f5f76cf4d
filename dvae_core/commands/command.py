"""The base class of all commands."""

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional, arg

from dvae_core.errors import ConfigError

MAX_SEED = 2**31 - 1
RunFolder = Annotated[Positional[Path], arg(metavar="RUN", help="folder of the run")]


@dataclass(frozen=True, kw_only=True)
class Command(ABC):
    """A command whose fields are the arguments and whose docstring is the help.

    Attributes:
        json: print one JSON object as the last line
    """

    json: bool = False

    @abstractmethod
    def run(self) -> int:
        """Do the work.

        Returns:
            The exit status.

        Raises:
            CoreError: an argument is out of range, or the work failed.
        """

    def print_json(self, content: Any) -> None:
        """Print `content` as one line of JSON if `--json` was given."""
        if self.json:
            print(json.dumps(content))


def check_range(flag: str, value: int | None, least: int, greatest: int | None = None) -> None:
    """Raise `ConfigError` unless `value` is None or in [least, greatest]."""
    if value is None or (least <= value and (greatest is None or value <= greatest)):
        return
    expected = f"of at least {least:,}" if greatest is None else f"from {least:,} to {greatest:,}"
    raise ConfigError(f"{flag} is {value:,}: give a number {expected}")
