"""train.py: what it writes, what it copes with, and what it says when it can't."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from evaluation import coverage, evaluate, margin_of, summary
from runtime import arguments
from tests.conftest import MODEL
from train import load_data, parse_args


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def write_table(folder: Path, rows: list[dict[str, Any]]) -> Path:
    folder.mkdir()
    with (folder / "table.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return folder


def loaded(data: Path, label: str, task: str = "classification") -> tuple[pd.DataFrame, pd.Series]:
    return load_data(parse_args([f"--data-path={data}", f"--label={label}", f"--task={task}"]))


OF_CLASSES = "classification_report.json confusion_matrix.json confusion_matrix.png roc_curve.json roc_curve.png"
OF_NUMBERS = "predicted_actual.csv predicted_actual.png residuals.json residuals.png"


def test_model_metrics_and_evaluation_are_written(outputs: Path, classifies: bool) -> None:
    files = {str(path.relative_to(outputs)) for path in outputs.rglob("*") if path.is_file()}
    evaluation = {f"evaluation/{name}" for name in (OF_CLASSES if classifies else OF_NUMBERS).split()}
    assert {"metrics.json", "model/schema.json"} | evaluation < files
    assert any(file.startswith("model/model.") for file in files)


def test_metrics_agree_with_what_is_drawn(outputs: Path, classifies: bool) -> None:
    metrics = read(outputs / "metrics.json")
    if not classifies:
        rows = pd.read_csv(outputs / "evaluation/predicted_actual.csv")
        assert (rows["actual"] - rows["predicted"]).to_numpy() == pytest.approx(rows["residual"], abs=1e-5)
        assert metrics["mae"] == pytest.approx(rows["residual"].abs().mean(), rel=1e-4)
        assert metrics["rmse"] == pytest.approx((rows["residual"] ** 2).mean() ** 0.5, rel=1e-4)
        assert 0.85 < (rows["residual"].abs() <= metrics["margin"]).mean() < 0.95
        assert 0.85 < metrics["coverage"] < 0.95
        return
    matrix = read(outputs / "evaluation/confusion_matrix.json")
    counts = matrix["counts"]
    right = sum(counts[i][i] for i in range(len(counts)))
    total = sum(map(sum, counts))
    assert metrics["accuracy"] == pytest.approx(right / total, abs=1e-6)
    assert matrix["labels"] == read(outputs / "model/schema.json")["classes"]


def test_parameters_metrics_and_figures_are_in_mlflow(outputs: Path) -> None:
    (run,) = (path.parent for path in outputs.parent.glob("mlruns/0/*/meta.yaml"))
    assert (run / "params/seed").read_text() == "42"
    for name, value in read(outputs / "metrics.json").items():
        assert float((run / "metrics" / name).read_text().splitlines()[-1].split()[1]) == pytest.approx(value)
    for figure in (outputs / "evaluation").glob("*.png"):
        assert (run / "artifacts/evaluation" / figure.name).stat().st_size > 1000


def test_the_same_seed_gives_the_same_metrics(here: Any, outputs: Path, tmp_path: Path) -> None:
    here()
    assert read(tmp_path / "outputs/metrics.json") == read(outputs / "metrics.json")


def test_three_classes_from_several_files_with_holes(here: Any, tmp_path: Path) -> None:
    rows = [
        {"the size": i % 7 if i % 5 else None, "colour": ["red", "Grün", None][i % 3], "kind": ["b", "a", "c c"][i % 3]}
        for i in range(90)
    ]
    data = write_table(tmp_path / "data", [*rows[:60], {"the size": 1, "colour": "red", "kind": None}])
    pd.DataFrame(rows[60:]).to_parquet(data / "more.parquet")
    here("--task=classification", "--label", "kind", data=data)
    assert read(tmp_path / "outputs/model/schema.json") == {
        "columns": [
            {"name": "the size", "type": "number"},
            {"name": "colour", "type": "category", "categories": ["Grün", "red"]},
        ],
        "task": "classification",
        "classes": ["a", "b", "c c"],
        "threshold": None,
        "margin": None,
        "reading": {},
    }
    assert set(read(tmp_path / "outputs/evaluation/roc_curve.json")) == {"a", "b", "c c"}


def test_a_number_is_predicted_from_several_files_with_holes(here: Any, tmp_path: Path) -> None:
    """Some of the numbers are 0, of which no miss is a share."""
    rows = [
        {"the size": i % 7 if i % 5 else None, "colour": ["red", "Grün", None][i % 3], "price": 10.0 * (i % 7)}
        for i in range(90)
    ]
    data = write_table(tmp_path / "data", [*rows[:60], {"the size": 1, "colour": "red", "price": None}])
    pd.DataFrame(rows[60:]).to_parquet(data / "more.parquet")
    here("--task=regression", "--label", "price", data=data)
    schema, metrics = read(tmp_path / "outputs/model/schema.json"), read(tmp_path / "outputs/metrics.json")
    assert schema["columns"][0] == {"name": "the size", "type": "number"}
    assert (schema["task"], schema["classes"], schema["margin"]) == ("regression", [], metrics["margin"])
    assert {"rmse", "mae", "r2", "mape", "coverage"} < metrics.keys()
    residuals = read(tmp_path / "outputs/evaluation/residuals.json")
    assert residuals["zeros"] > 0 and metrics["mape"] < 10
    shown = pd.read_csv(tmp_path / "outputs/evaluation/predicted_actual.csv")
    assert sum(residuals["histogram"]["counts"]) == len(shown)


# Sixty sales in twelve shops on twenty days, in no order; each amount is that of one row.
SALES: list[dict[str, Any]] = [
    {"shop": f"s{n % 12}", "day": f"2024-01-{n % 20 + 1:02}", "size": n % 7, "amount": n}
    for n in (place * 23 % 60 for place in range(60))
]


@pytest.mark.parametrize(
    ("option", "how"), [("--split-by=shop", "each shop on one side"), ("--time=day", "the latest by day")]
)
def test_the_rows_that_judge_are_those_that_were_asked_for(
    here: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, how: str
) -> None:
    column = option.partition("=")[2]
    here("--task=regression", "--label=amount", option, data=write_table(tmp_path / "data", SALES))
    amounts = set(pd.read_csv(tmp_path / "outputs/evaluation/predicted_actual.csv")["actual"])
    held, learned = (
        {row[column] for row in SALES if (row["amount"] in amounts) == is_held} for is_held in (True, False)
    )
    assert held and learned and not held & learned
    assert column == "shop" or min(held) > max(learned)
    assert f"tested on {len(amounts)}, {how}: rmse" in capsys.readouterr().out
    features = [entry["name"] for entry in read(tmp_path / "outputs/model/schema.json")["columns"]]
    assert {*features} == {"shop", "day", "size"} - {column}


def test_folds_judge_as_well_or_are_refused(here: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A network is trained once: a metric of one split must not pass for one of folds."""
    data = write_table(tmp_path / "data", SALES)
    given = ("--task=regression", "--label=amount", "--split-by=shop", "--folds=3")
    if (MODEL / "network.py").exists():
        with pytest.raises(SystemExit) as ended:
            here(*given, data=data)
        said = "a network is trained once, not 3 times; search.yml with folds: {seed: [1, 2, 3]} trains again for each"
        assert ended.value.code == 2
        assert capsys.readouterr().err.splitlines()[-1].endswith(f"error: argument --folds: {said}")
        return
    here(*given, data=data)
    folds = read(tmp_path / "outputs/evaluation/folds.json")
    metrics = read(tmp_path / "outputs/metrics.json")
    assert metrics["rmse_folds_mean"] == pytest.approx(np.mean([fold["rmse"] for fold in folds]))
    assert metrics["rmse_folds_std"] == pytest.approx(np.std([fold["rmse"] for fold in folds]))
    assert len(folds) == 3 and metrics["rmse_folds_std"] > 0


def test_every_framework_takes_the_same_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    """So that a runconfig need not know which one it starts; it is told what this one has no use for."""
    args = parse_args(["--data-path=x", "--epochs=3", "--batch-size", "8", "--es-patience=2", "--seed=1"])
    assert (args.data_path, args.seed, args.train_test_split_ratio) == (Path("x"), 1, 0.3)
    wanted = {"epochs": 3, "batch_size": 8, "es_patience": 2}
    used = {name: value for name, value in vars(args).items() if name in wanted}
    told = "" if used else "NOTE: this model has no use for --epochs, --batch-size, --es-patience\n"
    assert (used, capsys.readouterr().err) == (used and wanted, told)


def test_an_argument_that_none_takes_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_args(["--epochs", "3", "--epoch-size", "4"])
    assert capsys.readouterr().err.splitlines()[-1].endswith("error: unrecognized arguments: --epoch-size 4")


@pytest.mark.parametrize("ratio", ["0", "1", "-0.3", "nan", "most"])
def test_a_wrong_share_is_one_line(ratio: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_args([f"--train-test-split-ratio={ratio}"])
    assert "error: " in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("label", "rows", "said"),
    [
        ("nosuch", [{"x": 1, "y": "a"}], "--label nosuch: no such column; the data has x, y"),
        ("y", [{"x": 1, "y": "a"}, {"x": 2, "y": "a"}], "--label y: needs two classes or more"),
        ("y", [{"x": 1, "y": "a"}, {"x": 2, "y": "a"}, {"x": 2, "y": "b"}], "with two rows or more of each"),
    ],
)
def test_wrong_data_is_one_line(tmp_path: Path, label: str, rows: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(SystemExit, match=said):
        loaded(write_table(tmp_path / "data", rows), label)


NUMBERS: list[dict[str, Any]] = [{"x": number, "y": number * 0.5} for number in range(12)]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([*NUMBERS, {"x": 1, "y": "much"}], r"--label y: 'much' in row 12 is no number, or too large a one; --task"),
        ([{"x": row["x"], "y": row["x"] > 5} for row in NUMBERS], "--label y: 'False' in row 0 is no number"),
        ([*NUMBERS, {"x": 1, "y": 1e39}], "row 12: column 'y' holds a number that is infinite or too large"),
        (NUMBERS[:9], "--label y: needs 10 rows or more, and two different numbers or more"),
        ([{"x": row["x"], "y": 5} for row in NUMBERS], "and two different numbers or more"),
    ],
)
def test_what_is_no_number_to_predict_is_one_line(tmp_path: Path, rows: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(SystemExit, match=said):
        loaded(write_table(tmp_path / "data", rows), "y", "regression")


def test_many_numbers_for_classes_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = "40 different numbers are taken for classes; --task regression predicts a number"
    few = [{"x": number % 7, "y": number % 20} for number in range(80)]
    loaded(write_table(tmp_path / "few", few), "y")
    assert not capsys.readouterr().err
    many = [{"x": number % 7, "y": number % 40 / 2} for number in range(80)]
    loaded(write_table(tmp_path / "many", many), "y")
    assert capsys.readouterr().err == f"NOTE: --label y: {told}\n"
    with pytest.raises(SystemExit, match=f"--label y: needs two classes .* of each; {told}$"):
        loaded(write_table(tmp_path / "once", many[:40]), "y")


@pytest.mark.parametrize(
    ("answers", "task", "label"),
    [
        ('{"task": "regression"}', "regression", "monthly_fee"),
        ('{"task": "classification"}', "classification", "churned"),
        ('{"framework": "none"}', "classification", "churned"),
        ("", "classification", "churned"),
    ],
)
def test_the_task_is_what_the_model_was_made_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: str, task: str, label: str
) -> None:
    """Models of before there was the question, and those that have lost their answers, classify."""
    monkeypatch.setattr(arguments, "ANSWERS", tmp_path / "answers.json")
    if answers:
        (tmp_path / "answers.json").write_text(answers)
    args = parse_args([])
    assert (args.task, args.label) == (task, label)
    assert parse_args(["--task=regression"]).task == "regression"


def test_a_task_that_there_is_not_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_args(["--task=ranking"])
    assert "argument --task: invalid choice: 'ranking'" in capsys.readouterr().err.splitlines()[-1]


def test_the_margin_holds_for_rows_that_are_new() -> None:
    """Whatever the misses are: 9 of 10 new ones, drawn in the same way, are no larger."""
    random = np.random.default_rng(7)
    for draw in (random.standard_normal, random.standard_exponential, random.standard_cauchy):
        kept = []
        for _ in range(400):
            margin = margin_of(np.abs(draw(size=19)))
            assert margin is not None
            kept.append(np.mean(np.abs(draw(size=200)) <= margin))
        assert 0.89 < np.mean(kept) < 0.92
    assert margin_of(np.ones(8)) is None
    assert margin_of(np.ones(9)) == 1
    assert coverage(np.ones(17)) is None, "half of them are too few to say"
    assert coverage(np.array([1.0, 2.0] * 10)) == 0.5


def test_what_was_drawn_for_the_other_task_is_gone(tmp_path: Path) -> None:
    evaluate(np.array(["a", "b"]), np.eye(2), ["a", "b"], tmp_path)
    (tmp_path / "mine.txt").touch()
    results = evaluate(np.array([0.0]), np.array([0.5]), [], tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {"mine.txt", *OF_NUMBERS.split()}
    assert (results, summary(results)) == ({"rmse": 0.5, "mae": 0.5}, "rmse 0.5")


def test_missing_values_are_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows: list[dict[str, Any]] = [
        {f"x{i}": n if n % 2 else None for i in range(7)} | {"y": "ab"[n % 2]} for n in range(6)
    ]
    features, labels = loaded(write_table(tmp_path / "data", [*rows, rows[0] | {"y": None}]), "y")
    assert len(features) == len(labels) == 6
    told = "Missing values, of 7 rows: x0 in 4, x1 in 4, x2 in 4, x3 in 4, x4 in 4 and 3 columns more\n"
    assert capsys.readouterr().out == told


def test_a_broken_or_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"nowhere: no \.csv or \.parquet file there"):
        loaded(tmp_path / "nowhere", "y")
    (tmp_path / "empty.csv").touch()
    with pytest.raises(SystemExit, match=r"empty\.csv: No columns to parse"):
        loaded(tmp_path, "y")
