"""What a job shows: figures beside those of the registered version, the tests, and what a verb has refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from aml_project.command_line import Failure
from aml_project.service import model_file
from tests.aml import aml

PASSED = '<testsuite><testcase classname="tests.test_a" name="test_1"/></testsuite>'
FAILED = """<testsuite><testcase classname="tests.test_a" name="test_1"/>
<testcase classname="tests.test_a" name="test_[`|`]"><failure message="no"/></testcase></testsuite>"""


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    outputs = tmp_path / "repo" / "models" / "model1" / "outputs"
    outputs.mkdir(parents=True)
    (outputs.parent / "aml_config").mkdir()
    (outputs / "metrics.json").write_text(json.dumps({"accuracy": 0.76333, "rows": 600, "kind": "x", "fine": True}))
    (outputs / "tests.xml").write_text(PASSED)
    return tmp_path / "repo"


def registered(root: Path, model_id: str = "model1:3", refused: str = "", **metrics: float) -> Path:
    figures: dict[str, Any] = {"metrics": metrics, "before": {"modelId": "model1:2", "metrics": {"accuracy": 0.75}}}
    model_file.write(root / "registered.json", model_id, figures, refused)
    return root / "registered.json"


def test_a_training_stands_beside_the_registered_version(repo: Path) -> None:
    registered(repo, accuracy=0.77)
    page, file = repo / "page.md", repo / "summary.md"
    page.write_text("before\n")
    options = ("--beside", "registered.json", "--output", "summary.md")
    assert aml(repo, "ci", "summary", *options, GITHUB_STEP_SUMMARY=str(page)) == (0, "", "")
    assert file.read_text() == (
        "### model1\n\n"
        "| | here | `model1:3` |\n|---|---:|---:|\n| `accuracy` | 0.7633 | 0.77 |\n| `rows` | 600 |  |\n\n"
        "1 test passed.\n"
    )
    assert page.read_text() == f"before\n{file.read_text()}\n"


def test_before_anything_is_registered_it_stands_alone(repo: Path) -> None:
    code, out, err = aml(repo, "ci", "summary", "--beside", "registered.json")
    assert (code, err) == (0, "")
    assert "| | here |\n|---|---:|\n| `accuracy` | 0.7633 |" in out


def test_what_is_missing_is_said(repo: Path) -> None:
    outputs = repo / "models" / "model1" / "outputs"
    (outputs / "metrics.json").unlink()
    (outputs / "tests.xml").unlink()
    out = aml(repo, "ci", "summary").out
    assert "No figures: the training has written no metrics.json." in out
    assert "The tests did not run." in out


def test_a_failed_test_is_named_and_no_markdown(repo: Path) -> None:
    (repo / "models" / "model1" / "outputs" / "tests.xml").write_text(FAILED)
    assert "**1 of 2 tests failed:**\n\n- `tests.test_a::test_[ ]`\n" in aml(repo, "ci", "summary").out


def test_a_registration_stands_beside_the_version_before(repo: Path) -> None:
    registered(repo, accuracy=0.77)
    out = aml(repo, "ci", "summary", "--registered", "registered.json").out
    assert "| | this run | `model1:2` |\n|---|---:|---:|\n| `accuracy` | 0.77 | 0.75 |" in out
    assert out.endswith("Registered as `model1:3`.\n")
    registered(repo, "", "not registered: accuracy is 0.5", accuracy=0.5)
    assert aml(repo, "ci", "summary", "--registered", "registered.json").out.endswith("Not registered.\n")


def test_a_registration_that_has_not_come_so_far_has_no_figures(repo: Path) -> None:
    note = "NOTE: registered.json: not there: the registration has not come so far\n"
    assert aml(repo, "ci", "summary", "--registered", "registered.json") == (0, "", note)


def test_what_a_verb_refuses_stands_on_the_page(repo: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    assert aml(repo, "test", "--model=x|*", GITHUB_STEP_SUMMARY=str(page)).code == 2
    assert page.read_text() == (
        "**aml test** has refused:\n\n- --model: no such model: x\\|\\*; models here: model1\n\n"
    )


def test_azure_devops_is_told_where_the_page_lies(repo: Path, tmp_path: Path) -> None:
    out = aml(repo, "ci", "summary", TF_BUILD="True", AGENT_TEMPDIRECTORY=str(tmp_path)).out
    [line] = [line for line in out.splitlines() if line.startswith("##vso[task.uploadsummary]")]
    assert "| `accuracy` | 0.7633 |" in Path(line.partition("]")[2]).read_text()


def test_a_deployment_takes_the_version_that_was_registered(repo: Path) -> None:
    file = registered(repo, "some:name:12")
    assert model_file.version(file) == ("some:name", "12")
    registered(repo, "", "not registered: accuracy is 0.5")
    with pytest.raises(Failure, match=r"registered\.json: not registered: accuracy is 0\.5"):
        model_file.version(file)
    file.write_text("[]")
    with pytest.raises(Failure, match="no modelId in it; aml register -t writes it"):
        model_file.version(file)
