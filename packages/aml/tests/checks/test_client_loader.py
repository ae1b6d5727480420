"""The client's own loader, asked quickly: it says the same as the whole client, and its silence is no leave to pass."""

import copy
from pathlib import Path

import pytest
import yaml

from aml_project.checks import client_loader, project_check
from tests.runconfigs import CLOUD, LOCAL, REFUSED, SILENT, edited, put, runconfig, said, small_project


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with a runconfig for each mistake of this file."""
    project = small_project(tmp_path_factory.mktemp("corpus"))
    folder = project / "models" / "model1" / "aml_config"
    texts = [runconfig(project, name).read_text() for name in (LOCAL, CLOUD)]
    rendered = yaml.safe_load(texts[1])
    for edit, _ in [*SILENT, *REFUSED]:
        config = copy.deepcopy(rendered)
        edit(config)
        texts.append(yaml.safe_dump(config, sort_keys=False))
    texts += [
        "",
        "- a\n",
        "a: 1\n\tb: 2\n",
        "a: 1\na: 2\n",
        "ArgumentVector: []\n",
        "environment:\n",
        "environment: 3\n",
    ]
    texts += ["_x: 1\nenvironment: {}\n", "1: 2\n", "environment: {python: }\n", "environment: {}\ndata: [1]\n"]
    texts += ["environment: {}\nhistory: {ambientAuthentication: {method: x}}\n", "environment: {}\narguments: 3\n"]
    for number, text in enumerate(texts):
        (folder / f"case-{number}.runconfig").write_text(text, encoding="utf-8")
    return folder.parent


def test_the_quick_loader_is_the_full_one(corpus: Path) -> None:
    """The same class from the same file, loaded without the rest of the client, says the same of every runconfig."""
    from azureml.core import RunConfiguration

    names = sorted(file.name for file in (corpus / "aml_config").glob("case-*"))
    with client_loader.Client() as client:
        for name in names:
            client.ask(name, corpus, name)
        quick = client.findings()
    full = [
        f"{name}: the client refuses it: {line}: mend that"
        for name in names
        if (line := client_loader.said(RunConfiguration.load, str(corpus), name)) is not None
    ]
    assert quick == full
    assert 10 < len(full) < len(names) - 40


def test_what_only_the_client_knows_is_a_line(small: Path) -> None:
    """Databricks is left to it."""
    edited(small, put({"mavenLibraries": 3}, "environment", "databricks"))
    assert said(small) == []
    (line,) = project_check.check(small, "model1")
    assert line.startswith("models/model1/aml_config/train-amlcompute.runconfig: the client refuses it: TypeError: ")
    assert project_check.check(small, "model1", LOCAL) == []


def test_a_client_that_does_not_answer_is_no_leave_to_pass(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for start, patience, line in [
        ("import time; time.sleep(600)", 0.1, "gave no answer"),
        ("1 / 0", 60, "ZeroDivisionError"),
    ]:
        monkeypatch.setattr(client_loader, "START", start)
        monkeypatch.setattr(client_loader, "PATIENCE", patience)
        (found,) = project_check.check(small, "model1")
        assert found.startswith("azureml-core: ")
        assert line in found
