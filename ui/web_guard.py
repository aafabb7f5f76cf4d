"""What the server answers: requests that come from the app's own pages, and their answers' policy.

Streamlit itself checks the host of web sockets only, and trusts pages on any port of this machine.
Imports nothing but Streamlit and the server that it brings, so that it also guards the page that
says which libraries are missing.
"""

import re
from collections import Counter
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose
from streamlit import config

from ui.upload_memory import ALL_BYTES, SESSION_BYTES, uploaded_bytes

OWN_HOSTS = ("localhost", "127.0.0.1")
"""Names of this machine, where config.toml has none."""

POLICY = {
    "Content-Security-Policy": "; ".join(
        [
            "default-src 'self'",
            # Streamlit runs scripts of its page; the boards compile WebAssembly in a worker.
            "script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval' blob: data:",
            "style-src 'self' 'unsafe-inline' blob: data:",
            "img-src 'self' blob: data:",
            "font-src 'self' data:",
            "media-src 'self' blob: data:",
            "connect-src 'self' blob: data:",
            "worker-src 'self' blob:",
            "frame-src 'self' blob: data:",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            "frame-ancestors 'self'",
        ]
    ),
    "X-Frame-Options": "SAMEORIGIN",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Headers of every answer: pages of other sites neither frame the app nor read it, and its own
pages load nothing from other hosts, whatever a name or a note of a stranger contains."""

_UPLOAD = re.compile(r"/_stcore/upload_file/([^/]+)/[^/]+$")


class Guard:
    """Refuses requests of other sites, and uploads beyond the limits; adds `POLICY` to the answers.

    `Host` must be a name of `server.allowedHosts`, and `Origin`, which browsers send with web
    sockets and with everything that changes something, must have the same host and port.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._arriving: Counter[str] = Counter()  # bytes by session

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if reason := refusal(headers.getlist("host"), headers.getlist("origin")):
            if scope["type"] == "websocket":  # before it is accepted: the browser gets status 403
                await WebSocketClose(1008, reason)(scope, receive, send)
            else:
                answer = PlainTextResponse(reason, HTTPStatus.FORBIDDEN, POLICY)
                await answer(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
            return

        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(POLICY)
            await send(message)

        upload = _UPLOAD.search(scope["path"])
        if upload is None or scope["method"] != "PUT":
            await self._app(scope, receive, send_with_policy)
            return
        session, size = upload[1], headers.get("content-length", "")
        if not size.isdecimal():
            answer = PlainTextResponse("an upload states its size", HTTPStatus.LENGTH_REQUIRED)
            await answer(scope, receive, send_with_policy)
        elif reason := self._too_much(session, int(size)):
            answer = PlainTextResponse(reason, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            await answer(scope, receive, send_with_policy)
        else:
            self._arriving[session] += int(size)
            try:
                await self._app(scope, receive, send_with_policy)
            finally:
                self._arriving[session] -= int(size)
                self._arriving += Counter()  # drops zeros

    def _too_much(self, session: str, size: int) -> str:
        """Why an upload is refused, or ""."""
        held = uploaded_bytes()
        for kept, limit, what in (
            (held.get(session, 0) + self._arriving[session], SESSION_BYTES, "this tab"),
            (sum(held.values()) + self._arriving.total(), ALL_BYTES, "all tabs"),
        ):
            if kept + size > limit:
                return (
                    f"the uploads of {what} would take more than {limit // 2**20} MB: remove files "
                    "that you no longer need"
                )
        return ""


def refusal(hosts: list[str], origins: list[str]) -> str:
    """Why a request with these headers `Host` and `Origin` is not answered, or ""."""
    if len(hosts) != 1 or not _is_allowed(hosts[0]):
        return "This host is not allowed: start the app with --allow-host and its name."
    if not origins:  # no browser, or one that opens a page
        return ""
    origin = urlsplit(origins[0])
    if len(origins) > 1 or origin.scheme not in ("http", "https"):
        return "This origin is not allowed."
    # A proxy may serve the app by https; then neither side need name the port.
    ours = hosts[0].lower().removesuffix(":443" if origin.scheme == "https" else ":80")
    theirs = origin.netloc.lower().removesuffix(":443" if origin.scheme == "https" else ":80")
    return "" if ours == theirs else "Only the app's own pages may ask."


def _is_allowed(host: str) -> bool:
    name = re.sub(r":\d+$", "", host.lower()).rstrip(".")
    for allowed in config.get_option("server.allowedHosts") or OWN_HOSTS:
        if name == allowed.lower() or (allowed.startswith("*.") and name.endswith(allowed[1:])):
            return True
    return False
