"""The token of a login that the client keeps: the service may refuse it before the time that is written in it."""

from __future__ import annotations

TYPE_CHECKING = False  # typing's own costs its import, and a dry run has to answer at once
if TYPE_CHECKING:
    from typing import Any


def forget_token(workspace: Any) -> None:
    """Let the login fetch a new token: the service has refused the one that the client still takes for good."""
    login = workspace._auth_object
    for name in getattr(login, "_token_type_to_field_dict", {}).values():
        setattr(login, name, None)
