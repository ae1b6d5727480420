"""What make is given reaches the verb byte for byte, and nothing in it runs."""

import os
import subprocess
from pathlib import Path

import pytest

from aml_project import cli
from tests.support import PROJECT, TEMPLATE, files_of, run

HOSTILE = [
    "$(shell touch x)", "${shell touch x}", "$(error x)", "`touch x`", "$(touch x)", "a;touch x", "a&touch x",
    "a|tee x", "a>x", "a\ntouch x", 'a"b', "a'b", "'\"'", "a b", "a  b ", "a\tb", "$HOME", "$$x", "${PATH}", "#x",
    "a\\", "a\\\n", "%", "-x", "--help", "--", "~", "~/x", "*", "?", "[a-z]", "{a,b}", "!x", "a=b", ":=",
    "ñandú", "данные", "数据", "😀",
]  # fmt: skip
VERBS = [verb for verb in cli.VERBS if verb not in ("auto3dseg", "job")]
OF_THE_REPO = {
    "migrate",
    "model",
    "init",
    "update",
    "workspace",
    "attach",
    "rehearse",
    "client",
    "vendor",
}  # no model's
ALONE = {"rehearse", "client"}  # take no ARGS
# Which variables are whose besides, and the words that they become.
OWN = {
    "notebook": {"NB": ["--", "{}"]},
    "requirements": {"FROM": ["--", "{}"]},
    "serve": {"HOST": ["--host={}"], "PORT": ["--port={}"], "WORKERS": ["--workers={}"]},
    "request": {"PORT": ["--port={}"]},
    "image": {"IMAGE": ["--tag={}"], "MODEL_VERSION": ["--model-version={}"]},
    "rehearse": {"CMD": ["--", "sh", "-c", "--", "{}"]},
}
AFTER = ("NB", "FROM")  # come last, where no option is looked for
NAMES = {"MODEL", "ARGS", *(name for own in OWN.values() for name in own)}
# Stands for aml, and for the Python that the tools are made with: it notes its words, each with a NUL behind it.
NOTES = """#!/bin/sh
printf '%s\\0' "$@" "end of words" >>"$NOTED"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose aml notes what it is called with."""
    folder = tmp_path / "project"
    tools = folder / ".venv" / ".tools"
    (tools / "bin").mkdir(parents=True)
    (folder / "models" / "model1").mkdir(parents=True)
    (folder / "Makefile").write_bytes((PROJECT / "Makefile").read_bytes())
    (folder / "requirements-tools.txt").touch()
    (tools / "bin" / "aml").write_text(NOTES)
    (tools / "bin" / "aml").chmod(0o755)
    (tools / "ready").touch()
    return folder


def called(project: Path, *words: str, **env: str) -> list[list[str]]:
    """Call make, and return the words of each call of aml."""
    noted = project.parent / "noted"
    noted.write_bytes(b"")
    before = files_of(project)
    done = subprocess.run(
        ["make", *words], cwd=project, env={**os.environ, **env, "NOTED": str(noted)}, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert files_of(project) == before, "something was run"
    calls = noted.read_bytes().decode().split("end of words\0")
    return [call.split("\0")[:-1] for call in calls[:-1]]


def expected(verb: str, given: str) -> list[str]:
    model = [] if verb in OF_THE_REPO else [f"--model={given}"]
    words = [] if verb in ALONE else [f"--make-args={given}"]
    own = OWN.get(verb, {})
    before, after = (
        [word.format(given) for name in own if (name in AFTER) == is_last for word in own[name]]
        for is_last in (False, True)
    )
    # The first word of `aml ci` is which of its words it is, and may come of ARGS.
    return [verb, *before, *(words + model if verb == "ci" else model + words), *after]


@pytest.mark.parametrize("way", ["on the command line", "in the environment"])
def test_what_is_given_is_a_text_to_make_and_to_the_shell(project: Path, way: str) -> None:
    for given in HOSTILE:
        values = dict.fromkeys(NAMES, given)
        if way == "on the command line":
            calls = called(project, *VERBS, *(f"{name}={text}" for name, text in values.items()))
        else:
            calls = called(project, *VERBS, **values)
        assert calls == [expected(verb, given) for verb in VERBS], repr(given)


def test_what_is_not_given_is_no_word(project: Path) -> None:
    verbs = [verb for verb in VERBS if verb != "notebook"]
    assert called(project, *verbs, *(f"{name}=" for name in NAMES)) == [[verb] for verb in verbs]
    assert called(project, *verbs, FROM="", PORT="", HOST="") == [[verb] for verb in verbs]


def test_a_make_within_make_gets_the_same(project: Path) -> None:
    (project / ".venv" / ".tools" / "bin" / "aml").write_text(
        f'{NOTES}if [ "$1" = rehearse ]; then shift 2; exec "$@"; fi\n'
    )
    for given in HOSTILE:
        calls = called(project, "rehearse", "CMD=make train", f"MODEL={given}", f"ARGS={given}")
        assert calls[1:] == [["train", f"--model={given}", f"--make-args={given}"]], repr(given)


def test_local_mk_may_name_the_model(project: Path) -> None:
    (project / "local.mk").write_text("STEM := chu\nMODEL = $(STEM)rn\n")
    os.utime(project / "local.mk", (0, 0))  # older than the tools, which else were made again
    assert called(project, "train") == [["train", "--model=churn"]]
    assert called(project, "train", "MODEL=other") == [["train", "--model=other"]]


@pytest.mark.parametrize("given", ["$(shell touch x)", "`touch x`", "a;touch x", 'a"b', "a b", "$HOME", "a'b"])
def test_the_python_and_the_checkout_of_the_tools_are_paths(project: Path, given: str) -> None:
    tools = project / ".venv" / ".tools"
    (tools / "ready").unlink()
    for name in ("python", "uv"):
        (tools / "bin" / name).write_text(NOTES)
        (tools / "bin" / name).chmod(0o755)
    python = project.parent / given
    python.write_text(NOTES)
    python.chmod(0o755)
    noted = project.parent / "noted"
    before = set(files_of(project))
    run("make", "tools", f"PYTHON={python}", f"AML_TEMPLATE={given}", cwd=project, expect=0, NOTED=str(noted))
    assert set(files_of(project)) - before == {".venv/.tools/ready"}
    words = noted.read_bytes().decode().split("\0")
    assert words[:3] == ["-m", "venv", ".venv/.tools"]
    assert f"{given}/packages/aml" in words


def test_a_model_of_any_name_is_listed(project: Path) -> None:
    for name in ("$(touch x)", "`touch x`", 'a"b', "a\\tb"):
        (project / "models" / name).mkdir()
    before = files_of(project)
    said = run("make", cwd=project, expect=0).splitlines()[-1]
    assert said.startswith("Models here: ")
    assert all(f" {name}" in said for name in ("model1", "$(touch x)", "`touch x`", 'a"b', "a\\tb"))
    assert files_of(project) == before


def test_args_of_this_repo_s_own_make_are_for_the_shell_alone(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_bytes((TEMPLATE / "Makefile").read_bytes())
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(NOTES)
    python.chmod(0o755)
    noted = tmp_path.parent / f"{tmp_path.name}.noted"
    args = """-k "a and b" '$(shell touch x)' '`touch x`' "$HOME" 'a;b>c'"""
    known = ("-o", ".venv/dev", "-o", ".venv/model")
    run("make", *known, "mutation", f"ARGS={args}", cwd=tmp_path, expect=0, NOTED=str(noted), HOME="/mine")
    words = noted.read_text().split("\0")
    assert words[:5] == ["tools/mutation.py", "-k", "a and b", "$(shell touch x)", "`touch x`"]
    assert words[5:7] == ["/mine", "a;b>c"]
    assert not (tmp_path / "x").exists()
