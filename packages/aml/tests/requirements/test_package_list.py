"""What two specifiers of one package have in common."""

import pytest

from aml_project.requirements import package_list


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [("==1.0", "<2", True), ("==2.0", "<2", False), (">=2.4", "<2.3.3", False), (">2,<3", ">=2.5", True),
     ("<2", "<3", True),
     (">1", "<2", True), ("~=2.0", "<2.5", True), ("", "<1", True), ("<=1.0", ">=1.1", False),
     ("==1.26.*", "<2", True)],
)  # fmt: skip
def test_whether_two_specifiers_agree(one: str, other: str, expected: bool) -> None:
    assert package_list.agree(one, other) == expected
