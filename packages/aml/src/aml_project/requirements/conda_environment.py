"""Read conda's environment.yml, also as `conda env export` writes it: its packages under their names on the index."""

from __future__ import annotations

import os
import re
from pathlib import Path

import yaml

from aml_project.command_line import Failure
from aml_project.requirements.package_list import CONDA, Found, Wanted, canonical, tidy
from aml_project.requirements.package_names import (
    FROM_CONDA,
    INSTALLERS,
    KNOWN_CHANNELS,
    MORE_PARTS,
    is_for_another_system,
    is_no_python_package,
)
from aml_project.requirements.packaging_library import InvalidSpecifier, InvalidVersion, SpecifierSet, Version
from aml_project.requirements.requirements_file import take_line
from aml_project.requirements.text_files import read_text, show

ITEM = re.compile(
    r"(?:(?P<channel>[^\s:=<>!]+(?::[^\s:]+)?)::)?(?P<name>[A-Za-z0-9_][\w.-]*)\s*(?P<rest>.*)", re.DOTALL
)
IN_BRACKETS = re.compile(r"\[(.*)\]$")
BRACKET = re.compile(r"(\w+)\s*=\s*(?:'([^']*)'|\"([^\"]*)\"|([^,\s\]]+))")
NO_PYTHON = "no Python package, or the runtime of one: the wheels bring their own"
OTHER_SYSTEM = "for Windows or macOS alone; the runs have Linux"


def read(file: Path) -> Found:
    shown = show(os.path.relpath(file))
    try:
        root = yaml.compose(read_text(file), Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise Failure(f"{shown}: {show(' '.join(str(error).split()))}") from None
    except RecursionError:
        raise Failure(f"{shown}: nested too deeply") from None
    sections = {key.value: value for key, value in root.value} if isinstance(root, yaml.MappingNode) else {}
    items = sections.get("dependencies")
    if not isinstance(items, yaml.SequenceNode):
        raise Failure(f"{shown}: no list of dependencies in it, as conda env export writes one")
    found = Found(file.name)
    take_sections(sections, found)
    for item in items.value:
        line = item.start_mark.line + 1
        pip: list[yaml.Node] = []
        try:
            if isinstance(item, yaml.ScalarNode):
                take_item(item.value.strip(), f"{file.name}:{line}", found)
            else:
                pip = pip_lines(item)
        except Failure as failure:
            raise Failure(f"{shown}:{line}: {failure}") from None
        for one in pip:
            if text := re.split(r"(?:^|\s)#", one.value.strip())[0].strip():
                take_line(text, file, one.start_mark.line + 1, found, above=(file.resolve(),))
    return found


def take_sections(sections: dict[str, yaml.Node], found: Found) -> None:
    """Say what of the file is not about packages."""
    channels = sections.get("channels")
    for channel in channels.value if isinstance(channels, yaml.SequenceNode) else []:
        name = str(channel.value) if isinstance(channel, yaml.ScalarNode) else "?"
        if name not in KNOWN_CHANNELS:
            why = "a channel of conda is not carried over: the packages come from the public index"
            found.notes.leave_out(name, f"{found.label}:{channel.start_mark.line + 1}", why)
    variables = sections.get("variables")
    for name, _ in variables.value if isinstance(variables, yaml.MappingNode) else []:
        why = "a variable belongs into environmentVariables of the runconfig, a secret into the workspace's key vault"
        found.notes.leave_out(str(name.value), f"{found.label}:{name.start_mark.line + 1}", why)


def pip_lines(item: yaml.Node) -> list[yaml.Node]:
    """The lines of the pip section of a conda file."""
    found: list[yaml.Node] = []
    pairs = item.value if isinstance(item, yaml.MappingNode) else [(item, item)]
    for key, lines in pairs:
        if key.value != "pip":
            raise Failure(f"neither a package nor pip: {show(str(key.value))}")
        if isinstance(lines, yaml.ScalarNode) and not lines.value:
            continue
        if not isinstance(lines, yaml.SequenceNode) or any(not isinstance(one, yaml.ScalarNode) for one in lines.value):
            raise Failure("pip: no list of lines")
        found += lines.value
    return found


def take_item(text: str, where: str, found: Found) -> None:
    """Add what one package of conda is on the index."""
    text = re.split(r"\s#", text)[0].strip()
    match = ITEM.fullmatch(text)
    if not match:
        raise Failure(f"no package of conda: {show(text)}")
    conda_name = match["name"].lower()
    version, build = version_and_build(match["rest"], text)
    if conda_name == "python":
        found.python, found.python_where = specifier_of(version, text)[0], where
        return
    channel = (match["channel"] or "").split("/")[0]
    if channel and channel not in KNOWN_CHANNELS:
        why = "a channel of conda is not carried over; the package of this name on the index is taken"
        found.notes.leave_out(f"{channel}::", where, why)
    if conda_name in INSTALLERS:
        if version:
            found.notes.leave_out(text, where, "it comes with the environment")
    elif is_for_another_system(canonical(conda_name)):
        found.notes.leave_out(text, where, OTHER_SYSTEM)
    elif is_no_python_package(conda_name, build):
        found.notes.leave_out(conda_name, "", NO_PYTHON)
    else:
        name = FROM_CONDA.get(canonical(conda_name), canonical(conda_name))
        specifier, said = specifier_of(version, text)
        if said:
            found.notes.say(f"{name} ({where}): {said}")
        if name in MORE_PARTS and re.fullmatch(r"==[\d.]*\d", specifier):
            specifier += ".*"
        found.wanted.append(Wanted(name, specifier, where=where, rank=CONDA))


def version_and_build(rest: str, text: str) -> tuple[str, str]:
    """Take apart what stands behind a name: =1.2=build, a version behind a blank, [version=…]."""
    inside = IN_BRACKETS.search(rest)
    if inside:
        named = {key: one or two or three for key, one, two, three in BRACKET.findall(inside[1])}
        rest = rest[: inside.start()].strip()
        if not rest:
            return named.get("version", ""), named.get("build", "")
    parts = rest.split()
    if rest.startswith("=") and not rest.startswith("=="):
        parts = [part for part in re.split(r"[=\s]+", rest) if part]
        if len(parts) == 2 and re.fullmatch(r"=\s*[^=\s]+\s*[=\s]\s*[^=\s]+", rest):
            return f"=={parts[0]}" if is_version(parts[0]) else f"={parts[0]}", parts[1]
        if len(parts) == 1:
            return f"={parts[0]}", ""
    elif rest[:1] in "<>!=~":
        return rest.replace(" ", ""), ""
    elif len(parts) in (1, 2) and re.match(r"[\d*]", parts[0]):
        return parts[0] if "*" in parts[0] else f"=={parts[0]}", parts[1] if len(parts) > 1 else ""
    elif not rest:
        return "", ""
    raise Failure(f"no package of conda: {show(text)}")


def specifier_of(version: str, text: str) -> tuple[str, str]:
    """Write conda's version as pip does; the second text is what the user has to be told."""
    if version in ("", "*", "=*", "==*"):
        return "", ""
    if "|" in version:
        return "", f"{show(text)} has alternatives, which pip can't express: no version here"
    parts = []
    for part in version.split(","):
        match = re.fullmatch(r"(===?|~=|!=|<=|>=|=|<|>)?(.+)", part)
        operator, number = (match[1] or "", match[2]) if match else ("", "")
        if not re.fullmatch(r"v?\d[\w.!+-]*\*?|\*", number):
            raise Failure(f"no version of conda: {show(text)}")
        prefix = number.removesuffix("*").rstrip(".")
        if not is_version(prefix):
            return "", f"{show(text)}: not a version on the index: no version here"
        prefix = prefix.split("+")[0]
        if operator in ("", "=", "=="):
            wide = number.endswith("*") or (operator == "=" and len(Version(prefix).release) < 3)
            parts.append(f"=={prefix}.*" if wide else f"=={prefix}")
        elif operator == "!=":
            parts.append(f"!={prefix}.*" if number.endswith("*") else f"!={prefix}")
        else:
            parts.append(f"{operator}{prefix}")
    try:
        return tidy(SpecifierSet(",".join(parts))), ""
    except InvalidSpecifier:
        return "", f"{show(text)}: not a version on the index: no version here"


def is_version(text: str) -> bool:
    """Whether pip takes a text for a version; 2024a, which it reads as an alpha of 2024, is none here."""
    try:
        Version(text)
    except InvalidVersion:
        return False
    return not re.fullmatch(r"\d+[a-z]", text)
