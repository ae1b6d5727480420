"""What the code of a model imports, and what its notebook installed; the code is read, never run."""

from __future__ import annotations

import ast
import io
import os
import re
import shlex
import sys
import tokenize
from dataclasses import dataclass, field
from pathlib import Path

from aml_project.command_line import Failure
from aml_project.requirements.conda_environment import take_item
from aml_project.requirements.import_names import GONE, OWN_MODULE_NAMES
from aml_project.requirements.package_list import Found
from aml_project.requirements.requirements_file import OPTIONS, take
from aml_project.requirements.text_files import show

MAX_FILES, MAX_BYTES = 500, 5_000_000
NOT_CODE = {"tests", "outputs", "logs", "mlruns", "__pycache__", "node_modules", "site-packages"}
COMMAND = re.compile(
    r"#\s*[%!]{1,2}\s*(?:(?:\{?sys\.executable\}?|\S*python[\d.]*)\s+-m\s+)?(?P<tool>uv\s+pip|pip[\d.]*|conda|mamba)\s+"
    r"(?:[^\s-]\S*\s+)?install\s+(?P<rest>.*)"
)
ENDS = ("&&", "||", "|", ";", "&", ">", ">>", "2>&1", "2>", "1>", "#")
WITH_VALUE = {
    "-i", "--index-url", "--extra-index-url", "-f", "--find-links", "--trusted-host", "-t", "--target", "--prefix",
    "--root", "-c", "--constraint", "-r", "--requirement", "-e", "--editable", "--channel", "-n", "--name", "-p",
    "--proxy", "--timeout", "--retries", "--python-version", "--platform", "--progress-bar", "--cert",
    "--upgrade-strategy",
}  # fmt: skip
GUARDS = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}


@dataclass
class Code:
    """What the files of a model tell."""

    required: dict[str, list[str]] = field(default_factory=dict)  # dotted module: the files that import it
    optional: dict[str, list[str]] = field(default_factory=dict)
    gone: dict[str, str] = field(default_factory=dict)  # module: the Python that lacks it
    own: set[str] = field(default_factory=set)  # imports that look like a module of the user's that was left behind
    installed: Found = field(
        default_factory=lambda: Found("")
    )  # by lines that a notebook's conversion left as comments


def read(model: Path) -> Code:
    """Read all the code of a model folder but its tests."""
    code = Code()
    files = code_files(model)
    local = {file.relative_to(model).parts[0].removesuffix(".py") for file in files}
    for file in files:
        shown = file.relative_to(model).as_posix()
        text, tree = parsed(file)
        for module, required in modules_of(tree):
            top = module.split(".")[0]
            beside = {path.stem for path in file.parent.glob("*.py")} | local
            if top in beside or top in ("__main__", "__future__"):
                continue
            if top in GONE:
                code.gone[top] = GONE[top]
            elif top in OWN_MODULE_NAMES:
                code.own.add(f"{top} ({shown})")
            elif top not in sys.stdlib_module_names:
                places = (code.required if required else code.optional).setdefault(module, [])
                if shown not in places:
                    places.append(shown)
        take_commands(text, shown, code.installed)
    code.optional = {module: files for module, files in code.optional.items() if module not in code.required}
    return code


def code_files(model: Path) -> list[Path]:
    """Return the Python files of a model, without tests, results and environments."""
    files: list[Path] = []
    for folder, folders, names in os.walk(model):
        here = Path(folder)
        folders[:] = sorted(
            name for name in folders
            if name not in NOT_CODE and not name.startswith(".") and not (here / name / "pyvenv.cfg").exists()
        )  # fmt: skip
        files += [here / name for name in sorted(names) if name.endswith(".py") and not name.startswith("test_")]
        if len(files) > MAX_FILES:
            raise Failure(f"{os.path.relpath(model)}: more than {MAX_FILES} Python files: name the packages in a file")
    return [file for file in files if file.name != "conftest.py" and file.is_file()]


def parsed(file: Path) -> tuple[str, ast.Module]:
    shown = os.path.relpath(file)
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise Failure(f"{shown}: larger than {MAX_BYTES // 1_000_000} MB: name the packages in a file")
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        return content.decode(encoding), ast.parse(content)
    except SyntaxError as error:
        raise Failure(f"{shown}: line {error.lineno or 1}: no Python: {show(error.msg)}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise Failure(f"{shown}: no Python: {show(str(error)) or 'nested too deeply'}") from None


def modules_of(tree: ast.Module) -> list[tuple[str, bool]]:
    """Return the modules that are imported anywhere, and whether the code can't do without."""
    found: list[tuple[str, bool]] = []
    waiting: list[tuple[ast.AST, bool]] = [(tree, True)]
    while waiting:  # not by recursion: an expression may be nested deeper than Python's stack
        node, required = waiting.pop()
        if isinstance(node, ast.Import):
            found += [(alias.name, required) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            found += [(f"{node.module}.{alias.name}".removesuffix(".*"), required) for alias in node.names]
        elif isinstance(node, ast.Try) and any(catches_import(handler) for handler in node.handlers):
            waiting += [(child, False) for child in (*node.body, *node.handlers, *node.orelse)]
            waiting += [(child, required) for child in node.finalbody]
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            waiting += [(child, False) for child in node.body] + [(child, required) for child in node.orelse]
        else:
            waiting += [(child, required) for child in ast.iter_child_nodes(node)]
    return sorted(set(found))


def catches_import(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    return any(isinstance(node, ast.Name) and node.id in GUARDS for node in ast.walk(handler.type))


def take_commands(text: str, shown: str, found: Found) -> None:
    """Add what `%pip install` and its like name, in comments: that is what is left of such a line of a notebook."""
    try:
        comments = [
            (token.start[0], token.string)
            for token in tokenize.generate_tokens(io.StringIO(text).readline)
            if token.type == tokenize.COMMENT
        ]
    except (tokenize.TokenError, SyntaxError):
        return
    for number, comment in comments:
        match = COMMAND.match(comment)
        if match:
            take_command(match["tool"], match["rest"], f"{shown}:{number}", found)


def take_command(tool: str, rest: str, where: str, found: Found) -> None:
    try:
        words = shlex.split(rest.rstrip("\\").replace(";", " ; "))
    except ValueError:
        found.notes.leave_out(rest, where, "the line can't be read")
        return
    words = words[: next((place for place, word in enumerate(words) if word in ENDS), len(words))]
    while words:
        word = words.pop(0)
        if word.startswith("-"):
            name, _, value = word.partition("=")
            if tool in ("conda", "mamba") and name == "-c":  # a channel
                value = words.pop(0) if words else ""
                continue
            if name in WITH_VALUE and not value and words:
                value = words.pop(0)
            if name in ("-r", "--requirement", "-c", "--constraint"):
                found.notes.leave_out(f"{name} {value}", where, "a list that a notebook names: import it by its name")
            elif name in ("-e", "--editable", "-i", "--index-url", "--extra-index-url", "-f", "--find-links"):
                found.notes.leave_out(f"{name} {value}", where, OPTIONS[name])
            continue
        if re.search(r"\{.*\}|\$\w", word):
            found.notes.leave_out(word, where, "its value is a variable of the notebook")
            continue
        try:
            take_item(word, where, found) if tool in ("conda", "mamba") else take(word, where, found)
        except Failure as failure:
            found.notes.leave_out(word, where, f"{failure}".split(":", maxsplit=1)[0])
