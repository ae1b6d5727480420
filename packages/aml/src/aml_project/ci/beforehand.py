"""aml check asks what would stop CI: for no longer than a check may take, while the files are read.

It asks in a process of its own: the client takes a second to import, and what it does can't be ended otherwise.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

from aml_project import project
from aml_project.ci import checks

START = "import sys; sys.path[0] = sys.argv[1]; from aml_project.ci.beforehand import serve; serve()"
PATIENCE = 2.0  # seconds for all answers together, once the files are read

# What would stop a job, and what is only told, a line each.
Told = namedtuple("Told", "findings notes")


class Asking:
    """Asks from the start; `told` is what has been answered in time."""

    def __init__(self, root: Path, models: list[str]) -> None:
        self.shared = checks.shared(checks.wanted_services(root, models))
        self.process = None
        if project.attached(root):
            self.process = subprocess.Popen(
                [sys.executable, "-c", START, str(Path(__file__).parents[2]), str(root), *models],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            )  # fmt: skip
        self.asked = checks.abouts(root, models)

    def __enter__(self) -> Asking:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process:
            self.process.kill()
            with self.process:  # closes its pipe
                pass

    def told(self) -> Told:
        if not self.process:
            return Told(self.shared, [checks.note_of({project.NOT_ATTACHED: [checks.LOGIN]})])
        try:
            out, _ = self.process.communicate(timeout=PATIENCE)
            reason = "who asks has failed; make check ARGS=--ci shows why" if self.process.returncode else ""
        except subprocess.TimeoutExpired:
            self.process.kill()
            out, _ = self.process.communicate()
            reason = f"no answer in {PATIENCE:.0f} s; make check ARGS=--ci waits for it"
        whole, _, _ = out.decode("utf-8").rpartition("\n")  # what follows was cut off
        answers = [checks.Answer(*json.loads(line)) for line in whole.splitlines()]
        return told(self.shared, self.asked, answers, reason)


def told(findings: list[str], asked: list[str], answers: list[checks.Answer], reason: str) -> Told:
    """Put answers together in the order of the questions; a reason is why there are no more of them."""
    silent: dict[str, list[str]] = {}
    notes: list[str] = []
    for answer in sorted(answers, key=lambda one: asked.index(one.about)):
        findings = findings + answer.findings
        notes += answer.notes
        if why := answer.unasked or answer.unseen:
            silent.setdefault(why, []).append(answer.about)
    if reason:
        known = {answer.about for answer in answers}
        silent[reason] = [about for about in asked if about not in known]
    return Told(findings, [*notes, *([checks.note_of(silent)] if silent else [])])


def serve() -> None:
    """The process: an answer a line, as they come."""
    root, *models = sys.argv[2:]
    out, sys.stdout = sys.stdout, sys.stderr  # whatever the client prints is no answer
    for answer in checks.answers(Path(root), models):
        print(json.dumps(answer), file=out, flush=True)
