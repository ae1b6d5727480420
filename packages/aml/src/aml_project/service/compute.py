"""Make a cluster once, or change its limits, whatever is lost or interrupted on the way.

What the service has is looked up before anything is sent, and after every trouble: a request whose answer was lost is
not sent twice. The raw record is read, because the client's own class knows only some kinds of compute.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from aml_project import patience
from aml_project.command_line import REFUSED, SERVICE_FAILED, Failure
from aml_project.service.asking import ask
from aml_project.service.errors import explain, is_transient, shorten, status_in

POLL = 3.0  # seconds between two looks at a cluster that is being made
PATIENCE = 25 * 60.0  # seconds until a cluster that is being made is left to Azure
CONFLICT = 409  # somebody, perhaps an interrupted call of this very command, is at work on it
LIMITS = {  # ours: the service's own, and what to call it
    "min_nodes": ("minNodeCount", "min nodes"),
    "max_nodes": ("maxNodeCount", "max nodes"),
    "idle_seconds": ("nodeIdleTimeBeforeScaleDown", "idle seconds"),
}
KINDS = {
    "AmlCompute": "a cluster",
    "ComputeInstance": "a compute instance",
    "AKS": "an AKS cluster",
    "Kubernetes": "a Kubernetes cluster",
    "VirtualMachine": "a virtual machine",
    "Databricks": "a Databricks workspace",
    "HDInsight": "an HDInsight cluster",
    "SynapseSpark": "a Synapse Spark pool",
    "DataFactory": "a Data Factory",
}


def ensure(
    workspace: Any, wish: Mapping[str, Any], given: Mapping[str, Any], say: Callable[[str], None]
) -> tuple[str, dict[str, int]]:
    """Make the cluster that is wished for, or give the one that is there the limits that were given.

    Return what was done, in words, and the limits that the cluster has now. A Failure says what can't be.
    """
    name = wish["name"]
    record = settled(workspace, name)
    if record is None:
        refuse_limits(name, wish["limits"])
        attempt(workspace, name, "cluster", lambda: make(workspace, wish), lambda found: found is not None)
        record = settled(workspace, name)
        if record is None:
            raise Failure(f"{name}: Azure took the request, and has no such cluster", SERVICE_FAILED)
        refuse_failed(name, record)
        limits = limits_of(record)
        kept = f"{limits['min_nodes']} to {limits['max_nodes']} nodes, {limits['idle_seconds']} idle seconds"
        say_errors(record, say)
        return f"made, {size_of(record)}, {kept}, SSH {'on' if wish['ssh_user'] else 'off'}", limits

    compare(name, record, wish, given, say)
    before = limits_of(record)
    wanted = before | dict(given["limits"])
    refuse_limits(name, wanted)
    if wanted == before:
        say_errors(record, say)
        return "is there already, nothing was changed", before

    def is_done(found: dict[str, Any] | None) -> bool:
        return found is not None and limits_of(found) == wanted

    attempt(workspace, name, "change", lambda: change(workspace, name, wanted), is_done)
    record = settled(workspace, name)
    if record is None:
        raise Failure(f"{name}: somebody has deleted it meanwhile", SERVICE_FAILED)
    refuse_failed(name, record)
    after = limits_of(record)
    if after != wanted:
        raise Failure(f"{name}: Azure took the change, and has {limits_in_words(after)}", SERVICE_FAILED)
    say_errors(record, say)
    changed = [
        f"{words} {before[limit]} -> {after[limit]}"
        for limit, (_, words) in LIMITS.items()
        if before[limit] != after[limit]
    ]
    return ", ".join(changed), after


def find(workspace: Any, name: str) -> dict[str, Any] | None:
    """Return the record of a compute, or None if there is none; trouble that passes is waited out."""
    from azureml.core import ComputeTarget

    try:
        found: dict[str, Any] | None = ask(workspace, lambda: ComputeTarget._get(workspace, name))
    except Exception as error:
        raise Failure(f"{name}: {explain(error)}", SERVICE_FAILED) from error
    return found


def settled(workspace: Any, name: str) -> dict[str, Any] | None:
    """Return the record once nobody is at work on a compute; what an interrupted call has begun counts as well."""
    for _ in patience.looks(PATIENCE, POLL):
        record = find(workspace, name)
        state = state_of(record) if record else ""
        if state not in ("Creating", "Updating", "Deleting"):
            return record
    raise Failure(
        f"{name}: still {state.lower()} after {PATIENCE / 60:.0f} minutes; the same command goes on", SERVICE_FAILED
    )


def attempt(
    workspace: Any, name: str, what: str, act: Callable[[], None], done: Callable[[dict[str, Any] | None], bool]
) -> None:
    """Send a request that makes a cluster or changes it; after trouble, look whether it has arrived before another."""

    def passes(error: Exception) -> bool:
        # The record may be read before it is written: the client looks for it as soon as it is accepted.
        early = "ComputeTargetNotFound" in str(error)
        return early or is_transient(error) or status_in(error) == CONFLICT

    def find_done() -> bool | None:
        return done(settled(workspace, name)) or None

    try:
        ask(workspace, act, passes=passes, find=find_done, makes=what)
    except Failure:
        raise
    except Exception as error:
        raise Failure(f"{name}: {explain(error)}", SERVICE_FAILED) from error


def make(workspace: Any, wish: Mapping[str, Any]) -> None:
    from azureml.core.compute import AmlCompute, ComputeTarget

    limits = wish["limits"]
    configuration = AmlCompute.provisioning_configuration(
        vm_size=wish["vm_size"],
        vm_priority="lowpriority" if wish["low_priority"] else "dedicated",
        min_nodes=limits["min_nodes"],
        max_nodes=limits["max_nodes"],
        idle_seconds_before_scaledown=limits["idle_seconds"],
        admin_username=wish["ssh_user"],
        admin_user_ssh_key=wish["ssh_key"],
        remote_login_port_public_access="Enabled" if wish["ssh_user"] else "Disabled",
    )
    ComputeTarget.create(workspace, wish["name"], configuration)


def change(workspace: Any, name: str, limits: Mapping[str, int]) -> None:
    from azureml.core.compute import AmlCompute

    AmlCompute(workspace, name).update(limits["min_nodes"], limits["max_nodes"], limits["idle_seconds"])


def compare(
    name: str, record: dict[str, Any], wish: Mapping[str, Any], given: Mapping[str, Any], say: Callable[[str], None]
) -> None:
    """Refuse a compute that is none of ours, or not what was asked for; note where only a default differs."""
    kind = record["properties"].get("computeType")
    if kind != "AmlCompute":
        raise Failure(f"{name} is there, and it is {KINDS.get(kind, kind)}: give the cluster another --name", REFUSED)
    refuse_failed(name, record)
    details = details_of(record)
    fixed = "can't be changed: take another --name, or delete the cluster first"
    size = size_of(record)
    if size.lower() != wish["vm_size"].lower():
        if given["vm_size"]:
            raise Failure(f"{name}: its VM size is {size}, not {wish['vm_size']}, and {fixed}", REFUSED)
        say(f"{name} has the VM size {size}, not {wish['vm_size']} as in .cookiecutter.json")
    is_low = str(details.get("vmPriority")).lower() == "lowpriority"
    if is_low != wish["low_priority"]:
        if given["low_priority"]:
            raise Failure(f"{name}: its nodes are dedicated, and that {fixed}", REFUSED)
        say(f"{name} is of low priority: Azure may take its nodes away while they work")
    is_open = str(details.get("remoteLoginPortPublicAccess")).lower() == "enabled"
    user = (details.get("userAccountCredentials") or {}).get("adminUserName")
    if wish["ssh_user"] and not (is_open and user == wish["ssh_user"]):
        has = f"on for {user}" if is_open else "off"
        raise Failure(f"{name}: SSH is {has}, and that {fixed}", REFUSED)
    if is_open and not wish["ssh_user"]:
        say(f"{name} is open to SSH for {user}")


def refuse_limits(name: str, limits: Mapping[str, int]) -> None:
    """Refuse what was given in part, and does not go with what the cluster has, or would have by default."""
    if limits["min_nodes"] > limits["max_nodes"]:
        wrong = f"min nodes would be {limits['min_nodes']}, more than the max nodes, {limits['max_nodes']}"
        raise Failure(f"{name}: {wrong}", REFUSED)


def refuse_failed(name: str, record: dict[str, Any]) -> None:
    """Say why Azure could not make a cluster, or change it."""
    state = state_of(record)
    if state in ("Failed", "Canceled"):
        why = reasons(record["properties"].get("provisioningErrors")) or "Azure gives no reason"
        end = "delete it in the Studio, under Compute; then the same command makes it anew"
        raise Failure(f"{name}: {state.lower()}: {why} ({end})", SERVICE_FAILED)


def say_errors(record: dict[str, Any], say: Callable[[str], None]) -> None:
    """Note what keeps a cluster that is there from growing: a quota shows here."""
    if why := reasons(details_of(record).get("errors")):
        say(f"Azure says of its nodes: {why}")


def reasons(errors: object) -> str:
    """List the sentences of the service's errors, which may lie deep."""
    found: list[str] = []

    def walk(value: object) -> None:
        if isinstance(value, dict):
            if isinstance(value.get("message"), str):
                found.append(value["message"].rstrip("."))
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    walk(errors)
    return shorten("; ".join(dict.fromkeys(found)))


def state_of(record: dict[str, Any]) -> str:
    return str(record["properties"].get("provisioningState"))


def details_of(record: dict[str, Any]) -> dict[str, Any]:
    return record["properties"].get("properties") or {}


def size_of(record: dict[str, Any]) -> str:
    return str(details_of(record).get("vmSize"))


def limits_of(record: dict[str, Any]) -> dict[str, int]:
    """Return the limits of a cluster; the service writes a time as PT5M as well as PT300S."""
    from azureml._compute._util import convert_duration_to_seconds

    scale = details_of(record).get("scaleSettings") or {}
    return {
        limit: int(
            convert_duration_to_seconds(scale[theirs]) if isinstance(scale.get(theirs), str) else scale.get(theirs) or 0
        )
        for limit, (theirs, _) in LIMITS.items()
    }


def limits_in_words(limits: Mapping[str, int]) -> str:
    return ", ".join(f"{words} {limits[limit]}" for limit, (_, words) in LIMITS.items())
