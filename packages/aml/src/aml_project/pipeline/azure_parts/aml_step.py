"""Starts a step of a pipeline in Azure ML: calls its script as it is called at home, and hands on what that leaves.

    python aml_step.py --run:train.py --in:data-path: FOLDER --value:seed 42 --keep:outputs/model FOLDER

It lies beside the step's script, runs in the step's own Python, and needs nothing but that. A ParallelRunStep imports
it and calls init() and run(), which are the script's. Of each output the folder is given, in which it has its own name.
"""

from __future__ import annotations

import importlib
import inspect
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

RANKS = ("OMPI_COMM_WORLD_RANK", "RANK")  # of a process among several; the first one hands on
scripts: dict[str, Any] = {}  # the script of a ParallelRunStep, once it is imported


class Call:
    """What the arguments of a step say."""

    def __init__(self, given: list[str]) -> None:
        self.script = ""
        self.arguments: list[str] = []
        self.filled: list[tuple[str, Path, str]] = []  # the argument, the folder, what is to lie in it
        self.kept: list[tuple[str, Path]] = []  # what the script leaves, and the folder for it
        words = iter(given)
        for word in words:
            kind, colon, rest = word.partition(":")
            if kind == "--run" and colon:
                self.script = rest
            elif kind in ("--in", "--out", "--value", "--flag", "--keep") and colon:
                self.take(kind, rest, next(words))
            else:
                self.arguments.append(word)

    def take(self, kind: str, rest: str, value: str) -> None:
        name, _, part = rest.partition(":")
        if kind in ("--in", "--out"):
            self.arguments += ["--" + name, str(Path(value, part))]
            if kind == "--out":
                self.filled.append((name, Path(value), part))
        elif kind == "--value":
            self.arguments.append(f"--{name}={value}")
        elif kind == "--flag":
            self.arguments += ["--" + name] if value.lower() == "true" else []
        else:
            self.kept.append((rest, Path(value)))

    def hand_on(self) -> None:
        """Put what the script has left where the outputs lead; end where it has left nothing."""
        for name, folder, part in self.filled:
            if not (folder / part).exists() or not any(folder.iterdir()):
                sys.exit(f"{self.script} has left nothing at --{name}, which the step hands on")
        for path, folder in self.kept:
            source, place = Path(path), folder / Path(path).name
            if not source.exists():
                sys.exit(f"{self.script} has left no {path}, which the step hands on")
            for file in [source] if source.is_file() else filter(Path.is_file, source.rglob("*")):
                copy = place / file.relative_to(source)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(str(file), str(copy))  # without rights and times, which a mounted folder may refuse


def module(script: str) -> str:
    """A script as Python's -m names it: with the step's folder, not its own, in the path of imports."""
    return ".".join(Path(script).with_suffix("").parts)


def main() -> None:
    call = Call(sys.argv[1:])
    for _, folder, _ in call.filled:
        folder.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen([sys.executable, "-u", "-m", module(call.script), *call.arguments])
    signal.signal(signal.SIGTERM, lambda number, _: process.send_signal(number))
    code = process.wait()
    if code:
        sys.exit(code if code > 0 else 128 - code)
    if all(os.environ.get(rank, "0") == "0" for rank in RANKS):
        call.hand_on()


def init() -> None:
    call = Call(sys.argv[1:])
    for _, folder, _ in call.filled:
        folder.mkdir(parents=True, exist_ok=True)
    sys.argv = [call.script, *call.arguments]
    script = importlib.import_module(module(call.script))
    scripts["own"] = script
    if hasattr(script, "init"):
        script.init()


def run(mini_batch: Any, context: Any) -> Any:
    own = scripts["own"].run
    return own(mini_batch, context) if len(inspect.signature(own).parameters) > 1 else own(mini_batch)


if __name__ == "__main__":
    main()
