"""A slice of the trials of `python -m benchmarks.hostile`, in this process."""

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.hostile.__main__ import result_table
from benchmarks.hostile.kinds import KINDS
from benchmarks.hostile.originals import make_runs
from benchmarks.hostile.trial import PAGE_NAMES, judge, open_page, own_folders
from ui.routing import PAGES


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("originals")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DVAE_DATA", str(folder / "data"))
        make_runs(folder)
        yield folder


def test_what_is_sound_is_accepted_and_opens(originals: Path, tmp_path: Path) -> None:
    """So that a refusal of a changed file has to do with the change."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("benchmarks.hostile.kinds.odd", lambda content, source: content)
        patch.setattr("benchmarks.hostile.kinds.damaged", lambda content, source: content)
        patch.setattr("benchmarks.hostile.kinds._odd_tensors", lambda content, source: content)
        for place, kind in enumerate(KINDS):
            folder = tmp_path / str(place)
            with own_folders(folder):
                (folder / "runs").mkdir(parents=True)
                if kind in ("run folders", "ONNX files"):  # changed in other ways as well
                    continue
                KINDS[kind].take(KINDS[kind].make(random.Random(0), originals, folder))


def test_hostile_files_are_refused_in_one_line_or_taken_in(originals: Path, tmp_path: Path) -> None:
    results = []
    for number in range(4 * len(KINDS)):
        kind = list(KINDS)[number % len(KINDS)]
        if kind in ("ONNX files", "data files"):  # each in a process of its own
            continue
        folder = tmp_path / str(number)
        with own_folders(folder):
            source = random.Random(f"slice-{number}")
            results.append(judge(number, kind, source, originals, folder, pages=()))
    crashed = {result.number: result.reason for result in results if result.outcome == "crashed"}
    assert not crashed
    assert Counter(result.outcome for result in results).keys() == {"accepted", "refused"}
    assert result_table(results).count("\n") == len(KINDS) + 1


def test_every_page_opens_on_a_mutant_that_is_accepted(originals: Path, tmp_path: Path) -> None:
    """The first accepted one of the slice; the benchmark does it with all."""
    assert set(PAGE_NAMES) == {path.stem for path in PAGES.glob("*.py")}
    for number in range(100):
        folder = tmp_path / str(number)
        with own_folders(folder):
            source = random.Random(f"pages-{number}")
            result = judge(number, "records in archives", source, originals, folder, pages=())
            if result.outcome == "accepted":
                for page in PAGE_NAMES:
                    open_page(page)
                return
    raise AssertionError("none of a hundred mutants was accepted")
