"""What lies beside a notebook, data and modules, is brought along."""

from pathlib import Path

from notebooks.books import Convert, start, train_py, write
from tests.aml import told
from tests.support import files_of


def test_data_is_copied_but_never_over_another_file(convert: Convert, project: Path, tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv", "unread.csv"):
        (tmp_path / "nb" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "nb" / name).write_text(name)
    (project / "data" / "b.csv").write_text("another")
    given = write(tmp_path / "nb" / "x.ipynb", "print(open('a.csv').read(), open('b.csv').read(), 'c')")
    done = convert(given, "--force", "--no-data")
    assert (done.code, done.err) == (0, "")
    assert not (project / "data" / "a.csv").exists()
    done = convert(given, "--force")
    assert done.code == 0
    told(done, "NOTE: data/b.csv: another file has this name; the notebook's was not copied")
    assert sorted(files_of(project / "data")) == ["a.csv", "b.csv", "customers.csv"]
    assert start(train_py(project)) == "a.csv another c\n"


def test_much_data_is_left_to_its_owner(convert: Convert, project: Path, tmp_path: Path) -> None:
    for name, size in (("small.bin", 10), ("large.bin", 100_000_000)):
        with (tmp_path / name).open("wb") as file:
            file.truncate(size)
    given = write(tmp_path / "x.ipynb", "open('small.bin')\nopen('large.bin')")
    done = convert(given, "--force")
    assert done.code == 0
    told(done, "NOTE: the 2 files that it reads hold 100 MB: put them into data/ yourself")
    assert sorted(files_of(project / "data")) == ["customers.csv"]


def test_modules_beside_the_notebook_go_beside_the_script(convert: Convert, project: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    for name, text in {
        "util.py": "from mine.inner import X\n",
        "mine/__init__.py": "",
        "mine/inner.py": "X = 5\n",
        "unused.py": "",
        "evaluation.py": "Y = 6\n",
        "runtime.py": "Y = 7\n",  # Python would find the package instead
    }.items():
        (tmp_path / name).write_text(text)
    theirs = (train_py(project).parent / "evaluation.py").read_bytes()
    done = convert(write(tmp_path / "x.ipynb", "import util, evaluation, runtime", "print(util.X)"), "--force")
    assert done.code == 0
    there = "NOTE: models/model1/{}.py: another file has this name; the notebook's was not copied"
    told(done, there.format("runtime"), there.format("evaluation"))
    model = train_py(project).parent
    assert {"util.py", "mine/__init__.py", "mine/inner.py"} <= set(files_of(model))
    assert not (model / "unused.py").exists() and not (model / "runtime.py").exists()
    assert (model / "evaluation.py").read_bytes() == theirs
    assert (model / "tests" / "test_notebook.py").exists()
