"""A search on this computer: its trials, what becomes of each, and what is left of a search that was stopped."""

import csv
import errno
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from aml_project import alone, work_folder
from aml_project.commands import search as search_command
from aml_project.search import record, trials
from aml_project.search.definition import parse
from aml_project.search.engines import local
from aml_project.search.results import write_combinations
from aml_project.search.sampling import Study
from search.quick_search import Quick, lives
from tests.aml import aml, start
from tests.owner import PATIENCE, wait_for

# Where a search is killed, and at which time it is there; it comes to the last four once.
KILLS = [
    f"{point}:{time}"
    for time in (1, 2, 3)
    for point in (
        "before trial noted", "after trial noted", "before trial starts", "after trial starts", "after trial ends",
        "before result noted", "after result noted",
    )
] + ["before trials.csv", "after trials.csv", "before index.html", "after index.html"]  # fmt: skip


def test_each_trial_is_a_training_with_its_own_outputs(quick: Quick) -> None:
    done = aml(quick.root, "search")
    assert (done.code, done.err) == (0, "")
    rows = quick.rows()
    assert [row["trial"] for row in rows] == ["1", "2", "3", "4"]
    assert {row["state"] for row in rows} == {"complete"}
    for row in rows:
        folder = quick.results / "trials" / f"{int(row['trial']):04}"
        assert (folder / "outputs" / "model" / "x.txt").read_text() == row["x"]
        assert f"x is {row['x']}\n" == (folder / "log.txt").read_text()
        assert float(row["score"]) == pytest.approx(1 - (float(row["x"]) - 0.3) ** 2)
        assert not [path for path in folder.iterdir() if path.is_symlink()]
    best = max(rows, key=lambda row: float(row["score"]))
    assert f"Best of 4: trial {best['trial']}, score {float(best['score']):.6g}: x=" in done.out
    assert len(quick.starts()) == 4


def test_a_script_that_writes_beside_itself_writes_to_its_trial(quick: Quick) -> None:
    """Also where it follows links on the way, and with a module of its own beside it."""
    (quick.folder / "beside.py").write_text("NAME = 'mine.txt'\n")
    train = quick.folder / "train.py"
    mine = "import beside\n(pathlib.Path(__file__).resolve().parent / 'outputs' / beside.NAME).write_text('here')\n"
    train.write_text(train.read_text().replace("sys.exit(0)", mine))
    assert aml(quick.root, "search", "--trials", "2").code == 0
    assert len(list(quick.results.glob("trials/*/outputs/mine.txt"))) == 2
    assert not (quick.folder / "outputs" / "mine.txt").exists()


def test_called_again_it_says_what_there_is_and_starts_nothing(quick: Quick) -> None:
    aml(quick.root, "search")
    again = aml(quick.root, "search")
    assert again.code == 0
    assert "Going on: 4 of 4 trials are done" in again.out
    assert len(quick.starts()) == 4
    more = aml(quick.root, "search", "--trials", "6")
    assert "Best of 6" in more.out
    assert sorted(quick.starts()) == ["0001", "0002", "0003", "0004", "0005", "0006"]


def test_the_values_of_a_number_do_not_depend_on_when_it_was_stopped(quick: Quick) -> None:
    aml(quick.root, "search", "--trials", "6")
    at_once = [row["x"] for row in quick.rows()]
    assert "--fresh: 6 earlier trials are removed" in aml(quick.root, "search", "--fresh", "--trials", "3").out
    aml(quick.root, "search", "--trials", "6")
    assert [row["x"] for row in quick.rows()] == at_once
    assert len(set(at_once)) == 6


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("crash", "ended with the code 1: ValueError: no such data"),
        ("signal", "killed by signal 9: x is 0.5"),
        ("nothing", "train.py has written no outputs/metrics.json"),
        ("nan", "no score that is a number in outputs/metrics.json; it has no number"),
        ("text", "outputs/metrics.json: no JSON: Expecting value"),
        ("list", "outputs/metrics.json: names no metrics"),
        ("other", "no score that is a number in outputs/metrics.json; it has other"),
    ],
)
def test_a_trial_that_fails_is_one_that_failed_and_the_search_goes_on(quick: Quick, how: str, why: str) -> None:
    quick.says(("x: {low: 0.0, high: 1.0}", f"how: [fine, {how}]"), ("random", "grid"), ("trials: 4", "trials: 2"))
    done = aml(quick.root, "search")
    assert done.code == 0, done.err
    fine, bad = quick.rows()
    assert (fine["state"], bad["state"]) == ("complete", "failed")
    assert bad["why"].startswith(why)
    assert not (quick.results / "trials" / "0002" / "outputs").exists()
    assert why.partition(":")[0] in aml(quick.root, "search", "--list").out


def test_what_would_fail_each_trial_is_refused_before_the_first(quick: Quick) -> None:
    quick.says(("x: {low", "m: {low"), ("metric: score", "metric: scores"))
    done = aml(quick.root, "search")
    assert done.code == 1
    unknown, unwritten = done.err.splitlines()
    assert unknown.startswith("ERROR: models/quick/search.yml: parameters.m: train.py has no --m: ")
    assert unwritten.startswith("ERROR: models/quick/search.yml: metric: train.py writes no scores: ")
    assert quick.starts() == []
    assert "none of 4 trials has a scores" in aml(quick.root, "search", "--skip-check").err


def test_a_trial_that_hangs_is_ended(quick: Quick) -> None:
    quick.says(
        ("x: {low: 0.0, high: 1.0}", "how: [hang, fine]"),
        ("random", "grid"),
        ("trials: 4", "trials: 2"),
        ("goal:", "trial-minutes: 0.02\ngoal:"),
    )
    done = aml(quick.root, "search")
    assert done.code == 0, done.err
    assert [row["state"] for row in quick.rows()] == ["failed", "complete"]
    assert quick.rows()[0]["why"] == "took longer than trial-minutes: 0.02"
    assert hanging(quick) == []


def test_when_all_fail_the_code_says_so(quick: Quick) -> None:
    quick.says(("x: {low: 0.0, high: 1.0}", "how: [crash]"))
    done = aml(quick.root, "search")
    assert done.code == 1
    assert done.err.startswith("ERROR: none of 4 trials has a score: trial ")
    assert done.err.endswith(" ended with the code 1: ValueError: no such data\n")


def test_a_grid_is_gone_through_once(quick: Quick) -> None:
    parameters = [
        "x: {low: 0.1, high: 0.3, step: 0.1}",
        "fast: [true, false]",
        "n: {low: 2, high: 3, when: {fast: true}}",
    ]
    quick.says(("x: {low: 0.0, high: 1.0}", "\n  ".join(parameters)), ("random", "grid"), ("trials: 4", "trials: 30"))
    done = aml(quick.root, "search")
    assert "The grid has no more than 9 combinations." in done.out
    tried = [(row["x"], row["fast"], row["n"]) for row in quick.rows()]
    flags = [("True", "2"), ("True", "3"), ("False", "")]
    assert sorted(tried) == sorted((x, *flag) for x in ("0.1", "0.2", "0.3") for flag in flags)


def test_what_of_a_grid_was_cut_short_is_not_tried_under_another_number_too(quick: Quick) -> None:
    quick.says(("x: {low: 0.0, high: 1.0}", "x: [0.1, 0.2, 0.3]"), ("random", "grid"))
    process = start(quick.root, "search", AML_PROJECT_DIE_AT="after trial starts:2")
    assert process.communicate(timeout=PATIENCE) and process.returncode == -signal.SIGKILL
    done = aml(quick.root, "search")
    assert "The grid has no more than 3 combinations." in done.out
    assert [(row["trial"], row["x"]) for row in quick.rows()] == [("1", "0.1"), ("2", "0.2"), ("3", "0.3")]


def test_the_first_trials_do_not_wait_for_optuna(quick: Quick, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine of them: the tenth is drawn by what the others have reached."""
    monkeypatch.setattr(local, "OPTUNA", "no_such_module")
    assert aml(quick.root, "search", "--trials", "9").code == 0
    done = aml(quick.root, "search", "--trials", "10")
    assert done.err == "ERROR: No module named 'no_such_module'\n"


def test_a_grid_with_folds_is_judged_by_the_mean_of_each_combination(quick: Quick) -> None:
    """The x that is best in one fold is not the one that is best in all."""
    train = quick.folder / "train.py"
    text = train.read_text().replace("score = 1 -", "score = (args.n == 2) * (args.x == 0.9) -")
    train.write_text(text)
    quick.says(
        ("x: {low: 0.0, high: 1.0}", "x: [0.9, 0.25, 0.35]"),
        ("random", "grid\nfolds: {n: [1, 2, 3]}"),
        ("trials: 4", "trials: 30"),
    )
    done = aml(quick.root, "search")
    assert done.code == 0, done.err
    assert len(quick.rows()) == len(quick.starts()) == 9
    assert [(row["x"], row["n"]) for row in quick.rows()[:4]] == [
        ("0.9", "1"),
        ("0.9", "2"),
        ("0.9", "3"),
        ("0.25", "1"),
    ]
    assert "Best of 9: trial 4, score -0.0025, the mean of 3 folds: x=0.25\n" in done.out
    with (quick.results / "combinations.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["x"], row["folds"]) for row in rows] == [("0.25", "3"), ("0.35", "3"), ("0.9", "3")]
    assert float(rows[2]["mean score"]) == pytest.approx(1 / 3 - 0.36)
    assert rows[0]["trials"].split() == ["4", "5", "6"] and float(rows[0]["standard deviation"]) == 0
    assert "trial 4, score -0.0025, the mean of 3 folds" in (quick.results / "index.html").read_text()


@pytest.mark.parametrize("ended", itertools.permutations((4, 5, 6)))
def test_the_order_in_which_fits_end_changes_nothing(tmp_path: Path, ended: tuple[int, ...]) -> None:
    """0.1 + 0.2 + 0.3 is more than 0.3 + 0.2 + 0.1, and one of two equals would lead by chance."""
    search, _ = parse(
        "metric: m\ngoal: maximize\nalgorithm: grid\nfolds: {fold: [1, 2, 3]}\nparameters:\n  x: [1, 2]\n"
    )
    assert search is not None
    fits = {
        number: record.Trial(number, {"x": 1 + number // 4, "fold": number % 3 + 1}, record.COMPLETE, {"m": value})
        for number, value in zip((1, 2, 3, 4, 5, 6), (0.1, 0.2, 0.3) * 2, strict=True)
    }
    order = [fits[number] for number in (*ended, 1, 2, 3)]
    assert record.best(order, search) is fits[1]
    write_combinations(tmp_path / "combinations.csv", order, search)
    with (tmp_path / "combinations.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["x"], row["trials"]) for row in rows] == [("1", "1 2 3"), ("2", "4 5 6")]


@pytest.mark.parametrize("algorithm", ["tpe", "bayesian"])
def test_what_learns_finds_more_than_chance(quick: Quick, algorithm: str) -> None:
    search, _ = parse(
        f"metric: m\ngoal: minimize\nalgorithm: {algorithm}\nparameters:\n  x: {{low: 0.0, high: 1.0}}\n"
        "  rate: {low: 1.0e-4, high: 1.0, log: true}\n  kind: [good, bad]\n  n: {low: 1, high: 3, when: {kind: bad}}"
    )
    assert search is not None
    study = Study(search, [])
    losses = []
    for number in range(1, 41):
        values: dict[str, Any] = study.propose(number) or {}
        assert search.fits(values)
        loss = (values["x"] - 0.3) ** 2 + (values["kind"] == "bad") + abs(values["rate"] - 0.01)
        losses.append(loss)
        study.over(record.Trial(number, values, record.COMPLETE, {"m": loss}))
    assert min(losses[20:]) < 0.02
    assert sum(losses[20:]) < sum(losses[:20]) / 2


def test_what_is_worse_by_step_ends_early(quick: Quick) -> None:
    quick.says(
        ("x: {low: 0.0, high: 1.0}", "x: [0.3, 0.4, 0.2, 0.5, 0.9]\n  epochs: [10]"), ("random", "grid"),
        ("trials: 4", "trials: 5"), ("parallel: 2", "parallel: 1\nstop: {policy: median, after: 2}"),
    )  # fmt: skip
    done = aml(quick.root, "search")
    assert done.code == 0, done.err
    rows = quick.rows()
    assert [row["state"] for row in rows] == [*["complete"] * 4, "stopped early"]
    assert float(rows[-1]["score"]) == pytest.approx(1 - 0.36)


def test_a_policy_without_anything_by_step_is_told(quick: Quick) -> None:
    quick.says(("parallel: 2", "parallel: 2\nstop: {policy: bandit}"))
    done = aml(quick.root, "search")
    assert done.err == "NOTE: stop: train.py has logged no score by step, so that no trial could end early\n"


def test_a_second_search_in_a_folder_is_refused(quick: Quick) -> None:
    with alone.in_folder(quick.results, "search"):
        done = aml(quick.root, "search")
    assert done.code == 1
    assert done.err == (
        f"ERROR: models/quick/outputs/search: a search is running here (process {os.getpid()}):"
        " wait for it, or end it with --stop\n"
    )


def test_an_edited_search_says_what_still_fits(quick: Quick) -> None:
    quick.says(("x: {low: 0.0, high: 1.0}", "x: [0.1, 0.2, 0.7, 0.8]"), ("random", "grid"))
    aml(quick.root, "search")
    quick.says(("x: {low: 0.0, high: 1.0}", "x: {low: 0.5, high: 1.0}"))
    done = aml(quick.root, "search")
    assert done.err == (
        "NOTE: search.yml: has changed since: 2 of 4 earlier trials still fit and count; 2 do not, and stay in the list"
        " alone\n"
    )
    assert "Going on: 2 of 4 trials are done" in done.out
    assert len(quick.starts()) == 6
    assert "Best of 4: trial " in done.out


def test_a_disk_that_is_full_ends_the_search_in_one_line_and_loses_nothing(
    quick: Quick, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = record.Record.over

    def full(self: record.Record, trial: record.Trial) -> record.Trial:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(record.Record, "over", full)
    done = aml(quick.root, "search")
    assert done.code == 1
    assert done.err == (
        "ERROR: models/quick/outputs/search: No space left on device: make room, then the same command goes on\n"
    )
    monkeypatch.setattr(record.Record, "over", real)
    assert aml(quick.root, "search").code == 0
    assert sorted(quick.starts()) == ["0001", "0002", "0003", "0004"], "what had ended was taken as it was"


def test_a_real_limit_of_the_system_is_such_a_disk(quick: Quick) -> None:
    """The record may grow to 512 bytes, which ends within a line."""
    command = ["sh", "-c", 'ulimit -f 1; exec "$@"', "sh", sys.executable, "-m", "aml_project", "search"]
    env = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}  # or this package's own would be cut as well
    done = subprocess.run(command, cwd=quick.root, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        1, "ERROR: models/quick/outputs/search: File too large: make room, then the same command goes on\n",
    )  # fmt: skip
    kept = (quick.results / "trials.jsonl").read_bytes()
    assert 0 < len(kept) <= 512 and kept.endswith(b"\n")
    assert aml(quick.root, "search").code == 0
    assert {row["state"] for row in quick.rows()} == {"complete"}
    assert sorted(quick.starts()) == ["0001", "0002", "0003", "0004"]


def test_ctrl_c_ends_the_trials_and_the_same_command_goes_on(quick: Quick) -> None:
    quick.says(("x: {low: 0.0, high: 1.0}", "how: [fine, hang]"), ("random", "grid"), ("trials: 4", "trials: 2"))
    process = start(quick.root, "search")
    wait_for(lambda: list(quick.folder.glob("hangs-*")) and "complete" in text_of(quick), process)
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "Interrupted: 1 of 2 trials are done" in err
    assert hanging(quick) == []
    assert "interrupted" in aml(quick.root, "search", "--list").out
    (quick.folder / "train.py").write_text((quick.folder / "train.py").read_text().replace('== "hang"', '== "-"'))
    done = aml(quick.root, "search")
    assert "1 of 2 trials are done" in done.out and "1 that was cut short again" in done.out
    assert sorted(quick.starts()) == ["0001", "0002", "0002"]


def test_stop_ends_the_search_that_runs_elsewhere(quick: Quick) -> None:
    quick.says(("x: {low: 0.0, high: 1.0}", "how: [hang]"))
    assert aml(quick.root, "search", "--stop").err == "ERROR: no search of quick is running here\n"
    process = start(quick.root, "search")
    wait_for(lambda: len(list(quick.folder.glob("hangs-*"))) == 2, process)
    stopped = aml(quick.root, "search", "--stop")
    assert stopped.out == "The search of quick has ended; the same command without --stop goes on with it.\n"
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert hanging(quick) == []


def test_kill_9_leaves_no_trial_running(quick: Quick) -> None:
    quick.says(("x: {low: 0.0, high: 1.0}", "how: [hang]"))
    process = start(quick.root, "search")
    wait_for(lambda: len(list(quick.folder.glob("hangs-*"))) == 2, process)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=PATIENCE)
    wait_for(lambda: not hanging(quick))


@pytest.mark.parametrize("processes", ["/proc", "/nowhere"])
def test_what_was_left_running_is_known_again_and_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: str
) -> None:
    """By what Linux says of a process, and by what every system does; another process of that number is left alone."""
    monkeypatch.setattr(work_folder, "PROCESSES", Path(processes))
    script = ["sh", "-c", "sleep 600; true", "sh", str(tmp_path / "ended")]
    with subprocess.Popen(script, start_new_session=True) as mine, subprocess.Popen(["sleep", "600"]) as other:
        threading.Thread(target=mine.wait, daemon=True).start()
        for process in (other, mine):
            (tmp_path / "pid").write_text(str(process.pid))
            work_folder.end_leftover(tmp_path)
        assert not lives(mine.pid) and lives(other.pid)
        other.kill()


def test_on_windows_it_is_refused_and_a_file_is_written(quick: Quick, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_command, "WINDOWS", True)
    done = aml(quick.root, "search")
    assert done.err == (
        "ERROR: a search runs on Linux and macOS: call it in WSL, or write what an engine takes: --write sweep.yml\n"
    )
    assert quick.starts() == []


def test_killed_at_twenty_points_no_trial_is_lost_or_doubled(quick: Quick) -> None:
    """One kill after the other in one search."""
    trials = 60
    quick.says(("trials: 4", f"trials: {trials}"))
    for point in KILLS:
        process = start(quick.root, "search", AML_PROJECT_DIE_AT=point)
        out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == -signal.SIGKILL, f"{point} was not reached:\n{out}\n{err}"
        numbers = list(record.Record(quick.results).trials)
        assert numbers == list(range(1, len(numbers) + 1))
    done = aml(quick.root, "search")
    assert done.code == 0, done.err
    rows = quick.rows()
    assert [row["trial"] for row in rows] == [str(number) for number in range(1, trials + 1)]
    assert {row["state"] for row in rows} == {"complete"}
    assert len({row["x"] for row in rows}) == trials, "two trials have the same values"
    again = len(quick.starts()) - trials
    left = subprocess.run(["pgrep", "-f", str(quick.results)], stdout=subprocess.PIPE, text=True, check=False).stdout
    assert left == ""
    print(
        f"\nkilled {len(KILLS)} times: {trials} of {trials} trials, none lost or doubled; {again} began a second time"
    )
    assert again <= 2 * len(KILLS), "no more than those that ran"


def test_gpus_are_shared_out(quick: Quick, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    given: list[str | None] = []
    real = trials.start

    def noting(*args: Any) -> trials.Running:
        given.append(args[3])
        return real(*args)

    monkeypatch.setattr(trials, "start", noting)
    quick.says(("parallel: 2", "parallel: 8\nper_gpu: 1"))
    done = aml(quick.root, "search")
    assert done.err == "NOTE: parallel: 2 at a time, per_gpu 1 on 2 GPUs\n"
    assert given[:2] == ["3", "5"]


@pytest.mark.parametrize(("gpus", "shared"), [("echo 0; echo 1", {"0": 2, "1": 2}), ("exit 9", {"none": 4})])
def test_a_trial_sees_one_gpu_alone(
    quick: Quick, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, gpus: str, shared: dict[str, int]
) -> None:
    """Of those that nvidia-smi lists, four trials at once; a torch that counts as the real one does tells how many."""
    smi = tmp_path / "bin" / "nvidia-smi"
    smi.parent.mkdir()
    smi.write_text(f"#!/bin/sh\n{gpus}\n")
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", f"{smi.parent}:{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    (quick.folder / "torch.py").write_text(TORCH)
    train = quick.folder / "train.py"
    train.write_text(train.read_text().replace("sys.exit(0)", SEES))
    quick.says(("parallel: 2", "parallel: 4\nper_gpu: 2"))
    done = aml(quick.root, "search")
    assert (done.code, done.err) == (0, "NOTE: per_gpu: there is no GPU here; without effect\n" * ("none" in shared))
    seen = [file.read_text().split() for file in quick.results.glob("trials/*/outputs/sees.txt")]
    assert Counter(gpu for gpu, _ in seen) == shared
    assert {count for _, count in seen} == ({"0"} if "none" in shared else {"1"})


TORCH = """
import os
class cuda:
    def device_count():
        return len(os.environ.get("CUDA_VISIBLE_DEVICES", "").split())
"""
SEES = """
import torch
gpu = os.environ.get("CUDA_VISIBLE_DEVICES", "none")
pathlib.Path("outputs", "sees.txt").write_text(f"{gpu} {torch.cuda.device_count()}")
while len(list(model.glob("outputs/search/trials/*/outputs/sees.txt"))) < 4:
    time.sleep(0.02)
"""


def text_of(quick: Quick) -> str:
    file = quick.results / "trials.jsonl"
    return file.read_text() if file.exists() else ""


def hanging(quick: Quick) -> list[int]:
    """The processes of trials that hang and still run."""
    pids = [int(file.name.partition("-")[2]) for file in quick.folder.glob("hangs-*")]
    return [pid for pid in pids if lives(pid)]


def test_a_line_of_the_record_that_was_cut_is_cut_off(quick: Quick) -> None:
    aml(quick.root, "search")
    file = quick.results / "trials.jsonl"
    with file.open("a") as stream:
        stream.write('{"number": 5, "val')
    assert aml(quick.root, "search", "--trials", "5").code == 0
    assert [json.loads(line)["number"] for line in file.read_text().splitlines()][-2:] == [5, 5]
    file.write_text("{]\n" + file.read_text())
    broken = aml(quick.root, "search").err
    assert broken.startswith("ERROR: models/quick/outputs/search/trials.jsonl: line 1: ")
    assert broken.endswith(": remove this line, or begin anew with --fresh\n")
