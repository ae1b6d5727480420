"""Those who read the files of GitHub and Azure DevOps: what each finds, a line a finding."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from aml_rehearsal.azurite import node_tools
from tests.environments import Environments
from tests.support import BIN, run

HERE = Path(__file__).parent
LOCKED = [HERE / "package.json", HERE / "package-lock.json"]
SCHEMA = "AZURE_PIPELINES_SCHEMA"


def jactionlint(*workflows: Path) -> list[str]:
    """What is wrong in GitHub's workflows; not in their shell lines, which are one command each."""
    return printed(BIN / "jactionlint", "--shellcheck=", "--oneline", *workflows)


def zizmor(folder: Path) -> list[str]:
    """What is unsafe in them; it asks nobody."""
    found = printed(BIN / "zizmor", "--offline", "--no-progress", "--quiet", "--format=json", "--no-exit-codes", folder)
    return [f"{one['ident']}: {one['desc']}" for one in json.loads("\n".join(found)) if not one.get("ignored")]


def language_service(environments: Environments, pipelines: Iterable[Path]) -> dict[Path, list[str]]:
    """What Microsoft's language service says of each pipeline, by the schema that the variable names."""
    schema = os.environ.get(SCHEMA, "")
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


def printed(*command: str | Path) -> list[str]:
    """The lines of a linter, which may end with 1 where it has found something."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout.splitlines()
