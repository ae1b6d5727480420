"""The Python API, in this process and in a notebook, against a workspace on loopback: what the verbs do, as objects."""

import inspect
import json
import re
import runpy
import shutil
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import nbclient
import nbformat
import pytest

import aml_project
from aml_project import Failure, Project, api, command, model_environment
from aml_project import project as projects
from aml_project.service import registration
from aml_project.serving import local_service, to_this_computer
from aml_rehearsal import Fault, Names, Rehearsal
from tests.support import TEMPLATE, free_port, rendered

# A model that trains in a second: it logs a metric to its run, if the client is there, and writes the same to a file.
TRAIN = """
import argparse, json, pathlib, sys
parser = argparse.ArgumentParser()
parser.add_argument("--data-path")
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--accuracy", type=float, default=0.75)
parser.add_argument("--fail", action="store_true")
args = parser.parse_args()
print(f"Trained with seed {args.seed}", flush=True)
if args.fail:
    sys.exit("no way to go on")
folder = pathlib.Path("outputs", "model")
folder.mkdir(parents=True, exist_ok=True)
(folder / "weights.txt").write_text("1 2 3")
(folder.parent / "metrics.json").write_text(json.dumps({"accuracy": args.accuracy}))
try:
    from azureml.core import Run
except ImportError:
    sys.exit()
run = Run.get_context()
run.log("accuracy", args.accuracy)
if hasattr(run, "experiment"):
    run.flush()
"""
# What stands for the inference server.
SERVER = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("x-model-version", os.environ["MODEL_VERSION"])
        self.end_headers()
        self.wfile.write(b'{"answer": 1}')
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[-1])), Handler).serve_forever()
"""
# A notebook's cell that waits until progress has been told once.
BEAT = """
import threading
from aml_project import command_line

class What:
    def __str__(self):
        told.set()
        return "Waiting"

told, command_line.FIRST_BEAT = threading.Event(), 0
with command_line.Progress(What()):
    told.wait()
"""
PIPELINE = """
parameters: {accuracy: 0.75, fail: false}
steps:
  train:
    run: train.py
    in: {data-path: data}
    out: {model: outputs/model}
    arguments: {accuracy: parameters.accuracy, fail: parameters.fail}
"""
WRONG_PIPELINES: list[tuple[dict[str, Any], str]] = [
    ({"first": "tune"}, "first tune: no such step; there are train"),
    ({"parameters": {"seed": 1}}, "parameters seed: no such parameter: there are accuracy, fail"),
    ({"only": "train", "fresh": True}, "only: not with fresh: give one of them"),
    ({"only": "train", "on": "cpu-cluster"}, "only: not with on: a cluster does what has changed"),
    ({"on": "cpu-cluster", "config": "x"}, "config: no such runconfig: x; model1 has train-amlcompute, train-local"),
]
SURFACE = Path(__file__).with_name("public_api.txt").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A rendered project whose model trains in a second, attached."""
    root = rendered(tmp_path_factory.mktemp("api"), dataset_name="numbers")
    projects.attach(root, vars(Names()))
    (root / "notebooks").mkdir()
    model = root / "models" / "model1"
    (model / "train.py").write_text(TRAIN)
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    (model / "aml_config" / "train-conda.yml").write_text(f"dependencies: [python={python}, pip, {{pip: []}}]\n")
    deployment = model / "deployment" / "deployment-config-local.yml"
    deployment.write_text(deployment.read_text().replace("6789", str(free_port())))
    programs = model_environment.bin_folder(root / ".venv" / "model1")
    programs.mkdir(parents=True)
    (model / "runtime" / "server.py").write_text(SERVER)
    for name, words in {"python": "", "pytest": "-m pytest"}.items():
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
        (programs / name).chmod(0o755)
    return root


@pytest.fixture(scope="session")
def rehearsal(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    """A workspace with the project's data and cluster."""
    with Rehearsal(tmp_path_factory.mktemp("rehearsal"), project=root) as started:
        yield started


@pytest.fixture
def project(root: Path, rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The project that a notebook in notebooks/ finds."""
    for name, text in rehearsal.variables().items():
        monkeypatch.setenv(name, text)
    monkeypatch.chdir(root / "notebooks")
    return Project.here()


def test_the_journey(project: Project, rehearsal: Rehearsal, capfd: pytest.CaptureFixture[str]) -> None:
    """Data, cluster, training, a gate that refuses, a version that is better than the one before."""
    model = project.model()
    assert model.check() == []
    assert repr(project.dataset()) == "Dataset numbers, version 2: registered"
    assert repr(project.dataset()) == "Dataset numbers, version 2: holds this already; no new version"
    assert project.cluster(max_nodes=2).max_nodes == 2
    assert repr(project.cluster()) == "Cluster cpu-cluster: is there already, nothing was changed"

    assert model.train({"accuracy": 0.8}) == {"accuracy": 0.8}
    assert "Trained with seed 0\n" in capfd.readouterr().out

    here = model.submit("train-local", {"accuracy": 0.71, "seed": 3})
    assert (here.status, here.metrics) == ("Completed", {"accuracy": 0.71})
    assert here.id in here.url
    assert "Trained with seed 3\n" in capfd.readouterr().out
    assert rehearsal.state()["runs"][here.id]["target"] == "local"
    assert model.last_run().id == here.id

    with pytest.raises(Failure, match=r"not registered: accuracy is 0\.71, not >= 0\.75") as refused:
        model.register(require="accuracy>=0.75")
    assert refused.value.code == 1
    first = model.register(here, require=["accuracy>=0.7"], tags={"stage": "test", "round": 1}, name="gated")
    assert (first.name, first.version, first.run_id) == ("gated", 1, here.id)
    assert first.tags == {"accuracy": "0.71", "stage": "test", "round": "1"}
    better = model.submit("train-local", {"accuracy": 0.9})
    second = model.register(better, better_than_current="accuracy", tags=["stage=test"], name="gated")
    assert (second.version, second.tags["stage"]) == (2, "test")


def test_a_search(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    model = project.model()
    file = model.folder / "search.yml"
    file.write_text("metric: accuracy\ngoal: maximize\nparameters:\n  accuracy: {low: 0.5, high: 0.9}\n")
    try:
        with pytest.raises(Failure, match=r"^trials: a whole number from 1 to 10000, not 0$"):
            model.search(0)
        trials = model.search(2)
        assert len(model.search(3)) == 3
    finally:
        file.unlink()
        shutil.rmtree(model.folder / "outputs" / "search", ignore_errors=True)
    assert [one.value for one in trials] == sorted((one.metrics["accuracy"] for one in trials), reverse=True)
    assert trials[0].metrics["accuracy"] == trials[0].values["accuracy"]
    assert (trials[0].folder / "log.txt").is_relative_to(model.folder)
    assert str(trials[0]).startswith(f"Trial {trials[0].number}, complete, 0.")


def test_a_pipeline(project: Project, rehearsal: Rehearsal, capfd: pytest.CaptureFixture[str]) -> None:
    """Here and on the cluster: what became of each step, by its name."""
    model = project.model()
    file = model.folder / "pipeline.yml"
    file.write_text(PIPELINE)
    try:
        step = model.pipeline({"accuracy": 0.85})["train"]
        assert repr(step).startswith("Step train: done in ")
        assert step.folder
        assert step.folder.is_relative_to(model.folder)
        assert json.loads((step.folder / "outputs" / "metrics.json").read_text()) == {"accuracy": 0.85}
        assert repr(model.pipeline({"accuracy": 0.85})["train"]).startswith("Step train: as before")
        assert model.pipeline({"accuracy": 0.85}, first="train")["train"].state == "done"

        there = model.pipeline(["accuracy=0.7"], on="cpu-cluster", skip_check=True)["train"]
        assert there.run
        assert (there.state, there.folder, there.run.status) == ("done", None, "Completed")
        assert rehearsal.state()["runs"][there.run.id]["target"] == "cpu-cluster"

        with pytest.raises(Failure, match=r"train ended with the code 1(.|\n)*no way to go on(.|\n)*log\.txt$"):
            model.pipeline({"fail": True})
        for given, said in WRONG_PIPELINES:
            with pytest.raises(Failure, match=f"^{re.escape(said)}$") as wrong:
                model.pipeline(**given)
            assert wrong.value.code == 2
    finally:
        file.unlink()
        shutil.rmtree(model.folder / "outputs" / "pipeline", ignore_errors=True)


def test_a_run_that_fails_is_a_failure(project: Project) -> None:
    with pytest.raises(Failure, match=r"run model1_\w+ failed: .*no way to go on") as failed:
        project.model().submit("train-local", {"fail": True})
    assert failed.value.code == 1
    with pytest.raises(Failure, match=r"train\.py of model1 ended with the code 1"):
        project.model().train({"fail": True})


def test_a_run_is_canceled(project: Project, rehearsal: Rehearsal) -> None:
    model = project.model()
    waits = model.folder / "train.py"
    waits.write_text("import time, argparse\nprint('It waits', flush=True)\ntime.sleep(600)\n" + TRAIN)
    try:
        run = model.submit("train-local", wait=False, skip_check=True)
        run.cancel()
        assert run.status == "Canceled"
        with pytest.raises(Failure, match="was canceled"):
            run.wait()
    finally:
        waits.write_text(TRAIN)


def test_what_a_check_finds_is_not_submitted(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    model = project.model()
    file = model.folder / "aml_config" / "train-local.runconfig"
    before = file.read_text()
    file.write_text(before.replace("nodeCount: 1", "nodeCounts: 1"))
    try:
        [finding] = [line for line in project.check() if "nodeCounts" in line]
        assert finding in model.check("train-local")
        with pytest.raises(Failure, match="nodeCounts"):
            model.submit("train-local")
    finally:
        file.write_text(before)
    assert "skip_check=True" in capfd.readouterr().err


def test_environments_are_registered_once(project: Project) -> None:
    model = project.model()
    [first] = model.environments()
    again = model.environment("train-amlcompute")
    assert (again.name, again.version, again.is_new) == (first.name, first.version, False)
    with pytest.raises(Failure, match="runs in this computer's Python"):
        model.environment("train-local")


def test_what_is_trained_is_served(project: Project) -> None:
    """By a stand-in of the inference server: what is deployed and how, the verb's tests tell."""
    model = project.model()
    model.train()
    try:
        service = model.deploy("local", version="local", docker="no")
        assert service.url.startswith("http://127.0.0.1:")
        assert repr(service).endswith(f"at {service.url} answers {service.answer}")
    finally:
        to_this_computer.stop(project.root, "model1", dry_run=False)


def test_each_object_is_one_line(project: Project) -> None:
    model = project.model()
    assert repr(project) == "Project my-aml-project: models model1; workspace rehearsal in rehearsal"
    assert repr(project.models) == "[Model model1: runconfigs train-amlcompute, train-local]"
    assert repr(project.workspace) == "Workspace rehearsal in rehearsal"
    assert repr(api.Run(project, "model1", "model1_1")) == "Run model1_1 in experiment model1"
    version = api.ModelVersion("model1", 2, "model1:2", "model1_1", {})
    assert str(version) == "Model model1, version 2, id model1:2, of run model1_1"
    assert (model.folder, model.project) == (project.root / "models" / "model1", project)


WRONG = {
    "model: no such model: x; models here: model1": lambda project: project.model("x"),
    "config: no such runconfig: x; model1 has train-amlcompute, train-local": lambda project: project.model().submit(
        "x"
    ),
    "experiment: 1 to 255 letters": lambda project: project.model().submit("train-local", experiment="a b"),
    "require: a metric, one of": lambda project: project.model().register(require="accuracy"),
    "tag: KEY=VALUE, not 'stage'": lambda project: project.model().register(tags=["stage"]),
    "better_than_current: a metric": lambda project: project.model().register(better_than_current=":min"),
    "target: local, aci, aks; not 'k8s'": lambda project: project.model().deploy("k8s"),
    "service: goes with target aci or aks": lambda project: project.model().deploy("local", service="x"),
    "base_image: name an image": lambda project: project.model().environments(base_image=" "),
    "account and container: give both, or neither": lambda project: project.dataset(account="mine"),
    "access: sas, key, identity; not 'x'": lambda project: project.dataset(access="x"),
    "name: 2 to 16 characters": lambda project: project.cluster("my cluster"),
    "ssh_user and ssh_key_file: give both": lambda project: project.cluster(ssh_user="me"),
}


@pytest.mark.parametrize("sentence", WRONG)
def test_wrong_arguments_are_called_as_python_calls_them(project: Project, sentence: str) -> None:
    with pytest.raises(Failure, match=f"^{re.escape(sentence)}") as wrong:
        WRONG[sentence](project)
    assert (wrong.value.code, "\n" in str(wrong.value)) == (2, False)


def test_what_the_service_refuses_is_one_sentence(project: Project, rehearsal: Rehearsal) -> None:
    rehearsal.faults.add(Fault(r"GET .*/runs/", times=9, status=403))
    try:
        with pytest.raises(Failure, match="403") as refused:
            api.Run(project, "model1", "model1_1").status  # noqa: B018 # asking is what fails
    finally:
        rehearsal.faults.clear()
    assert (refused.value.code, "\n" in str(refused.value)) == (3, False)
    with pytest.raises(Failure, match="run nothing: not in the workspace rehearsal; is another one attached"):
        api.Run(project, "model1", "nothing").wait()


def test_what_nobody_foresaw_keeps_its_cause(project: Project) -> None:
    with (
        mock.patch.object(registration, "check_arguments", side_effect=KeyError("odd")),
        pytest.raises(Failure, match="odd") as wrapped,
    ):
        project.model().register()
    assert isinstance(wrapped.value.__cause__, KeyError)


def test_outside_of_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Failure, match="no project here or above"):
        Project.here()
    with pytest.raises(Failure, match="no project: it has no models/"):
        Project(tmp_path)


def test_a_project_that_is_not_attached(tmp_path: Path) -> None:
    (tmp_path / "models" / "model1" / "aml_config").mkdir(parents=True)
    project = Project(tmp_path)
    assert repr(project).endswith("workspace none attached yet: make attach")
    with pytest.raises(Failure, match="no workspace is attached: make attach"):
        project.workspace  # noqa: B018 # asking is what fails


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (None, []),
        (["--seed", 1], ["--seed", "1"]),
        ({"seed": 1, "es_patience": 0.5}, ["--seed", "1", "--es-patience", "0.5"]),
        ({"resume": True, "amp": False, "label": None}, ["--resume"]),
        ({"layers": [8, 4], "-x": "a b"}, ["--layers", "8", "4", "-x", "a b"]),
    ],
)
def test_a_dictionary_becomes_the_scripts_arguments(given: Any, words: list[str]) -> None:
    assert api.words_of(given) == words


def test_a_notebook(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Objects show as a line, a run's log in its cell, progress as calm lines, a failure as its sentence alone."""
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    cells = [
        "from aml_project import Project\nproject = Project.here()\nmodel = project.model()\nmodel",
        "model.train({'seed': 5})",
        "run = model.submit('train-local', {'accuracy': 0.8})\nrun",
        "model.register(run, require='accuracy>=0.9')",
        BEAT,
    ]
    made: list[dict[str, Any]] = [
        {"cell_type": "code", "source": text, "metadata": {}, "outputs": [], "execution_count": None} for text in cells
    ]
    text = json.dumps({"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 4})
    notebook = nbformat.reads(text, as_version=4)  # type: ignore[no-untyped-call]
    nbclient.NotebookClient(notebook, kernel_name="python3", allow_errors=True, timeout=300).execute()
    shown, trained, submitted, refused, waited = (outputs_of(cell) for cell in notebook.cells)
    assert shown["text/plain"] == "Model model1: runconfigs train-amlcompute, train-local"
    assert ("Trained with seed 5\n" in trained["stdout"], trained["text/plain"]) == (True, "{'accuracy': 0.75}")
    assert "Trained with seed 0\n" in submitted["stdout"]
    assert re.fullmatch(r"Run model1_\w+ in experiment model1: Completed", submitted["text/plain"])
    assert refused["error"] == "ERROR: not registered: accuracy is 0.8, not >= 0.9"
    assert waited["stderr"] == "Waiting: 0 s\n"
    assert not [cell for cell in (shown, trained, submitted) if "error" in cell]


def outputs_of(cell: Any) -> dict[str, str]:
    """What a cell shows: its streams, its value, its traceback."""
    found: dict[str, str] = {}
    for output in cell.outputs:
        if output.output_type == "stream":
            found[output.name] = found.get(output.name, "") + output.text
        elif output.output_type == "error":
            found["error"] = "\n".join(output.traceback)
        else:
            found |= output.data
    return found


def test_jupyters_way_to_draw_is_not_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    assert "MPLBACKEND" not in model_environment.variables_of_a_program()
    monkeypatch.setenv("MPLBACKEND", "agg")
    assert model_environment.variables_of_a_program()["MPLBACKEND"] == "agg"


def test_the_page_in_docs(project: Project, rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each snippet of docs/python.md, in order, in one namespace: a run here, one on the cluster, a service."""
    monkeypatch.setattr(local_service, "engine_that_answers", str)  # the stand-in runs in no container
    # Its environment is a stand-in as well: tests/journeys/test_tabular_datasets.py reads with a real one.
    monkeypatch.setattr(model_environment, "load_tabular_dataset", lambda _, *of: of)
    page = (TEMPLATE / "docs" / "python.md").read_text(encoding="utf-8")
    snippets = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert len(snippets) == 8
    known: dict[str, Any] = {"__name__": "docs"}
    try:
        for snippet in snippets:
            exec(compile(snippet, "docs/python.md", "exec"), known)
    finally:
        to_this_computer.stop(project.root, "model1", dry_run=False)
    model, runs = known["model"], rehearsal.state()["runs"]
    assert known["customers"] == ("model1", "customers", "latest")
    assert known["run"].metrics == {"accuracy": 0.75}
    assert [runs[known[name].id]["target"] for name in ("run", "later")] == ["local", "cpu-cluster"]
    assert known["later"].status == json.loads((model.folder / "run.json").read_text())["status"] == "Completed"
    assert (known["version"].version, known["version"].run_id) == (1, known["run"].id)
    assert known["service"].what.startswith("model1 version 1")
    assert known["main"]([]) == 0
    told = {
        name for row in re.findall(r"^\| (`[A-Z].*?) \|", page, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)
    }
    assert told | {"command"} == set(aml_project.__all__)


def test_the_surface_is_what_semver_holds() -> None:
    """What is public, with its arguments: a change here is a change for everybody who uses it."""
    assert "\n".join(line for name in aml_project.__all__ for line in surface(name)) == SURFACE.strip()


def surface(name: str) -> Iterator[str]:
    """A public name; of a class, its fields, methods and properties as well."""
    thing = getattr(aml_project, name)
    if not inspect.isclass(thing):
        yield f"{name}{inspect.signature(thing)}"
        return
    fields = getattr(thing, "_fields", ())
    yield f"{name}({', '.join(fields)})" if fields else name
    for member in sorted(set(vars(thing)) - set(fields)):
        value = inspect.getattr_static(thing, member)
        value = getattr(value, "__func__", value)
        if not member.startswith("_") and (callable(value) or isinstance(value, property)):
            yield f"  .{member}{inspect.signature(value) if callable(value) else ''}"


def test_importing_it_imports_nothing() -> None:
    """A command that needs none of it answers at once; and a misspelt name is told as ever."""
    code = "import sys, aml_project; print([name for name in sys.modules if name.startswith('aml_project.')])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "[]\n"
    with pytest.raises(AttributeError, match="no attribute 'Projekt'"):
        aml_project.Projekt  # noqa: B018 # asking is what fails
    with pytest.raises(ImportError):
        exec("from aml_project import Projekt")


def test_a_command_of_ones_own(capsys: pytest.CaptureFixture[str]) -> None:
    """--help, exit codes and one line, whatever its function does."""
    ends: dict[str, Any] = {
        "refused": Failure("not good enough"),
        "wrong": Failure("no such thing", 2),
        "odd": ValueError("odd"),
        "interrupted": KeyboardInterrupt(),
    }

    @command("Do it.", lambda parser: parser.add_argument("how", nargs="?"))
    def main(args: Namespace) -> int | None:
        if args.how in ends:
            raise ends[args.how]
        return 3 if args.how == "code" else None

    with mock.patch("aml_project.service.workspace.quiet"):
        assert [main([]), main(["code"]), main(["refused"]), main(["wrong"]), main(["interrupted"])] == [
            0,
            3,
            1,
            2,
            130,
        ]
        said = capsys.readouterr()
        assert said.err.splitlines()[:2] == ["ERROR: not good enough", "ERROR: no such thing"]
        assert main(["odd", "--debug"]) in (1, 3)
        assert "Traceback" in capsys.readouterr().err
    for words, code in {("--help",): 0, ("--what",): 2}.items():
        with pytest.raises(SystemExit) as end:
            main(list(words))
        assert end.value.code == code
    said = capsys.readouterr()
    assert "Do it." in said.out and "--model" in said.out and "130 interrupted" in said.out
    assert re.fullmatch(r"ERROR: unrecognized arguments: --what \(.* --help lists what there is\)\n", said.err)


SCRIPTS = ("submit_run", "register_model", "register_dataset", "register_environment")


def script(project: Project, name: str, *words: str) -> int:
    """Run a script of the project, in this process; return its exit code."""
    file = project.root / "scripts" / f"{name}.py"
    with (
        mock.patch.object(sys, "argv", [str(file), *words]),
        mock.patch("aml_project.service.workspace.quiet"),  # it would silence this process for good
        pytest.raises(SystemExit) as end,
    ):
        runpy.run_path(str(file), run_name="__main__")
    return int(end.value.code or 0)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_short_and_tells_what_it_takes(
    project: Project, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (project.root / "scripts" / f"{name}.py").read_text(encoding="utf-8")
    assert 20 <= len(text.splitlines()) <= 60
    assert f"    .venv/.tools/bin/python scripts/{name}.py" in text
    assert script(project, name, "--help") == 0
    assert "--model" in capsys.readouterr().out
    assert script(project, name, "--nothing-of-this-kind") == 2
    assert script(project, name, "--model", "x") == 2
    assert capsys.readouterr().err.endswith("ERROR: model: no such model: x; models here: model1\n")


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_says_which_python_it_wants(project: Project, name: str) -> None:
    """In the line that the error shows: that is the one place for it that costs no code."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", project.root / "scripts" / f"{name}.py"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "No module named 'aml_project'" in done.stderr
    assert ".venv/.tools" in done.stderr and "make setup" in done.stderr


def test_the_scripts_go_the_whole_way(
    project: Project, rehearsal: Rehearsal, capsys: pytest.CaptureFixture[str]
) -> None:
    """Data, packages, a run here that is not good enough and is refused, one that is and is registered."""
    assert script(project, "register_dataset") == 0
    assert re.search(r"^Dataset numbers, version 2: ", capsys.readouterr().out, re.MULTILINE)
    assert script(project, "register_environment") == 0
    assert re.search(r"^Environment model1-train, version \w+: ", capsys.readouterr().out, re.MULTILINE)

    assert script(project, "submit_run", "-c", "train-local", "--", "--accuracy", "0.69") == 0
    told = r"^Run model1_\w+ in experiment model1: Completed\n  accuracy     0.69$"
    assert re.search(told, capsys.readouterr().out, re.MULTILINE)
    assert script(project, "register_model", "--name", "by-script") == 1
    assert capsys.readouterr().err.endswith("ERROR: not registered: accuracy is 0.69, not >= 0.7\n")

    assert script(project, "submit_run", "-c", "train-local", "--", "--accuracy", "0.8") == 0
    stricter = ("register_model", "--name", "by-script", "--require", "accuracy>=0.9")
    assert script(project, *stricter) == 1
    assert script(project, "register_model", "--name", "by-script", "--tag", "by=me") == 0
    registered = rehearsal.state()["models"]["by-script:1"]
    assert registered["kvTags"] | {"stage": "test", "by": "me", "accuracy": "0.8"} == registered["kvTags"]
    assert registered["runId"] == project.model().last_run().id

    task = project.model().folder / "task.yaml"
    task.touch()  # as a model has it that draws masks
    try:
        assert script(project, "register_model", "--name", "by-dice") == 1
        assert "the run has no metric 'dice'" in capsys.readouterr().err
    finally:
        task.unlink()


def test_an_empty_folder_is_no_dataset(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    data, kept = project.model().data, project.root / "kept"
    data.rename(kept)
    try:
        data.mkdir()
        assert script(project, "register_dataset") == 1
        assert capsys.readouterr().err == f"ERROR: {data}: empty, and an empty dataset trains nothing\n"
        data.rmdir()
    finally:
        kept.rename(data)
