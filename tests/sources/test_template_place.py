"""Where the template comes from, read from git's own files: git makes them here."""

import shutil
from pathlib import Path

import pytest
from cookiecutter.utils import create_env_with_context

from aml_template.place import ROOT, address, commit, public
from tests.support import QUESTIONS, TEMPLATE, run

PUBLIC = "git+https://github.com/org/aml-template"
ORIGIN = "https://git.corp/ml/aml-template.git"


def git(folder: Path, *args: str | Path) -> str:
    return run("git", *args, cwd=folder).strip()


def head(folder: Path) -> str:
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A repository with two commits and an origin."""
    folder = tmp_path / "clone"
    git(tmp_path, "init", "--quiet", "--initial-branch=main", folder)
    git(folder, "remote", "add", "origin", ORIGIN)
    for name in ("one", "two"):
        (folder / name).write_text(name)
        git(folder, "add", "--all")
        git(folder, "commit", "--quiet", f"--message={name}")
    return folder


@pytest.mark.parametrize(
    ("told", "reached"),
    [
        (ORIGIN, ORIGIN),
        ("http://git.corp:8080/ml/aml-template", "http://git.corp:8080/ml/aml-template"),
        ("HTTPS://git.corp/a", "https://git.corp/a"),
        ("https://user:secret@git.corp/a", "https://git.corp/a"),
        ("https://user:se@cret@git.corp/a", "https://git.corp/a"),
        ("https://secret@git.corp/a", "https://git.corp/a"),
        ("https://git.corp/a?private_token=secret", "https://git.corp/a"),
        ("https://git.corp/a#secret", "https://git.corp/a"),
        ("https://org@dev.azure.com/org/my project/_git/a", "https://dev.azure.com/org/my%20project/_git/a"),
        ("https://git.corp/a%20b/c@d", "https://git.corp/a%20b/c%40d"),
        ("ssh://git@git.corp:2222/ml/a.git", "ssh://git@git.corp:2222/ml/a.git"),
        ("ssh://user:secret@git.corp/a", "ssh://user@git.corp/a"),
        ("ssh://git.corp/a", "ssh://git.corp/a"),
        ("git@git.corp:ml/a.git", "ssh://git@git.corp/ml/a.git"),
        ("git@git.corp:/srv/a.git", "ssh://git@git.corp/srv/a.git"),
        ("forge:ml/a.git", "ssh://forge/ml/a.git"),
        ("git@[::1]:ml/a.git", "ssh://git@[::1]/ml/a.git"),
    ],
)
def test_an_address_holds_no_secret(told: str, reached: str) -> None:
    assert public(told) == reached


@pytest.mark.parametrize(
    "told",
    [
        "", ".", "..", "https://", "https://git.corp", "git://git.corp/a", "file:///srv/a.git", "/srv/a.git",
        "../a.git", "./a:b", "C:/code/a", "C:\\code\\a", "\\\\server\\share\\a",
        "ext::sh -c secret", "codecommit::eu-west-1://a",
    ],
)  # fmt: skip
def test_what_is_no_address_for_others(told: str) -> None:
    assert public(told) == ""


def test_a_clone(clone: Path) -> None:
    assert (address(clone), commit(clone)) == (f"git+{ORIGIN}", head(clone))


@pytest.mark.parametrize(
    "config",
    [
        '[remote "origin"]\n\turl = {}\n',
        '[Remote   "origin"] # ours\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n\tURL={}  ; a comment\n',
        '[remote "origin"]\nurl = "{}"\n',
        '[remote "fork"]\n\turl = https://fork.corp/a\n[remote "origin"]\n\turl = {}\n[branch "main"]\n\turl = x\n',
        '[remote "origin"]\n\tpushurl = https://push.corp/a\n\turl = {}\n',
    ],
)
def test_a_config_as_people_write_it(clone: Path, config: str) -> None:
    (clone / ".git" / "config").write_text(config.format(ORIGIN))
    assert git(clone, "config", "remote.origin.url") == ORIGIN
    assert address(clone) == f"git+{ORIGIN}"


@pytest.mark.parametrize("config", ["", '[remote "fork"]\n\turl = https://a.corp/a\n', "[remote", '[remote "origin"]'])
def test_without_an_origin_it_is_the_public_one(clone: Path, config: str) -> None:
    now = head(clone)
    (clone / ".git" / "config").write_text(config)
    assert (address(clone), commit(clone)) == (PUBLIC, now)


def test_packed_references(clone: Path) -> None:
    git(clone, "branch", "not/main", "HEAD~1")
    git(clone, "tag", "--annotate", "--message=1.0", "v1.0")
    git(clone, "pack-refs", "--all")
    assert not (clone / ".git" / "refs" / "heads" / "main").exists()
    assert commit(clone) == head(clone)
    git(clone, "commit", "--quiet", "--allow-empty", "--message=three")  # the packed line is older now
    assert commit(clone) == head(clone)


def test_a_commit_that_is_checked_out_without_a_branch(clone: Path) -> None:
    git(clone, "checkout", "--quiet", "HEAD~1")
    assert commit(clone) == head(clone)


def test_a_branch_that_has_no_commit_yet(clone: Path) -> None:
    git(clone, "checkout", "--quiet", "--orphan", "empty")
    assert commit(clone) == ""


@pytest.mark.parametrize("text", ["", "nonsense", "ref: refs/heads/.invalid", "ref: ../../secret", "ref: \0"])
def test_a_head_that_says_nothing(clone: Path, text: str) -> None:
    (clone / "secret").write_text("secret")
    (clone / ".git" / "HEAD").write_text(text)
    assert commit(clone) == ""


@pytest.mark.parametrize("packed", [False, True])
def test_a_worktree(clone: Path, tmp_path: Path, packed: bool) -> None:
    tree = tmp_path / "tree"
    git(clone, "worktree", "add", "--quiet", "-b", "other/branch", tree, "HEAD~1")
    if packed:
        git(clone, "pack-refs", "--all")
    assert (tree / ".git").is_file()
    assert commit(tree) == head(tree) != head(clone)
    assert address(tree) == f"git+{ORIGIN}"


def test_a_submodule(clone: Path, tmp_path: Path) -> None:
    outer = tmp_path / "outer"
    git(tmp_path, "init", "--quiet", outer)
    git(outer, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", clone, "inner")
    assert (outer / "inner" / ".git").read_text().startswith("gitdir: ../")
    assert (address(outer / "inner"), commit(outer / "inner")) == (f"git+{ORIGIN}", head(clone))


@pytest.mark.parametrize("form", ["{}", "file://{}", "../clone", "../bare", "{bare}", "{bare}.git"])
def test_an_origin_on_this_machine_is_followed(clone: Path, tmp_path: Path, form: str) -> None:
    """A clone of a clone, of a bare one, of one that is named without its .git."""
    bare = tmp_path / "bare.git"
    git(tmp_path, "clone", "--quiet", "--bare", clone, bare)
    second = tmp_path / "second"
    git(tmp_path, "clone", "--quiet", clone, second)
    git(second, "remote", "set-url", "origin", form.format(clone, bare=str(bare).removesuffix(".git")))
    git(second, "fetch", "--quiet")  # git itself takes it for a repository
    assert address(second) == f"git+{ORIGIN}"


def test_a_file_address_is_decoded(clone: Path, tmp_path: Path) -> None:
    clone.rename(tmp_path / "a clone")
    git(tmp_path, "clone", "--quiet", f"file://{tmp_path}/a%20clone", "second")
    assert address(tmp_path / "second") == f"git+{ORIGIN}"


def test_three_clones_are_followed_and_no_circle(clone: Path, tmp_path: Path) -> None:
    found = []
    for name in ("b", "c", "d", "e"):
        git(tmp_path, "clone", "--quiet", clone, name)
        clone = tmp_path / name
        found.append(address(clone))
    assert found == [f"git+{ORIGIN}"] * 3 + [PUBLIC]
    git(clone, "remote", "set-url", "origin", clone)
    assert address(clone) == PUBLIC


def test_an_origin_that_is_gone_is_not_named(clone: Path, tmp_path: Path) -> None:
    git(clone, "remote", "set-url", "origin", tmp_path / "gone.git")
    assert address(clone) == PUBLIC


@pytest.mark.parametrize(
    ("template", "found"),
    [
        ("https://user:secret@git.corp/archive/v1.zip", "https://git.corp/archive/v1.zip"),
        ("http://127.0.0.1:8000/V1.ZIP", "http://127.0.0.1:8000/V1.ZIP"),
        ("https://git.corp/get?token=secret&file=v1.zip", PUBLIC),
        ("ssh://git@git.corp/v1.zip", PUBLIC),
        ("downloads/v1.zip", PUBLIC),
        ("gh:org/aml-template", PUBLIC),
        ("", PUBLIC),
    ],
)
def test_what_is_no_repository(tmp_path: Path, template: str, found: str) -> None:
    assert (address(tmp_path, template), commit(tmp_path)) == (found, "")


def test_a_repository_around_it_is_not_the_templates(clone: Path) -> None:
    (clone / "unpacked").mkdir()
    assert (address(clone / "unpacked"), commit(clone / "unpacked")) == (PUBLIC, "")


def test_the_repository_is_asked_before_the_name_of_a_zip(clone: Path) -> None:
    assert address(clone, "https://git.corp/v1.zip") == f"git+{ORIGIN}"


def test_each_render_of_a_process_is_of_its_own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    here = create_env_with_context({"cookiecutter": QUESTIONS}).from_string("{{ template_place().root }}")
    assert here.render(cookiecutter={}) == str(ROOT) == str(TEMPLATE)
    shutil.copytree(TEMPLATE / "aml_template", tmp_path / "aml_template")
    monkeypatch.syspath_prepend(str(tmp_path))
    other = create_env_with_context({"cookiecutter": QUESTIONS}).from_string("{{ template_place() }}")
    told = {"root": str(tmp_path), "address": "https://git.corp/v1.zip", "commit": ""}
    assert other.render(cookiecutter={"_template": "https://git.corp/v1.zip"}) == str(told)


def test_the_line_is_of_what_lies_there_when_it_is_rendered(monkeypatch: pytest.MonkeyPatch, clone: Path) -> None:
    shutil.copytree(TEMPLATE / "aml_template", clone / "aml_template")
    monkeypatch.syspath_prepend(str(clone))
    monkeypatch.chdir(clone)
    environment = create_env_with_context({"cookiecutter": QUESTIONS})
    line = environment.from_string('{{ requirement("aml-project", "aml") }}')
    for reference in ("HEAD", "HEAD~1"):  # cruft update resets its clone between its two renders
        git(clone, "reset", "--quiet", "--soft", reference)
        assert line.render(cookiecutter={}) == f"aml-project @ git+{ORIGIN}@{head(clone)}#subdirectory=packages/aml"
    (clone / ".git").rename(clone / "away")
    rendered = line.render(cookiecutter={"_template": "https://git.corp/v1.zip"})
    assert rendered == "aml-project @ https://git.corp/v1.zip#subdirectory=packages/aml"
    assert line.render(cookiecutter={}) == f"aml-project @ {PUBLIC}#subdirectory=packages/aml"
