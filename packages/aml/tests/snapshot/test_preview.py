"""The quick readers of a dry run: they agree with the real ones, or leave the file to them."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from aml_project.runconfigs import environment_version
from aml_project.runconfigs import file as runconfig_file
from aml_project.snapshot import preview
from aml_project.snapshot import whole as snapshot
from tests.conftest import Bake
from tests.support import FRAMEWORKS


def as_text(value: object) -> object:
    """A value as a dry run shows it."""
    if isinstance(value, dict):
        return {key: as_text(inner) for key, inner in value.items()}
    return [as_text(inner) for inner in value] if isinstance(value, list) else str(value)


@pytest.mark.parametrize(
    "answers", [{}, {"framework": "none", "node_count": "4", "compute_name": "no", "model_name": "m2"}]
)
def test_the_quick_readers_read_every_render(bake: Bake, answers: dict[str, str]) -> None:
    [model] = bake(**answers).glob("models/*")
    assert preview.read_files(model) == snapshot.take(model).files
    for file in model.glob("aml_config/*.runconfig"):
        quick = preview.read_mapping(file)
        assert quick is not None
        assert as_text(quick) == as_text(runconfig_file.read_mapping(file))


AFTER_A_KEY = [
    ":", ": ", ": 1", ": x y", ": /d", ": '1'", ': "a\\u00e9"', ": [a, b]", ': ["-a", 1]', ": [a", ": {a: 1}", ": |",
    ": &x", ": no", ": True", ": 1.0", ": a # b", ": a:b", ": a:", ": *x", "", ": ~", ": []",
]  # fmt: skip
YAML_LINE = st.tuples(
    st.sampled_from(["", "  ", "    ", "# ", "- "]),
    st.sampled_from(["a", "b", "data", "a b", '"a"', "yes"]),
    st.sampled_from(AFTER_A_KEY),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(YAML_LINE, max_size=6))
def test_the_quick_reader_of_runconfigs_agrees_or_passes(tmp_path: Path, lines: list[tuple[str, str, str]]) -> None:
    file = tmp_path / "a.runconfig"
    file.write_text("".join("".join(parts) + "\n" for parts in lines), encoding="utf-8")
    quick = preview.read_mapping(file)
    if quick:
        assert as_text(quick) == as_text(runconfig_file.read_mapping(file))


PATTERNS = [
    "*.pyc",
    "outputs/",
    "outputs",
    "*",
    "a*",
    "/a",
    "!a",
    "a/b",
    "**/a",
    "# a",
    "",
    " a",
    "a ",
    "[ab]",
    "\\#a",
    "a?",
    ".*",
]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(PATTERNS), max_size=3), st.booleans())
def test_the_quick_reader_of_ignore_files_agrees_or_passes(tmp_path: Path, patterns: list[str], link: bool) -> None:
    for name in ("a/b", "a/x.pyc", "outputs/a", "deep/outputs/b", "ab", "deep/a", ".b", "#a"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "deep" / "link").unlink(missing_ok=True)
    if link:
        (tmp_path / "deep" / "link").symlink_to(tmp_path / "ab")
    (tmp_path / ".amlignore").write_text("".join(f"{pattern}\n" for pattern in patterns))
    quick = preview.read_files(tmp_path)
    assert quick is None or quick == snapshot.take(tmp_path).files


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_quick_reader_reads_every_conda_file(bake: Bake, framework: str) -> None:
    files = list(bake(framework=framework).glob("models/*/aml_config/*-conda.yml"))
    assert files
    for file in files:
        assert preview.read_conda(file) == runconfig_file.read_mapping(file)


CONDA_LINES = [
    "name: a", "name: no", "name: 'a'", "channels:", "channels: [a]", "dependencies:", "  - a", "  - a=1.0", "- a",
    "  - no", "  - 1", "  - pip:", "      - b==1; c > '3'", "      - b # c", "      - b", "    - b", "      - pip:",
    "# c", "", "prefix: /a", "  - a: b", "  - \"a\"", "      b", "  - a\tb",
]  # fmt: skip


@example(["channels:", "  - pip:"])
@given(st.lists(st.sampled_from(CONDA_LINES), max_size=8))
def test_the_quick_reader_of_conda_files_agrees_or_passes(lines: list[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)

    class File:
        def read_text(self, **_: str) -> str:
            return text

    quick: Any = preview.read_conda(File())  # type: ignore[arg-type]
    if quick:
        real = runconfig_file.parse(text)
        assert environment_version.conda_parts(quick) == environment_version.conda_parts(real)
