"""The constants of a notebook become arguments of the script."""

import json
from pathlib import Path
from typing import Any

import pytest

from notebooks.books import Cell, Convert, code, start, train_py, write
from tests.aml import told


def test_arguments_of_every_type(convert: Convert, project: Path, tmp_path: Path) -> None:
    values: dict[str, Any] = {
        "EPOCHS": 3,
        "OFFSET": -5,
        "RATE": 1e-3,
        "BIAS": -0.5,
        "SHUFFLE": True,
        "VERBOSE": False,
        "NAME": "50 % of 'größe' \"q\" %(prog)s {x}",
        "EMPTY": "",
        "LIMIT": None,
        "LAYERS": [64, 32],
        "SHARES": (0.5, -0.25),
        "WORDS": ["a b", "%d"],
    }
    cells = ["\n".join(f"{name} = {value!r}" for name, value in values.items()) + "\nNOTED: int = 7  # why"]
    told = f"import json\nprint(json.dumps([{', '.join(values)}, NOTED]))"
    done = convert(write(tmp_path / "x.ipynb", *cells, told), "--force")
    assert (done.code, done.err) == (0, "")
    script = train_py(project)

    def given(*args: str) -> dict[str, Any]:
        return dict(zip([*values, "NOTED"], json.loads(start(script, *args)), strict=True))

    plain = json.loads(json.dumps({**values, "NOTED": 7}))
    assert given() == plain
    assert given("--data-path", "elsewhere") == plain
    assert given("--epochs", "4", "--offset=-6", "--rate", "2e-2", "--bias", "-1.5") == plain | {
        "EPOCHS": 4,
        "OFFSET": -6,
        "RATE": 0.02,
        "BIAS": -1.5,
    }
    assert given("--no-shuffle", "--verbose")["SHUFFLE"] is False
    assert given("--no-shuffle", "--verbose")["VERBOSE"] is True
    assert given("--name", "100 % 'ä' \"b\"")["NAME"] == "100 % 'ä' \"b\""
    assert given("--layers", "1", "2", "3", "--words", "x y", "--limit", "z", "--shares", "1") == plain | {
        "LAYERS": [1, 2, 3],
        "WORDS": ["x y"],
        "LIMIT": "z",
        "SHARES": [1.0],
    }
    assert given("--layers")["LAYERS"] == []
    usage = start(script, "--help")
    assert "--data-path" in usage
    assert "50 % of" in usage
    assert "unrecognized arguments" in start(script, "--epoch", "4", expect=2)


def test_names_that_can_be_no_option_get_another_one(convert: Convert, project: Path, tmp_path: Path) -> None:
    names = [
        "Lambda",
        "class_",
        "_if",
        "help",
        "h",
        "rate",
        "RATE",
        "Größe",
        "_",
        "__x__",
        "args",
        "parser",
    ]
    names += ["argparse", "Path", "print_", "None_", "A__B", "i", "prog", "version"]
    cells = ["\n".join(f"{name} = {number}" for number, name in enumerate(names)), f"print({', '.join(names)})"]
    done = convert(write(tmp_path / "x.ipynb", *cells), "--force")
    assert (done.code, done.err) == (0, "")
    assert start(train_py(project)).split() == [str(number) for number in range(len(names))]
    assert "usage: train.py" in start(train_py(project), "--help")
    options = [line.split()[1] for line in done.out.splitlines() if line.startswith("  takes")]
    assert len(options) == len(set(options)) >= len(names) - 3
    for option in options:
        assert "99" in start(train_py(project), option, "99").split(), option
    assert start(train_py(project), "--data-path", ".").split() == [str(number) for number in range(len(names))]


@pytest.mark.parametrize("tags", [[], ["parameters"]])
@pytest.mark.parametrize("name", ["data_path", "DATA_PATH", "_data_path"])
def test_a_parameter_called_as_the_data_is_leaves_that_alone(
    convert: Convert, project: Path, tmp_path: Path, tags: list[str], name: str
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.csv").write_text("x")
    cells: list[Cell] = [code(f"{name} = 'a/x.csv'\nother = 1", tags=tags), f"print(open({name}).read(), other)"]
    done = convert(write(tmp_path / "x.ipynb", *cells), "--force")
    assert (done.code, done.err) == (0, "")
    assert start(train_py(project), "--data-path", "../../data") == "x 1\n"
    done = convert(write(tmp_path / "x.ipynb", code(f"{name} = 5", tags=tags), f"print({name})"), "--force")
    assert (done.code, done.err) == (0, "")
    assert start(train_py(project), "--data-path", "../../data") == "5\n"


def test_constants_that_change_stay_constants(convert: Convert, project: Path, tmp_path: Path) -> None:
    cells = [
        "A = 1\nB = 2\nC = 3\nD = 4\nE = 5\nA = 7",
        "B += 1\nfor C in range(2): pass",
        "def f():\n    global D\n    D = 9",
    ]
    cells += ["late = 6\nf()", "print(A, B, C, D, E, late)"]
    done = convert(write(tmp_path / "x.ipynb", *cells), "--force")
    assert (done.code, done.err) == (0, "")
    assert [line for line in done.out.splitlines() if "takes" in line] == ["  takes   --e (5)"]
    assert start(train_py(project), "--e", "0") == "7 3 1 9 0 6\n"


def test_a_tagged_cell_wins(convert: Convert, project: Path, tmp_path: Path) -> None:
    tagged = code("x = 1\ny = {'a': 1}\nz = 'd'\nx = 2", tags=["other", "parameters"])
    done = convert(write(tmp_path / "x.ipynb", "BEFORE = 0", tagged, "print(BEFORE, x, y, z)"), "--force")
    assert done.code == 0
    told(done, "NOTE: x.ipynb, cell 2: parameter y: no argument can have this value; it stays in the script")
    assert [line.split()[1] for line in done.out.splitlines() if "takes" in line] == ["--x", "--z"]
    assert start(train_py(project), "--x", "8") == "0 8 {'a': 1} d\n"


def test_data_path_is_always_there(convert: Convert, project: Path, tmp_path: Path) -> None:
    assert convert(write(tmp_path / "x.ipynb", "pass"), "--force").code == 0
    assert start(train_py(project), "--data-path", "x") == ""
