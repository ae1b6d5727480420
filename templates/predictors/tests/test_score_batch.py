"""score_batch.py: the same answers as score.py's, for files of any size; stopped at any moment, it goes on."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import score_batch
from runtime import input_schema
from tests.conftest import MODEL, numbers

Rows = list[dict[str, Any]]
Columns = list[input_schema.Column]
Run = Callable[..., subprocess.CompletedProcess[str]]

# As a process of a ParallelRunStep does: init() once, then run() for each batch; prints the results.
STEP = """
import json, sys, pandas, score_batch
score_batch.init()
for batch in json.loads(sys.argv[1]):
    if isinstance(batch, dict):
        batch = pandas.DataFrame(**batch)
    try:
        print("RESULT", score_batch.run(batch).to_json(orient="records"))
    except ValueError as error:
        print("RESULT", json.dumps(str(error)))
"""


@pytest.fixture
def odd(rows: Rows) -> Rows:
    """Rows with holes, categories never seen and some that look like numbers; a column of numbers that ends early."""
    unseen = {name: 'never, "seen"\n' if isinstance(value, str) else None for name, value in rows[0].items()}
    number = {name: "01" if isinstance(value, str) else value for name, value in rows[0].items()}
    none = dict.fromkeys(rows[0])
    return [*rows, unseen, number, number | {"more": 1}, none, *rows]


def write_csv(path: Path, rows: Rows) -> Path:
    """A table with a column that the model does not know."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["an extra", *rows[0]], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return path


def read(path: Path) -> Rows:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def answers(rows: Rows) -> list[dict[str, float]]:
    """The numbers of each row; its label is compared by itself."""
    return [{name: float(row[name]) for name in row if name not in ("file", "row", "label")} for row in rows]


def test_csv_and_parquet_get_the_answers_of_the_server(batch: Run, post: Any, odd: Rows, tmp_path: Path) -> None:
    write_csv(tmp_path / "data/a.csv", odd)
    write_csv(tmp_path / 'data/it is, "so".csv', odd)
    pd.DataFrame(odd).to_parquet(tmp_path / "data/b.parquet", row_group_size=3)
    batch("--input", tmp_path / "data", "--rows-per-chunk", "2")
    results = read(tmp_path / "scores.csv")
    status, answer = post({"data": odd})
    assert status == 200
    wanted = [numbers(prediction) for prediction in answer["predictions"]]
    labels = [prediction.get("label") for prediction in answer["predictions"]]
    for file in ("a.csv", "b.parquet", 'it is, "so".csv'):
        own = [row for row in results if row["file"] == file]
        assert [row["row"] for row in own] == [str(number) for number in range(len(odd))]
        assert [row.get("label") for row in own] == labels
        for found, expected in zip(answers(own), wanted, strict=True):
            assert found == pytest.approx(expected, rel=1e-6, abs=1e-6)
    assert [name for name in results[0] if name not in ("file", "row", "label")] == list(wanted[0])


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--processes=0"], "--processes: 1 or more"),
        (["--rows-per-chunk=0"], "--rows-per-chunk: 1 or more"),
        (["--error-threshold=-2"], "--error-threshold: -1 or more"),
        (["--resume", "--overwrite"], "--resume or --overwrite, not both"),
        (["--output=scores.parquet"], "--output scores.parquet: must end with .csv"),
    ],
)
def test_wrong_use_is_one_line(args: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        score_batch.main(["--input=x", "--output=y.csv", *args])
    assert end.value.code == 2
    assert said in capsys.readouterr().err.splitlines()[-1]


def test_nothing_to_score_and_no_model_are_one_line(
    outputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = [f"--input={tmp_path}", f"--output={tmp_path / 'scores.csv'}"]
    assert score_batch.main([*own, f"--model={tmp_path}"]) == 1
    assert "is the model trained?" in capsys.readouterr().err
    assert score_batch.main([*own, f"--model={outputs}"]) == 1
    assert capsys.readouterr().err == f"ERROR: --input {tmp_path}: no file there that this model can score\n"
    assert score_batch.main([*own, f"--model={outputs}", "--input=nowhere"]) == 1
    assert capsys.readouterr().err == "ERROR: --input nowhere: no such file or folder\n"


def test_it_is_the_entry_script_of_a_step(outputs: Path, rows: Rows, post: Any, tmp_path: Path) -> None:
    """For each batch a row for each row: files, files with a bad one among them, and rows of a table."""
    files = [str(write_csv(tmp_path / f"{name}.csv", rows)) for name in "ab"]
    (tmp_path / "bad.csv").write_text("x\n")
    bad = str(tmp_path / "bad.csv")
    frame = {"data": [list(row.values()) for row in rows], "columns": list(rows[0])}
    batches = [files, [bad], [*files, bad], frame, {"data": [["x"] * len(rows[0])], "columns": list(rows[0])}]
    step = [sys.executable, "-c", STEP, json.dumps(batches), "--own-of-the-step=1", "--model", str(outputs)]
    done = subprocess.run(step, cwd=MODEL, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"Bad file {bad}: column" in done.stdout
    results = [json.loads(line[7:]) for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    whole, nothing, hidden, table, wrong = results
    predictions = post({"data": rows})[1]["predictions"]
    assert [(row["file"], row["row"]) for row in whole] == [(file, row) for file in files for row in range(len(rows))]
    assert answers(whole) == [pytest.approx(numbers(row), rel=1e-6, abs=1e-6) for row in predictions * 2]
    assert nothing == []
    assert hidden == f"1 of 3 files are bad, {bad} among them"
    assert [row.get("label") for row in table] == [row.get("label") for row in predictions]
    assert "must be a number, not 'x'" in wrong


def test_a_step_without_a_model_says_so(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "AZUREML_MODEL_DIR"}
    step = [sys.executable, "-c", STEP, "[]"]
    done = subprocess.run(step, cwd=MODEL, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("--model: missing among the step's arguments")
