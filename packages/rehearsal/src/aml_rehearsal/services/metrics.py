"""Metrics, as azureml's own Run.log sends and reads them. MLflow's land in the same table."""

from __future__ import annotations

from typing import Any

from aml_rehearsal.messages import Refusal, Request
from aml_rehearsal.services.history import RUN
from aml_rehearsal.services.hosts import api
from aml_rehearsal.state import Record, now
from aml_rehearsal.workspace import Workspace

BASE = "/metric/v2.0{scope}/runs/{run}"
NUMBER = "azureml.v1.scalar"


def log(
    workspace: Workspace, run_id: str, name: str, *, columns: Record, points: list[Record], properties: Any
) -> None:
    table = workspace.state.tables.metrics.setdefault(run_id, {})
    known = {"dataContainerId": f"dcid.{run_id}", "name": name, "columns": columns, "properties": properties}
    table.setdefault(name, known)
    # A request that is sent again, because its answer got lost, counts once.
    workspace.state.tables.points.add(f"{run_id}/{name}", points)


def of_run(workspace: Workspace, run_id: str) -> dict[str, Record]:
    """A run's metrics by name, to look at, each with all its values."""
    tables = workspace.state.tables
    return {
        name: metric | {"value": tables.points.of(f"{run_id}/{name}")}
        for name, metric in tables.metrics.get(run_id, {}).items()
    }


def log_number(workspace: Workspace, run_id: str, name: str, value: float, step: int) -> None:
    """A number, as MLflow logs it."""
    point = {"metricId": workspace.state.new_id(), "createdUtc": now(), "step": step, "data": {name: value}}
    properties = {"uxMetricType": NUMBER}
    log(workspace, run_id, name, columns={name: "Double"}, points=[point], properties=properties)


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
    metric = of_run(workspace, request.names["run"]).get(name)
    if metric is None:
        raise Refusal(404, f"Metric {name} was not found")
    return metric


@api.route("GET", *(path + "/metricsingest/wait" for path in RUN))
def wait(workspace: Workspace, request: Request) -> Any:
    return {}
