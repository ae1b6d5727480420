"""The graph of a pipeline, as text and as a page."""

import re
from pathlib import Path

import pytest

from aml_project.pipeline import definition, page
from aml_project.pipeline.definition import Pipeline
from aml_project.pipeline.record import DONE, FAILED, KEPT, RUNNING, Record, StepRun

TEXT = """
parameters: {title: "<b>"}
inputs: {holdout: {path: ../holdout}}
steps:
  prepare: {run: prepare.py, in: {data-path: data}, out: {output-path: folder}}
  train: {run: train.py, in: {data-path: prepare.output-path}, out: {model: outputs/model}}
  alone: {run: train.py, out: {model: outputs/model}}
  evaluate: {run: evaluate.py, in: {model: train.model, rows: prepare.output-path, more: holdout}, out: {o: folder}}
  report: {run: report.py, in: {model: train.model, numbers: evaluate.o}}
"""


@pytest.fixture
def pipeline() -> Pipeline:
    found, findings = definition.parse(TEXT)
    assert found is not None, findings
    return found


@pytest.fixture
def record(tmp_path: Path) -> Record:
    steps = [
        StepRun("prepare", KEPT, seconds=1.25, folder="steps/prepare/abc"),
        StepRun("train", DONE, seconds=75, folder="steps/train/abc", started="2026-01-02T03:04:05+00:00"),
        StepRun("alone", RUNNING, folder="steps/alone/abc"),
        StepRun("evaluate", FAILED, seconds=3700, folder="steps/evaluate/abc", why="ended with the code 1: <script>"),
    ]
    return Record(tmp_path, {}, {step.name: step for step in steps})


def test_each_step_is_a_line_with_what_leads_to_it(pipeline: Pipeline, record: Record) -> None:
    assert page.as_text(pipeline, record, is_running=True) == [
        "●        prepare   as before        1.2 s  ← data",
        "├─●      train     done          1:15 min",
        "│ │ ◐    alone     running",
        "╰─┼─✗    evaluate  failed       1:01:40 h  ← holdout",
        "  ╰─┴─○  report    waiting",
    ]


def test_what_ran_when_it_was_killed_is_no_longer_running(pipeline: Pipeline, record: Record) -> None:
    assert "interrupted" in page.as_text(pipeline, record, is_running=False)[2]
    assert "refresh" not in page.text("churn", pipeline, record, is_running=False)
    assert "refresh" in page.text("churn", pipeline, record, is_running=True)


def test_the_page_needs_nothing_else_and_leads_to_the_logs(pipeline: Pipeline, record: Record) -> None:
    text = page.text("churn", pipeline, record, is_running=False)
    links = set(re.findall(r'(?:href|src)="([^"]*)"', text))
    named = {f"{step.folder}/{file}" for step in record.steps.values() for file in ("", "log.txt")}
    assert links == named
    assert "<script" not in text and "<b>" not in text
    assert "ended with the code 1: &lt;script&gt;" in text and "title: &lt;b&gt;" in text
    assert "1 as before, 1 done, 1 interrupted, 1 failed, 1 waiting." in text
    assert text.count("<rect") == len(pipeline.steps) + 2, "a box for each step and each input"
    assert text.count("marker-end") == 7, "a line for each that leads to a step"


def test_each_step_stands_right_of_what_it_needs(pipeline: Pipeline) -> None:
    columns, lines = page.layers_of(pipeline)
    page.arrange(columns, lines)
    layers = {node.name: node.layer for column in columns for node in column if node.shown}
    assert [layers[name] for name in ("in:data", "prepare", "train", "evaluate", "report")] == [0, 1, 2, 3, 4]
    assert layers["in:holdout"] == 2, "an input is beside what reads it"
    for column in columns:
        assert len({node.at for node in column}) == len(column), "no two on one another"
    for line in lines:
        assert [node.layer for node in line] == list(range(line[0].layer, line[-1].layer + 1))
