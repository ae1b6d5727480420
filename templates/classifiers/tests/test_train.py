"""train.py: what it writes, what it copes with, and what it says when it can't."""

import csv
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

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


def test_model_metrics_and_evaluation_are_written(outputs: Path) -> None:
    files = {str(path.relative_to(outputs)) for path in outputs.rglob("*") if path.is_file()}
    assert {
        "metrics.json",
        "model/schema.json",
        "evaluation/classification_report.json",
        "evaluation/confusion_matrix.json",
        "evaluation/confusion_matrix.png",
        "evaluation/roc_curve.json",
        "evaluation/roc_curve.png",
    } < files
    assert any(file.startswith("model/model.") for file in files)


def test_metrics_agree_with_the_confusion_matrix(outputs: Path) -> None:
    metrics = read(outputs / "metrics.json")
    matrix = read(outputs / "evaluation/confusion_matrix.json")
    counts = matrix["counts"]
    right = sum(counts[i][i] for i in range(len(counts)))
    total = sum(map(sum, counts))
    assert metrics["accuracy"] == pytest.approx(right / total, abs=1e-6)
    assert matrix["labels"] == read(outputs / "model/schema.json")["classes"]


def test_parameters_metrics_and_figures_are_in_mlflow(outputs: Path) -> None:
    (run,) = (path.parent for path in outputs.parent.glob("mlruns/0/*/meta.yaml"))
    assert (run / "params/seed").read_text() == "42"
    logged = float((run / "metrics/accuracy").read_text().split()[1])
    assert logged == pytest.approx(read(outputs / "metrics.json")["accuracy"])
    assert (run / "artifacts/evaluation/roc_curve.png").stat().st_size > 1000


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
    here("--label", "kind", data=data)
    assert read(tmp_path / "outputs/model/schema.json") == {
        "columns": [
            {"name": "the size", "type": "number"},
            {"name": "colour", "type": "category", "categories": ["Grün", "red"]},
        ],
        "task": "classification",
        "classes": ["a", "b", "c c"],
        "reading": {},
    }
    assert set(read(tmp_path / "outputs/evaluation/roc_curve.json")) == {"a", "b", "c c"}


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
        load_data(parse_args([f"--data-path={write_table(tmp_path / 'data', rows)}", f"--label={label}"]))


def test_missing_values_are_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows: list[dict[str, Any]] = [
        {f"x{i}": n if n % 2 else None for i in range(7)} | {"y": "ab"[n % 2]} for n in range(6)
    ]
    data = write_table(tmp_path / "data", [*rows, rows[0] | {"y": None}])
    features, labels = load_data(parse_args([f"--data-path={data}", "--label=y"]))
    assert len(features) == len(labels) == 6
    told = "Missing values, of 7 rows: x0 in 4, x1 in 4, x2 in 4, x3 in 4, x4 in 4 and 3 columns more\n"
    assert capsys.readouterr().out == told


def test_a_broken_or_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"nowhere: no \.csv or \.parquet file there"):
        load_data(parse_args([f"--data-path={tmp_path / 'nowhere'}"]))
    (tmp_path / "empty.csv").touch()
    with pytest.raises(SystemExit, match=r"empty\.csv: No columns to parse"):
        load_data(parse_args([f"--data-path={tmp_path}"]))
