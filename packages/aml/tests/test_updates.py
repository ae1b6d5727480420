"""aml update: repos of past commits, edited as their owners do, become what a render of today is, edits kept."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from aml_project import project as projects
from aml_project import template as templates
from tests.aml import Done, aml
from tests.conftest import cookiecutter_home
from tests.support import BIN, SIGN_OF_LIFE, TEMPLATE, files_of, run

__all__ = ["cookiecutter_home"]
BEFORE_THE_PACKAGE = "bc701e6"
# From the first that could be used to the last before this: without networks, without batches, with all of the engine.
PAST = ["f2047e4", "1b6bfa4", "551ba89", "bc701e6", "db975ed"]


class Killed(BaseException):
    """What no code expects."""


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
        copy = self.folder / "template"
        if not copy.is_dir():
            git(self.folder, "clone", "--quiet", self.template, copy)
            git(copy, "checkout", "--quiet", self.past)
        said = [f"{question}={text}" for question, text in answers.items()]
        run(BIN / "cookiecutter", "--no-input", *options, copy, *said, cwd=self.folder)

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
    repo.edit(
        train, lambda text: text.replace("random_state=args.seed),\n", "random_state=args.seed, verbose=1),\n", 1)
    )
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
    assert b"verbose=1" in after[train]
    assert b"Ask Ada." in after["README.md"]
    assert b"echo nightly" in after["Makefile"]
    assert b"pandas>=" in after["models/model1/aml_config/train-conda.yml"]
    assert projects.model_answers(repo.path, "retention")["framework"] == "none"
    assert aml(repo.path, "check").code == 0
    commit(repo.path)
    again = repo.update()
    assert (
        again.out
        == f"This repo is of the template's commit {git(make.template, 'rev-parse', 'HEAD')[:7]}, the newest: nothing to do\n"
    )


def test_a_repo_of_before_the_package_with_the_edits_of_a_year(make: Make) -> None:
    whole_test(make, BEFORE_THE_PACKAGE)


@pytest.mark.full
@pytest.mark.parametrize("past", [past for past in PAST if past != BEFORE_THE_PACKAGE])
def test_past_repos_with_the_edits_of_a_year(make: Make, past: str) -> None:
    whole_test(make, past)
