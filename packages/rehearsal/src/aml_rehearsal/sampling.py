"""Which hyperparameters a search tries next, as HyperDrive's expressions ask for."""

from __future__ import annotations

import itertools
import json
import math
import random
from collections.abc import Callable, Iterator
from typing import Any

from aml_rehearsal.messages import Refusal

Point = dict[str, Any]  # the value of each hyperparameter
EXPRESSIONS = {  # how many numbers each takes
    "choice": 1, "randint": 1, "uniform": 2, "loguniform": 2, "normal": 2, "lognormal": 2,
    "quniform": 3, "qloguniform": 3, "qnormal": 3, "qlognormal": 3,
}  # fmt: skip
ALLOWED = {"random": set(EXPRESSIONS), "grid": {"choice"}, "bayesianoptimization": {"choice", "uniform", "quniform"}}
ATTEMPTS = 1000  # to find a point that was not tried yet
FIRST = 5  # points that a Bayesian search draws by chance, before it looks at results
CANDIDATES = 50  # among which it then takes the most promising


class Sampler:
    """Draws the points of one search, none of them twice."""

    def __init__(self, method: str, space: dict[str, Any], seed: str, *, maximize: bool) -> None:
        self.method, self.space, self.maximize = method.lower(), space, maximize
        check(self.method, space)
        self.chance = random.Random(seed)
        self.tried: set[str] = set()
        self.grid = self.corners()

    def corners(self) -> Iterator[Point]:
        """Every point of a space of choices, in order."""
        choices = [arguments[0] for _, arguments in self.space.values()] if self.method == "grid" else []
        return (dict(zip(self.space, values, strict=True)) for values in itertools.product(*choices))

    def next(self, results: list[tuple[Point, float]]) -> Point | None:
        """The next point, given what earlier ones came to; None where all were tried."""
        if self.method == "grid":
            return next(self.grid, None)
        if self.method == "bayesianoptimization" and len(results) >= FIRST:
            fresh = [point for point in (self.draw() for _ in range(CANDIDATES)) if key(point) not in self.tried]
            if fresh:
                return self.taken(max(fresh, key=lambda point: self.promise(point, results)))
        for _ in range(ATTEMPTS):
            point = self.draw()
            if key(point) not in self.tried:
                return self.taken(point)
        return None

    def taken(self, point: Point) -> Point:
        self.tried.add(key(point))
        return point

    def draw(self) -> Point:
        return {name: drawn(self.chance, *expression) for name, expression in self.space.items()}

    def promise(self, point: Point, results: list[tuple[Point, float]]) -> float:
        """How much nearer a point is to the best quarter of the results than to the others."""
        ordered = [known for known, _ in sorted(results, key=lambda result: result[1], reverse=self.maximize)]
        cut = max(1, len(ordered) // 4)
        return self.nearness(point, ordered[:cut]) - self.nearness(point, ordered[cut:])

    def nearness(self, point: Point, others: list[Point]) -> float:
        return sum(math.exp(-8 * self.distance(point, other)) for other in others) / max(1, len(others))

    def distance(self, one: Point, other: Point) -> float:
        total = 0.0
        for name, (kind, arguments) in self.space.items():
            if kind == "choice":
                total += one[name] != other[name]
            else:
                total += abs(one[name] - other[name]) / (arguments[1] - arguments[0])
        return total / len(self.space)


def key(point: Point) -> str:
    return json.dumps(point, sort_keys=True)


def size(space: dict[str, Any]) -> str:
    """How many points there are, as the service writes it."""
    counts: dict[str, Callable[[Any], int]] = {"choice": len, "randint": int}
    if all(kind in counts for kind, _ in space.values()):
        return str(math.prod(counts[kind](arguments[0]) for kind, arguments in space.values()))
    return "infinite_space_size"


def check(method: str, space: dict[str, Any]) -> None:
    if method not in ALLOWED:
        raise Refusal(400, f"Unknown sampling method '{method}'.")
    if not space:
        raise Refusal(400, "The hyperparameter space is empty.")
    for name, expression in space.items():
        kind, arguments = expression if isinstance(expression, list) and len(expression) == 2 else ("", [])
        if kind not in ALLOWED[method]:
            raise Refusal(400, f"{name}: {method} sampling has no '{kind or expression}'.")
        if len(arguments) != EXPRESSIONS[kind] or (kind == "choice" and not arguments[0]):
            raise Refusal(400, f"{name}: {kind} can't be drawn from {arguments}.")


def drawn(chance: random.Random, kind: str, arguments: list[Any]) -> Any:
    """A value of one hyperparameter."""
    if kind == "choice":
        return chance.choice(arguments[0])
    if kind == "randint":
        return chance.randrange(int(arguments[0]))
    plain = kind.removeprefix("q")
    first, second = arguments[:2]
    value = chance.gauss(first, second) if plain.endswith("normal") else chance.uniform(first, second)
    if plain.startswith("log"):
        value = math.exp(value)
    return round(value / arguments[2]) * arguments[2] if kind != plain else value
