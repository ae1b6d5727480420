"""What pipeline.yml says, as plain data: steps, what each is handed and what it hands on, whoever runs them.

    parameters: {seed: 42}
    steps:
      prepare:
        run: prepare.py
        in: {data-path: data}
        out: {output-path: folder}
      train:
        run: train.py
        in: {data-path: prepare.output-path}
        out: {model: outputs/model}
        arguments: {seed: parameters.seed}

The names of `in`, of `arguments` and of an `out` that is a folder or a file are arguments of the script.
"""

from __future__ import annotations

import difflib
import math
import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

from aml_project import plain_yaml
from aml_project.command_line import WRONG_USE, Failure
from aml_project.plain_yaml import Place
from aml_project.service import registration_rules
from aml_project.values import Value, Values, words

FILE = "pipeline.yml"  # in the model's folder
DATA = "data"  # the input that every pipeline has: the model's data
PARAMETERS = "parameters"
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
GIVEN = re.compile(r"(folder|file)((?:\.[A-Za-z0-9]+)*)")  # an output whose place the script is given: file.csv
LONGEST_NAME = 60  # characters: what is made of it in a workspace has room for more
MOST = {"nodes": 100, "processes": 64, "items": 100_000}

Kind = Literal["command", "parallel", "register", "search"]


class Finding(NamedTuple):
    """What is wrong with the file, and its mend; line 0 is the file as a whole."""

    line: int
    said: str

    def __str__(self) -> str:
        return f"{FILE}:{self.line}: {self.said}" if self.line else f"{FILE}: {self.said}"


@dataclass(frozen=True)
class Source:
    """Where an input of a step comes from: an output of another one, or, without a step, an input of the pipeline."""

    name: str
    step: str = ""

    def __str__(self) -> str:
        return f"{self.step}.{self.name}" if self.step else self.name


@dataclass(frozen=True)
class Input:
    """Files that a pipeline reads: here a path, from the model's folder; on a cluster a registered dataset."""

    name: str
    path: str = ""
    dataset: str = ""


@dataclass(frozen=True)
class Output:
    """What a step hands on: a folder or file whose place the script is given as an argument of this name, or a path
    at which the script leaves it by itself, in its working folder."""

    name: str
    kind: Literal["folder", "file", "path"]
    path: str = ""
    suffix: str = ""  # of a file, as in .csv

    @property
    def is_argument(self) -> bool:
        return self.kind != "path"


@dataclass(frozen=True)
class Reference:
    """An argument whose value is that of a parameter of the pipeline."""

    name: str


@dataclass(frozen=True)
class Parallel:
    """The items of one input, shared out: the script's run() gets some at a time, as ParallelRunStep calls it."""

    over: str  # an input of the step
    nodes: int = 1
    processes: int = 1  # on each node
    items: int = 1  # that run() gets at a time
    error_threshold: int = 0  # items that may fail; -1: all of them


@dataclass(frozen=True)
class Registration:
    """Under which conditions a model is registered, and as what."""

    require: tuple[str, ...] = ()
    better_than_current: str = ""
    name: str = ""  # the model's own, if empty


@dataclass(frozen=True)
class Step:
    """One step. A registration's inputs are `model` and `metrics`; a search's script is its file."""

    name: str
    kind: Kind
    script: str = ""
    inputs: Mapping[str, Source] = field(default_factory=dict)
    outputs: Mapping[str, Output] = field(default_factory=dict)
    arguments: Mapping[str, Value | Reference] = field(default_factory=dict)
    after: tuple[str, ...] = ()
    compute: str = ""  # a cluster; empty: the one that the pipeline is sent to
    conda: str = ""  # a file of the model's folder; empty: the model's training environment
    parallel: Parallel | None = None
    registration: Registration | None = None

    @property
    def needs(self) -> tuple[str, ...]:
        """The steps that are done before this one begins."""
        return tuple(dict.fromkeys([*(source.step for source in self.inputs.values() if source.step), *self.after]))

    def values(self, parameters: Mapping[str, Value]) -> Values:
        """The arguments with the values that they have."""
        return {
            name: parameters[value.name] if isinstance(value, Reference) else value
            for name, value in self.arguments.items()
        }

    def words(self, parameters: Mapping[str, Value]) -> list[str]:
        """The arguments as the script takes them, without those of its inputs and outputs."""
        return words(self.values(parameters))


@dataclass(frozen=True)
class Pipeline:
    """A pipeline, as its file says it; the steps in the file's order."""

    parameters: Mapping[str, Value]
    inputs: Mapping[str, Input]  # `data` among them, without a path and a dataset: it is the model's own
    steps: Mapping[str, Step]
    lines: Mapping[Place, int] = field(default_factory=dict, compare=False, repr=False)

    def order(self) -> list[Step]:
        """The steps, each behind those that it needs, else as in the file."""
        return [self.steps[name] for name in ordered({name: step.needs for name, step in self.steps.items()})[0]]

    def readers(self, step: str, output: str) -> list[Step]:
        """The steps that read an output."""
        return [each for each in self.steps.values() if Source(output, step) in each.inputs.values()]

    def upstream(self, name: str) -> set[str]:
        """All steps that a step stands on, without itself."""
        found: set[str] = set()
        waiting = list(self.steps[name].needs)
        while waiting:
            if (other := waiting.pop()) not in found:
                found.add(other)
                waiting += self.steps[other].needs
        return found

    def downstream(self, name: str) -> set[str]:
        """All steps that stand on a step, without itself."""
        return {other for other in self.steps if name in self.upstream(other)}

    def finding(self, place: Place, said: str) -> Finding:
        """What is wrong at a place of the file."""
        return Finding(line_of(self.lines, place), f"{shown(place)}: {said}")


def read(folder: Path) -> Pipeline:
    """The pipeline of a model's folder; a Failure tells all that is wrong in its file, a line each."""
    pipeline, findings = examine(folder)
    if pipeline is None:
        raise Failure("\nERROR: ".join(f"models/{folder.name}/{finding}" for finding in findings))
    return pipeline


def examine(folder: Path) -> tuple[Pipeline | None, list[Finding]]:
    """The pipeline of a model's folder, or what is wrong with it."""
    try:
        text = (folder / FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        mend = f"make add ARGS=pipeline MODEL={folder.name} writes one for this model"
        return None, [Finding(0, f"not there: {mend}")]
    except (OSError, UnicodeDecodeError) as error:
        return None, [Finding(0, f"{getattr(error, 'strerror', None) or error}: write it as a text in UTF-8")]
    return parse(text)


def parse(text: str) -> tuple[Pipeline | None, list[Finding]]:
    """The pipeline that a text defines, or what is wrong with it, a line each with the mend."""
    document = plain_yaml.load(text)
    if document.findings:
        return None, [Finding(line, said) for line, said in document.findings]
    if not isinstance(document.content, dict):
        return None, [Finding(0, "no mapping: write `steps:`, and a section for each step below it")]
    reading = Reading(document.content, document.lines)
    pipeline = reading.pipeline()
    return (None, reading.findings) if reading.findings else (pipeline, [])


def with_parameters(pipeline: Pipeline, settings: Iterable[str]) -> Pipeline:
    """The same pipeline with other values of its parameters, each as in seed=7; they keep their kinds."""
    values = dict(pipeline.parameters)
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise Failure(f"--set {setting}: write NAME=VALUE", WRONG_USE)
        if name not in values:
            raise Failure(f"--set {name}: no such parameter: {nearest(name, values)}", WRONG_USE)
        values[name] = converted(name, text, values[name])
    return replace(pipeline, parameters=values)


def converted(name: str, text: str, default: Value) -> Value:
    """The text of a value, as one of the kind that the default has."""
    if isinstance(default, bool):
        if text.lower() not in ("true", "false"):
            raise Failure(f"--set {name}={text}: write true or false", WRONG_USE)
        return text.lower() == "true"
    if isinstance(default, str):
        return text
    kind = "a whole number" if isinstance(default, int) else "a number"
    try:
        value = type(default)(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise Failure(f"--set {name}={text}: write {kind}", WRONG_USE)
    return value


def ordered(needs: Mapping[str, Iterable[str]]) -> tuple[list[str], list[str]]:
    """Names, each behind those that it needs, else in their own order; and those left over, which need one another."""
    done: list[str] = []
    waiting = list(needs)
    while ready := next((name for name in waiting if all(need in done for need in needs[name])), None):
        done.append(ready)
        waiting.remove(ready)
    return done, waiting


def circle(needs: Mapping[str, Iterable[str]]) -> list[str]:
    """One circle of names that need one another, its first name at both ends; nothing where there is none."""
    left = ordered(needs)[1]
    if not left:
        return []
    path = [left[0]]
    while path[-1] not in path[:-1]:
        path.append(next(need for need in needs[path[-1]] if need in left))
    return path[path.index(path[-1]) :][::-1]


def shown(place: Place) -> str:
    """A place of the file: steps.train.in.data-path, steps.register.require[0]."""
    return "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in place).removeprefix(".")


def line_of(lines: Mapping[Place, int], place: Place) -> int:
    """The line of a key, or of the last one on the way to it that is there."""
    while place and place not in lines:
        place = place[:-1]
    return lines.get(place, 0)


def nearest(name: str, known: Iterable[str]) -> str:
    """The mend of a name that is unknown."""
    known = list(known)
    if near := difflib.get_close_matches(name, known, n=1, cutoff=0.7):
        return f"write {near[0]}"
    return f"there {'is' if len(known) == 1 else 'are'} {', '.join(known)}" if known else "there is none"


class Reading:
    """A mapping on its way to a Pipeline; `findings` are the lines about what is wrong in it."""

    def __init__(self, content: dict[Any, Any], lines: Mapping[Place, int]) -> None:
        self.content, self.lines, self.findings = content, lines, list[Finding]()

    def pipeline(self) -> Pipeline | None:
        known = self.refuse_unknown((), self.content, ("parameters", "inputs", "steps"))
        parameters = self.parameters(self.content.get("parameters"))
        inputs = self.inputs(self.content.get("inputs"))
        steps = self.steps(self.content.get("steps")) if known or "steps" in self.content else {}
        if self.findings:
            return None
        pipeline = Pipeline(parameters, inputs, steps, self.lines)
        self.refuse_unknown_names(pipeline)
        if not self.findings:
            self.refuse_circle(pipeline)
        return pipeline

    def found(self, place: Place, said: str) -> None:
        self.findings.append(Finding(line_of(self.lines, place), f"{shown(place)}: {said}"))

    def refuse_unknown(self, place: Place, content: Mapping[Any, Any], known: Iterable[str]) -> bool:
        """Whether all keys are known; one that is not may be one that is missing."""
        unknown = [key for key in content if key not in known]
        for key in unknown:
            self.found((*place, str(key)), f"no such key: {nearest(str(key), known)}")
        return not unknown

    def section(self, place: Place, content: object, form: str) -> dict[Any, Any]:
        """A mapping with names as keys; `form` shows one."""
        if content is None:
            return {}
        if not isinstance(content, dict):
            self.found(place, f"{short(content)}: write it as {form}")
            return {}
        return content

    def names(self, place: Place, content: object, form: str, what: str) -> dict[str, Any]:
        """A mapping whose keys are names of `what`, and no two alike."""
        found: dict[str, Any] = {}
        alike: dict[str, str] = {}
        for name, value in self.section(place, content, form).items():
            if not isinstance(name, str) or not NAME.fullmatch(name) or len(name) > LONGEST_NAME:
                rule = f"up to {LONGEST_NAME} letters, digits, - and _, a letter first"
                mend = f"leave out its --, as in {name.lstrip('-')}" if str(name).startswith("-") else f"write {rule}"
                self.found((*place, str(name)), f"no name of {what}: {mend}")
                continue
            plain = name.lower().replace("-", "_")
            if plain in alike:
                self.found((*place, name), f"{alike[plain]} is the same name to a workspace: write another one")
            alike[plain] = name
            found[name] = value
        return found

    def parameters(self, content: object) -> Values:
        found = self.names(("parameters",), content, "{seed: 42}", "a parameter")
        for name, value in found.items():
            self.value(("parameters", name), value)
        return found

    def value(self, place: Place, value: object) -> bool:
        if isinstance(value, bool | int | float | str):
            return True
        self.found(place, f"{short(value)}: write a text, a number, true or false")
        return False

    def inputs(self, content: object) -> dict[str, Input]:
        form = "{holdout: {path: ../../data/holdout, dataset: holdout}}"
        found = {DATA: Input(DATA)}
        for name, given in self.names(("inputs",), content, form, "an input").items():
            place = ("inputs", name)
            if name in (DATA, PARAMETERS):
                what = "the model's own data, always there" if name == DATA else "what parameters.NAME begins with"
                self.found(place, f"{name} is {what}: write another name")
                continue
            keys = self.section(place, given, "{path: ../../data/holdout, dataset: holdout}")
            self.refuse_unknown(place, keys, ("path", "dataset"))
            path = self.text(place, keys, "path", "a path that begins at the model's folder, as in ../../data/holdout")
            if path.startswith(("/", "~")) or re.match("[A-Za-z]:", path):
                self.found((*place, "path"), f"{path}: is of this computer alone: write it from the model's folder on")
            dataset = self.text(place, keys, "dataset", "the name of a registered dataset")
            if not keys and isinstance(given, dict | None):
                self.found(place, "neither path nor dataset: write the path here, the dataset on a cluster, or both")
            found[name] = Input(name, path, dataset)
        return found

    def text(self, place: Place, content: Mapping[Any, Any], key: str, what: str) -> str:
        """The text of a key that may be left out."""
        value = content.get(key)
        if value is None and key not in content:
            return ""
        if not isinstance(value, str) or not value.strip():
            self.found((*place, key), f"{short(value)}: write {what}")
            return ""
        return value

    def steps(self, content: object) -> dict[str, Step]:
        form = "{train: {run: train.py, in: {data-path: data}, out: {model: outputs/model}}}"
        if content is None or content == {}:
            self.found(("steps",), f"missing: write it as {form}")
            return {}
        found = {}
        for name, given in self.names(("steps",), content, form, "a step").items():
            if name == PARAMETERS:
                self.found(("steps", name), "parameters.NAME means a parameter: write another name")
            elif not isinstance(given, dict):
                self.found(("steps", name), f"{short(given)}: write it as {{run: {name}.py, in: {{data-path: data}}}}")
            elif step := self.step(name, given):
                found[name] = step
        return found

    def step(self, name: str, given: dict[Any, Any]) -> Step | None:
        place = ("steps", name)
        kinds = [key for key in ("run", "register", "search") if key in given]
        if len(kinds) != 1:
            self.found(place, f"{' and '.join(kinds)} at once: a step is one of them" if kinds else no_kind(given))
            return None
        after = self.after(place, given)
        compute = self.text(place, given, "compute", "the name of a cluster")
        if kinds == ["register"]:
            return self.register(name, given, after)
        known = len(self.findings)
        keys = [*kinds, "in", "out", "arguments", "after", "compute", "conda"]
        self.refuse_unknown(place, given, [*keys, "parallel"] if kinds == ["run"] else keys)
        script = self.script(place, given, kinds[0])
        inputs = self.sources(place, given.get("in"))
        outputs = self.outputs(place, given.get("out"))
        arguments = self.arguments(place, given.get("arguments"))
        conda = self.text(place, given, "conda", "a conda file of the model's folder")
        shared = kinds == ["run"] and "parallel" in given
        parallel = self.parallel(place, given["parallel"], inputs, outputs) if shared else None
        for part, names in (
            ("arguments", {*arguments} & {*inputs}),
            ("out", self.given(outputs) & {*inputs, *arguments}),
        ):
            for twice in sorted(names):
                self.found((*place, part, twice), f"--{twice} is given twice by this step: remove one")
        if kinds == ["search"]:
            for output in self.given(outputs):
                self.found((*place, "out", output), "write the path at which a trial leaves it, as in outputs/model")
            outputs = outputs or {"model": Output("model", "path", "outputs/model")}
        if len(self.findings) > known:
            return None
        kind: Kind = "search" if kinds == ["search"] else "parallel" if parallel else "command"
        return Step(name, kind, script, inputs, outputs, arguments, after, compute, conda, parallel)

    def given(self, outputs: Mapping[str, Output]) -> set[str]:
        """Those whose place is an argument of the script."""
        return {name for name, output in outputs.items() if output.is_argument}

    def script(self, place: Place, given: Mapping[Any, Any], key: str) -> str:
        ending, example = (".yml", "search.yml") if key == "search" else (".py", "train.py")
        value = given[key]
        if not isinstance(value, str) or not value.endswith(ending) or " " in value.strip():
            mend = f"name a file of the model's folder that ends with {ending}, as in {example}"
            self.found((*place, key), f"{short(value)}: {mend}; its arguments go below arguments:")
            return ""
        return self.inside((*place, key), value)

    def inside(self, place: Place, path: str) -> str:
        """A path below the model's, or the step's, own folder."""
        plain = posixpath.normpath(path)
        if "\\" in path or path.startswith(("/", "~")) or plain == "." or plain.split("/")[0] == "..":
            self.found(place, f"{path}: write a path that stays in the folder, with /, as in outputs/model")
        return plain

    def after(self, place: Place, given: Mapping[Any, Any]) -> tuple[str, ...]:
        value = given.get("after", [])
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            self.found((*place, "after"), f"{short(value)}: write steps in brackets, as in [train]")
            return ()
        return tuple(value)

    def sources(self, place: Place, content: object) -> dict[str, Source]:
        found = {}
        for name, value in self.names((*place, "in"), content, "{data-path: data}", "an argument").items():
            if source := self.source((*place, "in", name), value):
                found[name] = source
        return found

    def source(self, place: Place, value: object) -> Source | None:
        parts = value.split(".") if isinstance(value, str) else []
        if not 1 <= len(parts) <= 2 or not all(NAME.fullmatch(part) for part in parts):
            self.found(place, f"{short(value)}: write an input, as in {DATA}, or an output, as in prepare.output-path")
            return None
        if len(parts) == 2 and parts[0] == PARAMETERS:
            self.found(place, f"{value} is no folder or file: write it below arguments:")
            return None
        return Source(parts[-1], "" if len(parts) == 1 else parts[0])

    def outputs(self, place: Place, content: object) -> dict[str, Output]:
        found = {}
        form = "{output-path: folder}"
        for name, value in self.names((*place, "out"), content, form, "an output").items():
            here = (*place, "out", name)
            if not isinstance(value, str) or not value.strip():
                self.found(here, f"{short(value)}: write folder, file, or the path at which the script leaves it")
            elif value.lower() != value and GIVEN.fullmatch(value.lower()):
                self.found(here, f"{value}: write {value.lower()}")
            elif value.lower() in ("dir", "directory", "path"):
                self.found(here, f"{value}: write folder, or ./{value} for what the script leaves at this path")
            elif match := GIVEN.fullmatch(value):
                if match[1] == "folder" and match[2]:
                    self.found(here, f"{value}: a folder has no ending: write folder, or file{match[2]}")
                found[name] = Output(name, "folder" if match[1] == "folder" else "file", suffix=match[2])
            else:
                found[name] = Output(name, "path", self.inside(here, value))
        return found

    def arguments(self, place: Place, content: object) -> dict[str, Value | Reference]:
        found: dict[str, Value | Reference] = {}
        form = "{max-iter: 500, seed: parameters.seed}"
        for name, value in self.names((*place, "arguments"), content, form, "an argument").items():
            if not self.value((*place, "arguments", name), value):
                continue
            reference = isinstance(value, str) and value.startswith(f"{PARAMETERS}.")
            found[name] = Reference(value.removeprefix(f"{PARAMETERS}.")) if reference else value
        return found

    def parallel(
        self, place: Place, content: object, inputs: Mapping[str, Source], outputs: Mapping[str, Output]
    ) -> Parallel | None:
        place = (*place, "parallel")
        form = "{over: input, nodes: 2, processes: 2, items: 10}"
        if not isinstance(content, dict):
            self.found(place, f"{short(content)}: write it as {form}")
            return None
        known = self.refuse_unknown(place, content, ("over", *MOST, "error-threshold"))
        over = content.get("over")
        if over not in inputs and (known or over is not None):
            said = "missing" if over is None else f"no input of this step is called {short(over)}"
            self.found((*place, "over"), f"{said}: name the input whose items are shared out{among(inputs)}")
        numbers = {}
        for key, most in MOST.items():
            numbers[key] = content.get(key, 1)
            if isinstance(numbers[key], bool) or not isinstance(numbers[key], int) or not 1 <= numbers[key] <= most:
                self.found((*place, key), f"{short(numbers[key])}: write a whole number from 1 to {most}")
        threshold = content.get("error-threshold", 0)
        if isinstance(threshold, bool) or not isinstance(threshold, int) or threshold < -1:
            said = "write how many items may fail, or -1 for all of them"
            self.found((*place, "error-threshold"), f"{short(threshold)}: {said}")
        if [output for output in outputs.values() if output.kind == "path"] or len(outputs) != 1:
            mend = "write one: a file for the rows that run() returns, or a folder that the script is given"
            self.found((*place[:-1], "out"), f"a parallel step has one output: {mend}")
        return Parallel(str(over), **numbers, error_threshold=threshold)

    def register(self, name: str, given: Mapping[Any, Any], after: tuple[str, ...]) -> Step:
        place = ("steps", name, "register")
        self.refuse_unknown(place[:-1], given, ("register", "after"))
        form = "{model: train.model, metrics: evaluate.output-path, require: [accuracy>=0.7]}"
        content = given["register"]
        if not isinstance(content, dict):
            self.found(place, f"{short(content)}: write it as {form}")
            content = {}
        known = self.refuse_unknown(place, content, ("model", "metrics", "require", "better-than-current", "name"))
        inputs = {}
        for key in ("model", "metrics"):
            if key in content and (source := self.source((*place, key), content[key])):
                inputs[key] = source
        known = known and isinstance(given["register"], dict)
        if known and "model" not in content:
            self.found(place, "model: missing: name the output that is the model, as in train.model")
        require = content.get("require", [])
        require = [require] if isinstance(require, str) else require
        if not isinstance(require, list):
            self.found((*place, "require"), f"{short(require)}: write bounds in brackets, as in [accuracy>=0.7]")
            require = []
        for number, bound in enumerate(require):
            self.checked((*place, "require", str(number)), bound, registration_rules.parse_requirement)
        better = self.text(place, content, "better-than-current", "a metric, as in accuracy, or loss:min")
        if better:
            self.checked((*place, "better-than-current"), better, registration_rules.parse_better)
        called = self.text(place, content, "name", "what the model is registered as")
        if called:
            self.checked((*place, "name"), called, registration_rules.parse_name)
        if known and (require or better) and "metrics" not in content:
            self.found(place, "metrics: missing: name the output whose metrics.json the conditions are about")
        conditions = Registration(tuple(map(str, require)), better, called)
        return Step(name, "register", inputs=inputs, after=after, registration=conditions)

    def checked(self, place: Place, value: object, rule: Any) -> None:
        try:
            rule(str(value))
        except ValueError as error:
            self.found(place, f"write {error}")

    def refuse_unknown_names(self, pipeline: Pipeline) -> None:
        """Names that lead nowhere: inputs, outputs, steps, parameters."""
        for step in pipeline.steps.values():
            place = ("steps", step.name)
            inside = "register" if step.kind == "register" else "in"
            for name, source in step.inputs.items():
                self.lead((*place, inside, name), source, step, pipeline)
            for name, value in step.arguments.items():
                if isinstance(value, Reference) and value.name not in pipeline.parameters:
                    said = f"no parameter {value.name or 'without a name'}"
                    self.found((*place, "arguments", name), f"{said}: {nearest(value.name, pipeline.parameters)}")
            for name in step.after:
                if name == step.name:
                    self.found((*place, "after"), f"{name} is this step itself: remove it")
                elif name not in pipeline.steps:
                    self.found((*place, "after"), f"no step {name}: {nearest(name, pipeline.steps)}")

    def lead(self, place: Place, source: Source, step: Step, pipeline: Pipeline) -> None:
        if not source.step:
            if source.name in pipeline.inputs:
                return
            if other := pipeline.steps.get(source.name):
                outputs = ", ".join(f"{other.name}.{name}" for name in other.outputs)
                mend = f"write one of its outputs: {outputs}" if outputs else "it has no output: give it one below out:"
                self.found(place, f"{source.name} is a step: {mend}")
            else:
                self.found(place, f"no input {source.name}: {nearest(source.name, pipeline.inputs)}")
        elif source.step == step.name:
            self.found(place, f"{source} is an output of this step itself: read that of another one")
        elif source.step not in pipeline.steps:
            self.found(place, f"no step {source.step}: {nearest(source.step, pipeline.steps)}")
        elif source.name not in pipeline.steps[source.step].outputs:
            known = pipeline.steps[source.step].outputs
            self.found(place, f"{source.step} has no output {source.name}: {nearest(source.name, known)}")

    def refuse_circle(self, pipeline: Pipeline) -> None:
        found = circle({name: step.needs for name, step in pipeline.steps.items()})
        if found:
            said = f"each waits for another: {' → '.join(found)}: take one of them out"
            self.found(("steps", found[0]), said)


def no_kind(given: Mapping[Any, Any]) -> str:
    """What a section says that is no step."""
    for key in given:
        if near := difflib.get_close_matches(str(key), ("run", "register", "search"), n=1):
            return f"{key}: no such key: write {near[0]}"
    return "neither run, register nor search: write the script that it runs, as in run: train.py"


def among(names: Iterable[str]) -> str:
    listed = ", ".join(names)
    return f", one of {listed}" if listed else ""


def short(value: object) -> str:
    """A value as a line shows it."""
    text = "empty" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
