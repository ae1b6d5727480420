"""Read the packages of a pyproject.toml: those of [project], or else those of Poetry's table."""

from __future__ import annotations

import importlib
import os
import re
from pathlib import Path
from typing import Any

from aml_project.command_line import Failure
from aml_project.requirements.conda_environment import is_version
from aml_project.requirements.libraries import find
from aml_project.requirements.package_list import Found, tidy
from aml_project.requirements.packaging_library import InvalidSpecifier, SpecifierSet, Version
from aml_project.requirements.requirements_file import LOCAL, take
from aml_project.requirements.text_files import read_text, show

NOT_TAKEN = "packages of a group, which the model may not need: add those that it needs to the dependencies"
PRIVATE = "a private index is not carried over, and what only it has will not be found"


def read(file: Path) -> Found:
    shown = show(os.path.relpath(file))
    text = read_text(file)
    toml = importlib.import_module(find("tomllib") or find("tomli") or "tomli")
    try:
        content: dict[str, Any] = toml.loads(text)
    except (ValueError, RecursionError) as error:
        raise Failure(f"{shown}: {show(str(error)) or 'nested too deeply'}") from None
    found = Found(file.name)
    project, tool = table(content, "project", shown), table(content, "tool", shown)
    poetry = table(tool, "poetry", shown)
    take_groups(content, found, shown)
    if "dependencies" in (project.get("dynamic") or []):
        raise Failure(f"{shown}: its dependencies are dynamic, made by its build: give what pip freeze writes")
    if "dependencies" in project:
        python = project.get("requires-python")
        found.python = python if isinstance(python, str) else ""
        found.python_where = f"{file.name}, requires-python"
        take_project(project["dependencies"], table(table(tool, "uv", shown), "sources", shown), found, shown)
    elif "dependencies" in poetry:
        take_poetry(table(poetry, "dependencies", shown), found, shown)
    else:
        raise Failure(f"{shown}: no dependencies in [project] or [tool.poetry]")
    try:
        SpecifierSet(found.python)
    except InvalidSpecifier:
        raise Failure(f"{shown}: {found.python_where}: no version: {show(found.python)}") from None
    return found


def table(content: dict[str, Any], name: str, shown: str) -> dict[str, Any]:
    inner = content.get(name, {})
    if not isinstance(inner, dict):
        raise Failure(f"{shown}: {name} is no table")
    return inner


def take_groups(content: dict[str, Any], found: Found, shown: str) -> None:
    """List the groups that are not taken, and how much is in each."""
    project, tool = table(content, "project", shown), table(content, "tool", shown)
    poetry = table(tool, "poetry", shown)
    groups: dict[str, Any] = {}
    for section, names in (
        ("optional-dependencies", table(project, "optional-dependencies", shown)),
        ("dependency-groups", table(content, "dependency-groups", shown)),
        ("extras", table(poetry, "extras", shown)),
        ("poetry", {name: table(group, "dependencies", shown) for name, group in table(poetry, "group", shown).items()
                    if isinstance(group, dict)}),
        ("poetry", {"dev-dependencies": poetry["dev-dependencies"]} if "dev-dependencies" in poetry else {}),
        ("uv", {"dev-dependencies": dev} if (dev := table(tool, "uv", shown).get("dev-dependencies")) else {}),
        ("pdm", table(table(tool, "pdm", shown), "dev-dependencies", shown)),
    ):  # fmt: skip
        groups |= {f"{section}.{name}": group for name, group in names.items()}
    for name, group in groups.items():
        found.notes.leave_out(f"{name} ({len(group)})" if isinstance(group, (list, dict)) else name, "", NOT_TAKEN)
    uv_index = table(tool, "uv", shown).get("index", [])
    for index in [*(poetry.get("source") or []), *(uv_index if isinstance(uv_index, list) else [])]:
        named = index.get("name") or index.get("url") if isinstance(index, dict) else index
        found.notes.leave_out(f"index {named}", found.label, PRIVATE)


def take_project(lines: Any, sources: dict[str, Any], found: Found, shown: str) -> None:
    """Add the lines of [project]; uv may say elsewhere where a package comes from."""
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise Failure(f"{shown}: project.dependencies is no list of texts")
    places = {re.sub(r"[-_.]+", "-", name).lower(): source for name, source in sources.items()}
    for number, line in enumerate(lines, start=1):
        where = f"{found.label}, dependency {number}"
        before = len(found.wanted)
        accept(line, where, found, shown)
        if len(found.wanted) == before:
            continue
        source = places.get(found.wanted[-1].name)
        if isinstance(source, dict):
            wanted = found.wanted.pop()
            if "git" in source or "url" in source:
                accept(with_address(str(wanted.name), source, wanted.marker), where, found, shown)
            elif "index" in source:
                found.notes.leave_out(line, where, PRIVATE)
            else:
                found.notes.leave_out(line, where, LOCAL)


def accept(line: str, where: str, found: Found, shown: str) -> None:
    try:
        take(line, where, found)
    except Failure as failure:
        raise Failure(f"{shown}: {where.partition(', ')[2]}: {failure}") from None


def with_address(name: str, source: dict[str, Any], marker: str) -> str:
    """Write a package with the address that a table gives for it."""
    if "url" in source:
        address = str(source["url"])
    else:
        at = source.get("rev") or source.get("tag") or source.get("branch")
        folder = f"#subdirectory={source['subdirectory']}" if source.get("subdirectory") else ""
        address = str(source["git"])
        address = address if address.startswith(("git@", "git+")) else f"git+{address}"
        if address.startswith("git@"):
            address = f"git+ssh://{address.replace(':', '/', 1)}"
        address += (f"@{at}" if at else "") + folder
    return f"{name} @ {address}" + (f" ; {marker}" if marker else "")


def take_poetry(dependencies: dict[str, Any], found: Found, shown: str) -> None:
    for name, value in dependencies.items():
        where = f"{found.label}, {name}"
        for one in value if isinstance(value, list) else [value]:
            spec = {"version": one} if isinstance(one, str) else one
            if not isinstance(spec, dict):
                raise Failure(f"{shown}: tool.poetry.dependencies.{show(name)}: neither a version nor a table")
            if name.lower() == "python":
                found.python, found.python_where = (
                    poetry_specifier(str(spec.get("version", "")), where, shown, found),
                    where,
                )
                continue
            if spec.get("optional"):
                found.notes.leave_out(name, where, NOT_TAKEN)
            elif "path" in spec or "file" in spec or spec.get("develop"):
                found.notes.leave_out(f"{name} {spec.get('path') or spec.get('file') or ''}", where, LOCAL)
            elif "source" in spec:
                found.notes.leave_out(f"{name} from {spec['source']}", where, PRIVATE)
            else:
                take_poetry_item(name, spec, where, found, shown)


def take_poetry_item(name: str, spec: dict[str, Any], where: str, found: Found, shown: str) -> None:
    extras = f"[{','.join(map(str, spec['extras']))}]" if spec.get("extras") else ""
    markers = [f"({spec['markers']})"] if spec.get("markers") else []
    if spec.get("python"):
        python = poetry_specifier(str(spec["python"]), where, shown, found)
        markers += [
            f"python_version {one.operator} '{one.version.removesuffix('.*')}'"
            for one in SpecifierSet(python)
            if one.version
        ]
    if spec.get("platform"):
        markers.append(f"sys_platform == '{spec['platform']}'")
    marker = " and ".join(markers)
    if "git" in spec or "url" in spec:
        line = with_address(f"{name}{extras}", spec, marker)
    else:
        line = f"{name}{extras}{poetry_specifier(str(spec.get('version', '*')), where, shown, found)}"
        line += f"; {marker}" if marker else ""
    accept(line, where, found, shown)


def poetry_specifier(text: str, where: str, shown: str, found: Found) -> str:
    """Write a version of Poetry, which knows ^1.2 and ~1.2, as pip does."""
    if "|" in text:
        found.notes.say(f"{where}: {show(text)} has alternatives, which pip can't express: no version here")
        return ""
    parts = []
    for part in re.split(r"\s*,\s*|(?<=[\w*])\s+(?=[\^~<>=!])", text.strip()):
        match = re.fullmatch(r"(\^|~=|~|===?|!=|<=|>=|=|<|>)?\s*(.+)", part)
        operator, number = (match[1] or "", match[2].strip()) if match else ("", "")
        bare = re.sub(r"\.?\*$", "", number)
        if number == "*":
            continue
        if not is_version(bare):
            raise Failure(f"{shown}: {where.partition(', ')[2]}: no version: {show(text)}")
        if operator in ("^", "~"):
            parts += [f">={bare}", f"<{above(bare, caret=operator == '^')}"]
        elif operator in ("", "=", "=="):
            parts.append(f"=={bare}" + (".*" if number.endswith("*") else ""))
        else:
            parts.append(f"{operator}{number}")
    try:
        return tidy(SpecifierSet(",".join(parts)))
    except InvalidSpecifier:
        raise Failure(f"{shown}: {where.partition(', ')[2]}: no version: {show(text)}") from None


def above(version: str, caret: bool) -> str:
    """Return the first version that ^ or ~ no longer allows: ^0.2.3 stops at 0.3, ~1.2.3 at 1.3, ~1 at 2."""
    release = list(Version(version).release)
    if caret:
        index = next((place for place, part in enumerate(release) if part), len(release) - 1)
    else:
        index = min(1, len(release) - 1)
    return ".".join(map(str, [*release[:index], release[index] + 1]))
