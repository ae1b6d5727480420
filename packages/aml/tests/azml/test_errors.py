"""Whatever the client raises becomes one line that says what to do."""

import pytest
from azureml.exceptions import ActivityFailedException, UserErrorException

from aml_project.azml.errors import one_line
from aml_project.service.errors import LIMIT


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (UserErrorException("No such thing:\n\t a"), "No such thing: a"),
        (ValueError(""), "ValueError"),
        (UserErrorException("The output streaming for the run interrupted.\nBut"), "interrupted; the run goes on. "),
        (KeyError("name"), "'name'"),
        (UserErrorException("Error, default workspace not set and workspace name"), "not attached to a workspace: "),
        (UserErrorException("Please run 'az login' to setup account."), "not logged in: `az login`"),
        (Exception('(x) {"error": {"code": "UserError", "message": "Unknown compute \\"a\\""}}'), "Unknown compute"),
        (
            ConnectionError("HTTPSConnectionPool(host='a.b', port=443): Failed to establish a new connection"),
            "not reachable: a.b (is there a network",
        ),
        (
            Exception("AADSTS7000215: Invalid client secret.\r\nTrace ID: 1"),
            "wrong credentials: AADSTS7000215: Invalid",
        ),
        (
            ActivityFailedException('{"error": {"code": "UserError", "message": "it broke"}}'),
            "the run failed: it broke (its log",
        ),
    ],
)
def test_one_line(error: Exception, line: str) -> None:
    said = one_line(error)
    assert said.startswith(line)
    assert "\n" not in said and "{" not in said


def test_a_cause_counts() -> None:
    error = UserErrorException("could not load", inner_exception=Exception("Please run 'az login'"))
    assert one_line(error).startswith("not logged in")


def test_a_trace_of_the_service_is_cut() -> None:
    assert len(one_line(Exception("x " * 2000))) == LIMIT
