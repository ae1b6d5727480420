"""One trial: train.py in the model's environment, in a folder of its own, and what it has left there.

Whatever it does, crash, hang, write nothing or nonsense, is a state of the trial and never the end of the search.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aml_project import local_imports, model_environment, project
from aml_project.kill_points import reached
from aml_project.search.definition import Search, Value, Values
from aml_project.search.record import COMPLETE, FAILED, Trial, best_of

# The process of a trial, which ends with the search: that holds the other end of the pipe on stdin. When it is gone, by
# kill -9 or otherwise, so is all that the script has started. The first argument is a file that says: it ended well.
KEEPER = """
ended=$1; shift
exec 3<&0 </dev/null 4>&2 2>/dev/null
{ read -r _ <&3; kill -9 0; } &
(exec "$@" 3<&- 2>&4 4>&-)
code=$?
if [ $code -eq 0 ]; then : >"$ended"; fi
exit $code
"""
BY_SIGNAL = 128  # above it, a shell's code says which signal has ended a program
SCRIPT = "train.py"
STEPS_VARIABLE = "AML_STEPS_FILE"  # where runtime/tracking.py writes what train.py logs by step
# Of the model's folder what a trial does not see: results of others, and what no training reads.
NOT_LINKED = {"outputs", "mlruns", "logs", "run.json", "tests", "deployment"}
STEPS_FILE = "steps.jsonl"
PROCESSES = Path("/proc")  # on Linux, where ps need not be
GONE = (ProcessLookupError, PermissionError)  # what macOS says where all of a group have ended, but are not waited for
GRACE = 5.0  # seconds from the polite end of a trial to the other one
LONGEST = 300  # characters of a line of its log


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


def words(values: Mapping[str, Value]) -> list[str]:
    """The values as train.py takes them: true is a flag, false is none. Without the =, -1e-05 would be an option."""
    given = {name: value for name, value in values.items() if value is not False}
    return [f"--{name}" if value is True else f"--{name}={value}" for name, value in given.items()]


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


@dataclass
class Running:
    """A trial whose process runs."""

    trial: Trial
    folder: Path
    process: subprocess.Popen[bytes]
    line: int  # the end of the pipe that the process lives by
    gpu: str | None
    steps: Steps
    began: float = field(default_factory=time.monotonic)
    asked_to_end: float = 0.0  # when
    stopped_early: bool = False
    too_long: bool = False

    def end(self) -> None:
        """Ask the process and all that it has started to end; `kill` is for those that do not."""
        self.asked_to_end = time.monotonic()
        with contextlib.suppress(*GONE):
            os.killpg(self.process.pid, signal.SIGINT)

    def kill(self) -> None:
        with contextlib.suppress(*GONE):
            os.killpg(self.process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Once it has ended: nothing that it has started outlives it."""
        self.kill()
        os.close(self.line)
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
    end_leftover(folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for entry in os.scandir(script.folder):
        if entry.name not in {*NOT_LINKED, SCRIPT}:
            (folder / entry.name).symlink_to(entry.path)
    # A link would find its modules, and outputs/ beside itself, where it leads to: among those of all trials.
    shutil.copy(script.folder / SCRIPT, folder)
    reached("before trial starts")
    theirs, ours = os.pipe()
    command: list[str | Path] = ["sh", "-c", KEEPER, "sh", folder / "ended", script.python, SCRIPT]
    variables = script.variables | {STEPS_VARIABLE: str(folder / STEPS_FILE), **extra}
    if gpu is not None:
        variables["CUDA_VISIBLE_DEVICES"] = gpu
    arguments = [*script.data, *words(trial.values)]
    with (folder / "log.txt").open("wb") as log:
        try:
            process = subprocess.Popen(
                [*command, *arguments], cwd=folder, env=variables, stdin=theirs, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
    (folder / "pid").write_text(str(process.pid))
    reached("after trial starts")
    return Running(trial, folder, process, ours, gpu, Steps(folder / STEPS_FILE))


def end_leftover(folder: Path) -> None:
    """End what a killed search has left running of a trial, where that has not ended by itself."""
    try:
        pid = int((folder / "pid").read_text())
    except (OSError, ValueError):
        return
    if os.fsencode(folder / "ended") in command_of(pid):
        with contextlib.suppress(*GONE):
            while True:  # until it is gone
                os.killpg(pid, signal.SIGKILL)
                time.sleep(0.01)


def command_of(pid: int) -> bytes:
    """The command line of a process; nothing of one that is not there."""
    if PROCESSES.is_dir():
        with contextlib.suppress(OSError):
            return (PROCESSES / str(pid) / "cmdline").read_bytes()
        return b""
    command = ["ps", "-ww", "-o", "command=", "-p", str(pid)]
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False).stdout


def ended_unseen(search_folder: Path, trial: Trial) -> bool:
    """Whether a trial's script went to its end while no search was there to note it."""
    return (place_of(search_folder, trial.number) / "ended").exists()


def unlink(folder: Path) -> None:
    """Leave of a trial's folder what it has made: the log and outputs/."""
    for entry in os.scandir(folder):
        if entry.is_symlink() or entry.name in ("pid", "__pycache__", SCRIPT):
            with contextlib.suppress(OSError):
                Path(entry.path).unlink()


def judge(search: Search, folder: Path, trial: Trial, code: int) -> Trial:
    """Say what has become of a trial whose process has ended by itself."""
    try:
        trial.metrics = read_metrics(folder / "outputs" / "metrics.json") if code == 0 else {}
        trial.why = "" if code == 0 else crash(folder, code)
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


def crash(folder: Path, code: int) -> str:
    number = -code if code < 0 else code - BY_SIGNAL
    how = f"killed by signal {number}" if 0 < number < signal.NSIG else f"ended with the code {code}"
    said = next((line for line in reversed(tail(folder / "log.txt")) if line.strip()), "")
    return f"{how}: {said.strip()[:LONGEST]}" if said else how


def tail(log: Path, size: int = 20_000) -> list[str]:
    """The last lines of a log."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(log.stat().st_size - size, 0))
            content = stream.read()
    except OSError:
        return []
    return content.decode("utf-8", "replace").replace("\r\n", "\n").split("\n")


def free(folder: Path) -> None:
    """Give back what a failed trial holds of the disk, but for the last of its log: it may have filled it."""
    shutil.rmtree(folder / "outputs", ignore_errors=True)
    log = folder / "log.txt"
    with contextlib.suppress(OSError):
        if log.stat().st_size > 1_000_000:
            log.write_text("\n".join(tail(log)), encoding="utf-8")


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
