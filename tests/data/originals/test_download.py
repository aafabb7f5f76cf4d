import hashlib
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from zlib import crc32

import pytest

from dvae_core.data.listing import ORIGINALS
from dvae_core.data.originals import download as module
from dvae_core.data.originals.addresses import REMOTE_FILES, RemoteFile
from dvae_core.data.originals.download import UntrustedFileError, download
from dvae_core.errors import DataError

CONTENT = bytes(range(256)) * 40
MD5 = hashlib.md5(CONTENT).hexdigest()
NAME = "3dshapes.h5"
OTHER = b"another file"
OTHER_MD5, OTHER_SHA256 = hashlib.md5(OTHER).hexdigest(), hashlib.sha256(OTHER).hexdigest()


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
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Server]]:
    """Start servers on this machine."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(module, "_PAUSE_SECONDS", 0.0)
    with ExitStack() as started:

        def start() -> Server:
            behaviour = Server()
            http = started.enter_context(
                ThreadingHTTPServer(("127.0.0.1", 0), handler_of(behaviour))
            )
            Thread(target=http.serve_forever, args=(0.01,)).start()
            started.callback(http.shutdown)
            behaviour.url = f"http://127.0.0.1:{http.server_port}/{NAME}"
            return behaviour

        yield start


def handler_of(behaviour: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers["Range"]
            behaviour.ranges.append(asked)
            content, status, start = behaviour.content, behaviour.status, 0
            if asked and behaviour.knows_ranges and status == 200:
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

    return Handler


@pytest.fixture
def server(serve: Callable[[], Server], monkeypatch: pytest.MonkeyPatch) -> Server:
    """The only server from which shapes3d is fetched."""
    only = serve()
    offer(monkeypatch, only.url)
    return only


@pytest.fixture
def mirrors(serve: Callable[[], Server], monkeypatch: pytest.MonkeyPatch) -> tuple[Server, Server]:
    """Two servers, in the order in which shapes3d is fetched from them."""
    first, second = serve(), serve()
    offer(monkeypatch, first.url, second.url)
    return first, second


def offer(monkeypatch: pytest.MonkeyPatch, *urls: str, md5: str | None = MD5) -> None:
    monkeypatch.setitem(REMOTE_FILES, "shapes3d", (RemoteFile(NAME, urls, md5),))


def part_of(server: Server) -> str:
    """The name of the partial download from a server."""
    return f"{NAME}.{crc32(server.url.encode()):08x}.part"


def unused_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


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


def test_a_file_with_another_hash_is_kept_aside(server: Server, data_folder: Path) -> None:
    server.content = OTHER
    with pytest.raises(UntrustedFileError) as caught:
        download("shapes3d")
    said = str(caught.value)
    assert "\n" not in said
    for part in (server.url, OTHER_MD5, OTHER_SHA256, MD5, f"--trust-hash {OTHER_MD5}"):
        assert part in said
    assert names_in(data_folder) == [f"{NAME}.untrusted"]
    assert caught.value.path.read_bytes() == OTHER
    with pytest.raises(UntrustedFileError, match=r"an earlier download has the MD5"):
        download("shapes3d")
    assert server.ranges == [None]


@pytest.mark.parametrize("trusted", [OTHER_MD5, OTHER_SHA256, f" {OTHER_MD5.upper()} "])
def test_a_file_kept_aside_is_taken_with_its_hash(
    server: Server, data_folder: Path, trusted: str
) -> None:
    server.content = OTHER
    with pytest.raises(UntrustedFileError):
        download("shapes3d")
    (path,) = download("shapes3d", trust_hash=trusted)
    assert path.read_bytes() == OTHER
    assert names_in(data_folder) == [NAME, f"{NAME}.md5"]
    assert (data_folder / f"{NAME}.md5").read_text() == f"{OTHER_MD5}  {NAME}\n"
    assert download("shapes3d") == (path,)  # and stays trusted
    assert server.ranges == [None]


def test_a_hash_trusted_beforehand_takes_the_file_at_once(
    server: Server, data_folder: Path
) -> None:
    server.content = OTHER
    (path,) = download("shapes3d", trust_hash=OTHER_SHA256)
    assert path.read_bytes() == OTHER


def test_the_hash_of_another_file_takes_nothing(server: Server, data_folder: Path) -> None:
    server.content = OTHER
    with pytest.raises(UntrustedFileError):
        download("shapes3d", trust_hash="0" * 32)
    assert names_in(data_folder) == [f"{NAME}.untrusted"]


@pytest.mark.parametrize("text", ["", "abc", "0" * 33, "g" * 32])
def test_what_is_no_hash_is_refused(server: Server, data_folder: Path, text: str) -> None:
    with pytest.raises(DataError, match="32 hexadecimal digits of an MD5"):
        download("shapes3d", trust_hash=text)
    assert server.ranges == []


def test_a_file_without_a_known_hash_needs_trust(
    server: Server, data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch, server.url, md5=None)
    with pytest.raises(UntrustedFileError, match="no published hash"):
        download("shapes3d")
    (path,) = download("shapes3d", trust_hash=MD5)
    assert path.read_bytes() == CONTENT


def test_a_file_put_there_that_has_no_known_hash_is_kept(
    server: Server, data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch, server.url, md5=None)
    (data_folder / NAME).write_bytes(OTHER)
    assert download("shapes3d") == (data_folder / NAME,)
    assert server.ranges == []


def test_a_wrong_hash_leaves_what_was_there_before(server: Server, data_folder: Path) -> None:
    (data_folder / NAME).write_bytes(b"by hand")
    server.content = OTHER
    with pytest.raises(DataError):
        download("shapes3d")
    assert (data_folder / NAME).read_bytes() == b"by hand"


def test_the_published_file_replaces_a_trusted_one(server: Server, data_folder: Path) -> None:
    (data_folder / NAME).write_bytes(OTHER)
    (data_folder / f"{NAME}.untrusted").write_bytes(CONTENT)
    (path,) = download("shapes3d")
    assert path.read_bytes() == CONTENT
    assert names_in(data_folder) == [NAME]


@pytest.mark.parametrize("status", [403, 404, 503])
def test_an_address_that_fails_leaves_it_to_the_next(
    mirrors: tuple[Server, Server], data_folder: Path, status: int
) -> None:
    mirrors[0].status = status
    (path,) = download("shapes3d")
    assert path.read_bytes() == CONTENT
    assert names_in(data_folder) == [NAME]


def test_an_address_that_cannot_be_reached_leaves_it_to_the_next(
    server: Server, data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch, f"http://127.0.0.1:{unused_port()}/{NAME}", server.url)
    (path,) = download("shapes3d")
    assert path.read_bytes() == CONTENT


def test_an_address_with_another_file_leaves_it_to_the_next(
    mirrors: tuple[Server, Server], data_folder: Path
) -> None:
    mirrors[0].content = OTHER
    (path,) = download("shapes3d")
    assert path.read_bytes() == CONTENT
    assert names_in(data_folder) == [NAME]


def test_no_address_resumes_the_part_of_another(
    mirrors: tuple[Server, Server], data_folder: Path
) -> None:
    mirrors[0].cut_after = 100
    (path,) = download("shapes3d")
    assert path.read_bytes() == CONTENT
    assert mirrors[1].ranges == [None]
    assert names_in(data_folder) == [NAME]


def test_each_address_that_fails_is_told_with_what_to_do(
    mirrors: tuple[Server, Server], data_folder: Path
) -> None:
    mirrors[0].status, mirrors[1].status = 403, 404
    mirrors[0].content = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>"
    with pytest.raises(DataError) as caught:
        download("shapes3d")
    assert str(caught.value) == (
        f"{NAME} cannot be downloaded: {mirrors[0].url}: the server answered 403 Forbidden, with "
        f"an XML document (AccessDenied); {mirrors[1].url}: the server answered 404 Not Found: "
        f"try again or download it by hand and put it into {data_folder}/"
    )
    assert [len(mirror.ranges) for mirror in mirrors] == [1, 1]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<!DOCTYPE html><title>\nQuota\n exceeded</title>", r"an HTML page \(Quota exceeded\)"),
        (b"\xef\xbb\xbf\n<!-- x -->\n<HTML><body>no</body>", "an HTML page in place"),
        (b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code>", r"an XML document \(NoSuchKey\)"),
        (b"<Error><Code>\x1b[31m</Code>", r"an XML document \(\?\[31m\)"),
    ],
)
@pytest.mark.parametrize("resumes", [False, True])
def test_a_page_in_place_of_the_file_is_told(
    server: Server, data_folder: Path, body: bytes, kind: str, resumes: bool
) -> None:
    server.content, server.knows_ranges = body, False
    if resumes:
        (data_folder / part_of(server)).write_bytes(CONTENT[:4000])
    with pytest.raises(DataError, match=f"the server sent {kind}"):
        download("shapes3d")
    assert names_in(data_folder) == ([part_of(server)] if resumes else [])


def test_a_cut_connection_is_taken_up_where_it_broke(server: Server, data_folder: Path) -> None:
    server.cut_after = 3000
    (path,) = download("shapes3d")
    assert path.read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=3000-", "bytes=6000-", "bytes=9000-"]


def test_a_connection_that_stays_cut_leaves_its_part(server: Server, data_folder: Path) -> None:
    server.cut_after = 100
    ended = r"connection ended after 500 of 10,240 bytes: try again, which resumes after 500 bytes"
    with pytest.raises(DataError, match=ended):
        download("shapes3d")
    assert names_in(data_folder) == [part_of(server)]


def test_the_next_call_goes_on_with_the_part(server: Server, data_folder: Path) -> None:
    (data_folder / part_of(server)).write_bytes(CONTENT[:4000])
    (path,) = download("shapes3d")
    assert path.read_bytes() == CONTENT
    assert server.ranges == ["bytes=4000-"]
    assert names_in(data_folder) == [NAME]


def test_a_part_that_is_complete_is_taken_over(server: Server, data_folder: Path) -> None:
    (data_folder / part_of(server)).write_bytes(CONTENT)
    (path,) = download("shapes3d")
    assert path.read_bytes() == CONTENT


def test_a_part_that_is_too_long_is_dropped(server: Server, data_folder: Path) -> None:
    (data_folder / part_of(server)).write_bytes(CONTENT * 2)
    (path,) = download("shapes3d")
    assert path.read_bytes() == CONTENT
    assert server.ranges == [f"bytes={2 * len(CONTENT)}-", None]


def test_a_part_of_a_file_that_was_replaced_is_fetched_anew(
    server: Server, data_folder: Path
) -> None:
    (data_folder / part_of(server)).write_bytes(b"\0" * 4000)
    (path,) = download("shapes3d")
    assert path.read_bytes() == CONTENT
    assert server.ranges == ["bytes=4000-", None]


def test_a_server_without_ranges_starts_from_the_beginning(
    server: Server, data_folder: Path
) -> None:
    server.knows_ranges = False
    (data_folder / part_of(server)).write_bytes(CONTENT[:4000])
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
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    offer(monkeypatch, f"http://127.0.0.1:{unused_port()}/{NAME}")
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
    (data_folder / part_of(server)).symlink_to("/dev/full")
    with pytest.raises(DataError, match="No space left on device"):
        download("shapes3d")
    assert not (data_folder / NAME).exists()


def test_an_interruption_keeps_the_part(server: Server, data_folder: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download("shapes3d", interrupt)
    assert names_in(data_folder) == [part_of(server)]


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
