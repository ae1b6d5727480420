"""Same steps, same numbers: what a pipeline makes here and on a rehearsal's cluster."""

from pathlib import Path

import pytest

from aml_project.pipeline import cache, definition, folder_of
from aml_project.pipeline.azure_steps import part_of
from aml_project.pipeline.definition import Output
from aml_project.pipeline.record import Record
from pipeline.cloud_pipeline import PIPELINE, Piper

Files = dict[str, bytes]


def made_here(model: Path, step: str, output: Output) -> Files:
    """What a step of the last run here has handed on, as it is named on a cluster."""
    kept = folder_of(model)
    place, part = cache.place_of(kept / Record.read(kept).steps[step].folder, output), part_of(output)
    if place.is_file():
        return {part: place.read_bytes()}
    return {(Path(part) / file.relative_to(place)).as_posix(): file.read_bytes()
            for file in place.rglob("*") if file.is_file()}  # fmt: skip


def check_same(piper: Piper, model: Path) -> dict[str, int]:
    """Compare each output, byte by byte, rows of a parallel step in any order; the files of each step."""
    pipeline, found = definition.read(model), {}
    for step in pipeline.steps.values():
        for output in step.outputs.values():
            here, there = made_here(model, step.name, output), piper.handed_on(step.name, output.name)
            if step.kind == "parallel":
                here, there = ({name: b"\n".join(sorted(text.split(b"\n"))) for name, text in files.items()}
                               for files in (here, there))  # fmt: skip
            assert here and here == there, f"{step.name}.{output.name}"
            found[f"{step.name}.{output.name}"] = len(here)
    return found


def test_here_and_there(piper: Piper) -> None:
    """Parameters, flags, a path, a folder, a file of rows: with a parameter of the call."""
    piper.says(text=PIPELINE)
    for where in ((), ("--on", "cpu-cluster", "--skip-check")):
        done = piper.call("pipeline", "--set", "fast=false", "--set", "seed=5", *where)
        assert done.code == 0, done.err
    assert check_same(piper, piper.folder) == {
        "prepare.output-path": 1, "train.model": 1, "evaluate.output-path": 1, "score.scores": 1,
    }  # fmt: skip
