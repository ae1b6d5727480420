"""A pipeline, initialised, applied, published and submitted by azuremlconstructor's own commands."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from azureml.core import Workspace
from azureml.pipeline.core import PipelineRun

names = json.loads(Path("config.json").read_text())
workspace = Workspace.from_config("config.json")
Path("built").mkdir()
Path("built/numbers.csv").write_text("x\n1\n2\n")
workspace.get_default_datastore().upload("built", "built")


def constructor(*arguments: str) -> None:
    subprocess.run([sys.executable, "-W", "ignore", "-m", "azuremlconstructor", *arguments], check=True)


constructor("init", ".", "-n", "first")
for name in ("settings.py", "conda_dependencies.yml"):
    shutil.copy(name, "first/settings")
Path("first/settings/.env").write_text(
    f"""SUBSCRIPTION_ID = {names["subscription_id"]}
RESOURCE_GROUP = {names["resource_group"]}
BUILD_ID = 1
WORKSPACE_NAME = {names["workspace_name"]}
ENVIRONMENT_NAME = built
ENVIRONMENT_FILE = 'settings/conda_dependencies.yml'
TENANT_ID = {os.environ["AZUREML_SERVICE_PRINCIPAL_TENANT_ID"]}
"""
)
constructor("apply", "first")
shutil.copy("aml.py", "first/sum_up")  # the file that is to be written there: it is empty
constructor("run", "first")
run = next(iter(workspace.experiments["built"].get_runs()))
assert isinstance(run, PipelineRun)
run.wait_for_completion(show_output=False)
assert [step.get_metrics() for step in run.get_steps()] == [{"sum": 3}]
