"""For pytest, as a plug-in: a workspace on this computer, and the real client in a test.

def test_it(aml_workspace):
    with Experiment(aml_workspace, "try").start_logging(snapshot_directory=None) as run:
        run.log("loss", 0.5)
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from aml_rehearsal import Rehearsal
from aml_rehearsal.remote import RemoteRehearsal
from aml_rehearsal.variables import LOGIN

URL = "AML_REHEARSAL_URL"  # of a rehearsal that runs already


@pytest.fixture(scope="session")
def aml_rehearsal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal | RemoteRehearsal]:
    """A workspace for all tests of the session; what it holds is aml_rehearsal.state().

    Where AML_REHEARSAL_URL names one that runs already, as in a container, it is that one.
    """
    folder = tmp_path_factory.mktemp("aml-rehearsal")
    if os.environ.get(URL):
        yield RemoteRehearsal(os.environ[URL], folder)
        return
    with Rehearsal(folder) as rehearsal:
        yield rehearsal


@pytest.fixture
def aml_environment(
    aml_rehearsal: Rehearsal | RemoteRehearsal, monkeypatch: pytest.MonkeyPatch
) -> Rehearsal | RemoteRehearsal:
    """Lead the clients of this process, and of those that it starts, to the workspace for the time of a test."""
    for name in [name for name in os.environ if name.startswith(LOGIN)]:
        monkeypatch.delenv(name)
    for name, text in aml_rehearsal.variables().items():
        monkeypatch.setenv(name, text)
    return aml_rehearsal


@pytest.fixture
def aml_workspace(aml_environment: Rehearsal | RemoteRehearsal) -> Any:
    """The workspace as azureml-core has it, logged in."""
    from azureml.core import Workspace
    from azureml.core.authentication import ServicePrincipalAuthentication

    who = aml_environment.variables()
    tenant, own, password = (who[f"AZUREML_SERVICE_PRINCIPAL_{name}"] for name in ("TENANT_ID", "ID", "PASSWORD"))
    names = aml_environment.names
    login = ServicePrincipalAuthentication(tenant, own, password)
    return Workspace.get(names.workspace_name, login, names.subscription_id, names.resource_group)
