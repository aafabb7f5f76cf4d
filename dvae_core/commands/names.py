"""The commands for names of latents: name, names."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg

from dvae_core.commands.command import Command, RunFolder
from dvae_core.commands.output import say
from dvae_core.errors import ConfigError

if TYPE_CHECKING:
    from dvae_core.runs.names import LatentName


@dataclass(frozen=True)
class Name(Command):
    """Name a latent of a run, or one of its categories.

    Attributes:
        latent: number of the latent, counted from 0
        name: one line of at most 80 characters; "" removes the name
        note: longer text, at most 2,000 characters; "" removes the note
        category: number of the category to name instead of the latent, counted from 0
        undo: put back what was written before the last change
    """

    run_dir: RunFolder
    latent: Positional[int]
    name: Annotated[Positional[str | None], arg(metavar="[NAME]")] = None
    note: str | None = None
    category: int | None = None
    undo: bool = False

    def run(self) -> int:
        from dvae_core.runs.names import name_latent, undo_name
        from dvae_core.runs.run import Run

        run, has_text = Run(self.run_dir), self.name is not None or self.note is not None
        if self.undo == has_text:
            raise ConfigError("give a name, --note, or --undo alone")
        if self.undo:
            names = undo_name(run, self.latent, self.category)
        else:
            names = name_latent(run, self.latent, self.name, self.note, category=self.category)
        entry = names.entry(self.latent, self.category)
        say(f"{run.path}: {_line(entry)}" if entry else f"{run.path}: the name is removed")
        self.print_json({"run": str(run.path), "entry": _described(entry) if entry else None})
        return 0


@dataclass(frozen=True)
class Names(Command):
    """List the names of latents of a run, or of all runs.

    Attributes:
        run_dir: folder of the run; default: all runs
        find: list only names and notes that contain this text, in upper or lower case
    """

    run_dir: Annotated[Positional[Path | None], arg(metavar="[RUN]")] = None
    find: str = ""

    def run(self) -> int:
        from dvae_core.runs.names import find_latents, latent_names
        from dvae_core.runs.run import Run

        runs = None
        if self.run_dir is not None:
            run = Run(self.run_dir)
            latent_names(run)  # says what is wrong with the file
            runs = [(str(run.path), run)]
        found = find_latents(self.find, runs)
        for one in found:
            say(f"{one.address}: {_line(one.entry)}")
            for line in one.entry.note.splitlines():
                say(f"    {line}")
        if not found:
            say("no name found")
        self.print_json([{"run": one.address} | _described(one.entry) for one in found])
        return 0


def _line(entry: "LatentName") -> str:
    category = "" if entry.category is None else f", category {entry.category}"
    return f"latent {entry.latent}{category} · {entry.name or 'no name'}"


def _described(entry: "LatentName") -> dict[str, Any]:
    return entry.model_dump(mode="json")
