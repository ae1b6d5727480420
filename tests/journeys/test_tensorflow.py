"""TensorFlow in the hands of its owner. Its own tests train on several processes, and stop and resume."""

import re
from pathlib import Path

import pytest

from tests.environments import Environments
from tests.journeys import test_pytorch
from tests.journeys.test_project import post, sample
from tests.support import PYTHON, files_of, rendered, run, served

# Of two processes, the first one dies here; in the full run, the second one as well.
OWN = f"{test_pytorch.OWN} --deselect tests/test_distributed.py::test_a_process_that_dies_ends_the_other[1]"


@pytest.mark.parametrize("tests", [OWN, pytest.param("", marks=pytest.mark.full)], ids=["own", "all"])
def test_it_is_installed_trained_tested_linted_and_served(
    tmp_path: Path, environments: Environments, tests: str
) -> None:
    folder = tmp_path / "my nets"
    folder.mkdir()
    project = rendered(folder, framework="tensorflow", python_version=PYTHON)
    environments.set_up(project)
    trained = re.search(r"Trained on 1400 rows, tested on 600: accuracy (0\.\d+)", run("make", "train", cwd=project))
    assert trained and float(trained[1]) > 0.74, "0.693 is what naming the commonest label gives"
    with served(project, tmp_path / "log", ["make", "serve", "PORT={port}"]) as url:
        assert post(url, sample(project))[0] == 200
    said = run("make", "test", *filter(None, [tests]), cwd=project)
    assert re.search(r"=+ \d+ passed", said), said[-2000:]
    before = files_of(project / "models/model1")
    run("make", "lint", cwd=project)
    assert files_of(project / "models/model1") == before
