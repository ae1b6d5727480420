"""local.mk: written from a checkout on this computer, and from nothing else."""

import tempfile
from pathlib import Path

import pytest

from aml_project.checkout import FILE, checkout, compares, note
from tests.support import TEMPLATE, run

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_cookiecutter_renders_from_the_folder_that_it_was_given() -> None:
    for typed in ("../aml-template", "/opt/aml-template/", "."):
        assert checkout({"_template": typed, "_repo_dir": typed}, "/opt/aml-template") == "/opt/aml-template"


@pytest.mark.parametrize(
    ("template", "own"),
    [
        ("gh:org/aml-template", "/elsewhere/.cookiecutters/aml-template"),
        ("file:///opt/aml-template.git", "/elsewhere/templates/aml-template"),
        ("v1.zip", "/var/tmp/aml-template"),
        ("aml-template", "/elsewhere/templates/aml-template"),
        ("/elsewhere/.cookiecutters/aml-template", "/elsewhere/.cookiecutters/aml-template"),
    ],
)
def test_a_folder_of_cookiecutters_own_is_no_checkout(template: str, own: str) -> None:
    assert checkout({"_template": template, "_repo_dir": own}, own) == ""


def test_cruft_renders_from_a_clone_of_the_folder(tmp_path: Path) -> None:
    for template, found in ((str(TEMPLATE), str(TEMPLATE)), (str(tmp_path), ""), ("https://git.corp/a", "")):
        assert checkout({"_template": template, "_commit": COMMIT}, "/elsewhere/clone") == found


@pytest.mark.parametrize("name", ["aml-template", "a template", "a#b", "$HOME", "a$(shell echo no)", "ü", "a:b=c", "%"])
def test_make_reads_the_path(tmp_path: Path, name: str) -> None:
    note({"_template": "../it", "_repo_dir": "../it"}, f"/opt/{name}", str(tmp_path))
    (tmp_path / "Makefile").write_text(f"-include {FILE}\nexport AML_TEMPLATE\nall:\n\t@printenv AML_TEMPLATE\n")
    assert run("make", "--silent", cwd=tmp_path) == f"/opt/{name}\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Makefile", FILE]


def test_a_file_that_is_there_is_kept(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("AML_TEMPLATE := /mine\n")
    note({"_template": "../it", "_repo_dir": "../it"}, "/opt/it", str(tmp_path))
    assert (tmp_path / FILE).read_text() == "AML_TEMPLATE := /mine\n"


def test_nothing_is_written_where_cruft_compares(tmp_path: Path) -> None:
    """What stands in the renders of an update comes into the project, for git to commit."""
    answers = {"_template": str(TEMPLATE), "_commit": COMMIT}
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder, "my-aml-project")
        project.mkdir()
        assert compares(answers, str(project))
        note(answers, "/elsewhere/clone", str(project))
        assert list(project.iterdir()) == []
        assert not compares({"_template": str(TEMPLATE), "_repo_dir": str(TEMPLATE)}, str(project))
    assert not compares(answers, str(tmp_path / "my-aml-project"))
    note(answers, "/elsewhere/clone", str(tmp_path))
    assert f"AML_TEMPLATE := {TEMPLATE}\n" in (tmp_path / FILE).read_text()
