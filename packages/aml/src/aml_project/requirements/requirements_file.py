"""Read a requirements.txt as pip does, and list what a run in Azure ML could not install."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from aml_project.command_line import Failure
from aml_project.requirements.package_list import Found, Wanted, canonical, tidy
from aml_project.requirements.package_names import DUMMIES, INSTALLERS, RENAMED
from aml_project.requirements.packaging_library import (
    InvalidRequirement,
    InvalidVersion,
    Requirement,
    SpecifierSet,
    Version,
)
from aml_project.requirements.text_files import has_secret, read_text, show

VARIABLE = re.compile(r"\$\{\w+\}|%\w+%")
COMMENT = re.compile(r"(^|\s)#.*$")
OPTION = re.compile(r"(?:(--[a-z][a-z-]*)(?:[=\s]\s*|$)|(-[a-zA-Z])\s*=?\s*)(.*)", re.DOTALL)
OWN_OPTION = re.compile(r"\s+--(hash|config-settings?|global-option|install-option|build-option)\b.*", re.DOTALL)
PATH_LIKE = re.compile(r"(\.{0,2}[/\\]|~|[A-Za-z]:[/\\]|file:|\.{1,2}(\[.*)?$)")
ARCHIVE = re.compile(r"(\.whl|\.zip|\.tar\.(gz|bz2|xz)|\.tgz|\.egg)$", re.IGNORECASE)
BUILT_BY_CONDA = re.compile(
    r"(croot|feedstock_root|conda-bld|build_artifacts|tmp/build/\w+|[a-z]:/(bld|b)/|rattler-build|"
    r"/opt/conda/conda-bld|concourse|perseverance-python-buildout|ci_py3\d+|/work($|/))",
    re.IGNORECASE,
)
BY_KEY = ("ssh", "git+ssh", "git+git", "git", "hg+ssh", "svn+ssh", "bzr+ssh")
CREDENTIALS = "its address holds credentials, which are never written to a file"
LOCAL = "it is on this computer only: put it on an index, in a public git repo, or beside train.py"
NOT_FETCHED = "pip can't fetch it without a key in Azure ML: use git+https:// and a public repo"
OPTIONS = {
    **dict.fromkeys(("-e", "--editable"), LOCAL),
    **dict.fromkeys(
        ("-i", "--index-url", "--extra-index-url", "--trusted-host", "--no-index"),
        "a private index is not carried over, and what only it has will not be found: give the workspace a connection",
    ),
    **dict.fromkeys(("-f", "--find-links"), "the environment is built from the public index alone"),
    **dict.fromkeys(
        ("--pre", "--prefer-binary", "--no-binary", "--only-binary", "--use-feature", "--require-hashes",
         "--use-pep517", "--no-build-isolation", "--no-deps", "-q", "--quiet", "-U", "--upgrade", "--user"),
        "a conda file has no place for options of pip",
    ),
}  # fmt: skip
LISTS = {"-r": "wanted", "--requirement": "wanted", "-c": "constraints", "--constraint": "constraints"}


def read(file: Path) -> Found:
    """Return what a requirements file asks for, with all that it refers to."""
    found = Found(file.name)
    take_file(file, found, "wanted", ())
    return found


def take_file(file: Path, found: Found, kind: str, above: tuple[Path, ...]) -> None:
    """Add what a file asks for; `above` are the files that lead to it."""
    for number, line in logical_lines(read_text(file)):
        take_line(line, file, number, found, kind=kind, above=(*above, file.resolve()))


def take_line(
    line: str, file: Path, number: int, found: Found, *, kind: str = "wanted", above: tuple[Path, ...]
) -> None:
    """Add what a line of a file asks for, also where it names another list; a Failure says where it stands."""
    where, (option, value) = f"{file.name}:{number}", option_of(line)
    try:
        if option not in LISTS:
            take(line, where, found, kind)
            return
        target = listed(value, file, where, found, above)
    except Failure as failure:
        raise Failure(f"{show(os.path.relpath(file))}:{number}: {failure}") from None
    if target:
        take_file(target, found, LISTS[option], above)


def listed(name: str, file: Path, where: str, found: Found, above: tuple[Path, ...]) -> Path | None:
    """The file that a line of a list names; a Failure says why it can't be read."""
    if VARIABLE.search(name) or "://" in name:
        found.notes.leave_out(name, where, "a list that is not a file here is not read: fetch it and name the copy")
        return None
    target = file.parent / unquoted(name)
    if target.resolve() in above:
        raise Failure(f"{show(name)} leads back to itself")
    if not target.is_file():
        raise Failure(f"{show(name) or 'no name'}: not there; it is looked for beside {file.name}")
    return target


def logical_lines(text: str) -> list[tuple[int, str]]:
    """Return the lines that say something, with their numbers: continuations joined, comments gone."""
    joined: list[tuple[int, str]] = []
    open_line: tuple[int, str] | None = None
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), start=1):
        begin, so_far = open_line or (number, "")
        said = "" if line.lstrip().startswith("#") else line
        if said.endswith("\\"):
            open_line = (begin, so_far + said[:-1])
            continue
        joined.append((begin, so_far + said))
        open_line = None
    joined += [open_line] if open_line else []
    bare = [(number, COMMENT.sub("", line).strip()) for number, line in joined]
    return [(number, line) for number, line in bare if line]


def option_of(line: str) -> tuple[str, str]:
    """Return the option that a line is, and its value; none if it is no option."""
    match = OPTION.fullmatch(line) if line.startswith("-") else None
    return (match[1] or match[2], match[3].strip()) if match else ("", line)


def take(line: str, where: str, found: Found, kind: str = "wanted") -> None:
    """Add what one line asks for; a Failure says what is wrong with it, not where."""
    name, value = option_of(line)
    if line.startswith("-"):
        if name not in OPTIONS:
            raise Failure(f"no option of a requirements file: {show(name or line)}")
        found.notes.leave_out(f"{name} {value}".strip(), where, OPTIONS[name])
        return
    bare = OWN_OPTION.sub("", line)
    if "--hash" in line[len(bare) :]:
        found.notes.say("the hashes are left out: a conda file has no place for them")
    elif bare != line:
        found.notes.leave_out(line[len(bare) :].strip(), where, "a conda file has no place for options of pip")
    if VARIABLE.search(bare):
        found.notes.leave_out(bare, where, "its value is a variable of this computer")
        return
    wanted = from_path(bare, where, found) if is_address(bare) else from_requirement(bare, where, found)
    if wanted:
        getattr(found, kind).append(wanted)


def is_address(text: str) -> bool:
    """Whether a line names a place instead of a package."""
    place, _, _ = text.partition(" ; ")
    if " @ " in place or re.match(r"[\w.-]+(\[[^\]]*\])?\s*@", place):
        return place.startswith("git@")
    return bool(PATH_LIKE.match(place) or "://" in place or ARCHIVE.search(place.split("#")[0]) or "/" in place)


def from_path(text: str, where: str, found: Found) -> Wanted | None:
    """A place without a name: its end may tell the name."""
    address, _, marker = text.partition(" ; ")
    if "://" not in address or address.startswith("file:"):
        found.notes.leave_out(text, where, NOT_FETCHED if address.startswith("git@") else LOCAL)
        return None
    if urlsplit(address).scheme.lower() in BY_KEY:
        found.notes.leave_out(text, where, NOT_FETCHED)
        return None
    fragment = urlsplit(address).fragment
    egg = re.search(r"(?:^|&)egg=([\w.-]+)", fragment)
    name = egg[1] if egg else named_by_file(address)[0]
    if not name:
        if has_secret(address):
            found.notes.leave_out(address, where, CREDENTIALS)
        else:
            found.notes.leave_out(address, where, f"it does not say which package it is: NAME @ {show(address)}")
        return None
    rest = "&".join(part for part in fragment.split("&") if part and not part.startswith("egg="))
    url = address.split("#")[0] + (f"#{rest}" if rest else "")
    return from_requirement(f"{name} @ {url}" + (f" ; {marker}" if marker else ""), where, found)


def from_requirement(text: str, where: str, found: Found) -> Wanted | None:
    try:
        requirement = Requirement(text)
        for one in requirement.specifier:
            if one.operator != "===":
                Version(one.version.removesuffix(".*"))
    except (InvalidRequirement, InvalidVersion, ValueError):
        hint = re.match(r"\s*([\w.-]+)\s*=\s*([\w.]+)", text)
        advice = f"; pip writes {hint[1]}=={hint[2]}" if hint else ""
        raise Failure(f"no requirement: {show(text)}{advice}") from None
    extras = tuple(sorted(map(str, requirement.extras)))
    marker = str(requirement.marker).replace("'", '"') if requirement.marker else ""
    name = canonical(requirement.name)
    wanted = Wanted(name, tidy(requirement.specifier), extras, requirement.url or "", marker, where)
    if wanted.name in INSTALLERS:
        found.notes.leave_out(text, where, "it comes with the environment")
        return None
    if wanted.url:
        return from_url(wanted, text, found)
    return renamed(without_local(wanted, found), found)


def from_url(wanted: Wanted, text: str, found: Found) -> Wanted | None:
    """Keep an address that everybody can fetch; of what conda has built, the name is enough."""
    scheme = urlsplit(wanted.url).scheme.lower()
    where, notes = wanted.where, found.notes
    if scheme in ("file", "") or wanted.url.lower().startswith(("git+file:", "hg+file:")):
        if not BUILT_BY_CONDA.search(unquote(wanted.url)):
            notes.leave_out(text, where, LOCAL)
            return None
        _, version = named_by_file(wanted.url)
        if not version:
            notes.say(f"{wanted.name} ({where}) was built by conda, which does not say its version: no version here")
        return renamed(replace(wanted, url="", specifier=f"=={version}" if version else ""), found)
    if scheme in BY_KEY:
        notes.leave_out(text, where, NOT_FETCHED)
    elif has_secret(wanted.url):
        notes.leave_out(f"{wanted.name} @ {wanted.url}", where, CREDENTIALS)
    elif scheme not in ("https", "git+https", "hg+https", "svn+https", "bzr+https"):
        notes.leave_out(text, where, "what comes without https can be changed on its way")
    else:
        return wanted
    return None


def without_local(wanted: Wanted, found: Found) -> Wanted:
    """Drop the part of a version that no index has: 2.1.0+cu121."""
    parts = wanted.specifier.split(",")
    bare = [part.split("+")[0] for part in parts]
    if bare == parts:
        return wanted
    local = next(part for part in parts if "+" in part)
    found.notes.say(
        f"{wanted.name}{local} ({wanted.where}): +{local.split('+')[1]} is a build of its own, not on the index"
    )
    return replace(wanted, specifier=",".join(bare))


def renamed(wanted: Wanted, found: Found) -> Wanted:
    """Call a package what it is called today."""
    new = RENAMED.get(wanted.name)
    if new is None:
        return wanted
    found.notes.say(f"{wanted.name} ({wanted.where}) is {new}")
    return replace(wanted, name=new, specifier="" if wanted.name in DUMMIES else wanted.specifier)


def named_by_file(address: str) -> tuple[str, str]:
    """Return the name and the version that the file's name tells at the end of an address."""
    _, _, file = unquote(urlsplit(address).path).rpartition("/")
    wheel = re.fullmatch(r"([\w.]+)-([\w.!+]+)(-\d\w*)?-[\w.]+-[\w.]+-[\w.]+\.whl", file)
    source = re.fullmatch(r"([\w.-]+?)-(\d[\w.!+]*?)(\.tar\.(gz|bz2|xz)|\.zip|\.tgz)", file)
    match = wheel or source
    if not match:
        return "", ""
    try:
        version = Version(match[2]).public
    except InvalidVersion:
        return match[1], ""
    return match[1], str(SpecifierSet(f"=={version}")).lstrip("=")


def unquoted(text: str) -> str:
    match = re.fullmatch(r"(['\"])(.*)\1", text)
    return match[2] if match else text
