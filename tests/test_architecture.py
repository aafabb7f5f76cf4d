"""The layers, held: pages -> ui -> dvae_core, and inside the core each folder knows only those it
stands on."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

ABOVE_ALL = {"__init__", "__main__", "commands"}
# Parts of the core that a part may import, itself aside. Every part is listed.
BELOW: dict[str, set[str]] = {
    "errors": set(),
    "progress": set(),
    "config": {"errors"},
    "system": {"errors"},
    "data": {"errors", "config", "progress", "system"},
    "models": {"errors", "config"},
    "objectives": {"errors", "config", "models"},
    "regularizers": {"config", "models"},
    "onnx": {"errors", "config", "system", "data", "models"},
    "runs": {"errors", "config", "system", "data", "models", "objectives", "regularizers", "onnx"},
    "evaluation": {
        *{"errors", "config", "progress", "data", "models", "objectives", "regularizers", "runs"},
    },
    "analysis": {
        *{"errors", "progress", "system", "data", "models", "runs"},
        "evaluation",
    },
    "selection": {"errors", "config", "system", "models", "runs", "evaluation"},
    "figures": {
        *{"errors", "config", "progress", "system", "data", "models", "runs", "analysis"},
    },
    "web": {
        *{"errors", "config", "system", "data", "models", "runs", "evaluation", "analysis"},
    },
    "jobs": {"errors", "config", "progress", "system", "runs"},
    "exchange": {"errors", "config", "system", "data", "models", "onnx", "runs", "evaluation"},
    "training": {
        *{"errors", "config", "progress", "system", "data", "models", "objectives", "runs"},
        *{"regularizers", "evaluation", "analysis"},
    },
    "sweep": {
        *{"errors", "config", "progress", "system", "data", "runs", "evaluation", "training"},
        "jobs",
    },
}


def imported_modules(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            assert node.module
            yield node.module


def sources(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


@pytest.mark.parametrize("path", sources("dvae_core"), ids=lambda p: str(p.relative_to(ROOT)))
def test_the_core_imports_only_what_it_stands_on(path: Path) -> None:
    part = path.relative_to(ROOT / "dvae_core").parts[0].removesuffix(".py")
    for module in imported_modules(path):
        first, *rest = module.split(".")
        assert first not in ("streamlit", "ui", "pages", "app"), module
        if first == "dvae_core" and rest and part not in ABOVE_ALL:
            assert rest[0] in BELOW[part] | {part}, module


def test_only_the_part_that_silences_onnxruntime_imports_it() -> None:
    importers = {
        path.relative_to(ROOT).as_posix()
        for path in sources("dvae_core", "ui", "pages")
        if any(module.split(".")[0] == "onnxruntime" for module in imported_modules(path))
    }
    assert importers == {"dvae_core/onnx/session.py"}


def test_no_thread_changes_the_warnings_of_all_threads() -> None:
    """Filters belong to the process: of two threads that set them for a while and then restore what
    they found, one leaves those of the other for good."""
    changes = {"catch_warnings", "simplefilter", "filterwarnings", "resetwarnings"}
    found = {
        path.relative_to(ROOT).as_posix()
        for path in sources("dvae_core", "ui", "pages")
        for node in ast.walk(ast.parse(path.read_text()))
        if getattr(node, "attr", getattr(node, "id", None)) in changes
    }
    assert found == {"dvae_core/__main__.py"}  # a process of its own, which sets them once


def test_all_tables_of_the_app_show_a_missing_value_the_same_way() -> None:
    """`ui.tables.show_table` does; Streamlit itself writes "None"."""
    found = {
        path.relative_to(ROOT).as_posix()
        for path in sources("ui", "pages")
        for node in ast.walk(ast.parse(path.read_text()))
        if getattr(node, "attr", None) in {"dataframe", "table", "data_editor"}
        and getattr(getattr(node, "value", None), "id", None) == "st"
    }
    assert found == {"ui/tables.py"}


# Caches with an entry for each argument, and why their entries are small.
COUNTED_CACHES = {
    "dvae_core/figures/fonts.py image_font": "fonts of this machine, in the few sizes of figures",
    "dvae_core/figures/fonts.py _font_of": "a path for each character",
    "dvae_core/figures/fonts.py _characters": "a set for each font that this machine has",
    "dvae_core/runs/storage.py _kept_record": "files of at most 64 KB",
    "dvae_core/selection/study.py count_parameters": "a number for each model",
}


def test_what_is_cached_by_arguments_is_bounded_by_bytes() -> None:
    """A number of entries bounds nothing, since one may have megabytes: `ui.kept` counts bytes."""
    caches = {"cache", "lru_cache", "cache_data", "cache_resource"}
    found = set()
    for path in sources("dvae_core", "ui", "pages"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and ast.unparse(node.args):
                marks = [
                    mark.func if isinstance(mark, ast.Call) else mark
                    for mark in node.decorator_list
                ]
                if caches & {getattr(mark, "attr", getattr(mark, "id", None)) for mark in marks}:
                    found.add(f"{path.relative_to(ROOT).as_posix()} {node.name}")
    assert found == COUNTED_CACHES.keys()


@pytest.mark.parametrize("path", sources("ui"), ids=lambda p: str(p.relative_to(ROOT)))
def test_what_pages_share_knows_no_page(path: Path) -> None:
    assert not {module.split(".")[0] for module in imported_modules(path)} & {"pages", "app"}


def test_the_core_loads_without_streamlit() -> None:
    program = (
        "import sys, pkgutil, importlib, dvae_core\n"
        "for info in pkgutil.walk_packages(dvae_core.__path__, 'dvae_core.'):\n"
        "    if not info.name.endswith('__main__'): importlib.import_module(info.name)\n"
        "sys.exit('streamlit' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT).returncode == 0


def test_the_drawing_of_the_layers_shows_every_part_above_what_it_imports() -> None:
    drawing = (ROOT / "CONTRIBUTING.md").read_text().partition("## The layers")[2]
    rows = re.findall(r"^    (\w+(?:  \w+)*)   ", drawing, re.MULTILINE)
    row_of = {part: row for row, parts in enumerate(rows) for part in parts.split()}
    folder = ROOT / "dvae_core"
    found = [path for path in folder.iterdir() if path.is_dir() or path.suffix == ".py"]
    parts = {path.stem for path in found if not path.name.startswith(("_", "."))}
    assert parts == set(row_of) - {"pages", "ui"}
    for part, below in BELOW.items():
        assert all(row_of[part] < row_of[other] for other in below), part
