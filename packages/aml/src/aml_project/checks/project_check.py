"""All checks of a project: each of its models, and what the client's own loader says to their runconfigs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from aml_project import tools
from aml_project.checks import model_check
from aml_project.checks.client_loader import Client
from aml_project.command_line import Failure
from aml_project.runconfigs import reading
from aml_project.snapshot.whole import readable_size


def check(root: Path, model: str, config: str | None = None) -> list[str]:
    """Return what is wrong with a model, one line each; with one of its runconfigs alone, if that is named."""
    return examine(root, [model], config)[0]


def refuse_what_would_fail(root: Path, model: str, config: str, more: Iterable[str] = ()) -> None:
    """Check the files before they are sent for many runs: what is found would cost minutes in the cloud, for each."""
    findings = [*more, *check(root, model, reading.find(root / "models" / model, config).stem)]
    if findings:
        raise Failure("\nERROR: ".join(findings))


def examine(root: Path, models: list[str], config: str | None) -> tuple[list[str], str]:
    """The findings about some models, and what to say if there are none."""
    tools.bring_azure()
    findings: list[str] = []
    runconfigs = files = size = 0
    with Client() as client:
        for model in models:
            checked = model_check.check_model(root, model, config, client)
            findings += checked.findings
            runconfigs += checked.runconfigs
            files += checked.files
            size += checked.size
        findings += client.findings()
    lines = [" ".join(line.split()).encode("utf-8", "backslashreplace").decode() for line in findings]
    whose = models[0] if len(models) == 1 else f"{len(models)} models"
    counted = f"{runconfigs} runconfig{'' if runconfigs == 1 else 's'}"
    return lines, f"{whose}: {counted} fine; a run gets {files} files, {readable_size(size)}"
