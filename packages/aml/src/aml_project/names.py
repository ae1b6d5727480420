"""What Azure takes for a name, said once for all commands. It imports next to nothing: attaching has to be quick."""

from __future__ import annotations

import re

from aml_project.command_line import WRONG_USE, Failure

# field: what it has to be, in full and in words; the template has the same rules for its questions.
RULES = {
    "subscription_id": (r"[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}", "a GUID"),
    "resource_group": (
        r"([^\W]|[-.()]){0,89}([^\W]|[-()])",
        "1 to 90 letters, digits, '-', '_', '.' and parentheses, not ending in '.'",
    ),
    "workspace_name": (
        r"[a-zA-Z0-9][a-zA-Z0-9_-]{2,32}",
        "3 to 33 letters, digits, '-' and '_', starting with a letter or digit",
    ),
    "model_name": (r"[a-z][a-z0-9_]{0,29}", "1 to 30 characters: a-z, 0-9 and '_', starting with a letter"),
    "location": (r"[a-z][a-z0-9]{2,39}", "an Azure region, as in westeurope"),
    "storage_account": (r"[a-z0-9]{3,24}", "3 to 24 of a-z and 0-9"),
    "container": (
        r"(?=.{3,63}\Z)[a-z0-9]+(-[a-z0-9]+)*",
        "3 to 63 of a-z, 0-9 and single '-', starting and ending with a letter or digit",
    ),
    "key_vault": (
        r"(?=.{3,24}\Z)[a-zA-Z][a-zA-Z0-9]*(-[a-zA-Z0-9]+)*",
        "3 to 24 letters, digits and single '-', starting with a letter",
    ),
    "dataset_name": (
        r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,254}",
        "1 to 255 letters, digits, '-', '_' and '.', starting with a letter or digit",
    ),
    "datastore": (r"[a-zA-Z0-9_-]{1,255}", "1 to 255 letters, digits, '-' and '_'"),
    "compute_name": (
        r"[a-zA-Z][a-zA-Z0-9-]{0,14}[a-zA-Z0-9]",
        "2 to 16 characters, starting with a letter, then letters, digits and '-', not ending in '-'",
    ),
    "vm_size": (
        r"(?i:standard)_[a-zA-Z][a-zA-Z0-9_-]{0,59}",
        "an Azure VM size, which starts with 'Standard_'",
    ),
    "ssh_user": (r"[a-z_][a-z0-9_-]{0,31}", "1 to 32 of a-z, 0-9, '-' and '_', starting with a letter or '_'"),
}
DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(10))}
WORKSPACE = ("subscription_id", "resource_group", "workspace_name")


def check(names: dict[str, str], options: dict[str, str] | None = None) -> None:
    """Refuse names that Azure would not take, all of them at once; `options` names those that are called otherwise."""
    called = {field: option(field) for field in names} | (options or {})
    missing = [called[field] for field in names if not names[field]]
    if missing:
        raise Failure(f"give {' and '.join(missing)}", WRONG_USE)
    wrong = [
        f"{called[field]}: {RULES[field][1]}, not {text!r}"
        for field, text in names.items()
        if not re.fullmatch(RULES[field][0], text)
    ]
    if wrong:
        raise Failure("\nERROR: ".join(wrong), WRONG_USE)


def check_model(name: str) -> None:
    """Refuse a name that no model of a repo can have: its folder is a module's name as well, beside Python's own."""
    import keyword
    import sys

    check({"model_name": name}, {"model_name": "the model's name"})
    if name in DEVICES:
        raise Failure(f"the model's name: no name that Windows keeps for a device, not {name!r}", WRONG_USE)
    if keyword.iskeyword(name) or name in sys.stdlib_module_names:
        raise Failure(f"the model's name: no keyword and no module of Python's own, not {name!r}", WRONG_USE)


def option(field: str) -> str:
    return f"--{field.replace('_', '-')}"
