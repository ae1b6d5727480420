"""A runconfig's words mean what they mean to the client."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from aml_project.runconfigs import file as runconfig_file


@pytest.fixture(scope="module")
def word_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("words") / "word.yml"


@given(text=st.text("0123456789+-_.xobeEinfaINFtrueTRUEfalsnullNULL~", min_size=1, max_size=9))
@settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example("no")
@example("010")
@example("0o10")
@example("1e3")
@example(".5")
@example("1_0")
@example("2026-01-01")
@example("<<")
def test_words_mean_what_they_mean_to_the_client(word_file: Path, text: str) -> None:
    """The same type, and the same value, as the YAML reader of the client finds."""
    from azureml._vendor.ruamel import yaml as clients

    word_file.write_text(f"a: [{text}]\n", encoding="utf-8")
    try:
        (theirs,) = clients.safe_load(f"a: [{text}]\n")["a"]
    except Exception:  # it can't make the number that it took the word for
        return
    (ours,) = runconfig_file.read_mapping(word_file)["a"]
    assert (type(ours), repr(ours)) == (type(theirs), repr(theirs))
