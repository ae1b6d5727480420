"""Command jobs of the second generation, as its client submits, follows and collects them."""

from __future__ import annotations

import json

import pytest
from callers import Caller, Client

from aml_rehearsal import Rehearsal

# A small environment, which is built once for all of them.
SETUP = """
Path("conda.yml").write_text("dependencies: [python=3.11]")
environment = Environment(image="mcr.microsoft.com/azureml/base", conda_file="conda.yml")
Path("src").mkdir()
def ran(script, *named, **wish):
    Path("src/train.py").write_text(script)
    line = " ".join(["python train.py", *("${{" + name + "}}" for name in named)])
    job = command(code="src", command=line, environment=environment, compute="cpu-cluster", **wish)
    return ml.jobs.create_or_update(job)
"""


def test_a_job_file_is_run_streamed_and_downloaded(rehearsal: Rehearsal, ml_client: Client) -> None:
    """What most people do: a YAML file, its logs, its outputs."""
    answer = ml_client(f"""{SETUP}
Path("src/train.py").write_text('''
import os, sys
from pathlib import Path
rate, data, model, table = sys.argv[1:]
print("rate", rate, sorted(os.listdir(data)), os.environ["LEVEL"], os.getcwd() == os.path.dirname(os.path.abspath("x")))
Path(model, "deep").mkdir(); Path(model, "deep", "model.txt").write_text("weights")
Path(table).write_text("n")
Path("outputs/metrics.json").write_text("1")
''')
Path("data").mkdir(); Path("data/a.csv").write_text("1")
Path("job.yml").write_text('''
$schema: https://azuremlschemas.azureedge.net/latest/commandJob.schema.json
type: command
code: src
command: >-
  python train.py ${{{{inputs.rate}}}} ${{{{inputs.data}}}} ${{{{outputs.model}}}} ${{{{outputs.table}}}}
inputs:
  rate: 0.1
  data: {{type: uri_folder, path: data}}
outputs:
  model: {{type: uri_folder, mode: rw_mount}}
  table: {{type: uri_file, mode: upload, path: azureml://datastores/workspaceblobstore/paths/made/table.csv}}
environment: {{image: mcr.microsoft.com/azureml/base, conda_file: conda.yml}}
environment_variables: {{LEVEL: "3"}}
compute: azureml:cpu-cluster
experiment_name: second-jobs
display_name: a file's
description: of a file
tags: {{a: "1"}}
limits: {{timeout: 600}}
''')
made = ml.jobs.create_or_update(load_job("job.yml"))
answer["id"] = made.name
answer["made"] = made.status, made.display_name, made.experiment_name, dict(made.tags), made.compute
answer["log"] = streamed(made.name)
job = ml.jobs.get(made.name)
answer["status"], answer["limits"] = job.status, job.limits.timeout
answer["inputs"] = job.inputs["rate"] if isinstance(job.inputs["rate"], str) else str(job.inputs["rate"]._data)
answer["output"] = job.outputs["model"].path
ml.jobs.download(made.name, download_path="down")
ml.jobs.download(made.name, download_path="down", output_name="model")
answer["files"] = sorted(str(file.relative_to("down")) for file in Path("down").rglob("*") if file.is_file())
answer["listed"] = made.name in [one.name for one in ml.jobs.list()]
answer["data"] = [one.name for one in ml.data.list()]
""")
    run = rehearsal.state()["runs"][answer["id"]]
    assert run["status"] == "Completed", run["error"]
    assert answer["made"] == ["Queued", "a file's", "second-jobs", {"a": "1"}, "cpu-cluster"]
    assert "rate 0.1 ['a.csv'] 3 True" in answer["log"]
    assert [answer["status"], answer["limits"], answer["inputs"]] == ["Completed", 600, "0.1"]
    assert answer["output"].endswith(f"/azureml/{answer['id']}/model/")
    assert {"named-outputs/model/deep/model.txt", "artifacts/outputs/metrics.json"} <= set(answer["files"])
    assert rehearsal.workspace.blobs.read("azureml-blobstore", "made/table.csv") == b"n"
    assert answer["listed"]
    assert not any(name.startswith("azureml_") for name in answer["data"])
    assert rehearsal.snapshot(answer["id"]).keys() == {"train.py"}


def test_each_way_to_read(rehearsal: Rehearsal, ml_client: Client) -> None:
    """Assets, addresses and models, mounted, downloaded or as an address; a dataset of the first generation."""
    answer = ml_client(f"""{SETUP}
Path("one.csv").write_text("1"); Path("folder").mkdir(); Path("folder/two.csv").write_text("2")
Path("folder/MLTable").write_text("paths: [{{folder: .}}]")
def asset(kind, path):
    made = ml.data.create_or_update(Data(name=f"read-{{kind}}", type=kind, path=path))
    return f"azureml:{{made.name}}:{{made.version}}", made.path
(file, place), (folder, _) = asset("uri_file", "one.csv"), asset("uri_folder", "folder")
asset("mltable", "folder")
model = ml.models.create_or_update(Model(name="read-model", path="folder", type="custom_model"))
web = "https://rehearsal.blob.core.windows.net/azureml-blobstore/"
inputs = dict(
    file=Input(type="uri_file", path=file),
    address=Input(type="uri_file", path=place, mode="download"),
    web=Input(type="uri_file", path=web + place.split("/paths/")[1]),
    folder=Input(type="uri_folder", path=folder, mode="download"),
    table=Input(type="mltable", path="read-mltable@latest"),
    direct=Input(type="uri_folder", path=folder, mode="direct"),
    model=Input(type="custom_model", path=f"azureml:read-model:{{model.version}}"),
    first=Input(type="mltable", path="numbers@latest", mode="eval_mount"),
    flag=True,
)
script = '''
import json, os, sys
def seen(path):
    if os.path.isdir(path):
        walked = [os.path.join(top, name) for top, _, names in os.walk(path) for name in names]
        return sorted(os.path.relpath(file, path) for file in walked)
    return open(path).read() if os.path.exists(path) else path
found = [seen(path) for path in sys.argv[1:]]
found.append(os.environ["AZURE_ML_INPUT_file"] == sys.argv[1])
json.dump(found, open("outputs/found.json", "w"))
'''
job = ran(script, *(f"inputs.{{name}}" for name in inputs), inputs=inputs)
answer["id"] = job.name
wait(job.name)
again = ml.jobs.get(job.name).inputs
answer["named"] = again["file"].path, again["model"].path
""")
    run = rehearsal.state()["runs"][answer["id"]]
    assert run["status"] == "Completed", run["error"]
    found = json.loads(rehearsal.artifact(answer["id"], "outputs/found.json"))
    both = ["MLTable", "two.csv"]
    assert found[:5] == ["1", "1", "1", both, both]
    assert found[5].startswith("azureml://subscriptions/")
    assert found[6:8] == [both, ["a.csv", "deep/b.csv"]]
    assert found[8:] == ["True", True]
    assert answer["named"] == ["read-uri_file:1", "read-model:1"]


def test_what_a_job_writes_is_kept(rehearsal: Rehearsal, ml_client: Client) -> None:
    """As data, as a model, and as what the next job and the registry name by the job."""
    answer = ml_client(f"""{SETUP}
Path("src/model").mkdir(); Path("src/model/MLmodel").write_text("flavors: {{}}")
script = '''
import shutil, sys
from pathlib import Path
data, model, plain, file = map(Path, sys.argv[1:])
file.write_text("of one")
(data / "a.csv").write_text("1"); shutil.copytree("model", model, dirs_exist_ok=True); (plain / "p").write_text("2")
shutil.copytree("model", "outputs/model")
'''
first = ran(script, "outputs.data", "outputs.model", "outputs.plain", "outputs.file", outputs=dict(
    data=Output(type="uri_folder", name="written", version="5"),
    model=Output(type="mlflow_model", name="written-model"),
    plain=Output(type="uri_folder", path="azureml://datastores/workspaceblobstore/paths/made/${{{{name}}}}/"),
    file=Output(type="uri_file"),
))
wait(first.name)
answer["id"] = first.name
data, model = ml.data.get("written", "5"), ml.models.get("written-model", label="latest")
answer["data"], answer["model"] = data.type, [model.version, model.type, model.job_name]
paths = [f"azureml://jobs/{{first.name}}/outputs/{{rest}}" for rest in ("artifacts/paths/outputs/model/", "model")]
made = [ml.models.create_or_update(Model(name="of-a-job", path=path, type="mlflow_model")) for path in paths]
answer["made"] = [[one.version, one.job_name] for one in made]
answer["latest"] = ml.models.get("of-a-job", label="latest").version
answer["versions"] = [one.version for one in ml.models.list(name="of-a-job")]
ml.models.download("of-a-job", "1", download_path="down")
answer["files"] = [str(file.relative_to("down")) for file in Path("down").rglob("*") if file.is_file()]
again = Input(type="uri_folder", path=f"azureml://jobs/{{first.name}}/outputs/plain")
file = Input(type="uri_file", path=f"azureml://jobs/{{first.name}}/outputs/file")
next = ran("import os, sys; assert os.listdir(sys.argv[1]) == ['p']; assert open(sys.argv[2]).read() == 'of one'",
           "inputs.again", "inputs.file", inputs=dict(again=again, file=file))
away = ran("", inputs=dict(file=Input(type="uri_file", path="https://nowhere.invalid/a.csv")))
wait(away.name)
answer["away"] = away.name
answer["next"] = wait(next.name).status
ml.models.archive("of-a-job", version="1")
answer["active"] = [one.version for one in ml.models.list(name="of-a-job")]
answer["changed"] = refused(ml.models.create_or_update, Model(name="of-a-job", version="1", path=paths[1]))[:2]
answer["nowhere"] = refused(ml.models.create_or_update, Model(name="of-none", path="azureml://jobs/none/outputs/x"))[:2]
""")
    run = rehearsal.state()["runs"][answer["id"]]
    assert run["status"] == "Completed", run["error"]
    assert answer["data"] == "uri_folder"
    assert answer["model"] == ["1", "mlflow_model", answer["id"]]
    assert answer["made"] == [["1", answer["id"]], ["2", answer["id"]]]
    assert [answer["latest"], answer["versions"]] == ["2", ["2", "1"]]
    assert answer["files"] == ["of-a-job/model/MLmodel"]
    assert answer["next"] == "Completed"
    said = rehearsal.state()["runs"][answer["away"]]["error"]["error"]["message"]
    assert said.startswith("inputs: file: https://nowhere.invalid/a.csv can't be read")
    assert answer["active"] == ["2"]
    assert [answer["changed"], answer["nowhere"]] == [[400, "UserError"]] * 2


def test_both_generations_see_one_history(
    rehearsal: Rehearsal, ml_client: Client, client: Client, caller: Caller
) -> None:
    """A job is a run with an environment, a snapshot and logs; a run, a search and its trials are jobs."""
    answer = ml_client(f"""{SETUP}
job = ran("print('hello')", experiment_name="one-history", display_name="shown")
wait(job.name)
answer["id"] = job.name
model = Model(name="both-model", path="src/train.py", tags={{"of": "two"}})
ml.models.create_or_update(model)
""")
    seen = client(f"""
run = ws.get_run("{answer["id"]}")
answer["run"] = run.status, run.display_name, run.get_environment().docker.base_image
answer["files"] = run.get_file_names()
run.restore_snapshot(path="restored")
import zipfile
answer["snapshot"] = [zipfile.ZipFile(file).namelist() for file in Path("restored").iterdir()]
model = Model(ws, "both-model")
answer["model"] = model.version, model.tags, Path(model.download("down")).read_text()
mine = Experiment(ws, "one-history").start_logging(snapshot_directory=None)
mine.log("loss", 1); mine.tag("mine", "1"); mine.complete()
Path("m.txt").write_text("m")
Model.register(ws, "m.txt", "both-model", tags={{"of": "one"}})
answer["mine"] = mine.id
""")
    assert seen["run"] == ["Completed", "shown", "mcr.microsoft.com/azureml/base"]
    assert "user_logs/std_log.txt" in seen["files"]
    assert seen["snapshot"] == [["train.py"]]
    assert seen["model"] == [1, {"of": "two"}, "print('hello')"]
    status, submitted = caller.submit({"train.py": b"print(1)"}, run_id="of-the-first-generation")
    assert status == 200, submitted
    back = ml_client(f"""
job = ml.jobs.get("{seen["mine"]}")
answer["mine"] = job.status, dict(job.tags), job.experiment_name
answer["list"] = [one.name for one in ml.jobs.list()]
first = ml.jobs.get("of-the-first-generation")
answer["first"] = first.command, first.compute, first.type
model = ml.models.get("both-model", "2")
answer["model"] = model.tags, model.type
ml.models.download("both-model", "2", download_path="down")
answer["files"] = [file.read_text() for file in Path("down").rglob("*") if file.is_file()]
""")
    assert back["mine"] == ["Completed", {"mine": "1"}, "one-history"]
    assert {seen["mine"], answer["id"], "of-the-first-generation"} <= set(back["list"])
    assert back["first"] == ["python train.py", "cpu-cluster", "command"]
    assert back["model"] == [{"of": "one"}, "custom_model"]
    assert back["files"] == ["m"]


def test_jobs_are_changed_canceled_and_archived(rehearsal: Rehearsal, ml_client: Client) -> None:
    answer = ml_client(f"""{SETUP}
job = ran("import time; print('begun', flush=True); time.sleep(60)", name="to-be-canceled", tags={{"a": "1"}})
answer["early"] = str(refused_by_client(ml.jobs.download, job.name))
ml.jobs.begin_cancel(job.name).result()
answer["canceled"] = ml.jobs.get(job.name).status
job = ml.jobs.get(job.name); job.tags["b"] = "2"; job.display_name = "other"
changed = ml.jobs.create_or_update(job)
answer["changed"] = dict(changed.tags), changed.display_name
ml.jobs.archive(job.name)
answer["active"] = job.name in [one.name for one in ml.jobs.list()]
answer["archived"] = job.name in [one.name for one in ml.jobs.list(list_view_type="ArchivedOnly")]
ml.jobs.restore(job.name)
answer["restored"] = job.name in [one.name for one in ml.jobs.list()]
answer["again"] = refused(ran, "print()", name=job.name)
answer["missing"] = refused(ml.jobs.get, "no-such-job")[:2]
failed = ran("raise SystemExit(3)")
answer["failed"] = wait(failed.name).status
answer["reason"] = str(refused_by_client(ml.jobs.stream, failed.name))
late = ran("import time; time.sleep(60)", limits=CommandJobLimits(timeout=1))
answer["late"] = [wait(late.name).status, str(refused_by_client(ml.jobs.stream, late.name))]
""")
    assert "Download is allowed only in states" in answer["early"]
    assert answer["canceled"] == "Canceled"
    assert answer["changed"] == [{"a": "1", "b": "2"}, "other"]
    assert [answer["active"], answer["archived"], answer["restored"]] == [False, True, True]
    assert answer["again"][:2] == [400, "UserError"]
    assert "A job with this name already exists" in answer["again"][2]
    assert answer["missing"] == [404, "UserError"]
    assert answer["failed"] == "Failed"
    assert "ended with exit code 3" in answer["reason"]
    assert answer["late"][0] == "Failed"
    assert "took longer" in answer["late"][1]


def test_launchers(rehearsal: Rehearsal, ml_client: Client) -> None:
    answer = ml_client(f"""{SETUP}
script = '''
import json, os
names = ("OMPI_COMM_WORLD_RANK", "RANK", "WORLD_SIZE", "LOCAL_RANK", "NODE_RANK", "TF_CONFIG")
print(json.dumps({{name: os.environ[name] for name in names if name in os.environ}}))
'''
jobs = dict(
    mpi=ran(script, instance_count=2, distribution=MpiDistribution(process_count_per_instance=2)),
    pytorch=ran(script, instance_count=2, distribution=PyTorchDistribution(process_count_per_instance=2)),
    tensorflow=ran(script, instance_count=2, distribution=TensorFlowDistribution(worker_count=2)),
)
answer |= {{name: [job.name, wait(job.name).status] for name, job in jobs.items()}}
""")
    logs = {}
    for kind, (name, status) in answer.items():
        assert status == "Completed", rehearsal.state()["runs"][name]["error"]
        kept = sorted(key for key in rehearsal.state()["artifacts"] if f"dcid.{name}/user_logs/" in key)
        logs[kind] = [json.loads(rehearsal.workspace.blobs.read("azureml", key)) for key in kept]
    assert [log["OMPI_COMM_WORLD_RANK"] for log in logs["mpi"]] == ["0", "1", "2", "3"]
    assert [(log["RANK"], log["NODE_RANK"], log["WORLD_SIZE"]) for log in logs["pytorch"]] == [
        *(("0", "0", "4"), ("1", "0", "4"), ("2", "1", "4"), ("3", "1", "4"))
    ]
    assert [json.loads(log["TF_CONFIG"])["task"]["index"] for log in logs["tensorflow"]] == [0, 1]


def test_environments_of_images_only(rehearsal: Rehearsal, ml_client: Client, caller: Caller) -> None:
    """An image brings its Python, for which the one of this computer stands; of Azure's own some are known."""
    answer = ml_client("""
Path("context").mkdir(); Path("context/Dockerfile").write_text("FROM scratch")
image = Environment(image="mcr.microsoft.com/azureml/base")
job = ml.jobs.create_or_update(command(command="python -c 'print(6 * 7)'", environment=image, compute="cpu-cluster"))
answer["log"] = [job.name, wait(job.name).status]
built = ml.environments.create_or_update(Environment(name="of-a-context", build=BuildContext(path="context")))
answer["built"] = built.build.dockerfile_path
answer["refused"] = refused(ml.jobs.create_or_update,
                            command(command="true", environment="of-a-context:1", compute="cpu-cluster"))
""")
    name, status = answer["log"]
    assert status == "Completed", rehearsal.state()["runs"][name]["error"]
    assert rehearsal.artifact(name, "user_logs/std_log.txt") == b"42\n"
    assert answer["built"] == "Dockerfile"
    assert answer["refused"][0] == 501
    assert "environments of a Dockerfile: of-a-context" in answer["refused"][2]
    own = "azureml://registries/azureml/environments/sklearn-1.5/labels/latest"
    wish = {"jobType": "Command", "command": "true", "computeId": "x/computes/none", "environmentId": own}
    status, told = caller.arm("PUT", "SCOPE/jobs/of-azure", {"properties": wish})
    assert "Unknown compute target" in told["error"]["message"]  # the environment was found


def test_mlflow_in_a_job_logs_to_its_run(rehearsal: Rehearsal, ml_client: Client) -> None:
    answer = ml_client(f"""{SETUP}
packages = "[azureml-mlflow==1.62.0.post6, mlflow-skinny==2.22.5]"
Path("conda.yml").write_text(f"dependencies: [python=3.11, {{{{pip: {{packages}}}}}}]")
environment = Environment(image="mcr.microsoft.com/azureml/base", conda_file="conda.yml")
job = ran('''
import mlflow
with mlflow.start_run():
    mlflow.log_metric("loss", 0.5); mlflow.log_param("rate", "1"); mlflow.log_text("text", "text.txt")
''')
answer["id"] = job.name
wait(job.name)
""")
    state = rehearsal.state()
    run = state["runs"][answer["id"]]
    assert run["status"] == "Completed", run["error"]
    assert list(state["metrics"][answer["id"]]) == ["loss"]
    assert run["parameters"] == {"rate": "1"}
    assert rehearsal.artifact(answer["id"], "text.txt") == b"text"


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        ({"jobType": "Spark"}, "jobs of the type Spark"),
        ({"jobType": "AutoML"}, "jobs of the type AutoML"),
        ({"componentId": "x/components/a/versions/1"}, "components"),
        ({"distribution": {"distributionType": "Ray"}}, "the distribution Ray"),
        ({"services": {"jupyter": {"jobServiceType": "JupyterLab"}}}, "the services that a job opens"),
        ({"environmentId": "azureml://registries/other/environments/a/versions/1"}, "registries"),
        ({"inputs": {"a": {"jobInputType": "uri_folder", "uri": "adl://a/b"}}}, "inputs from adl://a/b"),
        ({"inputs": {"a": {"jobInputType": "uri_file", "uri": "https://a/b", "mode": "ReadWriteMount"}}}, "the mode"),
        ({"outputs": {"a": {"jobOutputType": "uri_folder", "mode": "Direct"}}}, "outputs in the mode Direct"),
    ],
)
def test_what_is_not_played_is_named(caller: Caller, wish: dict[str, object], told: str) -> None:
    plain = {"jobType": "Command", "command": "true", "computeId": "x/computes/cpu-cluster"}
    plain["environmentId"] = "azureml:AzureML-Minimal@latest"
    status, answer = caller.arm("PUT", "SCOPE/jobs/not-played", {"properties": plain | wish})
    assert (status, answer["error"]["code"]) == (501, "NotImplemented")
    assert told in answer["error"]["message"]


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        ({"command": "echo ${{inputs.typo}}"}, "${{inputs.typo}} is no input"),
        ({"command": "echo ${{outputs.typo}}"}, "${{outputs.typo}} is no input or output"),
        ({"computeId": "x/computes/none"}, "Unknown compute target 'none'"),
        ({"resources": {"instanceCount": 99}}, "at most"),
        ({"computeId": None, "resources": {"instanceType": "Standard_None"}}, "there is no size Standard_None"),
        ({"environmentId": "azureml:none:1"}, "environments/none"),
        ({"codeId": "azureml:none:1"}, "codes/none"),
        ({"parentJobName": "none"}, "Run none was not found"),
        ({"inputs": {"a": {"jobInputType": "uri_file", "uri": "azureml:none:1"}}}, "data/none"),
        ({"inputs": {"a": {"jobInputType": "uri_file", "uri": "azureml://datastores/no/paths/x"}}}, "no datastore no"),
        ({"limits": {"timeout": "soon"}}, "no length of time"),
    ],
)
def test_what_azure_refuses_is_refused(caller: Caller, wish: dict[str, object], told: str) -> None:
    plain = {"jobType": "Command", "command": "true", "computeId": "x/computes/cpu-cluster"}
    plain["environmentId"] = "azureml:AzureML-Minimal@latest"
    status, answer = caller.arm("PUT", "SCOPE/jobs/refused", {"properties": plain | wish})
    assert status in {400, 404}
    assert told in answer["error"]["message"]
    assert caller.arm("GET", "SCOPE/jobs/refused")[0] == 404
