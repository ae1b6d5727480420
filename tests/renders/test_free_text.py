"""Free text, whatever it holds: the files stay valid and say exactly what was answered."""

import json
from pathlib import Path

import pytest
import tomli as tomllib
import yaml
from cookiecutter.environment import StrictEnvironment
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jinja2 import FileSystemLoader
from markdown_it import MarkdownIt

from tests.support import PROJECT, QUESTIONS, TEMPLATE, answer, derived, files_of, rendered

HOSTILE = (
    'O\'Brien "Doc" \\ """ \'\'\' {{ x }} {% y %} {# z #} # : - é 漢 😀 <b> &amp; [a](b) `c` *d* _e_ |f| $g'
    " \x07\n1. end \\"
)
TEXTS = [
    HOSTILE,
    HOSTILE[::-1],
    '"',
    "\\",
    "#",
    "- item",
    "12) x",
    "=====",
    "~~~\nfence",
    "\U000e0001 \U0010ffff",
    "a\u2028b \x1b \x85c",
    "\x1b",
    "%{x}",
]


def check(project: Path, name: str, description: str, author: str) -> None:
    answers = json.loads((project / ".cookiecutter.json").read_text(encoding="utf-8"))
    assert (answers["project_name"], answers["description"], answers["author"]) == (name, description, author)
    metadata = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert metadata["description"] == description
    assert metadata.get("authors", []) == ([{"name": author}] if author.strip() else [])
    check_readme(
        (project / "README.md").read_text(encoding="utf-8"), name, answers["project_slug"], description, author
    )


def check_readme(text: str, name: str, slug: str, description: str, author: str) -> None:
    """Read as Markdown, the README's title and first lines are the answers, on one line each."""
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    headings = [tokens[i + 1] for i, token in enumerate(tokens) if token.type == "heading_open"]
    assert headings[1].content == "1. Train here"
    title = one_line(name) or slug
    assert plain(headings[0]) == title
    first = [plain(token) for token in tokens[: tokens.index(headings[1])] if token.type == "inline"]
    expected = [title, one_line(description), one_line(author) and f"Author: {one_line(author)}"]
    assert first == [line for line in expected if line]


def plain(token: object) -> str:
    children = token.children  # type: ignore[attr-defined]
    kinds = [child.type for child in children]
    if kinds[0] == "em_open":
        assert kinds.pop() == "em_close"
        kinds.pop(0)
    assert set(kinds) <= {"text", "text_special"}, "something was taken for markup"
    return "".join(child.content for child in children)


def one_line(text: str) -> str:
    return " ".join(text.split()).replace("\0", "\N{REPLACEMENT CHARACTER}")


@pytest.mark.parametrize("text", TEXTS)
def test_hostile_answers(tmp_path: Path, text: str) -> None:
    name = text[:80]
    texts = {"project_name": answer(name), "description": answer(text), "author": answer(text)}
    project = rendered(tmp_path, project_slug="hostile", **texts)
    check(project, name, text, text)
    for file, content in files_of(project).items():
        if file.endswith((".yml", ".runconfig")):
            yaml.safe_load(content)
        elif file.endswith(".py"):
            compile(content, file, "exec")


@pytest.mark.parametrize("name", ["Ümläut & Söhne", "漢字", "😀", "---", "x" * 80, "a  b/c\\d", "{{"])
def test_every_name_gives_a_folder_name(tmp_path: Path, name: str) -> None:
    project = rendered(tmp_path, project_name=answer(name))
    assert json.loads((project / ".cookiecutter.json").read_text())["project_name"] == name
    assert project.name == json.loads((project / ".cookiecutter.json").read_text())["project_slug"]


# The three files that hold free text, rendered without the rest: hundreds of answers a second instead of ten.
ENVIRONMENT = StrictEnvironment(
    context={"cookiecutter": QUESTIONS}, keep_trailing_newline=True, **QUESTIONS["_jinja2_env_vars"]
)
ENVIRONMENT.loader = FileSystemLoader([PROJECT, TEMPLATE / "templates"])
DEFAULTS = derived()
free_text = st.text(st.characters(codec="utf-8"), max_size=40) | st.text("\"'\\{}%#\n -=1.)`*_[]<>&|~:", max_size=12)


@given(name=free_text.filter(str.strip), description=free_text, author=free_text)
@example(name=HOSTILE[:80], description=HOSTILE, author=HOSTILE)
@settings(max_examples=400, deadline=None)
def test_any_text(tmp_path_factory: pytest.TempPathFactory, name: str, description: str, author: str) -> None:
    folder = tmp_path_factory.mktemp("text", numbered=True)
    answers = DEFAULTS | {"project_name": name, "description": description, "author": author, "project_slug": "slug"}
    for file in (".cookiecutter.json", "pyproject.toml", "README.md"):
        text = ENVIRONMENT.get_template(file).render(cookiecutter=answers)
        (folder / file).write_text(text, encoding="utf-8", newline="")
    check(folder, name, description, author)
