"""Write what azure-ai-ml takes in each kind of file: the keys that `make check` knows, with what each may hold.

    uv run --no-project --with azure-ai-ml==1.35.2 python tools/v2_keys.py

The client's own schemas are walked once, here: the check itself imports nothing of the client.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

from azure.ai.ml._schema.core import fields as own
from azure.ai.ml.constants._common import BASE_PATH_CONTEXT_KEY
from marshmallow import Schema, fields

FILE = Path(__file__).resolve().parents[1] / "packages/aml/src/aml_project/v2/keys.json"
# kind of file: where its schema lies
KINDS = {
    "commandJob": "job.command_job.CommandJobSchema",
    "sweepJob": "_sweep.sweep_job.SweepJobSchema",
    "pipelineJob": "pipeline.pipeline_job.PipelineJobSchema",
    "commandComponent": "component.command_component.CommandComponentSchema",
    "parallelComponent": "component.parallel_component.ParallelComponentSchema",
    "pipelineComponent": "pipeline.pipeline_component.PipelineComponentSchema",
    "sparkComponent": "component.spark_component.SparkComponentSchema",
    "environment": "assets.environment.EnvironmentSchema",
    "data": "assets.data.DataSchema",
    "model": "assets.model.ModelSchema",
    "azureBlob": "_datastore.azure_storage.AzureBlobSchema",
    "azureFile": "_datastore.azure_storage.AzureFileSchema",
    "azureDataLakeGen2": "_datastore.azure_storage.AzureDataLakeGen2Schema",
    "azureDataLakeGen1": "_datastore.adls_gen1.AzureDataLakeGen1Schema",
    "amlCompute": "compute.aml_compute.AmlComputeSchema",
    "computeInstance": "compute.compute_instance.ComputeInstanceSchema",
    "kubernetesCompute": "compute.kubernetes_compute.KubernetesComputeSchema",
    "vmCompute": "compute.virtual_machine_compute.VirtualMachineComputeSchema",
    "managedOnlineEndpoint": "_endpoint.online.online_endpoint.ManagedOnlineEndpointSchema",
    "kubernetesOnlineEndpoint": "_endpoint.online.online_endpoint.KubernetesOnlineEndpointSchema",
    "managedOnlineDeployment": "_deployment.online.online_deployment.ManagedOnlineDeploymentSchema",
    "kubernetesOnlineDeployment": "_deployment.online.online_deployment.KubernetesOnlineDeploymentSchema",
    "batchEndpoint": "_endpoint.batch.batch_endpoint.BatchEndpointSchema",
    "batchDeployment": "_deployment.batch.batch_deployment.BatchDeploymentSchema",
    "modelBatchDeployment": "_deployment.batch.model_batch_deployment.ModelBatchDeploymentSchema",
    "pipelineComponentBatchDeployment":
        "_deployment.batch.pipeline_component_batch_deployment_schema.PipelineComponentBatchDeploymentSchema",
    "schedule": "schedule.schedule.JobScheduleSchema",
    "monitorSchedule": "monitoring.schedule.MonitorScheduleSchema",
    "workspace": "workspace.workspace.WorkspaceSchema",
    "registry": "registry.registry.RegistrySchema",
}  # fmt: skip
# Fields by what they take; the first that fits counts.
TAKES: list[tuple[type, str]] = [
    (own.DataBindingStr, "binding"), (own.ArmVersionedStr, "asset"), (own.ArmStr, "azureml"),
    (own.RegistryStr, "registry"),
    (own.VersionField, "version"), (own.FileRefField, "file"), (own.RefField, "file"), (own.DateTimeStr, "date"),
    (fields.DateTime, "date"), (fields.Boolean, "bool"), (fields.Integer, "int"), (fields.Number, "float"),
    (fields.String, "text"),
]  # fmt: skip
# Nodes of a pipeline that are none of this project's: they are known by their type, and looked into no further.
OTHERS = ("AutoML", "DataTransfer", "FineTuning", "Image", "Import", "Nlp", "Spark", "Table", "Training")


class Walk:
    """What the schemas say, each schema once, by its name."""

    def __init__(self) -> None:
        self.sections: dict[str, Any] = {}

    def section(self, schema: Schema) -> str:
        said = {field.data_key or name: field for name, field in schema.fields.items() if name != "schema_ignored"}
        name = type(schema).__name__.removesuffix("Schema")
        if name in self.sections:
            return name
        if name.startswith(OTHERS) and name != "SparkComponent":
            known = {key: self.takes(said[key]) for key in ("task", "type") if key in said}
            self.sections[name] = {"keys": known, "open": True}
            return name
        section: dict[str, Any] = {}
        self.sections[name] = section
        section["keys"] = {key: "any" if field.dump_only else self.takes(field) for key, field in sorted(said.items())}
        if required := sorted(key for key, field in said.items() if field.required and not field.dump_only):
            section["required"] = required
        return name

    def takes(self, field: Any) -> Any:
        """What a field may hold; of one that may be empty too, both."""
        found = self.filled(field)
        if not field.allow_none or found == "any":
            return found
        return {"one": [*(found["one"] if isinstance(found, dict) and "one" in found else [found]), "null"]}

    def filled(self, field: Any) -> Any:
        if isinstance(field, own.ExperimentalField):
            return self.takes(field.experimental_field)
        if isinstance(field, own.UnionField):
            several: list[Any] = []
            for one in field.union_fields:
                each = self.takes(one)
                several += [each] if each not in several else []
            return several[0] if len(several) == 1 else {"one": several}
        if isinstance(field, (own.StringTransformedEnum,)):
            return {"words": sorted({str(word) for word in field.allowed_values})}
        if isinstance(field, fields.Nested):
            name = {"section": self.section(field.schema)}
            return {"list": name} if field.many else name
        if isinstance(field, fields.List):
            return {"list": self.takes(field.inner)}
        if isinstance(field, fields.Dict):
            return {"map": self.takes(field.value_field) if field.value_field else "any"}
        plain = next((word for kind, word in TAKES if isinstance(field, kind)), "any")
        return "name" if plain == "asset" and field.allow_default_version else plain


def walked() -> dict[str, Any]:
    walk, kinds = Walk(), {}
    for kind, place in KINDS.items():
        module, _, name = place.rpartition(".")
        schema = getattr(importlib.import_module(f"azure.ai.ml._schema.{module}"), name)
        kinds[kind] = walk.section(schema(context={BASE_PATH_CONTEXT_KEY: Path.cwd()}))
    return {"kinds": kinds, "sections": dict(sorted(walk.sections.items()))}


def text() -> str:
    """A section a line: short to read through, and a change of the client's shows where it is."""
    found = walked()
    sections = ",\n".join(f"  {json.dumps(name)}: {json.dumps(said)}" for name, said in found["sections"].items())
    return f'{{\n"kinds": {json.dumps(found["kinds"])},\n"sections": {{\n{sections}\n}}\n}}\n'


def main() -> int:
    if sys.argv[1:] == ["--check"]:
        return int(FILE.read_text(encoding="utf-8") != text())
    FILE.write_text(text(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
