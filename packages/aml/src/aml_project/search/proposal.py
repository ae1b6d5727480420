"""A first search.yml for a model: what its train.py takes, in ranges that make sense, and a metric to judge it by.

It imports little: a render waits for it.
"""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass
from pathlib import Path

from aml_project import project
from aml_project.checks.script_arguments import Argument, arguments
from aml_project.service.registration_rules import SMALLER

FILE = "search.yml"
# What is worth a search, in the arguments of the template's own scripts.
RANGES = {
    "regularization": "{low: 1.0e-3, high: 100.0, log: true}",
    "max-iter": "{low: 100, high: 2000, step: 100}",
    "learning-rate": "{low: 1.0e-4, high: 1.0e-1, log: true}",
    "batch-size": "[16, 32, 64, 128]",
}
# What says where, how it is read, how long or how fast, and not what is learned.
LEFT = {
    "data-path", "dataset", "label", "train-test-split-ratio", "seed", "resume", "workers", "amp", "compile", "epochs",
    "es-patience", "image-size", "keep", "processes", "task", "help", "output", "outputs", "output-path",
    "random-state", "verbose", "decimal", "folds", "threshold",
}  # fmt: skip
# By which metric, if there are several.
PREFERRED = ("dice", "roc_auc", "accuracy", "f1_macro", "f1", "rmse", "r2", "mae", "mse", "log_loss", "loss")
OF_NUMBERS = "rmse"
PATIENCE = "es-patience"
BY_STEP = "validation_loss"


@dataclass(frozen=True)
class Proposal:
    """The file, and what it is about."""

    text: str
    parameters: list[str]
    metric: str


def make(folder: Path) -> Proposal:
    known = {argument.name: argument for argument in arguments(folder / "train.py") or ()}
    ranges = {name: of for name, argument in known.items() if name not in LEFT and (of := range_of(argument))}
    if not ranges:
        name = "seed" if "seed" in known else "NAME"
        comment = "train.py has no argument yet that changes what is learned: name it here once it has"
        ranges = {name: f"{{low: 1, high: 100}}  # {comment}"}
    learns_by_step = PATIENCE in known and BY_STEP in code_of(folder / "train.py")
    metric = BY_STEP if learns_by_step else metric_of(folder)
    goal = "minimize" if metric in SMALLER else "maximize"
    about = "train.py logs it after each epoch" if learns_by_step else "a key of the metrics.json that train.py writes"
    lines = [
        "# What `make search` tries. A range includes both ends, log draws each power of ten as often as another.",
        f"{f'metric: {metric}':27}# {about}",
        f"goal: {goal}",
        "trials: 20",
        f"{'parallel: 2':27}# at a time",
        f"{'algorithm: tpe':27}# or random, grid, bayesian",
    ]
    if learns_by_step:
        lines.append(
            f"{'stop: {policy: median, after: 3}':33}# ends what is worse than half of the others, from epoch 3 on"
        )
    lines += ["parameters:", *(f"  {name}: {of}" for name, of in ranges.items())]
    if learns_by_step:
        lines.append(
            f"  {PATIENCE}: [3]  # always: with it a part of the data is held out, which the metric is made of"
        )
    return Proposal("\n".join(lines) + "\n", list(ranges), metric)


def range_of(argument: Argument) -> str:
    """The range to search an argument in; nothing where there is no telling."""
    if argument.name in RANGES:
        return RANGES[argument.name]
    default = argument.default
    if argument.choices:
        return json.dumps(list(argument.choices)) if len(argument.choices) > 1 else ""
    if isinstance(default, bool) or not isinstance(default, int | float) or default <= 0:
        return ""
    if isinstance(default, int) and argument.kind is not float:
        return f"{{low: {max(default // 2, 1)}, high: {default * 2}}}"
    if 0 < default < 1 and any(word in argument.name for word in ("dropout", "ratio", "share", "fraction")):
        return "{low: 0.05, high: 0.95}"
    return f"{{low: {as_yaml(default / 10)}, high: {as_yaml(default * 10)}, log: true}}"


def as_yaml(number: float) -> str:
    """A number that YAML takes for one: it wants a point in 1e-05."""
    text = f"{number:.6g}"
    mantissa, e, exponent = text.partition("e")
    return f"{mantissa if '.' in mantissa else f'{mantissa}.0'}{e}{exponent}"


def metric_of(folder: Path) -> str:
    """The metric to judge by: one that the last training has written, else one that the code speaks of."""
    try:
        written = [
            name
            for name, value in json.loads((folder / "outputs" / "metrics.json").read_text(encoding="utf-8")).items()
            if isinstance(value, int | float)
        ]
    except (OSError, ValueError, AttributeError):
        written = []
    if not written and project.task(folder) == "regression":
        return OF_NUMBERS
    said = written or [*texts(folder / "evaluation.py"), *texts(folder / "train.py")]
    return next((name for name in PREFERRED if name in said), written[0] if written else "accuracy")


def texts(file: Path) -> set[str]:
    """The texts that a script has in quotes."""
    try:
        tree = ast.parse(code_of(file))
    except (SyntaxError, ValueError):
        return set()
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def code_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
