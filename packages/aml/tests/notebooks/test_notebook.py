"""The verb `notebook`: which notebooks, whose script, what is replaced."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from notebooks.books import Convert, start, train_py, write
from tests.aml import call, told
from tests.support import files_of


def test_a_folder_of_them_converts_the_rest(convert: Convert, project: Path, tmp_path: Path) -> None:
    write(tmp_path / "train.ipynb", "print('trained')")
    write(tmp_path / "fine.ipynb", "x = 1")
    (tmp_path / "no_json.ipynb").write_text("{")
    write(tmp_path / "nul.ipynb", "y = '\0'")
    write(tmp_path / "syntax.ipynb", "def f(:\n    pass")
    done = convert(tmp_path, "--force")
    assert done.code == 1
    told(
        done,
        "ERROR: no_json.ipynb: not a notebook: it is not JSON",
        "ERROR: nul.ipynb: cell 1: a null character, which Python does not allow",
        "ERROR: syntax.ipynb: cell 1, line 1: invalid syntax: def f(:",
    )
    assert start(train_py(project)) == "trained\n"
    assert (project / "models" / "model1" / "fine.py").exists()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("none.ipynb", "none.ipynb: no such notebook"),
        ("dangling.ipynb", "dangling.ipynb: a link that leads nowhere"),
        ("text.txt", "text.txt: not a notebook: its name does not end in .ipynb"),
        ("empty", "empty: no notebook (*.ipynb) in this folder"),
        ("folder.ipynb", "folder.ipynb: no notebook (*.ipynb) in this folder"),
        ("several", "several: which one trains? Call it train.ipynb, or give it alone: a.ipynb, b.ipynb"),
        ("two", "two: which one trains? Call it train.ipynb, or give it alone: train_a.ipynb, training.ipynb"),
    ],
)
def test_what_is_not_there_gets_one_line(
    convert: Convert, project: Path, tmp_path: Path, given: str, said: str
) -> None:
    (tmp_path / "dangling.ipynb").symlink_to("nowhere.ipynb")
    (tmp_path / "text.txt").write_text("x")
    (tmp_path / "empty").mkdir()
    (tmp_path / "folder.ipynb").mkdir()
    for name in ("several/a", "several/b", "two/train_a", "two/training", "two/other"):
        write(tmp_path / f"{name}.ipynb", "x = 1")
    before = files_of(project)
    done = convert(tmp_path / given)
    assert (done.code, done.out) == (2, "")
    told(done, f"ERROR: …{said}")
    assert files_of(project) == before


def test_wrong_use_gets_one_line(convert: Convert, project: Path, tmp_path: Path) -> None:
    given = write(tmp_path / "nbs" / "train.ipynb", "x = 1")
    write(tmp_path / "nbs" / "b.ipynb", "x = 1")
    told(convert(given, "-o", tmp_path / "train.txt"), "ERROR: --output: a file that ends in .py, not …train.txt")
    told(
        convert(given.parent, "-o", tmp_path / "train.py"),
        "ERROR: --output: for one notebook; a folder's go to the model",
    )
    told(convert(given, "-o", tmp_path / "none" / "train.py"), "ERROR: …/none: no such folder")
    told(convert(given, "--model", "x"), "ERROR: --model: no such model: x; models here: model1")


def test_what_else_trains_is_found_by_its_name(convert: Convert, project: Path, tmp_path: Path) -> None:
    for name in ("a", "Train", "train_all"):
        write(tmp_path / f"{name}.ipynb", f"print('{name}')")
    (tmp_path / ".ipynb_checkpoints").mkdir()
    write(tmp_path / ".hidden.ipynb", "x =")
    done = convert(tmp_path, "--force")
    assert done.code == 0, done.err
    assert start(train_py(project)) == "Train\n"
    assert sorted(path.name for path in (project / "notebooks").iterdir()) == [
        "Train.ipynb",
        "a.ipynb",
        "train_all.ipynb",
    ]


def test_a_link_is_followed(convert: Convert, project: Path, tmp_path: Path) -> None:
    given = write(tmp_path / "far" / "real.ipynb", "print('real')")
    link = tmp_path / "link.ipynb"
    link.symlink_to(given)
    assert convert(link, "--force").code == 0
    assert start(train_py(project)) == "real\n"
    kept = project / "notebooks" / "link.ipynb"
    assert not kept.is_symlink()
    assert kept.read_bytes() == given.read_bytes()


NAMES = [
    *(
        "my notebook",
        "it's",
        'say "hi"',
        "back\\slash",
        "back\\",
        "a\\u0041b\\N",
        'doc"""string',
        "'''",
        '"',
        "größe 🌷",
    ),
    *("new\nline", "tab\t", "para\u2029graph", "{x}", "%s %(prog)s", "$HOME", "#", "a.b", "class", "json", "1"),
]


def test_any_name_will_do(convert: Convert, project: Path, tmp_path: Path) -> None:
    """As the one that trains, alone, and as a module beside it."""
    folder = tmp_path / "folder"
    for number, name in enumerate(NAMES):
        given = write(folder / f"{name}.ipynb", f"print({number})")
        done = convert(given, "--force")
        assert (done.code, done.err) == (0, ""), name
        assert len([line for line in done.out.splitlines() if " is models/model1/train.py now" in line]) == 1
        assert start(train_py(project)) == f"{number}\n"
        assert (project / "notebooks" / given.name).exists()
    write(folder / "train.ipynb", *(f"%run {name}.ipynb" for name in ("class", "json", "1", "a.b", "größe 🌷")))
    done = convert(folder, "--force")
    assert (done.code, done.err) == (0, "")
    modules = sorted(path.stem for path in train_py(project).parent.glob("*.py"))
    assert {"class_notebook", "json_notebook", "notebook_1", "a_b"} <= set(modules)
    assert all(module.isidentifier() for module in modules)
    assert start(train_py(project)).split() == [str(NAMES.index(n)) for n in ("class", "json", "1", "a.b", "größe 🌷")]


def test_a_name_that_begins_with_a_dash_or_is_no_text(convert: Convert, project: Path, tmp_path: Path) -> None:
    write(project / "-x.ipynb", "print('dash')")
    assert convert("--force", "--model", "model1", "--", "-x.ipynb").code == 0
    assert start(train_py(project)) == "dash\n"
    if sys.platform == "linux":
        given = tmp_path / os.fsdecode(b"\xff.ipynb")
        given.write_bytes((project / "-x.ipynb").read_bytes())
        done = call(project, "notebook", "--force", given, PYTHONIOENCODING="utf-8:strict")
        assert done.code == 0, done.err
        assert start(train_py(project)) == "dash\n"


def test_a_dry_run_writes_nothing(convert: Convert, project: Path, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x")
    before = files_of(project)
    done = convert(write(tmp_path / "x.ipynb", "A = 1\nprint(open('a.csv').read(), A)"), "--dry-run")
    assert (done.code, done.err) == (0, "")
    assert "parser.add_argument" in done.out
    ast.parse(done.out)
    assert files_of(project) == before


def test_a_script_is_replaced_only_if_git_holds_it_or_with_force(
    convert: Convert, project: Path, tmp_path: Path
) -> None:
    given = write(tmp_path / "x.ipynb", "print(1)")
    train = train_py(project)
    theirs = train.read_bytes()
    told(
        convert(given),
        "ERROR: models/model1/train.py: git does not hold it as it is: commit it, or --force replaces it",
    )
    git = ["git", "-C", str(project)]
    subprocess.run([*git, "init", "-q"], check=True)
    assert convert(given).code == 1
    subprocess.run([*git, "add", "-A"], check=True)
    assert convert(given).code == 1, "staged is not committed"
    subprocess.run([*git, "commit", "-qm", "all"], check=True)
    train.write_bytes(theirs + b"# edited\n")
    assert convert(given).code == 1
    assert train.read_bytes() == theirs + b"# edited\n"
    train.write_bytes(theirs)
    assert convert(given).code == 0
    assert start(train) == "1\n"

    before = files_of(project)
    again = convert(given)
    assert (again.code, again.out, again.err) == (0, "models/model1/train.py: as it was, nothing to change\n", "")
    assert files_of(project) == before
    train.write_bytes(train.read_bytes() + b"# edited\n")
    assert convert(given).code == 1
    assert convert(given, "--force").code == 0
    assert files_of(project) == before


def test_o_writes_there_and_nowhere_else(convert: Convert, project: Path, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x")
    given = write(tmp_path / "x.ipynb", "open('a.csv').close()", "print(1)")
    before = files_of(project)
    out = tmp_path / "out" / "other.py"
    out.parent.mkdir()
    assert convert(given, "-o", out).code == 0
    assert [path.name for path in out.parent.iterdir()] == ["other.py"]
    assert start(out, "--data-path", str(tmp_path)) == "1\n"
    assert "python other.py --data-path" in out.read_text()
    assert files_of(project) == before
    out.write_text("mine\n")
    assert convert(given, "-o", out).code == 1
    assert out.read_text() == "mine\n"


def test_another_notebook_of_the_same_name_is_not_replaced(convert: Convert, project: Path, tmp_path: Path) -> None:
    first = write(tmp_path / "one" / "x.ipynb", "print(1)")
    second = write(tmp_path / "two" / "x.ipynb", "print(2)")
    assert convert(first, "--force").code == 0
    before = files_of(project)
    told(convert(second), "ERROR: notebooks/x.ipynb: another notebook of this name is there; --force replaces it")
    assert files_of(project) == before
    assert convert(project / "notebooks" / "x.ipynb").code == 0, "the kept one itself"
    assert convert(second, "--force").code == 0
    assert start(train_py(project)) == "2\n"
    assert (project / "notebooks" / "x.ipynb").read_bytes() == second.read_bytes()


def test_no_notebook_leaves_a_half_written_script(
    convert: Convert, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device", str(target))

    given = write(tmp_path / "x.ipynb", "print(1)")
    theirs = train_py(project).read_bytes()
    monkeypatch.setattr(Path, "replace", full)
    told(convert(given, "--force"), "ERROR: …No space left")
    assert train_py(project).read_bytes() == theirs
    assert not [path.name for path in train_py(project).parent.glob(".*.new")]
