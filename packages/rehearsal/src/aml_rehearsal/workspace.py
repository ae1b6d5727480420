"""The workspace: what it is called, what it holds, and who may ask it for what."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from aml_rehearsal import azurite, hosting
from aml_rehearsal.faults import Faults
from aml_rehearsal.routing import Refusal, Reply, Request, Router
from aml_rehearsal.state import Record, State, now, set_status
from aml_rehearsal.tokens import Identity, LoginRefused, Tokens

REGION = "westeurope"
ARM_HOST = "management.azure.com"
LOGIN_HOST = "login.microsoftonline.com"
API_HOST = f"{REGION}.api.azureml.ms"
API = f"https://{API_HOST}"
WORKSPACE_ID = str(uuid.UUID(int=2))
DENIED = "AuthorizationFailed"
LOOKS = ("/list", "/full", "/rundata", ":query")  # requests that only read, though they are no GET


@dataclass(frozen=True)
class Names:
    """The three names by which a project is attached."""

    subscription_id: str = str(uuid.UUID(int=1))
    resource_group: str = "rehearsal"
    workspace_name: str = "rehearsal"

    @property
    def group_scope(self) -> str:
        return f"/subscriptions/{self.subscription_id}/resourceGroups/{self.resource_group}"

    @property
    def scope(self) -> str:
        return f"{self.group_scope}/providers/Microsoft.MachineLearningServices/workspaces/{self.workspace_name}"


@dataclass
class Provisioning:
    """How the making of a cluster goes: how often somebody looks before it is done, and why it fails if it does."""

    polls: int = 0
    error: str = ""


class Workspace:
    """One workspace and the blob storage behind it."""

    def __init__(
        self, folder: Path, names: Names, *, deterministic: bool = False, accounts: Iterable[str] = ()
    ) -> None:
        from aml_rehearsal import services  # the services know the workspace, and it knows them

        self.folder = folder
        self.names = names
        self.state = State(folder / "state.json", deterministic=deterministic)
        self.tokens = Tokens()
        self.faults = Faults()
        self.blobs = azurite.Azurite(folder / "blobs", [*accounts, *self.state.tables.storage_accounts])
        self.routers: dict[str, Router] = {ARM_HOST: services.arm, LOGIN_HOST: services.login, API_HOST: services.api}
        self.server_url = ""  # of the server in front, once it listens
        self.client_environment: dict[str, str] = {}  # what leads a client here
        self.nodes: list[threading.Thread] = []
        self.quota = 1000  # cores that a cluster may have at most
        self.provisioning = Provisioning()  # of the clusters that are made from now on
        self.waiting: dict[str, Provisioning] = {}  # by the name of what is being made
        self.hosting = hosting.Hosting(self)
        with self.state.lock:
            tables = self.state.tables
            services.resources.add_group(self, names.resource_group)
            for account in (azurite.ACCOUNT, azurite.SECOND):
                services.storage.add_account(self, names.resource_group, account)
            tables.datastores.setdefault("workspaceblobstore", self.datastore("workspaceblobstore", azurite.DATA))
            for run in tables.runs.values():
                set_status(run, "Failed", "The rehearsal ended before the run did.")
            hosting.bury(tables.services, tables.operations)

    def answer(self, request: Request) -> Reply:
        """Answer a request as the service does, refusals included."""
        try:
            router = self.routers[request.host]
            handler, request.names = router.find(request.method, request.path)
            if handler not in router.open:
                request.identity = self.tokens.check(request.headers.get("authorization"))
            self.admit(request)
            with self.state.lock:
                result = handler(self, request)
        except Refusal as refusal:
            return refusal.reply
        except LoginRefused as refused:
            said = f"AADSTS{refused.number}: {refused}"
            body = {"error": refused.error, "error_description": said, "error_codes": [refused.number]}
            return Reply(body, 401)
        return result if isinstance(result, Reply) else Reply(result)

    def admit(self, request: Request) -> None:
        """Refuse another workspace than this one, and a caller without the right."""
        names, identity = request.names, request.identity
        group = names.get("group", "")
        groups = [self.names.resource_group.lower()] if names.get("workspace") else self.state.tables.resource_groups
        made_now = request.method == "PUT" and request.path.endswith(f"/{group}")
        for kind, text, known in (
            ("Subscription", names.get("subscription"), [self.names.subscription_id.lower()]),
            ("ResourceGroup", "" if made_now else group, groups),
            ("Resource", names.get("workspace"), [self.names.workspace_name.lower()]),
        ):
            if text and text.lower() not in known:
                raise Refusal(404, f"The {kind} '{text}' could not be found.", f"{kind}NotFound")
        if identity is None or not group:
            return
        writes = request.method not in {"GET", "HEAD"} and not request.path.endswith(LOOKS)
        if identity.role == "stranger" or (identity.role == "reader" and writes):
            message = f"The client '{identity.name}' does not have authorization to perform action over "
            raise Refusal(403, f"{message}'{self.names.scope if names.get('workspace') else request.path}'.", DENIED)
        if writes:
            self.admit_run(identity, names.get("run") or names.get("container", "").removeprefix("dcid."))

    def admit_run(self, identity: Identity, run_id: str) -> None:
        """Refuse what a run writes to another run, unless that one is its child."""
        other = self.state.tables.runs.get(run_id)
        if identity.role == "run" and other and identity.name not in {run_id, other["parentRunId"], other["rootRunId"]}:
            raise Refusal(403, f"The token of {identity.name} is not for {run_id}.", DENIED)

    def blob_uri(self, container: str, name: str, permission: str) -> str:
        """The address that the client is given for a blob."""
        signature = self.blobs.signature(container, name, permission)
        return f"https://{self.blobs.host}/{container}/{quote(name)}?{signature}"

    def datastore(self, name: str, container: str) -> Record:
        storage = {
            "accountName": azurite.ACCOUNT,
            "containerName": container,
            "endpoint": "core.windows.net",
            "protocol": "https",
            "credentialType": "AccountKey",
            "credential": self.blobs.key,
            "areWorkspaceManagedIdentitiesAllowed": False,
            "blobCacheTimeout": None,
            "clientCredentials": None,
            "subscriptionId": self.names.subscription_id,
            "resourceGroup": self.names.resource_group,
            "serviceDataAccessAuthIdentity": "None",
        }
        return {
            "name": name,
            "dataStoreType": "AzureBlob",
            "hasBeenValidated": True,
            "tags": {},
            "properties": {},
            "azureStorageSection": storage,
            "createdBy": creator("rehearsal"),
            "createdTime": now(),
            "modifiedTime": now(),
        }

    def cancel_runs(self) -> None:
        """Ask what still runs to stop, and wait for it."""
        with self.state.lock:
            for run in self.state.tables.runs.values():
                set_status(run, "CancelRequested")
        over = time.monotonic() + 15
        for node in self.nodes:
            node.join(max(0, over - time.monotonic()))

    def close(self) -> None:
        """Keep what is to be kept."""
        self.state.save()
        self.blobs.stop()


def creator(name: str) -> Record:
    return {"userObjectId": name, "userTenantId": "", "userName": name, "userPuId": None}
