"""The commands that manage runs: runs, queue, stop, delete, restore, export-run, import-run."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg

from dvae_core.commands.command import Command, RunFolder
from dvae_core.commands.output import say
from dvae_core.system.files import write_atomically

if TYPE_CHECKING:
    from dvae_core.jobs import RunOverview


@dataclass(frozen=True)
class Runs(Command):
    """List the runs of a folder with their state, progress and place in the queue.

    Attributes:
        folder: folder that holds the runs; default: DVAE_RUNS, or "runs" in this folder
    """

    folder: Annotated[Positional[Path | None], arg(metavar="[PATH]")] = None

    def run(self) -> int:
        from dvae_core.jobs import advance_queue, overview, queue_root
        from dvae_core.runs.catalog import own_root

        folder = self.folder or own_root()
        advance_queue(queue_root(folder))
        found = overview(folder)
        for one in found:
            state = one.state if one.position is None else f"{one.state} {one.position}"
            say(f"{one.run.id:40} {state:10} {one.step:>10,} of {one.steps:>10,}   {one.message}")
        if not found:
            say(f"{folder} holds no runs")
        self.print_json({one.run.id: described(one) for one in found})
        return 0


@dataclass(frozen=True)
class Queue(Command):
    """Show the queue of background trainings, or set how many of them run at the same time.

    Attributes:
        at_once: number of trainings that run at the same time, 1 to 16
    """

    at_once: int | None = None

    def run(self) -> int:
        from dvae_core.jobs import advance_queue, read_queue, set_trainings_at_once
        from dvae_core.runs.catalog import own_root

        root = own_root()
        if self.at_once is not None:
            set_trainings_at_once(root, self.at_once)
        advance_queue(root)
        queue = read_queue(root)
        say(f"{root}: {queue.at_once} at a time, {len(queue.waiting)} waiting")
        for position, run_id in enumerate(queue.waiting, start=1):
            say(f"{position:4}  {run_id}")
        self.print_json({"at_once": queue.at_once, "waiting": queue.waiting})
        return 0


@dataclass(frozen=True)
class Stop(Command):
    """Stop a training, wherever it was started; it saves its state for `resume`."""

    run_dir: RunFolder

    def run(self) -> int:
        from dvae_core.jobs import find_training, stop_training
        from dvae_core.runs.run import Run

        run = Run(self.run_dir)
        stop_training(run)
        found = find_training(run)
        say(f"{run.path} is {found.state} at step {found.step:,} of {found.steps:,}")
        self.print_json(described(found))
        return 0


@dataclass(frozen=True)
class Delete(Command):
    """Move a run to the trash in the same folder, which keeps the last 20 deleted runs."""

    run_dir: RunFolder

    def run(self) -> int:
        from dvae_core.jobs.trash import delete_run
        from dvae_core.runs.run import Run

        path = delete_run(Run(self.run_dir))
        say(f"{self.run_dir} is deleted; restore it with: python -m dvae_core restore {path}")
        self.print_json({"path": str(path)})
        return 0


@dataclass(frozen=True)
class Restore(Command):
    """Restore a deleted run.

    Attributes:
        path: folder of the run in the trash, as printed by `delete`
    """

    path: Positional[Path]

    def run(self) -> int:
        from dvae_core.jobs.trash import restore_run

        run = restore_run(self.path)
        say(f"{run.path} is restored")
        self.print_json({"run": str(run.path)})
        return 0


@dataclass(frozen=True)
class ExportRun(Command):
    """Export a run as one zip file, which `import-run` reads.

    Attributes:
        output: zip file to write
        resumable: include the training state, the largest part, which `resume` needs
    """

    run_dir: RunFolder
    output: Path
    resumable: bool = True

    def run(self) -> int:
        from dvae_core.exchange.archive import export_run
        from dvae_core.runs.run import Run

        content = export_run(Run(self.run_dir), self.resumable)
        write_atomically(self.output, content)
        say(f"{self.output}: {self.run_dir}, {len(content):,} bytes")
        self.print_json({"output": str(self.output), "bytes": len(content)})
        return 0


@dataclass(frozen=True)
class ImportRun(Command):
    """Check a run in a zip file and import it; no existing run is overwritten.

    Attributes:
        archive: zip file to read
        folder: folder that holds the runs; default: DVAE_RUNS, or "runs" in this folder
        name: name of the imported run; default: its original name
    """

    archive: Positional[Path]
    folder: Path | None = None
    name: str | None = None

    def run(self) -> int:
        from dvae_core.exchange.archive import import_run
        from dvae_core.runs.catalog import own_root

        run = import_run(self.archive, self.folder or own_root(), self.name)
        say(f"{self.archive} is imported as {run.path}, {run.state()}")
        self.print_json({"run": str(run.path), "state": run.state()})
        return 0


def described(found: "RunOverview") -> dict[str, Any]:
    """A run and its place in the queue as a JSON object."""
    return asdict(found) | {"run": str(found.run.path)}
