"""A link with a delay, as a network has one: what comes in on one side goes out on the other some milliseconds later.

    python benchmarks/slow_link.py PORT MILLISECONDS

It says on which port it listens and leads to PORT on loopback. Each piece waits half the time on its way there and half
on its way back, beside all others: the delay takes nothing from the throughput. It ends with its standard input.
"""

from __future__ import annotations

import asyncio
import contextlib
import selectors
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

PINGS = 50
BLOCK = 8 << 20  # bytes, as many as the project's upload sends in one request
HERE = "127.0.0.1"


class Side(asyncio.Protocol):
    """One of the two connections that make a link."""

    def __init__(self, delay: float, port: int | None) -> None:
        self.delay, self.port = delay, port  # the port that leads on, for the side that is called
        self.loop = asyncio.get_running_loop()
        self.waiting: deque[bytes] = deque()  # for the other side, in the order of their coming; b"" is the end
        self.other: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.own = transport
        if self.port is not None:
            self.opening = self.loop.create_task(self.lead_on(self.port))

    async def lead_on(self, port: int) -> None:
        self.own.pause_reading()
        try:
            _, onward = await self.loop.create_connection(lambda: Side(self.delay, None), HERE, port)
        except OSError:
            self.own.abort()
            return
        self.other, onward.other = onward.own, self.own
        self.own.resume_reading()

    def data_received(self, data: bytes) -> None:
        self.waiting.append(data)
        self.loop.call_later(self.delay, self.pass_on)

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 (asyncio calls it with that)
        self.waiting.append(b"")
        self.loop.call_later(self.delay, self.pass_on)

    def pass_on(self) -> None:
        """Send the oldest piece: each has a call of its own, and all wait equally long."""
        piece = self.waiting.popleft()
        if self.other is None:
            return
        if piece:
            self.other.write(piece)
        else:
            self.other.close()


async def serve(port: int, delay: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Side(delay, port), HERE, 0, backlog=100)
    print(server.sockets[0].getsockname()[1], flush=True)
    over = asyncio.Event()
    loop.add_reader(sys.stdin, over.set)  # nobody writes there: what comes is its end
    await over.wait()
    server.close()


@contextlib.contextmanager
def link(port: int, milliseconds: float) -> Iterator[int]:
    """Run a link to a port, in a process of its own; yield the port that leads there."""
    command = [sys.executable, str(Path(__file__).resolve()), str(port), str(milliseconds)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin and process.stdout
        try:
            yield int(process.stdout.readline())
        finally:
            process.stdin.close()  # ends it


class Times(NamedTuple):
    """What a link does, in milliseconds."""

    ping: float  # there and back
    block: float  # for one of BLOCK bytes and its answer


def probe(milliseconds: float) -> tuple[Times, Times]:
    """Measure loopback without a link and with one."""
    with socket.create_server((HERE, 0)) as listener:
        threading.Thread(target=answer, args=[listener], daemon=True).start()
        port = listener.getsockname()[1]
        bare = measured(port)
        with link(port, milliseconds) as delayed:
            return bare, measured(delayed)


def answer(listener: socket.socket) -> None:
    """Answer the first connection's pings, then its blocks, with a byte each; then the second's."""
    for _ in range(2):
        connection, _ = listener.accept()
        with connection:
            for size in (1, BLOCK):
                for _ in range(PINGS):
                    left = size
                    while left:
                        left -= len(connection.recv(min(left, 1 << 18)))
                    connection.sendall(b".")


def measured(port: int) -> Times:
    with socket.create_connection((HERE, port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def one(size: int) -> float:
            content = bytes(size)
            began = time.perf_counter()
            connection.sendall(content)
            connection.recv(1)
            return (time.perf_counter() - began) * 1000

        return Times(*(median(one(size) for _ in range(PINGS)) for size in (1, BLOCK)))


def main() -> None:
    port, milliseconds = int(sys.argv[1]), float(sys.argv[2])
    # Python's epoll counts in whole milliseconds; select counts in millionths of a second.
    loop = asyncio.SelectorEventLoop(selectors.SelectSelector())
    with contextlib.suppress(KeyboardInterrupt):
        loop.run_until_complete(serve(port, milliseconds / 2000))


if __name__ == "__main__":
    main()
