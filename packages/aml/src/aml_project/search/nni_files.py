"""What NNI is given: the experiment as it documents it, nni.yml, and beside it what its trials run, code/.

All of it works by itself: `nnictl create --config nni.yml`.
"""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path
from typing import Any

from aml_project import project
from aml_project.command_line import note
from aml_project.files import write_whole
from aml_project.project import shown
from aml_project.search import nni_space, trials
from aml_project.search.engines import Order
from aml_project.search.nni_environment import ON_THE_NODE, PARTS

CONFIG, CLIENT = "nni.yml", "client.json"
RUNS = "runs.txt"  # that NNI has submitted


def write(order: Order, folder: Path, python: Path) -> None:
    import yaml

    code = folder / "code"
    if order.on:
        write_snapshot(order, code)
        client = {"model": str(order.folder), "config": order.config, "experiment": order.experiment,
                  "packages": ON_THE_NODE, "runs": str(folder / RUNS)}  # fmt: skip
        write_whole(folder / CLIENT, json.dumps(client))
    code.mkdir(parents=True, exist_ok=True)
    settings = in_workspace(order) if order.on else here(order, folder)
    write_whole(code / "trial.py", (PARTS / "trial.py").read_text(encoding="utf-8"))
    write_whole(code / "trial.json", json.dumps(settings, indent=2))
    command = "python3 trial.py" if order.on else f"{shlex.quote(str(python))} trial.py"
    text = yaml.safe_dump(experiment(order, command), sort_keys=False, allow_unicode=True)
    write_whole(folder / CONFIG, f"# nnictl create --config {shown(folder / CONFIG)}\n{text}")


def write_snapshot(order: Order, code: Path) -> None:
    """What a run of the model would take along; NNI takes a folder."""
    from aml_project.snapshot import whole

    shutil.rmtree(code, ignore_errors=True)
    for name in whole.take_whole(order.folder).files:
        (code / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(order.folder / name, code / name)


def here(order: Order, folder: Path) -> dict[str, Any]:
    """What trial.py has to know on this computer."""
    script = trials.script_of(order.root, order.model)
    return {"model": str(order.folder), "trials": str(folder / "trials"), "python": str(script.python),
            "arguments": script.data, "in_workspace": False} | about(order)  # fmt: skip


def in_workspace(order: Order) -> dict[str, Any]:
    """The same on a cluster."""
    from aml_project.runconfigs import reading

    config = reading.read(reading.find(order.folder, order.config))
    given = config.get("arguments") or []
    arguments = given if isinstance(given, list) else shlex.split(str(given))
    return {"model": "", "trials": "", "python": "", "arguments": arguments, "in_workspace": True} | about(order)


def about(order: Order) -> dict[str, Any]:
    whole = [each.name for each in order.search.parameters if getattr(each, "whole", False)]
    return {"metric": order.search.metric, "whole": whole}


def experiment(order: Order, command: str) -> dict[str, Any]:
    search = order.search
    mode = {"optimize_mode": search.goal}
    tuner: dict[str, Any] = {"name": nni_space.TUNERS[search.algorithm]}
    arguments = {"random": {"seed": search.seed}, "tpe": {**mode, "seed": search.seed}, "grid": {}}
    if arguments[search.algorithm]:
        tuner["classArgs"] = arguments[search.algorithm]
    made: dict[str, Any] = {
        "experimentName": f"The search of {order.model}",
        "searchSpace": nni_space.space(search),
        "trialCommand": command,
        "trialCodeDirectory": "code",
        "trialConcurrency": search.parallel,
        "maxTrialNumber": search.trials,
        "experimentWorkingDirectory": "experiments",
        "tuner": tuner,
    }
    if search.hours:
        made["maxExperimentDuration"] = f"{max(round(search.hours * 3600), 1)}s"
    if search.trial_minutes:
        made["maxTrialDuration"] = f"{max(round(search.trial_minutes * 60), 1)}s"
    if search.stop:
        made["assessor"] = {"name": "Medianstop", "classArgs": {**mode, "start_step": search.stop.after}}
    return made | (on_cluster(order) if order.on else local(order))


def local(order: Order) -> dict[str, Any]:
    """The training service of this computer, and what goes with it."""
    per_gpu = order.search.per_gpu
    if per_gpu and trials.gpus():
        service = {"platform": "local", "maxTrialNumberPerGpu": per_gpu, "useActiveGpu": True}
        return {"trialGpuNumber": 1, "trainingService": service}
    if per_gpu:
        note("per_gpu: there is no GPU here; without effect")
    return {"trainingService": {"platform": "local"}}


def on_cluster(order: Order) -> dict[str, Any]:
    """That of Azure ML, for the workspace that is attached."""
    subscription, group, name = project.workspace(order.root)
    names = {"subscriptionId": subscription, "resourceGroup": group, "workspaceName": name}
    service: dict[str, Any] = {"platform": "aml", **names, "computeTarget": order.on}
    gpu = {}
    if order.search.per_gpu:
        gpu["trialGpuNumber"] = 1
        service["maxTrialNumberPerGpu"] = order.search.per_gpu
    # Nobody calls the manager: they speak by the metrics of the run.
    return {**gpu, "nniManagerIp": "127.0.0.1", "trainingService": service}
