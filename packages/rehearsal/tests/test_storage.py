"""Storage: accounts and their keys by the resource manager, and blobs by key, by SAS and by login."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobServiceClient, generate_container_sas
from azureml._vendor.azure_storage.fileshare import ShareClient
from callers import Answer, Caller

from aml_rehearsal import Rehearsal, file_shares
from aml_rehearsal.addresses import ARM_HOST
from aml_rehearsal.azurite import ACCOUNT, ARTIFACTS, DATA, SECOND, SUFFIX, Azurite
from aml_rehearsal.messages import Request


class Login:
    """A credential that has logged in as somebody."""

    def __init__(self, rehearsal: Rehearsal, role: str, lifetime: float | None = None) -> None:
        self.token = rehearsal.workspace.tokens.issue("somebody", role, lifetime)

    def get_token(self, *_scopes: str, **_options: Any) -> AccessToken:
        return AccessToken(self.token, int(time.time()) + 3600)


def storage(rehearsal: Rehearsal, credential: Any, account: str = SECOND) -> BlobServiceClient:
    """The storage client as a script has it: through the proxy, over TLS."""
    variables = rehearsal.variables()
    return BlobServiceClient(
        f"https://{account}.{SUFFIX}",
        credential=credential,
        proxies={"https": variables["HTTPS_PROXY"]},
        connection_verify=variables["REQUESTS_CA_BUNDLE"],
        retry_total=0,
    )


def arm(caller: Caller, method: str, path: str, body: Any = None) -> Answer:
    """Ask the resource manager; GROUP in the path is the workspace's own group."""
    place = path.replace("GROUP", caller.rehearsal.workspace.names.group_scope)
    place = place.replace("SUB", f"/subscriptions/{caller.rehearsal.workspace.names.subscription_id}")
    sent = b"" if body is None else json.dumps(body).encode()
    return caller.send(method, f"https://{ARM_HOST}{place}", sent, {"Authorization": f"Bearer {caller.token}"})


def code(answer: Answer) -> str:
    return str(answer[1]["error"]["code"])


ACCOUNTS = "/providers/Microsoft.Storage/storageAccounts"


def test_accounts_are_listed_and_their_keys_are_for_contributors(rehearsal: Rehearsal, caller: Caller) -> None:
    for place in ("SUB", "GROUP"):
        listed = arm(caller, "GET", f"{place}{ACCOUNTS}?api-version=2023-01-01")[1]["value"]
        assert {account["name"] for account in listed} >= {ACCOUNT, SECOND}
    found = arm(caller, "GET", f"GROUP{ACCOUNTS}/{SECOND}")[1]
    assert found["properties"]["primaryEndpoints"]["blob"] == f"https://{SECOND}.{SUFFIX}/"
    assert arm(caller, "GET", f"GROUP{ACCOUNTS}/none")[0] == 404
    assert code(arm(caller, "GET", f"SUB/resourceGroups/none{ACCOUNTS}/{SECOND}")) == "ResourceGroupNotFound"
    keys = arm(caller, "POST", f"GROUP{ACCOUNTS}/{SECOND}/listKeys")[1]["keys"]
    storage(rehearsal, keys[0]["value"]).create_container("by-listed-key")
    reader, stranger = Caller(rehearsal, "reader"), Caller(rehearsal, "stranger")
    for other in (reader, stranger):
        refused = arm(other, "POST", f"GROUP{ACCOUNTS}/{SECOND}/listKeys")
        assert (refused[0], code(refused)) == (403, "AuthorizationFailed")
        assert arm(other, "PUT", f"GROUP{ACCOUNTS}/{SECOND}", {})[0] == 403
        assert arm(other, "PUT", "SUB/resourceGroups/others", {"location": "westeurope"})[0] == 403
    assert arm(reader, "GET", f"GROUP{ACCOUNTS}/{SECOND}")[0] == 200
    assert arm(stranger, "GET", f"GROUP{ACCOUNTS}/{SECOND}")[0] == 403
    assert arm(stranger, "GET", f"SUB{ACCOUNTS}")[1] == {"value": []}
    caller.token = rehearsal.workspace.tokens.issue("a-run", "run")
    assert arm(caller, "POST", f"GROUP{ACCOUNTS}/{SECOND}/listKeys")[0] == 403


def test_a_group_an_account_and_a_container_are_made(tmp_path: Path) -> None:
    with Rehearsal(tmp_path, accounts=["madenow"]) as rehearsal:
        caller = Caller(rehearsal)
        place = {"location": "westeurope"}
        account = f"SUB/resourceGroups/new{ACCOUNTS}/madenow"
        assert arm(caller, "HEAD", "SUB/resourceGroups/new")[0] == 404
        assert code(arm(caller, "PUT", account, place)) == "ResourceGroupNotFound"
        with pytest.raises(HttpResponseError, match="no storage account madenow yet"):
            storage(rehearsal, rehearsal.workspace.blobs.keys["madenow"], "madenow").create_container("early")
        assert arm(caller, "PUT", "SUB/resourceGroups/new", place)[0] == 201
        assert arm(caller, "PUT", "SUB/resourceGroups/new", place)[0] == 200
        assert code(arm(caller, "PUT", "SUB/resourceGroups/new", {"location": "eastus"})) == (
            "InvalidResourceGroupLocation"
        )
        assert code(arm(caller, "PUT", "SUB/resourceGroups/dot.", place)) == "InvalidResourceGroup"
        assert arm(caller, "HEAD", "SUB/resourceGroups/new")[0] == 204
        free = {"name": "madenow", "type": "Microsoft.Storage/storageAccounts"}
        check = "SUB/providers/Microsoft.Storage/checkNameAvailability"
        assert arm(caller, "POST", check, free)[1] == {"nameAvailable": True}
        for _ in range(2):
            assert arm(caller, "PUT", account, place | {"sku": {"name": "Standard_LRS"}})[0] == 200
        assert arm(caller, "POST", check, free)[1]["reason"] == "AlreadyExists"
        assert arm(caller, "POST", check, {"name": "No-Name"})[1]["reason"] == "AccountNameInvalid"
        unknown = arm(caller, "PUT", account.replace("madenow", "notmine"), place)
        assert unknown[0] == 400 and "rehearsal, rehearsaldata, madenow; not for notmine" in str(unknown[1])
        assert code(arm(caller, "PUT", account.replace("madenow", "No-Name"), place)) == "AccountNameInvalid"
        container = f"{account}/blobServices/default/containers/data"
        assert arm(caller, "GET", container)[0] == 404
        assert [arm(caller, "PUT", container, {})[0] for _ in range(2)] == [201, 200]
        assert arm(caller, "GET", container)[1]["name"] == "data"
        assert code(arm(caller, "PUT", container + "--x", {})) == "ContainerNameInvalid"
        listed = arm(caller, "GET", f"{account}/blobServices/default/containers")[1]["value"]
        assert [found["name"] for found in listed] == ["data"]
    with Rehearsal(tmp_path) as again:  # what it holds is kept, also where the account is not named any more
        assert "madenow" in again.state()["storage_accounts"]
        caller = Caller(again)
        assert arm(caller, "HEAD", "SUB/resourceGroups/new")[0] == 204
        keys = arm(caller, "POST", f"SUB/resourceGroups/new{ACCOUNTS}/madenow/listKeys")[1]["keys"]
        assert [found["name"] for found in storage(again, keys[0]["value"], "madenow").list_containers()] == ["data"]


def test_storage_that_runs_already_is_emptied_and_goes_on(project: Path, tmp_path: Path) -> None:
    lent = Azurite(tmp_path / "blobs")
    try:
        with Rehearsal(tmp_path / "first", project=project, blobs=lent) as first:
            storage(first, lent.keys[SECOND]).create_container("of-the-first")
            lent.write(ARTIFACTS, "ExperimentRun/of-the-first", b"1")
            assert lent.names(DATA, "")
        with Rehearsal(tmp_path / "second", blobs=lent) as second:
            assert [container.name for container in lent.client.list_containers()] == sorted(lent.containers)
            assert [lent.names(container, "") for container in lent.containers] == [[], []]
            assert list(storage(second, lent.keys[SECOND]).list_containers()) == []
        assert lent.process.poll() is None
    finally:
        lent.stop()


def test_a_login_opens_what_its_role_may(rehearsal: Rehearsal) -> None:
    content = bytes(range(256)) * 5000
    own = storage(rehearsal, Login(rehearsal, "contributor"))
    own.create_container("by-login").upload_blob("a b/ü#?%.bin", content)
    for role in ("contributor", "reader", "run"):
        container = storage(rehearsal, Login(rehearsal, role)).get_container_client("by-login")
        assert list(container.list_blob_names()) == ["a b/ü#?%.bin"]
        assert container.download_blob("a b/ü#?%.bin").readall() == content
    storage(rehearsal, Login(rehearsal, "run")).get_container_client("by-login").upload_blob("of-a-run", b"x")
    with pytest.raises(HttpResponseError) as refused:
        storage(rehearsal, Login(rehearsal, "reader")).get_container_client("by-login").upload_blob("b", b"x")
    assert refused.value.status_code == 403 and "AuthorizationPermissionMismatch" in str(refused.value)
    with pytest.raises(HttpResponseError) as refused:
        list(storage(rehearsal, Login(rehearsal, "stranger")).list_containers())
    assert refused.value.status_code == 403
    with pytest.raises(HttpResponseError) as refused:
        list(storage(rehearsal, Login(rehearsal, "contributor", -1)).list_containers())
    assert refused.value.status_code == 401
    with pytest.raises(HttpResponseError, match="delegation") as refused:
        own.get_user_delegation_key(datetime.now(timezone.utc), datetime.now(timezone.utc) + timedelta(hours=1))
    assert refused.value.status_code == 403
    assert not [line for line in rehearsal.server.requests if "sig=" in line]


def test_keys_and_signatures_are_checked_by_the_storage(rehearsal: Rehearsal) -> None:
    key, other = rehearsal.workspace.blobs.keys[SECOND], rehearsal.workspace.blobs.keys[ACCOUNT]
    container = storage(rehearsal, key).create_container("by-sas")
    container.upload_blob("a", b"x")

    def opened(permission: str, hours: float) -> Any:
        until = datetime.now(timezone.utc) + timedelta(hours=hours)
        sas = generate_container_sas(SECOND, "by-sas", account_key=key, permission=permission, expiry=until)
        return storage(rehearsal, sas).get_container_client("by-sas")

    assert opened("r", 1).download_blob("a").readall() == b"x"
    opened("rw", 1).upload_blob("b", b"y")
    for refused in (
        lambda: opened("r", 1).upload_blob("c", b"z"),
        lambda: opened("w", 1).download_blob("a").readall(),
        lambda: opened("r", -1).download_blob("a").readall(),
        lambda: list(opened("r", 1).list_blob_names()),
        lambda: list(storage(rehearsal, other).list_containers()),
    ):
        with pytest.raises(HttpResponseError) as error:
            refused()
        assert error.value.status_code == 403
    assert sorted(container.list_blob_names()) == ["a", "b"]


# ------------------------------------------------------------------------------------------------- file shares


def share(rehearsal: Rehearsal, name: str, credential: Any = None) -> Any:
    """The client of file shares that azureml-core brings."""
    variables = rehearsal.variables()
    return ShareClient(
        f"https://{SECOND}.file.core.windows.net",
        name,
        credential=credential or {"account_name": SECOND, "account_key": rehearsal.workspace.blobs.keys[SECOND]},
        proxies={"https": variables["HTTPS_PROXY"]},
        connection_verify=variables["REQUESTS_CA_BUNDLE"],
        retry_total=0,
    )


def refusal(step: Callable[[], Any]) -> tuple[int, str]:
    with pytest.raises(HttpResponseError) as refused:
        step()
    response: Any = refused.value.response
    return response.status_code, response.headers["x-ms-error-code"]


def test_a_file_share_keeps_files_in_directories(rehearsal: Rehearsal) -> None:
    own = share(rehearsal, "own")
    assert refusal(own.get_share_properties) == (404, "ShareNotFound")
    assert refusal(own.get_directory_client("a").create_directory) == (404, "ShareNotFound")
    own.create_share()
    assert refusal(own.create_share) == (409, "ShareAlreadyExists")
    folder = own.create_directory("a b")
    assert refusal(own.get_directory_client("none/deeper").create_directory) == (404, "ParentNotFound")
    content = bytes(range(256)) * 20_000  # in two ranges
    file = folder.upload_file("größe-雪 %20.bin", content)
    folder.upload_file("empty", b"")
    assert file.get_file_properties().size == len(content) and file.download_file().readall() == content
    assert file.download_file(offset=255, length=3).readall() == b"\xff\x00\x01"
    own.create_directory("a b/deep")
    found = {entry["name"]: entry["is_directory"] for entry in folder.list_directories_and_files()}
    assert found == {"deep": True, "empty": False, "größe-雪 %20.bin": False}
    assert [entry.name for entry in own.list_directories_and_files(name_starts_with="A")] == ["a b"]
    assert refusal(folder.delete_directory) == (409, "DirectoryNotEmpty")
    folder.delete_file("empty")
    assert refusal(folder.get_file_client("empty").get_file_properties) == (404, "ResourceNotFound")
    assert refusal(file.get_ranges) == (501, "NotImplemented")


def test_a_file_share_is_opened_by_its_accounts_key_alone(rehearsal: Rehearsal) -> None:
    share(rehearsal, "closed").create_share()
    wrong = {"account_name": SECOND, "account_key": rehearsal.workspace.blobs.keys[ACCOUNT]}
    for credential in (wrong, "sv=2020&sp=rl&sig=x"):
        closed = share(rehearsal, "closed", credential)
        assert refusal(closed.get_share_properties) == (403, "AuthenticationFailed")
    for name in ("No", "a"):
        assert refusal(share(rehearsal, name).create_share) == (400, "InvalidResourceName")


@pytest.mark.parametrize(
    "path", ["/..", "/../closed", "/closed/../../state.db", "/closed/.", "/closed//a", "/closed/\0"]
)
def test_no_name_leads_out_of_a_file_share(rehearsal: Rehearsal, path: str) -> None:
    """Not even one that no client would send."""
    made = file_shares.share_folder(rehearsal.workspace, SECOND, "closed")
    made.mkdir(parents=True, exist_ok=True)
    with pytest.raises(file_shares.Refused) as refused:
        file_shares.place(rehearsal.workspace, Request("GET", "", path, {}, {}, b""), SECOND)
    assert refused.value.reply.status == 400
