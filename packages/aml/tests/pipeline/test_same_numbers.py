"""Same steps, same numbers: what a pipeline makes here and on a rehearsal's cluster."""

import json
import re
import struct
import zlib
from pathlib import Path

import pytest

from aml_project.pipeline import cache, definition, folder_of
from aml_project.pipeline.azure_steps import part_of
from aml_project.pipeline.definition import Output
from aml_project.pipeline.record import Record
from pipeline.cloud_pipeline import PIPELINE, Piper
from tests.conftest import Bake, Rehearse
from tests.environments import Environments
from tests.owner import attached
from tests.support import WORKSPACE

Files = dict[str, bytes]


def made_here(model: Path, step: str, output: Output) -> Files:
    """What a step of the last run here has handed on, as it is named on a cluster."""
    kept = folder_of(model)
    place, part = cache.place_of(kept / Record.read(kept).steps[step].folder, output), part_of(output)
    if place.is_file():
        return {part: place.read_bytes()}
    return {(Path(part) / file.relative_to(place)).as_posix(): file.read_bytes()
            for file in place.rglob("*") if file.is_file()}  # fmt: skip


def rows(files: Files) -> Files:
    """Rows as they are alike on each computer: in any order, their file named without the folder that it lies in."""
    return {
        name: b"\n".join(sorted(re.sub(rb"^\S*/", b"", row) for row in text.split(b"\n")))
        for name, text in files.items()
    }


def check_same(piper: Piper, model: Path) -> dict[str, int]:
    """Compare each output, byte by byte; return how many files each is."""
    pipeline, found = definition.read(model), {}
    for step in pipeline.steps.values():
        for output in step.outputs.values():
            here, there = made_here(model, step.name, output), piper.handed_on(step.name, output.name)
            if step.kind == "parallel":
                here, there = rows(here), rows(there)
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


def draw_images(folder: Path) -> None:
    """Pictures of two classes in place of the table, as a network takes them: a sub-folder a class, dark and bright."""
    for file in folder.iterdir():
        file.unlink()
    for number in range(40):
        kind = ("dark", "bright")[number % 2]
        place = folder / kind / f"{number:02}.png"
        place.parent.mkdir(exist_ok=True)
        value = 30 + number if kind == "dark" else 180 + number
        place.write_bytes(png(16, bytes([value, value // 2, number])))


def png(size: int, colour: bytes) -> bytes:
    """A square of one colour."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = (b"\0" + colour * size) * size
    head = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


MODELS = {
    "sample table": {"framework": "sklearn"},
    "images": {"framework": "pytorch"},
}


@pytest.mark.full
@pytest.mark.parametrize("kind", MODELS)
def test_a_rendered_model(
    bake: Bake, tmp_path: Path, environments: Environments, rehearse: Rehearse, kind: str
) -> None:
    """The five steps that `aml add pipeline` writes: prepared, trained, evaluated, registered, scored in parallel."""
    project = attached(bake(**MODELS[kind], **WORKSPACE), tmp_path)
    if kind == "images":
        draw_images(project / "data" / "model1")
    environments.set_up(project)
    owner = Piper(project, rehearse(project), model="model1")
    owner.out("add", "pipeline")
    for where in ((), ("--on", "cpu-cluster", "--skip-check")):
        done = owner.call("pipeline", "--debug", *where)
        assert done.code == 0, done.err
    found = check_same(owner, owner.folder)
    print(kind, found)
    assert list(found) == [
        "prepare.train-path", "prepare.test-path", "train.model", "evaluate.output-path", "score.scores",
    ]  # fmt: skip
    metrics = json.loads(owner.handed_on("evaluate", "output-path")["metrics.json"])
    assert metrics["accuracy"] >= 0.6
    versions = owner.rehearsal.state()["models"].values()
    assert [float(version["kvTags"]["accuracy"]) for version in versions] == [metrics["accuracy"]] * 2
