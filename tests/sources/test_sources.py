"""The template's own files, unrendered."""

import ast
import re
import subprocess
from pathlib import Path

import pytest
from cookiecutter.environment import StrictEnvironment

from tests.support import FRAMEWORK_FOLDERS, MODEL, PROJECT, QUESTIONS, TEMPLATE
from tools.make_sample_data import table

SOURCES = [
    TEMPLATE / name
    for name in subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=TEMPLATE, capture_output=True, text=True, check=True,
    ).stdout.split("\0")
    if name and (TEMPLATE / name).exists()
]  # fmt: skip
RENDERED = [path for path in SOURCES if path.is_relative_to(PROJECT) or path.is_relative_to(TEMPLATE / "templates")]
# What is copied as it is, and what aml add writes: ${{ }} is GitHub's.
AS_IT_IS = (TEMPLATE / "templates" / "ci", *PROJECT.rglob("*.nii.gz*"))
JINJA = [path for path in RENDERED if not any(path.is_relative_to(place) for place in AS_IT_IS)]
PYTHON = [path for path in SOURCES if path.suffix == ".py"]
OF_FRAMEWORK = re.compile(r"\{\{ of_framework\(.*\) \}\}\n")


def name(path: Path) -> str:
    return path.relative_to(TEMPLATE).as_posix()


@pytest.mark.parametrize("path", JINJA, ids=name)
def test_compiles_as_jinja(path: Path) -> None:
    environment = StrictEnvironment(context={"cookiecutter": QUESTIONS})
    environment.from_string(path.read_text(encoding="utf-8"))
    environment.from_string(name(path))


@pytest.mark.parametrize("path", PYTHON, ids=name)
def test_python_parses_unrendered(path: Path) -> None:
    """Only a file that is nothing but the place of its framework's file is no Python by itself."""
    text = path.read_text(encoding="utf-8")
    if path.parent in (MODEL, MODEL / "tests") and OF_FRAMEWORK.fullmatch(text):
        return
    ast.parse(text)
    allowed = {"pre_gen_project.py": 3, "post_gen_project.py": 2}.get(path.name, 0)
    if path.is_relative_to(PROJECT) or path.is_relative_to(FRAMEWORK_FOLDERS) or path.parent.name == "hooks":
        assert len(re.findall(r"\{\{|\{%|\{#", text)) == allowed


# Of Azure itself, the same for everybody.
ROLES = {
    "7f951dda-4ed3-4680-a7ca-43fe172d538d": "AcrPull",
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe": "Storage Blob Data Contributor",
    "f6c7c914-8db3-469d-8ca1-694a8f32e121": "AzureML Data Scientist",
}


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_nothing_private_or_local_is_in_a_file(path: Path) -> None:
    """No subscription of anybody, no folder of a machine."""
    text = path.read_bytes().decode("utf-8", "replace")
    guids = {
        guid
        for guid in re.findall(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b", text)
        if guid.lower() != "12345678-1234-1234-1234-123456789abc" and not guid.startswith("00000000-0000-")
    }
    assert guids <= ROLES.keys()
    assert not re.search(r"(?<![\w.])/(home|root|Users)/\w", text)


def test_the_hooks_start_fast() -> None:
    """Every render pays for what a hook imports; these are all that it takes."""
    for hook in ("pre_gen_project", "post_gen_project"):
        tree = ast.parse((TEMPLATE / "hooks" / f"{hook}.py").read_text(encoding="utf-8"))
        imported = {
            alias.name if isinstance(node, ast.Import) else node.module
            for node in tree.body
            if isinstance(node, (ast.Import, ast.ImportFrom))
            for alias in node.names
        }
        assert imported <= {"os", "sys"}


def test_the_sample_table_is_what_its_generator_writes() -> None:
    assert (TEMPLATE / "templates" / "data" / "customers.csv").read_text(encoding="utf-8") == table()


def test_the_sample_table_is_realistic() -> None:
    header, *rows = table().splitlines()
    cells = [dict(zip(header.split(","), row.split(","), strict=True)) for row in rows]
    assert 1000 <= len(rows) <= 5000
    assert {row["churned"] for row in cells} == {"yes", "no"}
    assert 0.2 < sum(row["churned"] == "yes" for row in cells) / len(cells) < 0.4
    assert sum(not row["data_gb"] for row in cells) > 50
    assert sum(not row["payment"] for row in cells) > 50
