"""What became of each step in the last run of a pipeline, in a file that only grows: steps.jsonl.

Its first line is the run, each other one a step at some moment, the last of which counts. Whether a step has to run
again is not read from here: see cache.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from aml_project import line_file
from aml_project.command_line import Failure
from aml_project.files import write_whole
from aml_project.project import shown

FILE = "steps.jsonl"
WAITING, RUNNING, DONE, KEPT = "waiting", "running", "done", "as before"
FAILED, LEFT_OUT, STOPPED = "failed", "left out", "interrupted"
GOOD = (DONE, KEPT)


@dataclass
class StepRun:
    """One step of a run."""

    name: str
    state: str = WAITING
    started: str = ""
    seconds: float = 0.0
    why: str = ""  # it has failed, or was left out
    folder: str = ""  # where its log and what it has left are, from the record's folder
    run: str = ""  # its id in the workspace, if it runs there
    url: str = ""  # its page there


@dataclass
class Record:
    """The steps of the last run. Whoever writes is alone in the folder: see alone.py."""

    folder: Path
    about: dict[str, Any] = field(default_factory=dict)  # the run: what its engine wants to know of it later
    steps: dict[str, StepRun] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        return self.folder / FILE

    @classmethod
    def read(cls, folder: Path) -> Record:
        record = cls(folder)
        for number, line in line_file.read(record.file):
            try:
                said = json.loads(line)
                if number == 1:
                    record.about = dict(said["about"])
                    record.steps = {name: StepRun(name) for name in said["steps"]}
                elif "about" in said:
                    record.about |= said["about"]
                else:
                    record.steps[said["name"]] = StepRun(**said)
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise Failure(f"{shown(record.file)}: line {number}: {error}: remove this file") from None
        return record

    def begin(self, steps: Iterable[str], about: dict[str, Any]) -> None:
        """Note a new run, before anything of it runs; what is noted of the one before goes."""
        self.about, self.steps = about, {name: StepRun(name) for name in steps}
        line = json.dumps({"about": about, "steps": list(self.steps)}, ensure_ascii=False)
        write_whole(self.file, f"{line}\n", sync=False)

    def note(self, step: StepRun) -> None:
        self.steps[step.name] = step
        said = {name: value for name, value in asdict(step).items() if value}
        line_file.append(self.file, said, f"{step.state} noted", sync=False)

    def say(self, **about: Any) -> None:
        """Note more about the run."""
        self.about |= about
        line_file.append(self.file, {"about": about}, "run noted", sync=False)


def lines(record: Record, is_running: bool) -> list[str]:
    """A line for each step, as `--list` has them."""
    found = []
    width = max(map(len, record.steps), default=0)
    for step in record.steps.values():
        why = f"  {step.why}" if step.why else ""
        log = f"  {shown(record.folder / step.folder / 'log.txt')}" if step.folder else f"  {step.run}"
        found.append(f"{step.name:{width}}  {state_of(step, is_running):11}  {took(step):>9}{log}{why}".rstrip())
    return found


def state_of(step: StepRun, is_running: bool) -> str:
    """Its state; what the record has as running does not run any more where the run was killed."""
    return STOPPED if step.state == RUNNING and not is_running else step.state


def took(step: StepRun) -> str:
    if not step.seconds:
        return ""
    if step.seconds < 60:
        return f"{step.seconds:.1f} s"
    minutes, seconds = divmod(round(step.seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02} h" if hours else f"{minutes}:{seconds:02} min"
