"""AutoRunner's search by NNI, mended: it has time to begin, ends no other, and waits for none that has failed."""

import http.client
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from monai.apps.auto3dseg import auto_runner
from monai.utils import run_cmd

PORT = 8088  # where AutoRunner has NNI listen
FAILED = ("FAILED", "SYS_CANCELED", "USER_CANCELED")  # trials without which AutoRunner would wait for ever
# nnictl, which by itself gives its server three seconds: too few where a processor has more to do.
PATIENT = """
from functools import partial
from nni.experiment import launcher
from nni.tools.nnictl.nnictl import parse_args
launcher._check_rest_server = partial(launcher._check_rest_server, retry=120)
parse_args()
"""
# The same for the server, which gives its tuner ten.
PATIENT_SERVER = """
const wait = setTimeout;
globalThis.setTimeout = (act, after, ...more) => wait(act, after === 10000 ? 120000 : after, ...more);
"""


class SearchFailed(Exception):
    """What NNI says of it, in a line."""


def stop() -> None:
    """End the experiment."""
    run_cmd(["nnictl", "stop", "--port", str(PORT)], check=False)


def run(command: list[str], **options: Any) -> Any:
    """Run nnictl as AutoRunner wants it, but for stop --all, which would end the experiments of others as well."""
    if "--all" in command:
        return stop()
    server = Path(command[command.index("--config") + 1]).with_name("patient.js")
    server.write_text(PATIENT_SERVER, encoding="utf-8")
    environment = {**os.environ, "NODE_OPTIONS": f'--require "{server.resolve()}"'}
    try:
        return run_cmd([sys.executable, "-c", PATIENT, *command[1:]], env=environment, capture_output=False, **options)
    except RuntimeError as failed:  # what MONAI makes of a command that failed
        raise SearchFailed("NNI has not begun; why, it says above") from failed
    finally:
        server.unlink()  # it has been read


def wait(seconds: float) -> None:
    """Wait as AutoRunner does until it counts the trials again."""
    time.sleep(seconds)
    told = ask("check-status")
    if told["status"] == "ERROR":
        raise SearchFailed(f"NNI: {'; '.join(told['errors'])}")
    for trial in ask("trial-jobs"):
        if trial["status"] in FAILED:
            raise SearchFailed(f"NNI: trial {trial['trialJobId']} {trial['status']}; {trial.get('stderrPath', '')}")


def ask(what: str) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)
    try:
        connection.request("GET", f"/api/v1/nni/{what}")
        return json.load(connection.getresponse())
    finally:
        connection.close()


auto_runner.run_cmd, auto_runner.sleep = run, wait
