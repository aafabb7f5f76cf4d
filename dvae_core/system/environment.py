"""The environment of every Python process that this package starts."""

import os
from pathlib import Path

_PACKAGE_FOLDER = str(Path(__file__).resolve().parents[2])


def safe_environment() -> dict[str, str]:
    """The environment of this process, in which Python imports nothing from the working directory.

    The working directory may hold a stranger's data, and a file h5py.py among them. The variable
    also reaches the processes that libraries start, such as the workers of joblib. An empty part of
    PYTHONPATH would be the working directory too.
    """
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    return {**os.environ, "PYTHONSAFEPATH": "1", "PYTHONPATH": os.pathsep.join(paths)}


def package_environment() -> dict[str, str]:
    """`safe_environment` with this package on PYTHONPATH, for `python -m dvae_core` in any
    folder."""
    environment = safe_environment()
    others = [path for path in environment["PYTHONPATH"].split(os.pathsep) if path]
    paths = [_PACKAGE_FOLDER, *(path for path in others if path != _PACKAGE_FOLDER)]
    return {**environment, "PYTHONPATH": os.pathsep.join(paths)}
