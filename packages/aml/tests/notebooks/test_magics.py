"""What only IPython understands becomes a comment, and what it ran runs."""

import ast
from pathlib import Path

from notebooks.books import Convert, start, train_py, write
from tests.aml import told


def test_a_result_that_only_ipython_gives_is_an_error_that_names_the_cell(
    convert: Convert, project: Path, tmp_path: Path
) -> None:
    given = write(tmp_path / "x.ipynb", "print('first')", "files = !ls\nprint(files)", "print('last')")
    done = convert(given, "--force")
    assert done.code == 1
    told(done, "ERROR: x.ipynb, cell 2: files = !ls: only IPython gives this result")
    text = train_py(project).read_text()
    ast.parse(text)
    assert "# files = !ls" in text
    assert "print('last')" in text.replace('"', "'")
    said = start(train_py(project), expect=1)
    assert said.startswith("first\n")
    assert "NotImplementedError: cell 2: files = !ls" in said


def test_what_ipython_did_is_a_comment_and_what_it_ran_runs(convert: Convert, project: Path, tmp_path: Path) -> None:
    cells = [
        "%matplotlib inline\n%load_ext autoreload\n!pip install -q x",
        "def f():\n    return 7",
        "x = %time f()\nprint(x)",
        "%time y = f()\nprint(y)",
        "%%time\nz = f() + 1\nprint(z)",
        "%%capture\nw = 5",
        "if x:\n    %timeit f()\nelse:\n    !ls",
        "for i in range(2):\n    !echo {i}\n    print(i)",
        "%%writefile notes.txt\nnot = python = at all",
        "%%bash\nset -e\nls | wc -l",
        "%cd somewhere",
        "f?",
        "?f",
        "%pip install y",
        "pip install z",
        "print(w)",
    ]
    done = convert(write(tmp_path / "x.ipynb", *cells), "--force")
    assert done.code == 0
    assert start(train_py(project)) == "7\n7\n8\n0\n1\n5\n"
    text = train_py(project).read_text()
    for line in ("# %%writefile notes.txt", "# not = python = at all", "# %%bash", "# ls | wc -l", "# %cd somewhere"):
        assert f"{line}\n" in text
    assert "get_ipython" not in text
    told(done, *(f"NOTE: x.ipynb, cell {number}: " for number in range(7, 12)))


def test_display_await_and_future_imports_need_no_ipython(convert: Convert, project: Path, tmp_path: Path) -> None:
    cells = [
        "from IPython.display import display, HTML, clear_output as clear\nimport asyncio",
        "x = 5\nx",
        "'not; shown';",
        "from __future__ import annotations\ndef g(a: Unknown) -> Nothing:\n    return a",
        "async def later(a):\n    await asyncio.sleep(0)\n    return a",
        "y = await later(6)\nprint(y)\ntext = '''a\n  b'''\nprint(await later(text))",
        "async with asyncio.Lock() as lock:\n    z = [i async for i in numbers()] if False else y + 1\nprint(z)",
        "lock_of_the_loop = asyncio.Lock()\nawait lock_of_the_loop.acquire()\nprint(lock_of_the_loop.locked())",
        "display(HTML('<b>8</b>'))\nclear(wait=True)\ndisplay(9, 10)",
        "if x:\n\tif y:\n\t\tprint('tabs')",
        "g(11)",
    ]
    done = convert(write(tmp_path / "x.ipynb", *cells), "--force")
    assert (done.code, done.err) == (0, "")
    assert start(train_py(project)) == "5\n6\na\n  b\n7\nTrue\n<b>8</b>\n9\n10\ntabs\n11\n"


def test_run_of_a_notebook_gives_its_names(convert: Convert, project: Path, tmp_path: Path) -> None:
    write(
        tmp_path / "train.ipynb", "%run other.ipynb\n%run ./helper.py", "print(double(LIMIT), own())", "%run gone.ipynb"
    )
    write(tmp_path / "other.ipynb", "LIMIT = 4", "def double(x):\n    return 2 * x")
    (tmp_path / "helper.py").write_text("import deeper\n\ndef own():\n    return deeper.DEPTH\n")
    (tmp_path / "deeper.py").write_text("DEPTH = 3\n")
    done = convert(tmp_path, "--force")
    assert done.code == 0
    told(done, "NOTE: train.ipynb, cell 3: %run gone.ipynb is a comment now")
    assert start(train_py(project)) == "8 3\n"
    assert (train_py(project).parent / "deeper.py").exists()
