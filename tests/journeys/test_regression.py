"""A model that predicts numbers, in the hands of its owner: trained, checked, served, scored in batches, registered."""

import csv
import json
import re
from itertools import islice
from pathlib import Path

import pytest

from aml_project.project import task
from tests.conftest import Rehearse
from tests.environments import Environments
from tests.journeys.test_project import post, sample
from tests.owner import Owner
from tests.support import PYTHON, WORKSPACE, rendered, run, served

# What score.py needs of a training, beside schema.json.
SERVED = {
    "sklearn": ["model.onnx"],
    "pytorch": ["model.pt", "encoding.json"],
    "tensorflow": ["model.keras", "encoding.json"],
    "none": ["model.json"],
}
OTHERS = [pytest.param(framework, marks=pytest.mark.full) for framework in SERVED if framework != "sklearn"]
TRAINED = r"Trained on 1400 rows, tested on 600: rmse ([\d.]+), R² (-?[\d.]+)"


@pytest.mark.parametrize("framework", ["sklearn", *OTHERS])
def test_numbers_from_a_table_to_the_registry(
    tmp_path: Path, environments: Environments, rehearse: Rehearse, framework: str
) -> None:
    project = environments.set_up(
        rendered(tmp_path, framework=framework, task="regression", python_version=PYTHON, **WORKSPACE)
    )
    model = project / "models" / "model1"
    owner = Owner(project, rehearse(project))
    owner.out("check")
    said = re.search(TRAINED, owner.out("submit", "-c", "train-local"))
    assert said
    learns = framework != "none"
    assert float(said[2]) > 0.7 if learns else float(said[2]) == pytest.approx(0, abs=0.02)
    run_id = json.loads((model / "run.json").read_text())["run_id"]
    assert task(model) == "regression" and ".answers.json" in owner.rehearsal.snapshot(run_id), "it says so in a run"
    metrics = json.loads(owner.rehearsal.artifact(run_id, "outputs/metrics.json"))
    assert 0.85 < metrics["coverage"] < 0.95

    refused = owner.error("register", "--require", "rmse<=0.5", code=1)
    assert re.fullmatch(r"ERROR: not registered: rmse is [\d.]+, not <= 0\.5", refused)
    assert "model1:1" in owner.out("register", "--require", "rmse<=20", "--better-than-current", "rmse")

    trained = model / "outputs" / "model"
    trained.mkdir(parents=True)
    for name in ["schema.json", *SERVED[framework]]:
        (trained / name).write_bytes(owner.rehearsal.artifact(run_id, f"outputs/model/{name}"))
    with served(project, tmp_path / "log", ["make", "serve", "PORT={port}"]) as url:
        status, answer = post(url, sample(project))
    assert status == 200
    for row in answer["predictions"]:
        assert [row["value"] - row["low"], row["high"] - row["value"]] == pytest.approx([metrics["margin"]] * 2)
    check_batch(project, tmp_path, answer["predictions"])


def check_batch(project: Path, folder: Path, answers: list[dict[str, float]]) -> None:
    """Batches give the numbers that requests get."""
    rows = sample(project)["data"]
    with (folder / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    run("make", "batch", f"ARGS=--input '{folder / 'rows.csv'}'", cwd=project)
    with (project / "models" / "model1" / "outputs" / "scores.csv").open(newline="", encoding="utf-8") as file:
        found = list(islice(csv.DictReader(file), len(rows)))
    names = list(answers[0])
    assert list(found[0]) == ["file", "row", *names]
    assert [[float(row[name]) for name in names] for row in found] == [
        pytest.approx(list(answer.values()), rel=1e-6) for answer in answers
    ]


@pytest.mark.full
@pytest.mark.parametrize("framework", SERVED)
def test_its_own_tests_hold_for_numbers_too(tmp_path: Path, environments: Environments, framework: str) -> None:
    project = environments.set_up(rendered(tmp_path, framework=framework, task="regression", python_version=PYTHON))
    said = run("make", "test", cwd=project)
    assert "failed" not in said and re.search(r"=+ \d+ passed", said), said[-2000:]


# What the owner writes into train.py in place of Ridge, and whether ONNX can stand for it.
ESTIMATORS = {
    "Ridge()": True,
    "RandomForestRegressor(random_state=1)": True,
    "HistGradientBoostingRegressor(random_state=1)": True,
    "KernelRidge()": False,
}
COMPARE = """
import sys, numpy, pandas, score
from runtime import input_schema
folder, schema = input_schema.find("outputs")
table = input_schema.to_table(pandas.read_csv(sys.argv[1]), schema.columns)
given, wanted = score.load_model(folder, schema)(table), score.load_pipeline(folder / "model.pkl", schema)(table)
print("largest difference", abs(given / wanted - 1).max())
"""


@pytest.mark.full
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_what_is_served_gives_the_numbers_of_the_pipeline(
    tmp_path: Path, environments: Environments, estimator: str
) -> None:
    project = environments.set_up(rendered(tmp_path, task="regression", python_version=PYTHON))
    model, python = project / "models" / "model1", project / ".venv" / "model1" / "bin" / "python"
    imported = (
        "from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor\n"
        "from sklearn.kernel_ridge import KernelRidge\n\n\ndef build_model("
    )
    train = re.sub(r"Ridge\(alpha=.*\)\n", f"{estimator}\n", (model / "train.py").read_text())
    if "Regressor" in estimator:  # a scaled number moves rows across the splits of trees
        train = train.replace(", StandardScaler())", ")")
    (model / "train.py").write_text(train.replace("def build_model(", imported, 1))
    said = run(python, "train.py", cwd=model)
    assert ("No ONNX export, score.py will use the slower model.pkl" in said) != ESTIMATORS[estimator]
    assert (model / "outputs" / "model" / "model.onnx").exists() == ESTIMATORS[estimator]
    said = run(python, "-c", COMPARE, project / "data" / "model1" / "customers.csv", cwd=model)
    assert float(said.split("largest difference ")[1]) < 1e-4
