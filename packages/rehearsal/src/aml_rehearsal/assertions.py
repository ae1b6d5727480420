"""A job of CI that logs in without a secret: who vouches for it, for how long, and which principal takes its word.

GitHub and Azure DevOps are played as far as a job asks them: by an address and a token of the job's own. What they
answer is good for minutes, and is a login where a principal's federated credential says so, letter by letter.
"""

from __future__ import annotations

import hmac
import time
from dataclasses import dataclass
from typing import Any

from aml_rehearsal.addresses import TENANT
from aml_rehearsal.messages import Refusal, Reply, Request
from aml_rehearsal.tokens import LoginRefused, Principal, Tokens, decode, encode

PLACE = "/assertions/"
AUDIENCE = "api://AzureADTokenExchange"
ISSUERS = {
    "github": "https://token.actions.githubusercontent.com",
    "devops": "https://vstoken.dev.azure.com/00000000-0000-0000-0000-000000000004",
}
NO_MATCH = "No matching federated identity record found for presented assertion"


@dataclass(frozen=True)
class Trust:
    """A federated credential: what has to stand in an assertion so that it is a principal's login."""

    subject: str
    issuer: str = ISSUERS["github"]
    audience: str = AUDIENCE


class Assertions:
    """What is issued, and who takes it."""

    def __init__(self, tokens: Tokens) -> None:
        self.tokens = tokens
        self.lifetime = 300.0  # seconds
        self.issued: list[str] = []  # the subject of each
        self.trusts: dict[str, set[Trust]] = {}  # by the id of the principal

    def job(self, subject: str, service: str) -> str:
        """The token by which a job asks for assertions, and only for its own."""
        return self.signed({"job": subject, "service": service})

    def answer(self, service: str, header: str | None, audience: str) -> str:
        """An assertion for the job whose token this is."""
        job = self.opened((header or "").partition(" ")[2])
        if job is None or job.get("service") != service:
            raise Refusal(401, "The token of the job is not valid.", "Unauthorized")
        subject = str(job["job"])
        self.issued.append(subject)
        return self.signed(
            {"iss": ISSUERS[service], "sub": subject, "aud": audience, "exp": time.time() + self.lifetime}
        )

    def log_in(self, client_id: str, assertion: str) -> Principal:
        """Whose login an assertion is; Entra compares letter by letter, and names what it has not found."""
        principals = self.tokens.principals.values()
        principal = next((one for one in principals if one.client_id == client_id), None)
        if principal is None:
            raise LoginRefused(
                700016, "unauthorized_client", f"Application '{client_id}' was not found in the directory."
            )
        claims = self.opened(assertion)
        if claims is None or "iss" not in claims:
            raise LoginRefused(50027, "invalid_request", "JWT token is invalid or malformed.")
        trusts = self.trusts.get(client_id, set())
        if not trusts:
            none = f"The client '{client_id}' has no configured federated identity credentials."
            raise LoginRefused(70025, "invalid_client", none)
        for number, what, name in ((700211, "issuer", "iss"), (700213, "subject", "sub"), (700212, "audience", "aud")):
            trusts = {trust for trust in trusts if getattr(trust, what) == claims[name]}
            if not trusts:
                advice = "Check your federated identity credential Subject, Audience and Issuer."
                raise LoginRefused(number, "invalid_request", f"{NO_MATCH} {what} '{claims[name]}'. {advice}")
        if claims["exp"] < time.time():
            raise LoginRefused(700024, "invalid_client", "Client assertion is not within its valid time range.")
        return principal

    def signed(self, claims: dict[str, Any]) -> str:
        text = f"{encode({'alg': 'HS256', 'typ': 'JWT'})}.{encode(claims)}"
        return f"{text}.{self.tokens.sign(text)}"

    def opened(self, token: str) -> dict[str, Any] | None:
        """What stands in a token that was signed here."""
        text, _, signature = token.rpartition(".")
        if not text or not hmac.compare_digest(signature, self.tokens.sign(text)):
            return None
        return decode(text.partition(".")[2])


def answer(assertions: Assertions, request: Request) -> Reply:
    """What a job is told: by GitHub in `value`, by Azure DevOps in `oidcToken`."""
    service, header = request.path.removeprefix(PLACE), request.headers.get("authorization")
    if service == "github" and request.method == "GET":
        audience = request.query.get("audience", "https://github.com/owner")
        return Reply({"value": assertions.answer(service, header, audience)})
    if service == "devops" and request.method == "POST" and request.query.get("serviceConnectionId"):
        return Reply({"oidcToken": assertions.answer(service, header, AUDIENCE)})
    raise Refusal(404, f"{request.method} {request.path}: nobody here issues assertions so", "NotFound")


def variables(url: str, token: str, service: str, client_id: str) -> dict[str, str]:
    """What a job has that may log in: the principal's id, and where it asks who it is: no secret of Azure."""
    address = f"{url}{PLACE}{service}"
    if service == "github":
        return {
            "GITHUB_ACTIONS": "true",
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{address}?api-version=2.0",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": token,
            "AZURE_CLIENT_ID": client_id,
            "AZURE_TENANT_ID": TENANT,
        }
    return {
        "TF_BUILD": "True",
        "SYSTEM_OIDCREQUESTURI": address,
        "SYSTEM_ACCESSTOKEN": token,
        "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID": "00000000-0000-0000-0000-000000000005",
        "AZURESUBSCRIPTION_CLIENT_ID": client_id,
        "AZURESUBSCRIPTION_TENANT_ID": TENANT,
    }
