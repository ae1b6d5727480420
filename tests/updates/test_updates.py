"""cruft: a project follows the template, keeps what its owner wrote, and equals a fresh render where nobody did."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.aml import aml
from tests.repositories import commit, create, create_and_commit, git, update
from tests.support import BIN, PROJECT, TEMPLATE, copy_of, files_of, run

NOT_SHARED = (".cruft.json", "local.mk")


def project_files(project: Path) -> dict[str, bytes]:
    """All but what git and cruft keep for themselves, and what names a place on this computer."""
    files = files_of(project)
    return {name: text for name, text in files.items() if not name.startswith(".git/") and name not in NOT_SHARED}


def test_created_by_cruft_it_is_the_same(template: Path, tmp_path: Path) -> None:
    by_cruft = create(template, tmp_path / "cruft")
    run(BIN / "cookiecutter", "--no-input", template, cwd=tmp_path)
    assert project_files(by_cruft) == project_files(tmp_path / "my-aml-project")
    git(by_cruft, "init", "--quiet")
    run(BIN / "cruft", "check", cwd=by_cruft)


def test_from_the_previous_commit_to_now(template: Path, tmp_path: Path) -> None:
    before = git(template, "rev-parse", "HEAD~2")  # HEAD~1 is the last commit here, HEAD what lies on top of it
    project = create_and_commit(template, tmp_path / "old", "--checkout", before)
    update(project)
    assert project_files(project) == project_files(create(template, tmp_path / "new"))


def test_from_before_the_engine_was_a_package(template: Path, tmp_path: Path) -> None:
    """Its copy goes away, but for a file that was edited: the check says what to do with that."""
    engine = f"{PROJECT.name}/scripts/command_line.py"
    moved = git(template, "log", "--diff-filter=D", "--no-renames", "--format=%H", "-1", "--", engine)
    project = create_and_commit(template, tmp_path / "old", "--checkout", f"{moved}~1")
    with (project / "scripts" / "azure_ml" / "compute.py").open("a") as edited:
        edited.write("# ours\n")
    (project / "scripts" / "report.py").write_text("from command_line import run\n")
    readme, ours = project / "README.md", "## Ours\n\nWritten by us.\n\n"
    readme.write_text(readme.read_text().replace("## 3. ", f"{ours}## 3. ", 1))
    commit(project)
    update(project)

    new = project_files(create(template, tmp_path / "new"))
    kept = {"scripts/azure_ml/compute.py", "scripts/report.py"}
    updated = project_files(project)
    assert updated.keys() - new.keys() == kept
    assert {name for name in new if updated.get(name) != new[name]} == {"README.md"}
    assert readme.read_text().count(ours) == 1
    assert readme.read_text().replace(ours, "").encode() == new["README.md"]
    assert aml(project, "check").err.startswith(  # then, that the aml of these tests is of another commit
        "NOTE: scripts/azure_ml/compute.py: of an older template, used by nothing now; "
        "keep elsewhere what is yours, and remove it\n"
        "NOTE: scripts/report.py: imports the older template's scripts; "
        "call `aml`, or import aml_project, in their place\n"
    )


@pytest.fixture
def changed(template: Path, tmp_path: Path) -> tuple[Path, str]:
    """The template and a commit of it from before files were added, changed and removed."""
    copy = copy_of(template, tmp_path / "changing")
    project = copy / PROJECT.name
    model = project / "models" / "{{cookiecutter.model_name}}"
    (project / "removed-since.txt").write_text("of an older template\n")
    removed = (model / "runtime" / "tracking.py").read_text()
    (model / "runtime" / "tracking.py").unlink()
    train = copy / "templates" / "frameworks" / "sklearn" / "train.py"
    now = train.read_text()
    train.write_text(now.replace("max_iter=args.max_iter", "max_iter=500"))
    old = commit(copy)
    (project / "removed-since.txt").unlink()
    (model / "runtime" / "tracking.py").write_text(removed)
    train.write_text(now)
    commit(copy)
    return copy, old


def test_added_changed_and_removed_files_arrive(changed: tuple[Path, str], tmp_path: Path) -> None:
    template, old = changed
    project = create_and_commit(template, tmp_path / "old", "--checkout", old)
    assert (project / "removed-since.txt").exists()
    assert "max_iter=500" in (project / "models" / "model1" / "train.py").read_text()
    update(project)
    assert project_files(project) == project_files(create(template, tmp_path / "new"))


def test_what_the_owner_wrote_is_kept(changed: tuple[Path, str], tmp_path: Path) -> None:
    template, old = changed
    answers = tmp_path / "answers.json"
    answers.write_text('{"search": "yes", "pipeline": "yes"}')
    project = create_and_commit(template, tmp_path / "old", "--checkout", old, "--extra-context-file", str(answers))
    search = project / "models" / "model1" / "search.yml"
    search.write_text(search.read_text().replace("trials: 20", "trials: 40"))
    pipeline, prepare = (search.with_name(name) for name in ("pipeline.yml", "prepare.py"))
    pipeline.write_text(pipeline.read_text().replace("seed: 42", "seed: 7"))
    prepare.write_text(prepare.read_text().replace("drop_duplicates()", "drop_duplicates().head(100)"))
    train = project / "models" / "model1" / "train.py"
    train.write_text(train.read_text().replace("default=sample_label()", 'default="bought"'))
    (project / "README.md").write_text((project / "README.md").read_text() + "\n## Ours\n\nWritten by us.\n")
    (project / "models" / "model1" / "helper.py").write_text("ANSWER = 42\n")
    (project / "data" / "model1" / "customers.csv").write_text("a,b\n1,2\n")
    commit(project)
    update(project)
    assert 'default="bought"' in train.read_text()
    assert "max_iter=args.max_iter" in train.read_text()
    assert "trials: 40" in search.read_text()
    assert "seed: 7" in pipeline.read_text()
    assert ".head(100)" in prepare.read_text()
    assert search.with_name("evaluate.py").exists()
    assert "Written by us." in (project / "README.md").read_text()
    assert (project / "models" / "model1" / "helper.py").read_text() == "ANSWER = 42\n"
    assert (project / "data" / "model1" / "customers.csv").read_text() == "a,b\n1,2\n"


def test_the_hooks_touch_nothing_outside(changed: tuple[Path, str], tmp_path: Path) -> None:
    """cruft runs the hooks twice for an update, in folders of its own: they leave no trace and attach nothing."""
    template, old = changed
    answers = tmp_path / "answers.json"
    answers.write_text(
        '{"subscription_id": "12345678-1234-1234-1234-123456789abc", "resource_group": "rg", "workspace_name": "ws1"}'
    )
    workspace = ["--extra-context-file", str(answers)]
    project = create_and_commit(template, tmp_path / "old", "--checkout", old, *workspace)
    config = project / ".azureml" / "config.json"
    config.write_text("attached to another workspace by hand")
    home = tmp_path / "home"
    home.mkdir()
    before = set(tmp_path.rglob("*")) - set(project.rglob("*"))
    env = {"HOME": str(home), "PATH": "/usr/bin:/bin"}
    env |= {name: value for name, value in os.environ.items() if name.startswith("GIT_")}
    subprocess.run([BIN / "cruft", "update", "--skip-apply-ask"], cwd=project, check=True, env=env)
    assert config.read_text() == "attached to another workspace by hand"
    new = set(tmp_path.rglob("*")) - set(project.rglob("*")) - before
    assert {path for path in new if home not in path.parents} == set()
    # What cruft and cookiecutter remember of the templates they have seen is theirs.
    assert {path.relative_to(home).parts[0] for path in new} <= {".cookiecutters", ".cookiecutter_replay", ".cache"}


def test_a_train_py_of_a_notebook_is_its_owners(changed: tuple[Path, str], tmp_path: Path) -> None:
    """An update converts nothing, and brings all else."""
    template, old = changed
    notebook = TEMPLATE / "tests" / "notebooks" / "gradient_descent.ipynb"
    answers = tmp_path / "answers.json"
    answers.write_text(json.dumps({"notebook": str(shutil.copy(notebook, tmp_path / "mine.ipynb"))}))
    project = create_and_commit(template, tmp_path / "old", "--checkout", old, "--extra-context-file", str(answers))
    train = project / "models" / "model1" / "train.py"
    assert train.read_text().startswith('"""Made from the notebook mine.ipynb.')
    train.write_text(train.read_text() + "\nprint('edited')\n")
    commit(project)
    (tmp_path / "mine.ipynb").unlink()
    run(BIN / "cruft", "update", "--skip-apply-ask", cwd=project, PWD=str(project))
    assert "print('edited')" in train.read_text()
    assert (project / "models" / "model1" / "runtime" / "tracking.py").exists()
    assert [path.name for path in project.rglob("*.rej")] == []
    assert git(project, "status", "--porcelain", "models/model1/train.py", "notebooks") == ""
