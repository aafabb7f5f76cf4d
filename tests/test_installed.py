"""The wheel, installed in an environment of its own and used from folders that hold nothing."""

import contextlib
import http.client
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.request
import venv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.cookies import SimpleCookie
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest
from PIL import Image
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

ROOT = Path(__file__).parent.parent
APP = ["app.py", "ui", "pages", "checkpoints", "sweeps", ".streamlit"]
ABOUT = ["pyproject.toml", "requirements.txt", "README.md", "LICENSE", ".gitignore"]
# What use leaves in a checkout: patterns, and files of two of them.
LEFT = ["__pycache__/*", ".trash/*", "checkpoints/*/jobs/*", ".*.lock"]
LEFT_FILES = ["checkpoints/rooms-gaussian/jobs/evaluate.log", "checkpoints/.queue.lock"]
START_SECONDS = 60

# What would open the app to others, set by whoever starts it.
UNSAFE = {
    "STREAMLIT_SERVER_ADDRESS": "0.0.0.0",
    "STREAMLIT_SERVER_ALLOWED_HOSTS": "*",
    "STREAMLIT_SERVER_ENABLE_CORS": "false",
    "STREAMLIT_SERVER_ENABLE_XSRF_PROTECTION": "false",
    "STREAMLIT_SERVER_MAX_UPLOAD_SIZE": "1000",
    "STREAMLIT_CLIENT_ALLOWED_ORIGINS": "https://attacker.example",
    "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "true",
    "STREAMLIT_THEME_LIGHT_PRIMARY_COLOR": "#ff0000",
}


@dataclass(frozen=True)
class Installed:
    """An environment that holds the wheel.

    Attributes:
        folder: of the environment.
        sources: paths that the wheel should have.
    """

    folder: Path
    sources: set[str]

    @property
    def site(self) -> Path:
        """Where the environment keeps its packages."""
        return Path(sysconfig.get_path("purelib", "venv", vars={"base": str(self.folder)}))

    @property
    def distribution(self) -> PathDistribution:
        """What the environment knows of the package."""
        return PathDistribution(next(self.site.glob("dvae_explorer-*.dist-info")))

    def program(self, name: str) -> str:
        """The path of a program of the environment."""
        return str(Path(sysconfig.get_path("scripts", "venv", {"base": str(self.folder)})) / name)

    def run(self, name: str, *arguments: str) -> str:
        """What a program prints in the current folder."""
        command = [self.program(name), *arguments]
        done = subprocess.run(command, env=environment(), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout


def environment(**extra: str) -> dict[str, str]:
    """Variables that do not lead to the checkout, nor to settings of whoever runs the tests."""
    ours = ("PYTHONPATH", "DVAE_RUNS", "DVAE_DATA", "STREAMLIT_")
    return {k: v for k, v in os.environ.items() if not k.startswith(ours)} | extra


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel of a copy of this checkout, installed; its dependencies are those of the tests."""
    checkout, wheels, folder = (tmp_path_factory.mktemp(name) for name in ("src", "dist", "venv"))
    for name in ["dvae_core", *APP, *ABOUT]:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, checkout / name)
        else:
            shutil.copy(ROOT / name, checkout)
    (checkout / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "models.md", checkout / "docs")  # the page Models shows its recipes
    for name in LEFT_FILES:
        (checkout / name).parent.mkdir(exist_ok=True)
        (checkout / name).touch()
    files = [path.relative_to(checkout) for path in checkout.rglob("*") if path.is_file()]
    kept = [path for path in files if not any(map(path.match, LEFT))]
    sources = {path.as_posix() for path in kept if path.parts[0] == "dvae_core"}
    shown = {path for path in kept if path.parts[0] in APP} | {Path("docs/models.md")}
    sources |= {f"dvae_core/_app/{path.as_posix()}" for path in shown}

    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    build = ["wheel", "--no-deps", "--no-build-isolation", "-w", str(wheels), str(checkout)]
    subprocess.run([*pip, *build], check=True)
    venv.create(folder, symlinks=True)
    there = Installed(folder, sources)
    install = ["--python", str(folder), "install", "--no-deps", *map(str, wheels.iterdir())]
    subprocess.run([*pip, *install], check=True, env=environment())
    # Behind the wheel; an editable install of this checkout is not followed from here.
    (there.site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return there


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_wheel_holds_the_library_and_the_app_and_nothing_beside_them(
    installed: Installed,
) -> None:
    files = {path.as_posix() for path in installed.distribution.files or ()}
    ours = {path for path in files if ".dist-info/" not in path and "__pycache__" not in path}
    assert ours - installed.sources == {"../../../bin/dvae"}
    assert installed.sources <= ours
    assert {"dvae_core/py.typed", "dvae_core/__init__.pyi"} <= ours


def test_the_dependencies_are_those_of_requirements_txt_and_the_extras(
    installed: Installed,
) -> None:
    package = installed.distribution
    assert package.metadata.get_all("Provides-Extra") == ["dev", "ray", "tensorboard"]
    always = {line for line in package.requires or () if "extra ==" not in line}
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    listed = [line.partition("#")[0].strip() for line in lines]
    assert always == {line for line in listed if line}


def test_the_command_trains_and_measures_in_an_empty_folder(installed: Installed) -> None:
    assert "train" in installed.run("dvae", "--help")
    small = [
        "--dataset",
        "circles",
        "--image-size",
        "32",
        "--threads",
        "1",
        "--snapshot-every",
        "0",
        "--steps",
        "20",
    ]
    trained = installed.run("dvae", "train", "--preset", "quick", *small, "--run-dir", "runs/a")
    assert "finished" in trained
    few = ["--metrics", "mig", "--points", "1000"]
    assert "mig" in installed.run("dvae", "evaluate", "runs/a", *few)
    assert Path("runs/a/evaluation.json").is_file()


def test_the_shipped_runs_and_sweeps_are_found(installed: Installed) -> None:
    program = "import dvae_core; print(dvae_core.__file__, *dict(dvae_core.all_runs()))"
    file, *addresses = installed.run("python", "-c", program).split()
    assert Path(file).is_relative_to(installed.site)
    shipped = sorted(path.name for path in (ROOT / "checkpoints").glob("[!.]*"))
    assert addresses == [f"checkpoints/{name}" for name in shipped]
    planned = installed.run("dvae", "sweep", "sweeps/circles.toml", "--plan")
    assert "0 of 20 runs are complete" in planned


@pytest.fixture(scope="module")
def server(installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of `dvae app`, started in a folder and by variables that ask for unsafe settings."""
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / ".streamlit").mkdir()
    (folder / ".streamlit" / "config.toml").write_text("server.maxUploadSize = 1000\n")
    (folder / "random.py").write_text("raise SystemExit('not the library of that name')\n")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [installed.program("dvae"), "app", "--port", str(port)]
    command += ["--allow-host", "hub.example"]
    variables = environment(**UNSAFE, STREAMLIT_SERVER_HEADLESS="true", HOME=str(folder))
    with subprocess.Popen(command, cwd=folder, env=variables) as process:
        wait_for(port, process)
        yield port
        process.send_signal(signal.SIGINT)
        assert process.wait(START_SECONDS) == 130


def wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    process.kill()
    pytest.fail("the app did not start")


@contextlib.contextmanager
def session(port: int) -> Iterator[ClientConnection]:
    """A browser's connection, on Explore with a run that is drawn fast."""
    address = f"ws://127.0.0.1:{port}/_stcore/stream"
    with connect(address, subprotocols=[Subprotocol("streamlit")], max_size=None) as connection:
        asked = ClientState(query_string="run=checkpoints/circles-categorical")
        connection.send(BackMsg(rerun_script=asked).SerializeToString())
        yield connection


def answer(connection: ClientConnection) -> list[ForwardMsg]:
    """What a session is sent until its page has run."""
    messages: list[ForwardMsg] = []
    while not messages or messages[-1].WhichOneof("type") != "script_finished":
        messages.append(ForwardMsg.FromString(connection.recv(START_SECONDS, decode=False)))
    return messages


def may_upload(port: int) -> dict[str, str]:
    """Headers with the token that the app gives to its own pages."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health") as health:
        token = SimpleCookie(health.headers["Set-Cookie"])["_streamlit_xsrf"].value
    return {"Cookie": f"_streamlit_xsrf={token}", "X-Xsrftoken": token}


def status_of(port: int, method: str, path: str, headers: Mapping[str, str]) -> int:
    """The status that the app answers a request with, before any body is sent."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_SECONDS)
    with contextlib.closing(connection):
        connection.putrequest(method, path, skip_host="Host" in headers)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        with connection.getresponse() as response:
            return response.status


def test_the_app_shows_a_shipped_run_in_its_own_colours(server: int) -> None:
    with session(server) as connection:
        messages = answer(connection)
    assert messages[-1].script_finished == ForwardMsg.FINISHED_SUCCESSFULLY
    assert messages[0].new_session.custom_theme.light.primary_color == "#1c6782"
    elements = [message.delta.new_element for message in messages]
    options = [list(element.selectbox.options) for element in elements]
    assert any("circles-categorical (shipped)" in shown for shown in options)
    assert not any(element.HasField("exception") for element in elements)
    assert not messages[0].new_session.config.gather_usage_stats


def test_the_app_answers_this_machine_only(server: int) -> None:
    with pytest.raises(ConnectionRefusedError):  # where 0.0.0.0 would answer too
        socket.create_connection(("127.0.0.2", server), START_SECONDS)


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("127.0.0.1", "http://127.0.0.1", 101),
        ("hub.example", "http://hub.example", 101),
        ("attacker.example", "http://127.0.0.1", 403),
        ("127.0.0.1", "http://attacker.example", 403),
        ("127.0.0.1", "http://localhost", 403),
    ],
)
def test_a_page_of_another_site_is_refused(
    server: int, host: str, origin: str, status: int
) -> None:
    handshake = {
        "Host": f"{host}:{server}",
        "Origin": f"{origin}:{server}",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    assert status_of(server, "GET", "/_stcore/stream", handshake) == status


def test_a_page_on_another_port_of_this_machine_is_refused(server: int) -> None:
    headers = {"Origin": f"http://127.0.0.1:{server + 1}"}
    for path in ("/", "/_stcore/stream", "/_stcore/host-config"):
        assert status_of(server, "GET", path, headers) == 403
    assert status_of(server, "GET", "/", {"Host": "attacker.example"}) == 403


def test_no_other_site_frames_or_steers_the_app(server: int) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{server}/_stcore/host-config") as answer:
        assert not any(json.load(answer)["allowedOrigins"])
        policy = answer.headers["Content-Security-Policy"]
        assert answer.headers["Access-Control-Allow-Origin"] != "*"
    assert {"default-src 'self'", "frame-ancestors 'self'"} <= set(policy.split("; "))


def test_a_session_neither_reads_nor_removes_a_file_of_another(server: int) -> None:
    picture = io.BytesIO()
    Image.linear_gradient("L").save(picture, "PNG")
    with session(server) as one, session(server) as other:
        ids = []
        for connection in (one, other):
            messages = answer(connection)
            ids.append(messages[0].new_session.initialize.session_id)
            (pages,) = (m.navigation for m in messages if m.WhichOneof("type") == "navigation")
            (page,) = (p.page_script_hash for p in pages.app_pages if p.url_pathname == "data")
            asked = ClientState(page_script_hash=page)
            connection.send(BackMsg(rerun_script=asked).SerializeToString())
            elements = [message.delta.new_element for message in answer(connection)]
            (field,) = (
                each.file_uploader.id for each in elements if each.HasField("file_uploader")
            )
        assert ids[0] != ids[1]
        part = 'Content-Disposition: form-data; name="a.png"; filename="a.png"'
        body = f"--x\r\n{part}\r\n\r\n".encode() + picture.getvalue() + b"\r\n--x--\r\n"
        headers = may_upload(server) | {"Content-Type": "multipart/form-data; boundary=x"}
        path = f"http://127.0.0.1:{server}/_stcore/upload_file"
        put = urllib.request.Request(f"{path}/{ids[0]}/mine", body, headers, method="PUT")
        urllib.request.urlopen(put).close()
        theirs = urllib.request.Request(f"{path}/{ids[1]}/mine", headers=headers, method="DELETE")
        urllib.request.urlopen(theirs).close()

        state = asked.widget_states.widgets.add(id=field)
        state.file_uploader_state_value.uploaded_file_info.add(file_id="mine", name="a.png")
        for connection, is_shown in ((other, False), (one, True)):
            connection.send(BackMsg(rerun_script=asked).SerializeToString())
            shown = [message.delta.new_element for message in answer(connection)]
            assert any("1 images" in each.markdown.body for each in shown) == is_shown


def test_an_upload_needs_the_token_and_has_at_most_64_megabytes(server: int) -> None:
    with session(server) as connection:
        first = ForwardMsg.FromString(connection.recv(START_SECONDS, decode=False))
        path = f"/_stcore/upload_file/{first.new_session.initialize.session_id}/file"
        size = {"Content-Length": str(64 * 2**20 + 1)}
        assert status_of(server, "PUT", path, size) == 403
        assert status_of(server, "PUT", path, size | may_upload(server)) == 413
