"""Write a script's paths anew: below --data-path what is read, below outputs/ what is written."""

from __future__ import annotations

import ast

from aml_project.notebooks.edits import Source
from aml_project.notebooks.file_calls import READ, Use
from aml_project.notebooks.file_paths import Lead, clean, strip_up
from aml_project.notebooks.names import Names
from aml_project.notebooks.tracing import HEAD, JOINED, JOINS, PATHS, WHOLE


class Rewriter:
    """Edits one script; `data` and `output` are how it calls the folder of the data and a path below outputs/."""

    def __init__(self, source: Source, names: Names, data: str, output: str) -> None:
        self.source, self.names, self.data, self.output = source, names, data, output
        self.writes = False

    def lead(self, lead: Lead, argument: str | None = None) -> bool:
        """Lead a literal to its place; `argument` is the expression that gives its value on the command line.

        False if the text can't be changed where it stands.
        """
        if lead.role != READ:
            self.writes = True
        if isinstance(lead.literal, ast.JoinedStr):
            return self._f_string(lead)
        wanted: ast.expr = lead.literal
        parent = self.names.parents[lead.literal]
        if isinstance(parent, ast.Call) and self.names.dotted(parent.func) in PATHS and len(parent.args) == 1:
            wanted = parent  # Path("x") is a Path already
        if lead.how == HEAD and wanted is lead.literal and argument is None:
            self.source.replace(wanted, self._head(lead))
            return True
        text = self._path(lead, argument)
        if wanted is lead.literal and not self._takes_a_path(lead, parent):
            slash = ' + "/"' if lead.text.endswith(("/", "\\")) and lead.how != JOINED else ""
            text = f"str({text}){slash}"
        elif "/" in text and isinstance(self.names.parents[wanted], ast.Attribute) and lead.role == READ:
            text = f"({text})"  # a method of the whole path
        self.source.replace(wanted, text)
        return True

    def _path(self, lead: Lead, argument: str | None) -> str:
        """An expression whose value is a Path."""
        if lead.role == READ:
            below = argument or ("" if lead.rest == "." else repr_of(lead.rest.rstrip("/")))
            return f"{self.data} / {below}" if below else self.data
        if argument:
            return f"{self.output}({argument})"
        return f"{self.output}({repr_of(self._folder_or_file(lead))})"

    def _folder_or_file(self, lead: Lead) -> str:
        """A folder that the script writes into without making it ends in a slash: then it is made."""
        into = lead.how == JOINED or lead.text.endswith("/")
        made = any(use.makes_folder for use in lead.uses)
        return lead.rest.rstrip("/") + ("/" if into and not made else "")

    def _head(self, lead: Lead) -> str:
        """A text that more is added to."""
        folder, slash, name = lead.rest.rpartition("/")
        if lead.rest == ".":
            folder, name = ".", ""
        if lead.role == READ:
            return f"str({self.data}) + {repr_of('/' + (folder + slash if folder != '.' else '') + name)}"
        made = any(use.makes_folder for use in lead.uses)
        place = repr_of("" if folder in ("", ".") else folder + ("" if made else "/"))
        return f"str({self.output}({place})) + {repr_of('/' + name)}"

    def _f_string(self, lead: Lead) -> bool:
        """Change the beginning of an f-string, or put a call around the whole of it."""
        literal = lead.literal
        text = self.source.of(literal)
        quote = text.lstrip("rRfFuU")
        start = len(text) - len(quote) + (3 if quote[:3] in ('"""', "'''") else 1)
        if not text[start:].startswith(lead.text) or "\\" in lead.text:
            return False
        tail = text[start + len(lead.text) :]
        head = "" if lead.rest == "." else lead.rest
        if lead.role == READ:
            self.source.replace(literal, text[:start] + "{" + self.data + "}/" + head + tail)
            return True
        whole = f"{self.output}({text[:start]}{head}{tail})"
        direct = self._takes_a_path(lead, self.names.parents[literal])
        self.source.replace(literal, whole if direct else f"str({whole})")
        return True

    def write_elsewhere(self, use: Use, text: str, how: str) -> bool:
        """Lead one use of a place that is read from, too, to outputs/; False if its name is not found there."""
        place = strip_up(clean(text)) + ("" if how == WHOLE else "/")
        node: ast.AST = use.path
        while not isinstance(node, (ast.Name, ast.JoinedStr)):
            if isinstance(node, ast.BinOp):
                node = node.left
            elif isinstance(node, ast.Call) and self.names.dotted(node.func) in JOINS and node.args:
                node = node.args[0]
            else:
                return False
        if isinstance(node, ast.Name):
            added = isinstance(self.names.parents[node], ast.BinOp) and not text_is_path(self.names, node)
            slash = ' + "/"' if added and text.endswith("/") else ""
            made = f"{self.output}({repr_of(place)})"
            self.source.replace(node, f"str({made}){slash}" if added or use.wants_text else made)
        else:
            whole = self.source.of(node)
            opening = len(whole) - len(whole.lstrip("rRfF"))
            quote = whole[opening]
            first = node.values[0]
            name = first.value.id if isinstance(first, ast.FormattedValue) and isinstance(first.value, ast.Name) else ""
            start = opening + (3 if whole[opening : opening + 3] == quote * 3 else 1)
            if not name or not whole[start:].startswith("{" + name + "}"):
                return False
            other = "'" if quote == '"' else '"'
            slash = "/" if text.endswith("/") else ""
            made = "{" + f"{self.output}({other}{place}{other})" + "}" + slash
            self.source.replace(node, whole[:start] + made + whole[start + len(name) + 2 :])
        self.writes = True
        return True

    def _takes_a_path(self, lead: Lead, parent: ast.AST) -> bool:
        """Whether a Path may stand where the literal stands: right in a call that reads or writes, or that joins."""
        if isinstance(parent, ast.Call) and self.names.dotted(parent.func) in PATHS | {"os.path.join"}:
            return True
        direct = [use for use in lead.uses if use.path is lead.literal and use.called]
        return bool(direct) and not any(use.wants_text or use.handed_on for use in direct)


def text_is_path(names: Names, node: ast.Name) -> bool:
    """Whether a name stands for a Path."""
    binding = names.only(node)
    value = binding.node if binding else None
    return isinstance(value, ast.Call) and names.dotted(value.func) in PATHS


def repr_of(text: str) -> str:
    """A text as a formatter writes it: in double quotes."""
    return '"' + repr("'" + text)[2:-1].replace('"', '\\"') + '"' if '"' not in text else repr(text)
