"""Arguments that a script would refuse, found in its text; silence where the text does not say enough."""

import ast
from pathlib import Path

import pytest

from aml_project.checks import script_arguments
from tests.conftest import Bake
from tests.support import FRAMEWORKS

PARSER = "import argparse\nparser = argparse.ArgumentParser()\n"


@pytest.mark.parametrize(
    ("code", "arguments", "expected"),
    [
        ("parser.add_argument('--a', required=True)", [], "the following arguments are required: --a"),
        ("parser.add_argument('--a', choices=['x', 'y'])", ["--a", "z"], "argument --a: invalid choice: 'z'"),
        ("parser.add_argument('--a', type=int, choices=[1, 2])", ["--a", "2"], None),
        ("parser.add_argument('--a', type=int, choices=[1, 2])", ["--a", "3"], "argument --a: invalid choice: 3"),
        ("parser.add_argument('--a', choices=list(NAMES))", ["--a", "z"], None),
        ("parser.add_argument('--a', type=size, choices=[1, 2])", ["--a", "1"], None),
        ("parser.add_argument('--a', choices=list(NAMES), required=True)", [], "the following arguments are required"),
        ("parser.add_argument('--a', choices=['x', 'y'])", ["--a", "$A"], None),
        ("parser.add_argument('-?', action='help')", ["-?"], "they end it at once"),
        ("parser.add_argument('--a', type=Size, choices=[Size(1)])", ["--a", "1"], None),
        ("parser.add_argument('--a', type=float)", ["--a=x"], "argument --a: invalid float value: 'x'"),
        ("parser.add_argument('--a', type=int)", ["--a", "$N"], None),
        ("parser.add_argument('file')", [], "the following arguments are required: file"),
        ("parser.add_argument('file', nargs='*')", ["a", "b"], None),
        ("parser.add_argument('--a', action='store_true')", ["--a", "x"], "unrecognized arguments: x"),
        ("g = parser.add_argument_group()\ng.add_argument('--a')", ["--a", "x"], None),
        ("parser.add_argument('--a')", ["--help"], "they end it at once: --help or --version"),
        ("parser.add_argument('-a', '--all', default='x', type=int)", ["-a", "1"], None),
        ("add = parser.add_argument\nadd('--a')", ["--a", "x"], None),
        ("add = parser.add_argument\nadd('--a')", ["--b"], "unrecognized arguments: --b"),
        # what can't be told from the text
        ("add_more(parser)", ["--b"], None),
        ("for name in NAMES:\n    parser.add_argument(name)", ["--b"], None),
        ("if MORE:\n    parser.add_argument('--b')", ["--b"], None),
        ("parser.add_argument(NAME)", ["--b"], None),
        ("parser.add_argument('--a', **MORE)", ["--b"], None),
        ("parser.add_argument('--a', action=Own)", ["--b"], None),
        ("parser.add_argument('--a', action='own')", ["--b"], None),
        ("parser.add_argument(1)", ["--b"], None),
        ("args, _ = parser.parse_known_args()", ["--b"], None),
        ("parser.add_subparsers()", ["--b"], None),
        ("other = argparse.ArgumentParser(parents=[parser])", ["--b"], None),
        ("def more():\n    return parser", ["--b"], None),
    ],
)
def test_arguments_of_a_script(code: str, arguments: list[str], expected: str | None) -> None:
    tree = ast.parse(PARSER + code)
    refused = script_arguments.refusal(tree, arguments, lenient="$" in str(arguments))
    assert (refused or "").startswith(expected or "")
    assert (refused is None) == (expected is None)


@pytest.mark.parametrize(
    ("made", "arguments", "expected"),
    [
        ("description=''", ["--help"], "they end it at once: --help or --version"),
        ("add_help=False", ["--help"], "unrecognized arguments: --help"),
        ("description=''", ["--al", "x"], None),
        ("allow_abbrev=False", ["--al", "x"], "unrecognized arguments: --al x"),
        # what can't be told from the text
        ("'train'", ["--b"], None),
        ("prefix_chars='-+'", ["--b"], None),
        ("**MORE", ["--b"], None),
    ],
)
def test_how_a_parser_is_made(made: str, arguments: list[str], expected: str | None) -> None:
    tree = ast.parse(f"import argparse\nparser = argparse.ArgumentParser({made})\nparser.add_argument('--all')")
    assert script_arguments.refusal(tree, arguments, lenient=False) == expected


def test_a_parser_that_has_no_name_of_its_own_may_be_handed_on() -> None:
    code = "import argparse\nclass Own:\n    self.parser = argparse.ArgumentParser()\n    add_more(self.parser)"
    assert script_arguments.refusal(ast.parse(code), ["--b"], lenient=False) is None


@pytest.mark.parametrize("framework", [name for name in FRAMEWORKS if name != "auto3dseg"])  # whose runtime adds none
def test_arguments_that_runtime_adds_to_those_of_train_py(bake: Bake, framework: str) -> None:
    model = bake(framework=framework) / "models" / "model1"
    tree = ast.parse((model / "train.py").read_text(encoding="utf-8"))

    def refused(*arguments: str) -> str | None:
        return script_arguments.refusal(tree, list(arguments), lenient=False, folder=model)

    assert refused("--data-path=/data", "--seed=1", "--epochs=3", "--batch-size", "8", "--es-patience=2") is None
    assert refused("--split-by=shop", "--train-test-split-ratio=0.2", "--numbers=a,b", "--decimal=,") is None
    assert refused("--foo") == "unrecognized arguments: --foo"
    assert refused("--seed=x") == "argument --seed: invalid int value: 'x'"


def test_no_other_module_than_those_of_runtime_is_looked_into(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("def add(parser):\n    parser.add_argument('--a')\n")

    def refused(code: str) -> str | None:
        return script_arguments.refusal(ast.parse(PARSER + code), ["--b"], lenient=False, folder=tmp_path)

    assert refused("from own import add\nadd(parser)") is None
    assert refused("from runtime.removed import add\nadd(parser)") is None
    assert refused("from runtime.removed import WAYS\nfrom json import loads") == "unrecognized arguments: --b"


@pytest.mark.parametrize("code", ["", "import click\n@click.option('--a')\ndef main(): ...", "import sys\nsys.argv[1]"])
def test_scripts_without_argparse_are_left_alone(code: str) -> None:
    assert script_arguments.refusal(ast.parse(code), ["--b"], lenient=False) is None
