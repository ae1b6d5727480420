"""Repos of the first generation, as teams have written them: by hand, by its command line, by its SDK."""

from pathlib import Path

CONDA = "dependencies: [python=3.10, {pip: [pandas, azureml-defaults]}]\n"
RUNCONFIG = """
script: fit.py
arguments: [--data, /rows, --table, /rows/part/a.csv, --name, two words]
target: cpu-cluster
framework: Python
communicator: OpenMpi
nodeCount: 2
maxRunDurationSeconds: 600
mpi: {processCountPerNode: 4}
environment:
  environmentVariables: {STAGE: test}
  python: {userManagedDependencies: false, condaDependenciesFile: aml_config/conda.yml}
  docker: {enabled: true, baseImage: "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04", shmSize: 8g}
data:
  rows:
    dataLocation: {dataset: {name: sales-rows, version: 3}}
    mechanism: download
    pathOnCompute: /rows
"""
CODE = """
import os
from azureml.core import Dataset, Run
import azureml.mlflow

run = Run.get_context()
run.log("rmse", 1.0)
"""
PIPELINE = """
pipeline:
  description: Every night
  default_compute: cpu-cluster
  parameters: {Rate: {type: float, default: 0.1}}
  data_references: {raw: {datastore: store, path_on_datastore: raw/2020}}
  steps:
    PrepareRows:
      type: PythonScriptStep
      name: prepare
      script_name: fit.py
      source_directory: ../forecast
      runconfig: step.runconfig
      allow_reuse: false
      arguments: [--in, "input:raw", --out, "output:rows", --rate, "parameter:Rate"]
      parameters: {Rate: {source: Rate}}
      inputs: {raw: {source: raw}}
      outputs: {rows: {destination: clean_rows, datastore: store, bind_mode: mount}}
    Score:
      type: ParallelRunStep
      parallel_run_config: score.yml
      inputs: {rows: {source: clean_rows}}
      outputs: {scores: {destination: scores}}
    Query:
      type: AdlaStep
      script_name: a.usql
"""
PARALLEL = """
parallel_run_config:
  entry_script: fit.py
  source_directory: ../forecast
  mini_batch_size: 10
  error_threshold: 2
  output_action: append_row
  append_row_file_name: scores.txt
  node_count: 3
  process_count_per_node: 2
  run_invocation_timeout: 90
  run_max_try: 4
  environment_name: scoring
"""
SEARCH = """
sampling:
  type: RANDOM
  parameter_space:
  - {name: --learning-rate, expression: loguniform, values: [-6, -1]}
  - {name: --depth, expression: choice, values: [3, 5]}
policy: {type: MedianStoppingPolicy, evaluation_interval: 2, delay_evaluation: 5}
primary_metric_name: rmse
primary_metric_goal: MINIMIZE
max_total_runs: 20
max_concurrent_runs: 4
max_duration_minutes: 30
"""
DATASET = """{"datasetType": "File", "schemaVersion": 1,
 "parameters": {"path": [{"datastoreName": "store", "relativePath": "sales/**"}]},
 "registration": {"name": "sales-rows", "description": "Sales", "tags": {"team": "a"}}}"""
ACI = "computeType: ACI\ncontainerResourceRequirements: {cpu: 1, memoryInGB: 2}\nauthEnabled: false\n"
AKS = """
computeType: aks
autoScaler: {autoscaleEnabled: true, minReplicas: 2, maxReplicas: 5}
containerResourceRequirements: {cpu: 3, memoryInGB: 8}
tokenAuthEnabled: true
scoringTimeoutMs: 30000
appInsightsEnabled: true
dataCollection: {storageEnabled: true}
livenessProbeRequirements: {periodSeconds: 20, failureThreshold: 5}
"""
# In the shapes of a folder for each model, of a folder for each kind of file, and of what an SDK has saved.
TEMPLATE = {
    "forecast/aml_config/fit.runconfig": RUNCONFIG,
    "forecast/aml_config/here.runconfig": RUNCONFIG.replace("cpu-cluster", "local"),
    "forecast/aml_config/conda.yml": CONDA,
    "forecast/fit.py": CODE,
    "forecast/hyperdrive.yml": SEARCH,
    "forecast/dataset.json": DATASET,
    "nightly/pipeline.yml": PIPELINE,
    "nightly/step.runconfig": RUNCONFIG.replace("aml_config/", "../forecast/aml_config/"),
    "nightly/score.yml": PARALLEL,
    "ci.yml": "steps:\n- script: |\n    az ml folder attach -w a\n    az ml run submit-script -c fit -t run.json\n",
}
SERVICE = {
    "churn/config/inference-config.yml": "entryScript: score.py\nruntime: python\ncondaFile: conda.yml\n",
    "churn/config/conda.yml": CONDA,
    "churn/config/deployment-config-aci-qa.yml": ACI,
    "churn/config/deployment-config-aks-prod.yml": AKS,
    "churn/score.py": "from azureml.core.model import Model\n",
    ".azureml/config.json": '{"subscription_id": "a", "resource_group": "b", "workspace_name": "c"}',
}
SAVED = {
    "train.R": "",
    ".azureml/big.runconfig": """
script: train.R
arguments: [--from, $AZUREML_DATAREFERENCE_lake, --to, $AZUREML_DATAREFERENCE_out]
target: amlcompute
framework: R
communicator: None
node_count: 1
environment:
  name: r
  python: {userManagedDependencies: true}
  docker: {enabled: true, baseImage: null, baseDockerfile: "FROM r-base:4\\nRUN true\\n"}
amlcompute: {vmSize: STANDARD_D2_V2, vmPriority: lowpriority, clusterMaxNodeCount: 3}
data_references:
  lake: {dataStoreName: lake, pathOnDataStore: /in, mode: mount}
  out: {dataStoreName: lake, pathOnDataStore: /out, mode: mount}
""",
}
# What docs/migrate.md shows.
SHOWN = {
    name: TEMPLATE[name] for name in TEMPLATE if name.startswith("forecast/") and name != "forecast/hyperdrive.yml"
}
SHOWN["forecast/aml_config/fit.runconfig"] = RUNCONFIG.replace("azureml/openmpi4.1.0-ubuntu22.04", "azureml/base:0.2.4")
REPOS = {"template": TEMPLATE, "service": SERVICE, "saved": SAVED}


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder
