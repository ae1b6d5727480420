"""Load files as azure-ai-ml does before it sends them; run by a Python that has it, and prints what it refuses."""

import json
import logging
import sys
import warnings

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)

from azure.ai.ml.entities import Job, _load_functions  # noqa: E402

BY_KIND = {
    "commandJob": "job", "sweepJob": "job", "pipelineJob": "job",
    "commandComponent": "component", "parallelComponent": "component", "pipelineComponent": "component",
    "environment": "environment", "data": "data", "model": "model", "schedule": "schedule", "registry": "registry",
    "azureBlob": "datastore", "azureDataLakeGen2": "datastore", "workspace": "workspace",
    "amlCompute": "compute", "computeInstance": "compute",
    "managedOnlineEndpoint": "online_endpoint", "kubernetesOnlineEndpoint": "online_endpoint",
    "managedOnlineDeployment": "online_deployment", "kubernetesOnlineDeployment": "online_deployment",
    "batchEndpoint": "batch_endpoint", "modelBatchDeployment": "model_batch_deployment",
    "pipelineComponentBatchDeployment": "pipeline_component_batch_deployment",
}  # fmt: skip

refused, sent = {}, {}
for path, kind in json.load(sys.stdin):
    try:
        loaded = getattr(_load_functions, f"load_{BY_KIND[kind]}")(path)
        if kind == "commandJob" and isinstance(loaded, Job):
            job = loaded._to_job()._to_rest_object().properties
            sent[path] = job.distribution and str(job.distribution.distribution_type)
    except Exception as error:
        refused[path] = " ".join(str(error).split())[:400]
print(json.dumps({"refused": refused, "sent": sent}))
