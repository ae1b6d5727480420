"""From what a model's code imports to the packages that it needs, with the versions of the user's own environment."""

from __future__ import annotations

from dataclasses import replace

from aml_project.requirements.import_names import PACKAGES, SAME_MODULE, comes_with, package_of
from aml_project.requirements.imports import Code
from aml_project.requirements.own_environment import Installed
from aml_project.requirements.package_list import Found, Wanted, canonical
from aml_project.requirements.packaging_library import InvalidVersion, Version
from aml_project.requirements.requirements_file import LOCAL


def needed(code: Code, there: set[str]) -> dict[str, list[str]]:
    """Return the modules whose package is not there yet, and the files that import each; a notebook's lines count."""
    there = there | {one.name for one in code.installed.wanted}
    missing = {
        module: files
        for module, files in code.required.items()
        if not there & {*packages_of(module), *comes_with(module)}
    }
    # of a package that is known by its first name, the first name is enough
    return {(module if is_dotted(module) else module.split(".")[0]): files for module, files in missing.items()}


def packages_of(module: str) -> tuple[str, ...]:
    """The packages that bring a module: one of them is enough."""
    package = package_of(module) or canonical(module.split(".", maxsplit=1)[0])
    return (package, *SAME_MODULE.get(package, ()))


def is_dotted(module: str) -> bool:
    parts = module.split(".")
    return package_of(parts[0]) == "" or any(
        ".".join(parts[:length]) in PACKAGES for length in range(2, len(parts) + 1)
    )


def add(found: Found, asked: dict[str, list[str]], code: Code, own: Installed, there: set[str]) -> bool:
    """Add to what was found what the code imports; return whether a version comes from the user's environment.

    What is `there` has a version already.
    """
    notes, used = found.notes, False
    unpinned: list[str] = []
    named = {one.name for one in found.wanted}
    from_lines = [one for one in code.installed.wanted if one.name not in named]
    for why, items in code.installed.notes.left.items():
        notes.left.setdefault(why, []).extend(items)
    notes.said += code.installed.notes.said
    for one in from_lines:
        version = own.versions.get(one.name, "") if not one.specifier and not one.url else ""
        used = used or bool(version)
        if not version and not one.specifier and not one.url and one.name not in there:
            unpinned.append(one.name)
        found.wanted.append(replace(one, specifier=exact(version), origin=origin([one.where.split(":")[0]])) if version
                            else replace(one, origin=origin([one.where.split(":")[0]])))  # fmt: skip
    seen = set(named)
    files = sorted({file for places in asked.values() for file in places}, key=lambda file: (file != "train.py", file))
    for module, places in sorted(asked.items()):
        package, version = looked_up(module, own)
        if not package:
            notes.leave_out(
                f"import {module}", places[0], "the name alone does not tell the package: write it into the conda file"
            )
        elif package in own.local:
            notes.leave_out(package, f"import {module}, {places[0]}", LOCAL)
        elif package not in seen:
            seen.add(package)
            used = used or bool(version)
            found.wanted.append(
                Wanted(package, exact(version), where=f"import {module}, {places[0]}", origin=origin(files))
            )
            if not version:
                unpinned.append(f"{package} (import {module})" if package != canonical(module) else package)
    if unpinned:
        why = "" if own.python else f" ({own.trouble})" if own.trouble else ""
        notes.say(f"taken without a version{why}: {', '.join(unpinned)}")
    for top in sorted(code.own):
        notes.leave_out(f"import {top}", "", "it looks like a module of your own: copy it beside train.py")
    optional = {module.split(".")[0] for module in code.optional} - {module.split(".")[0] for module in code.required}
    if optional - named:
        notes.say(f"imported where it may be missing, so not required: {', '.join(sorted(optional - named))}")
    return used


def looked_up(module: str, own: Installed) -> tuple[str, str]:
    """Return the package of a module, and the version that the user has of it."""
    top = module.split(".", maxsplit=1)[0]
    package = package_of(module)
    installed = own.modules.get(top, [])
    if package is None:
        package = installed[0] if installed else canonical(top)
    for name in (package, *SAME_MODULE.get(package, ())):
        if name in own.versions:
            return package, own.versions[name]
    return package, ""


def exact(version: str) -> str:
    """Write a version as a pin, without the part of a build that no index has."""
    try:
        return f"=={Version(version).public}" if version else ""
    except InvalidVersion:
        return ""


def origin(files: list[str]) -> str:
    return f"from the imports of {', '.join(files)}"
