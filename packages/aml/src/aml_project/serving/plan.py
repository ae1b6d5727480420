"""What the files and the arguments say about a deployment, before anybody is asked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from aml_project.command_line import WRONG_USE, Failure
from aml_project.runconfigs import deployment_files as config_files
from aml_project.service import registration_rules
from aml_project.serving import sample_request, source

TARGETS = ("local", "aci", "aks")
TIMEOUTS = {True: 120.0, False: 1800.0}  # seconds for a service to come up, here and in Azure
LOCAL = "local"  # the target, and the version that is the model of the last training here
SERVICE = r"[a-z][-a-z0-9]{1,30}[a-z0-9]"
SERVICE_RULE = "3 to 32 of a-z, 0-9 and '-', starting with a letter, not ending in '-'"


@dataclass
class Plan:
    """A model that is to be served."""

    root: Path
    folder: Path
    target: str
    name: str
    version: str | None
    service: str
    docker: str
    timeout: float
    inference: dict[str, Any]
    deployment: dict[str, Any]
    sample: bytes
    files: list[str]
    commit: str

    @property
    def model(self) -> str:
        return self.folder.name

    @property
    def source(self) -> str:
        return str(self.inference.get("sourceDirectory", "."))

    def fingerprint(self, model_id: str) -> str:
        """Return a text that is the same if, and only if, the same is deployed in the same way."""
        also = (self.inference, self.deployment, model_id)
        return source.fingerprint(self.folder, self.source, self.files, *also)

    def variables(self) -> dict[str, str]:
        """Return the environment variables of the server, as the inference configuration and git say."""
        said: dict[str, str] = self.inference["environment"].get("environmentVariables") or {}
        return said | ({"CODE_COMMIT": self.commit} if self.commit else {})

    def copy_code(self, to: Path) -> Path:
        """Copy what is deployed of the folder."""
        return source.copy(self.folder, self.source, self.files, to)


class Service(NamedTuple):
    """What is served, and what it has answered to the sample request."""

    name: str
    what: str  # model, version and code, in words
    version: str
    url: str
    answer: str

    def __repr__(self) -> str:
        return f"{self.name}: {self.what}, at {self.url} answers {self.answer}"


def make(
    root: Path,
    model: str,
    target: str,
    *,
    version: str | int | None = None,
    name: str | None = None,
    service: str | None = None,
    docker: str = "auto",
    timeout: float | None = None,
) -> Plan:
    """Read and check everything; a Failure says what is wrong."""
    if target not in TARGETS:
        raise Failure(f"--target: {', '.join(TARGETS)}; not {target!r}", WRONG_USE)
    if target == LOCAL and service:
        raise Failure("--service: goes with --target aci or aks; here the port says which service it is", WRONG_USE)
    if target != LOCAL and docker != "auto":
        raise Failure("--docker: goes with --target local", WRONG_USE)
    name, version = name or model, None if version is None else str(version)
    timeout = TIMEOUTS[target == LOCAL] if timeout is None else timeout
    service = service or f"{model.replace('_', '-')[: 31 - len(target)].strip('-')}-{target}"
    check_arguments(target, name, version, service, timeout)
    folder = root / "models" / model
    inference = config_files.read_inference(folder)
    deployment = config_files.read_deployment(folder, target)
    files = source.files_of(folder, inference.get("sourceDirectory", "."))
    if inference["entryScript"] not in files:
        raise Failure(f"models/{model}/.amlignore: keeps {inference['entryScript']} back: take it out there")
    return Plan(
        root=root,
        folder=folder,
        target=target,
        name=name,
        version=version,
        service=service,
        docker=docker,
        timeout=timeout,
        inference=inference,
        deployment=deployment,
        sample=sample_request.read(folder),
        files=files,
        commit=source.commit_of(folder),
    )


def check_arguments(target: str, name: str, version: str | None, service: str, timeout: float) -> None:
    try:
        registration_rules.parse_name(name)
    except ValueError as error:
        raise Failure(f"--name: {error}", WRONG_USE) from None
    here = target == LOCAL
    if version and not re.fullmatch(r"[1-9]\d{0,8}", version) and not (here and version == LOCAL):
        raise Failure(f"--version: a number{', or local' if here else ''}; not {version!r}", WRONG_USE)
    if not re.fullmatch(SERVICE, service):
        raise Failure(f"--service: {SERVICE_RULE}; not {service!r}", WRONG_USE)
    if not timeout > 0:
        raise Failure(f"--timeout: more than 0 seconds; not {timeout:g}", WRONG_USE)
