"""A pipeline on this computer: what runs, what need not run again, and what is left of a run that was stopped."""

import contextlib
import os
import signal
import subprocess
from pathlib import Path

import pytest

from aml_project import alone
from aml_project.pipeline.record import Record
from pipeline.quick_pipeline import PIPELINE, REGISTER, SCORE, STEPS, Quick
from tests.aml import aml, start
from tests.owner import PATIENCE, wait_for

# Where a run is killed, and at which time it is there: steps of the first run, then those of a run with another seed.
KILLS = [
    f"{point}:{time}"
    for time in (1, 2, 3)
    for point in (
        "before step starts", "after step starts", "after running noted", "after step ends", "before result",
        "before done.json",
    )
] + ["after done.json:2", "before outputs", "after outputs"]  # fmt: skip
DONE_AT_ONCE = ["as before"] * len(STEPS)


@pytest.fixture
def quick(tmp_path: Path) -> Quick:
    return Quick(tmp_path / "project")


@pytest.fixture
def done(quick: Quick) -> Quick:
    """One whose pipeline has run."""
    assert aml(quick.root, "pipeline").code == 0
    quick.starts(forget=True)
    return quick


def again(quick: Quick, *args: str) -> list[str]:
    """The steps that run when the pipeline is called again."""
    quick.starts(forget=True)
    called = aml(quick.root, "pipeline", *args)
    assert called.code == 0, called.err
    return sorted(quick.starts())


def test_each_step_gets_what_the_others_have_left(quick: Quick) -> None:
    called = aml(quick.root, "pipeline")
    assert (called.code, called.err) == (0, "")
    assert quick.states() == dict.fromkeys(STEPS, "done")
    assert sorted(quick.starts()) == sorted(STEPS)
    assert quick.output("train", "outputs", "model", "model.txt").read_text() == (
        "part 0 part 1 part 2 part 3 part 4, 42"
    )
    assert quick.output("look", "handed", "report.txt").read_text() == "5 files"
    assert quick.output("train", "log.txt").read_text() == "does train\n"
    left = sorted(path.name for path in quick.output("train").iterdir())
    assert left == ["done.json", "ended", "log.txt", "outputs"], "no links, and nothing of the model's code"


def test_the_model_lies_where_serve_and_batch_find_it(done: Quick) -> None:
    assert (done.folder / "outputs" / "model" / "model.txt").read_text().endswith(", 42")
    assert (done.folder / "outputs" / "metrics.json").exists()
    stale = done.folder / "outputs" / "model" / "stale.txt"
    stale.touch()
    assert again(done) == []
    assert not stale.exists(), "a folder is that of the step, whole"
    called = aml(done.root, "pipeline", "--set", "seed=7")
    assert "models/quick/outputs has what train has made: metrics.json, model" in called.out
    assert (done.folder / "outputs" / "model" / "model.txt").read_text().endswith(", 7")


def test_nothing_changed_nothing_runs(done: Quick) -> None:
    called = aml(done.root, "pipeline")
    assert "Nothing has changed: all 4 steps are as before." in called.out
    assert list(done.states().values()) == DONE_AT_ONCE
    assert done.starts() == []


def test_a_module_that_a_script_imports_counts(done: Quick) -> None:
    done.edit("words.py", '" ".join', '" + ".join')
    assert again(done) == ["evaluate", "prepare", "train"]
    done.edit("words.py", "return", "# the same\n    return")
    assert again(done) == ["prepare"], "what it makes is the same, so nothing that reads it runs"


def test_other_files_and_times_do_not_count(done: Quick) -> None:
    (done.folder / "score_batch.py").write_text("# another script\n")
    (done.folder / "notes.md").write_text("new")
    (done.folder / "aml_config" / "x.yml").write_text("new")
    os.utime(done.folder / "prepare.py", (1, 1))
    os.utime(done.data / "1.txt", (1, 1))
    assert again(done) == []


def test_a_file_that_the_code_names_counts(done: Quick) -> None:
    (done.folder / "names.json").write_text("{}")
    done.edit("look.py", "import base", 'import base\n"""other.json"""\nNAMES = pathlib.Path("names.json")')
    (done.folder / "other.json").write_text("{}")
    assert again(done) == ["look"]
    (done.folder / "other.json").write_text("[]")
    assert again(done) == []
    (done.folder / "names.json").write_text("[]")
    assert again(done) == ["look"]


def test_inputs_arguments_and_packages_count(done: Quick, tmp_path: Path) -> None:
    (done.data / "5.txt").write_text("part 5")
    assert again(done) == ["evaluate", "look", "prepare", "train"]
    assert again(done, "--set", "seed=7") == ["evaluate", "train"]
    assert again(done) == [], "the results of before are kept"
    (done.root / ".venv" / "quick").unlink()
    other = tmp_path / "environment"
    (other / "bin").mkdir(parents=True)
    for name in ("python", "pytest"):
        (other / "bin" / name).symlink_to(Path("/usr/bin/env"))
    (other / "lib" / "python3.11" / "site-packages" / "numpy-9.dist-info").mkdir(parents=True)
    (done.root / ".venv" / "quick").symlink_to(other)
    assert aml(done.root, "pipeline").code == 1, "it runs again, with what is no Python"
    assert set(done.states().values()) == {"failed", "left out"}


def test_what_was_changed_in_a_result_is_made_again(done: Quick) -> None:
    parts = done.output("prepare", "handed", "output-path", "parts.txt")
    os.utime(parts, (1, 1))
    assert again(done) == [], "the same content"
    parts.write_text("something else")
    assert again(done) == ["prepare"]
    assert parts.read_text() == "part 0 part 1 part 2 part 3 part 4"


def test_from_a_step_on_all_is_done_again(done: Quick) -> None:
    assert again(done, "--from", "train") == ["evaluate", "train"]
    assert done.states() == {"prepare": "as before", "look": "as before", "train": "done", "evaluate": "done"}
    assert again(done, "--fresh") == sorted(STEPS)


def test_only_one_step_is_done_again(done: Quick) -> None:
    assert again(done, "--only", "evaluate") == ["evaluate"]
    assert done.states() == dict.fromkeys(STEPS, "done"), "the others are told as they were"
    done.edit("prepare.py", "import pathlib", "import pathlib, json")
    called = aml(done.root, "pipeline", "--only", "evaluate")
    assert called.code == 1
    assert called.err == (
        "ERROR: --only evaluate: it needs prepare, which is not done with the files as they are now: make pipeline"
        " does it\n"
    )


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--from", "trian"], "--from trian: no such step; there are prepare, look, train, evaluate"),
        (["--only", "x"], "--only x: no such step; there are prepare, look, train, evaluate"),
        (["--only", "train", "--from", "look"], "--only: not with --from: name one of them"),
        (["--from", "train", "--fresh"], "--fresh: runs every step again; leave --from out"),
        (["--engine", "v2"], "--engine v2: it writes a file: name it with --write"),
        (["--write", "other.yml"], "--write other.yml: say for whom: --engine azml, or v2"),
        (["--engine", "local", "--on", "x"], "--on: the engine local runs on this computer: leave --engine out"),
    ],
)
def test_wrong_use_is_one_line(quick: Quick, args: list[str], said: str) -> None:
    called = aml(quick.root, "pipeline", *args)
    assert (called.code, called.err) == (2, f"ERROR: {said}\n")


def test_a_step_that_fails_lets_go_on_what_does_not_stand_on_it(quick: Quick) -> None:
    called = aml(quick.root, "pipeline", "--set", "how=crash")
    assert called.code == 1
    log = quick.output("train", "log.txt").relative_to(quick.root)
    lines = called.err.splitlines()
    assert lines[0] == "ERROR: train ended with the code 1: ValueError: no such data"
    assert "  | does train" in lines and lines[-1] == f"  the whole log: {log}"
    assert quick.states() == {"prepare": "done", "look": "done", "train": "failed", "evaluate": "left out"}
    assert not (quick.folder / "outputs" / "model").exists(), "no model of a pipeline that has failed"
    assert "evaluate left out train failed" in " ".join(aml(quick.root, "pipeline", "--list").out.split())
    quick.starts(forget=True)
    assert aml(quick.root, "pipeline", "--set", "how=crash").code == 1
    assert quick.starts() == ["train"], "what has failed is tried again, the rest is there"


def test_a_step_that_ends_well_without_its_output_is_refused(quick: Quick) -> None:
    called = aml(quick.root, "pipeline", "--set", "how=nothing")
    assert called.code == 1
    assert called.err.splitlines()[0] == ("ERROR: train ended well and left nothing as its output model: outputs/model")
    assert quick.states()["evaluate"] == "left out"
    quick.starts(forget=True)
    assert aml(quick.root, "pipeline", "--set", "how=nothing").code == 1
    assert quick.starts() == ["train"]


def test_code_that_changes_while_it_runs_runs_again(quick: Quick) -> None:
    quick.edit("look.py", "args =", "pathlib.Path(base.__file__).resolve().with_name('late.py').touch()\nargs =")
    quick.edit("look.py", "import base", "import base\ntry:\n    import late\nexcept ImportError:\n    pass")
    (quick.folder / "late.py").write_text("")
    called = aml(quick.root, "pipeline")
    assert called.code == 0
    assert called.err == "NOTE: look: its code has changed while it ran; the next call runs it again\n"
    quick.edit("look.py", ".touch()", ".exists()")
    assert again(quick) == ["look"]


def test_items_of_a_parallel_step_are_shared_out_and_stay_in_order(quick: Quick) -> None:
    quick.says(PIPELINE + SCORE)
    assert aml(quick.root, "pipeline").code == 0
    rows = quick.output("score", "handed", "scores.txt").read_text()
    assert rows == "".join(f"{number}.txt: 38\n" for number in range(5))
    log = quick.output("score", "log.txt").read_text()
    assert "3 mini batches of 5 items, 2 processes" in log and "5 of 5 items" in log


def test_a_parallel_step_that_fails_says_where(quick: Quick) -> None:
    quick.says(PIPELINE + SCORE)
    (quick.data / "bad.txt").write_text("")
    assert aml(quick.root, "pipeline").code == 1
    log = quick.output("score", "log.txt").read_text()
    assert "ValueError: no such item" in log and "2 items failed, and 0 may (error-threshold)" in log
    quick.edit("pipeline.yml", "items: 2}", "items: 2, error-threshold: 2}")
    assert aml(quick.root, "pipeline").code == 0
    rows = quick.output("score", "handed", "scores.txt").read_text().splitlines()
    assert [row.partition(":")[0] for row in rows] == ["0.txt", "1.txt", "2.txt", "3.txt"]
    quick.edit("score_batch.py", 'default="fine"', 'default="crash"')
    called = aml(quick.root, "pipeline")
    assert called.code == 1 and "A process has ended by itself, in init() or run()" in called.err


def test_a_registration_without_a_workspace_is_left_out(quick: Quick) -> None:
    quick.says(PIPELINE + REGISTER)
    called = aml(quick.root, "pipeline")
    assert called.code == 0
    assert "no workspace is attached: make attach, then the same command registers" in called.out
    assert quick.states()["register"] == "left out"


def test_the_graph_as_text(done: Quick) -> None:
    lines = aml(done.root, "pipeline", "--graph").out.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["●", "│ ●", "├─●", "╰─┴─●"]
    assert lines[0].endswith("s  ← data")
    assert [[word for word in line.split() if word in STEPS] for line in lines] == [[step] for step in STEPS]


def test_the_steps_are_listed_with_their_logs(quick: Quick) -> None:
    assert aml(quick.root, "pipeline", "--list").err == (
        "ERROR: nothing has run yet of quick: make pipeline MODEL=quick\n"
    )
    aml(quick.root, "pipeline")
    for line in aml(quick.root, "pipeline", "--list").out.splitlines():
        assert (quick.root / line.split()[-1]).read_text().startswith("does ")


def test_a_step_that_cannot_begin_is_one_that_has_failed(quick: Quick) -> None:
    (quick.folder / "look.py").unlink()
    called = aml(quick.root, "pipeline")
    assert called.code == 1
    assert called.err == "ERROR: look can't begin: models/quick/pipeline.yml: look: look.py is not there\n"
    assert quick.states() == {"prepare": "done", "look": "failed", "train": "done", "evaluate": "done"}


def test_a_step_with_packages_of_its_own_has_a_python_of_its_own(quick: Quick) -> None:
    quick.says(PIPELINE.replace("out: {report: file.txt}", "out: {report: file.txt}\n    conda: aml_config/look.yml"))
    (quick.folder / "aml_config" / "look.yml").write_text("dependencies: [python=3.11]\n")
    quick.edit("look.py", "import base", "import sys, base\nprint(sys.prefix)")
    assert "look: installing the packages of aml_config/look.yml, once" in aml(quick.root, "pipeline").out
    assert quick.output("look", "log.txt").read_text().startswith(str(quick.root / ".venv" / ".steps"))
    quick.edit("look.py", "import sys", "import sys, os")
    assert "installing" not in aml(quick.root, "pipeline").out
    (quick.folder / "aml_config" / "look.yml").write_text("dependencies: [pip]\n")
    failed = aml(quick.root, "pipeline")
    assert failed.err == (
        "ERROR: look can't begin: models/quick/aml_config/look.yml: names no python=: write one, as in python=3.11\n"
    )


def test_a_second_run_in_a_folder_is_refused(quick: Quick) -> None:
    with alone.in_folder(quick.kept, "pipeline"):
        called = aml(quick.root, "pipeline")
    assert called.code == 1
    assert called.err == (
        f"ERROR: models/quick/outputs/pipeline: a pipeline is running here (process {os.getpid()}):"
        " wait for it, or end it with --stop\n"
    )


def test_independent_steps_run_side_by_side(quick: Quick) -> None:
    """Each waits for a file that the other one makes."""
    for mine, other in (("prepare", "look"), ("look", "prepare")):
        meet = (
            f"here = pathlib.Path(base.__file__).resolve().parents[2]\n(here / '{mine}-began').touch()\n"
            f"import time\nuntil = time.time() + {PATIENCE}\n"
            f"while not (here / '{other}-began').exists() and time.time() < until: time.sleep(0.01)\nargs ="
        )
        quick.edit(f"{mine}.py", "args =", meet)
    assert aml(quick.root, "pipeline").code == 0


def test_ctrl_c_ends_the_steps_and_the_same_command_goes_on(quick: Quick) -> None:
    process = start(quick.root, "pipeline", "--set", "how=hang")
    wait_for(lambda: hangs(quick) and quick.states().get("look") == "done", process)
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "Interrupted: 2 of 4 steps are done; the same command goes on." in err
    assert hanging(quick) == []
    assert quick.states()["train"] == "interrupted"
    assert again(quick) == ["evaluate", "train"]


def test_stop_ends_the_run_that_goes_on_elsewhere(quick: Quick) -> None:
    assert aml(quick.root, "pipeline", "--stop").err == "ERROR: no pipeline of quick is running here\n"
    process = start(quick.root, "pipeline", "--set", "how=hang")
    wait_for(lambda: hangs(quick), process)
    assert "running" in aml(quick.root, "pipeline", "--graph").out
    assert aml(quick.root, "pipeline", "--stop").code == 0
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert hanging(quick) == []


def test_kill_9_leaves_no_step_running(quick: Quick) -> None:
    process = start(quick.root, "pipeline", "--set", "how=hang")
    wait_for(lambda: hangs(quick), process)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=PATIENCE)
    wait_for(lambda: not hanging(quick))
    assert "interrupted" in aml(quick.root, "pipeline", "--list").out


def test_killed_again_and_again_what_was_wanted_again_is_done_once(done: Quick) -> None:
    """--from, killed after a step is done: the same command does not do that one again."""
    for point in ("after done.json", "after step ends"):
        process = start(done.root, "pipeline", "--from", "train", AML_PROJECT_DIE_AT=point)
        process.communicate(timeout=PATIENCE)
        assert process.returncode == -signal.SIGKILL
    assert aml(done.root, "pipeline", "--from", "train").code == 0
    assert sorted(done.starts()) == ["evaluate", "train"]


def killed(quick: Quick, points: list[str]) -> None:
    """One kill after the other, each in a pipeline of which nothing is done; then it goes on to its end."""
    again = ended = 0
    for number, point in enumerate(points):
        seed = str(number)
        (quick.data / "0.txt").write_text(f"part {seed}")
        quick.starts(forget=True)
        earlier = set(quick.kept.glob("steps/*/*/ended"))
        process = start(quick.root, "pipeline", "--set", f"seed={seed}", AML_PROJECT_DIE_AT=point)
        out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == -signal.SIGKILL, f"{point} was not reached:\n{out}\n{err}"
        whole = [folder.parent.parent.name for folder in set(quick.kept.glob("steps/*/*/ended")) - earlier]
        called = aml(quick.root, "pipeline", "--set", f"seed={seed}")
        assert called.code == 0, called.err
        assert set(quick.states().values()) <= {"done", "as before"}
        model = quick.folder / "outputs" / "model" / "model.txt"
        assert model.read_text() == f"part {seed} part 1 part 2 part 3 part 4, {seed}"
        starts = quick.starts()
        assert set(starts) <= set(STEPS) and max(map(starts.count, STEPS)) <= 2
        again += sum(starts.count(step) > 1 for step in STEPS)
        assert all(starts.count(step) == 1 for step in whole), "a step that was done ran twice"
        ended += len(whole)
    left = subprocess.run(["pgrep", "-f", str(quick.kept)], stdout=subprocess.PIPE, text=True, check=False).stdout
    assert left == ""
    print(
        f"\nkilled {len(points)} times: {len(points)} whole pipelines; of {len(points) * len(STEPS)} steps {ended} had"
        f" ended before and ran once, {again} were cut short and ran again"
    )


def test_killed_at_named_points_nothing_done_is_lost_or_doubled(quick: Quick) -> None:
    killed(quick, KILLS[-9::2])


@pytest.mark.full
def test_killed_at_twenty_points_nothing_done_is_lost_or_doubled(quick: Quick) -> None:
    assert len(KILLS) >= 20
    killed(quick, KILLS)


def hangs(quick: Quick) -> list[Path]:
    return list(quick.root.glob("hangs-*"))


def hanging(quick: Quick) -> list[int]:
    """The processes of steps that hang and still run."""
    found = []
    for file in hangs(quick):
        pid = int(file.name.partition("-")[2])
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                found.append(pid)
    return found


def test_a_record_of_which_the_last_line_was_cut(done: Quick) -> None:
    with (done.kept / "steps.jsonl").open("a") as stream:
        stream.write('{"name": "tra')
    assert Record.read(done.kept).steps["train"].state == "done"
    assert again(done) == []
