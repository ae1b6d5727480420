"""Deployments: looked at before they are taken, in both ways of writing them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from callers import Answer, Caller

from aml_rehearsal.addresses import ARM_HOST

WORKSPACES = "Microsoft.MachineLearningServices/workspaces"


def wish(name: str, **parameters: str) -> dict[str, Any]:
    """A deployment of one workspace."""
    template = {
        "parameters": {"workspace": {"type": "string"}, "location": {"type": "string", "defaultValue": "westeurope"}},
        "resources": [{"type": WORKSPACES, "name": "[parameters('workspace')]"}],
    }
    given = {parameter: {"value": text} for parameter, text in ({"workspace": name} | parameters).items()}
    return {"properties": {"mode": "Incremental", "parameters": given, "template": template}}


def ask(caller: Caller, method: str, place: str, body: bytes = b"") -> Answer:
    scope = f"{caller.rehearsal.workspace.names.group_scope}/providers/Microsoft.Resources/deployments"
    headers = {"Authorization": f"Bearer {caller.token}"}
    return caller.send(method, f"https://{ARM_HOST}{scope}/{place}", body, headers)


def test_a_deployment_is_taken_and_shown(caller: Caller) -> None:
    own = caller.rehearsal.workspace.names.workspace_name
    plain = json.dumps(wish(own)).encode()
    # az leaves the template as its file has it, after a key without quotes
    as_az_sends_it = plain.replace(b', "template": ', b", template:")
    assert as_az_sends_it != plain
    for number, body in enumerate((plain, as_az_sends_it)):
        assert ask(caller, "GET", f"taken-{number}")[0] == 404
        assert ask(caller, "POST", f"taken-{number}/validate", body)[0] == 200
        assert ask(caller, "GET", f"taken-{number}")[0] == 404, "it was only looked at"
        assert ask(caller, "PUT", f"taken-{number}", body)[0] == 201
        status, shown = ask(caller, "GET", f"taken-{number}")
        assert (status, shown["properties"]["provisioningState"]) == (200, "Succeeded")
        [made] = shown["properties"]["outputResources"]
        assert made["id"].lower() == caller.rehearsal.workspace.names.scope.lower()
        assert f"taken-{number}" in caller.rehearsal.state()["deployments"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "holds no deployment"),
        (b"{}", "holds no deployment"),
        (json.dumps(wish("another-one")).encode(), "one workspace only"),
        (json.dumps(wish("x", colour="red")).encode(), "not declared ['colour']"),
        (json.dumps(wish("x")).replace('"parameters": {"workspace": {"value": "x"}}', '"parameters": {}').encode(),
         "missing ['workspace']"),
    ],
)  # fmt: skip
def test_a_deployment_that_cannot_be_is_refused(caller: Caller, body: bytes, said: str) -> None:
    for method, place in (("POST", "refused/validate"), ("PUT", "refused")):
        status, answer = ask(caller, method, place, body)
        assert status == 400
        assert said in answer["error"]["message"]
    assert "refused" not in caller.rehearsal.state()["deployments"]


def test_a_reader_deploys_nothing(caller: Caller) -> None:
    reader = Caller(caller.rehearsal, "reader")
    body = json.dumps(wish(caller.rehearsal.workspace.names.workspace_name)).encode()
    assert ask(reader, "PUT", "readers", body)[0] == 403
    assert "readers" not in caller.rehearsal.state()["deployments"]
