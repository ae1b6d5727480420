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
    pairs: list[tuple[str, str]] = field(default_factory=list)  # the query, with the names that come twice

    @property
    def json(self) -> Any:
        """The body; a wrong one is the caller's fault."""
        try:
            return json.loads(self.body or b"{}")
        except ValueError:
            raise Refusal(400, "The body is not JSON.") from None

    def every(self, name: str) -> list[str]:
        """All values of one name in the query."""
        return [text for known, text in self.pairs if known == name]


@dataclass
class Reply:
    body: Any = None  # bytes go out as they are, anything else as JSON
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


# What MLflow calls the reason of a refusal that has no name of its own there.
MLFLOW = {
    400: "BAD_REQUEST",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "RESOURCE_DOES_NOT_EXIST",
    409: "RESOURCE_ALREADY_EXISTS",
    501: "NOT_IMPLEMENTED",
    503: "TEMPORARILY_UNAVAILABLE",
}


class Refusal(Exception):
    """What the service says instead of an answer, in Azure's form and, beside that, in MLflow's and that of models."""

    def __init__(self, status: int, message: str, code: str = "UserError", headers: dict[str, str] | None = None):
        super().__init__(message)
        # The client stumbles over an error that has no list of details.
        error = {"code": code, "message": message, "details": []}
        own = code if code.isupper() else MLFLOW.get(status, "INTERNAL_ERROR")
        of_models = {"code": code, "statusCode": status, "details": [{"code": code, "message": message}]}
        self.reply = Reply({"error": error, "error_code": own, "message": message} | of_models, status, headers or {})

    def as_body(self, body: Any) -> Refusal:
        """The same refusal, as a service says it whose errors look otherwise."""
        self.reply.body = body
        return self
