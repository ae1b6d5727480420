"""The files of azure_ml/: written from what runconfigs, conda files and answers name, and read with their lines.

The names stand in aml_config/ and in the answers; what is written repeats them, and `make check` sees that both agree.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aml_project import plain_yaml, project
from aml_project.command_line import Failure
from aml_project.plain_yaml import Place
from aml_project.runconfigs import clusters, reading
from aml_project.runconfigs.schema import nearest
from aml_project.v2 import keys

FOLDER = "azure_ml"
JOB = "job.yml"  # the one that the others follow; it is there last
RUNCONFIG, INFERENCE = "train-amlcompute", "aml_config/inference-config.yml"
SCHEMAS = "https://azuremlschemas.azureedge.net/latest"
# What a file is that says it by no $schema: by its name, or its type.
BY_NAME = {
    "job": "commandJob", "sweep": "sweepJob", "pipeline": "pipelineJob", "data": "data", "compute": "amlCompute",
    "model": "model", "endpoint": "managedOnlineEndpoint", "deployment": "managedOnlineDeployment",
    "batch-endpoint": "batchEndpoint", "batch-deployment": "modelBatchDeployment", "schedule": "schedule",
    "monitor": "monitorSchedule", "environment": "environment", "workspace": "workspace", "registry": "registry",
}  # fmt: skip
BY_TYPE = {
    "sweep": "sweepJob", "pipeline": "pipelineJob", "parallel": "parallelComponent", "amlcompute": "amlCompute",
    "computeinstance": "computeInstance", "kubernetes": "kubernetesCompute", "virtualmachine": "vmCompute",
    "azure_blob": "azureBlob", "azure_file": "azureFile", "azure_data_lake_gen2": "azureDataLakeGen2",
    "azure_data_lake_gen1": "azureDataLakeGen1", "uri_folder": "data", "uri_file": "data", "mltable": "data",
    "custom_model": "model", "mlflow_model": "model", "triton_model": "model",
}  # fmt: skip


# Written


def make(folder: Path) -> dict[str, str]:
    """The files for a model, by their names in its folder; what they are is told by the model's own files."""
    return {f"{FOLDER}/{name}": text for name, text in Writer(folder).files().items()}


class Writer:
    """What a model's files name, put into those of the second generation."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.model = folder, folder.name
        self.root = folder.parents[1]
        self.config = reading.read(reading.find(folder, RUNCONFIG))
        self.served = read_served(folder)
        self.data = data_of(self.config)
        self.answers = project.answers(self.root)
        self.masks = project.draws_masks(self.root, self.model)

    def files(self) -> dict[str, str]:
        made = {
            "environment-train.yml": self.environment("train", self.config),
            "environment-inference.yml": self.environment("inference", self.served),
            "compute.yml": self.compute(),
            "model.yml": self.registered(),
            "endpoint.yml": self.endpoint(),
            "deployment.yml": self.deployment(),
            "batch-endpoint.yml": self.batch_endpoint(),
            "batch-deployment.yml": self.batch_deployment(),
        }
        if self.data:
            made["data.yml"] = self.dataset()
        return {JOB: self.job(), **dict(sorted(made.items()))}

    def path(self, name: str) -> str:
        """How az is told a file of azure_ml/, from the repo's root."""
        return f"models/{self.model}/{FOLDER}/{name}"

    def job(self) -> str:
        made: list[str] = [
            "# A training on the cluster, by the same names as aml_config/train-amlcompute.runconfig:",
            f"#   az ml job create -f {self.path(JOB)} --stream",
            f"# Its own command on this computer, without Azure: make train ARGS=--job{self.chosen()}",
            f"$schema: {SCHEMAS}/commandJob.schema.json",
            "type: command",
            f"experiment_name: {self.model}",
            "display_name: train",
            "# The model's folder, without what .amlignore names; what train.py writes to outputs/ stays with the job.",
            "code: ..",
            "command: >-",
            *(f"  {line}" for line in self.command()),
        ]
        if self.data:
            made.append("inputs:")
        for name, (path, mode) in self.data.items():
            made += [f"  {name}:", "    type: uri_folder", f"    path: {scalar(path)}", f"    mode: {mode}"]
        made += [f"environment: {self.packages('train')}"]
        if variables := self.variables(self.config):
            made += ["environment_variables:", *variables]
        made += ["# Without this line the job is serverless: resources.instance_type names the VM then."]
        made += [f"compute: {self.cluster()}", *self.resources()]
        if distribution := distribution_of(self.config):
            made += ["distribution:", *(f"  {key}: {value}" for key, value in distribution.items())]
        if seconds := self.config.get("maxRunDurationSeconds"):
            made += ["limits:", f"  timeout: {seconds} # seconds"]
        return text_of(made)

    def chosen(self) -> str:
        return f" MODEL={self.model}" if len(project.models(self.root)) > 1 else ""

    def command(self) -> list[str]:
        """The script, an argument a line, data by its name; what direct data asks of the script falls away."""
        places = {str(entry.get("pathOnCompute")): key(name) for name, entry in entries(self.config)}
        words, lines, skip = list(map(str, self.config.get("arguments") or [])), [], False
        direct = [name for name, entry in entries(self.config) if str(entry.get("mechanism")).lower() == "direct"]
        lines.append(f"python {shlex.quote(str(self.config.get('script') or 'train.py'))}")
        for number, word in enumerate(words):
            following = words[number + 1] if number + 1 < len(words) else ""
            if skip:
                skip = False
            elif word == "--dataset" and following in direct:
                skip = True
            elif word == "--data-path" and direct:
                lines.append(f"--data-path {bound(key(direct[0]))}")
                skip = True
            else:
                value = bound(places[word]) if word in places else shlex.quote(word)
                if lines[-1].startswith("--") and " " not in lines[-1] and not word.startswith("--"):
                    lines[-1] += f" {value}"
                else:
                    lines.append(value)
        return lines

    def packages(self, purpose: str) -> str:
        config = self.config if purpose == "train" else self.served
        return scalar(f"azureml:{environment_name(config, self.model, purpose)}@latest")

    def cluster(self) -> str:
        return scalar(f"azureml:{self.config.get('target')}")

    def resources(self) -> list[str]:
        memory = section(self.config, "docker").get("shmSize")
        made = [f"  instance_count: {nodes_of(self.config)}"] if nodes_of(self.config) > 1 else []
        made += [f"  shm_size: {memory}"] if memory else []
        return ["resources:", *made] if made else []

    def environment(self, purpose: str, config: dict[str, Any]) -> str:
        environment = section(config, "environment")
        conda = section(environment, "python").get("condaDependenciesFile") or f"aml_config/{purpose}-conda.yml"
        file = f"environment-{purpose}.yml"
        what, source = ("a training", "the runconfig") if purpose == "train" else ("score.py", INFERENCE)
        return text_of([
            f"# The packages of {what}: the image of {source}, and its conda file.",
            f"#   az ml environment create -f {self.path(file)}",
            f"$schema: {SCHEMAS}/environment.schema.json",
            f"name: {scalar(environment_name(config, self.model, purpose))}",
            f"image: {section(environment, 'docker').get('baseImage')}",
            f"conda_file: ../{conda}",
        ])  # fmt: skip

    def dataset(self) -> str:
        [(path, _), *_] = self.data.values()
        name, _, version = path.removeprefix("azureml:").partition(":")
        place = project.data_path(self.root, self.model)
        return text_of([
            "# What the jobs read. A version never changes: changed data get the next number, here and in job.yml.",
            f"#   az ml data create -f {self.path('data.yml')}",
            f"$schema: {SCHEMAS}/data.schema.json",
            "type: uri_folder",
            f"name: {scalar(name.partition('@')[0])}",
            *([f'version: "{version}"'] if version else []),
            "description: What the model is trained on",
            f"path: ../{place}",
        ])  # fmt: skip

    def compute(self) -> str:
        limits = clusters.LIMITS
        most = max(limits["max_nodes"], nodes_of(self.config))
        size = project.model_answers(self.root, self.model).get("vm_size") or self.answers.get("vm_size")
        return text_of([
            "# The cluster of job.yml; it costs nothing while idle.",
            f"#   az ml compute create -f {self.path('compute.yml')}",
            f"$schema: {SCHEMAS}/amlCompute.schema.json",
            "type: amlcompute",
            f"name: {scalar(self.config.get('target'))}",
            f"size: {size or 'Standard_DS3_v2'}",
            "tier: dedicated # low_priority is cheaper, and Azure may take its nodes away",
            f"min_instances: {limits['min_nodes']}",
            f"max_instances: {most}",
            f"idle_time_before_scale_down: {limits['idle_seconds']} # seconds",
        ])  # fmt: skip

    def registered(self) -> str:
        return text_of([
            "# What make train has left here. For that of a job:",
            "#   path: azureml://jobs/JOB/outputs/artifacts/paths/outputs/model/",
            f"#   az ml model create -f {self.path('model.yml')}",
            f"$schema: {SCHEMAS}/model.schema.json",
            "type: custom_model # score.py loads it; no code is made up from it",
            f"name: {self.model}",
            "path: ../outputs/model",
        ])  # fmt: skip

    def endpoint(self) -> str:
        return text_of([
            "# The address that answers. Its name is unique in a region: if taken, change it in deployment.yml too.",
            f"#   az ml online-endpoint create -f {self.path('endpoint.yml')}",
            f"$schema: {SCHEMAS}/managedOnlineEndpoint.schema.json",
            f"name: {self.endpoint_name()}",
            "auth_mode: key",
        ])  # fmt: skip

    def deployment(self) -> str:
        size = " # with a GPU if score.py is to use one" if self.masks else ""
        variables = self.variables(self.served)
        return text_of([
            "# One version of model, code and packages behind the endpoint. Traffic is given to it apart:",
            f"#   az ml online-deployment create -f {self.path('deployment.yml')}",
            f"#   az ml online-endpoint update --name {self.endpoint_name()} --traffic blue=100",
            f"$schema: {SCHEMAS}/managedOnlineDeployment.schema.json",
            "name: blue",
            f"endpoint_name: {self.endpoint_name()}",
            f"model: azureml:{self.model}@latest",
            "code_configuration:",
            "  code: ..",
            f"  scoring_script: {self.served.get('entryScript') or 'score.py'}",
            f"environment: {self.packages('inference')}",
            *(["environment_variables:", *variables] if variables else []),
            f"instance_type: Standard_DS3_v2{size}",
            "instance_count: 1",
            "app_insights_enabled: true",
            "request_settings:",
            "  request_timeout_ms: 60000",
            "  max_concurrent_requests_per_instance: 1 # as many as the server has processes, WORKER_COUNT",
        ])  # fmt: skip

    def batch_endpoint(self) -> str:
        return text_of([
            "# The address that scores whole files.",
            f"#   az ml batch-endpoint create -f {self.path('batch-endpoint.yml')}",
            f"$schema: {SCHEMAS}/batchEndpoint.schema.json",
            f"name: {self.endpoint_name('batch')}",
            "auth_mode: aad_token",
        ])  # fmt: skip

    def batch_deployment(self) -> str:
        output = ["  output_action: summary_only # score_batch.py writes the masks"] if self.masks else [
            "  output_action: append_row",
            "  output_file_name: scores.csv",
        ]  # fmt: skip
        return text_of([
            "# score_batch.py on the cluster, with the packages of a training.",
            f"#   az ml batch-deployment create -f {self.path('batch-deployment.yml')} --set-default",
            f"$schema: {SCHEMAS}/modelBatchDeployment.schema.json",
            "type: model",
            "name: default",
            f"endpoint_name: {self.endpoint_name('batch')}",
            f"model: azureml:{self.model}@latest",
            "code_configuration:",
            "  code: ..",
            "  scoring_script: score_batch.py",
            f"environment: {self.packages('train')}",
            f"compute: {self.cluster()}",
            "resources:",
            "  instance_count: 1",
            "settings:",
            "  mini_batch_size: 10 # files",
            "  max_concurrency_per_instance: 1",
            *output,
            "  error_threshold: 0 # files that may fail",
            "  retry_settings:",
            "    max_retries: 3",
            "    timeout: 300 # seconds",
        ])  # fmt: skip

    def variables(self, config: dict[str, Any]) -> list[str]:
        found = section(config, "environment").get("environmentVariables") or config.get("environmentVariables") or {}
        return [f"  {name}: {scalar(str(value))}" for name, value in found.items()]

    def endpoint_name(self, kind: str = "") -> str:
        """The model's name, and what tells it from others' of the same name in the region: 32 characters at most."""
        whose = [
            self.answers.get(part, "")
            for part in ("project_slug", "subscription_id", "resource_group", "workspace_name")
        ]
        suffix = hashlib.sha256("/".join([*whose, self.model]).encode()).hexdigest()[:6]
        last = "-".join(filter(None, [kind, suffix]))
        return f"{self.model.replace('_', '-').lower()[: 31 - len(last)].strip('-')}-{last}"


def read_served(folder: Path) -> dict[str, Any]:
    """How score.py is served; nothing where the model has no file of it."""
    file = folder / INFERENCE
    return reading.read_slowly(file, INFERENCE) if file.is_file() else {}


def section(config: dict[str, Any], name: str) -> dict[str, Any]:
    found = config.get(name)
    return found if isinstance(found, dict) else {}


def entries(config: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(name, entry) for name, entry in section(config, "data").items() if isinstance(entry, dict)]


def data_of(config: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """The inputs of a job: the data of a runconfig, as path and mode. Direct data are downloaded, once a node."""
    found = {}
    for name, entry in entries(config):
        dataset = section(section(entry, "dataLocation"), "dataset")
        if dataset.get("name"):
            version = str(dataset.get("version") or "latest")
            path = f"azureml:{dataset['name']}{'@latest' if version == 'latest' else f':{version}'}"
            found[key(name)] = (path, "ro_mount" if str(entry.get("mechanism")).lower() == "mount" else "download")
    return found


def nodes_of(config: dict[str, Any]) -> int:
    count = str(config.get("nodeCount") or 1)
    return int(count) if count.isdecimal() else 1


def distribution_of(config: dict[str, Any]) -> dict[str, Any]:
    """What starts the processes, in the words of a job; nothing where one process is all."""
    communicator = str(config.get("communicator") or "none").lower()
    if communicator in ("mpi", "intelmpi"):
        return {"type": "mpi", "process_count_per_instance": section(config, "mpi").get("processCountPerNode") or 1}
    if communicator == "parameterserver":
        counts = section(config, "tensorflow")
        return {"type": "tensorflow", "worker_count": counts.get("workerCount") or nodes_of(config)}
    if communicator in ("nccl", "gloo"):
        of_all = section(config, "pytorch").get("processCount") or nodes_of(config)
        return {"type": "pytorch", "process_count_per_instance": max(int(of_all) // nodes_of(config), 1)}
    return {}


def environment_name(config: dict[str, Any], model: str, purpose: str) -> str:
    return str(section(config, "environment").get("name") or f"{model}-{purpose}")


def key(name: str) -> str:
    """A name as one that may stand in braces."""
    return re.sub(r"\W", "_", name)


def bound(name: str) -> str:
    return f"${{{{inputs.{name}}}}}"


def scalar(value: Any) -> str:
    """A text for YAML: in quotes where it would be read as something else."""
    text = str(value)
    return text if plain_yaml.is_plain(text) else json.dumps(text)


def text_of(lines: list[str]) -> str:
    return "\n".join(lines) + "\n"


# Read


@dataclass
class File:
    """A file of azure_ml/: what it is, what it says, on which line."""

    path: Path
    kind: str
    content: dict[str, Any]
    lines: dict[Place, int] = field(default_factory=dict)
    problems: list[tuple[int, str]] = field(default_factory=list)

    def line(self, place: Place) -> int:
        """The line of a place, or of what it lies in."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)


def there(folder: Path) -> list[Path]:
    """The files of a model, also those of components."""
    return sorted((folder / FOLDER).rglob("*.y*ml"))


def read(path: Path) -> File:
    """Read a file; what can't be read of it is among its problems."""
    try:
        document = plain_yaml.load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return File(path, "", {}, problems=[(1, f"{getattr(error, 'strerror', None) or error}: mend it")])
    if not isinstance(document.content, dict):
        problems = document.findings or [(1, "is no section of `key: value` lines: write what it is, as $schema: …")]
        return File(path, "", {}, problems=problems)
    kind, problem = kind_of(path, document.content)
    file = File(path, kind, document.content, document.lines, document.findings)
    if problem:
        file.problems.append((file.line(("$schema",)), problem))
    return file


def read_whole(path: Path) -> File:
    """The same, and a Failure where it is none of Azure ML's files."""
    file = read(path)
    if not file.kind:
        line, problem = file.problems[0]
        raise Failure(f"{os.path.relpath(path)}:{line}: {problem}")
    return file


def kind_of(path: Path, content: dict[str, Any]) -> tuple[str, str]:
    """What a file is, and what is wrong with what it says of that."""
    known = {kind.lower(): kind for kind in keys.kinds()}
    kind = str(content.get("type") or "").lower()
    if "dependencies" in content and "$schema" not in content:
        return "", ""  # a conda file
    if "create_monitor" in content:
        return "monitorSchedule", ""
    if "$schema" in content:
        name = str(content["$schema"]).rpartition("/")[2].partition(".")[0]
        if name.lower() == "batchdeployment" and "settings" in content:
            return "modelBatchDeployment", ""
        if name.lower() in known:
            return known[name.lower()], ""
        near = nearest(name, list(known.values()))
        mend = f"write {SCHEMAS}/{near}.schema.json" if near else f"write {SCHEMAS}/KIND.schema.json, as commandJob"
        return "", f"$schema: no kind of file is called {name}: {mend}"
    if kind == "command":
        return (
            "commandComponent" if "environment" in content and path.parent.name == "components" else "commandJob"
        ), ""
    if kind in BY_TYPE:
        return BY_TYPE[kind], ""
    stem = path.stem if path.stem in BY_NAME else path.stem.partition("-")[0]
    if stem in BY_NAME:
        return BY_NAME[stem], ""
    return (
        "",
        f"$schema: missing, and nothing else says what the file is: write $schema: {SCHEMAS}/commandJob.schema.json",
    )
