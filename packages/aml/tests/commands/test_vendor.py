"""aml vendor: the wheels in the repo are what make installs then, where nothing of the template can be reached."""

import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from aml_project import kill_points
from tests.aml import aml, call
from tests.support import BIN, TEMPLATE, run

pytestmark = pytest.mark.slow  # each builds wheels

LINE = "aml-project @ git+https://git.example.com/ml/aml-template@0123456789abcdef0123456789abcdef01234567"
PLACE = "#subdirectory=packages/aml"


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repo that has vendored its tools from this checkout."""
    folder = tmp_path_factory.mktemp("vendor") / "repo"
    (folder / "models" / "model1" / "aml_config").mkdir(parents=True)
    (folder / "requirements-tools.txt").write_text(f"# What make calls.\n{LINE}{PLACE}\n")
    done = aml(folder, "vendor", "--from", TEMPLATE)
    assert done.code == 0, done.err
    assert done.out.startswith("vendor/: 3 wheels, ") and done.out.endswith("names them. Commit both.\n")
    return folder


def head() -> str:
    return subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=TEMPLATE, text=True).strip()


def test_the_line_names_the_wheel_and_keeps_the_address_at_the_commit_of_the_wheels(repo: Path) -> None:
    wheel = next((repo / "vendor").glob("aml_project-*.whl"))
    comment, address, line = (repo / "requirements-tools.txt").read_text().splitlines()
    assert "aml vendor" in comment
    assert address == f"# {LINE.rpartition('@')[0]}@{head()}{PLACE}"
    assert line == f"./vendor/{wheel.name}"
    assert (repo / "vendor" / "commit").read_text() == f"{head()}\n"
    assert {file.name.split("-")[0] for file in (repo / "vendor").glob("*.whl")} == {
        "aml_project", "aml_project_az", "aml_rehearsal",
    }  # fmt: skip


def test_what_is_installed_from_it_is_whole_and_knows_its_commit(repo: Path, tmp_path: Path) -> None:
    python = tmp_path / "venv" / "bin" / "python"
    run(BIN / "uv", "venv", "--quiet", python.parents[1], cwd=tmp_path)
    run(BIN / "uv", "pip", "install", "--quiet", "--python", python, "-r", "requirements-tools.txt", cwd=repo)
    said = run(python.with_name("aml"), "--version", cwd=repo)
    assert said.endswith(f", commit {head()}\n")
    place = "from aml_project import tools; print(tools.sibling('rehearsal')); print(tools.sibling('az'))"
    found = run(python, "-c", place, cwd=repo).split()
    assert [Path(wheel).parent for wheel in found] == [repo / "vendor"] * 2
    with zipfile.ZipFile(next((repo / "vendor").glob("aml_project-*.whl"))) as wheel:
        assert {"aml_project/py.typed", "aml_project/runconfigs/runconfig.schema.json"} <= set(wheel.namelist())


def test_the_same_again_takes_what_the_comment_names(repo: Path) -> None:
    done = aml(repo, "vendor", "--dry-run")
    address = f"{LINE.partition('@ ')[2].rpartition('@')[0]}@{head()}#subdirectory=packages/"
    listed = "".join(f"  {address}{part}\n" for part in ("aml", "rehearsal", "az"))
    assert done == (0, f"Would put the wheels of these into vendor/:\n{listed}", "")


def test_what_can_t_be_built_is_one_line_and_leaves_all_as_it_was(repo: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(repo, tmp_path / "copy"))
    nowhere = "aml-project @ git+http://127.0.0.1:9/x.git"
    (copy / "requirements-tools.txt").write_text(f"{nowhere}{PLACE}\n")
    before = {file.name: file.read_bytes() for file in (copy / "vendor").iterdir()}
    done = aml(copy, "vendor")
    assert (done.code, done.out) == (1, "")
    errors = [line for line in done.err.splitlines() if line.startswith("ERROR: ")]
    assert len(errors) == 1 and "aml vendor --from FOLDER" in errors[0]
    assert {file.name: file.read_bytes() for file in (copy / "vendor").iterdir()} == before
    assert sorted(path.name for path in copy.iterdir()) == ["models", "requirements-tools.txt", "vendor"]

    (copy / "requirements-tools.txt").write_text("")
    assert "names no aml-project @ ADDRESS" in aml(copy, "vendor").err
    (copy / "requirements-tools.txt").write_text(f"{LINE}{PLACE}\n")
    assert aml(copy, "vendor", "--from", tmp_path).err == (
        f"ERROR: {tmp_path}: no checkout of the template: it has no packages/aml\n"
    )


def test_killed_before_the_line_is_written_the_old_one_counts(repo: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(repo, tmp_path / "copy"))
    line = f"{LINE}{PLACE}\n"
    (copy / "requirements-tools.txt").write_text(line)
    died = call(copy, "vendor", "--from", TEMPLATE, **{kill_points.VARIABLE: "before requirements-tools.txt"})
    assert died.code == -9
    assert (copy / "requirements-tools.txt").read_text() == line
    assert aml(copy, "vendor", "--from", TEMPLATE).code == 0
    assert (copy / "requirements-tools.txt").read_text().endswith(".whl\n")
