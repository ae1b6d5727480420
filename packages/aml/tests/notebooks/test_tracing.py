"""A path is followed to the text that names it, or it is told that nobody can."""

import ast
from pathlib import Path

import pytest

from aml_project.notebooks.file_paths import beginning
from aml_project.notebooks.names import Names
from aml_project.notebooks.tracing import Tracer
from notebooks.books import Convert, start, train_py, write, write_data
from tests.aml import told
from tests.support import files_of

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
    "starred join": ["import os", "print(open(os.path.join(*['input', 'table.csv'])).read())"],
    "changed constant": ["D = 'input'", "D = D + '/parts'", "print(open(D + '/one.txt').read())"],
    "starred call": ["args = ('input/table.csv', 'r')\nn = [1]", "print(open(*args).read())"],
    "attributes": [
        "import os\nclass T:\n    FOLDER = 'input'\n    def __init__(self, name):\n        self.name: str = name",
        (
            "class More(T):\n    out = 'o'\n    def run(self):\n        os.makedirs(self.out, exist_ok=True)\n"
            "        with open(os.path.join(self.FOLDER, self.name)) as f, open(f'{self.out}/{self.name}', 'w') as g:\n"
            "            return g.write(f.read())"
        ),
        "t = More('table.csv')\nprint(t.run(), open(t.out + '/table.csv').read())",
    ],
    "attributes of two classes": [
        "class A:\n    def __init__(s): s.p = 'input/parts/one.txt'\n    def get(s): return open(s.p).read()",
        (
            "class B:\n    def __init__(self): self.p = 'result.txt'\n    def put(self):\n"
            "        with open(self.p, 'w') as f:\n            f.write(A().get())"
        ),
        "B().put()\nprint(open(B().p).read())",
    ],
    "settings": [
        "from dataclasses import dataclass\nfrom types import SimpleNamespace",
        "@dataclass\nclass Settings:\n    table: str\n    more: str = 'input/parts/one.txt'",
        "s, n = Settings('input/table.csv'), SimpleNamespace(other='input/parts/two.txt')",
        "print([open(p).read() for p in (s.table, s.more, n.other)])",
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
    write_data(folder)
    if name == "same name in two folders":
        (folder / "table.csv").write_text("another")
    done = convert(write(folder / "x.ipynb", *ROUNDABOUT[name]), "--force")
    assert done.code == 0
    told(done)
    (folder / "plain.py").write_text("\n".join(ROUNDABOUT[name]))
    before = files_of(folder)
    expected = start(folder / "plain.py")
    written = {file: content for file, content in files_of(folder).items() if before.get(file) != content}
    earlier = files_of(project)
    assert start(train_py(project), "--data-path", "../../data") == expected
    new = {file for file, content in files_of(project).items() if earlier.get(file) != content}
    assert {Path(file).name for file in new} == {Path(file).name for file in written}
    assert all(file.startswith("models/model1/outputs/") for file in new), new


# What a path comes from: read or write, how (whole, joined: its first folder, head: how its text begins), the text.
TRACED: dict[str, list[str]] = {
    # names
    "p = 'a'\nopen(p)": ["read whole a"],
    "p = 'a' if x else 'b'\nopen(p)": ["read whole a", "read whole b"],
    "if x:\n p = 'a'\nelse:\n p = 'b'\nopen(p)": ["read whole a", "read whole b"],
    "p = 'a'\np = 'b'\nopen(p)": ["read whole b"],
    "open(p := 'a')": ["read whole a"],
    "p = x or 'a'\nopen(p)": ["read whole a"],
    "async def f():\n return open(await g())\nasync def g():\n return 'a'": ["read whole a"],
    "for p in ['a', 'b']:\n open(p)": ["read whole a", "read whole b"],
    "for i, p in enumerate(sorted({'a'})):\n open(p)": ["read whole a"],
    "for k, p in {'k': 'a'}.items():\n open(p)": ["read whole a"],
    "[open(p) for p in [q for q in ('a',)]]": ["read whole a"],
    "def f():\n yield 'a'\nfor p in f():\n open(p)": ["read whole a"],
    "f = {'x': 'a', 'y': 'b'}\nopen(f['y'])": ["read whole b"],
    "f = ['a', 'b']\nopen(f[-1])": ["read whole b"],
    "f = ['a', 'b', 'c']\nopen(f[:2])": ["read whole a", "read whole b", "read whole c"],
    "f = ['a', 'b']\nopen(f[i])": ["read whole a", "read whole b"],
    "p = 'a'\np += 'b'\nopen(p)": ["read whole a", "read whole b"],
    # joins
    "open('a' + x)": ["read head a"],
    "open('a' + '/x')": ["read joined a"],
    "open('a' + f'/{x}')": ["read joined a"],
    "open('a%s' % x)": ["read head a%s"],
    "open('a{}'.format(x))": ["read head a{}"],
    "open(f'a{x}')": ["read head a"],
    "d = 'a'\nopen(f'{d}/x')": ["read joined a"],
    "d = 'a'\nopen(f'{d}x')": ["read head a"],
    "open(f'{x}/a')": ["lost f'{x}/a'"],
    "from pathlib import Path\n(Path('a') / x).open()": ["read joined a"],
    "from pathlib import Path\nPath('a').joinpath('x').read_text()": ["read joined a"],
    "from pathlib import Path\nPath('a').resolve().read_text()": ["read whole a"],
    "from pathlib import Path\nPath('a', 'x').write_text('')": ["write joined a"],
    "from pathlib import Path\nPath(*['a', 'x']).read_text()": ["read joined a"],
    "import os\nopen(os.path.join('a', 'x'))": ["read joined a"],
    "import os\nopen(os.path.join('a'))": ["read whole a"],
    "import os\nopen(os.path.abspath('a'))": ["read whole a"],
    "import os\nopen(os.getenv('X', 'a'))": ["read whole a"],
    "import os\nopen(os.getenv('X'))": ["lost os.getenv('X')"],
    # functions
    "def f(p):\n open(p)\nf('a')\nf(p='b')": ["read whole a", "read whole b"],
    "def f(x, p='a'):\n open(p)\nf(1)\nf(1, 'b')": ["read whole a", "read whole b"],
    "def f(*, p='a'):\n open(p)": ["read whole a"],
    "def f(p):\n open(p)\nf(*x)\nf(x)": ["lost x"],
    "def f(p):\n g(p)\ndef g(q):\n open(q, 'w')\nf('a')": ["write whole a"],
    "f = lambda: 'a'\nopen(f())": ["read whole a"],
    "def f():\n def g():\n  return 'b'\n return 'a'\nopen(f())": ["read whole a"],
    "map(open, ['a'])": ["read whole a"],
    "import asyncio\nfrom pathlib import Path\nasyncio.to_thread(Path('a').read_text)": ["read whole a"],
    "def f(p):\n return f(p) if p else open(p)\nf('a')": ["read whole a"],
    # attributes
    "class T:\n def f(self, p='a'):\n  self.p = p\n  open(self.p)\nT().f('b')": [
        "read whole a",
        "read whole b",
    ],
    "class T:\n def f(self):\n  self.p: str = 'a'\n  open(self.p)": ["read whole a"],
    "class T:\n def f(self):\n  self.p, self.q = 'a', 'b'\n  open(self.q)": ["read whole b"],
    "class T:\n def f(self):\n  self.p = 'a'\n  self.p = 'b'\n  open(self.p)": [
        "read whole a",
        "read whole b",
    ],
    "class T:\n def f(self):\n  self.d = 'a'\n  open(self.d + '/x')": ["read joined a"],
    "class T:\n def f(self):\n  self.f = {'x': 'a', 'y': 'b'}\n  open(self.f['y'])": ["read whole b"],
    "class T:\n def f(self):\n  self.p = input()\n  open(self.p)": ["lost self.p"],
    "class T:\n p = 'a'\n def f(self):\n  open(self.p)": ["read whole a"],
    "class T:\n p: str = 'a'\nopen(T.p)": ["read whole a"],
    "class T:\n p = 'a'\nT.p = 'b'\nopen(T.p)": ["read whole a", "read whole b"],
    "class T:\n p = 'a'\nt = T()\nopen(t.p)": ["read whole a"],
    "class T:\n p = 'a'\nopen(T().p)": ["read whole a"],
    "class T:\n p = 'a'\nopen(x.p)": ["read whole a"],
    "class T:\n p = 'a'\nclass U:\n p = 'b'\nt = U()\nopen(t.p)": ["read whole b"],
    "class T:\n p = 'a'\nclass U:\n p = 'b'\nopen(x.p)": ["lost x.p"],
    "class T:\n p = 'a'\nclass U(T):\n def f(self):\n  open(self.p)": ["read whole a"],
    "class T:\n p = 'a'\n def f(self):\n  open(self.p)\nclass U(T):\n p = 'b'": [
        "read whole a",
        "read whole b",
    ],
    "class T:\n @property\n def p(self):\n  return 'a'\nopen(T().p)": ["read whole a"],
    "class T:\n def p(self):\n  return 'a'\nopen(T().p())": ["read whole a"],
    "class T:\n def p(self):\n  return 'a'\nopen(T().p)": ["lost T().p"],
    "class T:\n p: str\n q: str = 'c'\nt = T('a')\nopen(t.p)": ["read whole a"],
    "class T:\n p: str\n q: str = 'c'\nt = T('a', q='b')\nopen(t.q)": ["read whole b", "read whole c"],
    "class T:\n p: str\n def __init__(self, q):\n  pass\nt = T('a')\nopen(t.p)": ["lost t.p"],
    "import types\nn = types.SimpleNamespace(p='a')\nopen(n.p)": ["read whole a"],
    "n.p = 'a'\nopen(n.p)": ["read whole a"],
    "m.p = 'a'\nn.p = 'b'\nopen(n.p)": ["lost n.p"],
    "open(n.p)": ["lost n.p"],
    "class T:\n @staticmethod\n def f(p):\n  open(p)\nT.f('a')": ["read whole a"],
    "class T:\n @classmethod\n def f(cls, p):\n  open(p)\nT.f('a')": ["read whole a"],
    "class T:\n def f(self, p):\n  open(p)\nT().f('a')": ["read whole a"],
    "class T:\n def __init__(self, p):\n  open(p)\nT('a')": ["read whole a"],
    "class T:\n def f(self):\n  return 'a'\nclass U:\n def f(self):\n  return 'b'\nopen(x.f())": ["lost x.f()"],
    "class T:\n p = 'a'\nclass U:\n p = 'b'\n def f(x, self):\n  open(self.p)": ["lost self.p"],
    "class T:\n p = 'a'\nclass U:\n p = 'b'\n def f(self):\n  def g(self):\n   open(self.p)": ["lost self.p"],
    "f(p='a')\nopen(n.p)": ["lost n.p"],
    "import types\nn = types.SimpleNamespace(**x)\nopen(n.p)": ["lost n.p"],
    "p = q\nq = p\nopen(p)": ["lost p"],
    "from pathlib import Path\nopen(Path(*x))": ["lost Path(*x)"],
    "open(f(*['a']))": ["lost f(*['a'])"],
    "def f():\n pass\nopen(f)": ["lost f"],
    "open(x[0])": ["lost x[0]"],
    "for f in [['a', 'b']]:\n open(f[1])": ["read whole a", "read whole b"],
    "def f(p, *q):\n open(p)\nf('a', *x)": ["read whole a"],
    # a way that is longer than anybody writes it
    "p0 = 'a'\n" + "".join(f"p{n + 1} = p{n}\n" for n in range(2000)) + "open(p2000)": ["lost p2000"],
    # no path, and nothing to say
    "import io\nopen(io.BytesIO())": [],
    "with open('a') as f:\n open(f)": ["read whole a"],
    "import os\nfor p in os.listdir('a'):\n open(p)": ["read whole a"],
    "open(3)": [],
    "x.read_text()": [],
}


@pytest.mark.parametrize("source", TRACED)
def test_what_a_path_comes_from(source: str) -> None:
    tracer = Tracer(Names(ast.parse(source)))
    found = {f"{use.role} {origin.how} {beginning(origin.literal)}" for use, origin in tracer.found}
    assert sorted(found) + [f"lost {ast.unparse(use.path)}" for use in tracer.lost] == TRACED[source]


DONE_WITH: dict[str, tuple[bool, bool]] = {
    "open('a')": (False, False),
    "import os\nos.listdir('a')": (True, False),
    "from pathlib import Path\nasyncio.to_thread(Path('a').read_text)": (False, False),
    "from pathlib import Path\nasyncio.to_thread(Path('a').iterdir)": (True, False),
    "def f(p):\n open(p)\nf('a')": (False, True),
    "import os\ndef f(p):\n os.listdir(p)\nf('a')": (True, True),
}


@pytest.mark.parametrize("source", DONE_WITH)
def test_what_names_a_folder_and_what_a_function_of_the_script_takes(source: str) -> None:
    found = Tracer(Names(ast.parse(source))).found
    assert [(use.is_folder, use.handed_on) for use, _ in found] == [DONE_WITH[source]]


STATIC: dict[str, str | None] = {
    "'a'": "a",
    "'a' + 'b'": "ab",
    "Path('a') / 'b'": "a/b",
    "'a' * 2": None,
    "os.path.join('a', 'b')": "a/b",
    "str('a')": "a",
    "len('a')": None,
    "3": None,
    "f'{x}/b'": "a/b",
    "f'{y}/b'": None,
    "x + y": None,
    "x": "a",
    "y": None,
    "z": None,
    "T.p": "c",
    "T.q": None,
    "T.r": None,
    "loop": None,
    "x + x": "aa",
    " + ".join(["x"] * 2000): None,
    "T.loop": None,
}


@pytest.mark.parametrize("expression", STATIC)
def test_a_text_that_is_known_without_running_anything(expression: str) -> None:
    known = "import os\nfrom pathlib import Path\nx = 'a'\ny = input()\nfor z in ['a']:\n pass\nloop = loop + ''\n"
    known += "class T:\n p = 'c'\n q = 'd'\nT.q = 'e'\nT.loop = T.loop + 'a'\n"
    tree = ast.parse(known + expression)
    (last,) = tree.body[-1:]
    assert isinstance(last, ast.Expr)
    assert Tracer(Names(tree)).static(last.value) == STATIC[expression]


UNTRACEABLE: dict[str, tuple[list[str], str]] = {
    "another folder": (
        ["import os", "os.chdir('input')", "print(open('table.csv').read())"],
        "os.chdir('input'): a run starts in a folder of its own, without data",
    ),
    "working folder": (
        ["from pathlib import Path", "print((Path.cwd() / 'input' / 'table.csv').read_text())"],
        "Path.cwd(): a run starts in a folder of its own, without data",
    ),
    "written beside what was read": (
        [
            "import glob",
            (
                "for p in glob.glob('input/parts/*'):\n"
                "    with open(p.replace('.txt', ''), 'w') as f:\n        f.write('x')"
            ),
        ],
        "p.replace('.txt', ''): where this leads is not known; it is left as it is",
    ),
    "asked for": (
        ["import sys", "print(open(sys.argv[1]).read())"],
        "sys.argv[1]: where this leads is not known",
    ),
}


@pytest.mark.parametrize("name", UNTRACEABLE)
def test_a_path_that_nobody_can_follow_is_told(convert: Convert, tmp_path: Path, name: str) -> None:
    """What must not be is a script that fails in a run without a word before."""
    cells, note = UNTRACEABLE[name]
    write_data(tmp_path / "work")
    done = convert(write(tmp_path / "work" / "x.ipynb", *cells), "--force")
    assert done.code == 0
    told(done, f"NOTE: x.ipynb, cell 2: {note}")


def test_names_that_fan_out_end(convert: Convert, tmp_path: Path) -> None:
    names = ["a0 = ['x.csv', 'y.csv']", *(f"a{n} = [a{n - 1}, a{n - 1}, a{n - 1}, a{n - 1}]" for n in range(1, 12))]
    given = write(tmp_path / "x.ipynb", *names, "def f():\n    open(a11[0])")
    assert convert(given, "--force").code == 0
