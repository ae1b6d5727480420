"""aml add search: a search.yml of what this model's train.py takes, and what the checks say of one."""

from pathlib import Path

import pytest

from aml_project.checks import search_rules
from aml_project.search import definition, proposal
from tests.aml import aml
from tests.conftest import Bake
from tests.owner import attached
from tests.support import FRAMEWORKS, WORKSPACE, files_of

PARAMETERS = {
    "sklearn": ["regularization", "max-iter"],
    "pytorch": ["batch-size", "learning-rate", "es-patience"],
    "tensorflow": ["batch-size", "learning-rate", "es-patience"],
    "none": ["seed"],
    "auto3dseg": ["learning-rate"],
}
SCRIPT = """
import argparse, json
parser = argparse.ArgumentParser()
parser.add_argument("--data-path")
parser.add_argument("--depth", type=int, default=6)
parser.add_argument("--dropout", type=float, default=0.5)
parser.add_argument("--alpha", type=float, default=1e-4)
parser.add_argument("--kind", choices=["tree", "forest"], default="tree")
parser.add_argument("--shuffle", action="store_true")
args = parser.parse_args()
json.dump({"rmse": 1.0}, open("outputs/metrics.json", "w"))
"""


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_each_framework_gets_what_it_takes(bake: Bake, tmp_path: Path, framework: str) -> None:
    project = attached(bake(**WORKSPACE, framework=framework), tmp_path)
    folder = project / "models" / "model1"
    before = files_of(project)
    done = aml(project, "add", "search")
    assert (done.code, done.err) == (0, "")
    assert done.out.count("\n") == 2
    assert files_of(project).keys() - before.keys() == {"models/model1/search.yml"}
    search = definition.read(folder)
    assert [parameter.name for parameter in search.parameters] == PARAMETERS[framework]
    metric = "validation_loss" if "es-patience" in PARAMETERS[framework] else "roc_auc"
    metric = "dice" if framework == "auto3dseg" else metric
    assert (search.metric, search.goal) == (metric, "minimize" if metric == "validation_loss" else "maximize")
    assert (search.stop is not None) == (search.metric == "validation_loss")
    assert list(search_rules.findings(folder)) == []


def test_a_regression_is_judged_by_how_far_off_it_is(bake: Bake) -> None:
    folder = bake(task="regression") / "models" / "model1"
    search, findings = definition.parse(proposal.make(folder).text)
    assert search is not None, findings
    assert (search.metric, search.goal) == ("rmse", "minimize")


def test_added_twice_is_added_once_and_what_is_the_owner_s_stays(bake: Bake, tmp_path: Path) -> None:
    project = attached(bake(**WORKSPACE), tmp_path)
    file = project / "models" / "model1" / "search.yml"
    shown = aml(project, "add", "search", "--dry-run").out
    assert not file.exists()
    aml(project, "add", "search")
    assert file.read_text() == shown
    assert aml(project, "add", "search") == (0, "models/model1/search.yml: is there already\n", "")
    file.write_text(shown + "# mine\n")
    done = aml(project, "add", "search")
    assert (done.code, done.err) == (
        1,
        "ERROR: models/model1/search.yml: is there already: remove it first, and a new one is written\n",
    )
    assert file.read_text() == shown + "# mine\n"


def test_a_script_of_one_s_own_gets_ranges_around_its_defaults(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "mine"
    folder.mkdir(parents=True)
    (folder / "train.py").write_text(SCRIPT)
    proposed = proposal.make(folder)
    search, findings = definition.parse(proposed.text)
    assert search is not None, findings
    assert (search.metric, search.goal) == ("rmse", "minimize")
    assert search.parameters == (
        definition.Range("depth", 3, 12),
        definition.Range("dropout", 0.05, 0.95),
        definition.Range("alpha", 1e-05, 0.001, log=True),
        definition.Choice("kind", ("tree", "forest")),
    )
    (folder / "search.yml").write_text(proposed.text)
    assert list(search_rules.findings(folder)) == []


@pytest.mark.parametrize(
    ("parameter", "said"),
    [
        ("dept: {low: 1, high: 9}", "parameters.dept: train.py has no --dept: write depth"),
        (
            "depth: {low: 1.0, high: 9.0}",
            "parameters.depth: --depth takes whole numbers: write low, high",
        ),
        ("depth: [1, 2.5]", "parameters.depth: --depth takes whole numbers, and not 2.5: remove it"),
        ("alpha: {low: 1, high: 9}", "parameters.alpha: 1 to 9 in whole numbers is all that is tried, and --alpha tak"),
        ("alpha: [low]", "parameters.alpha: --alpha takes numbers, and not 'low': remove it"),
        ("kind: [tree, bush]", "parameters.kind: --kind takes one of tree, forest, and not 'bush'"),
        ("kind: {low: 1, high: 2}", "parameters.kind: --kind takes one of tree, forest: write them in brackets"),
        ("shuffle: [yes please]", "parameters.shuffle: --shuffle takes no value: write [true, false]"),
        ("shuffle: {low: 1, high: 2}", "parameters.shuffle: --shuffle takes no value: write [true, false]"),
        ("data-path: [true]", "parameters.data-path: --data-path takes a value: write 'true' in quotes"),
        ("shuffle: [true, false]", ""),
        ("alpha: {low: 1, high: 9, step: 1}", ""),
    ],
)
def test_what_train_py_would_not_take_is_told_before_anything_starts(tmp_path: Path, parameter: str, said: str) -> None:
    (tmp_path / "train.py").write_text(SCRIPT)
    (tmp_path / "search.yml").write_text(f"metric: rmse\ngoal: minimize\nparameters:\n  {parameter}\n")
    found = list(search_rules.findings(tmp_path))
    assert [line.startswith(f"search.yml: {said}") for line in found] == [True] * bool(said), found


def test_a_metric_that_train_py_does_not_write_is_told(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(SCRIPT)
    (tmp_path / "search.yml").write_text("metric: mse\ngoal: minimize\nparameters:\n  depth: [1]\n")
    said = "search.yml: metric: train.py writes no mse"
    assert list(search_rules.findings(tmp_path)) == [f"{said}: name a key of its outputs/metrics.json"]
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs" / "metrics.json").write_text('{"rmse": 1, "mae": 2}')
    assert list(search_rules.findings(tmp_path)) == [f"{said}; it has written rmse, mae: write rmse"]


def test_a_repo_that_asks_for_it_is_made_with_it(bake: Bake) -> None:
    asked, not_asked = bake(search="yes"), bake()
    more = files_of(asked).keys() - files_of(not_asked).keys()
    assert more == {"models/model1/search.yml"}
