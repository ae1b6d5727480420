"""Would a search do what its file says? search.yml beside the train.py that each trial runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from aml_project import local_imports
from aml_project.checks.script_arguments import Argument, arguments, misfit
from aml_project.command_line import Failure
from aml_project.runconfigs.schema import nearest
from aml_project.search import definition
from aml_project.search.definition import Choice, Parameter, Search

SCRIPT = "train.py"
OF_FOLDS = "_folds_mean"  # of a cross-validation, which train.py writes with --folds


def findings(folder: Path) -> Iterator[str]:
    """What is wrong with a model's search.yml, a line each with the mend; nothing where there is none."""
    if not (folder / definition.FILE).exists():
        return
    search, lines = definition.examine(folder)
    yield from (f"{definition.FILE}: {line}" for line in lines)
    if search is not None:
        yield from _misfits(search, folder)


def refuse_what_would_fail(search: Search, folder: Path) -> None:
    """Check a search before it starts: what is found would fail each of its trials."""
    if found := [f"models/{folder.name}/{line}" for line in _misfits(search, folder)]:
        raise Failure("\nERROR: ".join(found))


def _misfits(search: Search, folder: Path) -> Iterator[str]:
    """What of a search the script does not take or write."""
    yield from (f"{definition.FILE}: {line}" for line in (*_arguments(search, folder), *_metric(search, folder)))


def _arguments(search: Search, folder: Path) -> Iterator[str]:
    known = arguments(folder / SCRIPT)
    if known is None:  # its text does not say for certain what it takes
        return
    options = {argument.name: argument for argument in known}
    for parameter in search.parameters:
        place = f"parameters.{parameter.name}"
        if parameter.name not in options:
            near = nearest(parameter.name, list(options))
            mend = f"write {near}" if near else f"python {SCRIPT} --help lists what it takes"
            yield f"{place}: {SCRIPT} has no --{parameter.name}: {mend}"
        elif problem := _refused(parameter, options[parameter.name]):
            yield f"{place}: {problem}"


def _refused(parameter: Parameter, argument: Argument) -> str:
    """Why a script would not take the values of a parameter as they are meant."""
    option = f"--{parameter.name}"
    if isinstance(parameter, Choice):
        return next((problem for value in parameter.options if (problem := misfit(value, argument))), "")
    if not argument.takes_value:
        return f"{option} takes no value: write [true, false]"
    if argument.kind is int and not parameter.whole:
        return f"{option} takes whole numbers: write low, high and step without a point"
    if argument.kind is float and parameter.whole and parameter.step is None:
        low, high = parameter.low, parameter.high
        only = f"{low} to {high} in whole numbers is all that is tried, and {option} takes any: "
        return f"{only}write low: {low}.0, or step: 1 if that is meant"
    if argument.choices:
        return f"{option} takes one of {', '.join(map(str, argument.choices))}: write them in brackets"
    return ""


def _metric(search: Search, folder: Path) -> Iterator[str]:
    """The metric is one that the last training has written, or at least a word of the code."""
    try:
        written = list(json.loads((folder / "outputs" / "metrics.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        written = []
    code = list(local_imports.closure(folder / SCRIPT, []))
    if not (folder / SCRIPT).is_file():
        return
    if search.metric.endswith(OF_FOLDS) and local_imports.mentions(code, OF_FOLDS):
        if all(parameter.name != "folds" for parameter in search.parameters):
            yield f"metric: {SCRIPT} writes {search.metric} where it is told the folds: add folds: [5] to parameters"
        return
    if search.metric in written:
        return
    if not local_imports.mentions(code, f'"{search.metric}"', f"'{search.metric}'", f"{search.metric}="):
        near = nearest(search.metric, written)
        has = f"; it has written {', '.join(written)}" if written else ""
        mend = f"write {near}" if near else "name a key of its outputs/metrics.json"
        yield f"metric: {SCRIPT} writes no {search.metric}{has}: {mend}"
