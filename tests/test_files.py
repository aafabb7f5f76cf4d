import errno
import subprocess
import sys
from pathlib import Path

import pytest

from dvae_core.files import write_atomically


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
    with pytest.raises(OSError, match="No space left"):
        write_atomically(target, "new")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_disk_that_is_full_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    target = tmp_path / "config.json"
    write_atomically(target, "old")
    program = f"""
import resource, signal
from pathlib import Path
from dvae_core.files import write_atomically
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_atomically(Path({str(target)!r}), "new" * 1000)
except OSError as error:
    print(error.errno)
"""
    root = Path(__file__).parent.parent
    answer = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True)
    assert int(answer.stdout) == errno.EFBIG
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]
