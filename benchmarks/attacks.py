"""Measure what a good client feels of bad ones: its slowest hundredth with each attack, beside that without.

    python benchmarks/attacks.py --project my-aml-project

The attackers are a process of their own. They wait between two tries: what they take of the processors is not what is
measured.
"""

import argparse
import asyncio
import json
import resource
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from pathlib import Path
from statistics import quantiles
from typing import NamedTuple

from inference_server import Served, ask, serve
from project import bin_of, model_of, say, trained
from serve import read_rows

GOAL = 3.0  # the slowest hundredth with an attack, as a multiple of that without
FILES = 10_000
PAUSE = 0.005  # seconds between two requests of the good client
HEAD = b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
PART = b"10000\r\n" + b" " * 0x10000 + b"\r\n"


class Attack(NamedTuple):
    """What each of some clients sends: first once, then again and again, so many times a connection."""

    clients: int
    first: bytes
    again: bytes = b""
    pause: float = 1.0  # seconds between two of them
    times: int = 1_000_000


ATTACKS = {
    "idle sockets": Attack(50, b""),
    "slow headers": Attack(50, HEAD, b"X-A: b\r\n", 0.5),
    "slow bodies": Attack(50, HEAD + b"Content-Length: 100000\r\n\r\n", b" ", 0.2),
    "malformed chunks": Attack(50, CHUNKED + b"zz\r\n{}\r\n", times=1),
    "huge bodies": Attack(4, HEAD + b"Content-Length: 600000000\r\n\r\n", b" " * 0x10000, 0.01, 100),
    "huge chunked bodies": Attack(4, CHUNKED, PART, 0.01),
    "5,000 connections": Attack(5000, b""),
}


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure a good client's p99 while bad ones are connected.")
    parser.add_argument("--project", type=Path, help="a rendered and trained project (default: make one, for minutes)")
    parser.add_argument("--seconds", type=float, default=10, help="of each measurement (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=1, help="(default: %(default)s)")
    parser.add_argument("--azure", action="store_true", help="attack azmlinfsrv instead of the project's own server")
    args = parser.parse_args()
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        project = args.project.resolve() if args.project else trained(Path(folder))
        model = model_of(project)
        outputs = model / "outputs" / "model"
        row = read_rows(project / "data" / "model1" / "customers.csv", outputs / "schema.json")[0]
        body, azmlinfsrv = json.dumps({"data": [row]}).encode(), bin_of(model) / "azmlinfsrv"
        with serve(azmlinfsrv, model / "score.py", outputs, workers=args.workers, own=not args.azure) as server:
            slowest(server.port, body, 1)
            for name, attack in ATTACKS.items():
                before = slowest(server.port, body, args.seconds)
                during, lost = under(attack, server, body, args.seconds)
                after = slowest(server.port, body, args.seconds)
                ratio = during / max(before[0], after[0])
                worst = max(worst, ratio if not lost else float("inf"))
                memory = max(server.memory().values()) / 1024
                say(
                    f"{name:20} p99 {before[0]:7.2f} ms, attacked {during:7.2f}, after {after[0]:7.2f}:"
                    f" {ratio:5.2f} x (goal: {GOAL:g}); {lost} lost; a worker has {memory:.0f} MB"
                )
    return int(worst > GOAL)


def under(attack: Attack, server: Served, body: bytes, seconds: float) -> tuple[float, int]:
    """The same while an attack lasts."""
    spawn = get_context("spawn")
    ready = spawn.Event()
    attackers = spawn.Process(target=run, args=(attack, server.port, ready), daemon=True)
    attackers.start()
    try:
        if not ready.wait(60):
            sys.exit(f"ERROR: {attack.clients} clients could not connect in a minute")
        return slowest(server.port, body, seconds)
    finally:
        attackers.kill()
        attackers.join()


def slowest(port: int, body: bytes, seconds: float) -> tuple[float, int]:
    """The milliseconds of a good client's slowest hundredth, and how many of its requests were not answered."""
    times, lost, end = [], 0, time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.monotonic()
        try:
            ask(port, body)
        except OSError:
            lost += 1
        times.append(time.monotonic() - began)
        time.sleep(PAUSE)
    return (quantiles(times, n=100)[98] if len(times) > 1 else times[0]) * 1000, lost


def run(attack: Attack, port: int, ready: Event) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES if most < 0 else min(FILES, most), most))
    asyncio.run(attacked(attack, port, ready.set))


async def attacked(attack: Attack, port: int, ready: Callable[[], None]) -> None:
    connected = 0

    async def count() -> None:
        nonlocal connected
        connected += 1
        if connected == attack.clients:
            ready()

    await asyncio.gather(*(send(attack, port, count) for _ in range(attack.clients)))


async def send(attack: Attack, port: int, connected: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(attack.first)
            await connected()
            for _ in range(attack.times):
                await asyncio.sleep(attack.pause)
                if reader.at_eof():
                    break
                writer.write(attack.again)
                await writer.drain()
            writer.close()
        except OSError:
            await asyncio.sleep(attack.pause)


if __name__ == "__main__":
    sys.exit(main())
