"""What in a repo's code still needs v1: its SDK, its packages, its command line, each with its mend."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

from aml_project.v2.first_generation import files

# The longest name that begins an import decides.
MENDS = {
    "azureml": "azure-ai-ml has it under another name: see Microsoft's guide from v1 to v2",
    "azureml.core.Run": "mlflow: a job has its run open: mlflow.log_metric, log_param, log_artifact",
    "azureml.core.run": "mlflow: a job has its run open: mlflow.log_metric, log_param, log_artifact",
    "azureml.core.Workspace": "azure.ai.ml: MLClient.from_config(DefaultAzureCredential())",
    "azureml.core.workspace": "azure.ai.ml: MLClient.from_config(DefaultAzureCredential())",
    "azureml.core.Experiment": "experiment_name in the job's file; mlflow.search_runs finds its runs",
    "azureml.core.experiment": "experiment_name in the job's file; mlflow.search_runs finds its runs",
    "azureml.core.Dataset": "an input of the job: its path is an argument, pandas reads it",
    "azureml.core.dataset": "an input of the job: its path is an argument, pandas reads it",
    "azureml.core.Datastore": "an input of the job with path: azureml://datastores/NAME/paths/FOLDER",
    "azureml.core.datastore": "an input of the job with path: azureml://datastores/NAME/paths/FOLDER",
    "azureml.core.Model": "in score.py AZUREML_MODEL_DIR; to register: az ml model create",
    "azureml.core.model": "in score.py AZUREML_MODEL_DIR; to register: az ml model create",
    "azureml.core.webservice": "an endpoint and its deployment: az ml online-deployment create",
    "azureml.core.Webservice": "an endpoint and its deployment: az ml online-deployment create",
    "azureml.core.compute": "compute.yml: az ml compute create",
    "azureml.core.ComputeTarget": "compute.yml: az ml compute create",
    "azureml.core.Environment": "an environment's file: az ml environment create",
    "azureml.core.environment": "an environment's file: az ml environment create",
    "azureml.core.conda_dependencies": "the conda file that the environment's file names",
    "azureml.core.runconfig": "a job's file: az ml job create",
    "azureml.core.RunConfiguration": "a job's file: az ml job create",
    "azureml.core.ScriptRunConfig": "a job's file: az ml job create",
    "azureml.core.authentication": "azure.identity: DefaultAzureCredential()",
    "azureml.core": "azure.ai.ml has it under another name: see Microsoft's guide from v1 to v2",
    "azureml.data": "inputs and outputs of the job",
    "azureml.pipeline": "a pipeline's file: az ml job create; a published one is a batch endpoint",
    "azureml.train.hyperdrive": "a sweep's file: az ml job create",
    "azureml.train.automl": "an AutoML job: az ml job create with type: automl",
    "azureml.train": "a job's file: az ml job create (estimators are gone)",
    "azureml.widgets": "the job's page in Studio: az ml job show --web",
    "azureml.interpret": "the components of the responsible AI dashboard; nothing logs into Studio's explanations",
    "azureml.contrib": "nothing: contrib was not carried over to v2",
    "azureml.monitoring": "azureml-ai-monitoring: Collector, and data_collector in the deployment's file",
    "azureml.datadrift": "a monitor: az ml schedule create",
    "azureml.dataprep": "mltable or pandas",
    "azureml.opendatasets": "nothing: download the data once and register it",
}
# What goes on in the second generation.
STAYS = ("azureml.mlflow", "azureml.fsspec", "azureml.ai", "azureml.rai", "azureml.evaluate", "azureml.metrics")
CALLS = {
    "log": "mlflow.log_metric", "log_list": "mlflow.log_metric with step=", "log_row": "mlflow.log_metric with step=",
    "log_table": "mlflow.log_table", "log_image": "mlflow.log_figure or log_image",
    "log_confusion_matrix": "mlflow.log_dict or log_figure", "log_accuracy_table": "mlflow.log_dict",
    "log_residuals": "mlflow.log_dict", "upload_file": "mlflow.log_artifact", "upload_folder": "mlflow.log_artifacts",
    "tag": "mlflow.set_tag", "set_tags": "mlflow.set_tags", "add_properties": "mlflow.set_tags",
    "register_model": "mlflow.register_model, or az ml model create once the job is done",
    "complete": "nothing: the job ends with its process", "get_metrics": "mlflow.get_run(…).data.metrics",
    "input_datasets": "an input of the job: its path is an argument",
    "get_context": "nothing: a job has its run open", "start_logging": "mlflow.start_run",
}  # fmt: skip
PACKAGES = {
    "azureml-sdk": "mlflow and azureml-mlflow for a job's code; azure-ai-ml for what submits it",
    "azureml-core": "mlflow and azureml-mlflow for a job's code; azure-ai-ml for what submits it",
    "azureml-defaults": "azureml-inference-server-http to serve; mlflow and azureml-mlflow to train",
    "azureml-train": "azure-ai-ml", "azureml-train-core": "azure-ai-ml", "azureml-pipeline": "azure-ai-ml",
    "azureml-dataprep": "mltable", "azureml-dataset-runtime": "mltable", "azureml-train-automl": "azure-ai-ml",
    "azureml-monitoring": "azureml-ai-monitoring", "azureml-widgets": "nothing", "azureml-telemetry": "nothing",
    "azureml-interpret": "raiwidgets and the dashboard's components", "azureml-contrib-services": "nothing",
}  # fmt: skip
LINES = {
    "az ml folder attach": "az configure --defaults group=GROUP workspace=WORKSPACE",
    "az ml run submit-script": "az ml job create -f azure_ml/job.yml",
    "az ml run submit-hyperdrive": "az ml job create -f azure_ml/sweep.yml",
    "az ml run submit-pipeline": "az ml job create -f azure_ml/pipeline.yml",
    "az ml run": "az ml job",
    "az ml computetarget": "az ml compute",
    "az ml dataset": "az ml data",
    "az ml model register": "az ml model create",
    "az ml model deploy": "az ml online-endpoint create and az ml online-deployment create",
    "az ml model profile": "nothing: measure a deployment instead",
    "az ml environment register": "az ml environment create",
    "az ml service": "az ml online-endpoint",
    "az ml endpoint": "az ml online-endpoint or az ml batch-endpoint",
    "az ml pipeline": "az ml job, or az ml batch-endpoint for a published one",
    "azure-cli-ml": "az extension add --name ml",
}
COMMANDS = (".sh", ".yml", ".yaml", ".ps1", ".cmd", ".bat")
LISTS = ("requirements", "conda", "environment", "dependencies", "pyproject")

Remain = tuple[Path, int, str, str]  # file, line, what stands there, its mend


def find(root: Path) -> list[Remain]:
    found: list[Remain] = []
    for file in files(root):
        if file.suffix == ".py":
            found += [(file, *rest) for rest in of_code(text_of(file))]
        elif file.suffix == ".ipynb":
            found += [(file, *rest) for rest in of_notebook(text_of(file))]
        elif file.suffix in COMMANDS or file.name in ("Makefile", "Jenkinsfile"):
            found += [(file, *rest) for rest in of_lines(text_of(file))]
        if any(word in file.name.lower() for word in LISTS) and file.suffix in (".txt", ".yml", ".yaml", ".toml"):
            found += [(file, *rest) for rest in of_packages(text_of(file))]
    return found


def text_of(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace")


def of_code(text: str) -> Iterator[tuple[int, str, str]]:
    """What is imported of v1's SDK, and what is asked of a run that it gave."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return
    runs: set[str] = set()
    found: list[tuple[int, str, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node.lineno, name.name, mend_of(name.name)) for name in node.names if of_first(name.name)]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [f"{node.module}.{name.name}" for name in node.names]
            found += [(node.lineno, name, mend_of(name)) for name in names if of_first(name)]
        elif isinstance(node, ast.Assign) and is_run(node.value):
            runs |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    if not found:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in CALLS:
            base = node.value
            if (isinstance(base, ast.Name) and base.id in runs | {"run"}) or is_run(base) or node.attr == "get_context":
                found.append((node.lineno, f"{ast.unparse(base)}.{node.attr}", CALLS[node.attr]))
    yield from sorted(set(found))


def is_run(node: ast.expr) -> bool:
    asked = node.func if isinstance(node, ast.Call) else None
    return isinstance(asked, ast.Attribute) and asked.attr in ("get_context", "start_logging")


def of_first(name: str) -> bool:
    return name.partition(".")[0] == "azureml" and not name.startswith(STAYS)


def mend_of(name: str) -> str:
    while name not in MENDS:
        name = name.rpartition(".")[0]
    return MENDS[name]


def of_notebook(text: str) -> Iterator[tuple[int, str, str]]:
    """The same of a notebook, of which a line is that of its file."""
    try:
        cells = json.loads(text)["cells"]
        code = "".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    except (ValueError, KeyError, TypeError):
        return
    if "azureml" not in code:
        return
    for number, line in enumerate(text.splitlines(), 1):
        for name, more in re.findall(r"(?:from|import)\s+(azureml[\w.]*)(?:\s+import\s+([\w, ]+))?", line):
            names = [f"{name}.{each.split()[0]}" for each in more.split(",") if each.strip()] or [name]
            yield from ((number, each, mend_of(each)) for each in names if of_first(each))


def of_lines(text: str) -> Iterator[tuple[int, str, str]]:
    """The commands of v1's command line, which `az ml` of today does not know."""
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#"):
            continue
        words = " ".join(line.split())
        command = next((each for each in LINES if re.search(rf"(?<![\w-]){each}(?![\w-])", words)), None)
        if command:
            yield number, command, LINES[command]


def of_packages(text: str) -> Iterator[tuple[int, str, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        for name in re.findall(r"(?<![\w-])azureml-[a-z-]+", line.partition("#")[0]):
            if name in PACKAGES:
                yield number, name, PACKAGES[name]
