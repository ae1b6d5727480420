"""The plug-in of pytest, which is installed with the package: these fixtures are its own."""

from __future__ import annotations

import os
from typing import Any

from aml_rehearsal import Rehearsal


def test_the_real_client_works_in_a_test(aml_workspace: Any, aml_rehearsal: Rehearsal) -> None:
    from azureml.core import Experiment

    with Experiment(aml_workspace, "try").start_logging(snapshot_directory=None) as run:
        run.log("loss", 0.5)
    (held,) = aml_rehearsal.state()["runs"].values()
    assert (held["runId"], held["status"]) == (run.id, "Completed")
    assert run.get_metrics() == {"loss": 0.5}


def test_afterwards_all_is_as_it_was(aml_rehearsal: Rehearsal) -> None:
    assert os.environ.get("HTTPS_PROXY") != aml_rehearsal.url
