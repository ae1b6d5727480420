"""What the client's exceptions mean, in one line; for the scripts, and for the commands of azml and az."""

from __future__ import annotations

import re

TYPE_CHECKING = False  # typing's own costs its import, and a dry run has to answer at once
if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT = 300  # characters of a line; what the service adds after them is a trace of its own
NOT_LOGGED_IN = "not logged in: `az login`, or set AZUREML_SERVICE_PRINCIPAL_ID, _PASSWORD and _TENANT_ID"
# What texts of the client and the service mean; \1 is what the pattern found, {said} the sentence of the exception.
MEANINGS = (
    (
        r"AADSTS700(?:211|212|213\d?)\b[^\r\n\"]*? (issuer|subject|audience) '([^']*)'",
        r"Azure trusts no job with the \1 '\2': `aml ci setup` prints the credential that it lacks",
    ),
    (r"AADSTS70025\b", "the app registration trusts no job at all: `aml ci setup` prints the credential that it lacks"),
    (r"AADSTS700024", "the word that CI gave for this job has expired; a new job gets a new one"),
    (r"(AADSTS\d+[^\r\n\"]*)", r"wrong credentials: \1"),
    (r"'az login'|az login to|No subscription found|not logged in|get_accessible_subscriptions", NOT_LOGGED_IN),
    (r"don't have access to (\S+) subscription", r"no such subscription for this login: \1"),
    (r"AuthorizationFailed|\bForbidden\b", "no rights (403): {said}"),
    (r"SubscriptionNotFound", "no such subscription"),
    (r"ResourceGroupNotFound", "no such resource group"),
    (r"ResourceNotFound|Workspaces? not found|No workspaces? found", "no such workspace"),
)


def explain(error: BaseException) -> str:
    """Say in one line what an exception of the client means."""
    causes = list(chain(error))
    for cause in causes:
        if getattr(cause, "for_user", False):
            return str(cause)
    text = " ".join(f"{type(cause).__name__} {cause}" for cause in causes)
    status = status_in(error)
    said = message_of(causes[0])
    for pattern, meaning in MEANINGS:
        if found := re.search(pattern, text, re.IGNORECASE):
            return shorten(found.expand(meaning)).replace("{said}", said).rstrip(".")
    if status == 403:
        return f"no rights (403): {said}"
    if status == 401:
        return f"the login was not accepted or has expired (401): {said}"
    if status:
        return f"the service answered {status}: {said}"
    return lost(text) if unreachable(causes) else said


def lost(text: str) -> str:
    """Say what became of a connection."""
    host = re.search(r"host='([^']+)'", text)
    where = f": {host[1]}" if host else ""
    if "CERTIFICATE_VERIFY" in text:
        return f"not reachable{where} (its certificate is not trusted here)"
    if re.search("Failed to establish|Unable to connect|Cannot connect|resolution", text):
        return f"not reachable{where} (is there a network, or a proxy to set?)"
    return f"the connection was lost{where}"


def unreachable(causes: list[BaseException]) -> bool:
    """Tell whether an exception comes from the network rather than from an answer."""
    import http.client

    import requests
    import urllib3

    network = (requests.RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException, ConnectionError)
    return any(isinstance(cause, network) for cause in causes)


def is_transient(error: BaseException) -> bool:
    """Tell whether the same request may well succeed a little later."""
    return is_no_refusal(error) and (status_in(error) is not None or unreachable(list(chain(error))))


def is_no_refusal(error: BaseException) -> bool:
    """Tell whether the service has not said no: it may have done what it was asked for, or do it a little later."""
    status = status_in(error)
    return status is None or status >= 500 or status in (408, 429)


def status_of(error: BaseException) -> int | None:
    """Return the HTTP status of an exception, if it stands for an answer."""
    status = getattr(getattr(error, "response", None), "status_code", None) or getattr(error, "status_code", None)
    if isinstance(status, int):
        return status
    found = re.search(r"(?i:Response Code|status_?code|HTTP Error)\W{1,4}(\d{3})\b|\bCode: (\d{3})\b", str(error))
    return int(found[1] or found[2]) if found else None


def status_in(error: BaseException) -> int | None:
    """Return the HTTP status that an exception, or one that it came from, stands for."""
    return next((status for status in map(status_of, chain(error)) if status), None)


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception and those that it came from."""
    seen: set[int] = set()
    while error and id(error) not in seen:
        seen.add(id(error))
        yield error
        inner = getattr(error, "inner_exception", None)
        error = inner if isinstance(inner, BaseException) else error.__cause__ or error.__context__


def message_of(error: BaseException) -> str:
    """Take the sentence out of an exception's text, which may hold JSON within JSON."""
    text = str(getattr(error, "message", None) or error)
    patterns = (r'"message"\s*:\s*"((?:[^"\\]|\\.)+)"', r"(?s)(?:^|\s)Message: (.+?)(?:\s+InnerException|\Z)")
    for pattern in patterns:
        if found := re.search(pattern, text.replace('\\"', '"')):
            text = found[1]
            break
    text = re.sub(r'^\s*Activity Failed:\s*|"\s*$', "", text).lstrip('"').replace("\\'", "'")
    return shorten(text).rstrip(".") or type(error).__name__


def shorten(text: str) -> str:
    """Put a text into one line, and not too long a one."""
    line = " ".join(re.sub(r"\\[nrt]", " ", text).split())
    return line if len(line) <= LIMIT else f"{line[: LIMIT - 1]}…"
