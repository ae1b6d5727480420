"""One value of an argument: as a file says it, and as a script takes it."""

from __future__ import annotations

from collections.abc import Mapping

Value = bool | int | float | str
Values = dict[str, Value]


def same(one: object, other: object) -> bool:
    """Equal and of one kind: to a script, true is not 1."""
    return (
        one == other
        and isinstance(one, bool) == isinstance(other, bool)
        and isinstance(one, str) == isinstance(other, str)
    )


def words(values: Mapping[str, Value]) -> list[str]:
    """The values as a script takes them: true is a flag, false is none. Without the =, -1e-05 would be an option."""
    given = {name: value for name, value in values.items() if value is not False}
    return [f"--{name}" if value is True else f"--{name}={value}" for name, value in given.items()]
