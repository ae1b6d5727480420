"""score.py, through the real inference server and over HTTP."""

import json
from typing import Any

import pytest

Rows = list[dict[str, Any]]


def test_each_row_gets_a_label_and_its_probabilities(post: Any, rows: Rows) -> None:
    status, answer = post({"data": rows})
    assert status == 200
    assert len(answer["predictions"]) == len(rows)
    for prediction in answer["predictions"]:
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
        (b"[" * 100_000, "The body is not JSON"),
        (b"[]", 'a list of rows under "data"'),
        (b'{"rows": []}', 'a list of rows under "data"'),
        (b'{"data": []}', "no rows"),
        (b'{"data": [7]}', "Row 0 must be an object"),
        (b'{"data": [{}]}', "is missing"),
        (b'{"columns": 1, "data": [[]]}', '"columns" must be a list'),
        (b'{"columns": ["a", "a"], "data": [[1, 2]]}', "more than once"),
        (b'{"columns": ["a"], "data": [[1, 2]]}', "Row 0 must be a list of 1 values"),
        (json.dumps({"data": [{}] * 10_001}).encode(), "10001 rows are too many"),
    ],
)
def test_a_bad_request_is_400_with_a_sentence(post: Any, body: bytes, said: str) -> None:
    status, answer = post(body)
    assert status == 400
    assert said in answer["message"] and "Traceback" not in answer["message"]


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


def test_swagger_describes_the_columns_and_its_example_scores(get: Any, post: Any, rows: Rows) -> None:
    service = json.loads(get("/swagger.json"))["definitions"]
    data = service["ServiceInput"]["properties"]["data"]
    assert list(data["items"]["properties"]) == list(rows[0])
    status, answer = post(service["ServiceInput"]["example"])
    assert status == 200
    probabilities = service["ServiceOutput"]["properties"]["predictions"]["items"]["properties"]["probabilities"]
    assert probabilities["required"] == list(answer["predictions"][0]["probabilities"])
