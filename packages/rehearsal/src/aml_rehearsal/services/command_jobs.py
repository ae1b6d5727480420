"""Command jobs of the second generation: each becomes a run, as that of a script, with what it reads and writes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from aml_rehearsal import dataset_files, nodes, vm_sizes
from aml_rehearsal.messages import Refusal
from aml_rehearsal.services import codes, data_assets, datastores, environment_versions, history, model_versions
from aml_rehearsal.services.execution import check_compute
from aml_rehearsal.services.registered_models import files_of
from aml_rehearsal.services.versioned_assets import meant
from aml_rehearsal.state import Record
from aml_rehearsal.workspace import Workspace

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,254}")
NAMED = re.compile(r"\$\{\{\s*(?P<kind>\w+)\.(?P<name>[\w.]+)\s*\}\}")
DATA = ("uri_file", "uri_folder", "mltable")
MODELS = ("custom_model", "mlflow_model", "triton_model")
READ = ("ReadOnlyMount", "Download", "Direct", "EvalMount", "EvalDownload")
WRITTEN = ("ReadWriteMount", "Upload")
SERVERLESS = "serverless"  # the compute of a job that names none: nodes for this job only
PLACE = "azureml://datastores/{store}/paths/azureml/{job}/{output}/"  # where an output goes that names none
BLOB = re.compile(
    r"(?:https?://|wasbs?://(?P<inside>[^@/]+)@)(?P<account>[^./]+)\.blob\.core\.windows\.net/(?P<path>.*)"
)


def not_played(what: str) -> Refusal:
    return Refusal(501, f"The rehearsal does not play {what}.", "NotImplemented")


def submit(workspace: Workspace, name: str, wish: Record) -> None:
    """Check a command job, make its run and give that a node."""
    configuration = as_configuration(workspace, name, wish)
    processes = nodes.processes(configuration)
    experiment = str(wish.get("experimentName") or "Default")
    snapshot = codes.snapshot_of(workspace, wish["codeId"]) if wish.get("codeId") else None
    run = begun(workspace, name, wish)
    run |= {
        "target": configuration["target"],
        "status": "Queued",
        "runDefinition": configuration,
        "runType": "azureml.scriptrun",
    }
    run["properties"] |= {"_azureml.ComputeTargetType": "amlctrain"}
    run["properties"] |= {"ContentSnapshotId": snapshot} if snapshot else {}
    work = nodes.job(workspace, run, experiment, {}, processes)
    work["second"] = {
        "inputs": {key: direct(workspace, one) for key, one in files_in(wish)},
        "outputs": {key: file_name(key, one) for key, one in wish["outputs"].items()},
    }
    for variable in ("AZUREML_DATASET_ENVIRONMENT_VARS", "AZUREML_DATASET_FILE_OUTPUTS"):
        work["environment"].pop(variable, None)
    files = workspace.state.tables.snapshots[snapshot] if snapshot else {"files": {}}
    nodes.start(workspace, work, files)


def begun(workspace: Workspace, name: str, wish: Record) -> Record:
    """The run of a job of any kind, and the job as it was sent."""
    run = history.new_run(workspace, str(wish.get("experimentName") or "Default"), name)
    if wish.get("parentJobName"):
        parent = history.run_of(workspace, wish["parentJobName"])
        run |= {"parentRunId": parent["runId"], "rootRunId": parent["rootRunId"]}
    run |= {
        "displayName": wish.get("displayName") or name,
        "description": wish.get("description"),
        "hidden": bool(wish.get("isArchived")),
    }
    run["tags"] |= wish.get("tags") or {}
    run["properties"] |= wish.get("properties") or {}
    workspace.state.tables.jobs[name] = {"properties": wish}
    return run


def as_configuration(workspace: Workspace, name: str, wish: Record) -> Record:
    """A command job as the run history keeps it, in the words of the first generation."""
    if wish.get("componentId"):
        raise not_played("components outside of pipelines")
    if services := wish.get("services"):
        raise not_played(f"the services that a job opens on its nodes: {', '.join(services)}")
    resources, distribution = wish.get("resources") or {}, wish.get("distribution") or {}
    count, target = int(resources.get("instanceCount") or 1), target_of(wish)
    if target != SERVERLESS:
        check_compute(workspace, target, count)
    wish["outputs"] = {key: placed(name, key, one) for key, one in (wish.get("outputs") or {}).items() if one}
    return {
        "script": None,
        "command": command_of(wish),
        "arguments": [],
        "target": target,
        "nodeCount": count,
        "environment": environment_of(workspace, str(wish.get("environmentId") or "")),
        "environmentVariables": wish.get("environmentVariables") or {},
        "history": {"outputCollection": True, "directoriesToWatch": ["logs"]},
        "data": {},
        "outputData": {key: as_output(one) for key, one in wish["outputs"].items()},
        "maxRunDurationSeconds": seconds((wish.get("limits") or {}).get("timeout")),
    } | launcher(distribution, count)


def launcher(distribution: Record, nodes_wanted: int) -> Record:
    """How many processes a job has, and who starts them."""
    kind = str(distribution.get("distributionType") or "none").lower()
    per_node = int(distribution.get("processCountPerInstance") or 1)
    if kind == "mpi":
        return {"framework": "Python", "communicator": "Mpi", "mpi": {"processCountPerNode": per_node}}
    if kind == "pytorch":
        section = {"communicationBackend": "nccl", "processCount": per_node * nodes_wanted}
        return {"framework": "PyTorch", "communicator": "Nccl", "pytorch": section}
    if kind == "tensorflow":
        counts = {key: distribution.get(key) for key in ("workerCount", "parameterServerCount")}
        return {"framework": "TensorFlow", "communicator": "ParameterServer", "tensorflow": counts}
    if kind != "none":
        raise not_played(f"the distribution {distribution['distributionType']}")
    return {"framework": "Python", "communicator": "None"}


def target_of(wish: Record) -> str:
    """The cluster that a job names; where it names none, it has nodes of its own."""
    compute, resources = str(wish.get("computeId") or ""), wish.get("resources") or {}
    if compute and compute.rpartition("/")[2] != SERVERLESS:
        return compute.rpartition("/")[2].removeprefix("azureml:")
    if any("local" in key.lower() for key in resources.get("properties") or {}):
        raise not_played("jobs on one's own computer")
    size = resources.get("instanceType")
    if size and vm_sizes.find(str(size)) is None:
        raise Refusal(400, f"resources: instance_type: there is no size {size}.", "UserError")
    return SERVERLESS


def environment_of(workspace: Workspace, text: str) -> Record:
    """The environment that a job names; of Azure's own registry, those that every workspace has."""
    if not text:
        raise Refusal(400, "environmentId: a command job names an environment.", "UserError")
    wanted = text
    if match := re.match(r"azureml://registries/(?P<registry>[^/]+)/environments/(?P<rest>.+)", text):
        if match["registry"].lower() != "azureml":
            raise not_played(f"registries: {match['registry']}")
        wanted = f"/environments/AzureML-{match['rest']}"
    name, found = meant(workspace, environment_versions.KIND, wanted)
    environment = next(one for one in environment_versions.held(workspace, name) if one["version"] == found["version"])
    if (environment.get("docker") or {}).get("buildContext"):
        raise not_played(f"environments of a Dockerfile: {name}")
    return environment


def command_of(wish: Record) -> str:
    """The command line, with what is known before the run; what is a place is known on the node."""
    inputs, outputs = wish.get("inputs") or {}, wish.get("outputs") or {}

    def known(match: re.Match[str]) -> str:
        kind, name = match["kind"], match["name"]
        held = {"inputs": inputs, "outputs": outputs}.get(kind)
        if held is None or name not in held:
            raise Refusal(400, f"command: {match[0]} is no input or output of the job.", "UserError")
        if kind == "inputs" and held[name].get("jobInputType") == "literal":
            return str(held[name].get("value", ""))
        return f"${{{{{kind}.{name}}}}}"

    command = str(wish.get("command") or "")
    if not command.strip():
        raise Refusal(400, "command: a command job has a command.", "UserError")
    return NAMED.sub(known, command)


def seconds(length: str | int | None) -> int | None:
    """A length of time, as in PT1H30M; a step of a pipeline has it in seconds."""
    if not length or isinstance(length, int):
        return length or None
    units = {"D": 86400, "H": 3600, "M": 60, "S": 1}
    found = re.fullmatch(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.\d+)?S)?)?", length)
    if found is None:
        raise Refusal(400, f"limits: timeout: {length} is no length of time.", "UserError")
    return sum(int(number or 0) * unit for number, unit in zip(found.groups(), units.values(), strict=True)) or 1


# --- what a job reads


def files_in(wish: Record) -> list[tuple[str, Record]]:
    every = (wish.get("inputs") or {}).items()
    return [(name, one) for name, one in every if one and one.get("jobInputType") != "literal"]


def check_inputs(workspace: Workspace, wish: Record) -> None:
    """Refuse inputs that are not there."""
    for name, one in files_in(wish):
        try:
            direct(workspace, one)
        except Refusal as refusal:
            raise refusal if refusal.reply.status == 501 else Refusal(400, f"inputs: {name}: {refusal}") from None


def direct(workspace: Workspace, wish: Record) -> str:
    """The address that a job gets instead of files, if it is to read them itself; refused is what is not there."""
    kind, mode = wish.get("jobInputType"), wish.get("mode") or READ[0]
    if kind not in (*DATA, *MODELS):
        raise not_played(f"inputs of the type {kind}")
    if mode not in READ:
        raise not_played(f"inputs in the mode {mode}")
    source = source_of(workspace, wish)
    if mode.startswith("Eval") and source.dataset is None:
        raise not_played(f"inputs in the mode {mode}, but of datasets of the first generation")
    if mode == "Direct" and source.dataset:
        raise not_played("datasets of the first generation in the mode Direct")
    return source.uri if mode == "Direct" else ""


@dataclass(frozen=True)
class Source:
    """Where the files of an input come from."""

    uri: str
    dataset: Record | None = None


def source_of(workspace: Workspace, wish: Record) -> Source:
    text, model = str(wish.get("uri") or ""), wish["jobInputType"] in MODELS
    if text.startswith("azureml://registries/"):
        raise not_played(f"registries: {text}")
    if re.match(r"(azureml:)?/subscriptions/.*/(data|models)/", text) or re.match(r"azureml:[^/]", text):
        kind = model_versions.KIND if model or "/models/" in text else data_assets.KIND
        name, found = meant(workspace, kind, text)
        if kind is model_versions.KIND:
            return Source(model_place(workspace, name, found))
        if name in workspace.state.tables.datasets and not workspace.state.tables.data_assets.keys_where(name=name):
            versions = workspace.state.tables.datasets[name]
            dataset = next(one for one in versions if one["latest"]["versionId"] == found["version"])
            return Source(found["properties"]["dataUri"], dataset)
        return Source(found["properties"]["dataUri"])
    uri = data_assets.in_full(workspace, text)
    place = data_assets.place_of(uri)
    if place is None and not re.match(r"(https?|wasbs?)://", uri):
        raise not_played(f"inputs from {uri}")
    if place and place[0].lower() not in workspace.state.tables.datastores:
        raise Refusal(400, f"inputs: there is no datastore {place[0]}.", "UserError")
    return Source(uri)


def model_place(workspace: Workspace, name: str, version: Record) -> str:
    """Where the files of a model are kept, also of one that the first generation has registered."""
    model = workspace.state.tables.models[f"{name}:{version['version']}"]
    files = files_of(workspace, model)
    return data_assets.address(workspace, datastores.ARTIFACT_STORE, files)


def read(workspace: Workspace, run_id: str, name: str) -> list[dict[str, str]]:
    """The files of an input, as the node needs them; the name of a single file is empty."""
    with workspace.state.lock:
        wish = workspace.state.tables.jobs[run_id]["properties"]["inputs"][name]
        source = source_of(workspace, wish)
    try:
        if source.dataset:
            return [vars(file) for file in dataset_files.files(workspace, source.dataset)]
        place = data_assets.place_of(source.uri)
        found = dataset_files.folder(workspace, *place) if place else at_address(workspace, source.uri)
    except Refusal as refusal:
        raise Refusal(400, f"inputs: {name}: {refusal}") from None
    if not found:
        raise Refusal(400, f"inputs: {name}: nothing lies at {source.uri}.")
    return [vars(file) for file in found]


def at_address(workspace: Workspace, uri: str) -> list[dataset_files.File]:
    """The files at an address of blob storage that the rehearsal has, or the one file of another host."""
    match = BLOB.fullmatch(uri.partition("?")[0])
    if match is None or match["account"] not in workspace.blobs.keys:
        return [dataset_files.File("", uri, "")]
    whole = f"{match['inside']}/{match['path']}" if match["inside"] else match["path"]
    container, _, path = unquote(whole).partition("/")
    storage = {"accountName": match["account"], "containerName": container, "credentialType": "None"}
    with workspace.state.lock:
        place = dataset_files.Place(workspace, {"name": uri, "azureStorageSection": storage})
    return dataset_files.below(place, path.rstrip("/"))


# --- what a job writes


def placed(job_name: str, name: str, wish: Record) -> Record:
    """An output with the address that it goes to; its store is the default one, unless its pipeline has another."""
    kind, mode = wish.get("jobOutputType") or "uri_folder", wish.get("mode") or WRITTEN[0]
    if kind not in (*DATA, *MODELS):
        raise not_played(f"outputs of the type {kind}")
    if mode not in WRITTEN:
        raise not_played(f"outputs in the mode {mode}")
    store = wish.get("store") or "workspaceblobstore"
    uri = str(wish.get("uri") or PLACE.format(store=store, job=job_name, output=name))
    uri = uri.replace("${{default_datastore}}", store).replace("${{name}}", job_name)
    if data_assets.place_of(uri) is None:
        raise not_played(f"outputs that go to {uri}")
    return wish | {"jobOutputType": kind, "mode": mode, "uri": uri}


def as_output(wish: Record) -> Record:
    """An output as the first generation writes it; of a file, the folder that it lies in."""
    place = data_assets.place_of(wish["uri"])
    assert place is not None
    store, path = place
    folder = path.rpartition("/")[0] if is_file(wish) else path
    return {
        "outputLocation": {"dataPath": {"datastoreName": store, "relativePath": folder.strip("/")}},
        "mechanism": "upload" if wish["mode"] == "Upload" else "mount",
        "additionalOptions": {"uploadOptions": {"overwrite": True}},
    }


def is_file(wish: Record) -> bool:
    return bool(wish["jobOutputType"] == "uri_file" and not wish["uri"].endswith("/"))


def file_name(name: str, wish: Record) -> str:
    """What an output is called that is one file, and nothing where it is a folder."""
    if wish["jobOutputType"] != "uri_file":
        return ""
    return str(wish["uri"].rpartition("/")[2] or name)


def keep_outputs(workspace: Workspace, run: Record) -> None:
    """Let what a job has written be data assets, or models where it is called so."""
    wish = workspace.state.tables.jobs[run["runId"]]["properties"]
    run["outputs"] = {}
    for name, one in wish["outputs"].items():
        asset, version = one.get("assetName"), one.get("assetVersion")
        kind = model_versions.KIND if one["jobOutputType"] in MODELS else data_assets.KIND
        if kind is model_versions.KIND:
            if asset:
                sent = {"modelUri": f"azureml://jobs/{run['runId']}/outputs/{name}", "modelType": one["jobOutputType"]}
                kind.keep(workspace, asset, str(version or next_version(workspace, asset)), sent)
            continue
        held = str(asset or f"azureml_{run['runId']}_output_data_{name}")
        taken = [one["version"] for one in kind.versions(workspace, held)]
        number = str(version or (1 + max((int(text) for text in taken if text.isdigit()), default=0)))
        uri = f"azureml://jobs/{run['runId']}/outputs/{name}"
        kind.keep(workspace, held, number, {"dataType": one["jobOutputType"], "dataUri": uri, "isAnonymous": not asset})
        place = f"azureml://locations/westeurope/workspaces/rehearsal/data/{held}/versions/{number}"
        run["outputs"][name] = {"assetId": place, "type": data_assets.TYPES[one["jobOutputType"]]}


def next_version(workspace: Workspace, name: str) -> int:
    return 1 + max((int(one["version"]) for one in model_versions.versions(workspace, name)), default=0)
