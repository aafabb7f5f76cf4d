"""Documents have the tables that the code has, and name only files and modules that exist."""

import re
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmarks.config_tables import DOCUMENTS
from benchmarks.import_table import import_table
from benchmarks.tables import markdown

ROOT = Path(__file__).parents[1]
FOLDERS = "dvae_core|ui|pages|tests|benchmarks|docs|sweeps"
PATH = re.compile(rf"\b(?:{FOLDERS})/[\w/.-]+\.(?:py|pyi|js|css|md|toml|png|gif|html)\b")
MODULE = re.compile(r"\b(?:dvae_core|ui|benchmarks)(?:\.[a-z_0-9]+)+\b")


def texts() -> list[Path]:
    """Every text of the repository in which a name can go stale."""
    command = ["git", "ls-files", "-co", "--exclude-standard", "*.md", "*.py", "*.toml"]
    try:
        names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        return sorted(ROOT.glob("*.md"))
    return [path for name in names.stdout.split() if (path := ROOT / name).exists()]


def module_exists(name: str) -> bool:
    """Whether the name is a module, or an attribute right below one."""
    for module in (name, name.rpartition(".")[0]):
        try:
            if find_spec(module) is not None:
                return True
        except ModuleNotFoundError:
            continue
    return False


def test_every_file_and_module_that_a_text_names_is_there() -> None:
    missing = {}
    for path in texts():
        text = path.read_text()
        names = {
            name
            for name in PATH.findall(text)
            if not (ROOT / name.replace("dvae_core/_app/", "")).exists()
        }
        names |= {name for name in MODULE.findall(text) if not module_exists(name)}
        if names:
            missing[str(path.relative_to(ROOT))] = names
    assert not missing


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_has_the_table_that_the_code_has(name: str) -> None:
    document, rows = DOCUMENTS[name]
    assert markdown(rows()) in document.read_text(), "write it: python -m benchmarks.config_tables"


def test_the_table_of_imports_is_what_imports_do() -> None:
    document = Path("docs/data.md").read_text()
    assert import_table() in document, "write it: python -m benchmarks.import_table"


def test_every_sweep_file_is_described() -> None:
    described = (ROOT / "docs" / "sweeps.md").read_text()
    files = [path.name for path in (ROOT / "sweeps").iterdir()]
    assert files
    assert [name for name in files if name not in described] == []
