"""runtime/saving.py: what score.py loads has all that the model needs, wherever that was defined."""

import importlib
import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import joblib
import matplotlib.colors
import pytest
import yaml
from sklearn.preprocessing import FunctionTransformer

saving: Any = importlib.import_module("runtime.saving")  # which scikit-learn's models alone have

OWN = """
import threading

lock = threading.Lock()
FACTOR = 3


class Base:
    def __init__(self):
        super().__init__()


class Scale(Base):
    def __init__(self):
        super().__init__()

    def __call__(self, rows):
        return times(rows)


def times(rows):
    return [FACTOR * value for value in rows]
"""
FRESH = """
import sys, joblib
print([joblib.load(path).transform([1, 2]) for path in sys.argv[1:]])
print({"train", "beside", "away"} & {*sys.modules})
"""


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model's folder, with a module of its own in each place that one may lie in."""
    folder = tmp_path / "model"
    for file in (folder / "train.py", folder / "beside.py", tmp_path / "elsewhere" / "away.py"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(OWN)
        monkeypatch.syspath_prepend(file.parent)
        monkeypatch.delitem(sys.modules, file.stem, raising=False)
    monkeypatch.setattr(saving, "MODEL", folder.resolve())
    return folder


def test_a_fresh_process_loads_what_the_model_needs(model: Path) -> None:
    """By value what is defined in train.py and away from the model; a module beside train.py is imported there."""
    own = {name: importlib.import_module(name) for name in ("train", "away", "beside")}
    functions = {"lambda": lambda rows: [3 * value for value in rows]}
    for name, module in own.items():
        functions |= {name: module.times, f"{name}-object": module.Scale()}
    for name, function in functions.items():
        saving.save_pickle(FunctionTransformer(function), model / f"{name}.pkl")
    command = [sys.executable, "-c", FRESH, *(f"{name}.pkl" for name in functions)]
    (model / "train.py").write_text("raise SystemExit('it is not to be imported')")
    done = subprocess.run(command, cwd=model, capture_output=True, text=True)
    assert done.stdout == f"{[[3, 6]] * len(functions)}\n{{'beside'}}\n", done.stderr


def test_a_model_that_cant_be_saved_is_refused_where_it_is_trained(model: Path) -> None:
    file = model / "model.pkl"
    file.write_bytes(b"of an earlier training")

    lock = threading.Lock()
    said = r"^model.pkl: the model can't be saved: cannot pickle '_thread.lock' object; .*"
    with pytest.raises(SystemExit, match=said):
        saving.save_pickle(FunctionTransformer(lambda rows: (lock, rows)), file)
    assert file.read_bytes() == b"of an earlier training"
    assert [path.name for path in model.iterdir() if path.suffix == ".part"] == []


def test_a_package_that_serving_would_lack_is_told(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither what is listed there nor what that brings; named as the list has it, in the version of the training."""
    (model / "aml_config").mkdir()
    listing = model / "aml_config" / "inference-conda.yml"
    listing.write_text("dependencies:\n  - python=3.11\n  - pip:\n      - scikit_learn==1.7.2\n")
    functions = [matplotlib.colors.to_hex, joblib.hash, json.dumps, lambda rows: yaml.safe_load(rows)["x"]]
    saving.save_pickle([FunctionTransformer(function) for function in functions], model / "model.pkl")
    needed = [f"matplotlib=={matplotlib.__version__}", f"PyYAML=={yaml.__version__}"]
    lines = [f"NOTE: model.pkl needs {name} where it is served: add it to aml_config/{listing.name}" for name in needed]
    assert capsys.readouterr().err.splitlines() == lines
    listing.write_text(listing.read_text() + "".join(f"      - {name}\n" for name in needed))
    saving.save_pickle([FunctionTransformer(function) for function in functions], model / "model.pkl")
    assert capsys.readouterr().err == ""
