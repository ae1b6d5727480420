"""The file that `azml run submit-pipeline` and `az ml run submit-pipeline` take, and what lies beside it.

Their parser knows no search, and no second input of a parallel step; `aml pipeline --on` has both. Each step has a
runconfig of its own, since it names its conda file from where it lies. What starts a step goes into the model's folder.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aml_project import tools
from aml_project.command_line import DONE, Failure, note
from aml_project.files import write_whole
from aml_project.pipeline import azure_steps
from aml_project.pipeline.azure_steps import PARTS, REGISTERS, RULES, STARTER, key, part_of, text
from aml_project.pipeline.definition import Output, Reference, Source, Step
from aml_project.pipeline.engines import Order
from aml_project.project import shown
from aml_project.runconfigs import reading
from aml_project.values import words

STORE = "workspaceblobstore"


def kept_in(order: Order) -> Path:
    raise Failure(f"azml: its runs are in the workspace alone: {order.model}'s file is submitted by azml itself")


def refresh(order: Order) -> bool:
    kept_in(order)
    return False


def stop(order: Order) -> int:
    kept_in(order)
    return DONE


def lacks(order: Order) -> list[str]:
    found = azure_steps.lacks(order)
    instead = "aml pipeline --on submits it"
    for step in order.pipeline.steps.values():
        if step.kind == "search":
            found.append(f"steps.{step.name}: azml's file knows no search: {instead}")
        if step.parallel:
            more = [name for name in step.inputs if name != step.parallel.over]
            found += [f"steps.{step.name}.in.{name}: azml's parser takes no second input of a parallel step: {instead}"
                      for name in more]  # fmt: skip
            if next(iter(step.outputs.values())).kind == "folder":
                found.append(f"steps.{step.name}.out: azml's parser hands on rows alone: write file; or {instead}")
        if step.after:
            found.append(f"steps.{step.name}.after: azml's file orders steps by what they hand on: {instead}")
    return found


def run(order: Order) -> int:
    import yaml

    assert order.write is not None
    tools.bring("pipeline")  # which azml needs to submit it
    file, writer = order.write, Writer(order, order.write.with_suffix(""))
    writer.write()
    place = shown(file.resolve())
    command = f"azml run submit-pipeline -y {place} -n {order.experiment}"
    head = (
        f"# Made of models/{order.model}/pipeline.yml. To submit it, from this repo's folder:\n#   {command}\n"
        f"# az ml run submit-pipeline takes the same.\n"
    )
    write_whole(file, head + yaml.safe_dump(writer.content(), sort_keys=False, allow_unicode=True, width=10_000))
    print(f"Written: {place}, {shown(file.with_suffix('').resolve())}/ and models/{order.model}/{STARTER}")
    print(f"To submit it: {command}")
    return DONE


class Writer:
    """Makes the file and what it names; paths are from the repo's folder, where azml is called."""

    def __init__(self, order: Order, beside: Path) -> None:
        self.order, self.beside = order, beside.resolve()
        self.pipeline = order.pipeline
        self.config = reading.read(reading.find(order.folder, order.config))
        self.datasets = azure_steps.datasets(order, self.config)

    def path(self, place: Path) -> str:
        return Path(os.path.relpath(place.resolve(), self.order.root.resolve())).as_posix()

    # What lies beside the file

    def write(self) -> None:
        write_whole(self.order.folder / STARTER, (PARTS / STARTER).read_bytes())
        for step in self.pipeline.steps.values():
            if step.kind == "parallel":
                self.write_yaml(f"{step.name}.yml", {"parallel_run_config": self.parallel_config(step)})
            elif step.kind == "register":
                for part in (PARTS / STARTER, PARTS / REGISTERS, RULES):
                    write_whole(self.beside / step.name / part.name, part.read_bytes())
                self.write_yaml(f"{step.name}-conda.yml", azure_steps.own_packages(sys.version))
                self.write_yaml(f"{step.name}.runconfig", self.runconfig(step, f"{step.name}-conda.yml"))
            else:
                conda = self.order.folder / self.conda(step)
                self.write_yaml(f"{step.name}.runconfig", self.runconfig(step, os.path.relpath(conda, self.beside)))

    def write_yaml(self, name: str, content: Mapping[str, Any]) -> None:
        import yaml

        write_whole(
            self.beside / name, yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True, width=10_000)
        )

    def conda(self, step: Step) -> str:
        python = (self.config.get("environment") or {}).get("python") or {}
        return step.conda or str(python.get("condaDependenciesFile") or "aml_config/train-conda.yml")

    def environment(self, step: Step, python: Mapping[str, Any]) -> dict[str, Any]:
        made = dict(self.config.get("environment") or {})
        kept = {name: value for name, value in (made.get("python") or {}).items() if name != "condaDependenciesFile"}
        if step.conda or step.kind == "register":
            made["name"] = f"{made.get('name', self.order.model)}-{step.name}"
        return made | {"python": kept | dict(python)}

    def runconfig(self, step: Step, conda: str) -> dict[str, Any]:
        made = {name: value for name, value in self.config.items() if name not in ("script", "arguments", "data")}
        if step.script != self.config.get("script"):
            made |= {"nodeCount": 1, "communicator": "None"}
        made |= {"target": self.compute(step), "arguments": []}
        return made | {"environment": self.environment(step, {"condaDependenciesFile": Path(conda).as_posix()})}

    def compute(self, step: Step) -> str:
        return step.compute or self.order.on or str(self.config.get("target"))

    def parallel_config(self, step: Step) -> dict[str, Any]:
        wanted = step.parallel
        assert wanted is not None
        file = self.order.folder / self.conda(step)
        packages = reading.read_conda(file, shown(file))
        [output] = step.outputs.values()
        return {
            "environment": self.environment(step, {"condaDependencies": packages}),
            "entry_script": STARTER,
            "source_directory": self.path(self.order.folder),
            "compute_target_name": self.compute(step),
            "node_count": wanted.nodes,
            "process_count_per_node": wanted.processes,
            "mini_batch_size": str(wanted.items),
            "error_threshold": wanted.error_threshold,
            "run_invocation_timeout": azure_steps.INVOCATION,
            "output_action": "append_row",
            "append_row_file_name": part_of(output),
        }

    # The file

    def content(self) -> dict[str, Any]:
        # The client turns each text that is handed to it into the parameter's value.
        parameters = {key(name): {"type": "string", "default": str(text(value))}
                      for name, value in self.pipeline.parameters.items()}  # fmt: skip
        for name, dataset in self.datasets.items():
            if dataset.version != "latest":
                note(f"{name}: azml's file names no version of a dataset: it is the newest {dataset.name} there")
        references = {key(name): {"dataset_name": dataset.name} for name, dataset in self.datasets.items()}
        return {
            "pipeline": {
                "description": f"{self.order.model}: pipeline.yml",
                "default_compute": self.order.on or str(self.config.get("target")),
                **({"parameters": parameters} if parameters else {}),
                **({"data_references": references} if references else {}),
                "steps": {key(step.name): self.step(step) for step in self.pipeline.order()},
            }
        }

    def step(self, step: Step) -> dict[str, Any]:
        made: dict[str, Any] = {"name": step.name, "allow_reuse": True}
        if step.compute:
            made["compute"] = step.compute
        inputs = {key(name): {"source": self.source(source), "bind_mode": "mount"}
                  for name, source in step.inputs.items()}  # fmt: skip
        outputs = {key(output.name): self.output(step, output) for output in step.outputs.values()}
        used = {value.name for value in step.arguments.values() if isinstance(value, Reference)}
        if step.kind == "parallel":
            made |= {"type": "ParallelRunStep", "parallel_run_config": self.path(self.beside / f"{step.name}.yml")}
            arguments = [f"--run:{step.script}", *self.values(step)]
        else:
            own = step.kind == "register"
            folder = self.beside / step.name if own else self.order.folder
            made |= {
                "type": "PythonScriptStep",
                "source_directory": self.path(folder),
                "script_name": STARTER,
                "runconfig": self.path(self.beside / f"{step.name}.runconfig"),
            }
            arguments = self.registration(step) if own else [
                f"--run:{step.script}", *self.given(step), *self.kept(step), *self.values(step)
            ]  # fmt: skip
        if used:
            made["parameters"] = {key(name): {"source": key(name)} for name in sorted(used)}
        return made | {"arguments": arguments, "inputs": inputs, "outputs": outputs}

    def source(self, source: Source) -> str:
        """An output is known by where it goes, a dataset by its name."""
        return key(f"{source.step}_{source.name}") if source.step else key(source.name)

    def output(self, step: Step, output: Output) -> dict[str, Any]:
        readers = self.pipeline.readers(step.name, output.name)
        shared = any(each.parallel and each.inputs[each.parallel.over] == Source(output.name, step.name)
                     for each in readers)  # fmt: skip
        made = {"destination": key(f"{step.name}_{output.name}"), "datastore": STORE, "bind_mode": "mount"}
        return made | ({"as_dataset": True} if shared else {})

    def given(self, step: Step) -> list[str]:
        found = []
        for name, source in step.inputs.items():
            part = part_of(self.pipeline.steps[source.step].outputs[source.name]) if source.step else ""
            found += [f"--in:{name}:{part}", f"input:{key(name)}"]
        return found

    def kept(self, step: Step) -> list[str]:
        found = []
        for output in step.outputs.values():
            how = f"--keep:{output.path}" if output.kind == "path" else f"--out:{output.name}:{part_of(output)}"
            found += [how, f"output:{key(output.name)}"]
        return found

    def values(self, step: Step) -> list[str]:
        found = []
        for name, value in step.arguments.items():
            if isinstance(value, Reference):
                how = "flag" if isinstance(self.pipeline.parameters[value.name], bool) else "value"
                found += [f"--{how}:{name}", f"parameter:{key(value.name)}"]
            else:
                found += words({name: value})
        return found

    def registration(self, step: Step) -> list[str]:
        return [f"--run:{REGISTERS}", *self.given(step), *azure_steps.conditions(step, self.order.model)]
