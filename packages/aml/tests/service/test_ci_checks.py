"""aml check --ci: what would stop the jobs of CI, each in a line, before there is a job."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from aml_project.ci import checks
from service.quick_model import Trainer

WORKFLOW = "with:\n  test: --target aci --service quick-test\n  production: --target aci --service quick\n"


@pytest.fixture
def trainer(trainer: Trainer) -> Trainer:
    workflow(trainer.project, "quick", WORKFLOW)
    return trainer


def workflow(project: Path, model: str, text: str) -> None:
    file = project / ".github" / "workflows" / f"{model}.yml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def service(trainer: Trainer, name: str, kind: str, model: str) -> None:
    made_of = {"modelIds": [f"{model}:1"]}
    record = {"id": name, "name": name, "computeType": kind, "state": "Healthy", "environmentImageRequest": made_of}
    with trainer.tables() as tables:
        tables.services[name] = record


def examined(trainer: Trainer) -> list[str]:
    return told(trainer)[0]


def told(trainer: Trainer) -> tuple[list[str], list[str]]:
    from tests.aml import here

    with here(trainer.project, trainer.login()):
        return checks.examine(trainer.project, ["quick"])


def test_a_data_scientist_gets_through_and_does_not_see_the_quota(trainer: Trainer) -> None:
    trainer.role = "scientist"
    hidden = "the quota for cpu-cluster (it is for a role in the subscription to see, and this login has none)"
    assert told(trainer) == ([], [f"not all that would stop CI was asked: {hidden}"])


def test_a_role_that_is_missing_is_told_beforehand(trainer: Trainer) -> None:
    trainer.role = "reader"
    [line] = examined(trainer)
    assert line.startswith("role missing: this login may not submit, register, deploy in my-workspace;")
    trainer.role = "stranger"
    [line] = examined(trainer)
    assert "no rights (403)" in line


def test_a_quota_of_nothing_is_told_beforehand(trainer: Trainer) -> None:
    trainer.rehearsal.workspace.quota = 0
    [line] = examined(trainer)
    assert line.startswith("quota: 0 of Total Cluster Dedicated Regional vCPUs in westeurope, and models/quick/")


def test_a_cluster_that_is_not_there_is_told_beforehand(trainer: Trainer) -> None:
    with trainer.tables() as tables:
        del tables.computes["cpu-cluster"]
    [line] = examined(trainer)
    assert line.endswith("train-amlcompute.runconfig: the cluster cpu-cluster is not there: make compute")


def test_a_name_that_is_taken_is_told_beforehand(trainer: Trainer) -> None:
    service(trainer, "quick-test", "AKS", "quick")
    service(trainer, "quick", "ACI", "churn")
    kind, other = examined(trainer)
    assert (
        kind == ".github/workflows/quick.yml: the name quick-test is taken, by a service on AKS; give another --service"
    )
    assert "the name quick is taken, by a service of churn" in other
    service(trainer, "quick-test", "ACI", "quick")
    service(trainer, "quick", "ACI", "quick")
    assert examined(trainer) == [], "its own are replaced"


def test_two_models_do_not_share_a_service(trainer: Trainer) -> None:
    workflow(trainer.project, "churn", WORKFLOW)
    services = checks.wanted_services(trainer.project, ["churn", "quick"])
    told = ".github/workflows/quick.yml: the service quick-test is that of churn as well; give another --service"
    assert checks.shared(services)[0] == told


def test_a_job_that_is_not_trusted_is_told_its_subject(trainer: Trainer) -> None:
    subject = "repo:owner/name:environment:azure-ml-train"
    done = trainer.call("check", "--ci", **no_secret(trainer), **trainer.rehearsal.job(subject))
    assert "trusts no job at all" in done.out
    trainer.rehearsal.trust("repo:owner/name:ref:refs/heads/main")
    done = trainer.call("check", "--ci", **no_secret(trainer), **trainer.rehearsal.job(subject))
    assert f"Azure trusts no job with the subject '{subject}'" in done.out
    assert done.code == 1


def no_secret(trainer: Trainer) -> dict[str, str]:
    return {name: "" for name in trainer.login() if "SERVICE_PRINCIPAL" in name}


def test_a_quota_of_the_size_counts_as_well_and_none_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Azure calls them, which has a quota for each family of sizes beside the one for all."""
    usages = {
        "Total Cluster Dedicated Regional vCPUs": 100,
        "Total Cluster LowPriority Regional vCPUs": 0,
        "Standard DSv2 Family Cluster Dedicated vCPUs": 4,
        "Standard D Family Cluster Dedicated vCPUs": 0,
        "Standard NCSv3 Family Cluster Dedicated vCPUs": 0,
    }
    listed = {
        "vmSizes": [{"name": "Standard_DS3_v2", "family": "standardDSv2Family", "vCPUs": 4}],
        "usages": [{"name": {"value": name}, "limit": limit} for name, limit in usages.items()],
    }
    record = {"properties": {"properties": {"vmSize": "STANDARD_DS3_V2", "vmPriority": "Dedicated"}}}
    monkeypatch.setattr("aml_project.service.compute.find", lambda *_: record)
    monkeypatch.setattr(checks, "arm", lambda _, path, __: listed[path.rpartition("/")[2]])
    workspace = SimpleNamespace(subscription_id="s", location="westeurope")
    assert checks.short_of(workspace, "cpu-cluster", 1, "a.runconfig") == []
    [line] = checks.short_of(workspace, "cpu-cluster", 2, "a.runconfig")
    assert line.startswith(
        "quota: 4 of Standard DSv2 Family Cluster Dedicated vCPUs in westeurope, and a.runconfig needs 8"
    )
