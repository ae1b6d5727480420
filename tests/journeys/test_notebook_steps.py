"""The notebooks of tests/notebooks/steps, each executed as a notebook and as the steps that it is converted to.

Both see the same data; together the steps say the same, write the same files and draw as many figures.
"""

import ast
import re
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from aml_project.pipeline.definition import Pipeline, read
from tests.aml import aml, told
from tests.conftest import Bake
from tests.journeys.test_notebooks import FOLDER, Done, Pythons, assert_same, executed, is_picture, pythons
from tests.support import BIN, copy_of, files_of, run

__all__ = ["pythons"]  # a fixture
# Each notebook, its steps, and what the conversion has to say of it. Its data lies in data/, or in a folder there.
NOTEBOOKS = {
    "changed_in_place": (["load", "clean", "train", "evaluate"], []),
    "churn_steps": (["prepare", "train", "evaluate"], []),
    "clusters_with_figures": (["prepare", "explore", "train", "export"], []),
    "files_between": (["prepare", "train", "evaluate", "report"], []),
    "forest_of_one_seed": (["prepare", "train", "evaluate"], []),
    "functions_of_the_notebook": (["prepare", "train", "tune", "evaluate"], []),
    "gradient_steps": (["prepare", "train", "train_some_more", "evaluate"], []),
    "one_way_and_another": (
        ["prepare", "train", "evaluate"],
        ["NOTE: one_way_and_another.ipynb, cell 4: note is bound"],
    ),
    "own_model": (["prepare", "train", "score_them", "report"], []),
    "reviews_steps": (["prepare", "train", "evaluate"], []),
    "settings_and_magics": (["prepare", "train", "evaluate"], []),
    "tables_of_all_kinds": (["prepare", "compare", "summary_of_results"], []),
}
DATA = {"settings_and_magics": "weather/hourly", "tables_of_all_kinds": "sales"}
IN_CI = ["files_between"]  # the others need seconds each, and the full run has them
EACH = [pytest.param(name, marks=[] if name in IN_CI else pytest.mark.full) for name in NOTEBOOKS]


class Made(NamedTuple):
    folder: Path  # the model's
    files: list[str]  # that the conversion has made there
    pipeline: Pipeline


@pytest.fixture(scope="session")
def baked(bake: Bake) -> Path:
    return bake()


def converted(baked: Path, name: str, tmp_path: Path) -> Made:
    """Convert a notebook by the verb; the tests of what was made come with it."""
    project = copy_of(baked, tmp_path / "project")
    folder = next((project / "models").glob("*"))
    before = files_of(folder)
    done = aml(project, "notebook", FOLDER / "steps" / f"{name}.ipynb", "--steps", "--no-data", "--force")
    assert done.code == 0
    told(done, *NOTEBOOKS[name][1])
    pipeline = read(folder)
    assert list(pipeline.steps) == NOTEBOOKS[name][0]
    return Made(folder, [file for file, text in files_of(folder).items() if before.get(file) != text], pipeline)


def carried_out(python: Path, made: Made, data: Path, tmp_path: Path) -> Done:
    """Run the steps one after another, each in a folder of its own, with what those before have left."""
    said: list[str] = []
    written: dict[str, bytes] = {}
    figures = 0
    all_of_it = tmp_path / "all"
    for step in made.pipeline.order():
        own = shutil.copytree(made.folder, tmp_path / "runs" / step.name)
        before = files_of(own)
        leads = {name: tmp_path / "out" / source.step if source.step else data for name, source in step.inputs.items()}
        leads |= dict.fromkeys(step.outputs, tmp_path / "out" / step.name)
        args = [word for name, place in leads.items() for word in (f"--{name}", place)]
        said += run(
            python, "-W", "ignore", step.script, *args, *step.words(made.pipeline.parameters), cwd=own
        ).splitlines()
        assert not {file for file in files_of(own).keys() - before.keys() if "__pycache__" not in file}
        left = files_of(tmp_path / "out" / step.name) if step.outputs else {}
        names = {name for later in made.pipeline.steps.values() for name in names_handed(own / later.script)}
        handed = {f"{name}.{suffix}" for name in names
                  for suffix in ("pkl", "npy", "parquet")}  # fmt: skip
        for file, content in left.items():
            if file.startswith("figures/"):
                assert is_picture(content)
                figures += 1
            elif file not in handed | {"random-state.pkl"}:
                written[file] = content
                (all_of_it / file).parent.mkdir(parents=True, exist_ok=True)
                (all_of_it / file).write_bytes(content)
    return Done(said, written, figures, all_of_it)


def names_handed(script: Path) -> set[str]:
    """The values that a script saves for those that come later."""
    return {
        keyword.arg for node in ast.walk(ast.parse(script.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "save"
        for keyword in node.keywords if keyword.arg
    }  # fmt: skip


@pytest.mark.parametrize("name", EACH)
def test_the_steps_do_what_the_notebook_does(pythons: Pythons, baked: Path, tmp_path: Path, name: str) -> None:
    made = converted(baked, name, tmp_path)
    notebook = executed(pythons, f"steps/{name}", tmp_path / "notebook")
    data = shutil.copytree(FOLDER / "data" / DATA.get(name, ""), tmp_path / "put elsewhere é")
    steps = carried_out(pythons.script, made, data, tmp_path / "steps")
    assert_same(pythons, notebook, steps, tmp_path)


def test_every_notebook_of_steps_is_in_the_table() -> None:
    assert {path.stem for path in (FOLDER / "steps").glob("*.ipynb")} == NOTEBOOKS.keys()


@pytest.mark.parametrize("name", EACH)
def test_the_scripts_are_what_lint_leaves(baked: Path, tmp_path: Path, name: str) -> None:
    made = converted(baked, name, tmp_path)
    scripts = [file for file in made.files if file.endswith(".py") and not file.startswith("tests/")]
    assert scripts
    for file in scripts:
        text = (made.folder / file).read_text(encoding="utf-8")
        assert not re.search(r"get_ipython|IPython", text)
    project = made.folder.parents[1]
    paths = [made.folder / file for file in scripts]
    run(BIN / "ruff", "format", "--check", *paths, cwd=project)
    run(BIN / "ruff", "check", "--select", "I,F401,F811,E402", *paths, cwd=project)
