"""The services of Azure that the client talks to: one module for each, named as in the paths of its requests."""

from aml_rehearsal.services import (
    artifacts,
    computes,
    content,
    credentials,
    datasets,
    datastores,
    deployments,
    directory,
    environments,
    execution,
    history,
    metrics,
    mlflow,
    models,
    resources,
    storage,
    webservices,
)
from aml_rehearsal.services.hosts import ROUTERS

__all__ = [
    "ROUTERS",
    "artifacts",
    "computes",
    "content",
    "credentials",
    "datasets",
    "datastores",
    "deployments",
    "directory",
    "environments",
    "execution",
    "history",
    "metrics",
    "mlflow",
    "models",
    "resources",
    "storage",
    "webservices",
]
