"""A web service of the workspace: what it runs, how it gets to run something else, and how it gets back.

What ran before is noted in .azureml/deployments/ before anything is sent, and the note goes once the new version has
answered. So a command that was killed leaves the way back to the next one.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from aml_project import patience
from aml_project.command_line import SERVICE_FAILED, Failure, Progress, without_secrets
from aml_project.files import write_whole
from aml_project.service.asking import ask
from aml_project.service.errors import explain, is_no_refusal, is_transient, shorten, status_in

POLL = 2.0  # seconds between two looks at a deployment
LOG_LINES = 20
ENDED = ("Succeeded", "Failed", "Cancelled", "TimedOut")
WORKED_AT = ("Transitioning", "Updating", "Deleting")
CONFLICT = 409  # somebody, perhaps an interrupted call of this very command, is at work on it
FINGERPRINT, SENT = "fingerprint", "deployment"  # tags: what is deployed; which request it was
REQUEST = ("driverProgram", "assets", "modelIds", "environment")  # what a service is made of
SECRET = ("keys", "sslCertificate", "sslKey")  # never noted; taken anew where it is sent
UNSENT = ("location", "encryptionProperties", "vnetConfiguration")  # of a service, beside what every request holds


class Refused(Exception):
    """A deployment that has ended without a service; the text is one line for the user."""

    for_user = True


class Service:
    """One service, by its name."""

    def __init__(self, workspace: Any, name: str, root: Path, timeout: float) -> None:
        self.workspace, self.name, self.timeout = workspace, name, timeout
        self.note = root / ".azureml" / "deployments" / f"{name}.json"
        self.client: Any = None  # azureml.core.Webservice, of the last request

    def record(self) -> dict[str, Any] | None:
        """Return what the workspace says about the service, or None if there is none."""
        from azureml.core.webservice import Webservice

        found: dict[str, Any] | None = ask(self.workspace, lambda: Webservice._get(self.workspace, self.name))
        return found

    def settled(self) -> dict[str, Any] | None:
        """Return the record once nobody is at work on the service."""
        for _ in patience.looks(self.timeout, POLL):
            record = self.record()
            state = record.get("state") if record else None
            if state not in WORKED_AT:
                return record
        raise Failure(
            f"{self.name}: still {state} after {self.timeout:.0f} s, from another call; later again", SERVICE_FAILED
        )

    def keys(self) -> tuple[str, ...]:
        """Return the service's keys, which nobody but a request may see."""
        from azureml.core.webservice import Webservice

        return tuple(ask(self.workspace, lambda: Webservice(self.workspace, self.name).get_keys()))

    def send(self, payload: dict[str, Any], keys: tuple[str, ...] = ()) -> None:
        """Ask for a service as the payload says; a lost answer does not make it happen twice."""
        from azureml.core.webservice import AciWebservice, AksWebservice, Webservice

        kind = {"ACI": AciWebservice, "AKS": AksWebservice}[payload["computeType"]]
        sent = uuid.uuid4().hex[:8]
        payload = payload | {"kvTags": (payload.get("kvTags") or {}) | {SENT: sent}}
        payload["keys"] = dict(zip(("primaryKey", "secondaryKey"), keys, strict=False))

        def find() -> Any:
            record = self.record()
            accepted = record is not None and (record.get("kvTags") or {}).get(SENT) == sent
            return Webservice(self.workspace, self.name) if accepted else None

        def make() -> Any:
            overwrite = bool(payload.get("overwrite"))
            return Webservice._deploy_webservice(self.workspace, self.name, payload, overwrite, kind)

        def make_once() -> Any:
            return patience.patient(make, passes=is_no_refusal, find=find, makes="service")

        # One that is at work gives way in time; or the client has sent the request again by itself.
        pauses = patience.until(self.timeout, POLL) if payload.get("overwrite") else ()
        try:
            with silence():
                self.client = ask(self.workspace, make_once, passes=is_conflict, pauses=pauses, find=find)
        except Exception as error:
            raise Failure(f"{self.name}: {explain(error)}", SERVICE_FAILED) from error

    def wait(self, say: Callable[[str], None]) -> None:
        """Return once the service is healthy; Refused says why it will not be."""
        told = ""
        with Progress(f"Waiting for {self.name}"):
            for _ in patience.looks(self.timeout, POLL):
                try:
                    state, why = self._look()
                except Exception as error:
                    if not is_transient(error):
                        raise Failure(f"{self.name}: {explain(error)}", SERVICE_FAILED) from error
                    state, why = told, ""
                if state != told:
                    say(f"{self.name}: {state}")
                    told = state
                if state == "Healthy":
                    return
                if state in (*ENDED, "Unhealthy"):
                    raise Refused(f"the deployment ended as {state}{': ' if why else ''}{why}")
        raise Failure(f"not there after {self.timeout:.0f} s (--timeout)", SERVICE_FAILED)

    def _look(self) -> tuple[str, str]:
        """Return how far the deployment is, and what the workspace says to it."""
        why = ""
        if getattr(self.client, "_operation_endpoint", None):
            state, error, _ = ask(self.workspace, self.client._get_operation_state)
            if state not in ENDED:
                return "Transitioning", ""
            why = sentence(error)
            if state != "Succeeded":
                return state, why
        record = self.record() or {}
        return str(record.get("state")), why or sentence(record.get("error"))

    def log_tail(self) -> list[str]:
        """Return the last lines of the service's log; none where there is none to be had."""
        from azureml.core.webservice import Webservice

        try:
            log = ask(self.workspace, lambda: Webservice(self.workspace, self.name).get_logs(num_lines=200))
        except Exception:
            return []
        return [without_secrets(line) for line in str(log or "").strip().splitlines()[-LOG_LINES:]]

    def address(self) -> tuple[str, str | None]:
        """Return where the service is asked, and the key for it if it wants one."""
        from azureml.core.webservice import Webservice

        service = ask(self.workspace, lambda: Webservice(self.workspace, self.name))
        if service.auth_enabled:
            return service.scoring_uri, self.keys()[0]
        if service.token_auth_enabled:
            return service.scoring_uri, ask(self.workspace, service.get_access_token).access_token
        return service.scoring_uri, None

    def delete(self) -> None:
        from azureml.core.webservice import Webservice

        if self.record() is None:
            return

        def is_gone() -> bool | None:
            return self.record() is None or None

        def delete() -> None:
            ask(self.workspace, lambda: Webservice(self.workspace, self.name).delete(), find=is_gone)

        try:
            with silence():
                patience.patient(delete, passes=is_conflict, pauses=patience.until(self.timeout, POLL), find=is_gone)
        except Exception as error:
            if not is_gone():
                raise Failure(f"{self.name}: not deleted: {explain(error)}", SERVICE_FAILED) from error

    def read_note(self) -> dict[str, Any] | None:
        """Return what a call that did not come to its end has noted: {"payload": what ran before, or None}."""
        try:
            noted = json.loads(self.note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return noted if isinstance(noted, dict) and noted.get("workspace") == scope(self.workspace) else None

    def write_note(self, payload: dict[str, Any] | None) -> None:
        write_whole(self.note, json.dumps({"workspace": scope(self.workspace), "payload": payload}))

    def done(self) -> None:
        """Forget the way back: nobody needs it any more."""
        self.note.unlink(missing_ok=True)


def request_for(workspace: Any, model: Any, inference: dict[str, Any], source: Path) -> dict[str, Any]:
    """Upload the code; return the part of a request that says what is served."""
    from azureml.core import Environment
    from azureml.core.model import InferenceConfig

    environment = Environment._deserialize_and_add_to_object(inference["environment"])
    config = InferenceConfig(inference["entryScript"], source_directory=str(source), environment=environment)
    built: dict[str, Any] = config._build_environment_image_request(workspace, [model.id])
    return built


def load_deployment(config: dict[str, Any], tags: dict[str, str]) -> Any:
    """Return the client's own deployment configuration; what it refuses is a Failure."""
    from azureml._model_management._util import deploy_config_dict_to_obj

    try:
        return deploy_config_dict_to_obj(config, tags, None, None)
    except Exception as error:
        cause = error.__cause__ or error
        said = shorten(str(getattr(cause, "message", cause)))
        raise Failure(f"deployment-config-{config['computeType'].lower()}.yml: {said}") from error


def payload_for(config: Any, name: str, request: dict[str, Any], *, overwrite: bool) -> dict[str, Any]:
    """Return the request for a service, as the client builds it."""
    payload: dict[str, Any] = config._build_create_payload(name, request, overwrite=overwrite)
    if target := getattr(config, "compute_target_name", None):
        payload["computeName"] = target
    return payload


def payload_of(record: dict[str, Any], new: dict[str, Any]) -> dict[str, Any] | None:
    """Return the request that makes a service what its record says, beginning with the request for the new one.

    None if it runs what was not deployed from an environment, as services of 2019.
    """
    made_of = record.get("environmentImageRequest") or {}
    if not made_of.get("driverProgram"):
        return None
    payload = copy.deepcopy({key: value for key, value in new.items() if key not in SECRET})
    for key in {*payload, *UNSENT}:
        if record.get(key) is not None:
            payload[key] = record[key]
        elif key not in ("name", "computeType", "overwrite"):
            payload.pop(key, None)
    kept = {key: made_of[key] for key in REQUEST if key in made_of}
    kept["modelIds"] = model_ids(record)
    return payload | {"environmentImageRequest": kept, "overwrite": True}


def model_ids(record: dict[str, Any]) -> list[str]:
    """Return the models that a service, or a request for one, is made of."""
    made_of = record.get("environmentImageRequest") or {}
    ids = made_of.get("modelIds") or [model["id"] for model in record.get("models") or []]
    return [str(model_id) for model_id in ids]


def in_words(record: dict[str, Any] | None) -> str:
    """Name what a service, or a request for one, is made of."""
    models = ", ".join(model_id.replace(":", " version ") for model_id in model_ids(record or {}))
    code = ((record or {}).get("kvTags") or {}).get(FINGERPRINT)
    return f"{models or 'nothing'}{f', code {code[:7]}' if code else ''}"


def find_model(workspace: Any, name: str, version: str | None) -> Any:
    """Return a version of a registered model, the newest unless one is named."""
    from azureml.core import Model

    found = ask(workspace, lambda: Model.list(workspace, name=name, expand=False))
    versions = {str(model.version): model for model in found if model.name == name}
    if not versions:
        raise Failure(f"no model {name} is registered in {workspace.name}: make register")
    newest = max(versions, key=int)
    if version and version not in versions:
        raise Failure(f"--version: {name} has no version {version}; its newest is {newest}")
    return versions[version or newest]


def check_cluster(workspace: Any, name: str) -> None:
    """Refuse a cluster that is none of Kubernetes."""
    from azureml.core import ComputeTarget

    from aml_project.service.compute import find

    record = find(workspace, name)
    kind = ((record or {}).get("properties") or {}).get("computeType")
    if kind not in ("AKS", "Kubernetes"):
        targets = ask(workspace, lambda: ComputeTarget.list(workspace))
        there = ", ".join(sorted(target.name for target in targets if target.type in ("AKS", "Kubernetes"))) or "none"
        what = f"is no Kubernetes cluster but {kind}" if kind else "is not attached to the workspace"
        raise Failure(f"deployment-config-aks.yml: computeTargetName: {name} {what}; Kubernetes clusters: {there}")


def is_conflict(error: Exception) -> bool:
    return status_in(error) == CONFLICT


def sentence(error: Any) -> str:
    """Take what there is to know out of an error of the service."""
    if not isinstance(error, dict):
        return shorten(str(error)) if error else ""
    details = [sentence(detail) for detail in error.get("details") or []]
    said = [str(error.get("message") or error.get("code") or "").rstrip(". "), *details]
    return shorten("; ".join(dict.fromkeys(filter(None, said))))


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """The client prints dots and advice of its own."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield


def scope(workspace: Any) -> str:
    return str(workspace.service_context._get_workspace_scope()).lower()
