"""`python train.py` runs here, `python train.py --azureml` in Azure ML: what hi-ml is for."""

from pathlib import Path

from health_azure import DatasetConfig, submit_to_azure_if_needed

run_info = submit_to_azure_if_needed(
    compute_cluster_name="cpu-cluster",
    conda_environment_file="environment.yml",
    workspace_config_file="config.json",
    snapshot_root_directory=Path(),
    experiment_name="numbers",
    entry_script="train.py",
    default_datastore="workspaceblobstore",
    input_datasets=[DatasetConfig(name="numbers", use_mounting=True)],
    output_datasets=[DatasetConfig(name="sums", use_mounting=True)],
    wait_for_completion=True,
    wait_for_completion_show_output=True,
    strictly_aml_v1=True,
)
table = run_info.input_datasets[0] / "a.csv"
total = sum(int(line) for line in table.read_text().split()[1:])
(run_info.output_datasets[0] / "total.txt").write_text(str(total))
(run_info.output_folder / "said.txt").write_text("done")
run_info.run.log("total", total)
