import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send
from streamlit import config

from tests.coroutines import run_to_end
from ui import web_guard
from ui.web_guard import POLICY, Guard, refusal

Answer = list[MutableMapping[str, Any]]


def ask(app: Guard, path: str = "/", method: str = "GET", **headers: str) -> Answer:
    """What a guarded app sends for a request."""
    sent: Answer = []
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "headers": [
            (name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()
        ],
    }

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    async def send(message: Message) -> None:
        sent.append(message)

    run_to_end(app(scope, receive, send))
    return sent


async def greet(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


def status_of(answer: Answer) -> int:
    return int(answer[0]["status"])


def body_of(answer: Answer) -> str:
    return b"".join(message.get("body", b"") for message in answer[1:]).decode()


@pytest.fixture(autouse=True)
def no_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the app were started without its config.toml."""
    monkeypatch.setattr(config, "get_option", {"server.allowedHosts": []}.__getitem__)


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("localhost:8501", None),
        ("127.0.0.1:8501", "http://127.0.0.1:8501"),
        ("LOCALHOST:8501", "http://localhost:8501"),
        ("localhost", "https://localhost"),
        ("localhost", "https://localhost:443"),
    ],
)
def test_the_own_pages_are_answered(host: str, origin: str | None) -> None:
    assert not refusal([host], [origin] if origin else [])


@pytest.mark.parametrize(
    ("hosts", "origins"),
    [
        ([], []),
        (["attacker.example"], []),
        (["localhost.attacker.example"], []),
        (["localhost:8501", "attacker.example"], []),
        (["localhost:8501"], ["http://attacker.example"]),
        (["localhost:8501"], ["http://localhost:9000"]),  # another program on this machine
        (["localhost:8501"], ["http://127.0.0.1:8501"]),
        (["localhost"], ["http://localhost:8501"]),
        (["localhost:8501"], ["null"]),
        (["localhost:8501"], ["file://localhost:8501"]),
        (["localhost:8501"], ["http://localhost:8501", "http://attacker.example"]),
    ],
)
def test_other_pages_are_not_answered(hosts: list[str], origins: list[str]) -> None:
    assert refusal(hosts, origins)


def test_names_behind_a_proxy_are_those_that_are_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["localhost", "hub.example", "*.lab.example"]
    monkeypatch.setattr(config, "get_option", {"server.allowedHosts": names}.__getitem__)
    assert not refusal(["hub.example"], ["https://hub.example"])
    assert not refusal(["a.lab.example:8443"], ["https://a.lab.example:8443"])
    assert refusal(["other.example"], [])


def test_every_answer_has_the_policy_also_a_refusal() -> None:
    for host, status in (("localhost", 200), ("attacker.example", 403)):
        answer = ask(Guard(greet), host=host)
        assert status_of(answer) == status
        sent = {name.decode(): value.decode() for name, value in answer[0]["headers"]}
        assert {name.lower(): value for name, value in POLICY.items()}.items() <= sent.items()
    assert "frame-ancestors 'self'" in POLICY["Content-Security-Policy"]


UPLOAD = "/lab/_stcore/upload_file/{}/file"


@pytest.mark.parametrize(
    ("session", "size", "status"),
    [("full", 1, 413), ("half", 50, 200), ("half", 51, 413), ("new", 100, 200), ("new", 101, 413)],
)
def test_uploads_of_a_session_have_a_limit(
    monkeypatch: pytest.MonkeyPatch, session: str, size: int, status: int
) -> None:
    monkeypatch.setattr(web_guard, "SESSION_BYTES", 100)
    monkeypatch.setattr(web_guard, "uploaded_bytes", lambda: {"full": 100, "half": 50})
    request = {"path": UPLOAD.format(session), "method": "PUT", "host": "localhost"}
    answer = ask(Guard(greet), **request, content_length=str(size))
    assert status_of(answer) == status
    assert (status == 413) == ("remove files that you no longer need" in body_of(answer))


def test_uploads_of_all_sessions_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_guard, "ALL_BYTES", 150)
    monkeypatch.setattr(web_guard, "uploaded_bytes", lambda: {"one": 80, "two": 60})
    request = {"path": UPLOAD.format("three"), "method": "PUT", "host": "localhost"}
    assert status_of(ask(Guard(greet), **request, content_length="10")) == 200
    assert status_of(ask(Guard(greet), **request, content_length="11")) == 413
    assert status_of(ask(Guard(greet), **request)) == 411


def test_uploads_that_arrive_together_share_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_guard, "SESSION_BYTES", 100)
    monkeypatch.setattr(web_guard, "uploaded_bytes", dict)
    request = {"path": UPLOAD.format("one"), "method": "PUT", "host": "localhost"}
    inner: list[int] = []

    async def store(scope: Scope, receive: Receive, send: Send) -> None:
        if not inner:
            inner.append(0)
            second = asyncio.to_thread(ask, guarded, **request, content_length="60")
            inner.append(status_of(await second))
        await greet(scope, receive, send)

    guarded = Guard(store)
    assert status_of(ask(guarded, **request, content_length="60")) == 200
    assert inner[1] == 413
    assert status_of(ask(guarded, **request, content_length="60")) == 200  # the first has ended
