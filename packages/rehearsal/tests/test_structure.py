"""The package has floors: what a module imports lies below it, also where only its types or one function need it."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

import aml_rehearsal


def modules(package: Path) -> dict[str, Path]:
    """The files of a package, by the names that they are imported by."""
    found = {}
    for file in package.rglob("*.py"):
        parts = file.relative_to(package.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def imports(package: Path) -> dict[str, set[str]]:
    """What each module of a package imports of it, wherever in the file that stands."""
    files = modules(package)
    found: dict[str, set[str]] = {}
    for name, file in files.items():
        named: set[str] = set()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                named |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{file}:{node.lineno}: a relative import, which is not followed here"
                whole = [f"{node.module}.{alias.name}" for alias in node.names]
                named |= {each if each in files else str(node.module) for each in whole}
        found[name] = named & files.keys()
    return found


def circle(package: Path) -> list[str]:
    """Modules of which each imports the next and the last one is the first again; none where there are floors."""
    try:
        graphlib.TopologicalSorter(imports(package)).prepare()
    except graphlib.CycleError as error:
        return list(reversed(error.args[1]))
    return []


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert circle(Path(aml_rehearsal.__file__).parent) == []


@pytest.mark.parametrize(
    "line",
    [
        "import made.lower",
        "from made import lower",
        "from made.lower import name",
        "if TYPE_CHECKING:\n    from made.lower import name",
        "def late() -> None:\n    from made import lower",
    ],
)
def test_each_kind_of_import_closes_a_circle(line: str, tmp_path: Path) -> None:
    package = tmp_path / "made"
    package.mkdir()
    (package / "__init__.py").write_text("from made import upper\n")
    (package / "lower.py").write_text("import json\n\nfrom made.upper import name\n")
    (package / "upper.py").write_text("import json\n")
    assert circle(package) == []
    (package / "upper.py").write_text(f"{line}\n")
    found = circle(package)
    assert found[0] == found[-1]
    assert set(found) == {"made.lower", "made.upper"}


FIRST = """
import importlib, sys, traceback
for name in sys.argv[1:]:
    for known in [known for known in sys.modules if known.partition(".")[0] == "aml_rehearsal"]:
        del sys.modules[known]
    try:
        importlib.import_module(name)
    except Exception as error:
        print(f"{name}: {traceback.format_exception_only(error)[0]}", end="")
"""


def test_each_module_can_be_the_first_that_is_imported() -> None:
    """Each anew, as in a fresh interpreter; what it takes from other packages is loaded once for all."""
    names = sorted(modules(Path(aml_rehearsal.__file__).parent))
    done = subprocess.run([sys.executable, "-c", FIRST, *names], capture_output=True, text=True, check=True)
    assert done.stdout == "" and len(names) > 40


@pytest.mark.parametrize("program", ["run_process", "container"])
def test_what_starts_with_each_run_and_service_loads_no_client_of_azure(program: str) -> None:
    """It would take four times as long to start."""
    loaded = f"import sys, aml_rehearsal.{program}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-c", loaded], capture_output=True, text=True, check=True)
    assert {name.partition(".")[0] for name in done.stdout.split()}.isdisjoint({"azure", "cryptography", "requests"})
