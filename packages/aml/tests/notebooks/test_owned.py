"""What a notebook has become is noted in pyproject.toml, so that an update by cruft leaves it alone."""

from pathlib import Path

import pytest
import tomli

from aml_project import owned
from notebooks.books import Convert, write
from tests.aml import told

TRAIN, TEST = "models/model1/train.py", "models/model1/tests/test_notebook.py"
ENTRY = f'skip = [\n  "{TRAIN}",\n  "{TEST}",\n]\n'
TABLE = f"[tool.cruft]\n# Their owner's: an update leaves them alone.\n{ENTRY}"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", TABLE),
        ("[project]\nname = 'x' # [tool.cruft]\n", f"[project]\nname = 'x' # [tool.cruft]\n\n{TABLE}"),
        ("[a]\nb = 1", f"[a]\nb = 1\n\n{TABLE}"),
        ("[tool.cruft]\nother = 1\n\n[z]\n", f"[tool.cruft]\n{ENTRY}other = 1\n\n[z]\n"),
        ("[tool.cruft] # mine\n[z]\n", f"[tool.cruft] # mine\n{ENTRY}[z]\n"),
        ("[ tool . cruft ]\nskip = []\n", f'[ tool . cruft ]\nskip = ["{TRAIN}", "{TEST}"]\n'),
        ('[tool.cruft]\nskip = ["a"]\n', f'[tool.cruft]\nskip = ["a", "{TRAIN}", "{TEST}"]\n'),
        ('[tool.cruft]\nskip = ["a", ]\n', f'[tool.cruft]\nskip = ["a", "{TRAIN}", "{TEST}"]\n'),
        (f"[tool.cruft]\nskip = ['{TRAIN}']\n", f"[tool.cruft]\nskip = ['{TRAIN}', \"{TEST}\"]\n"),
        (
            '[tool.cruft]\nx = "skip = ["\nskip = [\n    "a]", # why ]\n    \'b"\' # last\n    # end\n]\n[z]\n',
            '[tool.cruft]\nx = "skip = ["\nskip = [\n    "a]", # why ]\n    \'b"\', # last\n    # end\n    "TRAIN",\n'
            '    "TEST",\n]\n[z]\n'.replace("TRAIN", TRAIN).replace("TEST", TEST),
        ),
        (
            '[tool.cruft]\nskip = [\n  "a",\n  "b",\n]\n',
            f'[tool.cruft]\nskip = [\n  "a",\n  "b",\n  "{TRAIN}",\n  "{TEST}",\n]\n',
        ),
    ],
)
def test_the_rest_of_the_file_stays_as_it_is(before: str, after: str) -> None:
    for new_line in ("\n", "\r\n") if before else ("\n",):
        text = before.replace("\n", new_line)
        assert owned.with_skipped(text, [TRAIN, TEST]) == after.replace("\n", new_line)
    assert owned.with_skipped(after, [TRAIN, TEST]) == after, "the same again changes nothing"
    assert tomli.loads(after)["tool"]["cruft"]["skip"][-2:] == [TRAIN, TEST]


@pytest.mark.parametrize(
    "text",
    [
        "tool.cruft.skip = ['a']\n",
        "[tool]\ncruft = { skip = ['a'] }\n",
        "[tool]\ncruft.skip = ['a']\n",
        "[tool.cruft]\nskip = 'a'\n",
        "[tool.cruft]\n'skip' = ['a']\n",
        "[tool]\ncruft = 3\n",
        "tool = 3\n",
        "[[tool.cruft]]\nskip = []\n",
        "[tool.cruft\n",
    ],
)
def test_what_is_written_in_another_way_is_left_to_its_owner(convert: Convert, project: Path, text: str) -> None:
    file = project / "pyproject.toml"
    file.write_text(text)
    done = convert(write(project / "x.ipynb", "print(1)"), "--force")
    assert done.code == 0
    lines = [
        f'NOTE: pyproject.toml: add to skip of [tool.cruft]: "{TRAIN}", "{TEST}"; else an update changes these files'
    ]
    if text in ("[tool.cruft\n", "tool = 3\n"):  # which ruff can't read either
        lines.insert(0, f"NOTE: {TRAIN}: not formatted; make lint does it, once make setup has run")
    told(done, *lines)
    assert file.read_text() == text


@pytest.mark.parametrize(
    ("before", "renamed", "gone"),
    [
        ('skip = ["models/a/train.py", "docs"]\n', 'skip = ["models/b/train.py", "docs"]\n', 'skip = ["docs"]\n'),
        ("skip = ['models/a/x', 'models/ab']\n", "skip = [\"models/b/x\", 'models/ab']\n", "skip = ['models/ab']\n"),
        ('skip = [\n  "models/a/x",\n  "docs", # ours\n]\n', 'skip = [\n  "models/b/x",\n  "docs", # ours\n]\n',
         'skip = [\n  "docs", # ours\n]\n'),
        ('skip = ["docs"]\n', 'skip = ["docs"]\n', 'skip = ["docs"]\n'),
    ],
)  # fmt: skip
def test_a_model_that_is_renamed_or_removed_is_so_in_the_list(before: str, renamed: str, gone: str) -> None:
    table = "[tool.cruft]\n"
    assert owned.with_renamed(table + before, "models/a", "models/b") == table + renamed
    assert owned.with_renamed(table + before, "models/a", "") == table + gone


def test_what_was_made_of_notebooks_is_noted(convert: Convert, project: Path, tmp_path: Path) -> None:
    file = project / "pyproject.toml"
    before = file.read_text()
    write(tmp_path / "nbs" / "train.ipynb", "import helper")
    write(tmp_path / "nbs" / "other.ipynb", "x = 1")
    (tmp_path / "nbs" / "helper.py").write_text("")
    done = convert(tmp_path / "nbs", "--force")
    assert done.code == 0
    told(done)
    assert "  noted   pyproject.toml: cruft update leaves these files alone\n" in done.out
    text = file.read_text()
    assert text.startswith(before)
    assert tomli.loads(text)["tool"]["cruft"]["skip"] == [TRAIN, "models/model1/other.py", TEST]
    again = convert(tmp_path / "nbs", "--force")
    assert "noted" not in again.out
    assert file.read_text() == text


def test_a_look_and_a_script_elsewhere_note_nothing(convert: Convert, project: Path, tmp_path: Path) -> None:
    before = (project / "pyproject.toml").read_text()
    given = write(tmp_path / "x.ipynb", "print(1)")
    assert convert(given, "--dry-run").code == convert(given, "-o", tmp_path / "x.py").code == 0
    assert (project / "pyproject.toml").read_text() == before


def test_a_project_without_the_file_gets_none(convert: Convert, project: Path, tmp_path: Path) -> None:
    (project / "pyproject.toml").unlink()
    done = convert(write(tmp_path / "x.ipynb", "print(1)"), "--force")
    assert done.code == 0
    told(done)
    assert not (project / "pyproject.toml").exists()
