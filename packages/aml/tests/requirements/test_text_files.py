"""What is shown of a file is one line, and no secret."""

import json
from pathlib import Path

import pytest

from aml_project.requirements import text_files
from requirements.lists import pip_of, take, write


@pytest.mark.parametrize(
    "line",
    [
        "x @ https://me:Pa55word@example.com/x-1.0-py3-none-any.whl",
        "https://me:Pa55word@example.com/x-1.0-py3-none-any.whl",
        "git+https://Pa55word@example.com/x.git#egg=x",
        "x @ https://example.com/x-1.0-py3-none-any.whl?sv=1&sig=Pa55word",
        "--extra-index-url https://me:Pa55word@example.com/simple",
        "-i https://Pa55word@example.com/simple",
        "-e git+https://Pa55word@example.com/x.git#egg=x",
        "!!! https://me:Pa55word@example.com",
        "-r https://me:Pa55word@example.com/list.txt",
        "--password=Pa55word",
    ],
)
@pytest.mark.parametrize("name", ["requirements.txt", "environment.yml", "pyproject.toml"])
def test_no_secret_is_written_or_shown(project: Path, line: str, name: str) -> None:
    text = {
        "requirements.txt": f"{line}\nsix==1.16.0\n",
        "environment.yml": f"dependencies:\n  - pip:\n    - {json.dumps(line)}\n    - six==1.16.0\n",
        "pyproject.toml": f"[project]\ndependencies = [{json.dumps(line)}, 'six==1.16.0']\n",
    }
    done = take(project, write(project, text[name], name), "--debug")
    assert "Pa55word" not in done.out + done.err
    assert "Pa55word" not in "".join(pip_of(project))
    assert done.code == 0 or done.err.splitlines()[-1].startswith("ERROR: ")


def test_what_is_shown_is_one_line() -> None:
    assert text_files.show("a\nb\x1b[31m\u202e") == "a b [31m"
    assert len(text_files.show("x" * 500)) == 120
