"""The one port that all traffic passes: a proxy for the client, a page for people, and where nodes report.

A client with HTTPS_PROXY set says CONNECT host. For a host that the rehearsal plays, TLS ends here; another host is
passed through untouched, but for Azure itself: a rehearsal never reaches the real service.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import select
import socket
import sqlite3
import ssl
import sys
import threading
import time
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from aml_rehearsal import (
    assertions,
    certificates,
    file_shares,
    mlflow_page,
    node_reports,
    page,
    request_body,
    storage_door,
    visitors,
)
from aml_rehearsal.addresses import EVERYWHERE, LOOPBACK
from aml_rehearsal.faults import Fault
from aml_rehearsal.messages import Refusal, Reply, Request
from aml_rehearsal.services import ROUTERS
from aml_rehearsal.state import Unavailable
from aml_rehearsal.variables import way
from aml_rehearsal.webservice_door import WEB_SERVICES
from aml_rehearsal.workspace import Workspace

AZURE = (
    *("azure.com", "azure.net", "azureml.ms", "azureml.net", "windows.net", "microsoftonline.com", "microsoft.com"),
    *("visualstudio.com", "windowsazure.com", "applicationinsights.io", "azurecr.io", "azurewebsites.net"),
)
NOTED = 50_000  # requests that are remembered at least
HOP = {"transfer-encoding", "connection", "keep-alive", "content-length", "proxy-connection"}


class Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(
        self, workspace: Workspace, port: int = 0, *, internet: bool = False, host: str = LOOPBACK, outside: str = ""
    ) -> None:
        try:
            super().__init__((host, port), Connection)
        except OSError as error:
            free = "; without --port it takes a free one" if port else ""
            raise Unavailable(f"port {port}: {error.strerror}{free}") from None
        self.workspace = workspace
        self.internet = internet
        self.requests: list[str] = []  # one line each: METHOD host/path status
        self.shares = file_shares.hosts(workspace)
        self.played = {*ROUTERS, *workspace.blobs.hosts, *self.shares}
        made = certificates.make(workspace.folder, sorted(self.played))
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(made.certificate, made.key)
        workspace.entrance.url = self.url
        elsewhere = outside.rstrip("/") or self.url.replace(LOOPBACK, "localhost")
        workspace.entrance.outside = self.url if host == LOOPBACK else elsewhere
        # requests reads what it trusts again for each connection: where nobody else is reached, one root is enough.
        trusted = made.roots if internet else made.root
        workspace.entrance.variables = way(self.url, str(trusted), str(made.roots))

    @property
    def url(self) -> str:
        host, port = str(self.server_address[0]), self.server_address[1]
        return f"http://{LOOPBACK if host == EVERYWHERE else host}:{port}"

    def note(self, line: str) -> None:
        self.requests.append(line)
        if len(self.requests) > 2 * NOTED:
            del self.requests[:-NOTED]

    def close(self) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is not worth a traceback."""
        error = sys.exc_info()[1]
        if not isinstance(error, (OSError, ssl.SSLError)):
            super().handle_error(request, client_address)


class Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server
    host = ""  # of the service, once TLS is up
    timeout = 600
    disable_nagle_algorithm = True  # else the body of an answer waits for the client to acknowledge its headers: 40 ms

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 # the base class names it
        """The server keeps its own list."""

    def do_CONNECT(self) -> None:
        host, _, port = self.path.lower().rpartition(":")
        host = host.rstrip(".")
        if host not in self.server.played:
            self.pass_through(host, port)
            return
        self.send_response_only(200, "OK")
        self.end_headers()
        self.wfile.flush()
        self.connection = self.server.tls.wrap_socket(self.connection, server_side=True)
        self.rfile = self.connection.makefile("rb", -1)
        self.wfile = self.connection.makefile("wb", 0)  # as the base class makes it, unbuffered
        self.host = host
        self.close_connection = False

    def pass_through(self, host: str, port: str) -> None:
        """Let a host that is not Azure's be reached as without the rehearsal."""
        self.close_connection = True
        azure = any(host == domain or host.endswith(f".{domain}") for domain in AZURE)
        if azure or not self.server.internet:
            self.server.note(f"CONNECT {host} 403")
            self.send_error(403, "Not part of the rehearsal")
            return
        try:
            upstream = socket.create_connection((host, int(port)), timeout=30)
        except (OSError, ValueError, OverflowError) as error:
            self.send_error(502, f"{host}: {error}")
            return
        self.send_response_only(200, "OK")
        self.end_headers()
        self.wfile.flush()
        with upstream:
            pair = [self.connection, upstream]
            while True:
                ready, _, _ = select.select(pair, [], [], 300)
                if not ready:
                    return
                for end in ready:
                    data = end.recv(65536)
                    if not data:
                        return
                    (upstream if end is self.connection else self.connection).sendall(data)

    def handle_request(self) -> None:
        request = self.read_request()
        if request is None:
            self.hang_up(None)
            return
        if not self.host:
            self.reply(self.own(request))
            return
        fault = self.server.workspace.faults.take(request.method, request.host, request.path)
        if fault and self.strike(fault):
            return
        reply = self.answer(request)
        self.server.note(f"{request.method} {request.host}{request.path} {reply.status}")
        if fault and fault.drop in {"after", "half"}:
            self.hang_up(reply if fault.drop == "half" else None)
            return
        self.reply(reply)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = handle_request  # noqa: N815 # http.server's names

    def read_request(self) -> Request | None:
        """Read a request to its end; None where the caller went away before, or what it sends is not HTTP."""
        try:
            body = request_body.read(self.headers, self.rfile)
        except ValueError:
            return None
        target = urlsplit(self.path)
        headers = {name.lower(): text for name, text in self.headers.items()}
        pairs = parse_qsl(target.query, keep_blank_values=True)
        return Request(self.command, self.host, unquote(target.path), dict(pairs), headers, body, pairs=pairs)

    def strike(self, fault: Fault) -> bool:
        """Do what the fault says; tell whether the request is done with."""
        if fault.expire_tokens:
            self.server.workspace.tokens.expire_all()
        time.sleep(fault.delay)
        if fault.drop == "before":
            self.hang_up(None)
            return True
        if fault.status:
            body = {"error": {"code": "ServiceError", "message": f"Fault: {fault.status}", "details": []}}
            self.server.note(f"{self.command} {self.host}{self.path.partition('?')[0]} {fault.status}")
            self.reply(Reply(body, fault.status, dict(fault.headers)))
            return True
        return False

    def hang_up(self, reply: Reply | None) -> None:
        """Close the connection, after half an answer if there is one."""
        self.close_connection = True
        if reply is not None:
            body = as_bytes(reply)
            self.send_response(reply.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def answer(self, request: Request) -> Reply:
        if request.host in self.server.workspace.blobs.hosts:
            return self.forward(request)
        return self.serve(request)

    def serve(self, request: Request) -> Reply:
        try:
            if request.host in self.server.shares:
                return file_shares.answer(self.server.workspace, request, self.path)
            return ROUTERS[request.host].answer(self.server.workspace, request)
        except sqlite3.OperationalError as error:
            why = f"{self.server.workspace.state.lock.file}: {error}: nothing of this request is kept, all before is"
            print(f"ERROR: {why}", file=sys.stderr, flush=True)
            return Refusal(500, why, "InternalServerError").reply
        except Exception as error:
            traceback.print_exc()
            return Refusal(500, f"The rehearsal failed: {error!r}", "InternalServerError").reply

    def forward(self, request: Request) -> Reply:
        """Hand a request for blob storage to Azurite as it is, the name of the account in its Host header."""
        headers = {name: text for name, text in self.headers.items() if name.lower() not in HOP}
        if request.method in {"PUT", "POST"}:
            headers["Content-Length"] = str(len(request.body))
        address = storage_door.meant(self.server.workspace, request, self.path)
        try:
            signature = storage_door.enter(self.server.workspace, request)
        except storage_door.Shut as shut:
            return shut.reply
        if signature:
            address += ("&" if "?" in address else "?") + signature
            headers = {name: text for name, text in headers.items() if name.lower() != "authorization"}
        upstream = http.client.HTTPConnection("127.0.0.1", self.server.workspace.blobs.port, timeout=300)
        try:
            upstream.request(request.method, address, request.body or None, headers)
            response = upstream.getresponse()
            body = response.read()
            kept = {name: text for name, text in response.getheaders() if name.lower() not in HOP}
            if request.method == "HEAD":
                kept["Content-Length"] = response.getheader("Content-Length") or "0"
            return Reply(body, response.status, kept)
        except OSError as error:
            return Refusal(503, f"Azurite: {error}", "ServerBusy").reply
        finally:
            upstream.close()

    def own(self, request: Request) -> Reply:
        """Answer on the port itself: the page, the state, the nodes."""
        try:
            if request.path in visitors.PLACES or request.path.startswith(WEB_SERVICES):
                return visitors.answer(self.server.workspace, request, self.path)
            if request.path.startswith(assertions.PLACE):
                return assertions.answer(self.server.workspace.assertions, request)
            if request.path.startswith("/nodes/"):
                return node_reports.answer(self.server.workspace, request)
            if request.path.startswith(mlflow_page.PLACE):
                return mlflow_page.answer(self.server.workspace, request)
            return page.answer(self.server.workspace, request)
        except Refusal as refusal:
            return refusal.reply

    def reply(self, reply: Reply) -> None:
        body = as_bytes(reply)
        self.send_response(reply.status)
        told = {} if isinstance(reply.body, bytes) else {"Content-Type": "application/json; charset=utf-8"}
        headers = told | reply.headers
        headers.setdefault("Content-Length", str(len(body)))
        for name, text in headers.items():
            self.send_header(name, text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def as_bytes(reply: Reply) -> bytes:
    if isinstance(reply.body, bytes):
        return reply.body
    return b"" if reply.body is None else json.dumps(reply.body).encode()


def start(
    workspace: Workspace, port: int = 0, *, internet: bool = False, host: str = LOOPBACK, outside: str = ""
) -> Server:
    """Listen, in a thread of its own."""
    server = Server(workspace, port, internet=internet, host=host, outside=outside)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
