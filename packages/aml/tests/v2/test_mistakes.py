"""Mistakes that people make in the second generation's files, one at a time, and what must be said of each.

They are those of a list of 88 that was tried with the client: its loader found 58 of them, and what it submits to 8 more.
"""

# ruff: noqa: E501 (a case is a line)

import shutil
from pathlib import Path

import pytest

from aml_project.checks import v2_rules
from aml_project.v2 import files

VALID = Path(__file__).with_name("valid")
# The file, what is replaced in it, by what, and how the finding begins.
MISTAKES: list[tuple[str, str, str, str]] = [
    # Keys, in jobs
    ("command.yml", "  instance_count: 2", "  instance_cnt: 2", "resources.instance_cnt: there is no such key: write instance_count"),
    ("command.yml", "experiment_name:", "experiment:", "experiment: there is no such key: write experiment_name"),
    ("command.yml", "environment_variables:", "env_variables:", "env_variables: there is no such key: write environment_variables"),
    ("command.yml", "  timeout: 3600", "  time_out: 3600", "limits.time_out: there is no such key: write timeout"),
    ("command.yml", "    mode: ro_mount", "    mod: ro_mount", "inputs.data.mod: there is no such key: write mode"),
    ("command.yml", "  process_count_per_instance: 1", "  processes: 1", "distribution.processes: there is no such key: "),
    ("command.yml", "display_name: train", "displayname: train", "displayname: there is no such key: write display_name"),
    # and what is missing or of another type there
    ("command.yml", "environment: azureml:train@latest\n", "", "environment: missing: write environment: azureml:NAME@latest"),
    ("command.yml", "command: >-", "commands: >-", "commands: there is no such key: write command"),
    ("command.yml", "  timeout: 3600", "  timeout: 1h", "limits.timeout: is '1h': write a whole number"),
    ("command.yml", "  instance_count: 2", "  instance_count: two", "resources.instance_count: is 'two': write a whole number"),
    ("command.yml", "  instance_count: 2", "  instance_count: 0", "resources.instance_count: is 0: write 1 or more"),
    ("command.yml", "  type: mpi", "  type: mpii", "distribution.type: is 'mpii': write "),
    ("command.yml", "  type: mpi\n", "  type: pytorch\n  worker_count: 2\n", "distribution.worker_count: there is no such key"),
    ("command.yml", "    mode: ro_mount", "    mode: readonly", "inputs.data.mode: is 'readonly': write "),
    ("command.yml", "    mode: rw_mount", "    mode: ro_mount", "outputs.model.mode: is 'ro_mount': write "),
    ("command.yml", "    type: uri_folder\n    path", "    type: folder\n    path", "inputs.data.type: is 'folder': write "),
    ("command.yml", "  team: risk", "  team: 7", "tags.team: is 7: write text, '7' in quotes"),
    ("command.yml", "description: Trains on rows.", "description:", "description: is empty: write text"),
    ("command.yml", "type: command", "type: comand", "type: is 'comand': write command"),
    ("command.yml", "commandJob.schema", "comandJob.schema", "$schema: no kind of file is called comandJob: write https://azuremlschemas.azureedge.net/latest/commandJob.schema.json"),
    ("command.yml", "  rate: 0.1", "  rate: [0.1, 0.2]", "inputs.rate: is a list: write "),
    ("command.yml", "  shm_size: 2g", "  shm_size: 2gb", "resources.shm_size: is '2gb': write a number and one of b, k, m, g"),
    ("command.yml", "environment: azureml:train@latest", "environment: train@latest", "environment: is 'train@latest': write "),
    ("command.yml", "environment: azureml:train@latest", "environment: azureml:train", "environment: is azureml:train, without a version: write azureml:train@latest"),
    ("command.yml", "    path: azureml:rows:1", "    path: azureml:rows", "inputs.data.path: is azureml:rows, without a version"),
    # Braces
    ("command.yml", "${{inputs.data}}", "${{inputs.dat}}", "command: ${{inputs.dat}}: no such input: write ${{inputs.data}}"),
    ("command.yml", "${{outputs.model}}", "${{outputs.modle}}", "command: ${{outputs.modle}}: no such output: write ${{outputs.model}}"),
    ("command.yml", "${{inputs.rate}}", "${{search_space.rate}}", "command: ${{search_space.rate}}: "),
    ("command.yml", "${{inputs.data}}", "${{input.data}}", "command: ${{input.data}}: names nothing: write ${{inputs.data}}"),
    ("command.yml", "${{inputs.data}}", "${inputs.data}", "command: inputs.data: is no name with these braces: write ${{inputs.data}}"),
    ("command.yml", "${{inputs.data}}", "{{inputs.data}}", "command: inputs.data: is no name with these braces: write ${{inputs.data}}"),
    # Paths
    ("command.yml", "code: ../src", "code: ../scr", "code: ../scr: no such folder"),
    ("command.yml", "code: ../src", "code: ../src/train.py", "code: ../src/train.py: is a file: name the folder"),
    ("serverless.yml", "    path: ../data", "    path: ../date", "inputs.rows.path: ../date: no such file or folder"),
    ("serverless.yml", "    path: ../data", "    path: ../data/rows.csv", "inputs.rows.path: ../data/rows.csv: is a file, and type says uri_folder"),
    ("serverless.yml", "  conda_file: train-conda.yml", "  conda_file: conda.yml", "environment.conda_file: conda.yml: no such file"),
    # YAML
    ("command.yml", "  rate: 0.1", "  no: 0.1", "no is false in YAML: write 'no' in quotes"),
    ("command.yml", "  team: risk", "  team: yes", "yes is true in YAML: write 'yes' in quotes"),
    ("command.yml", "  rate: 0.1", "  rate: 010", "010 is the number 8 in YAML"),
    ("command.yml", "  rate: 0.1", "  rate: 0.1\n  rate: 0.2", "rate: stands here twice"),
    ("command.yml", "limits:", "limits: {", ""),
    # Sweeps
    ("sweep.yml", "${{search_space.rate}}", "${{search_space.rat}}", "trial.command: ${{search_space.rat}}: no such search_space: write ${{search_space.rate}}"),
    ("sweep.yml", " --rate ${{search_space.rate}}", "", "search_space.rate: trial.command does not take it"),
    ("sweep.yml", "${{inputs.data}}", "${{inputs.rows}}", "trial.command: ${{inputs.rows}}: no such input"),
    ("sweep.yml", "    min_value: -9.2", "    min_value: -1.2", "search_space.rate.min_value: is -1.2, and max_value -2.3"),
    ("sweep.yml", "    type: loguniform", "    type: logunform", "search_space.rate.type: is 'logunform': write "),
    ("sweep.yml", "    max_value: -2.3\n", "", "search_space.rate.max_value: missing"),
    ("sweep.yml", "    values: [1, 2, 3]\n", "", "search_space.layers.values: is empty or missing: write values: [a, b]"),
    ("sweep.yml", "    values: [1, 2, 3]", "    values: []", "search_space.layers.values: is empty or missing"),
    ("sweep.yml", "    values: [1, 2, 3]", "    values: 3", "search_space.layers.values: is 3: write a list"),
    ("sweep.yml", "    upper: 64", "    upper: 0", "search_space.units.upper: is 0: write 1 or more"),
    ("sweep.yml", "sampling_algorithm: random", "sampling_algorithm: bayesian", "search_space.rate.type: is loguniform, and bayesian draws from choice, uniform, quniform alone"),
    ("sweep.yml", "sampling_algorithm: random", "sampling_algorithm: grid", "search_space.rate.type: is loguniform, and grid draws from choice alone"),
    ("sweep-bayesian.yml", "    type: uniform", "    type: normal", "search_space.c.min_value: there is no such key"),
    ("sweep.yml", "sampling_algorithm: random", "sampling_algorithm: randm", "sampling_algorithm: is 'randm': write "),
    ("sweep.yml", "  goal: minimize", "  goal: minimise", "objective.goal: is 'minimise': write maximize, minimize (did you mean minimize?)"),
    ("sweep.yml", "  primary_metric: loss\n", "", "objective.primary_metric: missing"),
    ("sweep.yml", "  max_concurrent_trials: 4", "  max_concurrent_trials: 40", "limits.max_concurrent_trials: is 40, and max_total_trials 20"),
    ("sweep.yml", "  type: bandit", "  type: bandid", "early_termination.type: is 'bandid': write "),
    ("sweep.yml", "  slack_factor: 0.1\n", "", "early_termination: bandit without a slack"),
    ("sweep.yml", "objective:\n  goal: minimize\n  primary_metric: loss\n", "", "objective: missing"),
    # Pipelines and components
    ("pipeline.yml", "${{parent.jobs.prepare.outputs.prepared}}\n      rate", "${{parent.jobs.prepar.outputs.prepared}}\n      rate", "jobs.train.inputs.rows: ${{parent.jobs.prepar.outputs.prepared}}: no such step: write ${{parent.jobs.prepare.outputs.prepared}}"),
    ("pipeline.yml", "${{parent.jobs.prepare.outputs.prepared}}\n      rate", "${{parent.jobs.prepare.outputs.rows}}\n      rate", "jobs.train.inputs.rows: ${{parent.jobs.prepare.outputs.rows}}: prepare has no such output"),
    ("pipeline.yml", "${{parent.inputs.rate}}", "${{parent.inputs.rat}}", "jobs.train.inputs.rate: ${{parent.inputs.rat}}: the pipeline has no such input: write ${{parent.inputs.rate}}"),
    ("pipeline.yml", "${{parent.outputs.model}}", "${{parent.outputs.modell}}", "jobs.train.outputs.model: ${{parent.outputs.modell}}: the pipeline has no such output"),
    ("pipeline.yml", "rows: ${{parent.inputs.rows}}\n      share", "rows: ${{inputs.rows}}\n      share", "jobs.prepare.inputs.rows: ${{inputs.rows}}: names nothing"),
    ("pipeline.yml", "      share: 0.3", "      share: 1.3", "jobs.prepare.inputs.share: is 1.3, and the most is 1"),
    ("pipeline.yml", "      share: 0.3", "      shar: 0.3", "jobs.prepare.inputs.shar: the component has no such input: write share"),
    ("pipeline.yml", "      rows: ${{parent.inputs.rows}}\n      share: 0.3", "      share: 0.3", "jobs.prepare.inputs.rows: missing, and the component wants it"),
    ("pipeline.yml", "./components/prepare.yml", "./components/prepar.yml", "jobs.prepare.component: ./components/prepar.yml: no such file"),
    ("pipeline.yml", "    type: parallel", "    type: paralel", "jobs.score.type: is 'paralel': write "),
    ("pipeline.yml", "  default_compute: azureml:cpu-cluster\n", "", "jobs.prepare.compute: missing, and settings.default_compute too"),
    ("pipeline.yml", "  default_compute:", "  defaut_compute:", "settings.defaut_compute: there is no such key: write default_compute"),
    ("components/prepare.yml", "${{inputs.share}}", "${{inputs.shar}}", "command: ${{inputs.shar}}: no such input: write ${{inputs.share}}"),
    ("components/prepare.yml", "display_name:", "displayname:", "displayname: there is no such key: write display_name"),
    ("components/prepare.yml", "    max: 1\n", "    max: -1\n", "inputs.share.min: is 0, and max -1"),
    ("components/prepare.yml", "code: ../../src", "code: ../src", "code: ../src: no such folder"),
    ("components/score.yml", "entry_script: score.py", "entry_script: scores.py", "task.entry_script: scores.py: no such file in ../../src"),
    # Environments
    ("environment-conda.yml", "conda_file: ./train-conda.yml", "conda_file: ./conda.yml", "conda_file: ./conda.yml: no such file"),
    ("environment-conda.yml", "name: train", "name: my train", "name: is 'my train': write 1 to 255"),
    ("environment-conda.yml", "name: train\n", "", "name: missing"),
    ("environment-conda.yml", "conda_file:", "condafile:", "condafile: there is no such key: write conda_file"),
    ("environment-conda.yml", "conda_file: ./train-conda.yml", "dependencies: [python=3.11]", "dependencies: there is no such key"),
    ("environment-docker.yml", "dockerfile_path: Dockerfile", "dockerfile_path: Dockerfile.gpu", "build.dockerfile_path: Dockerfile.gpu: no such file in ../context"),
    ("environment-docker.yml", "path: ../context", "path: ../contxt", "build.path: ../contxt: no such folder"),
    # Data, models, datastores
    ("data-folder.yml", "path: ../data/", "path: ../dat/", "path: ../dat/: no such file or folder"),
    ("data-folder.yml", "path: ../data/", "path: ../data/rows.csv", "path: ../data/rows.csv: is a file, and type says uri_folder"),
    ("data-file.yml", "path: ../data/rows.csv", "path: ../data", "path: ../data: is a folder, and type says uri_file"),
    ("data-table.yml", "path: ../table", "path: ../data", "path: ../data: no file MLTable in it"),
    ("data-folder.yml", "type: uri_folder", "type: uri_foldr", "type: is 'uri_foldr': write "),
    ("model.yml", "path: ../outputs/model", "path: ../model", "path: ../model: no such file or folder"),
    ("model.yml", "type: custom_model", "type: custom", "type: is 'custom': write "),
    ("datastore-blob.yml", "name: blob_example", "name: blob-example", "name: is 'blob-example': write a-z, 0-9 and '_'"),
    ("datastore-blob.yml", "container_name: data-container\n", "", "container_name: missing"),
    # Computes
    ("compute.yml", "min_instances: 0", "min_instances: 9", "min_instances: is 9, and max_instances 4"),
    ("compute.yml", "max_instances: 4", "max_instances: -4", "max_instances: is -4: write 0 or more"),
    ("compute.yml", "size: STANDARD_DS3_v2\n", "", "size: missing"),
    ("compute.yml", "name: low-pri-example", "name: c", "name: is 'c': write 2 to 24"),
    ("compute.yml", "  ssh_key_value: ssh-rsa AAAAB3NzaC1yc2EAAAADAQAB\n", "", "ssh_settings.ssh_key_value: SSH without a key"),
    ("compute.yml", "idle_time_before_scale_down: 120", "idle_time_before_scale_down: PT2M", "idle_time_before_scale_down: is 'PT2M': write a whole number"),
    ("compute.yml", "tier: low_priority", "tier: lowprio", "tier: is 'lowprio': write dedicated, low_priority"),
    ("compute.yml", "min_instances:", "min_nodes:", "min_nodes: there is no such key: "),
    # Endpoints and deployments
    ("endpoint.yml", "name: my-endpoint", "name: my_endpoint", "name: is 'my_endpoint': write 3 to 32"),
    ("endpoint.yml", "name: my-endpoint", "name: me", "name: is 'me': write 3 to 32"),
    ("endpoint.yml", "  green: 10", "  green: 20", "traffic: is 110 in all"),
    ("endpoint.yml", "auth_mode: aml_token", "auth_mode: none", "auth_mode: is 'none': write "),
    ("deployment.yml", "  scoring_script: score.py", "  scoring_script: scores.py", "code_configuration.scoring_script: scores.py: no such file in ../src"),
    ("deployment.yml", "  scoring_script: score.py", "  script: score.py", "code_configuration.script: there is no such key: "),
    ("deployment.yml", "  path: ../data/", "  path: ../model/", "model.path: ../model/: no such file or folder"),
    ("deployment.yml", "instance_type: Standard_DS3_v2\n", "", "instance_type: missing"),
    ("deployment.yml", "instance_count: 1", "instance_count: 0", "instance_count: is 0: write 1 or more"),
    ("deployment.yml", "  initial_delay: 10", "  initial_delays: 10", "liveness_probe.initial_delays: there is no such key: write initial_delay"),
    ("deployment.yml", "endpoint_name: my-endpoint\n", "", "endpoint_name: missing"),
    ("batch-deployment.yml", "  output_action: append_row", "  output_action: append", "settings.output_action: is 'append': write "),
    ("batch-deployment.yml", "  mini_batch_size: 10", "  mini_batch_size: 0", "settings.mini_batch_size: is 0: write 1 or more"),
    ("batch-deployment.yml", "  error_threshold: -1", "  error_treshold: -1", "settings.error_treshold: there is no such key: write error_threshold"),
    ("schedule-cron.yml", '"0 6 * * 1-5"', '"0 6 * *"', "trigger.expression: is '0 6 * *': write five parts"),
    ("schedule-cron.yml", "create_job: ./pipeline.yml", "create_job: ./pipelin.yml", "create_job: ./pipelin.yml: no such file"),
    ("schedule-cron.yml", '"2026-07-10T10:15:00"', "2026-07-10T10:15:00", "2026-07-10T10:15:00 is a date in YAML"),
    ("schedule-recurrence.yml", "  frequency: day", "  frequency: daily", "trigger.frequency: is 'daily': write "),
]  # fmt: skip


def test_what_is_right_is_left_alone() -> None:
    paths = files.there(VALID)
    assert len(paths) > 30
    assert list(v2_rules.findings(VALID)) == []


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(VALID, tmp_path_factory.mktemp("mistakes") / "model1"))


@pytest.mark.parametrize(("name", "old", "new", "said"), MISTAKES, ids=range(len(MISTAKES)))
def test_a_mistake_is_told_with_its_line_and_the_mend(folder: Path, name: str, old: str, new: str, said: str) -> None:
    path = folder / "azure_ml" / name
    right = path.read_text()
    assert right.count(old) >= 1
    try:
        path.write_text(right.replace(old, new, 1))
        found = v2_rules.examine(files.read(path))
    finally:
        path.write_text(right)
    assert any(text.startswith(said) for _, text in found), found
    changed = right[: right.index(old)].count("\n") + 1
    assert any(abs(line - changed) <= 12 or line == 1 for line, text in found if text.startswith(said)), found
    for line, text in found:
        assert 1 <= line <= len(right.splitlines()) + 1 and ": " in text
