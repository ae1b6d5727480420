"""AutoRunner's search: which experiment it ends, and that it does not wait for one that has failed."""

import http.server
import importlib.util
import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from aml_project.auto3dseg import job


class Played(SimpleNamespace):
    """The module of the framework, between what stands for MONAI and what stands for NNI."""

    module: ModuleType
    auto_runner: SimpleNamespace
    commands: list[list[str]]
    patience: list[str]
    answers: dict[str, Any]


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Iterator[Played]:
    commands: list[list[str]] = []
    answers: dict[str, Any] = {"check-status": {"status": "RUNNING", "errors": []}, "trial-jobs": []}

    class Nni(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(answers[self.path.removeprefix("/api/v1/nni/")]).encode())

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    auto_runner = SimpleNamespace()
    patience: list[str] = []  # what the server is made to read, each time that it begins

    def run(command: list[str], env: dict[str, str] | None = None, **_: Any) -> None:
        commands.append(command)
        if env:
            patience.append(Path(env["NODE_OPTIONS"].removeprefix("--require ").strip('"')).read_text())

    run_cmd = SimpleNamespace(run_cmd=run)
    for name, stands in (("apps.auto3dseg", SimpleNamespace(auto_runner=auto_runner)), ("utils", run_cmd)):
        monkeypatch.setitem(sys.modules, f"monai.{name}", stands)
    for name in ("monai", "monai.apps"):
        monkeypatch.setitem(sys.modules, name, SimpleNamespace())
    spec = importlib.util.spec_from_file_location("search", job.sources()["runtime/search.py"])
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module.time, "sleep", lambda _: None)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Nni) as server:
        monkeypatch.setattr(module, "PORT", server.server_port)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield Played(module=module, auto_runner=auto_runner, commands=commands, patience=patience, answers=answers)
        server.shutdown()


def test_it_ends_its_own_experiment_alone(played: Played, tmp_path: Path) -> None:
    create = ["create", "--config", str(tmp_path / "x.yaml")]
    played.auto_runner.run_cmd(["nnictl", *create], check=True)
    played.auto_runner.run_cmd(["nnictl", "stop", "--all"], check=True)
    own = ["nnictl", "stop", "--port", str(played.module.PORT)]
    patient = [sys.executable, "-c", played.module.PATIENT, *create]
    assert played.commands == [patient, own]
    assert played.patience == [played.module.PATIENT_SERVER] and not list(tmp_path.iterdir())


def test_one_that_has_not_begun_is_a_line(played: Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failed(command: list[str], **_: Any) -> None:
        raise RuntimeError("subprocess call error 1")  # as MONAI has it

    monkeypatch.setattr(played.module, "run_cmd", failed)
    with pytest.raises(played.module.SearchFailed, match="NNI has not begun; why, it says above"):
        played.auto_runner.run_cmd(["nnictl", "create", "--config", str(tmp_path / "x.yaml")], check=True)


def test_it_waits_for_what_goes_on(played: Played) -> None:
    for status in ("RUNNING", "WAITING", "SUCCEEDED"):
        played.answers["trial-jobs"] = [{"trialJobId": "a1", "status": status}]
        played.auto_runner.sleep(1)


def test_a_search_that_has_failed_is_not_waited_for(played: Played) -> None:
    played.answers["check-status"] = {"status": "ERROR", "errors": ["the tuner is gone"]}
    with pytest.raises(played.module.SearchFailed, match="NNI: the tuner is gone"):
        played.auto_runner.sleep(1)


def test_nor_is_a_trial_that_has_failed(played: Played) -> None:
    played.answers["trial-jobs"] = [{"trialJobId": "a1", "status": "FAILED", "stderrPath": "trials/a1/stderr"}]
    with pytest.raises(played.module.SearchFailed, match="NNI: trial a1 FAILED; trials/a1/stderr"):
        played.auto_runner.sleep(1)
