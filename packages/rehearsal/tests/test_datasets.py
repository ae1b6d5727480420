"""Datasets as a node reads them: with the datastore's own credential, whatever the files are called."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import time
import uuid
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from azure.storage.blob import ContainerClient, generate_container_sas
from callers import Caller, configuration

from aml_rehearsal import Rehearsal
from aml_rehearsal.addresses import API_HOST
from aml_rehearsal.azurite import SECOND
from aml_rehearsal.dataset_files import matcher, places, root

HASHES = """
import hashlib, json, os
from pathlib import Path
folder = Path(os.environ["DATA"])
files = [Path(place) / name for place, _, names in os.walk(folder) for name in names]
found = {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
Path("outputs/found.json").write_text(json.dumps(found))
"""


@pytest.fixture
def container(rehearsal: Rehearsal) -> Iterator[ContainerClient]:
    """A new container in an account of one's own."""
    blobs = rehearsal.workspace.blobs
    made = blobs.service(SECOND, blobs.keys[SECOND]).create_container(f"data-{uuid.uuid4().hex[:12]}")
    yield made
    made.delete_container()


def registered(
    caller: Caller,
    container: ContainerClient,
    kind: str,
    credential: str | None,
    *,
    path: str = "**",
    account: str = SECOND,
) -> str:
    """A datastore and a dataset of the container's files."""
    name = f"d{uuid.uuid4().hex[:10]}"
    storage = {"accountName": account, "containerName": container.container_name, "credentialType": kind}
    store = {"name": name, "dataStoreType": "AzureBlob", "azureStorageSection": storage | {"credential": credential}}
    assert caller.ask("POST", "/datastore/v1.0SCOPE/datastores", store)[0] == 200
    register(caller, name, f"azureml://subscriptions/s/resourcegroups/g/workspaces/w/datastores/{name}/paths/{path}")
    return name


def register(caller: Caller, name: str, *addresses: str) -> None:
    steps = "---\ntype: mltable\npaths:\n" + "".join(f"  - pattern: {json.dumps(address)}\n" for address in addresses)
    wish = {"name": name, "latest": {"dataflow": json.dumps({"blocks": [], "meta": {"RsDataflow": steps}})}}
    assert caller.ask("POST", "/dataset/v1.0SCOPE/datasets", wish)[0] == 200


def wanted(dataset: str, path: str = "/data", **changes: Any) -> dict[str, Any]:
    wish = {"dataLocation": {"dataset": {"name": dataset}}, "mechanism": "mount", "pathOnCompute": path}
    return {"data": {"DATA": wish | {"environmentVariableName": "DATA", "overwrite": False} | changes}}


def failure(run: dict[str, Any]) -> str:
    assert run["status"] == "Failed"
    message = str(run["error"]["error"]["message"])
    assert "\n" not in message and len(message) < 400
    return message


def key(rehearsal: Rehearsal) -> str:
    return rehearsal.workspace.blobs.keys[SECOND]


def sas(rehearsal: Rehearsal, container: ContainerClient, permission: str, hours: float = 1) -> str:
    until = datetime.now(timezone.utc) + timedelta(hours=hours)
    return str(
        generate_container_sas(
            SECOND, container.container_name, account_key=key(rehearsal), permission=permission, expiry=until
        )
    )


ODD = {
    "a b/c d.txt": b"spaces",
    "ü/日本.csv": "Grüße".encode(),
    "#hash?query=1&b%20c%2Fd.bin": bytes(range(256)) * 999,
    "quote'\"`$HOME;|.txt": b"quotes",
    "empty": b"",
    "/".join(["n" * 200] * 5)[:1000] + "/" + "x" * 23: b"1,024 characters",
    "  leading and trailing  ": b"blanks",
}


@pytest.mark.parametrize("mechanism", ["mount", "download"])
def test_every_name_and_every_byte_arrives(
    rehearsal: Rehearsal, caller: Caller, container: ContainerClient, mechanism: str
) -> None:
    assert max(map(len, ODD)) == 1024
    for name, content in ODD.items():
        container.upload_blob(name, content)
    dataset = registered(caller, container, "AccountKey", key(rehearsal))
    run = caller.run(HASHES, arguments=["--data-path", "/data"], **wanted(dataset, mechanism=mechanism))
    assert run["status"] == "Completed", run["error"]
    found = json.loads(rehearsal.artifact(run["runId"], "outputs/found.json"))
    assert found == {name: hashlib.sha256(content).hexdigest() for name, content in ODD.items()}


def test_a_relative_path_is_one_of_the_scripts_working_directory(
    rehearsal: Rehearsal, caller: Caller, container: ContainerClient
) -> None:
    container.upload_blob("deep/a.csv", b"x")
    dataset = registered(caller, container, "AccountKey", key(rehearsal))
    script = "import os; print(open('own/data/deep/a.csv').read(), os.environ['DATA'] == os.path.abspath('own/data'))"
    run = caller.run(script, **wanted(dataset, "own/data"))
    assert run["status"] == "Completed", run["error"]
    assert rehearsal.artifact(run["runId"], "user_logs/std_log.txt") == b"x True\n"


@pytest.mark.parametrize("kind", ["Sas", "?Sas", "None"])
def test_a_datastore_opens_with_what_it_was_given(
    rehearsal: Rehearsal, caller: Caller, container: ContainerClient, kind: str
) -> None:
    container.upload_blob("a.csv", b"x")
    given = {"Sas": sas(rehearsal, container, "rl"), "?Sas": "?" + sas(rehearsal, container, "rl"), "None": None}
    dataset = registered(caller, container, kind.strip("?"), given[kind])
    run = caller.run(HASHES, **wanted(dataset))
    assert run["status"] == "Completed", run["error"]
    assert list(json.loads(rehearsal.artifact(run["runId"], "outputs/found.json"))) == ["a.csv"]


def test_a_credential_that_does_not_open_fails_the_run(
    rehearsal: Rehearsal, caller: Caller, container: ContainerClient
) -> None:
    container.upload_blob("a.csv", b"x")
    old = sas(rehearsal, container, "rl", hours=-1)
    other = rehearsal.workspace.blobs.key
    for kind, credential, reason in (
        ("Sas", old, "its SAS expired at 20"),
        ("Sas", sas(rehearsal, container, "w"), "its SAS may not read and list, only sp=w"),
        ("Sas", sas(rehearsal, container, "r"), "its SAS may not read and list, only sp=r"),
        ("Sas", sas(rehearsal, container, "l"), "a.csv can't be read: AuthorizationPermissionMismatch"),
        ("Sas", sas(rehearsal, container, "rl")[:-12] + "AAAAAAAAA%3D", "its SAS is refused by rehearsaldata"),
        ("AccountKey", other, "its account key is refused by rehearsaldata"),
        ("AccountKey", "no key", "its account key is refused by rehearsaldata"),
    ):
        dataset = registered(caller, container, kind, credential)
        said = failure(caller.run(HASHES, **wanted(dataset)))
        assert f"Dataset {dataset} version 1: datastore {dataset}: " in said and reason in said, said
        if credential:
            assert credential not in said and "sig=" not in said


def test_a_place_that_is_not_there_fails_the_run(
    rehearsal: Rehearsal, caller: Caller, container: ContainerClient
) -> None:
    container.upload_blob("a.csv", b"x")
    dataset = registered(caller, container, "AccountKey", key(rehearsal), path="none/**")
    assert f"holds no file: nothing lies at {dataset}/none/**" in failure(caller.run("", **wanted(dataset)))
    dataset = registered(caller, container, "AccountKey", "bm9uZQ==", account="elsewhere")
    assert "the rehearsal has no storage account elsewhere" in failure(caller.run("", **wanted(dataset)))
    dataset = registered(caller, container, "AccountKey", key(rehearsal))
    stores = rehearsal.workspace.state.tables.datastores
    with rehearsal.workspace.state.lock:
        stores[dataset]["azureStorageSection"]["containerName"] = "none"
    assert "there is no container none in the account rehearsaldata" in failure(caller.run("", **wanted(dataset)))
    with rehearsal.workspace.state.lock:
        del stores[dataset]
    assert f"Datastore {dataset} was not found" in failure(caller.run("", **wanted(dataset)))
    name = f"web{uuid.uuid4().hex[:8]}"
    register(caller, name, "https://example.com/a.csv")
    assert "https://example.com/a.csv is no path of a datastore" in failure(caller.run("", **wanted(name)))


@pytest.mark.parametrize("blob", ["evil/../../planted", "evil//../../planted", "evil/.."])
def test_a_blob_that_leads_out_of_the_folder_is_refused(
    rehearsal: Rehearsal, caller: Caller, container: ContainerClient, blob: str
) -> None:
    container.upload_blob("evil/good.csv", b"x")
    blobs = rehearsal.workspace.blobs
    signed = blobs.signature(container.container_name, blob, "cw", SECOND, key(rehearsal))
    place = f"https://{SECOND}.blob.core.windows.net/{container.container_name}"
    coded = blob.replace(".", "%2E").replace("/", "%2F")
    assert caller.send("PUT", f"{place}/{coded}?{signed}", b"x", {"x-ms-blob-type": "BlockBlob"})[0] == 201
    assert blob in container.list_blob_names()  # it is really there
    dataset = registered(caller, container, "AccountKey", key(rehearsal), path="evil/**")
    run = caller.run("open('outputs/ran', 'w')", **wanted(dataset))
    assert "leads out of the folder" in failure(run)
    assert f"ExperimentRun/dcid.{run['runId']}/outputs/ran" not in rehearsal.state()["artifacts"]


def test_two_blobs_for_one_place_are_named(rehearsal: Rehearsal, caller: Caller, container: ContainerClient) -> None:
    container.upload_blob("x/a//b", b"1")
    container.upload_blob("x/a/b", b"2")
    dataset = registered(caller, container, "AccountKey", key(rehearsal), path="x/**")
    assert "a//b and a/b want the same place" in failure(caller.run("", **wanted(dataset)))


def test_a_folders_own_blob_is_no_file(rehearsal: Rehearsal, caller: Caller, container: ContainerClient) -> None:
    for name, content in {"x/a": b"", "x/a/b": b"1", "x/c/": b"", "x/d": b""}.items():
        container.upload_blob(name, content)
    dataset = registered(caller, container, "AccountKey", key(rehearsal), path="x")
    run = caller.run(HASHES, **wanted(dataset))
    assert run["status"] == "Completed", run["error"]
    assert sorted(json.loads(rehearsal.artifact(run["runId"], "outputs/found.json"))) == ["a/b", "d"]


def test_two_thousand_files_and_a_large_one(rehearsal: Rehearsal, caller: Caller, container: ContainerClient) -> None:
    content = os.urandom(1 << 20) * 96
    container.upload_blob("large.bin", content)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: container.upload_blob(f"many/{number}.txt", str(number).encode()), range(2000)))
    dataset = registered(caller, container, "AccountKey", key(rehearsal))
    begun = time.monotonic()
    run_id = caller.submit({"train.py": HASHES.encode()}, **wanted(dataset))[1]["runId"]
    for _ in range(4):  # a wait is for 40 seconds at most
        if rehearsal.state()["runs"][run_id]["status"] not in {"Queued", "Preparing"}:
            break
        caller.wait(run_id, "Running", "Completed", "Failed")
    assert caller.wait(run_id)["status"] == "Completed"
    assert time.monotonic() - begun < 60
    found = json.loads(rehearsal.artifact(run_id, "outputs/found.json"))
    assert len(found) == 2001
    assert found["large.bin"] == hashlib.sha256(content).hexdigest()
    assert found["many/1999.txt"] == hashlib.sha256(b"1999").hexdigest()


def test_a_download_can_be_cancelled(rehearsal: Rehearsal, caller: Caller, container: ContainerClient) -> None:
    for number in range(1500):
        container.upload_blob(f"{number}", b"x")
    dataset = registered(caller, container, "AccountKey", key(rehearsal))
    run_id = caller.submit({"train.py": b"open('outputs/ran', 'w')"}, **wanted(dataset))[1]["runId"]
    caller.wait(run_id, "Preparing")
    assert caller.ask("POST", f"/execution/v1.0SCOPE/experiments/tests/runId/{run_id}/cancel", {})[0] == 200
    assert caller.wait(run_id)["status"] == "Canceled"
    assert f"ExperimentRun/dcid.{run_id}/outputs/ran" not in rehearsal.state()["artifacts"]


# ------------------------------------------------------------------------------- a disk that has no room for it


def local_run(caller: Caller, work: Path, **changes: Any) -> str:
    """Ask for a run on this computer, and unpack what starts it, as the client does."""
    run_id = f"local_{uuid.uuid4().hex[:10]}"
    definition = json.dumps({"Configuration": configuration(target="local", **changes)}).encode()
    body = b'--x\r\nContent-Disposition: form-data; name="files"; filename="definition.json"\r\n\r\n'
    headers = {"Authorization": f"Bearer {caller.token}", "Content-Type": "multipart/form-data; boundary=x"}
    url = f"https://{API_HOST}/execution/v1.0{caller.scope}/experiments/tests/localrun?runId={run_id}"
    status, answer = caller.send("POST", url, body + definition + b"\r\n--x--\r\n", headers)
    assert status == 200, answer
    work.mkdir()
    zipfile.ZipFile(io.BytesIO(answer)).extractall(work)
    (work / "train.py").write_text("open('outputs/ran', 'w').close()")
    return run_id


# Where the operating system refuses to write more: a limit on a file's size stands for a disk's.
LIMITED = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
os.execv(sys.executable, [sys.executable, "-I", "-m", "aml_rehearsal.run_process", "azureml-setup/job.json"])
"""


def test_a_disk_without_room_fails_the_run_and_leaves_no_half_a_file(
    rehearsal: Rehearsal, caller: Caller, container: ContainerClient, tmp_path: Path
) -> None:
    container.upload_blob("small.csv", b"x" * 50_000)
    container.upload_blob("deep/large.csv", b"x" * 3_000_000)
    dataset = registered(caller, container, "AccountKey", key(rehearsal))
    folder = tmp_path / "data"
    run_id = local_run(caller, tmp_path / "work", **wanted(dataset, str(folder)))
    assert subprocess.run([sys.executable, "-c", LIMITED], cwd=tmp_path / "work", timeout=300).returncode == 1
    said = failure(rehearsal.state()["runs"][run_id])
    assert said == f"data: DATA: Dataset {dataset} version 1: File too large: {folder}/deep/large.csv"
    assert [file.name for file in folder.rglob("*") if file.is_file() and file.name != "small.csv"] == []
    assert not (tmp_path / "work" / "outputs" / "ran").exists()


def test_a_file_that_is_there_stays_unless_overwritten(
    rehearsal: Rehearsal, caller: Caller, container: ContainerClient, tmp_path: Path
) -> None:
    container.upload_blob("a.csv", b"new")
    dataset = registered(caller, container, "AccountKey", key(rehearsal))
    folder = tmp_path / "data"
    folder.mkdir()
    for overwrite, kept in ((False, b"mine"), (True, b"new")):
        (folder / "a.csv").write_bytes(b"mine")
        wish = wanted(dataset, str(folder), overwrite=overwrite)
        run_id = local_run(caller, tmp_path / f"work-{overwrite}", **wish)
        command = [sys.executable, "-I", "-m", "aml_rehearsal.run_process", "azureml-setup/job.json"]
        done = subprocess.run(command, cwd=tmp_path / f"work-{overwrite}", timeout=300)
        assert done.returncode == (0 if overwrite else 1)
        assert (folder / "a.csv").read_bytes() == kept
        if not overwrite:
            assert "a.csv exists and overwrite is false" in failure(rehearsal.state()["runs"][run_id])


# ------------------------------------------------------------------------------------------------ the patterns


@pytest.mark.parametrize(
    ("path", "found", "folder"),
    [
        ("a/b", {"a/b/c.csv", "a/b/d/e.txt"}, "a/b"),
        ("a/b/", {"a/b/c.csv", "a/b/d/e.txt"}, "a/b/"),
        ("a/b/**", {"a/b/c.csv", "a/b/d/e.txt"}, "a/b/"),
        ("a/b/c.csv", {"a/b/c.csv"}, "a/b/c.csv"),
        ("**", {"a/b/c.csv", "a/b/d/e.txt", "a/bb/f.csv", "g(1).csv"}, ""),
        ("", {"a/b/c.csv", "a/b/d/e.txt", "a/bb/f.csv", "g(1).csv"}, ""),
        ("a/*/*.csv", {"a/b/c.csv", "a/bb/f.csv"}, "a/"),
        ("a/**/*.txt", {"a/b/d/e.txt"}, "a/"),
        ("a/b*/**", {"a/b/c.csv", "a/b/d/e.txt", "a/bb/f.csv"}, "a/"),
        ("g(1).csv", {"g(1).csv"}, "g(1).csv"),
        ("a/b/*", {"a/b/c.csv"}, "a/b/"),
    ],
)
def test_a_path_means_what_it_means_in_the_client(path: str, found: set[str], folder: str) -> None:
    blobs = {"a/b/c.csv", "a/b/d/e.txt", "a/bb/f.csv", "g(1).csv"}
    assert {blob for blob in blobs if matcher(path).fullmatch(blob)} == found
    assert root(path) == folder


def test_a_definition_is_read_in_both_forms() -> None:
    def dataset(dataflow: Any) -> dict[str, Any]:
        return {"name": "d", "latest": {"versionId": "1", "dataflow": json.dumps(dataflow)}}

    address = "azureml://subscriptions/s/resourcegroups/g/workspaces/w/datastores/own/paths/a%20b/%22c%22/**"
    steps = f"type: mltable\npaths:\n  - pattern: '{address}'\n  - folder: '{address}'\n"
    assert places(dataset({"meta": {"RsDataflow": steps}})) == [("own", 'a b/"c"/**')] * 2
    older = {"blocks": [{"arguments": {"datastores": [{"datastoreName": "own", "relativePath": "a/b"}]}}]}
    assert places(dataset(older)) == [("own", "a/b")]
    assert places({"name": "d", "latest": {"versionId": "1"}}) == []
