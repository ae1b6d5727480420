"""The steps of a pipeline as the client of Azure ML's first generation has them.

Each script is started by aml_step.py, which this puts beside the model's files: `arguments` is what it is called with.
A search is a HyperDriveStep, and behind it a step that hands on what the best trial has left.
"""

from __future__ import annotations

import posixpath
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from aml_project import tools
from aml_project.command_line import Failure
from aml_project.pipeline.definition import DATA, FILE, Output, Pipeline, Reference, Source, Step
from aml_project.pipeline.engines import Order
from aml_project.runconfigs import reading
from aml_project.search import definition as searches
from aml_project.values import Value, words

PARTS = Path(__file__).with_name("azure_parts")
STARTER, REGISTERS, TAKES_BEST = "aml_step.py", "aml_register.py", "aml_best_trial.py"
RULES = Path(__file__).parents[1] / "service" / "registration_rules.py"
OF_THE_CLIENT = ("azureml-core", "standard-imghdr", "setuptools")  # what a step of ours needs
INVOCATION = 3600  # seconds that a run(mini_batch) may take
# Names that ParallelRunStep keeps for itself.
RESERVED = {
    "mini_batch_size", "error_threshold", "allowed_failed_count", "allowed_failed_percent", "output", "output_action",
    "logging_level", "process_count_per_node", "run_invocation_timeout", "run_max_try", "append_row_file_name",
    "partition_keys",
}  # fmt: skip


@dataclass(frozen=True)
class Dataset:
    """A registered dataset that a pipeline reads."""

    name: str
    version: str = "latest"
    download: bool = False


def key(name: str) -> str:
    """A name as the service takes it: for an input, an output, a parameter."""
    return re.sub(r"\W", "_", name)


def part_of(output: Output) -> str:
    """What an output is called in the folder that it has there; nothing where it is that folder."""
    if output.kind == "path":
        return posixpath.basename(output.path)
    return f"{output.name}{output.suffix}" if output.kind == "file" else ""


def fill(folder: Path, model_folder: Path) -> None:
    """Make the folder that a step gets: the model's files that travel, and what starts the steps."""
    from aml_project.snapshot import whole as snapshot

    shutil.rmtree(folder, ignore_errors=True)
    for name in snapshot.take_whole(model_folder).files:
        if name == FILE:  # no step reads it, and a step that has not changed is not to run again for it
            continue
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(model_folder / name, place)
    for part in (*PARTS.glob("*.py"), RULES):
        shutil.copyfile(part, folder / part.name)


def read_inputs(order: Order) -> list[str]:
    """The inputs of the pipeline that a step reads."""
    read = {source for step in order.pipeline.steps.values() for source in step.inputs.values()}
    return [name for name in order.pipeline.inputs if Source(name) in read]


def datasets(order: Order, config: Mapping[str, Any]) -> dict[str, Dataset]:
    """The dataset of each input: `data` is that of the runconfig."""
    found = {}
    for name in read_inputs(order):
        given = order.pipeline.inputs[name]
        if name != DATA:
            if not given.dataset:
                raise Failure(f"inputs.{name}: on a cluster it is a registered dataset: add dataset: NAME")
            called, _, version = given.dataset.partition(":")
            found[name] = Dataset(called, version or "latest")
            continue
        entry: Mapping[str, Any] = next(iter((config.get("data") or {}).values()), {}) or {}
        dataset = (entry.get("dataLocation") or {}).get("dataset") or {}
        if not dataset.get("name"):
            raise Failure(f"data: {order.config}.runconfig names no registered dataset: name one there, below data:")
        download = str(entry.get("mechanism")).lower() == "download"
        found[name] = Dataset(str(dataset["name"]), str(dataset.get("version") or "latest"), download)
    return found


def lacks(order: Order) -> list[str]:
    """What of a pipeline can't be done on a cluster."""
    found = []
    for step in order.pipeline.steps.values():
        if step.kind == "parallel":
            taken = {name for name in (*step.inputs, *step.arguments) if name.replace("-", "_") in RESERVED}
            found += [f"steps.{step.name}: --{name} is an argument of ParallelRunStep's own: rename it"
                      for name in sorted(taken - {str(step.parallel.over) if step.parallel else ""})]  # fmt: skip
    return found


class Builder:
    """Makes the client's steps of a definition's."""

    def __init__(self, order: Order, workspace: Any, code: Path) -> None:
        self.order, self.workspace, self.code = order, workspace, code
        self.config = reading.read(reading.find(order.folder, order.config))
        self.handed: dict[Source, Any] = {}  # the client's output of each output
        self.made: dict[str, list[Any]] = {}  # the client's steps of each step
        self.parameters: dict[str, Any] = {}

    @property
    def pipeline(self) -> Pipeline:
        return self.order.pipeline

    def build(self, provider: Any) -> Any:
        """The pipeline (azureml.pipeline.core.Pipeline), which asks the service by the provider."""
        from azureml.pipeline.core import Pipeline as ClientPipeline

        make = {"command": self.command, "parallel": self.parallel, "register": self.register, "search": self.search}
        for step in self.pipeline.order():
            self.made[step.name] = make[step.kind](step)
            for name in step.after:
                self.made[step.name][0].run_after(self.made[name][-1])
        steps = [one for several in self.made.values() for one in several]
        about = f"{self.order.model}: pipeline.yml"
        return ClientPipeline(self.workspace, steps=steps, description=about, _workflow_provider=provider)

    # What a step reads and writes

    @cached_property
    def datasets(self) -> dict[str, tuple[Dataset, Any]]:
        """Each input of the pipeline: the dataset, and the parameter that it is."""
        from azureml.core import Dataset as ClientDataset
        from azureml.pipeline.core import PipelineParameter

        from aml_project.service.asking import ask
        from aml_project.service.errors import status_in

        found = {}
        for name, wanted in datasets(self.order, self.config).items():
            version = wanted.version if wanted.version == "latest" else int(wanted.version)
            get = partial(ClientDataset.get_by_name, self.workspace, wanted.name, version)
            try:
                dataset = ask(self.workspace, get)
            except Exception as error:
                if status_in(error) != 404 and "Cannot find dataset" not in str(error):
                    raise
                said = f"dataset {wanted.name}, version {wanted.version}, is not in the workspace: make dataset"
                raise Failure(f"{name}: {said}") from error
            found[name] = (wanted, PipelineParameter(key(name), dataset))
        return found

    def reads(self, step: Step, name: str, source: Source) -> Any:
        """An input as the client has it."""
        from azureml.data.dataset_consumption_config import DatasetConsumptionConfig

        if source.step:
            return self.handed[source].as_input(key(f"{step.name}_{name}"))
        wanted, parameter = self.datasets[source.name]
        config = DatasetConsumptionConfig(key(f"{step.name}_{name}"), parameter)
        return config.as_download() if wanted.download else config.as_mount()

    def part(self, source: Source) -> str:
        return part_of(self.pipeline.steps[source.step].outputs[source.name]) if source.step else ""

    def writes(self, step: Step, output: Output) -> Any:
        from azureml.data import OutputFileDatasetConfig

        made = OutputFileDatasetConfig(key(f"{step.name}_{output.name}"))
        self.handed[Source(output.name, step.name)] = made
        return made

    def inputs(self, step: Step, *, without: str = "") -> list[Any]:
        found = []
        for name, source in step.inputs.items():
            if name != without:
                found += [f"--in:{name}:{self.part(source)}", self.reads(step, name, source)]
        return found

    def outputs(self, step: Step) -> list[Any]:
        found = []
        for output in step.outputs.values():
            how = f"--keep:{output.path}" if output.kind == "path" else f"--out:{output.name}:{part_of(output)}"
            found += [how, self.writes(step, output)]
        return found

    def values(self, step: Step) -> list[Any]:
        """The arguments; one that is a parameter of the pipeline stays one."""
        found: list[Any] = []
        for name, value in step.arguments.items():
            if isinstance(value, Reference):
                default = self.pipeline.parameters[value.name]
                found += [f"--{'flag' if isinstance(default, bool) else 'value'}:{name}", self.parameter(value.name)]
            else:
                found += words({name: value})
        return found

    def parameter(self, name: str) -> Any:
        from azureml.pipeline.core import PipelineParameter

        if name not in self.parameters:
            self.parameters[name] = PipelineParameter(key(name), text(self.pipeline.parameters[name]))
        return self.parameters[name]

    # What a step runs by

    def compute(self, step: Step) -> str:
        return step.compute or self.order.on or str(self.config.get("target"))

    def run_config(self, step: Step, script: str) -> Any:
        """The runconfig of the model, for a step; its nodes and their processes are those of its own script."""
        from azureml.core import RunConfiguration
        from azureml.core.conda_dependencies import CondaDependencies

        config = RunConfiguration.load(str(self.order.folder), self.order.config)
        if script != config.script:
            config.node_count, config.communicator = 1, "None"
        config.script, config.arguments, config.data, config.target = None, [], {}, self.compute(step)
        if step.conda:
            config.environment.python.conda_dependencies = CondaDependencies(str(self.order.folder / step.conda))
            config.environment.name = f"{config.environment.name}-{step.name}"
        return config

    def own_config(self, step: Step) -> Any:
        """What a step of ours runs by: the client alone, in the Python that has it here."""
        import sys

        from azureml.core.conda_dependencies import CondaDependencies

        config = self.run_config(step, "")
        config.environment.python.conda_dependencies = CondaDependencies(
            _underlying_structure=own_packages(sys.version)
        )
        config.environment.name = "aml-pipeline"
        return config

    # Each kind of step

    def script_step(self, name: str, step: Step, arguments: list[Any], config: Any, inputs: Any = None) -> Any:
        from azureml.pipeline.steps import PythonScriptStep

        return PythonScriptStep(
            script_name=STARTER, name=name, arguments=arguments, compute_target=(self.compute(step), "AmlCompute"),
            runconfig=config, source_directory=str(self.code), inputs=inputs, allow_reuse=True,
        )  # fmt: skip

    def command(self, step: Step) -> list[Any]:
        arguments = [f"--run:{step.script}", *self.inputs(step), *self.outputs(step), *self.values(step)]
        return [self.script_step(step.name, step, arguments, self.run_config(step, step.script))]

    def register(self, step: Step) -> list[Any]:
        arguments = [f"--run:{REGISTERS}", *self.inputs(step), *conditions(step, self.order.model)]
        return [self.script_step(step.name, step, arguments, self.own_config(step))]

    def parallel(self, step: Step) -> list[Any]:
        from azureml.pipeline.steps import ParallelRunConfig, ParallelRunStep

        wanted = step.parallel
        assert wanted is not None
        config = self.run_config(step, step.script)
        [output] = step.outputs.values()
        rows = {"output_action": "append_row", "append_row_file_name": part_of(output)}
        parallel = ParallelRunConfig(
            environment=config.environment, entry_script=STARTER, source_directory=str(self.code),
            compute_target=self.compute(step), node_count=wanted.nodes, process_count_per_node=wanted.processes,
            mini_batch_size=str(wanted.items), error_threshold=wanted.error_threshold,
            run_invocation_timeout=INVOCATION, environment_variables=dict(config.environment_variables),
            **(rows if output.kind == "file" else {"output_action": "summary_only"}),
        )  # fmt: skip
        written = self.writes(step, output)
        arguments = [f"--run:{step.script}", *self.inputs(step, without=wanted.over), *self.values(step)]
        if output.kind == "folder":
            arguments += [f"--out:{output.name}:", written]
        side = [one for one in arguments if not isinstance(one, str) and hasattr(one, "as_mount") and one != written]
        return [
            ParallelRunStep(
                name=step.name, parallel_run_config=parallel, output=written, arguments=arguments, allow_reuse=True,
                inputs=[self.reads(step, wanted.over, step.inputs[wanted.over])], side_inputs=side or None,
            )
        ]  # fmt: skip

    def search(self, step: Step) -> list[Any]:
        from azureml.core import ScriptRunConfig
        from azureml.pipeline.core import PipelineData
        from azureml.pipeline.steps import HyperDriveStep

        from aml_project.search import hyperdrive_config, trials

        search = searches.read(self.order.folder, step.script)
        config = self.run_config(step, trials.SCRIPT)
        if search.trial_minutes:
            config.max_run_duration_seconds = max(round(search.trial_minutes * 60), 1)
        inputs = self.inputs(step)
        source = ScriptRunConfig(
            source_directory=str(self.code), script=STARTER, run_config=config,
            arguments=[f"--run:{trials.SCRIPT}", *inputs, *self.values(step)],
        )  # fmt: skip
        logged = PipelineData(key(f"{step.name}_metrics"), self.workspace.get_default_datastore())
        tried = HyperDriveStep(
            step.name, hyperdrive_config.configured(search, source, search.trials), metrics_output=logged,
            inputs=inputs[1::2], allow_reuse=True,
        )  # fmt: skip
        given = words({"metric": search.metric, "goal": search.goal})
        paths = [f"--path={output.path}" for output in step.outputs.values()]
        arguments = [f"--run:{TAKES_BEST}", "--in:metrics:", logged, *given, *paths, *self.outputs(step)]
        best = self.script_step(f"{step.name}-best", step, arguments, self.own_config(step), [logged])
        return [tried, best]


def conditions(step: Step, model: str) -> list[str]:
    """What aml_register.py is told beside the model and its metrics."""
    wanted = step.registration
    assert wanted is not None
    given = {"name": wanted.name or model}
    if wanted.better_than_current:
        given["better-than-current"] = wanted.better_than_current
    return [*words(dict(given)), *(f"--require={bound}" for bound in wanted.require)]


def text(value: Value) -> Value:
    """A value as a parameter of the client: what it is asked for comes back as a text."""
    return str(value).lower() if isinstance(value, bool) else value


def own_packages(version: str) -> dict[str, Any]:
    """The conda file of a step of ours."""
    wanted = [line for line in tools.requirements("azure") if re.match("|".join(OF_THE_CLIENT), line)]
    python = ".".join(version.split(".")[:2])
    return {"name": "aml-pipeline", "dependencies": [f"python={python}", "pip", {"pip": wanted}]}
