"""`model register`, the command that the old extension had and azureml-core has not.

azureml-core finds the group by the entry point of this distribution, in azml and in az.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from azureml._cli.abstract_subgroup import AbstractSubGroup
from azureml._cli.argument import Argument
from azureml._cli.cli_command import command
from azureml.exceptions import UserErrorException

from aml_project.azml import repairs
from aml_project.service import registration, registration_rules, run_file

repairs.apply()


class ModelSubGroup(AbstractSubGroup):
    """The group `model` of azml and az ml."""

    def get_subgroup_name(self) -> str:
        return "model"

    def get_subgroup_title(self) -> str:
        return "Register the models of runs."

    def get_subgroup_description(self) -> str:
        return "Register the model of a run, or of a local file, as the next version of a name."

    def get_nested_subgroups(self) -> list[AbstractSubGroup]:
        return []


def several(name: str, option: str, text: str) -> Argument:
    """An option that may be given more than once."""
    return Argument(name, option, "", action="append", help=f"{text} May be repeated.")


@command(  # type: ignore[untyped-decorator]
    subgroup_type=ModelSubGroup,
    command="register",
    short_description="Register a model",
    long_description="Register the files of a completed run, with its metrics as tags and its datasets as lineage. "
    "The same registration again changes nothing.",
    argument_list=[
        Argument("name", "--name", "-n", required=True, help="Name of the model."),
        Argument("asset_path", "--asset-path", "", help="The model's file or folder in the run, as in outputs/model."),
        Argument("run_metadata_file", "--run-metadata-file", "-f", help="run.json, as run submit-script -t writes it."),
        Argument("experiment_name", "--experiment-name", "-e", help="Experiment of the run, with --run-id."),
        Argument("run_id", "--run-id", "-r", help="The run, instead of -f."),
        Argument("model_path", "--model-path", "-p", help="A local file or folder, instead of a run's."),
        several("tags", "--tag", "A tag, key=value."),
        several("properties", "--property", "A property, key=value; can't be changed later."),
        Argument("description", "--description", "-d", help="Description of the model."),
        Argument("model_framework", "--model-framework", "", help="Framework, as in ScikitLearn."),
        Argument("model_framework_version", "--model-framework-version", "", help="Version of the framework."),
        several("requirements", "--require", "Refuse a run whose metric misses it, as in 'accuracy>=0.8'."),
        Argument(
            "better_than_current",
            "--better-than-current",
            "",
            metavar="METRIC",
            help="Refuse a run that is no better in this metric than the newest version; 'cost:min' if less is better.",
        ),
    ],
)
def register_model(
    *,
    workspace: Any = None,
    name: str = "",
    asset_path: str | None = None,
    run_metadata_file: str | None = None,
    experiment_name: str | None = None,
    run_id: str | None = None,
    model_path: str | None = None,
    tags: list[str] | None = None,
    properties: list[str] | None = None,
    description: str | None = None,
    model_framework: str | None = None,
    model_framework_version: str | None = None,
    requirements: list[str] | None = None,
    better_than_current: str | None = None,
    logger: Any = None,
) -> dict[str, Any]:
    """Register what the options name; the result is printed."""
    details: dict[str, Any] = {
        "tags": pairs("--tag", tags),
        "properties": pairs("--property", properties),
        "description": description,
    }
    if model_path:
        if asset_path or run_metadata_file or run_id or requirements or better_than_current:
            raise UserErrorException(
                "-p registers a local file: no --asset-path, -f, --run-id, --require or --better-than-current with it"
            )
        details |= {"model_framework": model_framework, "model_framework_version": model_framework_version}
        return shown(register_file(workspace, name, Path(model_path), details))
    if not asset_path:
        raise UserErrorException("--asset-path: name the model's folder in the run, as in --asset-path outputs/model")
    check("--name", registration_rules.parse_name, name)
    check("--asset-path", registration_rules.parse_asset_path, asset_path)
    check("--require", registration_rules.parse_requirement, *requirements or ())
    check(
        "--better-than-current",
        registration_rules.parse_better,
        *[] if better_than_current is None else [better_than_current],
    )
    experiment, run = run_of(run_metadata_file, experiment_name, run_id)
    return shown(
        registration.register(
            workspace,
            name=name,
            asset_path=asset_path,
            experiment=experiment,
            run_id=run,
            framework=model_framework,
            framework_version=model_framework_version,
            requirements=requirements or (),
            better_than_current=better_than_current,
            say=logger.warning,
            **details,
        )
    )


def run_of(file: str | None, experiment: str | None, run_id: str | None) -> tuple[str, str]:
    """Return the experiment and the id of the run that the options name."""
    if file and not run_id:
        run = run_file.read(Path(file))
        return run.experiment, run.run_id
    if experiment and run_id and not file:
        return experiment, run_id
    raise UserErrorException("name the run: -f run.json, or --experiment-name and --run-id")


def check(option: str, parse: Callable[[str], Any], *texts: str) -> None:
    """Say which option it is that the rules can't read."""
    for text in texts:
        try:
            parse(text)
        except ValueError as error:
            raise UserErrorException(f"{option}: {error}") from None


def pairs(option: str, texts: list[str] | None) -> dict[str, str]:
    """Read what was given as key=value."""
    read = {}
    for text in texts or []:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise UserErrorException(f"{option} {text}: give it as key=value")
        read[key] = value
    return read


def register_file(workspace: Any, name: str, path: Path, details: dict[str, Any]) -> Any:
    """Register a file or folder of this computer."""
    from azureml.core import Model

    if not path.exists():
        raise UserErrorException(f"--model-path {path}: not there")
    path = path.resolve()
    with working_in(path.parent):  # the client refuses a path outside the working folder
        return Model.register(workspace, model_path=path.name, model_name=name, **details)


@contextmanager
def working_in(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def shown(model: Any) -> dict[str, Any]:
    """The form that the old extension printed."""
    created = model.created_time
    return {
        "createdTime": created.isoformat() if hasattr(created, "isoformat") else created,
        "description": model.description or "",
        "experimentName": model.experiment_name,
        "framework": model.model_framework,
        "frameworkVersion": model.model_framework_version,
        "id": model.id,
        "name": model.name,
        "properties": model.properties,
        "runId": model.run_id,
        "tags": model.tags,
        "version": model.version,
    }
