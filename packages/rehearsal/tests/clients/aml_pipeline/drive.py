"""A published pipeline behind an endpoint, as aml-pipeline has one fill in its class, and a request to it."""

import json
import os
from pathlib import Path

import requests
from azureml.core.runconfig import RunConfiguration
from azureml.pipeline.core import PipelineRun
from azureml.pipeline.core.graph import PipelineParameter
from azureml.pipeline.steps import PythonScriptStep
from zmyzheng.amlpipeline.HttpTriggeredPipeline import HttpTriggeredPipeline


class Rates(HttpTriggeredPipeline):
    def registerDataStores(self) -> None:
        self.store = self.ws.get_default_datastore()

    def definePipelineSteps(self) -> None:
        settings = RunConfiguration()
        settings.environment.python.user_managed_dependencies = True
        rate = PipelineParameter("rate", 0.1)
        step = PythonScriptStep(
            "step.py",
            source_directory="code",
            arguments=["--rate", rate],
            compute_target=self.computeTarget,
            runconfig=settings,
        )
        self.steps.append(step)


names = json.loads(Path("config.json").read_text())
rates = Rates(
    os.environ["AZUREML_SERVICE_PRINCIPAL_TENANT_ID"],
    names["subscription_id"],
    names["resource_group"],
    names["workspace_name"],
    os.environ["AZUREML_SERVICE_PRINCIPAL_ID"],
    os.environ["AZUREML_SERVICE_PRINCIPAL_PASSWORD"],
    storageAccountName="",
    storageAccountKey="",
    computeTargetClusterName="rates",
    computeTargetVmSize="STANDARD_D2_V2",
    computeTargetClusterMinNodes=0,
)
rates.registerDataStores()
rates.definePipelineSteps()
published = rates.publishPipeline("rates", "logs a rate", "1")
address = rates.exposeHttpTriggeredEndpoint(published, "rates", "logs a rate")
newer = rates.publishPipeline("rates", "logs a rate", "2")
assert rates.exposeHttpTriggeredEndpoint(newer, "rates", "logs a rate") == address
wish = {"ExperimentName": "rates", "ParameterAssignments": {"rate": 0.5}}
answer = requests.post(address, headers=rates.ws._auth.get_authentication_header(), json=wish)
answer.raise_for_status()
run = PipelineRun(rates.ws.experiments["rates"], answer.json()["Id"])
run.wait_for_completion(show_output=False)
assert [step.get_metrics() for step in run.get_steps()] == [{"rate": 0.5}]
