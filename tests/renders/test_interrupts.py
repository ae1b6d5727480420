"""A render that is interrupted: the same command again finishes it, and what the user had is still there.

It is interrupted when it is about to make its first, its second, … its last change, so no clock has a say in it.
"""

import os
import random
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Bake
from tests.support import BIN, TEMPLATE, cookiecutter, files_of

# What each Python of a render runs when it starts, the hooks' too: together they count the changes in a file.
SITECUSTOMIZE = """
import os, signal, sys

PROJECT, COUNTER = os.environ["INTERRUPTED_PROJECT"], os.environ["INTERRUPTED_COUNTER"]
AT, SIGNAL = int(os.environ["INTERRUPTED_AT"]), int(os.environ["INTERRUPTED_BY"])
CHANGES = ("os.chmod", "os.mkdir", "os.remove", "os.rename", "os.rmdir")


def count(event, args):
    if event == "open":
        counts = isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
    else:
        counts = event in CHANGES
    if event == "subprocess.Popen" or (counts and os.path.abspath(os.fsdecode(args[0])).startswith(PROJECT)):
        with open(COUNTER, "ab") as counter:
            counter.write(b".")
            counter.flush()
            reached = counter.tell() == AT
        if reached:
            os.killpg(0, SIGNAL)


sys.addaudithook(count)
"""


class Interrupted:
    """Renders in a folder, each stopped at one of its changes."""

    def __init__(self, folder: Path, *args: str) -> None:
        self.folder, self.args = folder, args
        self.counter = folder.with_name(f"{folder.name}.changes")
        self.site = folder.with_name(f"{folder.name}.site")
        self.site.mkdir()
        (self.site / "sitecustomize.py").write_text(SITECUSTOMIZE)

    def render(self, at: int, by: signal.Signals = signal.SIGKILL) -> int:
        """Render up to a change; return the exit code."""
        self.counter.write_bytes(b"")
        variables = {
            "PYTHONPATH": str(self.site),
            "INTERRUPTED_PROJECT": str(self.folder / "my-aml-project"),
            "INTERRUPTED_COUNTER": str(self.counter),
            "INTERRUPTED_AT": str(at),
            "INTERRUPTED_BY": str(int(by)),
        }
        return subprocess.run(
            [BIN / "cookiecutter", "--no-input", "-f", *self.args[:1], TEMPLATE, *self.args[1:]],
            cwd=self.folder, env=os.environ | variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        ).returncode  # fmt: skip

    def changes(self) -> int:
        """How many changes an undisturbed render makes."""
        assert self.render(at=-1) == 0
        return self.counter.stat().st_size


def some_of(changes: int, wanted: int | None) -> list[int]:
    """Of the changes of a render the first, the last and a few between; or all of them."""
    if wanted is None:
        return list(range(1, changes + 1))
    return [1, *sorted(random.Random(7).sample(range(2, changes), wanted - 2)), changes]


@pytest.mark.parametrize(
    ("by", "wanted"),
    [(signal.SIGINT, 3), (signal.SIGKILL, 4), pytest.param(signal.SIGKILL, None, marks=pytest.mark.full)],
)
def test_the_same_command_with_f_finishes_an_interrupted_render(
    bake: Bake, tmp_path: Path, by: signal.Signals, wanted: int | None
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    project = folder / "my-aml-project"
    interrupted = Interrupted(folder)
    changes = interrupted.changes()
    whole = files_of(project)
    assert whole == files_of(bake())
    assert changes > len(whole)
    half = 0
    for change in some_of(changes, wanted):
        shutil.rmtree(project, ignore_errors=True)
        assert interrupted.render(change, by) != 0
        half += 0 < len(files_of(project)) < len(whole)
        done = cookiecutter(folder, "-f")
        assert done.returncode == 0, done.stderr
        assert files_of(project) == whole
    assert half


@pytest.mark.parametrize("wanted", [4, pytest.param(None, marks=pytest.mark.full)])
def test_an_interrupted_second_model_costs_the_first_nothing(bake: Bake, tmp_path: Path, wanted: int | None) -> None:
    folder = tmp_path / "folder"
    project = Path(shutil.copytree(bake(), folder / "my-aml-project"))
    (project / "models" / "model1" / "train.py").write_text("edited\n")
    before = files_of(project)
    fresh = own_files(bake(model_name="churn"))
    interrupted = Interrupted(folder, "-s", "model_name=churn")
    changes = interrupted.changes()
    assert changes > len(fresh)
    half = 0
    for change in some_of(changes, wanted):
        # A file may be cut off in the middle, and -s would keep it: the new folders go first, as the docs say.
        remove(project)
        assert interrupted.render(change) == -signal.SIGKILL
        half += 0 < len(own_files(project)) < len(fresh)
        assert {name: content for name, content in files_of(project).items() if name in before} == before
        remove(project)
        assert cookiecutter(folder, "-f", "-s", model_name="churn").returncode == 0
        assert own_files(project) == fresh
    assert half


def own_files(project: Path) -> dict[str, bytes]:
    """What the second model brings."""
    return {name: content for name, content in files_of(project).items() if name.split("/")[1:2] == ["churn"]}


def remove(project: Path) -> None:
    for place in ("models", "data"):
        shutil.rmtree(project / place / "churn", ignore_errors=True)
