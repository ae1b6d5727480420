"""make deploy, with the real client against the workspace on loopback and with the server of .venv: what answers stays,
what does not is taken back, whatever is wrong or interrupted on the way.

Services really run: the rehearsal starts the inference server with the code and the model that were sent. Most of them
serve a model of ours that says what it is; the sample model goes the README's way, from its training to its answer.
"""

import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from azureml.core import ComputeTarget, Model
from azureml.core.compute import AksCompute
from azureml.core.webservice import Webservice

from aml_project.service.workspace import open_workspace
from aml_rehearsal import Fault
from tests import aml
from tests.conftest import Rehearse
from tests.environments import Environments
from tests.owner import Owner, PythonWith, kill, make_finds_tools, read_until, set_up
from tests.repositories import commit, git
from tests.support import PYTHON, answers, free_port, run, shown_commands

# Answers with the model's content and the code's own word; refuses what the request asks it to refuse.
SCORE = """
import json, os
from pathlib import Path
from azureml_inference_server_http.api.aml_response import AMLResponse

CODE = "first"

def init():
    global weights
    root = Path(os.environ["AZUREML_MODEL_DIR"])
    [file] = [file for file in root.rglob("weights.txt")]
    weights = file.read_text()

def run(data):
    request = json.loads(data)
    if "wrong" in request:
        return AMLResponse({"message": "wrong is wrong"}, 400, json_str=True)
    variables = {name: os.environ.get(name) for name in ("WORKER_COUNT", "OMP_NUM_THREADS", "CODE_COMMIT")}
    beside = sorted(path.name for path in Path(__file__).parent.iterdir() if path.is_file())
    return {"weights": weights, "code": CODE, "variables": variables, "beside": beside}
"""
SERVER = "azureml-inference-server-http==1.5.1"
CONDA = f"""
dependencies:
- python={PYTHON}
- pip:
  - {SERVER}
"""


class Server(Owner):
    """Whoever serves a model called quick."""

    @property
    def model(self) -> Path:
        return self.project / "models" / "quick"

    def start(self, verb: str, *args: str | Path, **variables: str) -> "subprocess.Popen[str]":
        return super().start(verb, "--model=quick", *args, **variables)

    def deploy(self, *args: str, expect: int = 0) -> tuple[str, str]:
        """Deploy; return what was printed, which is never a key."""
        done = self.call("deploy", "--model=quick", *args, COLUMNS="80")  # a narrow terminal
        assert done.code == expect, done
        for service in self.services.values():
            assert not [key for key in service["keys"].values() if key in done.out + done.err]
        return done.out, done.err

    @contextmanager
    def client(self) -> Iterator[Any]:
        """The workspace as the client has it, for what a user does with that."""
        with aml.here(self.project, self.rehearsal.variables()), redirect_stdout(io.StringIO()):
            yield open_workspace(self.project, ask=False)

    def register(self, weights: str) -> None:
        place = self.model / "outputs" / "model"
        place.mkdir(parents=True, exist_ok=True)
        (place / "weights.txt").write_text(weights)
        with self.client() as workspace:
            Model.register(workspace, str(place), "quick")

    def make_cluster(self) -> None:
        with self.client() as workspace:
            made = ComputeTarget.create(workspace, "aks-cluster", AksCompute.provisioning_configuration())
            made.wait_for_completion()

    def write_score(self, old: str, new: str) -> None:
        text = (self.model / "score.py").read_text()
        assert old in text
        (self.model / "score.py").write_text(text.replace(old, new))

    @property
    def services(self) -> dict[str, dict[str, Any]]:
        return dict(self.rehearsal.state()["services"])

    def ask(self, name: str) -> dict[str, Any]:
        """What a service in the workspace answers to who has its key."""
        service = self.services[name]
        return asked(service["scoringUri"], service["keys"]["primaryKey"])

    def notes(self) -> list[Path]:
        return list(self.project.glob(".azureml/deployments/*"))


def asked(url: str, key: str = "") -> dict[str, Any]:
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    with urllib.request.urlopen(urllib.request.Request(url, b"{}", headers), timeout=30) as response:
        said: dict[str, Any] = json.load(response)
    return said


def error_line(err: str) -> str:
    """The one line that says what went wrong."""
    [line] = [line for line in err.splitlines() if line.startswith("ERROR: ")]
    return line


@pytest.fixture
def owner(
    project: Path, rehearse: Rehearse, python_with: PythonWith, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Server]:
    """A project with a model of ours, whose environment is that of its services, and an empty workspace."""
    monkeypatch.delenv("OMP_NUM_THREADS")  # that of the tests: the services' own is what they are asked for
    set_up(project, "quick", python_with(SERVER).parents[1])
    model, rendered = project / "models" / "quick", project / "models" / "model1"
    shutil.copytree(rendered / "deployment", model / "deployment")
    (model / "aml_config").mkdir()
    (model / "tests").mkdir()
    (model / "tests" / "test_nothing.py").write_text("")
    (model / ".amlignore").write_bytes((rendered / ".amlignore").read_bytes())
    config = (rendered / "aml_config" / "inference-config.yml").read_text().replace("model1", "quick")
    (model / "aml_config" / "inference-config.yml").write_text(config)
    (model / "aml_config" / "inference-conda.yml").write_text(CONDA)
    (model / "score.py").write_text(SCORE)
    (model / "sample-request.json").write_text("{}")
    port = model / "deployment" / "deployment-config-local.yml"
    port.write_text(port.read_text().replace("6789", str(free_port())))
    git(project, "init", "--quiet")
    commit(project)
    owner = Server(project, rehearse(project, empty=True))
    yield owner
    owner.deploy("--target", "local", "--stop")


# ------------------------------------------------------------------------------------------------ in the workspace


def test_a_service_answers_and_is_not_deployed_twice(owner: Server) -> None:
    owner.register("one")
    head = git(owner.project, "rev-parse", "--short", "HEAD")
    out, _ = owner.deploy("--target", "aci")
    assert re.findall(r"^quick-aci: (\w+)$", out, re.MULTILINE) == ["Transitioning", "Healthy"]
    last = out.splitlines()[-1]
    assert last.startswith("quick-aci: quick version 1, code ")
    assert f", commit {head}, at http://127.0.0.1:" in last
    assert '"weights": "one"' in last
    said = owner.ask("quick-aci")
    assert said["variables"] == {"WORKER_COUNT": "1", "OMP_NUM_THREADS": "1", "CODE_COMMIT": head}
    assert said["beside"] == [".amlignore", "sample-request.json", "score.py"]

    service = owner.services["quick-aci"]
    assert (service["authEnabled"], service["appInsightsEnabled"]) == (True, True)
    assert service["containerResourceRequirements"]["memoryInGB"] == 2
    with pytest.raises(urllib.error.HTTPError, match="401"):
        asked(service["scoringUri"])
    packages = service["environmentImageRequest"]["environment"]["python"]["condaDependencies"]["dependencies"]
    assert packages[-1] == {"pip": ["azureml-inference-server-http==1.5.1"]}

    sent = len(owner.rehearsal.server.requests)
    out, err = owner.deploy("--target", "aci")
    assert "runs quick version 1" in err and "nothing is deployed" in err
    assert '"weights": "one"' in out
    assert not [line for line in owner.rehearsal.server.requests[sent:] if re.search(r"POST \S*/services( |$)", line)]
    assert owner.notes() == []


def test_what_does_not_answer_is_taken_back(owner: Server) -> None:
    """A score.py that can't be loaded, a sample request that is refused, a start that takes too long: each time the
    first version runs again, with its own code and keys. Once mended, the second one runs."""
    owner.register("one")
    owner.deploy("--target", "aci")
    before = owner.services["quick-aci"]
    owner.register("two")
    good = (owner.model / "score.py").read_text()
    sample = owner.model / "sample-request.json"

    owner.write_score('CODE = "first"', 'raise RuntimeError("broken on purpose")')
    _, err = owner.deploy("--target", "aci", expect=1)
    assert re.search(r"\| .*RuntimeError: broken on purpose", err)
    check_taken_back(owner, err, before)

    (owner.model / "score.py").write_text(good.replace('"first"', '"second"'))
    sample.write_text('{"wrong": 1}')
    _, err = owner.deploy("--target", "aci", expect=1)
    assert 'the sample request got 400: {"message": "wrong is wrong"}' in error_line(err)
    check_taken_back(owner, err, before, "runs again, but the sample request got 400")
    sample.write_text("{}")

    owner.write_score("def init():", "import time; time.sleep(30)\ndef init():")
    _, err = owner.deploy("--target", "aci", "--timeout", "15", expect=3)
    assert "not there after 15 s (--timeout)" in error_line(err)
    check_taken_back(owner, err, before)

    (owner.model / "score.py").write_text(good.replace('"first"', '"second"'))
    owner.deploy("--target", "aci")
    said = owner.ask("quick-aci")
    assert (said["weights"], said["code"]) == ("two", "second")
    assert owner.services["quick-aci"]["keys"] == before["keys"]


def check_taken_back(owner: Server, err: str, before: dict[str, Any], how: str = "runs again") -> None:
    assert "quick version 2, code " in error_line(err)
    assert re.search(rf"; quick version 1, code \w{{7}} {how}", error_line(err))
    said = owner.ask("quick-aci")
    assert (said["weights"], said["code"]) == ("one", "first")
    after = owner.services["quick-aci"]
    for kept in (
        "keys",
        "environmentImageRequest",
        "containerResourceRequirements",
        "authEnabled",
        "appInsightsEnabled",
    ):
        assert after[kept] == before[kept], kept
    assert after["kvTags"]["fingerprint"] == before["kvTags"]["fingerprint"]
    assert owner.notes() == []


def test_a_new_service_that_breaks_or_is_interrupted_is_deleted(owner: Server) -> None:
    owner.register("one")
    owner.write_score('CODE = "first"', "1 / 0")
    _, err = owner.deploy("--target", "aci", expect=1)
    assert "| ZeroDivisionError" in err
    assert error_line(err).endswith("; the service was new, and is deleted")
    assert (owner.services, owner.notes()) == ({}, [])

    owner.write_score("1 / 0", 'CODE = "first"; import time; time.sleep(8)')
    last = interrupted(owner)
    assert last.endswith("interrupted; the service was new, and is deleted")
    assert (owner.services, owner.notes()) == ({}, [])


def test_kubernetes_with_a_key(owner: Server) -> None:
    owner.register("one")
    _, err = owner.deploy("--target", "aks", expect=1)
    assert error_line(err).endswith("aks-cluster is not attached to the workspace; Kubernetes clusters: none")
    owner.make_cluster()
    out, _ = owner.deploy("--target", "aks")
    assert '"weights": "one"' in out
    service = owner.services["quick-aks"]
    assert (service["computeType"], service["computeName"]) == ("AKS", "aks-cluster")
    scaling = service["autoScaler"]
    assert (scaling["autoscaleEnabled"], scaling["minReplicas"], scaling["maxReplicas"]) == (True, 1, 5)
    assert service["livenessProbeRequirements"]["failureThreshold"] == 3
    owner.register("two")
    owner.write_score('CODE = "first"', "1 / 0")
    owner.deploy("--target", "aks", expect=1)
    assert owner.ask("quick-aks")["weights"] == "one"
    _, err = owner.deploy("--target", "aci", "--service", "quick-aks", expect=2)
    assert "quick-aks: is a service of AKS" in error_line(err)


def interrupted(owner: Server) -> str:
    """Press Ctrl-C in the wait; return the last line."""
    process = owner.start("deploy", "--target", "aci")
    read_until(process, "Transitioning")
    done = owner.interrupt(process)
    assert done.code == 130
    return done.err.splitlines()[-1]


def test_interrupted_it_goes_back_and_killed_the_next_call_does(owner: Server) -> None:
    owner.register("one")
    owner.deploy("--target", "aci")
    owner.register("two")
    good = (owner.model / "score.py").read_text()
    owner.write_score("def init():", "import time; time.sleep(8)\ndef init():")
    assert re.search(r"interrupted; quick version 1, code \w{7} runs again$", interrupted(owner))
    assert owner.ask("quick-aci")["weights"] == "one"
    assert owner.notes() == []

    (owner.model / "score.py").write_text(good.replace("    request = json", "    1 / 0\n    request = json"))
    process = owner.start("deploy", "--target", "aci")
    read_until(process, "Transitioning")
    kill(process)
    [note] = owner.notes()
    assert not [key for key in owner.services["quick-aci"]["keys"].values() if key in note.read_text()]
    _, err = owner.deploy("--target", "aci", expect=1)
    assert "an interrupted call has left it untried; before, it ran quick version 1" in err
    assert "the sample request got 500" in error_line(err)
    assert re.search(r"; quick version 1, code \w{7} runs again$", error_line(err))
    assert owner.ask("quick-aci")["weights"] == "one"
    assert owner.notes() == []


def test_trouble_that_passes_makes_one_service(owner: Server) -> None:
    """The request fails, or its answer is lost; the wait is disturbed, and the login's token expires."""
    owner.register("one")
    request, waiting = r"POST .*/services( |\?|$)", r"GET .*/operations/"
    troubles = {
        "failing": [Fault(request, status=500)],
        "lost": [Fault(request, drop="after")],
        "waiting": [Fault(waiting, status=503, times=2), Fault(waiting, skip=1, expire_tokens=True)],
    }
    for service, faults in troubles.items():
        for fault in faults:
            owner.rehearsal.faults.add(fault)
        fired = len(owner.rehearsal.faults.fired)
        out, _ = owner.deploy("--target", "aci", "--service", service)
        assert len(owner.rehearsal.faults.fired) - fired >= len(faults), service
        assert '"weights": "one"' in out
    assert sorted(owner.services) == sorted(troubles)


def test_what_is_missing_or_wrong_is_one_line(owner: Server) -> None:
    said = error_line(owner.deploy("--target", "aci", expect=1)[1])
    assert said == "ERROR: no model quick is registered in my-workspace: make register"
    owner.register("one")
    said = error_line(owner.deploy("--target", "aci", "--version", "7", expect=1)[1])
    assert said == "ERROR: --version: quick has no version 7; its newest is 1"
    deployment = owner.model / "deployment" / "deployment-config-aci.yml"
    good = deployment.read_text()
    deployment.write_text(good.replace("cpu: 1", "cpu: 40"))
    said = error_line(owner.deploy("--target", "aci", expect=3)[1])
    assert "a container instance has 0.1 to 4 cores, not 40" in said
    assert owner.services == {}
    deployment.write_text(good.replace("authEnabled", "authEnable"))
    said = error_line(owner.deploy("--target", "aci", expect=1)[1])
    assert said.endswith("deployment-config-aci.yml: authEnable: the client ignores this key: write authEnabled")
    deployment.write_text(good)
    owner.role = "reader"
    assert "(403)" in error_line(owner.deploy("--target", "aci", expect=3)[1])
    assert owner.services == {}
    owner.role = "contributor"
    (owner.project / ".azureml" / "config.json").unlink()
    said = error_line(owner.deploy("--target", "aci", expect=1)[1])
    assert said == "ERROR: no workspace is attached: make attach"


# ------------------------------------------------------------------------------------------------ on this computer


def port_of(owner: Server) -> str:
    [port] = re.findall(r"port: (\d+)", (owner.model / "deployment" / "deployment-config-local.yml").read_text())
    return f"http://127.0.0.1:{port}"


def here(owner: Server, *args: str, expect: int = 0) -> tuple[str, str]:
    return owner.deploy("--target", "local", "--docker", "no", *args, expect=expect)


def test_here_as_in_the_workspace(owner: Server) -> None:
    """A registered version, the model of the last training, a server that was killed, a broken one, the end."""
    url = port_of(owner)
    owner.register("one")
    out, _ = here(owner)
    assert "quick version 1, code " in out.splitlines()[-1]
    said = asked(f"{url}/score")
    assert (said["weights"], said["variables"]["OMP_NUM_THREADS"]) == ("one", "1")
    assert said["beside"] == [".amlignore", "sample-request.json", "score.py"]
    _, err = here(owner)
    assert "nothing is started" in err

    served = json.loads((owner.project / ".azureml" / "local-service.json").read_text())["quick"]
    os.kill(served["pid"], signal.SIGKILL)
    _, err = here(owner)
    assert "was ended from outside; starting it again" in err
    assert asked(f"{url}/score")["weights"] == "one"

    (owner.model / "outputs" / "model" / "weights.txt").write_text("trained here")
    owner.write_score('"first"', '"second"')
    here(owner, "--version", "local")
    assert (asked(f"{url}/score")["weights"], asked(f"{url}/score")["code"]) == ("trained here", "second")

    (owner.model / "outputs" / "model" / "weights.txt").write_text("trained again")
    owner.write_score('CODE = "second"', 'raise RuntimeError("broken on purpose")')
    _, err = here(owner, "--version", "local", expect=1)
    assert re.search(r"\| .*RuntimeError: broken on purpose", err)
    assert re.search(r"; quick version local-\w+, code \w{7} is served again$", error_line(err))
    assert (asked(f"{url}/score")["weights"], asked(f"{url}/score")["code"]) == ("trained here", "second")

    owner.write_score('raise RuntimeError("broken on purpose")', 'CODE = "third"')
    (owner.model / "sample-request.json").write_text('{"wrong": 1}')
    _, err = here(owner, "--version", "local", expect=1)
    assert "the sample request got 400" in error_line(err)
    assert asked(f"{url}/score")["code"] == "second"

    owner.deploy("--target", "local", "--stop", "--dry-run")
    assert answers(url)
    out, _ = owner.deploy("--target", "local", "--stop")
    assert "is ended" in out
    assert not answers(url)
    assert "nothing is served here" in owner.deploy("--target", "local", "--stop")[0]


def test_without_a_workspace_and_interrupted(owner: Server) -> None:
    """What the last training has left is served; Ctrl-C in the wait goes back to it; a taken port is a line."""
    (owner.project / ".azureml" / "config.json").unlink()
    said = error_line(here(owner, expect=1)[1])
    assert said == "ERROR: models/quick/outputs/model: not there: make train MODEL=quick"
    (owner.model / "outputs" / "model").mkdir(parents=True)
    (owner.model / "outputs" / "model" / "weights.txt").write_text("one")
    here(owner)
    owner.write_score("def init():", "import time; time.sleep(20)\ndef init():")
    process = owner.start("deploy", "--target", "local", "--docker", "no")
    read_until(process, "served by .venv")
    done = owner.interrupt(process)
    assert done.code == 130, done
    assert re.search(r"interrupted; quick version local-\w+, code \w{7} is served again", done.err.splitlines()[-1])
    assert asked(f"{port_of(owner)}/score")["weights"] == "one"
    owner.deploy("--target", "local", "--stop")

    with socket.create_server(("", int(port_of(owner).rpartition(":")[2]))):
        said = error_line(here(owner, expect=1)[1])
    assert "is taken by another program" in said and said.endswith("; nothing is served, as before")


# ---------------------------------------------------------------------------------------------- files and requests


def requests_of(file: Path, variables: dict[str, str]) -> list[tuple[str, str, dict[str, str], bytes | None]]:
    """The requests of a file of VS Code's REST Client: method, address, headers, body."""
    text = file.read_text()
    known = dict(re.findall(r"^@(\w+) = (\S+)$", text, re.MULTILINE))
    known |= {f"$dotenv {name}": value for name, value in variables.items()}
    text = re.sub(r"\{\{(.+?)\}\}", lambda found: known[found[1]], text)
    found = []
    for block in re.split(r"^###.*\n", text, flags=re.MULTILINE)[1:]:
        head, _, body = block.strip().partition("\n\n")
        first, *headers = head.splitlines()
        method, url = first.split()
        content = (file.parent / body.removeprefix("< ")).read_bytes() if body else None
        found.append((method, url, dict(header.split(": ", 1) for header in headers), content))
    return found


def send_all(requests: list[tuple[str, str, dict[str, str], bytes | None]]) -> list[tuple[int, str]]:
    said = []
    for method, url, headers, body in requests:
        request = urllib.request.Request(url, body, headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as response:
            said.append((response.status, response.read().decode()))
    return said


def test_the_requests_for_an_editor(owner: Server) -> None:
    """Each as it stands in its file, to the model here and to the service in the workspace; no file holds a key."""
    owner.register("one")
    here(owner)
    file = owner.model / "deployment" / "requests.http"
    file.write_text(file.read_text().replace("http://127.0.0.1:6789", port_of(owner)))
    owner.deploy("--target", "aci")
    with owner.client() as workspace:
        key, _ = Webservice(workspace, "quick-aci").get_keys()
    address = owner.services["quick-aci"]["scoringUri"].removesuffix("/score")
    requests = requests_of(file, {"SERVICE_URL": address, "SERVICE_KEY": key})
    for said in (send_all(requests[:3]), send_all(requests[3:])):
        assert [status for status, _ in said] == [200, 200, 200]
        assert '"swagger"' in said[1][1]
        assert json.loads(said[2][1])["weights"] == "one"
    with pytest.raises(urllib.error.HTTPError, match="401"):
        send_all(requests_of(file, {"SERVICE_URL": address, "SERVICE_KEY": "none"})[3:])
    assert run("git", "check-ignore", "models/quick/deployment/.env", cwd=owner.project)


def test_the_readmes_way(project: Path, rehearse: Rehearse, environments: Environments) -> None:
    """The sample model, trained and registered by the lines of section 3, then deployed by those of section 4."""
    environments.link_model(project, "model1")
    make_finds_tools(project)
    owner = Server(project, rehearse(project, empty=True))
    env = owner.rehearsal.variables()
    for line in ("make dataset", "make compute", "make submit", "make register"):
        run("sh", "-c", line, cwd=project, expect=0, **env)
    owner.make_cluster()
    port = project / "models/model1/deployment/deployment-config-local.yml"
    port.write_text(port.read_text().replace("6789", str(free_port())))
    (lines,) = shown_commands(project / "README.md")["4. Serve in Azure ML"]
    for line in lines:
        said = run("sh", "-c", line.replace('local"', 'local --docker no"'), cwd=project, expect=0, **env)
        assert re.search(r'model1 version 1, .* answers \{"predictions": \[\{"label": "yes"', said), said
    assert sorted(owner.services) == ["model1-aci", "model1-aks"]
    run("sh", "-c", 'make deploy ARGS="--target local --stop"', cwd=project, expect=0, **env)
