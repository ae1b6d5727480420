"""Compute targets: clusters that are made and changed, instances; others are kept as they are attached."""

from __future__ import annotations

import copy
import re
from typing import Any

from aml_rehearsal import vm_sizes
from aml_rehearsal.addresses import API, REGION, TENANT
from aml_rehearsal.messages import Refusal, Reply, Request
from aml_rehearsal.services.hosts import api, arm
from aml_rehearsal.state import Record, now
from aml_rehearsal.workspace import Workspace

NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,30}[A-Za-z0-9]")
IDLE = re.compile(r"P(T?\d.*)")  # a length of time, as in PT300S
FAMILY = "totalCores"  # what the quota counts: cores of any size
FIXED = ("vmSize", "vmPriority")  # of a cluster that is there
SECRET = ("adminUserPassword", "adminUserSshPublicKey")  # taken, never shown
# What is attached as it is: nothing looks whether it is there, and nothing runs on it.
ATTACHED = {"VirtualMachine", "HDInsight", "Databricks", "DataFactory", "DataLakeAnalytics", "Batch", "Kusto"} | {
    "SynapseSpark",
    "Kubernetes",
}
CREDENTIALS = ("administratorAccount", "databricksAccessToken", "servicePrincipalCredentials")  # of what is attached
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
    kind = str(properties.get("computeType"))
    if kind not in {"AmlCompute", "AKS", "ComputeInstance"} | ATTACHED:
        raise Refusal(501, f"The rehearsal has no compute target of the kind {kind}.", "NotImplemented")
    if not NAME.fullmatch(name):
        message = "2 to 32 letters, digits and hyphens, beginning with a letter and not ending in a hyphen"
        raise Refusal(400, f"'{name}' is no name for a compute target: {message}.", "InvalidComputeName")
    if kind == "AKS":
        return put_kubernetes(workspace, name, wish)
    if kind == "ComputeInstance":
        return put_instance(workspace, name, wish)
    if kind in ATTACHED:
        return attach(workspace, name, wish)
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


def put_instance(workspace: Workspace, name: str, wish: Record) -> Record:
    """Make a compute instance: it can be started and stopped, and nothing runs on it."""
    asked = wish["properties"].get("properties") or {}
    if vm_sizes.find(str(asked.get("vmSize") or "")) is None:
        raise Refusal(400, f"The specified VM size '{asked.get('vmSize')}' is not supported.", "InvalidVmSize")
    details = copy.deepcopy(KINDS["ComputeInstance"]) | {
        key: value for key, value in asked.items() if value is not None
    }
    compute = resource(workspace, name, wish | {"properties": wish["properties"] | {"properties": details}})
    workspace.state.tables.computes[name] = compute
    begin(workspace, compute)
    return compute


def attach(workspace: Workspace, name: str, wish: Record) -> Record:
    """Keep what is attached, what opens it apart from the rest."""
    properties, details = wish["properties"], wish["properties"].get("properties") or {}
    named = properties.get("resourceId") or details.get("address") or details.get("kustoConnectionString")
    if not named and properties["computeType"] not in {
        "DataFactory",
        "VirtualMachine",
    }:  # these are made where not named
        raise Refusal(400, f"'{name}': no resource and no address is said.", "InvalidComputeRequest")
    shown = {key: value for key, value in details.items() if key not in CREDENTIALS}
    if properties["computeType"] in KINDS:
        shown = copy.deepcopy(KINDS[properties["computeType"]]) | shown
    compute = resource(workspace, name, wish | {"properties": properties | {"properties": shown}})
    compute["properties"]["isAttachedCompute"] = bool(named)
    workspace.state.tables.computes[name] = compute
    workspace.state.tables.compute_keys[name] = {key: details[key] for key in CREDENTIALS if key in details}
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


def identify(workspace: Workspace, compute: Record, wish: Record) -> None:
    """Give a cluster an identity of its own or users', or take what it has: all, or the users that are None."""
    kind = wish.get("type")
    if kind == "UserAssigned":
        known = (compute.get("identity") or {}).get("userAssignedIdentities") or {}
        users = known | (wish.get("userAssignedIdentities") or {})
        left = {user: held for user, held in users.items() if held is not None}
        compute["identity"] = {"type": kind, "userAssignedIdentities": left} if left else {"type": "None"}
    elif kind:
        own = {"tenantId": TENANT, "principalId": workspace.state.new_id()} if kind == "SystemAssigned" else {}
        compute["identity"] = {"type": kind} | own


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
            if not isinstance(request.json, dict):  # remove_identity of the client packs what it sends twice
                raise Refusal(400, "The request content could not be deserialized.", "InvalidRequestContent")
            changed = copy.deepcopy(computes[name])
            merge(changed["properties"], request.json.get("properties") or {})
            changed["properties"]["modifiedOn"] = now()
            details = changed["properties"]["properties"]
            identify(workspace, changed, request.json.get("identity") or {})
            if changed["properties"]["computeType"] == "AmlCompute":
                check(workspace, details)
                settle(details)
            computes[name] = changed
            begin(workspace, changed)
            return Reply(changed, 200, watched)
        if request.method == "DELETE":
            workspace.state.tables.compute_keys.pop(name, None)
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
    return {"value": [usage]}  # a nextLink, even of nothing, would be followed by the first generation's client


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


LOCATION = "/subscriptions/{subscription}/providers/Microsoft.MachineLearningServices/locations/{place}"


@arm.route("GET", LOCATION + "/quotas")
def quotas(workspace: Workspace, request: Request) -> Any:
    return {"value": [limit(workspace)]}


@arm.route("POST", LOCATION + "/updateQuotas")
def update_quotas(workspace: Workspace, request: Request) -> Any:
    """Change how many cores a cluster may have at most, until the rehearsal ends."""
    told = []
    for wish in request.json.get("value") or []:
        family = str(wish.get("id") or "").rpartition("/")[2]
        fits = family == FAMILY and isinstance(wish.get("limit"), int) and wish["limit"] >= 0
        if fits:
            workspace.quota = wish["limit"]
        told.append(wish | {"status": "success" if fits else "invalidQuotaBelowClusterMinimum"})
    return {"value": told}


def limit(workspace: Workspace) -> Record:
    return {
        "id": f"{workspace.names.scope}/quotas/{FAMILY}",
        "type": "Microsoft.MachineLearningServices/workspaces/quotas",
        "name": {"value": FAMILY, "localizedValue": "Cores of a cluster"},
        "limit": workspace.quota,
        "unit": "Count",
    }


@arm.route("POST", "{scope}/computes/{name}/listKeys")
def keys(workspace: Workspace, request: Request) -> Any:
    """What opens a compute target, as it was attached."""
    name = request.names["name"]
    if name not in workspace.state.tables.computes:
        raise Refusal(404, f"Compute target '{name}' was not found.", "ComputeNotFound")
    kind = workspace.state.tables.computes[name]["properties"]["computeType"]
    if kind == "AKS":
        raise Refusal(501, "The rehearsal's Kubernetes clusters have no kubeconfig.", "NotImplemented")
    return {"computeType": kind} | workspace.state.tables.compute_keys.get(name, {})


@arm.route("POST", "{scope}/computes/{name}/{what:(start|stop|restart)}")
def power(workspace: Workspace, request: Request) -> Any:
    """Start or stop a compute instance; it is done at once."""
    instance(workspace, request)["state"] = "Stopped" if request.names["what"].lower() == "stop" else "Running"
    return Reply(status=202, headers={"Azure-AsyncOperation": f"{API}/operations/{request.names['name']}"})


@arm.route("POST", "{scope}/computes/{name}/enableSso")
def single_sign_on(workspace: Workspace, request: Request) -> Any:
    instance(workspace, request)["enableSSO"] = bool(request.json.get("EnableSSO"))
    return {}


def instance(workspace: Workspace, request: Request) -> Record:
    """What is changeable of a compute instance."""
    compute = workspace.state.tables.computes.get(request.names["name"])
    if compute is None:
        raise Refusal(404, f"Compute target '{request.names['name']}' was not found.", "ComputeNotFound")
    if compute["properties"]["computeType"] != "ComputeInstance":
        raise Refusal(400, f"'{request.names['name']}' is no compute instance.", "InvalidComputeType")
    details: Record = compute["properties"]["properties"]
    return details


@arm.route("POST", "{scope}/computes/{name}/listNodes")
def nodes(workspace: Workspace, request: Request) -> Any:
    return {"nodes": []}  # they are there only while a run is
