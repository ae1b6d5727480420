"""The rendered commands, as far as they go without a workspace: what they refuse, say, write and import."""

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from aml_project.commands import attach as attach_workspace
from aml_project.runconfigs import file as runconfig_file
from aml_project.service import local_docker, registration, run_file
from aml_project.snapshot import preview
from aml_project.snapshot import whole as snapshot
from hooks import pre_gen_project as hook
from tests.conftest import Bake
from tests.support import MODEL, PROJECT, TEMPLATE, copy_of, files_of, rendered_file

WORKSPACE = {
    "subscription_id": "12345678-1234-1234-1234-123456789abc",
    "resource_group": "my-group",
    "workspace_name": "my-workspace",
}
RUN = {"_experiment_name": "exp", "run_id": "exp_1", "status": "Completed"}
VERBS = sorted({path.stem for path in (PROJECT / "scripts").glob("*.py")} - {"command_line", "own_python"})
SCRIPTS = ("attach_workspace", "submit_run", "register_model")


@pytest.fixture
def project(bake: Bake, tmp_path: Path) -> Path:
    return copy_of(bake(**WORKSPACE), tmp_path)


@pytest.fixture(scope="session")
def no_client(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which whoever imports azureml fails."""
    folder = tmp_path_factory.mktemp("no_client")
    (folder / "azureml").mkdir()
    (folder / "azureml" / "__init__.py").write_text("raise AssertionError('azureml was imported')\n")
    return {"PYTHONPATH": str(folder)}


def call(project: Path, script: str, *args: str, **env: str) -> tuple[int, str, str]:
    """Run a script; return its exit code and what it printed, on each channel."""
    command = [sys.executable, f"scripts/{script}.py", *args]
    done = subprocess.run(
        command,
        cwd=project,
        env=os.environ | env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("script", VERBS)
def test_help_has_an_example_and_the_exit_codes(project: Path, no_client: dict[str, str], script: str) -> None:
    code, out, _ = call(project, script, "--help", **no_client)
    assert code == 0
    assert f"example:\n  python scripts/{script}.py" in out
    assert "0 done    1 refused by a check    2 wrong use    3 the service failed" in out
    assert "--debug" in out
    assert ("--dry-run" in out) == (script != "check_project"), "a check changes nothing anyway"


@pytest.mark.parametrize(
    ("script", "args", "named"),
    [
        ("attach_workspace", ["--subscription-id=x"], "--subscription-id: a GUID, not 'x'"),
        ("attach_workspace", ["--resource-group=a."], "--resource-group: 1 to 90 letters"),
        ("attach_workspace", ["--workspace-name=-a-"], "--workspace-name: 3 to 33 letters"),
        ("attach_workspace", ["--chek"], "unrecognized arguments: --chek"),
        ("submit_run", ["--model", "modle1"], "--model: no such model: modle1; models here: model1"),
        ("submit_run", ["-c", "gpu"], "-c: no such runconfig: gpu; model1 has train-amlcompute, train-local"),
        ("submit_run", ["-e", "my exp"], "-e: 1 to 255 letters, digits"),
        ("submit_run", ["--docker", "maybe"], "--docker: invalid choice: 'maybe'"),
        ("submit_run", ["--seed", "1"], "unrecognized arguments: --seed"),
        ("register_model", ["--model", "x"], "--model: no such model: x; models here: model1"),
        ("register_model", ["--name", "my model"], "--name: 1 to 255 letters"),
        ("register_model", ["--tag", "stage"], "--tag: KEY=VALUE, not 'stage'"),
        ("register_model", ["--property", "=x"], "--property: KEY=VALUE, not '=x'"),
        ("register_model", ["--require", "accuracy=>0.8"], "--require: a metric, one of >= <= == > <, and a number"),
        ("register_model", ["--require", "accuracy>=nan"], "--require: a metric"),
        ("register_model", ["--better-than-current", " :min"], "--better-than-current: a metric"),
        ("register_model", ["--asset-path", "../model"], "--asset-path: a file or folder of the run"),
    ],
)
def test_wrong_use_gets_one_line(
    project: Path, no_client: dict[str, str], script: str, args: list[str], named: str
) -> None:
    before = files_of(project)
    code, out, err = call(project, script, *args, PYTHONDONTWRITEBYTECODE="1", **no_client)
    assert (code, out) == (2, "")
    assert err.startswith("ERROR: ")
    assert err.count("\n") == 1
    assert named in err
    assert files_of(project) == before


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "not there; a run that completes writes it: make submit"),
        ("", "empty, as an interrupted client leaves it"),
        ("{", "not JSON"),
        ("[]", "no _experiment_name in it"),
        ('{"_experiment_name": "e"}', "no run_id in it"),
        ('{"_experiment_name": 3, "run_id": "r"}', "no _experiment_name in it"),
        (b"\xff\xfe", "not a text file"),
    ],
)
def test_a_run_file_that_names_no_run_is_refused(
    project: Path, no_client: dict[str, str], content: str | bytes | None, said: str
) -> None:
    file = project / "models" / "model1" / "run.json"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    code, _, err = call(project, "register_model", **no_client)
    assert code == 1
    assert err.startswith(f"ERROR: {Path('models/model1/run.json')}: ")
    assert said in err
    assert err.count("\n") == 1


def test_of_many_models_one_has_to_be_named(project: Path, no_client: dict[str, str]) -> None:
    (project / "models" / "second" / "aml_config").mkdir(parents=True)
    for script in ("submit_run", "register_model"):
        code, _, err = call(project, script, "--dry-run", **no_client)
        assert (code, err) == (2, "ERROR: --model: say which; models here: model1, second\n")


def test_a_dry_run_says_what_would_be_submitted(project: Path, no_client: dict[str, str]) -> None:
    from azureml._base_sdk_common.merkle_tree import DirTreeNode, create_merkletree
    from azureml._base_sdk_common.merkle_tree_differ import compute_diff
    from azureml._project.ignore_file import get_project_ignore_file

    model = project / "models" / "model1"
    (model / "outputs").mkdir()
    (model / "outputs" / "left out").write_text("x")
    (model / "notes.txt").write_text("é")
    before = files_of(project)
    code, out, _ = call(
        project, "submit_run", "--dry-run", "-e", "mine", "--", "--seed", "7", PYTHONDONTWRITEBYTECODE="1", **no_client
    )
    assert code == 0
    assert files_of(project) == before
    rows = dict(line.split(maxsplit=1) for line in out.splitlines()[1:])
    assert rows["workspace"] == "my-workspace in my-group"
    assert rows["experiment"] == "mine"
    assert rows["target"] == "cpu-cluster"
    assert rows["script"] == "train.py --data-path /data --seed 7"
    assert rows["data"] == "model1-data:1 at /data"
    # As many files and bytes as the client itself would take.
    tree = create_merkletree(str(model), get_project_ignore_file(str(model)).is_file_excluded)
    taken = [model / entry.node_path for entry in compute_diff(DirTreeNode(), tree) if entry.is_file]
    assert rows["snapshot"] == f"{len(taken)} files, {sum(path.stat().st_size for path in taken)} bytes"


def test_a_dry_run_says_who_brings_the_data(project: Path, no_client: dict[str, str]) -> None:
    file = project / "models" / "model1" / "aml_config" / "train-amlcompute.runconfig"
    file.write_text(rendered_file(MODEL / "aml_config" / file.name, data_access="direct"), encoding="utf-8")
    _, out, _ = call(project, "submit_run", "--dry-run", **no_client)
    rows = dict(line.split(maxsplit=1) for line in out.splitlines()[1:])
    assert rows["script"] == "train.py --data-path /tmp/model1-data --dataset training"
    assert rows["data"] == "model1-data:1, brought by the script"


def test_a_dry_run_names_a_runconfig_that_cannot_be_read(project: Path, no_client: dict[str, str]) -> None:
    (project / "models" / "model1" / "aml_config" / "train-local.runconfig").write_text("script: [")
    code, _, err = call(project, "submit_run", "--dry-run", "-c", "train-local", **no_client)
    assert code == 1
    assert err.startswith(f"ERROR: {Path('models/model1/aml_config/train-local.runconfig')}: line ")


def as_text(value: object) -> object:
    """A value as a dry run shows it."""
    if isinstance(value, dict):
        return {key: as_text(inner) for key, inner in value.items()}
    return [as_text(inner) for inner in value] if isinstance(value, list) else str(value)


@pytest.mark.parametrize(
    "answers", [{}, {"framework": "none", "node_count": "4", "compute_name": "no", "model_name": "m2"}]
)
def test_the_quick_readers_read_every_render(bake: Bake, answers: dict[str, str]) -> None:
    [model] = bake(**answers).glob("models/*")
    assert preview.read_files(model) == snapshot.take(model).files
    for file in model.glob("aml_config/*.runconfig"):
        quick = preview.read_mapping(file)
        assert quick is not None
        assert as_text(quick) == as_text(runconfig_file.read_mapping(file))


AFTER_A_KEY = [
    ":", ": ", ": 1", ": x y", ": /d", ": '1'", ': "a\\u00e9"', ": [a, b]", ': ["-a", 1]', ": [a", ": {a: 1}", ": |",
    ": &x", ": no", ": True", ": 1.0", ": a # b", ": a:b", ": a:", ": *x", "", ": ~", ": []",
]  # fmt: skip
YAML_LINE = st.tuples(
    st.sampled_from(["", "  ", "    ", "# ", "- "]),
    st.sampled_from(["a", "b", "data", "a b", '"a"', "yes"]),
    st.sampled_from(AFTER_A_KEY),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(YAML_LINE, max_size=6))
def test_the_quick_reader_of_runconfigs_agrees_or_passes(tmp_path: Path, lines: list[tuple[str, str, str]]) -> None:
    file = tmp_path / "a.runconfig"
    file.write_text("".join("".join(parts) + "\n" for parts in lines), encoding="utf-8")
    quick = preview.read_mapping(file)
    if quick:
        assert as_text(quick) == as_text(runconfig_file.read_mapping(file))


PATTERNS = [
    "*.pyc",
    "outputs/",
    "outputs",
    "*",
    "a*",
    "/a",
    "!a",
    "a/b",
    "**/a",
    "# a",
    "",
    " a",
    "a ",
    "[ab]",
    "\\#a",
    "a?",
    ".*",
]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(PATTERNS), max_size=3), st.booleans())
def test_the_quick_reader_of_ignore_files_agrees_or_passes(tmp_path: Path, patterns: list[str], link: bool) -> None:
    for name in ("a/b", "a/x.pyc", "outputs/a", "deep/outputs/b", "ab", "deep/a", ".b", "#a"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "deep" / "link").unlink(missing_ok=True)
    if link:
        (tmp_path / "deep" / "link").symlink_to(tmp_path / "ab")
    (tmp_path / ".amlignore").write_text("".join(f"{pattern}\n" for pattern in patterns))
    quick = preview.read_files(tmp_path)
    assert quick is None or quick == snapshot.take(tmp_path).files


def test_what_the_check_finds_is_not_submitted(project: Path) -> None:
    file = project / "models" / "model1" / "aml_config" / "train-local.runconfig"
    file.write_text(file.read_text().replace("nodeCount: 1", "nodecount: 1"))
    code, out, err = call(project, "submit_run", "-c", "train-local", HTTPS_PROXY="http://127.0.0.1:9")
    assert (code, out) == (1, "")
    assert "nodecount" in err
    assert "nothing was submitted" in err


def test_a_dry_run_says_what_would_be_registered(project: Path, no_client: dict[str, str]) -> None:
    (project / "models" / "model1" / "run.json").write_text(json.dumps(RUN))
    args = [
        "--dry-run",
        "-n",
        "mine",
        "--tag",
        "stage=a=b",
        "--require",
        "auc>0.5",
        "--better-than-current",
        "loss:min",
    ]
    code, out, _ = call(project, "register_model", *args, **no_client)
    assert code == 0
    assert "Would register outputs/model of run exp_1 (exp) as mine" in out
    assert "stage=a=b" in out
    assert "auc>0.5, loss:min better than the newest version's" in out


def test_attaching_elsewhere_says_what_it_replaces(project: Path, no_client: dict[str, str]) -> None:
    config = project / ".azureml" / "config.json"
    before = config.read_bytes()
    code, out, _ = call(project, "attach_workspace", "--workspace-name=other", "--dry-run", **no_client)
    assert (code, config.read_bytes()) == (0, before)
    assert "Would attach to other in my-group, in place of my-workspace in my-group" in out
    code, out, _ = call(project, "attach_workspace", "--workspace-name=other", **no_client)
    assert out == "Attached to other in my-group, in place of my-workspace in my-group: .azureml/config.json\n"
    # Again, and with nothing given: what is attached stays, whatever the answers of the render were.
    assert call(project, "attach_workspace", **no_client)[1] == "Attached to other in my-group: .azureml/config.json\n"
    assert json.loads(config.read_text())["workspace_name"] == "other"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"Scope": "/subscriptions/x"}', '{"Scope": 3}'])
def test_a_broken_config_is_written_anew(project: Path, no_client: dict[str, str], content: str) -> None:
    config = project / ".azureml" / "config.json"
    config.write_text(content)
    assert call(project, "attach_workspace", **no_client)[0] == 0
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
            got, out, err = call(project, "attach_workspace", "--check", **offline, **env)
            assert (got, out) == (code, ""), err
            assert said in err
            assert err.count("ERROR") == 1
            assert "a-secret" not in err
        assert (project / ".azureml" / "config.json").read_bytes() == before


NAME_PARTS = st.text(alphabet=st.sampled_from("aZ09-_.()é٣ß \n/x"), max_size=40)


@given(NAME_PARTS)
@example("a" * 90)
@example("a" * 91)
@example("a" * 33)
@example("a" * 34)
@example("ab")
def test_the_names_have_the_rules_of_the_hook(text: str) -> None:
    """What may be answered may be attached, and the other way round; only an empty answer means later."""
    import re

    for field, (pattern, _) in attach_workspace.RULES.items():
        accepts = hook.RULES[field][0]
        assert bool(re.fullmatch(pattern, text)) == bool(text and accepts(text)), (field, text)  # type: ignore[no-untyped-call]


def fake_run(**record: object) -> Any:
    """Something that has what run_file asks of azureml.core.Run."""
    return SimpleNamespace(_run_dto={"run_id": "exp_1", **record}, experiment=SimpleNamespace(name="exp"))


def test_a_run_file_is_whole_or_absent_and_holds_no_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "new folder" / "run.json"
    run_file.write(file, fake_run(token="a-secret", token_expiry_time_utc="x", options={"a": 1}, status="Completed"))
    assert json.loads(file.read_text()) == {"_experiment_name": "exp", "run_id": "exp_1", "status": "Completed"}
    assert run_file.read(file) == ("exp", "exp_1")
    before = file.read_bytes()

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space"):
        run_file.write(file, fake_run(status="Running"))
    assert files_of(tmp_path) == {"new folder/run.json": before}


@given(st.one_of(st.integers(), st.floats(allow_nan=False)))
@example(1e-7)
@example(1e300)
@example(-0.0)
def test_a_metric_is_written_plainly_and_exactly(value: float) -> None:
    text = registration.plain(value)
    assert "e" not in text.replace("inf", "")
    assert float(text) == float(value)
    assert registration.number(text) == float(value)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("accuracy>=0.8", ("accuracy", ">=", 0.8)),
        (" f1 score < 1e3 ", ("f1 score", "<", 1000.0)),
        ("loss==-1", ("loss", "==", -1.0)),
        ("a/b:c>0", ("a/b:c", ">", 0.0)),
    ],
)
def test_a_requirement_is_read(text: str, read: tuple[str, str, float]) -> None:
    assert registration.parse_requirement(text) == read


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("accuracy", ("accuracy", False)),
        ("loss:min", ("loss", True)),
        ("a:b:max", ("a:b", False)),
        ("a:b", ("a:b", False)),
    ],
)
def test_the_better_way_is_read(text: str, read: tuple[str, bool]) -> None:
    assert registration.parse_better(text) == read


def test_all_bounds_that_are_missed_are_named() -> None:
    bounds = [registration.parse_requirement(text) for text in ("a>=0.9", "b<1", "c==3")]
    registration.check_requirements({"a": 0.9, "b": 0.5, "c": 3}, bounds)
    with pytest.raises(registration.Refused, match=r"^a is 0\.89, not >= 0\.9; b is 1, not < 1$"):
        registration.check_requirements({"a": 0.89, "b": 1.0, "c": 3}, bounds)
    with pytest.raises(registration.Refused, match=r"no metric 'c'; it has a, b$"):
        registration.check_requirements({"a": 1.0, "b": 0.1}, bounds)


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `docker` of ours, alone on PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(local_docker, "TIMEOUT", 1)
    return tmp_path / "docker"


@pytest.mark.parametrize(
    ("does", "answers"), [(None, False), ("exit 0", True), ("exit 1", False), ("exec /bin/sleep 30", False)]
)
def test_docker_is_taken_where_its_daemon_answers(docker: Path, does: str | None, answers: bool) -> None:
    if does:
        docker.write_text(f"#!/bin/sh\n{does}\n")
        docker.chmod(0o755)
    began = time.monotonic()
    used, why = local_docker.decide("auto")
    assert used is answers
    assert ("In Docker" in why) is answers
    assert time.monotonic() - began < 25
    assert local_docker.decide("yes")[0] is True
    assert local_docker.decide("no")[0] is False


def test_the_three_switches_of_a_local_run_agree() -> None:
    from azureml.core import RunConfiguration

    for use_docker in (True, False):
        run_config = RunConfiguration()
        local_docker.apply(run_config, use_docker)
        assert run_config.docker.use_docker is use_docker
        assert run_config.environment.docker.enabled is use_docker
        assert run_config.environment.python.user_managed_dependencies is not use_docker


def test_what_the_az_command_takes_along_needs_no_other_script(tmp_path: Path) -> None:
    taken = re.findall(r'"(aml_template_scripts)/(\w+)\.py"', (TEMPLATE / "packages/cli/pyproject.toml").read_text())
    assert ("aml_template_scripts", "registration") in taken
    for package, module in taken:
        (tmp_path / package).mkdir(exist_ok=True)
        source = PROJECT / "scripts" / "azure_ml" / f"{module}.py"
        (tmp_path / package / source.name).write_bytes(source.read_bytes())
    names = ", ".join(map(".".join, taken))
    subprocess.run([sys.executable, "-c", f"import {names}"], cwd=tmp_path, check=True)


@pytest.mark.parametrize(
    ("answer", "code", "named"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 3, "the answer is not JSON"),
        (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 4\r\n\r\nrow!", 1, "answered 400: row!"),
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\nsad!", 3, "answered 500: sad!"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{", 3, "hung up"),
        (b"", 3, "make serve"),
    ],
)
def test_a_request_fails_in_one_line(project: Path, tmp_path: Path, answer: bytes, code: int, named: str) -> None:
    """Whatever listens on the port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        request = tmp_path / "request.json"
        request.write_text("{}")
        got, out, err = call(project, "send_request", str(request), f"--port={server.getsockname()[1]}")
        thread.join()
    assert (got, out) == (code, "")
    assert err.count("\n") == 1 and err.startswith("ERROR: ")
    assert named in err
