"""The notebooks of tests/notebooks, each executed as a notebook and as the train.py it is converted to.

Both see the same data; both must say the same, write the same files and draw as many figures.
"""

import ast
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import pytest

from tests.aml import aml, told
from tests.conftest import Bake
from tests.support import BIN, PYTHON, TEMPLATE, copy_of, files_of, run

FOLDER = TEMPLATE / "tests" / "notebooks"
# Each notebook, and the folder that all of its data is in, as seen from the notebook.
NOTEBOOKS = {
    "async_sensors": "data/sensors",
    "churn": "data",
    "clusters": "data",
    "figures": "data",
    "flowers_classifier": "data",
    "gradient_descent": "data",
    "helpers": "data",
    "magics": "data",
    "nearest_mean": "data",
    "reports/first_quarter": "../data",
    "reviews": "data",
    "sales_by_city": "data",
    "sensors_main": "data/sensors",
    "weather": "data",
}
# What the conversion has to say of one; of the others there is nothing.
TOLD = {
    "magics": ["NOTE: magics.ipynb, cell 2: %env ANSWER=42 is a comment", "NOTE: magics.ipynb, cell 14: !true is a"]
}
HANDED = ["pyarrow==26.0.1", "cloudpickle==3.1.3"]  # what tables and functions go from step to step by
PACKAGES = ["numpy==2.2.6", "pandas==2.3.3", "scikit-learn==1.7.2", "matplotlib==3.10.9", "joblib==1.6.0", *HANDED]
KERNEL = "tested"
# What a magic prints has no place in a script: times and the variables that it sets.
OF_MAGICS = re.compile(r"CPU times: |Wall time: |env: |.* per loop \(")

# Files that are no text are loaded and compared: two folders, the names, and the table for the models to judge.
COMPARE = """
import pickle, sys
from pathlib import Path
import joblib, numpy, pandas
one, other, table, *names = sys.argv[1:]
flowers = pandas.read_csv(table).drop(columns="kind")
for name in names:
    suffix, paths = Path(name).suffix, [Path(one, name), Path(other, name)]
    if suffix == ".joblib":
        answers = [joblib.load(path).predict(flowers) for path in paths]
        assert len(set(answers[0])) > 1 and (answers[0] == answers[1]).all(), name
    elif suffix in (".npy", ".npz"):
        arrays = [numpy.load(path) for path in paths]
        for key in arrays[0].files if suffix == ".npz" else [...]:
            assert arrays[0][key].size and numpy.array_equal(arrays[0][key], arrays[1][key]), name
    elif suffix == ".pkl":
        assert repr(pickle.loads(paths[0].read_bytes())) == repr(pickle.loads(paths[1].read_bytes())), name
    else:
        raise SystemExit(f"{name}: how are two of these compared?")
    print("same", name)
"""


class Pythons(NamedTuple):
    kernels: Path  # where Jupyter finds the one of its Python
    script: Path  # the same packages, without IPython


class Done(NamedTuple):
    """What a notebook or a script has left."""

    said: list[str]
    files: dict[str, bytes]
    figures: int
    folder: Path


@pytest.fixture(scope="session")
def pythons(tmp_path_factory: pytest.TempPathFactory) -> Pythons:
    """Two environments; that of the notebooks adds Jupyter's kernel to the packages of the other, which lie once."""
    folder = tmp_path_factory.mktemp("environments")
    script, notebook = made(folder / "script", *PACKAGES), made(folder / "notebook", "ipykernel")
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages, kernels = (run(python, "-c", ask, cwd=folder).strip() for python in (script, notebook))
    Path(kernels, "packages.pth").write_text(f"{packages}\n")
    kernel = folder / "jupyter" / "kernels" / KERNEL / "kernel.json"
    kernel.parent.mkdir(parents=True)
    start = [str(notebook), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel.write_text(json.dumps({"argv": start, "display_name": KERNEL, "language": "python"}))
    assert "No module named 'IPython'" in run(script, "-c", "import IPython", cwd=folder, expect=1)
    return Pythons(folder / "jupyter", script)


def made(folder: Path, *packages: str) -> Path:
    """The Python of a new environment."""
    python = folder / "bin" / "python"
    run(BIN / "uv", "venv", "--quiet", "--python", PYTHON, folder, cwd=folder.parent)
    run(BIN / "uv", "pip", "install", "--quiet", "--python", python, *packages, cwd=folder)
    return python


@pytest.fixture(scope="session")
def project(bake: Bake, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_of(bake(), tmp_path_factory.mktemp("converts"))


def executed(pythons: Pythons, name: str, folder: Path, **changes: str) -> Done:
    """Run a copy of a notebook beside a copy of its data, as Jupyter does; `changes` are lines for its constants."""
    import nbformat  # every worker would wait for both
    from nbclient import NotebookClient

    book = shutil.copytree(FOLDER, folder / "notebooks") / f"{name}.ipynb"
    source = json.loads(book.read_text(encoding="utf-8"))
    for constant, line in changes.items():
        (cell,) = (cell for cell in source["cells"] if any(old.startswith(f"{constant} = ") for old in cell["source"]))
        cell["source"] = [line + "\n" if old.startswith(f"{constant} = ") else old for old in cell["source"]]
    book.write_text(json.dumps(source), encoding="utf-8")
    before = files_of(folder)
    notebook = nbformat.read(book, as_version=4)  # type: ignore[no-untyped-call]
    client = NotebookClient(notebook, timeout=300, kernel_name=KERNEL, resources={"metadata": {"path": book.parent}})
    with mock.patch.dict(os.environ, JUPYTER_PATH=str(pythons.kernels)):
        client.execute(env=os.environ | {"IPYTHONDIR": str(folder.with_suffix(".ipython"))})
    outputs = [out for cell in notebook["cells"] for out in cell.get("outputs", [])]
    where = book.parent.relative_to(folder).as_posix() + "/"
    written = {file.removeprefix(where): data for file, data in files_of(folder).items() if file not in before}
    figures = sum("image/png" in out.get("data", {}) for out in outputs)
    return Done(list(lines_of(outputs)), written, figures, book.parent)


def lines_of(outputs: list[dict[str, Any]]) -> Iterator[str]:
    """What a notebook says: what it prints, and its tables, which are the same as text; other values are not."""
    for output in outputs:
        data = output.get("data", {})
        text = data.get("text/plain", "") if "text/html" in data else ""
        if output["output_type"] == "stream" and output["name"] == "stdout":
            text = output["text"]
        for line in "".join(text).splitlines():
            if line.strip() and not OF_MAGICS.match(line):
                yield line


def converted(project: Path, name: str, folder: Path) -> Path:
    """Convert a notebook by the verb."""
    folder.mkdir()
    done = aml(project, "notebook", FOLDER / f"{name}.ipynb", "-o", folder / "train.py", "--no-data")
    assert done.code == 0
    told(done, *TOLD.get(name, []))
    return folder / "train.py"


def trained(pythons: Pythons, train: Path, data: Path, *args: str) -> Done:
    """Run a script that lies alone in its folder on data that lies elsewhere."""
    folder = train.parent
    assert sorted(files_of(folder)) == ["train.py"]
    done = subprocess.run(
        [pythons.script, "train.py", "--data-path", data, *args],
        cwd=folder, capture_output=True, text=True, encoding="utf-8", check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    written = {file.removeprefix("outputs/"): data for file, data in files_of(folder).items() if file != "train.py"}
    assert all((folder / "outputs" / file).is_file() for file in written), "a file lies beside outputs/"
    figures = [file for file in written if re.fullmatch(r"figures/figure-\d\d\.png", file)]
    rest = {file: data for file, data in written.items() if file not in figures}
    assert all(is_picture(written[file]) for file in figures)
    return Done(done.stdout.splitlines(), rest, len(figures), folder / "outputs")


def is_picture(data: bytes) -> bool:
    return data.startswith(b"\x89PNG") and len(data) > 500


def is_text(data: bytes) -> bool:
    try:
        return "\0" not in data.decode()
    except UnicodeDecodeError:
        return False


def missing(lines: Iterable[str], among: list[str]) -> list[str]:
    """The lines that do not come in this order among others."""
    at, absent = 0, []
    for line in lines:
        if line in among[at:]:
            at = among.index(line, at) + 1
        else:
            absent.append(line)
    return absent


def assert_same(pythons: Pythons, notebook: Done, script: Done, tmp_path: Path) -> None:
    """The script may say more: what the notebook's magics keep silent, what its cells display as a picture."""
    assert any(re.search(r"\d\.\d", line) for line in notebook.said), "a notebook without a metric proves nothing"
    assert missing(notebook.said, script.said) == []
    assert script.figures == notebook.figures
    assert sorted(script.files) == sorted(notebook.files)
    binary = []
    for name, data in notebook.files.items():
        assert data, name
        if is_text(data):
            assert script.files[name] == data, name
        elif name.endswith(".png"):
            assert is_picture(data) and is_picture(script.files[name]), name
        else:
            binary.append(name)
    if not binary:
        return
    where = [notebook.folder, script.folder, FOLDER / "data" / "flowers.csv"]
    said = run(pythons.script, "-W", "ignore", "-c", COMPARE, *where, *binary, cwd=tmp_path)
    assert said.splitlines() == [f"same {name}" for name in binary]


def data_of(name: str, tmp_path: Path) -> Path:
    """The notebook's data in a place and under a name that it does not know."""
    return Path(shutil.copytree((FOLDER / name).parent / NOTEBOOKS[name], tmp_path / "put elsewhere é"))


def test_every_notebook_is_in_the_table() -> None:
    found = {path.relative_to(FOLDER).with_suffix("").as_posix() for path in FOLDER.rglob("*.ipynb")}
    found -= {name for name in found if name.startswith("steps/")}  # those of test_notebook_steps.py
    assert found == set(NOTEBOOKS)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_the_script_does_what_the_notebook_does(pythons: Pythons, project: Path, tmp_path: Path, name: str) -> None:
    train = converted(project, name, tmp_path / "script")
    notebook = executed(pythons, name, tmp_path / "notebook")
    script = trained(pythons, train, data_of(name, tmp_path))
    assert_same(pythons, notebook, script, tmp_path)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_the_script_is_plain_python_in_the_notebooks_order(project: Path, tmp_path: Path, name: str) -> None:
    train = converted(project, name, tmp_path / "once")
    text = train.read_text(encoding="utf-8")
    compile(text, "train.py", "exec")
    assert "get_ipython" not in text
    assert not imported(text) & {"IPython", "ipykernel", "nbconvert"}
    ruff: list[str | Path] = [BIN / "ruff", "format", "--check", "--config", project / "pyproject.toml"]
    assert "1 file already formatted" in run(*ruff, "train.py", cwd=train.parent)
    assert converted(project, name, tmp_path / "again").read_bytes() == train.read_bytes()

    cells = json.loads((FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    headings = [
        "".join(cell["source"]).lstrip("# ").splitlines()[0] for cell in cells if cell["cell_type"] == "markdown"
    ]
    comments = [line.strip().lstrip("# ").rstrip() for line in text.splitlines() if line.lstrip().startswith("#")]
    assert headings
    assert missing(headings, comments) == []
    # Lines that no conversion has a reason to touch stand in the notebook's order, too.
    prints = [
        line.strip()
        for cell in cells
        if cell["cell_type"] == "code"
        for line in "".join(cell["source"]).splitlines()
        if re.match(r"\s*(print\(.*\)|def .*:|class .*:)$", line) and len(line) < 80
    ]
    assert missing(prints, [line.strip() for line in text.splitlines()]) == []


def imported(text: str) -> set[str]:
    """The packages that a script imports, wherever it does."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").split(".")[0])
    return names


class Case(NamedTuple):
    """What papermill would do to a notebook, and the arguments that do it to the script."""

    name: str
    changes: dict[str, str]
    args: list[str]


CASES = {
    "numbers_and_text": Case(
        "churn",
        {"n_estimators": "n_estimators = 7", "learning_rate": "learning_rate = 0.5", "note": "note = 'été'"},
        ["--n-estimators", "7", "--learning-rate=0.5", "--note", "été"],
    ),
    "list": Case("churn", {"features": "features = ['age']"}, ["--features", "age"]),
    "boolean": Case("churn", {"with_plan": "with_plan = False"}, ["--no-with-plan"]),
    "constants": Case(
        "gradient_descent",
        {"STEPS": "STEPS = 60", "SHUFFLE": "SHUFFLE = False", "NAME": "NAME = 'a b'"},
        ["--steps", "60", "--no-shuffle", "--name", "a b"],
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_an_argument_is_what_the_cell_would_say(pythons: Pythons, project: Path, tmp_path: Path, case: Case) -> None:
    train = converted(project, case.name, tmp_path / "script")
    data = data_of(case.name, tmp_path)
    shutil.copytree(train.parent, tmp_path / "as it was")
    unchanged = trained(pythons, tmp_path / "as it was" / "train.py", data)
    notebook = executed(pythons, case.name, tmp_path / "notebook", **case.changes)
    script = trained(pythons, train, data, *case.args)
    assert_same(pythons, notebook, script, tmp_path)
    assert script.said != unchanged.said, "the argument makes no difference"
