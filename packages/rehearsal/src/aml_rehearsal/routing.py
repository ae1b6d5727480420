"""How a request finds its handler, and how a handler answers or refuses."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aml_rehearsal.tokens import Identity
    from aml_rehearsal.workspace import Workspace

SCOPE = (
    r"/subscriptions/(?P<subscription>[^/]+)/resourceGroups/(?P<group>[^/]+)"
    r"/providers/Microsoft\.MachineLearningServices/workspaces/(?P<workspace>[^/]+)"
)


@dataclass
class Request:
    method: str
    host: str
    path: str  # decoded
    query: dict[str, str]
    headers: dict[str, str]  # names in lower case
    body: bytes
    names: dict[str, str] = field(default_factory=dict)  # the named parts of the path
    identity: Identity | None = None

    @property
    def json(self) -> Any:
        """The body; a wrong one is the caller's fault."""
        try:
            return json.loads(self.body or b"{}")
        except ValueError:
            raise Refusal(400, "The body is not JSON.") from None


@dataclass
class Reply:
    body: Any = None  # bytes go out as they are, anything else as JSON
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


class Refusal(Exception):
    """What the service says instead of an answer."""

    def __init__(self, status: int, message: str, code: str = "UserError", headers: dict[str, str] | None = None):
        super().__init__(message)
        # The client stumbles over an error that has no list of details.
        error = {"code": code, "message": message, "details": []}
        self.reply = Reply({"error": error}, status, headers or {})


Handler = Callable[["Workspace", Request], Any]


class Router:
    """The routes of one host. In a path, {scope} is the workspace, {name} a segment, {name:rest} all that follows."""

    def __init__(self) -> None:
        self.routes: list[tuple[set[str], re.Pattern[str], Handler]] = []
        self.open: set[Handler] = set()  # those that want no token

    def route(self, methods: str, *paths: str, token: bool = True) -> Callable[[Handler], Handler]:
        def remember(handler: Handler) -> Handler:
            if not token:
                self.open.add(handler)
            for path in paths:
                self.routes.append((set(methods.split()), compile_path(path), handler))
            return handler

        return remember

    def find(self, method: str, path: str) -> tuple[Handler, dict[str, str]]:
        for methods, pattern, handler in self.routes:
            if method in methods and (match := pattern.fullmatch(path)):
                return handler, {name: text or "" for name, text in match.groupdict().items()}
        raise Refusal(501, f"The rehearsal does not know {method} {path}", "NotImplemented")


def compile_path(path: str) -> re.Pattern[str]:
    pattern = ""
    for part in re.split(r"(\{[^}]+\})", path):
        if part == "{scope}":
            pattern += SCOPE
        elif part.endswith(":rest}"):
            pattern += f"(?P<{part[1:-6]}>.*)"
        elif part.startswith("{"):
            pattern += f"(?P<{part[1:-1]}>[^/]+)"
        else:
            pattern += re.escape(part)
    return re.compile(pattern, re.IGNORECASE)
