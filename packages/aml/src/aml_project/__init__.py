"""An Azure ML project in Python, for notebooks and scripts: what the command `aml` does, and the same code.

    from aml_project import Project

    run = Project.here().model().submit("train-local", {"seed": 1})

What is named here is the public API, and all of it. Each name is imported when it is first asked for: a command that
needs none of them answers at once.
"""

TYPE_CHECKING = False  # typing's own costs its import
if TYPE_CHECKING:
    from aml_project.api import (
        Cluster,
        Dataset,
        Environment,
        Model,
        ModelVersion,
        Project,
        Run,
        Step,
        Trial,
        Workspace,
    )
    from aml_project.command_line import Failure, command
    from aml_project.serving.plan import Service

__all__ = [
    "Cluster",
    "Dataset",
    "Environment",
    "Failure",
    "Model",
    "ModelVersion",
    "Project",
    "Run",
    "Service",
    "Step",
    "Trial",
    "Workspace",
    "command",
]
ELSEWHERE = {"Failure": "command_line", "command": "command_line", "Service": "serving.plan"}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{ELSEWHERE.get(name, 'api')}"), name)
