"""create_compute with the real client and a workspace on loopback: what it makes, changes and refuses; faults, kills.

Whatever happens, the same command again ends with one cluster that is as it was wished for.
"""

import json
import logging
import os
import random
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from aml_rehearsal import Fault, Rehearsal
from aml_rehearsal.routing import Reply, Request
from aml_rehearsal.services import computes
from aml_rehearsal.workspace import Provisioning
from tests.conftest import Bake, Rehearse
from tests.support import SIGN_OF_LIFE, copy_of
from tests.tier3.conftest import WORKSPACE

log = logging.getLogger("progress")
KILLS = 12
AT_ONCE = 3  # commands, of different clusters: each spends most of its time on waiting
NAME = "cpu-cluster"
WAITING = re.compile(rf"^Cluster {NAME}: waiting for Azure: \d+ s\n", re.MULTILINE)
KEY = "ssh-ed25519 " + "AAAAC3NzaC1lZDI1NTE5AAAA" * 3 + " me@home"


class Owner:
    """A project, its workspace, and the command that its owner gives."""

    def __init__(self, project: Path, rehearsal: Rehearsal) -> None:
        self.project, self.rehearsal = project, rehearsal
        self.role = "contributor"
        self.has_waited = False  # whether the last call said that it waits for Azure

    @property
    def computes(self) -> dict[str, Any]:
        return self.rehearsal.workspace.state.tables.computes

    @property
    def details(self) -> dict[str, Any]:
        return dict(self.computes[NAME]["properties"]["properties"])

    @property
    def limits(self) -> tuple[int, int, str]:
        scale = self.details["scaleSettings"]
        return scale["minNodeCount"], scale["maxNodeCount"], scale["nodeIdleTimeBeforeScaleDown"]

    def sent(self, methods: str = "PUT PATCH DELETE") -> list[str]:
        """The requests that would have changed a compute."""
        return [
            line
            for line in self.rehearsal.server.requests
            if line.split()[0] in methods.split() and "/computes/" in line
        ]

    def start(self, *args: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "scripts/create_compute.py", *args],
            cwd=self.project,
            env=self.rehearsal.environment(self.role),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def call(self, *args: str) -> tuple[int, str, str]:
        process = self.start(*args)
        out, err = process.communicate(timeout=300)
        assert "Traceback" not in err, err
        self.has_waited = bool(WAITING.search(err))
        return process.returncode, out, SIGN_OF_LIFE.sub("", err)

    def error(self, *args: str, code: int) -> str:
        """The one line of a call that fails."""
        got, out, err = self.call(*args)
        assert (got, out) == (code, ""), err
        [line] = [line for line in err.splitlines() if line.startswith("ERROR: ")]
        return line


@pytest.fixture
def owner(bake: Bake, rehearse: Rehearse, tmp_path: Path) -> Owner:
    project = copy_of(bake(**WORKSPACE), tmp_path)
    return Owner(project, rehearse(project, empty=True))


def ask_for_nodes(owner: Owner, count: int) -> None:
    file = owner.project / "models" / "model1" / "aml_config" / "train-amlcompute.runconfig"
    file.write_text(file.read_text().replace("nodeCount: 1", f"nodeCount: {count}"))


def test_a_cluster_is_made_once_and_its_limits_are_changed(owner: Owner) -> None:
    code, out, err = owner.call()
    assert (code, err) == (0, "")
    assert out == f"Cluster {NAME}: made, Standard_DS3_v2, 0 to 4 nodes, 300 idle seconds, SSH off\n"
    assert owner.limits == (0, 4, "PT300S")
    assert owner.details["vmSize"] == "Standard_DS3_v2"
    assert owner.details["vmPriority"].lower() == "dedicated"
    assert owner.details["remoteLoginPortPublicAccess"] == "Disabled"
    assert "userAccountCredentials" not in owner.details
    assert len(owner.sent()) == 1

    code, out, err = owner.call()  # again, and with what it has already
    assert (code, out, err) == (0, f"Cluster {NAME}: is there already, nothing was changed\n", "")
    code, out, err = owner.call("--max-nodes=4", "--idle-seconds=300", "--vm-size=STANDARD_DS3_V2")
    assert (code, out, err) == (0, f"Cluster {NAME}: is there already, nothing was changed\n", "")
    assert len(owner.sent()) == 1

    code, out, err = owner.call("--max-nodes=9", "--idle-seconds=120")
    assert (code, out, err) == (0, f"Cluster {NAME}: max nodes 4 -> 9, idle seconds 300 -> 120\n", "")
    assert owner.limits == (0, 9, "PT120S")
    assert owner.call()[1] == f"Cluster {NAME}: is there already, nothing was changed\n", "a default changes no cluster"
    assert owner.limits == (0, 9, "PT120S")


def test_nodes_that_are_kept_are_said_to_cost_money(owner: Owner) -> None:
    cost = "NOTE: 1 node kept: that costs money while idle; --min-nodes 0 ends it\n"
    code, out, err = owner.call("--min-nodes=1", "--low-priority")
    assert (code, err) == (0, cost)
    assert "1 to 4 nodes" in out
    assert owner.details["vmPriority"].lower() == "lowpriority"
    code, out, err = owner.call("--low-priority")
    assert (code, err) == (0, cost), "also when nothing is changed"
    code, out, err = owner.call("--low-priority", "--min-nodes=0")
    assert (code, out, err) == (0, f"Cluster {NAME}: min nodes 1 -> 0\n", "")
    code, out, err = owner.call()
    assert "is of low priority: Azure may take its nodes away" in err


def test_a_minimum_is_held_against_the_clusters_own_maximum(owner: Owner) -> None:
    assert f"{NAME}: min nodes would be 5, more than the max nodes, 4" in owner.error("--min-nodes=5", code=1)
    assert owner.computes == {}
    assert owner.call("--max-nodes=2")[0] == 0
    assert f"{NAME}: min nodes would be 3, more than the max nodes, 2" in owner.error("--min-nodes=3", code=1)
    assert owner.limits == (0, 2, "PT300S")
    assert owner.call("--max-nodes=9")[0] == 0
    assert owner.call("--min-nodes=5")[1] == f"Cluster {NAME}: min nodes 0 -> 5\n", "more than the default of a new one"


def test_a_cluster_that_is_too_small_for_a_run_is_noted(owner: Owner) -> None:
    assert owner.call("--max-nodes=3")[0] == 0
    ask_for_nodes(owner, 6)
    code, out, err = owner.call()
    assert (code, out) == (0, f"Cluster {NAME}: is there already, nothing was changed\n")
    assert "train-amlcompute.runconfig asks for 6 nodes, and cpu-cluster has at most 3: --max-nodes 6" in err
    assert owner.call("--max-nodes=6")[1:] == (f"Cluster {NAME}: max nodes 3 -> 6\n", "")


def test_what_cannot_be_changed_is_refused_if_given_and_noted_if_not(
    owner: Owner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Request] = []

    def note(request: Request) -> Reply:
        asked.append(request)
        return answer(request)

    workspace, answer = owner.rehearsal.workspace, owner.rehearsal.workspace.answer
    monkeypatch.setattr(workspace, "answer", note)
    key = tmp_path / "key.pub"
    key.write_text(f"{KEY}\n")
    ssh = ("--ssh-user=me", f"--ssh-key-file={key}")
    code, out, err = owner.call(*ssh)
    assert (code, err) == (0, "")
    assert out.endswith("SSH on\n")
    assert KEY not in out
    assert owner.details["remoteLoginPortPublicAccess"] == "Enabled"
    [request] = [request for request in asked if request.method == "PUT"]
    credentials = request.json["properties"]["properties"]["userAccountCredentials"]
    assert credentials == {"adminUserName": "me", "adminUserSshPublicKey": KEY}
    assert owner.call(*ssh)[1:] == (f"Cluster {NAME}: is there already, nothing was changed\n", "")
    code, _, err = owner.call()
    assert (code, err) == (0, f"NOTE: {NAME} is open to SSH for me\n")
    you = owner.error("--ssh-user=you", ssh[1], code=1)
    assert f"{NAME}: SSH is on for me, and that can't be changed" in you

    fixed = "can't be changed: take another --name, or delete the cluster first"
    vm_size = owner.error("--vm-size=Standard_NC6s_v3", code=1)
    assert f"{NAME}: its VM size is Standard_DS3_v2, not Standard_NC6s_v3, and {fixed}" in vm_size
    assert f"its nodes are dedicated, and that {fixed}" in owner.error("--low-priority", code=1)
    (owner.project / ".cookiecutter.json").write_text(json.dumps({"vm_size": "Standard_D2_v2"}))
    code, _, err = owner.call()
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


def test_a_name_of_another_kind_is_refused(owner: Owner) -> None:
    for kind, words in KINDS.items():
        computes.planted(owner.rehearsal.workspace, NAME, kind if kind in computes.KINDS else "AKS")
        owner.computes[NAME]["properties"]["computeType"] = kind
        error = owner.error("--max-nodes=9", code=1)
        assert error == f"ERROR: {NAME} is there, and it is {words}: give the cluster another --name"
    assert owner.sent() == []


def test_a_cluster_that_takes_its_time_is_waited_for(owner: Owner) -> None:
    owner.rehearsal.workspace.provisioning = Provisioning(polls=2)
    for args, said in (((), "made, "), (("--max-nodes=9",), "max nodes 4 -> 9\n")):
        code, out, err = owner.call(*args)
        assert code == 0, err
        assert out.startswith(f"Cluster {NAME}: {said}")
        assert owner.has_waited
        assert owner.computes[NAME]["properties"]["provisioningState"] == "Succeeded"
    assert len(owner.sent()) == 2


def test_what_azure_will_not_make_is_told_in_one_line(owner: Owner) -> None:
    """Refused at once: the quota, a size that there is not; or later, while it is being made."""
    owner.rehearsal.workspace.quota = 8
    assert "exceeding quota limits of Core. Maximum allowed: 8" in owner.error(code=3)
    assert owner.call("--max-nodes=2")[0] == 0
    assert "exceeding quota limits of Core" in owner.error("--max-nodes=3", code=3)
    assert owner.limits == (0, 2, "PT300S")
    assert "Standard_Q7' is not supported" in owner.error("--name=other", "--vm-size=Standard_Q7", code=3)
    owner.rehearsal.workspace.provisioning = Provisioning(error="There is no such machine left.")
    late = owner.error("--name=late", "--max-nodes=1", code=3)
    assert "late: failed: There is no such machine left (delete it in the Studio" in late
    assert owner.error("--name=late", code=3) == late, "again, for it is there still"
    assert sorted(owner.computes) == [NAME, "late"]


def test_without_rights_nothing_is_made(owner: Owner) -> None:
    for owner.role in ("reader", "stranger"):
        assert "no rights (403): " in owner.error(code=3)
    assert owner.computes == {}


@pytest.mark.parametrize("state", ["Failed", "Canceled"])
def test_a_cluster_that_azure_could_not_make_says_why(owner: Owner, state: str) -> None:
    assert owner.call()[0] == 0
    errors = [{"error": {"code": "ClusterCoreQuotaReached", "message": "The quota of 0 cores is reached."}}]
    owner.computes[NAME]["properties"] |= {"provisioningState": state, "provisioningErrors": errors}
    error = owner.error(code=3)
    assert f"{NAME}: {state.lower()}: The quota of 0 cores is reached (delete it in the Studio" in error


@pytest.mark.parametrize(("end", "code"), [("Succeeded", 0), ("Failed", 3), (None, 0)])
def test_what_is_being_made_is_waited_for(owner: Owner, end: str | None, code: int) -> None:
    """By an interrupted call, or by somebody else; or it is being deleted, and is made anew."""
    assert owner.call("--max-nodes=2")[0] == 0
    owner.computes[NAME]["properties"]["provisioningState"] = "Creating" if end else "Deleting"
    owner.rehearsal.workspace.waiting[NAME] = Provisioning(polls=100, error="No quota." if end == "Failed" else "")
    process = owner.start("--max-nodes=5")
    assert process.stderr
    said = process.stderr.readline()
    while said.startswith("Connecting to Azure ML: "):
        said = process.stderr.readline()
    assert WAITING.fullmatch(said)
    while len([line for line in owner.rehearsal.server.requests if line.startswith("GET") and NAME in line]) < 4:
        assert process.poll() is None
        time.sleep(0.1)
    assert len(owner.sent()) == 1, "nothing is sent meanwhile"
    if end:
        owner.rehearsal.workspace.waiting[NAME].polls = 0
    else:
        owner.computes.clear()
    out, err = process.communicate(timeout=300)
    assert process.returncode == code, err
    if code:
        assert f"ERROR: {NAME}: failed: No quota (delete it in the Studio" in err
    else:
        assert out.startswith(f"Cluster {NAME}: max nodes 2 -> 5\n" if end else f"Cluster {NAME}: made")
        assert owner.limits == (0, 5, "PT300S")


def test_what_keeps_the_nodes_away_is_noted(owner: Owner) -> None:
    assert owner.call()[0] == 0
    errors = [{"error": {"code": "OutOfCapacity", "message": "No such machine is free in the region."}}]
    owner.computes[NAME]["properties"]["properties"]["errors"] = errors
    code, _, err = owner.call()
    assert (code, err) == (0, "NOTE: Azure says of its nodes: No such machine is free in the region\n")


TROUBLES = {
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
def test_trouble_that_passes_is_waited_out(owner: Owner, request_: str) -> None:
    method, args = REQUESTS[request_]
    assert owner.call("--idle-seconds=77")[0] == 0
    made = json.dumps(owner.computes[NAME])
    owner.computes.clear()

    def one(name: str, trouble: dict[str, Any]) -> None:
        if request_ == "changing":
            owner.computes[name] = json.loads(made) | {"name": name}
        owner.rehearsal.faults.add(Fault(f"{method} .*/computes/{name}$", **trouble))
        code, out, err = owner.call(f"--name={name}", *args)
        assert code == 0, err
        assert out.count("\n") == 1
        assert any(line.endswith(name) for line in owner.rehearsal.faults.fired)
        scale = owner.computes[name]["properties"]["properties"]["scaleSettings"]
        limits = (scale["maxNodeCount"], scale["nodeIdleTimeBeforeScaleDown"])
        assert limits == ((8, "PT77S") if request_ == "changing" else (4, "PT300S"))

    named = {f"cluster-{number}": trouble for number, trouble in enumerate(TROUBLES.values())}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(one, named, named.values()))
    one("alone", {"expire_tokens": True})  # that strikes them all
    assert sorted(owner.computes) == sorted([*named, "alone"])
    log.info("  %s: %d kinds of trouble", request_, len(owner.computes))


def test_a_cluster_that_is_not_shown_at_once_is_made_once(owner: Owner) -> None:
    """Accepted, and for a moment nobody knows of it: the client takes that for a failure."""
    owner.rehearsal.faults.add(Fault(r"GET .*/computes/", skip=1, status=404))
    code, out, err = owner.call()
    assert (code, err) == (0, "")
    assert out.startswith(f"Cluster {NAME}: made")
    assert len(owner.rehearsal.faults.fired) == len(owner.sent()) == 1


def test_trouble_that_stays_is_told_in_one_line(owner: Owner) -> None:
    owner.rehearsal.faults.add(Fault(r"PUT .*/computes/", times=1000, status=400))
    assert f"{NAME}: the service answered 400" in owner.error(code=3)
    assert owner.computes == {}


def test_it_is_interrupted_at_any_moment(owner: Owner) -> None:
    """kill -9 and Ctrl-C, at moments between the start and the end of the command; then the same command again."""
    began = time.monotonic()
    assert owner.call()[0] == 0
    usual = time.monotonic() - began
    made = json.dumps(owner.computes[NAME])
    moments = random.Random(11)
    drawn = {f"kill-{number}": moments.uniform(0.4, 1.2) for number in range(KILLS)}

    def interrupt(name: str) -> tuple[bool, bool]:
        """Whether it was interrupted, and whether its request had been sent by then."""
        number = int(name.partition("-")[2])
        args = [f"--name={name}"]
        if number % 2:
            owner.computes[name] = json.loads(made) | {"name": name}
            args.append("--max-nodes=20")
        process = owner.start(*args)
        try:
            process.communicate(timeout=drawn[name] * usual)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGINT if number % 4 == 3 else signal.SIGKILL)
            process.communicate()
        before = len(sent(name))
        code, out, err = owner.call(*args)
        assert code == 0, err
        scale = owner.computes[name]["properties"]["properties"]["scaleSettings"]
        assert (scale["minNodeCount"], scale["maxNodeCount"]) == (0, 20 if number % 2 else 4)
        assert len(sent(name)) == 1, "what has arrived is not sent again"
        assert out.count("\n") == 1
        return process.returncode != 0, before > 0

    def sent(name: str) -> list[str]:
        return [line for line in owner.sent() if f"/computes/{name} " in line]

    with ThreadPoolExecutor(2) as pool:
        ends = list(pool.map(interrupt, drawn))
    killed, late = (sum(flags) for flags in zip(*ends, strict=True))
    log.info("  %d calls: %d interrupted within %.1f s, %d after their request", KILLS, killed, usual * 1.2, late)
    assert sorted(owner.computes) == sorted([NAME, *drawn])
    assert killed > KILLS // 2


def test_ctrl_c_is_one_line(owner: Owner) -> None:
    owner.rehearsal.faults.add(Fault(r"PUT .*/computes/", delay=20))
    process = owner.start()
    assert process.stderr
    over = time.monotonic() + 300
    while not owner.rehearsal.faults.fired:
        assert time.monotonic() < over
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert "Interrupted; the same command again goes on with what is there." in err
    assert "Traceback" not in err


def test_a_command_that_waits_shows_that_it_is_alive(owner: Owner) -> None:
    owner.rehearsal.faults.add(Fault(r"PUT .*/computes/", delay=4))
    assert owner.call()[0] == 0
    assert owner.has_waited
