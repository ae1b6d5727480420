"""Who calls: the principals of the rehearsal, and the tokens that they get."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from aml_rehearsal.addresses import TENANT
from aml_rehearsal.messages import Identity, Refusal

LIFETIME = 24 * 3600
MANAGEMENT = "https://management.core.windows.net/"  # whom a token is for that nobody has asked for another
LEARNING, STORAGE = "https://ml.azure.com", "https://storage.azure.com"


@dataclass(frozen=True)
class Principal:
    """A service principal: contributor (all), scientist (all but computes, keys and the workspace itself), reader
    (looks only) or stranger (knows the tenant, not the workspace)."""

    role: str
    client_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    # Hexadecimal: a secret that begins with a hyphen would be an option where somebody types `az login -p SECRET`.
    secret: str = field(default_factory=lambda: secrets.token_hex(24), repr=False)


class Tokens:
    """Issues and checks tokens; they are signed, so that a made-up one is refused as the service would."""

    def __init__(self) -> None:
        self.key = secrets.token_bytes(32)
        self.epoch = 0  # tokens of an earlier epoch have expired: a test turns it on
        self.lifetime = LIFETIME
        self.principals = {role: Principal(role) for role in ("contributor", "scientist", "reader", "stranger")}

    def log_in(self, client_id: str, secret: str) -> Principal:
        for principal in self.principals.values():
            if principal.client_id == client_id:
                if hmac.compare_digest(principal.secret, secret):
                    return principal
                raise LoginRefused(7000215, "invalid_client", "Invalid client secret provided.")
        raise LoginRefused(700016, "unauthorized_client", f"Application '{client_id}' was not found in the directory.")

    def issue(self, name: str, role: str, lifetime: float | None = None, audience: str = MANAGEMENT) -> str:
        usual = LIFETIME if role == "run" else self.lifetime  # a run renews its own in time
        expires = int(time.time() + (usual if lifetime is None else lifetime))
        claims = {"exp": expires, "tid": TENANT, "oid": name, "name": name, "role": role, "epoch": self.epoch}
        claims["aud"] = audience
        signed = f"{encode({'alg': 'HS256', 'typ': 'JWT'})}.{encode(claims)}"
        return f"{signed}.{self.sign(signed)}"

    def describe(self, name: str, client_id: str, issuer: str) -> str:
        """A token that says who has logged in, for the client itself; it opens nothing."""
        times = {"iat": int(time.time()), "exp": int(time.time() + self.lifetime)}
        claims = {"iss": issuer, "sub": name, "oid": name, "tid": TENANT, "aud": client_id, "ver": "2.0"}
        claims["preferred_username"] = f"{name}@rehearsal"
        signed = f"{encode({'alg': 'HS256', 'typ': 'JWT'})}.{encode(claims | times)}"
        return f"{signed}.{self.sign(signed)}"

    def sign(self, text: str) -> str:
        digest = hmac.new(self.key, text.encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    def check(self, header: str | None, audiences: tuple[str, ...] = ()) -> Identity:
        """Return who an Authorization header belongs to; its token is to be for one of the audiences, if any count."""
        kind, _, token = (header or "").partition(" ")
        if kind.lower() != "bearer" or token.count(".") != 2:
            raise Refusal(401, "Authentication failed. The 'Authorization' header is missing.", "AuthenticationFailed")
        signed, _, signature = token.rpartition(".")
        if not hmac.compare_digest(signature, self.sign(signed)):
            raise Refusal(401, "The access token is invalid.", "InvalidAuthenticationToken")
        claims = decode(signed.partition(".")[2])
        if audiences and claims["aud"] not in audiences:
            allowed = ",".join(f"'{one}'" for one in audiences)
            message = f"The access token has been obtained for wrong audience or resource '{claims['aud']}'."
            message += f" It should exactly match with one of the allowed audiences {allowed}."
            raise Refusal(401, message, "InvalidAuthenticationTokenAudience")
        expired = claims["epoch"] < self.epoch and claims["role"] != "run"  # a run renews its own in time
        if claims["exp"] < time.time() or expired:
            raise Refusal(401, "The access token expiry UTC time is earlier than now.", "ExpiredAuthenticationToken")
        return Identity(claims["name"], claims["role"])

    def expire_all(self) -> None:
        """Let every token that is out expire now; logging in again helps."""
        self.epoch += 1


class LoginRefused(Exception):
    """The login service's own form of a refusal."""

    def __init__(self, number: int, error: str, message: str):
        super().__init__(message)
        self.number, self.error = number, error


def encode(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def decode(part: str) -> dict[str, Any]:
    return dict(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))
