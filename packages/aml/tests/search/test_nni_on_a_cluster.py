"""NNI's training service for Azure ML on a rehearsal: the page of its documentation, from its fourth step on.

Steps 1 to 3 are an account and a login, which a rehearsal has; step 5's cluster is there; step 6's packages and the
usage's file are what this package makes of search.yml and of the attached workspace.
"""

import json
from pathlib import Path

import pytest
import yaml

from search.cloud_search import Searcher
from tests.owner import wait_for

pytestmark = pytest.mark.full


@pytest.fixture
def by_nni(searcher: Searcher, nni_client_environment: Path) -> Searcher:
    (searcher.project / ".venv" / ".nni").symlink_to(nni_client_environment)
    train = searcher.folder / "train.py"
    metrics = '(folder.parent / "metrics.json").write_text(json.dumps({"score": score}))\n'
    train.write_text(train.read_text().replace('if args.how == "hang"', f'{metrics}if args.how == "hang"'))
    conda = searcher.folder / "aml_config" / "train-conda.yml"
    conda.write_text(conda.read_text().replace("{pip: []}", "{pip: [azureml-core==1.61.0.post4]}"))
    return searcher


def test_the_page_from_its_fourth_step(by_nni: Searcher) -> None:
    by_nni.says(("trials: 4", "trials: 3"))
    done = by_nni.search("--engine", "nni")
    assert done.code == 0, done.err
    folder = by_nni.folder / "outputs" / "search" / "nni"
    service = yaml.safe_load((folder / "nni.yml").read_text())["trainingService"]
    attached = json.loads((by_nni.project / ".azureml" / "config.json").read_text())
    assert service == {
        "platform": "aml", "subscriptionId": attached["subscription_id"], "resourceGroup": attached["resource_group"],
        "workspaceName": attached["workspace_name"], "computeTarget": "cpu-cluster",
    }  # fmt: skip
    assert {runner["target"] for runner in by_nni.parents} == {"cpu-cluster"}
    wait_for(lambda: {runner["status"] for runner in by_nni.parents} <= {"Canceled", "Completed"})
    children = [run for run in by_nni.children if run["status"] == "Completed"]
    assert len(children) == 3
    for child in children:
        logged = by_nni.rehearsal.state()["metrics"][child["runId"]]
        assert isinstance(logged["score"]["value"][-1]["data"]["score"], float)
    assert by_nni.best_run() in {child["runId"] for child in children}
    assert "  | x is " in by_nni.out("search", "--engine", "nni", "--on", "cpu-cluster", "--show", "2")
    by_nni.out("register", "--require", "score>=0.1")
    by_nni.out("register", "--trial", "2", "--name", "second")
    for version in by_nni.rehearsal.state()["models"].values():
        tags, run = version["kvTags"], by_nni.runs[version["runId"]]
        assert tags["search"] == run["parentRunId"]
        assert {"x", "n"} <= set(tags)
        assert by_nni.rehearsal.artifact(version["runId"], "outputs/model/x.txt").decode() == tags["x"]
