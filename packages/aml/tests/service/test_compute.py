"""aml compute with the real client and a workspace on loopback: what it makes, changes and refuses; faults, kills.

Whatever happens, the same command again ends with one cluster that is as it was wished for.
"""

import json
import logging
import random
from pathlib import Path
from typing import Any

import pytest

from aml_project import command_line
from aml_rehearsal import Fault, Provisioning
from aml_rehearsal.messages import Reply, Request
from aml_rehearsal.services import computes
from aml_rehearsal.services.hosts import arm
from aml_rehearsal.workspace import Workspace
from tests.conftest import Rehearse
from tests.owner import PATIENCE, Owner, wait_for

log = logging.getLogger("progress")
KILLS = 12
NAME = "cpu-cluster"
KEY = "ssh-ed25519 " + "AAAAC3NzaC1lZDI1NTE5AAAA" * 3 + " me@home"


class Clusters(Owner):
    """Whoever makes clusters."""

    @property
    def computes(self) -> dict[str, Any]:
        return dict(self.rehearsal.state()["computes"])

    @property
    def details(self) -> dict[str, Any]:
        return dict(self.computes[NAME]["properties"]["properties"])

    @property
    def limits(self) -> tuple[int, int, str]:
        scale = self.details["scaleSettings"]
        return scale["minNodeCount"], scale["maxNodeCount"], scale["nodeIdleTimeBeforeScaleDown"]

    def sent(self, name: str = "") -> list[str]:
        """The requests that would have changed a compute."""
        return self.requests(f"^(PUT|PATCH|DELETE) .*/computes/{name}")


@pytest.fixture
def owner(project: Path, rehearse: Rehearse) -> Clusters:
    return Clusters(project, rehearse(project, empty=True))


def ask_for_nodes(owner: Clusters, count: int) -> None:
    file = owner.project / "models" / "model1" / "aml_config" / "train-amlcompute.runconfig"
    file.write_text(file.read_text().replace("nodeCount: 1", f"nodeCount: {count}"))


def test_a_cluster_is_made_once_and_its_limits_are_changed(owner: Clusters) -> None:
    code, out, err = owner.call("compute")
    assert (code, err) == (0, "")
    assert out == f"Cluster {NAME}: made, Standard_DS3_v2, 0 to 4 nodes, 300 idle seconds, SSH off\n"
    assert owner.limits == (0, 4, "PT300S")
    assert owner.details["vmSize"] == "Standard_DS3_v2"
    assert owner.details["vmPriority"].lower() == "dedicated"
    assert owner.details["remoteLoginPortPublicAccess"] == "Disabled"
    assert "userAccountCredentials" not in owner.details
    assert len(owner.sent()) == 1

    code, out, err = owner.call("compute")  # again, and with what it has already
    assert (code, out, err) == (0, f"Cluster {NAME}: is there already, nothing was changed\n", "")
    code, out, err = owner.call("compute", "--max-nodes=4", "--idle-seconds=300", "--vm-size=STANDARD_DS3_V2")
    assert (code, out, err) == (0, f"Cluster {NAME}: is there already, nothing was changed\n", "")
    assert len(owner.sent()) == 1

    code, out, err = owner.call("compute", "--max-nodes=9", "--idle-seconds=120")
    assert (code, out, err) == (0, f"Cluster {NAME}: max nodes 4 -> 9, idle seconds 300 -> 120\n", "")
    assert owner.limits == (0, 9, "PT120S")
    assert owner.call("compute")[1] == f"Cluster {NAME}: is there already, nothing was changed\n", (
        "a default changes no cluster"
    )
    assert owner.limits == (0, 9, "PT120S")


def test_nodes_that_are_kept_are_said_to_cost_money(owner: Clusters) -> None:
    cost = "NOTE: 1 node kept: that costs money while idle; --min-nodes 0 ends it\n"
    code, out, err = owner.call("compute", "--min-nodes=1", "--low-priority")
    assert (code, err) == (0, cost)
    assert "1 to 4 nodes" in out
    assert owner.details["vmPriority"].lower() == "lowpriority"
    code, out, err = owner.call("compute", "--low-priority")
    assert (code, err) == (0, cost), "also when nothing is changed"
    code, out, err = owner.call("compute", "--low-priority", "--min-nodes=0")
    assert (code, out, err) == (0, f"Cluster {NAME}: min nodes 1 -> 0\n", "")
    code, out, err = owner.call("compute")
    assert "is of low priority: Azure may take its nodes away" in err


def test_a_minimum_is_held_against_the_clusters_own_maximum(owner: Clusters) -> None:
    assert f"{NAME}: min nodes would be 5, more than the max nodes, 4" in owner.error(
        "compute", "--min-nodes=5", code=1
    )
    assert owner.computes == {}
    assert owner.call("compute", "--max-nodes=2")[0] == 0
    assert f"{NAME}: min nodes would be 3, more than the max nodes, 2" in owner.error(
        "compute", "--min-nodes=3", code=1
    )
    assert owner.limits == (0, 2, "PT300S")
    assert owner.call("compute", "--max-nodes=9")[0] == 0
    assert owner.call("compute", "--min-nodes=5")[1] == f"Cluster {NAME}: min nodes 0 -> 5\n", (
        "more than the default of a new one"
    )


def test_a_cluster_that_is_too_small_for_a_run_is_noted(owner: Clusters) -> None:
    assert owner.call("compute", "--max-nodes=3")[0] == 0
    ask_for_nodes(owner, 6)
    code, out, err = owner.call("compute")
    assert (code, out) == (0, f"Cluster {NAME}: is there already, nothing was changed\n")
    assert "train-amlcompute.runconfig asks for 6 nodes, and cpu-cluster has at most 3: --max-nodes 6" in err
    assert owner.call("compute", "--max-nodes=6")[1:] == (f"Cluster {NAME}: max nodes 3 -> 6\n", "")


def test_what_cannot_be_changed_is_refused_if_given_and_noted_if_not(
    owner: Clusters, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Request] = []

    def note(workspace: Workspace, request: Request) -> Reply:
        asked.append(request)
        return answer(workspace, request)

    answer = arm.answer
    monkeypatch.setattr(arm, "answer", note)
    key = tmp_path / "key.pub"
    key.write_text(f"{KEY}\n")
    ssh = ("--ssh-user=me", f"--ssh-key-file={key}")
    code, out, err = owner.call("compute", *ssh)
    assert (code, err) == (0, "")
    assert out.endswith("SSH on\n")
    assert KEY not in out
    assert owner.details["remoteLoginPortPublicAccess"] == "Enabled"
    [request] = [request for request in asked if request.method == "PUT"]
    credentials = request.json["properties"]["properties"]["userAccountCredentials"]
    assert credentials == {"adminUserName": "me", "adminUserSshPublicKey": KEY}
    assert owner.call("compute", *ssh)[1:] == (f"Cluster {NAME}: is there already, nothing was changed\n", "")
    code, _, err = owner.call("compute")
    assert (code, err) == (0, f"NOTE: {NAME} is open to SSH for me\n")
    you = owner.error("compute", "--ssh-user=you", ssh[1], code=1)
    assert f"{NAME}: SSH is on for me, and that can't be changed" in you

    fixed = "can't be changed: take another --name, or delete the cluster first"
    vm_size = owner.error("compute", "--vm-size=Standard_NC6s_v3", code=1)
    assert f"{NAME}: its VM size is Standard_DS3_v2, not Standard_NC6s_v3, and {fixed}" in vm_size
    assert f"its nodes are dedicated, and that {fixed}" in owner.error("compute", "--low-priority", code=1)
    (owner.project / ".cookiecutter.json").write_text(json.dumps({"vm_size": "Standard_D2_v2"}))
    code, _, err = owner.call("compute")
    assert code == 0
    assert f"{NAME} has the VM size Standard_DS3_v2, not Standard_D2_v2 as in .cookiecutter.json" in err
    assert len(owner.sent()) == 1


KINDS = {
    "ComputeInstance": "a compute instance",
    "AKS": "an AKS cluster",
    "Kubernetes": "a Kubernetes cluster",
    "VirtualMachine": "a virtual machine",
    "Databricks": "a Databricks workspace",
    "SomethingNew": "SomethingNew",
}


def test_a_name_of_another_kind_is_refused(owner: Clusters) -> None:
    for kind, words in KINDS.items():
        owner.rehearsal.plant_compute(NAME, kind if kind in computes.KINDS else "AKS")
        with owner.tables() as tables:
            tables.computes[NAME]["properties"]["computeType"] = kind
        error = owner.error("compute", "--max-nodes=9", code=1)
        assert error == f"ERROR: {NAME} is there, and it is {words}: give the cluster another --name"
    assert owner.sent() == []


def test_a_cluster_that_takes_its_time_is_waited_for(owner: Clusters) -> None:
    owner.rehearsal.workspace.provisioning = Provisioning(polls=2)
    for args, said in (((), "made, "), (("--max-nodes=9",), "max nodes 4 -> 9\n")):
        code, out, err = owner.call("compute", *args)
        assert code == 0, err
        assert out.startswith(f"Cluster {NAME}: {said}")
        assert owner.computes[NAME]["properties"]["provisioningState"] == "Succeeded"
    assert len(owner.sent()) == 2


def test_what_azure_will_not_make_is_told_in_one_line(owner: Clusters) -> None:
    """Refused at once: the quota, a size that there is not; or later, while it is being made."""
    owner.rehearsal.workspace.quota = 8
    assert "exceeding quota limits of Core. Maximum allowed: 8" in owner.error("compute", code=3)
    assert owner.call("compute", "--max-nodes=2")[0] == 0
    assert "exceeding quota limits of Core" in owner.error("compute", "--max-nodes=3", code=3)
    assert owner.limits == (0, 2, "PT300S")
    assert "Standard_Q7' is not supported" in owner.error("compute", "--name=other", "--vm-size=Standard_Q7", code=3)
    owner.rehearsal.workspace.provisioning = Provisioning(error="There is no such machine left.")
    late = owner.error("compute", "--name=late", "--max-nodes=1", code=3)
    assert "late: failed: There is no such machine left (delete it in the Studio" in late
    assert owner.error("compute", "--name=late", code=3) == late, "again, for it is there still"
    assert sorted(owner.computes) == [NAME, "late"]


def test_without_rights_nothing_is_made(owner: Clusters) -> None:
    for owner.role in ("reader", "stranger"):
        assert "no rights (403): " in owner.error("compute", code=3)
    assert owner.computes == {}


@pytest.mark.parametrize("state", ["Failed", "Canceled"])
def test_a_cluster_that_azure_could_not_make_says_why(owner: Clusters, state: str) -> None:
    assert owner.call("compute")[0] == 0
    errors = [{"error": {"code": "ClusterCoreQuotaReached", "message": "The quota of 0 cores is reached."}}]
    with owner.tables() as tables:
        tables.computes[NAME]["properties"] |= {"provisioningState": state, "provisioningErrors": errors}
    error = owner.error("compute", code=3)
    assert f"{NAME}: {state.lower()}: The quota of 0 cores is reached (delete it in the Studio" in error


@pytest.mark.parametrize(("end", "code"), [("Succeeded", 0), ("Failed", 3), (None, 0)])
def test_what_is_being_made_is_waited_for(owner: Clusters, end: str | None, code: int) -> None:
    """By an interrupted call, or by somebody else; or it is being deleted, and is made anew."""
    assert owner.call("compute", "--max-nodes=2")[0] == 0
    with owner.tables() as tables:
        tables.computes[NAME]["properties"]["provisioningState"] = "Creating" if end else "Deleting"
    owner.rehearsal.workspace.waiting[NAME] = Provisioning(polls=100, error="No quota." if end == "Failed" else "")
    looks = len(owner.requests(f"^GET .*/computes/{NAME}"))
    process = owner.start("compute", "--max-nodes=5")
    wait_for(lambda: len(owner.requests(f"^GET .*/computes/{NAME}")) > looks + 1, process)
    assert len(owner.sent()) == 1, "nothing is sent meanwhile"
    if end:
        owner.rehearsal.workspace.waiting[NAME].polls = 0
    else:
        with owner.tables() as tables:
            tables.computes.clear()
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == code, err
    if code:
        assert f"ERROR: {NAME}: failed: No quota (delete it in the Studio" in err
    else:
        assert out.startswith(f"Cluster {NAME}: max nodes 2 -> 5\n" if end else f"Cluster {NAME}: made")
        assert owner.limits == (0, 5, "PT300S")


def test_what_keeps_the_nodes_away_is_noted(owner: Clusters) -> None:
    assert owner.call("compute")[0] == 0
    errors = [{"error": {"code": "OutOfCapacity", "message": "No such machine is free in the region."}}]
    with owner.tables() as tables:
        tables.computes[NAME]["properties"]["properties"]["errors"] = errors
    code, _, err = owner.call("compute")
    assert (code, err) == (0, "NOTE: Azure says of its nodes: No such machine is free in the region\n")


TROUBLES: dict[str, dict[str, Any]] = {
    "429": {"status": 429, "headers": {"Retry-After": "1"}},
    "500": {"status": 500},
    "503": {"status": 503, "times": 2},
    "nothing arrives": {"drop": "before"},
    "the answer is lost": {"drop": "after"},
    "half an answer": {"drop": "half"},
}
REQUESTS = {
    "looking": ("GET", ()),
    "making": ("PUT", ()),
    "changing": ("PATCH", ("--max-nodes=8",)),
}


@pytest.mark.parametrize("request_", REQUESTS)
def test_trouble_that_passes_is_waited_out(owner: Clusters, request_: str) -> None:
    method, args = REQUESTS[request_]
    assert owner.call("compute", "--idle-seconds=77")[0] == 0
    made = json.dumps(owner.computes[NAME])
    with owner.tables() as tables:
        tables.computes.clear()

    def one(name: str, trouble: dict[str, Any]) -> None:
        if request_ == "changing":
            with owner.tables() as tables:
                tables.computes[name] = json.loads(made) | {"name": name}
        owner.rehearsal.faults.add(Fault(f"{method} .*/computes/{name}$", **trouble))
        code, out, err = owner.call("compute", f"--name={name}", *args)
        assert code == 0, err
        assert out.count("\n") == 1
        assert any(line.endswith(name) for line in owner.rehearsal.faults.fired)
        scale = owner.computes[name]["properties"]["properties"]["scaleSettings"]
        limits = (scale["maxNodeCount"], scale["nodeIdleTimeBeforeScaleDown"])
        assert limits == ((8, "PT77S") if request_ == "changing" else (4, "PT300S"))

    named = {f"cluster-{number}": trouble for number, trouble in enumerate(TROUBLES.values())}
    for name, trouble in named.items():
        one(name, trouble)
    one("alone", {"expire_tokens": True})  # that strikes them all
    assert sorted(owner.computes) == sorted([*named, "alone"])
    log.info("  %s: %d kinds of trouble", request_, len(owner.computes))


def test_a_cluster_that_is_not_shown_at_once_is_made_once(owner: Clusters) -> None:
    """Accepted, and for a moment nobody knows of it: the client takes that for a failure."""
    owner.rehearsal.faults.add(Fault(r"GET .*/computes/", skip=1, status=404))
    code, out, err = owner.call("compute")
    assert (code, err) == (0, "")
    assert out.startswith(f"Cluster {NAME}: made")
    assert len(owner.rehearsal.faults.fired) == len(owner.sent()) == 1


def test_trouble_that_stays_is_told_in_one_line(owner: Clusters) -> None:
    owner.rehearsal.faults.add(Fault(r"PUT .*/computes/", times=1000, status=400))
    assert f"{NAME}: the service answered 400" in owner.error("compute", code=3)
    assert owner.computes == {}


@pytest.mark.parametrize("at", ["before cluster", "after cluster", "before change", "after change"])
def test_killed_at_a_named_point_it_goes_on(owner: Clusters, at: str) -> None:
    args = [f"--name={NAME}"]
    if "change" in at:
        owner.out("compute", *args)
        owner.rehearsal.server.requests.clear()
        args.append("--max-nodes=20")
    owner.die("compute", *args, at=at)
    assert len(owner.sent()) == at.startswith("after")
    check_finished(owner, NAME, *args)


@pytest.mark.full
def test_it_is_killed_at_any_moment(owner: Clusters) -> None:
    """kill -9 between its first request and its end, of a cluster that is made or changed; then the same again."""
    requests, draw = owner.usual("compute"), random.Random(11)
    made = json.dumps(owner.computes[NAME])
    killed = 0
    for number in range(KILLS):
        args = [f"--name=kill-{number}"]
        if number % 2:
            with owner.tables() as tables:
                tables.computes[f"kill-{number}"] = json.loads(made) | {"name": f"kill-{number}"}
            args.append("--max-nodes=20")
        killed += owner.kill_at_random(draw, requests, "compute", *args)
        check_finished(owner, f"kill-{number}", *args)
    log.info("  %d calls, %d killed", KILLS, killed)
    assert killed > 0


def check_finished(owner: Clusters, name: str, *args: str) -> None:
    """The same call again ends with one cluster that is as it was wished for; what has arrived is not sent again."""
    assert owner.out("compute", *args).count("\n") == 1
    scale = owner.computes[name]["properties"]["properties"]["scaleSettings"]
    assert (scale["minNodeCount"], scale["maxNodeCount"]) == (0, 20 if "--max-nodes=20" in args else 4)
    assert len(owner.sent(f"{name} ")) == 1


def test_ctrl_c_is_one_line(owner: Clusters) -> None:
    owner.rehearsal.faults.add(Fault(r"PUT .*/computes/", delay=20))
    process = owner.start("compute")
    owner.when_struck(process)
    done = owner.interrupt(process)
    assert (done.code, done.out) == (130, "")
    assert done.err.endswith("\nInterrupted; the same command again goes on with what is there.\n")


def test_a_command_that_waits_shows_that_it_is_alive(owner: Clusters, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command_line, "FIRST_BEAT", 0.1)
    owner.rehearsal.faults.add(Fault(r"PUT .*/computes/", delay=0.5))
    done = owner.call("compute")
    assert done.code == 0
    assert f"Cluster {NAME}: waiting for Azure: 0 s\n" in done.err
