from pathlib import Path

import pytest

from dvae_core.data.partial_file import partial_file
from dvae_core.errors import DataError


def interrupted(path: Path, content: bytes, resume: bool = False) -> None:
    with partial_file(path, resume) as file:
        file.write(content)
        raise KeyboardInterrupt


def test_a_file_has_its_name_only_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    with partial_file(path) as file:
        file.write(b"whole")
        assert not path.exists()
    assert path.read_bytes() == b"whole"
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]


def test_a_failure_leaves_what_was_there_before(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        interrupted(path, b"half")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_what_a_killed_attempt_left_does_not_stay_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(b"far more than the file will have")
    with partial_file(tmp_path / "file") as file:
        file.write(b"whole")
    assert (tmp_path / "file").read_bytes() == b"whole"


def test_an_attempt_that_resumes_goes_on_where_the_last_one_failed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with pytest.raises(KeyboardInterrupt):
        interrupted(path, b"one ", resume=True)
    with partial_file(path, resume=True) as file:
        assert file.tell() == 4
        file.write(b"two")
    assert path.read_bytes() == b"one two"


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    path = tmp_path / "file"
    with partial_file(path) as file:
        file.write(b"first")
        with pytest.raises(DataError, match="another process"), partial_file(path):
            pass
    assert path.read_bytes() == b"first"
