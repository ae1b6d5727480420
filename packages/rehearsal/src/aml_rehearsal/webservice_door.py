"""The door of a web service: its address, at which the key is checked before a container is asked."""

from __future__ import annotations

import contextlib
import http.client
import json
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aml_rehearsal import request_body

HOP = {"transfer-encoding", "connection", "keep-alive", "content-length", "host"}
WEB_SERVICES = "/webservices/"  # where the rehearsal's own port hands on what clients elsewhere ask of one
SECONDS = 300  # that an answer may take; the server in the container has a limit of its own


class Door(ThreadingHTTPServer):
    """Listens on a free port of loopback as long as the service is there; containers come and go behind it."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, prefix: str, admits: Callable[[str | None], bool]) -> None:
        super().__init__(("127.0.0.1", 0), Visit)
        self.prefix = prefix
        self.admits = admits
        self.container_port = 0  # none as yet
        self.changed = threading.Condition()
        self.visits: Counter[int] = Counter()  # requests underway, by the container's port
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{self.prefix}"

    @contextlib.contextmanager
    def visit(self) -> Iterator[int]:
        """The port of the container that a request goes to, which is not drained before the request is answered."""
        with self.changed:
            port = self.container_port
            self.visits[port] += 1
        try:
            yield port
        finally:
            with self.changed:
                self.visits[port] -= 1
                self.changed.notify_all()

    def turn(self, port: int) -> int:
        """Let new requests go to another container, or to none; return the port of the one before."""
        with self.changed:
            before, self.container_port = self.container_port, port
            return before

    def drain(self, port: int, seconds: float) -> None:
        """Wait until a container has answered all that it was asked."""
        with self.changed:
            self.changed.wait_for(lambda: not self.visits[port], seconds)

    def close(self) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that hangs up is not worth a traceback."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class Visit(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Door
    timeout = 600

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 # the base class names it
        """The server in the container keeps the log."""

    def handle_request(self) -> None:
        try:
            body = request_body.read(self.headers, self.rfile)
        except ValueError:
            self.close_connection = True
            return
        if not self.server.admits(self.headers.get("Authorization")):
            self.refuse(
                401, "This service wants a key of its own: Authorization: Bearer KEY", {"WWW-Authenticate": "Bearer"}
            )
        elif not self.path.startswith(self.server.prefix + "/"):
            self.refuse(404, f"This service is at {self.server.url}")
        else:
            with self.server.visit() as port:
                if port:
                    self.pass_on(port, body)
                else:
                    self.refuse(503, "No ready replicas for this service")

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = handle_request  # noqa: N815 # http.server's names

    def pass_on(self, port: int, body: bytes) -> None:
        """Ask the container, and hand its answer back as it is."""
        path = self.path.removeprefix(self.server.prefix)
        try:
            self.reply(*ask(port, self.command, path, body, dict(self.headers.items())))
        except (OSError, http.client.HTTPException) as error:
            self.refuse(502, f"The container closed the connection before it had answered: {error}")

    def refuse(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        body = json.dumps({"message": message}).encode()
        self.reply(status, body, {"Content-Type": "application/json"} | (headers or {}))

    def reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response_only(status)
        for name, text in headers.items():
            if name.lower() not in HOP:
                self.send_header(name, text)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def ask(port: int, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes, dict[str, str]]:
    """Ask what listens on a port of loopback; the status, the body and the headers of its answer."""
    upstream = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    kept = {name: text for name, text in headers.items() if name.lower() not in HOP}
    try:
        upstream.request(method, path, body or None, kept)
        response = upstream.getresponse()
        return response.status, response.read(), dict(response.getheaders())
    finally:
        upstream.close()
