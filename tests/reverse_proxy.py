"""A reverse proxy as in front of JupyterHub or code-server, on 127.0.0.1."""

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread

_CHUNK_BYTES = 2**16


@contextmanager
def reverse_proxy(app_port: int, prefix: str = "", *, strips: bool = False) -> Iterator[int]:
    """Serve an app below a path on another port; yields the port.

    HTTP and web sockets pass, with the Host that the browser has sent. Other paths get a 404.

    Args:
        app_port: port of the app on 127.0.0.1.
        prefix: path of the app, such as "/lab/dvae".
        strips: remove the prefix from each path, as jupyter-server-proxy does; nginx keeps it.
    """

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            first = self.rfile.readline().decode("latin-1")
            lines = list(iter(lambda: self.rfile.readline().decode("latin-1"), "\r\n"))
            if f" {prefix}/" not in first:
                status = HTTPStatus.NOT_FOUND
                self.wfile.write(f"HTTP/1.1 {status} {status.phrase}\r\n\r\n".encode())
                return
            if strips:
                first = first.replace(f" {prefix}/", " /", 1)
            if not any(re.match("upgrade:", line, re.I) for line in lines):
                # Else a second request on this connection would pass unchanged.
                lines = [line for line in lines if not re.match("connection:", line, re.I)]
                lines.append("Connection: close\r\n")
            with socket.create_connection(("127.0.0.1", app_port)) as app:
                app.sendall("".join([first, *lines, "\r\n"]).encode("latin-1"))
                sending = Thread(target=self._send_rest, args=(app,))
                sending.start()
                with suppress(OSError):
                    while data := app.recv(_CHUNK_BYTES):
                        self.wfile.write(data)
                with suppress(OSError):
                    self.connection.shutdown(socket.SHUT_RDWR)
                sending.join()

        def _send_rest(self, app: socket.socket) -> None:
            with suppress(OSError):
                while data := self.rfile.read1(_CHUNK_BYTES):
                    app.sendall(data)
            with suppress(OSError):
                app.shutdown(socket.SHUT_WR)

    class Server(ThreadingTCPServer):
        daemon_threads = True  # a web socket lasts as long as its tab

    with Server(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, args=(0.01,)).start()
        yield server.server_address[1]
        server.shutdown()
