"""Notebooks of several steps, as the tests write them, and both ways of running one.

They need the standard library only. A notebook runs as its cells do, one after
another in one process, and the steps each in a process and a folder of its own, as the engines of pipelines run them.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from aml_project.notebooks import cells, step_scripts
from aml_project.pipeline.definition import Pipeline, parse
from notebooks.books import DATA, code, write, write_data
from tests.support import files_of

HANDED = re.compile(r".*\.(pkl|npy|parquet)$")  # beside what the notebook itself writes


class Done(NamedTuple):
    said: list[str]
    files: dict[str, bytes]


class Made(NamedTuple):
    files: dict[str, str]
    notes: list[str]
    pipeline: Pipeline


def book(path: Path, text: str) -> Path:
    """Write a notebook: --- is between its cells, `## Heading` begins one of text, and `#!` that of the parameters."""
    return write(path, *map(cell, text.strip("\n").split("\n---\n")))


def cell(source: str) -> dict[str, Any]:
    if source.startswith(("# ", "##")):
        return {"cell_type": "markdown", "metadata": {}, "source": source}
    return code(source.removeprefix("#!\n"), **({"tags": ["parameters"]} if source.startswith("#!") else {}))


def made(path: Path, *wanted: str) -> Made:
    """Convert it, and read the pipeline.yml as an engine does."""
    found = step_scripts.convert(path, cells.python_of_ipython(), wanted=wanted)
    pipeline, wrong = parse(found.files["pipeline.yml"])
    assert pipeline is not None, wrong
    return Made(found.files, [str(finding) for finding in found.script.findings], pipeline)


def run_book(path: Path, folder: Path) -> Done:
    """Run the cells one after another, beside the data."""
    import json

    folder.mkdir()
    write_data(folder)
    sources = [each["source"] for each in json.loads(path.read_text())["cells"] if each["cell_type"] == "code"]
    (folder / "cells.py").write_text("\n\n".join(sources))
    said = start(folder / "cells.py", folder)
    new = {name: data for name, data in files_of(folder).items() if name not in DATA and name != "cells.py"}
    return Done(said, new)


def run_steps(made: Made, folder: Path) -> Done:
    """Run each step in a folder of its own; where several may come next, the last of them in the file does."""
    model, data = folder / "model", folder / "data"
    model.mkdir(parents=True)
    write_data(data)
    for name, text in made.files.items():
        (model / name).write_text(text)
    said, written = {}, dict[str, bytes]()
    waiting = list(made.pipeline.steps.values())
    while waiting:
        step = [each for each in waiting if not set(each.needs) & {other.name for other in waiting}][-1]
        waiting.remove(step)
        own = shutil.copytree(model, folder / "runs" / step.name)
        inputs = {
            name: folder / "out" / each.step if each.step else data / "input" for name, each in step.inputs.items()
        }
        outputs = dict.fromkeys(step.outputs, folder / "out" / step.name)
        args = [f"--{name}={place}" for name, place in (inputs | outputs).items()]
        said[step.name] = start(own / step.script, own, *args, *step.words(made.pipeline.parameters))
        left = files_of(own).keys() - made.files.keys()
        assert not {name for name in left if "__pycache__" not in name}, "a file lies beside the step's output"
        if outputs:
            written |= {
                name: text for name, text in files_of(folder / "out" / step.name).items() if not HANDED.match(name)
            }
    return Done([line for name in made.pipeline.steps for line in said[name]], written)


def start(script: Path, folder: Path, *args: str) -> list[str]:
    done = subprocess.run([sys.executable, script.name, *args], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stderr}\n{script.read_text()}"
    return done.stdout.splitlines()
