"""The login of a job of CI, without a secret: GitHub or Azure DevOps says which job it is, and Azure takes their word.

What they say, an assertion, is good for some minutes. az keeps the first one, so that a job which waits for a training
is logged out in the middle of it. Here each token is asked for with an assertion of its own, for as long as the job may
run.
"""

from __future__ import annotations

import os
from collections import namedtuple

from aml_project.command_line import SERVICE_FAILED, Failure
from aml_project.patience import patient
from aml_project.service.errors import explain, is_transient

TYPE_CHECKING = False  # typing's own costs its import
if TYPE_CHECKING:
    from typing import Any

AUDIENCE = "api://AzureADTokenExchange"  # what Azure wants an assertion to be for
TIMEOUT = 20  # seconds
# What a job has that may ask: GitHub gives it to jobs with `id-token: write`, Azure DevOps to tasks with a connection.
GITHUB = ("ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN")
DEVOPS = ("SYSTEM_OIDCREQUESTURI", "SYSTEM_ACCESSTOKEN", "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID")


class Job(namedtuple("Job", "service client_id tenant_id")):
    """A job of CI that may log in, as an app registration of a tenant."""

    service: str
    client_id: str
    tenant_id: str
    __slots__ = ()

    def assertion(self) -> str:
        """Have the service say anew which job this is."""
        import requests

        def ask() -> str:
            if self.service == "GitHub":
                address, token = (os.environ[name] for name in GITHUB)
                answer = requests.get(
                    address, {"audience": AUDIENCE}, headers={"Authorization": f"Bearer {token}"}, timeout=TIMEOUT
                )
            else:
                address, token, connection = (os.environ[name] for name in DEVOPS)
                # Without the second header, it answers a wrong token with the page of a login.
                headers = {"Authorization": f"Bearer {token}", "X-TFS-FedAuthRedirect": "Suppress"}
                asked = {"api-version": "7.1", "serviceConnectionId": connection}
                answer = requests.post(address, params=asked, headers=headers, timeout=TIMEOUT)
            answer.raise_for_status()
            said = answer.json()
            return str(said.get("value") or said["oidcToken"])

        try:
            return patient(ask, passes=is_transient)
        except Exception as error:
            if is_transient(error):
                raise  # whoever waits for a run has more patience than this
            raise Failure(f"{self.service} does not vouch for this job: {explain(error)}", SERVICE_FAILED) from error


def job() -> Job | None:
    """The job that this process belongs to, if it may log in so."""

    def given(name: str) -> str:
        return os.environ.get(name, "")

    if all(map(given, DEVOPS)):
        known = [given(f"AZURESUBSCRIPTION_{part}") or given(f"AZURE_{part}") for part in ("CLIENT_ID", "TENANT_ID")]
        return Job("Azure DevOps", *known) if all(known) else None
    known = [given("AZURE_CLIENT_ID"), given("AZURE_TENANT_ID")]
    return Job("GitHub", *known) if all(map(given, GITHUB)) and all(known) else None


def authentication(of: Job) -> Any:
    """The login that the client works with."""
    from azureml._vendor.azure_cli_core.auth.identity import ServicePrincipalAuth
    from azureml._vendor.azure_cli_core.auth.msal_authentication import ServicePrincipalCredential
    from azureml.core.authentication import ServicePrincipalAuthentication

    class JobAuthentication(ServicePrincipalAuthentication):
        """A service principal whose password is an assertion, and never the same one twice."""

        def _get_sp_credential_object(self) -> Any:
            # The client asks for this object whenever it needs a new token, and keeps none.
            entry = ServicePrincipalAuth.build_credential(client_assertion=of.assertion())
            principal = ServicePrincipalAuth.build_from_credential(of.tenant_id, of.client_id, entry)
            authority = self._cloud_type.endpoints.active_directory.rstrip("/")
            return ServicePrincipalCredential(principal, authority=f"{authority}/{of.tenant_id}")

    return JobAuthentication(of.tenant_id, of.client_id, None, cloud=None)
