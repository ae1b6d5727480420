"""The questions as they are asked, and answered by typing."""

import json
import subprocess
from pathlib import Path

from tests.support import BIN, FRAMEWORKS, PYTHONS, QUESTIONS, TEMPLATE

ASKED = [question for question in QUESTIONS if not question.startswith("_")]


def ask(folder: Path, **typed: str) -> str:
    """Answer the questions in their order, most of them with the return key."""
    lines = "".join(f"{typed.get(question, '')}\n" for question in ASKED)
    done = subprocess.run(
        [BIN / "cookiecutter", TEMPLATE], cwd=folder, input=lines, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_question_is_asked_in_words(tmp_path: Path) -> None:
    said = " ".join(ask(tmp_path).split())
    for question, prompt in QUESTIONS["__prompts__"].items():
        words = prompt["__prompt__"] if isinstance(prompt, dict) else prompt
        assert words in said, question
    for choice in [*(QUESTIONS["__prompts__"]["framework"][framework] for framework in FRAMEWORKS), *PYTHONS]:
        assert choice in said
    assert (tmp_path / "my-aml-project").is_dir()


def test_what_is_typed_is_taken_as_it_is(tmp_path: Path) -> None:
    """Typed Jinja is text; the choices are numbers of a list."""
    text = '{{ x }} {% y %} "Doc" O\'Brien \\ 漢 😀'
    ask(tmp_path, project_name=text, project_slug="typed", author=text, framework="2", python_version="3")
    answers = json.loads((tmp_path / "typed" / ".cookiecutter.json").read_text(encoding="utf-8"))
    assert (answers["project_name"], answers["author"]) == (text, text)
    assert (answers["framework"], answers["python_version"]) == (FRAMEWORKS[1], PYTHONS[2])
