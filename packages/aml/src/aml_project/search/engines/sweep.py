"""A sweep, the search of Azure ML's second generation: the file that `az ml job create` takes.

A trial is what the runconfig says: its script, environment, data and nodes. This client can't submit a sweep itself.
"""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import Any

from aml_project.command_line import DONE, Failure
from aml_project.files import write_whole
from aml_project.project import shown
from aml_project.search import azure_space
from aml_project.search.azure_space import Expression
from aml_project.search.definition import Search
from aml_project.search.engines import Order
from aml_project.search.record import Trial

SCHEMA = "https://azuremlschemas.azureedge.net/latest/sweepJob.schema.json"
POLICIES = {"bandit": "bandit", "median": "median_stopping", "truncation": "truncation_selection"}
# How the arguments of each expression are called there.
NAMES = {
    "uniform": ("min_value", "max_value"),
    "loguniform": ("min_value", "max_value"),
    "qloguniform": ("min_value", "max_value", "q"),
    "randint": ("upper",),
}


def kept_in(order: Order) -> Path:
    raise Failure(
        f"sweep: its trials are in the workspace alone, in the job that az ml has made of {order.model}'s file"
    )


def lacks(search: Search) -> list[str]:
    found = azure_space.lacks(search, "a sweep")
    if search.stop and search.stop.policy == "truncation" and search.stop.percent > 80:
        found.append("stop.percent: a sweep takes 1 to 80")
    return found


def refresh(order: Order) -> bool:
    kept_in(order)
    return False


def run_of(workspace: Any, folder: Path, trial: Trial) -> Any:  # noqa: ARG001
    return None


def stop(order: Order) -> int:
    kept_in(order)
    return DONE


def run(order: Order) -> int:
    if not order.write:
        raise Failure("sweep: this client can't submit one: --write sweep.yml, then az ml job create -f sweep.yml")
    import yaml

    file = order.write.resolve()
    head = (
        f"# Made of search.yml and {order.config}.runconfig of {order.model}: logarithmic bounds are exponents here.\n"
        f"# To submit it:\n#   az ml job create -f {shown(file)}\n"
    )
    write_whole(
        order.write, head + yaml.safe_dump(job(order, file.parent), sort_keys=False, allow_unicode=True, width=10_000)
    )
    print(f"Written: {shown(file)}. To submit it: az ml job create -f {shown(file)}")
    return DONE


def job(order: Order, place: Path) -> dict[str, Any]:
    """The sweep, with paths as from a folder."""
    from aml_project.runconfigs import reading

    config = reading.read(reading.find(order.folder, order.config))
    inputs = data_of(config)
    return {
        "$schema": SCHEMA,
        "type": "sweep",
        "experiment_name": order.experiment,
        "compute": f"azureml:{order.on or config.get('target')}",
        **how(order.search),
        **({"inputs": inputs} if inputs else {}),
        "trial": trial(order, config, place),
    }


def how(search: Search) -> dict[str, Any]:
    """What is tried, and until when."""
    policy, settings = azure_space.policy(search)
    algorithm: dict[str, Any] = {"type": search.algorithm}
    if search.algorithm == "random":
        algorithm["seed"] = search.seed
    limits = {"max_total_trials": search.trials, "max_concurrent_trials": min(search.parallel, search.trials)}
    if search.hours:
        limits["timeout"] = max(round(search.hours * 3600), 1)
    if search.trial_minutes:
        limits["trial_timeout"] = max(round(search.trial_minutes * 60), 1)
    return {
        "sampling_algorithm": algorithm,
        "objective": {"goal": search.goal, "primary_metric": search.metric},
        "search_space": {
            key(parameter.name): in_words(azure_space.expression(parameter, search)) for parameter in search.parameters
        },
        **({"early_termination": {"type": POLICIES[policy], **settings}} if policy else {}),
        "limits": limits,
    }


def key(name: str) -> str:
    """A parameter's name as one that stands in braces."""
    return re.sub(r"\W", "_", name)


def in_words(expression: Expression) -> dict[str, Any]:
    kind, arguments = expression
    if kind == "choice":
        return {"type": kind, "values": arguments}
    return {"type": kind, **dict(zip(NAMES[kind], arguments, strict=True))}


def data_of(config: dict[str, Any]) -> dict[str, Any]:
    """The data of a runconfig as the inputs of a job."""
    found = {}
    for name, entry in (config.get("data") or {}).items():
        dataset = ((entry or {}).get("dataLocation") or {}).get("dataset") or {}
        if not dataset.get("name"):
            raise Failure(f"data.{name}: has no name of a registered dataset, which a sweep would read: name one there")
        version = dataset.get("version", "latest")
        path = f"azureml:{dataset['name']}{'@latest' if version == 'latest' else f':{version}'}"
        mode = "download" if str(entry.get("mechanism")).lower() == "download" else "ro_mount"
        found[key(name)] = {"type": "uri_folder", "path": path, "mode": mode}
    return found


def trial(order: Order, config: dict[str, Any], place: Path) -> dict[str, Any]:
    """What each trial is, by the runconfig."""
    environment = config.get("environment") or {}
    python, docker = environment.get("python") or {}, environment.get("docker") or {}
    conda = order.folder / str(python.get("condaDependenciesFile") or "aml_config/train-conda.yml")
    made: dict[str, Any] = {"code": os.path.relpath(order.folder, place), "command": command(order, config)}
    made["environment"] = {"image": docker.get("baseImage"), "conda_file": os.path.relpath(conda, place)}
    variables = environment.get("environmentVariables") or config.get("environmentVariables")
    if variables:
        made["environment_variables"] = {str(name): str(value) for name, value in variables.items()}
    return made | nodes_of(config)


def nodes_of(config: dict[str, Any]) -> dict[str, Any]:
    """The nodes and processes of a runconfig, as a job has them."""
    made: dict[str, Any] = {}
    nodes, mpi = int(config.get("nodeCount") or 1), config.get("mpi") or {}
    processes = int(mpi.get("processCountPerNode") or 1)
    communicator = str(config.get("communicator") or "none").lower()
    if communicator in ("mpi", "intelmpi", "openmpi"):
        made["distribution"] = {"type": "mpi", "process_count_per_instance": processes}
    elif communicator in ("pytorch", "nccl", "gloo"):
        per_node = int((config.get("pytorch") or {}).get("processCount") or nodes) // nodes
        made["distribution"] = {"type": "pytorch", "process_count_per_instance": max(per_node, 1)}
    if nodes > 1:
        made["resources"] = {"instance_count": nodes}
    return made


def command(order: Order, config: dict[str, Any]) -> str:
    """The script with its arguments; a path at which the runconfig puts data is that input."""
    places = {str(entry.get("pathOnCompute")): key(name) for name, entry in (config.get("data") or {}).items()}
    given = config.get("arguments") or []
    words = given if isinstance(given, list) else shlex.split(str(given))
    known = [f"${{{{inputs.{places[word]}}}}}" if word in places else shlex.quote(word) for word in map(str, words)]
    drawn = [f"--{each.name} ${{{{search_space.{key(each.name)}}}}}" for each in order.search.parameters]
    return " ".join(["python", shlex.quote(str(config.get("script") or "train.py")), *known, *drawn])
