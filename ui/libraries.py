"""Which of the required libraries are missing. Imports none of them, so that the app can say it."""

import re
from importlib import metadata
from pathlib import Path

REQUIREMENTS = Path(__file__).parent.with_name("requirements.txt")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def missing_libraries() -> list[str]:
    """Names of the required libraries that are not installed."""
    return [name for name in required_libraries() if not _is_installed(name)]


def required_libraries() -> list[str]:
    """Names of all required libraries: those of requirements.txt in a checkout, those of the
    package where it is installed."""
    if REQUIREMENTS.is_file():
        lines = REQUIREMENTS.read_text(encoding="utf-8").splitlines()
    else:
        lines = [
            line for line in metadata.requires("dvae-explorer") or [] if "extra ==" not in line
        ]
    found = (_NAME.match(line) for line in lines)
    return [name[0] for name in found if name]


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True
