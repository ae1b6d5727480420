"""The nodes that runs get: what each is told to do, and the processes that play clusters."""

from __future__ import annotations

import io
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from pathlib import Path

from aml_rehearsal import azurite, dataset_outputs, interpreters, private_wheels
from aml_rehearsal.addresses import API, API_HOST, WORKSPACE_ID, free_port
from aml_rehearsal.messages import Refusal
from aml_rehearsal.run_process import PREEMPTED
from aml_rehearsal.state import Record, set_status
from aml_rehearsal.tokens import LIFETIME
from aml_rehearsal.workspace import Workspace

MPI = {"mpi", "intelmpi", "openmpi"}
TORCH = {"nccl", "gloo"}
TENSORFLOW = {"parameterserver"}
# What a script on a cluster finds of the computer that plays it; nothing that could hold a credential.
KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT")


def job(
    workspace: Workspace, run: Record, experiment: str, datasets: dict[str, Record], processes: list[dict[str, str]]
) -> Record:
    """Everything that a node needs to know about its run."""
    configuration = run["runDefinition"]
    references = configuration.get("dataReferences") or {}
    data = [
        {
            "name": name,
            "path": wish["pathOnCompute"],
            "variable": wish["environmentVariableName"] or name,
            "overwrite": bool(wish["overwrite"]),
            "direct": str(wish.get("mechanism")).lower() == "direct",
            "saved": datasets[name]["latest"]["savedDatasetId"],
        }
        for name, wish in (configuration["data"] or {}).items()
    ]
    asked = configuration.get("outputData") or {}
    writes = [
        {
            "name": output.name,
            "path": path_on_compute(output, asked.get(output.name) or references[output.name]),
            "mounted": output.mechanism == "mount",
            "globs": globs((asked.get(output.name, {}).get("additionalOptions") or {}).get("uploadOptions") or {}),
            "made": not output.reference,  # before the script starts
        }
        for output in dataset_outputs.of_run(run).values()
    ]
    reads = [
        {
            "name": name,
            "path": wish.get("pathOnCompute") or f"{wish['dataStoreName']}/{wish.get('pathOnDataStore') or ''}",
            "store": wish["dataStoreName"],
            "blobs": str(wish.get("pathOnDataStore") or "").strip("/"),
        }
        for name, wish in references.items()
        if str(wish["mode"]).lower() != "upload"
    ]
    history = configuration["history"]
    wish = interpreters.wish(configuration["environment"])
    wheels = workspace.folder / "wheels"
    ways = [f"{one['variable']}:{'Direct' if one['direct'] else 'Mount'}" for one in data]
    return {
        "server": workspace.entrance.url,
        "run": run["runId"],
        "token": workspace.tokens.issue(run["runId"], "run"),
        "target": configuration["target"],
        "script": configuration["script"],
        "command": configuration.get("command") or "",
        "arguments": [str(argument) for argument in configuration["arguments"] or []],
        "interpreter": wish["interpreter"],
        "packages": private_wheels.at_hand(wish["packages"], workspace.blobs, wheels),
        "docker": bool((configuration.get("docker") or {}).get("useDocker")),
        "environment": run_variables(workspace, run, experiment)
        | {"AZUREML_DATASET_ENVIRONMENT_VARS": ",".join(ways)}
        | ({"AZUREML_DATASET_FILE_OUTPUTS": ";".join(asked)} if asked else {})
        | (configuration["environment"].get("environmentVariables") or {})
        | (configuration.get("environmentVariables") or {}),
        "processes": processes,
        "data": data,
        "reads": reads,
        "writes": writes,
        "outputs": bool(history["outputCollection"]),
        "watched": history["directoriesToWatch"] or [],
        "seconds": configuration.get("maxRunDurationSeconds") or 30 * 24 * 3600,
    }


def path_on_compute(output: dataset_outputs.Output, wish: Record) -> str | None:
    """Where a run finds what it is to write; a reference lies where its datastore would be mounted."""
    path = wish.get("pathOnCompute") or (wish.get("additionalOptions") or {}).get("pathOnCompute")
    return path or (f"{output.store}/{output.path}" if output.reference else None)


def globs(upload: Record) -> list[str]:
    """Which of its folder's files an output has: all, if none are named."""
    return list((upload.get("sourceGlobs") or {}).get("patterns") or [])


def run_variables(workspace: Workspace, run: Record, experiment: str) -> dict[str, str]:
    """The variables by which azureml's Run and MLflow find their run."""
    names, token = workspace.names, workspace.tokens.issue(run["runId"], "run")
    return {
        "AZUREML_ARM_SUBSCRIPTION": names.subscription_id,
        "AZUREML_ARM_RESOURCEGROUP": names.resource_group,
        "AZUREML_ARM_WORKSPACE_NAME": names.workspace_name,
        "AZUREML_ARM_PROJECT_NAME": experiment,
        "AZUREML_EXPERIMENT_ID": run["experimentId"],
        "AZUREML_EXPERIMENT_SCOPE": f"{names.scope}/experiments/{experiment}",
        "AZUREML_WORKSPACE_SCOPE": names.scope,
        "AZUREML_WORKSPACE_ID": WORKSPACE_ID,
        "AZUREML_RUN_ID": run["runId"],
        "AZUREML_RUN_TOKEN": token,
        "AZUREML_RUN_TOKEN_EXPIRY": str(int(time.time()) + LIFETIME),
        "AZUREML_RUN_HISTORY_SERVICE_ENDPOINT": API,
        "AZUREML_SERVICE_ENDPOINT": API,
        "AZUREML_DISCOVERY_SERVICE_ENDPOINT": f"{API}/discovery",
        "AZUREML_FRAMEWORK": str(run["runDefinition"]["framework"]),
        "AZUREML_COMMUNICATOR": str(run["runDefinition"]["communicator"]),
        "MLFLOW_TRACKING_URI": f"azureml://{API_HOST}/mlflow/v2.0{names.scope}",
        "MLFLOW_TRACKING_TOKEN": token,
        "MLFLOW_RUN_ID": run["runId"],
        "MLFLOW_EXPERIMENT_ID": run["experimentId"],
        "MLFLOW_EXPERIMENT_NAME": experiment,
        "PYTHONUNBUFFERED": "1",
    }


def processes(configuration: Record) -> list[dict[str, str]]:
    """The variables of each process, as its launcher sets them: all nodes are this computer."""
    node_count = int(configuration["nodeCount"] or 1)
    communicator = str(configuration.get("communicator") or "None").lower()
    torch = configuration.get("pytorch") or {}
    if communicator in TENSORFLOW:
        return tensorflow_tasks(configuration.get("tensorflow") or {}, node_count)
    if communicator in MPI:
        per_node = int((configuration.get("mpi") or {}).get("processCountPerNode") or 1)
    elif communicator in TORCH or str(configuration.get("framework")).lower() == "pytorch":
        wanted = int(torch.get("processCount") or node_count)
        per_node, rest = divmod(wanted, node_count)
        if rest:
            raise Refusal(400, f"pytorch.processCount: {wanted} is no multiple of nodeCount: {node_count}")
    else:
        per_node = 1
    size = node_count * per_node
    if size == 1:
        return [{}]
    port = str(free_port())
    found = []
    for rank in range(size):
        node, local = divmod(rank, per_node)
        if communicator in MPI:
            found.append(
                {
                    "OMPI_COMM_WORLD_RANK": str(rank),
                    "OMPI_COMM_WORLD_SIZE": str(size),
                    "OMPI_COMM_WORLD_LOCAL_RANK": str(local),
                    "OMPI_COMM_WORLD_LOCAL_SIZE": str(per_node),
                    "AZ_BATCH_MASTER_NODE": f"127.0.0.1:{port}",
                    "AZ_BATCHAI_MPI_MASTER_NODE": "127.0.0.1",
                    "AZUREML_PROCESS_NAME": f"rank_{rank}",
                }
            )
        else:
            found.append(
                {
                    "RANK": str(rank),
                    "WORLD_SIZE": str(size),
                    "LOCAL_RANK": str(local),
                    "LOCAL_WORLD_SIZE": str(per_node),
                    "NODE_RANK": str(node),
                    "MASTER_ADDR": "127.0.0.1",
                    "MASTER_PORT": port,
                }
            )
    return found


def tensorflow_tasks(section: Record, node_count: int) -> list[dict[str, str]]:
    """The variables of TensorFlow's workers and parameter servers: the whole cluster, and which of its tasks one is."""
    counts = {
        "worker": int(section.get("workerCount") or node_count),
        "ps": int(section.get("parameterServerCount") or 0),
    }
    cluster = {kind: [f"127.0.0.1:{free_port()}" for _ in range(count)] for kind, count in counts.items() if count}
    tasks = [{"type": kind, "index": index} for kind, addresses in cluster.items() for index in range(len(addresses))]
    if len(tasks) == 1:
        return [{}]
    return [{"TF_CONFIG": json.dumps({"cluster": cluster, "task": task, "environment": "cloud"})} for task in tasks]


def local_archive(job: Record) -> bytes:
    """What the client unpacks beside the user's files, and then starts."""
    job = job | {"cache": str(azurite.cache_folder())}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("azureml-setup/job.json", json.dumps(job))
        # Isolated: the user's files lie in this folder, and none of them is the node's.
        start = [sys.executable, "-I", "-m", "aml_rehearsal.run_process", "azureml-setup/job.json"]
        archive.writestr("azureml-setup/Invocation.sh", f"#!/bin/sh\nexec {shlex.join(start)}\n")
        batch = " ".join(f'"{part}"' for part in start)
        archive.writestr("azureml-setup/Invocation.bat", f"@{batch}\r\n")
    return packed.getvalue()


def start(workspace: Workspace, job: Record, snapshot: Record) -> None:
    """Give the run a node of its own: a folder with the snapshot's files, and a process."""
    thread = threading.Thread(target=watch, args=(workspace, job, snapshot), daemon=True)
    workspace.nodes = [node for node in workspace.nodes if node.is_alive()] + [thread]
    thread.start()


def watch(workspace: Workspace, job: Record, snapshot: Record) -> None:
    """Let a run have its node; one whose node is taken away gets another, which is empty, and starts there anew."""
    while occupy(workspace, job, snapshot) == PREEMPTED:
        with workspace.state.lock:
            workspace.preempted.discard(job["run"])
            set_status(workspace.state.tables.runs[job["run"]], "Queued")
    with workspace.state.lock:
        workspace.preempted.discard(job["run"])
        message = "The node's process ended before it had reported."
        set_status(workspace.state.tables.runs[job["run"]], "Failed", message)


def occupy(workspace: Workspace, job: Record, snapshot: Record) -> int:
    """Have a node for a run until it ends there; return what its process ended with."""
    folder = Path(tempfile.mkdtemp(prefix="aml-rehearsal-node-"))
    try:
        work = folder / "work"
        work.mkdir()
        for name, file in snapshot["files"].items():
            target = work / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(workspace.blobs.read(file.get("container", azurite.ARTIFACTS), file["blob"]))
        own = {name: os.environ[name] for name in KEPT if name in os.environ}
        own |= workspace.entrance.variables | {"HOME": str(folder)}
        job = job | {"root": str(folder), "cache": str(azurite.cache_folder()), "own": own}
        (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
        command = [sys.executable, "-I", "-m", "aml_rehearsal.run_process", str(folder / "job.json")]
        return subprocess.run(command, cwd=work, stdin=subprocess.DEVNULL, start_new_session=True).returncode
    except Exception as error:
        with workspace.state.lock:
            set_status(workspace.state.tables.runs[job["run"]], "Failed", f"The node did not start: {error}")
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
