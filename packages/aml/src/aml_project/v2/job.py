"""Run what a job.yml says on this computer: its own command, with folders of here for its inputs and outputs.

What a value is goes to the shell as a variable, and never as text of the command: a value that holds `; rm` is a value.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from aml_project import model_environment, project
from aml_project.checks import v2_rules
from aml_project.command_line import WRONG_USE, Failure
from aml_project.v2 import files
from aml_project.v2.files import File, section

BINDING = re.compile(r"\$\{\{\s*(inputs|outputs)\.(\w+)(?:\.path)?\s*\}\}")
OTHERS = {"sweepJob": "aml search", "pipelineJob": "aml pipeline"}  # who runs them here
OUTPUTS = "outputs"


class Ready(NamedTuple):
    """A command for the shell, where it runs, and the variables that it reads."""

    command: str
    folder: Path
    variables: dict[str, str]


def run(path: Path, given: Mapping[str, str]) -> int:
    """Run a job with the packages of the model that its code is; return the command's own exit code."""
    root = project.root()
    job = prepare(path.resolve(), given)
    model = job.folder.relative_to(root / "models").parts[0] if job.folder.is_relative_to(root / "models") else ""
    if not model:
        raise Failure(f"{project.shown(path)}: code: is no model's folder, which has an environment: name models/NAME")
    model_environment.installed(root, model)
    programs = model_environment.program(root, model, "python").parent
    variables = job.variables | {"PATH": os.pathsep.join([str(programs), os.environ.get("PATH", os.defpath)])}
    shell = ["sh", "-c", job.command]
    return model_environment.hand_over(shell, cwd=job.folder, **variables)


def prepare(path: Path, given: Mapping[str, str]) -> Ready:
    """Make of a job what can run here; a Failure says why it can't."""
    if os.name == "nt":
        raise Failure("a job's command is one for a shell of Linux: call it in WSL")
    job = files.read_whole(path)
    shown = project.shown(path)
    if job.kind != "commandJob":
        whose = OTHERS.get(job.kind)
        raise Failure(f"{shown}: is no command job: {f'{whose} runs such here' if whose else 'name a job.yml'}")
    if found := v2_rules.examine(job):
        raise Failure("\nERROR: ".join(f"{shown}:{line}: {text}" for line, text in found))
    inputs = section(job.content, "inputs")
    if unknown := [name for name in given if name not in inputs]:
        listed = ", ".join(inputs) or "none"
        raise Failure(f"--input: {shown} has no input {unknown[0]}; there are: {listed}", WRONG_USE)
    folder = v2_rules.local(job, job.content.get("code", ".")) or path.parent
    values = dict(places(job, inputs, given, folder))
    made: dict[str, str] = {}
    command = substituted(str(job.content["command"]), values, made)
    own = {str(name): str(value) for name, value in section(job.content, "environment_variables").items()}
    return Ready(command, folder, own | made)


def places(job: File, inputs: dict[str, Any], given: Mapping[str, str], folder: Path) -> Iterator[tuple[str, str]]:
    """Where each input lies here, and a folder for each output."""
    for name, said in inputs.items():
        value = given.get(name)
        if isinstance(said, dict) and "value" not in said:
            yield f"inputs.{name}", value_path(value) if value is not None else found_here(job, name, said)
        else:
            literal = said["value"] if isinstance(said, dict) else said
            yield f"inputs.{name}", str(literal) if value is None else value
    for name in section(job.content, "outputs"):
        place = folder / OUTPUTS / name
        place.mkdir(parents=True, exist_ok=True)
        yield f"outputs.{name}", str(place)


def value_path(value: str) -> str:
    path = Path(value).absolute()
    if not path.exists():
        raise Failure(f"--input: {value}: no such file or folder", WRONG_USE)
    return str(path)


def found_here(job: File, name: str, said: dict[str, Any]) -> str:
    """A path on this computer; of a registered dataset, what its data.yml uploads."""
    path = v2_rules.local(job, said.get("path"))
    if path is not None:
        return str(path)
    called = re.match(r"azureml:([^/:@][^:@]*)", str(said.get("path")))
    for other in sorted(job.path.parent.glob("data*.yml")) if called else ():
        data = files.read(other)
        source = v2_rules.local(data, data.content.get("path"))
        if data.kind == "data" and called and data.content.get("name") == called[1] and source and source.exists():
            return str(source)
    what = f"{said.get('path')} is not on this computer"
    raise Failure(f"{project.shown(job.path)}: inputs.{name}: {what}: --input {name}=FOLDER names what stands for it")


def substituted(command: str, values: Mapping[str, str], made: dict[str, str]) -> str:
    """The command with a variable in place of each ${{…}}, in quotes as they fit where it stands."""
    parts, end, quote = [], 0, ""
    for binding in BINDING.finditer(command):
        before = command[end : binding.start()]
        quote, end = quoted_after(before, quote), binding.end()
        variable = f"AML_{binding[1].upper()}_{binding[2]}"
        made[variable] = values[f"{binding[1]}.{binding[2]}"]
        text = f"${{{variable}}}"
        parts += [before, {"": f'"{text}"', '"': text, "'": f"'\"{text}\"'"}[quote]]
    return "".join([*parts, command[end:]])


def quoted_after(text: str, quote: str) -> str:
    """Within which quotes of the shell a text ends that began within these."""
    escaped = False
    for character in text:
        if escaped:
            escaped = False
        elif character == "\\" and quote != "'":
            escaped = True
        elif character == quote:
            quote = ""
        elif not quote and character in "\"'":
            quote = character
    return quote
