"""Where a library is that this command needs: in this Python, or among the copies that pip brings along."""

from __future__ import annotations

import importlib.util


def find(name: str) -> str | None:
    """Return the name to import it by, without importing it."""
    for module in (name, f"pip._vendor.{name}"):
        try:
            if importlib.util.find_spec(module):
                return module
        except ImportError:
            continue
    return None


def missing(toml: bool) -> tuple[str, ...]:
    """Return what is nowhere to be found of what the command needs; TOML is read for a pyproject.toml alone."""
    needed = ["yaml"] if not find("yaml") else []
    needed += ["packaging"] if not find("packaging") else []
    return tuple(needed + (["tomli"] if toml and not (find("tomllib") or find("tomli")) else []))
