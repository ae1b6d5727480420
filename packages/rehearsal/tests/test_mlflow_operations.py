"""Every public method of MLflow's client, called: what works, what is refused as in Azure, and the table that says so.

With REWRITE_OPERATIONS=1 in the environment, the section of the page is written before it is compared.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from callers import GENERATIONS, Client

PAGE = Path(__file__).parents[3] / "docs" / "rehearsal-operations.md"
HEADING = "## MLflow"
# What is called; a method that is not here is called with made-up arguments, to see that it is refused.
CALLS = r"""
from mlflow.entities import Dataset, DatasetInput, Metric, Param, RunTag
from io import BytesIO
Path("m").mkdir(); Path("m/MLmodel").write_text("flavors: {}"); Path("file").write_text("x")
spot, name = made.create_experiment(own + "-operations"), own + "-operations"
spare = made.create_experiment(own + "-operations-2")
run = made.create_run(spot, run_name="one"); id = run.info.run_id
other = made.create_run(spot).info.run_id
made.log_artifacts(id, "m", "model"); source = f"{run.info.artifact_uri}/model"
made.create_registered_model(name); made.create_model_version(name, source, id); made.create_model_version(name, source)
made.set_tag(id, "gone", "1"); made.set_registered_model_tag(name, "gone", "1")
made.set_model_version_tag(name, "1", "gone", "1"); made.log_table(id, {"a": [1]}, "t.json")

def figure():
    import matplotlib; matplotlib.use("agg")
    from matplotlib.figure import Figure
    made.log_figure(id, Figure(), "f.png")

def image():
    import numpy
    made.log_image(id, numpy.zeros((2, 2, 3), "uint8"), "i.png")

def span(finished=False):
    root = made.start_trace("t")
    trace = getattr(root, "trace_id", None) or root.request_id
    child = made.start_span("s", trace, root.span_id)
    if finished:
        made.end_span(trace, child.span_id)

def assessment():
    from mlflow.entities.assessment import AssessmentSource, Feedback
    made.log_assessment("t", "n", AssessmentSource("HUMAN", "x"), feedback=Feedback(1))

calls = {
    "delete_registered_model_alias": lambda: made.delete_registered_model_alias(name, "a"),
    "end_span": lambda: span(finished=True),
    "log_assessment": assessment,
    "search_traces": lambda: made.search_traces([spot]),
    "set_registered_model_alias": lambda: made.set_registered_model_alias(name, "a", "1"),
    "start_span": span,
    "start_trace": span,
    "copy_model_version": lambda: made.copy_model_version(f"models:/{name}/1", name + "-copy"),
    "create_experiment": lambda: made.create_experiment(name + "-3"),
    "create_model_version": lambda: made.create_model_version(name, source),
    "create_registered_model": lambda: made.create_registered_model(name + "-empty"),
    "create_run": lambda: made.create_run(spot),
    "delete_experiment": lambda: made.delete_experiment(spare),
    "delete_model_version": lambda: made.delete_model_version(name, "2"),
    "delete_model_version_tag": lambda: made.delete_model_version_tag(name, "1", "gone"),
    "delete_registered_model": lambda: made.delete_registered_model(name),
    "delete_registered_model_tag": lambda: made.delete_registered_model_tag(name, "gone"),
    "delete_run": lambda: made.delete_run(other),
    "delete_tag": lambda: made.delete_tag(id, "gone"),
    "download_artifacts": lambda: made.download_artifacts(id, "t.json"),
    "get_experiment": lambda: made.get_experiment(spot),
    "get_experiment_by_name": lambda: made.get_experiment_by_name(name).name,
    "get_latest_versions": lambda: made.get_latest_versions(name),
    "get_metric_history": lambda: made.get_metric_history(id, "loss"),
    "get_model_version": lambda: made.get_model_version(name, "1"),
    "get_model_version_download_uri": lambda: made.get_model_version_download_uri(name, "1"),
    "get_model_version_stages": lambda: made.get_model_version_stages(name, "1"),
    "get_parent_run": lambda: made.get_parent_run(id),
    "get_registered_model": lambda: made.get_registered_model(name),
    "get_run": lambda: made.get_run(id),
    "list_artifacts": lambda: made.list_artifacts(id)[0],
    "load_table": lambda: made.load_table(spot, "t.json"),
    "log_artifact": lambda: made.log_artifact(id, "file"),
    "log_artifacts": lambda: made.log_artifacts(id, "m"),
    "log_batch": lambda: made.log_batch(id, [Metric("b", 1, 1, 0)], [Param("b", "1")], [RunTag("b", "1")]),
    "log_dict": lambda: made.log_dict(id, {}, "d.json"),
    "log_figure": figure,
    "log_image": image,
    "log_inputs": lambda: made.log_inputs(id, [DatasetInput(Dataset("d", "1", "local", "{}"))]),
    "log_metric": lambda: made.log_metric(id, "loss", 1),
    "log_param": lambda: made.log_param(id, "p", 1),
    "log_stream": lambda: made.log_stream(id, BytesIO(b"x"), "s.txt"),
    "log_table": lambda: made.log_table(id, {"a": [2]}, "again.json"),
    "log_text": lambda: made.log_text(id, "t", "t.txt"),
    "parse_prompt_uri": lambda: made.parse_prompt_uri("prompts:/a/1"),
    "rename_experiment": lambda: made.rename_experiment(spot, "other"),
    "rename_registered_model": lambda: made.rename_registered_model(name, "other"),
    "restore_experiment": lambda: made.restore_experiment(spare),
    "restore_run": lambda: made.restore_run(other),
    "search_experiments": lambda: made.search_experiments()[0],
    "search_model_versions": lambda: made.search_model_versions(f"name = '{name}'")[0],
    "search_registered_models": lambda: made.search_registered_models()[0],
    "search_runs": lambda: made.search_runs([spot], "tags.mlflow.runName = 'one'")[0],
    "set_experiment_tag": lambda: made.set_experiment_tag(spot, "a", "1"),
    "set_model_version_tag": lambda: made.set_model_version_tag(name, "1", "a", "1"),
    "set_registered_model_tag": lambda: made.set_registered_model_tag(name, "a", "1"),
    "set_tag": lambda: made.set_tag(id, "a", "1"),
    "set_terminated": lambda: made.set_terminated(other),
    "tracking_uri": lambda: made.tracking_uri.index("azureml://"),
    "transition_model_version_stage": lambda: made.transition_model_version_stage(name, "1", "Staging"),
    "update_model_version": lambda: made.update_model_version(name, "1", "d"),
    "update_registered_model": lambda: made.update_registered_model(name, "d"),
    "update_run": lambda: made.update_run(id, name="two"),
}

import inspect
MADE_UP = {"alias": "a", "datasets": [], "experiment_id": spot, "experiment_ids": [spot], "key": "k", "models": [],
           "name": "none", "params": {"a": "1"}, "prompt_versions": [], "run_id": id, "server_json": {"name": "a/b",
           "version": "1"}, "tags": {"a": "1"}, "template": "text", "trace_ids": ["t"], "url": "https://h",
           "version": "1", "events": ["registered_model.created"], "local_path": "file", "local_dir": "m",
           "src_model_uri": source, "prompt_uri": "prompts:/a/1", "name_or_uri": "prompts:/a/1", "status": "READY",
           "max_timestamp_millis": 1, "value": "v", "server_name": "a/b", "prompt": "prompts:/a/1", "feedback": None}
HAND = {"delete_traces": (spot, 1)}

def made_up(method):
    named = inspect.signature(method).parameters.values()
    wanted = [each for each in named if each.default is each.empty and each.kind is each.POSITIONAL_OR_KEYWORD]
    return [MADE_UP.get(each.name, "x") for each in wanted]

def called(method):
    try:
        if method in calls:
            calls[method]()
        else:
            function = getattr(made, method)
            function(*HAND.get(method) or made_up(function))
        return "works"
    except Exception as error:
        said = []
        while error:
            said.append(f"{type(error).__name__}: {error}")
            error = error.__cause__ or error.__context__
        return "\n".join(said)

# What takes a thing away comes last, what restores it after that.
def turn(method):
    return method.startswith("restore"), method.startswith("delete"), method

public = [method for method in dir(MlflowClient) if not method.startswith("_")]
answer = {method: called(method) for method in sorted(public, key=turn)}
"""


ALONE = (
    "not implemented for AzureMLRestStore|only available for Databricks|not supported by the configured workspace URI"
)


def outcome(said: str) -> str:
    """What a call has shown, in the table's words."""
    if said == "works":
        return "works"
    if "failed with error code 404" in said and "Response body: ''" in said:
        return "refused: 404"
    if match := re.search(r"([A-Z][^.\n]* is not supported by Azure Machine Learning)", said):
        return f"refused: {match[1].rpartition(': ')[2]}"
    if re.search(ALONE, said):
        return "refused by the client itself"
    if re.search(r"Prompt (with name=|\(name=|'none')|Model Version \(name=none", said):  # a prompt is a kind of them
        return "refused: no prompt can be made"
    return f"not played: {said[:300]}"


def share(outcomes: dict[str, str]) -> float:
    """How many of the methods work, or are refused as in Azure."""
    return sum(not said.startswith("not played") for said in outcomes.values()) / len(outcomes)


def section(told: dict[str, dict[str, str]]) -> str:
    """The part of the page that is about MLflow's client."""
    releases = sorted(told)
    methods = sorted({method for outcomes in told.values() for method in outcomes})
    works = {release: sum(said == "works" for said in told[release].values()) for release in releases}
    lines = [
        HEADING,
        "",
        "Every public method of `MlflowClient`, called from outside of a run with azureml-mlflow's tracking URI.",
        *(
            f"MLflow {release}: {works[release]} of {len(told[release])} work, {share(told[release]):.0%} work or are "
            "refused as Azure does."
            for release in releases
        ),
        "Refused is what Azure documents as not supported, and with 404 and an empty body what its server has no route",
        "for, as it is known to answer `logged-models`. A hyphen stands where a release has no such method.",
        "",
        "| method | " + " | ".join(releases) + " |",
        "|---|" + "---|" * len(releases),
        *(f"| {method} | " + " | ".join(told[each].get(method, "-") for each in releases) + " |" for method in methods),
    ]
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="session")
def told() -> dict[str, dict[str, str]]:
    """What each generation has shown, for the table of both."""
    return {}


def test_each_method(outside: Client, told: dict[str, dict[str, str]]) -> None:
    answer = outside(CALLS + 'answer["release"] = mlflow.__version__')
    release = answer.pop("release")
    told[release] = {method: outcome(said) for method, said in answer.items()}
    missing = {method: said for method, said in told[release].items() if said.startswith("not played")}
    assert share(told[release]) >= 0.95, missing


def test_the_page_tells_what_was_seen(told: dict[str, dict[str, str]]) -> None:
    assert len(told) == len(GENERATIONS), "run this file as a whole: the table is of both generations"
    page = PAGE.read_text() if PAGE.exists() else "# What the rehearsal plays\n\n" + HEADING
    kept = re.search(rf"{HEADING}\n?.*?(?=\n## |\Z)", page, re.DOTALL)
    assert kept, f"{PAGE} has no section {HEADING}"
    if os.environ.get("REWRITE_OPERATIONS"):
        PAGE.write_text(page.replace(kept[0], section(told)))
        return
    assert kept[0].strip() == section(told).strip(), "REWRITE_OPERATIONS=1 writes it anew"
