from azuremlconstructor.core import StepSchema
from azuremlconstructor.input import FileInputSchema, PathInputSchema

AML_MODULE_NAME: str = "aml"
SCRIPT_MODULE_NAME: str = "script"
DATALOADER_MODULE_NAME: str = "data_loader"

NAME = "first"
DESCRIPTION = "Adds up"

file = FileInputSchema(
    name="tables",
    datastore_name="workspaceblobstore",
    path_on_datastore="built",
    files=["numbers.csv"],
    data_reference_name="",
)
path = PathInputSchema(
    name="folder", datastore_name="workspaceblobstore", path_on_datastore="built", data_reference_name=""
)
step1 = StepSchema(name="sum_up", compute_target="cpu-cluster", input_data=[file, path], allow_reuse=False)
STEPS = [step1]

EXTRA = {
    "custom_steps": [],
    "continue_on_step_failure": False,
    "submit": {"is_active": True, "experiment_name": "built", "job_name": NAME, "tags": None, "kwargs": None},
}
