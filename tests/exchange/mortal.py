"""Imports and exports that die: `python -m tests.exchange.mortal COMMAND FOLDER SEED COUNT`.

COMMAND is one of `import-run`, `import-model`, `export-run`, `export-model` and `export-page`. It
reads what is in the folder and writes to its folder `out`. In the end, it succeeds.
See `tests.killing`.
"""

import os
import random
import re
import shutil
import sys
from pathlib import Path

from dvae_core.__main__ import main
from dvae_core.system import files
from tests.killing import KILLED, adopt_orphans, die, must_succeed, rehearse, say_death, unfinished

# What each writing of a file has of its own.
_TIMES = re.compile(rb'"(created|written)_at": *"[^"]*"')
_OLD = b"old"


def arguments_of(command: str, folder: Path) -> tuple[list[str], Path]:
    """The arguments of a command, and what it writes."""
    out, given = folder / "out", folder / "given"
    options = {
        "import-run": ([given / "tiny.zip", "--folder", out], out / "tiny"),
        "import-model": (
            [
                *("--name", "mine", "--latents", "gaussian", "--dataset", "circles"),
                *("--encoder", given / "encoder.onnx", "--decoder", given / "decoder.onnx"),
                *("--latent-names", given / "model.json"),
            ],
            out / "mine",
        ),
        "export-run": ([folder / "tiny", "--output", out / "tiny.zip"], out / "tiny.zip"),
        "export-model": ([folder / "mine", "--output", out / "model"], out / "model"),
        "export-page": ([folder / "tiny", "--output", out / "page.html"], out / "page.html"),
    }
    arguments, target = options[command]
    return [command, *map(str, arguments)], target


def content(target: Path) -> dict[str, bytes]:
    """The files at a path by their relative path, without times and locks; {} for nothing."""
    paths = [path for path in (target, *target.rglob("*")) if path.is_file()]
    return {
        str(path.relative_to(target)): _TIMES.sub(b"", path.read_bytes())
        for path in paths
        if path.suffix != ".lock"
    }


def die_at_work(command: str, folder: Path, seed: int, count: int) -> None:
    arguments, target = arguments_of(command, folder)
    out, temporary = folder / "out", folder / "tmp"
    for made in (out, temporary):
        made.mkdir(exist_ok=True)
    os.environ |= {"DVAE_RUNS": str(out), "TMPDIR": str(temporary)}
    generator = random.Random(seed)
    adopt_orphans()

    def clear() -> None:
        """Before an import and an export to a folder there is nothing, before others a file."""
        if target.is_dir():
            shutil.rmtree(target)
        if target.suffix:
            target.write_bytes(_OLD)

    def work() -> int:
        clear()
        return main(arguments)

    whole = rehearse(work)
    new = content(target)
    clear()
    old = content(target)
    files._YOUNG_SECONDS = -1.0  # nobody else writes there
    deaths = 0
    while deaths < count:
        status = die(lambda: main(arguments), whole, generator)
        assert status in (0, KILLED), status
        found = content(target)
        assert found in (old, new), found.keys()
        deaths += say_death(status, "after" if found == new else "before", out)
        clear()
    must_succeed(lambda: main(arguments))
    assert content(target) == new
    assert not unfinished(out)
    assert not list(temporary.iterdir())


if __name__ == "__main__":
    what, place, *numbers = sys.argv[1:]
    die_at_work(what, Path(place), *map(int, numbers))
