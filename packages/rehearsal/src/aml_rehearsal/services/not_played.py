"""What of the second generation is known and not played: refused by its name, so that nobody takes it for done."""

from __future__ import annotations

from typing import Any

from aml_rehearsal.messages import Refusal, Request
from aml_rehearsal.services.hosts import arm, registries
from aml_rehearsal.workspace import Workspace

KINDS = {
    "batchEndpoints": "batch endpoints",
    "capabilityHosts": "capability hosts",
    "endpoints": "endpoints of models of others",
    "featuresets": "feature sets",
    "featurestoreEntities": "entities of feature stores",
    "indexes": "indexes",
    "marketplaceSubscriptions": "subscriptions of the marketplace",
    "onlineEndpoints": "online endpoints",
    "outboundRules": "outbound rules",
    "schedules": "schedules",
    "serverlessEndpoints": "serverless endpoints",
}
ANY = "GET PUT POST PATCH DELETE"


@arm.route(ANY, f"{{scope}}/{{kind:({'|'.join(KINDS)})}}{{rest:rest}}", last=True)
def resources(workspace: Workspace, request: Request) -> Any:
    names = {kind.lower(): name for kind, name in KINDS.items()}
    raise Refusal(501, f"The rehearsal does not play {names[request.names['kind'].lower()]}.", "NotImplemented")


@registries.route(ANY, "{rest:rest}")
@arm.route(ANY, "{place:(.*/providers/Microsoft.MachineLearningServices/registries)}{rest:rest}", last=True)
def registry(workspace: Workspace, request: Request) -> Any:
    raise Refusal(501, "The rehearsal does not play registries.", "NotImplemented")
