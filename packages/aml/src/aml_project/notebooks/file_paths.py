"""Lead the paths of a script to where a run has its files: below --data-path what is read, below outputs/ the rest."""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from aml_project.notebooks.file_calls import READ, WRITE, Use
from aml_project.notebooks.names import Names
from aml_project.notebooks.tracing import HEAD, JOINED, JOINS, PATHS, WHOLE, Literal, Origin, Tracer

WILD = re.compile(r"[*?\[]")
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
DRIVE = re.compile(r"[A-Za-z]:[\\/]")
FILLED = re.compile(r"[%{]")  # where .format() or % puts something in
MADE_ANEW = ("sqlite3.connect", "shelve.open")  # these make the file that is not there
WORKING_FOLDER = ("os.chdir", "os.getcwd", "pathlib.Path.cwd")


class Lead(NamedTuple):
    """A literal, and where it leads in a run."""

    literal: Literal
    role: str
    how: str
    text: str  # the literal, or how it begins
    rest: str  # below --data-path or outputs/
    uses: tuple[Use, ...]


class Paths:
    """The paths of one script. What lies in the notebook's folder, or in data/ by now, tells folders from files."""

    def __init__(self, names: Names, folder: Path, data: Path | None = None) -> None:
        self.names, self.folder, self.data = names, folder, data
        tracer = Tracer(names)
        self.static = tracer.static
        self.urls: dict[int, Literal] = {}
        self.roots: dict[bool, str] = {}  # what --data-path stands for: of absolute paths, and of others
        self.mixed: list[tuple[Literal, str, list[Use]]] = []  # read and written: the literal, how, the uses that write
        self.lost = tracer.lost
        self.moving = [call for call in tracer.calls if names.dotted(call.func) in WORKING_FOLDER]
        self.leads = self._leads([*tracer.found, *self._not_reached(tracer)])

    def _not_reached(self, tracer: Tracer) -> list[tuple[Use, Origin]]:
        """Literals that no rule has reached, and yet name a file that is there: they are taken for data."""
        known = {id(origin.literal) for _, origin in tracer.found}
        found = []
        for node in self.names.nodes:
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in known:
                parent = self.names.parents[node]
                of_path = (
                    isinstance(parent, ast.Call) and self.names.dotted(parent.func) in PATHS and len(parent.args) == 1
                )
                looks_so = "." in node.value.rpartition("/")[2][1:] or (of_path and bool(node.value.strip("./")))
                kind = Path.exists if of_path else Path.is_file
                if looks_so and self._stands_alone(node) and is_path(node.value) and self._is(node.value, kind):
                    found.append((Use(node, READ, ""), Origin(node, WHOLE)))
        return found

    def _stands_alone(self, node: ast.AST) -> bool:
        """Whether a literal is no part of a longer path, and no key, test or docstring."""
        parent = self.names.parents[node]
        if isinstance(parent, ast.Call):
            return self.names.dotted(parent.func) not in JOINS or parent.args == [node]
        if isinstance(parent, ast.Dict):
            return node in parent.values
        if isinstance(parent, (ast.List, ast.Tuple, ast.Set)):
            return not isinstance(self.names.parents[parent], (ast.Starred, ast.Compare))
        return isinstance(parent, (ast.Assign, ast.AnnAssign, ast.keyword, ast.Return, ast.IfExp, ast.arguments))

    def _leads(self, found: list[tuple[Use, Origin]]) -> list[Lead]:
        by_literal: dict[int, list[tuple[Use, Origin]]] = {}
        for use, origin in sorted(found, key=lambda pair: (pair[1].literal.lineno, pair[1].literal.col_offset)):
            text = beginning(origin.literal)
            if SCHEME.match(text) and not DRIVE.match(text):
                self.urls[id(origin.literal)] = origin.literal
            elif is_path(FILLED.split(text)[0] if origin.how == HEAD else text):
                by_literal.setdefault(id(origin.literal), []).append((use, origin))
            elif origin.how == HEAD and FILLED.match(text):
                self.lost.append(use)
        self._note_written(by_literal)
        leads = []
        for pairs in by_literal.values():
            literal = pairs[0][1].literal
            writing = [use for use, origin in pairs if self._role(use, origin) == WRITE]
            role = WRITE if len(writing) == len(pairs) else READ
            hows = {origin.how for _, origin in pairs}
            how = HEAD if HEAD in hows else JOINED if JOINED in hows else WHOLE
            if writing and role == READ:
                self.mixed.append((literal, how, writing))
            leads.append(Lead(literal, role, how, beginning(literal), "", tuple(use for use, _ in pairs)))
        read = [lead for lead in leads if lead.role == READ]
        self.roots = {
            kind: common([self._folder(lead) for lead in read if is_absolute(lead.text) == kind])
            for kind in (True, False)
        }
        return [lead._replace(rest=self._rest(lead)) for lead in leads]

    # --- is it data, or something that the script has written? ---

    def _note_written(self, by_literal: dict[int, list[tuple[Use, Origin]]]) -> None:
        """Note the files that the script writes, each with the first line that does, and the folders that it makes."""
        self.written: dict[str, int] = {}
        self.made: set[str] = set()
        self.filled: set[str] = set()  # with files whose names are made as the script runs
        for pairs in by_literal.values():
            for use, origin in pairs:
                path = self._path_of(use, origin)
                if use.role == WRITE and path and use.makes_folder:
                    self.made.add(path)
                elif use.role == WRITE and path:
                    self.written[path] = min(use.path.lineno, self.written.get(path, use.path.lineno))
                elif use.role == WRITE:
                    text = beginning(origin.literal)
                    self.filled.add(clean(text) if origin.how == JOINED else posixpath.dirname(clean(text + "x")))

    def _path_of(self, use: Use, origin: Origin) -> str:
        text = self.static(use.path)
        if text is None and origin.how == WHOLE:
            text = beginning(origin.literal)
        return "" if text is None else clean(text)

    def _role(self, use: Use, origin: Origin) -> str:
        """A file that the script has written itself is read where it was written."""
        path = self._path_of(use, origin)
        if use.role == WRITE or (use.called in MADE_ANEW and not self._is(path, Path.exists)):
            return WRITE
        if path in self.written:
            is_first = use.path.lineno < self.written[path] and self._is(path, Path.exists)
            return READ if is_first and isinstance(self.names.scope(origin.literal), ast.Module) else WRITE
        folder = path if path and not WILD.search(path) else posixpath.dirname(path)
        if not path and origin.how == JOINED and not self._is_folder(beginning(origin.literal)):
            folder = clean(beginning(origin.literal))
        if self.made & self.filled & {folder, posixpath.dirname(path)}:
            return WRITE
        return WRITE if folder and folder in self.made else READ

    # --- where does it lie in a run? ---

    def _folder(self, lead: Lead) -> str:
        """The folder that a path which is read leads into, or is."""
        text = lead.text.replace("\\", "/")
        if lead.how == HEAD:
            text = FILLED.split(text)[0]
        if WILD.search(text):
            return posixpath.dirname(clean(WILD.split(text)[0] + "x"))
        if lead.how == HEAD and not text.endswith("/"):
            return posixpath.dirname(clean(text))
        told = lead.how == JOINED or text.endswith("/") or any(use.is_folder for use in lead.uses)
        return clean(text) if told or self._is_folder(text) else posixpath.dirname(clean(text))

    def _rest(self, lead: Lead) -> str:
        text = lead.text.replace("\\", "/")
        path = clean(text)
        if lead.role == READ:
            root = self.roots[is_absolute(text)]
            rest = strip_up(path[len(root) :] if root and f"{path}/".startswith(f"{root}/") else path)
        else:
            rest = posixpath.basename(path) if is_absolute(text) else strip_up(path)
            rest = "." if rest == "outputs" else rest.removeprefix("outputs/")
        return rest + ("/" if text.endswith("/") and rest != "." else "")

    def _is_folder(self, text: str) -> bool:
        return self._is(text, Path.is_dir)

    def _is(self, text: str, kind: Callable[[Path], bool]) -> bool:
        """Whether a path is of some kind where the notebook lies, or has been and is below data/ now."""
        try:
            if kind(self.folder / Path(text).expanduser()):
                return True
            parts = strip_up(clean(text)).split("/")
            ends = [self.data.joinpath(*parts[i:]) for i in range(len(parts))] if self.data else []
            return any(kind(end) for end in ends)
        except (OSError, ValueError, RuntimeError):
            return False


def beginning(literal: Literal) -> str:
    """A literal's text, or that of an f-string up to its first value."""
    if isinstance(literal, ast.JoinedStr):
        first = literal.values[0]
        return str(first.value) if isinstance(first, ast.Constant) else ""
    return str(literal.value)


def is_path(text: str) -> bool:
    """Whether a text can be a path: readers take data itself, too."""
    return bool(text.strip()) and not re.search(r"[\n{<]|^\[", text) and len(text) < 1000


def is_absolute(text: str) -> bool:
    return text.startswith(("/", "~", "\\\\")) or bool(DRIVE.match(text))


def clean(text: str) -> str:
    return posixpath.normpath(text.replace("\\", "/"))


def strip_up(path: str) -> str:
    """A path without what leads out of its folder."""
    parts = [part for part in path.split("/") if part not in ("", "..", "~") and not part.endswith(":")]
    return "/".join(parts) or "."


def common(folders: list[str]) -> str:
    """The folder around all of these."""
    if not folders:
        return ""
    parts = [folder.split("/") if folder != "." else [] for folder in folders]
    shared: list[str] = []
    for column in zip(*parts, strict=False):
        if len(set(column)) > 1:
            break
        shared.append(column[0])
    return "/".join(shared)
