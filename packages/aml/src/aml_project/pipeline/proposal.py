"""A first pipeline.yml for a model, and the scripts of those steps that it has none for yet.

It imports little: a render waits for it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from string import Template

from aml_project import local_imports, project, tools
from aml_project.checks.script_arguments import arguments
from aml_project.command_line import Failure
from aml_project.model_environment import DATA_PATH

FILE = "pipeline.yml"
SCRIPTS = ("prepare.py", "evaluate.py")
# What of the template's own models the scripts and the steps stand on.
# A task's column of the sample data, and a bound that a model of it keeps.
SAMPLE = {"classification": ("churned", "accuracy>=0.6"), "regression": ("monthly_fee", "r2>=0.6")}
CLASSIFIER = ("score.py", "score_batch.py", "evaluation.py", "runtime/data.py", "runtime/batch.py")
STEPS = Template("""\
# What `make pipeline` does, here or on a cluster: each step reads what others have made.
parameters: {label: $label, seed: $seed}
steps:
  prepare:
    run: prepare.py
    in: {data-path: data}                          # --data-path gets the model's data
    out: {train-path: folder, test-path: folder}   # these get the names of two folders, to write to
    arguments: {label: parameters.label, seed: parameters.seed}
  train:
    run: train.py
    in: {data-path: prepare.train-path}
    out: {model: outputs/model}                    # what the script leaves there
    arguments: {label: parameters.label, seed: parameters.seed}
  evaluate:
    run: evaluate.py
    in: {model: train.model, data-path: prepare.test-path}
    out: {output-path: folder}
    arguments: {label: parameters.label}
  register:                                        # as `make register` does, where a workspace is attached
    register: {model: train.model, metrics: evaluate.output-path, require: [$bound]}
  score:
    run: score_batch.py
    in: {model: train.model, input: data}
    out: {scores: file}                            # the rows that run() returns
    parallel: {over: input, processes: 2, items: $items}
""")
TRAINING = Template("""\
# What `make pipeline` does, here or on a cluster: each step reads what others have made.
${parameters}steps:
  train:
    run: train.py
${given}\
    out: {$left}
${arguments}\
  register:                          # as `make register` does, where a workspace is attached
    register: {$conditions}
""")


@dataclass(frozen=True)
class Proposal:
    """The files, by name, and what the steps are called."""

    files: dict[str, str]
    steps: list[str]


def make(folder: Path) -> Proposal:
    """All steps for a model that answers rows as the template's do; for another one those that it has a script for."""
    takes = {argument.name: argument for argument in arguments(folder / "train.py") or ()}
    label, seed = (takes[name].default if name in takes else None for name in ("label", "seed"))
    sample, bound = SAMPLE[project.task(folder)]
    if "label" in takes and label is None:  # the script leaves it to runtime/arguments.py
        label = sample
    if isinstance(label, str) and isinstance(seed, int) and all((folder / file).is_file() for file in CLASSIFIER):
        images = (folder / "runtime" / "samples.py").is_file()
        words = {"label": json.dumps(label, ensure_ascii=False), "seed": seed, "bound": bound}
        text = STEPS.substitute(words, items=10 if images else 1)
        scripts = sources() / ("networks" if images else "tables")
        more = {name: (scripts / name).read_text(encoding="utf-8") for name in SCRIPTS}
    else:
        text, more = training(folder, set(takes), seed), {}
    steps = [line.strip().partition(":")[0] for line in text.splitlines() if line[:2] == "  " and line[2] != " "]
    return Proposal({FILE: text, **more}, steps)


def training(folder: Path, takes: set[str], seed: object) -> str:
    """The steps of a model that has a train.py, whatever that does."""
    code = list(local_imports.closure(folder / "train.py", []))
    data = next((name for name in DATA_PATH if name in takes or local_imports.mentions(code, f"--{name}")), "")
    left = {"model": "outputs/model" if local_imports.mentions(code, "outputs/model", '"model"') else "outputs"}
    conditions, seeded = {"model": "train.model"}, isinstance(seed, int)
    if local_imports.mentions(code, "metrics.json"):
        left["report"], conditions["metrics"] = "outputs", "train.report"
    if (folder / "task.yaml").is_file():
        conditions["require"] = "[dice>=0.5]"
    return TRAINING.substitute(
        parameters=f"parameters: {{seed: {seed}}}\n" if seeded else "",
        given=f"    in: {{{data}: data}}\n" if data else "",
        left=mapping(left),
        arguments="    arguments: {seed: parameters.seed}\n" if seeded else "",
        conditions=mapping(conditions),
    )


def mapping(pairs: dict[str, str]) -> str:
    return ", ".join(f"{key}: {value}" for key, value in pairs.items())


def sources() -> Path:
    """Where the scripts are: in this package or, in a checkout, among the template's folders."""
    inside = Path(__file__).parent / "scripts"
    if inside.is_dir():
        return inside
    package = tools.checkout()
    if not package:
        raise Failure("the steps' scripts are not in this package: pip install aml-project, from its own repository")
    return package.parents[1] / "templates" / "pipeline"
