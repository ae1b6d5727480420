"""Load the rendered score.py for minutes at a steady rate, and kill one of its workers in the middle.

    python benchmarks/load.py --minutes 10

Requests are due at fixed times and each is timed from when it was due, so one that waits for others counts as slow.
The rate is the highest, in steps, at which the slowest hundredth takes less than ten times the median of a server
that is not busy: of the median under load it would take less as well when all of them wait for seconds. A rate that
keeps to that for some seconds and not for all the minutes is no such rate: then the next one is held as long.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from statistics import linear_regression, quantiles
from typing import NamedTuple

from inference_server import Served, ask, load, serve
from project import bin_of, model_of, say, trained
from serve import read_rows

CLIENTS = 8  # processes that send; more of them wait than are answered at once
WORKERS = 2
SHARES = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2)  # of the rate that 8 clients reach when each waits for its answer
TRY = 20.0  # seconds for each of them, before it is held
SPREAD = 10  # the slowest hundredth, as a multiple of the median
WARM = 10.0  # seconds after which a worker has what it needs
SAMPLE = 2.0  # seconds between two looks at the memory
AFTERMATH = 10.0  # seconds in which one worker does the work of two while another starts


class Outcome(NamedTuple):
    """What came of the requests: when each was due, the seconds from then to its answer, and what went wrong."""

    times: list[tuple[float, float]]
    errors: list[str]

    def cuts(self) -> tuple[float, float]:
        found = quantiles([taken for _, taken in self.times], n=100)
        return found[49] * 1000, found[98] * 1000

    def without(self, start: float, end: float) -> "Outcome":
        """The same without the requests that were due in some seconds."""
        return Outcome([(due, taken) for due, taken in self.times if not start <= due <= end], self.errors)


def main() -> int:
    parser = argparse.ArgumentParser(description="Load score.py at a steady rate; kill a worker in the middle.")
    parser.add_argument("--project", type=Path, help="a rendered and trained project (default: make one, for minutes)")
    parser.add_argument("--minutes", type=float, default=10, help="length of the load (default: %(default)s)")
    parser.add_argument(
        "--highest", type=float, default=max(SHARES),
        help="first rate to try, as a share of what the server can do at most (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--azure", action="store_true", help="load azmlinfsrv instead of the project's own server")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(CLIENTS) as pool:
        project = args.project.resolve() if args.project else trained(Path(folder))
        model = model_of(project)
        outputs = model / "outputs" / "model"
        body = json.dumps(
            {"data": [read_rows(project / "data" / "model1" / "customers.csv", outputs / "schema.json")[0]]}
        ).encode()
        with serve(
            bin_of(model) / "azmlinfsrv", model / "score.py", outputs, workers=WORKERS, own=not args.azure
        ) as server:
            load(pool, server, body, CLIENTS, 1)  # starts the pool's processes, and warms the server
            idle = load(pool, server, body, 1, 5).p50
            say(f"1 client: p50 {idle:.2f} ms")
            most = load(pool, server, body, CLIENTS, 5).rate
            say(f"{CLIENTS} clients, each waiting for its answer: {most:.0f} requests/s")
            for rate in (most * share for share in SHARES if share <= args.highest):
                outcome = collect(start(pool, server.port, body, rate, TRY))
                p50, p99 = outcome.cuts()
                say(f"{rate:6.0f} requests/s: p50 {p50:.2f} ms, p99 {p99:.2f} ms, {len(outcome.errors)} errors")
                if p99 < SPREAD * idle and not outcome.errors:
                    p99, errors = hold(pool, server, body, rate, idle=idle, seconds=args.minutes * 60)
                    if p99 < SPREAD * idle or errors > 1:
                        return int(errors > 1)
    sys.exit("ERROR: no rate keeps the slowest hundredth near the median: is the machine busy?")


def start(pool: ProcessPoolExecutor, port: int, body: bytes, rate: float, seconds: float) -> list[Future[Outcome]]:
    """Let all clients send, one after the other, at the rate that is theirs together."""
    first, step = time.monotonic() + 0.1, CLIENTS / rate
    return [
        pool.submit(send, port, body, first + number / rate, step, int(seconds / step)) for number in range(CLIENTS)
    ]


def send(port: int, body: bytes, first: float, step: float, count: int) -> Outcome:
    times, errors = [], []
    for number in range(count):
        due = first + number * step
        time.sleep(max(0.0, due - time.monotonic()))
        try:
            ask(port, body)
        except OSError as error:
            errors.append(f"{type(error).__name__}: {error}")
        times.append((due, time.monotonic() - due))
    return Outcome(times, errors)


def collect(futures: list[Future[Outcome]]) -> Outcome:
    outcomes = [future.result() for future in futures]
    return Outcome([t for one in outcomes for t in one.times], [e for one in outcomes for e in one.errors])


def hold(
    pool: ProcessPoolExecutor, server: Served, body: bytes, rate: float, *, idle: float, seconds: float
) -> tuple[float, int]:
    """Keep up the rate, kill a worker in the middle, watch the memory; return the steady p99 and the lost requests."""
    say(f"{seconds / 60:g} minutes at {rate:.0f} requests/s, {WORKERS} workers; one is killed in the middle")
    began = time.monotonic()
    futures = start(pool, server.port, body, rate, seconds)
    killed, memory = 0.0, {pid: list[tuple[float, float]]() for pid in server.workers()}
    while not all(future.done() for future in futures):
        time.sleep(SAMPLE)
        now = time.monotonic() - began
        for pid, kilobytes in server.memory().items():
            memory.setdefault(pid, []).append((now, kilobytes / 1024))
        if not killed and now > seconds / 2:
            killed = now
            os.kill(server.workers()[0], signal.SIGKILL)
    outcome = collect(futures)
    steady = outcome.without(began + killed, began + killed + AFTERMATH)
    for what, some in (("in all", outcome), (f"without the {AFTERMATH:.0f} s after the kill", steady)):
        p50, p99 = some.cuts()
        say(
            f"{len(some.times)} requests {what}: p50 {p50:.2f} ms, p99 {p99:.2f} ms, {p99 / p50:.1f} x the median"
            f" under load, {p99 / idle:.1f} x that of an idle server (goal: {SPREAD})"
        )
    say(f"{len(outcome.errors)} lost of those that the killed worker was at (goal: at most 1): {outcome.errors[:3]}")
    for pid, all_samples in memory.items():
        samples = [(when, size) for when, size in all_samples if when > all_samples[0][0] + WARM]
        slope = linear_regression(*zip(*samples, strict=True)).slope * 60 if len(samples) > 1 else 0.0
        last = f"{samples[0][1]:.1f} MB at first, {samples[-1][1]:.1f} at last" if samples else "not seen"
        say(f"worker {pid}: {last}, {slope:+.3f} MB a minute")
    return steady.cuts()[1], len(outcome.errors)


if __name__ == "__main__":
    sys.exit(main())
