"""The paths of a notebook lead from the data to the outputs."""

import shutil
from pathlib import Path

from notebooks.books import DATA, Convert, start, train_py, write, write_data
from tests.aml import told
from tests.support import files_of

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


def test_paths_lead_from_the_data_to_the_outputs(convert: Convert, project: Path, tmp_path: Path) -> None:
    folder = tmp_path / "work"
    write_data(folder)
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
    addresses = (("https://example.com/a.csv", 2), ("s3://bucket/b.csv", 2), ("abfs://c/d.csv", 4))
    told(done, *(f"NOTE: x.ipynb, cell {cell}: '{it}' is an address: it is left as it is" for it, cell in addresses))
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
