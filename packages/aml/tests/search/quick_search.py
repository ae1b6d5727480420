"""A model that trains in no time, in all the ways in which a trial can end, and the search of it."""

import csv
from pathlib import Path

from tests.owner import set_up

# It notes each start, so that a trial that ran twice is seen.
TRAIN = """
import argparse, json, os, pathlib, signal, sys, time

parser = argparse.ArgumentParser()
parser.add_argument("--x", type=float, default=0.5)
parser.add_argument("--n", type=int, default=1)
parser.add_argument("--how", default="fine")
parser.add_argument("--fast", action="store_true")
parser.add_argument("--epochs", type=int, default=0)
args = parser.parse_args()
model = pathlib.Path("aml_config").resolve().parent  # a link, as all but train.py
with open(model / "starts.log", "a") as log:
    log.write(f"{pathlib.Path.cwd().name}\\n")
print("x is", args.x, flush=True)
score = 1 - (args.x - 0.3) ** 2
for epoch in range(args.epochs):
    with open(os.environ["AML_STEPS_FILE"], "a") as steps:
        steps.write(json.dumps({"step": epoch, "metrics": {"score": score}}) + "\\n")
    time.sleep(0.6 if args.x > 0.8 else 0)
if args.how == "crash":
    raise ValueError("no such data")
if args.how == "hang":
    print("hangs", flush=True)
    (model / f"hangs-{os.getpid()}").touch()
    time.sleep(600)
if args.how == "signal":
    os.kill(os.getpid(), signal.SIGKILL)
folder = pathlib.Path("outputs", "model")
folder.mkdir(parents=True)
(folder / "x.txt").write_text(str(args.x))
said = {"nan": '{"score": NaN}', "text": "not JSON", "list": "[]", "other": '{"other": 1}'}
if args.how != "nothing":
    text = said.get(args.how) or json.dumps({"score": score, "other": 1})
    pathlib.Path("outputs", "metrics.json").write_text(text)
sys.exit(0)
"""
SEARCH = """
metric: score
goal: maximize
trials: 4
parallel: 2
algorithm: random
parameters:
  x: {low: 0.0, high: 1.0}
"""


class Quick:
    """A project with this model, and what its search has left."""

    def __init__(self, root: Path) -> None:
        self.root, self.folder = root, root / "models" / "quick"
        (self.folder / "aml_config").mkdir(parents=True)
        (self.folder / "train.py").write_text(TRAIN)
        self.says()
        set_up(root, "quick")

    def says(self, *changes: tuple[str, str]) -> None:
        write_search(self.folder, SEARCH, *changes)

    @property
    def results(self) -> Path:
        return self.folder / "outputs" / "search"

    def rows(self) -> list[dict[str, str]]:
        return rows_in(self.results)

    def starts(self) -> list[str]:
        log = self.folder / "starts.log"
        return log.read_text().split() if log.exists() else []


def write_search(folder: Path, text: str, *changes: tuple[str, str]) -> None:
    """Write a model's search.yml, with some changes."""
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / "search.yml").write_text(text)


def rows_in(results: Path) -> list[dict[str, str]]:
    """What the table of a search says, a row for each trial."""
    with (results / "trials.csv").open() as stream:
        return list(csv.DictReader(stream))


def lives(pid: int) -> bool:
    """Whether a process is there, and not only its end that nobody has asked for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
