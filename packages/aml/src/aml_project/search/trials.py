"""One trial: train.py in the model's environment, in a folder of its own, and what it has left there.

Whatever it does, crash, hang, write nothing or nonsense, is a state of the trial and never the end of the search.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aml_project import local_imports, model_environment, project, work_folder
from aml_project.kill_points import reached
from aml_project.search.definition import Search
from aml_project.search.record import COMPLETE, FAILED, Trial, best_of
from aml_project.values import Value, Values, words

SCRIPT = "train.py"
STEPS_VARIABLE = "AML_STEPS_FILE"  # where runtime/tracking.py writes what train.py logs by step
STEPS_FILE = "steps.jsonl"


@dataclass
class Script:
    """How a model is trained, found out once a search."""

    root: Path
    model: str
    python: Path
    data: list[str]
    variables: dict[str, str]

    @property
    def folder(self) -> Path:
        return self.root / "models" / self.model


def script_of(root: Path, model: str) -> Script:
    model_environment.installed(root, model)
    train = root / "models" / model / SCRIPT
    takes = local_imports.mentions(list(local_imports.closure(train, [])), *model_environment.DATA_PATH)
    data = ["--data-path", str(project.data_folder(root, model))] if takes else []
    variables = model_environment.variables_of_a_program() | {"PYTHONUNBUFFERED": "1"}
    return Script(root, model, model_environment.program(root, model, "python"), data, variables)


@dataclass
class Steps:
    """What train.py logs by step, read as it comes."""

    file: Path
    read_so_far: int = 0
    last: int = -1

    def new(self, metric: str) -> list[tuple[int, float]]:
        """What it has logged of a metric since the last call, each step once."""
        content = b""
        with contextlib.suppress(OSError), self.file.open("rb") as stream:
            stream.seek(self.read_so_far)
            content = stream.read()
        whole = content[: content.rfind(b"\n") + 1]
        self.read_so_far += len(whole)
        found = []
        for line in whole.splitlines():
            step, value = step_in(line, metric)
            if step > self.last and value is not None:
                self.last = step
                found.append((step, value))
        return found


@dataclass(kw_only=True)
class Running(work_folder.Running):
    """A trial whose process runs."""

    trial: Trial
    gpu: str | None
    steps: Steps
    ended: float = 0.0  # when, as `began`
    stopped_early: bool = False
    too_long: bool = False

    def close(self) -> None:
        super().close()
        unlink(self.folder)


def step_in(line: bytes, metric: str) -> tuple[int, float | None]:
    try:
        said = json.loads(line)
        step, value = int(said["step"]), said["metrics"].get(metric)
    except (ValueError, TypeError, KeyError, AttributeError):
        return -1, None
    return step, float(value) if is_number(value) else None


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def place_of(search_folder: Path, number: int) -> Path:
    return search_folder / "trials" / f"{number:04}"


def start(script: Script, search_folder: Path, trial: Trial, gpu: str | None, extra: Mapping[str, str]) -> Running:
    """Start the process of a trial, in a folder that looks like the model's and has its own outputs/."""
    folder = place_of(search_folder, trial.number)
    work_folder.make(folder, script.folder, without=(SCRIPT,))
    # A link would find its modules, and outputs/ beside itself, where it leads to: among those of all trials.
    shutil.copy(script.folder / SCRIPT, folder)
    reached("before trial starts")
    variables = script.variables | {STEPS_VARIABLE: str(folder / STEPS_FILE), **extra}
    if gpu is not None:
        variables["CUDA_VISIBLE_DEVICES"] = gpu
    command: list[str | Path] = [script.python, SCRIPT, *script.data, *words(trial.values)]
    process, line = work_folder.start(folder, command, variables)
    reached("after trial starts")
    steps = Steps(folder / STEPS_FILE)
    return Running(folder=folder, process=process, line=line, trial=trial, gpu=gpu, steps=steps)


def unlink(folder: Path) -> None:
    """Leave of a trial's folder what it has made: the log and outputs/."""
    work_folder.unlink(folder)
    (folder / SCRIPT).unlink(missing_ok=True)


def judge(search: Search, folder: Path, trial: Trial, code: int) -> Trial:
    """Say what has become of a trial whose process has ended by itself."""
    try:
        trial.metrics = read_metrics(folder / "outputs" / "metrics.json") if code == 0 else {}
        trial.why = "" if code == 0 else work_folder.crash(folder, code)
    except ValueError as error:
        trial.why = str(error)
    if not trial.why and search.metric not in trial.metrics and best_of(trial.steps, search) is None:
        has = ", ".join(sorted(trial.metrics)) or "no number"
        trial.why = f"no {search.metric} that is a number in outputs/metrics.json; it has {has}"
    trial.state = FAILED if trial.why else COMPLETE
    return trial


def read_metrics(file: Path) -> dict[str, float]:
    """The metrics that are numbers; a ValueError says that there is no such file, or what is wrong with it."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError("train.py has written no outputs/metrics.json") from None
    except OSError as error:
        raise ValueError(f"outputs/metrics.json: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"outputs/metrics.json: no JSON: {error}") from None
    if not isinstance(content, dict):
        raise ValueError("outputs/metrics.json: names no metrics")
    return {str(name): float(value) for name, value in content.items() if is_number(value)}


def free(folder: Path) -> None:
    """Give back what a failed trial holds of the disk, but for the last of its log: it may have filled it."""
    shutil.rmtree(folder / "outputs", ignore_errors=True)
    log = folder / "log.txt"
    with contextlib.suppress(OSError):
        if log.stat().st_size > 1_000_000:
            log.write_text("\n".join(work_folder.tail(log)), encoding="utf-8")


def gpus(asked: Sequence[str] = ("nvidia-smi", "--query-gpu=index", "--format=csv,noheader")) -> list[str]:
    """The GPUs of this computer that this process may use."""
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is not None:
        return [name for name in allowed.split(",") if name.strip()]
    try:
        said = subprocess.run(asked, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return []
    return said.split()


def described(values: Values) -> str:
    return " ".join(f"{name}={shortly(value)}" for name, value in values.items())


def shortly(value: Value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
