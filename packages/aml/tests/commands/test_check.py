"""aml check: its line where all is well, its findings, and wrong use."""

import re
import shutil
from pathlib import Path

import pytest

from tests.aml import aml, call
from tests.runconfigs import CLOUD, LOCAL, edited, put


def test_all_models_are_checked(unasked: None, project: Path) -> None:
    shutil.copytree(project / "models" / "model1", project / "models" / "churn")
    assert aml(project, "check").out.startswith("2 models: 4 runconfigs fine; a run gets ")
    edited(project, put("x", "nodecount"))
    code, out, err = aml(project, "check")
    assert (code, err) == (1, "")
    assert (
        out == f"models/model1/aml_config/{CLOUD}.runconfig: nodecount: the client ignores this key: write nodeCount\n"
    )
    assert aml(project, "check", "--model", "churn").out.startswith("churn: 2 runconfigs fine; ")
    code, out, err = aml(project, "check", "-c", LOCAL)
    assert (code, out, err) == (2, "", "ERROR: --config: say of which --model\n")


def test_the_command(project: Path) -> None:
    code, out, err = call(project, "check")
    assert (code, err) == (0, "")
    assert re.fullmatch(r"model1: 2 runconfigs fine; a run gets \d+ files, \d+\.\d kB\n", out)


def test_wrong_use_and_a_finding(unasked: None, project: Path) -> None:
    code, out, err = aml(project, "check", "--model", "other")
    assert (code, out, err) == (2, "", "ERROR: --model: no such model: other; models here: model1\n")
    assert aml(project, "check", "--modle", "x").code == 2
    (project / "models" / "model1" / "na\nme.pfx").touch()
    code, out, err = aml(project, "check", "-c", LOCAL)
    assert (code, err) == (1, "")
    assert (
        out == "models/model1/na me.pfx: a key or a password would go to the run: remove it, or name it in .amlignore\n"
    )


def test_a_folder_of_the_project_is_as_good_as_its_root(unasked: None, project: Path) -> None:
    assert aml(project / "models" / "model1" / "aml_config", "check").out.startswith("model1: 2 runconfigs fine; ")


@pytest.mark.parametrize(("missing", "module"), [("azureml", "azureml"), ("a part of it", "msrest")])
def test_a_client_that_is_not_whole_says_so_and_does_not_pass(project: Path, missing: str, module: str) -> None:
    """It is asked in a process of its own; that process finds less than this one."""
    blocked = project / "blocked" / module
    blocked.mkdir(parents=True)
    (blocked / "__init__.py").write_text(f"raise ModuleNotFoundError('no {missing}', name='{missing}')")
    code, out, err = aml(project, "check", PYTHONPATH=str(blocked.parent))
    assert (code, err) == (1, "")
    [line] = out.splitlines()
    assert line.startswith("azureml-core: ") and missing in line
    assert line.endswith(": remove .venv/.tools, and the next make brings it")
