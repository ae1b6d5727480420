"""What lies in a model's runtime/, in an installed project: what its owner never edits is not its owner's to test."""

import shutil
from pathlib import Path

from tests.environments import Environments
from tests.support import PYTHON, TEMPLATE, rendered, run

TESTS = TEMPLATE / "templates" / "runtime" / "tests"
NETWORKS = TEMPLATE / "templates" / "networks" / "runtime"


def test_the_runtime_of_a_model(tmp_path: Path, environments: Environments) -> None:
    project = environments.set_up(rendered(tmp_path, python_version=PYTHON))
    for file in TESTS.glob("test_*.py"):
        shutil.copy(file, project / "models" / "model1" / "tests" / file.name.replace("test_", "test_runtime_"))
    for name in ("images.py", "pictures.py"):  # networks and `none` have them
        shutil.copy(NETWORKS / name, project / "models" / "model1" / "runtime" / name)
    said = run("make", "test", "ARGS=-k runtime", cwd=project)
    assert "failed" not in said and " passed" in said, said[-2000:]
