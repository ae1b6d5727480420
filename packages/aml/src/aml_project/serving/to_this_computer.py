"""Serve on this computer, try it, and go back to what was served before if that fails."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aml_project import model_environment, project
from aml_project.command_line import SERVICE_FAILED, Failure, Progress, note
from aml_project.files import write_whole
from aml_project.service.errors import explain
from aml_project.serving import local_service, sample_request
from aml_project.serving.local_service import Local
from aml_project.serving.plan import LOCAL, Plan, Service

TRAINED = Path("outputs", "model")


def deploy(plan: Plan, open_workspace: Callable[[], Any]) -> Service:
    """Return what is served now and what it has answered."""
    wanted = prepare(plan, open_workspace)
    before = local_service.read_note(plan.root, plan.model)
    if before and before.fingerprint == wanted.fingerprint and same_place(before, wanted):
        if local_service.is_running(before):
            note(f"port {before.port} serves {before.in_words()} of this very code already; nothing is started")
            return tried(before, plan)
        note(f"{before.in_words()} was ended from outside; starting it again")
    try:
        if before:
            local_service.stop(before)
        print(
            f"{plan.model}: {wanted.in_words()}, served by {wanted.engine or '.venv'}, log {shown(wanted, plan)}",
            flush=True,
        )
        start(wanted, plan)
        served = tried(wanted, plan)
    except (Exception, KeyboardInterrupt) as error:
        raise go_back(wanted, before, plan, error) from error
    local_service.tidy(plan.root, plan.model, [wanted, *([before] if before else [])])
    return served


def prepare(plan: Plan, open_workspace: Callable[[], Any]) -> Local:
    """Copy the model and the code to where they are served from."""
    if plan.version == LOCAL or (plan.version is None and not is_attached(plan.root)):
        version, fetch = trained_here(plan)
    else:
        version, fetch = registered(plan, open_workspace())
    files = local_service.place_model(plan.root, plan.model, plan.name, version, fetch)
    fingerprint = plan.fingerprint(f"{plan.name}:{version}")
    code = local_service.place_code(plan.root, plan.model, fingerprint, plan.copy_code)
    return Local(
        model=plan.model,
        name=plan.name,
        version=version,
        fingerprint=fingerprint,
        code=str(code),
        files=str(files),
        port=plan.deployment["port"],
        entry_script=plan.inference["entryScript"],
        variables=plan.variables() | {"MODEL_VERSION": version},
        engine=engine(plan.docker, code),
        log=str(plan.root / local_service.PLACE / plan.model / "server.log"),
    )


def trained_here(plan: Plan) -> tuple[str, Callable[[Path], object]]:
    """Return a version for the model of the last training, and what copies it."""
    folder = plan.folder / TRAINED
    if not folder.is_dir():
        raise Failure(f"models/{plan.model}/{TRAINED.as_posix()}: not there: make train MODEL={plan.model}")
    version = f"{LOCAL}-{local_service.hash_of(folder)}"
    return version, lambda to: shutil.copytree(folder, to, dirs_exist_ok=True)


def registered(plan: Plan, workspace: Any) -> tuple[str, Callable[[Path], object]]:
    """Return the version of a registered model, and what downloads it."""
    from aml_project.service import deployment

    model = deployment.find_model(workspace, plan.name, plan.version)

    def download(to: Path) -> None:
        with Progress(f"Downloading {model.id}"), deployment.silence():
            model.download(target_dir=str(to), exist_ok=True)

    return str(model.version), download


def is_attached(root: Path) -> bool:
    return (root / project.CONFIG).is_file()


def engine(docker: str, code: Path) -> str:
    """Return what runs the container; empty where the server of .venv does."""
    if docker == "no" or (docker == "auto" and not (code / local_service.DOCKERFILE).is_file()):
        return ""
    found = local_service.engine_that_answers()
    if docker == "yes" and not found:
        raise Failure("--docker yes: neither Docker nor Podman answers here", SERVICE_FAILED)
    if docker == "yes" and not (code / local_service.DOCKERFILE).is_file():
        raise Failure(f"--docker yes: the model has no {local_service.DOCKERFILE}")
    return found


def same_place(one: Local, other: Local) -> bool:
    return (one.port, one.engine, one.files) == (other.port, other.engine, other.files)


def start(local: Local, plan: Plan) -> None:
    """Start and note it, and return once it answers."""
    server = model_environment.server(plan.root, plan.model, Path(local.code))
    local_service.start(local, server)
    local_service.write_note(plan.root, plan.model, local)
    local_service.wait(local, plan.timeout, sample_request.is_up)


def tried(local: Local, plan: Plan) -> Service:
    url = f"http://127.0.0.1:{local.port}/score"
    with Progress("Waiting for the answer"):
        answer = sample_request.ask(url, plan.sample, local.version)
    return Service(plan.model, local.in_words(), local.version, url, answer)


def go_back(wanted: Local, before: Local | None, plan: Plan, error: BaseException) -> BaseException:
    """Serve what was served before; return the end of the command, which says in one line what is served now."""
    interrupted = isinstance(error, KeyboardInterrupt)
    why = "interrupted" if interrupted else explain(error)
    try:
        if not interrupted:
            for line in local_service.log_tail(wanted):
                print(f"  | {line}", file=sys.stderr)
        local_service.stop(wanted)
        local_service.write_note(plan.root, plan.model, before)
        now = "nothing is served, as before"
        if before:
            start(before, plan)
            now = f"{before.in_words()} is served again"
    except (Exception, KeyboardInterrupt) as trouble:
        again = explain(trouble) if str(trouble) else "interrupted"
        return Failure(f"{wanted.in_words()}: {why}; and there was no way back: {again}")
    line = f"{wanted.in_words()}: {why}; {now}"
    return KeyboardInterrupt(line) if interrupted else Failure(line, getattr(error, "code", SERVICE_FAILED))


def stop(root: Path, model: str, *, dry_run: bool) -> str:
    """End what is served; say in one line what that was."""
    local = local_service.read_note(root, model)
    if local is None:
        return f"{model}: nothing is served here"
    if dry_run:
        return f"Would end {local.in_words()} on port {local.port}"
    local_service.stop(local)
    local_service.write_note(root, model, None)
    return f"{model}: {local.in_words()} on port {local.port} is ended"


def shown(local: Local, plan: Plan) -> str:
    return Path(local.log).relative_to(plan.root).as_posix()


def save(plan: Plan, file: Path) -> str:
    """Write the inference configuration with its packages: what `az ml model deploy --ic` reads."""
    write_whole(file, json.dumps(plan.inference, indent=2) + "\n")
    return f"{file}: for az ml model deploy --ic, in the model's folder"
