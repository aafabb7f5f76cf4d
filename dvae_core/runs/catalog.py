"""Where runs lie: the folders that hold runs, their addresses, and names for new ones."""

import os
from collections.abc import Iterator
from pathlib import Path

from dvae_core.errors import RunError
from dvae_core.runs.run import RUN_ID, Run, check_run_id
from dvae_core.system.shipped import app_folder

SHIPPED_ROOT = app_folder() / "checkpoints"


def free_path(folder: Path, run_id: str) -> Path:
    """Where a run of this id can be made in a folder: under its id, or with a number at its end
    where there is something of that name."""
    path, number = folder / run_id, 1
    while path.exists():
        number += 1
        ending = f"-{number}"
        path = folder / (run_id[: 64 - len(ending)] + ending)
    return path


def own_root() -> Path:
    """The folder of this user's own runs: `DVAE_RUNS`, or `runs` here."""
    return Path(os.environ.get("DVAE_RUNS") or "runs")


def run_roots() -> dict[str, Path]:
    """The folders that hold runs, by the name that addresses use: the shipped ones, those of
    this user (`DVAE_RUNS`, or `runs` here), and each folder of runs among them."""
    own = own_root()
    roots = {"checkpoints": SHIPPED_ROOT, "runs": own}
    if own.is_dir():
        for folder in sorted(own.iterdir()):
            if RUN_ID.fullmatch(folder.name) and folder.is_dir() and not looks_like_run(folder):
                roots[f"runs/{folder.name}"] = folder
    return roots


def own_folder(name: str) -> Path:
    """Where a new run of this user lies under that name.

    Raises:
        RunError: it cannot be a run's name.
    """
    check_run_id(name)
    return run_roots()["runs"] / name


def list_runs(root: Path) -> list[Run]:
    """The runs right below a folder, damaged ones included, sorted by name."""
    if not root.is_dir():
        return []
    return [
        Run(folder)
        for folder in sorted(root.iterdir())
        if RUN_ID.fullmatch(folder.name) and folder.is_dir() and looks_like_run(folder)
    ]


def all_runs() -> Iterator[tuple[str, Run]]:
    """Every run of every root with its address `<root>/<id>`."""
    for name, root in run_roots().items():
        for run in list_runs(root):
            yield f"{name}/{run.id}", run


def usable_runs() -> Iterator[tuple[str, Run]]:
    """The runs of `all_runs` that have a model and no damaged file."""
    for address, run in all_runs():
        if run.has_model and not run.problem():
            yield address, run


def load_run(place: Path | str) -> Run:
    """The run at an address `<root>/<id>`, such as `checkpoints/circles-categorical`, or in a
    folder; its files are checked, its weights are not loaded yet.

    An address is looked up first, and means the same wherever Python was started. A `Path` is
    always a folder.

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
    """Whether a folder is a run, or what is left of one."""
    names = ("config.json", "status.json", "model.safetensors")
    return any((folder / name).is_file() for name in names)
