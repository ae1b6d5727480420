"""The real client, unmodified, against the rehearsal: what it writes comes back as it was."""

from __future__ import annotations

from callers import Client

from aml_rehearsal import Rehearsal


def test_datastores_and_datasets(rehearsal: Rehearsal, client: Client) -> None:
    """Uploads with the account's key, and downloads by the engine that knows nothing of Python."""
    answer = client("""
store = ws.get_default_datastore()
for version, text in enumerate(("first", "second"), 1):
    folder = Path(f"up{version}"); (folder / "deep").mkdir(parents=True)
    (folder / "a.csv").write_text(text); (folder / "deep" / "b c.csv").write_bytes(bytes(range(256)))
    files = [str(file.absolute()) for file in folder.rglob("*") if file.is_file()]
    store.upload_files(files, relative_root=str(folder.absolute()), target_path=f"t/{version}", show_progress=False)
    made = Dataset.File.from_files((store, f"t/{version}/**")).register(ws, "mine", create_new_version=True)
    answer[f"made{version}"] = [made.name, made.version]
try:
    Dataset.File.from_files((store, "t/1/**")).register(ws, "mine")
except Exception as error:
    answer["again"] = type(error).__name__
newest, first = Dataset.get_by_name(ws, "mine"), Dataset.get_by_name(ws, "mine", version=1)
answer["versions"] = [newest.version, first.version, Dataset.get_by_id(ws, newest.id).version]
for name, dataset in (("newest", newest), ("first", first), ("seeded", Dataset.get_by_name(ws, "numbers"))):
    paths = [Path(path) for path in dataset.download(name, overwrite=True)]
    answer[name] = {path.relative_to(Path(name).absolute()).as_posix(): path.read_bytes().hex() for path in paths}
kept = Datastore.register_azure_blob_container(ws, "other", store.container_name, store.account_name,
                                               account_key=store.account_key)
answer["stores"] = sorted(Datastore.get(ws, name).name for name in ws.datastores)
answer["same key"] = kept.account_key == store.account_key and bool(store.account_key)
kept.unregister()
""")
    assert [answer["made1"], answer["made2"]] == [["mine", 1], ["mine", 2]]
    assert answer["again"].endswith("Exception")
    assert answer["versions"] == [2, 1, 2]
    content = bytes(range(256)).hex()
    assert answer["first"] == {"a.csv": b"first".hex(), "deep/b c.csv": content}
    assert answer["newest"] == {"a.csv": b"second".hex(), "deep/b c.csv": content}
    assert answer["seeded"] == {"a.csv": b"x\n1\n".hex(), "deep/b.csv": b"x\n2\n".hex()}
    assert set(answer["stores"]) >= {"other", "workspaceblobstore"}
    assert answer["same key"]
    assert "other" not in rehearsal.state()["datastores"]


def test_datastores_of_ones_own_storage(rehearsal: Rehearsal, client: Client) -> None:
    answer = client("""
from azure.storage.blob import BlobServiceClient
key = os.environ["STORAGE_KEY"]
service = BlobServiceClient("https://rehearsaldata.blob.core.windows.net", credential=key)
service.create_container("of-the-client").upload_blob("a/b.csv", b"1")
def registered(name, container="of-the-client", **options):
    return Datastore.register_azure_blob_container(ws, name, container, "rehearsaldata", **options)
def seen(store):
    return [store.name, store.container_name, store.account_name, store.endpoint, store.protocol,
            store.account_key == key, store.sas_token]
registered("by_key", account_key=key)
answer["by key"] = seen(Datastore.get(ws, "by_key"))
answer["again"] = refused(lambda: registered("by_key", sas_token="sv=1&sig=abc"))
registered("By_Key", sas_token="sv=1&sig=abc", overwrite=True)
answer["overwritten"] = seen(Datastore.get(ws, "by_key"))
answer["none"] = seen(registered("by_login"))
registered("making", "made-by-the-client", account_key=key, create_if_not_exists=True)
registered("making", "made-by-the-client", account_key=key, create_if_not_exists=True, overwrite=True)
answer["containers"] = [container.name for container in service.list_containers()]
answer["not made"] = refused(lambda: registered("wrong", "not-made", account_key="bm9uZQ==", create_if_not_exists=True))
answer["names"] = [refused(lambda: registered(name, account_key=key)) for name in ("with-hyphen", "a" * 256, "a b")]
answer["longest"] = registered("a" * 255, account_key=key).name
answer["default"] = refused(lambda: ws.get_default_datastore().unregister())
for name in ("by_key", "by_login", "making", "a" * 255):
    Datastore.get(ws, name).unregister()
answer["gone"] = refused(lambda: Datastore.get(ws, "by_key"))
""")
    place = ["of-the-client", "rehearsaldata", "core.windows.net", "https"]
    assert answer["by key"] == ["by_key", *place, True, None]
    assert "Another datastore with the same name already exists" in answer["again"]
    assert answer["overwritten"] == ["by_key", *place, False, "sv=1&sig=abc"]
    assert answer["none"] == ["by_login", *place, False, None]
    assert "made-by-the-client" in answer["containers"] and "not-made" not in answer["containers"]
    assert "can't be made in rehearsaldata" in answer["not made"]
    assert all("letters, digits and underscores only" in said for said in answer["names"])
    assert answer["longest"] == "a" * 255
    assert "is the default datastore" in answer["default"]
    assert "by_key was not found" in answer["gone"]
    assert not {"by_key", "by_login", "making", "wrong"} & set(rehearsal.state()["datastores"])


def test_datasets_have_words_and_versions(rehearsal: Rehearsal, client: Client) -> None:
    """The words of a version change; what it holds does not."""
    answer = client("""
store = ws.get_default_datastore()
def registered(name, path="words/1", **options):
    return Dataset.File.from_files((store, path), validate=False).register(ws, name, **options)
def seen(dataset):
    return [dataset.version, dataset.description, dataset.tags]
registered("words", description="one", tags={"hash": "1"}, create_new_version=True)
registered("words", "words/2/**", description="two", tags={"hash": "2"}, create_new_version=True)
answer["versions"] = [seen(Dataset.get_by_name(ws, "words", version=wanted)) for wanted in (1, 2, "latest")]
Dataset.get_by_name(ws, "words").add_tags({"more": "x"})
Dataset.get_by_name(ws, "words", version=1).update(description="changed")
answer["changed"] = [seen(Dataset.get_by_name(ws, "words", version=wanted)) for wanted in (1, 2)]
answer["removed"] = Dataset.get_by_name(ws, "words").remove_tags(["more"]).tags
answer["all"] = {name: dataset.version for name, dataset in Dataset.get_all(ws).items()}
answer["missing"] = [refused(lambda: Dataset.get_by_name(ws, *wanted)) for wanted in (("words", 9), ("no-words",))]
answer["names"] = [refused(lambda: registered(name)) for name in ("a/b", "x" * 256, "-", "")]
Dataset.get_by_name(ws, "words").unregister_all_versions()
answer["gone"] = refused(lambda: Dataset.get_by_name(ws, "words"))
""")
    one, two = [1, "one", {"hash": "1"}], [2, "two", {"hash": "2"}]
    assert answer["versions"] == [one, two, two]
    assert answer["changed"] == [[1, "changed", {"hash": "1"}], [2, "two", {"hash": "2", "more": "x"}]]
    assert answer["removed"] == {"hash": "2"}
    assert answer["all"]["words"] == 2
    assert all("Cannot find dataset" in said for said in [*answer["missing"], answer["gone"]])
    assert all("letters, digits" in said for said in answer["names"][:3]) and answer["names"][3]
    assert "words" not in rehearsal.state()["datasets"]


def test_models(client: Client) -> None:
    answer = client("""
Path("m").mkdir(); Path("m/model.bin").write_bytes(b"weights" * 1000); Path("m/deep").mkdir()
Path("m/deep/labels.txt").write_text("a\\nb")
for colour in ("red", "blue"):
    Model.register(ws, model_path="m", model_name="mymodel", tags={"colour": colour, "same": "x"},
                   properties={"p": "q"}, description="d", model_framework="ScikitLearn")
Model.register(ws, model_path="m", model_name="another")
answer["newest"] = Model(ws, "mymodel").version
answer["first"] = Model(ws, "mymodel", version=1).tags
answer["by id"] = Model(ws, id="mymodel:2").properties["p"]
answer["red"] = [model.id for model in Model.list(ws, name="mymodel", tags=[["colour", "red"]])]
answer["same"] = [model.id for model in Model.list(ws, name="mymodel", tags=["same"])]
answer["latest"] = sorted(model.id for model in Model.list(ws, latest=True))
model = Model(ws, "mymodel", version=1)
model.add_tags({"added": "later"}); model.remove_tags(["same"])
answer["tags"] = Model(ws, "mymodel", version=1).tags
place = Path(model.download("down"))
answer["files"] = {str(file.relative_to(place)): len(file.read_bytes()) for file in place.rglob("*") if file.is_file()}
model.delete()
answer["left"] = [model.id for model in Model.list(ws, name="mymodel")]
try:
    Model(ws, "mymodel", version=9)
except Exception as error:
    answer["missing"] = type(error).__name__
""")
    assert answer["newest"] == 2
    assert answer["first"] == {"colour": "red", "same": "x"}
    assert answer["by id"] == "q"
    assert answer["red"] == ["mymodel:1"]
    assert answer["same"] == ["mymodel:2", "mymodel:1"]
    assert {"another:1", "mymodel:2"} <= set(answer["latest"]) and "mymodel:1" not in answer["latest"]
    assert answer["tags"] == {"colour": "red", "added": "later"}
    assert answer["files"] == {"model.bin": 7000, "deep/labels.txt": 3}
    assert answer["left"] == ["mymodel:2"]
    assert answer["missing"] == "WebserviceException"


def test_environments_and_computes(rehearsal: Rehearsal, client: Client) -> None:
    answer = client("""
from azureml.core.compute import AmlCompute
from azureml.core.conda_dependencies import CondaDependencies
environment = Environment("env")
environment.python.conda_dependencies = CondaDependencies.create(pip_packages=["six==1.17.0"])
answer["first"] = environment.register(ws).version
environment.environment_variables = {"A": "B"}
environment.docker.base_image = "some/image:1"
answer["second"] = environment.register(ws).version
answer["docker"] = [Environment.get(ws, "env", version).docker.base_image for version in ("1", "2")]
answer["kept"] = Environment.get(ws, "env", "1").environment_variables, Environment.get(ws, "env").environment_variables
answer["listed"] = "env" in Environment.list(ws)
try:
    Environment.get(ws, "env", "9")
except Exception as error:
    answer["missing"] = str(error)[:200]
wish = AmlCompute.provisioning_configuration(vm_size="STANDARD_D2_V2", max_nodes=2)
cluster = ComputeTarget.create(ws, "my-cluster", wish)
cluster.wait_for_completion()
answer["state"] = cluster.provisioning_state, cluster.scale_settings.maximum_node_count
cluster.update(max_nodes=6)
answer["updated"] = ComputeTarget(ws, "my-cluster").scale_settings.maximum_node_count
answer["computes"] = sorted(ws.compute_targets)
cluster.delete()
try:
    ComputeTarget(ws, "my-cluster")
except Exception as error:
    answer["gone"] = type(error).__name__
""")
    assert [answer["first"], answer["second"]] == ["1", "2"]
    assert answer["kept"] == [{"EXAMPLE_ENV_VAR": "EXAMPLE_VALUE"}, {"A": "B"}]
    assert answer["docker"][1] == "some/image:1" != answer["docker"][0]
    assert answer["listed"] and "not found" in answer["missing"].lower()
    assert answer["state"] == ["Succeeded", 2]
    assert answer["updated"] == 6
    assert answer["computes"] == ["cpu-cluster", "my-cluster"]
    assert answer["gone"] == "ComputeTargetException"
    assert list(rehearsal.state()["computes"]) == ["cpu-cluster"]


def test_environments_keep_their_versions(rehearsal: Rehearsal, client: Client) -> None:
    answer = client("""
from azureml.core.conda_dependencies import CondaDependencies
def wished(name="versioned", version=None, package="six==1.17.0", dockerfile=None):
    environment = Environment(name)
    environment.version = version
    environment.python.conda_dependencies = CondaDependencies.create(pip_packages=[package], python_version="3.10")
    if dockerfile:
        environment.docker.base_image, environment.docker.base_dockerfile = None, dockerfile
    return environment
answer["first"] = [wished(version="abc123").register(ws).version for _ in range(2)]
answer["differs"] = refused(lambda: wished(version="abc123", package="six==1.16.0").register(ws))
answer["counted"] = [wished(package=package).register(ws).version for package in ("six==1.15.0", "six==1.15.0", "six")]
answer["again"] = Environment.get(ws, "versioned", "abc123").register(ws).version
answer["packages"] = list(Environment.get(ws, "versioned", "abc123").python.conda_dependencies.pip_packages)
answer["latest"] = [Environment.get(ws, "versioned").version, Environment.get(ws, "versioned", label="Latest").version]
answer["missing"] = [refused(lambda: Environment.get(ws, "versioned", "none")),
                     refused(lambda: Environment.get(ws, "versioned", label="none")),
                     refused(lambda: Environment.get(ws, "none"))]
text = 'FROM scratch\\nRUN echo "ü" $HOME # {}\\n'
wished("of-a-dockerfile", dockerfile=text).register(ws)
answer["dockerfile"] = Environment.get(ws, "of-a-dockerfile").docker.base_dockerfile == text
answer["image"] = Environment.get(ws, "of-a-dockerfile").docker.base_image
answer["listed"] = {name: environment.version for name, environment in Environment.list(ws).items()}
answer["names"] = [refused(lambda: wished(name).register(ws)) for name in ("a b", "AzureML-mine", "x" * 256)]
""")
    assert answer["first"] == ["abc123", "abc123"]
    assert "version abc123 exists and differs" in answer["differs"]
    assert answer["counted"] == ["2", "2", "3"]
    assert answer["again"] == "abc123"
    assert answer["packages"] == ["six==1.17.0"]
    assert answer["latest"] == ["3", "3"]
    assert all("was not found" in said or "no label" in said for said in answer["missing"])
    assert answer["dockerfile"] and answer["image"] is None
    assert answer["listed"] | {"versioned": "3", "of-a-dockerfile": "1"} == answer["listed"]
    assert all("Code: 400" in said for said in answer["names"])
    assert [known["version"] for known in rehearsal.state()["environments"]["versioned"]] == ["abc123", "2", "3"]


def test_metrics_of_both_kinds(rehearsal: Rehearsal, client: Client) -> None:
    """Logged by azureml on the run, and by MLflow from a script on the cluster."""
    answer = client("""
Path("source").mkdir()
Path("source/train.py").write_text('''
import mlflow
from azureml.core import Run
run = Run.get_context()
run.log("one", 0.5); run.log_list("many", [1, 2, 3]); run.log_row("row", x=1, y=2); run.log_row("row", x=3, y=4)
run.log_table("table", {"a": [1, 2], "b": [3, 4]}); run.log("text", "a word"); run.tag("kind", "test")
run.flush()
mlflow.log_metric("loss", 2.0, step=1); mlflow.log_metric("loss", 1.0, step=2); mlflow.log_param("depth", 3)
mlflow.set_tag("own", "tag")
with open("outputs/note.txt", "w") as file:
    file.write("kept")
mlflow.log_artifact("outputs/note.txt", "by-mlflow")
''')
configuration = RunConfiguration(); configuration.target = "cpu-cluster"
configuration.environment.python.user_managed_dependencies = True
configuration.environment.python.interpreter_path = sys.executable
run = Experiment(ws, "metrics").submit(ScriptRunConfig("source", "train.py", run_config=configuration))
run.wait_for_completion(show_output=True)
answer["id"], answer["metrics"], answer["tags"] = run.id, run.get_metrics(), run.get_tags()
answer["files"] = run.get_file_names()
run.download_file("by-mlflow/note.txt", "down.txt")
answer["note"] = Path("down.txt").read_text()
answer["listed"] = [other.id for other in Experiment(ws, "metrics").get_runs()]
model = run.register_model("of-a-run", model_path="outputs/note.txt")
answer["models"] = [found.id for found in Model.list(ws, run_id=run.id)]
""")
    metrics = answer["metrics"]
    assert metrics["one"] == 0.5
    assert metrics["many"] == [1, 2, 3]
    assert metrics["row"] == {"x": [1, 3], "y": [2, 4]}
    assert metrics["table"] == {"a": [1, 2], "b": [3, 4]}
    assert metrics["text"] == "a word"
    assert metrics["loss"] == [2.0, 1.0]
    assert answer["tags"] | {"kind": "test", "own": "tag"} == answer["tags"]
    assert {"by-mlflow/note.txt", "outputs/note.txt", "user_logs/std_log.txt"} <= set(answer["files"])
    assert answer["note"] == "kept"
    assert answer["listed"] == [answer["id"]]
    assert answer["models"] == ["of-a-run:1"]
    run = rehearsal.state()["runs"][answer["id"]]
    assert (run["status"], run["parameters"]) == ("Completed", {"depth": "3"})


def test_a_run_on_this_computer_and_its_end(rehearsal: Rehearsal, client: Client) -> None:
    answer = client("""
import time
Path("source").mkdir()
Path("source/train.py").write_text("import sys, time\\nprint(sys.argv[1:], flush=True)\\ntime.sleep(int(sys.argv[1]))")
configuration = RunConfiguration()
configuration.environment.python.user_managed_dependencies = True
configuration.environment.python.interpreter_path = sys.executable
for name, seconds in (("done", 0), ("cancelled", 300)):
    wish = ScriptRunConfig("source", "train.py", [seconds, "it's"], run_config=configuration)
    run = Experiment(ws, "local").submit(wish)
    while seconds and run.get_status() != "Running":
        time.sleep(0.2)
    if seconds:
        run.cancel()
    try:
        run.wait_for_completion(raise_on_error=False)
    except Exception as error:
        answer["error"] = str(error)
    answer[name] = [run.id, run.get_status()]
""")
    assert answer["done"][1] == "Completed"
    assert answer["cancelled"][1] == "Canceled"
    assert rehearsal.artifact(answer["done"][0], "user_logs/std_log.txt") == b"['0', \"it's\"]\n"


def test_the_client_says_what_the_service_refuses(client: Client) -> None:
    for role in ("reader", "stranger"):
        answer = client(
            """
try:
    workspace = Workspace.get(ws.name, auth=login, subscription_id=ws.subscription_id, resource_group=ws.resource_group)
    Model.register(workspace, model_path="code.py", model_name="not-mine")
except Exception as error:
    answer["error"] = str(error)
""",
            role,
        )
        assert "does not have authorization" in answer["error"] or "Forbidden" in answer["error"]


def test_environments_of_runs_and_of_azure(rehearsal: Rehearsal, client: Client) -> None:
    """What a run has brought is found again; Azure's own are there, and nobody else can make one of such a name."""
    answer = client("""
Path("source").mkdir(); Path("source/train.py").write_text("import os; print(os.environ['MINE'])")
mine = Environment("brought")
mine.environment_variables = {"MINE": "1"}
mine.python.user_managed_dependencies, mine.python.interpreter_path = True, os.environ["PYTHON"]
def ran():
    wish = ScriptRunConfig("source", "train.py", compute_target="cpu-cluster", environment=mine)
    run = Experiment(ws, "environments").submit(wish)
    run.wait_for_completion(raise_on_error=False)
    return run.get_environment()
first, again = ran(), ran()
answer["brought"] = [first.name, first.environment_variables, first.version == again.version]
answer["listed"] = "brought" in Environment.list(ws)
mine.environment_variables["MINE"] = "2"
answer["changed"] = [ran().environment_variables, Environment.get(ws, "brought", first.version).environment_variables]
mine = mine.register(ws)
answer["registered"] = [mine.version, ran().version]
answer["curated"] = [name for name in Environment.list(ws) if name.startswith("AzureML-")]
curated = Environment.get(ws, "AzureML-sklearn-1.5")
answer["holds"] = "scikit-learn~=1.5.0" in list(curated.python.conda_dependencies.pip_packages)
answer["clone"] = curated.clone("my-sklearn").register(ws).version
answer["refused"] = [refused(lambda: Environment.get(ws, "AzureML-nobody-knows")),
                     refused(lambda: curated.register(ws))]
""")
    assert answer["brought"] == ["brought", {"MINE": "1"}, True]
    assert not answer["listed"]
    assert answer["changed"] == [{"MINE": "2"}, {"MINE": "1"}]
    assert answer["registered"] == ["1", "1"]
    assert {"AzureML-Minimal", "AzureML-sklearn-1.5"} < set(answer["curated"])
    assert answer["holds"] and answer["clone"] == "1"
    assert "Code: 404" in answer["refused"][0] and "Code: 400" in answer["refused"][1]


def test_what_a_script_logs_last_is_kept(rehearsal: Rehearsal, client: Client) -> None:
    """Also where it neither flushes nor ends well; what Python says of itself at its start is still said."""
    answer = client("""
Path("source/site").mkdir(parents=True)
Path("source/site/sitecustomize.py").write_text("import builtins; builtins.CUSTOM = 1")
Path("source/train.py").write_text('''
from azureml.core import Run
run = Run.get_context()
run.log("custom", CUSTOM)
run.log("last", 0.5)
raise SystemExit("for a reason")
''')
configuration = RunConfiguration(); configuration.target = "cpu-cluster"
configuration.environment.python.user_managed_dependencies = True
configuration.environment.python.interpreter_path = sys.executable
configuration.environment_variables = {"PYTHONPATH": "site"}
run = Experiment(ws, "last-words").submit(ScriptRunConfig("source", "train.py", run_config=configuration))
run.wait_for_completion(raise_on_error=False)
answer["status"], answer["metrics"] = run.get_status(), run.get_metrics()
""")
    assert answer["status"] == "Failed"
    assert answer["metrics"] == {"custom": 1, "last": 0.5}
