"""A registered dataset as a DataFrame: for a notebook here, and within a run."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from pyarrow import BufferReader, parquet

from aml_project import Failure, Project
from aml_rehearsal.services import datasets
from tests.conftest import Rehearse
from tests.environments import Environments
from tests.owner import Owner
from tests.support import PYTHON, WORKSPACE, rendered

TABLE = "code,day,amount,empty\n01,2024-01-02,1.5,\n02,2024-01-03,NA,\nA3,2024-01-04,7,\n"
READ = {"code": ["01", "02", "A3"], "amount": [1.5, None, 7.0], "empty": [None, None, None]}
# How a tabular dataset of these files is read, as the service keeps it.
STEPS = """transformations:
  - {"read_delimited": {"delimiter": ",", "encoding": "utf8", "header": "all_files_same_headers"}}
  - {"keep_columns": ["code", "amount"]}
  - {"convert_column_types": [{"columns": "amount", "column_type": "float"}]}
"""
TRAIN = """
import argparse
from pathlib import Path

from runtime.data import load_tabular_dataset

frame = load_tabular_dataset("codes")
Path("outputs").mkdir(exist_ok=True)
Path("outputs", "metrics.json").write_text('{"accuracy": 1}')
Path("outputs", "read.json").write_text(frame.drop(columns="day").to_json(orient="values"))
"""


def test_a_dataset_is_read_here_and_in_a_run(
    tmp_path: Path, environments: Environments, rehearse: Rehearse, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = environments.set_up(rendered(tmp_path, python_version=PYTHON, dataset_name="of-codes", **WORKSPACE))
    owner = Owner(project, rehearse(project))
    codes = project / "data" / "codes"
    codes.mkdir()
    (codes / "codes.csv").write_text(TABLE)
    owner.out("dataset", f"--from={codes}", "--name=codes")

    (project / "models" / "model1" / "train.py").write_text(TRAIN)
    owner.out("submit", "-c", "train-local", "--skip-check")
    run = json.loads((project / "models" / "model1" / "run.json").read_text())["run_id"]
    rows = [list(row) for row in zip(*READ.values(), strict=True)]
    assert json.loads(owner.rehearsal.artifact(run, "outputs/read.json")) == rows

    with owner.tables() as tables:
        [version] = tables.datasets["codes"]
        flow = json.loads(version["latest"]["dataflow"])
        flow["meta"]["RsDataflow"] = flow["meta"]["RsDataflow"].replace("metadata:\n", f"{STEPS}metadata:\n")
        wish = {"name": "a table", "datasetType": "tabular", "latest": {"dataflow": json.dumps(flow)}}
        datasets.add_version(owner.rehearsal.workspace, wish)
    for name, value in owner.login().items():
        monkeypatch.setenv(name, value)
    model = Project(project).model()
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "pandas", None)
        with pytest.raises(Failure, match="pandas is not in this Python"):
            model.load_tabular_dataset("a table")
        # The tests' own Python has no pandas: this is what that one would read.
        patched.setitem(sys.modules, "pandas", SimpleNamespace(read_parquet=Path.read_bytes))
        content = model.load_tabular_dataset("a table", version=1)
    table = parquet.read_table(BufferReader(content))
    assert table.to_pydict() == {name: READ[name] for name in ("code", "amount")}
