"""Commands of the command line that look after runs: list, queue, stop, delete, export, import."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from dvae_core.commands.output import print_json

if TYPE_CHECKING:
    from dvae_core.jobs import RunOverview
    from dvae_core.runs.run import Run

_Folder = tyro.conf.Positional[Path]


def runs(folder: tyro.conf.Positional[Path | None] = None, json: bool = False) -> Callable[[], int]:
    """List the runs of a folder: what each is doing, how far it is, its place in the queue.

    Args:
        folder: that holds the runs; by default your own (DVAE_RUNS, or runs here).
        json: print one JSON object as the last line.
    """
    return lambda: _list_runs(folder, json)


def queue(at_once: int | None = None, json: bool = False) -> Callable[[], int]:
    """Show which trainings wait in the background, or say how many may run at a time.

    Args:
        at_once: let so many trainings run at a time.
        json: print one JSON object as the last line.
    """
    return lambda: _show_queue(at_once, json)


def stop(run: _Folder, json: bool = False) -> Callable[[], int]:
    """Have a training save its state and end, wherever it was started; resume continues it.

    Args:
        run: the run's folder.
        json: print one JSON object as the last line.
    """
    return lambda: _stop(run, json)


def delete(run: _Folder, json: bool = False) -> Callable[[], int]:
    """Move a run to the trash beside it, which keeps the last 20.

    Args:
        run: the run's folder.
        json: print one JSON object as the last line.
    """
    return lambda: _delete(run, json)


def restore(run: _Folder, json: bool = False) -> Callable[[], int]:
    """Take a deleted run back.

    Args:
        run: its folder in the trash, as delete has said it.
        json: print one JSON object as the last line.
    """
    return lambda: _restore(run, json)


def export_run(
    run: _Folder, output: Path, resumable: bool = True, json: bool = False
) -> Callable[[], int]:
    """Write a run as one zip file, which import-run reads.

    Args:
        run: the run's folder.
        output: the zip file to write.
        resumable: take along what continuing the training needs, the largest part of it.
        json: print one JSON object as the last line.
    """
    return lambda: _export(run, output, resumable, json)


def import_run(
    archive: _Folder, folder: Path | None = None, name: str | None = None, json: bool = False
) -> Callable[[], int]:
    """Take a run in from a zip file, which is checked and never overwrites a run.

    Args:
        archive: the zip file.
        folder: that holds the runs; by default your own (DVAE_RUNS, or runs here).
        name: of the new run; by default the one it had.
        json: print one JSON object as the last line.
    """
    return lambda: _import(archive, folder, name, json)


RUN_COMMANDS: dict[str, Callable[..., Callable[[], int]]] = {
    "runs": runs,
    "queue": queue,
    "stop": stop,
    "delete": delete,
    "restore": restore,
    "export-run": export_run,
    "import-run": import_run,
}


def train_in_background(run: "Run", json: bool) -> int:
    """Put a run in the queue of trainings and say what came of it."""
    from dvae_core.jobs import find_training, queue_training

    queue_training(run)
    found = find_training(run)
    where = "training" if found.position is None else f"number {found.position} in the queue"
    print(f"{run.path} is {where}; stop it with: python -m dvae_core stop {run.path}")
    print_json(_described(found), json)
    return 0


def _list_runs(folder: Path | None, json: bool) -> int:
    from dvae_core.jobs import advance_queue, overview, queue_root
    from dvae_core.runs.catalog import own_root

    folder = folder or own_root()
    advance_queue(queue_root(folder))
    found = overview(folder)
    for one in found:
        state = one.state if one.position is None else f"{one.state} {one.position}"
        print(f"{one.run.id:40} {state:10} {one.step:>10,} of {one.steps:>10,}   {one.message}")
    if not found:
        print(f"{folder} holds no runs")
    print_json({one.run.id: _described(one) for one in found}, json)
    return 0


def _show_queue(at_once: int | None, json: bool) -> int:
    from dvae_core.jobs import advance_queue, read_queue, set_trainings_at_once
    from dvae_core.runs.catalog import own_root

    root = own_root()
    if at_once is not None:
        set_trainings_at_once(root, at_once)
    advance_queue(root)
    queue = read_queue(root)
    print(f"{root}: {queue.at_once} at a time, {len(queue.waiting)} waiting")
    for position, run_id in enumerate(queue.waiting, start=1):
        print(f"{position:4}  {run_id}")
    print_json({"at_once": queue.at_once, "waiting": queue.waiting}, json)
    return 0


def _stop(folder: Path, json: bool) -> int:
    from dvae_core.jobs import find_training, stop_training
    from dvae_core.runs.run import Run

    run = Run(folder)
    stop_training(run)
    found = find_training(run)
    print(f"{folder} is {found.state} at step {found.step:,} of {found.steps:,}")
    print_json(_described(found), json)
    return 0


def _delete(folder: Path, json: bool) -> int:
    from dvae_core.jobs.trash import delete_run
    from dvae_core.runs.run import Run

    path = delete_run(Run(folder))
    print(f"{folder} is deleted; take it back with: python -m dvae_core restore {path}")
    print_json({"path": str(path)}, json)
    return 0


def _restore(path: Path, json: bool) -> int:
    from dvae_core.jobs.trash import restore_run

    run = restore_run(path)
    print(f"{run.path} is back")
    print_json({"run": str(run.path)}, json)
    return 0


def _export(folder: Path, output: Path, resumable: bool, json: bool) -> int:
    from dvae_core.exchange.archive import export_run
    from dvae_core.runs.run import Run
    from dvae_core.system.files import write_atomically

    content = export_run(Run(folder), resumable)
    write_atomically(output, content)
    print(f"{output}: {folder}, {len(content):,} bytes")
    print_json({"output": str(output), "bytes": len(content)}, json)
    return 0


def _import(archive: Path, folder: Path | None, name: str | None, json: bool) -> int:
    from dvae_core.exchange.archive import import_run
    from dvae_core.runs.catalog import own_root

    run = import_run(archive, folder or own_root(), name)
    print(f"{archive} is imported as {run.path}, {run.state()}")
    print_json({"run": str(run.path), "state": run.state()}, json)
    return 0


def _described(found: "RunOverview") -> dict[str, Any]:
    return asdict(found) | {"run": str(found.run.path)}
