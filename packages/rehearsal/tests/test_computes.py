"""Clusters as the real client makes and changes them, and what Azure would not make."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from callers import Caller, Client, written

from aml_rehearsal import Provisioning, Rehearsal, vm_sizes
from aml_rehearsal.services.computes import KINDS

PATH = "/rp/workspacesSCOPE/computes/"


def cluster(size: str = "Standard_DS3_v2", scale: dict[str, Any] | None = None, **details: Any) -> dict[str, Any]:
    nodes = {"minNodeCount": 0, "maxNodeCount": 2, "nodeIdleTimeBeforeScaleDown": "PT120S"} | (scale or {})
    wish = {"vmSize": size, "vmPriority": "Dedicated", "scaleSettings": nodes} | details
    return {"location": "westeurope", "properties": {"computeType": "AmlCompute", "properties": wish}}


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("1cpu", cluster(), "InvalidComputeName"),
    ("cpu_1", cluster(), "InvalidComputeName"),
    ("cpu-", cluster(), "InvalidComputeName"),
    ("c", cluster(), "InvalidComputeName"),
    ("c" * 33, cluster(), "InvalidComputeName"),
    ("sized", cluster("Standard_None"), "InvalidVmSize"),
    ("sized", cluster(""), "InvalidVmSize"),
    ("scaled", cluster(scale={"maxNodeCount": 0}), "InvalidScaleSettings"),
    ("scaled", cluster(scale={"minNodeCount": 3}), "InvalidScaleSettings"),
    ("scaled", cluster(scale={"minNodeCount": -1}), "InvalidScaleSettings"),
    ("scaled", cluster(scale={"nodeIdleTimeBeforeScaleDown": "300"}), "InvalidScaleSettings"),
    ("scaled", cluster(scale={"maxNodeCount": 251}), "ClusterCoreQuotaReached"),
    ("cheap", cluster(vmPriority="Cheap"), "InvalidVmPriority"),
]


@pytest.mark.parametrize(("name", "wish", "code"), REFUSED)
def test_what_azure_would_not_make(caller: Caller, name: str, wish: dict[str, Any], code: str) -> None:
    status, answer = caller.ask("PUT", PATH + name, wish)
    assert (status, answer["error"]["code"]) == (400, code)
    assert caller.ask("GET", PATH + name)[0] == 404


def test_the_quota_is_a_number_of_cores(rehearsal: Rehearsal, caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearsal.workspace, "quota", 8)
    assert caller.ask("PUT", PATH + "quota", cluster())[0] == 201
    said = caller.ask("PUT", PATH + "quota-2", cluster(scale={"maxNodeCount": 3}))[1]["error"]["message"]
    assert "Maximum allowed: 8, Current in use: 0, Additional requested: 12." in said
    assert caller.ask("PATCH", PATH + "quota", cluster(scale={"maxNodeCount": 3}))[0] == 400
    assert caller.ask("DELETE", PATH + "quota")[0] == 202


@pytest.mark.parametrize("change", [{"size": "Standard_DS2_v2"}, {"vmPriority": "LowPriority"}])
def test_a_clusters_machines_stay_what_they_are(caller: Caller, change: dict[str, Any]) -> None:
    assert caller.ask("PUT", PATH + "fixed", cluster())[0] == 201
    status, answer = caller.ask("PUT", PATH + "fixed", cluster(**change))
    assert (status, answer["error"]["code"]) == (400, "ComputePropertyImmutable")
    assert caller.ask("PUT", PATH + "fixed", cluster("STANDARD_DS3_V2", {"maxNodeCount": 4}))[0] == 201
    held = caller.ask("GET", PATH + "fixed")[1]["properties"]["properties"]
    assert (held["vmSize"], held["scaleSettings"]["maxNodeCount"]) == ("STANDARD_DS3_V2", 4)
    assert caller.ask("DELETE", PATH + "fixed")[0] == 202


def test_the_client_makes_and_changes_clusters(rehearsal: Rehearsal, client: Client) -> None:
    answer = client("""
from azureml.core.compute import AmlCompute
def seen(cluster):
    scale = cluster.scale_settings
    return [cluster.provisioning_state, cluster.vm_size.lower(), cluster.vm_priority.lower(), scale.minimum_node_count,
            scale.maximum_node_count, scale.idle_seconds_before_scaledown]
def made(name, **options):
    cluster = ComputeTarget.create(ws, name, AmlCompute.provisioning_configuration(**options))
    cluster.wait_for_completion()
    return cluster
options = {"vm_size": "Standard_DS3_v2", "vm_priority": "lowpriority", "max_nodes": 4,
           "idle_seconds_before_scaledown": 300}
answer["made"] = seen(made("of-client", **options))
cluster = AmlCompute(ws, "of-client")
cluster.update(min_nodes=1, max_nodes=6, idle_seconds_before_scaledown=120)
cluster.wait_for_completion()  # until the one node is there
answer["nodes"] = cluster.get_status().current_node_count
answer["changed"] = seen(ComputeTarget(ws, "of-client"))
answer["again"] = seen(made("of-client", **options))
secrets = {"key": {"admin_user_ssh_key": "ssh-rsa SECRETKEY me"}, "word": {"admin_user_password": "S3CRET!x"}}
for name, secret in secrets.items():
    opened = made("with-" + name, vm_size="Standard_DS3_v2", max_nodes=1, admin_username="me",
                  remote_login_port_public_access="Enabled", **secret)
    answer[name] = [opened.admin_username, opened.remote_login_port_public_access]
    opened.delete()
answer["sizes"] = "Standard_DS3_v2" in [size["name"] for size in AmlCompute.supported_vmsizes(ws)]
""")
    machine = ["Succeeded", "standard_ds3_v2", "lowpriority"]
    assert answer["made"] == answer["again"] == [*machine, 0, 4, 300]
    assert answer["changed"] == [*machine, 1, 6, 120]
    assert answer["nodes"] == 1
    assert answer["key"] == answer["word"] == ["me", "Enabled"]
    assert answer["sizes"]
    with rehearsal.workspace.state.lock:
        held = rehearsal.workspace.state.tables.computes.pop("of-client")["properties"]["properties"]
    assert held["scaleSettings"]["maxNodeCount"] == 4
    kept = written(rehearsal)
    assert "SECRETKEY" not in kept and "S3CRET!x" not in kept


def test_secrets_of_a_cluster_are_not_shown(rehearsal: Rehearsal, caller: Caller) -> None:
    user = {"adminUserName": "me", "adminUserPassword": "S3CRET!x", "adminUserSshPublicKey": "ssh-rsa SECRETKEY"}
    wish = cluster(userAccountCredentials=user, remoteLoginPortPublicAccess="Enabled")
    shown = caller.ask("PUT", PATH + "secret", wish)[1]["properties"]["properties"]
    assert shown["userAccountCredentials"] == {"adminUserName": "me"}
    assert shown["remoteLoginPortPublicAccess"] == "Enabled"
    assert "S3CRET" not in str(rehearsal.state()["computes"]) and "SECRETKEY" not in str(rehearsal.state()["computes"])
    caller.ask("DELETE", PATH + "secret")


def test_other_kinds_are_seen_by_the_client(rehearsal: Rehearsal, caller: Caller, client: Client) -> None:
    for kind in KINDS:
        rehearsal.plant_compute(f"my-{kind}", kind)
    answer = client("""
everything = ws.compute_targets
for kind in ("ComputeInstance", "AKS", "Kubernetes", "VirtualMachine"):
    one = ComputeTarget(ws, f"my-{kind}")
    answer[kind] = [type(one).__name__, type(everything[one.name]).__name__]
""")
    classes = {"ComputeInstance": "ComputeInstance", "AKS": "AksCompute", "Kubernetes": "KubernetesCompute"}
    classes["VirtualMachine"] = "RemoteCompute"
    assert answer == {kind: [classes[kind]] * 2 for kind in KINDS}
    for kind in KINDS:
        status, said = caller.ask("PUT", f"{PATH}my-{kind}", cluster())
        assert (status, said["error"]["code"]) == (400, "ComputeTypeMismatch")
        status, said = caller.submit({"train.py": b""}, target=f"my-{kind}")
        assert status == 400 and f"is a {kind}: the rehearsal runs on AmlCompute only" in str(said)
        assert caller.ask("DELETE", f"{PATH}my-{kind}")[0] == 202


def test_making_takes_its_time_and_can_fail(
    rehearsal: Rehearsal, caller: Caller, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rehearsal.workspace, "provisioning", Provisioning(polls=2))
    answered = caller.ask("PUT", PATH + "slow", cluster())[1]
    assert answered["properties"]["provisioningState"] == "Creating"
    status, answer = caller.submit({"train.py": b""}, target="slow")
    assert status == 400 and "'slow' is not ready: Creating" in str(answer)
    states = [caller.ask("GET", PATH + "slow")[1]["properties"]["provisioningState"] for _ in range(3)]
    assert states == ["Creating", "Succeeded", "Succeeded"]
    rehearsal.workspace.provisioning = Provisioning(polls=1, error="There is no room.")
    answer = client("""
from azureml.core.compute import AmlCompute
wish = AmlCompute.provisioning_configuration(vm_size="Standard_DS3_v2", max_nodes=1)
cluster = ComputeTarget.create(ws, "failing", wish)
try:
    cluster.wait_for_completion()
except Exception as error:
    answer["error"] = str(error)
answer["state"] = ComputeTarget(ws, "failing").provisioning_state
answer["errors"] = str(ComputeTarget(ws, "failing").provisioning_errors)
""")
    assert answer["state"] == "Failed"
    assert "There is no room." in answer["error"] and "There is no room." in answer["errors"]
    status, answer = caller.submit({"train.py": b""}, target="failing")
    assert status == 400 and "'failing' is not ready: Failed" in str(answer)
    for name in ("slow", "failing"):
        assert caller.ask("DELETE", PATH + name)[0] == 202


def test_a_cluster_that_was_being_made_is_made_the_next_time(tmp_path: Path) -> None:
    with Rehearsal(tmp_path) as rehearsal:
        rehearsal.workspace.provisioning = Provisioning(polls=9)
        assert Caller(rehearsal).ask("PUT", PATH + "slow", cluster())[0] == 201
    with Rehearsal(tmp_path) as rehearsal:
        answer = Caller(rehearsal).ask("GET", PATH + "slow")[1]
        assert answer["properties"]["provisioningState"] == "Succeeded"


def test_the_sizes_have_plausible_numbers() -> None:
    assert vm_sizes.find("STANDARD_ds3_V2") == vm_sizes.Size(4, 14)
    assert vm_sizes.find("Standard_None") is None
    assert all(size.cores > 0 and size.memory_gb > 0 for size in vm_sizes.SIZES.values())
