"""A path is followed to the text that names it, or it is told that nobody can."""

from pathlib import Path

import pytest
from books import Convert, start, train_py, write, write_data

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
    write_data(folder)
    done = convert(write(folder / "x.ipynb", *UNTRACEABLE[name]), "--force")
    assert done.code == 0
    if "NOTE: x.ipynb, cell " not in done.err:
        (folder / "plain.py").write_text("\n".join(UNTRACEABLE[name]))
        assert start(train_py(project), "--data-path", "../../data") == start(folder / "plain.py")
        assert {Path(file).suffix for file in files_of(project / "data")} <= {".csv", ".json", ".pkl", ".txt"}


def test_names_that_fan_out_end(convert: Convert, tmp_path: Path) -> None:
    names = ["a0 = ['x.csv', 'y.csv']", *(f"a{n} = [a{n - 1}, a{n - 1}, a{n - 1}, a{n - 1}]" for n in range(1, 12))]
    given = write(tmp_path / "x.ipynb", *names, "def f():\n    open(a11[0])")
    assert convert(given, "--force").code == 0
