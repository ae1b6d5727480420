"""score.py, through the real inference server and over HTTP."""

import json
import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import MODEL, Server, command, free_port, numbers, served

Rows = list[dict[str, Any]]


def test_each_row_gets_its_answer(post: Any, rows: Rows, classifies: bool) -> None:
    """A label with the probability of every label; or a number, with two between which most such numbers lie."""
    status, answer = post({"data": rows})
    assert status == 200
    assert len(answer["predictions"]) == len(rows)
    for prediction in answer["predictions"]:
        if not classifies:
            assert list(prediction) == ["value", "low", "high"]
            assert prediction["low"] < prediction["value"] < prediction["high"]
            continue
        assert prediction["label"] == max(prediction["probabilities"], key=prediction["probabilities"].get)
        assert sum(prediction["probabilities"].values()) == pytest.approx(1, abs=1e-5)


def test_the_split_form_of_pandas_gets_the_same_answer(post: Any, rows: Rows) -> None:
    split = {"columns": list(rows[0]), "index": list(range(len(rows))), "data": [list(row.values()) for row in rows]}
    assert post(split) == post({"data": split}) == post({"data": rows})


def test_a_category_never_seen_and_missing_values_are_answered(post: Any, rows: Rows) -> None:
    unseen = {name: "never seen" if isinstance(value, str) else None for name, value in rows[0].items()}
    status, answer = post({"data": [unseen, dict.fromkeys(unseen)]})
    assert status == 200 and len(answer["predictions"]) == 2


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "The body is empty"),
        (b"{", "The body is not JSON"),
        (b'{"data": [{"\xff": 1}]}', "utf-8"),
        (b"[" * 100_000, "The body is not JSON"),
        (b"[]", 'a list of rows under "data"'),
        (b'{"rows": []}', 'a list of rows under "data"'),
        (b'{"data": []}', "no rows"),
        (b'{"data": [7]}', "Row 0 must be an object"),
        (b'{"data": [{}]}', "is missing"),
        (b'{"columns": 1, "data": [[]]}', '"columns" must be a list'),
        (b'{"columns": ["a", "a"], "data": [[1, 2]]}', "more than once"),
        (b'{"columns": ["a"], "data": [[1, 2]]}', "Row 0 must be a list of 1 values"),
        (json.dumps({"data": [{}] * 10_001}).encode(), "too many rows: one request may hold 10000"),
    ],
)
def test_a_bad_request_is_400_with_a_sentence(post: Any, body: bytes, said: str) -> None:
    status, answer = post(body)
    assert status == 400
    assert said.lower() in answer["message"].lower() and "Traceback" not in answer["message"]


def test_the_sentence_names_row_and_column(post: Any, rows: Rows) -> None:
    for name, value in rows[0].items():
        missing = [{key: rows[0][key] for key in rows[0] if key != name}]
        assert post({"data": missing}) == (400, {"message": f"Row 0: column {name!r} is missing."})
        if value is not None:
            wrong = [rows[0], rows[0] | {name: 1 if isinstance(value, str) else "much"}]
            status, answer = post({"data": wrong})
            assert status == 400
            assert answer["message"].startswith(f"Row 1: column {name!r} must be a")


def test_numbers_out_of_range_are_400(post: Any, rows: Rows) -> None:
    numbers = [name for name, value in rows[0].items() if isinstance(value, int | float)]
    for name in numbers:
        for number in (1e300, 10**400, float("inf")):
            status, answer = post({"data": [rows[0] | {name: number}]})
            assert (status, "too large" in answer["message"]) == (400, True)


def test_as_many_rows_as_a_request_may_hold(post: Any, rows: Rows) -> None:
    many = (rows * 10_000)[:10_000]
    status, answer = post({"data": many})
    assert (status, len(answer["predictions"])) == (200, 10_000)
    for many_said, alone in zip(answer["predictions"], post({"data": rows})[1]["predictions"], strict=False):
        assert numbers(many_said) == pytest.approx(numbers(alone), rel=1e-5, abs=1e-5)


def test_each_request_leaves_a_line_of_json(server: Server, rows: Rows, classifies: bool) -> None:
    before = len(server.requests())
    _, answer = server.post({"data": rows})
    server.post({"data": []})
    good, bad = server.requests()[before:]
    assert good["status"] == 200 and good["rows"] == len(rows) and good["ms"] > 0
    if classifies:
        assert good["labels"] == Counter(prediction["label"] for prediction in answer["predictions"])
    else:
        values = [prediction["value"] for prediction in answer["predictions"]]
        mean = pytest.approx(sum(values) / len(values))
        assert good["values"] == {"least": min(values), "mean": mean, "most": max(values)}
    assert (good["model"], good["code"]) == ("local", "abc1234")
    assert (bad["status"], bad["error"]) == (400, 'There are no rows under "data".')
    for worker in {line["worker"] for line in server.requests()}:
        numbers = [line["request"] for line in server.requests() if line["worker"] == worker]
        assert numbers == list(range(1, len(numbers) + 1))


def test_the_headers_name_the_version_of_the_model_and_the_code(server: Server, rows: Rows) -> None:
    for body in (b"{", json.dumps({"data": rows}).encode()):
        headers = server.ask(body)[2]
        assert (headers["x-model-version"], headers["x-code-commit"]) == ("local", "abc1234")


def test_a_deployed_model_tells_its_version_and_can_be_silent(outputs: Path, tmp_path: Path, rows: Rows) -> None:
    deployed = tmp_path / "azureml-models" / "churn" / "12"
    shutil.copytree(outputs / "model", deployed)
    with served(deployed, tmp_path / "log.txt", LOG_REQUESTS="false") as server:
        assert server.ask({"data": rows})[2]["x-model-version"] == "12"
        assert server.requests() == []


def test_without_a_model_the_server_does_not_start(tmp_path: Path) -> None:
    done = subprocess.run(
        command(tmp_path, free_port()), cwd=MODEL, env=os.environ, timeout=120, capture_output=True, text=True
    )
    assert done.returncode == 3
    (line,) = (line for line in done.stderr.splitlines() if line.startswith("ERROR: "))
    assert line == f"ERROR: {tmp_path}: expected one schema.json below it, found 0; is the model trained?"
    assert "Traceback" not in done.stdout + done.stderr


def test_swagger_describes_the_columns_and_its_example_scores(server: Server, post: Any, rows: Rows) -> None:
    service = json.loads(server.get("/swagger.json"))["definitions"]
    data = service["ServiceInput"]["properties"]["data"]
    assert list(data["items"]["properties"]) == list(rows[0])
    status, answer = post(service["ServiceInput"]["example"])
    assert status == 200
    described, (prediction,) = service["ServiceOutput"]["properties"]["predictions"]["items"], answer["predictions"]
    assert described["required"] == list(prediction)
    if "probabilities" in prediction:
        assert described["properties"]["probabilities"]["required"] == list(prediction["probabilities"])
