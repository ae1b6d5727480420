"""The parameters of a search in NNI's words: {name: {_type, _value}}, a conditional one inside its choice's value."""

from __future__ import annotations

from typing import Any

from aml_project.search.azure_space import EDGE, LONGEST
from aml_project.search.definition import Choice, Parameter, Search
from aml_project.values import same

TUNERS = {"random": "Random", "tpe": "TPE", "grid": "GridSearch"}


def lacks(search: Search) -> list[str]:
    found = []
    if search.algorithm not in TUNERS:
        found.append("algorithm: NNI's bayesian tuner takes numbers alone and needs packages of its time: write tpe")
    if search.stop and search.stop.policy != "median":
        found.append(f"stop.policy: NNI has no {search.stop.policy}: write median")
    for parameter in search.parameters:
        place = f"parameters.{parameter.name}"
        if len(parameter.when) > 1:
            found.append(f"{place}: NNI takes one condition: leave all but one out of when")
        if is_long(parameter, search):
            found.append(f"{place}: {parameter.count:,} values are more than NNI can be told: give it a larger step")
    return found


def is_long(parameter: Parameter, search: Search) -> bool:
    count = parameter.count
    return count is not None and count > LONGEST and expression(parameter, search)["_type"] == "choice"


def space(search: Search) -> dict[str, Any]:
    """The whole space."""
    return nested(search, None, None)


def nested(search: Search, owner: str | None, option: object) -> dict[str, Any]:
    """The parameters that belong to a value of a choice, or those that always do."""
    found = {}
    for parameter in search.parameters:
        condition = next(iter(parameter.when.items()), None)
        belongs = condition is None if owner is None else (
            condition is not None and condition[0] == owner and any(same(option, one) for one in condition[1])
        )  # fmt: skip
        if belongs:
            found[parameter.name] = expression(parameter, search)
    return found


def expression(parameter: Parameter, search: Search) -> dict[str, Any]:
    if isinstance(parameter, Choice):
        inner = {str(option): nested(search, parameter.name, option) for option in parameter.options}
        if any(inner.values()):
            values: list[Any] = [{"_name": str(one), **inner[str(one)]} for one in parameter.options]
            return {"_type": "choice", "_value": values}
        return {"_type": "choice", "_value": list(parameter.options)}
    low, high = parameter.low, parameter.high
    if parameter.log and search.algorithm != "grid":
        if parameter.whole:  # each number has the share that is rounded to it
            return {"_type": "qloguniform", "_value": [low - 0.5 + EDGE, high + 0.5 - EDGE, 1]}
        return {"_type": "loguniform", "_value": [float(low), float(high)]}
    if parameter.count is None:
        return {"_type": "uniform", "_value": [float(low), float(high)]}
    if parameter.whole and parameter.step in (None, 1):
        return {"_type": "randint", "_value": [int(low), int(high) + 1]}
    return {"_type": "choice", "_value": list(parameter.options or ())}  # its quniform gives the ends half their share


def values_of(drawn: dict[str, Any], search: Search) -> dict[str, Any]:
    """What NNI has drawn, as search.yml has it."""
    flat: dict[str, Any] = {}
    for name, value in drawn.items():
        if isinstance(value, dict):
            inner = {key: one for key, one in value.items() if key != "_name"}
            flat |= {name: value["_name"], **values_of(inner, search)}
        else:
            flat[name] = value
    known = {parameter.name: parameter for parameter in search.parameters}
    return {name: value_of(known[name], value) if name in known else value for name, value in flat.items()}


def value_of(parameter: Parameter, value: Any) -> Any:
    if isinstance(parameter, Choice):
        return next((one for one in parameter.options if same(one, value) or str(one) == str(value)), value)
    return parameter.tidy(float(value))
