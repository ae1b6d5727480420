"""aml environment with the real client and a workspace on loopback: versions, runs that use them, faults, kills.

Whatever happens, the same command again ends with one registered version and a runconfig that names it.
"""

import json
import logging
import random
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from azureml.core import Environment

from aml_project.service.workspace import open_workspace
from aml_rehearsal import Fault
from tests import aml
from tests.conftest import Rehearse
from tests.owner import PATIENCE, Owner
from tests.support import PYTHON, copy_of

log = logging.getLogger("progress")
KILLS = 12
RUNCONFIG = Path("models", "model1", "aml_config", "train-amlcompute.runconfig")
NAME = "model1-train"
ENVIRONMENTS = "/environments/"


class Registrar(Owner):
    """Whoever registers environments."""

    @property
    def runconfig(self) -> Path:
        return self.project / RUNCONFIG

    @property
    def environments(self) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = self.rehearsal.state()["environments"]
        return found

    def versions(self, name: str = NAME) -> list[str]:
        return [environment["version"] for environment in self.environments.get(name, [])]

    @property
    def written(self) -> dict[str, Any]:
        return dict(yaml.safe_load(self.runconfig.read_text(encoding="utf-8"))["environment"])

    def sent(self, name: str = NAME) -> list[str]:
        return self.requests(f"^PUT .*s/{name}/v")

    def register(self, *args: str) -> str:
        done = self.call("environment", *args)
        assert (done.code, done.err) == (0, "")
        return done.out

    def get(self, name: str, version: str) -> dict[str, Any]:
        """What Environment.get gives a run, in the client's own words."""
        with aml.here(self.project, self.rehearsal.variables()):
            workspace = open_workspace(self.project, ask=False)
            return dict(Environment._serialize_to_dict(Environment.get(workspace, name, version)))

    def submit(self) -> dict[str, Any]:
        """The environment that a submission sends."""
        before = set(self.rehearsal.state()["runs"])
        self.out("submit", "--async")
        [run] = set(self.rehearsal.state()["runs"]) - before
        return dict(self.rehearsal.state()["runs"][run]["runDefinition"]["environment"])

    def rows(self, *args: str) -> dict[str, list[str]]:
        out = self.register("--list", *args)
        return {
            Path(line.split()[0]).stem: re.split(r"  +", line)[1:] for line in out.splitlines() if ".runconfig" in line
        }


@pytest.fixture
def owner(project: Path, rehearse: Rehearse) -> Registrar:
    return Registrar(project, rehearse(project))


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


def image(environment: dict[str, Any]) -> dict[str, Any]:
    """What an image is built from, in the words of the service or the client."""
    docker, python = environment["docker"], environment["python"]
    conda = python.get("condaDependencies") or {}
    return {
        **{key: docker.get(key) for key in ("baseImage", "baseDockerfile", "buildContext", "platform")},
        "user": python["userManagedDependencies"],
        "interpreter": python["interpreterPath"],
        "channels": conda.get("channels"),
        "dependencies": [json.dumps(item) for item in conda.get("dependencies", [])],
    }


def test_it_is_registered_once_and_written_into_the_runconfig(owner: Registrar) -> None:
    before = owner.runconfig.read_text()
    local = owner.runconfig.with_name("train-local.runconfig").read_text()
    out = owner.register()
    [version] = owner.versions()
    assert out == (
        f'{RUNCONFIG}: environment.version: "{version}": written\nEnvironment {NAME}, version {version}: registered\n'
    )
    after = owner.runconfig.read_text()
    assert [line for line in after.splitlines() if line not in before.splitlines()] == [f'  version: "{version}"']
    assert after.replace(f'  version: "{version}"\n', "") == before
    assert owner.runconfig.with_name("train-local.runconfig").read_text() == local

    again = f"Environment {NAME}, version {version}: is registered already, nothing to build\n"
    assert owner.register() == f'{RUNCONFIG}: environment.version: "{version}"\n{again}'
    assert owner.register("-c", "train-amlcompute", "--model=model1").endswith(again)
    conda = owner.runconfig.with_name("train-conda.yml")
    change(conda, "dependencies:\n", "# why\ndependencies:\n")
    assert owner.register().endswith(again), "a comment builds nothing"
    change(conda, "numpy==2.2.6", "numpy==2.2.5")
    assert owner.register().endswith(": registered\n")
    assert owner.versions()[0] == version
    assert owner.written["version"] == owner.versions()[1] != version
    change(conda, "numpy==2.2.5", "numpy==2.2.6")
    assert owner.register() == f'{RUNCONFIG}: environment.version: "{version}": written\n{again}', "as it was before"
    assert len(owner.sent()) == 2


def test_what_is_registered_is_made_of_nothing_but_what_the_version_was_made_of(owner: Registrar) -> None:
    """Else a second person, whose files differ in what has no say, would be refused as one who changes a version."""
    owner.register()
    [first] = json.loads(json.dumps(owner.environments[NAME]))
    change(owner.runconfig, "environment:\n", "environment:\n  environmentVariables: {SECRET: of-mine}\n")
    change(owner.runconfig, "shmSize: 2g", "shmSize: 8g")
    change(owner.runconfig, "    enabled: true\n", "    enabled: true\n    shmSize: 8g\n")
    conda = owner.runconfig.with_name("train-conda.yml")
    change(conda, "  - python=3.11\n  - pip\n", "  - pip\n  - python=3.11\n")
    change(conda, "name: model1-train\n", "")
    shutil.move(conda, conda.with_name("other.yml"))
    change(owner.runconfig, "train-conda.yml", "other.yml")
    with owner.tables() as tables:
        tables.environments.clear()
    owner.register()
    assert owner.environments[NAME] == [first]
    assert "of-mine" not in json.dumps(owner.environments)


def test_a_run_is_sent_with_the_registered_environment(owner: Registrar) -> None:
    """The whole definition goes with a run, and under its name and version it is the one that is registered."""
    owner.register()
    [version] = owner.versions()
    sent, got = owner.submit(), owner.get(NAME, version)
    assert (sent["name"], sent["version"]) == (got["name"], got["version"]) == (NAME, version)
    for environment in (sent, got):  # conda installs them all at once
        environment["python"]["condaDependencies"]["dependencies"].sort(key=str)
    assert image(sent) == image(got)
    assert any("scikit-learn==" in text for text in image(sent)["dependencies"])
    assert image(sent)["baseImage"].startswith("mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04:")


def test_a_run_is_sent_with_the_text_of_a_dockerfile_and_back_with_the_conda_file(owner: Registrar) -> None:
    before = owner.runconfig.read_text()
    base_image = owner.written["docker"]["baseImage"]
    owner.register()
    [plain] = owner.versions()
    out = owner.register("--dockerfile")
    built = owner.versions()[1]
    assert out == (
        f'{RUNCONFIG}: environment.version: "{built}": written\nEnvironment {NAME}, version {built}: registered\n'
    )
    text = owner.written["docker"]["baseDockerfile"]
    assert "    baseDockerfile: |\n      # The training environment as a container" in owner.runconfig.read_text()
    assert text.startswith("# The training environment")
    assert "\nRUN conda env create --prefix /opt/model" in text
    assert (owner.written["docker"]["baseImage"], owner.written["python"]["userManagedDependencies"]) == (None, True)
    code, out, err = owner.call("check")
    assert (code, err) == (0, ""), out
    sent, got = owner.submit(), owner.get(NAME, built)
    assert (sent["name"], sent["version"]) == (got["name"], got["version"]) == (NAME, built)
    assert sent["docker"]["baseDockerfile"] == got["docker"]["baseDockerfile"] == text
    assert sent["docker"]["baseImage"] is got["docker"]["baseImage"] is None
    assert sent["python"]["userManagedDependencies"] is got["python"]["userManagedDependencies"] is True

    change(owner.runconfig.with_name("train-conda.yml"), "numpy==2.2.6", "numpy==2.2.5")
    code, out, _ = owner.call("check")
    assert (code, f"environment.version: is {built}, and what it was made of has changed since" in out) == (1, True)
    assert "registered" in owner.register(), "its text is taken anew, though --dockerfile is not said again"
    assert owner.written["version"] == owner.versions()[2]
    assert owner.written["docker"]["baseDockerfile"] != text
    assert owner.call("check")[0] == 0

    change(owner.runconfig.with_name("train-conda.yml"), "numpy==2.2.5", "numpy==2.2.6")
    assert "is registered already, nothing to build" in owner.register("--base-image", base_image)
    assert owner.written["version"] == plain
    lines = set(owner.runconfig.read_text().splitlines()) ^ set(before.splitlines())
    assert {line.split(":")[0].strip() for line in lines} == {"version", "baseImage", "baseDockerfile"}
    assert owner.call("check")[0] == 0
    assert len(owner.sent()) == 3


def test_lines_instead_of_a_change(owner: Registrar) -> None:
    before = owner.runconfig.read_bytes()
    out = owner.register("--no-write", "--dockerfile")
    [version] = owner.versions()
    lines = out.splitlines()
    assert lines[0] == f'{RUNCONFIG}: environment.version: "{version}"'
    assert lines[1] == f"{RUNCONFIG}: environment.docker.baseImage: null"
    prefix, _, text = lines[2].partition(": environment.docker.baseDockerfile: ")
    assert prefix == str(RUNCONFIG)
    assert json.loads(text) == owner.environments[NAME][0]["docker"]["baseDockerfile"]
    assert lines[3] == f"{RUNCONFIG}: environment.python.userManagedDependencies: true"
    assert owner.runconfig.read_bytes() == before


def test_every_runconfig_that_runs_in_azure_is_taken(owner: Registrar) -> None:
    second = owner.runconfig.with_name("train-gpu.runconfig")
    shutil.copy(owner.runconfig, second)
    change(second, "name: model1-train", "name: model1-gpu")
    change(second, "openmpi4.1.0-ubuntu22.04", "openmpi4.1.0-cuda11.8-cudnn8-ubuntu22.04")
    out = owner.register()
    assert (len(owner.versions()), len(owner.versions("model1-gpu"))) == (1, 1)
    assert owner.versions() != owner.versions("model1-gpu")
    assert out.count(": written\n") == 2
    local = owner.runconfig.with_name("train-local.runconfig")
    change(local, "userManagedDependencies: true", "userManagedDependencies: false")
    change(local, "name: model1-train-local", "name: model1-train")
    assert "is registered already" in owner.register("-c", "train-local"), "the same packages on the same image"
    assert yaml.safe_load(local.read_text())["environment"]["version"] == owner.versions()[0]


def test_the_list_tells_what_became_of_each(owner: Registrar) -> None:
    local = ["model1-train-local", "-", "-", "runs in this computer's Python"]
    version = owner.rows()["train-amlcompute"][2]
    row = [NAME, "-", version]
    assert owner.rows() == {
        "train-amlcompute": [*row, "not registered: make environment"], "train-local": local,
    }  # fmt: skip
    owner.register("--no-write")
    assert owner.rows()["train-amlcompute"] == [*row, "registered, not written here: make environment"]
    owner.register()
    assert owner.rows()["train-amlcompute"] == [NAME, version, version, "registered"]
    assert owner.rows("--dry-run")["train-amlcompute"] == [NAME, version, version, "not asked"]
    with owner.tables() as tables:
        tables.environments.clear()
    assert owner.rows()["train-amlcompute"] == [NAME, version, version, "not registered: make environment"]
    change(owner.runconfig.with_name("train-conda.yml"), "numpy==2.2.6", "numpy==2.2.5")
    assert owner.rows()["train-amlcompute"][3] == "changed since: make environment"
    change(owner.runconfig, f'version: "{version}"', 'version: "7"')
    assert owner.rows()["train-amlcompute"][3] == "not registered: make environment"
    with owner.tables() as tables:
        tables.environments[NAME] = [{"name": NAME, "version": "7", "python": {}, "docker": {}}]
    assert owner.rows()["train-amlcompute"][3] == "registered"
    assert owner.sent() == owner.sent()[:1], "a list changes nothing"


def test_a_list_without_the_service_still_shows_the_files(owner: Registrar) -> None:
    owner.role = "stranger"
    code, out, err = owner.call("environment", "--list")
    assert code == 3, err
    assert out.count(".runconfig") == 2
    assert out.splitlines()[1].endswith("no version written: make environment")
    [line] = err.splitlines()
    assert line.startswith("ERROR: ")
    owner.role = "contributor"
    owner.register("--no-write")
    owner.rehearsal.faults.add(Fault(f"GET .*{ENVIRONMENTS}", times=1000, status=400))
    code, out, err = owner.call("environment", "--list")
    assert (code, err) == (3, "ERROR: the service answered 400: Fault: 400\n")
    assert out.count(".runconfig") == 2


def test_the_same_version_of_somebody_else_is_fine(owner: Registrar) -> None:
    owner.register("--no-write")
    with owner.tables() as tables:
        [theirs] = tables.environments[NAME]
        theirs["python"]["condaDependencies"]["name"] = "of-an-older-release"
    before = json.dumps(theirs)
    assert "is registered already, nothing to build" in owner.register()
    # They were quicker, by a moment: it was not there when it was looked for.
    owner.rehearsal.faults.add(Fault(f"GET .*{ENVIRONMENTS}", status=404))
    assert "is registered already, nothing to build" in owner.register()
    assert len(owner.sent()) == 2
    assert json.dumps(owner.environments[NAME]) == f"[{before}]"


def test_two_at_once_register_one_version(owner: Registrar) -> None:
    processes = [owner.start("environment") for _ in range(3)]
    ends = [process.communicate(timeout=PATIENCE) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], ends
    [version] = owner.versions()
    assert owner.written["version"] == version
    assert owner.runconfig.read_text().count("  version: ") == 2, "the environment's and the dataset's"


def test_without_rights_nothing_is_registered_and_nothing_written(owner: Registrar) -> None:
    before = owner.runconfig.read_bytes()
    for owner.role in ("reader", "stranger"):
        assert "no rights (403)" in owner.error("environment", code=3)
    assert owner.versions() == []
    assert owner.runconfig.read_bytes() == before
    owner.role = "contributor"
    owner.register("--no-write")
    owner.role = "reader"
    assert "is registered already" in owner.register(), "who may look may use what is there"
    assert owner.written["version"] == owner.versions()[0]


def test_what_cannot_be_written_is_not_registered(owner: Registrar) -> None:
    change(owner.runconfig, "  docker:\n    enabled: true\n", "  docker: &docker\n    enabled: true\n")
    with owner.runconfig.open("a") as file:
        file.write("again: *docker\n")
    error = owner.error("environment", "--dockerfile", code=1)
    assert f"ERROR: {RUNCONFIG}: line " in error
    assert "environment.docker.baseImage can't be set without changing something else; write it by hand" in error
    assert owner.sent() == []


def test_a_file_that_the_client_reads_otherwise_is_refused(owner: Registrar) -> None:
    (owner.runconfig.parent / "train-amlcompute").write_text(
        owner.runconfig.read_text().replace("20251130.v1", "20251130.v2")
    )
    assert "train-amlcompute.runconfig: the client reads another environment from it: make check" in owner.error(
        "environment", code=1
    )
    assert owner.sent() == []


def test_without_a_workspace_it_says_what_to_do(owner: Registrar) -> None:
    (owner.project / ".azureml" / "config.json").unlink()
    assert owner.error("environment", code=1) == "ERROR: no workspace is attached: make attach"


TROUBLES: dict[str, dict[str, Any]] = {
    "429": {"status": 429, "headers": {"Retry-After": "1"}},
    "500": {"status": 500},
    "503": {"status": 503, "times": 2},
    "a token that has expired": {"expire_tokens": True},
    "nothing arrives": {"drop": "before"},
    "the answer is lost": {"drop": "after"},
    "half an answer": {"drop": "half"},
}


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_trouble_that_passes_is_waited_out(owner: Registrar, method: str) -> None:
    for number, trouble in enumerate(TROUBLES.values()):
        image_name = f"some/image:{number}"
        owner.rehearsal.faults.add(Fault(f"{method} .*{ENVIRONMENTS}", **trouble))
        out = owner.register("--base-image", image_name)
        assert owner.rehearsal.faults.fired
        owner.rehearsal.faults.clear()
        version = owner.versions()[-1]
        assert out.endswith(f"Environment {NAME}, version {version}: registered\n")
        assert owner.written["version"] == version
        assert owner.environments[NAME][-1]["docker"]["baseImage"] == image_name
    assert len(owner.versions()) == len(set(owner.versions())) == len(TROUBLES)


def test_trouble_that_stays_is_told_in_one_line(owner: Registrar) -> None:
    before = owner.runconfig.read_bytes()
    for method in ("GET", "PUT"):
        owner.rehearsal.faults.add(Fault(f"{method} .*{ENVIRONMENTS}", times=1000, status=400))
        assert "ERROR: the service answered 400" in owner.error("environment", code=3)
        owner.rehearsal.faults.clear()
    assert owner.versions() == []
    assert owner.runconfig.read_bytes() == before


def test_ctrl_c_is_one_line(owner: Registrar) -> None:
    owner.rehearsal.faults.add(Fault(f"PUT .*{ENVIRONMENTS}", delay=20))
    process = owner.start("environment")
    owner.when_struck(process)
    done = owner.interrupt(process)
    assert (done.code, done.out) == (130, "")
    assert done.err.endswith("Interrupted; the same command again goes on with what is there.\n")
    owner.rehearsal.faults.clear()
    assert "version" in owner.register()
    assert len(owner.versions()) == 1


@pytest.mark.parametrize(
    "at",
    [
        "before environment",
        "after environment",
        "before train-amlcompute.runconfig",
        "after train-amlcompute.runconfig",
    ],
)
def test_killed_at_a_named_point_it_goes_on(owner: Registrar, at: str) -> None:
    before = owner.runconfig.read_text()
    owner.die("environment", at=at)
    assert len(owner.versions()) == (at != "before environment")
    assert (owner.runconfig.read_text() != before) is ("after train" in at)
    check_finished(owner, NAME, before)


@pytest.mark.full
def test_it_is_killed_at_any_moment(owner: Registrar, tmp_path: Path) -> None:
    """kill -9 between its first request and its end; then the same command again."""
    requests, draw = owner.usual("environment", "--no-write"), random.Random(5)
    killed = 0
    for number in range(KILLS):
        theirs, before = another(owner, tmp_path, f"kill-{number}")
        killed += theirs.kill_at_random(draw, requests, "environment")
        check_finished(theirs, f"kill-{number}", before)
    log.info("  %d calls, %d killed", KILLS, killed)
    assert killed > 0


def another(owner: Registrar, folder: Path, name: str) -> tuple[Registrar, str]:
    """Somebody in the same workspace whose environment has another name, and what their runconfig says."""
    theirs = Registrar(copy_of(owner.project, folder / name), owner.rehearsal)
    change(theirs.runconfig, f"name: {NAME}", f"name: {name}")
    return theirs, theirs.runconfig.read_text()


def check_finished(owner: Registrar, name: str, before: str) -> None:
    """What a killed call has left is consistent, and the same call again finishes."""
    if owner.runconfig.read_text() != before:
        assert owner.versions(name), "no runconfig names what is not there"
    owner.register()
    [version] = owner.versions(name)
    assert owner.runconfig.read_text().replace(f'  version: "{version}"\n', "") == before
    assert owner.written["version"] == version


def test_a_run_uses_the_registered_environment(owner: Registrar) -> None:
    """From the registration to the end of a run, with packages that are there at once."""
    model = owner.project / "models" / "model1"
    (model / "aml_config" / "train-conda.yml").write_text(f"dependencies: [python={PYTHON}, pip, {{pip: []}}]\n")
    (model / "train.py").write_text('import sys\nprint("trained", sys.argv[1])\n')
    owner.register()
    code, out, err = owner.call("submit", "--skip-check")
    assert code == 0, err
    assert "trained --data-path" in out
    [run] = owner.rehearsal.state()["runs"].values()
    assert (run["status"], run["runDefinition"]["environment"]["version"]) == ("Completed", owner.versions()[0])
