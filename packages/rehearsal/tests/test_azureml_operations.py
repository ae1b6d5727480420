"""Every public operation of azureml's classes, called: what is played, what is refused, and the table that says so.

azureml_operations.py finds the operations, azureml_calls.py calls them. With REWRITE_OPERATIONS=1 in the environment,
the section of the page and the line of the README are written before they are compared.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from aml_rehearsal import Rehearsal

OPERATIONS = Path(__file__).with_name("azureml_operations.py")
PAGE = Path(__file__).parents[3] / "docs" / "rehearsal-operations.md"
README = Path(__file__).parents[1] / "README.md"
HEADING = "## azureml"
SHARE = re.compile(r"\*\*Of the \d+ operations of azureml's.*?client itself refuses\.", re.DOTALL)


@pytest.fixture(scope="module")
def rehearsal(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    """One for these calls alone: they list what there is, and leave much behind."""
    with Rehearsal(tmp_path_factory.mktemp("rehearsal"), project=project) as started:
        yield started


@pytest.fixture(scope="module")
def answer(
    rehearsal: Rehearsal, client_python: Path, python: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """What the calls have shown, all of them in one process."""
    folder, names = tmp_path_factory.mktemp("operations"), rehearsal.workspace.names
    listed = json.dumps([names.subscription_id, names.resource_group, names.workspace_name])
    done = subprocess.run(
        [client_python, OPERATIONS, folder],
        env=rehearsal.environment() | {"NAMES": listed, "PYTHON": sys.executable, "SERVING": str(python)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    assert (folder / "answer.json").exists(), f"code {done.returncode}\n{done.stdout[-3000:]}"
    found: dict[str, Any] = json.loads((folder / "answer.json").read_text())
    return found


def outcomes(answer: dict[str, Any]) -> dict[str, str]:
    return {operation: answer["seen"].get(operation, "not called") for operation in answer["operations"]}


def headline(told: dict[str, str]) -> str:
    """How much is played, in one sentence."""
    count = Counter(said.partition(":")[0] for said in told.values())
    alone = sum(said.startswith("refused: by the client") for said in told.values())
    return (
        f"**Of the {len(told) - alone} operations of azureml's public classes that ask a service, {count['played']} are"
        f" played and\n{count['refused'] - alone} refused as in Azure: {share(told):.1%}.** "
        f"{alone} more the client itself refuses."
    )


def share(told: dict[str, str]) -> float:
    """How much is played or refused as in Azure; what the client refuses, whoever answers, counts neither way."""
    asked = [said for said in told.values() if not said.startswith("refused: by the client")]
    return 1 - asked.count("not played") / len(asked)


def section(answer: dict[str, Any]) -> str:
    """The part of the page that is about azureml."""
    told = outcomes(answer)
    apart = [(owner, [each.partition(".")[2] for each in found]) for owner, found in groupby(answer["local"], owner_of)]
    lines = [
        HEADING,
        "",
        headline(told),
        "",
        "Every public method of the public classes of azureml-core, azureml-train-core and azureml-pipeline 1.61, as",
        "the class that defines it has it, called from outside of a run; what comes back is looked at. Where no object",
        "of a class can be had, its methods have the fate of what would make one. The client itself refuses what it no",
        "longer has, and what wants Docker, Spark or conda, which the tests have not.",
        "",
        "| operation | |",
        "|---|---|",
        *(f"| {operation} | {said} |" for operation, said in sorted(told.items())),
        "",
        "Apart, since they only describe something in the caller's memory and ask no service:",
        "",
        "| class | methods |",
        "|---|---|",
        *(f"| {owner} | {', '.join(found)} |" for owner, found in apart),
    ]
    return "\n".join(lines) + "\n"


def owner_of(operation: str) -> str:
    return operation.partition(".")[0]


def test_what_is_called_does_what_it_is_to_do(answer: dict[str, Any]) -> None:
    assert not answer["failures"], "\n\n".join(answer["failures"].values())


def test_every_operation_is_called_and_most_are_as_in_azure(answer: dict[str, Any]) -> None:
    told = outcomes(answer)
    assert share(told) >= 0.9, [operation for operation, said in told.items() if said == "not played"]
    assert "not called" not in told.values(), [operation for operation, said in told.items() if said == "not called"]


def test_the_page_and_the_readme_tell_what_was_seen(answer: dict[str, Any]) -> None:
    page, readme, line = PAGE.read_text(), README.read_text(), headline(outcomes(answer))
    kept = re.search(rf"{HEADING}\n.*?(?=\n## |\Z)", page, re.DOTALL)
    assert kept and SHARE.search(readme), "a heading or the sentence is gone"
    if os.environ.get("REWRITE_OPERATIONS"):
        PAGE.write_text(page.replace(kept[0], section(answer)))
        README.write_text(SHARE.sub(line, readme))
        return
    assert kept[0].strip() == section(answer).strip(), "REWRITE_OPERATIONS=1 writes it anew"
    assert line in readme
