import os
from pathlib import Path

import pytest

from dvae_core.errors import RunError
from dvae_core.runs import storage
from dvae_core.runs.run import Notes
from dvae_core.runs.storage import read_record, write_record
from dvae_core.system import files


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "notes.json"
    write_record(path, Notes(name="one"))
    return path


def test_a_record_that_changed_a_moment_ago_is_read_each_time(path: Path) -> None:
    first = read_record(path, Notes)
    path.write_text(path.read_text().replace("one", "two"))  # of the same number and size
    assert (first.name, read_record(path, Notes).name) == ("one", "two")


def test_an_old_record_is_read_once_until_its_file_changes(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_UNSETTLED_NS", 0)
    first = read_record(path, Notes)
    assert read_record(path, Notes) is first
    write_record(path, Notes(name="two"))
    assert read_record(path, Notes).name == "two"
    os.truncate(path, 5)
    with pytest.raises(RunError, match="damaged or truncated"):
        read_record(path, Notes)
    write_record(path, Notes(name="one"))
    assert read_record(path, Notes) == first
    path.unlink()
    with pytest.raises(RunError, match="is missing"):
        read_record(path, Notes)


def test_a_large_record_is_not_kept(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept is counted by files, so each must be small."""
    monkeypatch.setattr(files, "_UNSETTLED_NS", 0)
    monkeypatch.setattr(storage, "_MAX_KEPT_BYTES", path.stat().st_size - 1)
    assert read_record(path, Notes) is not read_record(path, Notes)
