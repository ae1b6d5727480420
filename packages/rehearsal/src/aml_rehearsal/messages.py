"""What passes between the client and a service: a request, who sends it, and the reply or the refusal."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Identity:
    name: str
    role: str


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

    def as_body(self, body: Any) -> Refusal:
        """The same refusal, as a service says it whose errors look otherwise."""
        self.reply.body = body
        return self
