"""A run on this computer: in Docker where its daemon answers."""

from pathlib import Path

import pytest

from aml_project.service import local_docker

PYTHON = Path("/somewhere/bin/python")


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `docker` of ours, alone on PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path / "docker"


@pytest.mark.parametrize(
    ("does", "answers"), [(None, False), ("exit 0", True), ("exit 1", False), ("exec /bin/sleep 30", False)]
)
def test_docker_is_taken_where_its_daemon_answers(
    docker: Path, monkeypatch: pytest.MonkeyPatch, does: str | None, answers: bool
) -> None:
    monkeypatch.setattr(local_docker, "TIMEOUT", 0.2 if does and "sleep" in does else 60)
    if does:
        docker.write_text(f"#!/bin/sh\n{does}\n")
        docker.chmod(0o755)
    used, why = local_docker.decide("auto", PYTHON)
    assert used is answers
    assert ("In Docker" in why) is answers
    assert (str(PYTHON) in why) is not answers
    assert local_docker.decide("yes", PYTHON)[0] is True
    assert local_docker.decide("no", PYTHON)[0] is False


def test_the_three_switches_of_a_local_run_agree() -> None:
    from azureml.core import RunConfiguration

    for use_docker in (True, False):
        run_config = RunConfiguration()
        local_docker.apply(run_config, use_docker)
        assert run_config.docker.use_docker is use_docker
        assert run_config.environment.docker.enabled is use_docker
        assert run_config.environment.python.user_managed_dependencies is not use_docker
