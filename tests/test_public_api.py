"""`import dvae_core`: the names that notebooks and scripts build on."""

import dataclasses
import doctest
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import dvae_core

ROOT = Path(__file__).parent.parent
FUNCTIONS = [name for name in dvae_core.__all__ if inspect.isfunction(getattr(dvae_core, name))]
CLASSES = [name for name in dvae_core.__all__ if name not in FUNCTIONS]
RECORDS = [name for name in CLASSES if dataclasses.is_dataclass(getattr(dvae_core, name))]

ARRAY = re.compile(r"Tensor|NDArray|ndarray|Floats|Codes|Factors")
# Such as (B, N), (.., C, H, W), (points, F), (N,), (B, N * K).
SHAPE = re.compile(r"\((?:\.\.|[\w *+-]+)(?:,(?: [\w *()+-]+)?)+\)|scalar tensor")
UNIT = re.compile(r"nats|seconds|pixels|degrees|standard deviations|at most 1|\[0, 1\]|\[-1, 1\]")
CANNOT_REFUSE = {
    # They draw or compute from arrays that another name here has made, or list what there is.
    "all_runs",
    "category_bars",
    "curve_figure",
    "dataset_names",
    "decode_codes",
    "diagonal_order",
    "draw_plane",
    "embedding_scatter",
    "factor_given_category",
    "film_strip",
    "gap_correlations",
    "gap_picks",
    "group_boxes",
    "image_csv",
    "image_distances",
    "image_table",
    "information_heatmap",
    "interpolate",
    "interpolate_by_latent",
    "latent_information_heatmap",
    "path_curve",
    "reconstruct",
    "series",
    "to_pixels",
    "traverse_all",
}


def docstring(name: str) -> str:
    """The docstring of a public name, not one that it inherits."""
    return inspect.cleandoc(getattr(dvae_core, name).__doc__ or "")


def run_python(program: str, folder: Path = ROOT) -> str:
    """What a fresh interpreter prints."""
    command = [sys.executable, "-W", "error", "-c", program]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def test_importing_the_package_imports_nothing_but_the_reader_of_its_list() -> None:
    program = (
        "import sys; before = set(sys.modules); import dvae_core\n"
        "print(sorted({name.split('.')[0] for name in set(sys.modules) - before}\n"
        "             - set(sys.stdlib_module_names)))"
    )
    assert run_python(program).strip() == "['dvae_core', 'lazy_loader']"


def test_figures_wait_for_no_torch() -> None:
    program = "import sys, dvae_core; dvae_core.curve_figure; print('torch' in sys.modules)"
    assert run_python(program).strip() == "False"


def test_a_star_import_brings_every_name() -> None:
    names: dict[str, object] = {}
    exec("from dvae_core import *", names)
    assert set(dvae_core.__all__) <= set(names)
    assert set(dvae_core.__all__) <= set(dir(dvae_core))


def test_no_name_is_that_of_a_submodule_which_would_take_its_place() -> None:
    submodules = {info.name for info in pkgutil.iter_modules(dvae_core.__path__)}
    assert not submodules & set(dvae_core.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="attribute load_rum"):
        dvae_core.load_rum  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize("name", dvae_core.__all__)
def test_each_name_says_what_it_is(name: str) -> None:
    first = docstring(name).partition("\n\n")[0]
    assert len(first.split()) > 2
    assert first.endswith((".", ":"))
    assert not first.startswith(f"{name}(")  # what dataclasses write by themselves


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_function_with_arrays_says_their_shapes(name: str) -> None:
    annotations = inspect.get_annotations(getattr(dvae_core, name))
    if any(ARRAY.search(str(annotation)) for annotation in annotations.values()):
        assert SHAPE.search(docstring(name)) or "Arguments" in docstring(name)


@pytest.mark.parametrize("name", RECORDS)
def test_each_record_describes_its_fields_and_the_shapes_of_arrays(name: str) -> None:
    described = docstring(name).partition("Attributes:")[2]
    for field in dataclasses.fields(getattr(dvae_core, name)):
        entry = re.search(rf"^ +{field.name}: (.+(?:\n {{8}}.+)*)", described, re.MULTILINE)
        assert entry, field.name
        if ARRAY.search(str(field.type)):
            assert SHAPE.search(entry[1]), field.name


@pytest.mark.parametrize("name", [*FUNCTIONS, *RECORDS])
def test_each_number_has_its_unit(name: str) -> None:
    thing = getattr(dvae_core, name)
    if name in RECORDS:
        types = [str(field.type) for field in dataclasses.fields(thing)]
    else:
        types = [str(inspect.get_annotations(thing)["return"])]
    if any(re.search(r"\bfloat\b", kind) and not ARRAY.search(kind) for kind in types):
        assert UNIT.search(docstring(name))


def test_each_function_that_can_refuse_says_when() -> None:
    silent = {name for name in FUNCTIONS if not re.search("Raises:|rrors", docstring(name))}
    assert silent == CANNOT_REFUSE


def test_the_examples_of_the_names_hold() -> None:
    examples = 0
    for name in dvae_core.__all__:
        thing = getattr(dvae_core, name)
        for test in doctest.DocTestFinder().find(thing, name, globs=vars(dvae_core).copy()):
            test.globs[name] = thing
            result = doctest.DocTestRunner().run(test)
            assert result.failed == 0, name
            examples += result.attempted
    assert examples > 0


def test_the_worked_examples_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVAE_RUNS", raising=False)
    monkeypatch.setenv("DVAE_DATA", str(tmp_path / "data"))
    path = ROOT / "docs" / "api.md"
    failed, attempted = doctest.testfile(str(path), module_relative=False, encoding="utf-8")
    assert attempted > 30
    assert failed == 0


def test_the_page_names_all_of_them_and_no_other() -> None:
    listed = (ROOT / "docs" / "api.md").read_text().partition("## All names")[2]
    assert sorted(re.findall(r"`(\w+)`", listed)) == dvae_core.__all__
