"""The image of the rehearsal, built as it is, and the lines of its page: by hand, in GitHub's jobs, with pytest."""

import json
import os
import re
import shlex
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.containers.podman import Containers, Server
from tests.support import BIN, PYTHON, TEMPLATE, WORKSPACE, run, shown_commands

PACKAGE = TEMPLATE / "packages" / "rehearsal"
PAGE = TEMPLATE / "docs" / "rehearsal-in-a-container.md"
PORT = "8080"
# On a cluster of the container's, in its own Python: nothing has to be installed.
SUBMIT = """
from azureml.core import ComputeTarget, Environment, Experiment, ScriptRunConfig, Workspace
from azureml.core.compute import AmlCompute
ws = Workspace.from_config()
cluster = AmlCompute.provisioning_configuration(vm_size="Standard_DS3_v2", max_nodes=1)
ComputeTarget.create(ws, "cpu", cluster).wait_for_completion()
own = Environment("own")
own.python.user_managed_dependencies = True
source = ScriptRunConfig("code", "train.py", compute_target="cpu", environment=own)
run = Experiment(ws, "in-a-container").submit(source)
run.wait_for_completion()
print(run.get_status(), run.get_file_names(), run.id)
"""


@pytest.fixture(scope="module")
def containers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containers]:
    started = Containers(tmp_path_factory.mktemp("podman"))
    try:
        python = run(BIN / "uv", "python", "find", "--system", "--no-project", PYTHON, cwd=PACKAGE).strip()
        started.make_base(Path(python))
        base = re.search(r"^ARG BASE_IMAGE=(\S+)$", (PACKAGE / "Dockerfile").read_text(), flags=re.MULTILINE)
        assert base
        started.publish("localhost/python", base[1])
        run(BIN / "hadolint", "Dockerfile", cwd=PACKAGE)
        started.podman("build", "--layers=false", "--pull-always", "--tag=aml-rehearsal", PACKAGE)
        yield started
    finally:
        started.close()


@pytest.fixture(scope="module")
def job() -> dict[str, Any]:
    """The job of the page's snippet for GitHub."""
    return dict(yaml.safe_load(snippet("GitHub", "yaml"))["jobs"]["test"])


@pytest.fixture(scope="module")
def served(containers: Containers, job: dict[str, Any]) -> Iterator[Server]:
    """As the job's service, with a volume."""
    env = [f"--env={name}={text}" for name, text in job["services"]["azureml"]["env"].items()]
    with containers.serving("aml-rehearsal", *env, "--volume=azureml:/state", port=int(PORT)) as serving:
        yield serving


def snippet(heading: str, kind: str) -> str:
    """The first block of a kind below a heading of the page."""
    text = PAGE.read_text(encoding="utf-8").partition(f"## {heading}\n")[2]
    found = re.search(rf"^```{kind}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    assert found
    return found[1]


def sh(lines: list[str], server: Server, folder: Path, **env: str) -> str:
    """Run lines of the page, with the port that the container got here."""
    text = "\n".join(lines).replace("http://localhost:8080", server.url.replace("127.0.0.1", "localhost"))
    return run("sh", "-ec", text, cwd=folder, expect=0, PATH=f"{BIN}{os.pathsep}{os.environ['PATH']}", **env)


def test_the_lines_by_hand_lead_the_client_there(served: Server, tmp_path: Path) -> None:
    """A run on a cluster, as azureml submits it; its outputs come back."""
    (block,) = shown_commands(PAGE)["By hand"]
    assert block[0] == "docker build -t aml-rehearsal packages/rehearsal" and block[-1] == "python submit.py"
    (tmp_path / "submit.py").write_text(SUBMIT)
    (tmp_path / "config.json").write_text(json.dumps(WORKSPACE))
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "train.py").write_text("open('outputs/a.txt', 'w').write('x')\n")
    said = sh(block[2:], served, tmp_path, HOME=str(tmp_path))
    assert "Completed" in said and "outputs/a.txt" in said


def test_a_github_job_finds_it(served: Server, job: dict[str, Any], tmp_path: Path) -> None:
    """By the variables that one step leaves for the next."""
    for_next = tmp_path / "env"
    sh([job["steps"][1]["run"]], served, tmp_path, RUNNER_TEMP=str(tmp_path), GITHUB_ENV=str(for_next))
    env = dict(line.split("=", 1) for line in for_next.read_text().splitlines())
    (tmp_path / "config.json").write_text(json.dumps(WORKSPACE))
    (tmp_path / "look.py").write_text("from azureml.core import Workspace\nprint(Workspace.from_config().name)\n")
    assert WORKSPACE["workspace_name"] in run(
        sys.executable, "look.py", cwd=tmp_path, expect=0, HOME=str(tmp_path), **env
    )


def test_the_fixtures_of_pytest_take_it(served: Server, tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(f"from azureml.core import Experiment\n{snippet('pytest', 'python')}")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"]
    assert "1 passed" in run(*command, cwd=tmp_path, AML_REHEARSAL_URL=served.url, HOME=str(tmp_path))
    with urllib.request.urlopen(f"{served.url}/state.json") as answer:
        assert "try" in json.load(answer)["experiments"]


@pytest.mark.full
def test_compose_runs_the_tests_beside_it(containers: Containers, tmp_path: Path) -> None:
    """The files of the page; its exit code is that of the tests."""
    text = PAGE.read_text(encoding="utf-8")
    for file, kind in (("compose.yaml", "yaml"), ("Dockerfile", "dockerfile")):
        (tmp_path / file).write_text(
            text.partition("## Docker Compose")[2].partition(f"```{kind}\n")[2].partition("```")[0]
        )
    test = text.partition("## pytest")[2].partition("```python\n")[2].partition("```")[0]
    (tmp_path / "test_it.py").write_text(f"from azureml.core import Experiment\n{test}")
    up, down = shown_commands(PAGE)["Docker Compose"][-1]
    assert "1 passed" in compose(up, containers, tmp_path, expect=0)
    compose(down, containers, tmp_path, expect=0)
    (tmp_path / "test_it.py").write_text("def test_it():\n    assert False\n")
    assert "1 failed" in compose(up, containers, tmp_path, expect=1)
    compose(down, containers, tmp_path, expect=0)


def compose(line: str, containers: Containers, folder: Path, *, expect: int) -> str:
    """Run a line of docker compose by podman-compose, and ask for the health in place of systemd."""
    started = subprocess.Popen(
        [BIN / "podman-compose", *shlex.split(line)[2:]],
        cwd=folder,
        env=os.environ | containers.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    health = ["podman", "healthcheck", "run", f"{folder.name}_azureml_1"]
    while started.poll() is None:
        subprocess.run(health, env=os.environ | containers.env, capture_output=True)
        time.sleep(0.5)
    said = started.communicate()[0]
    assert started.returncode == expect, said[-8000:]
    return said


def test_it_is_a_user_without_rights(containers: Containers, served: Server) -> None:
    assert containers.podman("exec", served.name, "id", "-u").strip() == "1000"
    processes = containers.podman("top", served.name, "user").split()[1:]
    assert len(processes) >= 2 and set(processes) == {"1000"}


def test_its_health_is_that_of_its_blobs(containers: Containers) -> None:
    """And no network is needed to become healthy."""
    name = containers.podman("run", "--detach", "--network=none", "aml-rehearsal").strip()
    check = ["podman", "healthcheck", "run", name]
    until = f"for turn in $(seq 60); do {shlex.join(check)} && exit 0; sleep 0.5; done; exit 1"
    run("sh", "-c", until, cwd=containers.folder, expect=0, **containers.env)
    azurite = [
        line.split() for line in containers.podman("top", name, "hpid", "args").splitlines() if "azurite" in line
    ]
    run("kill", "-KILL", azurite[-1][0], cwd=containers.folder)
    containers.podman("healthcheck", "run", name, expect=1)
    containers.podman("rm", "--force", "--time=5", name)


def test_what_ran_is_there_in_the_next_container(containers: Containers, served: Server) -> None:
    """The last of this file: it ends the one that the others ask."""
    with urllib.request.urlopen(f"{served.url}/state.json") as answer:
        before = json.load(answer)["runs"]
    containers.podman("stop", "--time=60", served.name)  # that is killed after 60 seconds, with another code
    assert containers.podman("inspect", "--format={{.State.ExitCode}}", served.name).strip() == "0"
    kept = containers.podman("run", "--rm", "--volume=azureml:/state", "--entrypoint=ls", "aml-rehearsal", "/state")
    assert [file for file in kept.split() if file.startswith("state.")] == ["state.db"]
    with (
        containers.serving("aml-rehearsal", "--volume=azureml:/state", port=int(PORT)) as again,
        urllib.request.urlopen(f"{again.url}/state.json") as answer,
    ):
        assert json.load(answer)["runs"].keys() == before.keys()
    assert before
