"""MLflow's client from outside of a run, in two generations."""

from __future__ import annotations

from callers import Client

from aml_rehearsal import Rehearsal


def test_runs_from_outside_of_a_run(rehearsal: Rehearsal, outside: Client) -> None:
    answer = outside("""
with mlflow.start_run() as run:  # no experiment is named
    mlflow.log_metric("one", 1)
answer["default"] = [run.info.experiment_id, mlflow.get_experiment("0").name]
answer["nowhere"] = mlflow.get_experiment_by_name("nowhere")
answer["missing"] = [refused(mlflow.get_experiment, "none"), refused(mlflow.get_run, "none")]
answer["experiment"] = mlflow.set_experiment(own).name
answer["twice"] = refused(mlflow.create_experiment, own)
with mlflow.start_run(run_name="outer", tags={"kind": "a"}, description="words") as outer:
    mlflow.log_params({"lr": 0.1, "depth": 3}); mlflow.log_metrics({"loss": 2.5, "gain": float("inf")}, step=0)
    mlflow.log_metric("loss", 1.5, step=2); mlflow.log_metric("loss", 2.0, step=1)
    answer["changed"] = refused(mlflow.log_param, "lr", 0.2)
    with mlflow.start_run(nested=True) as inner:
        mlflow.set_tag("kind", "b"); mlflow.log_metric("loss", float("nan"))
kept = mlflow.get_run(outer.info.run_id)
answer["run"] = [kept.info.run_name, kept.info.status, kept.info.lifecycle_stage, kept.data.params, kept.data.tags]
answer["metrics"] = [kept.data.metrics["loss"], str(kept.data.metrics["gain"])]
answer["nan"] = str(mlflow.get_run(inner.info.run_id).data.metrics["loss"])
answer["history"] = [[each.step, each.value] for each in made.get_metric_history(outer.info.run_id, "loss")]
answer["times"] = [kept.info.start_time < kept.info.end_time, kept.info.end_time > 1.6e12]
answer["parent"] = made.get_parent_run(inner.info.run_id).info.run_id == outer.info.run_id
with mlflow.start_run(run_id=outer.info.run_id):
    answer["again"] = mlflow.get_run(outer.info.run_id).info.status
    mlflow.log_metric("later", 1)
try:
    with mlflow.start_run():
        raise ValueError
except ValueError:
    answer["failed"] = mlflow.last_active_run().info.status
one = Experiment(ws, own)
answer["v1"] = sorted(run.get_status() for run in one.get_runs(include_children=True))
answer["v1 metrics"] = Run(one, outer.info.run_id).get_metrics()["loss"]
answer["ids"] = [outer.info.run_id, inner.info.run_id]
""")
    assert answer["default"] == ["0", "Default"]
    assert answer["nowhere"] is None
    assert [code for code, _ in answer["missing"]] == ["RESOURCE_DOES_NOT_EXIST"] * 2
    assert answer["experiment"].startswith("of-") and answer["twice"][0] == "RESOURCE_ALREADY_EXISTS"
    assert answer["changed"][0] == "INVALID_PARAMETER_VALUE" and "logged with value='0.1'" in answer["changed"][1]
    name, status, stage, parameters, tags = answer["run"]
    assert (name, status, stage, parameters) == ("outer", "FINISHED", "active", {"lr": "0.1", "depth": "3"})
    assert tags | {"kind": "a", "mlflow.note.content": "words", "mlflow.runName": "outer"} == tags
    assert answer["metrics"] == [1.5, "inf"] and answer["nan"] == "nan"
    assert answer["history"] == [[0, 2.5], [1, 2.0], [2, 1.5]]
    assert answer["times"] == [True, True] and answer["parent"]
    assert (answer["again"], answer["failed"]) == ("RUNNING", "FAILED")
    assert answer["v1"] == ["Completed", "Completed", "Failed"]
    assert answer["v1 metrics"] == [2.5, 1.5, 2.0]
    outer, inner = (rehearsal.state()["runs"][run_id] for run_id in answer["ids"])
    assert inner["parentRunId"] == outer["runId"] and outer["parentRunId"] is None
    assert outer["status"] == "Completed" and outer["endTimeUtc"]


def test_searches(outside: Client) -> None:
    answer = outside("""
spot = mlflow.create_experiment(own + "-searches", tags={"team": "a b"})
for index, kind in enumerate(["red", "green", "blue"]):
    with mlflow.start_run(experiment_id=spot, run_name=f"run {index}", tags={"kind": kind, "big": "x"}) as run:
        mlflow.log_param("lr", index); mlflow.log_metric("loss", index / 10); mlflow.log_metric("val/loss", -index)
    with mlflow.start_run(experiment_id=spot, nested=False, parent_run_id=run.info.run_id) as child:
        pass
Experiment(ws, own + "-searches").start_logging().complete()

def names(filter_string="tags.big = 'x'", **more):
    found = made.search_runs([spot], filter_string, **more)
    return [run.data.tags.get("kind", "none") for run in found]

answer["all"] = len(names(""))
answer["newest"] = names()
answer["found"] = {text: names(text) for text in (
    "metrics.loss < 0.2 and metrics.loss >= 0.1", "metric.`val/loss` = -2", "metrics.loss != 0 AND params.lr = '1'",
    "params.lr != '1'", "tags.kind LIKE '%re%'", "tags.kind ILIKE 'R_D'", 'tag."kind" = "blue"',
    "run_name = 'run 1'", "attributes.run_name LIKE 'run%' and tags.kind = 'red'", "start_time > 1", "end_time < 5",
    "status = 'FINISHED' and tags.big = 'x'", f"run_id IN ('{run.info.run_id}', 'other')",
    f"tags.mlflow.parentRunId = '{run.info.run_id}'", "metrics.loss > 1e3",
)}
answer["oldest"] = names(order_by=["attributes.start_time ASC"])
answer["by name"] = names(order_by=["run_name DESC"])
answer["wrong"] = [refused(names, text)[0] for text in (
    "loss <", "metrics.loss = 'a'", "params.lr = 1", "metrics.loss LIKE 'a'", "run_name = 'a' or run_name = 'b'",
    "who.x = 1",
)]
answer["not in Azure"] = [
    refused(names, order_by=["metrics.loss DESC"]), refused(names, "tags.kind != 'red'"),
    refused(made.rename_experiment, spot, own + "-other"),
]
first = made.search_runs([spot], "tags.big = 'x'", max_results=2)
rest = made.search_runs([spot], "tags.big = 'x'", max_results=2, page_token=first.token)
answer["pages"] = [len(first), bool(first.token), len(rest), bool(rest.token)]
answer["frame"] = len(mlflow.search_runs([spot], output_format="list"))
gone = run.info.run_id
made.delete_run(gone)
answer["deleted"] = [names(), names(run_view_type=ViewType.DELETED_ONLY), made.get_run(gone).info.lifecycle_stage]
answer["written"] = refused(made.log_metric, gone, "loss", 1)
made.restore_run(gone)
answer["restored"] = names()
made.set_experiment_tag(spot, "more", "1")
answer["experiments"] = {text: [each.name for each in made.search_experiments(filter_string=text)] for text in (
    f"name = '{own}-searches'", "name LIKE 'no such%'", f"tags.team = 'a b' and name ILIKE '{own.upper()}%'",
)}
made.delete_experiment(spot)
hidden = made.search_experiments(filter_string=f"name = '{own}-searches'", view_type=ViewType.ALL)[0]
answer["archived"] = [hidden.lifecycle_stage, hidden.tags, refused(made.create_run, spot)[0]]
answer["active"] = own + "-searches" in [each.name for each in made.search_experiments()]
made.restore_experiment(spot)
answer["back"] = made.get_experiment(spot).lifecycle_stage
""")
    assert answer["all"] == 7 and answer["newest"] == ["blue", "green", "red"]
    assert list(answer["found"].values()) == [
        *(["green"], ["blue"], ["green"], ["blue", "red"], ["green", "red"], ["red"], ["blue"], ["green"], ["red"]),
        *(
            ["none", "none", "blue", "none", "green", "none", "red"],
            [],
            ["blue", "green", "red"],
            ["blue"],
            ["none"],
            [],
        ),
    ]
    assert answer["oldest"] == ["red", "green", "blue"] and answer["by name"] == ["blue", "green", "red"]
    assert set(answer["wrong"]) == {"INVALID_PARAMETER_VALUE"}
    assert all("not supported by Azure Machine Learning" in said for _, said in answer["not in Azure"])
    assert answer["pages"] == [2, True, 1, False] and answer["frame"] == 7
    assert answer["deleted"] == [["green", "red"], ["blue"], "deleted"]
    assert "must be in the 'active' state" in answer["written"][1]
    assert answer["restored"] == ["blue", "green", "red"]
    assert [len(names) for names in answer["experiments"].values()] == [1, 0, 1]
    assert answer["archived"] == ["deleted", {"team": "a b", "more": "1"}, "INVALID_PARAMETER_VALUE"]
    assert not answer["active"] and answer["back"] == "active"


def test_artifacts_have_any_name(outside: Client) -> None:
    answer = outside("""
names = ["plain.txt", "with a space.txt", "50%.txt", "%20.txt", "a#b.txt", "who?.txt", "größe-雪.txt", "a+b&c=d.txt"]
Path("some/deep er").mkdir(parents=True)
for name in names:
    Path("some", name).write_text(name); Path("some/deep er", name).write_text(name)
with mlflow.start_run(experiment_id="0") as run:
    mlflow.log_artifacts("some", "all of them"); mlflow.log_artifact("some/50%.txt"); mlflow.log_text("t", "x y/z.txt")
    mlflow.log_dict({"a": 1}, "a dict.json")
answer["root"] = sorted((each.path, each.is_dir) for each in made.list_artifacts(run.info.run_id))
uri, sought = run.info.artifact_uri, (run.info.run_id, "all of them/deep er")
if mlflow.__version__ < "3":
    listed = made.list_artifacts(*sought); made.download_artifacts(*sought, ".")
else:  # which asks for logged-models below a folder, as nobody can in Azure
    answer["below"] = [refused(made.list_artifacts, *sought)[1]]
    listed = mlflow.artifacts.list_artifacts(artifact_uri=f"{uri}/all of them/deep er")
answer["listed"] = sorted(each.path for each in listed)
place = Path(mlflow.artifacts.download_artifacts(artifact_uri=f"{uri}/all of them", dst_path="."))
answer["same"] = [(place / part / name).read_text() == name for part in ("", "deep er") for name in names]
answer["one"] = Path(mlflow.artifacts.download_artifacts(artifact_uri=f"{uri}/50%.txt")).read_text()
answer["loaded"] = mlflow.artifacts.load_dict(f"{run.info.artifact_uri}/a dict.json")
answer["names"] = names
""")
    assert answer["root"] == [["50%.txt", False], ["a dict.json", False], ["all of them", True], ["x y", True]]
    assert all("404 != 200. Response body: ''" in said for said in answer.get("below", []))
    assert answer["listed"] == sorted(f"all of them/deep er/{name}" for name in answer["names"])
    assert all(answer["same"]) and len(answer["same"]) == 16
    assert answer["one"] == "50%.txt" and answer["loaded"] == {"a": 1}


def test_one_registry_of_models(outside: Client) -> None:
    answer = outside("""
Path("m").mkdir(); Path("m/MLmodel").write_text("flavors: {}"); Path("m/data.bin").write_bytes(b"1" * 9)
name = own + "-model"
with mlflow.start_run(experiment_id="0") as run:
    mlflow.log_artifacts("m", "model"); mlflow.log_text("x", "loose.txt")
if mlflow.__version__ < "3":
    mlflow.register_model(f"runs:/{run.info.run_id}/model", name, tags={"n": "1"})
else:  # which asks for logged-models first, as nobody can in Azure
    answer["of a run"] = refused(mlflow.register_model, f"runs:/{run.info.run_id}/model", name)[1]
    made.create_model_version(name, f"{run.info.artifact_uri}/model", run.info.run_id, tags={"n": "1"})
answer["second"] = int(mlflow.register_model(Path("m").absolute().as_uri(), name).version)
answer["of v1"] = [Model(ws, name).version, Model(ws, name, version=1).tags, Model(ws, name, version=1).run_id]
for version in (1, 2):
    place = Path(Model(ws, name, version=version).download(f"down{version}"))
    answer[f"down {version}"] = sorted(file.name for file in place.rglob("*") if file.is_file())
Model.register(ws, model_path="m", model_name=name, tags={"by": "v1"}, description="third")
third = made.get_model_version(name, "3")
answer["third"] = [third.tags, third.description, third.current_stage, third.status]
answer["files"] = sorted(each.name for each in Path(mlflow.artifacts.download_artifacts(f"models:/{name}/3")).iterdir())
place = Path(mlflow.artifacts.download_artifacts(f"models:/{name}/1"))
answer["model of a run"] = sorted(each.name for each in place.iterdir())
answer["source"] = made.get_model_version_download_uri(name, "1").endswith(f"runs/{run.info.run_id}/artifacts/model")
made.transition_model_version_stage(name, "1", "Production")
made.transition_model_version_stage(name, "2", "Production", archive_existing_versions=True)
answer["stages"] = {each.version: each.current_stage for each in made.search_model_versions(f"name = '{name}'")}
answer["latest"] = {each.version for each in made.get_latest_versions(name, ["Production", "None"])} == {"2", "3"}
answer["no stage"] = refused(made.get_latest_versions, name, ["production"])[0]
made.update_model_version(name, "1", "words"); made.set_model_version_tag(name, "1", "k", "v")
made.delete_model_version_tag(name, "1", "n")
first = made.get_model_version(name, "1")
answer["edited"] = [first.description, first.tags, Model(ws, name, version=1).tags]
made.set_registered_model_tag(name, "team", "a"); made.update_registered_model(name, "all")
whole = made.get_registered_model(name)
answer["whole"] = [whole.tags, whole.description, sorted(each.version for each in whole.latest_versions)]
answer["listed"] = [name in [each.name for each in made.search_registered_models()],
                    [each.name for each in made.search_registered_models(f"name = '{name}'")] == [name]]
answer["copy"] = made.copy_model_version(f"models:/{name}/1", own + "-copy").version
answer["refused"] = {what: refused(*call)[0] for what, call in {
    "twice": (made.create_registered_model, name), "missing": (made.get_registered_model, "none"),
    "version": (made.get_model_version, name, "99"), "rename": (made.rename_registered_model, name, "other"),
    "delete": (made.delete_registered_model, name), "like": (made.search_registered_models, "name LIKE 'a%'"),
    "tag": (made.search_registered_models, "tags.team = 'a'"), "name": (made.create_registered_model, "a b"),
    "no MLmodel": (made.create_model_version, name, f"{run.info.artifact_uri}/loose.txt"),
    "alias": (made.set_registered_model_alias, name, "champion", "1"),
}.items()}
made.delete_model_version(name, "3")
answer["left"] = sorted(model.version for model in Model.list(ws, name))
for version in (1, 2):
    Model(ws, name, version=version).delete()
answer["gone"] = refused(made.get_registered_model, name)[0]
""")
    assert "404 != 200. Response body: ''" in answer.get("of a run", "404 != 200. Response body: ''")
    assert answer["second"] == 2
    assert answer["of v1"][:2] == [2, {"n": "1"}] and answer["of v1"][2]
    assert answer["down 1"] == answer["down 2"] == ["MLmodel", "data.bin"]
    assert answer["files"] == answer["model of a run"] == ["MLmodel", "data.bin", "registered_model_meta"]
    assert answer["third"] == [{"by": "v1"}, "third", "None", "READY"] and answer["source"]
    assert answer["stages"] == {"1": "Archived", "2": "Production", "3": "None"}
    assert answer["latest"] and answer["no stage"] == "INVALID_PARAMETER_VALUE"
    assert answer["edited"] == ["words", {"k": "v"}, {"k": "v"}]
    assert answer["whole"] == [{"team": "a"}, "all", ["1", "2", "3"]] and answer["listed"] == [True, True]
    assert str(answer["copy"]) == "1"
    codes = answer["refused"]
    assert codes.pop("twice") == "RESOURCE_ALREADY_EXISTS"
    assert [codes.pop(what) for what in ("missing", "version")] == ["RESOURCE_DOES_NOT_EXIST"] * 2
    assert codes.pop("alias") in {"ENDPOINT_NOT_FOUND", "NOT_FOUND", "RESOURCE_DOES_NOT_EXIST"}
    assert set(codes.values()) == {"INVALID_PARAMETER_VALUE"}
    assert answer["left"] == [1, 2] and answer["gone"] == "RESOURCE_DOES_NOT_EXIST"
