"""make check in a fresh clone: the client is brought to the tools, has its say, and is not done without."""

import os
import re
import subprocess
from pathlib import Path

from tests.conftest import Bake
from tests.runconfigs import LOCAL, edited, put
from tests.support import TEMPLATE, copy_of, run


def make_check(project: Path, **env: str) -> tuple[int, str, str]:
    done = subprocess.run(
        ["make", "check", f"AML_TEMPLATE={TEMPLATE}"], cwd=project, env=os.environ | env, capture_output=True, text=True
    )
    return done.returncode, done.stdout, done.stderr


def test_the_client_is_brought_to_the_tools_and_has_its_say(bake: Bake, tmp_path: Path) -> None:
    project = copy_of(bake(), tmp_path)
    code, out, err = make_check(project)
    assert code == 0, err
    assert "Installing what talks to Azure ML, once\n" in err
    assert re.match(r"model1: 2 runconfigs fine; a run gets \d+ files", out.splitlines()[-1])

    # What our own rules leave to the client comes from the loader that was installed.
    edited(project, put({"mavenLibraries": 3}, "environment", "databricks"), LOCAL)
    code, out, err = make_check(project)
    assert (code, err.count("\n")) == (2, 1), "make's own code, and its line"
    assert out.startswith("models/model1/aml_config/train-local.runconfig: the client refuses it: TypeError: ")
    assert out.count("\n") == 1

    tools = project / ".venv" / ".tools" / "bin"
    run(
        tools / "uv",
        "pip",
        "uninstall",
        "--python",
        tools / "python",
        "azureml-core",
        "azure-storage-blob",
        cwd=project,
    )
    code, out, err = make_check(project, UV_OFFLINE="1", UV_NO_CACHE="1")
    assert (code, out) == (2, "")
    assert "ERROR: what talks to Azure ML could not be installed: " in err
