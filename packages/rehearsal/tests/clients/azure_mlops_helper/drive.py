"""Data, an environment with a wheel of the project's own, and a run, as azure-mlops-helper's documentation shows."""

import json
import os
from pathlib import Path

import pandas as pd
from azure_helper.interfaces.aml_interface import AMLInterface
from azure_helper.interfaces.blob_storage_interface import BlobStorageInterface
from azure_helper.steps.create_aml_env import AMLEnvironment, EnvSpecs
from azure_helper.steps.create_aml_experiment import AMLExperiment
from azure_helper.steps.create_data import CreateData

login = {
    "tenant_id": os.environ["AZUREML_SERVICE_PRINCIPAL_TENANT_ID"],
    "service_principal_id": os.environ["AZUREML_SERVICE_PRINCIPAL_ID"],
    "service_principal_password": os.environ["AZUREML_SERVICE_PRINCIPAL_PASSWORD"],
}
interface = AMLInterface(login, **json.loads(Path("config.json").read_text()))
storage = interface.workspace.get_default_datastore()
blobs = BlobStorageInterface(storage.account_name, storage.account_key)
blobs.create_container("flowers")
interface.register_datastore("flowers", "flowers", storage.account_name, storage.account_key)

data = CreateData("flowers", "flowers/train", "flowers/test")
features = pd.DataFrame({"a": [float(row % 7) for row in range(60)], "b": [float(row % 5) for row in range(60)]})
kinds = pd.DataFrame({"kind": [row % 2 for row in range(60)]})
data.upload_training_data(blobs, features, kinds)
data.upload_test_data(blobs, features[:20], kinds[:20])
assert blobs.download_blob_to_df("flowers", "flowers/train/X_train.csv").shape == (60, 2)

maker = AMLEnvironment(Path("dist").resolve(), "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu20.04")
wanted = EnvSpecs(flavor="conda", spec_file=Path("environment.yml"))
interface.register_aml_environment(maker.create_aml_environment("flowers", wanted, interface))
experiment = AMLExperiment(interface, "helpers", "STANDARD_D2_V2", "flowers", "flowers", "train.py", min_node=0)
experiment.submit_run()
