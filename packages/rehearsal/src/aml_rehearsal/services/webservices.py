"""Models deployed as web services, on container instances (ACI) or on a Kubernetes cluster (AKS)."""

from __future__ import annotations

import copy
import re
import secrets
from typing import Any

from aml_rehearsal import hosting
from aml_rehearsal.addresses import API, REGION
from aml_rehearsal.messages import Refusal, Reply, Request
from aml_rehearsal.services.computes import progress
from aml_rehearsal.services.hosts import api
from aml_rehearsal.services.models import BASE, in_full, matches, patch
from aml_rehearsal.state import Record, creator, now
from aml_rehearsal.workspace import Workspace

NAME = re.compile(r"[a-z]([-a-z0-9]{1,30})[a-z0-9]")
SERVICES = BASE + "/services"
HIDDEN = ("keys", "deployment")  # of a service's record
CORES, MEMORY = (0.1, 4), (0.1, 16)  # of a container instance, from and to
RESTARTS = {"environmentImageRequest", "scoringTimeoutMs"}  # what a container knows from its start
COMMON: Record = {
    "description": None,
    "kvTags": {},
    "properties": {},
    "location": REGION,
    "imageId": None,
    "appInsightsEnabled": False,
    "authEnabled": False,
}
# What the service adds to a wish, and the client insists on.
DEFAULTS: dict[str, Record] = {
    "ACI": COMMON
    | {
        "containerResourceRequirements": {"cpu": 0.1, "memoryInGB": 0.5},
        "cname": None,
        "publicIp": None,
        "publicFqdn": None,
        "sslCertificate": None,
        "sslEnabled": False,
        "sslKey": None,
    },
    "AKS": COMMON
    | {
        "authEnabled": True,
        "aadAuthEnabled": False,
        "autoScaler": {
            "autoscaleEnabled": False,
            "minReplicas": 1,
            "maxReplicas": 10,
            "targetUtilization": 70,
            "refreshPeriodInSeconds": 1,
        },
        "containerResourceRequirements": {
            "cpu": 0.1,
            "cpuLimit": None,
            "memoryInGB": 0.5,
            "memoryInGBLimit": None,
            "gpu": None,
        },
        "dataCollection": {"eventHubEnabled": False, "storageEnabled": False},
        "livenessProbeRequirements": {
            "periodSeconds": 10,
            "initialDelaySeconds": 310,
            "timeoutSeconds": 2,
            "successThreshold": 1,
            "failureThreshold": 3,
        },
        "maxConcurrentRequestsPerContainer": 1,
        "maxQueueWaitMs": 500,
        "namespace": None,
        "numReplicas": 1,
        "scoringTimeoutMs": 60000,
        "isDefault": None,
        "trafficPercentile": None,
    },
}


# -------------------------------------------------------------------------------------------------------- checks


def found(workspace: Workspace, name: str) -> Record:
    try:
        return workspace.state.tables.services[name]
    except KeyError:
        raise Refusal(404, f"Service with name {name} was not found.", "WebserviceNotFound") from None


def check_name(workspace: Workspace, name: str, *, overwrite: bool) -> None:
    if not NAME.fullmatch(name):
        message = "3 to 32 lower-case letters, digits and hyphens, beginning with a letter and not ending in a hyphen"
        raise Refusal(400, f"'{name}' is no name for a service: {message}.", "InvalidServiceName")
    if name in workspace.state.tables.services and not overwrite:
        message = f"Service {name} with the same name already exists, please use a different service name or delete it."
        raise Refusal(409, message, "ServiceExists")


def check(workspace: Workspace, service: Record) -> None:
    """Refuse a service that Azure would not make."""
    kind, needs = service["computeType"], service["containerResourceRequirements"]
    if kind == "ACI":
        for what, text, (least, most) in (("cpu", "cores", CORES), ("memoryInGB", "GB of memory", MEMORY)):
            if not (isinstance(needs[what], int | float) and least <= needs[what] <= most):
                message = f"{what}: a container instance has {least} to {most} {text}, not {needs[what]}."
                raise Refusal(400, message, "InvalidContainerResourceRequirements")
        if service["sslEnabled"]:
            raise Refusal(400, "sslEnabled: the rehearsal serves on loopback, without TLS.")
    else:
        check_cluster(workspace, str(service.get("computeName") or ""))
        if service["authEnabled"] and service["aadAuthEnabled"]:
            raise Refusal(400, "authEnabled and aadAuthEnabled: only one of both.", "InvalidAuthentication")
    check_image(workspace, service.get("environmentImageRequest") or {})


def check_cluster(workspace: Workspace, name: str) -> None:
    compute = workspace.state.tables.computes.get(name)
    if compute is None:
        raise Refusal(404, f"computeName: compute target '{name}' was not found.", "ComputeNotFound")
    if compute["properties"]["computeType"] != "AKS":
        kind = compute["properties"]["computeType"]
        raise Refusal(400, f"computeName: '{name}' is a {kind}; a service of type AKS wants an AKS cluster.")
    state = progress(workspace, name)
    if state != "Succeeded":
        raise Refusal(400, f"computeName: '{name}' is not ready: {state}.", "ComputeTargetNotReady")


def check_image(workspace: Workspace, image: Record) -> None:
    """Refuse files and models that are not there, and what no container can be made of."""
    tables = workspace.state.tables
    if not image.get("environment") or not image.get("assets"):
        message = (
            "environmentImageRequest: the rehearsal wants an InferenceConfig with an entry script and an Environment."
        )
        raise Refusal(400, message)
    for key in image.get("modelIds") or []:
        if key not in tables.models:
            raise Refusal(404, f"Model {key} was not found", "ModelNotFound")
    for asset in image["assets"]:
        if str(asset["url"]).removeprefix("aml://artifact/") not in tables.artifacts:
            raise Refusal(404, f"Artifact {asset['url']} was not found", "ArtifactNotFound")
    image.setdefault("modelIds", [])


# ------------------------------------------------------------------------------------------------------- changes


def create(workspace: Workspace, wish: Record) -> Record:
    """Make a service, or put another in its place; return the operation."""
    name, kind = str(wish.get("name")), str(wish.get("computeType"))
    services = workspace.state.tables.services
    check_name(workspace, name, overwrite=bool(wish.get("overwrite")))
    if kind not in DEFAULTS:
        raise Refusal(400, f"computeType: the rehearsal has ACI and AKS, not {kind}.")
    service = copy.deepcopy(DEFAULTS[kind])
    overlay(service, {key: value for key, value in wish.items() if key not in {"overwrite", "keys"}})
    check(workspace, service)
    known = services.get(name)
    if known:
        check_change(known)
        if known["computeType"] != kind:
            raise Refusal(400, f"computeType: service {name} is on {known['computeType']}; delete it first.")
    keys = wish.get("keys") or {}
    held = known["keys"] if known else {}
    service |= {
        "id": name,
        "createdTime": known["createdTime"] if known else now(),
        "createdBy": creator("rehearsal"),
        "scoringUri": known["scoringUri"] if known else None,
        "keys": {key: keys.get(key) or held.get(key) or new_key() for key in ("primaryKey", "secondaryKey")},
    }
    services[name] = service
    return deploy(workspace, service)


def update(workspace: Workspace, name: str, changes: list[Record]) -> Record:
    """Change a service; return the operation."""
    service = changed(workspace, name, changes)
    check_change(workspace.state.tables.services[name])
    workspace.state.tables.services[name] = service
    if RESTARTS & {change["path"].strip("/") for change in changes}:
        return deploy(workspace, service)
    service["updatedTime"] = now()
    operation = begun(workspace, name)
    hosting.finish(operation, "Succeeded")
    return operation


def changed(workspace: Workspace, name: str, changes: list[Record]) -> Record:
    """What a service would be after some changes."""
    service = copy.deepcopy(found(workspace, name))
    for change in changes:
        patch(service, change)
    check(workspace, service)
    return service


def check_change(service: Record) -> None:
    if service["state"] == "Transitioning":
        message = f"Service {service['name']} is being deployed: wait until it is done, or delete it."
        raise Refusal(409, message, "ServiceTransitioning")


def deploy(workspace: Workspace, service: Record) -> Record:
    operation = begun(workspace, service["name"])
    times = {"updatedTime": now(), "state": "Transitioning", "error": None}
    service |= times | {"deployment": operation["id"]}
    workspace.hosting.deploy(service["name"], operation["id"])
    return operation


def begun(workspace: Workspace, name: str) -> Record:
    """A new operation, which goes on."""
    number = workspace.state.new_id()
    operation = {
        "id": number,
        "operationType": "Service",
        "state": "Running",
        "createdTime": now(),
        "endTime": None,
        "error": None,
        "resourceLocation": f"{workspace.names.scope}/services/{name}",
        "operationLog": f"{workspace.entrance.outside}/services/{name}",
        "operationDetails": {"subOperationType": "DeployService", "subOperationState": "Running"},
    }
    workspace.state.tables.operations[number] = operation
    return operation


def overlay(record: Record, wish: Record) -> None:
    """Lay a wish over the defaults; what it leaves open stays as it is."""
    for key, value in wish.items():
        if key != "environmentImageRequest" and isinstance(value, dict) and isinstance(record.get(key), dict):
            overlay(record[key], value)
        elif value is not None or key not in record:
            record[key] = value


def new_key() -> str:
    return secrets.token_urlsafe(24)


def accepted(operation: Record, body: Any = None) -> Reply:
    return Reply(body, 202, {"Operation-Location": f"{API}/operations/{operation['id']}"})


def without_secrets(service: Record) -> Record:
    return {key: value for key, value in service.items() if key not in HIDDEN}


def shown(workspace: Workspace, service: Record) -> Record:
    """A service as it is told: its models in full, its secrets not at all."""
    models = workspace.state.tables.models
    return without_secrets(service) | {
        "models": [in_full(models[key]) for key in service["environmentImageRequest"]["modelIds"] if key in models]
    }


# -------------------------------------------------------------------------------------------------------- routes


@api.route("GET POST", SERVICES)
def services(workspace: Workspace, request: Request) -> Any:
    if request.method == "POST":
        operation = create(workspace, request.json)
        return accepted(operation)
    listed = [
        shown(workspace, service)
        for name, service in sorted(workspace.state.tables.services.items())
        if wanted(service, request.query)
    ]
    return {"value": listed}  # a nextLink, even of nothing, would be followed


def wanted(service: Record, query: dict[str, str]) -> bool:
    """The filters of a listing."""
    models = service["environmentImageRequest"]["modelIds"]
    if (query.get("computeType") or service["computeType"]).upper() != service["computeType"]:
        return False
    if "modelId" in query and query["modelId"] not in models:
        return False
    if "modelName" in query and query["modelName"] not in [key.rpartition(":")[0] for key in models]:
        return False
    return matches(service, {key: text for key, text in query.items() if key in {"tags", "properties"}})


@api.route("POST", SERVICES + "/validate/name/{name}")
def validate_name(workspace: Workspace, request: Request) -> Any:
    """A problem is told as an answer, not as a refusal."""
    try:
        check_name(workspace, request.names["name"], overwrite=False)
    except Refusal as refusal:
        return refusal.reply.body
    return {}


@api.route("POST", SERVICES + "/validate/resource")
def validate_resource(workspace: Workspace, request: Request) -> Any:
    return {}  # there is always room


@api.route("POST", SERVICES + "/validate")
def validate(workspace: Workspace, request: Request) -> Any:
    wish = request.json
    try:
        if wish["type"] == "Update":
            changed(workspace, wish["serviceName"], wish["updateRequest"] or [])
    except Refusal as refusal:
        return refusal.reply.body
    return {}


@api.route("GET PATCH DELETE", SERVICES + "/{name}")
def service(workspace: Workspace, request: Request) -> Any:
    name = request.names["name"]
    if request.method == "PATCH":
        operation = update(workspace, name, request.json)
        return accepted(operation, shown(workspace, found(workspace, name)))
    if request.method == "DELETE":
        if name not in workspace.state.tables.services:
            return Reply(status=204)
        del workspace.state.tables.services[name]
        operation = begun(workspace, name)
        workspace.hosting.remove(name, operation["id"])
        return accepted(operation)
    return shown(workspace, found(workspace, name))


@api.route("GET", BASE + "/operations/{operation}")
def operation(workspace: Workspace, request: Request) -> Any:
    try:
        return workspace.state.tables.operations[request.names["operation"]]
    except KeyError:
        raise Refusal(404, f"Operation {request.names['operation']} was not found", "OperationNotFound") from None


@api.route("GET", SERVICES + "/{name}/logs")
def logs(workspace: Workspace, request: Request) -> Any:
    service = found(workspace, request.names["name"])
    lines = workspace.hosting.log(service["name"], service["deployment"]).splitlines(keepends=True)
    return {"content": "".join(lines[-int(request.query.get("tail") or 5000) :])}


@api.route("POST", SERVICES + "/{name}/listkeys")
def keys(workspace: Workspace, request: Request) -> Any:
    return found(workspace, request.names["name"])["keys"]


@api.route("POST", SERVICES + "/{name}/regenerateKeys")
def regenerate(workspace: Workspace, request: Request) -> Any:
    service, wish = found(workspace, request.names["name"]), request.json
    key = {"Primary": "primaryKey", "Secondary": "secondaryKey"}.get(str(wish.get("keyType")))
    if key is None:
        raise Refusal(400, f"keyType: Primary or Secondary, not {wish.get('keyType')}.")
    service["keys"][key] = wish.get("keyValue") or new_key()
    operation = begun(workspace, service["name"])
    hosting.finish(operation, "Succeeded")
    return accepted(operation)


@api.route("POST", SERVICES + "/{name}/token")
def token(workspace: Workspace, request: Request) -> Any:
    service = found(workspace, request.names["name"])
    if not service.get("aadAuthEnabled"):
        raise Refusal(400, f"Service {service['name']} has no token authentication.", "TokenAuthNotEnabled")
    return workspace.hosting.token(service["name"])
