"""aml workspace with today's Azure CLI, as it comes and without any extension, against a workspace on loopback."""

import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from aml_rehearsal import Fault, Rehearsal
from tests.conftest import Bake, Rehearse
from tests.environments import Environments
from tests.journeys.test_cli import without_login
from tests.owner import attached, kill, make_finds_tools, wait_for
from tests.support import PYTHON, WORKSPACE, run

Call = Callable[..., str]
LINE = [sys.executable, "-m", "aml_project", "workspace", "--location=westeurope", "--resource-group=my-group(1)"]
GROUP = r"/resourcegroups/my-group\(1\)"
CHANGES = ("PUT", "PATCH", "DELETE")


@pytest.fixture(scope="module")
def az_on_path(tmp_path_factory: pytest.TempPathFactory, environments: Environments) -> dict[str, str]:
    """An Azure CLI, in front of whatever else is on PATH."""
    folder = tmp_path_factory.mktemp("az")
    return {
        "PATH": f"{environments.azure_cli(PYTHON)}{os.pathsep}{os.environ['PATH']}",
        "AZURE_EXTENSION_DIR": str(folder / "extensions"),
        "AZURE_CORE_COLLECT_TELEMETRY": "0",
    }


@pytest.fixture
def project(bake: Bake, tmp_path: Path) -> Path:
    project = attached(bake(**WORKSPACE | {"resource_group": "my-group(1)"}), tmp_path)
    make_finds_tools(project)
    return project


def lines(project: Path) -> list[list[str]]:
    done = subprocess.run(LINE, cwd=project, capture_output=True, text=True, check=True)
    return [words for words in (shlex.split(line, comments=True) for line in done.stdout.splitlines()) if words]


def log_in(rehearsal: Rehearsal, project: Path, env: dict[str, str], role: str = "contributor") -> None:
    who = rehearsal.variables(role)
    secret = who["AZUREML_SERVICE_PRINCIPAL_PASSWORD"]
    login = ("az", "login", "--service-principal", "-u", who["AZUREML_SERVICE_PRINCIPAL_ID"], "-p", secret)
    run(*login, "-t", who["AZUREML_SERVICE_PRINCIPAL_TENANT_ID"], "--output", "none", cwd=project, expect=0, **env)


def test_az_runs_the_lines(project: Path, rehearse: Rehearse, az_on_path: dict[str, str]) -> None:
    """Printed and pasted; with --yes, again, interrupted, without rights, and by somebody who is not logged in."""
    *made, attach = lines(project)
    account = made[1][made[1].index("--name") + 1]
    rehearsal = rehearse(project, accounts=[account])
    env = without_login(rehearsal) | az_on_path

    def yes(expect: int = 0) -> str:
        return run(*LINE, "--yes", cwd=project, expect=expect, **env)

    def changes() -> list[str]:
        """What was made or changed since the last look, in order, without the way to it."""
        sent = [line.split() for line in rehearsal.server.requests if line.startswith(CHANGES)]
        rehearsal.server.requests.clear()
        return [path.split("/")[-2] for _, path, status in sent if status in ("200", "201")]

    told = [line for line in yes(expect=3).splitlines() if not line.startswith("Asking az for its login: ")]
    assert told == ["ERROR: not logged in, or with another login: `az login`"]  # signs of life come where az is slow
    log_in(rehearsal, project, env, "reader")
    check_the_reader_is_refused(rehearsal, yes)
    log_in(rehearsal, project, env)
    changes()

    # Each is asked for before it is made; only the workspace and its group are there from the beginning.
    rehearsal.faults.add(Fault(f"GET .*{GROUP}$", status=404))
    rehearsal.faults.add(Fault(r"GET .*/workspaces/my-workspace$", status=404))
    said = yes()
    assert [line for line in said.splitlines() if line.endswith(": made")] == [
        "Resource group: made", "Storage account: made", "Container: made", "Workspace: made",
    ]  # fmt: skip
    assert changes() == ["resourcegroups", "storageAccounts", "containers", "deployments"]
    assert not rehearsal.faults.waiting
    check_what_is_there(rehearsal, account)

    assert yes().count(": is there already, nothing was changed") == 4
    assert changes() == []

    for words in made:  # as somebody pastes them
        run(*words, "--output", "none", cwd=project, expect=0, **env)
    assert changes() == ["resourcegroups", "storageAccounts", "containers", "deployments"]
    run("sh", "-ec", shlex.join(attach), cwd=project, expect=0, **env)

    check_a_failure_is_one_line(rehearsal, yes)
    check_an_interruption(project, rehearsal, env, yes)


def check_the_reader_is_refused(rehearsal: Rehearsal, yes: Call) -> None:
    said = yes(expect=3)
    assert "Resource group: is there already" in said
    [error] = [line for line in said.splitlines() if line.startswith("ERROR")]
    assert "storage account: " in error and "AuthorizationFailed" in error
    assert list(rehearsal.state()["storage_accounts"]) == ["rehearsal", "rehearsaldata"]


def check_what_is_there(rehearsal: Rehearsal, account: str) -> None:
    state = rehearsal.state()
    held = state["storage_accounts"][account]
    assert (held["kind"], held["sku"]["name"]) == ("StorageV2", "Standard_LRS")
    wanted = {
        "supportsHttpsTrafficOnly": True, "allowBlobPublicAccess": False, "minimumTlsVersion": "TLS1_2",
        "accessTier": "Hot",
    }  # fmt: skip
    assert {name: held["properties"][name] for name in wanted} == wanted
    containers = rehearsal.workspace.blobs.service(account, rehearsal.workspace.blobs.keys[account])
    assert [container["name"] for container in containers.list_containers()] == ["my-aml-project"]
    [deployment] = state["deployments"].values()
    assert deployment["properties"]["parameters"]["storageAccount"] == {"value": account}
    places = [resource["id"].split("/providers/")[1] for resource in deployment["properties"]["outputResources"]]
    assert places[-1] == "Microsoft.MachineLearningServices/workspaces/my-workspace"
    assert [place.split("/")[0] for place in places] == [
        "Microsoft.KeyVault", "Microsoft.Insights", "Microsoft.MachineLearningServices",
    ]  # fmt: skip
    assert not [line for line in rehearsal.server.requests if "listKeys" in line], "no key is asked for"


def check_a_failure_is_one_line(rehearsal: Rehearsal, yes: Call) -> None:
    rehearsal.faults.add(Fault(r"GET .*/workspaces/my-workspace$", status=404))
    rehearsal.faults.add(Fault(r"POST .*/validate$", status=409))
    said = yes(expect=3)
    [error] = [line for line in said.splitlines() if line.startswith("ERROR")]
    assert error.startswith("ERROR: workspace: ")
    assert error.endswith("(what came before it is there; the same command again goes on)")
    assert said.count("is there already") == 3
    rehearsal.faults.clear()


def check_an_interruption(project: Path, rehearsal: Rehearsal, env: dict[str, str], yes: Call) -> None:
    """kill -9 while a request is under way; the same command again."""
    with rehearsal.workspace.state.lock:
        rehearsal.workspace.state.tables.deployments.clear()
    rehearsal.faults.add(Fault(r"GET .*/workspaces/my-workspace$", status=404, times=2))
    rehearsal.faults.add(Fault(r"PUT .*/deployments/", delay=20))
    process = subprocess.Popen(
        [*LINE, "--yes"], cwd=project, env=os.environ | env, stdout=subprocess.DEVNULL, start_new_session=True
    )
    wait_for(lambda: any(line.startswith("PUT") for line in rehearsal.faults.fired), process)
    kill(process)
    assert "Workspace: made" in yes()
    assert list(rehearsal.state()["deployments"]) == ["workspace-my-workspace"]
