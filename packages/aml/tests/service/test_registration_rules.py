"""The bounds that a model is registered under, as they are written and as they are compared."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aml_project.service import registration


@given(st.one_of(st.integers(), st.floats(allow_nan=False)))
@example(1e-7)
@example(1e300)
@example(-0.0)
def test_a_metric_is_written_plainly_and_exactly(value: float) -> None:
    text = registration.plain(value)
    assert "e" not in text.replace("inf", "")
    assert float(text) == float(value)
    assert registration.number(text) == float(value)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("accuracy>=0.8", ("accuracy", ">=", 0.8)),
        (" f1 score < 1e3 ", ("f1 score", "<", 1000.0)),
        ("loss==-1", ("loss", "==", -1.0)),
        ("a/b:c>0", ("a/b:c", ">", 0.0)),
    ],
)
def test_a_requirement_is_read(text: str, read: tuple[str, str, float]) -> None:
    assert registration.parse_requirement(text) == read


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("accuracy", ("accuracy", False)),
        ("loss:min", ("loss", True)),
        ("a:b:max", ("a:b", False)),
        ("a:b", ("a:b", False)),
    ],
)
def test_the_better_way_is_read(text: str, read: tuple[str, bool]) -> None:
    assert registration.parse_better(text) == read


def test_all_bounds_that_are_missed_are_named() -> None:
    bounds = [registration.parse_requirement(text) for text in ("a>=0.9", "b<1", "c==3")]
    registration.check_requirements({"a": 0.9, "b": 0.5, "c": 3}, bounds)
    with pytest.raises(registration.Refused, match=r"^a is 0\.89, not >= 0\.9; b is 1, not < 1$"):
        registration.check_requirements({"a": 0.89, "b": 1.0, "c": 3}, bounds)
    with pytest.raises(registration.Refused, match=r"no metric 'c'; it has a, b$"):
        registration.check_requirements({"a": 1.0, "b": 0.1}, bounds)
