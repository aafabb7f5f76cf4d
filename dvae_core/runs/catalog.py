"""The folders that hold runs, the addresses of runs, and paths for new runs."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from dvae_core.errors import RunError
from dvae_core.runs.run import RUN_ID, Run, check_run_id
from dvae_core.system.shipped import app_folder

SHIPPED_ROOT = app_folder() / "checkpoints"
STUDIES_ROOT = app_folder() / "studies"
"""Folders of records: runs with scores and curves, but without weights."""


def free_path(folder: Path, run_id: str) -> Path:
    """A free path in a folder for a run of this id; a number is appended if the id is taken."""
    path, number = folder / run_id, 1
    while path.exists():
        number += 1
        ending = f"-{number}"
        path = folder / (run_id[: 64 - len(ending)] + ending)
    return path


def own_root() -> Path:
    """The folder of the user's own runs: `DVAE_RUNS`, or `runs` in the working directory."""
    return Path(os.environ.get("DVAE_RUNS") or "runs")


def run_roots() -> dict[str, Path]:
    """The folders that hold runs, by their name in addresses: the shipped runs, the user's own runs
    (`own_root`), each folder of runs among these, and the shipped studies."""
    own = own_root()
    roots = {"checkpoints": SHIPPED_ROOT, "runs": own}
    for name, root in (("runs", own), ("studies", STUDIES_ROOT)):
        for folder in _folders_in(root):
            if not looks_like_run(folder):
                roots[f"{name}/{folder.name}"] = folder
    return roots


def is_shipped_run(run: Run) -> bool:
    """Whether a run came with the app, which nothing may change."""
    return shipped_place(run) is not None


def shipped_place(run: Run) -> str | None:
    """The address of a run that came with the app, wherever the app is installed; None for any
    other run."""
    path = run.path.resolve()
    for root in (SHIPPED_ROOT.resolve(), STUDIES_ROOT.resolve()):
        if root in path.parents:
            return path.relative_to(root.parent).as_posix()
    return None


def own_folder(name: str) -> Path:
    """The path of a new run of the user.

    Raises:
        RunError: `name` is not allowed.
    """
    check_run_id(name)
    return run_roots()["runs"] / name


def list_runs(root: Path) -> list[Run]:
    """The runs directly in a folder, damaged ones included, sorted by name, where numbers count as
    numbers; [] for a folder that is missing or may not be read."""
    return [Run(folder) for folder in _folders_in(root) if looks_like_run(folder)]


def all_runs() -> Iterator[tuple[str, Run]]:
    """Every run of every folder of runs, with its address `<root>/<id>`."""
    for name, root in run_roots().items():
        for run in list_runs(root):
            yield f"{name}/{run.id}", run


def usable_runs() -> Iterator[tuple[str, Run]]:
    """The runs of `all_runs` that have a model and no damaged files."""
    for address, run in all_runs():
        if run.has_model and not run.problem():
            yield address, run


def load_run(place: Path | str) -> Run:
    """The run at an address `<root>/<id>`, such as `checkpoints/circles-categorical`, or in a
    folder. Checks its files, but does not load its weights.

    A string is first looked up as an address, which does not depend on the working directory. A
    `Path` is always a folder.

    Raises:
        RunError: there is no such run, or its folder is damaged.

    Examples:
        >>> run = load_run("checkpoints/circles-categorical")
        >>> run.record.num_latents, run.state().value
        (2, 'finished')
    """
    run = None if isinstance(place, Path) else dict(all_runs()).get(place)
    run = run or Run(place)
    if not looks_like_run(run.path):
        raise RunError(
            f"there is no run {str(place)[:80]!r}: give its folder, or an address such as "
            f"{next((address for address, _ in all_runs()), 'runs/NAME')}"
        )
    if problem := run.problem():
        raise RunError(problem)
    return run


def looks_like_run(folder: Path) -> bool:
    """Whether a folder is a run, possibly an incomplete one."""
    names = ("config.json", "status.json", "model.safetensors")
    return any(os.path.isfile(folder / name) for name in names)  # False where it may not look


def _folders_in(root: Path) -> list[Path]:
    """The folders in a folder that may be runs or hold runs, sorted by name."""
    try:
        names = [name for name in os.listdir(root) if RUN_ID.fullmatch(name)]
    except OSError:
        return []
    return [root / name for name in sorted(names, key=_by_number) if os.path.isdir(root / name)]


def _by_number(name: str) -> tuple[list[str | float], str]:
    """A sort key by which `k-16` precedes `k-128`; names of sweeps write 0.001 as `0p001`."""
    parts = re.split(r"(\d+(?:p\d+)?)", name)
    numbers = (float(part.replace("p", ".")) for part in parts[1::2])
    return [part for pair in zip(parts[::2], [*numbers, 0.0], strict=True) for part in pair], name
