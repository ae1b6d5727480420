"""The command `aml` itself: its list, a slip of the fingers, its version, its verbs and where they stand."""

import ast
import importlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import aml_project
from aml_project import cli, tools
from tests.aml import aml, call
from tests.support import PROJECT, TEMPLATE

PACKAGE = Path(aml_project.__file__).parent
COMMANDS = PACKAGE / "commands"
# What they work on is no project, or the whole computer's; the others can't do without one.
ANYWHERE = ("workspace", "client", "vendor", "init", "auto3dseg", "migrate")
WITHOUT_MAKE = ("auto3dseg", "job")  # whose folder need not be a project; for which make train has a word
ARGUMENTS = {
    "add": ["search"],
    "ci": ["summary"],
    "job": ["run", "job.yml"],
    "deploy": ["--target", "aci"],
    "model": ["remove", "churn"],
    "notebook": ["analysis.ipynb"],
    "requirements": ["requirements.txt"],
}


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_alone_it_lists_its_verbs(tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert cli.main(words) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert re.findall(r"^  aml ([a-z0-9]+)  +[A-Z]", out, re.MULTILINE) == list(cli.VERBS)


@pytest.mark.parametrize(
    ("slip", "said"),
    [
        ("trian", "ERROR: trian: no such verb; do you mean train? (aml --help lists what there is)\n"),
        ("Submit", "ERROR: Submit: no such verb; do you mean submit? (aml --help lists what there is)\n"),
        ("xyz", "ERROR: xyz: no such verb (aml --help lists what there is)\n"),
        ("--modle", "ERROR: --modle: no such verb (aml --help lists what there is)\n"),
        ("", "ERROR: : no such verb (aml --help lists what there is)\n"),
        ("../submit", "ERROR: ../submit: no such verb; do you mean submit? (aml --help lists what there is)\n"),
    ],
)
def test_a_verb_that_there_is_not_is_one_line(tmp_path: Path, slip: str, said: str) -> None:
    assert aml(tmp_path, slip, "--model", "model1") == (2, "", said)


def test_the_version_names_the_commit_of_a_checkout(tmp_path: Path) -> None:
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=TEMPLATE, capture_output=True, text=True, check=True).stdout
    version = re.search(r'^version = "(.+)"$', (PACKAGE.parents[1] / "pyproject.toml").read_text(), re.MULTILINE)
    assert version
    assert call(tmp_path, "--version") == (0, f"aml {version[1]}, commit {head}", "")


def test_the_version_names_the_commit_that_was_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noted = {"url": "https://example.com/a.git", "vcs_info": {"vcs": "git", "commit_id": "c0ffee"}}
    monkeypatch.setattr(tools, "direct_url", lambda: noted)
    assert aml(tmp_path, "--version").out.endswith(", commit c0ffee\n")


def test_a_version_without_a_commit_is_one_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "direct_url", dict)
    monkeypatch.setattr(tools, "checkout", lambda: None)
    assert re.fullmatch(r"aml [0-9.]+\n", aml(tmp_path, "--version").out)
    monkeypatch.setattr(tools, "DISTRIBUTION", "no-such-distribution")
    assert aml(tmp_path, "--version").out == "aml of a folder, not installed\n"


@pytest.mark.parametrize("verb", [verb for verb in cli.VERBS if verb not in ANYWHERE])
def test_outside_of_a_project_it_says_so_in_one_line(tmp_path: Path, verb: str) -> None:
    (tmp_path / "analysis.ipynb").write_text('{"cells": []}')
    (tmp_path / "requirements.txt").touch()
    before = sorted(tmp_path.iterdir())
    said = f"ERROR: {tmp_path}: no project here or above: none of these folders has a models/\n"
    assert aml(tmp_path, verb, *ARGUMENTS.get(verb, [])) == (2, "", said)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(("earlier", "verb"), cli.EARLIER.items())
def test_a_verb_of_before_still_works(project: Path, earlier: str, verb: str) -> None:
    assert earlier not in cli.VERBS
    assert aml(project, earlier, "--help") == aml(project, verb, "--help")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("--require 'accuracy>=0.7'", ["--require", "accuracy>=0.7"]),
        ("--require accuracy>=0.7", ["--require", "accuracy>=0.7"]),
        ('-k "a and b"', ["-k", "a and b"]),
        ("a\\ b;touch x", ["a b;touch", "x"]),
        ("$HOME $(touch x) `touch x` * # %", ["$HOME", "$(touch", "x)", "`touch", "x`", "*", "#", "%"]),
        ("--tag 'a=\"b\"'\n--all", ["--tag", 'a="b"', "--all"]),
        ("-- --seed 1", ["--", "--seed", "1"]),
        ("--input ~/new ~ a~ ~b", ["--input", "/mine/new", "/mine", "a~", "~b"]),
        ("--make-args=x", ["--make-args=x"]),
        ("  ", []),
    ],
)
def test_what_make_has_as_args_becomes_words(monkeypatch: pytest.MonkeyPatch, text: str, words: list[str]) -> None:
    monkeypatch.setenv("HOME", "/mine")
    assert cli.parted(["--model=m", f"--make-args={text}", "--", "nb"]) == ["--model=m", *words, "--", "nb"]


def test_words_after_two_dashes_are_somebody_elses() -> None:
    assert cli.parted(["--", "--make-args=a b"]) == ["--", "--make-args=a b"]


@pytest.mark.parametrize("text", ["O'Brien", '"a', "a\\"])
def test_args_with_an_open_quote_are_refused(tmp_path: Path, text: str) -> None:
    said = f"ERROR: ARGS: a quote or a backslash at its end is left open: {text}\n"
    assert aml(tmp_path, "train", f"--make-args={text}") == (2, "", said)


# --- one vocabulary ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", cli.VERBS)
def test_each_verb_is_a_module(verb: str) -> None:
    assert callable(importlib.import_module(f"aml_project.commands.{verb}").main)


def test_each_module_is_a_verb() -> None:
    assert {file.stem for file in COMMANDS.glob("*.py")} - {"__init__"} == set(cli.VERBS)


def test_each_verb_is_a_line_of_the_makefile_and_in_the_same_order() -> None:
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z]+): tools ## [A-Z].*\n\t@\$\(AML\) ([a-z]+)(?: .*)?$", makefile, re.MULTILINE)
    verbs = [verb for verb in cli.VERBS if verb not in WITHOUT_MAKE]
    assert targets == [(verb, verb) for verb in verbs]
    described = re.findall(r"^([a-z]+):.* ## ", makefile, re.MULTILINE)
    assert described == ["help", *verbs], "make does nothing else"


def imported(file: Path) -> Iterator[str]:
    """The modules that a file imports, now or later, in full."""
    package = ["aml_project", *file.relative_to(PACKAGE).parent.parts]
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def test_no_verb_is_imported_by_another_or_from_below() -> None:
    """The command calls them by their names; what two of them need lies elsewhere."""
    files = sorted(PACKAGE.rglob("*.py"))
    assert len(files) > 90
    found = {
        file.relative_to(PACKAGE).as_posix(): module
        for file in files
        for module in imported(file)
        if module.startswith("aml_project.commands")
    }
    assert found == {}


def test_an_import_is_seen_however_it_is_written(tmp_path: Path) -> None:
    lines = {
        "import aml_project.commands.check": "aml_project.commands.check",
        "from aml_project.commands import check": "aml_project.commands.check",
        "from aml_project.commands.check import act": "aml_project.commands.check.act",
        "def f():\n    from . import check": "aml_project.commands.check",
        "from .check import act": "aml_project.commands.check.act",
    }
    for line, module in lines.items():
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(globals(), "PACKAGE", tmp_path)
            file = tmp_path / "commands" / "x.py"
            file.parent.mkdir(exist_ok=True)
            file.write_text(line)
            assert list(imported(file)) == [module]
