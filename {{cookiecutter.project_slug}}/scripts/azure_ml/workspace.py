"""The attached workspace, opened with whatever login there is; and what the client's exceptions mean, in one line.

A login is, in this order: a service principal in AZUREML_SERVICE_PRINCIPAL_ID, _PASSWORD and _TENANT_ID; a managed
identity where the machine offers one; `az login`, of any kind; a device code, if somebody is there to type it in.
Nothing of it is printed, written or handed on.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from command_line import SERVICE_FAILED, WRONG_USE, Failure, Progress

CONFIG = Path(".azureml", "config.json")
PRINCIPAL = tuple(f"AZUREML_SERVICE_PRINCIPAL_{part}" for part in ("ID", "PASSWORD", "TENANT_ID"))
NOT_LOGGED_IN = f"not logged in: az login, or set {', '.join(PRINCIPAL)}"
SCOPE = r"/subscriptions/([^/]+)/resourceGroups/([^/]+)/providers/Microsoft\.MachineLearningServices/workspaces/([^/]+)"


def attached(root: Path) -> tuple[str, str, str]:
    """Return subscription id, resource group and name of the attached workspace."""
    try:
        config = json.loads((root / CONFIG).read_text(encoding="utf-8"))
        found = re.match(SCOPE, config.get("Scope") or "", re.IGNORECASE)
        names = found.groups() if found else tuple(config[field] for field in FIELDS)
    except FileNotFoundError:
        raise Failure("no workspace is attached: make attach") from None
    except (ValueError, KeyError, AttributeError, TypeError):
        raise Failure(f"{CONFIG}: names no workspace; write it anew: make attach") from None
    return names[0], names[1], names[2]


FIELDS = ("subscription_id", "resource_group", "workspace_name")


def open_workspace(root: Path, *, ask: bool = True, debug: bool = False) -> Any:
    """Open the attached workspace (azureml.core.Workspace); with `ask`, log in if somebody is there to do it."""
    return connect(*attached(root), ask=ask, debug=debug)


def connect(subscription: str, group: str, name: str, *, ask: bool, debug: bool) -> Any:
    """Open a workspace; a Failure says in one line why it can't be."""
    with Progress("Connecting to Azure ML"):
        quiet(debug)
        try:
            from azureml.core import Workspace
        except ModuleNotFoundError as error:
            raise Failure(
                f"{error.name} is not installed for {sys.executable}: make setup, and .venv/MODEL/bin/python"
            ) from None
        try:
            return Workspace(subscription, group, name, auth=login(ask=ask and sys.stdin.isatty()))
        except Failure:
            raise
        except Exception as error:
            if debug:
                raise
            raise Failure(f"{name} in {group}: {explain(error)}", SERVICE_FAILED) from error


def quiet(debug: bool) -> None:
    """Keep the client's warnings and log lines off the terminal: they are about itself."""
    if not debug:
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        sys.unraisablehook = lambda _: None  # its thread pools complain at exit when a submission has failed
    # How long the client pauses after a 429 that names no time: its own 32 s look like a standstill.
    os.environ.setdefault("AZUREML_DEFAULT_BACKOFF", "4")


def login(*, ask: bool) -> Any:
    """Return the login that the client works with."""
    from azureml.core import authentication

    given = [variable for variable in PRINCIPAL if os.environ.get(variable)]
    if len(given) == len(PRINCIPAL):
        identity, password, tenant = (os.environ[variable] for variable in PRINCIPAL)
        return authentication.ServicePrincipalAuthentication(tenant, identity, password, cloud=None)
    if given:
        missing = ", ".join(sorted(set(PRINCIPAL) - set(given)))
        raise Failure(f"a service principal needs {missing} as well as {', '.join(given)}", WRONG_USE)
    if not ask:
        # The client would open a browser or wait for a device code, also where nobody is there to see it.
        def refuse(*_: object, **__: object) -> None:
            raise Failure(NOT_LOGGED_IN, SERVICE_FAILED)

        authentication.perform_interactive_login = refuse
        with contextlib.redirect_stdout(None):  # it announces what will not happen
            return authentication.InteractiveLoginAuthentication()
    return authentication.InteractiveLoginAuthentication()


# What texts of the client and the service mean; \1 is what the pattern found, {said} the sentence of the exception.
MEANINGS = (
    (r"(AADSTS\d+[^\r\n\"]*)", r"wrong credentials: \1"),
    (r"az login' |az login to|No subscription found|not logged in", NOT_LOGGED_IN),
    (r"don't have access to (\S+) subscription", r"no such subscription for this login: \1"),
    (r"AuthorizationFailed|\bForbidden\b", "no rights (403): {said}"),
    (r"SubscriptionNotFound", "no such subscription"),
    (r"ResourceGroupNotFound", "no such resource group"),
    (r"ResourceNotFound|Workspaces? not found", "no such workspace"),
)


def explain(error: BaseException) -> str:
    """Say in one line what an exception of the client means."""
    causes = list(chain(error))
    for cause in causes:
        if isinstance(cause, Failure):
            return str(cause)
    text = " ".join(f"{type(cause).__name__} {cause}" for cause in causes)
    status = next((status for status in map(status_of, causes) if status), None)
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
    causes = list(chain(error))
    status = next((status for status in map(status_of, causes) if status), None)
    return status in (401, 408, 429) or bool(status and status >= 500) or (not status and unreachable(causes))


def status_of(error: BaseException) -> int | None:
    """Return the HTTP status of an exception, if it stands for an answer."""
    status = getattr(getattr(error, "response", None), "status_code", None) or getattr(error, "status_code", None)
    if isinstance(status, int):
        return status
    found = re.search(r"Response Code: (\d{3})\b|\"?statusCode\"?: (\d{3})\b", str(error))
    return int(found[1] or found[2]) if found else None


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
    return shorten(text).rstrip(".") or type(error).__name__


def shorten(text: str) -> str:
    """Put a text into one line, and not too long a one."""
    line = " ".join(text.replace("\\n", " ").replace("\\r", " ").split())
    return line if len(line) <= 300 else f"{line[:297]}..."
