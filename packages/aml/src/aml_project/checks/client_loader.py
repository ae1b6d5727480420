"""Ask the client's own loader about runconfigs: what it says to each, without waiting for its import.

It runs in a process of its own, which imports while the other checks are made. There azureml.core is made known without
running its __init__, which imports all of the client: the module of the runconfigs takes two thirds of that time.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import json
import logging
import subprocess
import sys
import types
import warnings
from pathlib import Path
from typing import Any

START = "import sys; sys.path[0] = sys.argv[1]; from aml_project.checks.client_loader import serve; serve()"
PATIENCE = 60  # seconds for all of them together
MEND = "remove .venv/.tools, and the next make brings it"


class Client:
    """Starts the process, collects the questions, and asks them all at once."""

    def __init__(self) -> None:
        self.questions: list[tuple[str, str, str]] = []
        self.process = subprocess.Popen(
            [sys.executable, "-c", START, str(Path(__file__).parents[2])],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        with self.process:  # closes its pipes
            pass

    def ask(self, label: str, folder: Path, name: str) -> None:
        """Have a runconfig of aml_config/ loaded; label begins the line about it."""
        self.questions.append((label, str(folder), name))

    def findings(self) -> list[str]:
        """What the client says, one line for each runconfig that it refuses."""
        if not self.questions:
            return []
        trouble = ""
        try:
            asked = json.dumps([question[1:] for question in self.questions])
            out, trouble = self.process.communicate(asked, timeout=PATIENCE)
            answer = json.loads(out)
        except subprocess.TimeoutExpired:
            return [f"azureml-core: gave no answer about the runconfigs in {PATIENCE} s: run it again"]
        except (ValueError, OSError):
            return [f"azureml-core: can't be used here: {trouble.strip().rpartition(chr(10))[2][:200]}: {MEND}"]
        if isinstance(answer, str):
            return [f"azureml-core: not whole here ({answer}), so its own loader was not asked: {MEND}"]
        return [
            f"{label}: the client refuses it: {said}: mend that"
            for (label, _, _), said in zip(self.questions, answer, strict=True)
            if said is not None
        ]


def serve() -> None:
    """The process: answer the questions on the input with null, or the client's error in a line."""
    answer, sys.stdout = sys.stdout, sys.stderr  # whatever the client prints is no answer
    warnings.simplefilter("ignore")
    logging.disable()
    try:
        load = quick_loader()
    except ModuleNotFoundError as error:
        json.dump(f"no {error.name}", answer)
        return
    json.dump([said(load, folder, name) for folder, name in json.load(sys.stdin)], answer)


def quick_loader() -> Any:
    """RunConfiguration.load, the real one. A process that calls this can't use the rest of the client."""
    import azureml

    name = "azureml.core"
    spec = importlib.machinery.PathFinder.find_spec(name, azureml.__path__)
    if spec is None or spec.submodule_search_locations is None:
        raise ModuleNotFoundError(name, name=name)
    package = types.ModuleType(name)
    package.__path__ = list(spec.submodule_search_locations)
    package.__spec__ = spec
    sys.modules[name] = package
    return importlib.import_module("azureml.core.runconfig").RunConfiguration.load


def said(load: Any, folder: str, name: str) -> str | None:
    """What the client says to a runconfig: nothing, or its error."""
    try:
        load(folder, name)
    except Exception as error:
        text = " ".join(str(getattr(error, "message", "") or error).split())
        return f"{type(error).__name__}: {text}"[:300]
    return None
