"""score_batch.py: the same answers as score.py's, for files of any size; stopped at any moment, it goes on."""

import csv
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import score_batch
from runtime import input_schema
from runtime.batch import files
from runtime.data import read_table
from tests.conftest import DATA, MODEL

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


@pytest.fixture(scope="session")
def command(outputs: Path) -> list[str]:
    return [sys.executable, str(MODEL / "score_batch.py"), f"--model={outputs / 'model'}"]


@pytest.fixture
def batch(command: list[str], tmp_path: Path) -> Run:
    """Run score_batch.py as a user does: batch("--input", …); the result is scores.csv in tmp_path."""

    def run(*args: str | Path, expect: int = 0) -> subprocess.CompletedProcess[str]:
        own = [*command, f"--output={tmp_path / 'scores.csv'}", *map(str, args)]
        done = subprocess.run(own, cwd=tmp_path, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert done.returncode == expect, done.stderr
        return done

    return run


@pytest.fixture
def columns(outputs: Path) -> Columns:
    return input_schema.find(str(outputs))[1]


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


def probabilities(rows: Rows) -> list[list[float]]:
    return [[float(value) for name, value in row.items() if name.startswith("probability_")] for row in rows]


def test_csv_and_parquet_get_the_answers_of_the_server(batch: Run, post: Any, odd: Rows, tmp_path: Path) -> None:
    write_csv(tmp_path / "data/a.csv", odd)
    write_csv(tmp_path / 'data/it is, "so".csv', odd)
    pd.DataFrame(odd).to_parquet(tmp_path / "data/b.parquet", row_group_size=3)
    batch("--input", tmp_path / "data", "--rows-per-chunk", "2")
    results = read(tmp_path / "scores.csv")
    status, answer = post({"data": odd})
    assert status == 200
    wanted = [list(row["probabilities"].values()) for row in answer["predictions"]]
    labels = [row["label"] for row in answer["predictions"]]
    for file in ("a.csv", "b.parquet", 'it is, "so".csv'):
        own = [row for row in results if row["file"] == file]
        assert [row["row"] for row in own] == [str(number) for number in range(len(odd))]
        assert [row["label"] for row in own] == labels
        for found, expected in zip(probabilities(own), wanted, strict=True):
            assert found == pytest.approx(expected, abs=1e-6)
    assert list(results[0])[3:] == [f"probability_{label}" for label in answer["predictions"][0]["probabilities"]]


def test_a_table_in_chunks_is_read_as_train_py_reads_it(columns: Columns) -> None:
    """Every value, whatever the chunks are."""
    whole = input_schema.to_table(read_table(DATA), columns)
    inputs = files.list_inputs(DATA, columns)
    chunks = [chunk for chunk in files.read_chunks(inputs, columns, 7) if not chunk.last]
    for column in columns:
        name = column["name"]
        parts = [files.table(chunk.content, columns)[name].tolist() for chunk in chunks]
        assert str([value for part in parts for value in part]) == str(whole[name].tolist())


NUMBER: input_schema.Column = {"name": "x", "type": "number"}
CATEGORY: input_schema.Column = {"name": "c", "type": "category", "categories": ["a"]}


def values(file: Path, size: int = 2) -> list[tuple[float, str]]:
    """All rows of a file, read in chunks."""
    found: list[tuple[float, str]] = []
    for chunk in files.read_chunks({"it": file}, [NUMBER, CATEGORY], size):
        if isinstance(chunk.content, Exception):
            raise chunk.content
        if chunk.content is not None:
            assert chunk.row == len(found)
            table = files.table(chunk.content, [NUMBER, CATEGORY], chunk.row)
            found += zip(table["x"].tolist(), table["c"].tolist(), strict=True)
    return found


@pytest.mark.parametrize(
    "content",
    [
        "x,c\n1,a\n2,b\n3,c\n",
        "x,c\n\n1,a\n  \n2,b\n\n",
        "\ufeffx,c\r\n1,a\r\n2,b",
        'c,x\n"a, ""b""\nc",1\n5" pipe,2\n',
        "x,c,y\n1,01,\n2,1.0,z\n,007,\n4,True,\n",
        "x,c\nTrue,a\nFalse,b\n,c\nTrue,\n",
        "x,c\n1,a\n2\n3,c\n",
        "c,x\n" + "".join(f"{name},1\n" for name in files.MISSING),
        "x,c\n" + "".join(f"{name},a\n" for name in files.MISSING),
        "x,c\n 1 , a \n+2,b\n.5,c\n1e3,d\n12345678901234567890,e\n",
        "x,c\n",
    ],
)
def test_csv_is_read_as_pandas_reads_it(tmp_path: Path, content: str) -> None:
    file = tmp_path / "it.csv"
    file.write_text(content, encoding="utf-8", newline="")
    frame = pd.read_csv(file, dtype={"c": str})
    table = input_schema.to_table(frame, [NUMBER, CATEGORY])
    for size in (1, 2, 1000):
        assert str(values(file, size)) == str(list(zip(table["x"].tolist(), table["c"].tolist(), strict=True)))


def test_parquet_of_other_types_is_read_as_train_py_reads_it(tmp_path: Path) -> None:
    days = pd.to_datetime(["2024-01-01", None, "2024-01-02", "2024-01-03"])
    flags = pd.array([True, None, False, True], dtype="boolean")
    for number, category in (
        (flags, days),
        (pd.array([1, None, 3, 4], dtype="Int64"), pd.Categorical(["a", "b", None, "a"])),
        ([1, 2, 3, 4], [None] * 4),
    ):
        frame = pd.DataFrame({"c": category, "x": number})
        frame.to_parquet(tmp_path / "it.parquet", row_group_size=3)
        table = input_schema.to_table(frame, [NUMBER, CATEGORY])
        wanted = list(zip(table["x"].tolist(), table["c"].tolist(), strict=True))
        assert str(values(tmp_path / "it.parquet")) == str(wanted)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "No columns to parse"),
        ("x\n1\n", "column 'c' is missing"),
        ("x,c\n1,a\n2,b\n3,c\nmuch,d\n", "row 3: column 'x' must be a number, not 'much'"),
        ("x,c\n1,a\n1e300,b\n", "row 1: column 'x' holds a number that is infinite or too large"),
        ("x,c\ninf,a\n", "row 0: column 'x' holds a number that is infinite or too large"),
        ("x,c\n1,a\n2,b,3\n", "Expected 2 fields in line 3, saw 3"),
        ("x,c\n1,a,3\n2,b,3\n", "the first row has more values than there are columns"),
        ('x,c\n1,"a\n2,b\n', "EOF inside string"),
        (b"x,c\n1,\xff\n", "can't decode byte 0xff"),
        (b"PAR1" * 3, "Parquet"),
        (pd.DataFrame({"c": [1, 2], "x": [1, 2]}), "column 'c' must be text, not numbers (int64)"),
        (pd.DataFrame({"c": ["a", "b"], "x": ["1", "much"]}), "row 1: column 'x' must be a number, not 'much'"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_line(tmp_path: Path, content: Any, said: str) -> None:
    if isinstance(content, pd.DataFrame):
        file = tmp_path / "it.parquet"
        content.to_parquet(file)
    else:
        data = content.encode() if isinstance(content, str) else content
        file = tmp_path / ("it.parquet" if data.startswith(b"PAR1") else "it.csv")
        file.write_bytes(data)
    with pytest.raises(files.BadFile) as caught:
        values(file)
    assert said in str(caught.value) and "\n" not in str(caught.value)


@pytest.fixture
def many(rows: Rows, columns: Columns, tmp_path: Path) -> Path:
    """Files in folders, one of them long, among things that are none of our business."""
    numbers = [column["name"] for column in columns if column["type"] == "number"]
    endless = (row | dict.fromkeys(numbers, place % 50) for place, row in enumerate(itertools.cycle(rows)))
    folder = tmp_path / "many"
    for name, count in (("b/long.csv", 12_000), ("a.csv", 10), ("c d.csv", 3), (".hidden/x.csv", 1), ("b/none.csv", 1)):
        write_csv(folder / name, list(itertools.islice(endless, count)))
    (folder / "b/none.csv").write_text((folder / "a.csv").read_text().splitlines()[0] + "\n")
    (folder / "notes.txt").write_text("nothing to score")
    pd.read_csv(folder / "b/long.csv", nrows=2_000).to_parquet(folder / "e.parquet", row_group_size=700)
    return folder


def test_several_processes_keep_the_order(batch: Run, many: Path, tmp_path: Path) -> None:
    said = batch("--input", many, "--processes", "1").stdout
    assert said == f"Scored 14013 rows of 5 files: {tmp_path / 'scores.csv'}\n"
    one = (tmp_path / "scores.csv").read_bytes()
    counts = [("a.csv", 10), ("b/long.csv", 12_000), ("c d.csv", 3), ("e.parquet", 2_000)]
    wanted = [(name, str(row)) for name, count in counts for row in range(count)]
    assert [(row["file"], row["row"]) for row in read(tmp_path / "scores.csv")] == wanted
    batch("--input", many, "--processes", "2", "--rows-per-chunk", "97")
    two = read(tmp_path / "scores.csv")
    assert [(row["file"], row["row"]) for row in two] == wanted
    (tmp_path / "one.csv").write_bytes(one)
    for found, expected in zip(probabilities(two), probabilities(read(tmp_path / "one.csv")), strict=True):
        assert found == pytest.approx(expected, abs=1e-6)
    assert sorted(path.name for path in tmp_path.glob("scores*")) == ["scores.csv"]


def started(command: list[str], folder: Path, *args: str | Path) -> Iterator[subprocess.Popen[str]]:
    """Processes that have written something new to the journal, each as soon as it has."""
    journal = folder / "scores.csv.journal"
    while True:
        seen = journal.stat().st_size if journal.exists() else 0
        own = [*command, f"--output={folder / 'scores.csv'}", "--resume", *map(str, args)]
        process = subprocess.Popen(own, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while process.poll() is None and not (journal.exists() and journal.stat().st_size > max(seen, 100)):
            time.sleep(0.01)
        yield process


def test_killed_at_any_moment_it_goes_on(batch: Run, command: list[str], many: Path, tmp_path: Path) -> None:
    small = ("--input", many, "--rows-per-chunk", "10")
    batch(*small)
    whole = (tmp_path / "scores.csv").read_bytes()
    (tmp_path / "scores.csv").unlink()
    kills = 0
    for process in started(command, tmp_path, *small, "--processes=2"):
        time.sleep(random.random() * 0.6)
        process.kill()
        process.communicate()
        if process.returncode == 0:
            break
        kills += 1
        if kills == 2:  # killed while it wrote: half a row, half a line
            with (tmp_path / "scores.csv.part").open("ab") as part, (tmp_path / "scores.csv.journal").open("ab") as log:
                part.write(b'"a.csv",')
                log.write(b'{"a.csv":[[')
        if kills == 3:
            break
    assert kills >= 2
    assert "an earlier run was stopped; --resume goes on" in batch(*small, expect=1).stderr
    batch(*small, "--resume", "--processes", "1")
    assert (tmp_path / "scores.csv").read_bytes() == whole
    assert sorted(path.name for path in tmp_path.glob("scores*")) == ["scores.csv"]


def test_a_killed_process_and_ctrl_c_are_one_line(batch: Run, command: list[str], many: Path, tmp_path: Path) -> None:
    small = ("--input", many, "--rows-per-chunk", "5")
    begun = started(command, tmp_path, *small, "--processes=2")
    process = next(begun)
    listed = subprocess.run(
        ["ps", "-ww", "-A", "-o", "pid=", "-o", "ppid=", "-o", "args="], capture_output=True, text=True, check=True
    )
    found = [line.split(maxsplit=2) for line in listed.stdout.splitlines()]
    workers = [pid for pid, parent, args in found if parent == str(process.pid) and "spawn_main" in args]
    os.kill(int(workers[0]), signal.SIGKILL)
    stderr = process.communicate(timeout=60)[1]
    assert process.returncode == 1
    assert stderr.splitlines()[-1].startswith("ERROR: a process was killed") and "Traceback" not in stderr

    process = next(begun)
    process.send_signal(signal.SIGINT)
    stderr = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert (
        stderr.splitlines()[-1] == "Interrupted; the same command with --resume goes on" and "Traceback" not in stderr
    )
    assert "Scored 14013 rows of 5 files" in batch("--input", many, "--resume", "--processes", "1").stdout


def told(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What it said beside how far it has come."""
    return [line for line in done.stderr.splitlines() if not line.startswith("Scoring: ")]


def test_bad_files_are_told_counted_and_left_out(batch: Run, rows: Rows, many: Path, tmp_path: Path) -> None:
    """No row of a bad file is in the result, also where its first rows were fine."""
    late = (many / "b/long.csv").read_text().splitlines()
    (many / "b/late.csv").write_text("\n".join([*late[:500], late[1] + ",one more"]) + "\n")
    (many / "c.parquet").write_bytes(b"PAR1")
    small = ("--input", many, "--rows-per-chunk", "100", "--processes", "1")
    said = told(batch(*small, expect=1))
    assert said[0].startswith("Bad file b/late.csv: ") and "line 501" in said[0]
    assert said[-1].startswith("ERROR: more bad files than --error-threshold 0")
    said = told(batch(*small, "--resume", "--error-threshold", "1", expect=1))
    assert [line.split(": ")[0] for line in said] == ["Bad file b/late.csv", "Bad file c.parquet", "ERROR"]
    (many / "c.parquet").unlink()
    done = batch(*small, "--resume", "--error-threshold", "1")
    assert done.stdout.startswith("Scored 14013 rows of 6 files, 1 bad ones left out")
    names = [row["file"] for row in read(tmp_path / "scores.csv")]
    assert list(dict.fromkeys(names)) == ["a.csv", "b/long.csv", "c d.csv", "e.parquet"]


def test_what_has_changed_is_refused(
    outputs: Path, many: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], batch: Run
) -> None:
    bad = many / "d.csv"
    bad.write_text("nothing")
    batch("--input", many, expect=1)
    own = [f"--model={outputs / 'model'}", f"--input={many}", f"--output={tmp_path / 'scores.csv'}", "--resume"]

    def refused(said: str) -> None:
        assert score_batch.main(own) == 1
        assert said in capsys.readouterr().err

    write_csv(many / "a0.csv", [{"x": 1}])
    refused("a0.csv: was not there when b/long.csv was scored")
    (many / "a0.csv").unlink()
    kept = (many / "a.csv").read_bytes()
    (many / "a.csv").write_bytes(kept + b"\n")
    refused("a.csv: has changed since it was scored")
    (many / "a.csv").unlink()
    refused("a.csv: has changed since it was scored")
    bad.unlink()
    batch("--input", many, "--overwrite")


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
    answers = post({"data": rows})[1]["predictions"]
    assert [(row["file"], row["row"]) for row in whole] == [(file, row) for file in files for row in range(len(rows))]
    assert probabilities(whole) == [pytest.approx(list(row["probabilities"].values()), abs=1e-6) for row in answers * 2]
    assert nothing == []
    assert hidden == f"1 of 3 files are bad, {bad} among them"
    assert [row["label"] for row in table] == [row["label"] for row in answers]
    assert "must be a number, not 'x'" in wrong


def test_a_step_without_a_model_says_so(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "AZUREML_MODEL_DIR"}
    step = [sys.executable, "-c", STEP, "[]"]
    done = subprocess.run(step, cwd=MODEL, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("--model: missing among the step's arguments")
