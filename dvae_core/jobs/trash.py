"""Deleting runs so that it can be undone.

A deleted run lies in the folder `.trash` beside the others, as `<id>-<number>`; a greater number
was deleted later. The newest 20 are kept: whoever deletes another one deletes the oldest for good.
"""

import shutil
from pathlib import Path

from filelock import FileLock

from dvae_core.errors import RunError
from dvae_core.jobs import find_job, leave_queue
from dvae_core.runs.catalog import SHIPPED_ROOT, looks_like_run
from dvae_core.runs.run import RUN_ID, Run, State

MAX_KEPT = 20


def delete_run(run: Run) -> Path:
    """Move a run to the trash. One that waits in a queue leaves it.

    Returns:
        Where it is now, for `restore_run`.

    Raises:
        RunError: it is no run, is shipped, or somebody trains or measures it.
    """
    path = run.path.resolve()
    if not looks_like_run(path) or not RUN_ID.fullmatch(path.name):
        raise RunError(f"{run.path} is no run folder: nothing was deleted")
    if path.parent == SHIPPED_ROOT.resolve():
        raise RunError(f"{run.id} is shipped with this software and is not deleted")
    leave_queue(run)
    if run.state() is State.RUNNING:
        raise RunError(f"{run.id} is being trained: stop it, then delete it")
    job = find_job(run, "evaluate")
    if job is not None and job.state == "running":
        raise RunError(f"{run.id} is being evaluated: stop that, then delete it")
    # Reserved, as a training or an evaluation may have just begun.
    with _locked(path.parent), run.reserved_for("training", "evaluation"):
        kept = deleted_runs(path.parent)
        number = max((_number(other) for other in kept), default=0) + 1
        target = _trash(path.parent) / f"{path.name}-{number}"
        path.rename(target)
        for old in kept[MAX_KEPT - 1 :]:
            shutil.rmtree(old, ignore_errors=True)
    return target


def deleted_runs(folder: Path) -> list[Path]:
    """What of the runs of a folder lies in its trash, the last deleted first."""
    trash = _trash(folder)
    found = [path for path in trash.iterdir() if _is_entry(path)] if trash.is_dir() else []
    return sorted(found, key=_number, reverse=True)


def deleted_id(path: Path) -> str:
    """The id that a run in the trash had."""
    return path.name.rpartition("-")[0]


def restore_run(path: Path) -> Run:
    """Take a run back from the trash.

    Args:
        path: as `delete_run` and `deleted_runs` say it.

    Raises:
        RunError: there is no such run in a trash, or its name was taken since.
    """
    folder = path.parent.parent
    if path.parent != _trash(folder) or not _is_entry(path):
        raise RunError(f"{path} is no deleted run: it was restored, or deleted for good")
    target = folder / deleted_id(path)
    with _locked(folder):
        if target.exists():
            raise RunError(f"{target} exists by now: delete or rename that run first")
        try:
            path.rename(target)
        except FileNotFoundError:
            raise RunError(f"{path} is gone: it was restored, or deleted for good") from None
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
