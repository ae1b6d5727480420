"""Would Azure ML's second generation do what the files of azure_ml/ say? Each line is FILE:LINE: a place, and the mend.

The client's own loader finds two mistakes of three, when it is called; what the files alone can tell is told here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from aml_project.checks import v2_bindings, v2_twins
from aml_project.plain_yaml import Place
from aml_project.runconfigs.schema import meant
from aml_project.v2 import files, keys
from aml_project.v2.files import File, section
from aml_project.v2.keys import Finding

# kind: what a name of it may be, and that in words
ENDPOINT = (r"[a-zA-Z][a-zA-Z0-9-]{1,30}[a-zA-Z0-9]", "3 to 32 letters, digits and '-', starting with a letter")
ASSET = (
    r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}",
    "1 to 255 letters, digits, '-', '_' and '.', starting with a letter or digit",
)
COMPUTE = (r"[a-zA-Z][a-zA-Z0-9-]{0,22}[a-zA-Z0-9]", "2 to 24 letters, digits and '-', starting with a letter")
DATASTORE = (r"[a-z0-9_]{1,255}", "a-z, 0-9 and '_'")
NAMES = {
    "managedOnlineEndpoint": ENDPOINT, "kubernetesOnlineEndpoint": ENDPOINT, "batchEndpoint": ENDPOINT,
    "managedOnlineDeployment": ENDPOINT, "kubernetesOnlineDeployment": ENDPOINT,
    "batchDeployment": ENDPOINT, "modelBatchDeployment": ENDPOINT, "pipelineComponentBatchDeployment": ENDPOINT,
    "environment": ASSET, "data": ASSET, "model": ASSET, "amlCompute": COMPUTE, "computeInstance": COMPUTE,
    "azureBlob": DATASTORE, "azureFile": DATASTORE, "azureDataLakeGen2": DATASTORE, "azureDataLakeGen1": DATASTORE,
    "commandComponent": ASSET, "parallelComponent": ASSET, "pipelineComponent": ASSET,
}  # fmt: skip
# The least that a number may be, wherever its key stands.
LEAST = {
    "instance_count": 1, "process_count_per_instance": 1, "worker_count": 1, "max_total_trials": 1,
    "max_concurrent_trials": 1, "timeout": 1, "trial_timeout": 1, "min_instances": 0, "max_instances": 0,
    "idle_time_before_scale_down": 1, "mini_batch_size": 1, "max_concurrency_per_instance": 1, "error_threshold": -1,
    "max_retries": 0, "request_timeout_ms": 1, "max_concurrent_requests_per_instance": 1, "delay_evaluation": 0,
    "evaluation_interval": 1,
}  # fmt: skip
NUMBERS = {  # the arguments of a distribution, beside those of which none may be missing
    "uniform": ("min_value", "max_value"), "loguniform": ("min_value", "max_value"),
    "quniform": ("min_value", "max_value", "q"), "qloguniform": ("min_value", "max_value", "q"),
    "normal": ("mu", "sigma"), "lognormal": ("mu", "sigma"),
    "qnormal": ("mu", "sigma", "q"), "qlognormal": ("mu", "sigma", "q"), "randint": ("upper",),
}  # fmt: skip
ALGORITHMS = {"bayesian": ("choice", "uniform", "quniform"), "grid": ("choice",)}
ELSEWHERE = re.compile(r"\$\{\{|^(azureml|https?|wasbs?|abfss?|adl|git\+https?):|^git@")
REFERENCE = re.compile(r"azureml:(?!/)[^:@]+")
DATA = ("uri_folder", "uri_file", "mltable")
TRAINED = "outputs"  # what lies there comes with a training


def findings(folder: Path) -> Iterator[str]:
    """What is wrong with a model's azure_ml/, a line each with the mend; nothing where there is none."""
    read = [files.read(path) for path in files.there(folder)]
    for file in read:
        shown = file.path.relative_to(folder).as_posix()
        yield from (f"{shown}:{line}: {problem}" for line, problem in examine(file))
    for file, finding in v2_twins.findings(folder, {file.path.name: file for file in read if file.kind}):
        yield f"{file.path.relative_to(folder).as_posix()}:{file.line(finding.place)}: {told(finding)}"


def examine(file: File) -> list[tuple[int, str]]:
    """What is wrong with a file by itself, with the line of each, in their order."""
    found = dict.fromkeys((file.line(finding.place), told(finding)) for finding in of_file(file)) if file.kind else {}
    allowed = {file.line(place) for place in words_that_may_be(file)}
    read = {
        (line, text)
        for line, text in file.problems
        if not (line in allowed or " is a text in YAML, and no number" in text)
    }
    return sorted({*found, *read})


def told(finding: Finding) -> str:
    return f"{keys.at(finding.place)}: {finding.problem}" if finding.place else finding.problem


def words_that_may_be(file: File) -> Iterator[Place]:
    """Where `yes` stands for what it is to YAML: the client takes it so."""
    for place, value in walk(file.content):
        if place and isinstance(value, bool) and place[-1] in BOOLEANS:
            yield place


BOOLEANS = {
    key
    for known in keys.known()["sections"].values()
    for key, takes in known["keys"].items()
    if takes == "bool"
}  # fmt: skip


def of_file(file: File) -> Iterator[Finding]:
    refused = list(keys.findings(file.kind, file.content))
    yield from refused
    doubtful = {finding.place[:1] for finding in refused}  # a finding is not to bring forth others
    for rule in (*EVERYWHERE, *RULES.get(file.kind, ())):
        yield from (finding for finding in rule(file) if finding.place[:1] not in doubtful)
    yield from v2_bindings.findings(file)


def walk(value: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """All that a file says, with the place of each."""
    yield place, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        yield from walk(item, (*place, str(name)))


# Of every kind


def name(file: File) -> Iterator[Finding]:
    pattern, words = NAMES.get(file.kind, ("", ""))
    given = file.content.get("name")
    if pattern and isinstance(given, str) and "$" not in given and not re.fullmatch(pattern, given):
        yield Finding(("name",), f"is {given!r}: write {words}")


def numbers(file: File) -> Iterator[Finding]:
    """Numbers that are too small, wherever they stand; what a run itself is told is none of ours."""
    for place, value in walk(file.content):
        least = LEAST.get(place[-1]) if place else None
        free = {"inputs", "environment_variables", "tags", "properties", "search_space"} & set(place)
        if least is not None and not free and isinstance(value, int) and not isinstance(value, bool) and value < least:
            yield Finding(place, f"is {value}: write {least} or more")
        if (
            place[-1:] == ("shm_size",)
            and isinstance(value, str)
            and not re.fullmatch(r"\d+[bkmgBKMG]?|\$\{\{.*", value)
        ):
            yield Finding(place, f"is {value!r}: write a number and one of b, k, m, g, as 2g")


def versions(file: File) -> Iterator[Finding]:
    """An asset without a version or a label: what is sent is refused."""
    for place, value in walk(file.content):
        asset = place[-1:] in (("environment",), ("model",), ("component",), ("path",)) and isinstance(value, str)
        if asset and REFERENCE.fullmatch(value):
            yield Finding(place, f"is {value}, without a version: write {value}@latest, or {value}:VERSION")


def code(file: File) -> Iterator[Finding]:
    for place, value in walk(file.content):
        if place[-1:] == ("code",) and "inputs" not in place and (path := local(file, value)):
            if not path.exists():
                yield Finding(place, f"{value}: no such folder: its path begins at this file's folder")
            elif path.is_file():
                yield Finding(place, f"{value}: is a file: name the folder that it lies in")


def scripts(file: File) -> Iterator[Finding]:
    """The script of a deployment, or of a parallel step, is in its code."""
    for place, value in walk(file.content):
        if place[-1:] not in (("scoring_script",), ("entry_script",)) or not isinstance(value, str):
            continue
        beside = at(file.content, place[:-1]).get("code")
        folder = local(file, beside)
        if folder and folder.is_dir() and not (folder / value).is_file():
            yield Finding(place, f"{value}: no such file in {beside}: write its path from there")


def packages(file: File) -> Iterator[Finding]:
    """What an environment is built from, also one that is written inside of a job."""
    places: list[Place] = [()] if file.kind == "environment" else [
        place for place, value in walk(file.content) if place[-1:] == ("environment",) and isinstance(value, dict)
    ]  # fmt: skip
    for place in places:
        environment = at(file.content, place)
        build = section(environment, "build")
        if "image" not in environment and not build:
            yield Finding(
                (*place, "image"), "missing: write image: and an image, or build: and the folder of a Dockerfile"
            )
        if "image" in environment and "build" in environment:
            yield Finding((*place, "build"), "an environment has either an image or a build: remove one of them")
        conda = environment.get("conda_file")
        if conda is not None and "image" not in environment and build:
            yield Finding((*place, "conda_file"), "goes with an image: install the packages in the Dockerfile")
        if isinstance(conda, str) and (path := local(file, conda)) and not path.is_file():
            yield Finding((*place, "conda_file"), f"{conda}: no such file: its path begins at this file's folder")
        context = local(file, build.get("path"))
        if context and not context.is_dir():
            yield Finding(
                (*place, "build", "path"), f"{build['path']}: no such folder: its path begins at this file's folder"
            )
        elif context and not (context / str(build.get("dockerfile_path") or "Dockerfile")).is_file():
            called = build.get("dockerfile_path") or "Dockerfile"
            yield Finding(
                (*place, "build", "dockerfile_path"),
                f"{called}: no such file in {build['path']}: write its path from there",
            )


def inputs(file: File) -> Iterator[Finding]:
    """Local data is there, and of the kind that it is called; outputs that are inputs by their mode, and so on."""
    for place, value in walk(file.content):
        if len(place) >= 2 and place[-2] == "inputs" and isinstance(value, dict):
            yield from of_path(file, place, value)


def data(file: File) -> Iterator[Finding]:
    kind = file.content.get("type", DATA[0])
    if isinstance(kind, str) and kind.lower() not in DATA:
        yield Finding(("type",), f"is {kind!r}: write {', '.join(DATA)}{meant(kind, list(DATA))}")
    yield from of_path(file, (), file.content)
    if "path" not in file.content:
        yield Finding(("path",), "missing: write path: and a folder, a file or an address")


def of_path(file: File, place: Place, said: dict[str, Any]) -> Iterator[Finding]:
    path, kind = local(file, said.get("path")), str(said.get("type") or "uri_folder")
    here = (*place, "path")
    if path is None:
        return
    if not path.exists():
        if TRAINED not in path.parts:
            yield Finding(here, f"{said['path']}: no such file or folder: its path begins at this file's folder")
    elif kind == "uri_folder" and path.is_file():
        yield Finding(
            here, f"{said['path']}: is a file, and type says uri_folder: write type: uri_file, or name its folder"
        )
    elif kind == "uri_file" and path.is_dir():
        yield Finding(
            here, f"{said['path']}: is a folder, and type says uri_file: write type: uri_folder, or name a file"
        )
    elif kind == "mltable" and not (path / "MLTable").is_file():
        yield Finding(here, f"{said['path']}: no file MLTable in it: write one, or type: uri_folder")


# Of some kinds


def models(file: File) -> Iterator[Finding]:
    path = local(file, file.content.get("path"))
    if "path" not in file.content:
        yield Finding(
            ("path",), "missing: write path: and what make train has left, ../outputs/model, or azureml://jobs/…"
        )
    elif path and not path.exists() and TRAINED not in path.parts:
        yield Finding(
            ("path",), f"{file.content['path']}: no such file or folder: its path begins at this file's folder"
        )
    elif path and path.is_dir() and file.content.get("type") == "mlflow_model" and not (path / "MLmodel").is_file():
        yield Finding(("type",), f"is mlflow_model, and {file.content['path']} has no MLmodel: write custom_model")


def clusters(file: File) -> Iterator[Finding]:
    said = file.content
    least, most = said.get("min_instances", 0), said.get("max_instances")
    if isinstance(least, int) and isinstance(most, int) and least > most >= 0:
        yield Finding(("min_instances",), f"is {least}, and max_instances {most}: write {most} or less")
    if not said.get("size") and "size" not in said:
        yield Finding(("size",), "missing: write size: and a VM size, as Standard_DS3_v2")
    yield from ssh(said)


def ssh(said: dict[str, Any]) -> Iterator[Finding]:
    settings = section(said, "ssh_settings")
    opened = said.get("ssh_public_access_enabled") is True
    if (opened and "ssh_settings" not in said) or (
        settings and not {"ssh_key_value", "admin_password"} & settings.keys()
    ):
        place = ("ssh_settings", "ssh_key_value") if settings else ("ssh_public_access_enabled",)
        yield Finding(
            place, "SSH without a key: write ssh_settings: with admin_username and ssh_key_value, or leave SSH out"
        )


def endpoint(file: File) -> Iterator[Finding]:
    traffic = section(file.content, "traffic")
    shares = [share for share in traffic.values() if isinstance(share, int)]
    for name_, share in traffic.items():
        if isinstance(share, int) and not 0 <= share <= 100:
            yield Finding(("traffic", str(name_)), f"is {share}: write 0 to 100")
            return
    if shares and sum(shares) not in (0, 100):
        yield Finding(("traffic",), f"is {sum(shares)} in all: let the shares be 100 together, or 0")
    mirrored = [share for share in section(file.content, "mirror_traffic").values() if isinstance(share, int)]
    if sum(mirrored) > 50:
        yield Finding(("mirror_traffic",), f"is {sum(mirrored)}: write 50 or less")


def deployment(file: File) -> Iterator[Finding]:
    said = file.content
    if file.kind == "managedOnlineDeployment" and "instance_type" not in said:
        yield Finding(("instance_type",), "missing: write instance_type: and a VM size, as Standard_DS3_v2")
    configuration = section(said, "code_configuration")
    if configuration and "scoring_script" not in configuration:
        yield Finding(("code_configuration", "scoring_script"), "missing: write scoring_script: score.py")
    if configuration and "code" not in configuration:
        yield Finding(("code_configuration", "code"), "missing: write code: and the folder of the script")
    if configuration and "environment" not in said:
        yield Finding(
            ("environment",), "missing, and code_configuration has code: write environment: azureml:NAME@latest"
        )
    model = said.get("model")
    if isinstance(model, dict) and (path := local(file, model.get("path"))) and not path.exists():
        yield Finding(
            ("model", "path"), f"{model['path']}: no such file or folder: its path begins at this file's folder"
        )


def schedules(file: File) -> Iterator[Finding]:
    trigger = section(file.content, "trigger")
    if not trigger:
        yield Finding(("trigger",), "missing: write trigger: with type: cron and an expression, or type: recurrence")
    expression = trigger.get("expression")
    if isinstance(expression, str) and (problem := cron(expression)):
        yield Finding(("trigger", "expression"), f"is {expression!r}: {problem}")
    job = file.content.get("create_job")
    if file.kind == "schedule" and "create_job" not in file.content:
        yield Finding(("create_job",), "missing: write create_job: ./job.yml")
    inner = job.get("job") if isinstance(job, dict) else job
    place = ("create_job", "job") if isinstance(job, dict) else ("create_job",)
    if (path := local(file, str(inner).removeprefix("file:") if inner else None)) and not path.is_file():
        yield Finding(place, f"{inner}: no such file: its path begins at this file's folder")


def cron(expression: str) -> str:
    parts = expression.split()
    if len(parts) != 5:
        return "write five parts: minute, hour, day, month, weekday"
    for part, what, low, high in zip(
        parts, ("minute", "hour", "day", "month", "weekday"), (0, 0, 1, 1, 0), (59, 23, 31, 12, 7), strict=True
    ):
        if any(not low <= int(number) <= high for number in re.findall(r"(?<![/\d])\d+", part)):
            return f"its {what} {part} is not {low} to {high}"
    return ""


def sweeps(file: File) -> Iterator[Finding]:
    yield from sweep(file.content, ())
    space, commands = section(file.content, "search_space"), str(section(file.content, "trial").get("command") or "")
    if not space:
        yield Finding(("search_space",), "missing: write search_space: and what is to be tried")
    for key in space if commands else ():
        if not re.search(rf"\$\{{\{{\s*search_space\.{re.escape(str(key))}\s*\}}\}}", commands):
            yield Finding(
                ("search_space", str(key)), f"trial.command does not take it: write ${{{{search_space.{key}}}}} there"
            )


def sweep(said: dict[str, Any], place: Place) -> Iterator[Finding]:
    algorithm = said.get("sampling_algorithm")
    algorithm = str(algorithm.get("type") if isinstance(algorithm, dict) else algorithm or "random").lower()
    for key, drawn in section(said, "search_space").items():
        if isinstance(drawn, dict):
            yield from distribution(drawn, (*place, "search_space", str(key)), algorithm)
    limits = section(said, "limits")
    most, at_once = limits.get("max_total_trials"), limits.get("max_concurrent_trials")
    if most is None and "limits" in said:
        yield Finding((*place, "limits", "max_total_trials"), "missing: write max_total_trials: and how many")
    if isinstance(most, int) and isinstance(at_once, int) and at_once > most:
        yield Finding(
            (*place, "limits", "max_concurrent_trials"),
            f"is {at_once}, and max_total_trials {most}: write {most} or less",
        )
    policy = section(said, "early_termination")
    if policy.get("type") == "bandit" and not {"slack_factor", "slack_amount"} & policy.keys():
        yield Finding(
            (*place, "early_termination"), "bandit without a slack: write slack_factor: 0.1, or slack_amount:"
        )
    percent = policy.get("truncation_percentage")
    if isinstance(percent, int) and not 1 <= percent <= 99:
        yield Finding((*place, "early_termination", "truncation_percentage"), f"is {percent}: write 1 to 99")


def distribution(drawn: dict[str, Any], place: Place, algorithm: str) -> Iterator[Finding]:
    kind = str(drawn.get("type") or "").lower()
    if kind not in ALGORITHMS.get(algorithm, (kind,)):
        takes = ", ".join(ALGORITHMS[algorithm])
        yield Finding(
            (*place, "type"),
            f"is {kind}, and {algorithm} draws from {takes} alone: write one, or sampling_algorithm: random",
        )
    if kind == "choice" and not drawn.get("values"):
        yield Finding((*place, "values"), "is empty or missing: write values: [a, b]")
    for name_ in NUMBERS.get(kind, ()):
        if name_ not in drawn:
            yield Finding((*place, name_), f"missing: write {name_}: and a number")
    low, high = drawn.get("min_value"), drawn.get("max_value")
    if isinstance(low, (int, float)) and isinstance(high, (int, float)) and low >= high:
        yield Finding((*place, "min_value"), f"is {low}, and max_value {high}: write less than that")
    elif kind.endswith("loguniform") and isinstance(high, (int, float)) and high > 300:
        yield Finding(
            (*place, "max_value"), f"is {high}, and stands for e to that: write the logarithm of the largest value"
        )
    if kind == "randint" and isinstance(drawn.get("upper"), int) and drawn["upper"] < 1:
        yield Finding((*place, "upper"), f"is {drawn['upper']}: write 1 or more: 0 to one less is drawn")
    for name_ in ("sigma", "q"):
        if isinstance(drawn.get(name_), (int, float)) and drawn[name_] <= 0:
            yield Finding((*place, name_), f"is {drawn[name_]}: write more than 0")


def at(value: Any, place: Place) -> dict[str, Any]:
    for part in place:
        value = value[int(part)] if isinstance(value, list) else value.get(part, {})
    return value if isinstance(value, dict) else {}


def local(file: File, value: Any) -> Path | None:
    """A path on this computer that a file names; None where it is an address, an asset, or the service's alone."""
    if not isinstance(value, str) or not value or ELSEWHERE.search(value):
        return None
    try:
        return (file.path.parent / value.removeprefix("file:")).resolve()
    except (OSError, ValueError):
        return None


Rule = Callable[[File], Iterator[Finding]]
EVERYWHERE: tuple[Rule, ...] = (name, numbers, versions, code, scripts, packages, inputs)
RULES: dict[str, tuple[Rule, ...]] = {
    "sweepJob": (sweeps,), "data": (data,), "model": (models,), "amlCompute": (clusters,),
    "managedOnlineEndpoint": (endpoint,), "kubernetesOnlineEndpoint": (endpoint,),
    "managedOnlineDeployment": (deployment,), "kubernetesOnlineDeployment": (deployment,),
    "modelBatchDeployment": (deployment,), "batchDeployment": (deployment,), "schedule": (schedules,),
    "monitorSchedule": (schedules,), "computeInstance": (lambda file: ssh(file.content),),
}  # fmt: skip
