"""Requests to the workspace, and the token that goes with them.

The client keeps the token of its login, and the service may refuse it before the time that is written in it.
"""

from __future__ import annotations

from aml_project.patience import patient
from aml_project.service.errors import is_transient, status_in

TYPE_CHECKING = False  # typing's own costs its import, and a dry run has to answer at once
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    T = TypeVar("T")

UNAUTHORIZED = 401


def ask(workspace: Any, request: Callable[[], T], **patience: Any) -> T:
    """Send a request, again if its trouble passes, with a new token if the service has refused this one."""
    options: dict[str, Any] = {"passes": is_transient, "renew": renewal(workspace)} | patience
    done: T = patient(request, **options)
    return done


def renewal(workspace: Any) -> Callable[[Exception], bool]:
    """What has a new token fetched where an error says that the old one was refused; patience asks it."""

    def renew(error: Exception) -> bool:
        refused = status_in(error) == UNAUTHORIZED
        if refused:
            forget_token(workspace)
        return refused

    return renew


def forget_token(workspace: Any) -> None:
    """Let the login fetch a new token: the service has refused the one that the client still takes for good."""
    login = workspace._auth_object
    for name in getattr(login, "_token_type_to_field_dict", {}).values():
        setattr(login, name, None)
