"""Versions of a file dataset: which is the newest, what it holds, how the next one is registered."""

from __future__ import annotations

import json
from urllib.parse import quote

from aml_project.service.asking import ask
from aml_project.service.errors import is_no_refusal, status_in

TYPE_CHECKING = False  # typing's own costs its import, and a dry run has to answer at once
if TYPE_CHECKING:
    from typing import Any

CONTENT, PLACE = "content", "place"  # tags: what a version holds, and datastore and folder where that lies


def find_version(workspace: Any, name: str, version: str | None = None) -> Any:
    """Return a version of a dataset, or else the newest; None if there is none.

    Through the client's own request, not its Dataset class: that one needs packages which take seconds to import, and
    which only a training environment has.
    """
    from azureml.data._dataset_rest_helper import _restclient

    try:
        return _restclient(workspace).dataset.get_dataset_by_name(
            workspace.subscription_id, workspace.resource_group, workspace.name, dataset_name=name, version_id=version
        )
    except Exception as error:
        if status_in(error) == 404:
            return None
        raise


def number(version: Any) -> str:
    return str(version.latest.version_id)


def tag(version: Any, name: str) -> str:
    """Return a tag of a version, or nothing."""
    return str((version.tags or {}).get(name, "")) if version is not None else ""


def register_version(
    workspace: Any, name: str, *, datastore: Any, path: str, tags: dict[str, str], description: str | None
) -> Any:
    """Register files of a datastore as the next version, unless it is there; return it.

    Where an answer was lost, the version may be there all the same: then its tags say so, and it is not made again.
    """
    from azureml.data._dataset_rest_helper import _restclient

    wanted = tags[CONTENT], tags[PLACE]

    def find() -> Any:
        newest = find_version(workspace, name)
        return newest if newest is not None and (tag(newest, CONTENT), tag(newest, PLACE)) == wanted else None

    def make() -> Any:
        """Send what Dataset.register sends, but once: its own retries repeat the request blindly."""
        client = _restclient(workspace)
        client.config.retry_policy.retries = 0
        client.config.retry_policy.policy.status_forcelist = ()
        return client.dataset.register(
            workspace.subscription_id,
            workspace.resource_group,
            workspace.name,
            dataset_dto=record(workspace, name, datastore=datastore, path=path, tags=tags, description=description),
            if_exists_ok=True,
            update_definition_if_exists=True,
        )

    # A token may have expired during the upload.
    return find() or ask(workspace, make, passes=is_no_refusal, find=find, makes="dataset")


def record(
    workspace: Any, name: str, *, datastore: Any, path: str, tags: dict[str, str], description: str | None
) -> Any:
    """The version as Dataset.File.from_files writes it, which needs azureml-dataset-runtime: pyarrow and an engine.

    Compared with what azureml-dataset-runtime 1.62 sends: the same bytes.
    """
    from azureml._restclient.models.dataset_definition_dto import DatasetDefinitionDto
    from azureml._restclient.models.dataset_dto import DatasetDto
    from azureml._restclient.models.dataset_state_dto import DatasetStateDto

    where = (
        f"azureml://subscriptions/{workspace.subscription_id}/resourcegroups/{workspace.resource_group}"
        f"/workspaces/{workspace.name}/datastores/{datastore.name}/paths/{quote(path, '/*').lstrip('/')}"
    )
    table = f'---\ntype: mltable\npaths:\n  - pattern: "{where}"\nmetadata:\n  infer_column_types: "False"\n'
    definition = DatasetDefinitionDto(
        dataflow=json.dumps({"blocks": [], "meta": {"RsDataflow": table}}),
        properties={},
        dataset_definition_state=DatasetStateDto(),
    )
    return DatasetDto(
        name=name, dataset_type="file", latest=definition, description=description, tags=tags, is_visible=True
    )
