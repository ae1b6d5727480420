"""Deploy to the workspace, try it, and go back if that fails."""

from __future__ import annotations

import copy
import sys
import tempfile
from pathlib import Path
from typing import Any

from aml_project.command_line import REFUSED, SERVICE_FAILED, WRONG_USE, Failure, Progress, note
from aml_project.service import deployment
from aml_project.service.errors import explain
from aml_project.service.git_address import hide_git_password
from aml_project.serving import sample_request
from aml_project.serving.plan import Plan, Service

WAY_BACK = 1800.0  # seconds that it may take at least: what is given up may have to come to its end first
AGAIN = "the same command again tries, and goes back then"


def deploy(plan: Plan, workspace: Any) -> Service:
    """Return what runs now and what it has answered."""
    with Progress("Looking at the workspace"):
        model = deployment.find_model(workspace, plan.name, plan.version)
        if plan.target == "aks":
            deployment.check_cluster(workspace, plan.deployment["computeTargetName"])
        service = deployment.Service(workspace, plan.service, plan.root, plan.timeout)
        record, noted = service.settled(), service.read_note()
    kind = str(record["computeType"]).lower() if record else plan.target
    if kind != plan.target:
        raise Failure(f"{plan.service}: is a service of {kind.upper()}: take another name by --service", WRONG_USE)
    fingerprint = plan.fingerprint(model.id)
    tags = {deployment.FINGERPRINT: fingerprint} | ({"commit": plan.commit} if plan.commit else {})
    what = deployment.in_words({"models": [{"id": model.id}], "kvTags": tags})
    config = deployment.load_deployment(plan.deployment, tags)
    blank = deployment.payload_for(config, plan.service, {}, overwrite=record is not None)
    if noted:
        before = noted["payload"]
        note(f"{plan.service}: an interrupted call has left it untried; before, it ran {deployment.in_words(before)}")
    else:
        before = deployment.payload_of(record, blank) if record else None
    way_back = WayBack(service, plan, record, before, blank, untried=noted is not None)
    runs_already = record is not None and record.get("state") == "Healthy" and tag_of(record) == fingerprint
    if runs_already:
        note(f"{plan.service} runs {what} of this very code already; nothing is deployed")
        if not noted:
            return tried(service, plan, what, str(model.version))
    elif record and before is None and not noted:
        note(f"{plan.service}: what runs now was not made of code and packages; there is no way back to it")
    try:
        if not runs_already:
            request = upload(plan, workspace, model)
            service.write_note(before)
            print(f"{plan.service}: {what} in place of {deployment.in_words(before or record)}", flush=True)
            service.send(blank | {"environmentImageRequest": request}, way_back.keys)
            service.wait(lambda line: print(line, flush=True))
        served = tried(service, plan, what, str(model.version))
    except (Exception, KeyboardInterrupt) as error:
        raise way_back.take(what, error) from error
    service.done()
    return served


def upload(plan: Plan, workspace: Any, model: Any) -> dict[str, Any]:
    """Send the files that a run would get, and nothing else of the folder."""
    hide_git_password(plan.folder)
    inference = copy.deepcopy(plan.inference)
    inference["environment"]["environmentVariables"] = plan.variables()
    with Progress("Uploading the code"), tempfile.TemporaryDirectory() as folder:
        staged = plan.copy_code(Path(folder) / plan.model)
        return deployment.request_for(workspace, model, inference, staged)


def tried(service: deployment.Service, plan: Plan, what: str, version: str) -> Service:
    """Send the sample request; return what has answered what."""
    with Progress("Waiting for the answer"):
        url, key = service.address()
        answer = sample_request.ask(url, plan.sample, version, key)
    commit = f", commit {plan.commit}" if plan.commit else ""
    return Service(plan.service, f"{what}{commit}", version, url, answer)


def tag_of(record: dict[str, Any]) -> str | None:
    found: str | None = (record.get("kvTags") or {}).get(deployment.FINGERPRINT)
    return found


class WayBack:
    """To what ran before a deployment."""

    def __init__(
        self,
        service: deployment.Service,
        plan: Plan,
        record: dict[str, Any] | None,
        before: dict[str, Any] | None,
        blank: dict[str, Any],
        *,
        untried: bool,
    ) -> None:
        self.service, self.plan, self.record, self.before = service, plan, record, before
        self.untried = untried  # what the record says is not what ran before
        self.secrets = {key: blank[key] for key in deployment.SECRET if key in blank}
        # Who uses the service goes on with the same keys.
        self.keys = service.keys() if record and record.get("authEnabled") else ()

    def take(self, what: str, error: BaseException) -> BaseException:
        """Go back; return the end of the command, which says in one line what runs now."""
        interrupted = isinstance(error, KeyboardInterrupt)
        why = "interrupted" if interrupted else explain(error)
        code = REFUSED if isinstance(error, deployment.Refused) else getattr(error, "code", SERVICE_FAILED)
        try:
            if not interrupted:
                for line in self.service.log_tail():
                    print(f"  | {line}", file=sys.stderr)
            print(f"{self.plan.service}: {what}: {why}; going back", file=sys.stderr, flush=True)
            now = self.restore()
        except KeyboardInterrupt:
            return KeyboardInterrupt(f"{what}: {why}, and so was the way back. It is noted: {AGAIN}")
        except Exception as trouble:
            return Failure(
                f"{what}: {why}; and there was no way back: {explain(trouble)}. It is noted: {AGAIN}",
                SERVICE_FAILED,
            )
        self.service.done()
        line = f"{self.plan.service}: {what}: {why}; {now}"
        return KeyboardInterrupt(line) if interrupted else Failure(line, code)

    def restore(self) -> str:
        """Have run what ran before; say what that is."""
        record = self.service.record()
        if record is not None and record == self.record and not self.untried:
            return f"{deployment.in_words(record)} was not touched"
        if self.before is None:
            if self.record is not None:
                raise Failure("what ran before was not made of code and packages")
            self.service.delete()
            return "the service was new, and is deleted"
        self.service.timeout = max(self.service.timeout, WAY_BACK)
        self.service.send(self.before | self.secrets, self.keys)
        self.service.wait(lambda line: print(line, file=sys.stderr, flush=True))
        before = deployment.in_words(self.before)
        try:
            url, key = self.service.address()
            versions = [model_id.rpartition(":")[2] for model_id in deployment.model_ids(self.before)]
            sample_request.ask(url, self.plan.sample, versions[0] if versions else "", key)
        except Failure as failure:
            return f"{before} runs again, but {failure}"
        return f"{before} runs again"
