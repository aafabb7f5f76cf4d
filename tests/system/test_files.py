import errno
import subprocess
import sys
from pathlib import Path

import pytest

from dvae_core.errors import DataError
from dvae_core.system import files
from dvae_core.system.files import new_folder, partial_file, temporary_folder, write_atomically


def test_content_is_replaced(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    write_atomically(target, "old")
    write_atomically(target, b"new")
    assert target.read_text() == "new"


def test_a_failing_write_leaves_the_old_content_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "file.txt"
    write_atomically(target, "old")

    def full_disk(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OSError, match=r"No space left.*file\.txt"):
        write_atomically(target, "new")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_disk_that_is_full_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    target = tmp_path / "config.json"
    write_atomically(target, "old")
    program = f"""
import resource, signal
from pathlib import Path
from dvae_core.system.files import write_atomically
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_atomically(Path({str(target)!r}), "new" * 1000)
except OSError as error:
    print(error.errno)
"""
    root = Path(__file__).parents[2]
    answer = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True)
    assert int(answer.stdout) == errno.EFBIG
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


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


DYING = """
import os, sys
from pathlib import Path
from dvae_core.system.files import (
    new_folder, partial_file, temporary_folder, write_atomically
)
folder = Path(sys.argv[1])
with new_folder(folder / "made") as draft, temporary_folder() as temporary:
    (draft / "much").write_bytes(bytes(1000))
    with partial_file(folder / "set.npz") as file:
        file.write(bytes(1000))
        def die(descriptor):
            (written,) = folder.glob(".scores[[]0].json.????????")
            print(draft, temporary, written, flush=True)
            input()
            os._exit(9)
        os.fsync = die
        write_atomically(folder / "scores[0].json", "half")
"""


def test_what_a_dead_process_left_is_removed_and_never_what_a_living_one_uses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr(files, "_YOUNG_SECONDS", -1.0)
    (tmp_path / ".new-link").symlink_to(tmp_path / "tmp")
    (tmp_path / ".scores[0].json.lock").touch()  # no such file

    def work() -> set[str]:
        """What is there while this process makes a folder and files of its own."""
        with new_folder(tmp_path / "other"), temporary_folder():
            interrupted_part = tmp_path / "else.npz.part"
            with partial_file(tmp_path / "else.npz"):
                assert interrupted_part.exists()
        write_atomically(tmp_path / "scores[0].json", "whole")
        (tmp_path / "other").rmdir()
        (tmp_path / "else.npz").unlink()
        (tmp_path / "scores[0].json").unlink()
        return {path.name for path in tmp_path.rglob("*")} - {
            "tmp",
            ".new-link",
            ".scores[0].json.lock",
        }

    root = Path(__file__).parents[2]
    child = subprocess.Popen(
        [sys.executable, "-c", DYING, str(tmp_path)],
        cwd=root,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    draft, temporary, written = (Path(name) for name in child.stdout.readline().split())
    assert temporary.parent == tmp_path / "tmp"
    assert work() == {draft.name, "much", temporary.name, "set.npz.part", written.name}
    child.communicate("\n")
    assert work() == set()


def test_the_umask_decides_who_may_read(tmp_path: Path) -> None:
    program = f"""
import os
from pathlib import Path
from dvae_core.system.files import new_folder, partial_file, write_atomically
os.umask(0o077)
folder = Path({str(tmp_path)!r})
write_atomically(folder / "a", "x")
with new_folder(folder / "b"), partial_file(folder / "c"):
    pass
"""
    subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parents[2], check=True)
    assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {
        "a": 0o600,
        "b": 0o700,
        "c": 0o600,
    }
