"""Whichever way the template is named, the repo's line names its address and commit, and nothing of this computer."""

import functools
import http.server
import json
import os
import re
import shlex
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.requirements import Requirement

from tests.repositories import commit, create, create_and_commit, git, update
from tests.support import BIN, MODEL, PROJECT, TEMPLATE, copy_of, files_of, run

PUBLIC = "https://github.com/org/aml-template"
# What anybody's clone may hold; nobody else is to see the secret.
SECRET = "https://user:s3cret@git.corp/ml/aml-template.git"
ADDRESS = "git+https://git.corp/ml/aml-template.git"

Line = Callable[[Path], str]


class Checkout(NamedTuple):
    """The template with an origin and two commits on top of it, which differ in a file that nobody renders."""

    folder: Path
    one: str
    two: str


@pytest.fixture(scope="module")
def checkout(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    folder = copy_of(template, tmp_path_factory.mktemp("checkout"))
    git(folder, "checkout", "--quiet", "-B", "main")
    git(folder, "remote", "set-url", "origin", SECRET)
    shas = []
    for text in ("one", "two"):
        (folder / "benchmarks" / "note").write_text(text)
        shas.append(commit(folder))
    return Checkout(folder, *shas)


@pytest.fixture(scope="module")
def bare(checkout: Checkout) -> Path:
    """A bare repository as a server has it: with all references packed, and the same origin."""
    folder = checkout.folder.with_name("aml-template.git")
    git(checkout.folder.parent, "clone", "--quiet", "--bare", checkout.folder, folder)
    git(folder, "remote", "set-url", "origin", SECRET)
    assert not (folder / "refs" / "heads" / "main").exists()
    return folder


def in_place_of(address: str, folder: Path) -> dict[str, str]:
    """What has git take a repository on this computer for an address, which the clone keeps as its origin."""
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{folder}.insteadOf",
        "GIT_CONFIG_VALUE_0": address,
    }


def cookiecutter(folder: Path, *args: str | Path, **env: str) -> Path:
    run(BIN / "cookiecutter", "--no-input", *args, cwd=folder, expect=0, **env)
    return folder / "my-aml-project"


@pytest.fixture
def line(tmp_path: Path) -> Line:
    """A repo's line, once nothing that git would commit has been found to be of this computer or secret."""
    # All of the tests lies in one folder, all that cookiecutter and cruft make for themselves in Python's.
    of_here = [str(tmp_path.parent), str(TEMPLATE), f"{tempfile.gettempdir()}/tmp", "s3cret"]

    def read(project: Path) -> str:
        git(project, "init", "--quiet")
        git(project, "add", "--all")
        committed = set(git(project, "ls-files").splitlines())
        assert "local.mk" not in committed
        for name in committed - {".cruft.json"}:  # where cruft keeps what it was given
            text = (project / name).read_text()
            assert not [part for part in of_here if part in text], name
        comment, requirement = (project / "requirements-tools.txt").read_text().splitlines()
        assert comment.startswith("# ")
        assert Requirement(requirement).name == "aml-project"
        return requirement

    return read


def expected(address: str, sha: str = "") -> str:
    return f"aml-project @ {address}{'@' if sha else ''}{sha}#subdirectory=packages/aml"


def local_make(project: Path) -> str | None:
    file = project / "local.mk"
    return file.read_text().splitlines()[-1] if file.exists() else None


def test_cookiecutter_with_a_path(line: Line, checkout: Checkout, tmp_path: Path) -> None:
    project = cookiecutter(tmp_path, os.path.relpath(checkout.folder, tmp_path))
    assert line(project) == expected(ADDRESS, checkout.two)
    assert local_make(project) == f"AML_TEMPLATE := {checkout.folder}"


def test_cookiecutter_with_a_worktree(line: Line, checkout: Checkout, tmp_path: Path) -> None:
    tree = tmp_path / "a tree"
    git(checkout.folder, "worktree", "add", "--quiet", "-b", "older", tree, checkout.one)
    project = cookiecutter(tmp_path, tree)
    assert line(project) == expected(ADDRESS, checkout.one)
    assert local_make(project) == f"AML_TEMPLATE := {tree}"


def test_cookiecutter_with_a_folder_that_git_does_not_know(line: Line, checkout: Checkout, tmp_path: Path) -> None:
    unpacked = tmp_path / "unpacked"
    git(checkout.folder, "checkout-index", "--all", f"--prefix={unpacked}/")
    project = cookiecutter(tmp_path, unpacked)
    assert line(project) == expected(f"git+{PUBLIC}")
    assert local_make(project) == f"AML_TEMPLATE := {unpacked}"


@pytest.mark.parametrize("reference", ["main", "one"])
def test_cookiecutter_with_a_repository_on_this_computer(
    line: Line, checkout: Checkout, bare: Path, tmp_path: Path, reference: str
) -> None:
    """A branch, and a commit without one."""
    sha = {"main": checkout.two, "one": checkout.one}[reference]
    project = cookiecutter(tmp_path, f"file://{bare}", "--checkout", reference if reference == "main" else sha)
    assert line(project) == expected(ADDRESS, sha)
    assert local_make(project) is None


@pytest.mark.parametrize(
    ("named", "address"),
    [
        ("gh:org/aml-template", f"git+{PUBLIC}.git"),
        ("git@git.corp:ml/aml-template.git", "git+ssh://git@git.corp/ml/aml-template.git"),
        (SECRET, ADDRESS),
    ],
)
def test_cookiecutter_with_an_address(line: Line, bare: Path, tmp_path: Path, named: str, address: str) -> None:
    cloned = named.replace("gh:org/aml-template", f"{PUBLIC}.git")
    project = cookiecutter(tmp_path, named, **in_place_of(cloned, bare))
    assert line(project) == expected(address, git(bare, "rev-parse", "HEAD"))
    assert local_make(project) is None


@pytest.fixture
def archive(checkout: Checkout, tmp_path: Path) -> Path:
    file = tmp_path / "files" / "v1.zip"
    file.parent.mkdir()
    git(checkout.folder, "archive", "--format=zip", "--prefix=aml-template-1/", f"--output={file}", "HEAD")
    return file


def test_cookiecutter_with_a_zip_file(line: Line, archive: Path, tmp_path: Path) -> None:
    project = cookiecutter(tmp_path, archive)
    assert line(project) == expected(f"git+{PUBLIC}")
    assert local_make(project) is None


@pytest.fixture
def served_files(archive: Path) -> Iterator[str]:
    """Host and port of a server that has the zip."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=archive.parent)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_cookiecutter_with_the_address_of_a_zip_file(line: Line, served_files: str, tmp_path: Path) -> None:
    project = cookiecutter(tmp_path, f"http://user:s3cret@{served_files}/v1.zip")
    assert line(project) == expected(f"http://{served_files}/v1.zip")
    assert local_make(project) is None


@pytest.mark.parametrize("kept", [["aml_template.Extension"], ["aml_template_place.Place"], None])
def test_replayed_answers_bring_no_old_commit(
    line: Line, checkout: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: list[str] | None
) -> None:
    """cookiecutter keeps `_extensions` with the answers; those of before there was one are replayed as well."""
    config = tmp_path / "config.yml"
    config.write_text(f"cookiecutters_dir: {tmp_path / 'templates'}\nreplay_dir: {tmp_path / 'replay'}\n")
    monkeypatch.setenv("COOKIECUTTER_CONFIG", str(config))
    copy = copy_of(checkout.folder, tmp_path / "moving")
    cookiecutter(tmp_path, copy)
    (replay,) = (tmp_path / "replay").iterdir()
    context = json.loads(replay.read_text())
    assert context["cookiecutter"].pop("_extensions") == ["aml_template.Extension"]
    if kept:
        context["cookiecutter"]["_extensions"] = kept
    assert checkout.two not in json.dumps(context)
    replay.write_text(json.dumps(context))
    now = commit(copy)
    run(BIN / "cookiecutter", "--replay", "--output-dir", "again", copy, cwd=tmp_path)
    assert line(tmp_path / "again" / "my-aml-project") == expected(ADDRESS, now)


def test_a_second_model_changes_neither_the_line_nor_the_checkout(
    line: Line, checkout: Checkout, tmp_path: Path
) -> None:
    """One package serves the repo: it is the one that the repo was made for."""
    project = cookiecutter(tmp_path, checkout.folder)
    before = files_of(project)
    git(checkout.folder, "worktree", "add", "--quiet", "--detach", tmp_path / "tree", checkout.one)
    cookiecutter(tmp_path, "-f", "-s", tmp_path / "tree", "model_name=churn")
    after = files_of(project)
    assert {name: after[name] for name in before} == before
    assert line(project) == expected(ADDRESS, checkout.two)


def test_cruft_with_a_path(line: Line, checkout: Checkout, tmp_path: Path) -> None:
    """It renders from a clone of its own: followed to the origin."""
    folder = tmp_path / "cruft"
    folder.mkdir()
    template = Path(os.path.relpath(checkout.folder, folder))
    project = create(template, folder, "--checkout", checkout.one)
    assert line(project) == expected(ADDRESS, checkout.one)
    assert local_make(project) == f"AML_TEMPLATE := {checkout.folder}"


def test_cruft_with_a_repository_on_this_computer(line: Line, checkout: Checkout, bare: Path, tmp_path: Path) -> None:
    project = create(Path(f"file://{bare}"), tmp_path / "cruft")
    assert line(project) == expected(ADDRESS, checkout.two)
    assert local_make(project) is None


CRUFT_LINES = [
    words
    for page in (TEMPLATE / "README.md", *sorted((TEMPLATE / "docs").glob("*.md")))
    for words in re.findall(r"(?:^|`)(cruft create [^`\n]+)", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
]
assert CRUFT_LINES, "no page shows how cruft makes a project"


@pytest.mark.parametrize("words", CRUFT_LINES)
def test_the_line_of_the_docs_is_one_that_cruft_understands(line: Line, bare: Path, tmp_path: Path, words: str) -> None:
    """The line itself, with Enter to every question; git takes the repository at hand for the one on GitHub."""
    program, *args = shlex.split(words)
    env = os.environ | in_place_of(PUBLIC, bare)
    done = subprocess.run(
        [BIN / program, *args], cwd=tmp_path, env=env, input="\n" * 100, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert line(tmp_path / "my-aml-project") == expected(f"git+{PUBLIC}", git(bare, "rev-parse", "HEAD"))


def test_an_update_moves_the_commit_and_nothing_else(line: Line, checkout: Checkout, tmp_path: Path) -> None:
    project = create_and_commit(checkout.folder, tmp_path / "cruft", "--checkout", checkout.one)
    mine = "AML_TEMPLATE := /elsewhere\n"
    (project / "local.mk").write_text(mine)
    update(project)
    diff = git(project, "diff", "--numstat", "HEAD", "--", ".", ":!.cruft.json")
    assert diff == "1\t1\tmodels/model1/.answers.json\n1\t1\trequirements-tools.txt"
    assert line(project) == expected(ADDRESS, checkout.two)
    assert (project / "local.mk").read_text() == mine
    run(BIN / "cruft", "diff", "--exit-code", cwd=project)


def test_an_update_brings_no_place_of_this_computer_into_a_repo_without(
    line: Line, checkout: Checkout, tmp_path: Path
) -> None:
    """Neither in a colleague's clone of the repo, nor in a repo of before there was a line and a local.mk."""
    copy = copy_of(checkout.folder, tmp_path / "older")
    for name in ("requirements-tools.txt", f"models/{MODEL.name}/.answers.json"):  # what asks for the template's place
        (copy / PROJECT.name / name).unlink()
    (copy / "hooks" / "post_gen_project.py").write_text("")
    old = commit(copy)
    git(copy, "revert", "--no-edit", old)
    now = git(copy, "rev-parse", "HEAD")

    project = create(copy, tmp_path / "cruft", "--checkout", old)
    assert not (project / "requirements-tools.txt").exists()
    git(project, "init", "--quiet")
    commit(project)
    update(project)
    assert line(project) == expected(ADDRESS, now)
    assert local_make(project) is None
