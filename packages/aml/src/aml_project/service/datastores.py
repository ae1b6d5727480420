"""Datastores: which container a dataset lies in, and what opens it, for us to write and for a run to read.

What opens a storage is in this order: what the datastore itself holds; an account key in AZURE_STORAGE_KEY or a SAS in
AZURE_STORAGE_SAS_TOKEN; the account's key, if the login may ask for it; the login itself. Nothing of it is printed,
written into the repo or put into a command's arguments.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qs

from aml_project.command_line import SERVICE_FAILED, WRONG_USE, Failure
from aml_project.service.errors import status_in
from aml_project.storage.container import STORAGE_SCOPE, Container, Place, expiry, is_sas, signed

KEY, SAS = "AZURE_STORAGE_KEY", "AZURE_STORAGE_SAS_TOKEN"
READING = "rl"  # what a run gets: to read and to list


def find(workspace: Any, name: str | None) -> Any:
    """Return a datastore (azureml.core.Datastore) by name, or the workspace's default; it must be a blob container."""
    datastore = get(workspace, name) if name else workspace.get_default_datastore()
    if datastore is None:
        raise Failure(f"datastore {name}: not in the workspace {workspace.name}")
    if datastore.datastore_type != "AzureBlob":
        kind = datastore.datastore_type
        raise Failure(f"datastore {datastore.name}: is {kind}, and data goes into blob containers only")
    return datastore


def get(workspace: Any, name: str) -> Any:
    """Return a datastore, or None if there is none of that name."""
    from azureml.core import Datastore

    try:
        return Datastore.get(workspace, name)
    except Exception as error:
        if status_in(error) == 404 or "not found" in str(error).lower():
            return None
        raise


def place_of(datastore: Any) -> Place:
    protocol, endpoint = datastore.protocol or "https", datastore.endpoint or "core.windows.net"
    address = f"{protocol}://{datastore.account_name}.blob.{endpoint}"
    return Place(datastore.account_name, datastore.container_name, address)


def open_datastore(workspace: Any, datastore: Any, threads: int) -> Container:
    """Open a datastore's container for writing."""
    place, own = place_of(datastore), datastore.account_key or datastore.sas_token
    if own and (not is_sas(own) or may_write(own)):
        return Container(place, own, threads)
    return Container(place, credential(workspace, place.account), threads)


def may_write(sas: str) -> bool:
    """Tell whether a SAS is still good for writing."""
    ends = expiry(sas)
    granted = set(parse_qs(sas.lstrip("?")).get("sp", [""])[0])
    return {"r", "w", "l"} <= granted and bool(ends and ends > datetime.now(timezone.utc))


def credential(workspace: Any, account: str) -> Any:
    """Return what opens an account: a key, a SAS, or a login."""
    if given := os.environ.get(KEY) or os.environ.get(SAS):
        return given
    return account_key(workspace, account) or StorageLogin()


def account_key(workspace: Any, account: str) -> str | None:
    """Ask Azure for an account's key; None if the login may not."""
    from azure.core.exceptions import AzureError
    from azure.mgmt.storage import StorageManagementClient

    client: Any = StorageManagementClient(workspace._auth_object, workspace.subscription_id)
    try:
        found = next((each for each in client.storage_accounts.list() if each.name == account), None)
        if found is None:
            return None
        group = found.id.split("/")[4]
        return str(client.storage_accounts.list_keys(group, account).keys[0].value)
    except AzureError as error:
        if status_in(error) in (401, 403):
            return None
        raise Failure(f"storage account {account}: {error}".splitlines()[0], SERVICE_FAILED) from error


class StorageLogin:
    """The login for storage: a service principal, a job of CI, or else whoever `az login` has logged in."""

    def __init__(self) -> None:
        from azure.identity import AzureCliCredential, ClientAssertionCredential, ClientSecretCredential

        from aml_project.service import assertion
        from aml_project.service.workspace import PRINCIPAL

        given = [os.environ.get(variable) for variable in PRINCIPAL]
        if all(given):
            identity, secret, tenant = map(str, given)
            self.login: Any = ClientSecretCredential(tenant, identity, secret)
        elif job := assertion.job():
            self.login = ClientAssertionCredential(job.tenant_id, job.client_id, job.assertion)
        else:
            self.login = AzureCliCredential()

    def get_token(self, *_: str, **__: Any) -> Any:
        from azure.core.exceptions import ClientAuthenticationError

        try:
            return self.login.get_token(STORAGE_SCOPE)
        except ClientAuthenticationError as error:
            reason = str(error).splitlines()[0]
            raise Failure(f"no login for storage; `az login`, or set {KEY}: {reason}", SERVICE_FAILED) from error


def register(workspace: Any, name: str, opened: Container, *, access: str, hours: float) -> Any:
    """Register a container as a datastore, or give the one that is there what opens it from now on; return it."""
    from azureml.core import Datastore

    place = opened.place
    before = get(workspace, name)
    if before is not None and place_of(before) != place:
        raise Failure(
            f"datastore {name}: is {place_of(before)}, not {place}; give another name with --datastore", WRONG_USE
        )
    given: dict[str, str] = {}
    if access == "key":
        given["account_key"] = key_of(opened)
    elif access == "sas":
        old = before.sas_token if before is not None else None
        given["sas_token"] = old if old and fresh(old, hours) else signed(place, key_of(opened), READING, hours)
    if before is not None and {"account_key": before.account_key, "sas_token": before.sas_token} == {
        "account_key": None, "sas_token": None, **given,
    }:  # fmt: skip
        return before
    return Datastore.register_azure_blob_container(
        workspace, name, place.container, place.account, overwrite=True, skip_validation=True, **given
    )


def key_of(opened: Container) -> str:
    if not opened.by_key:
        raise Failure(
            f"--access: a key or a SAS for the runs needs the account's key: set {KEY}, or take --access identity"
        )
    return str(opened.credential)


def fresh(sas: str, hours: float) -> bool:
    """Tell whether a SAS is for reading only and has most of its hours before it."""
    ends = expiry(sas)
    granted = parse_qs(sas.lstrip("?")).get("sp", [""])[0]
    half = datetime.now(timezone.utc) + timedelta(hours=hours / 2)
    return granted == READING and ends is not None and half < ends <= half + timedelta(hours=hours)
