"""What is wrong with the answers, which hooks/pre_gen_project.py tells before anything is rendered."""

from __future__ import annotations

import keyword
import sys
from collections.abc import Callable

from aml_template.answers import Answers, gpu_maker, mechanism

LOWER = "abcdefghijklmnopqrstuvwxyz"
DIGITS = "0123456789"
LETTERS = LOWER + LOWER.upper()


def fits(text: str, shortest: int, longest: int, characters: str, first: str) -> bool:
    """Say whether a text has this many of these characters, and starts with one of those."""
    return shortest <= len(text) <= longest and text[0] in first and all(c in characters for c in text)


# question: (check, what is accepted, a good example). The check is no regular expression: every render would wait for a
# dozen of them to be compiled. tests/sources/test_questions.py names the source of each Azure rule.
RULES: dict[str, tuple[Callable[[str], bool], str, str]] = {
    "project_name": (
        lambda text: bool(text.strip()) and len(text) <= 80,
        "1 to 80 characters, not all of them blank",
        "My AML Project",
    ),
    "project_slug": (
        lambda text: fits(text, 1, 60, LOWER + DIGITS + "-_", first=LOWER + DIGITS),
        "1 to 60 characters: a-z, 0-9, '-' and '_', starting with a letter or digit",
        "my-aml-project",
    ),
    "model_name": (
        lambda text: fits(text, 1, 30, LOWER + DIGITS + "_", first=LOWER),
        "1 to 30 characters: a-z, 0-9 and '_', starting with a letter",
        "churn_model",
    ),
    "subscription_id": (
        lambda text: (
            not text
            or (
                [len(part) for part in text.split("-")] == [8, 4, 4, 4, 12]
                and set(text) <= set(DIGITS + "abcdefABCDEF-")
            )
        ),
        "a GUID, or empty to attach later",
        "12345678-1234-1234-1234-123456789abc",
    ),
    "resource_group": (
        lambda text: len(text) <= 90 and all(c.isalnum() or c in "-_.()" for c in text) and not text.endswith("."),
        "1 to 90 letters, digits, '-', '_', '.' and parentheses, not ending in '.', or empty to attach later",
        "my-resource-group",
    ),
    "workspace_name": (
        lambda text: not text or fits(text, 3, 33, LETTERS + DIGITS + "-_", first=LETTERS + DIGITS),
        "3 to 33 letters, digits, '-' and '_', starting with a letter or digit, or empty to attach later",
        "my-workspace",
    ),
    "compute_name": (
        lambda text: fits(text, 2, 16, LETTERS + DIGITS + "-", first=LETTERS) and not text.endswith("-"),
        "2 to 16 characters, starting with a letter, then letters, digits and '-', not ending in '-'",
        "cpu-cluster",
    ),
    "vm_size": (
        lambda text: text.startswith("Standard_") and fits(text[9:], 1, 60, LETTERS + DIGITS + "_-", first=LETTERS),
        "an Azure VM size, which starts with 'Standard_'",
        "Standard_DS3_v2",
    ),
    "node_count": (
        lambda text: fits(text, 1, 4, DIGITS, first=DIGITS[1:]) and int(text) <= 1000,
        "a whole number from 1 to 1000",
        "1",
    ),
    "gpu": (lambda text: text in ("yes", "no"), "yes or no", "no"),
    "processes_per_node": (
        lambda text: fits(text, 1, 2, DIGITS, first=DIGITS[1:]) and int(text) <= 64,
        "a whole number from 1 to 64",
        "1",
    ),
    "dataset_name": (
        lambda text: fits(text, 1, 255, LETTERS + DIGITS + "-_.", first=LETTERS + DIGITS),
        "1 to 255 letters, digits, '-', '_' and '.', starting with a letter or digit",
        "model1-data",
    ),
}
# Windows takes them for devices: no clone there could have such a folder.
DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in DIGITS)}
FREE_TEXT = ("project_name", "description", "author", "notebook", "environment_file")
# Added in Python 3.10; an older cookiecutter runs on an older Python, and only misses this one check.
STANDARD_LIBRARY: frozenset[str] = getattr(sys, "stdlib_module_names", frozenset())


def folder(answers: Answers) -> str:
    """The name of the new repo's folder, asked for before cookiecutter makes it.

    Of a path it would make every folder, and remove the last one alone when the hook refuses the answer.
    """
    name = answers["project_slug"]
    if "/" in name or "\\" in name or name in (".", ".."):
        _, accepted, example = RULES["project_slug"]
        raise SystemExit(f"ERROR: project_slug: {accepted} (got {name!r}, e.g. {example!r})")
    return name


def problems(answers: Answers) -> list[str]:
    """Say what is wrong with the answers, one line for each."""
    asked = dict.fromkeys([*FREE_TEXT, *RULES])
    no_text = [field for field in asked if not isinstance(answers[field], str)]  # in a replay file, edited by hand
    if no_text:
        return [f"{field}: a text (got {answers[field]!r})" for field in no_text]
    found = {}
    for field in FREE_TEXT:
        if any("\ud800" <= c <= "\udfff" for c in answers[field]):
            found[field] = f"text that UTF-8 can write (got {answers[field]!r})"
    for field, (accepts, accepted, example) in RULES.items():
        if not accepts(answers[field]):
            found[field] = f"{accepted} (got {answers[field]!r}, e.g. {example!r})"
    if keyword.iskeyword(answers["model_name"]) or answers["model_name"] in STANDARD_LIBRARY:
        found["model_name"] = (
            "no Python keyword and no module of the standard library"
            f" (got {answers['model_name']!r}, e.g. 'churn_model')"
        )
    for field in ("project_slug", "model_name"):
        if answers[field] in DEVICES:
            found[field] = f"no name that Windows keeps for a device (got {answers[field]!r})"
    for field, problem in contradictions(answers):
        if field not in found and not (field == "gpu" and "vm_size" in found):
            found[field] = problem
    return [f"{field}: {problem}" for field, problem in found.items()]


def contradictions(answers: Answers) -> list[tuple[str, str]]:
    """Name the answers that do not go with others, and say what would."""
    found = []
    gpu, maker, processes = answers["gpu"], gpu_maker(answers), answers["processes_per_node"]
    got = f"(got {gpu!r}, and vm_size {answers['vm_size']!r})"
    if gpu == "yes" and not maker:
        found.append(("gpu", f"this VM size has no GPU: answer no, or take one of NC, ND or NV {got}"))
    if gpu == "yes" and maker == "AMD":
        found.append(("gpu", f"this VM size has AMD's GPUs, which CUDA does not run on: answer no {got}"))
    if gpu == "no" and maker == "NVIDIA":
        found.append(("gpu", f"this VM size has GPUs: answer yes, or take one without {got}"))
    if answers["framework"] == "sklearn":
        alone = "1 for sklearn, which trains in one process: choose pytorch"
        if answers["node_count"] != "1":
            others = "tensorflow, or none for code of your own"
            found.append(("node_count", f"{alone}, {others} (got {answers['node_count']!r})"))
        if processes != "1":
            found.append(("processes_per_node", f"{alone}, or none for code of your own (got {processes!r})"))
    if answers["framework"] == "auto3dseg":
        alone = "1 for auto3dseg, whose AutoRunner starts a process for each GPU of its node itself"
        several = [field for field in ("node_count", "processes_per_node") if answers[field] != "1"]
        found += [(field, f"{alone} (got {answers[field]!r})") for field in several]
    if answers["framework"] == "auto3dseg" and answers["task"] == "regression":
        found.append(("task", f"classification for auto3dseg, whose model draws masks (got {answers['task']!r})"))
    if answers["framework"] == "auto3dseg" and answers["notebook"]:
        found.append(("notebook", f"none for auto3dseg, whose train.py runs task.yaml (got {answers['notebook']!r})"))
    if answers["framework"] == "tensorflow" and processes != "1":
        reason = "whose strategy drives all GPUs of a node from one process"
        found.append(("processes_per_node", f"1 for tensorflow, {reason} (got {processes!r})"))
    if answers["notebook"] and mechanism(answers) == "direct":
        way, per_node = answers["data_access"], "" if processes == "1" else f", and processes_per_node {processes!r}"
        reason = "for the train.py that a notebook becomes can't bring its data to the node itself"
        found.append(("data_access", f"mount, {reason} (got {way!r}{per_node})"))
    return found
