"""The tests with the lowest versions that requirements.txt and pyproject.toml allow.

    python -m benchmarks.lowest [--keep FOLDER] [tests/models tests/app ...]

Makes a virtual environment, installs each requirement in its lowest version, and runs the given
tests there; by default those that touch most libraries. Takes some gigabytes, and ten minutes.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

from packaging.requirements import Requirement

from benchmarks.tables import REPOSITORY

QUICK = ["tests/models", "tests/figures", "tests/selection", "tests/onnx", "tests/exchange"]
QUICK += ["tests/app/test_explore.py", "tests/app/test_factors.py", "tests/ui"]


def lowest(lines: list[str]) -> list[str]:
    """Each requirement with a lower bound, in the version of that bound."""
    pinned = []
    for line in lines:
        text = line.partition("#")[0].strip()
        if not text or text.startswith("-"):
            continue
        asked = Requirement(text)
        bounds = [one.version for one in asked.specifier if one.operator in (">=", "==")]
        extras = f"[{','.join(sorted(asked.extras))}]" if asked.extras else ""
        pinned.append(f"{asked.name}{extras}=={bounds[0]}" if bounds else text)
    return pinned


def requirements() -> list[str]:
    """All requirements of the app and of its tests, without the package itself and Ray."""
    lines = (REPOSITORY / "requirements.txt").read_text().splitlines()
    extras = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    dev = extras["optional-dependencies"]["dev"]
    return [*lines, *(line for line in dev if not line.startswith("dvae-explorer"))]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tests", nargs="*", default=QUICK)
    parser.add_argument("--keep", type=Path, help="folder of the environment, to use it again")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.keep or Path(temporary)
        python = folder / "bin" / "python"
        if not python.exists():
            venv.create(folder, with_pip=True)
            pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
            subprocess.run([*pip, *lowest(requirements())], check=True)
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        command = [str(python), "-m", "pytest", "-q", *asked.tests]
        return subprocess.run(command, cwd=REPOSITORY, env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())
