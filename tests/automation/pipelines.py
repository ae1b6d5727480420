"""Azure Pipelines, as far as the rendered ones go: their templates put in place, and what Microsoft's linter misses."""

import copy
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.support import PROJECT

Node = dict[str, Any]
GROUPS = {"azure-ml": {"AZURE_SUBSCRIPTION_ID", "AZURE_RESOURCE_GROUP", "AZURE_ML_WORKSPACE"}}  # as the page says
# Of the variables that every agent has: those that the files use.
PREDEFINED = {"Build.SourcesDirectory", "System.AccessToken", "System.DefinitionId", "System.TeamProjectId"}
IN_CONDITIONS = {"Build.Reason", "Build.Repository.Provider", "Build.SourceBranch", "System.PullRequest.IsFork"}
FUNCTIONS = {"and", "eq", "ne", "not", "or", "always", "canceled", "failed", "succeeded", "succeededOrFailed"}
MACRO = re.compile(r"\$\(([A-Za-z][\w.]*)\)")
OUTPUT = re.compile(r"\$\[ (dependencies|stageDependencies)\.([\w.]+)\.outputs\['(\w+)\.(\w+)'\] \]")
SET = re.compile(r"##vso\[task\.setvariable variable=(\w+);isOutput=true\]")
NO_PULL_REQUEST = "ne(variables['Build.Reason'], 'PullRequest')"
SECRETS = re.compile(r"password|secret|credential|(?<![a-z])key(?![a-z])", re.IGNORECASE)


def expanded(file: Path) -> Node:
    """A pipeline with its templates in place and each parameter where it is named."""
    pipeline: Node = yaml.safe_load(file.read_text(encoding="utf-8"))
    extends = pipeline.pop("extends")
    return pipeline | included(file.parent / extends["template"], extends["parameters"])


def included(file: Path, given: Node) -> Node:
    """What a template holds; it refuses a parameter that is missing or that it does not have."""
    template: Node = yaml.safe_load(file.read_text(encoding="utf-8"))
    wanted = {one["name"] for one in template.pop("parameters", [])}
    assert wanted == set(given), f"{file.name}: has the parameters {sorted(wanted)}, and is given {sorted(given)}"
    found: Node = filled(template, given, file.parent)
    return found


def filled(node: Any, given: Node, folder: Path) -> Any:
    if isinstance(node, dict):
        return {key: filled(value, given, folder) for key, value in node.items()}
    if isinstance(node, list):
        return [one for item in node for one in items(item, given, folder)]
    if isinstance(node, str):
        return re.sub(r"\$\{\{ parameters\.(\w+) \}\}", lambda found: str(given[found[1]]), node)
    return node


def items(item: Any, given: Node, folder: Path) -> list[Any]:
    """A step, or the steps of the template that it names."""
    if isinstance(item, dict) and "template" in item:
        steps: list[Any] = included(folder / item["template"], item.get("parameters", {}))["steps"]
        return steps
    return [filled(item, given, folder)]


def jobs_of(stage: Node) -> dict[str, Node]:
    return {job.get("job") or job["deployment"]: job for job in stage["jobs"]}


def steps_of(job: Node) -> list[Node]:
    steps: list[Node] = job["strategy"]["runOnce"]["deploy"]["steps"] if "deployment" in job else job["steps"]
    return steps


def needs(nodes: dict[str, Node], name: str) -> list[str]:
    """What a stage or a job waits for; a stage that does not say waits for the one before."""
    said = nodes[name].get("dependsOn")
    if said is None:
        before = list(nodes)[: list(nodes).index(name)]
        return before[-1:] if "stage" in nodes[name] else []
    return [said] if isinstance(said, str) else said


def variables_of(node: Node) -> dict[str, str]:
    """The variables of a stage or a job; those of a group have no value here."""
    found: dict[str, str] = {}
    for variable in node.get("variables", []):
        found |= (
            dict.fromkeys(GROUPS[variable["group"]], "")
            if "group" in variable
            else {variable["name"]: variable["value"]}
        )
    return found


def script_of(step: Node) -> str:
    script: str = step.get("script") or step.get("inputs", {}).get("inlineScript", "")
    return script


def texts(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        node = list(node.values())
    if isinstance(node, list):
        for value in node:
            yield from texts(value)
    elif isinstance(node, str):
        yield node


@cache
def verbs() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (PROJECT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def problems(root: Path, pipeline: Node) -> list[str]:
    """What is wrong in an expanded pipeline that its schema does not know; each begins with the place."""
    stages = {stage["stage"]: stage for stage in pipeline["stages"]}
    found = [f"{path}: is not there" for path in missing_paths(root, pipeline)]
    found += [f"open: {text.strip()}" for text in texts(pipeline) if "${{" in text]
    for name, stage in stages.items():
        found += [f"{name}: waits for {one}, which is not before it" for one in unknown(stages, name)]
        found += [f"{name}: {one}" for one in wrong_functions(stage)]
        jobs = jobs_of(stage)
        for job_name in jobs:
            place = f"{name}.{job_name}"
            found += [f"{place}: waits for {one}, which is not before it" for one in unknown(jobs, job_name)]
            found += [f"{place}: {one}" for one in wrong_in_job(stages, name, job_name)]
    return found


def missing_paths(root: Path, pipeline: Node) -> list[str]:
    paths = [path for key in ("trigger", "pr") for path in pipeline[key]["paths"]["include"]]
    return [path for path in paths if not list(root.glob(path))]


def unknown(nodes: dict[str, Node], name: str) -> list[str]:
    before = list(nodes)[: list(nodes).index(name)]
    return [one for one in needs(nodes, name) if one not in before]


def wrong_functions(node: Node) -> list[str]:
    condition = str(node.get("condition", ""))
    found = [
        f"{one}() is no function of conditions" for one in re.findall(r"(\w+)\(", condition) if one not in FUNCTIONS
    ]
    read = set(re.findall(r"variables\['([\w.]+)'\]", condition))
    return found + [f"{one}: is read by a condition, and nobody sets it" for one in sorted(read - IN_CONDITIONS)]


def wrong_in_job(stages: dict[str, Node], stage: str, name: str) -> Iterator[str]:
    jobs = jobs_of(stages[stage])
    job = jobs[name]
    steps = steps_of(job)
    variables = variables_of(stages[stage]) | variables_of(job)
    yield from wrong_functions(job)
    if not job.get("timeoutInMinutes"):
        yield "has no timeoutInMinutes"
    if "deployment" in job and not job.get("environment"):
        yield "deploys, and has no environment, where somebody could approve it"
    for value in variables.values():
        if value.startswith("$[") and (wrong := wrong_output(stages, stage, name, value)):
            yield wrong
    logins = {step["inputs"]["azureSubscription"] for step in steps if step.get("task", "").startswith("AzureCLI@")}
    if len(logins) > 1 or ("deployment" in job and logins != {job.get("environment")}):
        yield f"logs in as {' and '.join(sorted(logins))}, not as its environment alone"
    if logins and not closed_to_pull_requests(stages, stage):
        yield "logs in, also for a pull request"
    for step in steps:
        yield from wrong_functions(step)
        own = step.get("env", {})
        named = {one for text in texts(step) for one in MACRO.findall(text)}
        yield from (f"$({one}) is not defined" for one in sorted(named - PREDEFINED - set(variables)))
        script = script_of(step)
        read = set(re.findall(r"\$\{?([A-Z]\w+)", script)) - {"PWD"}
        yield from (f"${one} is not defined" for one in sorted(read - set(variables) - set(own)))
        called = set(re.findall(r"make ([a-z ]*[a-z])", script))
        yield from (f"make {verb}: no such verb" for line in called for verb in line.split() if verb not in verbs())
        if "make deploy" in script and "deployment" not in job:
            yield "deploys, and is no deployment job"
        if "\n" in script.strip() and not all(line.endswith("&&") for line in script.strip().splitlines()[:-1]):
            yield "goes on after a line that has failed"
        yield from (f"{one} looks like a secret" for one in sorted(set(own) | named) if SECRETS.search(one))


def wrong_output(stages: dict[str, Node], stage: str, job: str, value: str) -> str:
    """What is wrong with a value that another job has set."""
    parts = OUTPUT.fullmatch(value)
    if not parts:
        return f"{value}: is no output of a job"
    kind, place, step, variable = parts.groups()
    of_stage, _, of_job = place.rpartition(".") if kind == "stageDependencies" else (stage, "", place)
    waited = needs(stages, stage) if kind == "stageDependencies" else needs(jobs_of(stages[stage]), job)
    if (of_stage if kind == "stageDependencies" else of_job) not in waited:
        return f"{value}: it does not wait for that itself, and finds nothing"
    jobs = jobs_of(stages[of_stage]) if of_stage in stages else {}
    scripts = [script_of(one) for one in steps_of(jobs[of_job]) if one.get("name") == step] if of_job in jobs else []
    return "" if any(variable in SET.findall(script) for script in scripts) else f"{value}: nobody sets it"


def closed_to_pull_requests(stages: dict[str, Node], name: str) -> bool:
    """Whether a stage, or one that it can't run without, asks that nobody wants to merge it yet."""
    condition = stages[name].get("condition", "succeeded()")
    if NO_PULL_REQUEST in condition:
        return True
    before = [one for one in needs(stages, name) if one in stages]
    return "succeeded()" in condition and any(closed_to_pull_requests(stages, one) for one in before)


def changed(pipeline: Node) -> Node:
    """A copy to break."""
    return copy.deepcopy(pipeline)
