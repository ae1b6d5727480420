"""The login of a job of CI: what is issued for it, what of that is a login, and what it may do then."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest
from callers import Caller

from aml_rehearsal import Rehearsal
from aml_rehearsal.addresses import LOGIN_HOST, TENANT
from aml_rehearsal.assertions import AUDIENCE

SUBJECT = "repo:owner/name:environment:test"
BY_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@pytest.fixture
def trusting(rehearsal: Rehearsal) -> Iterator[Rehearsal]:
    assertions = rehearsal.workspace.assertions
    rehearsal.trust(SUBJECT)
    yield rehearsal
    assertions.trusts.clear()
    assertions.lifetime = 300.0


def asked(rehearsal: Rehearsal, subject: str = SUBJECT, audience: str = AUDIENCE) -> str:
    """What GitHub says of a job that asks it as the documentation of GitHub has it."""
    job = rehearsal.job(subject)
    address = f"{job['ACTIONS_ID_TOKEN_REQUEST_URL']}&{urlencode({'audience': audience})}"
    headers = {"Authorization": f"bearer {job['ACTIONS_ID_TOKEN_REQUEST_TOKEN']}"}
    with urlopen(Request(address, headers=headers)) as answer:
        return str(json.load(answer)["value"])


def log_in(rehearsal: Rehearsal, assertion: str, client_id: str = "") -> tuple[int, Any]:
    principal = rehearsal.workspace.tokens.principals["scientist"]
    form = {
        "grant_type": "client_credentials",
        "client_id": client_id or principal.client_id,
        "client_assertion_type": BY_ASSERTION,
        "client_assertion": assertion,
    }
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    address = f"https://{LOGIN_HOST}/{TENANT}/oauth2/v2.0/token"
    return Caller(rehearsal).send("POST", address, urlencode(form).encode(), kind)


def test_an_assertion_of_a_job_that_is_trusted_is_a_login(trusting: Rehearsal) -> None:
    status, answer = log_in(trusting, asked(trusting))
    assert status == 200
    caller = Caller(trusting)
    caller.token = answer["access_token"]
    assert caller.arm("GET", "SCOPE")[0] == 200


@pytest.mark.parametrize(
    ("number", "wrong"),
    [
        (700213, {"subject": "repo:Owner/name:environment:test"}),
        (700213, {"subject": "repo:owner@1/name@2:environment:test"}),
        (700213, {"subject": "repo:owner/name:ref:refs/heads/main"}),
        (700212, {"audience": "https://github.com/owner"}),
    ],
)
def test_what_differs_in_a_letter_is_refused_by_its_name(
    trusting: Rehearsal, number: int, wrong: dict[str, str]
) -> None:
    status, answer = log_in(trusting, asked(trusting, **wrong))
    [(what, text)] = wrong.items()
    assert (status, answer["error_codes"]) == (401, [number])
    assert f"presented assertion {what} '{text}'" in answer["error_description"]


def test_an_assertion_is_good_for_its_time_only(trusting: Rehearsal) -> None:
    trusting.workspace.assertions.lifetime = -1
    assert log_in(trusting, asked(trusting))[1]["error_codes"] == [700024]


def test_what_was_not_issued_here_is_no_login(trusting: Rehearsal) -> None:
    head, claims, signature = asked(trusting).split(".")
    job = trusting.job(SUBJECT)["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]
    for made_up in ("a.b.c", f"{head}.{claims}.{signature[::-1]}", job):
        assert log_in(trusting, made_up)[1]["error_codes"] == [50027], made_up
    assert log_in(trusting, asked(trusting), "somebody")[1]["error"] == "unauthorized_client"


def test_each_service_has_an_issuer_of_its_own(rehearsal: Rehearsal) -> None:
    rehearsal.trust(SUBJECT, service="devops")
    assert log_in(rehearsal, asked(rehearsal))[1]["error_codes"] == [700211]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "SCOPE/computes", 200),
        ("PUT", "SCOPE/computes/mine", 403),
        ("DELETE", "SCOPE/computes/mine", 403),
        ("POST", "SCOPE/listKeys", 403),
        ("PATCH", "SCOPE", 403),
    ],
)
def test_a_scientist_may_not_what_is_the_owners(rehearsal: Rehearsal, method: str, path: str, status: int) -> None:
    assert Caller(rehearsal, "scientist").arm(method, path, {})[0] == status
