"""The steps that were made from a notebook: they run one after another, as `make pipeline` runs them.

The tests of the outline, test_train.py and test_score.py, wait as long as this file is here: what they expect of
train.py and score.py (outputs/model/ with its schema) is not what a notebook writes. With both adapted, remove it.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

MODEL = Path(__file__).resolve().parents[1]
OWN_DATA = MODEL.parents[1] / "data" / MODEL.name
DATA = OWN_DATA if OWN_DATA.is_dir() else OWN_DATA.parent  # where the models of a repo share it
SCRIPTS = re.findall(r"^ +run: (\S+)$", (MODEL / "pipeline.yml").read_text(encoding="utf-8"), re.MULTILINE)


def start(script: str, folder: Path, *args: str) -> str:
    command = [sys.executable, str(MODEL / script), *args]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_names_the_arguments(script: str, tmp_path: Path) -> None:
    assert "--help" in start(script, tmp_path, "--help")


def test_they_run_on_the_data(tmp_path: Path) -> None:
    for script in SCRIPTS:
        data = ["--data-path", str(DATA)] if "--data-path" in start(script, tmp_path, "--help") else []
        start(script, tmp_path, *data)
