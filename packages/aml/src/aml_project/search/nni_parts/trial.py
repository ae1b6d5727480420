"""A trial of NNI: train.py as it is, with the values that NNI draws as its arguments and metrics.json as its result.

It runs in the Python that has NNI, with trial.json beside it, and knows nothing of the package that has written it.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import nni

HERE = Path(__file__).resolve().parent
SETTINGS = json.loads((HERE / "trial.json").read_text(encoding="utf-8"))
SCRIPT = "train.py"
# Of the model's folder what a trial does not see: results of others, and what no training reads.
NOT_LINKED = {"outputs", "mlruns", "logs", "run.json", "tests", "deployment"}
TICK = 0.5  # seconds between two looks at what is logged by step


def values_of(drawn: dict[str, Any]) -> dict[str, Any]:
    """What NNI has drawn, by name; a value of a choice that has parameters of its own is a dictionary."""
    found: dict[str, Any] = {}
    for name, value in drawn.items():
        if isinstance(value, dict):
            found[name] = value["_name"]
            found.update(values_of({key: inner for key, inner in value.items() if key != "_name"}))
        else:
            found[name] = round(value) if name in SETTINGS["whole"] else value
    return found


def words(values: dict[str, Any]) -> list[str]:
    """The values as train.py takes them."""
    given = {name: value for name, value in values.items() if value is not False}
    return [f"--{name}" if value is True else f"--{name}={value}" for name, value in given.items()]


def folder() -> Path:
    """Where train.py runs: on this computer a folder that looks like the model's and has its own outputs/."""
    if not SETTINGS["model"]:
        return HERE  # on a cluster, each trial has a copy of the code
    place = Path(SETTINGS["trials"], os.environ["NNI_TRIAL_JOB_ID"])
    place.mkdir(parents=True, exist_ok=True)
    for entry in os.scandir(SETTINGS["model"]):
        link = place / entry.name
        if entry.name not in {*NOT_LINKED, SCRIPT} and not link.is_symlink():
            link.symlink_to(entry.path)
    shutil.copy(Path(SETTINGS["model"], SCRIPT), place)  # a link would find its modules where it leads to
    return place


def report_steps(file: Path, over: threading.Event) -> None:
    """Tell NNI of what train.py logs by step, so that it may end the trial early."""
    last, read = -1, 0
    while not over.wait(TICK):
        if not file.exists():
            continue
        with file.open("rb") as stream:
            stream.seek(read)
            whole = stream.read().rpartition(b"\n")[0]
        read += len(whole) + 1 if whole else 0
        for line in whole.splitlines():
            said = json.loads(line)
            value = said["metrics"].get(SETTINGS["metric"])
            if said["step"] > last and isinstance(value, (int, float)):
                last = said["step"]
                nni.report_intermediate_result(float(value))


def train(place: Path, arguments: list[str], variables: dict[str, str]) -> None:
    own = {"AML_STEPS_FILE": str(place / "steps.jsonl"), "PYTHONUNBUFFERED": "1"}
    environment = {**os.environ, **own, **variables}
    (place / "steps.jsonl").unlink(missing_ok=True)
    with (place / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            [SETTINGS["python"] or sys.executable, SCRIPT, *SETTINGS["arguments"], *arguments],
            cwd=place, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip

    def end(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        os.killpg(process.pid, signal.SIGKILL)
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    over = threading.Event()
    threading.Thread(target=report_steps, args=(place / "steps.jsonl", over), daemon=True).start()
    code = process.wait()
    over.set()
    sys.stdout.write((place / "log.txt").read_text(encoding="utf-8", errors="replace")[-20_000:])
    if code:
        raise SystemExit(code if code > 0 else 128 - code)


def result(place: Path) -> float:
    metrics = json.loads((place / "outputs" / "metrics.json").read_text(encoding="utf-8"))
    value = metrics.get(SETTINGS["metric"])
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise SystemExit(f"no {SETTINGS['metric']} that is a number in outputs/metrics.json")
    return float(value)


@contextlib.contextmanager
def run_of_its_own(values: dict[str, Any], place: Path) -> Iterator[dict[str, str]]:
    """On a cluster, a child of the runner's run, with its values and metrics as numbers; NNI's own are texts."""
    if not SETTINGS["in_workspace"]:
        yield {}
        return
    from azureml.core import Run

    whole = Run.get_context()
    own = whole.child_run(name=f"trial {int(os.environ['NNI_TRIAL_SEQ_ID']) + 1}")
    own.set_tags({"hyperparameters": json.dumps(values), "nni_trial": os.environ["NNI_TRIAL_JOB_ID"]})
    try:
        yield {"AZUREML_RUN_ID": own.id, "MLFLOW_RUN_ID": own.id}
        logged = own.get_metrics()
        for name, value in json.loads((place / "outputs" / "metrics.json").read_text(encoding="utf-8")).items():
            if isinstance(value, (int, float)) and name not in logged:
                own.log(name, value)
        whole.log(SETTINGS["metric"], result(place))
        if (place / "outputs").is_dir():
            own.upload_folder("outputs", str(place / "outputs"))
        send_log(own, place)
    except BaseException as error:
        send_log(own, place)
        own.fail(error_details=str(error))
        raise
    own.complete()


def send_log(own: Any, place: Path) -> None:
    if (place / "log.txt").is_file():
        own.upload_file("user_logs/std_log.txt", str(place / "log.txt"))


def main() -> None:
    values = values_of(nni.get_next_parameter())
    place = folder()
    ended = place / "ended"
    if not ended.exists():  # a search that was killed then may begin a trial again whose training had ended
        with run_of_its_own(values, place) as variables:
            train(place, words(values), variables)
        ended.touch()
    nni.report_final_result(result(place))


if __name__ == "__main__":
    main()
