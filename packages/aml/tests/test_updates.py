"""aml update: repos of past commits, edited as their owners do, become what a render of today is, edits kept."""

import copy
import json
import shutil
import subprocess
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from aml_project import ages, kill_points
from aml_project import project as projects
from aml_project import template as templates
from tests.aml import Done, aml, call
from tests.conftest import cookiecutter_home
from tests.support import BIN, MODEL, SIGN_OF_LIFE, TEMPLATE, files_of, run

pytestmark = pytest.mark.slow  # each renders and updates whole repos

__all__ = ["cookiecutter_home"]
BEFORE_THE_PACKAGE = "bc701e6"
# From the first that could be used to the last before this: without networks, without batches, with all of the engine.
PAST = ["f2047e4", "1b6bfa4", "551ba89", "bc701e6", "db975ed"]


def git(folder: Path, *args: str | Path) -> str:
    return subprocess.check_output(["git", *map(str, args)], cwd=folder, text=True).strip()


def commit(folder: Path) -> str:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message=state")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of the template whose last commit is what lies here now, committed or not."""
    folder = tmp_path_factory.mktemp("template") / "aml-template"
    run("git", "clone", "--quiet", TEMPLATE, folder, cwd=TEMPLATE)
    for name in git(TEMPLATE, "diff", "--name-only", "HEAD").splitlines():
        (folder / name).unlink(missing_ok=True)
    for name in git(TEMPLATE, "ls-files", "--cached", "--others", "--exclude-standard", "-z").split("\0"):
        if name and (TEMPLATE / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(TEMPLATE / name, folder / name)
    commit(folder)
    return folder


class Repo:
    """A repo of a past commit of the template."""

    def __init__(self, template: Path, folder: Path, past: str, **answers: str) -> None:
        self.template, self.folder, self.past = template, folder, past
        self.render(**answers)
        self.path = folder / "my-aml-project"
        (self.path / "local.mk").unlink(missing_ok=True)
        git(self.path, "init", "--quiet")
        commit(self.path)

    def render(self, *options: str, **answers: str) -> None:
        clone = self.folder / "template"
        if not clone.is_dir():
            git(self.folder, "clone", "--quiet", self.template, clone)
            git(clone, "checkout", "--quiet", self.past)
        said = [f"{question}={text}" for question, text in answers.items()]
        run(BIN / "cookiecutter", "--no-input", *options, clone, *said, cwd=self.folder)

    def copied(self, folder: Path) -> "Repo":
        """A copy that a test may change."""
        repo = copy.copy(self)
        repo.folder, repo.path = folder, Path(shutil.copytree(self.path, folder / self.path.name, symlinks=True))
        (folder / "template").symlink_to(self.folder / "template")
        return repo

    def edit(self, name: str, change: Callable[[str], str]) -> None:
        file = self.path / name
        before = file.read_text()
        file.write_text(change(before))
        assert file.read_text() != before, f"{name}: the edit changes nothing"

    def update(self, *args: str) -> Done:
        known = templates.commit(self.path)
        return aml(
            self.path, "update", *args, *([] if known else ["--from", self.past]), AML_TEMPLATE=str(self.template)
        )

    def files(self) -> dict[str, bytes]:
        files = files_of(self.path)
        return {name: text for name, text in files.items() if not name.startswith((".git/", "template/"))}


NowOf = Callable[..., Mapping[str, bytes]]


class Make(NamedTuple):
    template: Path
    folder: Path

    def __call__(self, past: str, **answers: str) -> Repo:
        return Repo(self.template, self.folder, past, **answers)


@pytest.fixture
def make(template: Path, tmp_path: Path) -> Make:
    return Make(template, tmp_path)


def fresh(template: Path, folder: Path, **answers: str) -> dict[str, bytes]:
    """What a render of now has."""
    folder.mkdir()
    said = [f"{question}={text}" for question, text in answers.items()]
    run(BIN / "cookiecutter", "--no-input", template, *said, cwd=folder)
    (folder / "my-aml-project" / "local.mk").unlink()
    return files_of(folder / "my-aml-project")


def without_data(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: text for name, text in files.items() if not name.startswith("data/")}


def whole_test(make: Make, past: str) -> None:
    """A repo of a past commit, with the edits of a year: all of it arrives, and none of them is lost."""
    repo = make(past)
    train, model1 = "models/model1/train.py", repo.path / "models" / "model1"
    repo.edit(train, lambda text: text.replace('strategy="median"', 'strategy="mean"', 1))
    repo.edit("README.md", lambda text: text.replace("\n## 2. ", "\n## Ours\n\nAsk Ada.\n\n## 2. ", 1))
    repo.edit("Makefile", lambda text: text + "\nnightly: ## Ours\n\techo nightly\n")
    repo.edit("models/model1/aml_config/train-conda.yml", lambda text: text.replace("pandas==", "pandas>=", 1))
    (model1 / "features.py").write_text("ANSWER = 42\n")
    (repo.path / "data" / "customers.csv").unlink(missing_ok=True)
    (repo.path / "data" / "ours.csv").write_text("a,churned\n1,yes\n")
    commit(repo.path)
    repo.render("-f", "-s", model_name="churn", framework="none")
    (repo.path / "local.mk").unlink(missing_ok=True)
    (repo.path / "data" / "customers.csv").unlink(missing_ok=True)
    commit(repo.path)
    git(repo.path, "mv", "models/churn", "models/retention")
    commit(repo.path)
    edited = {train, "README.md", "Makefile", "models/model1/aml_config/train-conda.yml"}
    before = repo.files()

    checked = repo.update("--check")
    assert (checked.code, SIGN_OF_LIFE.sub("", checked.err)) == (1, ""), checked
    assert repo.files() == before

    done = repo.update()
    conflicts = {line.split(": ")[0].strip() for line in done.out.partition("Not merged, ")[2].splitlines()[1:]}
    assert conflicts <= edited, done.out
    assert done.code == (1 if conflicts else 0), done
    assert train not in conflicts
    after = repo.files()
    now = without_data(fresh(make.template, make.folder / "now"))
    unlike = {name for name in now if after.get(name) != now[name]} - edited
    assert unlike == set()
    second = fresh(
        make.template, make.folder / "second", model_name="retention", framework="none", dataset_name="churn-data"
    )
    unlike = {name for name in second if name.startswith("models/retention/") and after.get(name) != second[name]}
    assert unlike == set()
    assert {name for name in after if name not in now and not name.startswith(("models/retention/", "data/"))} == {
        "models/model1/features.py"
    }
    assert {name: text for name, text in after.items() if name.startswith("data/")} == {
        name: text for name, text in before.items() if name.startswith("data/")
    }
    assert b'strategy="mean"' in after[train]
    assert b"Ask Ada." in after["README.md"]
    assert b"echo nightly" in after["Makefile"]
    assert b"pandas>=" in after["models/model1/aml_config/train-conda.yml"]
    assert projects.model_answers(repo.path, "retention")["framework"] == "none"
    assert aml(repo.path, "check").code == 0
    commit(repo.path)
    again = repo.update()
    newest = git(make.template, "rev-parse", "HEAD")[:7]
    assert again.out == f"This repo is of the template's commit {newest}, the newest: nothing to do\n"


def test_a_repo_of_before_the_package_with_the_edits_of_a_year(make: Make) -> None:
    whole_test(make, BEFORE_THE_PACKAGE)


@pytest.mark.full
@pytest.mark.parametrize("past", [past for past in PAST if past != BEFORE_THE_PACKAGE])
def test_past_repos_with_the_edits_of_a_year(make: Make, past: str) -> None:
    whole_test(make, past)


@pytest.fixture(scope="session")
def recent(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same template with a commit before its last: another README and train.py, a file more."""
    folder = tmp_path_factory.mktemp("recent") / "aml-template"
    shutil.copytree(template, folder)
    project = folder / "{{cookiecutter.project_slug}}"
    readme = project / "README.md"
    now = {readme: readme.read_text()}
    readme.write_text(now[readme].replace("Needed: Python 3 with venv", "Needed: Python 3"))
    (project / "gone.txt").write_text("of an older template\n")
    train = folder / "templates" / "frameworks" / "sklearn" / "train.py"
    now[train] = train.read_text()
    train.write_text(now[train].replace("max_iter=args.max_iter", "max_iter=500"))
    commit(folder)
    for path, text in now.items():
        path.write_text(text)
    (project / "gone.txt").unlink()
    commit(folder)
    return folder


@pytest.fixture(scope="session")
def rendered_once(recent: Path, tmp_path_factory: pytest.TempPathFactory) -> Repo:
    return Repo(recent, tmp_path_factory.mktemp("repo"), git(recent, "rev-parse", "HEAD~1"))


@pytest.fixture
def repo(rendered_once: Repo, tmp_path: Path) -> Repo:
    """A repo of the last commit but one."""
    return rendered_once.copied(tmp_path)


@pytest.fixture(scope="session")
def now_of(recent: Path, tmp_path_factory: pytest.TempPathFactory) -> NowOf:
    """What a render of the last commit has, each set of answers rendered once."""

    @cache
    def render(**answers: str) -> Mapping[str, bytes]:
        return MappingProxyType(without_data(fresh(recent, tmp_path_factory.mktemp("now") / "render", **answers)))

    return render


def test_unedited_it_is_what_a_render_of_now_is_and_cruft_agrees(repo: Repo, now_of: NowOf) -> None:
    newest = git(repo.template, "rev-parse", "HEAD")
    noted = {"template": str(repo.template), "commit": repo.past, "context": {"cookiecutter": {}}}
    (repo.path / ".cruft.json").write_text(json.dumps(noted, indent=2))
    commit(repo.path)
    done = repo.update()
    assert done.code == 0, done
    assert done.out.splitlines() == [
        f"Updated from the template's commit {repo.past[:7]} to {newest[:7]}:",
        "  changed   .cruft.json",
        "  changed   README.md",
        "  removed   gone.txt",
        "  changed   models/model1/.answers.json",
        "  changed   models/model1/train.py",
        "  changed   requirements-tools.txt",
        "Next: git diff, make check, commit",
    ]
    after = without_data(repo.files())
    assert json.loads(after.pop(".cruft.json"))["commit"] == newest
    assert after == now_of()


def test_renamed_and_added_models_are_updated_too(repo: Repo, now_of: NowOf) -> None:
    repo.edit("README.md", lambda text: text + "\nOurs.\n")
    commit(repo.path)
    assert aml(repo.path, "model", "rename", "model1", "churn").code == 0
    commit(repo.path)
    copy = repo.folder / "template"  # of the commit that the repo is of
    assert aml(repo.path, "model", "add", "second", "framework=none", AML_TEMPLATE=str(copy)).code == 0
    commit(repo.path)
    done = repo.update()
    assert done.code == 0, done
    files = repo.files()
    churn = now_of(model_name="churn", dataset_name="model1-data")
    assert {name for name in churn if files.get(name) != churn[name]} == {"README.md"}
    assert files["README.md"] == churn["README.md"] + b"\nOurs.\n"
    second = now_of(model_name="second", framework="none")
    own = {name: text for name, text in second.items() if name.startswith("models/second/")}
    assert {name: text for name, text in files.items() if name.startswith("models/second/")} == own


def test_both_have_changed_the_same_lines(repo: Repo) -> None:
    repo.edit("models/model1/train.py", lambda text: text.replace("max_iter=500", "max_iter=700"))
    commit(repo.path)
    done = repo.update()
    assert done.code == 1
    assert "  conflict  models/model1/train.py\n" in done.out
    assert done.out.endswith(
        "Not merged, 1 for you:\n"
        "  models/model1/train.py: both have changed the same lines: choose between the markers\n"
    )
    text = (repo.path / "models" / "model1" / "train.py").read_text()
    assert text.count("<<<<<<<") == text.count(">>>>>>>") == 1
    assert "max_iter=700" in text and "max_iter=args.max_iter" in text
    assert b"Python 3 with venv" in repo.files()["README.md"]  # the others are merged


def test_what_the_template_has_no_more_is_named_where_it_was_edited(make: Make) -> None:
    repo = make(BEFORE_THE_PACKAGE)
    engine = "scripts/azure_ml/submission.py"
    repo.edit(engine, lambda text: text + "\n# ours\n")
    (repo.path / "scripts" / "ours.py").write_text("print(1)\n")
    (repo.path / "models" / "model1" / "tests" / "test_score.py").unlink()
    commit(repo.path)
    done = repo.update()
    assert done.code == 1
    assert done.out.endswith(
        f"Not merged, 1 for you:\n  {engine}: you have changed it, the template has it no more: "
        "take over what you need, remove it\n"
    )
    scripts = {name for name in repo.files() if name.startswith("scripts/")}
    now = {f"scripts/{path.name}" for path in (repo.path / "scripts").glob("register_*.py")} | {"scripts/submit_run.py"}
    assert scripts == {engine, "scripts/ours.py", *now}
    assert not (repo.path / "models" / "model1" / "tests" / "test_score.py").exists()  # removed, it stays so


def test_a_train_py_made_of_a_notebook_is_its_owner_s(repo: Repo) -> None:
    cell: dict[str, Any] = {
        "cell_type": "code",
        "id": "a",
        "metadata": {},
        "outputs": [],
        "execution_count": None,
        "source": "print(1)",
    }
    notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell]}
    (repo.path / "mine.ipynb").write_text(json.dumps(notebook))
    assert aml(repo.path, "notebook", "mine.ipynb", "--force").code == 0
    commit(repo.path)
    before = repo.files()
    assert repo.update().code == 0
    changed = {name for name, text in repo.files().items() if before.get(name) != text}
    assert changed == {"README.md", "models/model1/.answers.json", "requirements-tools.txt"}


def test_what_is_not_committed_is_not_put_at_risk(repo: Repo) -> None:
    (repo.path / "README.md").write_text("mine, not committed\n")
    before = repo.files()
    done = repo.update()
    assert (done.code, done.out) == (1, "")
    assert (
        done.err
        == "ERROR: git status: something here is not committed; commit it first, then an update can be taken back\n"
    )
    assert repo.files() == before
    shutil.rmtree(repo.path / ".git")
    assert repo.update().err.startswith("ERROR: an update needs git, which shows what it changed and takes it back")


def test_a_file_that_git_ignores_is_not_replaced(make: Make) -> None:
    repo = make(BEFORE_THE_PACKAGE)
    repo.edit(".gitignore", lambda text: text + "\nrequirements-tools.txt\n")
    (repo.path / "requirements-tools.txt").write_text("mine\n")
    commit(repo.path)
    done = repo.update()
    assert done.code == 1
    said = "requirements-tools.txt: the template has such a file now, and git does not hold yours: move it away\n"
    assert done.out.endswith(said)
    assert (repo.path / "requirements-tools.txt").read_text() == "mine\n"


def test_vendored_tools_are_to_be_vendored_again(repo: Repo) -> None:
    named = templates.named(repo.path)
    (repo.path / "vendor").mkdir()
    (repo.path / "vendor" / "aml_project-1-py3-none-any.whl").write_text("a wheel")
    (repo.path / "requirements-tools.txt").write_text(f"# {named}\n./vendor/aml_project-1-py3-none-any.whl\n")
    commit(repo.path)
    done = repo.update()
    assert done.code == 0
    assert done.err.endswith("NOTE: vendor/ holds the tools of before: make vendor brings those of this commit\n")
    assert templates.commit(repo.path) == git(repo.template, "rev-parse", "HEAD")
    assert (repo.path / "requirements-tools.txt").read_text().endswith("\n./vendor/aml_project-1-py3-none-any.whl\n")


def test_what_can_not_be_reached_or_is_not_known_is_one_line(repo: Repo) -> None:
    before = repo.files()
    nowhere = aml(repo.path, "update", AML_TEMPLATE="/tmp")
    assert nowhere.err == "ERROR: AML_TEMPLATE: /tmp: no checkout of the template: it has no cookiecutter.json\n"
    unknown = repo.update("--to", "0123456")
    assert unknown.code == 1
    said = "ERROR: 0123456: the template has no such commit; one of yours has to be pushed first (git: "
    assert SIGN_OF_LIFE.sub("", unknown.err).startswith(said)
    file = repo.path / "requirements-tools.txt"
    file.write_text("aml-project @ git+file:///not/there@0123456#subdirectory=packages/aml\n")
    commit(repo.path)
    offline = aml(repo.path, "update")
    assert (offline.code, offline.out) == (3, "")
    assert offline.err.startswith("ERROR: file:///not/there: the template can't be reached from here; AML_TEMPLATE=")
    git(repo.path, "checkout", "--quiet", "HEAD~1", "--", ".")
    assert repo.files() == before


@pytest.mark.parametrize(
    ("point", "is_begun"),
    [
        ("before update.json", False),
        ("an update is ready", True),
        ("before README.md", True),
        ("an update is over", True),
    ],
)
def test_killed_it_leaves_the_repo_as_it_was_or_the_next_call_finishes(
    repo: Repo, now_of: NowOf, point: str, *, is_begun: bool
) -> None:
    before, template = repo.files(), {"AML_TEMPLATE": str(repo.template)}
    killed = call(repo.path, "update", **template, **{kill_points.VARIABLE: point})
    assert killed.code == -9
    if not is_begun:
        assert repo.files() == before
        assert git(repo.path, "status", "--porcelain") == ""
    if is_begun and point != "an update is over":
        assert aml(repo.path, "update", "--check", **template).err == (
            "ERROR: an update was interrupted: make update finishes it\n"
        )
    done = aml(repo.path, "update", **template)
    if point == "an update is over":
        commit(repo.path)
        done = aml(repo.path, "update", **template)
        assert "nothing to do" in done.out
    elif is_begun:
        newest = git(repo.template, "rev-parse", "HEAD")[:7]
        assert done.out.startswith(f"Finished the update to {newest} that was interrupted.\n")
    assert without_data(repo.files()) == now_of()
    assert [path.name for path in (repo.path / ".git").glob("aml-update*") if path.name != "aml-update.part"] == []


def test_check_tells_what_is_of_another_age(repo: Repo) -> None:
    model = repo.path / "models" / "model1"
    newest = git(TEMPLATE, "rev-parse", "HEAD")
    line = f"aml-project @ git+https://git.example/aml-template@{newest}#subdirectory=packages/aml\n"
    (repo.path / "requirements-tools.txt").write_text(line)
    answers = model / ".answers.json"
    answers.write_text(answers.read_text().replace(repo.past, newest))
    assert aml(repo.path, "check").err == ""
    answers.write_text(answers.read_text().replace(newest, repo.past))
    assert aml(repo.path, "check").err == (
        f"NOTE: models/model1 is of the template's commit {repo.past[:7]}, the repo of {newest[:7]}: "
        "make update brings them together\n"
    )
    version = model / "runtime" / "__init__.py"
    version.write_text(version.read_text().replace('"0.2.0"', '"0.1.0"'))
    assert aml(repo.path, "check").err == (
        "NOTE: models/model1/runtime is of version 0.1.0, this aml of 0.2.0: make update brings them together\n"
    )
    (repo.path / "requirements-tools.txt").write_text(line.replace(newest, repo.past))
    done = aml(repo.path, "check")
    assert done.err.startswith(
        f"NOTE: requirements-tools.txt is of the template's commit {repo.past[:7]}, this aml of {newest[:7]}; models/"
    )
    assert done.code == 0


def test_runtime_says_the_version_that_the_package_has() -> None:
    assert ages.VERSION.search((MODEL / "runtime" / "__init__.py").read_text())[1] == ages.package()  # type: ignore[index]
    pyproject = (TEMPLATE / "packages" / "aml" / "pyproject.toml").read_text()
    assert f'\nversion = "{ages.package()}"\n' in pyproject
