"""What the README says is refused: asked for without the client, which would not even send some of it."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest
from callers import Caller, configuration

from aml_rehearsal import Rehearsal
from aml_rehearsal.addresses import ARM_HOST

RUNS = "/history/v1.0SCOPE/experiments/refusals/runs"
ENVIRONMENT = "/environment/v1.0SCOPE/environments/mine/versions/1"


def said(answer: tuple[int, Any]) -> str:
    return str(answer[1]["error"]["message"])


# -------------------------------------------------------------------------------------------------- who calls


def test_a_wrong_login_is_refused(caller: Caller) -> None:
    principal = caller.rehearsal.workspace.tokens.principals["reader"]
    status, answer = caller.log_in(principal.client_id, "wrong")
    assert (status, answer["error"]) == (401, "invalid_client")
    assert "AADSTS7000215" in answer["error_description"]
    assert caller.log_in(str(uuid.uuid4()), principal.secret)[1]["error"] == "unauthorized_client"


def test_a_wrong_token_is_refused(caller: Caller) -> None:
    path = f"{RUNS}/none"
    assert caller.ask("GET", path)[0] == 404
    head, claims, signature = caller.token.split(".")
    old = caller.rehearsal.workspace.tokens.issue("me", "contributor", lifetime=-1)
    for token in ("", "made.up.token", f"{head}.{claims}.{signature[::-1]}", old):
        assert caller.ask("GET", path, token=token)[0] == 401, token


def test_a_token_expires_and_a_new_login_helps(rehearsal: Rehearsal) -> None:
    caller = Caller(rehearsal)
    rehearsal.workspace.tokens.expire_all()
    assert caller.ask("GET", f"{RUNS}/none")[0] == 401
    assert Caller(rehearsal).ask("GET", f"{RUNS}/none")[0] == 404


@pytest.fixture(scope="module")
def known(rehearsal: Rehearsal) -> str:
    """A run that exists."""
    run_id = f"known_{uuid.uuid4().hex[:8]}"
    assert Caller(rehearsal).ask("PATCH", f"{RUNS}/{run_id}", {"properties": {"a": "b"}})[0] == 200
    return run_id


READS: list[tuple[str, str, Any]] = [
    ("GET", f"{RUNS}/RUN", None),
    ("POST", "/history/v1.0SCOPE/experiments/refusals/runs:query", {}),
    ("GET", "/modelmanagement/v1.0SCOPE/models", None),
    ("POST", "/metric/v2.0SCOPE/runs/RUN/list", {}),
    ("GET", "/datastore/v1.0SCOPE/default", None),
]
WRITES: list[tuple[str, str, Any]] = [
    ("PATCH", f"{RUNS}/RUN", {"tags": {"x": "y"}}),
    ("POST", f"{RUNS}/RUN/cancel", {}),
    ("POST", "/modelmanagement/v1.0SCOPE/models", {"name": "m"}),
    ("POST", "/datastore/v1.0SCOPE/datastores", {"name": "d"}),
    ("POST", "/dataset/v1.0SCOPE/datasets", {"name": "d"}),
    ("PUT", "/environment/v1.0SCOPE/environments/e", {}),
    ("PUT", "/rp/workspacesSCOPE/computes/c", {}),
    ("POST", "/content/v2.0SCOPE/snapshots/getblob", {"FileNames": ["a"]}),
    ("POST", "/artifact/v2.0SCOPE/artifacts/batch/metadata/ExperimentRun/dcid.RUN", {"paths": [{"path": "a"}]}),
    ("POST", "/metric/v2.0SCOPE/runs/RUN/batch", {"values": []}),
    ("POST", "/mlflow/v2.0SCOPE/api/2.0/mlflow/runs/set-tag", {"run_id": "RUN", "key": "a", "value": "b"}),
]


def test_a_reader_looks_and_does_not_write(rehearsal: Rehearsal, known: str) -> None:
    reader = Caller(rehearsal, "reader")
    for method, path, body in READS:
        assert reader.ask(method, path.replace("RUN", known), body)[0] == 200, path
    before = rehearsal.state()
    for method, path, body in WRITES:
        answer = reader.ask(method, path.replace("RUN", known), body)
        assert answer[0] == 403, path
        assert "does not have authorization" in said(answer)
    assert rehearsal.state() == before
    assert rehearsal.workspace.blobs.key not in str(reader.ask("GET", "/datastore/v1.0SCOPE/default")[1])


def test_a_stranger_gets_nothing(rehearsal: Rehearsal, known: str) -> None:
    stranger = Caller(rehearsal, "stranger")
    for method, path, body in READS + WRITES:
        assert stranger.ask(method, path.replace("RUN", known), body)[0] == 403, path


def test_another_workspace_is_not_found(caller: Caller) -> None:
    names = caller.rehearsal.workspace.names
    headers = {"Authorization": f"Bearer {caller.token}"}
    assert caller.send("GET", f"https://{ARM_HOST}{names.scope}", headers=headers)[0] == 200
    for own, kind in ((names.subscription_id, "Subscription"), ("resourceGroups/rehearsal", "ResourceGroup"),
                      ("workspaces/rehearsal", "Resource")):  # fmt: skip
        other = names.scope.replace(own, own + "2")
        status, answer = caller.send("GET", f"https://{ARM_HOST}{other}", headers=headers)
        assert (status, answer["error"]["code"]) == (404, f"{kind}NotFound")


def test_a_run_writes_to_itself_and_its_children_only(caller: Caller, known: str) -> None:
    tokens = caller.rehearsal.workspace.tokens
    own, other = tokens.issue(known, "run"), tokens.issue("another", "run")
    create = {"experiment_id": caller.ask("GET", f"{RUNS}/{known}")[1]["experimentId"]}
    create["tags"] = [{"key": "mlflow.parentRunId", "value": known}]
    child = caller.ask("POST", "/mlflow/v2.0SCOPE/api/2.0/mlflow/runs/create", create)[1]["run"]["info"]["run_id"]
    of_runs = [(method, path, body) for method, path, body in WRITES if "RUN" in path + str(body)]
    assert len(of_runs) == 5
    for target, token, expected in ((known, own, 200), (child, own, 200), (known, other, 403)):
        for method, path, body in of_runs:
            if body and "run_id" in body:
                body |= {"run_id": target}
            assert caller.ask(method, path.replace("RUN", target), body, token)[0] == expected, (path, target)
    listed = caller.ask("GET", f"{RUNS}/{known}/children")[1]["value"]
    assert [run["runId"] for run in listed] == [child]


def test_a_node_reports_for_its_own_run_and_stays_in_its_folder(caller: Caller, known: str) -> None:
    import http.client
    from urllib.parse import urlsplit

    def report(run: str, what: str, owner: str) -> int:
        connection = http.client.HTTPConnection(urlsplit(caller.rehearsal.url).netloc)
        token = caller.rehearsal.workspace.tokens.issue(owner, "run")
        connection.request("POST", f"/nodes/{run}/{what}", b"x", {"Authorization": f"Bearer {token}"})
        status = connection.getresponse().status
        connection.close()
        return status

    assert report(known, "artifact?path=a.txt", known) == 200
    assert report(known, "artifact?path=a.txt", "another") == 403
    assert report("none", "artifact?path=a.txt", "none") == 404
    assert report(known, "artifact?path=../dcid.other/a.txt", known) == 400
    assert report(known, "else", known) == 404


# ---------------------------------------------------------------------------------------------- what is asked


SUBMITS: list[tuple[dict[str, Any], str]] = [
    ({"target": "no-cluster"}, "Unknown compute target 'no-cluster'"),
    ({"nodeCount": 5}, "has at most 4"),
    ({"communicator": "Nccl", "nodeCount": 2, "pytorch": {"processCount": 3}}, "processCount: 3"),
    ({"data": {"d": {"dataLocation": {"dataset": {"name": "none"}}}}}, "Dataset none was not found"),
    ({"data": {"d": {"dataLocation": {"dataset": {"name": "numbers", "version": 7}}}}}, "numbers version 7"),
    ({"data": {"d": {"dataLocation": {"dataset": {"id": str(uuid.UUID(int=9))}}}}}, "was not found"),
    ({"data": {"d": {"dataLocation": None}}}, "names no dataset"),
]


@pytest.mark.parametrize(("changes", "reason"), SUBMITS, ids=[reason for _, reason in SUBMITS])
def test_a_run_that_can_not_be_is_refused_and_not_kept(caller: Caller, changes: dict[str, Any], reason: str) -> None:
    before = set(caller.rehearsal.state()["runs"])
    answer = caller.submit({"train.py": b""}, **changes)
    assert answer[0] == 400
    assert reason in said(answer)
    assert set(caller.rehearsal.state()["runs"]) == before


def test_a_run_id_is_used_once(caller: Caller) -> None:
    files = {"train.py": b"pass"}
    first = caller.submit(files, run_id="twice")
    assert first[0] == 200
    assert caller.submit(files, run_id="twice")[0] == 409
    assert caller.wait("twice")["status"] == "Completed"
    assert caller.submit(files, run_id="twice")[0] == 409


def test_a_run_needs_its_snapshot(caller: Caller) -> None:
    wish = {"SnapshotId": "none", "Configuration": configuration()}
    assert caller.ask("POST", "/execution/v1.0SCOPE/experiments/e/snapshotrun?runId=r-none", wish)[0] == 400


def test_a_snapshot_has_limits(caller: Caller) -> None:
    many = [f"{number}.txt" for number in range(2001)]
    answer = caller.ask("POST", "/content/v2.0SCOPE/snapshots/getblob", {"FileNames": many})
    assert answer[0] == 400 and "2000 files, not 2001" in said(answer)
    assert caller.ask("POST", "/content/v2.0SCOPE/snapshots/getblob", {"FileNames": many[:2000]})[0] == 200
    nodes = [{"FullName": name, "BlobUri": "https://x/azureml/y", "FileSize": 1} for name in many]
    assert caller.keep_snapshot(nodes)[0] == 400
    answer = caller.snapshot({"a": b"x", "b": b"x"}, sizes={"a": 200 << 20, "b": (100 << 20) + 1})
    assert answer[0] == 400 and "300 MB" in said(answer)
    assert caller.snapshot({"a": b"x", "b": b"x"}, sizes={"a": 200 << 20, "b": 100 << 20})[0] == 200


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x", "a/.."])
def test_a_name_that_leads_out_is_refused(caller: Caller, name: str, known: str) -> None:
    assert caller.ask("POST", "/content/v2.0SCOPE/snapshots/getblob", {"FileNames": [name]})[0] == 400
    node = {"FullName": name, "BlobUri": "https://x/azureml/y", "FileSize": 1}
    wish = {"FileRevisionList": {"FileNodes": [node]}, "DirTreeNode": {}}
    assert caller.ask("POST", f"/content/v2.0SCOPE/snapshots/{uuid.uuid4()}", wish)[0] == 400
    if name != "a/..":  # the run's own folder, which no blob can be
        path = f"/artifact/v2.0SCOPE/artifacts/batch/metadata/ExperimentRun/dcid.{known}"
        assert caller.ask("POST", path, {"paths": [{"path": name}]})[0] == 400


def test_a_version_that_exists_stays(caller: Caller) -> None:
    wish = {"python": {"interpreterPath": "python"}}
    assert caller.ask("PUT", ENVIRONMENT, wish)[0] == 200
    assert caller.ask("PUT", ENVIRONMENT, wish)[0] == 200
    assert caller.ask("PUT", ENVIRONMENT, {"python": {}})[0] == 409
    assert caller.ask("GET", ENVIRONMENT)[1]["python"] == wish["python"]
    assert caller.ask("GET", ENVIRONMENT.replace("/1", "/2"))[0] == 404
    model = {"name": "versioned", "version": 3}
    assert caller.ask("POST", "/modelmanagement/v1.0SCOPE/models", model)[0] == 200
    assert caller.ask("POST", "/modelmanagement/v1.0SCOPE/models", model)[0] == 409
    assert caller.ask("POST", "/modelmanagement/v1.0SCOPE/models", {"name": "versioned"})[1]["id"] == "versioned:4"
    dataset = {"name": "versioned", "latest": {"dataflow": "{}"}}
    assert caller.ask("POST", "/dataset/v1.0SCOPE/datasets", dataset)[0] == 200
    assert caller.ask("POST", "/dataset/v1.0SCOPE/datasets", dataset)[0] == 409
    store = {"name": "versioned", "dataStoreType": "AzureBlob"}
    assert caller.ask("POST", "/datastore/v1.0SCOPE/datastores", store)[0] == 200
    assert caller.ask("POST", "/datastore/v1.0SCOPE/datastores", store)[0] == 400


def test_an_asset_names_artifacts_that_exist(caller: Caller) -> None:
    wish = {"name": "a", "artifacts": [{"prefix": "ExperimentRun/dcid.none/outputs"}]}
    assert caller.ask("POST", "/modelmanagement/v1.0SCOPE/assets", wish)[0] == 404


def test_what_it_does_not_know_it_names(caller: Caller) -> None:
    answer = caller.ask("POST", "/hyperdrive/v1.0SCOPE/runs", {})
    assert answer[0] == 501 and "POST /hyperdrive" in said(answer)
    assert caller.send("POST", f"https://{ARM_HOST}/subscriptions", b"x")[0] == 501


def test_a_body_that_is_no_json_is_the_callers_fault(caller: Caller) -> None:
    headers = {"Authorization": f"Bearer {caller.token}"}
    url = f"https://westeurope.api.azureml.ms/modelmanagement/v1.0{caller.scope}/models"
    assert caller.send("POST", url, b"{", headers)[0] == 400


def test_the_storage_wants_a_signature(caller: Caller, tmp_path: Path) -> None:
    host = caller.rehearsal.workspace.blobs.host
    readable = caller.rehearsal.workspace.blob_uri("azureml", "snapshots/x", "r")
    for url in (f"https://{host}/azureml/x?restype=container&comp=list", readable):
        assert caller.send("PUT", url, b"x", {"x-ms-blob-type": "BlockBlob"})[0] == 403
