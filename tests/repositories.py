"""The template and projects in repositories of git, made and updated by cruft."""

from pathlib import Path

from tests.support import BIN, run


def git(folder: Path, *args: str | Path) -> str:
    return run("git", *args, cwd=folder).strip()


def commit(folder: Path) -> str:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message=state")
    return git(folder, "rev-parse", "HEAD")


def create(template: Path, folder: Path, *args: str) -> Path:
    folder.mkdir(exist_ok=True)
    run(BIN / "cruft", "create", "--no-input", "--output-dir", folder, *args, template, cwd=folder)
    return folder / "my-aml-project"


def create_and_commit(template: Path, folder: Path, *args: str) -> Path:
    project = create(template, folder, *args)
    git(project, "init", "--quiet")
    commit(project)
    return project


def update(project: Path) -> None:
    said = run(BIN / "cruft", "update", "--skip-apply-ask", cwd=project)
    assert [path.name for path in project.rglob("*.rej")] == [], said
    assert "<<<<<<<" not in git(project, "diff")
