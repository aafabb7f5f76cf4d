"""What every command is."""

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional, arg

RunFolder = Annotated[Positional[Path], arg(metavar="RUN", help="folder of the run")]


@dataclass(frozen=True, kw_only=True)
class Command(ABC):
    """A command: its fields are the arguments, and the docstring is the help.

    Attributes:
        json: print one JSON object as the last line
    """

    json: bool = False

    @abstractmethod
    def run(self) -> int:
        """Do the work and return the exit status."""

    def print_json(self, content: Any) -> None:
        """Print one machine-readable line, if it was asked for with `--json`."""
        if self.json:
            print(json.dumps(content))
