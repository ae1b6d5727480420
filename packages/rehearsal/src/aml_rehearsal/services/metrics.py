"""Metrics, as azureml's own Run.log sends and reads them. MLflow's land in the same table."""

from __future__ import annotations

import uuid
from typing import Any

from aml_rehearsal.messages import Refusal, Request
from aml_rehearsal.services.history import RUN
from aml_rehearsal.services.hosts import api
from aml_rehearsal.state import NAMESPACE, Record, now
from aml_rehearsal.workspace import Workspace

BASE = "/metric/v2.0{scope}/runs/{run}"
NUMBER = "azureml.v1.scalar"
TABLE = "azureml.v1.table"


def log(
    workspace: Workspace, run_id: str, name: str, *, columns: Record, points: list[Record], properties: Any
) -> None:
    table = workspace.state.tables.metrics.setdefault(run_id, {})
    known = {"dataContainerId": f"dcid.{run_id}", "name": name, "columns": columns, "properties": properties}
    table.setdefault(name, known)
    # A request that is sent again, because its answer got lost, counts once.
    workspace.state.tables.points.add(f"{run_id}/{name}", points)


def named(workspace: Workspace, run_id: str, name: str) -> Record | None:
    """A metric with all its values, to look at."""
    metric = workspace.state.tables.metrics.get(run_id, {}).get(name)
    return metric and metric | {"value": workspace.state.tables.points.of(f"{run_id}/{name}")}


def of_run(workspace: Workspace, run_id: str) -> dict[str, Record]:
    """All metrics of a run by name."""
    found = {name: named(workspace, run_id, name) for name in workspace.state.tables.metrics.get(run_id, {})}
    return {name: metric for name, metric in found.items() if metric}


def log_number(workspace: Workspace, run_id: str, name: str, value: float, step: int, *, moment: str = "") -> None:
    """A number, as MLflow logs it; the same number of the same moment counts once, as there."""
    own = str(uuid.uuid5(NAMESPACE, f"{moment} {step} {value}")) if moment else workspace.state.new_id()
    point = {"metricId": own, "createdUtc": moment or now(), "step": step, "data": {name: value}}
    properties = {"uxMetricType": NUMBER}
    log(workspace, run_id, name, columns={name: "Double"}, points=[point], properties=properties)


def log_row(workspace: Workspace, run_id: str, name: str, columns: Record, row: Record) -> None:
    """A row of a table, as Run.log_row sends it."""
    point = {"metricId": workspace.state.new_id(), "createdUtc": now(), "step": None, "data": row}
    log(workspace, run_id, name, columns=columns, points=[point], properties={"uxMetricType": TABLE})


def numbers(workspace: Workspace, run_id: str, name: str) -> list[float]:
    """All values that a run has logged of a metric, in order."""
    values = [point["data"].get(name) for point in workspace.state.tables.points.of(f"{run_id}/{name}")]
    return [float(value) for value in values if isinstance(value, (int, float))]


def last_numbers(workspace: Workspace, run_id: str) -> dict[str, float]:
    """The latest value of each metric that is a number."""
    numbers = {}
    for name in workspace.state.tables.metrics.get(run_id, {}):
        last = workspace.state.tables.points.last(f"{run_id}/{name}")
        value = last["data"].get(name) if last else None
        if isinstance(value, (int, float)):
            numbers[name] = float(value)
    return numbers


@api.route("POST", BASE + "/batch")
def batch(workspace: Workspace, request: Request) -> Any:
    for sent in request.json["values"]:
        log(
            workspace,
            request.names["run"],
            sent["name"],
            columns=sent["columns"],
            points=sent["value"],
            properties=sent.get("properties"),
        )
    return {"errors": []}


@api.route("POST GET", BASE + "/list")
def listing(workspace: Workspace, request: Request) -> Any:
    table = workspace.state.tables.metrics.get(request.names["run"], {})
    keys = [{"metricKey": {"name": name}, "columns": metric["columns"]} for name, metric in table.items()]
    return {"value": keys, "continuationToken": None}


@api.route("POST", BASE + "/full")
def full(workspace: Workspace, request: Request) -> Any:
    name = request.json["metricName"]
    metric = named(workspace, request.names["run"], name)
    if metric is None:
        raise Refusal(404, f"Metric {name} was not found")
    return metric


@api.route("GET", *(path + "/metricsingest/wait" for path in RUN))
def wait(workspace: Workspace, request: Request) -> Any:
    return {}
