"""What is no notebook gets one line; what is odd, but one, is read."""

import json
from pathlib import Path
from typing import Any

import pytest

from notebooks.books import KEPT, Convert, code, nb, start, train_py, write
from tests.aml import told
from tests.support import files_of

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
    told(done, f"ERROR: {name}.ipynb: …{said}")
    assert "<tokenize>" not in done.err
    assert "Error: " not in done.err, "a word for the user, not the name of an exception"
    assert files_of(project) == before | {f"{KEPT}{name}.ipynb": given.read_bytes()}


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
    noisy["outputs"] = [{"output_type": "stream", "name": "stdout", "text": ["x" * 99 + "\n"] * 110_000}]
    given = write(tmp_path / "noisy.ipynb", noisy)
    done = convert(given, "--force")
    assert done.code == 0
    told(done, "NOTE: noisy.ipynb: 12 MB, most of it outputs: clear them before you commit it")
    assert start(train_py(project)) == "x" * 50 + "\n"
