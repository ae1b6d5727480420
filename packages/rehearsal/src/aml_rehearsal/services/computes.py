"""Compute targets: clusters that are made and changed; of other kinds, what somebody has planted."""

from __future__ import annotations

import copy
import re
from typing import Any

from aml_rehearsal import vm_sizes
from aml_rehearsal.addresses import API, REGION
from aml_rehearsal.messages import Refusal, Reply, Request
from aml_rehearsal.services.hosts import api, arm
from aml_rehearsal.state import Record, now
from aml_rehearsal.workspace import Workspace

NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,30}[A-Za-z0-9]")
IDLE = re.compile(r"P(T?\d.*)")  # a length of time, as in PT300S
FIXED = ("vmSize", "vmPriority")  # of a cluster that is there
SECRET = ("adminUserPassword", "adminUserSshPublicKey")  # taken, never shown
# What the client wants to see of a compute target of another kind.
KINDS: dict[str, Record] = {
    "ComputeInstance": {
        "vmSize": "STANDARD_DS3_V2",
        "subnet": None,
        "sshSettings": {"sshPublicAccess": "Disabled"},
        "createdBy": {"userName": "somebody", "userId": "", "userOrgId": ""},
        "applications": [],
        "errors": [],
        "state": "Running",
    },
    "AKS": {
        "agentVmSize": "Standard_D3_v2",
        "agentCount": 3,
        "clusterPurpose": "FastProd",
        "clusterFqdn": None,
        "systemServices": [],
        "loadBalancerType": "PublicIp",
        "loadBalancerSubnet": None,
    },
    "Kubernetes": {"namespace": "default", "defaultInstanceType": "default", "instanceTypes": {}},
    "VirtualMachine": {"address": "192.0.2.1", "sshPort": 22, "virtualMachineSize": "Standard_D3_v2"},
}


def created(workspace: Workspace, name: str, vm_size: str, max_nodes: int, priority: str = "Dedicated") -> Record:
    """Add a cluster as if somebody had made it in the Studio."""
    scale = {"minNodeCount": 0, "maxNodeCount": max_nodes, "nodeIdleTimeBeforeScaleDown": "PT300S"}
    wish = {
        "properties": {"vmSize": vm_size, "vmPriority": priority, "scaleSettings": scale},
        "computeType": "AmlCompute",
    }
    return put(workspace, name, {"location": REGION, "tags": {}, "properties": wish})


def planted(workspace: Workspace, name: str, kind: str) -> Record:
    """Add a compute target of another kind, as if somebody had made or attached it."""
    properties = {"computeType": kind, "properties": copy.deepcopy(KINDS[kind])}
    compute = resource(workspace, name, {"properties": properties})
    compute["properties"]["isAttachedCompute"] = kind in {"Kubernetes", "VirtualMachine"}
    workspace.state.tables.computes[name] = compute
    return compute


def resource(workspace: Workspace, name: str, wish: Record) -> Record:
    return {
        "id": f"{workspace.names.scope}/computes/{name}",
        "name": name,
        "type": "Microsoft.MachineLearningServices/workspaces/computes",
        "location": wish.get("location") or REGION,
        "tags": wish.get("tags") or {},
        "properties": {
            "description": None,
            "resourceId": None,
            "computeLocation": REGION,
            **wish["properties"],
            "provisioningState": "Succeeded",
            "provisioningErrors": None,
            "isAttachedCompute": False,
            "createdOn": now(),
            "modifiedOn": now(),
        },
    }


def put(workspace: Workspace, name: str, wish: Record) -> Record:
    """Make a cluster, or change one that is there."""
    properties = wish.get("properties") or {}
    known = workspace.state.tables.computes.get(name)
    if known and known["properties"]["computeType"] != properties.get("computeType"):
        raise Refusal(400, f"'{name}' exists and is a {known['properties']['computeType']}.", "ComputeTypeMismatch")
    if properties.get("computeType") not in {"AmlCompute", "AKS"}:
        raise Refusal(400, f"The rehearsal makes AmlCompute and AKS only, not {properties.get('computeType')}.")
    if not NAME.fullmatch(name):
        message = "2 to 32 letters, digits and hyphens, beginning with a letter and not ending in a hyphen"
        raise Refusal(400, f"'{name}' is no name for a compute target: {message}.", "InvalidComputeName")
    if properties["computeType"] == "AKS":
        return put_kubernetes(workspace, name, wish)
    details = {"subnet": None, "vmPriority": "Dedicated", "scaleSettings": {}, **(properties.get("properties") or {})}
    check(workspace, details)
    if known:
        held = known["properties"]["properties"]
        for key in FIXED:
            if str(held[key]).lower() != str(details[key]).lower():
                message = f"{key} can't be changed from {held[key]} to {details[key]}: delete '{name}' first."
                raise Refusal(400, message, "ComputePropertyImmutable")
    user = details.get("userAccountCredentials")
    if user:
        details["userAccountCredentials"] = {key: text for key, text in user.items() if key not in SECRET}
    compute = resource(workspace, name, wish | {"properties": properties | {"properties": details}})
    settle(details)
    if known:
        compute["properties"]["createdOn"] = known["properties"]["createdOn"]
    workspace.state.tables.computes[name] = compute
    begin(workspace, compute)
    return compute


def put_kubernetes(workspace: Workspace, name: str, wish: Record) -> Record:
    """Make or attach a Kubernetes cluster: web services are deployed to it, it has no machines of its own here."""
    properties = wish["properties"]
    asked = {key: value for key, value in (properties.get("properties") or {}).items() if value is not None}
    details = copy.deepcopy(KINDS["AKS"]) | {key: asked[key] for key in KINDS["AKS"] if key in asked}
    if int(details["agentCount"]) < 1:
        raise Refusal(400, f"agentCount: at least 1, not {details['agentCount']}.", "InvalidAgentCount")
    compute = resource(workspace, name, wish | {"properties": {**properties, "properties": details}})
    compute["properties"]["isAttachedCompute"] = bool(properties.get("resourceId"))
    workspace.state.tables.computes[name] = compute
    begin(workspace, compute)
    return compute


def check(workspace: Workspace, details: Record) -> None:
    """Refuse a cluster that Azure would not make."""
    size = vm_sizes.find(str(details.get("vmSize") or ""))
    if size is None:
        message = f"The specified VM size '{details.get('vmSize')}' is not supported in {REGION}."
        raise Refusal(400, message, "InvalidVmSize")
    if str(details["vmPriority"]).lower() not in {"dedicated", "lowpriority"}:
        raise Refusal(400, f"vmPriority: Dedicated or LowPriority, not {details['vmPriority']}.", "InvalidVmPriority")
    scale = details.get("scaleSettings") or {}
    most, least = int(scale.get("maxNodeCount") or 0), int(scale.get("minNodeCount") or 0)
    if most < 1 or least < 0 or least > most:
        message = f"0 <= minNodeCount <= maxNodeCount and 1 <= maxNodeCount, not {least} and {most}."
        raise Refusal(400, message, "InvalidScaleSettings")
    idle = scale.get("nodeIdleTimeBeforeScaleDown")
    if idle is not None and not IDLE.fullmatch(str(idle)):
        raise Refusal(400, f"nodeIdleTimeBeforeScaleDown: {idle} is no length of time.", "InvalidScaleSettings")
    wanted = size.cores * most
    if wanted > workspace.quota:
        message = f"Operation results in exceeding quota limits of Core. Maximum allowed: {workspace.quota}, "
        message += f"Current in use: 0, Additional requested: {wanted}."
        raise Refusal(400, message, "ClusterCoreQuotaReached")


def settle(details: Record) -> None:
    """Let a cluster have its smallest number of nodes, and no user of its own on the others."""
    least = int((details.get("scaleSettings") or {}).get("minNodeCount") or 0)
    counts = ("runningNodeCount", "preparingNodeCount", "unusableNodeCount", "leavingNodeCount", "preemptedNodeCount")
    details |= {
        "allocationState": "Steady",
        "allocationStateTransitionTime": now(),
        "currentNodeCount": least,
        "targetNodeCount": least,
        "nodeStateCounts": dict.fromkeys(counts, 0) | {"idleNodeCount": least},
        "errors": None,
    }


def begin(workspace: Workspace, compute: Record) -> None:
    """Let the provisioning take its time, if it is to."""
    if workspace.provisioning.polls or workspace.provisioning.error:
        compute["properties"]["provisioningState"] = "Creating"
        workspace.waiting[compute["name"]] = copy.copy(workspace.provisioning)


def progress(workspace: Workspace, name: str) -> str:
    """Let a provisioning go on by one look at it; return its state."""
    properties = workspace.state.tables.computes[name]["properties"]
    if properties["provisioningState"] != "Creating":
        return str(properties["provisioningState"])
    waiting = workspace.waiting.get(name)
    if waiting and waiting.polls > 0:
        waiting.polls -= 1
        return "Creating"
    workspace.waiting.pop(name, None)
    error = waiting.error if waiting else ""  # an earlier rehearsal began it: by now it is done
    properties["provisioningState"] = "Failed" if error else "Succeeded"
    properties["provisioningErrors"] = [{"error": {"code": "ProvisioningFailed", "message": error}}] if error else None
    return str(properties["provisioningState"])


def merge(record: Record, changes: Record) -> None:
    for key, change in changes.items():
        if isinstance(change, dict) and isinstance(record.get(key), dict):
            merge(record[key], change)
        elif change is not None:
            record[key] = change


for host, prefix in ((arm, ""), (api, "/rp/workspaces")):

    @host.route("GET", prefix + "{scope}/computes", prefix + "{scope}/computes/")
    def listing(workspace: Workspace, request: Request) -> Any:
        return {"value": list(workspace.state.tables.computes.values())}

    @host.route("GET PUT PATCH DELETE", prefix + "{scope}/computes/{name}")
    def compute(workspace: Workspace, request: Request) -> Any:
        name, computes = request.names["name"], workspace.state.tables.computes
        watched = {"Azure-AsyncOperation": f"{API}/operations/{name}"}  # where the client asks whether it is done
        if request.method == "PUT":
            return Reply(put(workspace, name, request.json), 201, watched)
        if name not in computes:
            raise Refusal(404, f"Compute target '{name}' was not found.", "ComputeNotFound")
        if request.method == "PATCH":
            changed = copy.deepcopy(computes[name])
            merge(changed["properties"], request.json.get("properties") or {})
            changed["properties"]["modifiedOn"] = now()
            details = changed["properties"]["properties"]
            if changed["properties"]["computeType"] == "AmlCompute":
                check(workspace, details)
                settle(details)
            computes[name] = changed
            begin(workspace, changed)
            return Reply(changed, 200, watched)
        if request.method == "DELETE":
            return Reply(computes.pop(name), 202, watched)
        progress(workspace, name)
        return computes[name]


@api.route("GET", "/operations/{name}")
def operation(workspace: Workspace, request: Request) -> Any:
    """Whether a compute target is made; one that is not there any more is deleted."""
    name, computes = request.names["name"], workspace.state.tables.computes
    if name not in computes:
        return {"status": "Succeeded"}
    state = progress(workspace, name)
    if state == "Creating":
        return Reply({"status": "InProgress"}, headers={"Retry-After": "1"})  # else azure-ai-ml waits half a minute
    errors = computes[name]["properties"]["provisioningErrors"] or []
    return {"status": state} | ({"error": errors[0]["error"]} if errors else {})


@arm.route("GET", "/subscriptions/{subscription}/providers/Microsoft.MachineLearningServices/locations/{place}/vmSizes")
def sizes(workspace: Workspace, request: Request) -> Any:
    def described(name: str, size: vm_sizes.Size) -> Record:
        kinds = {"supportedComputeTypes": ["AmlCompute"], "lowPriorityCapable": True, "premiumIO": False}
        sized = {"vCPUs": size.cores, "gpus": size.gpus, "memoryGB": size.memory_gb}
        return {"name": name, "family": "standard", "osVhdSizeMB": 1047552, "maxResourceVolumeMB": 0} | sized | kinds

    every = [described(name, size) for name, size in vm_sizes.SIZES.items()]
    return {"amlCompute": every, "value": every}  # as each generation's client looks for it


@arm.route("GET", "/subscriptions/{subscription}/providers/Microsoft.MachineLearningServices/locations/{place}/usages")
def usages(workspace: Workspace, request: Request) -> Any:
    """How many cores there are, and how many the clusters' nodes have now."""
    taken = 0
    for compute in workspace.state.tables.computes.values():
        details = compute["properties"]["properties"]
        size = vm_sizes.find(str(details.get("vmSize") or ""))
        if compute["properties"]["computeType"] == "AmlCompute" and size:
            taken += size.cores * int((details.get("scaleSettings") or {}).get("currentNodeCount") or 0)
    place = f"/subscriptions/{workspace.names.subscription_id}/providers/Microsoft.MachineLearningServices"
    named = {
        "value": "Total Cluster Dedicated Regional vCPUs",
        "localizedValue": "Total Cluster Dedicated Regional vCPUs",
    }
    usage: Record = {
        "id": f"{place}/locations/{REGION}/usages/total",
        "type": "Microsoft.MachineLearningServices/usages",
    }
    usage |= {"name": named, "unit": "Count", "currentValue": taken, "limit": workspace.quota}
    return {"value": [usage], "nextLink": None}


@arm.route("POST", "{scope}/checkComputeNameAvailability")
def name_availability(workspace: Workspace, request: Request) -> Any:
    """Whether a compute instance may be called so."""
    name = str(request.json.get("Name") or request.json.get("name") or "")
    if not NAME.fullmatch(name):
        told = "2 to 32 letters, digits and hyphens, the first a letter, the last no hyphen"
        return {"nameAvailable": False, "reason": "Invalid", "message": f"The name of a compute has {told}."}
    if name.lower() in map(str.lower, workspace.state.tables.computes):
        return {"nameAvailable": False, "reason": "AlreadyExists", "message": f"{name} exists already."}
    return {"nameAvailable": True, "reason": None, "message": None}


@arm.route("POST", "{scope}/computes/{name}/listNodes")
def nodes(workspace: Workspace, request: Request) -> Any:
    return {"nodes": []}  # they are there only while a run is
