"""Where the files lie that come with the package and are not the library."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
INSTALLED_APP = _PACKAGE / "_app"
"""What the wheel puts beside the library; a checkout has no such folder."""


def app_folder() -> Path:
    """The folder of app.py, .streamlit/, checkpoints/ and sweeps/: in the installed package, or the
    checkout."""
    return INSTALLED_APP if INSTALLED_APP.is_dir() else _PACKAGE.parent
