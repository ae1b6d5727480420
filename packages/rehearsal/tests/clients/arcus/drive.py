"""What arcus-azureml documents, call by call; what each told is written down, also that it failed."""

import json
import shutil
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from arcus.azureml.environment.aml_environment import AzureMLEnvironment
from arcus.azureml.environment.environment_factory import WorkEnvironmentFactory
from azureml.core import Dataset
from sklearn.linear_model import LogisticRegression

told: dict[str, Any] = {}


def call(name: str, what: Callable[[], Any]) -> None:
    try:
        told[name] = what()
    except Exception:
        told[name] = f"failed: {traceback.format_exc()}"


Path(".azureml").mkdir()
shutil.copy("config.json", ".azureml")
names = json.loads(Path("config.json").read_text())
environment = AzureMLEnvironment.Create(datastore_path="workspaceblobstore")
workspace = environment.get_azureml_workspace()
call("Create", environment.isvalid)
call("Create, by names", lambda: AzureMLEnvironment.Create(**names).isvalid())
call("WorkEnvironmentFactory", lambda: WorkEnvironmentFactory.Create(datastore_path="workspaceblobstore").isvalid())

Path("tables").mkdir()
table = pd.DataFrame({"a": range(40), "b": [row % 3 for row in range(40)], "y": [row % 2 for row in range(40)]})
table.to_csv("tables/points.csv", index=False)
call("upload_dataset", lambda: environment.upload_dataset("tables", "tables", tags={"by": "arcus"}))
points = Dataset.Tabular.from_delimited_files((workspace.get_default_datastore(), "tables/points.csv"))
points.register(workspace, "points")
call("load_tabular_dataset", lambda: environment.load_tabular_dataset("points").shape)
local = AzureMLEnvironment.Create(datastore_path="tables")
call("load_tabular_dataset, local", lambda: local.load_tabular_dataset("points", cloud_storage=False).shape)
call("load_tabular_partition", lambda: environment.load_tabular_partition("tables/p*", first_row_header=True).shape)
workspace.get_default_keyvault().set_secret("password", "open sesame")
call("get_secret", lambda: environment.get_secret("password"))
call("capture_filedataset_layout", lambda: len(environment.capture_filedataset_layout("tables", "layout")))

call("start_experiment", lambda: environment.start_experiment("points").get_azureml_experiment().name)
trainer = environment.start_experiment("points")
call("new_run", lambda: trainer.new_run("first", copy_folder=False, metrics={"alpha": 0.1}).get_status())
model = LogisticRegression().fit(table[["a", "b"]], table["y"])
Path("outputs").mkdir(exist_ok=True)
call("add_tuning_result", lambda: trainer.add_tuning_result(0, 0.9, 0.8, 40, [1.0], {"C": 1.0}, model))
call(
    "evaluate_classifier",
    lambda: len(
        trainer.evaluate_classifier(model, table[["a", "b"]], table["y"], show_roc=True, return_predictions=True)
    ),
)
# Of the same trainer, new_run would complete the run once more, with the files that it has: Azure refuses them.
trainer = environment.start_experiment("points")
trainer.new_run("second", copy_folder=False)
call("complete_run", lambda: trainer.complete_run(model, {"accuracy": 1.0}))
call("get_best_model", lambda: trainer.get_best_model("accuracy").id)

call("setup_training", lambda: trainer.setup_training("training"))
cluster: dict[str, Any] = {"compute_target": "cpu-cluster"}
for name, more in {
    "start_training, local": {},
    "start_training, mounted": {**cluster, "input_datasets": ["tables"], "script_parameters": {"--epochs": 2}},
    "start_training, downloaded": {**cluster, "input_datasets_to_download": ["tables"]},
    "start_training, sklearn": {**cluster, "environment_type": "sklearn"},
    "start_training, an estimator": {**cluster, "use_estimator": True},
}.items():

    def start(name: str = name, more: dict[str, Any] = more) -> dict[str, Any]:
        folder = name.partition(", ")[2].replace(" ", "-")  # which is the name of its environment, too
        shutil.copytree("training", folder)
        run = trainer.start_training(folder, show_widget=False, **more)
        run.wait_for_completion(raise_on_error=True)
        return dict(run.get_metrics())

    call(name, start)
Path("told.json").write_text(json.dumps(told, indent=1, default=str))
