"""Both Dockerfiles, as they are rendered: built, trained in and served from, as a user without rights.

Their FROM is fetched from a registry on loopback. What it finds there is made of this computer's Python: it stands for
the public images and is none of them (docs/containers.md).
"""

import json
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from email.message import Message
from pathlib import Path

import pytest

from tests.containers.podman import Containers, Server, base_of
from tests.environments import Environments
from tests.support import PYTHON, copy_of, free_port, rendered, run

USER = "1000"


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory, environments: Environments) -> Path:
    """With its tools: it is the images that have the model's packages."""
    project = rendered(tmp_path_factory.mktemp("containers"), python_version=PYTHON)
    environments.link_tools(project, PYTHON)
    return project


@pytest.fixture(scope="session")
def model(project: Path) -> Path:
    return project / "models" / "model1"


@pytest.fixture(scope="session")
def containers(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Iterator[Containers]:
    """podman, and the base images of both Dockerfiles in a registry."""
    started = Containers(tmp_path_factory.mktemp("podman"))
    try:
        started.make_bases(model)
        yield started
    finally:
        started.close()


@pytest.fixture(scope="session")
def training(containers: Containers, model: Path) -> str:
    containers.build(model, "Dockerfile", "training")
    return "training"


@pytest.fixture(scope="session")
def server(containers: Containers, model: Path) -> str:
    containers.build(model, "Dockerfile.inference", "server", "--target=server")
    return "server"


@pytest.fixture(scope="session")
def trained(containers: Containers, training: str, project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """outputs/ of a training in the container, which reaches no network."""
    outputs = tmp_path_factory.mktemp("trained") / "outputs"
    outputs.mkdir()
    outputs.chmod(0o777)
    volumes = [f"--volume={project / 'data'}:/data:ro", f"--volume={outputs}:/workspace/outputs"]
    said = containers.podman("run", "--rm", f"--user={USER}", "--network=none", *volumes, training)
    assert re.search(r"Trained on 1400 rows, tested on 600: accuracy 0\.7\d", said)
    return outputs


@pytest.fixture(scope="session")
def served(containers: Containers, server: str, trained: Path) -> Iterator[Server]:
    """The model, mounted into the image that has none, in a container that may write nothing."""
    with containers.serving(server, "--read-only", f"--volume={trained / 'model'}:/model:ro") as serving:
        yield serving


def ask(url: str, model: Path) -> tuple[list[str], Message]:
    """Send the sample; return the labels of the answer, and its headers."""
    body = (model / "sample-request.json").read_bytes()
    request = urllib.request.Request(f"{url}/score", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        return [row["label"] for row in json.load(response)["predictions"]], response.headers


def test_the_bases_come_from_the_registry(containers: Containers, training: str, server: str, model: Path) -> None:
    """And both Dockerfiles are the rendered ones: nothing else was given to the builds."""
    asked = containers.log.read_text()
    for dockerfile in ("Dockerfile", "Dockerfile.inference"):
        name, _, tag = base_of(model / dockerfile).rpartition(":")
        assert re.search(rf"GET /v2/\S*{re.escape(name)}/manifests/{re.escape(tag)} .* 200 ", asked), name
    assert training != server


def test_it_trains_on_mounted_data_as_a_user_without_rights(trained: Path) -> None:
    assert json.loads((trained / "metrics.json").read_text())["accuracy"] > 0.7
    assert {path.name for path in (trained / "model").iterdir()} == {
        "means.json",
        "model.onnx",
        "model.pkl",
        "schema.json",
    }
    assert {path.stat().st_uid for path in trained.rglob("*")} == {int(USER)}


def test_a_mounted_model_answers(served: Server, model: Path) -> None:
    labels, headers = ask(served.url, model)
    assert labels == ["yes", "no"]
    assert (headers["x-model-version"], headers["x-code-commit"]) == ("local", "unknown")
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(f"{served.url}/score", b'{"data": [{}]}', timeout=60)


def test_the_server_is_a_user_without_rights(containers: Containers, served: Server) -> None:
    assert containers.podman("exec", served.name, "id", "-u").strip() == USER
    processes = containers.podman("top", served.name, "user", "hpid").splitlines()[1:]
    assert len(processes) == 2  # the server and its worker
    for line in processes:
        user, pid = line.split()
        assert user == USER and Path(f"/proc/{pid}").stat().st_uid == int(USER)
    refused = containers.podman("exec", served.name, "sh", "-c", "echo x > /usr/x", expect=2)
    assert "Read-only file system" in refused


def test_its_health_is_what_it_answers(containers: Containers, served: Server) -> None:
    """The check of the image itself; and it can fail: on a worker that does not answer."""
    containers.podman("healthcheck", "run", served.name)
    worker = containers.podman("top", served.name, "hpid").split()[-1]
    run("kill", "-STOP", worker, cwd=containers.folder)
    try:
        containers.podman("healthcheck", "run", served.name, expect=1)
    finally:
        run("kill", "-CONT", worker, cwd=containers.folder)


def test_what_the_server_is_told(containers: Containers, server: str) -> None:
    config = json.loads(containers.podman("inspect", "--type=image", server))[0]["Config"]
    env = dict(line.split("=", 1) for line in config["Env"])
    assert (env["WORKER_COUNT"], env["OMP_NUM_THREADS"], env["AZUREML_MODEL_DIR"]) == ("1", "1", "/model")
    assert list(config["ExposedPorts"]) == ["5001/tcp"]
    assert config["User"] == USER


def test_the_image_holds_no_more_than_it_needs(containers: Containers, server: str, model: Path) -> None:
    there = containers.podman("run", "--rm", server, "ls", "/app").split()
    assert there == sorted(["runtime", *(path.name for path in model.glob("*.py"))])
    said = containers.podman("run", "--rm", server, "python", "-c", "import azureml.core", expect=1)
    assert "No module named 'azureml'" in said


def test_without_a_model_it_ends_and_says_so(containers: Containers, server: str) -> None:
    said = containers.podman("run", "--rm", server, expect=3)
    assert said.count("ERROR: /model: expected one schema.json below it, found 0; is the model trained?") == 1
    assert "Traceback" not in said


def test_it_ends_when_it_is_told_to(containers: Containers, server: str, trained: Path) -> None:
    with containers.serving(server, f"--volume={trained}:/model:ro", "--env=WORKER_COUNT=2") as serving:
        assert len(containers.podman("top", serving.name, "comm").splitlines()) == 1 + 1 + 2
        containers.podman("stop", "--time=60", serving.name)  # that is killed after 60 seconds, with another code
        assert containers.podman("inspect", "--format={{.State.ExitCode}}", serving.name).strip() == "0"


def test_make_image_bakes_the_model_in(
    containers: Containers, server: str, project: Path, trained: Path, tmp_path: Path
) -> None:
    """By the owner's command: version and commit are in the image, and no package is installed a second time."""
    assert server
    mine = copy_of(project, tmp_path)
    assert "model1 is not trained yet" in run("make", "image", cwd=mine, expect=2)
    shutil.copytree(trained, mine / "models" / "model1" / "outputs")
    for arguments in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message=state"]):
        run("git", *arguments, cwd=mine)
    commit = run("git", "rev-parse", "--short", "HEAD", cwd=mine).strip()
    env = containers.env | {"DOCKER_HOST": f"unix://{tmp_path}/none"}  # docker may be here, but answers nobody
    said = run("make", "image", "IMAGE=churn:7", "MODEL_VERSION=7", cwd=mine, expect=0, **env)
    assert "Using cache" in said and "Collecting" not in said
    with containers.serving("churn:7") as serving:
        labels, headers = ask(serving.url, mine / "models" / "model1")
        assert labels == ["yes", "no"]
        assert (headers["x-model-version"], headers["x-code-commit"]) == ("7", commit)


def test_make_deploy_serves_from_a_container(
    containers: Containers, server: str, project: Path, trained: Path, tmp_path: Path
) -> None:
    """In the background, the model mounted and named by its version; code that breaks is taken back."""
    assert server
    mine = copy_of(project, tmp_path)
    model, url = mine / "models" / "model1", f"http://127.0.0.1:{free_port()}"
    shutil.copytree(trained, model / "outputs")
    port = model / "deployment" / "deployment-config-local.yml"
    port.write_text(port.read_text().replace("6789", url.rpartition(":")[2]))
    env = containers.env | {"DOCKER_HOST": f"unix://{tmp_path}/none"}  # docker may be here, but answers nobody
    deploy = [".venv/.tools/bin/aml", "deploy", "--target", "local", "--docker", "yes"]
    said = run(*deploy, cwd=mine, expect=0, **env)
    assert "served by podman" in said
    labels, headers = ask(url, model)
    assert labels == ["yes", "no"]
    assert headers["x-model-version"] in said and headers["x-model-version"].startswith("local-")

    score = model / "score.py"
    score.write_text(score.read_text() + '\nraise RuntimeError("broken on purpose")\n')
    said = run(*deploy, cwd=mine, expect=1, **env)
    assert "| RuntimeError: broken on purpose" in said
    assert re.search(r"; model1 version local-\w+, code \w{7} is served again$", said.strip())
    assert ask(url, model)[0] == ["yes", "no"]
    assert "is ended" in run(*deploy, "--stop", cwd=mine, expect=0, **env)
    assert "model1-local" not in containers.podman("ps", "--all")


def test_a_step_that_fails_makes_the_build_fail(containers: Containers, model: Path, tmp_path: Path) -> None:
    """Else a build that passes would prove nothing."""
    for name, before in (("Dockerfile", "RUN install "), ("Dockerfile.inference", "&& pip install ")):
        broken = tmp_path / name
        text = (model / name).read_text()
        assert text.count(before) == 1
        broken.write_text(text.replace(before, "RUN false # " if before.startswith("RUN") else "&& false # "))
        said = containers.podman("build", "--tag=broken", "--file", broken, model, expect=1)
        assert "exit status 1" in said
    assert "broken" not in containers.podman("images")
