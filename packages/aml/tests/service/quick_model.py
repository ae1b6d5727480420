"""A model that trains in a second, and whoever submits its runs and registers what comes of them."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

from aml_project import project
from tests.aml import Done
from tests.owner import Owner, set_up
from tests.support import PYTHON, WORKSPACE

LINES = 25
# Numbered lines, a metric, a model; no package, so that its environment is there at once.
TRAIN = f"""
import pathlib, time
for number in range({LINES}):
    print(f"line {{number}} é", flush=True)
    time.sleep(0.04)
folder = pathlib.Path("outputs", "model")
folder.mkdir(parents=True, exist_ok=True)
(folder / "weights.txt").write_text("1 2 3")
print("no end of line", end="")
"""
CONDA = f"dependencies: [python={PYTHON}, pip, {{pip: []}}]\n"
RUNCONFIG = """
script: train.py
arguments: []
target: TARGET
framework: Python
communicator: None
nodeCount: 1
environment:
  name: quick-TARGET
  python: {userManagedDependencies: LOCAL, interpreterPath: python, condaDependenciesFile: aml_config/train-conda.yml}
  docker: {enabled: REMOTE, baseImage: "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04:20251130.v1"}
docker: {useDocker: REMOTE}
history: {outputCollection: true, snapshotProject: true, directoriesToWatch: [logs]}
"""
TARGETS = {"train-local": "local", "train-amlcompute": "cpu-cluster"}


# What may happen to a request that makes something.
TROUBLES: dict[str, dict[str, Any]] = {
    "429": {"status": 429, "headers": {"Retry-After": "1"}},
    "500": {"status": 500},
    "503": {"status": 503},
    "a token that has expired": {"expire_tokens": True},
    "nothing arrives": {"drop": "before"},
    "the answer is lost": {"drop": "after"},
}


class Trainer(Owner):
    """Whoever submits runs of a model that trains in a second."""

    @property
    def run_file(self) -> Path:
        return self.project / "models" / "quick" / "run.json"

    def call(self, verb: str, *args: str | Path, **variables: str) -> Done:
        return super().call(verb, "--model=quick", *args, **variables)

    def start(self, verb: str, *args: str | Path, **variables: str) -> "subprocess.Popen[str]":
        return super().start(verb, "--model=quick", *args, **variables)

    def submit(self, config: str, *args: str) -> Done:
        return self.call("submit", "-c", config, "--skip-check", *args)

    @property
    def runs(self) -> dict[str, dict[str, Any]]:
        return dict(self.rehearsal.state()["runs"])

    def versions(self, name: str) -> list[str]:
        return [key for key, model in self.rehearsal.state()["models"].items() if model["name"] == name]


def project_of_quick_model(folder: Path) -> Path:
    """Make a project of nothing but such a model."""
    model = folder / "models" / "quick"
    (model / "aml_config").mkdir(parents=True)
    (model / "train.py").write_text(TRAIN, encoding="utf-8")
    (model / ".amlignore").write_text("outputs/\nrun.json\n")
    (model / "aml_config" / "train-conda.yml").write_text(CONDA)
    for config, target in TARGETS.items():
        text = RUNCONFIG.replace("TARGET", target)
        text = text.replace("LOCAL", str(target == "local").lower()).replace("REMOTE", str(target != "local").lower())
        (model / "aml_config" / f"{config}.runconfig").write_text(text)
    project.attach(folder, WORKSPACE)
    set_up(folder, "quick")
    return folder


def check_log(out: str) -> None:
    """Every line of the script was printed once, in order, also the last, which has no end."""
    assert re.findall(r"^line (\d+) é$", out, re.MULTILINE) == [str(number) for number in range(LINES)], out
    assert out.count("no end of line") == 1


def check_completed(owner: Trainer, run_id: str) -> None:
    """A run that is whole: completed, with its snapshot, its model, and its record here without a token."""
    run = owner.runs[run_id]
    assert run["status"] == "Completed"
    assert owner.rehearsal.snapshot(run_id)["train.py"] == TRAIN.encode()
    assert owner.rehearsal.artifact(run_id, "outputs/model/weights.txt") == b"1 2 3"
    record = json.loads(owner.run_file.read_text())
    assert (record["run_id"], record["_experiment_name"], record["status"]) == (run_id, "quick", "Completed")
    assert "token" not in record
    assert not list((owner.project / ".azureml" / "submissions").iterdir())
