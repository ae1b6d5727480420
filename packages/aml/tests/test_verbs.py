"""The verbs of aml: help, wrong use and what stays unchanged by it."""

import contextlib
import logging
import os
import sys
import warnings
from pathlib import Path

import pytest

from aml_project.cli import VERBS
from aml_project.command_line import Failure
from aml_project.service import workspace
from tests import aml as aml_module
from tests.aml import aml, call
from tests.support import files_of

# What they would do can be looked at first; the others change nothing, or only start a program.
SHOWN_FIRST = {
    "add", "attach", "auto3dseg", "ci", "compute", "dataset", "deploy", "environment", "init", "migrate", "model",
    "notebook", "register", "request", "requirements", "setup", "submit", "vendor", "workspace",
}  # fmt: skip


@pytest.mark.parametrize("verb", VERBS)
def test_help_has_an_example_and_the_exit_codes_and_needs_no_client(
    project: Path, without_client: dict[str, str], verb: str
) -> None:
    code, out, err = call(project, verb, "--help", **without_client)
    assert (code, err) == (0, "")
    assert out.startswith(f"usage: aml {verb} ")
    assert f"example:\n  aml {verb}" in out
    assert "0 done    1 refused by a check    2 wrong use    3 the service failed" in out
    assert "--debug" in out
    assert ("--dry-run" in out) == (verb in SHOWN_FIRST)


@pytest.mark.parametrize(
    ("verb", "args", "named"),
    [
        ("attach", ["--subscription-id=x"], "--subscription-id: a GUID, not 'x'"),
        ("attach", ["--resource-group=a."], "--resource-group: 1 to 90 letters"),
        ("attach", ["--workspace-name=-a-"], "--workspace-name: 3 to 33 letters"),
        ("attach", ["--chek"], "unrecognized arguments: --chek"),
        ("submit", ["--model", "modle1"], "--model: no such model: modle1; models here: model1"),
        ("submit", ["-c", "gpu"], "-c: no such runconfig: gpu; model1 has train-amlcompute, train-local"),
        ("submit", ["-e", "my exp"], "-e: 1 to 255 letters, digits"),
        ("submit", ["--docker", "maybe"], "--docker: invalid choice: 'maybe'"),
        ("submit", ["--seed", "1"], "unrecognized arguments: --seed"),
        ("register", ["--model", "x"], "--model: no such model: x; models here: model1"),
        ("register", ["--name", "my model"], "--name: 1 to 255 letters"),
        ("register", ["--tag", "stage"], "--tag: KEY=VALUE, not 'stage'"),
        ("register", ["--property", "=x"], "--property: KEY=VALUE, not '=x'"),
        ("register", ["--require", "accuracy=>0.8"], "--require: a metric, one of >= <= == > <, and a number"),
        ("register", ["--require", "accuracy>=nan"], "--require: a metric"),
        ("register", ["--min", "accuracy"], "--min: a metric, =, and a number, as in 'accuracy=0.8'; not 'accuracy'"),
        ("register", ["--min", "accuracy>=0.8"], "--min: a metric, =, and a number"),
        ("register", ["--max", "loss=nan"], "--max: a metric, =, and a number"),
        ("register", ["--max", "=1"], "--max: a metric, =, and a number"),
        ("register", ["--better-than-current", " :min"], "--better-than-current: a metric"),
        ("register", ["--asset-path", "../model"], "--asset-path: a file or folder of the run"),
    ],
)
def test_wrong_use_gets_one_line(project: Path, verb: str, args: list[str], named: str) -> None:
    before = files_of(project)
    code, out, err = aml(project, verb, *args)
    assert (code, out) == (2, "")
    assert err.startswith("ERROR: ")
    assert err.count("\n") == 1
    assert named in err
    assert files_of(project) == before


@pytest.mark.parametrize("verb", ["submit", "register", "train", "test", "serve", "batch", "image", "request", "setup"])
def test_of_many_models_one_has_to_be_named(project: Path, verb: str) -> None:
    (project / "models" / "second" / "aml_config").mkdir(parents=True)
    assert aml(project, verb) == (2, "", "ERROR: --model: say which; models here: model1, second\n")


def test_wrong_use_asks_for_no_client(project: Path, without_client: dict[str, str]) -> None:
    for verb, option in [("submit", "--docker"), ("register", "--require"), ("attach", "--subscription-id")]:
        assert call(project, verb, option, "x", **without_client).code == 2


def test_a_verb_in_this_process_leaves_nothing_behind(project: Path) -> None:
    """Of what these tests stand on: a command silences its process, and replaces the login of the client."""
    from azureml.core import authentication

    def state() -> list[object]:
        return [
            Path.cwd(), dict(os.environ), sys.argv[:], sys.path[:], sys.stdin, sys.stdout, sys.unraisablehook,
            warnings.filters[:], logging.root.manager.disable, logging.root.handlers[:],
            authentication.perform_interactive_login,
        ]  # fmt: skip

    before = state()
    with aml_module.here(project, {"A_VARIABLE": "x"}):
        workspace.quiet(debug=False)
        with contextlib.suppress(Failure):
            workspace.login(ask=False)
        assert [then == now for then, now in zip(before, state(), strict=True)].count(False) >= 7
    assert state() == before
