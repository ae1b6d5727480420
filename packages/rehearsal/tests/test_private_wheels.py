"""Wheels of one's own: the client puts them into the workspace's storage, and an environment names their address."""

from __future__ import annotations

import pytest
from callers import Caller, Client

from aml_rehearsal import Rehearsal

WHEEL = """
import zipfile
def wheel(answer):
    with zipfile.ZipFile("own-1.0.0-py3-none-any.whl", "w") as file:
        file.writestr("own.py", f"ANSWER = {answer}")
        info = "own-1.0.0.dist-info"
        file.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: own\\nVersion: 1.0.0\\n")
        kind = "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
        file.writestr(f"{info}/WHEEL", kind)
        file.writestr(f"{info}/RECORD", "")
    return "own-1.0.0-py3-none-any.whl"
"""


def test_what_is_there_is_not_uploaded_again(rehearsal: Rehearsal, client: Client) -> None:
    answer = client("""
run = Experiment(ws, "uploads").start_logging(snapshot_directory=None)
Path("a.txt").write_text("one")
run.upload_file("a.txt", "a.txt")
Path("a.txt").write_text("two")
answer["again"] = refused(lambda: run.upload_file("a.txt", "a.txt"))
answer["run"] = run.id
run.complete()
""")
    conflict = f"Resource Conflict: ArtifactId ExperimentRun/dcid.{answer['run']}/a.txt already exists."
    assert conflict in answer["again"]
    assert rehearsal.artifact(answer["run"], "a.txt") == b"one"


def test_a_run_has_the_wheel_that_its_environment_names(rehearsal: Rehearsal, client: Client, caller: Caller) -> None:
    answer = client(f"""{WHEEL}
answer["first"] = Environment.add_private_pip_wheel(ws, wheel(42))
answer["again"] = Environment.add_private_pip_wheel(ws, wheel(43), exist_ok=True)
answer["refused"] = refused(lambda: Environment.add_private_pip_wheel(ws, wheel(43)))
""")
    assert answer["first"] == answer["again"] and "already exists" in answer["refused"]
    script = "import own, pip, sys\nprint(own.ANSWER)"  # conda brings pip along
    dependencies = {"dependencies": ["python=3.11", "pip", {"pip": [answer["first"]]}]}
    python = {"userManagedDependencies": False, "interpreterPath": "python", "condaDependencies": dependencies}
    run = caller.run(script, environment={"python": python})
    assert run["status"] == "Completed", run["error"]
    assert rehearsal.artifact(run["runId"], "user_logs/std_log.txt") == b"42\n"


def test_a_python_that_can_not_be_had_is_named(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")
    dependencies = {"dependencies": ["python=3.77"]}
    python = {"userManagedDependencies": False, "interpreterPath": "python", "condaDependencies": dependencies}
    run = caller.run("", environment={"python": python})
    assert run["status"] == "Failed" and "Python 3.77 is not at hand" in run["error"]["error"]["message"]
