"""The rules of registering a run's model: what is refused, what the version is linked to, what it is tagged with.

One registration is two requests, the asset (the run's files) and the model (its next version). Whatever happens between
them or after them, the same call again finds what is there and adds only what is missing.
"""

from __future__ import annotations

from aml_project.command_line import WRONG_USE, Failure
from aml_project.patience import patient
from aml_project.service import datasets
from aml_project.service.asking import renewal
from aml_project.service.errors import is_no_refusal, status_in
from aml_project.service.registration_rules import (
    Better,
    Refused,
    check_requirements,
    check_way,
    number,
    parse_asset_path,
    parse_better,
    parse_name,
    parse_requirement,
    plain,
    requirement_of,
    some,
    unknown,
)

TYPE_CHECKING = False  # typing's own costs its import, and a dry run has to answer at once
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, TypeVar

    T = TypeVar("T")

TRAINING = "training"  # azureml.core.Dataset.Scenario.TRAINING


def check_arguments(
    *,
    name: str,
    asset_path: str,
    require: Sequence[str] = (),
    better_than_current: str | None = None,
    not_worse_than_current: str | None = None,
) -> None:
    """Refuse arguments that are malformed, before anything is read or asked."""
    for option, values, parse in (
        ("--name", [name], parse_name),
        ("--asset-path", [asset_path], parse_asset_path),
        ("--require", require, parse_requirement),
        ("--better-than-current", given(better_than_current), parse_better),
        ("--not-worse-than-current", given(not_worse_than_current), parse_better),
    ):
        for value in values:
            try:
                parse(value)
            except ValueError as error:
                raise Failure(f"{option}: {error}", WRONG_USE) from None


def requirements(*, least: Sequence[str], most: Sequence[str]) -> list[str]:
    """What --min and --max ask for, as --require has it."""
    found = []
    for option, texts, comparison in (("--min", least, ">="), ("--max", most, "<=")):
        for text in texts:
            try:
                found.append(requirement_of(text, comparison))
            except ValueError as error:
                raise Failure(f"{option}: {error}", WRONG_USE) from None
    return found


def given(text: str | None) -> list[str]:
    return [] if text is None else [text]


def register(
    workspace: Any,
    *,
    name: str,
    asset_path: str,
    experiment: str,
    run_id: str,
    tags: Mapping[str, str],
    properties: Mapping[str, str],
    description: str | None = None,
    framework: str | None = None,
    framework_version: str | None = None,
    requirements: Sequence[str] = (),
    better_than_current: str | None = None,
    not_worse_than_current: str | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Any:
    """Register a run's model as the next version of a name; return it (azureml.core.Model).

    A version that was registered from the same run and files before is returned as it is, if the run keeps the
    `requirements`; it is not compared with itself. Refused says what the rules do not allow; ValueError, that an
    argument is malformed; any other exception is the client's own. `say` gets a line about what the user may want
    to know.
    """
    bounds = [parse_requirement(text) for text in requirements]
    conditions = [
        *((parse_better(text), False) for text in given(better_than_current)),
        *((parse_better(text), True) for text in given(not_worse_than_current)),
    ]
    parse_name(name)
    asset_path = parse_asset_path(asset_path)
    details = {
        "name": name,
        "properties": dict(properties),
        "description": description,
        "framework": framework,
        "framework_version": framework_version,
    }

    def attempt() -> Any:
        run = find_run(workspace, experiment, run_id)
        prefix = f"ExperimentRun/{run._container}/{asset_path}"
        metrics = read_metrics(run)
        check_requirements(metrics, bounds)
        versions = sorted(Model.list(workspace, name=name, expand=False), key=lambda model: int(model.version))
        if known := find_version(workspace, versions, run_id, prefix):
            say(f"{known.id} is registered from this run already; nothing was changed")
            return known  # before the comparison: it would be with this very version
        check_files(run, prefix, asset_path)
        for better, or_equal in conditions if versions else ():
            check_better(workspace, metrics, better, versions[-1], or_equal)
        found = {
            "tags": {key: plain(value) for key, value in metrics.items()} | of_search(run) | dict(tags),
            "experiment_name": run.experiment.name,
            "run_id": run_id,
            "datasets": [{"name": TRAINING, "id": dataset} for dataset in input_datasets(workspace, run)],
        }
        return create(workspace, details | found, prefix)

    from azureml.core import Model

    # A token may expire on the way; what was done before that is found again.
    return patient(attempt, passes=lambda _: False, renew=renewal(workspace))


def find_run(workspace: Any, experiment: str, run_id: str) -> Any:
    """Return the run, which must have completed."""
    from azureml.core import Run

    try:
        run = Run.get(workspace, run_id)
    except Exception as error:
        if status_in(error) == 404:
            raise Refused(f"run {run_id}: not in the workspace {workspace.name}; is another one attached?") from error
        raise
    if run.experiment.name != experiment:
        raise Refused(f"run {run_id}: of the experiment {run.experiment.name}, not {experiment}")
    status = run.get_status()
    if status != "Completed":
        raise Refused(f"run {run_id}: {status}; only the model of a completed run is registered")
    return run


def find_version(workspace: Any, versions: Sequence[Any], run_id: str, prefix: str) -> Any:
    """Return the version that was made from these files of this run, or None."""
    from azureml._restclient.assets_client import AssetsClient

    for model in versions:
        if model.run_id == run_id and (model.url or "").startswith("aml://asset/"):
            asset = AssetsClient(workspace.service_context).get_asset_by_id(model.url.rpartition("/")[2])
            if holds(asset, prefix):
                return model
    return None


def check_files(run: Any, prefix: str, asset_path: str) -> None:
    """Refuse files that the run does not have."""
    # The service takes the path for the beginning of a name: outputs/mod would find outputs/model.
    paths = [path for path, _ in run._client.artifacts.get_files_by_artifact_prefix_id(prefix)]
    if not any(path == asset_path or path.startswith(f"{asset_path}/") for path in paths):
        has = sorted(run.get_file_names(), key=lambda path: (not path.startswith("outputs/"), path))
        raise Refused(f"run {run.id} has no {asset_path}; it has {some(has) or 'no files at all'}")


def read_metrics(run: Any) -> dict[str, float]:
    """Return the run's metrics that are numbers; of one that was logged often, the last."""
    numbers = {}
    for name, value in run.get_metrics().items():
        last = value[-1] if isinstance(value, list) and value else value
        if isinstance(last, int | float) and not isinstance(last, bool):
            numbers[name] = last
    return numbers


def of_search(run: Any) -> dict[str, str]:
    """The values of a run that is a trial of a search, and which search that is; of any other run nothing."""
    from aml_project.search import azure_space

    values = {name: str(value) for name, value in azure_space.values_in(run.tags).items()}
    search = run.tags.get("search") or run._run_dto.get("parent_run_id")
    return values | {"search": str(search)} if values else {}


def check_better(
    workspace: Any, metrics: Mapping[str, float], better: Better, current: Any, or_equal: bool = False
) -> None:
    """Refuse a run that is no better than the newest version, by that version's tag or else by its run's metric."""
    if better.metric not in metrics:
        raise Refused(unknown(better.metric, metrics))
    new, old = metrics[better.metric], number((current.tags or {}).get(better.metric, ""))
    if old is None and current.run_id:
        from azureml.core import Run

        try:
            old = read_metrics(Run.get(workspace, current.run_id)).get(better.metric)
        except Exception as error:
            if status_in(error) != 404:  # a run that was deleted since is no trouble of the service
                raise
    if old is None:
        option = "--not-worse-than-current" if or_equal else "--better-than-current"
        raise Refused(f"{current.id} has no {better.metric} to compare with; register once without {option}")
    check_way(better.metric, new, old, current.id, better.smaller, or_equal=or_equal)


def figures(workspace: Any, name: str, experiment: str, run_id: str) -> dict[str, Any]:
    """A run's metrics, and those of the newest version of another run: what a registration compares, to be shown."""
    from azureml.core import Model

    metrics = read_metrics(find_run(workspace, experiment, run_id))
    versions = sorted(Model.list(workspace, name=name, expand=False), key=lambda model: int(model.version))
    before = next((model for model in reversed(versions) if model.run_id != run_id), None)
    tags = {key: number(text) for key, text in (before.tags or {}).items()} if before else {}
    return {
        "metrics": metrics,
        "before": {"modelId": before.id, "metrics": {key: tag for key, tag in tags.items() if tag is not None}}
        if before
        else None,
    }


def input_datasets(workspace: Any, run: Any) -> list[str]:
    """Return the ids of the datasets that the run read.

    The service lists them with the run. Where it does not, they are those that the run's configuration names.
    """
    details = run._client.get_runstatus()
    identifiers = [lineage.identifier for lineage in details.input_datasets or [] if lineage.identifier]
    ids = [identifier.saved_id for identifier in identifiers if identifier.saved_id]
    if not ids:
        data = (getattr(details, "run_definition", None) or {}).get("data") or {}
        for entry in data.values():
            dataset = ((entry or {}).get("dataLocation") or {}).get("dataset") or {}
            if dataset.get("id"):
                ids.append(dataset["id"])
            elif dataset.get("name"):
                version = datasets.find_version(workspace, dataset["name"], dataset.get("version"))
                ids += [str(version.latest.saved_dataset_id)] if version is not None else []
    return list(dict.fromkeys(ids))


def create(workspace: Any, details: dict[str, Any], prefix: str) -> Any:
    """Send the two requests. A lost answer never makes a second version: what is there is looked up before a retry.

    They are the requests that Run.register_model sends. Its own retries are not used: they repeat the request blindly.
    """
    from azureml._restclient.assets_client import AssetsClient
    from azureml._restclient.models_client import ModelsClient
    from azureml.core import Model

    assets, models = AssetsClient(workspace.service_context), ModelsClient(workspace.service_context)
    assets_once, models_once = AssetsClient(workspace.service_context), ModelsClient(workspace.service_context)
    assets_once.retries = models_once.retries = 0
    name, run_id = details["name"], details["run_id"]

    def find_asset() -> Any:
        found = assets.list_assets_with_query(run_id=run_id, name=name)
        return next((asset for asset in found if holds(asset, prefix)), None)

    def make_asset() -> Any:
        return assets_once.create_asset(name, [{"prefix": prefix}], None, run_id=run_id)

    asset = find_asset() or patient(make_asset, passes=is_no_refusal, find=find_asset, makes="asset")
    url = f"aml://asset/{asset.id}"

    def find_model() -> Any:
        return next((model for model in models.query(name=name, run_id=run_id) if model.url == url), None)

    def make_model() -> Any:
        return models_once.register_model(url=url, **details)

    model = find_model() or patient(make_model, passes=is_no_refusal, find=find_model, makes="model")
    return Model(workspace, _model_dto=model, expand=False)


def holds(asset: Any, prefix: str) -> bool:
    return [artifact.prefix for artifact in asset.artifacts or []] == [prefix]
