"""Deleting and restoring runs.

A deleted run moves to the folder `.trash` beside the other runs, as `<id>-<number>`; later
deletions have larger numbers. The trash keeps the newest 20 runs and removes older ones for good.
"""

import shutil
from pathlib import Path

from filelock import FileLock

from dvae_core.errors import RunError
from dvae_core.jobs import find_job, leave_queue
from dvae_core.runs.catalog import is_shipped_run, looks_like_run
from dvae_core.runs.run import RUN_ID, Run, State

MAX_KEPT = 20


def delete_run(run: Run) -> Path:
    """Move a run to the trash, and remove it from the queue.

    Returns:
        Its new path, for `restore_run`.

    Raises:
        RunError: it is not a run, is a shipped run, or is being trained or evaluated.
    """
    path = run.path.resolve()
    if not looks_like_run(path) or not RUN_ID.fullmatch(path.name):
        raise RunError(f"{run.path} is not a run folder: nothing was deleted")
    if is_shipped_run(run):
        raise RunError(f"{run.id} is shipped with the app and cannot be deleted")
    leave_queue(run)
    if run.state() is State.RUNNING:
        raise RunError(f"{run.id} is being trained: stop the training, then delete the run")
    job = find_job(run, "evaluate")
    if job is not None and job.state == "running":
        raise RunError(f"{run.id} is being evaluated: stop the evaluation, then delete the run")
    # A training or an evaluation may just have started, so reserve the run for both.
    with _locked(path.parent), run.reserved_for("training", "evaluation"):
        kept = deleted_runs(path.parent)
        number = max((_number(other) for other in kept), default=0) + 1
        target = _trash(path.parent) / f"{path.name}-{number}"
        path.rename(target)
        for old in kept[MAX_KEPT - 1 :]:
            shutil.rmtree(old, ignore_errors=True)
    return target


def deleted_runs(folder: Path) -> list[Path]:
    """Paths of the deleted runs of a folder, the latest first."""
    trash = _trash(folder)
    found = [path for path in trash.iterdir() if _is_entry(path)] if trash.is_dir() else []
    return sorted(found, key=_number, reverse=True)


def deleted_id(path: Path) -> str:
    """The original id of a run in the trash."""
    return path.name.rpartition("-")[0]


def restore_run(path: Path) -> Run:
    """Restore a deleted run from its path in the trash.

    Raises:
        RunError: the trash has no such run, or another run has its name now.
    """
    folder = path.parent.parent
    if path.parent != _trash(folder) or not _is_entry(path):
        raise RunError(f"{path} is not a deleted run: it was restored or removed for good")
    target = folder / deleted_id(path)
    with _locked(folder):
        if target.exists():
            raise RunError(f"{target} already exists: delete or rename that run first")
        try:
            path.rename(target)
        except FileNotFoundError:
            raise RunError(f"{path} is not there: it was restored or removed for good") from None
    return Run(target)


def _trash(folder: Path) -> Path:
    return folder / ".trash"


def _is_entry(path: Path) -> bool:
    run_id, _, number = path.name.rpartition("-")
    return path.is_dir() and number.isdecimal() and bool(RUN_ID.fullmatch(run_id))


def _number(path: Path) -> int:
    return int(path.name.rpartition("-")[2])


def _locked(folder: Path) -> FileLock:
    _trash(folder).mkdir(exist_ok=True)
    return FileLock(_trash(folder) / ".lock")
