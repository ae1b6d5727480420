"""A pipeline of Azure ML's second generation: the file that `az ml job create` takes, and a component for each step.

Nothing of ours runs there but a registration: a component's command is the script's, and what a path hands on is
copied. This client can't submit it itself.
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Any

from aml_project.command_line import DONE, Failure
from aml_project.files import write_whole
from aml_project.pipeline import azure_steps
from aml_project.pipeline.azure_steps import PARTS, REGISTERS, RULES, key, part_of
from aml_project.pipeline.definition import Output, Reference, Source, Step
from aml_project.pipeline.engines import Order
from aml_project.project import shown
from aml_project.runconfigs import reading
from aml_project.search import azure_space, trials
from aml_project.search import definition as searches
from aml_project.search.engines import sweep
from aml_project.values import Value, words

SCHEMAS = "https://azuremlschemas.azureedge.net/latest"
COMPONENTS = "components"
FOLDER = {"type": "uri_folder"}
KINDS = {bool: "boolean", int: "integer", float: "number", str: "string"}


def kept_in(order: Order) -> Path:
    raise Failure(f"v2: its runs are in the workspace alone: az ml has made them of {order.model}'s file")


def refresh(order: Order) -> bool:
    kept_in(order)
    return False


def stop(order: Order) -> int:
    kept_in(order)
    return DONE


def lacks(order: Order) -> list[str]:
    found = []
    for step in order.pipeline.steps.values():
        if step.after:
            mend = f"let it read what {step.after[0]} hands on"
            found.append(f"steps.{step.name}.after: a job of az ml orders steps by what they read: {mend}")
        if step.kind == "search":
            search = searches.read(order.folder, step.script)
            found += [f"steps.{step.name}: {line}" for line in azure_space.lacks(search, "a sweep")]
    return found


def run(order: Order) -> int:
    assert order.write is not None
    file = order.write.resolve()
    command = f"az ml job create -f {shown(file)}"
    writer = Writer(order, file.parent)
    content = writer.job()
    for step in order.pipeline.steps.values():
        writer.write_component(step)
    head = f"# Made of models/{order.model}/pipeline.yml. To submit it:\n#   {command}\n"
    write_whole(order.write, head + as_yaml(content))
    print(f"Written: {shown(file)} and {shown(writer.components)}/. To submit it: {command}")
    return DONE


def as_yaml(content: dict[str, Any]) -> str:
    import yaml

    return str(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=10_000))


class Writer:
    """Makes the job and its components; each file names others from where it lies."""

    def __init__(self, order: Order, place: Path) -> None:
        self.order, self.components = order, place / COMPONENTS
        self.pipeline = order.pipeline
        self.config = reading.read(reading.find(order.folder, order.config))

    def job(self) -> dict[str, Any]:
        inputs: dict[str, Any] = {}
        for name, dataset in azure_steps.datasets(self.order, self.config).items():
            path = f"azureml:{dataset.name}{'@latest' if dataset.version == 'latest' else f':{dataset.version}'}"
            inputs[key(name)] = FOLDER | {"path": path, "mode": "download" if dataset.download else "ro_mount"}
        inputs |= {key(name): value for name, value in self.pipeline.parameters.items()}
        return {
            "$schema": f"{SCHEMAS}/pipelineJob.schema.json",
            "type": "pipeline",
            "display_name": self.order.model,
            "experiment_name": self.order.experiment,
            "settings": {"default_compute": f"azureml:{self.order.on or self.config.get('target')}"},
            **({"inputs": inputs} if inputs else {}),
            "jobs": {key(step.name): self.node(step) for step in self.pipeline.order()},
        }

    def node(self, step: Step) -> dict[str, Any]:
        """A step as the job has it: its component, and what that is handed."""
        component = f"./{COMPONENTS}/{step.name}.yml"
        inputs = {key(name): self.source(source) for name, source in step.inputs.items()}
        inputs |= {key(name): f"${{{{parent.inputs.{key(name)}}}}}" for name in self.used(step)}
        made: dict[str, Any] = {"type": step.kind if step.kind == "parallel" else "command"}
        if step.kind == "search":
            made = {"type": "sweep", "trial": component, **sweep.how(searches.read(self.order.folder, step.script))}
        else:
            made["component"] = component
        if step.compute:
            made["compute"] = f"azureml:{step.compute}"
        outputs = {key(output.name): {"type": self.kind(step, output)} for output in step.outputs.values()}
        return made | ({"inputs": inputs} if inputs else {}) | ({"outputs": outputs} if outputs else {})

    def used(self, step: Step) -> list[str]:
        """The parameters of the pipeline that a step's arguments are."""
        return sorted({value.name for value in step.arguments.values() if isinstance(value, Reference)})

    def source(self, source: Source) -> str:
        if source.step:
            return f"${{{{parent.jobs.{key(source.step)}.outputs.{key(source.name)}}}}}"
        return f"${{{{parent.inputs.{key(source.name)}}}}}"

    def kind(self, step: Step, output: Output) -> str:
        return "uri_file" if step.kind == "parallel" and output.kind == "file" else "uri_folder"

    # A component

    def write_component(self, step: Step) -> None:
        if step.kind == "register":
            for part in (PARTS / REGISTERS, RULES):
                write_whole(self.components / step.name / part.name, part.read_bytes())
            write_whole(self.components / f"{step.name}-conda.yml", as_yaml(azure_steps.own_packages(sys.version)))
        write_whole(self.components / f"{step.name}.yml", as_yaml(self.component(step)))

    def component(self, step: Step) -> dict[str, Any]:
        kind = "parallel" if step.kind == "parallel" else "command"
        inputs: dict[str, Any] = {key(name): {"type": self.type_of(source)} for name, source in step.inputs.items()}
        for name in self.used(step):
            inputs[key(name)] = {"type": KINDS[type(self.pipeline.parameters[name])]}
        outputs = {key(output.name): {"type": self.kind(step, output)} for output in step.outputs.values()}
        made: dict[str, Any] = {
            "$schema": f"{SCHEMAS}/{kind}Component.schema.json",
            "type": kind,
            "name": key(f"{self.order.model}_{step.name}").lower(),
            "display_name": step.name,
            **({"inputs": inputs} if inputs else {}),
            **({"outputs": outputs} if outputs else {}),
        }
        if step.kind == "parallel":
            return made | self.parallel(step)
        if step.kind == "search":
            made["inputs"] = inputs | self.searched(step)
        own = step.kind == "register"
        code = self.components / step.name if own else self.order.folder
        made |= {"code": self.relative(code), "environment": self.environment(step), "command": self.command(step)}
        script = trials.SCRIPT if step.kind == "search" else step.script
        return made | (sweep.nodes_of(self.config) if script == self.config.get("script") else {})

    def type_of(self, source: Source) -> str:
        if not source.step:
            return "uri_folder"
        step = self.pipeline.steps[source.step]
        return self.kind(step, step.outputs[source.name])

    def relative(self, place: Path) -> str:
        return Path(os.path.relpath(place.resolve(), self.components)).as_posix()

    def environment(self, step: Step) -> dict[str, Any]:
        environment = self.config.get("environment") or {}
        python, docker = environment.get("python") or {}, environment.get("docker") or {}
        conda = step.conda or str(python.get("condaDependenciesFile") or "aml_config/train-conda.yml")
        file = self.components / f"{step.name}-conda.yml" if step.kind == "register" else self.order.folder / conda
        return {"image": docker.get("baseImage"), "conda_file": self.relative(file)}

    def parallel(self, step: Step) -> dict[str, Any]:
        wanted = step.parallel
        assert wanted is not None
        [output] = step.outputs.values()
        task: dict[str, Any] = {
            "type": "run_function",
            "code": self.relative(self.order.folder),
            "entry_script": step.script,
            "environment": self.environment(step),
            "program_arguments": " ".join([*self.inputs(step, without=wanted.over), *self.arguments(step)]),
        }
        if output.kind == "file":
            task["append_row_to"] = f"${{{{outputs.{key(output.name)}}}}}"
        else:
            task["program_arguments"] += f" --{output.name} ${{{{outputs.{key(output.name)}}}}}"
        return {
            "input_data": f"${{{{inputs.{key(wanted.over)}}}}}",
            "mini_batch_size": str(wanted.items),
            "error_threshold": wanted.error_threshold,
            "max_concurrency_per_instance": wanted.processes,
            "resources": {"instance_count": wanted.nodes},
            "task": task,
        }

    # The command

    def command(self, step: Step) -> str:
        if step.kind == "register":
            given = [f"--{name} {self.place(name, source)}" for name, source in step.inputs.items()]
            return " ".join(
                ["python", REGISTERS, *given, *map(shlex.quote, azure_steps.conditions(step, self.order.model))]
            )
        script = trials.SCRIPT if step.kind == "search" else step.script
        module = script.removesuffix(".py").replace("/", ".")
        outputs = [f"--{output.name} ${{{{outputs.{key(output.name)}}}}}{below(part_of(output))}"
                   for output in step.outputs.values() if output.is_argument]  # fmt: skip
        drawn = []
        if step.kind == "search":
            search = searches.read(self.order.folder, step.script)
            drawn = [f"--{one.name} ${{{{inputs.{sweep.key(one.name)}}}}}" for one in search.parameters]
        line = " ".join(["python", "-m", module, *self.inputs(step), *outputs, *self.arguments(step), *drawn])
        copies = [f"cp -r {shlex.quote(output.path)} ${{{{outputs.{key(output.name)}}}}}/"
                  for output in step.outputs.values() if not output.is_argument]  # fmt: skip
        return " && ".join([line, *copies])

    def inputs(self, step: Step, without: str = "") -> list[str]:
        return [f"--{name} {self.place(name, source)}" for name, source in step.inputs.items() if name != without]

    def place(self, name: str, source: Source) -> str:
        """Where an input lies: a folder, or what has its own name in one."""
        part = ""
        if source.step:
            step = self.pipeline.steps[source.step]
            output = step.outputs[source.name]
            part = "" if self.kind(step, output) == "uri_file" else part_of(output)
        return f"${{{{inputs.{key(name)}}}}}{below(part)}"

    def arguments(self, step: Step) -> list[str]:
        found: list[str] = []
        for name, value in step.arguments.items():
            if not isinstance(value, Reference):
                found += map(shlex.quote, words({name: value}))
            elif isinstance(self.pipeline.parameters[value.name], bool):
                found.append(f"$(echo ${{{{inputs.{key(value.name)}}}}} | grep -qi true && echo --{name})")
            else:
                found.append(f"--{name} ${{{{inputs.{key(value.name)}}}}}")
        return found

    def searched(self, step: Step) -> dict[str, Any]:
        """The parameters of a search, which a trial is handed."""
        found = {}
        for parameter in searches.read(self.order.folder, step.script).parameters:
            kind, values = azure_space.expression(parameter, searches.read(self.order.folder, step.script))
            example: Value = values[0][0] if kind == "choice" else 0.0
            found[sweep.key(parameter.name)] = {"type": KINDS[type(example)]}
        return found


def below(part: str) -> str:
    return f"/{part}" if part else ""
