"""runtime/batch.py, its output: what a killed run has left is taken up by its journal, or refused in one line."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime import batch
from runtime.batch import Output, Refused, header
from runtime.input_schema import Schema

STAMPS = {"a.csv": [10, 1], "b.csv": [20, 2], "c.csv": [30, 3]}
HEADER = b"file,row,label,probability_no,probability_yes\n"

Open = Callable[..., Output]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "folder" / "scores.csv"


@pytest.fixture
def opened(path: Path) -> Open:
    """The output of a run; the one before is killed."""
    runs: list[Output] = []

    def run(*, resume: bool = True, model: str = "m", stamps: dict[str, list[int]] = STAMPS) -> Output:
        for earlier in runs:
            earlier.lines.close()
            earlier.rows.close()
        runs.append(Output(path, model, header(Schema([], classes=["no", "yes"])), stamps))
        runs[-1].open(resume)
        return runs[-1]

    return run


def write(run: Output, name: str, rows: bytes, *, done: bool = False) -> None:
    """Score some rows of a file, each of them a line."""
    run.add([name], rows, rows.count(b"\n"), done, {})


def test_a_result_gets_its_name_when_all_is_scored(opened: Open, path: Path) -> None:
    run = opened(resume=False)
    assert run.position() == (0, 0) and not run.is_done("a.csv")
    write(run, "a.csv", b"a0\na1\n")
    assert run.position() == (0, 2) and not run.is_done("a.csv")
    write(run, "a.csv", b"", done=True)
    assert run.position() == (1, 0) and run.is_done("a.csv")
    write(run, "b.csv", b"b0\n", done=True)
    assert not path.exists()
    run.finish()
    assert path.read_bytes() == HEADER + b"a0\na1\nb0\n"
    assert {name: (entry.rows, entry.done) for name, entry in run.entries.items()} == {
        "a.csv": (2, True),
        "b.csv": (1, True),
    }
    assert [file.name for file in path.parent.iterdir()] == ["scores.csv"]


def test_a_killed_run_goes_on_behind_what_its_journal_counts(opened: Open, path: Path) -> None:
    run = opened()
    write(run, "a.csv", b"a0\n", done=True)
    write(run, "b.csv", b"b0\nb1\n")
    run.save()
    write(run, "b.csv", b"lost\n")
    with run.journal.open("ab") as journal:
        journal.write(b'{"b.csv":[[')  # a line that it had begun
    for rows in (b"b2\n", b"b3\n"):
        run = opened()
        assert run.is_done("a.csv") and run.position() == (1, run.entries["b.csv"].rows)
        write(run, "b.csv", rows)
        run.save()
    run = opened()
    write(run, "b.csv", b"", done=True)
    assert run.position() == (2, 0)
    run.finish()
    assert path.read_bytes() == HEADER + b"a0\nb0\nb1\nb2\nb3\n"


@pytest.mark.parametrize("resume", [True, False])
def test_without_a_row_that_counts_it_begins(opened: Open, path: Path, resume: bool) -> None:
    """Where an earlier run was killed at once, and where --overwrite does not want what it has left."""
    run = opened()
    write(run, "a.csv", b"old\n", done=True)
    if not resume:
        run.save()
    run = opened(resume=resume)
    assert run.position() == (0, 0)
    write(run, "a.csv", b"new\n", done=True)
    run.save()
    opened().finish()
    assert path.read_bytes() == HEADER + b"new\n"


def test_killed_in_its_very_last_moment_it_ends_the_same(opened: Open, path: Path) -> None:
    """The result has its name, the journal is still there."""
    run = opened()
    write(run, "a.csv", b"a0\n", done=True)
    run.save()
    run.part.replace(path)
    opened().finish()
    assert path.read_bytes() == HEADER + b"a0\n"
    assert [file.name for file in path.parent.iterdir()] == ["scores.csv"]


def test_the_result_of_an_earlier_run_stays_until_there_is_a_new_one(opened: Open, path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"earlier\n")
    run = opened()
    write(run, "a.csv", b"a0\n")
    run.save()
    run = opened()
    assert path.read_bytes() == b"earlier\n"
    write(run, "a.csv", b"a1\n", done=True)
    run.finish()
    assert path.read_bytes() == HEADER + b"a0\na1\n"


def test_what_is_shorter_than_its_journal_is_refused(opened: Open, path: Path) -> None:
    """As after a crash of the machine, or where somebody has cut it: rows would be missing, and nobody would know."""
    run = opened()
    write(run, "a.csv", b"a0\na1\n", done=True)
    run.save()
    whole = run.part.read_bytes()
    run.part.write_bytes(whole[:-1])
    with pytest.raises(Refused) as refused:
        opened()
    assert str(refused.value) == f"{path}.part: shorter than its journal says; --overwrite begins anew"
    assert run.part.read_bytes() == whole[:-1]
    run.part.write_bytes(whole)
    opened().finish()
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    ("model", "stamps", "said"),
    [
        ("other", STAMPS, "{path}.journal: was begun with another model"),
        ("m", STAMPS | {"b.csv": [20, 7]}, "b.csv: has changed since it was scored"),
        ("m", {"a.csv": [10, 1]}, "b.csv: has changed since it was scored"),
        ("m", {"a.csv": [10, 1], "aa.csv": [5, 5], "b.csv": [20, 2]}, "aa.csv: was not there when b.csv was scored"),
        ("m", STAMPS | {"c.csv": [0, 0], "d.csv": [0, 0]}, ""),
    ],
)
def test_what_has_changed_since_is_refused(
    opened: Open, path: Path, model: str, stamps: dict[str, list[int]], said: str
) -> None:
    """What is not scored yet may have."""
    run = opened()
    write(run, "a.csv", b"a0\n", done=True)
    write(run, "b.csv", b"b0\n")
    run.save()
    if not said:
        assert opened(model=model, stamps=stamps).position() == (1, 1)
        return
    with pytest.raises(Refused) as refused:
        opened(model=model, stamps=stamps)
    assert str(refused.value) == said.format(path=path) + "; --overwrite begins anew"


def test_one_process_writes_an_output(path: Path) -> None:
    first, second = (Output(path, "m", header(Schema([], classes=["no", "yes"])), STAMPS) for _ in range(2))
    first.open(resume=True)
    with pytest.raises(Refused) as refused:
        second.open(resume=True)
    assert str(refused.value) == f"{path}.journal: another process writes this output just now"


def test_a_bad_file_keeps_no_row(opened: Open, path: Path) -> None:
    """Also where its first rows were fine, are written, and counted by the journal."""
    run = opened()
    write(run, "a.csv", b"a0\n", done=True)
    write(run, "b.csv", b"b0\nb1\n")
    run.save()
    run.add(["b.csv"], b"", 0, False, {"b.csv": "torn"})
    assert run.bad_files() == 1 and run.is_done("b.csv")
    run = opened()
    assert run.bad_files() == 1 and run.position() == (2, 0)
    run.add(["c.csv"], b"", 0, False, {"c.csv": "torn at its first row"})
    assert run.bad_files() == 2 and [entry.rows for entry in run.entries.values()] == [1, 0, 0]
    run.finish()
    assert path.read_bytes() == HEADER + b"a0\n"


def test_a_file_that_is_taken_back_is_scored_again(opened: Open, path: Path) -> None:
    """A bad one too many ends a run: its owner repairs it, and the next run reads it from its first row."""
    run = opened()
    write(run, "a.csv", b"a0\n", done=True)
    write(run, "b.csv", b"b0\n")
    run.take_back("b.csv")
    run.save()
    run = opened(stamps=STAMPS | {"b.csv": [21, 9]})
    assert run.position() == (1, 0) and run.bad_files() == 0 and not run.is_done("b.csv")
    write(run, "b.csv", b"mended\n", done=True)
    run.finish()
    assert path.read_bytes() == HEADER + b"a0\nmended\n"


def test_of_a_group_of_images_each_that_is_good_is_a_row(opened: Open, path: Path) -> None:
    run = opened()
    run.add(["a.csv", "b.csv", "c.csv"], b"a\nc\n", 2, True, {"b.csv": "no image"})
    assert [(entry.rows, entry.done, entry.bad) for entry in run.entries.values()] == [
        (1, True, ""),
        (0, True, "no image"),
        (1, True, ""),
    ]
    run.save()
    run = opened()
    assert run.position() == (3, 0) and run.bad_files() == 1
    run.finish()
    assert path.read_bytes() == HEADER + b"a\nc\n"


def test_the_journal_is_written_now_and_then(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not with every chunk, which would wait for the disk each time."""
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    run = opened()

    def lines() -> list[dict[str, list[object]]]:
        return [json.loads(line) for line in run.journal.read_text().splitlines()[1:]]

    for chunk in range(7):
        write(run, "a.csv", b"row\n")
        now += batch.EVERY * 0.4
        assert len(lines()) == chunk // 3
    assert [line["a.csv"][1] for line in lines()] == [4, 7]


def test_names_of_classes_are_written_as_they_are(path: Path) -> None:
    run = Output(path, "m", header(Schema([], classes=["Zürich", 'a, "b"'])), STAMPS)
    run.open(resume=False)
    run.finish()
    assert path.read_text(encoding="utf-8") == 'file,row,label,probability_Zürich,"probability_a, ""b"""\n'


@pytest.mark.parametrize(("margin", "columns"), [(None, "file row value"), (2.0, "file row value low high")])
def test_a_regression_has_a_column_for_each_number(margin: float | None, columns: str) -> None:
    assert header(Schema([], "regression", margin=margin)) == columns.split()
