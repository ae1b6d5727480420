"""The steps that the engine does itself, each in a process of its own, as a script's: a registration, a search.

python -m aml_project.pipeline.own_steps register '{"root": …}'
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from aml_project.command_line import DONE, Failure, without_secrets


def command(what: str, **given: Any) -> list[str]:
    """What starts such a process; it is told nothing secret."""
    return [sys.executable, "-m", __name__, what, json.dumps(given, default=str)]


def register(*, root: str, model: str, step: str, asset: str, metrics: str, rules: dict[str, Any]) -> None:
    """Register a folder or file as the model's next version, through the gate of `make register`."""
    from aml_project.api import Project, Run
    from aml_project.service import pipeline_model, run_file

    project = Project(root)
    sdk = pipeline_model.bring(project.workspace.sdk, model, step, Path(asset), Path(metrics) if metrics else None)
    run_file.write(project.root / "models" / model / "run.json", sdk)
    run = Run(project, sdk.experiment.name, sdk.id, sdk=sdk)
    print(project.model(model).register(run, **rules))


def search(*, root: str, model: str, file: str, folder: str, words: list[str]) -> None:
    """Search as search.yml says; the best trial's outputs/ are those of the step."""
    from aml_project.search import definition, engines, record
    from aml_project.search.trials import place_of

    wanted = definition.read(Path(root, "models", model), file)
    here = Path(folder, "search")
    code = engines.get("local").run(engines.Order(Path(root), model, wanted, kept=here, words=tuple(words)))
    best = record.best(record.Record(here).of(wanted), wanted)
    if code != DONE or best is None:
        raise Failure(f"the search ended with the code {code}")
    outputs = Path(folder, "outputs")
    shutil.rmtree(outputs, ignore_errors=True)
    shutil.copytree(place_of(here, best.number) / "outputs", outputs, copy_function=os.link)
    values = json.dumps({"trial": best.number, **dataclasses.asdict(best)["values"]})
    (outputs / "best-trial.json").write_text(f"{values}\n", encoding="utf-8")


def main(what: str, given: str) -> int:
    try:
        (register if what == "register" else search)(**json.loads(given))
    except Failure as failure:
        print(without_secrets(f"ERROR: {failure}"), file=sys.stderr)
        return failure.code
    return DONE


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
