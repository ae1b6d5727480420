"""A repo whose workflows act runs: on this machine, without Docker, each job in a copy of its own as on GitHub.

What is pushed arrives in a bare repository, and act runs in a clone of that, which has no more than what was pushed.
Actions of others are played by those of actions/; `gh` by a script that keeps what it is told. Everything else is what
a job does: make, the tools, the client, and the workspace on loopback.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import yaml

from aml_rehearsal import Rehearsal
from tests.repositories import git
from tests.support import BIN, TEMPLATE, WORKSPACE

ACTIONS = Path(__file__).with_name("actions")
PLAYED = {
    "actions/upload-artifact": "upload-artifact",
    "actions/download-artifact": "download-artifact",
    "azure/login": "login",
}
ADDRESS = "https://github.com/owner/repo.git"  # by which act knows whose repo it is; git is led to the bare one
NEW = "0" * 40  # what a push calls the commit before the first
ENVIRONMENTS = ("azure-ml-train", "azure-ml-test", "azure-ml-production")
SECONDS = 3.0  # that an assertion is good for, here; at GitHub it is five minutes
GH = """#!/bin/sh
echo "$@" >> "$ARTIFACTS/../gh.txt"
case "$1 $2" in
  "run download") while [ "$1" != --name ]; do shift; done; cp "$ARTIFACTS/$2"/* . ;;
  "pr comment") cp "$(echo "$@" | sed 's/.*--body-file //')" "$ARTIFACTS/../comment.md" ;;
esac
"""
# A runner that has installed everything before: make finds it.
MAKE = """#!/bin/sh
test -e .venv || cp -a "$INSTALLED" .venv && touch .venv/.tools/ready
exec /usr/bin/make "$@"
"""
RESULT = re.compile(r"^\[[^/]*/(?P<job>[^\]]*?)\s*\].*🏁  Job (?P<how>succeeded|failed)", re.MULTILINE)


class Acted(NamedTuple):
    """What came of a run of act."""

    code: int
    said: str
    jobs: dict[str, str]


class Repository:
    """A repo on GitHub, as far as its workflows can tell, and the folder from which its owner pushes."""

    def __init__(self, folder: Path, rehearsal: Rehearsal, place: Path) -> None:
        self.folder, self.rehearsal, self.place = folder, rehearsal, place
        self.bare, self.clone = place / "repo.git", place / "clone"
        self.instead = f"url.{self.bare.as_uri()}.insteadOf={ADDRESS}"
        git(place.parent, "init", "--quiet", "--bare", "--initial-branch=main", self.bare)
        git(folder, "init", "--quiet", "--initial-branch=main")
        git(folder, "remote", "add", "origin", ADDRESS)
        self.pushed = NEW
        self.artifacts = place / "artifacts"
        self.artifacts.mkdir(parents=True)
        (place / "bin").mkdir()
        for name, text in {"gh": GH, "make": MAKE}.items():
            (place / "bin" / name).write_text(text)
            (place / "bin" / name).chmod(0o755)
        self.trust()

    def trust(self) -> None:
        """Let the jobs of each environment log in, as aml ci setup does; what they ask for it is in a file each."""
        logins = self.place / "logins"
        logins.mkdir()
        self.rehearsal.workspace.assertions.lifetime = SECONDS
        for environment in ENVIRONMENTS:
            subject = f"repo:owner/repo:environment:{environment}"
            self.rehearsal.trust(subject)
            self.job = self.rehearsal.job(subject)
            asks = {name: text for name, text in self.job.items() if name.startswith("ACTIONS_ID_TOKEN_")}
            (logins / environment).write_text(as_env(asks))

    def command(self, event: str, workflow: str, payload: dict[str, object]) -> list[str]:
        file = self.place / "event.json"
        file.write_text(json.dumps({"repository": {"default_branch": "main", "full_name": "owner/repo"}} | payload))
        pinned = "\n".join(path.read_text() for path in self.workflows())
        played = {use for use in re.findall(r"uses: (\S+@\S+)", pinned) if use.partition("@")[0] in PLAYED}
        local = [f"--local-repository={use}={ACTIONS / PLAYED[use.partition('@')[0]]}" for use in sorted(played)]
        known = {
            **{name: self.job[name] for name in ("AZURE_CLIENT_ID", "AZURE_TENANT_ID")},
            "AZURE_SUBSCRIPTION_ID": WORKSPACE["subscription_id"],
            "AZURE_RESOURCE_GROUP": WORKSPACE["resource_group"],
            "AZURE_ML_WORKSPACE": WORKSPACE["workspace_name"],
        }
        variables = [f"--var={name}={value}" for name, value in known.items()]
        return [
            str(BIN / "act"), event, f"--workflows=.github/workflows/{workflow}.yml", f"--eventpath={file}",
            "--platform=ubuntu-24.04=-self-hosted", "--container-daemon-socket=-", "--pull=false",
            "--defaultbranch=main", "--no-cache-server", f"--env-file={self.env_file(workflow)}",
            *local, *variables,
        ]  # fmt: skip

    def env_file(self, workflow: str) -> Path:
        """What the jobs have of this machine: the way to the workspace, and the folders of this test; no login."""
        way = {name: text for name, text in self.job.items() if not name.startswith(("ACTIONS_", "AZURE_"))}
        if workflow == "lint":  # its linters are of the index of packages, to which that way does not lead
            way = {}
        env = way | {
            "ACTIONS": str(ACTIONS),
            "AML_TEMPLATE": str(TEMPLATE),
            "ARTIFACTS": str(self.artifacts),
            "INSTALLED": str(self.folder / ".venv"),
            "LOGINS": str(self.place / "logins"),
            "PATH": f"{self.place / 'bin'}:{os.environ['PATH']}",
            "TESTS_PYTHON": sys.executable,
        }
        file = self.place / "env"
        file.write_text(as_env(env))
        return file

    def start(self, event: str, workflow: str, **payload: object) -> "subprocess.Popen[str]":
        env = os.environ | {"HOME": str(self.place), "XDG_CACHE_HOME": str(self.place / "cache")}
        env = {name: value for name, value in env.items() if name not in ("CI", "GITHUB_ACTIONS")}
        return subprocess.Popen(
            self.command(event, workflow, payload), cwd=self.clone, env=env, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip

    def act(self, event: str, workflow: str, without: tuple[str, ...] = (), **payload: object) -> Acted:
        """Run a workflow to its end; `without` the jobs that have succeeded, as GitHub runs the failed ones again."""
        shared = self.clone / ".github" / "workflows" / "_model.yml"
        text = shared.read_text()
        if without:
            shared.write_text(rest_of(text, without))
        try:
            process = self.start(event, workflow, **payload)
            said, _ = process.communicate()
        finally:
            shared.write_text(text)
        jobs = {found["job"].rpartition("/")[2]: found["how"] for found in RESULT.finditer(said)}
        return Acted(process.returncode, said, jobs)

    def started(self) -> list[str]:
        """The workflows that the jobs have had `gh` start since the last time."""
        asked = (self.place / "gh.txt").read_text().splitlines()
        (self.place / "gh.txt").unlink()
        return [line.removeprefix("workflow run ") for line in asked if line.startswith("workflow run ")]

    def push(self) -> list[str]:
        """Commit what is there and push it; return the workflows that GitHub starts for that, by their `paths`."""
        git(self.folder, "add", "--all")
        git(self.folder, "commit", "--quiet", "--message=change")
        before = self.pushed
        self.send()
        range_ = [self.pushed] if before == NEW else [before, self.pushed]
        changed = git(self.clone, "diff-tree", "-r", "--root", "--no-commit-id", "--name-only", *range_).splitlines()
        return sorted(file.stem for file in self.workflows() if starts(file, changed))

    def take_back(self, commit: str) -> None:
        """Have a commit of before be the last one, here and there."""
        git(self.folder, "reset", "--quiet", "--hard", commit)
        self.send("--force")

    def send(self, *how: str) -> None:
        """Let the bare repository have what is committed, and a new clone have what that has."""
        git(self.folder, "-c", self.instead, "push", "--quiet", *how, "origin", "main")
        shutil.rmtree(self.clone, ignore_errors=True)
        git(self.place, "-c", self.instead, "clone", "--quiet", ADDRESS, self.clone)
        self.pushed = git(self.clone, "rev-parse", "HEAD")

    def workflows(self) -> list[Path]:
        return sorted((self.clone / ".github" / "workflows").glob("*.yml"))


def starts(workflow: Path, changed: list[str]) -> bool:
    """Whether a push to main that changes these files starts a workflow."""
    on = yaml.safe_load(workflow.read_text())[True]  # YAML takes the word `on` for a truth
    if "push" not in on:
        return False
    patterns = [
        re.escape(path).replace(r"\*\*", ".*").replace(r"\*", "[^/]*") for path in on["push"].get("paths", ["**"])
    ]
    return any(re.fullmatch(pattern, file) for pattern in patterns for file in changed)


def as_env(variables: dict[str, str]) -> str:
    return "".join(f"{name}={value}\n" for name, value in variables.items())


def rest_of(text: str, done: tuple[str, ...]) -> str:
    """A workflow without some jobs, which none waits for then."""
    content = yaml.safe_load(text)
    content["on"] = content.pop(True)  # YAML takes the word for a truth
    gone = [name for name, job in content["jobs"].items() if job["name"] in done]
    for name in gone:
        del content["jobs"][name]
    for job in content["jobs"].values():
        if job.get("needs") in gone:
            del job["needs"]
    return str(yaml.safe_dump(content, sort_keys=False))
