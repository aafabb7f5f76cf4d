import hashlib
import os
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import pytest

from dvae_core.data.listing import ORIGINALS
from dvae_core.data.originals import download as module
from dvae_core.data.originals.download import REMOTE_FILES, RemoteFile, download
from dvae_core.errors import DataError

CONTENT = bytes(range(256)) * 40
NAME = "3dshapes.h5"


@dataclass
class Server:
    """What a test's server does, and what it was asked."""

    url: str = ""
    content: bytes = CONTENT
    status: int = 200
    cut_after: int | None = None  # bytes of each answer, after which the connection ends
    knows_ranges: bool = True
    ranges: list[str | None] = field(default_factory=list)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server on this machine, from which shapes3d is fetched."""
    behaviour = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers["Range"]
            behaviour.ranges.append(asked)
            content, status, start = behaviour.content, behaviour.status, 0
            if asked and behaviour.knows_ranges:
                start, status = int(asked.removeprefix("bytes=").rstrip("-")), 206
                if start >= len(content):
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{len(content)}")
                    self.end_headers()
                    return
            body = content[start:]
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: behaviour.cut_after])

        def log_message(self, *arguments: object) -> None:
            pass

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(module, "_PAUSE_SECONDS", 0.0)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        Thread(target=http.serve_forever, args=(0.01,)).start()
        behaviour.url = f"http://127.0.0.1:{http.server_port}/{NAME}"
        offer(monkeypatch, behaviour.url)
        yield behaviour
        http.shutdown()


def offer(monkeypatch: pytest.MonkeyPatch, url: str, md5: str | None = None) -> None:
    file = RemoteFile(NAME, url, md5 or hashlib.md5(CONTENT).hexdigest())
    monkeypatch.setitem(REMOTE_FILES, "shapes3d", (file,))


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_fetched_into_the_data_folder(server: Server, data_folder: Path) -> None:
    (path,) = download("shapes3d")
    assert path.read_bytes() == CONTENT
    assert names_in(data_folder) == [NAME]


def test_progress_tells_bytes_up_to_the_end(server: Server, data_folder: Path) -> None:
    told: list[tuple[int, int]] = []
    download("shapes3d", lambda *step: told.append(step))
    assert told[0] == (0, len(CONTENT))
    assert told[-1] == (len(CONTENT), len(CONTENT))


def test_a_file_that_is_there_is_not_fetched_again(server: Server, data_folder: Path) -> None:
    (data_folder / NAME).write_bytes(CONTENT)
    download("shapes3d")
    assert server.ranges == []


def test_a_wrong_hash_leaves_nothing(server: Server, data_folder: Path) -> None:
    server.content = b"not the file"
    with pytest.raises(DataError, match="does not have the published hash"):
        download("shapes3d")
    assert names_in(data_folder) == []


def test_a_wrong_hash_leaves_what_was_there_before(server: Server, data_folder: Path) -> None:
    (data_folder / NAME).write_bytes(b"by hand")
    server.content = b"not the file"
    with pytest.raises(DataError):
        download("shapes3d")
    assert (data_folder / NAME).read_bytes() == b"by hand"


def test_a_cut_connection_is_taken_up_where_it_broke(server: Server, data_folder: Path) -> None:
    server.cut_after = 3000
    (path,) = download("shapes3d")
    assert path.read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=3000-", "bytes=6000-", "bytes=9000-"]


def test_a_connection_that_stays_cut_leaves_its_part(server: Server, data_folder: Path) -> None:
    server.cut_after = 100
    with pytest.raises(DataError, match="run the command again to resume after 500 bytes"):
        download("shapes3d")
    assert names_in(data_folder) == [f"{NAME}.part"]


def test_the_next_call_goes_on_with_the_part(server: Server, data_folder: Path) -> None:
    (data_folder / f"{NAME}.part").write_bytes(CONTENT[:4000])
    (path,) = download("shapes3d")
    assert path.read_bytes() == CONTENT
    assert server.ranges == ["bytes=4000-"]
    assert names_in(data_folder) == [NAME]


def test_a_part_that_is_complete_is_taken_over(server: Server, data_folder: Path) -> None:
    (data_folder / f"{NAME}.part").write_bytes(CONTENT)
    (path,) = download("shapes3d")
    assert path.read_bytes() == CONTENT


def test_a_part_that_is_too_long_is_dropped(server: Server, data_folder: Path) -> None:
    (data_folder / f"{NAME}.part").write_bytes(CONTENT * 2)
    (path,) = download("shapes3d")
    assert path.read_bytes() == CONTENT
    assert server.ranges == [f"bytes={2 * len(CONTENT)}-", None]


def test_a_part_of_something_else_does_not_pass_for_the_file(
    server: Server, data_folder: Path
) -> None:
    (data_folder / f"{NAME}.part").write_bytes(b"\0" * 4000)
    with pytest.raises(DataError, match="hash"):
        download("shapes3d")
    assert names_in(data_folder) == []
    download("shapes3d")


def test_a_server_without_ranges_starts_from_the_beginning(
    server: Server, data_folder: Path
) -> None:
    server.knows_ranges = False
    (data_folder / f"{NAME}.part").write_bytes(CONTENT[:4000])
    (path,) = download("shapes3d")
    assert path.read_bytes() == CONTENT


def test_a_missing_page_is_told_at_once(server: Server, data_folder: Path) -> None:
    server.status = 404
    with pytest.raises(DataError, match="the server answered 404"):
        download("shapes3d")
    assert len(server.ranges) == 1
    assert names_in(data_folder) == []


def test_a_server_that_fails_is_asked_again(server: Server, data_folder: Path) -> None:
    server.status = 503
    with pytest.raises(DataError, match="the server answered 503"):
        download("shapes3d")
    assert len(server.ranges) > 1


def test_no_network_is_told_in_one_line(data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    offer(monkeypatch, f"http://127.0.0.1:{port}/{NAME}")
    with pytest.raises(DataError, match=r"cannot be reached \(.*refused") as caught:
        download("shapes3d")
    assert len(str(caught.value).splitlines()) == 1
    assert names_in(data_folder) == []


def test_too_little_space_is_told_before_anything_is_written(
    server: Server, data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=100))
    with pytest.raises(DataError, match="free some space"):
        download("shapes3d")
    assert names_in(data_folder) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a disk that is always full")
def test_a_disk_that_fills_up_is_told_in_one_line(server: Server, data_folder: Path) -> None:
    (data_folder / f"{NAME}.part").symlink_to("/dev/full")
    with pytest.raises(DataError, match="No space left on device"):
        download("shapes3d")
    assert not (data_folder / NAME).exists()


def test_an_interruption_keeps_the_part(server: Server, data_folder: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download("shapes3d", interrupt)
    assert names_in(data_folder) == [f"{NAME}.part"]


def test_a_set_without_a_file_is_told_apart() -> None:
    with pytest.raises(DataError, match="nothing to download for 'circles': choose dsprites"):
        download("circles")


@pytest.mark.parametrize("name", ORIGINALS)
def test_every_original_set_finds_the_files_that_its_download_fetches(name: str) -> None:
    files = ORIGINALS[name].files
    fetched = [file.name for file in REMOTE_FILES[files.family]]
    assert len(fetched) == len(files.alternatives)
    for file, names in zip(fetched, files.alternatives, strict=True):
        assert file in names
