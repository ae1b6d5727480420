"""Try again what may succeed a little later: the one patience of this package, and the time that it goes by."""

from __future__ import annotations

import time

from aml_project.kill_points import reached

TYPE_CHECKING = False  # typing's own costs its import, and a dry run has to answer at once
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import TypeVar

    T = TypeVar("T")

PAUSES = (1.0, 4.0, 15.0)  # seconds before the tries after the first
LONGEST = 60.0  # seconds that an answer may ask to be left alone
SPREAD = 0.2  # of a pause: many who have failed at once do not come back at once


class Clock:
    """The time; tests put their own in its place."""

    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


clock = Clock()


def patient(
    act: Callable[[], T],
    *,
    passes: Callable[[Exception], bool],
    pauses: Iterable[float] = PAUSES,
    renew: Callable[[Exception], bool] = lambda _: False,
    find: Callable[[], T | None] = lambda: None,
    trouble: Callable[[Exception], None] = lambda _: None,
    makes: str = "",
) -> T:
    """Do something; if that fails in a way that passes, do it again after each of the pauses.

    `renew` mends what an error complains of, as a token that has expired, and says whether it did: once, and without a
    pause. `find` looks whether a try has done its work although its answer was lost: after each trouble, before
    anything is sent again. `trouble` hears of the first error. What an act `makes` names the points around it at which
    a test may let the process die.
    """
    tries, troubled, renewed = iter(pauses), False, False
    while True:
        try:
            if makes:
                reached(f"before {makes}")
            done = act()
            if makes:
                reached(f"after {makes}")
            return done
        except Exception as error:
            mended = not renewed and renew(error)
            if not mended and not passes(error):
                raise
            if not troubled:
                trouble(error)
            troubled, renewed = True, renewed or mended
            pause = 0.0 if mended else next(tries, None)
            if pause is None:
                if (found := find()) is not None:
                    return found
                raise
            if pause:
                clock.sleep(spread(asked_for(error) or pause))
        if (found := find()) is not None:
            return found


def until(seconds: float, pause: float, longest: float | None = None) -> Iterator[float]:
    """Yield pauses until so many seconds are over, counted from the first; with a longest one, each twice the last."""
    over = clock.now() + seconds
    while clock.now() <= over:
        yield pause
        if longest is not None:
            pause = min(2 * pause, longest)


def looks(seconds: float, pause: float) -> Iterator[None]:
    """Come back with a pause between, the last time when so many seconds are over."""
    over = clock.now() + seconds
    yield
    while clock.now() <= over:
        clock.sleep(pause)
        yield


def spread(pause: float) -> float:
    import random

    return pause * random.uniform(1 - SPREAD, 1 + SPREAD)  # noqa: S311


def asked_for(error: BaseException) -> float:
    """For how many seconds an answer asks to be left alone."""
    for cause in (error, error.__cause__, error.__context__):
        headers = getattr(getattr(cause, "response", None), "headers", None) or {}
        try:
            return min(float(headers["Retry-After"]), LONGEST)
        except (KeyError, ValueError, TypeError):
            continue
    return 0.0
