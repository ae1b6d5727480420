"""A small model, tracked in Azure ML from outside of a run, as MLflow's documentation shows."""

from pathlib import Path

import mlflow
from azureml.core import Workspace
from mlflow import MlflowClient
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

mlflow.set_tracking_uri(Workspace.from_config("config.json").get_mlflow_tracking_uri())
mlflow.set_experiment("irises")
three = not mlflow.__version__.startswith("2.")  # Azure has no logged models, which MLflow 3 logs models as
mlflow.sklearn.autolog(log_models=not three)
features, kinds = load_iris(return_X_y=True, as_frame=True)
Path("what is what.txt").write_text("notes")

with mlflow.start_run(run_name="first") as run:
    model = LogisticRegression(max_iter=500).fit(features, kinds)
    mlflow.log_artifact("what is what.txt")
    mlflow.log_metric("of my own", 1.5)
    if three:
        mlflow.sklearn.save_model(model, "saved")
        mlflow.log_artifacts("saved", "model")

kept = mlflow.get_run(run.info.run_id).data
assert kept.metrics["of my own"] == 1.5
assert kept.params["max_iter"] == "500"
assert kept.metrics["training_accuracy_score"] > 0.9
found = mlflow.search_runs(experiment_names=["irises"], filter_string="params.max_iter = '500'")
assert list(found["run_id"]) == [run.info.run_id]
assert mlflow.artifacts.load_text(f"{run.info.artifact_uri}/what is what.txt") == "notes"

place, client = f"{run.info.artifact_uri}/model", MlflowClient()
if three:
    client.create_registered_model("iris")
    version = client.create_model_version("iris", place, run.info.run_id).version
else:
    version = mlflow.register_model(f"runs:/{run.info.run_id}/model", "iris").version
assert [each.version for each in client.search_model_versions("name='iris'")] == [version]
expected = model.predict(features[:5]).tolist()
for uri in (place, f"models:/iris/{version}"):
    assert mlflow.sklearn.load_model(uri).predict(features[:5]).tolist() == expected
    assert mlflow.pyfunc.load_model(uri).predict(features[:5]).tolist() == expected
print("all of it")
