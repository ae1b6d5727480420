"""MONAI's AutoRunner on task.yaml: analyse the data, generate the algorithms, train each on each fold, ensemble.

What has been trained is not trained again: cache.py.
"""

import importlib.util
import json
import os
import signal
import sys
from functools import partial
from pathlib import Path
from subprocess import CalledProcessError
from typing import Any

import torch
import yaml
from monai.apps.auto3dseg import AutoRunner, bundle_gen
from monai.apps.auto3dseg.utils import import_bundle_algo_history
from monai.auto3dseg import utils

from runtime import cache, search
from runtime.nodes import Nodes

# MONAI keeps to itself what a training prints, and shows it only of one that has failed: hours without a word.
bundle_gen.run_cmd = utils.run_cmd = partial(utils.run_cmd, capture_output=False)


def read_task(file: Path, data: Path | None = None) -> dict[str, Any]:
    """What task.yaml says, its paths seen from where it lies; `data` stands for its dataroot."""
    task = dict(yaml.safe_load(file.read_text(encoding="utf-8")))
    for name in cache.PATHS:
        path = str(task.get(name) or "")
        if path and "://" not in path:
            task[name] = str(file.resolve().parent / path)
    if data:
        task["dataroot"] = str(data.resolve())
    return task


def testing(task: dict[str, Any]) -> list[str]:
    """The volumes of the datalist that are for testing, seen from dataroot."""
    items = json.loads(Path(task["datalist"]).read_text(encoding="utf-8")).get("testing", [])
    return [str(item["image"] if isinstance(item, dict) else item) for item in items]


def train(
    task: dict[str, Any], work: Path, overrides: dict[str, Any], nodes: Nodes, processes: int = 0
) -> list[dict[str, Any]]:
    """Run AutoRunner in a folder; return its algorithms, each trained on each fold, with their scores.

    `processes` is for several on processors alone: on GPUs there is one for each of them.
    """
    # Its trainings are started by the name "python": it has to be this one.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    parameters = {**(task.get("training_params") or {}), **overrides}
    if task.get("hpo") and not importlib.util.find_spec("nni"):
        raise SystemExit(
            "hpo: true searches by NNI, which is not here: add nni to train-conda.yml"
        )  # it would not search
    cache.begin(work, task, parameters)
    runner = Runner(work_dir=str(work), input=task)
    runner.nodes = nodes.count
    bundle_gen._run_cmd_bcprun = nodes.train  # which would be bcprun, of NVIDIA's clusters
    runner.set_training_params(parameters)
    runner.set_hpo_params({**parameters, **(task.get("hpo_params") or {})})
    if task.get("search_space"):
        # A trial takes what is fixed from the search space as well, and from nowhere else.
        fixed = {name: {"_type": "choice", "_value": [value]} for name, value in parameters.items()}
        runner.set_nni_search_space({**fixed, **task["search_space"]})
    if not torch.cuda.is_available():
        runner.set_analyze_params({"do_ccp": False, "device": "cpu"})
        if processes > 1:  # torchrun starts as many as there are devices; the ensemble can do that on GPUs alone
            runner.training_devices = ",".join(map(str, range(processes)))
    elif not task.get("multigpu", True):
        runner.set_device_info(cuda_visible_devices=os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[:1])
    runner.run()
    nodes.dismiss()
    return list(import_bundle_algo_history(str(work), only_trained=True))


def ended(code: int) -> str:
    """How a process has ended; why, it has printed itself, unless it was killed."""
    if code == -signal.SIGKILL:
        return "was killed (signal 9), as happens when the memory is full"
    return f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}; why stands above"


class Runner(AutoRunner):
    """AutoRunner, with what each training leaves behind kept in Azure ML before the next one begins."""

    training_devices = ""
    nodes = 1
    device_setting: dict[str, Any]

    def _train_algo_in_sequence(self, history: list[dict[str, Any]]) -> None:
        devices = dict(self.device_setting)
        for algorithm in history:
            if self.training_devices:
                self.set_device_info(cuda_visible_devices=self.training_devices)
            self.device_setting = {**self.device_setting, "NUM_NODES": self.nodes}
            try:
                super()._train_algo_in_sequence([algorithm])
            except (RuntimeError, CalledProcessError) as failed:
                call = failed.__cause__ or failed
                if not isinstance(call, CalledProcessError):
                    raise
                raise SystemExit(f"{algorithm['identifier']}: its training {ended(call.returncode)}") from None
            self.device_setting = devices  # the ensemble is drawn by this node alone
            cache.keep(Path(self.work_dir))

    def _train_algo_in_nni(self, history: list[dict[str, Any]]) -> None:
        try:
            super()._train_algo_in_nni(history)
        except search.SearchFailed as failed:
            search.stop()
            raise SystemExit(f"ERROR: {failed}") from failed
        except BaseException:
            search.stop()
            raise
