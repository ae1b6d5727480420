"""runtime/report.py: what the data hold, counted; and a page that needs nothing else, whatever they hold."""

import argparse
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtime import report

LABELS = np.array(["no", "yes", "no", "no"])
NUMBER = np.array([1, 2, np.nan, 4], np.float32)
COLOUR = np.array(["red", "", "red", "green"], dtype=object)


def page(folder: Path, table: dict[Any, Any], label: str = "churned", **args: Any) -> str:
    found = report.profile(table, LABELS, label)
    path = report.write(folder, found, argparse.Namespace(**args), {"accuracy": 0.5})
    assert json.loads((folder / "data-profile.json").read_text(encoding="utf-8")) == found
    return path.read_text(encoding="utf-8")


def test_a_profile_counts_what_the_columns_hold() -> None:
    found = report.profile({"size": NUMBER, "colour": COLOUR}, LABELS, "churned")
    assert (found["rows"], found["label"]["name"], found["label"]["values"]) == (4, "churned", {"no": 3, "yes": 1})
    size, colour = found["columns"]["size"], found["columns"]["colour"]
    assert {name: size[name] for name in ("missing", "distinct", "least", "median", "most", "mean")} == {
        "missing": 1, "distinct": 3, "least": 1, "median": 2, "most": 4, "mean": pytest.approx(7 / 3),
    }  # fmt: skip
    assert sum(size["histogram"]["counts"]) == 3 and len(size["histogram"]["edges"]) == report.BINS + 1
    assert colour == {"type": "category", "missing": 1, "distinct": 2, "values": {"red": 2, "green": 1}}


@pytest.mark.parametrize("values", [[np.nan] * 4, [7.0] * 4, [2.0**53] * 4, [-0.0, 0.0, 1e38, -1e38]])
def test_odd_numbers_are_counted_and_drawn(tmp_path: Path, values: list[float]) -> None:
    text = page(tmp_path, {"x": np.array(values, np.float32)})
    assert "nan" not in text.lower().replace("nance", "") and "inf " not in text
    json.loads((tmp_path / "data-profile.json").read_text(), parse_constant=pytest.fail)


def test_numbers_as_labels_are_spread_like_a_column() -> None:
    assert "histogram" in report.profile({}, np.array([1.5, 2.5, 9.0]), "price")["label"]


def test_only_the_frequent_values_of_a_category_are_named(tmp_path: Path) -> None:
    many = np.array([f"value {number}" for number in range(50)], dtype=object)
    found = report.profile({"id": many}, many, "id")["columns"]["id"]
    assert (found["distinct"], len(found["values"])) == (50, report.VALUES)


def test_what_the_data_say_is_text_on_the_page(tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>$rows"
    text = page(tmp_path, {hostile: COLOUR, 'a "b"': np.array([hostile] * 4, dtype=object)}, hostile, note=hostile)
    assert "<script" not in text and text.count("&lt;script&gt;alert(1)&lt;/script&gt;$rows") == 4


def test_the_page_needs_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "evaluation").mkdir()
    (tmp_path / "evaluation" / "roc_curve.png").write_bytes(b"a picture")
    text = page(tmp_path, {"size": NUMBER}, seed=42)
    assert 'src="data:image/png;base64,YSBwaWN0dXJl" alt="roc curve"' in text
    assert not re.search(r"(src|href)=.?(?!.?data:)", text) and "http" not in text
    assert "<dt>seed</dt><dd>42</dd>" in text and "<b>0.5</b>accuracy" in text


def test_a_wide_table_stays_readable(tmp_path: Path) -> None:
    text = page(tmp_path, {f"column {number}": NUMBER for number in range(500)})
    assert text.count("<tr><th>column ") == report.SHOWN
    assert f"{500 - report.SHOWN} more columns are in data-profile.json" in text
    assert len(json.loads((tmp_path / "data-profile.json").read_text())["columns"]) == 500


def test_images_have_no_columns(tmp_path: Path) -> None:
    text = page(tmp_path, {}, "class")
    assert "4 images" in text and "<section hidden>" in text
