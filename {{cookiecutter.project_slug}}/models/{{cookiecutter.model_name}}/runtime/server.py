"""Serve score.py with the answers of Azure ML's inference server, by a server that no client can stop.

python -m runtime.server --entry_script score.py --model_dir outputs/model --port 5001 --workers 2

azmlinfsrv's own Flask application answers. Around it is another server: it waits for all clients at once, so that slow
ones cost a little memory and no worker; and it hands an ordinary request to run() itself, which is most of the speed.
"""

import argparse
import asyncio
import contextlib
import gc
import io
import json
import logging
import os
import re
import resource
import signal
import socket
import sys
import time
import traceback
import uuid
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import unquote_to_bytes

import httptools
import uvloop

MOST_BODIES = 2  # bodies of the largest size that may be arriving; beyond that, small ones alone are taken
SMALL_BODY = 65_536
MOST_HEADERS = 32_768
MOST_CONNECTIONS = 10_000  # of a worker, if it may open as many files; the one that came first makes room
OTHER_FILES = 100  # that a worker has open: libraries, the model
WAITING = 4_096  # connections that no worker has taken yet, if the kernel allows as many
READ = 16_384  # bytes at once: a client's turn, before others have theirs

HEADERS_TIME = 20.0  # seconds until the headers are there
BODY_TIME = 60.0  # seconds for a body, and more for one that comes faster than:
BODY_RATE = 100_000  # bytes a second
IDLE_TIME = 75.0  # seconds between two requests of a connection
SEND_TIME = 60.0  # seconds until a client has taken what was answered
LINGER_TIME = 2.0  # seconds for a client to read why it was refused
LINGER_BODY = 262_144  # bytes that are thrown away meanwhile
GOODBYE_TIME = 8.0  # seconds for what has begun when the server ends; containers are killed after ten

BOOT_FAILED = 3  # the exit code of a score.py that refuses to start
PORT_TAKEN = 1

Answer = tuple[int, list[tuple[str, str]], bytes]  # status, headers and body


def main() -> int:
    parser = argparse.ArgumentParser(description="Serve score.py; the other options are those of azmlinfsrv.")
    parser.add_argument("--host", default="127.0.0.1", help="(default: %(default)s)")
    parser.add_argument("--port", type=int, default=5001, help="(default: %(default)s)")
    parser.add_argument("--workers", type=int, default=int(os.environ.get("WORKER_COUNT", "1")), help="processes")
    args, others = parser.parse_known_args()
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((args.host, args.port))
    except OSError as error:
        print(f"ERROR: port {args.port} of {args.host}: {error.strerror} (PORT= names another)", file=sys.stderr)
        return PORT_TAKEN
    listener.listen(WAITING)
    print(f"Serving at http://{args.host}:{args.port}/score; Ctrl-C ends it.", flush=True)
    sys.argv = ["azmlinfsrv", *others, "--port", str(args.port)]  # which azmlinfsrv's own code reads
    return Workers(listener).run(args.workers)


class Workers:
    """The processes that answer. One that was killed is started again; the port stays open meanwhile."""

    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        self.started: dict[int, float] = {}  # when, by process id
        self.ending = False
        self.alive, self.mine = os.pipe()  # workers see the end of it when this process ends, however it does

    def run(self, count: int) -> int:
        for sign in (signal.SIGTERM, signal.SIGINT):
            signal.signal(sign, self.end)
        for _ in range(count):
            self.start()
        code = 0
        while self.started:
            pid, status = os.wait()
            if pid not in self.started:
                continue  # an orphan, which the first process of a container gets
            lived = time.monotonic() - self.started.pop(pid)
            if os.waitstatus_to_exitcode(status) == BOOT_FAILED:
                code = BOOT_FAILED
                self.end()
            elif not self.ending:
                print(f"Worker {pid} has ended: another one starts.", file=sys.stderr, flush=True)
                time.sleep(max(0.0, 1 - lived))  # one that can't live would else take a processor for itself
                self.start()
        return code

    def start(self) -> None:
        # A signal that came in between would be lost: the worker has no handler yet, and is not known.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
        pid = 0 if self.ending else os.fork()
        if pid:
            self.started[pid] = time.monotonic()
        elif not self.ending:
            os.close(self.mine)
            work(self.listener, self.alive)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})

    def end(self, *_: object) -> None:
        """Have the workers end what they have begun; those that can't are killed."""
        self.ending = True
        self.tell(signal.SIGTERM)
        signal.signal(signal.SIGALRM, lambda *_: self.tell(signal.SIGKILL))
        signal.alarm(int(GOODBYE_TIME) + 1)

    def tell(self, sign: signal.Signals) -> None:
        for pid in self.started:
            os.kill(pid, sign)


def work(listener: socket.socket, alive: int) -> None:
    """Be a worker, and never return."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the first one ends the others
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})
    code = BOOT_FAILED
    try:
        script = Script()
        gc.freeze()  # what is loaded now stays: no need to look through it again
        code = 1
        uvloop.run(Server(script).serve(listener, alive))
        code = 0
    except SystemExit:
        pass  # azmlinfsrv's code has said why
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


class Request:
    """What a client has sent."""

    def __init__(self) -> None:
        self.method = ""
        self.target = b""
        self.version = "1.1"
        self.headers: dict[str, str] = {}
        self.body = bytearray()
        self.keep_alive = False


class Script:
    """score.py, and azmlinfsrv's application around it."""

    def __init__(self) -> None:
        for name in ("azmlinfsrv", "azmlinfsrv.user_script", "azmlinfsrv.swagger"):
            logging.getLogger(name).addFilter(lambda record: record.levelno > logging.WARNING)
        trouble = "Error while fetching model IDs"  # which it has with any folder but those of Azure ML
        logging.getLogger("azmlinfsrv.trace").addFilter(lambda record: record.msg != trouble)
        from azureml_inference_server_http import amlserver

        amlserver.merge_configuration(amlserver.parse_arguments())
        amlserver.validate_environment_variables()
        amlserver.set_path_variable()
        from azureml_inference_server_http.api.aml_response import AMLResponse
        from azureml_inference_server_http.server import config, input_parsers
        from azureml_inference_server_http.server.entry import app  # loads score.py, and calls its init()

        from runtime import serving

        self.app, self.response, self.origin = app, AMLResponse, serving.origin
        self.most_body = serving.max_bytes
        self.server_version = os.environ.get("HTTP_X_MS_SERVER_VERSION", "")
        script, insights = app.azml_blueprint.user_script, app.azml_blueprint.appinsights_client
        self.run: Callable[[str], Any] = script.get_run_function()
        # What a request needs beyond run(), Flask's application has; and with @rawhttp run() takes Flask's request.
        takes_text = isinstance(script.input_parser, input_parsers.JsonStringInput)
        limited = "SCORING_TIMEOUT_MS" in os.environ
        alone = not config.config.cors_origins and not insights.enabled and not limited
        self.direct = takes_text and alone and self.run in serving.handled_runs
        self.in_thread = not takes_text and not limited  # such a request may take minutes: "/" is answered meanwhile

    def answer(self, request: Request) -> Answer:
        if self.direct and request.target == b"/score" and request.method == "POST":
            kind = request.headers.get("content-type", "").lstrip().lower()
            if not kind.startswith(("multipart/form-data", "application/x-www-form-urlencoded")):
                ids = request_ids(request.headers)
                with contextlib.suppress(UnicodeDecodeError):
                    if ids is not None:
                        return self.score(str(request.body, "utf-8"), request, ids)
        return self.by_flask(request)

    def score(self, text: str, request: Request, headers: list[tuple[str, str]]) -> Answer:
        """Answer as azmlinfsrv's routes.py does, without Flask: tests compare both."""
        began = time.perf_counter()
        try:
            output = self.run(text)
            headers.append(("x-ms-run-fn-exec-ms", f"{(time.perf_counter() - began) * 1000:.3f}"))
        except Exception:
            logging.getLogger("azmlinfsrv").error("Encountered Exception: %s", traceback.format_exc())
            message = {"message": "An unexpected error occurred in scoring script. Check the logs for more info."}
            output = self.response(message, 500, json_str=True, run_function_failed=True)
        headers += [("x-model-version", self.origin["model"]), ("x-code-commit", self.origin["code"])]
        if self.server_version:
            headers.append(("x-ms-server-version", self.server_version))
        if "traceid" in request.headers:
            headers.append(("TraceId", request.headers["traceid"]))
        if isinstance(output, self.response):
            return output.status_code, [*output.headers.items(), *headers], output.get_data()
        try:
            body = json.dumps(output if output is not None else {}).encode()
        except Exception:
            logging.getLogger("azmlinfsrv").error("Encountered Exception: %s", traceback.format_exc())
            message = {"message": "An unexpected internal error occurred. Check the logs for more info."}
            failed = self.response(message, 500, json_str=True)
            return 500, [*failed.headers.items(), *headers], failed.get_data()
        headers += [("x-ms-run-function-failed", "False"), ("Content-Type", "application/json")]
        return 200, headers, body

    def by_flask(self, request: Request) -> Answer:
        """Call azmlinfsrv's application by WSGI."""
        path, _, query = request.target.partition(b"?")
        environ: dict[str, Any] = {
            "REQUEST_METHOD": request.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
            "QUERY_STRING": query.decode("latin-1"),
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": os.environ["SERVER_PORT"],
            "SERVER_PROTOCOL": f"HTTP/{request.version}",
            "CONTENT_LENGTH": str(len(request.body)),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(request.body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": False,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
        }
        for name, value in request.headers.items():
            if name == "content-type":
                environ["CONTENT_TYPE"] = value
            elif name not in ("content-length", "transfer-encoding") and "_" not in name:  # _ would pass for -
                environ["HTTP_" + name.upper().replace("-", "_")] = value
        answered: list[Any] = []
        parts = self.app(environ, lambda status, headers, error=None: answered.extend((status, headers)))
        try:
            body = b"".join(parts)
        finally:
            getattr(parts, "close", lambda: None)()
        status, headers = answered
        return int(status[:3]), headers, body


def request_ids(sent: dict[str, str]) -> list[tuple[str, str]] | None:
    """The headers that name a request in its answer, as azmlinfsrv has them; None if it would refuse them."""
    request = sent.get("x-request-id") or ("" if "x-request-id" in sent else str(uuid.uuid4()))
    legacy, client = sent.get("x-ms-request-id", ""), sent.get("x-ms-client-request-id", "")
    if legacy or len(request) > 100 or len(client) > 100:
        return None
    ids = {"x-request-id": request, "x-ms-request-id": client or request, "x-ms-client-request-id": client}
    return [(name, value) for name, value in ids.items() if value]


class Server:
    """One worker's connections."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.connections: dict[Connection, None] = {}  # in the order in which they came
        self.most = MOST_CONNECTIONS
        self.buffer = bytearray(READ)  # of all: what is in it is parsed at once
        self.arriving = 0  # bytes of bodies
        self.thread = ThreadPoolExecutor(1)
        self.date = formatdate(usegmt=True)
        self.ending = False

    async def serve(self, listener: socket.socket, alive: int) -> None:
        loop = asyncio.get_running_loop()
        _, allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
        files = MOST_CONNECTIONS + OTHER_FILES
        files = files if allowed == resource.RLIM_INFINITY else min(files, allowed)
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, allowed))
        self.most = files - OTHER_FILES
        ended = asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, ended.set)
        loop.add_reader(alive, ended.set)
        # A worker takes one connection at a time, so that the others get theirs; the queue before them is long.
        server = await loop.create_server(lambda: Connection(self, loop), sock=listener, backlog=1)
        listener.listen(WAITING)
        sweeping = loop.create_task(self.sweep(loop))
        print(f"Worker {os.getpid()} is ready.", file=sys.stderr, flush=True)
        await ended.wait()
        loop.remove_reader(alive)
        server.close()
        self.ending = True
        over = loop.time() + GOODBYE_TIME
        while self.connections and loop.time() < over:
            for connection in list(self.connections):
                connection.end_if_idle()
            await asyncio.sleep(0.02)
        sweeping.cancel()

    async def sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        """Once a second, end what is overdue."""
        while True:
            self.date = formatdate(usegmt=True)
            now = loop.time()
            for connection in list(self.connections):
                if now > connection.until + len(connection.request.body) / BODY_RATE:
                    connection.overdue()
            await asyncio.sleep(1)

    def make_room(self) -> None:
        for connection in self.connections:
            if not connection.answering:
                connection.transport.abort()
                del self.connections[connection]
                return


class Connection(asyncio.BufferedProtocol):
    """A client, and its requests one after the other."""

    transport: asyncio.Transport

    def __init__(self, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        self.server, self.loop = server, loop
        self.parser = httptools.HttpRequestParser(self)
        self.request = Request()
        self.waiting: deque[Request] = deque()  # what a client has sent before it had its answer
        self.answering = False
        self.closing = False  # nothing more is read
        self.headers_size = 0
        self.in_body = False
        self.thrown_away = 0
        self.until = loop.time() + HEADERS_TIME

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.server.connections[self] = None
        if len(self.server.connections) > self.server.most:
            self.server.make_room()

    def connection_lost(self, error: Exception | None) -> None:
        self.server.connections.pop(self, None)
        self.closing = True
        self.forget_body()
        while self.waiting:
            self.server.arriving -= len(self.waiting.popleft().body)

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.server.buffer

    def buffer_updated(self, size: int) -> None:
        if self.closing:
            self.thrown_away += size
            if self.thrown_away > LINGER_BODY:
                self.transport.pause_reading()  # the client may look at its answer, or wait for its end
            return
        if not self.in_body:
            self.headers_size += size
        try:
            self.parser.feed_data(memoryview(self.server.buffer)[:size])
        except httptools.HttpParserUpgrade:  # asked for another protocol, and answered in this one
            self.closing = True
            if not self.answering:
                self.transport.close()
        except httptools.HttpParserCallbackError:  # an error of what the parser calls, below
            traceback.print_exc()
            self.refuse(500, "An unexpected internal error occurred. Check the logs for more info.")
        except httptools.HttpParserError as error:
            if not self.closing:
                self.refuse(400, f"The request is no HTTP: {error}.")
        if self.headers_size > MOST_HEADERS and not self.in_body and not self.closing:
            self.refuse(431, f"The headers must not exceed {MOST_HEADERS} bytes.")

    def eof_received(self) -> bool:
        return self.answering  # whoever has sent all may still read

    def pause_writing(self) -> None:
        self.until = self.loop.time() + SEND_TIME
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        if not self.answering:
            self.transport.resume_reading()

    # What the parser calls.

    def on_message_begin(self) -> None:
        self.request = Request()
        if not self.closing:
            self.until = self.loop.time() + HEADERS_TIME

    def on_url(self, part: bytes) -> None:
        self.request.target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        known = self.request.headers
        known[key] = f"{known[key]},{text}" if key in known else text

    def on_headers_complete(self) -> None:
        request = self.request
        self.in_body, self.headers_size = True, 0
        request.method = self.parser.get_method().decode("latin-1")
        request.version = self.parser.get_http_version()
        self.until = self.loop.time() + BODY_TIME
        request.target = re.sub(rb"^https?://[^/?]*", b"", request.target)  # as to a proxy
        length, expected = (request.headers.get(name, "").lower() for name in ("content-length", "expect"))
        if length.isdigit() and int(length) > self.server.script.most_body:
            self.too_large()
        elif not request.target.startswith(b"/") and (request.method, request.target) != ("OPTIONS", b"*"):
            self.refuse(400, "The request names no path.")
        elif expected and expected != "100-continue":
            self.refuse(417, "The request expects something other than 100-continue.")
        elif expected and not self.closing:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, part: bytes) -> None:
        if self.closing:
            return
        self.request.body += part
        self.server.arriving += len(part)
        size = len(self.request.body)
        if size > self.server.script.most_body:
            self.too_large()
        elif size > SMALL_BODY and self.server.arriving > MOST_BODIES * self.server.script.most_body:
            self.refuse(503, "Too many large requests are arriving: send this one again.")

    def on_message_complete(self) -> None:
        self.in_body = False
        if self.closing:
            return
        self.request.keep_alive = self.parser.should_keep_alive() and not self.server.ending
        request, self.request = self.request, Request()
        if self.answering:
            self.waiting.append(request)
        else:
            self.take(request)

    # Answers.

    def take(self, request: Request) -> None:
        script = self.server.script
        if script.in_thread and request.target.startswith(b"/score"):
            self.answering = True
            self.until = float("inf")
            self.transport.pause_reading()
            future = self.loop.run_in_executor(self.server.thread, script.answer, request)
            future.add_done_callback(lambda done: self.taken(request, done.result()))
        else:
            self.server.arriving -= len(request.body)
            self.send(request, script.answer(request))

    def taken(self, request: Request, answer: Answer) -> None:
        """Go on where a thread has answered."""
        self.answering = False
        self.server.arriving -= len(request.body)
        if self.transport.is_closing():
            return
        self.send(request, answer)
        while self.waiting and not self.answering and not self.transport.is_closing():
            self.take(self.waiting.popleft())
        if not self.answering and not self.transport.is_closing():
            self.transport.resume_reading()

    def send(self, request: Request, answer: Answer) -> None:
        status, headers, body = answer
        lines = [f"HTTP/{request.version} {status} {phrase(status)}\r\nDate: {self.server.date}"]
        lines += [f"{name}: {value}" for name, value in headers]
        if not any(name.lower() == "content-length" for name, _ in headers) and status not in (204, 304):
            lines.append(f"Content-Length: {len(body)}")
        if not request.keep_alive:
            lines.append("Connection: close")
        elif request.version == "1.0":
            lines.append("Connection: keep-alive")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
        self.transport.write(head if request.method == "HEAD" else head + body)
        self.until = self.loop.time() + IDLE_TIME
        if not request.keep_alive:
            self.closing = True
            self.transport.close()

    def refuse(self, status: int, message: str) -> None:
        """Say what is wrong, and read nothing more than the client needs to see it."""
        self.closing = True
        self.forget_body()
        body = json.dumps({"message": message}).encode()
        head = f"HTTP/1.1 {status} {phrase(status)}\r\nDate: {self.server.date}\r\nContent-Type: application/json\r\n"
        self.transport.write(f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
        if self.transport.can_write_eof() and not self.transport.is_closing():
            self.transport.write_eof()
        self.until = self.loop.time() + LINGER_TIME

    def too_large(self) -> None:
        self.refuse(413, f"The body must not exceed {self.server.script.most_body} bytes.")

    def forget_body(self) -> None:
        self.server.arriving -= len(self.request.body)
        self.request = Request()
        self.in_body = False

    def overdue(self) -> None:
        begun = self.in_body or self.headers_size
        if begun and not self.closing:
            self.refuse(408, "The request took too long to arrive.")
        else:
            self.transport.abort()

    def end_if_idle(self) -> None:
        if self.closing or not (self.answering or self.in_body or self.headers_size):
            self.transport.close()


def phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


if __name__ == "__main__":
    sys.exit(main())
