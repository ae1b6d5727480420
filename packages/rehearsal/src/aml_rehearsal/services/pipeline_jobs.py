"""Pipeline jobs of the second generation: their steps are command jobs, sweep jobs and pipeline jobs."""

from __future__ import annotations

import copy
import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import Any

from aml_rehearsal.messages import Refusal
from aml_rehearsal.services import command_jobs, components, data_assets, sweep_jobs
from aml_rehearsal.services.command_jobs import not_played
from aml_rehearsal.services.pipeline_progress import Progress
from aml_rehearsal.state import Record
from aml_rehearsal.workspace import Workspace

BOUND = re.compile(r"\$\{\{\s*parent\.(?P<path>[\w.]+)\s*\}\}")
OPTIONAL = re.compile(r"\$\[\[(?P<part>.*?)\]\]", re.DOTALL)  # of a command: there only if its inputs are
NAMED_INPUT = re.compile(r"\$\{\{\s*inputs\.(?P<name>[\w.]+)\s*\}\}")
TO_COME = "steps/"  # in the address of what a step is to make that has not run
STEPS = {"command": "Command", "sweep": "Sweep", "pipeline": "Pipeline"}
NUMBERS = {"number": float, "integer": int}
# An expression of a search space: its numbers, in the order in which the service has them.
EXPRESSIONS = {
    "choice": ("values",), "randint": ("upper",), "normal": ("mu", "sigma"), "lognormal": ("mu", "sigma"),
    "uniform": ("min_value", "max_value"), "loguniform": ("min_value", "max_value"),
    "quniform": ("min_value", "max_value", "q"), "qloguniform": ("min_value", "max_value", "q"),
    "qnormal": ("mu", "sigma", "q"), "qlognormal": ("mu", "sigma", "q"),
}  # fmt: skip


def submit(workspace: Workspace, name: str, wish: Record) -> None:
    """Check a pipeline job with all its steps, make its run and let it go."""
    pipeline = PipelineJob(workspace, name, wish)
    pipeline.check()
    run = command_jobs.begun(workspace, name, wish)
    run["runType"] = "azureml.PipelineRun"
    given = {key: one.get("value") for key, one in pipeline.inputs.items() if one.get("jobInputType") == "literal"}
    run["properties"] |= {
        "azureml.runsource": "azureml.PipelineRun",
        "runSource": "MFE",
        "runType": "HTTP",
        "azureml.parameters": json.dumps(given),
        "azureml.continue_on_step_failure": str(pipeline.goes_on),
    }
    run["tags"].setdefault("azureml.pipelineComponent", "pipelinerun")
    pipeline.let_run()


def refused(step: str, message: str) -> Refusal:
    return Refusal(400, f"jobs: {step}: {message}", "UserError")


@dataclass
class Step:
    """A step as it was sent, and the component that it runs."""

    name: str
    sent: Record
    spec: Record
    sources: set[str] = field(default_factory=set)  # the steps that it reads from

    @property
    def kind(self) -> str:
        return str(self.sent.get("type") or "command")

    @property
    def searched(self) -> Record:
        """The hyperparameters, which stand for inputs of a sweep's trial."""
        return self.sent.get("search_space") or {}


class PipelineJob(Progress):
    """One run of a pipeline job."""

    def __init__(self, workspace: Workspace, name: str, wish: Record) -> None:
        self.wish, self.settings = wish, camel(wish.get("settings") or {})
        self.inputs: dict[str, Record] = {key: one for key, one in (wish.get("inputs") or {}).items() if one}
        wish["outputs"] = {key: one for key, one in (wish.get("outputs") or {}).items() if one}
        jobs = wish.get("jobs") or {}
        if not jobs:
            raise Refusal(400, "jobs: a pipeline job has a step.", "UserError")
        self.steps = {step: self.read(workspace, step, sent) for step, sent in jobs.items()}
        for step in self.steps.values():
            step.sources = {source for source, _ in self.bindings(step) if source}
        before = {step: one.sources for step, one in self.steps.items()}
        super().__init__(workspace, name, str(wish.get("experimentName") or "Default"), before)

    @staticmethod
    def read(workspace: Workspace, name: str, sent: Record) -> Step:
        kind = str(sent.get("type") or "command")
        if kind not in STEPS:
            raise not_played(f"steps of the type {kind}: {name}")
        trial = sent.get("trial") or {}
        component = sent.get("componentId") or (trial.get("componentId") if isinstance(trial, dict) else trial)
        if not component:
            raise refused(name, "it names no component.")
        return Step(name, sent, components.spec_of(workspace, str(component)))

    @property
    def record(self) -> Record:
        return self.workspace.state.tables.jobs[self.run_id]

    @property
    def goes_on(self) -> bool:
        return bool(self.settings.get("continueOnStepFailure"))

    # ------------------------------------------------------------------------------------------------------- checks

    def check(self) -> None:
        """Refuse a pipeline job of which a step could not run."""
        command_jobs.check_inputs(self.workspace, {"inputs": known(self.inputs)})
        for step in self.steps.values():
            self.check_step(step)
        done: set[str] = set()
        while left := self.before.keys() - done:
            ready = {name for name in left if self.before[name] <= done}
            if not ready:
                raise Refusal(400, f"jobs: {', '.join(sorted(left))} wait for each other.", "UserError")
            done |= ready

    def check_step(self, step: Step) -> None:
        for source, path in self.bindings(step):
            if source and source not in self.steps:
                raise refused(step.name, f"there is no step {source}.")
            if source and path not in (self.steps[source].spec.get("outputs") or {}):
                raise refused(step.name, f"the step {source} has no output {path}.")
            if not source and path not in self.inputs:
                raise refused(step.name, f"the pipeline has no input {path}.")
        declared = step.spec.get("outputs") or {}
        for name, one in (step.sent.get("outputs") or {}).items():
            if name not in declared:
                raise refused(step.name, f"its component has no output {name}.")
            if (target := bound_output(one)) and target not in self.wish["outputs"]:
                raise refused(step.name, f"the pipeline has no output {target}.")
        name, wish = f"{self.run_id}_{step.name}", self.as_job(step, "")
        if step.kind == "pipeline":
            PipelineJob(self.workspace, name, wish).check()
        elif step.kind == "sweep":
            sweep_jobs.check(self.workspace, name, wish)
        else:
            command_jobs.as_configuration(self.workspace, name, wish)
        command_jobs.check_inputs(self.workspace, {"inputs": known(wish["inputs"])})

    def bindings(self, step: Step) -> list[tuple[str, str]]:
        """What a step's inputs are bound to: a step and its output, or nothing and an input of the pipeline."""
        found = []
        for one in (step.sent.get("inputs") or {}).values():
            for match in BOUND.finditer(str((one or {}).get("value") or "")):
                kind, _, path = match["path"].partition(".")
                if kind == "inputs":
                    found.append(("", path))
                elif kind == "jobs" and (parts := re.fullmatch(r"(\w+)\.outputs\.(\w+)", path)):
                    found.append((parts[1], parts[2]))
                else:
                    raise refused(step.name, f"{match[0]} is no input of the pipeline and no output of a step.")
        return found

    # --------------------------------------------------------------------------------------------- a step, as a job

    def as_job(self, step: Step, run_id: str) -> Record:
        """A step in the words of a job of its own."""
        sent, spec = camel(step.sent), step.spec
        inputs, outputs = self.inputs_of(step), self.outputs_of(step, run_id)
        resources = camel(spec.get("resources") or {}) | (sent.get("resources") or {})
        wish: Record = {
            "jobType": STEPS[step.kind],
            "experimentName": self.experiment,
            "displayName": sent.get("displayName") or step.name,
            "description": sent.get("description"),
            "tags": step.sent.get("tags") or {},
            "computeId": sent.get("computeId") or self.settings.get("defaultCompute"),
            "inputs": inputs,
            "outputs": outputs,
            **({"resources": resources} if resources else {}),
        }
        if step.kind == "pipeline":
            # What the client has written for a pipeline counts where the component says nothing of its own.
            kept = ("defaultCompute", "defaultDatastore", "continueOnStepFailure", "forceRerun")
            settings = {key: self.settings[key] for key in kept if key in self.settings}
            return wish | {"jobs": copy.deepcopy(spec.get("jobs") or {}), "settings": settings}
        code = str(spec.get("code") or "")
        variables = (spec.get("environment_variables") or {}) | (step.sent.get("environment_variables") or {})
        trial: Record = {
            "codeId": code.removeprefix("azureml:") or None,
            "command": line(str(spec.get("command") or ""), {*inputs, *step.searched}),
            "environmentId": sent.get("environment") or sent.get("environmentId") or spec.get("environment"),
            "environmentVariables": variables,
            "distribution": distribution(step.sent.get("distribution") or spec.get("distribution") or {}),
        }
        limits = sent.get("limits") or camel(spec.get("limits") or {})
        if step.kind == "command":
            return wish | trial | {"limits": limits, "queueSettings": sent.get("queueSettings")}
        algorithm = step.sent.get("sampling_algorithm") or "random"
        sampling = camel(algorithm) if isinstance(algorithm, dict) else {"type": algorithm}
        ending = camel(step.sent.get("early_termination") or {})
        return wish | {
            "trial": trial,
            "limits": limits,
            "objective": camel(step.sent.get("objective") or {}),
            "searchSpace": {key: expression(one) for key, one in step.searched.items()},
            "samplingAlgorithm": sampling | {"samplingAlgorithmType": str(sampling.get("type", "")).capitalize()},
            "earlyTermination": ending | {"policyType": pascal(str(ending.get("type") or ""))},
        }

    def inputs_of(self, step: Step) -> dict[str, Record]:
        """The inputs of a step: what it was given, and what its component says where it was given nothing."""
        declared, given = step.spec.get("inputs") or {}, step.sent.get("inputs") or {}
        found: dict[str, Record] = {}
        for name, one in given.items():
            told = declared.get(name)
            if told is None and not any(key.startswith(f"{name}.") for key in declared):
                raise refused(step.name, f"its component has no input {name}.")
            if one:
                found[name] = self.bound(camel(one), told or {})
        for name, told in declared.items():
            if name in found or name in step.searched:
                continue
            if told.get("default") is not None:
                found[name] = {"jobInputType": "literal", "value": str(told["default"])}
            elif not told.get("optional"):
                raise refused(step.name, f"the input {name} is required.")
        for name, one in found.items():
            if one["jobInputType"] == "literal":
                allowed(step.name, name, str(one["value"]), declared.get(name) or {})
        return found

    def bound(self, one: Record, told: Record) -> Record:
        """An input with what it is bound to in its place."""
        text, mode = str(one.get("value") or ""), one.get("mode") or modes(told.get("mode"))
        if one.get("jobInputType") != "literal":
            return one | {"mode": mode}
        match = BOUND.fullmatch(text)
        if match is None:
            return one | {"value": BOUND.sub(self.literal, text)}
        kind, _, path = match["path"].partition(".")
        if kind == "inputs":
            given = self.inputs.get(path) or {"jobInputType": "literal", "value": ""}
            return dict(given) if given.get("jobInputType") == "literal" else given | ({"mode": mode} if mode else {})
        source, _, output = path.partition(".outputs.")
        source = source.removeprefix("jobs.")
        under_way = self.run_id in self.workspace.state.tables.jobs
        maker = f"jobs/{self.started[source]}" if under_way and source in self.started else f"{TO_COME}{source}"
        kinds = str(told.get("type") or "uri_folder")
        return {"jobInputType": kinds, "uri": f"azureml://{maker}/outputs/{output}", "mode": mode}

    def literal(self, match: re.Match[str]) -> str:
        """What stands for a binding within a text."""
        given = self.inputs.get(match["path"].removeprefix("inputs."), {})
        return str(given.get("value", match[0]))

    def outputs_of(self, step: Step, run_id: str) -> dict[str, Record]:
        """The outputs of a step: all that its component has, the pipeline's own at the places that it names."""
        found = {}
        for name, told in (step.spec.get("outputs") or {}).items():
            one = (step.sent.get("outputs") or {}).get(name) or {}
            target = bound_output(one)
            wish = copy.deepcopy(self.wish["outputs"].get(target, {})) if target else camel(one)
            wish["jobOutputType"] = told.get("type") or wish.get("jobOutputType") or "uri_folder"
            wish["mode"] = wish.get("mode") or modes(told.get("mode")) or command_jobs.WRITTEN[0]
            if wish.get("uri"):
                wish["uri"] = str(wish["uri"]).replace("${{name}}", self.run_id if target else run_id or "${{name}}")
            if named := self.settings.get("defaultDatastore"):
                wish["store"] = str(named).rpartition("/")[2].removeprefix("azureml:")
            if target and step.kind != "sweep" and not wish.get("uri"):  # each trial has a place of its own
                wish |= command_jobs.placed(self.run_id, target, wish)  # where the client looks for it
            found[name] = wish
        return found

    # ---------------------------------------------------------------------------------------------------- progress

    def start_step(self, node: str, run_id: str) -> None:
        step = self.steps[node]
        wish = self.as_job(step, run_id)
        key = self.key(wish)
        again = self.settings.get("forceRerun") or not step.spec.get("is_deterministic", step.kind == "command")
        tables = self.workspace.state.tables
        if step.kind != "pipeline" and not again and (earlier := self.earlier(key)):
            run = self.reuse(node, run_id, earlier, step.name)
            tables.jobs[run_id] = copy.deepcopy(tables.jobs[earlier["run"]])
            old = tables.runs[earlier["run"]]
            run |= {"outputs": old.get("outputs") or {}, "properties": old["properties"] | run["properties"]}
            return
        start = {"command": command_jobs.submit, "sweep": sweep_jobs.submit, "pipeline": submit}
        start[step.kind](self.workspace, run_id, wish)
        run = self.place(node, run_id, step.name)
        if step.kind == "command":
            run["runType"] = "azureml.StepRun"
        self.outputs[node] = {}
        self.submitted(node, run_id, key)

    def key(self, wish: Record) -> str:
        """By what an earlier run is known as one of the same step."""
        said = {name: one for name, one in wish.items() if name not in {"experimentName", "displayName", "tags"}}
        said["inputs"] = {
            name: one | ({"uri": self.origin(str(one["uri"]))} if one.get("uri") else {})
            for name, one in wish["inputs"].items()
        }
        text = json.dumps(["job", said], sort_keys=True).replace(self.run_id, "")
        return hashlib.sha256(text.encode()).hexdigest()

    def origin(self, uri: str) -> str:
        """What an input is, also where the step before was an earlier one."""
        match = re.fullmatch(r"azureml://jobs/([^/]+)/outputs/(.+)", uri)
        run = self.workspace.state.tables.runs.get(match[1]) if match else None
        first = run["properties"].get("azureml.reusedrunid") if run else None
        return uri.replace(match[1], first) if match and first else uri

    def end(self) -> None:
        """Let the outputs of the pipeline be those of the steps that they are bound to."""
        runs, made = self.workspace.state.tables.runs, {}
        for node, step in self.steps.items():
            for name, one in (step.sent.get("outputs") or {}).items():
                if (target := bound_output(one)) and node in self.started:
                    run_id = self.started[node]
                    held = self.record["properties"]["outputs"][target]
                    held["uri"] = data_assets.in_full(self.workspace, f"azureml://jobs/{run_id}/outputs/{name}")
                    best = runs[run_id]["properties"].get("best_child_run_id") or run_id
                    if asset := (runs[best].get("outputs") or {}).get(name):
                        made[target] = asset
        self.parent["outputs"] = made


# ------------------------------------------------------------------------------------------------------- its words


def camel(record: Record) -> Record:
    """A step's words as a job has them: of a step, the client sends them as they stand in a file."""
    found: Record = {}
    for name, value in record.items():
        first, *rest = name.split("_")
        key = first + "".join(part.capitalize() for part in rest) if first else name
        found[key] = (
            camel(value) if isinstance(value, dict) and key in {"limits", "resources", "queueSettings"} else value
        )
    return found


def pascal(text: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in text.split("_"))


def modes(text: str | None) -> str | None:
    """A way to read or to write, as a component calls it."""
    short = {"ro": "ReadOnly", "rw": "ReadWrite"}
    return "".join(short.get(part, part.capitalize()) for part in text.split("_")) if text else None


def distribution(wish: Record) -> Record:
    told = camel(wish)
    return told | {"distributionType": told.get("distributionType") or told.get("type")} if told else {}


def expression(one: Any) -> list[Any]:
    """An expression of a search space, as the service has it."""
    if isinstance(one, list):
        return one
    kind = str(one.get("type"))
    return [kind, [one.get(name) for name in EXPRESSIONS.get(kind, ())]]


def bound_output(one: Any) -> str:
    """The pipeline's output that a step's output is bound to, if it is."""
    text = one if isinstance(one, str) else str((one or {}).get("value") or "")
    match = BOUND.fullmatch(text)
    return match["path"].removeprefix("outputs.") if match else ""


def line(command: str, there: set[str]) -> str:
    """A component's command, without the parts whose inputs were not given."""

    def part(match: re.Match[str]) -> str:
        return match["part"] if set(NAMED_INPUT.findall(match["part"])) <= there else ""

    return OPTIONAL.sub(part, command)


def known(inputs: dict[str, Record]) -> dict[str, Record]:
    """Those inputs that are there before any step has run."""
    return {name: one for name, one in inputs.items() if f"://{TO_COME}" not in str(one.get("uri") or "")}


def allowed(step: str, name: str, text: str, told: Record) -> None:
    """Refuse a value that the component does not take."""
    kind = str(told.get("type") or "string")
    if BOUND.search(text) or not told:
        return
    if kind == "boolean" and text.lower() not in {"true", "false"}:
        raise refused(step, f"the input {name} is a boolean, not {text}.")
    if told.get("enum") and text not in map(str, told["enum"]):
        raise refused(step, f"the input {name} is one of {', '.join(map(str, told['enum']))}, not {text}.")
    if kind not in NUMBERS:
        return
    try:
        number = NUMBERS[kind](text)
    except ValueError:
        raise refused(step, f"the input {name} is of the type {kind}, not {text}.") from None
    if told.get("min") is not None and number < float(told["min"]):
        raise refused(step, f"the input {name} is at least {told['min']}, not {text}.")
    if told.get("max") is not None and number > float(told["max"]):
        raise refused(step, f"the input {name} is at most {told['max']}, not {text}.")
