"""The datastore tasks of prefect-azure, in a flow as its documentation has them."""

import asyncio
import json
import os
from pathlib import Path

from prefect import flow
from prefect_azure import AzureBlobStorageCredentials, AzureMlCredentials
from prefect_azure.ml_datastore import (
    ml_get_datastore,
    ml_list_datastores,
    ml_register_datastore_blob_container,
    ml_upload_datastore,
)

own = AzureMlCredentials(
    tenant_id=os.environ["AZUREML_SERVICE_PRINCIPAL_TENANT_ID"],
    service_principal_id=os.environ["AZUREML_SERVICE_PRINCIPAL_ID"],
    service_principal_password=os.environ["AZUREML_SERVICE_PRINCIPAL_PASSWORD"],
    **json.loads(Path("config.json").read_text()),
)


@flow
async def datastores() -> None:
    Path("tables").mkdir()
    Path("tables/a.csv").write_text("x\n1\n")
    default = await ml_get_datastore(own)
    login = AzureBlobStorageCredentials(
        connection_string=f"DefaultEndpointsProtocol=https;AccountName={default.account_name};"
        f"AccountKey={default.account_key};EndpointSuffix=core.windows.net"
    )
    await ml_register_datastore_blob_container(
        "flows", own, login, datastore_name="flows", create_container_if_not_exists=True
    )
    await ml_upload_datastore("tables", own, target_path="there", datastore_name="flows")
    await ml_upload_datastore(Path("tables/a.csv"), own, target_path="single", datastore_name="flows")
    listed = ml_list_datastores(own)
    assert {"workspaceblobstore", "flows"} <= set(listed), listed


asyncio.run(datastores())
