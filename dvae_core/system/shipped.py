"""Location of the files that come with the package but are not part of the library."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
INSTALLED_APP = _PACKAGE / "_app"
"""Exists only in an installed wheel, not in a checkout."""


def app_folder() -> Path:
    """The folder of app.py, .streamlit/, checkpoints/ and sweeps/, in the installed package or the
    checkout."""
    return INSTALLED_APP if INSTALLED_APP.is_dir() else _PACKAGE.parent
