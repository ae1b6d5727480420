"""What becomes of environments and models in a container registry: here, the packages of a build, and a Dockerfile."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import threading
from typing import Any

from aml_rehearsal import interpreters
from aml_rehearsal.addresses import API
from aml_rehearsal.azurite import ARTIFACTS, cache_folder
from aml_rehearsal.messages import Refusal, Reply, Request
from aml_rehearsal.services import environments, webservices
from aml_rehearsal.services.hosts import api
from aml_rehearsal.services.models import BASE as MODELS
from aml_rehearsal.state import Record, now
from aml_rehearsal.workspace import Workspace

BUILD = "/environment/v2.0{scope}/environments/{name}/versions/{version}"
CONDA = "/azureml-envs/azureml"  # where the images of Azure have what a conda file asks for


# --- images of environments


def image_of(environment: Record) -> str:
    """The name of the image that an environment has in Azure: it is that of what it holds."""
    return "azureml/azureml_" + hashlib.sha256(environments.essence(environment).encode()).hexdigest()[:32]


@api.route("POST", BUILD + "/image", BUILD + "/imageoncompute/{compute}")
def build(workspace: Workspace, request: Request) -> Any:
    """Install the packages that a run with this environment would have; they are there for the runs that follow."""
    names = request.names
    environment = environments.found(workspace, names["name"], names["version"])[-1]
    if names.get("compute") and names["compute"] not in workspace.state.tables.computes:
        raise Refusal(404, f"Compute target '{names['compute']}' was not found.", "ComputeNotFound")
    number = workspace.state.new_id()
    log = f"LocalUpload/{number}/image_build_log.txt"
    record = {"id": number, "image": image_of(environment), "status": "Running", "createdTime": now(), "log": log}
    workspace.state.tables.image_builds[number] = record
    workspace.blobs.write(ARTIFACTS, log, b"")
    threading.Thread(target=install, args=(workspace, number, log, environment), name=number, daemon=True).start()
    return Reply(shown(workspace, record), 202)


def install(workspace: Workspace, number: str, log: str, environment: Record) -> None:
    said = b""

    def say(text: bytes) -> None:
        nonlocal said
        said += text
        workspace.blobs.write(ARTIFACTS, log, said)

    outside = {name: text for name, text in os.environ.items() if text != workspace.entrance.url}
    try:
        wished = interpreters.wish(environment)
        if wished["interpreter"]:
            say(b"The environment brings its own Python: there is nothing to build.\n")
        else:
            interpreters.provide(wished, cache_folder(), outside, say)
        status = "Succeeded"
    except (interpreters.Failed, OSError) as failed:
        say(f"{failed}\n".encode())
        status = "Failed"
    with workspace.state.lock:
        workspace.state.tables.image_builds[number]["status"] = status


@api.route("GET", "/environment/v1.0{scope}/builds/{number}")
def build_state(workspace: Workspace, request: Request) -> Any:
    record = workspace.state.tables.image_builds.get(request.names["number"])
    if record is None:
        raise Refusal(404, f"Build {request.names['number']} was not found", "BuildNotFound")
    if record["status"] == "Running" and record["id"] not in {thread.name for thread in threading.enumerate()}:
        record["status"] = "Failed"  # the rehearsal ended before the build did
    return shown(workspace, record)


def shown(workspace: Workspace, record: Record) -> Record:
    address = f"{API}/environment/v1.0{workspace.names.scope}/builds/{record['id']}"
    log = workspace.blob_uri(ARTIFACTS, record["log"], "r")
    return {"location": address, "status": record["status"], "logUrl": log}


@api.route("GET", environments.BASE + "/{name}/versions/{version}/image", environments.BASE + "/{name}/image")
def image(workspace: Workspace, request: Request) -> Any:
    """What the image of an environment is called, and whether somebody has had it built."""
    environment = environments.found(workspace, request.names["name"], request.names.get("version", ""))[-1]
    name, builds = image_of(environment), workspace.state.tables.image_builds.values()
    docker, python = environment.get("docker") or {}, environment["python"]
    own = {"interpreterPath": python.get("interpreterPath"), "condaEnvironmentPath": None}
    built = {"interpreterPath": f"{CONDA}/bin/python", "condaEnvironmentPath": CONDA}
    return {
        "dockerImage": {"name": name, "registry": {"address": None, "username": None, "password": None}},
        "imageExistsInRegistry": any((one["image"], one["status"]) == (name, "Succeeded") for one in builds),
        "ingredients": {"dockerfile": docker.get("baseDockerfile") or f"FROM {docker.get('baseImage')}\n"},
        "pythonEnvironment": own if python.get("userManagedDependencies") else built,
        "vulnerabilityFindings": None,
    }


# --- models with what serves them


@api.route("POST", MODELS + "/packages")
def package(workspace: Workspace, request: Request) -> Any:
    """Put together what an image of models is built of; the image itself is not built here."""
    wish = request.json
    if wish.get("packageType") != "DockerBuildContext":
        message = "The rehearsal builds no image of models: ask for generate_dockerfile=True."
        raise Refusal(501, message, "NotImplemented")
    image = wish["imageRequest"]
    webservices.check_image(workspace, image)
    number = workspace.state.new_id()
    where, log = f"LocalUpload/{number}/manifest.json", f"LocalUpload/{number}/log.txt"
    workspace.blobs.write(ARTIFACTS, where, json.dumps(context(workspace, image)).encode())
    workspace.blobs.write(ARTIFACTS, log, b"The build context is put together.\n")
    operation = {
        "id": number,
        "operationType": "PackageDockerBuildContext",
        "state": "Succeeded",
        "createdTime": now(),
        "endTime": now(),
        "error": None,
        "resourceLocation": workspace.blob_uri(ARTIFACTS, where, "r"),
        "operationLog": workspace.blob_uri(ARTIFACTS, log, "r"),
    }
    workspace.state.tables.operations[number] = operation
    return webservices.accepted(operation)


def context(workspace: Workspace, image: Record) -> Record:
    """A Dockerfile, the conda file, the files of the deployment and those of the models, each where it is to lie."""
    tables, app, environment = workspace.state.tables, "azureml-app", image["environment"]
    entry = (environment.get("environmentVariables") or {}).get("AZUREML_ENTRY_SCRIPT") or image["driverProgram"]
    models = [tables.models[key] for key in image["modelIds"]]
    places = [f"{app}/azureml-models/{model['name']}/{model['version']}" for model in models]
    lines = [
        f"FROM {(environment.get('docker') or {}).get('baseImage')}",
        "COPY conda.yml /tmp/conda.yml",
        f"RUN conda env create -p {CONDA} -f /tmp/conda.yml",
        f"ENV PATH={CONDA}/bin:$PATH AML_APP_ROOT=/var/{app}",
        f"ENV AZUREML_MODEL_DIR=/var/{places[0] if len(places) == 1 else f'{app}/azureml-models'}",
        f"COPY {app} /var/{app}",
        f"WORKDIR /var/{app}",
        f'CMD ["azmlinfsrv", "--entry_script", "{entry}"]',
    ]
    conda = (environment.get("python") or {}).get("condaDependencies") or {}
    entries = [inline("Dockerfile", "\n".join(lines) + "\n"), inline("conda.yml", json.dumps(conda, indent=2))]
    entries += [remote(app, str(asset["url"]), unpack=bool(asset.get("unpack"))) for asset in image["assets"]]
    for model, place in zip(models, places, strict=True):
        for artifact in tables.assets[model["url"].rpartition("/")[2]]["artifacts"]:
            known = str(artifact.get("prefix") or artifact.get("id")).removeprefix("aml://artifact/")
            entries.append(remote(place, f"aml://artifact/{known}", unpack=bool(model.get("unpack"))))
    return {"context": entries, "environment": None}


def inline(path: str, text: str) -> Record:
    content = base64.b64encode(text.encode()).decode()
    return {"entryType": "inline", "path": path, "encoding": "base64", "content": content}


def remote(path: str, address: str, *, unpack: bool) -> Record:
    return {"entryType": "remote", "path": path, "uri": address, "unpack": unpack}


# --- images of the first years


@api.route("GET", MODELS + "/images")
def images(workspace: Workspace, request: Request) -> Any:
    return {"value": []}  # none can be made here
