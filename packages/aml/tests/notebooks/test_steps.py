"""A notebook of several steps says and writes the same, run as it is and as the steps that it becomes."""

from pathlib import Path

import pytest

from notebooks.step_books import book, made, run_book, run_steps

# What is bound in one part and read in another one, in each way in which a name can be.
BOOKS = {
    "plain": (
        "import json\nSEED = 3",
        "## Prepare",
        "rows = [line.split(',') for line in open('input/table.csv').read().split()]\nwidth = len(rows[0])",
        "## Train",
        "model = {'mean': sum(int(cell) for cell in rows[1]) / width, 'seed': SEED}\nprint(model)",
        "## Evaluate",
        "print(json.dumps(model), width)\nopen('metrics.json', 'w').write(json.dumps(model));",
    ),
    "changed in place": (
        "## Load",
        "history, names, deep = [1], {'a': 1}, {'x': {'y': [1]}}",
        "## Train",
        "history.append(2)\nnames['b'] = 2\ndeep['x']['y'].append(2)",
        "## Fit again",
        "history += [3]\nnames.update(c=3)\ndel names['a']",
        "## Report",
        "print(history, names, deep)",
    ),
    "changed by a function": (
        "log = []\ndef note(text, to=log):\n    to.append(text)\n    log.append(len(log))\ndef push(many, one):\n    many.insert(0, one)",
        "## Prepare",
        "note('a')\nvalues = [1]",
        "## Train",
        "push(values, 5)\nnote('b')",
        "## Evaluate",
        "note('c')\nprint(log, values)",
    ),
    "one object of two names": (
        "## Prepare",
        "rows = [1, 2]\nsame = rows\nholder = {'rows': rows}",
        "## Train",
        "same.append(3)",
        "## Evaluate",
        "rows.append(4)\nprint(rows, same, holder, rows is same, holder['rows'] is rows)",
    ),
    "an object inside another one": (
        "class Part:\n    value = 0\n    def fit(self):\n        self.value += 1\n        return self\n"
        "class Whole:\n    def __init__(self, part):\n        self.part = part\n    def fit(self):\n        self.part.fit()\n        return self",
        "## Prepare",
        "part = Part()",
        "## Build a model",
        "whole = Whole(part)\nprint(part.value)",
        "## Fit",
        "whole.fit();",
        "## Evaluate",
        "print(part.value, whole.part.value, whole.part is part, isinstance(part, Part))",
    ),
    "deleted": (
        "## Prepare",
        "a, b, c = 1, 2, 3\ndel b",
        "## Train",
        "b = a + 1\nprint(b)\ndel a, b",
        "## Evaluate",
        "try:\n    a\nexcept NameError:\n    print('gone')\nprint(c)",
    ),
    "bound on one way": (
        "import sys",
        "## Prepare",
        "first = 1\nif len(sys.argv) > 99:\n    first = 2\n    extra = 5",
        "## Train",
        "if first == 2:\n    print(extra)\nfor i in range(first):\n    last = i\nif first:\n    first = 7",
        "## Evaluate",
        "print(first, last)\ntry:\n    print(extra)\nexcept NameError:\n    print('no extra')",
    ),
    "bound in loops, with, try, match and :=": (
        "import io",
        "## Prepare",
        "total = 0\nfor i, (a, *rest) in enumerate([(1, 2, 3), (4, 5)]):\n    total += a\nwith io.StringIO('x y') as file:\n    words = file.read().split()\n"
        "try:\n    number = int('7')\nexcept ValueError as error:\n    number = -1\nfinally:\n    done = True\nif (size := len(words)) > 1:\n    pass\n"
        "match words:\n    case [head, *tail]:\n        pass",
        "## Train",
        "while total < 20:\n    total += 5\nsquares = [i * i for i in range(3)]",
        "## Evaluate",
        "print(i, a, rest, total, words, number, done, size, head, tail, squares)",
    ),
    "functions that read what is there when they are called": (
        "scale = 2\ndef scaled(x):\n    return x * scale\ndef both(x):\n    return scaled(x) + shift",
        "## Prepare",
        "scale = 3\nshift = 1",
        "## Train",
        "print(both(1))\nshift = 10",
        "## Evaluate",
        "scale = 100\nprint(both(1))",
    ),
    "global": (
        "count = 0\ndef step():\n    global count, seen\n    count += 1\n    seen = count * 2\n    return count",
        "## Prepare",
        "step();",
        "## Train",
        "step()\nprint(count)",
        "## Evaluate",
        "print(step(), count, seen)",
    ),
    "classes of one's own": (
        "from dataclasses import dataclass, field\nfrom enum import Enum\nfrom collections import namedtuple, defaultdict\n"
        "Point = namedtuple('Point', 'x y')\nclass Kind(Enum):\n    A = 1\n    B = 2\n"
        "@dataclass(order=True)\nclass Result:\n    score: float\n    kind: Kind = field(compare=False)\n    def __str__(self):\n        return f'{self.kind.name} {self.score}'",
        "## Prepare",
        "results = [Result(0.5, Kind.A), Result(0.7, Kind.B)]\nby_kind = defaultdict(lambda: 0)\nplace = Point(1, 2)",
        "## Train",
        "best = max(results)\nby_kind[best.kind] += 1",
        "## Evaluate",
        "print(best, best.kind is Kind.B, isinstance(best, Result), dict(by_kind), by_kind['none'], place.x, results)",
    ),
    "a class that reads a parameter": (
        "RATE = 0.5\nclass Model:\n    def __init__(self):\n        self.weight = RATE\n    def step(self):\n        self.weight *= RATE\n        return self\n"
        "def rated(x):\n    return x * RATE",
        "## Train",
        "model = Model().step()\nsteps = {'rated': rated}",
        "## Train more",
        "model.step();",
        "## Evaluate",
        "print(model.weight, isinstance(model, Model), steps['rated'](4), steps['rated'] is rated)",
    ),
    "a class that reads a value": (
        "import random\nbase = [random.Random(1).random()]\nclass Model:\n    def shifted(self, x):\n        return x + base[0]",
        "## Train",
        "model = Model()",
        "## Evaluate",
        "print(model.shifted(1))",
    ),
    "defined again": (
        "def f():\n    return 1",
        "## Prepare",
        "print(f())",
        "## Train",
        "before = f()\ndef f():\n    return 2\nprint(f())",
        "## Evaluate",
        "print(f(), before)",
    ),
    "random numbers": (
        "import random\nrandom.seed(4)",
        "## Prepare",
        "a = random.random()",
        "## Train",
        "b = random.random()\nrng = random.Random(2)\nfirst = rng.random()",
        "## Evaluate",
        "print(a, b, first, random.random(), rng.random())",
        "## Report",
        "print(rng.random(), random.choice([1, 2, 3]))",
    ),
    "files from one to another": (
        "import json, os\nfrom pathlib import Path\nFOLDER = Path('models')\nFOLDER.mkdir(exist_ok=True)",
        "## Prepare",
        "clean = Path('clean.csv')\nclean.write_text(Path('input/table.csv').read_text().upper())\nopen('log.txt', 'w').write('one\\n');",
        "## Train",
        "print(open('clean.csv').read())\nfor name in 'ab':\n    (FOLDER / f'{name}.json').write_text(json.dumps(name))\nwith open('log.txt', 'a') as log:\n    log.write('two\\n')",
        "## Evaluate",
        "print(sorted(path.name for path in FOLDER.glob('*.json')), json.loads((FOLDER / 'a.json').read_text()))\nprint(open('log.txt').read())",
    ),
    "parameters": (
        "#!\nlearning_rate = 0.1\nname: str = 'a \"b\" ü'\nverbose = False\nfeatures = ['x', 'y']\nnothing = None\nshuffle = True",
        "## Prepare",
        "features.append('z')\nprint(learning_rate, nothing)",
        "## Train",
        "print(features, name, verbose)\nlearning_rate *= 2",
        "## Evaluate",
        "print(learning_rate, shuffle)",
    ),
    "settings and imports": (
        "import os\nos.environ['OWN_SETTING'] = 'on'\nimport sys, json as j\nfrom os import path as p, sep\nimport decimal\nimport xml.dom.minidom\n"
        "try:\n    import not_there_at_all as fast\nexcept ImportError:\n    fast = None\ndecimal.getcontext().prec = 5",
        "## Prepare",
        "import math\nx = math.pi",
        "## Train",
        "print(os.environ['OWN_SETTING'], p.join('a', 'b'), sep, fast, math.floor(x))",
        "## Evaluate",
        "print(os.getenv('OWN_SETTING'), j.dumps(x), xml.dom.minidom.parseString('<a/>').documentElement.tagName)",
    ),
    "awkward text": (
        "from __future__ import annotations",
        "## Prepare: *the data*\n\nSome \"\"\"text\"\"\".",
        "text = '''\nkept\n   as it is\n'''; other = 1;\nquery = f\"\"\"\n{other}\n  x\"\"\"  # a comment\n\n# one more\n",
        "## Train",
        "def f(a, b=other):\n    '''Doc\n\n    string.\n    '''\n    # inside\n    return a + b\n\nif __name__ == '__main__':\n    value = f(1)",
        "## Evaluate",
        "print(repr(text), repr(query), value); print(f.__doc__)",
    ),
    "names that the scripts use themselves": (
        "def load(x):\n    return x + 1\nsave, main, args, parser, Path = 1, 2, 3, 4, 5",
        "## Prepare",
        "bring = load(save)",
        "## Train",
        "main += bring\nargs = [args]",
        "## Evaluate",
        "print(save, main, args, parser, Path, bring, load(1))",
    ),
    "what runs between": (
        "import asyncio",
        "## Prepare",
        "queue = []\nasync def work(n):\n    await asyncio.sleep(0)\n    queue.append(n)\n    return n\nfound = asyncio.run(work(2))",
        "## Train",
        "found += asyncio.run(work(3))",
        "## Evaluate",
        "print(found, queue)",
    ),
    "steps side by side": (
        "## Prepare",
        "data = list(range(5))",
        "## Train a",
        "a = sum(data)",
        "## Train b",
        "b = max(data)",
        "## Compare",
        "print(a, b)",
    ),
    "before the first heading, and headings without code": (
        "# The title",
        "numbers = [3, 1]\nnumbers.sort()",
        "## Imports",
        "import math",
        "## Read about it",
        "## 1. Prepare",
        "numbers.append(math.floor(9.5))",
        "### a detail",
        "size = len(numbers)",
        "## 2. Evaluate",
        "print(numbers, size, math.ceil(0.5))",
        "## The end",
    ),
}


@pytest.mark.parametrize("name", BOOKS)
def test_the_steps_do_what_the_notebook_does(name: str, tmp_path: Path) -> None:
    path = book(tmp_path / "analysis.ipynb", *BOOKS[name])
    (tmp_path / "input").mkdir()
    found = made(path)
    assert len(found.pipeline.steps) >= 2
    whole = run_book(path, tmp_path / "whole")
    parts = run_steps(found, tmp_path / "parts")
    assert whole.said
    assert parts.said == whole.said
    assert parts.files == whole.files


# What can't go from one to another, or may not mean the same there: the note that is given of it.
NOTES = {
    "an open file": (
        ["## Prepare", "log = open('log.txt', 'w')", "## Train", "log.write('x');", "## Evaluate", "print(1)"],
        "cell 2: log is an open file, which no file can hand on to train: make it in the part that uses it",
    ),
    "of with": (
        ["## Prepare", "with open('input/table.csv') as file:\n    head = file.readline()", "## Train", "print(head, file.name)"],
        "cell 2: file is an open file, which no file can hand on to train: make it in the part that uses it",
    ),
    "a generator": (
        ["## Prepare", "squares = (i * i for i in range(3))", "## Train", "print(next(squares))"],
        "cell 2: squares is a generator, which no file can hand on to train: make it in the part that uses it",
    ),
    "what a function yields": (
        ["def count():\n    yield 1", "## Prepare", "a, b = 1, 2\nnumbers = count()", "## Train", "print(next(numbers))"],
        "cell 3: numbers is a generator, which no file can hand on to train: make it in the part that uses it",
    ),
    "a figure": (
        ["from matplotlib import pyplot", "## Explore", "fig, ax = pyplot.subplots()", "## Report", "ax.plot([1])"],
        "cell 3: ax is a figure, which no file can hand on to evaluate: make it in the part that uses it",
    ),
    "a connection": (
        ["import sqlite3", "## Load", "db = sqlite3.connect('input/a.db')", "## Train", "print(db.execute('select 1'))"],
        "cell 3: db is a connection, which no file can hand on to train: make it in the part that uses it",
    ),
    "bound on one way": (
        ["import sys", "## Prepare", "if sys.argv[1:]:\n    x = 1", "## Train", "print(x)"],
        "cell 3: x is bound on one way only: it is handed on where it is bound; bind it on each",
    ),
    "a part that is changed": (
        ["## Load", "X = [[1], [2]]", "row = X[0]", "## Train", "row.append(3)", "## Evaluate", "print(X, row)"],
        "cell 5: row is changed in place here, and X (cell 3) may share its memory: between steps they are two; take row "
        "anew after it",
    ),
    "deleted": (
        ["## Prepare", "x = 1\ny = 2", "## Train", "print(y)\ndel x", "## Evaluate", "print(x)"],
        "cell 6: x is read here, and cell 4 has deleted it: keep it, or make it again",
    ),
    "out of order": (
        ["## Prepare", "y = 1\nprint(x)", "## Train", "x = sorted([y])", "## Evaluate", "print(x)"],
        "cell 2: x is read here, and bound in cell 4 only: move that before",
    ),
    "unknown names": (
        ["## Prepare", "x = [1]\nexec('y = 2')", "## Train", "print(x, y)"],
        "cell 2: exec(): which names this reads or binds is not known; write them out",
    ),
    "a class that reads a value": (
        ["base = sorted([1])\nclass Model:\n    def f(self):\n        return base", "## Train", "m = Model()", "## Evaluate", "print(m.f())"],
        "cell 1: class Model reads base: its objects keep what that is when handed on; give it to __init__ instead",
    ),
}


@pytest.mark.parametrize("name", NOTES)
def test_what_a_cut_would_change_is_told_with_its_cell(name: str, tmp_path: Path) -> None:
    sources, note = NOTES[name]
    assert note in made(book(tmp_path / "analysis.ipynb", *sources)).notes


def test_what_cannot_be_handed_on_is_named_where_it_is_missing(tmp_path: Path) -> None:
    found = made(book(tmp_path / "analysis.ipynb", *NOTES["a generator"][0]))
    assert "    # squares of cell 2 is a generator: make it here\n" in found.files["train.py"]


@pytest.mark.parametrize("name", BOOKS)
def test_of_most_notebooks_there_is_nothing_to_say(name: str, tmp_path: Path) -> None:
    (tmp_path / "input").mkdir()
    told = made(book(tmp_path / "analysis.ipynb", *BOOKS[name])).notes
    expected = {
        "bound on one way": ["cell 3: extra is bound on one way only: it is handed on where it is bound; bind it on each"],
        "deleted": ["cell 6: a is read here, and cell 4 has deleted it: keep it, or make it again"],
        "bound in loops, with, try, match and :=": [
            f"cell 3: {name} is bound on one way only: it is handed on where it is bound; bind it on each"
            for name in ("head", "tail")
        ],
        "a class that reads a value": [NOTES["a class that reads a value"][1]],
    }
    assert told == expected.get(name, [])
