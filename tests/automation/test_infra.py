"""infra/: nothing wrong is found in it, and what would be is. bicep.py says by whom, since it is no compiler."""

import re
from pathlib import Path

import pytest

from aml_project.ci import infra, proposal
from tests.aml import aml
from tests.automation.bicep import problems
from tests.conftest import Bake
from tests.repositories import git
from tests.support import WORKSPACE, copy_of


@pytest.fixture
def project(bake: Bake, tmp_path: Path) -> Path:
    return copy_of(bake(**WORKSPACE), tmp_path)


@pytest.fixture(scope="module")
def files(bake: Bake) -> dict[str, str]:
    return infra.make(bake(**WORKSPACE))


def test_it_is_added_with_the_names_of_the_repo_and_is_its_owners_from_then_on(project: Path) -> None:
    git(project, "init", "--quiet")
    git(project, "remote", "add", "origin", "git@github.com:acme/churn.git")
    done = aml(project, "add", "infra")
    assert done.code == 0 and "az deployment group create" in done.out, done
    values = (project / infra.VALUES).read_text()
    assert re.findall(r"param (\w+) = '(.*)'", values) == [
        ("workspaceName", "my-workspace"),
        ("clusterName", "cpu-cluster"),
        ("vmSize", "Standard_DS3_v2"),
        ("subjectPrefix", "repo:acme/churn:environment:"),
    ]
    assert problems(project / "infra") == []

    (project / infra.VALUES).write_text(values.replace("cpu-cluster", "gpu-cluster"))
    again = aml(project, "add", "infra")
    assert again.code == 0 and "kept as it was" in again.err
    assert "gpu-cluster" in (project / infra.VALUES).read_text()


@pytest.mark.parametrize(
    ("remote", "prefix"),
    [
        ("https://acme@dev.azure.com/acme/ml/_git/churn", "sc://acme/ml/"),
        ("git@ssh.dev.azure.com:v3/acme/ml/churn", "sc://acme/ml/"),
        ("https://github.com/acme/churn", "repo:acme/churn:environment:"),
        ("/srv/churn.git", "repo:OWNER/REPO:environment:"),
    ],
)
def test_a_job_is_called_as_its_host_calls_it(project: Path, remote: str, prefix: str) -> None:
    git(project, "init", "--quiet")
    git(project, "remote", "add", "origin", remote)
    assert infra.subject_prefix(project) == prefix


def test_it_says_what_it_would_write_and_what_does_not_go_with_it(project: Path) -> None:
    assert infra.VALUES in aml(project, "add", "infra", "--dry-run").out
    assert aml(project, "add", "infra", "--on", "github").code == 2
    assert not (project / "infra").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("main.bicep", "foundation.outputs.storageId", "fundation.outputs.storageId"), "fundation is"),
        (("main.bicep", "outputs.vaultId", "outputs.vault"), "foundation has no output vault"),
        (("main.bicep", "    vmSize: vmSize\n", ""), "workspace needs vmSize"),
        (("main.bicep", "    vmSize: vmSize", "    vmSize: vmSize\n    size: 1"), "workspace has no parameter size"),
        (("main.bicep", "'workspace.bicep'", "'workspaces.bicep'"), "workspaces.bicep is not there"),
        (("main.bicepparam", "param vmSize", "param size"), "main.bicep needs vmSize"),
        (("foundation.bicep", "'st${unique}'", "'st${uniqe}'"), "uniqe is not declared"),
        (("foundation.bicep", "uniqueString(", "uniqeString("), "uniqeString is not declared"),
        (("foundation.bicep", "minimumTlsVersion", "minTlsVersion"), "properties.minTlsVersion: is unknown"),
        (("foundation.bicep", "    tenantId: subscription().tenantId\n", ""), "needs tenantId"),
        (("foundation.bicep", "principalId: cl", "principal: cl"), "properties.principal: is unknown"),
        (("foundation.bicep", "adminUserEnabled: true", "loginServer: 'x'"), "only the service writes it"),
        (("workspace.bicep", "storageAccount:", "storage:"), "properties.storage: is unknown"),
        (("workspace.bicep", "maxNodeCount", "maxNodes"), "scaleSettings.maxNodes: is unknown"),
        (("workspace.bicep", "param vmSize string", "param vmSize string\nvar a = 1"), "a is declared for nothing"),
        (("identities.bicep", "audiences", "audience"), "properties.audience: is unknown"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_found(files: dict[str, str], tmp_path: Path, change: tuple[str, str, str], said: str) -> None:
    file, right, wrong = change
    for path, text in files.items():
        assert right in text or Path(path).name != file
        broken = text.replace(right, wrong, 1) if Path(path).name == file else text
        (tmp_path / Path(path).name).write_text(broken)
    assert [one for one in problems(tmp_path) if said in one], problems(tmp_path)


def test_it_gives_no_right_too_many() -> None:
    """No secret is made, no key handed out, and each environment has one role, on the workspace alone."""
    folder = proposal.sources() / "infra" / "infra"
    text = "".join(file.read_text() for file in folder.glob("*.bicep"))
    assert not re.search(r"listKeys|listCredentials|password|secureString", text, re.IGNORECASE)
    identities = (folder / "identities.bicep").read_text()
    assert re.findall(r"scope: (\w+)", identities) == ["workspace"]
    assert "allowBlobPublicAccess: false" in text and "supportsHttpsTrafficOnly: true" in text
