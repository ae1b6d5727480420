"""The steps of a pipeline beside a plain script: by the real client, and the driver of parallel runs by itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from callers import Caller, Client
from test_hyperdrive import TRAIN
from test_pipelines import BUILD

import aml_rehearsal
from aml_rehearsal import Rehearsal

ENTRY = """
import os
def init():
    print("ready")
def run(mini_batch):
    return [os.path.basename(file) for file in mini_batch]
"""
TABLE = """
def run(mini_batch):
    return mini_batch.assign(double=2 * mini_batch["x"])
"""
PARTS = """
def run(mini_batch, context):
    rows = len(mini_batch) if isinstance(mini_batch, list) else sum(mini_batch["x"])
    return [f"{''.join(context.partition_key_value.values())}:{rows}"] * len(mini_batch)
"""
MODEL = """
from pathlib import Path
Path("outputs/model.txt").write_text(given["--lr"] + Path(given["--in"], "made.csv").read_text())
"""


def test_each_kind_of_step(rehearsal: Rehearsal, client: Client, client_python: Path) -> None:
    """A command, files and a table in parallel, a search: each reads what the one before it has made."""
    rehearsal.workspace.blobs.write("azureml-blobstore", "for-steps/a.csv", b"x\n1\n2\n3\n")
    answer = client(
        BUILD
        + f"""
from azureml.pipeline.core import StepSequence, TrainingOutput
from azureml.pipeline.steps import (CommandStep, HyperDriveStep, HyperDriveStepRun, MpiStep, ParallelRunConfig,
                                    ParallelRunStep)
from azureml.train.hyperdrive import GridParameterSampling, HyperDriveConfig, PrimaryMetricGoal, choice
os.mkdir("parallel")  # apart from a copy.py, which pandas would take for Python's own
for name, text in {{"parallel/entry.py": {ENTRY!r}, "parallel/table.py": {TABLE!r},
                   "src/train.py": {TRAIN + MODEL!r}}}.items():
    Path(name).write_text(text)
made, listed = PipelineData("made", datastore=store), OutputFileDatasetConfig("listed")
doubled, values = PipelineData("doubled"), PipelineData("values", datastore=store)
model = PipelineData("model", datastore=store, training_output=TrainingOutput("Model", model_file="outputs/model.txt"))
numbers = Dataset.get_by_name(ws, "numbers")
line = ["python copy.py --in", numbers.as_named_input("numbers").as_mount(), "--out", made, "--say", "4 5"]
command = CommandStep(line, name="command", outputs=[made], source_directory="src", compute_target="cpu-cluster",
                      runconfig=run_config)
environment = Environment("parallel")
environment.python.user_managed_dependencies = True
environment.python.interpreter_path = {str(client_python)!r}
def parallel(entry, **options):
    return ParallelRunConfig(environment=environment, entry_script=entry, source_directory="parallel",
                             error_threshold=0, output_action="append_row", compute_target="cpu-cluster", node_count=2,
                             process_count_per_node=1, **options)
files = ParallelRunStep("files", parallel("entry.py", mini_batch_size="1"), [numbers.as_named_input("numbers")], listed)
table = Dataset.Tabular.from_delimited_files((store, "for-steps/*.csv")).as_named_input("table")
rows = parallel("table.py", mini_batch_size="4", append_row_file_name="rows.txt")
tables = ParallelRunStep("tables", rows, [table], doubled)
training = RunConfiguration()
training.target, training.environment = "cpu-cluster", run_config.environment
search = HyperDriveConfig(
    run_config=ScriptRunConfig("src", "train.py", ["--in", made], run_config=training), max_total_runs=2,
    hyperparameter_sampling=GridParameterSampling({{"lr": choice(1, 2)}}), primary_metric_name="acc",
    primary_metric_goal=PrimaryMetricGoal.MAXIMIZE)
tune = HyperDriveStep("tune", search, inputs=[made], outputs=[model], metrics_output=values, allow_reuse=False)
last = step("last", ["--out", "outputs"])
run = experiment.submit(Pipeline(ws, StepSequence([command, [files, tables, tune], last])))
answer["ended"] = run.wait_for_completion(show_output=False)
steps = {{child.name: child for child in run.get_steps()}}
answer["steps"] = {{name: child.get_status() for name, child in steps.items()}}
for name, output in {{"command": "made", "files": "listed", "tables": "doubled", "tune": "model"}}.items():
    answer[name] = content(steps[name], output)
answer["values"] = content(steps["tune"], "values")
answer["best"] = HyperDriveStepRun(steps["tune"]).get_best_run_by_primary_metric().id
answer["order"] = steps["last"].get_details()["startTimeUtc"] > steps["tune"].get_details()["endTimeUtc"]
answer["logs"] = [name for name in steps["files"].get_file_names() if "stdout" in name]
answer["files step"] = steps["files"].id
mpi = MpiStep("mpi", "src", "copy.py", ["1"], ComputeTarget(ws, "cpu-cluster"), 1, 1)
answer["refused"] = refused(lambda: experiment.submit(Pipeline(ws, [mpi])))
"""
    )
    assert answer["ended"] == "Finished"
    assert set(answer["steps"].values()) == {"Finished"}
    assert answer["command"] == ["x\n1\nx\n2\n4 5"]
    assert [sorted(text.split()) for text in answer["files"]] == [["a.csv", "b.csv"]]
    assert [sorted(text.splitlines()) for text in answer["tables"]] == [["1 2", "2 4", "3 6"]]
    assert answer["tune"] == ["2x\n1\nx\n2\n4 5"]
    (values,) = [json.loads(text) for text in answer["values"] if text.startswith("{")]  # the model lies there, too
    assert values == {f"{answer['best'][:-2]}_0": {"acc": [1.0]}, answer["best"]: {"acc": [2.0]}}
    assert answer["order"] is True
    assert {name.rpartition("/")[2] for name in answer["logs"]} == {"process000.stdout.txt", "process001.stdout.txt"}
    assert rehearsal.artifact(answer["files step"], answer["logs"][0]) == b"ready\n"
    assert "mpi: the rehearsal does not play the step MpiStep." in answer["refused"]
    outputs = rehearsal.state()["runs"][answer["files step"]]["outputDatasets"]
    assert [one["outputDetails"]["outputName"] for one in outputs] == ["listed"]


@pytest.mark.full
def test_partition_keys_divide_tables_and_files(rehearsal: Rehearsal, client: Client, client_python: Path) -> None:
    """A mini batch for each value, which the context names."""
    for place in ("a/1", "a/2", "b/1"):
        rehearsal.workspace.blobs.write("azureml-blobstore", f"for-parts/{place}.csv", b"x\n1\n2\n")
    answer = client(
        BUILD
        + f"""
from azureml.pipeline.steps import ParallelRunConfig, ParallelRunStep
os.mkdir("parts")
Path("parts/parts.py").write_text({PARTS!r})
environment = Environment("parts")
environment.python.user_managed_dependencies = True
environment.python.interpreter_path = {str(client_python)!r}
place, parted = [(store, "for-parts/**")], "for-parts/{{part}}/{{file}}.csv"
table = Dataset.Tabular.from_delimited_files(place, partition_format=parted)
files = Dataset.File.from_files(place, partition_format=parted)
steps = {{}}
for name, dataset, keys in ("table", table, ["part"]), ("files", files, ["part", "file"]), ("wrong", table, ["x"]):
    config = ParallelRunConfig(
        environment=environment, entry_script="parts.py", source_directory="parts", error_threshold=0,
        output_action="append_row", compute_target="cpu-cluster", node_count=1, process_count_per_node=1,
        partition_keys=keys)
    made = PipelineData(name, datastore=store)
    steps[name] = ParallelRunStep(name, config, [dataset.as_named_input(f"{{name}}_in")], made, allow_reuse=False)
run = experiment.submit(Pipeline(ws, list(steps.values())), continue_on_step_failure=True)
run.wait_for_completion(show_output=False, raise_on_error=False)
done = {{child.name: child for child in run.get_steps()}}
answer["statuses"] = {{name: child.get_status() for name, child in done.items()}}
answer["rows"] = {{name: content(done[name], name) for name in ("table", "files")}}
answer["wrong"] = done["wrong"].id
""",
        seconds=600,
    )
    assert answer["statuses"] == {"table": "Finished", "files": "Finished", "wrong": "Failed"}
    assert [sorted(text.splitlines()) for text in answer["rows"]["table"]] == [4 * ["a:6"] + 2 * ["b:3"]]
    assert [sorted(text.splitlines()) for text in answer["rows"]["files"]] == [["a1:1", "a2:1", "b1:1"]]
    log = rehearsal.artifact(answer["wrong"], "user_logs/std_log.txt").decode()
    assert "The dataset wrong_in is not partitioned by x: ['part', 'file']" in log


@pytest.mark.parametrize(
    ("module", "named"),
    [
        ({"StepType": "AdlaStep"}, "AdlaStep"),
        ({"StepType": "AutoMLStep"}, "AutoMLStep"),
        ({"StepType": "AzureBatchStep"}, "AzureBatchStep"),
        ({"StepType": "DatabricksStep"}, "DatabricksStep"),
        ({"StepType": "DataTransferStep"}, "DataTransferStep"),
        ({"StepType": "EstimatorStep"}, "EstimatorStep"),
        ({"StepType": "KustoStep"}, "KustoStep"),
        ({"StepType": "RScriptStep"}, "RScriptStep"),
        ({"StepType": "SynapseSparkStep"}, "SynapseSparkStep"),
        ({"StepType": "ModuleStep", "ModuleExecutionType": "adlcloud"}, "ModuleStep of adlcloud"),
    ],
)
def test_a_step_that_is_not_played_is_refused_by_its_name(caller: Caller, module: dict[str, str], named: str) -> None:
    """When it is submitted; nothing of the pipeline has run by then."""
    own = {"Name": "own", "StructuredInterface": {}} | module
    module_id = caller.ask("POST", "/pipelines/v1.0SCOPE/Modules", own)[1]["Id"]
    prepare = "/pipelines/v1.0SCOPE/PipelineRuns/Unsubmitted/CreationInfoWithGraph?experimentName=refused"
    graph = {"Graph": {"ModuleNodes": [{"Id": "node", "ModuleId": module_id}]}}
    run = caller.ask("POST", prepare, graph)[1]["Id"]
    status, said = caller.ask("POST", f"/pipelines/v1.0SCOPE/PipelineRuns/Submit/{run}")
    assert status == 501
    assert said["Error"]["Message"] == f"own: the rehearsal does not play the step {named}."
    assert run not in caller.rehearsal.state()["runs"]


def drive(
    folder: Path, entry: str, *options: str, files: int = 4, **variables: str
) -> tuple[int, str, dict[str, Any], list[str]]:
    """Run the driver on files 0.txt, 1.txt …; return its code, what it says, its result and the rows."""
    (folder / "in").mkdir(parents=True)
    for number in range(files):
        (folder / "in" / f"{number}.txt").write_text(str(number))
    (folder / "entry.py").write_text(entry)
    driver = Path(aml_rehearsal.__file__).with_name("parallel_driver.py")
    command = [
        sys.executable,
        str(driver),
        "--scoring_module_name",
        "entry.py",
        *("--input_fds_0", "x"),
        "--output",
        "out",
    ]
    own = os.environ | {"AZUREML_DATAREFERENCE_x": "in", "AZUREML_NODE_COUNT": "2"} | variables
    done = subprocess.run([*command, *options], cwd=folder, env=own, capture_output=True, text=True, timeout=60)
    rows = folder / "out" / "parallel_run_step.txt"
    result = json.loads((folder / "logs" / "job_result.txt").read_text())
    kept = sorted(rows.read_text().split()) if rows.exists() else []
    return done.returncode, done.stdout + done.stderr, result, kept


def test_workers_share_the_mini_batches(tmp_path: Path) -> None:
    """Two at once: each waits until the other has its first one, too."""
    entry = """
import os, time
def run(mini_batch):
    open(f"here-{os.getpid()}", "w").close()
    while len([name for name in os.listdir() if name.startswith("here-")]) < 2:
        time.sleep(0.01)
    return [f"{len(mini_batch)}:{os.path.basename(file)}" for file in mini_batch]
"""
    code, said, result, rows = drive(tmp_path, entry, "--mini_batch_size", "2")
    assert (code, rows) == (0, ["2:0.txt", "2:1.txt", "2:2.txt", "2:3.txt"]), said
    assert result == {"mini_batches": 2, "failed": 0, "failed_items": 0, "error": ""}


PARTED = """
class Part:
    partition_keys = ["part"]
    def __init__(self, values): self.values = values
    def get_partition_key_values(self, keys): return [{"part": value} for value in self.values]
    def __getitem__(self, key): return self
    def __eq__(self, value): return value
    def filter(self, value): return Part([value])
    def download(self, place): return [f"{place}/{value}.txt" for value in self.values]
class Run:
    @staticmethod
    def get_context(): return type("Context", (), {"input_datasets": {"x": Part("ab")}})
"""
BY_PART = """
def run(mini_batch, context):
    return [context.partition_key_value["part"] + file[-5:] for file in mini_batch]
"""


def test_a_mini_batch_for_each_value_of_the_keys(tmp_path: Path) -> None:
    """Of what azureml says of a dataset; the real one is asked in the full run."""
    (tmp_path / "azureml").mkdir()
    (tmp_path / "azureml" / "__init__.py").touch()
    (tmp_path / "azureml" / "core.py").write_text(PARTED)
    keys = ("--partition_keys", '["part"]')
    code, said, result, rows = drive(tmp_path, BY_PART, *keys, files=0, PYTHONPATH=str(tmp_path))
    assert (code, rows, result["mini_batches"]) == (0, ["aa.txt", "bb.txt"], 2), said


ONCE = """
import os, sys, time
def run(mini_batch, context):
    name = os.path.basename(mini_batch[0])
    mark = f"tried-{name}"
    if not os.path.exists(mark):
        open(mark, "w").close()
        WHAT
    return [name + context.minibatch_index]
"""


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("raise ValueError(name)", "ValueError: 0.txt"),
        ("time.sleep(60)", "longer than the run_invocation_timeout of 2 seconds"),
        ("os._exit(7)", "the worker ended with exit code 7"),
        ("return 1", "TypeError: run() returns a list, an array or a data frame, not a int"),
    ],
)
def test_a_mini_batch_is_tried_again(tmp_path: Path, what: str, said: str) -> None:
    entry, limit = ONCE.replace("WHAT", what), ("--run_invocation_timeout", "2")
    code, told, result, rows = drive(tmp_path, entry, *limit, "--error_threshold", "0", files=1)
    assert (code, rows, result["failed"]) == (0, ["0.txt0"], 0)
    assert said in told


FAILS = """
def run(mini_batch):
    number = int(open(mini_batch[0]).read())
    if number in RAISES:
        raise ValueError("no luck")
    return [] if number == 1 else [number]
"""


@pytest.mark.parametrize(
    ("raises", "options", "reason"),
    [
        ({0}, ("--error_threshold", "1"), "2 items failed, more than the error_threshold of 1"),
        ({0}, ("--error_threshold", "2"), ""),
        ({0}, ("--allowed_failed_count", "0"), "1 mini batches failed, more than the allowed_failed_count of 0"),
        ({0, 1}, ("--allowed_failed_percent", "30"), "50 % of the mini batches failed, more than 30 %"),
        ({0, 1}, (), ""),
    ],
)
def test_how_much_may_fail(tmp_path: Path, raises: set[int], options: tuple[str, ...], reason: str) -> None:
    """A mini batch fails that raises; an item fails for which there is no row."""
    code, said, result, rows = drive(tmp_path, FAILS.replace("RAISES", str(raises)), "--run_max_try", "1", *options)
    assert result["error"] == reason
    assert (code, rows) == ((1, []) if reason else (0, ["2", "3"])), said
    assert "no luck" in "".join(file.read_text() for file in (tmp_path / "logs/user/error").rglob("*.txt"))


def test_a_summary_has_no_rows_and_init_must_succeed(tmp_path: Path) -> None:
    code, _, result, rows = drive(tmp_path / "one", ENTRY, "--output_action", "summary_only")
    assert (code, rows, result["mini_batches"]) == (0, [], 4)
    code, said, _, _ = drive(tmp_path / "two", "def init():\n    raise OSError('no model')\ndef run(x): ...")
    assert code == 1
    assert "init() failed: OSError: no model" in said
