"""Microsoft's language service for Azure Pipelines, of npm, with the schema of Microsoft's extension for editors."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from aml_rehearsal.azurite import node_tools
from tests.environments import Environments
from tests.support import run

HERE = Path(__file__).parent
LOCKED = [HERE / "package.json", HERE / "package-lock.json"]
SCHEMA = "AZURE_PIPELINES_SCHEMA"


def language_service(environments: Environments, pipelines: Iterable[Path]) -> dict[Path, list[str]]:
    """What Microsoft's language service says of each pipeline, by the schema that the variable names."""
    schema = os.environ.get(SCHEMA, "")
    if schema == "none":
        pytest.skip("Microsoft's schema of Azure Pipelines is not here, as was said before the tests began")
    assert Path(schema).is_file(), (
        f"{SCHEMA}={schema}: is to name microsoft/azure-pipelines-vscode's service-schema.json"
    )
    npm, node = node_tools()
    with environments.made("node", *LOCKED) as installed:
        if not installed.exists():
            installed.mkdir()
            for file in LOCKED:
                shutil.copy(file, installed)
            run(*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=installed)
    files = list(pipelines)
    done = subprocess.run(
        [*node, HERE / "language_service.cjs", schema, *files],
        cwd=installed,
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(zip(files, map(json.loads, done.stdout.splitlines()), strict=True))
