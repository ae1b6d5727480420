"""How a request finds its handler, and how what that returns or refuses becomes the reply."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from aml_rehearsal.addresses import SCOPE
from aml_rehearsal.admission import admit
from aml_rehearsal.messages import Refusal, Reply, Request
from aml_rehearsal.tokens import LoginRefused
from aml_rehearsal.workspace import Workspace

Handler = Callable[[Workspace, Request], Any]


class Router:
    """The routes of one host. In a path, {scope} is the workspace, {name} a segment, {name:rest} all that follows."""

    def __init__(self, *audiences: str) -> None:
        self.audiences = audiences  # whom a token is for that counts here
        self.routes: list[tuple[set[str], re.Pattern[str], Handler]] = []
        self.last: list[tuple[set[str], re.Pattern[str], Handler]] = []  # for what no other route fits
        self.open: set[Handler] = set()  # those that want no token

    def route(self, methods: str, *paths: str, token: bool = True, last: bool = False) -> Callable[[Handler], Handler]:
        def remember(handler: Handler) -> Handler:
            if not token:
                self.open.add(handler)
            for path in paths:
                (self.last if last else self.routes).append((set(methods.split()), compile_path(path), handler))
            return handler

        return remember

    def find(self, method: str, path: str) -> tuple[Handler, dict[str, str]]:
        for methods, pattern, handler in (*self.routes, *self.last):
            if method in methods and (match := pattern.fullmatch(path)):
                return handler, {name: text or "" for name, text in match.groupdict().items()}
        raise Refusal(501, f"The rehearsal does not know {method} {path}", "NotImplemented")

    def answer(self, workspace: Workspace, request: Request) -> Reply:
        """Answer a request as the service does, refusals included."""
        try:
            handler, request.names = self.find(request.method, request.path)
            if handler not in self.open:
                request.identity = workspace.tokens.check(request.headers.get("authorization"), self.audiences)
            with workspace.state.lock:
                admit(workspace, request)
                result = handler(workspace, request)
        except Refusal as refusal:
            return refusal.reply
        except LoginRefused as refused:
            said = f"AADSTS{refused.number}: {refused}"
            body = {"error": refused.error, "error_description": said, "error_codes": [refused.number]}
            return Reply(body, 401)
        return result if isinstance(result, Reply) else Reply(result)


def compile_path(path: str) -> re.Pattern[str]:
    pattern = ""
    for part in re.split(r"(\{[^}]+\})", path):
        if part == "{scope}":
            pattern += SCOPE
        elif match := re.fullmatch(r"\{(\w+):(\(.*\))\}", part):
            pattern += f"(?P<{match[1]}>{match[2][1:-1]})"
        elif part.endswith(":rest}"):
            pattern += f"(?P<{part[1:-6]}>.*)"
        elif part.startswith("{"):
            pattern += f"(?P<{part[1:-1]}>[^/]+)"
        else:
            pattern += re.escape(part)
    return re.compile(pattern, re.IGNORECASE)
