"""A render that is interrupted: the same command again finishes it, and what the user had is still there."""

import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.conftest import Bake
from tests.support import BIN, TEMPLATE, cookiecutter, files_of, log

SEED = 7


class Moments:
    """Moments within a render, however long one takes here and now."""

    def __init__(self, folder: Path) -> None:
        self.random = random.Random(SEED)
        self.finish(folder)
        shutil.rmtree(folder / "my-aml-project")

    def finish(self, folder: Path, *args: str, **answers: str) -> subprocess.CompletedProcess[str]:
        """Render to the end, and measure it: the machine may be slower or faster than a minute ago."""
        started = time.monotonic()
        done = cookiecutter(folder, "-f", *args, **answers)
        self.whole = time.monotonic() - started
        return done

    def next(self) -> float:
        return self.random.uniform(0.4, 1) * self.whole


@pytest.fixture
def moments(tmp_path_factory: pytest.TempPathFactory) -> Moments:
    return Moments(tmp_path_factory.mktemp("whole"))


def interrupt(folder: Path, signal_: signal.Signals, after: float, *args: str | Path) -> bool:
    """Start a render and end it after some time; say whether it had not ended by itself."""
    process = subprocess.Popen(
        [BIN / "cookiecutter", "--no-input", "-f", *args],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    time.sleep(after)
    running = process.poll() is None
    if running:
        os.killpg(process.pid, signal_)
    process.wait()
    return running


@pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGKILL])
def test_the_same_command_with_f_finishes_an_interrupted_render(
    bake: Bake, tmp_path: Path, moments: Moments, signal_: signal.Signals
) -> None:
    interrupted = half = 0
    for _ in range(12):
        interrupted += interrupt(tmp_path, signal_, moments.next(), TEMPLATE)
        half += (tmp_path / "my-aml-project").exists() and not (tmp_path / "my-aml-project" / "scripts").exists()
        done = moments.finish(tmp_path)
        assert done.returncode == 0, done.stderr
        assert files_of(tmp_path / "my-aml-project") == files_of(bake())
        shutil.rmtree(tmp_path / "my-aml-project")
    log.info("  %s: %d of 12 renders interrupted, %d of them half done", signal_.name, interrupted, half)
    assert interrupted > 3


def test_an_interrupted_second_model_costs_the_first_nothing(bake: Bake, tmp_path: Path, moments: Moments) -> None:
    project = Path(shutil.copytree(bake(), tmp_path / "my-aml-project"))
    (project / "models" / "model1" / "train.py").write_text("edited\n")
    before = files_of(project)
    fresh = files_of(bake(model_name="churn") / "models" / "churn")
    interrupted = 0
    for _ in range(12):
        interrupted += interrupt(tmp_path, signal.SIGKILL, moments.next(), "-s", TEMPLATE, "model_name=churn")
        assert {name: content for name, content in files_of(project).items() if name in before} == before
        # A file may be cut off in the middle, and -s would keep it: the new folder goes first, as the docs say.
        shutil.rmtree(project / "models" / "churn", ignore_errors=True)
        assert moments.finish(tmp_path, "-s", model_name="churn").returncode == 0
        assert files_of(project / "models" / "churn") == fresh
        shutil.rmtree(project / "models" / "churn")
    assert interrupted > 3
