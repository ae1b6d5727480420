"""The machines that web services run on: each deployment gets a container, each service an address."""

from __future__ import annotations

import contextlib
import hmac
import io
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from aml_rehearsal import interpreters, private_wheels
from aml_rehearsal.addresses import Entrance, Names
from aml_rehearsal.azurite import ARTIFACTS, Azurite, cache_folder
from aml_rehearsal.state import Record, State, now
from aml_rehearsal.webservice_door import WEB_SERVICES, Door

SECONDS = 60.0  # that a server gets until it answers, its environment being there
TOKEN_SECONDS = 12 * 3600
PATIENCE = 15  # seconds that a container gets to end
# What an entry script finds of the computer that plays its container; nothing that could hold a credential.
KEPT = ("LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT")
UNPACKED = ("app", "home")  # of a deployment's folder, while its container runs
ENDED = "The rehearsal in which it ran has ended: deploy it again."


class Hosting:
    """Everything that runs for the web services of one rehearsal; what they are is in the state's tables."""

    def __init__(self, folder: Path, names: Names, state: State, blobs: Azurite, entrance: Entrance) -> None:
        self.folder, self.names = folder, names
        self.state, self.blobs = state, blobs
        self.entrance = entrance
        self.seconds = SECONDS
        self.doors: dict[str, Door] = {}  # by service
        self.containers: dict[str, Container] = {}  # by deployment
        self.tokens: dict[str, tuple[str, float]] = {}  # service and expiry of those that it has given out
        self.threads: list[threading.Thread] = []
        self.over = False
        for part in UNPACKED:  # left by a rehearsal that was killed
            for left in self.folder.glob(f"*/*/{part}"):
                shutil.rmtree(left, ignore_errors=True)
        with state.lock:
            bury(state.tables.services, state.tables.operations)

    def deploy(self, name: str, operation: str) -> None:
        """Bring a service to what its record says; the operation tells how far it is."""
        self.thread(self.run, name, operation)

    def remove(self, name: str, operation: str) -> None:
        """End all that runs for a service which is gone from the tables."""
        door, left = self.doors.pop(name, None), self.containers_of(name)
        folders = list((self.folder / name).glob("*"))  # the next service of this name gets others

        def end() -> None:
            if door:
                door.close()
            for container in left:
                container.end()
            for folder in folders:
                shutil.rmtree(folder, ignore_errors=True)
            with self.state.lock:
                finish(self.state.tables.operations[operation], "Succeeded")

        self.thread(end)

    def thread(self, target: Any, *arguments: str) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self.threads = [one for one in self.threads if one.is_alive()] + [thread]
        thread.start()

    def close(self) -> None:
        """End everything, and wait for it."""
        with self.state.lock:
            self.over = True
            for container in self.containers.values():
                container.close()
        for door in self.doors.values():
            door.close()
        over = time.monotonic() + PATIENCE
        for thread in self.threads:
            thread.join(max(0, over - time.monotonic()))

    def containers_of(self, name: str, but: str = "") -> list[Container]:
        return [one for one in list(self.containers.values()) if one.name == name and one.deployment != but]

    def log(self, name: str, deployment: str) -> str:
        """What the newest container of a service has printed."""
        try:
            return self.log_file(name, deployment).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""

    def log_file(self, name: str, deployment: str) -> Path:
        return self.folder / name / deployment / "log.txt"

    # ---------------------------------------------------------------------------------------------- deployment

    def run(self, name: str, operation: str) -> None:
        """Serve one deployment, from its files to the end of its container."""
        why = "The container's process ended before it had reported."
        container = None
        try:
            job = self.prepare(name, operation)
            if job is None:
                return  # deleted meanwhile
            with self.state.lock:  # so that who deletes the service, or ends everything, sees it
                container = Container(name, operation, self.folder / name / operation, job)
                self.containers[operation] = container
                wanted = not self.over and self.current(name, operation) is not None
                others = self.containers_of(name, but=operation) if wanted and job["alone"] else []
                if others and name in self.doors:
                    self.doors[name].turn(0)
            if not wanted:
                container.close()
            for other in others:
                other.end()
            for report in container.reports():
                if "port" in report:
                    self.switch(name, operation, report["port"])
                elif "step" in report:
                    self.note(operation, report["step"])
                else:
                    why = report["error"]
        except Exception as error:
            why = f"The container did not start: {error}"
        finally:
            if container:
                why = "" if container.closed else why
                container.end()
            self.containers.pop(operation, None)
            self.ended(name, operation, why)
            for part in UNPACKED:
                shutil.rmtree(self.folder / name / operation / part, ignore_errors=True)

    def prepare(self, name: str, operation: str) -> Record | None:
        """Lay out the files as the container has them, and say what it is to do."""
        with self.state.lock:
            service = self.current(name, operation)
            if service is None:
                return None
            request = service["environmentImageRequest"]
            models = [self.state.tables.models[key] for key in request["modelIds"]]
            assets = self.state.tables.assets
            artifacts = {model["id"]: assets[model["url"].rpartition("/")[2]]["artifacts"] for model in models}
            known = sorted(self.state.tables.artifacts)
        folder = self.folder / name / operation
        app, home = folder / "app", folder / "home"
        for made in (app, home):
            made.mkdir(parents=True, mode=0o700)
        for asset in request["assets"]:
            self.fetch(asset["url"].removeprefix("aml://artifact/"), app, asset["id"], unpack=bool(asset.get("unpack")))
        root = app / "azureml-models"
        root.mkdir(exist_ok=True)
        places = [root / model["name"] / str(model["version"]) for model in models]
        for model, place in zip(models, places, strict=True):
            for artifact in artifacts[model["id"]]:
                for key, path in files(artifact, known):
                    self.fetch(key, place, path, unpack=bool(model.get("unpack")))
        environment = request["environment"]
        entry = (environment.get("environmentVariables") or {}).get("AZUREML_ENTRY_SCRIPT") or request["driverProgram"]
        variables = {key: os.environ[key] for key in KEPT if key in os.environ}
        variables |= self.entrance.variables
        variables |= {"HOME": str(home), "PYTHONUNBUFFERED": "1"}
        variables |= {key: str(text) for key, text in (environment.get("environmentVariables") or {}).items()}
        variables |= {
            "AML_APP_ROOT": str(app),
            "AZUREML_MODEL_DIR": str(places[0] if len(places) == 1 else root),
            "SERVICE_NAME": name,
            "SERVICE_PATH_PREFIX": prefix(service).strip("/"),
            "WORKSPACE_NAME": self.names.workspace_name,
        }
        if service.get("scoringTimeoutMs"):
            variables["SCORING_TIMEOUT_MS"] = str(service["scoringTimeoutMs"])
        wish = interpreters.wish(environment)
        return {
            "interpreter": wish["interpreter"],
            "packages": private_wheels.at_hand(wish["packages"], self.blobs, self.folder.parent / "wheels"),
            "alone": service["computeType"] == "ACI",  # one container group: the old one goes as the new one comes
            "server": self.entrance.url,
            "cache": str(cache_folder()),
            "app": str(app),
            "entry": str(app / entry),
            "log": str(self.log_file(name, operation)),
            "variables": variables,
            "seconds": self.seconds,
        }

    def fetch(self, key: str, folder: Path, path: str, *, unpack: bool) -> None:
        """Bring one artifact into a folder."""
        content = self.blobs.read(ARTIFACTS, key)
        target = folder / path
        if folder not in Path(os.path.normpath(target)).parents:
            raise ValueError(f"{path} leads out of its folder")
        target.parent.mkdir(parents=True, exist_ok=True)
        if unpack:
            with tarfile.open(fileobj=io.BytesIO(content)) as archive:
                archive.extractall(folder, filter="data")
        else:
            target.write_bytes(content)

    def current(self, name: str, operation: str) -> Record | None:
        """The service, if this deployment is still its newest."""
        service = self.state.tables.services.get(name)
        return service if service and service["deployment"] == operation else None

    def note(self, operation: str, step: str) -> None:
        with self.state.lock:
            self.state.tables.operations[operation]["operationDetails"]["subOperationType"] = step

    def switch(self, name: str, operation: str, port: int) -> None:
        """Let the requests go to a container that has just become ready, and the earlier one end."""
        with self.state.lock:
            service = self.current(name, operation)
            if service is None:
                return
            if name not in self.doors:
                self.doors[name] = Door(prefix(service), lambda header: self.admits(name, header))
            door = self.doors[name]
            before, others = door.turn(port), self.containers_of(name, but=operation)
            address = f"{door.url}/score"
            if self.entrance.apart:
                address = f"{self.entrance.outside}{WEB_SERVICES}{name}{door.prefix}/score"
            service |= {"state": "Healthy", "error": None, "scoringUri": address, "updatedTime": now()}
            finish(self.state.tables.operations[operation], "Succeeded")
        door.drain(before, PATIENCE)
        for other in others:
            other.end()

    def ended(self, name: str, operation: str, why: str) -> None:
        """Note that a container is no more; without a reason, it was to end."""
        with self.state.lock:
            tables = self.state.tables
            underway = tables.operations[operation]["state"] == "Running"
            service = self.current(name, operation)
            problem = None
            if service and why:
                problem = trouble(service["computeType"], why, self.log(name, operation))
                service |= {"state": "Failed" if underway else "Unhealthy", "error": problem, "updatedTime": now()}
                if name in self.doors and not self.containers_of(name):
                    self.doors[name].turn(0)
            if underway:
                finish(tables.operations[operation], "Failed" if problem else "Cancelled", problem)

    # ---------------------------------------------------------------------------------------------------- keys

    def admits(self, name: str, header: str | None) -> bool:
        """Whether a request may pass: with one of the keys, or a token of the service's own, where it wants one."""
        with self.state.lock:
            service = self.state.tables.services.get(name)
            if service is None:
                return False
            known = list(service["keys"].values()) if service["authEnabled"] else []
            if service.get("aadAuthEnabled"):
                known += [token for token, (of, until) in self.tokens.items() if of == name and until > time.time()]
            if not (service["authEnabled"] or service.get("aadAuthEnabled")):
                return True
        kind, _, sent = (header or "").partition(" ")
        return kind.lower() == "bearer" and any(hmac.compare_digest(sent.encode(), key.encode()) for key in known)

    def token(self, name: str) -> Record:
        """A new token for a service, which the client is to renew before it expires."""
        token, start = secrets.token_urlsafe(32), int(time.time())
        self.tokens[token] = (name, start + TOKEN_SECONDS)
        times = {"refreshAfter": start + TOKEN_SECONDS // 2, "expiryOn": start + TOKEN_SECONDS}
        return {"accessToken": token, "tokenType": "Bearer"} | times


class Container:
    """The process of one deployment; it ends when its standard input does, so it can't outlive the rehearsal."""

    def __init__(self, name: str, deployment: str, folder: Path, job: Record) -> None:
        self.name, self.deployment = name, deployment
        self.closed = False  # it was to end
        file = folder / "job.json"
        file.write_text(json.dumps(job), encoding="utf-8")
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-m", "aml_rehearsal.container", str(file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # a group of its own
        )

    def reports(self) -> Iterator[Record]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            yield json.loads(line)

    def close(self) -> None:
        """Ask it to end."""
        assert self.process.stdin is not None
        self.closed = True
        with contextlib.suppress(OSError):
            self.process.stdin.close()

    def end(self) -> None:
        """Ask it to end, unless it has ended already, and wait until it has."""
        if self.process.poll() is None:
            self.close()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            if hasattr(os, "killpg"):
                os.killpg(self.process.pid, signal.SIGKILL)  # the server with it
            self.process.kill()
            self.process.wait()


def bury(services: Mapping[str, Record], operations: Mapping[str, Record]) -> None:
    """Note that nothing runs any more of what an earlier rehearsal has deployed."""
    for service in services.values():
        if service["state"] in {"Healthy", "Transitioning"}:
            problem = {"code": "RehearsalEnded", "statusCode": 503, "message": ENDED, "details": []}
            service |= {"state": "Unhealthy", "error": problem}
        service["scoringUri"] = None
    for operation in operations.values():
        if operation["state"] == "Running":
            finish(operation, "Cancelled")


def files(artifact: Record, known: list[str]) -> Iterator[tuple[str, str]]:
    """The files of a model's artifact: where each is kept, and its path below the model's folder."""
    if one := artifact.get("id"):
        yield one, one.rpartition("/")[2]
        return
    start = str(artifact["prefix"])
    above = start.rpartition("/")[0]  # the folder that was registered keeps its name
    for key in known:
        if key == start or key.startswith(start.rstrip("/") + "/"):
            yield key, key.removeprefix(above + "/")


def prefix(service: Record) -> str:
    """On AKS the services share one address."""
    return f"/api/v1/service/{service['name']}" if service["computeType"] == "AKS" else ""


def finish(operation: Record, state: str, problem: Record | None = None) -> None:
    operation |= {"state": state, "endTime": now(), "error": problem}
    operation["operationDetails"]["subOperationState"] = state


def trouble(kind: str, why: str, log: str) -> Record:
    """An error as the service words it: the reason, and the end of the log."""
    tail = "\n".join(log.splitlines()[-20:])
    details = [{"code": "CrashLoopBackOff", "message": why}, {"code": "ContainerLog", "message": tail}]
    code = "AciDeploymentFailed" if kind == "ACI" else "KubernetesDeploymentFailed"
    message = f"{why.rstrip('.')}. More is in the logs: print(service.get_logs())"
    return {"code": code, "statusCode": 400, "message": message, "details": details}
