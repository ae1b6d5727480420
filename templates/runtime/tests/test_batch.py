"""runtime/batch.py, by score_batch.py: stopped, killed or in several processes, it ends with the same rows."""

import itertools
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import score_batch
from runtime import input_schema
from tests.test_score_batch import answers, read, write_csv

Rows = list[dict[str, Any]]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def many(rows: Rows, outputs: Path, tmp_path: Path) -> Path:
    """Files in folders, one of them long, among things that are none of our business."""
    columns = input_schema.find(str(outputs))[1].columns
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
    for found, expected in zip(answers(two), answers(read(tmp_path / "one.csv")), strict=True):
        assert found == pytest.approx(expected, rel=1e-6, abs=1e-6)
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


def test_killed_at_any_moment_it_goes_on(batch: Run, batch_command: list[str], many: Path, tmp_path: Path) -> None:
    small = ("--input", many, "--rows-per-chunk", "5")
    batch(*small)
    whole = (tmp_path / "scores.csv").read_bytes()
    (tmp_path / "scores.csv").unlink()
    kills = 0
    for process in started(batch_command, tmp_path, *small, "--processes=2"):
        process.kill()
        process.communicate()
        if process.returncode == 0:
            break
        kills += 1
        if kills == 2:  # killed while it wrote: half a row, half a line
            with (tmp_path / "scores.csv.part").open("ab") as part, (tmp_path / "scores.csv.journal").open("ab") as log:
                part.write(b'"a.csv",')
                log.write(b'{"a.csv":[[')
            break
    assert kills == 2
    assert "an earlier run was stopped; --resume goes on" in batch(*small, expect=1).stderr
    batch(*small, "--resume", "--processes", "1")
    assert (tmp_path / "scores.csv").read_bytes() == whole
    assert sorted(path.name for path in tmp_path.glob("scores*")) == ["scores.csv"]


def test_a_killed_process_and_ctrl_c_are_one_line(
    batch: Run, batch_command: list[str], many: Path, tmp_path: Path
) -> None:
    small = ("--input", many, "--rows-per-chunk", "5")
    begun = started(batch_command, tmp_path, *small, "--processes=2")
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
    assert said[0] == "Bad file b/late.csv: row 499: 9 values, and the header has 8 columns"
    assert said[-1].startswith("ERROR: more bad files than --error-threshold 0")
    said = told(batch(*small, "--resume", "--error-threshold", "1", expect=1))
    assert [line.split(": ")[0] for line in said] == ["Bad file b/late.csv", "Bad file c.parquet", "ERROR"]
    (many / "c.parquet").unlink()
    done = batch(*small, "--resume", "--error-threshold", "1")
    assert done.stdout.startswith("Scored 14013 rows of 6 files, 1 bad ones left out")
    names = [row["file"] for row in read(tmp_path / "scores.csv")]
    assert list(dict.fromkeys(names)) == ["a.csv", "b/long.csv", "c d.csv", "e.parquet"]


def test_a_table_may_be_written_otherwise_than_that_of_the_training(
    batch: Run, rows: Rows, outputs: Path, tmp_path: Path
) -> None:
    plain, other = write_csv(tmp_path / "plain.csv", rows), tmp_path / "other.csv"
    batch("--input", plain)
    wanted = answers(read(tmp_path / "scores.csv"))
    frame = pd.read_csv(plain, dtype=str, keep_default_na=False)
    frame["note"] = "a; b, c"  # what another delimiter would part
    frame.map(lambda text: text.replace(".", ",")).to_csv(other, sep="|", index=False, encoding="utf-16-be")
    options = ("--delimiter", "|", "--decimal", ",", "--encoding", "utf-16-be")
    for processes in ("1", "2"):
        batch("--input", other, *options, "--processes", processes, "--rows-per-chunk", "1")
        found = answers(read(tmp_path / "scores.csv"))
        assert found == [pytest.approx(each, rel=1e-6, abs=1e-6) for each in wanted]

    columns = input_schema.find(str(outputs))[1].columns
    frame[next(column["name"] for column in columns if column["type"] == "category")] = "Zürich"
    frame.to_csv(other, index=False, encoding="latin-1")
    said = told(batch("--input", other, expect=1))
    assert said[0] == "Bad file other.csv: line 2: can't decode byte 0xfc as UTF-8; it fits --encoding windows-1252"
    said = told(batch("--input", other, "--resume", "--encoding", "windows-1252", expect=1))
    assert said[-1].endswith("was begun with another model or way of reading; --overwrite begins anew")
    done = batch("--input", other, "--overwrite", "--encoding", "windows-1252")
    assert done.stdout.startswith(f"Scored {len(rows)} rows")


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
