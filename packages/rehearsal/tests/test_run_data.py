"""What a run reads without a name, and what it writes to datastores, by the real client."""

from __future__ import annotations

import json
from typing import Any

from azure.storage.blob import ContainerClient
from callers import Caller, Client
from test_datasets import container, key, registered, sas

from aml_rehearsal import Rehearsal
from aml_rehearsal.azurite import DATA

__all__ = ["container"]

RUN = """
configuration = RunConfiguration(); configuration.target = "cpu-cluster"
configuration.environment.python.user_managed_dependencies = True
configuration.environment.python.interpreter_path = os.environ["PYTHON"]
Path("source").mkdir()
def ran(script, *arguments, python=None, **options):
    Path("source/train.py").write_text(script)
    if python:
        configuration.environment.python.interpreter_path = python
    wish = ScriptRunConfig("source", None if options else "train.py", list(arguments) or None,
                           run_config=configuration, **options)
    run = Experiment(ws, "run-data").submit(wish)
    run.wait_for_completion(raise_on_error=False)
    return run
"""


def test_datasets_without_a_name(rehearsal: Rehearsal, client: Client) -> None:
    """Files are mounted and downloaded, a table is loaded in the run; each is found again by its id."""
    answer = client(f"""{RUN}
store = ws.get_default_datastore()
Path("a.csv").write_text("n,t\\n1,x\\n2,y\\n")
store.upload_files(["a.csv"], target_path="nameless", show_progress=False)
files = Dataset.File.from_files((store, "nameless"))
table = Dataset.Tabular.from_delimited_files((store, "nameless/a.csv"))
run = ran('''
import json, os, sys
from azureml.core import Run
run = Run.get_context()
table = run.input_datasets["table"].to_pandas_dataframe()
seen = [[os.listdir(place) for place in sys.argv[1:3]], table.to_dict("list")]
open("outputs/seen.json", "w").write(json.dumps(seen))
''', files.as_mount(), files.as_named_input("down").as_download("/tmp/down"), table.as_named_input("table"),
          python=sys.executable)
answer["id"] = run.id
mounted, down, read = [entry["dataset"] for entry in run.get_details()["inputDatasets"]]
answer["found"] = Dataset.get_by_id(ws, down.id).to_path(), read.take(1).to_pandas_dataframe().n.tolist()
answer["same"] = mounted.id == down.id != read.id
read.register(ws, "table")
answer["registered"] = Dataset.get_by_name(ws, "table").to_pandas_dataframe().t.tolist()
try:
    read.register(ws, "table-again")
except Exception as error:
    answer["again"] = str(error)
parts = table.partition_by(["t"], target=(store, "parts"), name="parts", show_progress=False)
answer["parts"] = parts.partition_keys, Dataset.get_by_name(ws, "parts").to_pandas_dataframe().n.tolist()
try:
    Dataset.get_by_id(ws, "12345678-1234-1234-1234-123456789abc")
except Exception as error:
    answer["missing"] = str(error)
""")
    run = rehearsal.state()["runs"][answer["id"]]
    assert run["status"] == "Completed", run["error"]
    seen = json.loads(rehearsal.artifact(answer["id"], "outputs/seen.json"))
    assert seen == [[["a.csv"], ["a.csv"]], {"n": [1, 2], "t": ["x", "y"]}]
    assert answer["found"] == [["/a.csv"], [1]]
    assert answer["same"]
    assert answer["registered"] == ["x", "y"]
    assert "has been registered as table:1" in answer["again"]
    assert answer["parts"] == [["t"], [1, 2]]
    assert "Cannot find dataset with id" in answer["missing"]


def test_outputs_go_to_datastores_and_commands_to_a_shell(rehearsal: Rehearsal, client: Client) -> None:
    answer = client(f"""{RUN}
from azureml.data import OutputFileDatasetConfig
store = ws.get_default_datastore()
outputs = [
    OutputFileDatasetConfig("plain"),
    OutputFileDatasetConfig("sent", destination=(store, "sent/{{run-id}}/{{output-name}}"), source="rel/sent")
        .as_upload(overwrite=True, source_globs="**/*.csv")
        .register_on_complete("sent", "of a run", {{"kind": "test"}}),
    OutputFileDatasetConfig("table", source="/tmp/table").register_on_complete("table-of-a-run").read_delimited_files(),
]
run = ran('''
import os, sys, time
from pathlib import Path
assert [os.environ[name] for name in os.environ["AZUREML_DATASET_FILE_OUTPUTS"].split(";")] == sys.argv[1:]
for place in sys.argv[1:]:
    Path(place, "deep er").mkdir(parents=True)
    Path(place, "deep er", "a.csv").write_text("n,t" + chr(10) + "1,x" + chr(10))
Path(sys.argv[2], "left.txt").touch()
''', *outputs)
answer["id"] = run.id
made = run.get_details()["outputDatasets"]
answer["kept"] = [[one["outputDetails"]["outputName"], one["dataset"].name] for one in made]
sent = Dataset.get_by_name(ws, "sent")
answer["sent"] = sent.to_path(), sent.description, sent.tags, Path(sent.download("down")[0]).read_text()
answer["table"] = Dataset.get_by_name(ws, "table-of-a-run").to_pandas_dataframe().to_dict("list")
files = Dataset.File.from_files((store, f"dataset/{{run.id}}/plain"))
configuration.environment.environment_variables = {{"LR": "0.3"}}
command = ["python train.py --lr $LR;", "python", "-c", "'print(1)'", "&&",
           "find", files.as_named_input("it").as_mount(), "-name 'a.*' | wc -l"]
answer["command"] = ran("import sys; print(sys.argv)", command=command).id
answer["fails"] = ran("raise SystemExit(7)", command="echo so far && python train.py").id
""")
    run = rehearsal.state()["runs"][answer["id"]]
    assert run["status"] == "Completed", run["error"]
    blobs = rehearsal.workspace.blobs
    assert blobs.read(DATA, f"dataset/{answer['id']}/plain/deep er/a.csv") == b"n,t\n1,x\n"
    assert blobs.names(DATA, f"sent/{answer['id']}/") == [f"sent/{answer['id']}/sent/deep er/a.csv"]
    assert answer["kept"] == [["plain", None], ["sent", "sent"], ["table", "table-of-a-run"]]
    assert answer["sent"] == [["/deep er/a.csv"], "of a run", {"kind": "test"}, "n,t\n1,x\n"]
    assert answer["table"] == {"n": [1], "t": ["x"]}
    log = rehearsal.artifact(answer["command"], "user_logs/std_log.txt").decode()
    assert log == "['train.py', '--lr', '0.3']\n1\n1\n"
    said = rehearsal.state()["runs"][answer["fails"]]["error"]["error"]["message"]
    assert said == "The command ended with exit code 7: so far"


def output(store: str, mechanism: str = "mount", **upload: Any) -> dict[str, Any]:
    """One output, as the client sends it."""
    place = {"dataPath": {"datastoreName": store, "relativePath": "out"}}
    options = {"pathOnCompute": None, "uploadOptions": upload or None, "registrationOptions": {"name": "of-a-failure"}}
    return {
        "outputData": {"out": {"outputLocation": place, "mechanism": mechanism, "additionalOptions": options}},
        "arguments": ["DatasetOutputConfig:out"],
    }


WRITES = "import sys\nfrom pathlib import Path\nPath(sys.argv[1], 'a.txt').write_text('new')\n"


def test_what_is_mounted_is_written_back_while_the_run_goes_on(
    rehearsal: Rehearsal, caller: Caller, container: ContainerClient
) -> None:
    """What it removes goes too; what is left is there after the run was canceled, and no dataset."""
    store = registered(caller, container, "AccountKey", key(rehearsal))
    script = f"{WRITES}import os, time\nlater = Path(sys.argv[1], 'later')\nlater.touch()\nwait = Path(sys.argv[2])\n"
    script += (
        "while not wait.exists(): time.sleep(0.1)\nlater.unlink(); Path(sys.argv[1], 'last').touch(); time.sleep(300)"
    )
    go_on = rehearsal.workspace.folder / "go-on"
    wish = output(store)
    wish["arguments"].append(str(go_on))
    run_id = caller.submit({"train.py": script.encode()}, **wish)[1]["runId"]
    caller.until(lambda: set(container.list_blob_names()) == {"out/a.txt", "out/later"})
    go_on.touch()
    caller.until(lambda: set(container.list_blob_names()) == {"out/a.txt", "out/last"})
    assert caller.ask("POST", f"/execution/v1.0SCOPE/experiments/tests/runId/{run_id}/cancel", {})[0] == 200
    assert caller.wait(run_id)["status"] == "Canceled"
    assert container.download_blob("out/a.txt").readall() == b"new"
    assert "of-a-failure" not in rehearsal.state()["datasets"]


def test_what_is_uploaded_is_there_only_if_the_run_completes(
    rehearsal: Rehearsal, caller: Caller, container: ContainerClient
) -> None:
    store = registered(caller, container, "AccountKey", key(rehearsal))
    assert caller.run(f"{WRITES}raise SystemExit(1)", **output(store, "upload"))["status"] == "Failed"
    assert not list(container.list_blob_names())
    container.upload_blob("out/a.txt", b"old")
    run = caller.run(WRITES, **output(store, "upload", overwrite=False))
    assert run["status"] == "Failed"
    message = f"outputData: out: datastore {store}: out/a.txt exists, and overwrite is false"
    assert run["error"]["error"]["message"] == message
    assert "of-a-failure" not in rehearsal.state()["datasets"]
    run = caller.run(WRITES, **output(store, "upload", overwrite=True))
    assert (run["status"], container.download_blob("out/a.txt").readall()) == ("Completed", b"new")
    assert [version["latest"]["versionId"] for version in rehearsal.state()["datasets"]["of-a-failure"]] == ["1"]


def test_a_datastore_that_can_not_be_written_is_named(
    rehearsal: Rehearsal, caller: Caller, container: ContainerClient
) -> None:
    reads = registered(caller, container, "Sas", sas(rehearsal, container, "rl"))
    for store, reason in (
        (reads, f"datastore {reads}: out/a.txt can't be written: its SAS may not write, only sp=rl"),
        ("no_such", "Datastore no_such was not found"),
    ):
        run = caller.run(WRITES, **output(store))
        assert run["status"] == "Failed"
        assert run["error"]["error"]["message"] == f"outputData: out: {reason}"
    status, answer = caller.submit({"train.py": b""}, **output(reads, "hdfs"))
    assert status == 501 and "not hdfs" in answer["error"]["message"]
