"""Trains, registers and serves a model by fedml-azure, without the database that it is made for."""

import shutil
from pathlib import Path

from azureml.core import Workspace
from fedml_azure import DwcAzureTrain, deploy, predict

own = DwcAzureTrain(
    workspace=Workspace.from_config("config.json"),
    experiment_args={"name": "sums"},
    compute_type="AmlComputeCluster",
    compute_args={"compute_name": "fedml", "vm_size": "STANDARD_D2_V2", "min_nodes": 0, "max_nodes": 2},
    environment_type="CondaPackageEnvironment",
    environment_args={
        "name": "sums",
        "python_version": "3.11",
        "conda_packages": ["scikit-learn=1.7"],
        "pip_packages": ["azureml-inference-server-http==1.5.1"],
    },
)
config = own.generate_run_config(
    {"source_directory": "code", "script": "train.py", "arguments": ["--rows", 20]}, is_dwc_connection_required=False
)
run = own.submit_run(config, is_download=True, download_args={"output_directory": "down"}, show_output=False)
assert run.get_status() == "Completed" and run.get_metrics() == {"rows": 20}
assert Path("down/outputs/model.pkl").exists()
model = own.register_model(run, {"model_name": "sums", "model_path": "outputs/model.pkl"}, is_sklearn_model=True)
shutil.copy("score.py", "code")
address, _, service = deploy(
    compute_type="ACI",
    inference_config_args={"entry_script": "score.py", "source_directory": "code", "environment": own.environment},
    deploy_config_args={"cpu_cores": 1, "memory_gb": 1},
    deploy_args={"workspace": own.workspace, "name": "sums", "models": [model]},
)
assert predict('{"data": [[1, 2], [3, 4]]}', service=service) == [3, 7]
assert predict('{"data": [[5, 5]]}', endpoint_url=address, compute_type="ACI")
