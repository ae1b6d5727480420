"""scripts/convert_notebook.py and the hook that calls it, with everything that is not a well-behaved notebook.

The notebooks here need the standard library only, so that the scripts run at once. What they do in their folder, as
plain Python, is what the scripts have to do in the model's: print the same, and write the same, below outputs/.
"""

import ast
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from aml_project.commands import notebook as convert_notebook
from tests.conftest import Bake
from tests.support import BIN, TEMPLATE, copy_of, files_of

OWN = "notebooks/"  # where originals are kept
Cell = str | dict[str, Any]


class Done(NamedTuple):
    """What a command has said."""

    code: int
    out: str
    err: str


Convert = Callable[..., Done]


def code(source: str | list[str] | Any, **metadata: Any) -> dict[str, Any]:
    return {"cell_type": "code", "metadata": metadata, "source": source, "outputs": [], "execution_count": None}


def nb(*cells: Cell, **changes: Any) -> dict[str, Any]:
    """A notebook; a text is a cell of code."""
    return {
        "nbformat": 4,
        "nbformat_minor": 4,
        "metadata": {"language_info": {"name": "python"}},
        "cells": [code(cell) if isinstance(cell, str) else cell for cell in cells],
    } | changes


def write(path: Path, *cells: Cell, **changes: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(nb(*cells, **changes)), encoding="utf-8")
    return path


@pytest.fixture
def project(bake: Bake, tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    folder.mkdir()
    return copy_of(bake(), folder)


@pytest.fixture
def convert(project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Convert:
    """The command in this process, where nbconvert is imported once; it takes this project for its own."""
    monkeypatch.setattr(convert_notebook, "ROOT", project)

    def call(*args: str | Path) -> Done:
        capsys.readouterr()
        done = convert_notebook.main([str(arg) for arg in args])
        return Done(done, *capsys.readouterr())

    return call


def command(project: Path, *args: str | Path, cwd: Path | None = None, **env: str) -> Done:
    """The command in a process of its own."""
    parts = [sys.executable, str(project / "scripts" / "convert_notebook.py"), *map(str, args)]
    done = subprocess.run(parts, cwd=cwd or project, env=os.environ | env, capture_output=True, text=True)
    return Done(done.returncode, done.stdout, done.stderr)


def train_py(project: Path) -> Path:
    return project / "models" / "model1" / "train.py"


def start(script: Path, *args: str, expect: int = 0) -> str:
    """Run a script as `make train` does; return what it prints."""
    done = subprocess.run([sys.executable, "-S", script.name, *args], cwd=script.parent, capture_output=True, text=True)
    assert done.returncode == expect, f"{done.stderr}\n{script.read_text()}"
    return done.stdout + (done.stderr if expect else "")


def one_error(done: Done) -> str:
    """The one line of a failure."""
    assert "Traceback" not in done.err
    assert done.err.startswith("ERROR: "), done
    assert done.err.count("\n") == 1, done
    return done.err


# --- what is no notebook ---------------------------------------------------------------------------------------------

BROKEN: dict[str, tuple[bytes | dict[str, Any], str]] = {
    "not_json": (b"{", "it is not JSON"),
    "empty": (b"", "it is not JSON"),
    "utf_16": ("{}".encode("utf-16"), "it is not UTF-8"),
    "deep": (b"[" * 100_000, "nested too deep"),
    "deep_in_a_cell": (
        b'{"nbformat": 4, "nbformat_minor": 4, "metadata": ' + b'{"a": ' * 900 + b"1" + b"}" * 900 + b', "cells": []}',
        "",  # how deep is too deep is Python's own affair; it has to be one line
    ),
    "list": (b"[]", "its JSON has no nbformat"),
    "null": (b"null", "its JSON has no nbformat"),
    "no_version": ({"cells": []}, "its JSON has no nbformat"),
    "version_of_text": (nb("1", nbformat="4"), "its JSON has no nbformat"),
    "version_5": (nb("1", nbformat=5), "notebook format 5, and this reads 1 to 4"),
    "version_0": (nb("1", nbformat=0), "notebook format 0, and this reads 1 to 4"),
    "version_true": (nb("1", nbformat=True), ""),
    "no_cells": ({"nbformat": 4, "nbformat_minor": 4, "metadata": {}}, "cells"),
    "cells_of_text": (nb(cells="x"), ""),
    "cell_of_text": (nb(cells=["x"]), ""),
    "no_source": (nb({"cell_type": "code", "metadata": {}, "outputs": []}), "cell 1"),
    "source_of_numbers": (nb(code([1, 2])), ""),
    "no_type": (nb("1", {"metadata": {}, "source": "x"}), "cell 2"),
    "metadata_list": (nb("1 +", metadata=[1]), ""),
    "language_of_text": (nb("1 +", metadata={"language_info": "python"}), ""),
    "kernel_of_text": (nb("1 +", metadata={"kernelspec": "python3"}), ""),
    "language_r": (
        nb("x <- 1", metadata={"language_info": {"name": "R"}}),
        "its language is R, and train.py is Python",
    ),
    "language_julia": (nb("x = 1", metadata={"kernelspec": {"language": "julia", "name": "j"}}), "language is julia"),
    "syntax": (nb("x = 1", "def f(:\n    pass"), "cell 2, line 1: invalid syntax: def f(:"),
    "indent": (nb("x = 1", "if x:\n    y = 2\n  z = 3"), "cell 2: unindent does not match any outer indentation level"),
    "unfinished": (nb("x = (1,\n     2"), "cell 1, line 1: '(' was never closed: x = (1,"),
    "python_2": (nb("print 'x'"), "cell 1, line 1: Missing parentheses"),
    "return": (nb("x = 1", "return x"), "cell 2, line 1: 'return' outside function"),
    "behind_time": (nb("%time x = = 1"), "cell 1"),
    "nested": (nb("(" * 300 + ")" * 300), "cell 1"),
    "nul": (nb("x = 1", "y = '\0'"), "cell 2: a null character"),
    "surrogate": (nb("x = 1", "y = '\ud800'"), "cell 2: a character that UTF-8 can't write"),
    "surrogate_in_text": (nb("x = 1", {"cell_type": "markdown", "metadata": {}, "source": "\udfff"}), "cell 2: a char"),
    "no_code": (nb({"cell_type": "markdown", "metadata": {}, "source": "# Title"}, " \n"), "it has no code"),
    "nothing": (nb(), "it has no code"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_notebook_gets_one_line(convert: Convert, project: Path, tmp_path: Path, name: str) -> None:
    content, said = BROKEN[name]
    given = tmp_path / f"{name}.ipynb"
    given.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    before = files_of(project)
    done = convert(given)
    assert (done.code, done.out) == (1, "")
    line = one_error(done)
    assert line.startswith(f"ERROR: {name}.ipynb: ")
    assert said in line
    assert "<tokenize>" not in line
    assert "Error: " not in line.removeprefix("ERROR: "), "a word for the user, not the name of an exception"
    assert files_of(project) == before | {f"{OWN}{name}.ipynb": given.read_bytes()}


def test_a_folder_of_them_converts_the_rest(convert: Convert, project: Path, tmp_path: Path) -> None:
    write(tmp_path / "train.ipynb", "print('trained')")
    write(tmp_path / "fine.ipynb", "x = 1")
    for name in ("not_json", "syntax", "nul", "language_r"):
        content = BROKEN[name][0]
        text = content if isinstance(content, bytes) else json.dumps(content).encode()
        (tmp_path / f"{name}.ipynb").write_bytes(text)
    done = convert(tmp_path, "--force")
    assert done.code == 1
    assert sorted(line.split(":")[1] for line in done.err.splitlines()) == [
        *(" language_r.ipynb", " not_json.ipynb", " nul.ipynb", " syntax.ipynb")
    ]
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
    assert said in one_error(done)
    assert files_of(project) == before


def test_wrong_use_gets_one_line(convert: Convert, project: Path, tmp_path: Path) -> None:
    given = write(tmp_path / "nbs" / "train.ipynb", "x = 1")
    write(tmp_path / "nbs" / "b.ipynb", "x = 1")
    assert "a file that ends in .py" in one_error(convert(given, "-o", tmp_path / "train.txt"))
    assert "--output: for one notebook" in one_error(convert(given.parent, "-o", tmp_path / "train.py"))
    assert "no such folder" in one_error(convert(given, "-o", tmp_path / "none" / "train.py"))
    assert "--model: no such model: x" in one_error(convert(given, "--model", "x"))


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


# --- notebooks that are odd, but are some ----------------------------------------------------------------------------


def test_however_a_text_is_written_the_script_is_the_same(convert: Convert, tmp_path: Path) -> None:
    cells = ["a = 1\nb = '''x\ny'''\n", "if a:\n\tprint(a,\n\t\trepr(b))"]
    plain = nb(*cells)
    written: dict[str, bytes] = {
        "plain": json.dumps(plain).encode(),
        "bom": b"\xef\xbb\xbf" + json.dumps(plain).encode(),
        "crlf_file": json.dumps(plain, indent=1).replace("\n", "\r\n").encode(),
        "unescaped": json.dumps(plain, ensure_ascii=False).encode(),
        "crlf": json.dumps(nb(*(cell.replace("\n", "\r\n") for cell in cells))).encode(),
        "cr": json.dumps(nb(*(cell.replace("\n", "\r") for cell in cells))).encode(),
        "list": json.dumps(nb(*(code(cell.splitlines(keepends=True)) for cell in cells))).encode(),
        "empty_cells": json.dumps(nb("", cells[0], " \n\n", code([]), cells[1], "")).encode(),
        "raw": json.dumps(nb(*cells, {"cell_type": "raw", "metadata": {}, "source": ""})).encode(),
        "no_metadata": json.dumps(nb(*cells, metadata={})).encode(),
        "minor_99": json.dumps(nb(*cells, nbformat_minor=99)).encode(),
        "odd_tags": json.dumps(nb(*(code(cell, tags=3) for cell in cells))).encode(),
        "with_ids": json.dumps(nb(*({**code(cell), "id": "same"} for cell in cells), nbformat_minor=5)).encode(),
        "version_3": json.dumps(version_3(*cells)).encode(),
    }
    scripts = {}
    for name, content in written.items():
        (tmp_path / "x.ipynb").write_bytes(content)
        out = tmp_path / f"{name}.py"
        done = convert(tmp_path / "x.ipynb", "-o", out)
        assert done.code == 0, (name, done.err)
        assert done.err == "", name
        scripts[name] = out.read_text().replace(out.name, "SCRIPT")
    assert set(scripts.values()) == {scripts["plain"]}, [name for name in scripts if scripts[name] != scripts["plain"]]
    assert start(tmp_path / "plain.py") == "1 'x\\ny'\n"
    assert start(tmp_path / "plain.py", "--a", "5") == "5 'x\\ny'\n"


def version_3(*sources: str) -> dict[str, Any]:
    """A notebook as IPython 2 wrote it."""
    cells = [
        {"cell_type": "code", "input": source, "language": "python", "outputs": [], "metadata": {}, "collapsed": False}
        for source in sources
    ]
    return {"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": ""}, "worksheets": [{"cells": cells}]}


def test_headings_and_texts_become_comments(convert: Convert, project: Path, tmp_path: Path) -> None:
    texts = ["# Title\n\nIt's \"\"\" '''\n\\", "\f\v\x1c\u2028odd", "```python\nx = 1\n```"]
    markdown = [{"cell_type": kind, "metadata": {}, "source": text} for text in texts for kind in ("markdown", "raw")]
    done = convert(write(tmp_path / "x.ipynb", *markdown, "print('end')"), "--force")
    assert done.code == 0, done.err
    assert start(train_py(project)) == "end\n"
    assert "# # Title\n" in train_py(project).read_text()


def test_many_megabytes_of_outputs_are_one_note(convert: Convert, project: Path, tmp_path: Path) -> None:
    noisy = code("print('x' * 50)")
    noisy["outputs"] = [{"output_type": "stream", "name": "stdout", "text": ["x" * 99 + "\n"] * 500_000}]
    given = write(tmp_path / "noisy.ipynb", noisy)
    began = time.monotonic()
    done = convert(given, "--force")
    assert done.code == 0
    assert done.err.count("\n") == 1
    assert done.err.startswith("NOTE: noisy.ipynb: 5")
    assert "MB, most of it outputs" in done.err
    assert time.monotonic() - began < 60
    assert start(train_py(project)) == "x" * 50 + "\n"


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


def test_a_name_that_begins_with_a_dash_or_is_no_text(project: Path, tmp_path: Path) -> None:
    write(tmp_path / "-x.ipynb", "print('dash')")
    done = command(project, "--force", "--model", "model1", "--", "-x.ipynb", cwd=tmp_path)
    assert done.code == 0, done.err
    assert start(train_py(project)) == "dash\n"
    if sys.platform == "linux":
        given = tmp_path / os.fsdecode(b"\xff.ipynb")
        given.write_bytes((tmp_path / "-x.ipynb").read_bytes())
        done = command(project, "--force", given, PYTHONIOENCODING="utf-8:strict")
        assert done.code == 0, done.err
        assert start(train_py(project)) == "dash\n"


# --- IPython ---------------------------------------------------------------------------------------------------------


def test_a_result_that_only_ipython_gives_is_an_error_that_names_the_cell(
    convert: Convert, project: Path, tmp_path: Path
) -> None:
    given = write(tmp_path / "x.ipynb", "print('first')", "files = !ls\nprint(files)", "print('last')")
    done = convert(given, "--force")
    assert done.code == 1
    assert "ERROR: x.ipynb, cell 2: files = !ls: only IPython gives this result" in one_error(done)
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
    noted = [line.partition(", ")[2].split(":")[0] for line in done.err.splitlines()]
    assert noted == ["cell 7", "cell 8", "cell 9", "cell 10", "cell 11"], done.err


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
    assert "train.ipynb, cell 3: %run gone.ipynb is a comment now" in done.err
    assert done.err.count("\n") == 1
    assert start(train_py(project)) == "8 3\n"
    assert (train_py(project).parent / "deeper.py").exists()


# --- parameters ------------------------------------------------------------------------------------------------------


def test_arguments_of_every_type(convert: Convert, project: Path, tmp_path: Path) -> None:
    values: dict[str, Any] = {
        "EPOCHS": 3,
        "OFFSET": -5,
        "RATE": 1e-3,
        "BIAS": -0.5,
        "SHUFFLE": True,
        "VERBOSE": False,
        "NAME": "50 % of 'größe' \"q\" %(prog)s {x}",
        "EMPTY": "",
        "LIMIT": None,
        "LAYERS": [64, 32],
        "SHARES": (0.5, -0.25),
        "WORDS": ["a b", "%d"],
    }
    cells = ["\n".join(f"{name} = {value!r}" for name, value in values.items()) + "\nNOTED: int = 7  # why"]
    told = f"import json\nprint(json.dumps([{', '.join(values)}, NOTED]))"
    done = convert(write(tmp_path / "x.ipynb", *cells, told), "--force")
    assert (done.code, done.err) == (0, "")
    script = train_py(project)

    def given(*args: str) -> dict[str, Any]:
        return dict(zip([*values, "NOTED"], json.loads(start(script, *args)), strict=True))

    plain = json.loads(json.dumps({**values, "NOTED": 7}))
    assert given() == plain
    assert given("--data-path", "elsewhere") == plain
    assert given("--epochs", "4", "--offset=-6", "--rate", "2e-2", "--bias", "-1.5") == plain | {
        "EPOCHS": 4,
        "OFFSET": -6,
        "RATE": 0.02,
        "BIAS": -1.5,
    }
    assert given("--no-shuffle", "--verbose")["SHUFFLE"] is False
    assert given("--no-shuffle", "--verbose")["VERBOSE"] is True
    assert given("--name", "100 % 'ä' \"b\"")["NAME"] == "100 % 'ä' \"b\""
    assert given("--layers", "1", "2", "3", "--words", "x y", "--limit", "z", "--shares", "1") == plain | {
        "LAYERS": [1, 2, 3],
        "WORDS": ["x y"],
        "LIMIT": "z",
        "SHARES": [1.0],
    }
    assert given("--layers")["LAYERS"] == []
    usage = start(script, "--help")
    assert "--data-path" in usage
    assert "50 % of" in usage
    assert "unrecognized arguments" in start(script, "--epoch", "4", expect=2)


def test_names_that_can_be_no_option_get_another_one(convert: Convert, project: Path, tmp_path: Path) -> None:
    names = [
        "Lambda",
        "class_",
        "_if",
        "help",
        "h",
        "rate",
        "RATE",
        "Größe",
        "_",
        "__x__",
        "args",
        "parser",
    ]
    names += ["argparse", "Path", "print_", "None_", "A__B", "i", "prog", "version"]
    cells = ["\n".join(f"{name} = {number}" for number, name in enumerate(names)), f"print({', '.join(names)})"]
    done = convert(write(tmp_path / "x.ipynb", *cells), "--force")
    assert (done.code, done.err) == (0, "")
    assert start(train_py(project)).split() == [str(number) for number in range(len(names))]
    assert "usage: train.py" in start(train_py(project), "--help")
    options = [line.split()[1] for line in done.out.splitlines() if line.startswith("  takes")]
    assert len(options) == len(set(options)) >= len(names) - 3
    for option in options:
        assert "99" in start(train_py(project), option, "99").split(), option
    assert start(train_py(project), "--data-path", ".").split() == [str(number) for number in range(len(names))]


@pytest.mark.parametrize("tags", [[], ["parameters"]])
@pytest.mark.parametrize("name", ["data_path", "DATA_PATH", "_data_path"])
def test_a_parameter_called_as_the_data_is_leaves_that_alone(
    convert: Convert, project: Path, tmp_path: Path, tags: list[str], name: str
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.csv").write_text("x")
    cells: list[Cell] = [code(f"{name} = 'a/x.csv'\nother = 1", tags=tags), f"print(open({name}).read(), other)"]
    done = convert(write(tmp_path / "x.ipynb", *cells), "--force")
    assert (done.code, done.err) == (0, "")
    assert start(train_py(project), "--data-path", "../../data") == "x 1\n"
    done = convert(write(tmp_path / "x.ipynb", code(f"{name} = 5", tags=tags), f"print({name})"), "--force")
    assert (done.code, done.err) == (0, "")
    assert start(train_py(project), "--data-path", "../../data") == "5\n"


def test_constants_that_change_stay_constants(convert: Convert, project: Path, tmp_path: Path) -> None:
    cells = [
        "A = 1\nB = 2\nC = 3\nD = 4\nE = 5\nA = 7",
        "B += 1\nfor C in range(2): pass",
        "def f():\n    global D\n    D = 9",
    ]
    cells += ["late = 6\nf()", "print(A, B, C, D, E, late)"]
    done = convert(write(tmp_path / "x.ipynb", *cells), "--force")
    assert (done.code, done.err) == (0, "")
    assert [line for line in done.out.splitlines() if "takes" in line] == ["  takes   --e (5)"]
    assert start(train_py(project), "--e", "0") == "7 3 1 9 0 6\n"


def test_a_tagged_cell_wins(convert: Convert, project: Path, tmp_path: Path) -> None:
    tagged = code("x = 1\ny = {'a': 1}\nz = 'd'\nx = 2", tags=["other", "parameters"])
    done = convert(write(tmp_path / "x.ipynb", "BEFORE = 0", tagged, "print(BEFORE, x, y, z)"), "--force")
    assert done.code == 0
    assert done.err.count("\n") == 1
    assert "NOTE: x.ipynb, cell 2: parameter y: no argument can have this value" in done.err
    assert [line.split()[1] for line in done.out.splitlines() if "takes" in line] == ["--x", "--z"]
    assert start(train_py(project), "--x", "8") == "0 8 {'a': 1} d\n"


def test_data_path_is_always_there(convert: Convert, project: Path, tmp_path: Path) -> None:
    assert convert(write(tmp_path / "x.ipynb", "pass"), "--force").code == 0
    assert start(train_py(project), "--data-path", "x") == ""


# --- paths -----------------------------------------------------------------------------------------------------------

PATH_CELLS = [
    "import csv, glob, io, json, os, pickle\nimport os.path as osp\nfrom os.path import join",
    "from pathlib import Path\nimport pathlib",
    "FOLDER = 'input'\nTABLE = 'input/table.csv'\nRESULTS = 'results'",
    "print(open('input/table.csv').read())\nwith open(TABLE, newline='') as f:\n    print(list(csv.reader(f)))",
    "with open(f'{FOLDER}/table.csv', encoding='utf-8') as f:\n    print(f.readline())",
    "print(open(os.path.join(FOLDER, 'more', 'deep.json')).read(), open(join('input', 'table.csv')).readline())",
    "print(json.load(open(FOLDER + '/more/deep.json')), open('input/%s' % 'table.csv').readline())",
    "BASE = Path('input')\nprint((BASE / 'more' / 'deep.json').read_text(), BASE.joinpath('table.csv').exists())",
    "print(Path(FOLDER, 'table.csv').read_bytes(), pathlib.Path('./input/table.csv').open().readline())",
    "print(sorted(os.listdir(FOLDER)), sorted(p.name for p in BASE.iterdir()))",
    "print(sorted(osp.basename(p) for p in glob.glob('input/parts/*.txt')))",
    "print(sorted(p.name for p in Path('input').rglob('*.txt')), sorted(p.name for p in (BASE / 'parts').glob('*')))",
    "for name in ['one', 'two']:\n    print(open(f'input/parts/{name}.txt').read())",
    "for file in ['input/parts/one.txt', 'input/parts/two.txt']:\n    with open(file) as f:\n        print(f.read())",
    "def load(path, mode='r'):\n    with open(path, mode) as f:\n        return f.read()",
    "print(load('input/parts/one.txt'), load(mode='rb', path=BASE / 'table.csv'))",
    "FILES = {'one': 'input/parts/one.txt', 'two': 'input/parts/two.txt'}",
    "print([load(path) for path in FILES.values()], load(FILES['two']))",
    "print([load('input/parts/' + name + '.txt') for name in ('one', 'two')])",
    "print(pickle.load(open(\"input/it's.pkl\", 'rb')))",
    "print(sorted(name for _, _, names in os.walk('input') for name in names))",
    # what is written, and read back
    "os.makedirs(RESULTS, exist_ok=True)\nwith open(f'{RESULTS}/a.txt', 'w') as f:\n    print('a', file=f)",
    "with open(os.path.join(RESULTS, 'b.json'), 'w') as f:\n    json.dump([1], f)",
    "OUT = Path('results') / 'deep'\nOUT.mkdir(parents=True, exist_ok=True)\n(OUT / 'c.txt').write_text('c')",
    "with open('d.pkl', 'wb') as f:\n    pickle.dump({'d': 1}, f)",
    "print(pickle.load(open('d.pkl', 'rb')), open('results/a.txt').read(), (OUT / 'c.txt').read_text())",
    "def save(text, path):\n    with open(path, 'w') as f:\n        f.write(text)\n\nsave('e', 'results/e.txt')",
    "for name in ('g', 'h'):\n    save(name, f'results/{name}.txt')\nprint(sorted(os.listdir('results')))",
    "with open('table.out.csv', 'w', newline='') as f:\n    csv.writer(f).writerow([1, 'ä'])",
    "with open('log.txt', mode='a') as f:\n    f.write('once')\nprint(os.path.exists('log.txt'))",
]
DATA = {
    "input/table.csv": b"a,b\n1,2\n",
    "input/more/deep.json": b"[1, 2]",
    "input/parts/one.txt": b"1",
    "input/parts/two.txt": b"2",
    "input/it's.pkl": b"\x80\x04K\x07.",
}


def test_paths_lead_from_the_data_to_the_outputs(convert: Convert, project: Path, tmp_path: Path) -> None:
    folder = tmp_path / "work"
    for name, content in DATA.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    (project / "data" / "customers.csv").unlink()  # else whoever lists --data-path finds it there
    given = write(folder / "analysis.ipynb", *PATH_CELLS)
    done = convert(given, "--force")
    assert (done.code, done.err) == (0, "")
    assert {name.removeprefix("input/"): content for name, content in files_of(project / "data").items()} == {
        name.removeprefix("input/"): content for name, content in DATA.items()
    }

    (folder / "plain.py").write_text("\n".join(PATH_CELLS))
    before = files_of(folder)
    expected = start(folder / "plain.py")
    written = {name: content for name, content in files_of(folder).items() if name not in before}
    model = train_py(project).parent
    earlier = files_of(project)
    assert start(train_py(project), "--data-path", "../../data") == expected
    new = {name: content for name, content in files_of(project).items() if earlier.get(name) != content}
    assert {name.removeprefix("models/model1/outputs/"): content for name, content in new.items()} == written

    shutil.rmtree(model / "outputs")
    (project / "data").rename(tmp_path / "mounted")
    assert start(train_py(project), "--data-path", str(tmp_path / "mounted")) == expected


# Cells that read the files of DATA and print; or write, and print what they read back.
ROUNDABOUT: dict[str, list[str]] = {
    "list as a constant": [
        "F = ['input/parts/one.txt', 'input/parts/two.txt']",
        "print(open(F[0]).read(), open(F[-1]).read())",
    ],
    "dict as a constant": ["F = {'in': 'input/table.csv', 'n': 3}", "print(open(F['in']).read())"],
    "unknown call": ["import linecache", "print(linecache.getline('input/table.csv', 1))"],
    "read first, written later": [
        "t = open('input/table.csv').read()",
        "with open('input/table.csv', 'w') as f:\n    f.write(t.upper())",
        "print(t, open('input/table.csv').read())",
    ],
    "returned path": ["def where(n):\n    return 'input/parts/' + n + '.txt'", "print(open(where('one')).read())"],
    "returned path of output": [
        "import os\ndef out(n):\n    os.makedirs('o', exist_ok=True)\n    return os.path.join('o', n)",
        "with open(out('x.txt'), 'w') as f:\n    f.write('x')",
        "print(open(out('x.txt')).read())",
    ],
    "str.format": ["print(open('input/parts/{}.txt'.format('one')).read())"],
    "percent": ["print(open('input/parts/%s.txt' % 'two').read())"],
    "or": ["D = None or 'input'", "print(open(f'{D}/table.csv').read())"],
    "getenv": ["import os", "D = os.environ.get('NO_SUCH_VARIABLE', 'input')", "print(open(D + '/table.csv').read())"],
    "rename": [
        "import os\nwith open('a.tmp', 'w') as f:\n    f.write('a')",
        "os.rename('a.tmp', 'a.txt')\nprint(open('a.txt').read())",
    ],
    "rename of a Path": [
        "from pathlib import Path\nwritten = Path('a.tmp').write_text('a')",
        "moved = Path('a.tmp').rename('a.txt')\nprint(Path('a.txt').read_text())",
    ],
    "mode in a name": ["import io\nmode = 'w'", "with open('x.txt', mode) as f:\n    f.write('x')"],
    "new database": [
        "import sqlite3",
        "c = sqlite3.connect('my.db')\nc.execute('create table t (a)')\nc.commit()",
        "c.close()",
    ],
    "argument of a class": [
        "class T:\n    def __init__(s, p='input/table.csv'):\n        s.p = p\n    def get(s): return open(s.p)",
        "print(T().get().read(), T('input/parts/one.txt').get().read())",
    ],
    "keyword only": ["def load(*, file='input/table.csv'):\n    return open(file).read()", "print(load())"],
    "two at once": [
        "with open('input/table.csv') as a, open('copy.csv', 'w') as b:\n    copied = b.write(a.read())",
        "print(open('copy.csv').read())",
    ],
    "copied": ["import shutil", "copied = shutil.copy('input/table.csv', 'own.csv')", "print(open('own.csv').read())"],
    "made if not there": [
        "import os\nif not os.path.exists('cache.txt'):\n    with open('cache.txt', 'w') as f:\n        f.write('1')",
        "print(open('cache.txt').read())",
    ],
    "temporary": [
        "import os, tempfile",
        "d = tempfile.mkdtemp()\nP = os.path.join(d, 'x')\nwith open(P, 'w') as f:\n    f.write('1')",
        "print(open(os.path.join(d, 'x')).read())\nos.remove(P)",
    ],
    "same name in two folders": ["import os\nD = 'input'", "print(open(os.path.join(D, 'table.csv')).read())"],
    "folder with a slash": [
        "DIR = 'input/'",
        "print(open(DIR + 'table.csv').read(), open('./' + 'input/table.csv').read())",
    ],
    "lambda": ["read = lambda p: open(p).read()", "print(read('input/table.csv'))"],
    "zipped": [
        "for n, (a, b) in enumerate(zip('ab', ['input/table.csv', 'input/more/deep.json'])):\n    print(open(b).read())"
    ],
    "appended": [
        "F = []\nF.append('input/parts/one.txt')\nF += ['input/parts/two.txt']",
        "print([open(f).read() for f in F])",
    ],
    "inner function": [
        "def outer(d):\n    def inner(n):\n        return open(f'{d}/{n}').read()\n    return inner('table.csv')",
        "print(outer('input'))",
    ],
}


@pytest.mark.parametrize("name", ROUNDABOUT)
def test_what_a_path_did_in_the_notebook_it_does_in_the_run(
    convert: Convert, project: Path, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "work"
    for file, content in DATA.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(content)
    if name == "same name in two folders":
        (folder / "table.csv").write_text("another")
    done = convert(write(folder / "x.ipynb", *ROUNDABOUT[name]), "--force")
    assert (done.code, "ERROR" in done.err) == (0, False), done.err
    (folder / "plain.py").write_text("\n".join(ROUNDABOUT[name]))
    before = files_of(folder)
    expected = start(folder / "plain.py")
    written = {file: content for file, content in files_of(folder).items() if before.get(file) != content}
    earlier = files_of(project)
    assert start(train_py(project), "--data-path", "../../data") == expected
    new = {file for file, content in files_of(project).items() if earlier.get(file) != content}
    assert {Path(file).name for file in new} == {Path(file).name for file in written}
    assert all(file.startswith("models/model1/outputs/") for file in new), new


UNTRACEABLE: dict[str, list[str]] = {
    "starred join": ["import os", "print(open(os.path.join(*['input', 'table.csv'])).read())"],
    "changed constant": ["D = 'input'", "D = D + '/parts'", "print(open(D + '/one.txt').read())"],
    "another folder": ["import os", "os.chdir('input')", "print(open('table.csv').read())"],
    "working folder": ["from pathlib import Path", "print((Path.cwd() / 'input' / 'table.csv').read_text())"],
    "starred call": ["args = ('input/table.csv', 'r')\nn = [1]", "print(open(*args).read())"],
    "written beside what was read": [
        "import glob",
        "for p in glob.glob('input/parts/*'):\n    with open(p.replace('.txt', ''), 'w') as f:\n        f.write('x')",
    ],
}


@pytest.mark.parametrize("name", UNTRACEABLE)
def test_a_path_that_nobody_can_follow_is_told(convert: Convert, project: Path, tmp_path: Path, name: str) -> None:
    """Or it works; what must not be is a script that fails in a run without a word before."""
    folder = tmp_path / "work"
    for file, content in DATA.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(content)
    done = convert(write(folder / "x.ipynb", *UNTRACEABLE[name]), "--force")
    assert done.code == 0
    if "NOTE: x.ipynb, cell " not in done.err:
        (folder / "plain.py").write_text("\n".join(UNTRACEABLE[name]))
        assert start(train_py(project), "--data-path", "../../data") == start(folder / "plain.py")
        assert {Path(file).suffix for file in files_of(project / "data")} <= {".csv", ".json", ".pkl", ".txt"}


def test_a_path_that_has_no_name_for_its_own_is_left_and_reported(
    convert: Convert, project: Path, tmp_path: Path
) -> None:
    cells = ["import urllib.request", "URL = 'https://example.com/a.csv'\nS3 = 's3://bucket/b.csv'"]
    cells += [
        "def load(u):\n    return open(u)",
        "if URL == '':\n    load(URL)\n    open(S3)\n    open('abfs://c/d.csv')",
    ]
    done = convert(write(tmp_path / "x.ipynb", *cells, "print(URL, S3)"), "--force")
    assert done.code == 0
    for address, cell in (("https://example.com/a.csv", 2), ("s3://bucket/b.csv", 2), ("abfs://c/d.csv", 4)):
        assert f"NOTE: x.ipynb, cell {cell}: '{address}' is an address: it is left as it is\n" in done.err
    assert done.err.count("\n") == 3
    assert start(train_py(project)) == "https://example.com/a.csv s3://bucket/b.csv\n"


def test_absolute_and_outer_paths_lead_below_the_data_too(convert: Convert, project: Path, tmp_path: Path) -> None:
    folder = tmp_path / "work" / "inner"
    folder.mkdir(parents=True)
    for name in ("abs/one.txt", "abs/two.txt", "work/outer/three.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    cells = [f"print(open('{tmp_path}/abs/one.txt').read())\nprint(open('{tmp_path}/abs/two.txt').read())"]
    cells += ["print(open('../outer/three.txt').read())", f"open('{tmp_path}/abs/new.txt', 'w').write('new')"]
    done = convert(write(folder / "x.ipynb", *cells), "--force")
    assert (done.code, done.err) == (0, "")
    shutil.rmtree(tmp_path / "abs")
    shutil.rmtree(tmp_path / "work")
    assert start(train_py(project)) == "abs/one.txt\nabs/two.txt\nwork/outer/three.txt\n3\n"
    assert (train_py(project).parent / "outputs" / "new.txt").read_text() == "new"


def test_names_that_fan_out_end(project: Path, tmp_path: Path) -> None:
    names = ["a0 = ['x.csv', 'y.csv']", *(f"a{n} = [a{n - 1}, a{n - 1}, a{n - 1}, a{n - 1}]" for n in range(1, 12))]
    given = write(tmp_path / "x.ipynb", *names, "def f():\n    open(a11[0])")
    parts = [sys.executable, "scripts/convert_notebook.py", str(given), "--force"]
    done = subprocess.run(parts, cwd=project, capture_output=True, text=True, timeout=10)
    assert done.returncode == 0, done.stderr


# --- what lies beside ------------------------------------------------------------------------------------------------


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
    assert done.err == "NOTE: data/b.csv: another file has this name; the notebook's was not copied\n"
    assert sorted(files_of(project / "data")) == ["a.csv", "b.csv", "customers.csv"]
    assert start(train_py(project)) == "a.csv another c\n"


def test_much_data_is_left_to_its_owner(convert: Convert, project: Path, tmp_path: Path) -> None:
    for name, size in (("small.bin", 10), ("large.bin", 100_000_000)):
        with (tmp_path / name).open("wb") as file:
            file.truncate(size)
    given = write(tmp_path / "x.ipynb", "open('small.bin')\nopen('large.bin')")
    done = convert(given, "--force")
    assert done.code == 0
    assert done.err == "NOTE: the 2 files that it reads hold 100 MB: put them into data/ yourself\n"
    assert sorted(files_of(project / "data")) == ["customers.csv"]


def test_modules_beside_the_notebook_go_beside_the_script(convert: Convert, project: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    for name, text in {
        "util.py": "from mine.inner import X\n",
        "mine/__init__.py": "",
        "mine/inner.py": "X = 5\n",
        "unused.py": "",
        "tables.py": "Y = 6\n",
    }.items():
        (tmp_path / name).write_text(text)
    theirs = (train_py(project).parent / "tables.py").read_bytes()
    done = convert(write(tmp_path / "x.ipynb", "import util, tables", "print(util.X)"), "--force")
    assert done.code == 0
    assert "NOTE: models/model1/tables.py: another file has this name" in done.err
    model = train_py(project).parent
    assert {"util.py", "mine/__init__.py", "mine/inner.py"} <= set(files_of(model))
    assert not (model / "unused.py").exists()
    assert (model / "tables.py").read_bytes() == theirs
    assert (model / "tests" / "test_notebook.py").exists()


# --- what is replaced ------------------------------------------------------------------------------------------------


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
    assert "models/model1/train.py: git does not hold it as it is: commit it, or --force" in one_error(convert(given))
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
    assert "notebooks/x.ipynb: another notebook of this name is there" in one_error(convert(second))
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
    assert "No space left" in one_error(convert(given, "--force"))
    assert train_py(project).read_bytes() == theirs
    assert not [path.name for path in train_py(project).parent.glob(".*.new")]


# --- the hook --------------------------------------------------------------------------------------------------------


def render(cwd: Path, *args: str, path: str | None = None, python: Path = BIN, **answers: str) -> Done:
    """Render with cookiecutter as from a shell that stands in `cwd`."""
    env = os.environ | {"PWD": str(cwd)} | ({"PATH": path} if path else {})
    parts = [str(python / "cookiecutter"), "--no-input", *args, str(TEMPLATE)]
    parts += [f"{question}={text}" for question, text in answers.items()]
    done = subprocess.run(parts, cwd=cwd, env=env, capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    return Done(done.returncode, done.stdout, done.stderr)


def test_the_hook_takes_a_notebook_from_where_the_user_stands(bake: Bake, tmp_path: Path) -> None:
    here, out = tmp_path / "here", tmp_path / "out"
    given = write(here / "sub" / "my nb.ipynb", "A = 1", "print(A, open('x.csv').read())")
    (given.parent / "x.csv").write_text("x")
    for number, said in enumerate(("sub/my nb.ipynb", str(given))):
        done = render(here, "-o", str(out), notebook=said, project_slug=f"p{number}")
        assert (done.code, done.err) == (0, "")
        project = out / f"p{number}"
        assert (project / "notebooks" / given.name).read_bytes() == given.read_bytes()
        assert start(train_py(project), "--a", "2") == "2 x\n"
        assert not (project / "data" / "customers.csv").exists()
        assert "as the notebook does" in done.out
        assert "Before that" not in done.out
        assert not [name for name in files_of(project) if "__pycache__" in name or ".uv" in name]
    fresh = files_of(bake())
    changed = {name for name, content in files_of(out / "p0").items() if fresh.get(name) != content}
    assert {"models/model1/train.py", "models/model1/tests/test_notebook.py", "data/x.csv"} <= changed


def test_a_notebook_that_is_not_there_or_broken_costs_no_render(bake: Bake, tmp_path: Path) -> None:
    fresh = files_of(bake())
    (tmp_path / "broken.ipynb").write_text("{")
    for slug, notebook, said, kept in (
        ("missing", "none.ipynb", f"ERROR: {tmp_path / 'none.ipynb'}: no such notebook\n", {}),
        ("broken", "broken.ipynb", "ERROR: broken.ipynb: not a notebook: it is not JSON", {f"{OWN}broken.ipynb": b"{"}),
    ):
        done = render(tmp_path, notebook=notebook, project_slug=slug)
        assert done.code == 0
        assert said in done.err
        assert done.err.count("\n") == 1
        project = tmp_path / slug
        assert f"  make notebook NB={tmp_path / notebook} MODEL=model1 ARGS=--force\n" in done.out
        assert train_py(project).read_bytes() == fresh["models/model1/train.py"]
        assert {name: project_file for name, project_file in files_of(project).items() if name.startswith(OWN)} == kept
        assert not (project / "models" / "model1" / "tests" / "test_notebook.py").exists()
        assert (project / "data" / "customers.csv").exists()


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has cookiecutter, and none of what converts."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True)
    site = next((folder / "venv").glob("lib/python*/site-packages"))
    own = Path(next(path for path in sys.path if path.endswith("site-packages")))
    needed = [
        *("cookiecutter", "jinja2", "markupsafe", "click", "binaryornot", "chardet", "requests", "urllib3", "idna"),
        *("certifi", "charset_normalizer", "slugify", "text_unidecode", "yaml", "arrow", "dateutil", "six", "rich"),
        *("markdown_it", "mdurl", "pygments", "tzdata"),
    ]
    for name in needed:
        for place in (own / name, own / f"{name}.py", *own.glob(f"{name}-*.dist-info")):
            if place.exists():
                (site / place.name).symlink_to(place)
    command = folder / "venv" / "bin" / "cookiecutter"
    command.write_text(f"#!{folder / 'venv' / 'bin' / 'python'}\nfrom cookiecutter.__main__ import main\nmain()\n")
    command.chmod(0o755)
    return command.parent


@pytest.mark.parametrize("with_uv", [False, True], ids=["no uv", "uv offline"])
def test_without_what_converts_everything_is_kept_for_later(
    bare: Path, bake: Bake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_uv: bool
) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "python3").symlink_to(bare / "python3")
    for name in ("git", *(["uv"] if with_uv else [])):
        (tools / name).symlink_to(shutil.which(name) or BIN / name)
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    write(tmp_path / "nbs" / "train.ipynb", "print(1)")
    write(tmp_path / "nbs" / "b.ipynb", "print(2)")
    given = write(tmp_path / "one.ipynb", "print(1)")
    for slug, notebook in (("single", "one.ipynb"), ("several", "nbs")):
        done = render(tmp_path, path=str(tools), python=bare, notebook=notebook, project_slug=slug)
        assert done.code == 0
        errors = [line for line in done.err.splitlines() if "nbconvert" in line and line.startswith("ERROR: ")]
        assert len(errors) == 1, done.err
        reason = "uv could not bring what is missing" if with_uv else "there is no uv to bring what is missing"
        assert f"nbconvert and IPython are not in this Python, and {reason}" in errors[0]
        assert done.out.count(f"make notebook NB={tmp_path / notebook} MODEL=model1") == 1, done.out
        project = tmp_path / slug
        assert train_py(project).read_bytes() == files_of(bake())["models/model1/train.py"]
        assert not [name for name in files_of(project) if "__pycache__" in name]
    assert (tmp_path / "single" / "notebooks" / "one.ipynb").read_bytes() == given.read_bytes()
    assert sorted(path.name for path in (tmp_path / "several" / "notebooks").iterdir()) == ["b.ipynb", "train.ipynb"]


def test_rendered_again_and_a_second_model(bake: Bake, tmp_path: Path) -> None:
    first = write(tmp_path / "first.ipynb", "print('first')")
    write(tmp_path / "second.ipynb", "print('second', open('new.csv').read())")
    (tmp_path / "new.csv").write_text("new")
    assert render(tmp_path, notebook="first.ipynb").code == 0
    project = tmp_path / "my-aml-project"
    assert start(train_py(project)) == "first\n"
    for path in (train_py(project), project / "data" / "customers.csv"):
        path.write_text("print('edited')\n")
    old = time.time() - 3600
    for path in project.rglob("*"):
        os.utime(path, (old, old))
    before = files_of(project)

    first.write_text(json.dumps(nb("print('changed')")))
    done = render(tmp_path, "-f", "-s", notebook="first.ipynb")
    assert done.code == 0
    assert files_of(project) == before, "an owner's model was changed"
    assert "ERROR: notebooks/first.ipynb: another notebook of this name is there" in done.err

    done = render(tmp_path, "-f", "-s", notebook="second.ipynb", model_name="model2")
    assert (done.code, done.err) == (0, "")
    after = files_of(project)
    assert {name: content for name, content in after.items() if name in before} == before
    assert start(project / "models" / "model2" / "train.py") == "second new\n"
    new = {name for name in after if name not in before and not name.startswith("models/model2/")}
    assert new == {"data/new.csv", "notebooks/second.ipynb"}
    assert "make setup train test MODEL=model2" in done.out


def test_nothing_is_started_when_nothing_is_given(tmp_path: Path) -> None:
    """The hooks alone run in processes of their own, and import no subprocess."""
    log = tmp_path / "log"
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        "import atexit, os, sys\n"
        "def told():\n"
        "    seen = {'subprocess', 'pathlib', 'json', 'importlib.util'} & set(sys.modules)\n"
        f"    open({str(log)!r}, 'a').write(f'{{os.path.basename(sys.argv[0])}} {{sorted(seen)}}\\n')\n"
        "atexit.register(told)\n"
    )
    env = {"PYTHONPATH": str(site)}
    done = subprocess.run(
        [str(BIN / "cookiecutter"), "--no-input", str(TEMPLATE)],
        cwd=tmp_path,
        env=os.environ | env,
        capture_output=True,
    )
    assert done.returncode == 0
    started = [line for line in log.read_text().splitlines() if not line.startswith("cookiecutter ")]
    assert len(started) == 2, started
    assert all("subprocess" not in line and "pathlib" not in line for line in started), started
