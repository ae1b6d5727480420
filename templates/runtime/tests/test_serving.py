"""runtime/serving.py under load: large bodies, many at once, a killed worker; in all scripts of the world."""

import csv
import json
import os
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path
from typing import Any

from tests.conftest import Server, Train, served

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


def test_names_and_values_beyond_ascii(train: Train, tmp_path: Path) -> None:
    """As they are: in the request, the answer, the log's line, and what /swagger.json says of them."""
    labels = {"Zürich": "grüezi", "東京": "こんにちは", "🚀": '👋🏽 "a", b'}
    with (tmp_path / "data.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["größe", "ort 🏙", "gruß"])
        table.writerows([number % 7, city, labels[city]] for number in range(30) for city in labels)
    done = train(tmp_path, "--label", "gruß", data=tmp_path / "data.csv")
    assert done.returncode == 0, done.stderr
    rows = [{"größe": 3, "ort 🏙": city} for city in labels]
    split = {"columns": ["ort 🏙", "größe"], "data": [[city, 3] for city in labels]}
    bodies = [json.dumps(body, ensure_ascii=False).encode() for body in ({"data": rows}, split)]
    with served(tmp_path / "outputs", tmp_path / "log.txt") as server:
        for body in (*bodies, {"data": rows}):  # the last one is escaped
            status, answer = server.post(body)
            assert status == 200
            assert [row["label"] for row in answer["predictions"]] == list(labels.values())
            assert all(set(row["probabilities"]) == set(labels.values()) for row in answer["predictions"])
        wrong = "Row 0: column 'größe' must be a number, not \"東京\"."
        refused = server.post({"data": [{"größe": "東京", "ort 🏙": "東京"}]})
        described = json.loads(server.get("/swagger.json"))["definitions"]["ServiceInput"]
        said = (tmp_path / "log.txt").read_text(encoding="utf-8")
    assert refused == (400, {"message": wrong})
    lines = [json.loads(line) for line in said.splitlines() if line.startswith('{"time": ')]
    assert [line["labels"] for line in lines[:3]] == [dict.fromkeys(labels.values(), 1)] * 3
    assert lines[3]["error"] == wrong
    assert all(text in said for text in ("grüezi", "こんにちは", "👋🏽", "größe")), "for people to read"
    assert list(described["properties"]["data"]["items"]["properties"]) == ["größe", "ort 🏙"]
