"""What a verb imports to say its options, that it is called wrongly, or what it would do: next to nothing.

These have to answer at once, in at most twice the time of a bare Python with argparse. benchmarks/commands.py measures
that; here no clock is asked, only what has been imported.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from aml_project.cli import VERBS

# What costs more than it looks. A verb that needs it imports it where it does so.
HEAVY = {
    "ast", "asyncio", "azureml", "concurrent", "dataclasses", "email", "http", "importlib.metadata", "importlib.util",
    "inspect", "logging", "multiprocessing", "packaging", "pathspec", "socket", "sqlite3", "ssl", "subprocess",
    "tempfile", "threading", "tomli", "tomllib", "typing", "urllib.request", "uuid", "xml", "yaml", "zipfile",
}  # fmt: skip
OTHERS = ("train", "test", "batch", "image")  # an option that they don't know is another program's
# Those of deploy, init, notebook and requirements do all of their work but writing: they show what comes of it.
DRY_RUNS = (
    "attach", "compute", "dataset", "environment", "model add churn", "model rename model1 churn", "register",
    "request", "setup", "submit", "vendor", "workspace",
)  # fmt: skip
# Each call in turn: its exit code, and the modules that came with it and not with argparse.
CALLS = """
import argparse, json, sys
argparse.ArgumentParser().format_help()
known, said = set(sys.modules), {}
from aml_project import cli
for words in sys.argv[1:]:
    try:
        code = cli.main(words.split())
    except SystemExit as end:
        code = end.code
    said[words] = code, sorted(set(sys.modules) - known)
    known |= set(sys.modules)
print(json.dumps(said))
"""


def heavy(project: Path, code: int, *calls: str) -> dict[str, list[str]]:
    """The heavy modules that calls of `aml` in one process import, each at the first that does; all end with a code."""
    done = subprocess.run(
        [sys.executable, "-c", CALLS, *calls], cwd=project, capture_output=True, text=True, check=True,
        env=os.environ | {"AML_TEMPLATE": ""},
    )  # fmt: skip
    said = json.loads(done.stdout.splitlines()[-1])
    assert {call: ended for call, (ended, _) in said.items()} == dict.fromkeys(calls, code), done.stderr
    return {call: found for call, (_, modules) in said.items() if (found := sorted(HEAVY & set(modules)))}


def test_help_imports_nothing_heavy(project: Path) -> None:
    assert heavy(project, 0, *(f"{verb} --help" for verb in VERBS)) == {}


def test_wrong_use_imports_nothing_heavy(project: Path) -> None:
    wrong = [f"{verb} {'--model=nowhere' if verb in OTHERS else '--no-such-option'}" for verb in VERBS]
    assert heavy(project, 2, *wrong) == {}


@pytest.fixture
def ran(project: Path) -> Path:
    """A project whose model has a run to register."""
    (project / "models" / "model1" / "run.json").write_text('{"_experiment_name": "model1", "run_id": "model1_1"}')
    return project


def test_a_dry_run_imports_nothing_heavy(ran: Path) -> None:
    more = {"workspace": "--location=westeurope"}
    assert heavy(ran, 0, *(f"{call} --dry-run {more.get(call, '')}".rstrip() for call in DRY_RUNS)) == {}


def test_what_is_heavy_is_seen(project: Path) -> None:
    assert "importlib.metadata" in heavy(project, 0, "attach --help", "--version")["--version"]
