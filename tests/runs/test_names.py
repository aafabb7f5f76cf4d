import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from dvae_core.config import RunConfig
from dvae_core.errors import ConfigError, RunError
from dvae_core.jobs.trash import delete_run, restore_run
from dvae_core.runs.names import (
    MAX_REPLACED,
    NO_NAMES,
    find_latents,
    latent_names,
    name_latent,
    names_path,
    undo_name,
)
from dvae_core.runs.run import Run

WHEN = "2026-11-27T09:30:00+01:00"


pytestmark = pytest.mark.usefixtures("own_folders")


def made(path: Path, config: RunConfig) -> Run:
    """A new run, with the two files that a folder of runs is known by."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return Run.create(path, config, (1, 32, 32))


@pytest.fixture
def run(tmp_path: Path, tiny_config: RunConfig) -> Run:
    return made(tmp_path / "runs" / "mine", tiny_config.model_copy(update={"num_latents": 20}))


@pytest.fixture
def shipped(tmp_path: Path, tiny_config: RunConfig) -> Run:
    return made(tmp_path / "checkpoints" / "shipped", tiny_config)


def files_of(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_name_is_saved_with_the_run_and_in_its_words(run: Run) -> None:
    when = datetime(2026, 11, 27, 9, 30, tzinfo=timezone(timedelta(hours=1)))
    names = name_latent(run, 3, "  wall hue ", note="one\r\n\ttwo", written_at=when)
    assert names == latent_names(Run(run.path))
    entry = names.entry(3)
    assert entry is not None
    assert (entry.texts, entry.written_at.isoformat()) == (("wall hue", "one\n\ttwo"), WHEN)
    assert (names.words(3), names.short_words(3)) == ("latent 3 · wall hue", "3 · wall hue")
    assert (names.words(4), names.short_words(4)) == ("latent 4", "latent 4")
    assert json.loads((run.path / "names.json").read_text())["entries"][0]["written_at"] == WHEN


def test_the_clock_of_a_new_name_has_a_time_zone(run: Run) -> None:
    entry = name_latent(run, 0, "size").entry(0)
    assert entry is not None
    assert abs(entry.written_at - datetime.now(UTC)) < timedelta(minutes=1)


def test_a_category_has_a_name_of_its_own(run: Run) -> None:
    names = name_latent(run, 1, "red", category=4)
    assert (names.words(1), names.words(1, 4)) == ("latent 1", "category 4 · red")
    assert (names.of_categories(1), names.of_categories(0)) == ({4: "red"}, {})


def test_what_is_not_given_stays(run: Run) -> None:
    name_latent(run, 0, "size", note="in pixels")
    assert name_latent(run, 0, "length").entry(0).texts == ("length", "in pixels")  # type: ignore[union-attr]
    assert name_latent(run, 0, note="").entry(0).texts == ("length", "")  # type: ignore[union-attr]
    assert name_latent(run, 0, "").entries == ()


def test_names_move_with_their_run(run: Run) -> None:
    names = name_latent(run, 0, "size")
    kept = delete_run(run)
    assert latent_names(restore_run(kept)) == names


def test_undo_goes_back_and_forth_and_keeps_both_texts(run: Run) -> None:
    name_latent(run, 0, "size")
    name_latent(run, 1, "height")
    name_latent(run, 0, "length", note="in pixels")
    assert undo_name(run, 0).entry(0).texts == ("size", "")  # type: ignore[union-attr]
    assert undo_name(run, 0).entry(0).texts == ("length", "in pixels")  # type: ignore[union-attr]
    assert undo_name(run, 1).entry(1) is None
    assert undo_name(run, 1).name(1) == "height"
    with pytest.raises(ConfigError, match="no earlier name of latent 2"):
        undo_name(run, 2)


def test_earlier_names_are_kept_up_to_a_number(run: Run) -> None:
    for number in range(MAX_REPLACED + 5):
        names = name_latent(run, 0, f"name {number}")
    earlier = [entry.name for entry in names.earlier(0)]
    assert len(earlier) == MAX_REPLACED
    assert earlier[:2] == ["name 103", "name 102"]


def test_processes_and_threads_that_write_at_once_lose_nothing(run: Run) -> None:
    program = (
        "import sys\n"
        "from dvae_core.runs.names import name_latent\n"
        "from dvae_core.runs.run import Run\n"
        "run = Run(sys.argv[1])\n"
        "for latent in range(0, 10): name_latent(run, latent, f'process {latent}')\n"
        "name_latent(run, 19, 'both')\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(run.path)])

    def write(first: int) -> None:
        for latent in range(first, 19, 2):
            name_latent(Run(run.path), latent, f"thread {latent}")

    threads = [threading.Thread(target=write, args=(first,)) for first in (10, 11)]
    while process.poll() is None and not (run.path / "names.json").exists():
        time.sleep(0.001)  # the interpreter takes a second to start; then all write at once
    for thread in threads:
        thread.start()
    name_latent(run, 19, "here")
    for thread in threads:
        thread.join()
    assert process.wait() == 0
    names = latent_names(run)
    expected = {n: f"{'process' if n < 10 else 'thread'} {n}" for n in range(19)}
    assert {n: names.name(n) for n in range(19)} == expected
    texts = {names.name(19), *(entry.name for entry in names.earlier(19))}
    assert texts == {"", "here", "both"}
    assert [path.name for path in run.path.glob(".names*")] == [".names.lock"]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"name": "x" * 10_000}, "10,000 characters are too many: give at most 80"),
        ({"note": "x" * 2_001}, "2,001 characters are too many: give at most 2,000"),
        ({"name": "two\nlines"}, "control characters"),
        ({"name": "\x1b[31m"}, "control characters"),
        ({"name": "a\u202eb"}, "control characters"),
        ({"note": "a\u2028b"}, "control characters"),
        ({"name": "\ud800"}, "name is"),
    ],
)
def test_a_text_that_cannot_be_shown_is_refused_and_nothing_is_lost(
    run: Run, texts: dict[str, str], message: str
) -> None:
    before = name_latent(run, 0, "size")
    with pytest.raises(ConfigError, match=message) as caught:
        name_latent(run, 0, texts.get("name"), texts.get("note"))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200
    assert latent_names(run) == before


def test_signs_of_every_language_are_kept(run: Run) -> None:
    text = "Größe 日本 👨\u200d👩\u200d👧 <b>$x$</b>"
    name_latent(run, 0, text)
    assert latent_names(run).name(0) == text


def test_what_a_run_does_not_have_gets_no_name(
    run: Run, tmp_path: Path, tiny_config: RunConfig
) -> None:
    gaussian = tiny_config.model_copy(update={"latents": "gaussian"})
    smooth = made(tmp_path / "runs" / "smooth", gaussian)
    with pytest.raises(ConfigError, match="no latent 20: the run has 20, numbered from 0"):
        name_latent(run, 20, "x")
    with pytest.raises(ConfigError, match="no category 5: latent 0 has 5"):
        name_latent(run, 0, "x", category=5)
    with pytest.raises(ConfigError, match="gaussian latents have no categories"):
        name_latent(smooth, 0, "x", category=0)


def entries(*changes: Mapping[str, object]) -> str:
    base = {"latent": 0, "name": "x", "written_at": WHEN}
    return json.dumps({"entries": [{**base, **change} for change in changes]})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "does not hold a JSON object"),
        ("[" * 100_000, "not valid JSON"),
        ('{"colour": 1}', "unknown setting colour"),
        ('{"format_version": 2}', "format_version is 2"),
        (entries({"written_at": "2026-11-27T09:30:00"}), "should have timezone info"),
        (entries({"name": "\x00"}), "control characters"),
        (entries({"name": "x" * 81}), "81 characters"),
        (entries({"latent": 20}), "of another run: there is no latent 20"),
        (entries({"category": 5}), "of another run: there is no category 5"),
        (entries({}, {}), "named twice"),
        (entries(*({"latent": i} for i in range(4_001))), "at most 4000 items"),
        (" " * (4 * 2**20 + 1), "more than 4 MB"),
    ],
)
def test_a_damaged_foreign_or_huge_file_is_refused_and_never_overwritten(
    run: Run, content: str, message: str
) -> None:
    path = run.path / "names.json"
    path.write_text(content)
    for use in (lambda: latent_names(run), lambda: name_latent(run, 0, "size")):
        with pytest.raises(RunError, match=message) as caught:
            use()
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 400
    with pytest.raises(RunError, match=message):
        undo_name(run, 0)
    assert path.read_text() == content
    assert run.problem() is None  # the rest of the run is used all the same
    assert find_latents() == []


def test_a_full_disk_leaves_the_names_before(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    before = name_latent(run, 0, "size")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="No space"):
        name_latent(run, 0, "length")
    assert latent_names(run) == before
    assert len(list(run.path.glob(".names.json.*"))) == 0


def test_names_of_a_shipped_run_go_to_the_data_folder(
    shipped: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files_of(shipped.path)
    names = name_latent(shipped, 0, "size")
    assert latent_names(Run(shipped.path)) == names != NO_NAMES
    assert files_of(shipped.path) == before
    assert names_path(shipped).parent == tmp_path / "data" / "names"
    # Wherever the app is installed, they are the names of the same run.
    elsewhere = tmp_path / "elsewhere" / "checkpoints"
    elsewhere.parent.mkdir()
    shipped.path.parent.rename(elsewhere)
    monkeypatch.setattr("dvae_core.runs.catalog.SHIPPED_ROOT", elsewhere)
    assert latent_names(Run(elsewhere / "shipped")) == names


def test_another_shipped_run_of_the_same_id_has_no_names(shipped: Run) -> None:
    name_latent(shipped, 0, "size")
    later = shipped.record.model_copy(update={"created_at": datetime(2030, 1, 1, tzinfo=UTC)})
    shipped.replace_record(later)
    assert latent_names(Run(shipped.path)) == NO_NAMES


def test_names_that_came_with_a_shipped_run_are_shown_and_changed_elsewhere(shipped: Run) -> None:
    (shipped.path / "names.json").write_text(entries({"name": "size"}))
    before = files_of(shipped.path)
    assert latent_names(shipped).name(0) == "size"
    assert name_latent(shipped, 1, "height").name(0) == "size"
    assert files_of(shipped.path) == before


def test_a_run_in_a_folder_that_may_not_be_written_has_names_all_the_same(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A test may run as root, whom no permission stops.
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != run.path and access(path, mode))
    names = name_latent(run, 0, "size")
    assert not (run.path / "names.json").exists()
    assert latent_names(run) == names
    monkeypatch.undo()
    monkeypatch.setenv("DVAE_DATA", str(tmp_path / "data"))
    assert latent_names(run) == names  # also when the folder can be written again
    assert name_latent(run, 1, "height").name(0) == "size"


def test_a_search_goes_over_names_and_notes_of_all_runs(run: Run, shipped: Run) -> None:
    name_latent(run, 3, "Wall Hue")
    name_latent(run, 0, "size", note="of the wall")
    name_latent(shipped, 1, "wallpaper", category=2)
    name_latent(shipped, 1, "Cafe\u0301")  # the accent as a character of its own

    def found(text: str) -> list[tuple[str, int, int | None]]:
        return [(one.address, *one.entry.place) for one in find_latents(text)]

    everywhere = [("checkpoints/shipped", 1, 2), ("runs/mine", 0, None), ("runs/mine", 3, None)]
    assert found(" WALL ") == everywhere
    assert found("café") == [("checkpoints/shipped", 1, None)]
    assert found("floor") == []
    assert len(found("")) == 4
    assert [one.run.id for one in find_latents("wall", [("here", run)])] == ["mine", "mine"]


def test_a_search_reads_a_file_again_only_when_it_changed(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dvae_core.system.files._UNSETTLED_NS", 0)
    name_latent(run, 3, "wall hue")
    assert len(find_latents("wall")) == 1

    def forbidden(path: Path) -> object:
        raise AssertionError(path)

    with monkeypatch.context() as patch:
        patch.setattr("dvae_core.runs.storage.read_object", forbidden)
        assert len(find_latents("hue")) == 1
    name_latent(run, 3, "size")
    assert find_latents("hue") == []
