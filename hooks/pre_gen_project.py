"""Refuse bad answers before anything is rendered: every problem at once, one line each.

Standard library only, and little of it: it runs in cookiecutter's own interpreter, and every render waits for it.
"""

import keyword
import re
import sys

# field: (pattern, what is accepted, a good example). tests/tier0/test_questions.py names the source of each Azure rule.
RULES = {
    "project_name": (r"(?s)(?=.*\S).{1,80}", "1 to 80 characters, not all of them blank", "My AML Project"),
    "project_slug": (
        r"[a-z0-9][a-z0-9_-]{0,59}",
        "1 to 60 characters: a-z, 0-9, '-' and '_', starting with a letter or digit",
        "my-aml-project",
    ),
    "model_name": (
        r"[a-z][a-z0-9_]{0,29}",
        "1 to 30 characters: a-z, 0-9 and '_', starting with a letter",
        "churn_model",
    ),
    "subscription_id": (
        r"([0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12})?",
        "a GUID, or empty to attach later",
        "12345678-1234-1234-1234-123456789abc",
    ),
    "resource_group": (
        r"([-\w.()]{0,89}[-\w()])?",
        "1 to 90 letters, digits, '-', '_', '.' and parentheses, not ending in '.', or empty to attach later",
        "my-resource-group",
    ),
    "workspace_name": (
        r"([a-zA-Z0-9][a-zA-Z0-9_-]{2,32})?",
        "3 to 33 letters, digits, '-' and '_', starting with a letter or digit, or empty to attach later",
        "my-workspace",
    ),
    "compute_name": (
        r"[a-zA-Z][a-zA-Z0-9-]{0,14}[a-zA-Z0-9]",
        "2 to 16 characters, starting with a letter, then letters, digits and '-', not ending in '-'",
        "cpu-cluster",
    ),
    "vm_size": (
        r"Standard_[A-Za-z0-9]+([_-][A-Za-z0-9]+)*",
        "an Azure VM size, which starts with 'Standard_'",
        "Standard_DS3_v2",
    ),
    "node_count": (
        r"[1-9][0-9]{0,2}|1000",
        "a whole number from 1 to 1000",
        "1",
    ),
    "dataset_name": (
        r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,254}",
        "1 to 255 letters, digits, '-', '_' and '.', starting with a letter or digit",
        "model1-data",
    ),
}
FREE_TEXT = ("project_name", "description", "author", "notebook", "environment_file")
# Added in Python 3.10; an older cookiecutter runs on an older Python, and only misses this one check.
STANDARD_LIBRARY: frozenset[str] = getattr(sys, "stdlib_module_names", frozenset())


def problems(answers: dict[str, str]) -> list[str]:
    """Say what is wrong with the answers, one line for each."""
    found = {}
    for field in FREE_TEXT:
        if re.search("[\ud800-\udfff]", answers[field]):
            found[field] = f"text that UTF-8 can write (got {answers[field]!r})"
    for field, (pattern, accepted, example) in RULES.items():
        if not re.fullmatch(pattern, answers[field]):
            found[field] = f"{accepted} (got {answers[field]!r}, e.g. {example!r})"
    if keyword.iskeyword(answers["model_name"]) or answers["model_name"] in STANDARD_LIBRARY:
        found["model_name"] = (
            "no Python keyword and no module of the standard library"
            f" (got {answers['model_name']!r}, e.g. 'churn_model')"
        )
    return [f"{field}: {problem}" for field, problem in found.items()]


def main(answers: dict[str, str]) -> int:
    """Print the problems; cookiecutter stops and cleans up on any code but 0."""
    found = problems(answers)
    for problem in found:
        print(f"ERROR: {problem}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    # Rendered, this is a list of pairs as Python itself writes it: every text survives, and nothing is imported for it.
    sys.exit(main(dict({{cookiecutter.items() | selectattr(1, "string") | list}})))  # type: ignore # noqa: F821
