"""The Python of a step: the model's, or one with the packages of the step's own conda file, made when first needed."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

from aml_project import model_environment
from aml_project.command_line import Failure, note
from aml_project.files import write_whole
from aml_project.pipeline.definition import Step
from aml_project.tools import find_uv

OWN = "aml_config/train-conda.yml"  # what .venv/MODEL is made of
READY = "ready"


def python_of(root: Path, model: str, step: Step) -> Path:
    if step.conda in ("", OWN):
        return model_environment.program(root, model, "python")
    version, packages, others = model_environment.read_conda_file(root / "models" / model / step.conda)
    if version is None:
        raise Failure(f"models/{model}/{step.conda}: names no python=: write one, as in python=3.11")
    digest = hashlib.sha256(json.dumps([version, packages]).encode()).hexdigest()
    environment = root / ".venv" / ".steps" / digest[:12]  # steps with the same packages share it
    python = model_environment.bin_folder(environment) / "python"
    if not (environment / READY).exists():
        if others:
            note(f"{step.conda}: from conda only, so not installed here: {', '.join(others)}")
        print(f"{step.name}: installing the packages of {step.conda}, once", flush=True)
        uv = find_uv()
        if not uv:
            raise Failure("there is no uv here, which installs: pip install uv")
        install(step, [uv, "venv", "--quiet", "--clear", "--python", version, environment])
        if packages:
            install(step, [uv, "pip", "install", "--quiet", "--python", python, *packages])
        write_whole(environment / READY, "")
    return python


def install(step: Step, command: list[str | Path]) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        said = " ".join(done.stderr.split()[-40:])
        raise Failure(f"{step.name}: the packages of {step.conda} can't be installed: {said}")
