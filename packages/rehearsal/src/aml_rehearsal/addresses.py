"""What the workspace and its services are called, and where they are reached."""

from __future__ import annotations

import ipaddress
import socket
import uuid
from dataclasses import dataclass, field
from urllib.parse import urlsplit

LOOPBACK, EVERYWHERE = "127.0.0.1", "0.0.0.0"  # noqa: S104 # what one asks for by name is meant
REGION = "westeurope"
ARM_HOST = "management.azure.com"
LOGIN_HOST = "login.microsoftonline.com"
API_HOST = f"{REGION}.api.azureml.ms"
REGISTRY_HOST = "eastus.api.azureml.ms"  # where registries are asked for, of every region
API = f"https://{API_HOST}"
SUBSCRIPTION, WORKSPACE_ID, TENANT = (str(uuid.UUID(int=number)) for number in (1, 2, 3))
SCOPE = (
    r"/subscriptions/(?P<subscription>[^/]+)/resourceGroups/(?P<group>[^/]+)"
    r"/providers/Microsoft\.MachineLearningServices/workspaces/(?P<workspace>[^/]+)"
)


@dataclass(frozen=True)
class Names:
    """The three names by which a project is attached."""

    subscription_id: str = SUBSCRIPTION
    resource_group: str = "rehearsal"
    workspace_name: str = "rehearsal"

    @property
    def group_scope(self) -> str:
        return f"/subscriptions/{self.subscription_id}/resourceGroups/{self.resource_group}"

    @property
    def scope(self) -> str:
        return f"{self.group_scope}/providers/Microsoft.MachineLearningServices/workspaces/{self.workspace_name}"


@dataclass
class Entrance:
    """What leads a process to the rehearsal; empty until its server listens."""

    url: str = ""  # for what runs on this computer
    outside: str = ""  # for clients: another address where they may be on other computers
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def apart(self) -> bool:
        """Whether clients may be on other computers, which can't be reached from here."""
        return self.outside != self.url

    def welcomes(self, host: str | None) -> bool:
        """Whether a client may have called this computer so.

        A page of the internet can give its own name this computer's address; names without a dot it can't have.
        """
        name = urlsplit(f"//{host or ''}").hostname or ""
        if name in {"127.0.0.1", "localhost", "::1"}:
            return True
        known = name == urlsplit(self.outside).hostname or "." not in name or name.endswith((".local", ".internal"))
        return self.apart and (known or numeric(name))


def numeric(name: str) -> bool:
    """Whether a host is named by its address."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
