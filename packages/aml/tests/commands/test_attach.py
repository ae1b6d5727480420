"""aml attach: what it writes, what it replaces, and what the real client says when it is asked."""

import json
import socket
from pathlib import Path

import pytest

from tests.aml import aml, call


def test_attaching_elsewhere_says_what_it_replaces(project: Path, without_client: dict[str, str]) -> None:
    config = project / ".azureml" / "config.json"
    before = config.read_bytes()
    code, out, _ = call(project, "attach", "--workspace-name=other", "--dry-run", **without_client)
    assert (code, config.read_bytes()) == (0, before)
    assert "Would attach to other in my-group, in place of my-workspace in my-group" in out
    code, out, _ = call(project, "attach", "--workspace-name=other", **without_client)
    assert out == "Attached to other in my-group, in place of my-workspace in my-group: .azureml/config.json\n"
    # Again, and with nothing given: what is attached stays, whatever the answers of the render were.
    assert call(project, "attach", **without_client).out == "Attached to other in my-group: .azureml/config.json\n"
    assert json.loads(config.read_text())["workspace_name"] == "other"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"Scope": "/subscriptions/x"}', '{"Scope": 3}'])
def test_a_broken_config_is_written_anew(project: Path, content: str) -> None:
    config = project / ".azureml" / "config.json"
    config.write_text(content)
    assert aml(project, "attach").code == 0
    assert json.loads(config.read_text())["resource_group"] == "my-group"


def test_check_asks_the_service_with_the_real_client(project: Path, tmp_path: Path) -> None:
    """Nobody is logged in; a principal lacks a part; the network is not there: one line, and nothing is changed."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        principal = {f"AZUREML_SERVICE_PRINCIPAL_{part}": "a-secret" for part in ("ID", "PASSWORD", "TENANT_ID")}
        offline = {
            "HOME": str(tmp_path),
            "AZUREML_CURRENT_CLOUD": "AzureCloud",
            "HTTPS_PROXY": f"http://127.0.0.1:{closed.getsockname()[1]}",
        }
        before = (project / ".azureml" / "config.json").read_bytes()
        for env, code, said in (
            ({}, 3, "not logged in: `az login`, or set AZUREML_SERVICE_PRINCIPAL_ID"),
            (dict(list(principal.items())[:2]), 2, "a service principal needs AZUREML_SERVICE_PRINCIPAL_TENANT_ID"),
            (principal, 3, "my-workspace in my-group: not reachable: login.microsoftonline.com"),
        ):
            got, out, err = aml(project, "attach", "--check", **offline, **env)
            assert (got, out) == (code, ""), err
            assert said in err
            assert err.count("ERROR") == 1
            assert "a-secret" not in err
        assert (project / ".azureml" / "config.json").read_bytes() == before
