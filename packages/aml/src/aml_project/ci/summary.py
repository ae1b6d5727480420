"""What people read of a job: the tests, and the figures beside those of the registered version, in Markdown."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aml_project.command_line import Failure
from aml_project.service import model_file

# In outputs/: train.py writes the one, make test ARGS=--junitxml=outputs/tests.xml the other.
METRICS, TESTS = "metrics.json", "tests.xml"
MARKS = re.compile(r"[`|\s]+")
MANY = 20  # failed tests that are listed


def of_training(folder: Path, registered: Path | None) -> str:
    """A training here and the model's tests, beside the version that a file of aml register -t is about."""
    outputs = folder / "outputs"
    lines = [f"### {folder.name}", ""]
    if metrics := numbers(outputs / METRICS):
        known = model_file.read(registered) if registered and registered.is_file() else {}
        lines += table("here", metrics, str(known.get("modelId", "")), known.get("metrics") or {})
    else:
        lines.append(f"No figures: the training has written no {METRICS}.")
    lines += ["", *tests(outputs / TESTS)]
    return "\n".join(lines) + "\n"


def of_registration(file: Path) -> str:
    """What a registration has compared, and what came of it."""
    content = model_file.read(file)
    before = content.get("before") or {}
    lines = table("this run", content.get("metrics") or {}, before.get("modelId", ""), before.get("metrics") or {})
    done = f"Registered as {code(content['modelId'])}." if content["modelId"] else "Not registered."
    return "\n".join([*lines, "", done]) + "\n"


def table(title: str, metrics: Mapping[str, float], other: str, others: Mapping[str, float]) -> list[str]:
    """Metrics, a line each, beside those of another version where there is one."""
    if not other:
        head = [f"| | {title} |", "|---|---:|"]
        return [*head, *(f"| {code(name)} | {value:.4g} |" for name, value in metrics.items())]
    lines = [f"| | {title} | {code(other)} |", "|---|---:|---:|"]
    for name, value in metrics.items():
        lines.append(f"| {code(name)} | {value:.4g} | {f'{others[name]:.4g}' if name in others else ''} |")
    return lines


def numbers(file: Path) -> dict[str, float]:
    """The numbers of a metrics.json; nothing where there is none."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise Failure(f"{file}: not JSON: {error}") from None
    items = content.items() if isinstance(content, dict) else ()
    return {name: value for name, value in items if isinstance(value, int | float) and not isinstance(value, bool)}


def tests(file: Path) -> list[str]:
    """How the tests went, by what pytest has written for JUnit."""
    if not file.is_file():
        return ["The tests did not run."]
    from xml.etree import ElementTree

    try:
        cases = list(ElementTree.parse(file).iter("testcase"))  # noqa: S314 # pytest has just written it
    except ElementTree.ParseError as error:
        raise Failure(f"{file}: {error}") from None
    bad = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    if not bad:
        return [f"{len(cases)} test{'s' if len(cases) != 1 else ''} passed."]
    names = [code(f"{case.get('classname')}::{case.get('name')}") for case in bad]
    more = [f"- and {len(bad) - MANY} more"] if len(bad) > MANY else []
    return [f"**{len(bad)} of {len(cases)} tests failed:**", "", *(f"- {name}" for name in names[:MANY]), *more]


def code(text: Any) -> str:
    """A name as Markdown shows it, whatever is in it."""
    return f"`{MARKS.sub(' ', str(text)).strip()}`"


def plain(text: str) -> str:
    """A sentence in which nothing is Markdown."""
    return re.sub(r"([\\`*_|<>\[\]])", r"\\\1", " ".join(text.split()))


def publish(text: str) -> None:
    """Show a text on the page of the run, where there is one."""
    if page := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(page).open("a", encoding="utf-8") as file:
            file.write(f"{text}\n")
    elif os.environ.get("TF_BUILD"):
        import tempfile

        folder = os.environ.get("AGENT_TEMPDIRECTORY") or None
        with tempfile.NamedTemporaryFile("w", suffix=".md", dir=folder, delete=False, encoding="utf-8") as kept:
            kept.write(text)
        print(f"##vso[task.uploadsummary]{kept.name}", flush=True)


def failed(command: str, message: str) -> None:
    """Show on that page what a command has refused."""
    lines = [plain(line.removeprefix("ERROR: ")) for line in message.splitlines()]
    publish("\n".join([f"**{command}** has refused:", "", *(f"- {line}" for line in lines)]) + "\n")
