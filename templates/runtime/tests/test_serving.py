"""runtime/serving.py under load: large bodies, many requests at once, a worker that is killed."""

import json
import os
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from typing import Any

from tests.conftest import Server

Rows = list[dict[str, Any]]


def test_a_body_of_50_megabytes(server: Server, rows: Rows) -> None:
    """What else a row holds is not looked at, however much it is."""
    body = json.dumps({"data": [row | {"note": "x" * 10_000} for row in (rows * 2500)[:5000]]}).encode()
    assert len(body) > 50_000_000
    status, answer = server.post(body)
    assert (status, len(answer["predictions"])) == (200, 5000)
    status, answer = server.post(body[:-1])
    assert (status, answer["message"][:20]) == (400, "The body is not JSON")
    status, answer = server.post(body * 2)
    assert status == 400 and answer["message"].endswith("bytes are too many: one request may hold 100000000.")
    assert server.post({"data": rows})[0] == 200


def test_100_requests_at_once(server: Server, rows: Rows) -> None:
    bodies: list[dict[str, Rows]] = [{"data": rows[:1] if number % 10 else []} for number in range(100)]
    with ThreadPoolExecutor(len(bodies)) as pool:
        answers = list(pool.map(server.post, bodies))
    assert answers == [server.post(body) for body in bodies[:10]] * 10
    assert Counter(status for status, _ in answers) == {200: 90, 400: 10}


def test_a_worker_that_is_killed_loses_at_most_its_request(server: Server, rows: Rows) -> None:
    def status(number: int) -> int:
        if number == 50:
            os.kill(server.requests()[-1]["worker"], signal.SIGKILL)
        try:
            return server.post({"data": rows})[0]
        except (OSError, HTTPException):  # nothing came, or half of it
            return 0

    with ThreadPoolExecutor(4) as pool:
        lost = Counter(pool.map(status, range(200)))
    assert lost[200] >= 199 and lost[200] + lost[0] == 200
