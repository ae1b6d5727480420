"""A model whose pipeline runs in no time, in all the ways in which a step can end."""

from pathlib import Path

from aml_project.pipeline.record import Record
from tests.owner import set_up

# Each script notes its start, so that a step that ran twice is seen, and does as --how says.
BASE = """
import argparse, os, pathlib, sys, time

def begin(*inputs):
    parser = argparse.ArgumentParser()
    for name in inputs:
        parser.add_argument(name)
    parser.add_argument("--how", default="fine")
    args = parser.parse_args()
    here, model = pathlib.Path.cwd(), pathlib.Path(__file__).resolve().parent
    with open(model.parents[1] / "starts.log", "a") as log:
        log.write(f"{here.parent.name}\\n")
    print("does", here.parent.name, flush=True)
    if args.how == "crash":
        raise ValueError("no such data")
    if args.how == "hang":
        (model.parents[1] / f"hangs-{os.getpid()}").touch()
        time.sleep(600)
    return args
"""
SCRIPTS = {
    "base.py": BASE,
    "words.py": 'def joined(parts):\n    return " ".join(parts)\n',
    "prepare.py": """
import pathlib
import base, words
args = base.begin("--data-path", "--output-path")
parts = [file.read_text() for file in sorted(pathlib.Path(args.data_path).iterdir())]
if args.how != "nothing":
    pathlib.Path(args.output_path, "parts.txt").write_text(words.joined(parts))
""",
    "train.py": """
import json, pathlib
import base
args = base.begin("--data-path", "--seed")
folder = pathlib.Path("outputs", "model")
folder.mkdir(parents=True)
text = pathlib.Path(args.data_path, "parts.txt").read_text()
if args.how != "nothing":
    (folder / "model.txt").write_text(f"{text}, {args.seed}")
    (folder.parent / "metrics.json").write_text(json.dumps({"accuracy": 0.8}))
""",
    "evaluate.py": """
import json, pathlib
import base
args = base.begin("--model", "--data-path", "--output-path")
text = pathlib.Path(args.model, "model.txt").read_text()
pathlib.Path(args.output_path, "metrics.json").write_text(json.dumps({"accuracy": 0.8, "length": len(text)}))
""",
    "look.py": """
import pathlib
import base
args = base.begin("--data-path", "--report")
pathlib.Path(args.report).write_text(f"{len(list(pathlib.Path(args.data_path).iterdir()))} files")
""",
    "score_batch.py": """
import argparse, os, pathlib

def init():
    global model
    parser = argparse.ArgumentParser()
    parser.add_argument("--model")
    parser.add_argument("--how", default="fine")
    args, _ = parser.parse_known_args()
    model = pathlib.Path(args.model, "model.txt").read_text()
    if args.how == "crash":
        raise ValueError("no such model")

def run(mini_batch):
    print("process", os.getpid(), flush=True)
    if any("bad" in file for file in mini_batch):
        raise ValueError("no such item")
    return [f"{pathlib.Path(file).name}: {len(model)}" for file in mini_batch]
""",
}
PIPELINE = """
parameters: {seed: 42, how: fine}
steps:
  prepare:
    run: prepare.py
    in: {data-path: data}
    out: {output-path: folder}
  look:
    run: look.py
    in: {data-path: data}
    out: {report: file.txt}
  train:
    run: train.py
    in: {data-path: prepare.output-path}
    out: {model: outputs/model}
    arguments: {seed: parameters.seed, how: parameters.how}
  evaluate:
    run: evaluate.py
    in: {model: train.model, data-path: prepare.output-path}
    out: {output-path: folder}
"""
REGISTER = """
  register:
    register: {model: train.model, metrics: evaluate.output-path, require: [accuracy>=0.7]}
"""
SCORE = """
  score:
    run: score_batch.py
    in: {model: train.model, input: data}
    out: {scores: file.txt}
    parallel: {over: input, nodes: 2, processes: 2, items: 2}
"""
STEPS = ["prepare", "look", "train", "evaluate"]


class Quick:
    """A project with this model, and what its pipeline has left."""

    def __init__(self, root: Path) -> None:
        self.root, self.folder, self.data = root, root / "models" / "quick", root / "data" / "quick"
        (self.folder / "aml_config").mkdir(parents=True)
        for name, text in SCRIPTS.items():
            (self.folder / name).write_text(text)
        self.data.mkdir(parents=True)
        for number in range(5):
            (self.data / f"{number}.txt").write_text(f"part {number}")
        self.says(PIPELINE)
        set_up(root, "quick")

    def says(self, text: str) -> None:
        (self.folder / "pipeline.yml").write_text(text)

    def edit(self, name: str, old: str, new: str) -> None:
        text = (self.folder / name).read_text()
        assert old in text
        (self.folder / name).write_text(text.replace(old, new))

    @property
    def kept(self) -> Path:
        return self.folder / "outputs" / "pipeline"

    def states(self) -> dict[str, str]:
        return {name: step.state for name, step in Record.read(self.kept).steps.items()}

    def output(self, step: str, *parts: str) -> Path:
        """What a step has left in the last run."""
        return self.kept.joinpath(Record.read(self.kept).steps[step].folder, *parts)

    def starts(self, *, forget: bool = False) -> list[str]:
        """The steps whose scripts have begun, so far or since they were forgotten."""
        log = self.root / "starts.log"
        found = log.read_text().split() if log.exists() else []
        if forget:
            log.unlink(missing_ok=True)
        return found
