"""Bare requests to a rehearsal, for what the real client would not send."""

from __future__ import annotations

import http.client
import json
import ssl
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from aml_rehearsal import Rehearsal
from aml_rehearsal.addresses import API_HOST, ARM_HOST, LOGIN_HOST, TENANT
from aml_rehearsal.azurite import ARTIFACTS

Answer = tuple[int, Any]
Client = Callable[..., Any]  # the fixture that runs code in the real client
SERVER = "azureml-inference-server-http==1.5.1"
GENERATIONS = ("2.22.5", "3.15.0")  # of MLflow
ML_CLIENT_RELEASE = "1.35.2"  # of azure-ai-ml, the second generation's client


def written(rehearsal: Rehearsal) -> str:
    """What lies in the files that keep the state."""
    files = rehearsal.folder.glob("state.*")
    return "".join(file.read_bytes().decode(errors="replace") for file in files)


class Caller:
    """Somebody who knows HTTP and has a token."""

    def __init__(self, rehearsal: Rehearsal, role: str = "contributor") -> None:
        self.rehearsal = rehearsal
        self.scope = rehearsal.workspace.names.scope
        self.tls = ssl.create_default_context(cafile=rehearsal.variables()["REQUESTS_CA_BUNDLE"])
        own = rehearsal.variables(role)
        _, answer = self.log_in(own["AZUREML_SERVICE_PRINCIPAL_ID"], own["AZUREML_SERVICE_PRINCIPAL_PASSWORD"])
        self.token: str = answer["access_token"]

    def log_in(self, client_id: str, secret: str) -> Answer:
        form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
        path, kind = f"/{TENANT}/oauth2/v2.0/token", {"Content-Type": "application/x-www-form-urlencoded"}
        return self.send("POST", f"https://{LOGIN_HOST}{path}", urlencode(form).encode(), kind)

    def send(self, method: str, url: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Answer:
        """Send a request through the proxy; return the status and what is in the answer."""
        address = urlsplit(url)
        proxy = urlsplit(self.rehearsal.url)
        connection = http.client.HTTPSConnection(str(proxy.hostname), proxy.port, timeout=30, context=self.tls)
        connection.set_tunnel(str(address.hostname), 443)
        try:
            connection.request(method, url.partition(str(address.hostname))[2], body, headers or {})
            response = connection.getresponse()
            said = response.read()
        finally:
            connection.close()
        return response.status, json.loads(said) if said.startswith((b"{", b"[")) else said

    def ask(self, method: str, path: str, body: Any = None, token: str | None = None) -> Answer:
        """Ask the service; SCOPE in the path is the workspace."""
        headers = {"Authorization": f"Bearer {self.token if token is None else token}"}
        sent = b"" if body is None else json.dumps(body).encode()
        return self.send(method, f"https://{API_HOST}{path.replace('SCOPE', self.scope)}", sent, headers)

    def arm(self, method: str, path: str, body: Any = None) -> Answer:
        """Ask the resource manager; SCOPE in the path is the workspace."""
        headers = {"Authorization": f"Bearer {self.token}"}
        sent = b"" if body is None else json.dumps(body).encode()
        return self.send(method, f"https://{ARM_HOST}{path.replace('SCOPE', self.scope)}", sent, headers)

    def send_plain(self, path: str) -> str:
        """What the page says."""
        proxy = urlsplit(self.rehearsal.url)
        connection = http.client.HTTPConnection(str(proxy.hostname), proxy.port, timeout=30)
        try:
            connection.request("GET", path)
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def snapshot(self, files: dict[str, bytes], sizes: dict[str, int] | None = None) -> Answer:
        """Send a folder as the client does."""
        status, answer = self.ask("POST", "/content/v2.0SCOPE/snapshots/getblob", {"FileNames": list(files)})
        if status != 200:
            return status, answer
        nodes: list[dict[str, Any]] = []
        for node in answer["fileNodes"]:
            content = files[node["fullName"]]
            assert self.send("PUT", node["blobUri"], content, {"x-ms-blob-type": "BlockBlob"})[0] == 201
            size = (sizes or {}).get(node["fullName"], len(content))
            nodes.append({"FullName": node["fullName"], "BlobUri": node["blobUri"], "FileSize": size})
        return self.keep_snapshot(nodes)

    def keep_snapshot(self, nodes: list[dict[str, Any]]) -> Answer:
        tree: dict[str, Any] = {"children": {}}
        for node in nodes:
            *folders, name = node["FullName"].split("/")
            place = tree
            for folder in folders:
                place = place["children"].setdefault(folder, {"type": "Directory", "children": {}})
            place["children"][name] = {"type": "File"}
        wish = {"FileRevisionList": {"FileNodes": nodes}, "DirTreeNode": tree}
        return self.ask("POST", f"/content/v2.0SCOPE/snapshots/{uuid.uuid4()}", wish)

    def submit(self, files: dict[str, bytes], run_id: str = "", **changes: Any) -> Answer:
        """Submit a folder to the cluster."""
        status, answer = self.snapshot(files)
        assert status == 200, answer
        run_id = run_id or f"run_{uuid.uuid4().hex[:12]}"
        wish = {"SnapshotId": answer["id"], "Configuration": configuration(**changes)}
        path = f"/execution/v1.0SCOPE/experiments/tests/snapshotrun?runId={run_id}"
        properties = {"properties": {"ContentSnapshotId": answer["id"]}}
        answered = self.ask("POST", path, wish)
        if answered[0] == 200:
            self.ask("PATCH", f"/history/v1.0SCOPE/experiments/tests/runs/{run_id}", properties)
        return answered

    def publish(self, name: str, score: str, python: Path, **changes: Any) -> Answer:
        """Deploy a score.py as the client does, with a Python that has the inference server."""
        key = f"LocalUpload/{uuid.uuid4().hex[:8]}/score.py"
        workspace = self.rehearsal.workspace
        workspace.blobs.write(ARTIFACTS, key, score.encode())
        with workspace.state.lock:
            workspace.state.tables.artifacts[key] = {}
        wish = {"name": name, "computeType": "ACI", "environmentImageRequest": image(key, python)} | changes
        return self.ask("POST", "/modelmanagement/v1.0SCOPE/services", wish)

    def published(self, name: str, *states: str) -> dict[str, Any]:
        """Wait until a service is no longer being deployed, or in one of some states."""
        for _ in range(600):
            service: dict[str, Any] = self.rehearsal.state()["services"][name]
            if service["state"] in states or (not states and service["state"] != "Transitioning"):
                return service
            time.sleep(0.1)
        raise AssertionError(f"still {service['state']}")

    def run(self, script: str, files: dict[str, bytes] | None = None, **changes: Any) -> dict[str, Any]:
        """Submit a script and wait until its run has ended."""
        status, answer = self.submit({"train.py": script.encode()} | (files or {}), **changes)
        assert status == 200, answer
        return self.wait(answer["runId"])

    def until(self, true: Callable[[], bool]) -> None:
        """Wait until something is true."""
        for _ in range(400):
            if true():
                return
            time.sleep(0.1)
        raise AssertionError("it did not become true")

    def wait(self, run_id: str, *statuses: str) -> dict[str, Any]:
        """Wait until a run, which may not be there yet, has a status: by default one of those in which it has ended."""
        run: dict[str, Any] = {}
        for _ in range(400):
            run = self.rehearsal.state()["runs"].get(run_id, {})
            if run.get("status") in (statuses or ("Completed", "Failed", "Canceled")):
                return run
            time.sleep(0.1)
        raise AssertionError(f"{run_id}: still {run.get('status', 'not there')}")


def image(key: str, python: Path) -> dict[str, Any]:
    """What a service is to be made of: one file, no model."""
    environment = {
        "python": {"userManagedDependencies": True, "interpreterPath": str(python)},
        "environmentVariables": {"AZUREML_ENTRY_SCRIPT": "score.py"},
    }
    assets = [{"id": "score.py", "url": f"aml://artifact/{key}", "mimeType": "application/octet-stream"}]
    return {"driverProgram": "driver.py", "assets": assets, "modelIds": [], "environment": environment}


def configuration(**changes: Any) -> dict[str, Any]:
    """A run's configuration, as far as the service reads it: on the cluster, with the Python of these tests."""
    python = {"userManagedDependencies": True, "interpreterPath": sys.executable}
    return {
        "script": "train.py",
        "arguments": [],
        "target": "cpu-cluster",
        "framework": "Python",
        "communicator": "None",
        "nodeCount": 1,
        "environment": {"python": python, "environmentVariables": {}},
        "environmentVariables": {},
        "history": {"outputCollection": True, "directoriesToWatch": ["logs"]},
        "data": {},
    } | changes
