"""What the docs show is what happens."""

import re
import shlex
from pathlib import Path

from tests.aml import aml
from tests.conftest import Bake
from tests.support import FRAMEWORKS, MODEL, PYTHONS, QUESTIONS, TEMPLATE, cookiecutter, copy_of, rendered_file

README = (TEMPLATE / "README.md").read_text(encoding="utf-8")
QUESTIONS_PAGE = (TEMPLATE / "docs" / "questions.md").read_text(encoding="utf-8")


def test_every_question_has_a_row_with_its_default() -> None:
    rows = {
        question: default
        for names, default in re.findall(r"^\| (`.*?`) \| (.*?) \|", QUESTIONS_PAGE, flags=re.MULTILINE)
        for question in re.findall(r"`(\w+)`", names)
    }
    assert list(rows) == [question for question in QUESTIONS if not question.startswith("_")]
    for question, default in rows.items():
        expected = QUESTIONS[question][0] if isinstance(QUESTIONS[question], list) else QUESTIONS[question]
        if "{{" not in expected and question != "description":
            assert default == (expected or "empty"), question


def test_every_choice_is_named() -> None:
    for choice in (*FRAMEWORKS, *QUESTIONS["launcher"], *QUESTIONS["data_access"]):
        assert f"`{choice}`" in QUESTIONS_PAGE
    assert ", ".join(sorted(PYTHONS)) in QUESTIONS_PAGE


def test_the_refusal_is_the_one_shown(tmp_path: Path) -> None:
    shown = re.search(
        r"^\$ cookiecutter gh:\S+ --no-input (.*)\n((?:ERROR: .*\n)+)", QUESTIONS_PAGE, flags=re.MULTILINE
    )
    assert shown
    answers = dict(argument.split("=", 1) for argument in shlex.split(shown[1]))
    said = cookiecutter(tmp_path, **answers).stderr
    assert said.startswith(shown[2])


def test_the_tree_is_the_rendered_one(bake: Bake) -> None:
    project = bake()
    tree = README.split("my-aml-project/\n")[1].split("```")[0]
    folder = project
    for line in tree.splitlines():
        depth = line.index("── ")
        entries = line[depth + 3 :].split("   ")[0].split("  ")
        parent = project if depth < 4 else folder
        for entry in entries:
            assert (parent / entry).exists(), entry
        if depth < 4:
            folder = project / entries[-1]
    assert "models/model1/" in tree


def test_the_runconfig_of_many_nodes_is_the_rendered_one() -> None:
    page = (TEMPLATE / "docs" / "many-nodes.md").read_text(encoding="utf-8")
    command, shown = re.findall(r"```(?:yaml)?\n(.*?)```", page, flags=re.DOTALL)[:2]
    answers = dict(word.split("=") for word in command.split()[2:])
    rendered = rendered_file(MODEL / "aml_config" / "train-amlcompute.runconfig", **answers).splitlines()
    assert [line for line in shown.splitlines() if line not in rendered] == []
    for variables in (("OMPI_COMM_WORLD_LOCAL_RANK", "AZ_BATCH_MASTER_NODE"), ("NODE_RANK", "MASTER_PORT")):
        assert all(name.removeprefix("OMPI_COMM_WORLD") in page for name in variables)


def test_the_ways_of_the_data_are_those_of_the_runconfig() -> None:
    page = (TEMPLATE / "docs" / "data-access.md").read_text(encoding="utf-8")
    for way, told in re.findall(r"^\| `(\w+)` \| (`arguments.*) \|$", page, flags=re.MULTILINE):
        text = rendered_file(MODEL / "aml_config" / "train-amlcompute.runconfig", data_access=way)
        text = text.replace("model1-data", "NAME").replace('pathOnCompute: "', "pathOnCompute: ")
        assert [line for line in re.findall("`(.*?)`", told) if line not in text and line != "pathOnCompute"] == []
        assert ("no `pathOnCompute`" in told) == ("pathOnCompute" not in text)


def measuring_script() -> str:
    page = (TEMPLATE / "docs" / "data-access.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    return str(script)


def test_the_measuring_script_passes_the_check(bake: Bake, tmp_path: Path) -> None:
    project = copy_of(bake(), tmp_path)
    model = project / "models" / "model1"
    (model / "read.py").write_text(measuring_script(), encoding="utf-8")
    for way in ("mount", "direct"):
        text = rendered_file(MODEL / "aml_config" / "train-amlcompute.runconfig", data_access=way)
        (model / "aml_config" / f"read-{way}.runconfig").write_text(text.replace("script: train.py", "script: read.py"))
    assert "4 runconfigs fine" in aml(project, "check").out


def test_every_link_leads_somewhere() -> None:
    for page in [*TEMPLATE.glob("*.md"), *(TEMPLATE / "docs").glob("*.md"), TEMPLATE / "tests" / "README.md"]:
        for link in re.findall(r"\]\(<?([^)#:>]+)>?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
