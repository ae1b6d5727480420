"""The files of the second generation that say the same as those of the first, by Microsoft's mapping from v1 to v2.

What a file says and its twin can't is told, with what to do about it: nothing is left out in silence.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from aml_project.search.engines.sweep import SCHEMA as SWEEP
from aml_project.search.engines.sweep import key, nodes_of
from aml_project.v2 import first_generation as first
from aml_project.v2.first_generation import Found, section

FOLDER = "azure_ml"
SCHEMAS = SWEEP.rpartition("/")[0]
IMAGE = "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04"
MODES = {"mount": "ro_mount", "download": "download", "direct": "direct"}
STEPS = {"pythonscriptstep", "python_script_step", "mpistep", "estimatorstep", "commandstep", "rscriptstep"}
PARALLEL_STEPS = {"parallelrunstep", "parallel_run_step"}
# Of managed endpoints: cores, GB of memory, size.
SIZES = ((2, 7, "Standard_DS2_v2"), (4, 14, "Standard_DS3_v2"), (8, 28, "Standard_DS4_v2"), (16, 56, "Standard_DS5_v2"))
GPU_SIZE = "Standard_NC4as_T4_v3"
POLICIES = {"bandit": "bandit", "medianstopping": "median_stopping", "truncationselection": "truncation_selection"}
EXPRESSIONS = {
    "choice": None, "randint": ("upper",), "uniform": ("min_value", "max_value"),
    "quniform": ("min_value", "max_value", "q"), "loguniform": ("min_value", "max_value"),
    "qloguniform": ("min_value", "max_value", "q"), "normal": ("mu", "sigma"), "qnormal": ("mu", "sigma", "q"),
    "lognormal": ("mu", "sigma"), "qlognormal": ("mu", "sigma", "q"),
}  # fmt: skip
PROBE = {
    "periodSeconds": "period", "initialDelaySeconds": "initial_delay", "timeoutSeconds": "timeout",
    "successThreshold": "success_threshold", "failureThreshold": "failure_threshold",
}  # fmt: skip


class Untold(Exception):
    """A file that can be read and makes no sense, in a line."""


class Twins:
    """Makes the files of v2 out of what was found; `lacking` has what no twin says, `carried` what became of a file."""

    def __init__(self, root: Path, found: Iterable[Found]) -> None:
        self.root, self.found = root, list(found)
        self.files: dict[Path, dict[str, Any]] = {}
        self.texts: dict[Path, str] = {}  # what is no YAML: a Dockerfile
        self.carried: dict[Path, list[Path]] = {}
        self.lacking: list[tuple[Path, str, str]] = []  # file, what it says, what to do about it
        self.unreadable = [(each.file, each.unreadable) for each in self.found if each.unreadable]
        self.environments: dict[Path, list[tuple[dict[str, Any], str, Path]]] = {}

    def make(self) -> None:
        """Make all of them; a file that makes no sense is told, and the others are made."""
        makers = (
            (first.DATASET, self.datasets), (first.ENVIRONMENT, self.own_environments),
            (first.PIPELINE, self.pipelines), (first.RUNCONFIG, self.jobs), (first.HYPERDRIVE, self.searches),
            (first.PARALLEL, self.parallels), (first.INFERENCE, self.services), (first.WORKSPACE, self.workspaces),
        )  # fmt: skip
        for kind, maker in makers:
            maker([each for each in self.found if each.kind == kind and not each.unreadable])
        for each in self.of(first.DEPLOYMENT):
            if each.file not in self.carried and not self.told(each.file):
                self.lack(each.file, "serves what no inference config beside it names", "write deployment.yml by hand")

    def of(self, kind: str) -> list[Found]:
        return [each for each in self.found if each.kind == kind and not each.unreadable]

    def told(self, file: Path) -> bool:
        return any(file == each for each, _ in self.unreadable) or any(file == each for each, _, _ in self.lacking)

    def lack(self, file: Path, what: str, mend: str) -> None:
        if (file, what, mend) not in self.lacking:
            self.lacking.append((file, what, mend))

    def put(self, source: Path, target: Path, content: dict[str, Any]) -> None:
        self.files[target] = content
        self.note(source, target)

    def note(self, source: Path, target: Path) -> None:
        made = self.carried.setdefault(source, [])
        if target not in made:
            made.append(target)

    # Data

    def datasets(self, found: list[Found]) -> None:
        for each in found:
            home = first.home(self.root, each.file)
            beside = [other for other in found if first.home(self.root, other.file) == home]
            said, registration = each.content, section(each.content, "registration")
            name = clean(str(registration.get("name") or each.file.stem))
            path, kind = self.data_path(each, said)
            if path is None:
                continue
            content: dict[str, Any] = {"$schema": f"{SCHEMAS}/data.schema.json", "type": kind, "name": name}
            if registration.get("description"):
                content["description"] = str(registration["description"])
            if tags := section(registration, "tags"):
                content["tags"] = {str(tag): str(value) for tag, value in tags.items()}
            file = "data.yml" if len(beside) == 1 else f"data-{name}.yml"
            self.put(each.file, home / FOLDER / file, content | {"path": path})

    def data_path(self, each: Found, said: dict[str, Any]) -> tuple[str | None, str]:
        if str(said.get("datasetType", "File")).lower() != "file":
            self.lack(each.file, "a tabular dataset", "write an MLTable file beside its data, and type: mltable")
            return None, ""
        path = section(said, "parameters").get("path")
        places = path if isinstance(path, list) else [path]
        if len(places) != 1:
            self.lack(each.file, f"{len(places)} paths", "write an MLTable file that lists them, and type: mltable")
            return None, ""
        [place] = places
        if isinstance(place, str):
            return place, kind_of(place)
        if not isinstance(place, dict) or not place.get("datastoreName"):
            self.lack(each.file, "parameters.path: names no datastore", "write datastoreName and relativePath there")
            return None, ""
        relative = str(place.get("relativePath") or "").lstrip("/")
        if any(sign in relative for sign in "*?["):
            folder = relative.partition("*")[0].partition("?")[0].rpartition("/")[0]
            if relative.removeprefix(folder).strip("/") not in ("*", "**", "**/*"):
                self.lack(
                    each.file, f"the pattern {relative}", f"the whole folder {folder or '/'} is named: sort in code"
                )
            relative = f"{folder}/" if folder else ""
        return datastore_path(place["datastoreName"], relative), kind_of(relative)

    # Environments

    def own_environments(self, found: list[Found]) -> None:
        for each in found:
            folder = each.file.parent
            self.environment(each, each.content, folder.parent if folder != self.root else folder, folder.name)

    def environment(self, each: Found, said: dict[str, Any], home: Path, part: str) -> str:
        """Write the environment that a file describes; return how a job names it."""
        own = str(said.get("name") or "")
        python, docker = section(said, "python"), section(said, "docker")
        if own.startswith("AzureML-"):
            self.lack(
                each.file, f"environment {own}: curated", "some of v1 are gone: az ml environment list says which"
            )
            return f"azureml:{own}@latest"
        content: dict[str, Any] = self.image(each, docker, home, part)
        if not python.get("userManagedDependencies"):
            content |= self.packages(each, python, home, "build" in content)
        self.without_twin(each, docker)
        made = self.environments.setdefault(home, [])
        for other, name, target in made:
            if other == content:
                self.note(each.file, target)
                return f"azureml:{name}@latest"
        name = clean(f"{home.resolve().name}-{part}")
        target = home / FOLDER / f"environment-{clean(part)}.yml"
        made.append((content, name, target))
        self.put(each.file, target, {"$schema": f"{SCHEMAS}/environment.schema.json", "name": name, **content})
        return f"azureml:{name}@latest"

    def image(self, each: Found, docker: dict[str, Any], home: Path, part: str) -> dict[str, Any]:
        text, image, context = docker.get("baseDockerfile"), docker.get("baseImage"), section(docker, "buildContext")
        if context:
            self.lack(each.file, "docker.buildContext", f"build: {{path: FOLDER}} in environment-{part}.yml, by hand")
        if text:
            file = home / FOLDER / f"docker-{clean(part)}" / "Dockerfile"
            self.texts[file] = str(text).rstrip("\n") + "\n"
            self.note(each.file, file)
            return {"build": {"path": f"./{file.parent.name}", "dockerfile_path": "Dockerfile"}}
        if not image:
            self.lack(each.file, "no image: v1's default", f"{IMAGE} stands in its place")
        elif re.search(r"ubuntu1[0-8]\.04|azureml/base", str(image)):
            self.lack(each.file, f"image {image}: nobody mends it any more", f"carried over; better {IMAGE}")
        registry = section(docker, "baseImageRegistry")
        address = str(registry.get("address") or "").strip("/")
        if registry.get("username") or registry.get("password"):
            self.lack(
                each.file, "docker.baseImageRegistry: a login", "let the workspace's identity pull from the registry"
            )
        return {"image": f"{address}/{image}" if address and image else str(image or IMAGE)}

    def packages(self, each: Found, python: dict[str, Any], home: Path, built: bool) -> dict[str, Any]:
        name, given = python.get("condaDependenciesFile"), python.get("condaDependencies")
        if built and (name or given):
            self.lack(each.file, "baseDockerfile and packages", "v2 takes one of them: install them in the Dockerfile")
            return {}
        if name:
            file = self.there(name, home, each.file.parent)
            if file is None:
                self.lack(
                    each.file, f"condaDependenciesFile: {name}: no such file", "name it in the environment's file"
                )
                return {}
            return {"conda_file": relative(file, home / FOLDER)}
        return {"conda_file": given} if isinstance(given, dict) else {}

    def without_twin(self, each: Found, docker: dict[str, Any]) -> None:
        if section(docker, "platform") and str(docker["platform"].get("os", "Linux")).lower() != "linux":
            self.lack(each.file, f"docker.platform: {docker['platform']}", "jobs run on Linux")

    def there(self, name: str, *folders: Path) -> Path | None:
        """A file or folder that is named from one of some folders, or from the repo's."""
        return next((folder / name for folder in (*folders, self.root) if (folder / name).exists()), None)

    # Jobs

    def jobs(self, found: list[Found]) -> None:
        homes: dict[Path, list[Found]] = {}
        for each in found:
            homes.setdefault(first.home(self.root, each.file, script_of(each.content)), []).append(each)
        for home, configs in homes.items():
            jobs = [each for each in configs if each.content.get("script") or each.content.get("command")]
            jobs = [
                each
                for each in jobs
                if each.file not in self.carried or (home / str(script_of(each.content))).is_file()
            ]
            remote = [each for each in jobs if not is_local(each.content)]
            for each in jobs:
                if is_local(each.content) and remote:
                    run = "run its script here, or submit the job of the other runconfig"
                    self.lack(each.file, "target: local", f"v2 has no twin that works without its service: {run}")
                elif str(each.content.get("framework")).lower() == "pyspark":
                    self.lack(
                        each.file, "framework: PySpark", "a Spark job names executors and sizes: write it by hand"
                    )
                else:
                    part = "train" if len(remote or jobs) == 1 else each.file.stem
                    self.sensible(each, lambda each=each, home=home, part=part: self.job(each, home, part))

    def sensible(self, each: Found, make: Any) -> None:
        try:
            make()
        except (Untold, ValueError, TypeError, AttributeError, KeyError) as error:
            self.unreadable.append((each.file, " ".join(str(error).split()) or "makes no sense"))

    def job(self, each: Found, home: Path, part: str) -> None:
        config = each.content
        content = {
            "$schema": f"{SCHEMAS}/commandJob.schema.json",
            "type": "command",
            "experiment_name": clean(home.resolve().name),
            **self.what_runs(each, home, part),
        }
        if not is_local(config):
            content["compute"] = f"azureml:{compute_name(config)}"
        else:
            self.lack(each.file, "target: local", "the job names no compute: it runs on serverless compute")
        if seconds := config.get("maxRunDurationSeconds"):
            content["limits"] = {"timeout": int(seconds)}
        self.put(each.file, home / FOLDER / ("job.yml" if part == "train" else f"job-{clean(part)}.yml"), content)
        self.compute(each, home)

    def what_runs(self, each: Found, home: Path, part: str, more: str = "") -> dict[str, Any]:
        """Code, command, data, environment and nodes of a runconfig."""
        config = each.content
        script = script_of(config)
        if script and not (home / script).is_file():
            self.lack(each.file, f"script: {script}: no such file in {self.shown(home)}", "mend code: and command:")
        inputs, outputs, places = self.data(each)
        command = command_of(config, places)
        for variable, name in self.by_variable(each, home).items():
            command = f"export {variable}={name} && {command}"
        self.unused(each, inputs | outputs, command)
        content: dict[str, Any] = {"code": relative(home, home / FOLDER), "command": command + more}
        if inputs:
            content["inputs"] = inputs
        if outputs:
            content["outputs"] = outputs
        content["environment"] = self.environment(each, section(config, "environment"), home, part)
        return content | self.surroundings(each)

    def surroundings(self, each: Found) -> dict[str, Any]:
        """Variables, nodes, memory and what is handed to docker."""
        config, content = each.content, dict[str, Any]()
        docker, older = section(config, "docker"), section(config, "environment", "docker")
        variables = section(config, "environment", "environmentVariables") | section(config, "environmentVariables")
        if variables:
            content["environment_variables"] = {str(name): str(value) for name, value in variables.items()}
        if str(config.get("communicator")).lower() == "parameterserver":
            tensorflow = section(config, "tensorflow")
            servers, workers = tensorflow.get("parameterServerCount"), tensorflow.get("workerCount")
            content["distribution"] = {
                "type": "tensorflow", "parameter_server_count": int(servers or 0), "worker_count": int(workers or 1),
            }  # fmt: skip
            nodes = {"resources": {"instance_count": int(config["nodeCount"])}} if config.get("nodeCount") else {}
        else:
            nodes = nodes_of(config)
        content |= nodes
        resources = dict(content.get("resources") or {})
        memory = str(docker.get("shmSize") or older.get("shmSize") or "2g")
        if memory != "2g":  # what v1 takes unasked
            resources["shm_size"] = memory
        if handed := docker.get("arguments") or older.get("arguments"):
            said = " ".join(map(str, handed)) if isinstance(handed, list) else str(handed)
            if re.search(r"(^|\s)(-v|--volume|--mount)\b", said):
                self.lack(
                    each.file, f"docker.arguments: {said}", "no folder of a computer is mounted: make it an input"
                )
            else:
                resources["docker_args"] = said
        if config.get("priority"):
            self.lack(
                each.file, f"priority: {config['priority']}", "queue_settings: {job_tier: …} of serverless compute"
            )
        return content | ({"resources": resources} if resources else {})

    def data(self, each: Found) -> tuple[dict[str, Any], dict[str, Any], dict[str, str]]:
        """Inputs, outputs, and what each place or name of v1 is in a v2 command."""
        inputs: dict[str, Any] = {}
        outputs: dict[str, Any] = {}
        places: dict[str, str] = {}
        for name, entry in given(each.content, "data"):
            mode = str(entry.get("mechanism") or "mount").lower()
            inputs[key(name)] = self.location(each, name, section(entry, "dataLocation")) | {
                "mode": MODES.get(mode, "ro_mount")
            }
            known = f"${{{{inputs.{key(name)}}}}}"
            places |= {
                place: known for place in (entry.get("pathOnCompute"), f"DatasetConsumptionConfig:{name}") if place
            }
        for name, entry in given(each.content, "outputData"):
            place = section(entry, "outputLocation")
            outputs[key(name)] = self.location(each, name, place, "outputs") | {
                "mode": "upload" if str(entry.get("mechanism")).lower() == "upload" else "rw_mount"
            }
            places |= {f"DatasetOutputConfig:{name}": f"${{{{outputs.{key(name)}}}}}"}
        for name, reference in given(each.content, "dataReferences"):
            entry = {str(field).lower(): value for field, value in reference.items()}
            path = str(entry.get("pathondatastore") or "").lstrip("/")
            where = {"type": "uri_folder", "path": datastore_path(entry.get("datastorename"), path)}
            kind, mode = ("outputs", "rw_mount") if "out" in name.lower() else ("inputs", "ro_mount")
            (outputs if kind == "outputs" else inputs)[key(name)] = where | {"mode": mode}
            self.lack(
                each.file, f"dataReferences.{name}: read and written", f"is one of {kind} now: mend it if it is none"
            )
            known = f"${{{{{kind}.{key(name)}}}}}"
            places |= {f"$AZUREML_DATAREFERENCE_{name}": known, str(entry.get("pathoncompute") or f"$\0{name}"): known}
        return inputs, outputs, places

    def location(self, each: Found, name: str, said: dict[str, Any], kind: str = "data") -> dict[str, Any]:
        dataset, path = section(said, "dataset"), section(said, "dataPath") or section(said, "datapath")
        if dataset.get("name"):
            version = str(dataset.get("version") or "latest")
            label = "@latest" if version == "latest" else f":{version}"
            return {"type": "uri_folder", "path": f"azureml:{dataset['name']}{label}"}
        if path.get("datastoreName"):
            place = str(path.get("relativePath") or "").lstrip("/")
            return {"type": kind_of(place), "path": datastore_path(path["datastoreName"], place)}
        if uri := section(said, "uri").get("path"):
            return {"type": "uri_file" if section(said, "uri").get("isFile") else kind_of(str(uri)), "path": str(uri)}
        if kind == "outputs":
            return {"type": "uri_folder"}
        known = f"its id, {dataset['id']}" if dataset.get("id") else "nothing"
        self.lack(each.file, f"data.{name}: named by {known}", f"put the dataset's name in place of {name}@latest")
        return {"type": "uri_folder", "path": f"azureml:{name}@latest"}

    def by_variable(self, each: Found, home: Path) -> dict[str, str]:
        """The variables of v1 by which the script finds its data."""
        script = script_of(each.content)
        if not script or not (home / script).is_file():
            return {}
        code = (home / script).read_text(encoding="utf-8", errors="replace")
        found = {}
        for name, entry in section(each.content, "data").items():
            variable = str((entry or {}).get("environmentVariableName") or name)
            if variable.isidentifier() and re.search(rf"(environ|getenv)\W.*['\"]{variable}['\"]", code):
                found[variable] = f"${{{{inputs.{key(name)}}}}}"
        return found

    def unused(self, each: Found, names: Mapping[str, Any], command: str) -> None:
        for name in names:
            if f".{name}}}}}" not in command:
                self.lack(
                    each.file, f"data.{name}: no argument names it", f"hand it over: --data ${{{{inputs.{name}}}}}"
                )

    def compute(self, each: Found, home: Path) -> None:
        said = section(each.content, "amlcompute")
        if not said.get("vmSize"):
            return
        name = compute_name(each.content)
        if name != each.content["target"]:
            self.lack(
                each.file, "target: amlcompute, made for the run", f"{name} in its place: no compute: is serverless"
            )
        content = {
            "$schema": f"{SCHEMAS}/compute.schema.json", "type": "amlcompute", "name": name, "size": said["vmSize"],
            "tier": "low_priority" if "low" in str(said.get("vmPriority")).lower() else "dedicated",
            "min_instances": 0, "max_instances": int(said.get("clusterMaxNodeCount") or 1),
        }  # fmt: skip
        self.put(each.file, home / FOLDER / "compute.yml", content)

    # Searches

    def searches(self, found: list[Found]) -> None:
        for each in found:
            self.sensible(each, lambda each=each: self.search(each, len(found)))

    def search(self, each: Found, count: int) -> None:
        said = {str(name).lower(): value for name, value in each.content.items()}
        home = first.home(self.root, each.file)
        near = [other for other in self.of(first.RUNCONFIG) if script_of(other.content) and not is_local(other.content)]
        near = [other for other in near if first.home(self.root, other.file, script_of(other.content)) == home]
        near.sort(key=lambda other: ("hyper" not in other.file.stem.lower(), other.file))
        if not near:
            self.lack(each.file, "no runconfig beside it says what a trial is", "write sweep.yml by hand")
            return
        [config, *others] = near
        if others and "hyper" not in config.file.stem.lower():
            self.lack(
                each.file, "which runconfig its trials are of", f"{config.file.name} was taken: mend trial: if not"
            )
        space, drawn = self.space(said)
        ran = self.what_runs(config, home, config.file.stem, "".join(drawn))
        trial = {name: value for name, value in ran.items() if name != "inputs"}
        if trial.get("outputs"):
            del trial["outputs"]
            self.lack(each.file, "outputs of a trial", "outputs: of the sweep, by hand")
        sampling = said["sampling"]
        if not said.get("max_total_runs"):
            raise Untold("max_total_runs: missing: a sweep wants it")
        limits = {
            "max_total_trials": said.get("max_total_runs"),
            "max_concurrent_trials": said.get("max_concurrent_runs"),
        }
        limits = {name: int(value) for name, value in limits.items() if value}
        if minutes := said.get("max_duration_minutes"):
            limits["timeout"] = int(minutes) * 60
        content = {
            "$schema": SWEEP, "type": "sweep", "experiment_name": clean(home.resolve().name),
            "compute": f"azureml:{compute_name(config.content)}",
            "sampling_algorithm": str(sampling.get("type") or "random").lower(),
            "objective": {
                "goal": str(said.get("primary_metric_goal") or "maximize").lower(),
                "primary_metric": str(said["primary_metric_name"]),
            },
            "search_space": space, **self.policy(section(said, "policy")), "limits": limits,
            **({"inputs": ran["inputs"]} if ran.get("inputs") else {}), "trial": trial,
        }  # fmt: skip
        name = "sweep.yml" if count == 1 else f"sweep-{clean(each.file.stem)}.yml"
        self.put(each.file, home / FOLDER / name, content)

    def space(self, said: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        space, drawn = {}, []
        for parameter in section(said, "sampling").get("parameter_space") or []:
            name, kind = str(parameter["name"]), str(parameter["expression"]).lower()
            values = parameter.get("values")
            values = values if isinstance(values, list) else [values]
            if kind not in EXPRESSIONS:
                raise Untold(f"sampling.parameter_space.{name}: {kind}: no expression of a search")
            names = EXPRESSIONS[kind]
            if not all(isinstance(value, (int, float) if names else (int, float, str)) for value in values):
                raise Untold(f"sampling.parameter_space.{name}: {values}: no values of {kind}")
            own = key(name.lstrip("-"))
            space[own] = {"type": kind} | (
                {"values": values} if names is None else dict(zip(names, values, strict=True))
            )
            drawn.append(f" {name if name.startswith('-') else f'--{name}'} ${{{{search_space.{own}}}}}")
        return space, drawn

    def policy(self, said: dict[str, Any]) -> dict[str, Any]:
        kind = POLICIES.get(str(said.get("type") or "").lower().removesuffix("policy"))
        if kind is None:
            return {}
        known = ("evaluation_interval", "delay_evaluation", "slack_factor", "slack_amount", "truncation_percentage")
        return {
            "early_termination": {"type": kind} | {name: said[name] for name in known if said.get(name) is not None}
        }

    # Pipelines

    def pipelines(self, found: list[Found]) -> None:
        for each in found:
            self.sensible(each, lambda each=each: self.pipeline(each))

    def pipeline(self, each: Found) -> None:
        home, said = each.file.parent, each.content["pipeline"]
        inputs: dict[str, Any] = {}
        for name, entry in section(said, "parameters").items():
            default = entry.get("default") if isinstance(entry, dict) else entry
            inputs[key(name)] = "" if default is None else default
        for name, entry in section(said, "data_references").items():
            inputs[key(name)] = self.reference(each, name, entry or {})
        handed = {
            str(
                (output or {}).get("destination") or name
            ): f"${{{{parent.jobs.{node_name(step)}.outputs.{key(name)}}}}}"
            for step, entry in said["steps"].items()
            for name, output in section(entry or {}, "outputs").items()
        }
        jobs = {}
        for name, step in said["steps"].items():
            kind = str((step or {}).get("type") or "").lower()
            if kind in STEPS or kind in PARALLEL_STEPS:
                make = self.parallel_step if kind in PARALLEL_STEPS else self.step
                if node_name(name) in jobs:
                    raise Untold(f"steps.{name}: another step is {node_name(name)} as well: rename one")
                jobs[node_name(name)] = make(each, str(name), step, Names(inputs, handed), said)
            else:
                self.lack(
                    each.file,
                    f"steps.{name}: {step.get('type', 'no type')}",
                    "v2 has no such step: write a command step",
                )
        if not jobs:
            return
        for name, step in said["steps"].items():
            if str((step or {}).get("allow_reuse", True)).lower() == "false":
                self.lack(
                    each.file, f"steps.{name}: allow_reuse: false", "is_deterministic: false, in a component of its own"
                )
        content: dict[str, Any] = {"$schema": f"{SCHEMAS}/pipelineJob.schema.json", "type": "pipeline"}
        if said.get("description"):
            content["description"] = str(said["description"])
        compute = said.get("default_compute")
        settings = {"default_compute": f"azureml:{compute or 'serverless'}"}
        content |= {
            "display_name": clean(str(said.get("name") or home.resolve().name)), "settings": settings,
            **({"inputs": inputs} if inputs else {}), "jobs": jobs,
        }  # fmt: skip
        self.put(each.file, self.pipeline_file(each), content)

    def pipeline_file(self, each: Found) -> Path:
        name = "pipeline" if each.file.stem == "pipeline" else f"pipeline-{clean(each.file.stem)}"
        return each.file.parent / FOLDER / f"{name}.yml"

    def reference(self, each: Found, name: str, entry: dict[str, Any]) -> dict[str, Any]:
        if entry.get("dataset_name"):
            path = f"azureml:{entry['dataset_name']}@latest"
        elif entry.get("datastore"):
            path = datastore_path(entry["datastore"], str(entry.get("path_on_datastore") or "").lstrip("/"))
        else:
            self.lack(each.file, f"data_references.{name}: named by an id", f"put its name in place of {name}@latest")
            path = f"azureml:{name}@latest"
        return {"type": "uri_folder", "path": path, "mode": "ro_mount"}

    def step(self, each: Found, name: str, step: dict[str, Any], names: Names, said: dict[str, Any]) -> dict[str, Any]:
        base = each.file.parent
        code = self.there(str(step.get("source_directory") or "."), base) or base
        config = self.runconfig_of(each, step, code)
        content = config.content if config else {}
        inputs, outputs, places = self.handed(step, names)
        script = str(step.get("script_name") or content.get("script") or "")
        words = step.get("arguments") or content.get("arguments") or []
        command = command_of({"script": script, "arguments": words, "framework": content.get("framework")}, places)
        made: dict[str, Any] = {
            "type": "command", "display_name": str(step.get("name") or name), "code": relative(code, base / FOLDER),
            "command": command,
        }  # fmt: skip
        if script and not (code / script).is_file():
            self.lack(
                each.file, f"steps.{name}: {script}: no such file in {self.shown(code)}", "mend code: and command:"
            )
        if inputs:
            made["inputs"] = inputs
        if outputs:
            made["outputs"] = outputs
        self.unused(each, inputs | outputs, command)
        part = config.file.stem if config else "train"
        if config is None:
            self.lack(each.file, f"steps.{name}: no runconfig", "its environment is v1's default: name its packages")
        made["environment"] = self.environment(config or each, section(content, "environment"), base, part)
        if config:
            made |= self.surroundings(config)
        own = step.get("compute") or (content.get("target") if not said.get("default_compute") else None)
        return made | ({"compute": f"azureml:{own}"} if own and str(own).lower() != "local" else {})

    def runconfig_of(self, each: Found, step: dict[str, Any], code: Path) -> Found | None:
        named = step.get("runconfig")
        if not named:
            return None
        file = self.there(str(named), each.file.parent, code, code / "aml_config")
        if file is None:  # many a repo has renamed its file and not the line
            beside = [other for other in self.of(first.RUNCONFIG) if other.file.parent == each.file.parent]
            if len(beside) == 1:
                self.lack(each.file, f"runconfig: {named}: no such file", f"{beside[0].file.name} beside it was taken")
                return beside[0]
            raise Untold(f"runconfig: {named}: no such file")
        return next((o for o in self.of(first.RUNCONFIG) if o.file.resolve() == file.resolve()), None)

    def handed(self, step: dict[str, Any], names: Names) -> tuple[dict[str, Any], dict[str, Any], dict[str, str]]:
        """Inputs and outputs of a step, and what its arguments' words are."""
        inputs: dict[str, Any] = {}
        outputs: dict[str, Any] = {}
        places: dict[str, str] = {}
        for how, word in (("inputs", "input"), ("side_inputs", "side_input"), ("parameters", "parameter")):
            for name, entry in section(step, how).items():
                source = str(entry.get("source") if isinstance(entry, dict) else entry)
                inputs[key(name)] = names.source(source, literal=not isinstance(entry, dict))
                known = f"${{{{inputs.{key(name)}}}}}"
                places[f"{word}:{name}"] = known
                if isinstance(entry, dict) and entry.get("path_on_compute"):
                    places[str(entry["path_on_compute"])] = known
        for name, entry in section(step, "outputs").items():
            upload = str((entry or {}).get("bind_mode")).lower() == "upload"
            outputs[key(name)] = {"type": "uri_folder", "mode": "upload" if upload else "rw_mount"}
            places[f"output:{name}"] = f"${{{{outputs.{key(name)}}}}}"
        return inputs, outputs, places

    def parallels(self, found: list[Found]) -> None:
        for each in found:
            if each.file not in self.carried and not self.told(each.file):
                self.sensible(each, lambda each=each: self.parallel(each))

    def parallel(self, each: Found) -> None:
        """A parallel run that only code of Python calls: the pipeline of its one step."""
        config, home = each.content["parallel_run_config"], each.file.parent
        node = self.parallel_node(each, config, [], {}) | {"inputs": {"input": "${{parent.inputs.input}}"}}
        path = "azureml:DATA@latest"
        self.lack(each.file, "its data: the pipeline's code names it", f"put the data's name in place of {path}")
        content = {
            "$schema": f"{SCHEMAS}/pipelineJob.schema.json", "type": "pipeline",
            "settings": {"default_compute": f"azureml:{config.get('compute_target_name') or 'serverless'}"},
            "inputs": {"input": {"type": "uri_folder", "path": path, "mode": "ro_mount"}}, "jobs": {"score": node},
        }  # fmt: skip
        self.put(each.file, home / FOLDER / f"pipeline-{clean(each.file.stem)}.yml", content)

    def parallel_step(
        self, each: Found, name: str, step: dict[str, Any], names: Names, said: dict[str, Any]
    ) -> dict[str, Any]:
        file = self.there(str(step.get("parallel_run_config")), each.file.parent)
        found = next((o for o in self.of(first.PARALLEL) if file and o.file.resolve() == file.resolve()), None)
        if found is None:
            raise Untold(f"steps.{name}.parallel_run_config: {step.get('parallel_run_config')}: no such file")
        inputs, outputs, places = self.handed(step, names)
        node = self.parallel_node(
            found, found.content["parallel_run_config"], step.get("arguments") or [], places, each
        )
        if inputs:
            node |= {"inputs": inputs, "input_data": f"${{{{inputs.{next(iter(inputs))}}}}}"}
        if outputs:
            [output, *_] = outputs
            node["outputs"] = {output: {"type": "uri_file", "mode": "rw_mount"}}
            if "append_row_to" in node["task"]:
                node["task"]["append_row_to"] = f"${{{{outputs.{output}}}}}"
        own = step.get("compute") or found.content["parallel_run_config"].get("compute_target_name")
        if own and own != said.get("default_compute"):
            node["compute"] = f"azureml:{own}"
        self.note(found.file, self.pipeline_file(each))
        return {"display_name": str(step.get("name") or name)} | node

    def parallel_node(
        self, each: Found, config: dict[str, Any], arguments: Any, places: dict[str, str], pipeline: Found | None = None
    ) -> dict[str, Any]:
        base = (pipeline or each).file.parent
        code = self.there(str(config.get("source_directory") or "."), each.file.parent, base) or base
        script = str(config.get("entry_script") or "")
        if not (code / script).is_file():
            self.lack(each.file, f"entry_script: {script}: no such file in {self.shown(code)}", "mend code: in task:")
        if config.get("partition_keys"):
            self.lack(each.file, f"partition_keys: {config['partition_keys']}", "an MLTable of partitions, by hand")
        said = camelled(config.get("environment"))
        if not said and config.get("environment_name"):
            environment = f"azureml:{config['environment_name']}@latest"
        elif not said and config.get("environment_dir_path"):
            environment = self.environment_folder(
                each, base, self.there(str(config["environment_dir_path"]), each.file.parent)
            )
        else:
            environment = self.environment(each, said, base, each.file.stem)
        task: dict[str, Any] = {
            "type": "run_function", "code": relative(code, base / FOLDER), "entry_script": script,
            "environment": environment,
        }  # fmt: skip
        if handed := words(arguments, places):
            task["program_arguments"] = " ".join(handed)
        if str(config.get("output_action")).lower() == "append_row":
            task["append_row_to"] = "${{outputs.rows}}"
        if name := config.get("append_row_file_name"):
            self.lack(each.file, f"append_row_file_name: {name}", "the output is the file itself")
        node: dict[str, Any] = {
            "type": "parallel",
            "inputs": {},
            "input_data": "${{inputs.input}}",
            "outputs": {"rows": {"type": "uri_file", "mode": "rw_mount"}},
            "mini_batch_size": str(config.get("mini_batch_size") or 1),
            "error_threshold": int(config["error_threshold"] if config.get("error_threshold") is not None else -1),
            "resources": {"instance_count": int(config.get("node_count") or 1)},
            "max_concurrency_per_instance": int(config.get("process_count_per_node") or 1),
            "logging_level": str(config.get("logging_level") or "INFO"),
            "retry_settings": {
                "max_retries": int(config.get("run_max_try") or 3),
                "timeout": int(config.get("run_invocation_timeout") or 60),
            },
            "task": task,
        }  # fmt: skip
        return node

    def environment_folder(self, each: Found, base: Path, folder: Path | None) -> str:
        """An environment that was saved as a folder of its own."""
        conda = folder / "conda_dependencies.yml" if folder else None
        if conda is None or not conda.is_file():
            self.lack(each.file, "environment_dir_path: no such folder", "name the packages in its environment's file")
            return self.environment(each, {"docker": {"baseImage": IMAGE}}, base, each.file.stem)
        said = {"docker": {"baseImage": IMAGE}, "python": {"condaDependenciesFile": os.path.relpath(conda, base)}}
        return self.environment(each, said, base, each.file.stem)

    # Services

    def services(self, found: list[Found]) -> None:
        for each in found:
            self.sensible(each, lambda each=each: self.service(each))

    def service(self, each: Found) -> None:
        said = each.content
        script, source = str(said["entryScript"]), str(said.get("sourceDirectory") or ".")
        home = first.home(self.root, each.file, str(Path(source, script)))
        code = self.there(source, home, each.file.parent) or home
        if not (code / script).is_file() and (each.file.parent / source / script).is_file():
            code = each.file.parent / source
        if not (code / script).is_file():
            self.lack(
                each.file, f"entryScript: {script}: no such file in {self.shown(code)}", "mend code_configuration:"
            )
        environment = section(said, "environment")
        if not environment:  # as it was before 2020
            docker = {"baseImage": said.get("baseImage") or IMAGE}
            file = self.there(str(said["condaFile"]), code, each.file.parent) if said.get("condaFile") else None
            python = {"condaDependenciesFile": os.path.relpath(file, home) if file else said.get("condaFile")}
            environment = {"docker": docker, "python": python}
        for steps in ("extraDockerfileSteps", "extraDockerFileSteps"):
            if said.get(steps):
                self.lack(each.file, f"{steps}: {said[steps]}", "build: with a Dockerfile in environment-inference.yml")
        if said.get("schemaFile"):
            self.lack(each.file, f"schemaFile: {said['schemaFile']}", "inference-schema's decorators in score.py")
        named = self.environment(each, environment, home, "inference")
        variables = section(environment, "environmentVariables")
        configs = [other for other in self.of(first.DEPLOYMENT) if self.beside(other, home, each.file)]
        for other in configs:
            if str(other.content["computeType"]).lower() == "local":
                self.lack(
                    other.file, "computeType: local", "az ml online-deployment create --local takes deployment.yml"
                )
        configs = [other for other in configs if str(other.content["computeType"]).lower() != "local"]
        for other in configs or [Found(each.file, first.DEPLOYMENT, {})]:
            part = f"-{suffix(other.file)}" if len(configs) > 1 else ""
            self.deployment(each, other, (home, part), {
                "code_configuration": {"code": relative(code, home / FOLDER), "scoring_script": script},
                "environment": named,
                **({"environment_variables": {str(n): str(v) for n, v in variables.items()}} if variables else {}),
            })  # fmt: skip

    def beside(self, other: Found, home: Path, inference: Path) -> bool:
        near = first.home(self.root, other.file)
        return near == home or other.file.parent == inference.parent

    def deployment(self, each: Found, other: Found, place: tuple[Path, str], served: dict[str, Any]) -> None:
        """The endpoint and its deployment of what an inference config serves, with the needs of a deployment config."""
        (home, part), said, source = place, other.content, other.file
        name = endpoint_name(f"{home.resolve().name}{part}")
        model = clean(home.resolve().name)
        mend = f"azureml:{model}@latest: mend it if it is called otherwise"
        self.lack(each.file, "the model: v1 names it in its command or code", mend)
        token, keys = said.get("tokenAuthEnabled"), said.get("authEnabled")
        if keys is False and not token:
            self.lack(source, "authEnabled: false", "an endpoint of v2 always asks for a key")
        endpoint = {
            "$schema": f"{SCHEMAS}/managedOnlineEndpoint.schema.json", "name": name,
            "auth_mode": "aml_token" if token else "key",
        }  # fmt: skip
        needs = section(said, "containerResourceRequirements")
        gpus = needs.get("gpu") or said.get("gpuCores") or each.content.get("enableGpu")
        size = GPU_SIZE if gpus else size_of(float(needs.get("cpu") or 1), float(needs.get("memoryInGB") or 1))
        scaler = section(said, "autoScaler")
        count = scaler.get("minReplicas") if scaler.get("autoscaleEnabled") else said.get("numReplicas")
        if scaler.get("autoscaleEnabled"):
            least, most = scaler.get("minReplicas", 1), scaler.get("maxReplicas", 10)
            self.lack(source, "autoScaler", f"az monitor autoscale create, {least} to {most} instances")
        content: dict[str, Any] = {
            "$schema": f"{SCHEMAS}/managedOnlineDeployment.schema.json", "name": "blue", "endpoint_name": name,
            "model": f"azureml:{model}@latest", **served, "instance_type": size, "instance_count": int(count or 1),
        }  # fmt: skip
        if said.get("appInsightsEnabled"):
            content["app_insights_enabled"] = True
        requests = {
            "request_timeout_ms": said.get("scoringTimeoutMs"),
            "max_concurrent_requests_per_instance": said.get("maxConcurrentRequestsPerContainer"),
            "max_queue_wait_ms": said.get("maxQueueWaitMs"),
        }
        if requests := {field: int(value) for field, value in requests.items() if value}:
            content["request_settings"] = requests
        if probe := {
            PROBE[name]: int(v) for name, v in section(said, "livenessProbeRequirements").items() if name in PROBE
        }:
            content["liveness_probe"] = probe
        collection = section(said, "dataCollection") or section(said, "modelDataCollection")
        if collection.get("storageEnabled"):
            on = {"enabled": "true"}
            content["data_collector"] = {"collections": {"model_inputs": on, "model_outputs": on}}
        self.of_its_own(source, said)
        for target, made in ((f"endpoint{part}.yml", endpoint), (f"deployment{part}.yml", content)):
            self.put(source, home / FOLDER / target, made)
            self.note(each.file, home / FOLDER / target)

    def of_its_own(self, source: Path, said: dict[str, Any]) -> None:
        """What the first generation's services had and managed endpoints have not."""
        if str(said.get("computeType")).lower() == "aks":
            self.lack(
                source, "computeType: AKS", "a managed endpoint; for the cluster itself attach it, and type: kubernetes"
            )
        mends = {
            "sslCname": "a name of one's own wants a gateway before the endpoint",
            "cname": "a name of one's own wants a gateway before the endpoint",
            "dnsNameLabel": "the endpoint's name is in its address, and unique in its region",
            "namespace": "Kubernetes' own: instance types of type: kubernetes",
            "cmkVaultBaseUrl": "the workspace's own key covers it",
            "virtualNetworkName": "a workspace with a managed network",
        }
        for field, mend in mends.items():
            if said.get(field):
                self.lack(source, f"{field}: {said[field]}", mend)

    def workspaces(self, found: list[Found]) -> None:
        for each in found:
            self.carried[each.file] = [each.file]  # az ml and MLClient.from_config read the same

    def shown(self, place: Path) -> str:
        return shown(self.root, place)


def given(holder: dict[str, Any], name: str) -> list[tuple[str, dict[str, Any]]]:
    """The entries of a section by their names; one that says nothing is empty."""
    return [(str(each), entry or {}) for each, entry in section(holder, name).items()]


class Names:
    """What a pipeline's names are in the job of one of its steps."""

    def __init__(self, inputs: Mapping[str, Any], handed: Mapping[str, str]) -> None:
        self.inputs, self.handed = inputs, handed

    def source(self, name: str, literal: bool = False) -> str:
        if name in self.handed:
            return self.handed[name]
        if key(name) in self.inputs:
            return f"${{{{parent.inputs.{key(name)}}}}}"
        if literal:
            return name
        raise Untold(f"source: {name}: no parameter, data reference or output has this name")


def script_of(config: dict[str, Any]) -> str | None:
    return str(config["script"]) if config.get("script") else None


def is_local(config: dict[str, Any]) -> bool:
    return str(config.get("target") or "local").lower() == "local"


def compute_name(config: dict[str, Any]) -> str:
    """The cluster of a runconfig; one that v1 made for the run alone gets a name."""
    name = str(config["target"])
    return str(section(config, "amlcompute").get("name") or "cpu-cluster") if name.lower() == "amlcompute" else name


def command_of(config: dict[str, Any], places: Mapping[str, str]) -> str:
    """The command of a runconfig; a place or a name of v1 is the input or output that stands for it."""
    if own := config.get("command"):
        return " ".join(map(str, own)) if isinstance(own, list) else str(own)
    script = str(config.get("script") or "train.py")
    runner = {".r": "Rscript", ".sh": "bash"}.get(Path(script).suffix.lower(), "python")
    return " ".join([runner, shlex.quote(script), *words(config.get("arguments"), places)])


def words(given: Any, places: Mapping[str, str]) -> list[str]:
    said = shlex.split(given) if isinstance(given, str) else [str(word) for word in given or []]
    return [word_of(word, places) for word in said]


def word_of(word: str, places: Mapping[str, str]) -> str:
    option, sign, value = word.partition("=") if word.startswith("--") else ("", "", word)
    for place, known in places.items():
        if value == place or (place.startswith("/") and value.startswith(f"{place.rstrip('/')}/")):
            return f"{option}{sign}{known}{shlex.quote(value[len(place.rstrip('/')) :]) if value != place else ''}"
    return shlex.quote(word)


def camelled(said: Any) -> dict[str, Any]:
    return first.camel(said) if isinstance(said, dict) else {}


def kind_of(path: str) -> str:
    """Whether a path is one of a file or of a folder: v2 asks for it."""
    return "uri_file" if re.search(r"\.[A-Za-z]\w{0,6}$", path.rpartition("/")[2]) else "uri_folder"


def datastore_path(datastore: Any, path: str) -> str:
    return f"azureml://datastores/{datastore or 'workspaceblobstore'}/paths/{path}"


def size_of(cores: float, memory: float) -> str:
    """The smallest size of a managed endpoint that has so much."""
    return next((name for has, gigabytes, name in SIZES if cores <= has and memory <= gigabytes), SIZES[-1][2])


def suffix(file: Path) -> str:
    return clean(re.sub(r"(?i)deployment|deploy|config|^[-_.]+|[-_.]+$", "", file.stem).strip("-_.") or file.stem)


def clean(name: str) -> str:
    """A name as the service takes it."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "project"


def node_name(name: str) -> str:
    """A step's name as one of a job's nodes: TrainingStep is training_step."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key(str(name))).lower()
    return words if words[:1].isalpha() else f"_{words.lstrip('_')}"


def endpoint_name(name: str) -> str:
    return (re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-") or "endpoint").lstrip("0123456789-")[:32].rstrip("-")


def relative(place: Path, start: Path) -> str:
    return Path(os.path.relpath(place.resolve(), start.resolve())).as_posix()


def shown(root: Path, place: Path) -> str:
    return Path(os.path.relpath(place.resolve(), root.resolve())).as_posix()
