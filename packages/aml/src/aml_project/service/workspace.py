"""The attached workspace, opened with whatever login there is.

A login is, in this order: a service principal in AZUREML_SERVICE_PRINCIPAL_ID, _PASSWORD and _TENANT_ID; the job of
GitHub or Azure DevOps that this runs in, where Azure trusts it; a managed identity where MSI_ENDPOINT names one;
`az login`, of any kind; a device code, if somebody is there to type it in.
Nothing of it is printed, written or handed on.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aml_project import project, tools
from aml_project.command_line import SERVICE_FAILED, WRONG_USE, Failure, Progress
from aml_project.service import assertion
from aml_project.service.errors import NOT_LOGGED_IN, explain

PRINCIPAL = tuple(f"AZUREML_SERVICE_PRINCIPAL_{part}" for part in ("ID", "PASSWORD", "TENANT_ID"))

CLIENT = ("adal-python", "azure", "azureml", "cli", "msal", "msrest", "urllib3")  # the loggers and modules of it


def open_workspace(root: Path, *, ask: bool = True, debug: bool | None = False) -> Any:
    """Open the attached workspace (azureml.core.Workspace); with `ask`, log in if somebody is there to do it."""
    return connect(*project.workspace(root), ask=ask, debug=debug)


def connect(subscription: str, group: str, name: str, *, ask: bool, debug: bool | None) -> Any:
    """Open a workspace; a Failure says in one line why it can't be."""
    tools.bring_azure()
    with Progress("Connecting to Azure ML"):
        quiet(debug)
        from azureml.core import Workspace

        try:
            return Workspace(subscription, group, name, auth=login(ask=ask and sys.stdin.isatty()))
        except Failure:
            raise
        except Exception as error:
            if debug:
                raise
            raise Failure(f"{name} in {group}: {explain(error)}", SERVICE_FAILED) from error


def quiet(debug: bool | None) -> None:
    """Keep the client's warnings and log lines off the terminal: they are about itself.

    False silences all of the process, as a command may. None, in a notebook or another's program, silences the client.
    """
    if debug is None:
        warnings.filterwarnings("ignore", module=rf"({'|'.join(CLIENT)})\b")
        for name in CLIENT:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    elif not debug:
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        sys.unraisablehook = lambda _: None  # its thread pools complain at exit when a submission has failed
    # How long the client pauses after a 429 that names no time: its own 32 s look like a standstill.
    os.environ.setdefault("AZUREML_DEFAULT_BACKOFF", "4")


def import_client() -> None:
    """Import what takes longest, ahead of time: whoever needs it will say what is wrong."""
    with contextlib.suppress(Exception):
        import azureml.core  # noqa: F401


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
    if job := assertion.job():
        return assertion.authentication(job)
    log_in = authentication.perform_interactive_login
    # The client would open a browser or wait for a device code, also where nobody is there to see it.
    authentication.perform_interactive_login = aloud(log_in) if ask else refuse
    # It announces what will not happen. A None for its output would break its reading of what `az login` has stored.
    with contextlib.redirect_stdout(sys.stdout if ask else io.StringIO()):
        return authentication.InteractiveLoginAuthentication()


def refuse(*_: object, **__: object) -> None:
    if os.environ.get("GITHUB_ACTIONS") and os.environ.get("AZURE_CLIENT_ID"):
        raise Failure("not logged in: the job may not say who it is; give it `id-token: write`", SERVICE_FAILED)
    raise Failure(NOT_LOGGED_IN, SERVICE_FAILED)


def aloud(log_in: Callable[..., Any]) -> Callable[..., Any]:
    """Let a login be seen: the client shows the code for the browser as one of its warnings."""

    def log_in_aloud(*args: Any, **options: Any) -> Any:
        silenced = logging.root.manager.disable
        logging.disable(logging.INFO)
        try:
            return log_in(*args, **options)
        finally:
            logging.disable(silenced)

    return log_in_aloud
