"""Make something once, also where an answer is lost on its way."""

from __future__ import annotations

import time

from aml_project.service.errors import status_in

TYPE_CHECKING = False  # typing's own costs its import, and a dry run has to answer at once
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")

PAUSES = (1, 4, 15)  # seconds before the tries after the first


def once(find: Callable[[], T | None], make: Callable[[], T]) -> T:
    """Make something that is not there yet; after trouble, look whether it is there now before trying again."""
    for pause in (*PAUSES, None):
        if there := find():
            return there
        try:
            return make()
        except Exception as error:
            status = status_in(error)
            if pause is None or (status and status < 500 and status not in (408, 429)):
                raise
            time.sleep(pause)
    raise AssertionError("the last try returns or raises")
