"""A notebook of several steps says and writes the same, run as it is and as the steps that it becomes."""

from pathlib import Path

import pytest

from notebooks.books import Convert, write
from notebooks.step_books import book, made, run_book, run_steps
from tests.aml import told
from tests.support import files_of

# What is bound in one part and read in another one, in each way in which a name can be.
BOOKS = {
    "plain": """
import json
SEED = 3
---
## Prepare
---
rows = [line.split(',') for line in open('input/table.csv').read().split()]
width = len(rows[0])
---
## Train
---
model = {'mean': sum(int(cell) for cell in rows[1]) / width, 'seed': SEED}
print(model)
---
## Evaluate
---
print(json.dumps(model), width)
open('metrics.json', 'w').write(json.dumps(model));
""",
    "changed in place": """
## Load
---
history, names, deep = [1], {'a': 1}, {'x': {'y': [1]}}
---
## Train
---
history.append(2)
names['b'] = 2
deep['x']['y'].append(2)
---
## Fit again
---
history += [3]
names.update(c=3)
del names['a']
---
## Report
---
print(history, names, deep)
""",
    "changed by a function": """
log = []
def note(text, to=log):
    to.append(text)
    log.append(len(log))
def push(many, one):
    many.insert(0, one)
---
## Prepare
---
note('a')
values = [1]
---
## Train
---
push(values, 5)
note('b')
---
## Evaluate
---
note('c')
print(log, values)
""",
    "one object of two names": """
## Prepare
---
rows = [1, 2]
same = rows
holder = {'rows': rows}
---
## Train
---
same.append(3)
---
## Evaluate
---
rows.append(4)
print(rows, same, holder, rows is same, holder['rows'] is rows)
""",
    "an object inside another one": """
class Part:
    value = 0
    def fit(self):
        self.value += 1
        return self
class Whole:
    def __init__(self, part):
        self.part = part
    def fit(self):
        self.part.fit()
        return self
---
## Prepare
---
part = Part()
---
## Build a model
---
whole = Whole(part)
print(part.value)
---
## Fit
---
whole.fit();
---
## Evaluate
---
print(part.value, whole.part.value, whole.part is part, isinstance(part, Part))
""",
    "deleted": """
## Prepare
---
a, b, c = 1, 2, 3
del b
---
## Train
---
b = a + 1
print(b)
del a, b
---
## Evaluate
---
try:
    a
except NameError:
    print('gone')
print(c)
""",
    "bound on one way": """
import sys
---
## Prepare
---
first = 1
if len(sys.argv) > 99:
    first = 2
    extra = 5
---
## Train
---
if first == 2:
    print(extra)
for i in range(first):
    last = i
if first:
    first = 7
---
## Evaluate
---
print(first, last)
try:
    print(extra)
except NameError:
    print('no extra')
""",
    "bound in loops, with, try, match and :=": """
import io
---
## Prepare
---
total = 0
for i, (a, *rest) in enumerate([(1, 2, 3), (4, 5)]):
    total += a
with io.StringIO('x y') as file:
    words = file.read().split()
try:
    number = int('7')
except ValueError as error:
    number = -1
finally:
    done = True
if (size := len(words)) > 1:
    pass
match words:
    case [head, *tail]:
        pass
---
## Train
---
while total < 20:
    total += 5
squares = [i * i for i in range(3)]
---
## Evaluate
---
print(i, a, rest, total, words, number, done, size, head, tail, squares)
""",
    "functions that read what is there when they are called": """
scale = 2
def scaled(x):
    return x * scale
def both(x):
    return scaled(x) + shift
---
## Prepare
---
scale = 3
shift = 1
---
## Train
---
print(both(1))
shift = 10
---
## Evaluate
---
scale = 100
print(both(1))
""",
    "global": """
count = 0
def step():
    global count, seen
    count += 1
    seen = count * 2
    return count
---
## Prepare
---
step();
---
## Train
---
step()
print(count)
---
## Evaluate
---
print(step(), count, seen)
""",
    "classes of one's own": """
from dataclasses import dataclass, field
from enum import Enum
from collections import namedtuple, defaultdict
Point = namedtuple('Point', 'x y')
class Kind(Enum):
    A = 1
    B = 2
@dataclass(order=True)
class Result:
    score: float
    kind: Kind = field(compare=False)
    def __str__(self):
        return f'{self.kind.name} {self.score}'
---
## Prepare
---
results = [Result(0.5, Kind.A), Result(0.7, Kind.B)]
by_kind = defaultdict(lambda: 0)
place = Point(1, 2)
---
## Train
---
best = max(results)
by_kind[best.kind] += 1
---
## Evaluate
---
print(best, best.kind is Kind.B, isinstance(best, Result), dict(by_kind), by_kind['none'], place.x, results)
""",
    "a class that reads a parameter": """
RATE = 0.5
class Model:
    def __init__(self):
        self.weight = RATE
    def step(self):
        self.weight *= RATE
        return self
def rated(x):
    return x * RATE
---
## Train
---
model = Model().step()
steps = {'rated': rated}
---
## Train more
---
model.step();
---
## Evaluate
---
print(model.weight, isinstance(model, Model), steps['rated'](4), steps['rated'] is rated)
""",
    "a class that reads a value": """
import random
base = [random.Random(1).random()]
class Model:
    def shifted(self, x):
        return x + base[0]
---
## Train
---
model = Model()
---
## Evaluate
---
print(model.shifted(1))
""",
    "defined again": """
def f():
    return 1
---
## Prepare
---
print(f())
---
## Train
---
before = f()
def f():
    return 2
print(f())
---
## Evaluate
---
print(f(), before)
""",
    "random numbers": """
import random
random.seed(4)
---
## Prepare
---
a = random.random()
---
## Train
---
b = random.random()
rng = random.Random(2)
first = rng.random()
---
## Evaluate
---
print(a, b, first, random.random(), rng.random())
---
## Report
---
print(rng.random(), random.choice([1, 2, 3]))
""",
    "files from one to another": """
import json, os
from pathlib import Path
FOLDER = Path('models')
FOLDER.mkdir(exist_ok=True)
---
## Prepare
---
clean = Path('clean.csv')
clean.write_text(Path('input/table.csv').read_text().upper())
open('log.txt', 'w').write('one\\n');
---
## Train
---
print(open('clean.csv').read())
for name in 'ab':
    (FOLDER / f'{name}.json').write_text(json.dumps(name))
with open('log.txt', 'a') as log:
    log.write('two\\n')
---
## Evaluate
---
print(sorted(path.name for path in FOLDER.glob('*.json')), json.loads((FOLDER / 'a.json').read_text()))
print(open('log.txt').read())
""",
    "parameters": """
#!
learning_rate = 0.1
name: str = 'a "b" ü'
verbose = False
features = ['x', 'y']
nothing = None
shuffle = True
---
## Prepare
---
features.append('z')
print(learning_rate, nothing)
---
## Train
---
print(features, name, verbose)
learning_rate *= 2
---
## Evaluate
---
print(learning_rate, shuffle)
""",
    "settings and imports": """
import os
os.environ['OWN_SETTING'] = 'on'
import sys, json as j
from os import path as p, sep
import decimal
import xml.dom.minidom
try:
    import not_there_at_all as fast
except ImportError:
    fast = None
decimal.getcontext().prec = 5
---
## Prepare
---
import math
x = math.pi
---
## Train
---
print(os.environ['OWN_SETTING'], p.join('a', 'b'), sep, fast, math.floor(x))
---
## Evaluate
---
print(os.getenv('OWN_SETTING'), j.dumps(x), xml.dom.minidom.parseString('<a/>').documentElement.tagName)
""",
    "awkward text": """
from __future__ import annotations
---
## Prepare: *the data*

Some \"\"\"text\"\"\".
---
text = '''
kept
   as it is
'''; other = 1;
query = f\"\"\"
{other}
  x\"\"\"  # a comment

# one more
---
## Train
---
def f(a, b=other):
    '''Doc

    string.
    '''
    # inside
    return a + b

if __name__ == '__main__':
    value = f(1)
---
## Evaluate
---
print(repr(text), repr(query), value); print(f.__doc__)
""",
    "names that the scripts use themselves": """
def load(x):
    return x + 1
save, main, args, parser, Path = 1, 2, 3, 4, 5
---
## Prepare
---
bring = load(save)
---
## Train
---
main += bring
args = [args]
---
## Evaluate
---
print(save, main, args, parser, Path, bring, load(1))
""",
    "what runs between": """
import asyncio
---
## Prepare
---
queue = []
async def work(n):
    await asyncio.sleep(0)
    queue.append(n)
    return n
found = asyncio.run(work(2))
---
## Train
---
found += asyncio.run(work(3))
---
## Evaluate
---
print(found, queue)
""",
    "steps side by side": """
## Prepare
---
data = list(range(5))
---
## Train a
---
a = sum(data)
---
## Train b
---
b = max(data)
---
## Compare
---
print(a, b)
""",
    "before the first heading, and headings without code": """
# The title
---
numbers = [3, 1]
numbers.sort()
---
## Imports
---
import math
---
## Read about it
---
## 1. Prepare
---
numbers.append(math.floor(9.5))
---
### a detail
---
size = len(numbers)
---
## 2. Evaluate
---
print(numbers, size, math.ceil(0.5))
---
## The end
""",
}


# The full run has the others as well.
IN_CI = {"plain", "changed in place", "one object of two names", "deleted", "bound on one way", "random numbers"}
IN_CI |= {"functions that read what is there when they are called", "global", "classes of one's own", "parameters"}
IN_CI |= {"files from one to another", "awkward text", "names that the scripts use themselves"}


@pytest.mark.parametrize("name", [pytest.param(n, marks=[] if n in IN_CI else pytest.mark.full) for n in BOOKS])
def test_the_steps_do_what_the_notebook_does(name: str, tmp_path: Path) -> None:
    path = book(tmp_path / "analysis.ipynb", BOOKS[name])
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
        """
## Prepare
---
log = open('log.txt', 'w')
---
## Train
---
log.write('x');
---
## Evaluate
---
print(1)
""",
        "cell 2: log is an open file, which no file can hand on to train: make it in the part that uses it",
    ),
    "of with": (
        """
## Prepare
---
with open('input/table.csv') as file:
    head = file.readline()
---
## Train
---
print(head, file.name)
""",
        "cell 2: file is an open file, which no file can hand on to train: make it in the part that uses it",
    ),
    "a generator": (
        """
## Prepare
---
squares = (i * i for i in range(3))
---
## Train
---
print(next(squares))
""",
        ("cell 2: squares is a generator, which no file can hand on to train: make it in the part that uses it"),
    ),
    "what a function yields": (
        """
def count():
    yield 1
---
## Prepare
---
a, b = 1, 2
numbers = count()
---
## Train
---
print(next(numbers))
""",
        ("cell 3: numbers is a generator, which no file can hand on to train: make it in the part that uses it"),
    ),
    "a figure": (
        """
from matplotlib import pyplot
---
## Explore
---
fig, ax = pyplot.subplots()
---
## Report
---
ax.plot([1])
""",
        "cell 3: ax is a figure, which no file can hand on to evaluate: make it in the part that uses it",
    ),
    "a connection": (
        """
import sqlite3
---
## Load
---
db = sqlite3.connect('input/a.db')
---
## Train
---
print(db.execute('select 1'))
""",
        "cell 3: db is a connection, which no file can hand on to train: make it in the part that uses it",
    ),
    "bound on one way": (
        """
import sys
---
## Prepare
---
if sys.argv[1:]:
    x = 1
---
## Train
---
print(x)
""",
        "cell 3: x is bound on one way only: it is handed on where it is bound; bind it on each",
    ),
    "a part that is changed": (
        """
## Load
---
X = [[1], [2]]
---
row = X[0]
---
## Train
---
row.append(3)
---
## Evaluate
---
print(X, row)
""",
        (
            "cell 5: row is changed in place here, and X (cell 3) may share its memory: between steps they "
            "are two; take row anew after it"
        ),
    ),
    "deleted": (
        """
## Prepare
---
x = 1
y = 2
---
## Train
---
print(y)
del x
---
## Evaluate
---
print(x)
""",
        "cell 6: x is read here, and cell 4 has deleted it: keep it, or make it again",
    ),
    "out of order": (
        """
## Prepare
---
y = 1
print(x)
---
## Train
---
x = sorted([y])
---
## Evaluate
---
print(x)
""",
        "cell 2: x is read here, and bound in cell 4 only: move that before",
    ),
    "unknown names": (
        """
## Prepare
---
x = [1]
exec('y = 2')
---
## Train
---
print(x, y)
""",
        "cell 2: exec(): which names this reads or binds is not known; write them out",
    ),
    "a class that reads a value": (
        """
base = sorted([1])
class Model:
    def f(self):
        return base
---
## Train
---
m = Model()
---
## Evaluate
---
print(m.f())
""",
        ("cell 1: class Model reads base: its objects keep what that is when handed on; give it to __init__ instead"),
    ),
}


@pytest.mark.parametrize("name", NOTES)
def test_what_a_cut_would_change_is_told_with_its_cell(name: str, tmp_path: Path) -> None:
    sources, note = NOTES[name]
    assert note in made(book(tmp_path / "analysis.ipynb", sources)).notes


def test_what_cannot_be_handed_on_is_named_where_it_is_missing(tmp_path: Path) -> None:
    found = made(book(tmp_path / "analysis.ipynb", NOTES["a generator"][0]))
    assert "    # squares of cell 2 is a generator: make it here\n" in found.files["train.py"]


@pytest.mark.parametrize("name", BOOKS)
def test_of_most_notebooks_there_is_nothing_to_say(name: str, tmp_path: Path) -> None:
    (tmp_path / "input").mkdir()
    told = made(book(tmp_path / "analysis.ipynb", BOOKS[name])).notes
    expected = {
        "bound on one way": [
            "cell 3: extra is bound on one way only: it is handed on where it is bound; bind it on each"
        ],
        "deleted": ["cell 6: a is read here, and cell 4 has deleted it: keep it, or make it again"],
        "bound in loops, with, try, match and :=": [
            f"cell 3: {name} is bound on one way only: it is handed on where it is bound; bind it on each"
            for name in ("head", "tail")
        ],
        "a class that reads a value": [NOTES["a class that reads a value"][1]],
    }
    assert told == expected.get(name, [])


def test_the_verb_writes_scripts_and_a_pipeline(convert: Convert, project: Path, tmp_path: Path) -> None:
    model = project / "models" / "model1"
    path = book(tmp_path / "nb" / "analysis.ipynb", BOOKS["changed in place"])
    (path.parent / "input").mkdir()
    done = convert(path, "--steps", "--force")
    assert done.code == 0, done.err
    assert "analysis.ipynb is 4 steps now: models/model1/pipeline.yml" in done.out
    assert "  step    prepare.py: hands on history, names, deep" in done.out
    assert {"prepare.py", "pipeline.yml", "handover.py", "tests/test_notebook.py"} <= files_of(model).keys()
    assert "test_they_run_on_the_data" in (model / "tests" / "test_notebook.py").read_text()
    again = convert(path, "--steps")
    assert "models/model1/pipeline.yml and its steps: as they were, nothing to change" in again.out


def test_a_script_that_was_edited_is_kept(convert: Convert, project: Path, tmp_path: Path) -> None:
    model = project / "models" / "model1"
    path = book(tmp_path / "nb" / "analysis.ipynb", BOOKS["changed in place"])
    assert convert(path, "--steps", "--force").code == 0
    (model / "prepare.py").write_text("# mine\n")
    (model / "pipeline.yml").write_text("# mine\n")
    before = files_of(model)
    done = convert(path, "--steps")
    assert done.code == 1
    told(done, "ERROR: models/model1/prepare.py: git does not hold it as it is: commit it, or --force replaces it")
    assert files_of(model) == before, "all of them or none"


def test_headings_may_be_named(tmp_path: Path) -> None:
    path = book(
        tmp_path / "a.ipynb", "## One\n---\nx = [1]\n---\n### Two\n---\nx.append(2)\n---\n## Three\n---\nprint(x)"
    )
    assert list(made(path, "one", "Three").pipeline.steps) == ["one", "three"]
    assert list(made(path, "One", "Two", "Three").pipeline.steps) == ["one", "two", "three"]


def test_what_has_no_steps_gets_one_line(convert: Convert, project: Path, tmp_path: Path) -> None:
    plain = write(tmp_path / "plain.ipynb", "x = 1")
    one = book(tmp_path / "one.ipynb", "## Prepare\n---\nprint(1)\n---\n## Train\n---\nimport os")
    before = files_of(project / "models")
    told(convert(plain, "--steps"), 'ERROR: plain.ipynb: no two headings name its steps: name them, as in --steps "Pre')
    told(convert(one, "--steps"), "ERROR: one.ipynb: fewer than two of its steps have code that runs (Prepare, Train)")
    told(convert(one, "--steps", "Nothing"), "ERROR: one.ipynb: --steps: no heading 'Nothing'; its headings: Prepare")
    told(convert(one, "--steps", "-o", tmp_path / "train.py"), "ERROR: --steps: of one notebook, into the folder of a")
    assert files_of(project / "models") == before
