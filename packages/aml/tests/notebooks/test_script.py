"""Any notebook whose cells run becomes a script that compiles, is the same each time, and does what the cells do.

Notebooks are made up of cells that run. What they do is known from running them in order as IPython does: through its
own transformer, with a stand-in for the magics.
"""

import ast
import asyncio
import contextlib
import functools
import inspect
import io
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from IPython.core.inputtransformer2 import TransformerManager

from aml_project.notebooks.cells import python_of_ipython
from aml_project.notebooks.script import convert

TO_PYTHON = python_of_ipython()
TRANSFORM: Callable[[str], str] = TransformerManager().transform_cell  # type: ignore[no-untyped-call]
FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
MANY = settings(FEW, max_examples=400)

Lines = list[str]  # of a statement; one that begins with RAW is inside a text and keeps its place in every block
RAW = "\0"
NAMES = ("a", "b", "c_d", "größe")
FIRST = "import contextlib, functools\na, b, c_d, größe, text = 1, 2, 3, 4, ''"
LAST = f"print('END', {', '.join(NAMES)}, repr(text))"
NASTY = (
    "plain",
    "%matplotlib inline",
    "  %time a = 7",
    "%%time",
    "!ls -la",
    "?len",
    "len??",
    "files = !ls",
    "# not a comment",
    "{a} {{b}} {",
    "ends in a backslash \\\\",
    "continues \\",
    "get_ipython().system('ls')",
    "it's \\\"quoted\\\" 'twice'",
    "tab\there, größe, 🌷, nbsp\u00a0",
    "",
    "    indented",
    "if a:",
    "\f form feed",
    "data/table.csv",
)
MAGICS: tuple[Lines, ...] = (
    ["%matplotlib inline"],
    ["%load_ext autoreload"],
    ["%config InlineBackend.figure_format = 'svg'"],
    ["%env NAME=it's"],
    ["%timeit -n1 -r1 1 + 1  # quick"],
    ["%pip install -q 'numpy>=2'"],
    ["!pip install numpy \\", "    pandas \\", "    matplotlib"],
    ["!echo \"it's\" 'größe' {a} $b | cat"],
    ["!!ls"],
    ["!{sys.executable} -m pip install x"],
    ["!echo back\\slash \\n"],
    ["?len"],
    ["len?"],
    ["str.join??"],
    ["%lsmagic"],
    ["%cd -q ."],
    ["%who"],
    ["%debug"],
    ["%xmode Minimal # comment"],
    ["!ls # comment; a = 3"],
    ["pass;"],
)
CELL_MAGICS = (
    '%%bash\nset -e\nif [ -d x ]; then rm -r x; fi \\\n  && echo "it\'s"\n',
    '%%html\n<b onclick="f()">größe</b>\n"""\n',
    "%%writefile notes.txt\na = %time\n'''\n\\",
    "%%javascript\nfor (;;) { }",
    "%%latex\n$\\frac{1}{n}$",
    "%%timeit -n1 -r1\n1 + 1\n",
    "%%sql\nselect '%' from t -- \\\n",
    "%%script false --no-raise-error\nexit 1",
    "\n\n%%markdown\n# *text*\n",
)


# --- cells that run --------------------------------------------------------------------------------------------------

numbers = st.integers(-9, 99).map(lambda number: f"({number})" if number < 0 else str(number))
names = st.sampled_from(NAMES)


numeric = st.one_of(
    numbers,
    names,
    names.map(lambda name: f"(walrus := {name})"),
    names.map(lambda name: f"len(f'{{{name}!r:>3}} {{{{}}}} % \\\\ ')"),
    names.map(lambda name: f"sum([i * 2 for i in range(4) if i != {name}])"),
    names.map(lambda name: f"{{'k': {name}}}['k']"),
)


def deeper(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "and", "or", "<", "!="]), inner).map(
            lambda parts: f"int({parts[0]} {parts[1]} {parts[2]}) % 997"
        ),
        inner.map(lambda one: f"(lambda x: x + {one})(1)"),
        st.tuples(inner, inner).map(lambda two: f"({two[0]} if {two[1]} else 5)"),
    )


short = st.recursive(numeric, deeper, max_leaves=4)
expressions = short | short.map(lambda one: f"max(\n{RAW}    {one},  # why\n{RAW}    3,\n{RAW})")
texts = st.lists(st.sampled_from(NASTY), max_size=4)
quotes = st.sampled_from(['"""', "'''"])


def assigned(parts: tuple[str, str]) -> Lines:
    return f"{parts[0]} = {parts[1]}".split("\n")


def long_text(parts: tuple[list[str], str, str]) -> Lines:
    lines, quote, prefix = parts
    lines = [line.replace("{a} {{b}} {", "{a} {{b}}") for line in lines] if prefix == "f" else lines
    if prefix == "r":
        lines = [line.replace("\\\\", "\\ ").replace("continues \\", "continues") for line in lines]
    body = [*lines, quote]
    return [f"text += {prefix}{quote}{body[0]}", *(RAW + line for line in body[1:])]


simple: st.SearchStrategy[Lines] = st.one_of(
    st.tuples(names, expressions).map(assigned),
    st.tuples(names, expressions).map(lambda parts: f"{parts[0]} = ({parts[1]}) % 991  # größe".split("\n")),
    expressions.map(lambda one: f"print('>', {one})".split("\n")),
    expressions.map(lambda one: one.split("\n")),
    expressions.map(lambda one: f"{one};".split("\n")),
    st.tuples(names, numbers, names).map(lambda parts: [f"{parts[0]} = {parts[1]}; print('>', {parts[2]});"]),
    st.tuples(names, names).map(lambda two: [f"{two[0]} = {two[1]} + \\", f"{RAW}    1"]),
    st.tuples(names, numbers).map(lambda parts: [f"{parts[0]}: int = {parts[1]}"]),
    st.tuples(names, names).map(lambda two: [f"{two[0]}, {two[1]} = {two[1]}, {two[0]}"]),
    st.tuples(texts, quotes, st.sampled_from(["", "r", "f", "'%' + "])).map(long_text),
    st.tuples(names, names).map(lambda two: [f"{two[0]} = 9 \\", f"{RAW}%{two[1]} if {two[1]} else 2"]),
    st.just(["# only a comment: %time"]),
    st.just(["'a text of its own'"]),
    st.just(["None"]),
    st.just(["print('>', f'{a!r:>4} {{braces}} {\"x\" * 2}', 100 % 7)"]),
    st.just(["print('>', [", f"{RAW}    a  # one", f"{RAW}!= b,", f"{RAW}][0])"]) | st.just(["a = a"]),
    st.just(["text += '%time \\'x\\' \\\\'"]),
)


def indented(block: Lines, by: str) -> Lines:
    return [line if line.startswith(RAW) else by + line for line in block]


def runs(*parts: str | Lines) -> Lines:
    """Put blocks under their heads: what is a list is a block."""
    return [line for part in parts for line in ([part] if isinstance(part, str) else indented(part, "\t"))]


def compound(inner: st.SearchStrategy[Lines], head: st.SearchStrategy[Lines]) -> st.SearchStrategy[Lines]:
    """`inner` may stand in any block; `head` has no magic that works in the namespace of the notebook alone."""
    blocks = st.lists(inner, min_size=1, max_size=3).map(solid)
    bodies = st.lists(head, min_size=1, max_size=3).map(solid)
    return st.one_of(
        st.tuples(names, blocks).map(lambda parts: runs(f"if {parts[0]}:", parts[1])),
        st.tuples(names, blocks, blocks, blocks).map(
            lambda parts: runs(f"if {parts[0]} > 50:", parts[1], f"elif {parts[0]}:", parts[2], "else:", parts[3])
        ),
        st.tuples(names, blocks).map(lambda parts: runs(f"for {parts[0]} in range(2):", parts[1])),
        st.tuples(blocks, blocks).map(lambda two: runs("try:", two[0], "except ImportError:", two[1])),
        st.tuples(blocks, blocks).map(lambda two: runs("try:", two[0], "finally:", two[1])),
        blocks.map(lambda one: runs("with contextlib.suppress(ValueError):", one)),
        blocks.map(lambda one: runs('if __name__ == "__main__":', one)),
        blocks.map(lambda one: runs("while True:", [*one, "break"])),
        blocks.map(lambda one: runs("match a:", [*runs("case 1:", one), *runs("case _:", ["pass"])])),
        st.tuples(bodies, expressions).map(
            lambda parts: runs(
                "@functools.lru_cache",
                "def function(a=1, b=2, c_d=3, größe=4):",
                ['"""%time of a docstring."""', "text = ''", *parts[0], *f"return {parts[1]}".split("\n")],
                "print('>', function())",
            )
        ),
        st.tuples(names, expressions).map(
            lambda parts: runs(
                "def change():", [f"global {parts[0]}", *assigned(parts), f"{parts[0]} += 1"], "change()"
            )
        ),
        st.tuples(bodies, names).map(
            lambda parts: runs("class Kind:", [*parts[0], "size = 3"], f"{parts[1]} = Kind.size")
        ),
    )


def solid(parts: list[Lines]) -> Lines:
    """A block has at least one statement."""
    block = [line for part in parts for line in part]
    return block if any(not part[0].startswith("#") for part in parts) else [*block, "pass"]


magics = st.sampled_from(MAGICS)
# Its code runs in the notebook's namespace, wherever the line stands: not for the inside of a function.
timed: st.SearchStrategy[Lines] = st.one_of(
    st.tuples(names, numbers).map(lambda parts: [f"%time {parts[0]} = {parts[1]} * 2"]),
    names.map(lambda name: [f"%time print('>', {name}, 'it\\'s')"]),
)


def awaited_text(parts: tuple[Lines, str]) -> Lines:
    """A long text that is waited for, in a block."""
    (first, *rest), name = parts
    call = [first.replace("text += ", "text += await same(", 1), *rest]
    call[-1] += ")"
    return runs("async def same(x):", ["return x"], f"if {name} or True:", call, f"{name} = len(text)")


awaiting: st.SearchStrategy[Lines] = st.one_of(
    st.tuples(names, numbers).map(
        lambda parts: runs(
            "import asyncio", "async def later(x):", ["await asyncio.sleep(0)", f"return x + {parts[1]}"],
            f"{parts[0]} = await later({parts[0]})",
        )
    ),
    names.map(lambda name: ["import asyncio", f"await asyncio.sleep(0, {name})"]),
    st.tuples(texts, quotes, st.sampled_from(["", "r", "f"])).map(long_text).flatmap(
        lambda lines: names.map(lambda name: awaited_text((lines, name)))
    ),
    names.map(
        lambda name: runs(
            "import asyncio", f"for {name} in range(3):", ["await asyncio.sleep(0)", f"print('>', {name})"],
            f"{name}, *_ = await asyncio.gather(asyncio.sleep(0, 8), asyncio.sleep(0, 9))",
        )
    ),
    names.map(
        lambda name: runs(
            "async def count():", ["for i in range(3):", "\tyield i"],
            f"{name} = sum([i async for i in count()])", "async for i in count():", [f"{name} += i"],
        )
    ),
)  # fmt: skip


@functools.cache
def statements(*, with_magics: bool) -> st.SearchStrategy[Lines]:
    """Statements to any depth."""
    leaves = simple | magics if with_magics else simple
    heads = st.recursive(leaves, lambda inner: compound(inner, inner), max_leaves=4)
    tops = leaves | timed if with_magics else leaves
    return st.recursive(tops, lambda inner: compound(inner, heads), max_leaves=6)


@st.composite
def code(draw: st.DrawFn, *, with_magics: bool) -> str:
    """A code cell."""
    kinds = [statements(with_magics=with_magics)] * 5 + [awaiting]
    count = draw(st.sampled_from([3, 4, 5, 2, 1, 0]))
    lines = [line for _ in range(count) for line in draw(draw(st.sampled_from(kinds)))]
    by = draw(st.sampled_from(["    ", "  ", "\t"]))
    text = "\n".join(line.lstrip(RAW) if line.startswith(RAW) else deep(line, by) for line in lines)
    text += draw(st.sampled_from(["", "", "\n", "\n\n  \n", "\n# end"]))
    if with_magics:
        head = draw(st.sampled_from(["", "", "", "%%time\n", "%%capture\n", "%%time\n%%capture --no-stderr\n", "\n"]))
        text = head + text
        if draw(st.integers(0, 9)) == 0:
            text = draw(st.sampled_from(CELL_MAGICS))
    return text.replace("\n", "\r\n") if draw(st.integers(0, 9)) == 0 else text


def deep(line: str, by: str) -> str:
    bare = line.lstrip("\t")
    return by * (len(line) - len(bare)) + bare


prose = st.lists(
    st.sampled_from(
        [*NASTY, '"""', "'''", "# a heading", "\\", "$\\frac{1}{n}$", "```python", "a = 1", "\u2028 lines"]
    ),
    max_size=5,
).map("\n".join) | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=60)


def cell_of(kind: str, source: str, *tags: str) -> dict[str, Any]:
    cell: dict[str, Any] = {"cell_type": kind, "metadata": {"tags": list(tags)} if tags else {}, "source": source}
    return cell | ({"outputs": [], "execution_count": None} if kind == "code" else {})


# The names that a converted script needs for itself.
OWN = "args, parser, display, loop, output_path, save_figures, Path, argparse, asyncio, awaited, pyplot"
BEGINNINGS = [
    (cell_of("code", "TAGGED = 1\nrate = 0.5\nname = 'it\\'s'\nswitch = True\nlist_of = [1, 2]", "parameters"), ""),
    (cell_of("code", 'STEPS = 3\nNAME = "%time"\nNOTHING = None'), "print('>', STEPS, NAME, NOTHING)"),
    (cell_of("code", "größe_ = -1\n_hidden = 2  # why\nclass_ = 1e-3"), "print('>', größe_, _hidden, class_)"),
    (cell_of("code", f"{OWN} = range(11)"), f"print('>', {OWN})"),
    (cell_of("code", OWN.replace(", ", " = 5\n") + " = 6"), f"print('>', {OWN})"),
    (cell_of("markdown", "# no constants"), ""),
]


def notebooks(*, with_magics: bool) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Cells of all kinds, between one that gives every name a value and one that prints them."""
    text = prose.flatmap(lambda text: st.sampled_from([cell_of("markdown", text), cell_of("raw", text)]))
    some = st.sampled_from([code(with_magics=with_magics).map(lambda text: cell_of("code", text))] * 4 + [text])
    between = st.lists(some.flatmap(lambda one: one), min_size=1, max_size=5)
    return st.tuples(st.sampled_from(BEGINNINGS), between).map(
        lambda parts: [
            parts[0][0], cell_of("code", FIRST), *parts[1], cell_of("code", LAST), cell_of("code", parts[0][1]),
        ]
    )  # fmt: skip


# --- what they do ----------------------------------------------------------------------------------------------------


class Shell:
    """What get_ipython() gives while the cells run: the magics that run code do, the others do nothing."""

    def __init__(self) -> None:
        self.namespace: dict[str, Any] = {"__name__": "__main__", "get_ipython": lambda: self}

    def run_cell(self, source: str) -> None:
        python = TRANSFORM(source)
        cell = compile(python, "cell", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        done = eval(cell, self.namespace)
        if cell.co_flags & inspect.CO_COROUTINE:
            asyncio.run(done)

    def run_line_magic(self, name: str, line: str) -> None:
        if name == "time":
            self.run_cell(line)

    def run_cell_magic(self, name: str, _options: str, body: str) -> None:
        if name in ("time", "capture"):
            self.run_cell(body)

    def system(self, command: str) -> None:
        """Nothing: no shell is started."""

    getoutput = system


def said_by(act: Callable[[], None]) -> list[str]:
    """The lines that code prints on purpose: what a cell displays has no mark."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        act()
    return [line for line in output.getvalue().split("\n") if line.startswith((">", "END"))]


def cells_say(cells: list[dict[str, Any]]) -> list[str]:
    shell = Shell()

    def run() -> None:
        for cell in cells:
            if cell["cell_type"] == "code":
                shell.run_cell(cell["source"])

    return said_by(run)


def script_says(text: str, folder: Path) -> list[str]:
    """Run a script as __main__, without arguments, in an empty folder."""
    program = compile(text, "train.py", "exec", dont_inherit=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["train.py"])
        return said_by(lambda: exec(program, {"__name__": "__main__", "__file__": str(folder / "train.py")}))


def script_of(cells: list[dict[str, Any]], folder: Path) -> str:
    """The text that a notebook is converted to."""
    book = folder / "notebook.ipynb"
    book.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 4}), encoding="utf-8")
    return convert(book, TO_PYTHON).text


ANY = given(st.booleans().flatmap(lambda with_magics: notebooks(with_magics=with_magics)))


@FEW
@ANY
def test_a_script_does_what_the_cells_do(cells: list[dict[str, Any]]) -> None:
    does_the_same(cells)


@pytest.mark.full
@MANY
@ANY
def test_many_scripts_do_what_the_cells_do(cells: list[dict[str, Any]]) -> None:
    does_the_same(cells)


def does_the_same(cells: list[dict[str, Any]]) -> None:
    try:
        expected = cells_say(cells)
    except SyntaxError:  # what was put together has no place there: a walrus in a class's comprehension
        reject()
    with tempfile.TemporaryDirectory() as folder:
        text = script_of(cells, Path(folder))
        assert script_of(cells, Path(folder)) == text
        assert not calls_ipython(text)
        assert script_says(text, Path(folder)) == expected


@FEW
@given(st.lists(st.tuples(st.sampled_from(["markdown", "raw"]), prose), min_size=1, max_size=4), st.booleans())
def test_text_around_the_code_is_no_code(texts: list[tuple[str, str]], code_first: bool) -> None:
    """Whatever stands in Markdown, the script is that of the code alone, for Python."""
    code_cell = cell_of("code", "print('> 1')")
    around = [cell_of(kind, text) for kind, text in texts]
    with tempfile.TemporaryDirectory() as folder:
        text = script_of([code_cell, *around] if code_first else [*around, code_cell], Path(folder))
        assert script_says(text, Path(folder)) == ["> 1"]
        alone = script_of([code_cell], Path(folder))
    assert ast.dump(without_docstring(text)) == ast.dump(without_docstring(alone))


def without_docstring(text: str) -> ast.Module:
    tree = ast.parse(text)
    if ast.get_docstring(tree) is not None:
        del tree.body[0]
    return tree


# A place for a statement that is all there is in its block.
PLACES = """
if True:
    HERE
===
if not True:
    pass
elif True:
    HERE
else:
    HERE
===
for i in range(2):
    HERE
else:
    HERE
===
while False:
    HERE
===
try:
    HERE
except ImportError:
    HERE
else:
    HERE
finally:
    HERE
===
with open(__file__) as file:
    HERE
===
def function():
    HERE
===
async def function():
    HERE
===
class Kind:
    HERE
===
class Kind:
    def method(self):
        HERE

    size = 3
===
match 1:
    case 1:
        HERE
    case _:
        HERE
===
def function():
    if True:
        # a comment of its own
        HERE

        # and one below
    return 1
===
if True:
    HERE
    HERE
    print("> 2")
    HERE
===
if True: pass
HERE
===
@staticmethod
def function(x):
    '''A docstring.'''
    HERE
""".strip().split("===")


def in_every_place(statement: Lines) -> list[dict[str, Any]]:
    """A cell for each place, with the statement in it."""
    cells = []
    for place in PLACES:
        lines: Lines = []
        for line in place.strip().split("\n"):
            indent = line[: len(line) - len(line.lstrip())]
            lines += [indent + part for part in statement] if line.strip() == "HERE" else [line]
        cells.append(cell_of("code", "\n".join(lines)))
    return cells


def calls_ipython(text: str) -> bool:
    return any(isinstance(node, ast.Name) and node.id == "get_ipython" for node in ast.walk(ast.parse(text)))


WITHOUT_IPYTHON = [magic for magic in MAGICS if magic != ["pass;"]]
OF_IPYTHON = [["files = !ls -la"], ["home = %env HOME"], ["first, second = !echo 1 \\", "    2"], ["x = !!ls"]]


@pytest.mark.parametrize("magic", [*WITHOUT_IPYTHON, ["%time 1 + 1"], ["%time x = 1"]], ids=lambda magic: magic[0])
def test_a_magic_may_be_all_there_is_in_a_block(magic: Lines, tmp_path: Path) -> None:
    text = script_of([*in_every_place(magic), cell_of("code", "print('> end')")], tmp_path)
    assert not calls_ipython(text)
    shown = [line.strip().removeprefix("# ") for line in text.split("\n") if line.strip().startswith("#")]
    assert shown.count(magic[0].strip()) == "".join(PLACES).count("HERE"), "each stays to be read"
    (tmp_path / "train.py").write_text(text, encoding="utf-8")
    assert script_says(text, tmp_path)[-1] == "> end"


@pytest.mark.parametrize("statement", OF_IPYTHON, ids=lambda statement: statement[0])
def test_what_only_ipython_gives_is_named_and_stops_the_script_there(statement: Lines, tmp_path: Path) -> None:
    cells = [cell_of("markdown", "# title"), cell_of("code", "print('> before')"), *in_every_place(statement)]
    text = script_of(cells, tmp_path)
    assert not calls_ipython(text)
    assert text.count("raise NotImplementedError(") == "".join(PLACES).count("HERE")
    with pytest.raises(NotImplementedError, match=r"cell 3\b"):
        script_says(text, tmp_path)
    found = convert(tmp_path / "notebook.ipynb", TO_PYTHON).findings
    assert {finding.cell for finding in found if finding.is_error} == set(range(3, 3 + len(PLACES)))


def test_a_notebook_may_use_the_names_that_the_script_needs(tmp_path: Path) -> None:
    sources = [
        f"{OWN} = range(11)",
        "import asyncio as aio\nawait aio.sleep(0)",
        "with open('a.txt', 'w') as file:\n    file.write('1')",
        f"print('>', {OWN})",
    ]
    text = script_of([cell_of("code", source) for source in sources], tmp_path)
    assert script_says(text, tmp_path) == ["> 0 1 2 3 4 5 6 7 8 9 10"]
    assert (tmp_path / "outputs" / "a.txt").read_text() == "1"
