"""What a repo needs in Azure, as Bicep: templates/ci/infra, with the names that the repo knows already."""

from __future__ import annotations

import re
from pathlib import Path

from aml_project import project
from aml_project.ci.proposal import sources
from aml_project.command_line import Failure
from aml_project.git import git

VALUES = "infra/main.bicepparam"  # of the files, the one that its owner edits first
NOT_KNOWN = "repo:OWNER/REPO:environment:"
GITHUB = re.compile(r"github\.com[:/](?P<owner>[^/]+)/(?P<repo>[^/]+?)(?:\.git)?/?$")
DEVOPS = re.compile(r"(?:dev\.azure\.com[:/](?:v3/)?)(?P<org>[^/]+)/(?P<project>[^/]+)/")


def make(root: Path) -> dict[str, str]:
    """The text of each file, by its path from the root."""
    folder = sources() / "infra"
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    texts = {path: file.read_text(encoding="utf-8") for path, file in files.items()}
    values = names(root)
    texts[VALUES] = re.sub(r"'([A-Z_]+)'", lambda found: f"'{values[found[1]]}'", texts[VALUES])
    return texts


def names(root: Path) -> dict[str, str]:
    """What stands in the file of values for its words in capitals."""
    known = project.answers(root) | project.attached(root)
    return {
        "WORKSPACE": known.get("workspace_name") or (known.get("project_slug") or "aml-project")[:33].strip("-_"),
        "CLUSTER": known.get("compute_name") or "cpu-cluster",
        "VM_SIZE": known.get("vm_size") or "Standard_DS3_v2",
        "SUBJECT_PREFIX": subject_prefix(root),
    }


def subject_prefix(root: Path) -> str:
    """How the jobs of this repo are called by whoever hosts it; words in capitals where no remote says that."""
    try:
        address = git(root, "config", "--get", "remote.origin.url")
    except Failure:  # no such remote, no repository, or no git
        return NOT_KNOWN
    if found := DEVOPS.search(address):
        return f"sc://{found['org']}/{found['project']}/"
    found = GITHUB.search(address)
    return f"repo:{found['owner']}/{found['repo']}:environment:" if found else NOT_KNOWN
