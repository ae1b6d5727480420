"""The text of a Dockerfile as Azure ML builds it: from the text alone, without the files that lie beside it.

A stage named `environment` is taken up to its end: what comes after it, as the code, is brought by each run. A file
that the text copies is written by the text instead.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
from collections import namedtuple

from aml_project.command_line import Failure

TYPE_CHECKING = False  # typing's own costs its import, and a dry run has to answer at once
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STAGE = "environment"
MAX_FILE = 64_000
WIDTH = 100  # characters of a file in one line
# The line is part of what is built, and so of its version: other words would build every environment once more.
ORIGIN = re.compile(r"^# From (.+), by scripts/register_environment\.py$", re.MULTILINE)
ROOT_USERS = ("", "root", "0", "root:root", "0:0")
INSTEAD = f"Azure ML has no such file where it builds: copy single files, or copy it after the stage `{STAGE}`"

# An instruction: its lines, from the first to before the last, and its text in one line.
Instruction = namedtuple("Instruction", "first last keyword rest")


def standalone(file: Path, folder: Path) -> str:
    """Return the text that builds without a folder; its last line names the file that it was made from."""
    shown = os.path.relpath(file)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise Failure(f"{shown}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Failure(f"{shown}: not UTF-8") from None
    try:
        lines = inlined(text, folder, f"{file.name}.dockerignore")
    except Failure as failure:
        raise Failure(f"{shown}: {failure}") from None
    origin = os.path.relpath(file.resolve(), folder.resolve()).replace(os.sep, "/")
    kept = "\n".join(lines).strip("\n")
    return "\n".join([kept, f"# From {origin}, by scripts/register_environment.py", ""])


def origin_of(text: object) -> str | None:
    """Return the file that a text was made from, by its path in the model's folder."""
    found = ORIGIN.findall(text) if isinstance(text, str) else None
    return str(found[-1]) if found else None


def inlined(text: str, folder: Path, own_ignore_file: str) -> list[str]:
    """Return the lines of the text, each copied file written by a line of its own."""
    lines = text.replace("\r\n", "\n").split("\n")
    if any(re.match(r"#\s*escape\s*=\s*`", line, re.IGNORECASE) for line in lines[:3]):
        raise Failure("line 1: escape=` is for Windows, which Azure ML does not build: remove it")
    found = list(instructions(lines))
    if not any(one.keyword == "FROM" for one in found):
        raise Failure("no FROM line: it is no Dockerfile")
    result: list[str] = []
    position, stage, users = 0, "", {"": ""}  # who is active at the end of each stage, or so far
    for one in found[: end_of_stage(found)]:
        result += lines[position : one.first]
        position = one.last
        own = lines[one.first : one.last]
        if one.keyword == "FROM":
            words = one.rest.lower().split() or [""]
            stage = words[-1] if "as" in words else ""
            users[stage] = users.get(words[0], "")
        elif one.keyword == "USER":
            users[stage] = one.rest
        try:
            written = written_file(one, folder, own_ignore_file)
        except Failure as failure:
            raise Failure(f"line {one.first + 1}: {failure}") from None
        if written and users[stage] not in ROOT_USERS:  # whoever runs a RUN, a COPY is root's
            written = ["USER 0", *written, f"USER {users[stage]}"]
        result += written or own
    return result


def instructions(lines: list[str]) -> Iterator[Instruction]:
    """Read the instructions; comments and empty lines are between them, or within one."""
    position = 0
    while position < len(lines):
        first, parts = position, list[str]()
        while position < len(lines):
            line = lines[position]
            position += 1
            if not line.strip() or line.lstrip().startswith("#"):
                if not parts:
                    first = position
                continue
            parts.append(line.rstrip().removesuffix("\\"))
            if not line.rstrip().endswith("\\"):
                break
        keyword, rest = [*"".join(parts).split(None, 1), "", ""][:2]
        if keyword.upper() in ("RUN", "COPY", "ADD"):
            for dash, _, end in re.findall(r"(?<!<)<<(-?)(['\"]?)(\w+)\2", rest):  # a text in the lines below
                below = [line.lstrip("\t") if dash else line for line in lines[position:]]
                position += below.index(end) + 1 if end in below else 0
        if parts:
            yield Instruction(first, position, keyword.upper(), rest.strip())


def end_of_stage(found: list[Instruction]) -> int:
    """Return how many instructions there are up to the end of the stage that Azure ML builds."""
    stages = [number for number, one in enumerate(found) if one.keyword == "FROM"]
    for number, following in zip(stages, [*stages[1:], len(found)], strict=True):
        if re.search(rf"\sAS\s+{STAGE}$", found[number].rest, re.IGNORECASE):
            return following
    return len(found)


def written_file(one: Instruction, folder: Path, own_ignore_file: str) -> list[str]:
    """Return the lines that write what an instruction copies; none if it needs no file from the folder."""
    keyword, rest = one.keyword, one.rest
    if keyword not in ("COPY", "ADD"):
        refuse_others(keyword, rest)
        return []
    flags = {}
    while found := re.match(r"--(\w+)(?:=(\S*))?\s+", rest):
        flags[found[1]] = found[2] or ""
        rest = rest[found.end() :]
    words = words_of(rest)
    if "from" in flags or any("<<" in word for word in words):
        return []
    if keyword == "ADD" and any("://" in word or word.startswith("git@") for word in words):
        return []
    said = f"{keyword} {rest}"
    if unknown := sorted(flags.keys() - {"chown", "chmod", "link"}):
        raise Failure(f"{said}: without --{unknown[0]} only")
    if not re.fullmatch(r"([0-7]{3,4})?", flags.get("chmod", "")):
        raise Failure(f"{said}: --chmod: write a number, as in 644")
    if len(words) != 2:
        raise Failure(f"{said}: one file a line, and where to")
    source, to = words
    if re.search(r"[*?\[\]$\\\x00-\x1f]" if rest.startswith("[") else r"[*?\[\]$\\\"']", source + to):
        raise Failure(f"{said}: wildcards, variables and quotes are not read here: write out the path of one file")
    content, mode = read_file(said, folder, source, own_ignore_file)
    if to.endswith("/") or to in (".", ".."):
        to = f"{to.rstrip('/')}/{source.rpartition('/')[2]}"
    after = f'chmod {flags.get("chmod") or mode} "$to"'
    if owner := flags.get("chown"):
        after += f' && chown {shlex.quote(owner)} "$to"'
    return [f"# {said}", *write_lines(to, source.rpartition("/")[2], content, after)]


def refuse_others(keyword: str, rest: str) -> None:
    """Refuse what else would need a file from the folder."""
    if keyword == "ONBUILD" and re.match(r"(COPY|ADD)\s", rest, re.IGNORECASE):
        raise Failure(f"ONBUILD: {INSTEAD}")
    for mount in re.findall(r"--mount=(\S+)", rest) if keyword == "RUN" else []:
        options = dict(part.partition("=")[::2] for part in mount.split(","))
        if options.get("type", "bind") in ("bind", "secret", "ssh") and "from" not in options:
            raise Failure(f"RUN --mount={mount}: {INSTEAD}")


def words_of(rest: str) -> list[str]:
    if rest.startswith("["):
        try:
            return [str(word) for word in json.loads(rest)]
        except ValueError:
            raise Failure(f"{rest}: not a list in JSON") from None
    return rest.split()


def read_file(said: str, folder: Path, source: str, own_ignore_file: str) -> tuple[bytes, str]:
    """Return a file of the folder and the mode that it gets, which is not that of the one who copied the repo."""
    try:
        path = (folder / source.lstrip("/")).resolve()
        if not path.is_relative_to(folder.resolve()):
            raise Failure(f"{said}: is outside of the model's folder: {INSTEAD}")
        if path.is_dir():
            raise Failure(f"{said}: is a folder: {INSTEAD}")
        inside = path.relative_to(folder.resolve()).as_posix()
        if is_ignored(folder, inside, own_ignore_file):
            raise Failure(f"{said}: .dockerignore keeps it out: take it from there")
        with path.open("rb") as stream:
            content = stream.read(MAX_FILE + 1)
        mode = "755" if path.stat().st_mode & 0o100 else "644"
    except OSError as error:
        raise Failure(f"{said}: {error.strerror}: a path begins at the model's folder") from None
    if len(content) > MAX_FILE:
        raise Failure(f"{said}: is larger than {MAX_FILE // 1000} kB: {INSTEAD}")
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        raise Failure(f"{said}: is no text: {INSTEAD}") from None
    return content, mode


def is_ignored(folder: Path, inside: str, own_ignore_file: str) -> bool:
    """Whether Docker would not find the file: the last pattern of the ignore file that fits decides."""
    file = next((folder / name for name in (own_ignore_file, ".dockerignore") if (folder / name).is_file()), None)
    parts, ignored = inside.split("/"), False
    for line in file.read_text(encoding="utf-8-sig").splitlines() if file else []:
        pattern = line.strip()
        exception = pattern.startswith("!")
        pattern = pattern.lstrip("!").strip().strip("/")
        if not pattern or line.startswith("#"):
            continue
        expression = "".join(
            {"**/": "(.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}.get(piece, re.escape(piece))
            for piece in re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
        )
        if any(re.fullmatch(expression, "/".join(parts[:depth])) for depth in range(1, len(parts) + 1)):
            ignored = not exception
    return ignored


def write_lines(to: str, name: str, content: bytes, after: str) -> list[str]:
    """Write a file by the shell, whatever is in it."""
    coded = base64.b64encode(content).decode()
    into = f'if [ -d "$to" ]; then to="$to"/{shlex.quote(name)}; fi'  # as a COPY does
    return [
        f'RUN to={shlex.quote(to)}; {into}; mkdir -p "$(dirname "$to")" && echo \'\\',
        *(f"{coded[start : start + WIDTH]}\\" for start in range(0, len(coded), WIDTH)),
        f'\' | base64 -d > "$to" && {after}',
    ]
