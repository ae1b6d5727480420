"""The verbs for a repo that has a Makefile of its own: a file that it includes, without the targets that it has."""

from __future__ import annotations

import re
from pathlib import Path

NAMES = ("GNUmakefile", "makefile", "Makefile")  # in make's own order
FILE = "aml.mk"
INCLUDE = f"include {FILE}"
HEAD = "# The verbs of `aml` for make, but for those that the Makefile has of its own; `aml --help` lists all.\n"
TARGETS = re.compile(r"^([a-zA-Z][\w -]*?)[ \t]*:(?![=:])", re.MULTILINE)
ASSIGNED = re.compile(r"^(?:export[ \t]+)?(\w+)[ \t]*[:?+!]?=", re.MULTILINE)
OURS = {"MODEL", "ARGS", "AML", "AML_TEMPLATE", "TOOLS", "OPTIONS", "WORDS", "GIVEN"}
NOT_HERE = re.compile(r"^(?:MAKEFLAGS|\.DEFAULT_GOAL)\b.*\n+", re.MULTILINE)
PHONY = re.compile(r"^\.PHONY:(?:.*\\\n)*.*\n", re.MULTILINE)


def find(root: Path) -> Path | None:
    """The Makefile that make would read."""
    return next((root / name for name in NAMES if (root / name).is_file()), None)


def clash(text: str) -> str:
    """A variable that the owner's Makefile has for something else, or nothing."""
    return ", ".join(sorted(OURS & set(ASSIGNED.findall(text))))


def targets(text: str) -> set[str]:
    return {name for names in TARGETS.findall(text) for name in names.split()}


def verbs_but(theirs: set[str], rendered: str) -> str:
    """The rendered Makefile without its list of verbs, and without what the owner's has."""
    left_out = theirs | {"help", "tools"}
    lines, drop = [], False
    for line in NOT_HERE.sub("", PHONY.sub("", rendered)).splitlines(keepends=True):
        if not line.startswith("\t"):
            names = TARGETS.match(line)
            drop = bool(names and names[1] in left_out)
        if not drop:
            lines.append(line)
    text = HEAD + "".join(lines[1:]).replace(": tools ##", ": $(TOOLS)/ready ##")
    return re.sub("\n{3,}", "\n\n", f"{text.rstrip()}\n\n.PHONY: {' '.join(sorted(targets(text)))}\n")
