"""The variables that lead a client to the rehearsal and log it in there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aml_rehearsal.addresses import TENANT

if TYPE_CHECKING:  # the process of each run imports the package as well, and needs no tokens
    from aml_rehearsal.tokens import Principal

# How the caller's own login, or a run, would be found.
LOGIN = (
    *("AZUREML_", "MSI_", "IDENTITY_"),
    *("AZURE_CLIENT_", "AZURE_TENANT_ID", "AZURE_USERNAME", "AZURE_PASSWORD"),
)


def way(url: str, trusted: str, roots: str) -> dict[str, str]:
    """To the port at this address; what the client trusts are files on its computer."""
    direct = ",".join(dict.fromkeys(["127.0.0.1", "localhost", str(urlsplit(url).hostname)]))
    return {
        "HTTPS_PROXY": url,
        "https_proxy": url,
        "NO_PROXY": direct,
        "no_proxy": direct,
        "REQUESTS_CA_BUNDLE": trusted,
        "SSL_CERT_FILE": roots,
        "AZUREML_CURRENT_CLOUD": "AzureCloud",  # else the client asks Azure which clouds there are
    }


def login(principal: Principal) -> dict[str, str]:
    return {
        "AZURE_CORE_COLLECT_TELEMETRY": "0",
        "AZUREML_SERVICE_PRINCIPAL_ID": principal.client_id,
        "AZUREML_SERVICE_PRINCIPAL_PASSWORD": principal.secret,
        "AZUREML_SERVICE_PRINCIPAL_TENANT_ID": TENANT,
        # As azure-identity looks for it, also where code asks for the default credential.
        "AZURE_CLIENT_ID": principal.client_id,
        "AZURE_CLIENT_SECRET": principal.secret,
        "AZURE_TENANT_ID": TENANT,
    }


def at_home(home: Path) -> dict[str, str]:
    """A home of its own for what the client keeps of a workspace; the caches stay where they are."""
    home.mkdir(parents=True, exist_ok=True)
    caches = Path.home() / ".cache"
    return {
        "HOME": str(home),
        "USERPROFILE": str(home),
        "UV_CACHE_DIR": os.environ.get("UV_CACHE_DIR") or str(caches / "uv"),
        "PIP_CACHE_DIR": os.environ.get("PIP_CACHE_DIR") or str(caches / "pip"),
        "AZURE_CONFIG_DIR": str(home / ".azure"),
    }


def foreign() -> dict[str, str]:
    """This process's variables without a login that is the caller's own."""
    return {name: text for name, text in os.environ.items() if not name.startswith(LOGIN)}
