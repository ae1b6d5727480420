"""What a run writes to datastores: where its folders go, and the datasets that they become."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError

from aml_rehearsal import dataset_files
from aml_rehearsal.messages import Refusal
from aml_rehearsal.services import datasets, datastores
from aml_rehearsal.state import Record
from aml_rehearsal.workspace import Workspace

STORE, PATH = "workspaceblobstore", "dataset/{run-id}/{output-name}"  # where an output goes that names no place
HEADERS = ("no_header", "from_first_file", "all_files_different_headers", "all_files_same_headers")
PLAYED = ("mount", "upload")


@dataclass(frozen=True)
class Output:
    name: str
    store: str
    path: str  # below the datastore
    mechanism: str
    overwrite: bool
    registration: Record
    reference: bool  # a place in a datastore that a script fills itself, and no dataset unless it gets a name

    def blob(self, name: str) -> str:
        """Where a file of it lies; without a name the output is that file."""
        return f"{self.path}/{name}".strip("/")

    def refused(self, reason: object) -> Refusal:
        return Refusal(400, f"outputData: {self.name}: {reason}")


def check(configuration: Record) -> None:
    """Refuse what a run can't write here."""
    for name, wish in (configuration.get("outputData") or {}).items():
        mechanism = str(wish.get("mechanism")).lower()
        if mechanism not in PLAYED:
            message = f"outputData: {name}: the rehearsal knows the mechanisms mount and upload, not {mechanism}"
            raise Refusal(501, message, "NotImplemented")
        options = (wish.get("additionalOptions") or {}).get("registrationOptions") or {}
        steps(name, (options.get("datasetRegistrationOptions") or {}).get("additionalTransformation"))


def of_run(run: Record) -> dict[str, Output]:
    """The outputs of a run, by their names."""
    found = {}
    for name, wish in (run["runDefinition"].get("outputData") or {}).items():
        place = (wish.get("outputLocation") or {}).get("dataPath") or {}
        options = wish.get("additionalOptions") or {}
        path = str(place.get("relativePath") or PATH).replace("{run-id}", run["runId"]).replace("{output-name}", name)
        found[name] = Output(
            name,
            str(place.get("datastoreName") or STORE),
            path.strip("/"),
            str(wish["mechanism"]).lower(),
            bool((options.get("uploadOptions") or {}).get("overwrite")),
            options.get("registrationOptions") or {},
            bool(wish.get("reference")),
        )
    for name, wish in (run["runDefinition"].get("dataReferences") or {}).items():
        if str(wish["mode"]).lower() == "upload":
            path = str(wish.get("pathOnDataStore") or "").strip("/")
            overwrite = bool(wish.get("overwrite"))
            found[name] = Output(name, wish["dataStoreName"], path, "upload", overwrite, {}, reference=True)
    return found


def opened(workspace: Workspace, output: Output) -> dataset_files.Place:
    """The datastore of an output; refused where it is not there."""
    try:
        with workspace.state.lock:
            return dataset_files.Place(workspace, datastores.find(workspace, output.store))
    except Refusal as refusal:
        raise output.refused(refusal) from None


def write(workspace: Workspace, output: Output, name: str, content: bytes) -> None:
    """Put a file to where the output goes."""
    place = opened(workspace, output)
    blob, overwrite = output.blob(name), output.mechanism == "mount" or output.overwrite
    try:
        place.client().upload_blob(blob, content, overwrite=overwrite)
    except ResourceExistsError:
        raise output.refused(place.refused(f"{blob} exists, and overwrite is false")) from None
    except (AzureError, ValueError) as error:
        raise output.refused(place.refused(f"{blob} can't be written: {place.why(error, 'write')}")) from None


def remove(workspace: Workspace, output: Output, name: str) -> None:
    """Take away a file that the run has removed from a folder that is mounted."""
    place = opened(workspace, output)
    try:
        place.client().delete_blob(output.blob(name))
    except ResourceNotFoundError:
        return
    except (AzureError, ValueError) as error:
        raise output.refused(place.refused(f"{name} can't be removed: {place.why(error, 'write')}")) from None


def keep(workspace: Workspace, run: Record) -> None:
    """Let what a run has written be datasets: under an id, and under a name where that was asked for."""
    for output in of_run(run).values():
        options = output.registration.get("datasetRegistrationOptions") or {}
        more = steps(output.name, options.get("additionalTransformation"))
        name = output.registration.get("name")
        if output.reference and not name:
            continue
        dataflow = datasets.dataflow(workspace, output.store, output.path, more)
        kind = "tabular" if more else "file"
        if name:
            words = {key: output.registration.get(key) for key in ("description", "tags")}
            wish = {"name": name, "datasetType": kind, "latest": {"dataflow": dataflow}}
            dataset = datasets.add_version(workspace, wish | words)
        else:
            dataset = datasets.save(workspace, kind, dataflow)
        details = {"outputName": output.name, "mechanism": output.mechanism.capitalize()}
        identifier = datasets.identifier(dataset)
        run["outputDatasets"].append({"identifier": identifier, "outputType": "RunOutput", "outputDetails": details})


def steps(name: str, transformation: str | None) -> list[Any]:
    """How the files of an output are read as a table, from the client's older words for it to those of a dataset."""
    found: list[Any] = []
    for block in json.loads(transformation)["blocks"] if transformation else []:
        kind, words = str(block["type"]).rpartition(".")[2], block["arguments"]
        columns = ((words.get("columns") or {}).get("details") or {}).get("selectedColumns")
        if kind == "ParseDelimitedBlock":
            header = HEADERS[int(words.get("columnHeadersMode") or 0)]
            options = {"delimiter": words["separator"], "encoding": "utf8", "header": header}
            lines = bool(words.get("handleQuotedLineBreaks"))
            found.append({"read_delimited": options | {"include_path_column": True, "support_multi_line": lines}})
        elif kind == "ReadParquetFileBlock":
            found.append({"read_parquet": {"include_path_column": True}})
        elif kind == "DropColumnsBlock" and columns:
            found.append({"drop_columns": columns})
        elif kind == "KeepColumnsBlock" and columns:
            found.append({"keep_columns": columns})
        else:
            raise Refusal(501, f"outputData: {name}: the rehearsal does not know the step {kind}", "NotImplemented")
    return found
