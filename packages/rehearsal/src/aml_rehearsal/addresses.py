"""What the workspace and its services are called, and where they are reached."""

from __future__ import annotations

import socket
import uuid
from dataclasses import dataclass, field

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

    url: str = ""
    variables: dict[str, str] = field(default_factory=dict)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
