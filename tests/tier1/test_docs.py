"""What the docs show is what happens."""

import re
import shlex
from pathlib import Path

from tests.conftest import Bake
from tests.support import FRAMEWORKS, PYTHONS, QUESTIONS, TEMPLATE, cookiecutter

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
    for framework in FRAMEWORKS:
        assert f"`{framework}`" in QUESTIONS_PAGE
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


def test_every_link_leads_somewhere() -> None:
    for page in [*TEMPLATE.glob("*.md"), *(TEMPLATE / "docs").glob("*.md"), TEMPLATE / "tests" / "README.md"]:
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
