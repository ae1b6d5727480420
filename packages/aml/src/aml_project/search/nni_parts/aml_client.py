"""NNI's client of Azure ML, in the words that its manager speaks and reads, in place of the one that comes with it.

That one takes an image without the model's packages, calls a run complete whose runner has failed, and reads for ever
from a manager that is gone.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
import uuid
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

from azureml.core import Experiment, Run, RunConfiguration, ScriptRunConfig, Workspace
from azureml.core.authentication import (
    AuthenticationException,
    AzureCliAuthentication,
    InteractiveLoginAuthentication,
    ServicePrincipalAuthentication,
)

SETTINGS = json.loads(Path(os.environ["AML_PROJECT_NNI"]).read_text(encoding="utf-8"))
PAUSES = (1.0, 4.0, 15.0)  # seconds before the tries after the first
ENDED = ("Completed", "Failed", "Canceled")


def login() -> Any:
    given = [os.environ.get(f"AZUREML_SERVICE_PRINCIPAL_{part}") for part in ("TENANT_ID", "ID", "PASSWORD")]
    if all(given):
        return ServicePrincipalAuthentication(*given)
    try:
        by_az = AzureCliAuthentication()
        by_az.get_token()
    except AuthenticationException:
        return InteractiveLoginAuthentication()
    return by_az


def honest(script: Path) -> None:
    """Let the run fail where its runner does: NNI's script does without the exit code."""
    text = script.read_text(encoding="utf-8")
    if "SystemExit" not in text:
        script.write_text(text.replace("\nos.system(", "\nraise SystemExit(os.system(", 1) + " != 0)", encoding="utf-8")


def submit(args: Namespace) -> Any:
    workspace = Workspace(args.subscription_id, args.resource_group, args.workspace_name, auth=login())
    config = RunConfiguration.load(SETTINGS["model"], SETTINGS["config"])
    for package in SETTINGS["packages"]:
        config.environment.python.conda_dependencies.add_pip_package(package)
    config.environment.name = f"{SETTINGS['experiment']}-nni"
    config.target, config.node_count, config.communicator = args.compute_target, 1, "None"
    config.script, config.arguments, config.command = args.script_name, [], ""
    honest(Path(args.script_dir, args.script_name))
    source = ScriptRunConfig(source_directory=args.script_dir, run_config=config)
    experiment, run_id = Experiment(workspace, SETTINGS["experiment"]), f"{SETTINGS['experiment']}_{uuid.uuid4()}"
    with Path(SETTINGS["runs"]).open("a", encoding="utf-8") as runs:
        runs.write(f"{run_id}\n")  # before it is sent: who is killed then leaves no run that nobody knows of

    def send() -> Any:
        try:
            return experiment.submit(source, run_id=run_id, tags={"nni_experiment": args.experiment_name})
        except Exception:
            with contextlib.suppress(Exception):  # it may have arrived, and its answer was lost
                return Run.get(workspace, run_id)
            raise

    return patient(send)


def patient(act: Callable[[], Any]) -> Any:
    """Do it again after a while where the workspace has failed."""
    for pause in PAUSES:
        with contextlib.suppress(Exception):
            return act()
        time.sleep(pause)
    return act()


def end(run: Any) -> str:
    run.cancel()
    for _ in range(60):
        if run.get_status() in ENDED:
            return "success"
        time.sleep(1)
    return "failed"


def main() -> None:
    parser = ArgumentParser()
    for name in ("subscription_id", "resource_group", "workspace_name", "compute_target", "docker_image",
                 "experiment_name", "script_dir", "script_name"):  # fmt: skip
        parser.add_argument(f"--{name}")
    run = submit(parser.parse_args())
    print(run.id, flush=True)
    for line in map(str.strip, sys.stdin):  # until the manager has gone
        word, _, rest = line.partition(":")
        if word == "update_status":
            print(f"status:{patient(run.get_status)}", flush=True)
        elif word == "tracking_url":
            print(f"tracking_url:{run.get_portal_url()}", flush=True)
        elif word == "receive":
            print(f"receive:{json.dumps(patient(run.get_metrics))}", flush=True)
        elif word == "command":
            run.log("nni_manager", rest)
        elif word == "stop":
            print(f"stop_result:{end(run)}", flush=True)
            return


if __name__ == "__main__":
    main()
