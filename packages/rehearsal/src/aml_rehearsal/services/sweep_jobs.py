"""Sweep jobs of the second generation: the search that HyperDrive plays, over command jobs."""

from __future__ import annotations

import copy
import math
import re
from typing import Any

from aml_rehearsal.messages import Refusal
from aml_rehearsal.sampling import Point
from aml_rehearsal.services import codes, command_jobs, history, searches
from aml_rehearsal.state import Record
from aml_rehearsal.workspace import Workspace

SEARCHED = re.compile(r"\$\{\{\s*search_space\.(?P<name>[\w.]+)\s*\}\}")
METHODS = {"Random": "Random", "Grid": "Grid", "Bayesian": "BayesianOptimization"}
POLICIES = {  # the properties of each, by their names in the first generation
    "Bandit": {"slackFactor": "slack_factor", "slackAmount": "slack_amount"},
    "MedianStopping": {},
    "TruncationSelection": {"truncationPercentage": "truncation_percentage"},
}
WHEN = {"evaluationInterval": "evaluation_interval", "delayEvaluation": "delay_evaluation"}
MOST, AT_ONCE, MINUTES = 1000, 100, 10080  # of trials, and how long, where a job does not say


def submit(workspace: Workspace, name: str, wish: Record) -> None:
    """Check a sweep job and its trials, and let it search."""
    check(workspace, name, wish)
    command_jobs.check_inputs(workspace, wish)
    trial = wish["trial"]
    snapshot = codes.snapshot_of(workspace, trial["codeId"]) if trial.get("codeId") else None

    def start(run_id: str, point: Point, earlier: Record | None) -> None:
        command_jobs.submit(workspace, run_id, of_trial(wish, point))

    asked = as_search(wish, {"SnapshotId": snapshot, "Overrides": {"target": command_jobs.target_of(wish)}})
    searches.begin(workspace, str(wish.get("experimentName") or "Default"), asked, name, trial=start)
    command_jobs.begun(workspace, name, wish)


def check(workspace: Workspace, name: str, wish: Record) -> None:
    """Refuse a sweep job whose trials could not run."""
    if wish.get("parentJobName"):
        history.run_of(workspace, wish["parentJobName"])
    space = wish.get("searchSpace") or {}
    command_jobs.as_configuration(workspace, f"{name}_0", of_trial(wish, dict.fromkeys(space, "")))


def of_trial(wish: Record, point: Point) -> Record:
    """The command job that tries a point; in its command a hyperparameter can also be named as an input."""
    trial, limits = wish.get("trial") or {}, wish.get("limits") or {}

    def known(match: re.Match[str]) -> str:
        return str(point.get(match["name"], match[0]))

    inputs = {name: {"jobInputType": "literal", "value": str(value)} for name, value in point.items()}
    kept = ("codeId", "environmentId", "environmentVariables", "distribution", "resources")
    return {
        "jobType": "Command",
        **{key: trial[key] for key in kept if trial.get(key)},
        **({"resources": wish["resources"]} if wish.get("resources") else {}),
        "command": SEARCHED.sub(known, str(trial.get("command") or "")),
        "inputs": inputs | (wish.get("inputs") or {}),
        "outputs": copy.deepcopy(wish.get("outputs") or {}),
        "limits": {"timeout": limits.get("trialTimeout")},
        **{key: wish.get(key) for key in ("computeId", "experimentName", "queueSettings")},
    }


def as_search(wish: Record, definition: Record) -> Record:
    """A sweep job in the words of HyperDrive."""
    limits, objective = wish.get("limits") or {}, wish.get("objective") or {}
    sampling = wish.get("samplingAlgorithm") or {}
    method, most = str(sampling.get("samplingAlgorithmType") or "Random"), int(limits.get("maxTotalTrials") or MOST)
    if method not in METHODS:
        raise Refusal(400, f"samplingAlgorithm: {', '.join(METHODS)}, not {method}.", "UserError")
    if sampling.get("logbase"):
        raise command_jobs.not_played("a logbase of sampling")
    seconds = command_jobs.seconds(limits.get("timeout"))
    return {
        "platform": "AML",
        "max_total_jobs": most,
        "max_concurrent_jobs": int(limits.get("maxConcurrentTrials") or min(most, AT_ONCE)),
        "max_duration_minutes": math.ceil(seconds / 60) if seconds else MINUTES,
        "primary_metric_config": {"name": objective.get("primaryMetric"), "goal": objective.get("goal")},
        "generator_config": {
            "name": METHODS[method].upper(),
            "parameter_space": wish.get("searchSpace") or {},
            "seed": sampling.get("seed"),
        },
        "policy_config": as_policy(wish.get("earlyTermination") or {}),
        "platform_config": {"Definition": definition},
    }


def as_policy(wish: Record) -> Record:
    kind = wish.get("policyType")
    if not kind:
        return {"name": "Default", "properties": {}}
    if kind not in POLICIES:
        raise Refusal(400, f"earlyTermination: {', '.join(POLICIES)}, not {kind}.", "UserError")
    properties: dict[str, Any] = {told: wish.get(key) or None for key, told in (POLICIES[kind] | WHEN).items()}
    return {"name": kind, "properties": properties}
