"""Submit a run once, whatever interrupts it.

The id of the run is chosen here and noted in .azureml/submissions/ before anything is sent. The same command after an
interruption finds the note, looks for that run in the workspace, and goes on with it instead of starting a second one.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from aml_project.command_line import SERVICE_FAILED, Failure, Progress, note
from aml_project.files import write_whole
from aml_project.kill_points import reached
from aml_project.model_environment import python_for_runs, variables_of_a_program
from aml_project.patience import patient
from aml_project.service import local_docker
from aml_project.service.asking import renewal
from aml_project.service.errors import explain, status_in
from aml_project.service.git_address import hide_git_password
from aml_project.service.run_log import ENDED, Follower

PAUSES = (1, 2)  # seconds between the questions whether the service has a run
LOOKS = 10  # after the end of a process here, until its run has ended as well: its last words may be on their way


class NotKnown(Failure):
    """Nobody can say now whether the service has a run."""


class Submission:
    """One model's run by one runconfig in one experiment."""

    def __init__(self, root: Path, model: str, config: str, experiment: str, arguments: Sequence[str]) -> None:
        self.folder = root / "models" / model
        self.config, self.experiment, self.arguments = config, experiment, list(arguments)
        name = hashlib.sha256(json.dumps([model, config, experiment]).encode()).hexdigest()[:16]
        self.note = root / ".azureml" / "submissions" / f"{name}.json"
        self.process_note = self.note.with_suffix(".pid")  # of a local run
        self.process: Any = None  # of a local run

    def load(self) -> Any:
        """Read the runconfig, by the real loader."""
        from azureml.core import RunConfiguration

        run_config = RunConfiguration.load(str(self.folder), self.config)
        if self.arguments:
            run_config.arguments = [*(run_config.arguments or []), *self.arguments]
        return run_config

    def start(self, workspace: Any, run_config: Any) -> Any:
        """Return the run: the one that an interrupted call submitted, or else a new one."""
        hide_git_password(self.folder)
        fingerprint = self.fingerprint(run_config)
        noted = self.read_note()
        run_id = ""
        if noted and noted.get("workspace") == scope(workspace):
            with Progress("Looking for the run of the interrupted call"):
                run = find(workspace, noted["run_id"])
            if run is None:
                # It may still be on its way: the same id can't become two runs.
                run_id = "" if run_config.target == "local" else noted["run_id"]
            elif self.goes_on(run, noted, fingerprint):
                self.complete_record(run, run_config)
                return run
        run_id = run_id or f"{self.experiment}_{int(time.time())}_{uuid.uuid4().hex[:8]}"
        self.process_note.unlink(missing_ok=True)
        self.write_note(run_id=run_id, workspace=scope(workspace), fingerprint=fingerprint)
        return self.send(workspace, run_config, run_id)

    def goes_on(self, run: Any, noted: dict[str, Any], fingerprint: str) -> bool:
        """Tell whether the run of the interrupted call is the one that is wanted."""
        status = run.status
        if status in ("Failed", "Canceled"):
            note(f"the run of the interrupted call, {run.id}, {status.lower()}; submitting a new one")
            return False
        if noted.get("fingerprint") != fingerprint:
            tail = "has completed" if status == "Completed" else f"goes on; to cancel it: {cancel_command(run)}"
            note(f"what is submitted has changed since {run.id}, which {tail}; submitting a new run")
            return False
        local = run._run_dto.get("target") == "local"
        if local and status not in ENDED and not is_running(self.noted_process()):
            note(f"{run.id} never ran or was ended from outside; submitting a new run in its place")
            cancel_local(run)
            return False
        note(f"going on with {run.id}, which an interrupted call submitted")
        return True

    def send(self, workspace: Any, run_config: Any, run_id: str) -> Any:
        """Submit; a failure leaves no run behind that nobody knows of."""
        from azureml.core import Experiment, ScriptRunConfig

        source = ScriptRunConfig(source_directory=str(self.folder), run_config=run_config)
        experiment, errors = Experiment(workspace, self.experiment), list[Exception]()

        def submit() -> Any:
            with (
                Progress("Submitting"),
                local_docker.python_first(python_for_runs(self.folder)),
                self.watch_process(),
            ):
                return experiment.submit(source, run_id=run_id)

        try:
            run = patient(
                submit, passes=lambda _: True, pauses=(), renew=renewal(workspace),
                find=lambda: find(workspace, run_id), trouble=errors.append, makes="run",
            )  # fmt: skip
        except NotKnown:
            raise
        except Exception as error:
            self.done()
            raise Failure(f"not submitted: {explain(error)}", SERVICE_FAILED) from error
        return self.accepted(run, run_config, errors[0]) if errors else run

    def accepted(self, run: Any, run_config: Any, error: Exception) -> Any:
        """Return a run that the service has although its submission ended in an error."""
        if run_config.target != "local":
            note("the answer of the service was lost; the run was accepted all the same")
            self.complete_record(run, run_config)
        elif not self.process:
            cancel_local(run)  # the service has it, but nothing was started here
            self.done()
            lost = "the answer of the service was lost before anything ran here; the same command again submits anew"
            raise Failure(f"not submitted: {lost}", SERVICE_FAILED) from error
        return run

    @contextlib.contextmanager
    def watch_process(self) -> Iterator[None]:
        """Start a local run in a session of its own, which notes its process before it becomes the run.

        The client starts it in this terminal's group, where Ctrl-C would end the run and not only the following, and
        does not say which process it is. Its helper is replaced for the call; the client's version is pinned. Were the
        process noted from here, a call that is killed just before would leave a run that counts as never begun.
        """
        import subprocess

        from azureml._execution import _commands

        def start(command: Sequence[str], cwd: str, env: dict[str, str]) -> Any:
            nothing = subprocess.DEVNULL
            noting = ["sh", "-c", 'echo $$ > "$0" && exec "$@"', str(self.process_note)]
            self.process = subprocess.Popen(
                [*noting, *command], cwd=cwd, env=variables_of_a_program(env),
                stdin=nothing, stdout=nothing, stderr=nothing, start_new_session=True,
            )  # fmt: skip
            reached("after process")
            return self.process

        client_start = _commands.start_background_process
        if os.name == "posix":
            _commands.start_background_process = start
        try:
            yield
        finally:
            _commands.start_background_process = client_start

    def complete_record(self, run: Any, run_config: Any) -> None:
        """Add what the client adds to a run after the service has accepted it, if the interruption came before."""
        from azureml._base_sdk_common.tracking import global_tracking_info_registry
        from azureml._restclient.snapshots_client import SnapshotsClient

        known = run.get_properties()
        missing = {}
        if run_config.history.snapshot_project and not known.get("ContentSnapshotId"):
            client = SnapshotsClient(run.experiment.workspace.service_context)
            missing["ContentSnapshotId"] = client.create_snapshot(str(self.folder))
        git = global_tracking_info_registry.gather_all(str(self.folder))
        missing.update({name: text for name, text in git.items() if name not in known})
        if missing:
            run.add_properties(missing)

    def follow(self, run: Any) -> Any:
        """Print the run's log until it has ended; return its details."""
        strikes = 0

        def is_alive() -> bool:
            nonlocal strikes
            pid = self.noted_process()
            ended = self.process.poll() is not None if self.process else bool(pid) and not is_running(pid)
            strikes = strikes + 1 if ended else 0
            return strikes < LOOKS

        try:
            return Follower(run, is_alive).follow()
        except ProcessLookupError as error:
            cancel_local(run)
            self.done()
            raise Failure(f"run {run.id} ended without a result while {error}: it was killed, or never began") from None

    def fingerprint(self, run_config: Any) -> str:
        """Return a text that is the same if, and only if, the same is submitted."""
        from aml_project.snapshot import whole as snapshot

        digest = hashlib.sha256()
        docker = bool(run_config.docker and run_config.docker.use_docker)
        head = [self.config, self.experiment, self.arguments, docker]
        digest.update(json.dumps(head).encode())
        digest.update((self.folder / "aml_config" / f"{self.config}.runconfig").read_bytes())
        for name in sorted(snapshot.take(self.folder).files):
            content = hashlib.sha256((self.folder / name).read_bytes()).hexdigest()
            digest.update(f"{content} {name}\n".encode(errors="surrogateescape"))
        return digest.hexdigest()

    def read_note(self) -> dict[str, Any] | None:
        try:
            noted = json.loads(self.note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return noted if isinstance(noted, dict) and isinstance(noted.get("run_id"), str) else None

    def noted_process(self) -> int | None:
        try:
            return int(self.process_note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def write_note(self, **fields: object) -> None:
        write_whole(self.note, json.dumps(fields))

    def end_process(self) -> None:
        """End a run on this computer, and all that it has started."""
        if self.process and os.name == "posix":
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGTERM)

    def done(self) -> None:
        """Forget the run: nothing is left to go on with."""
        self.note.unlink(missing_ok=True)
        self.process_note.unlink(missing_ok=True)


def find(workspace: Any, run_id: str) -> Any:
    """Return the run of that id, or None if the workspace has none."""
    from azureml.core import Run

    def is_there(error: Exception) -> bool:
        return status_in(error) != 404

    try:
        return patient(lambda: Run.get(workspace, run_id), passes=is_there, pauses=PAUSES, renew=renewal(workspace))
    except Exception as error:
        if not is_there(error):
            return None
        raise NotKnown(
            f"whether the run {run_id} was accepted is not known: {explain(error)};"
            " the same command again finds out, and goes on",
            SERVICE_FAILED,
        ) from error


def cancel_local(run: Any) -> None:
    """Say of a local run that it has ended. Run.cancel() would look for a folder that only its submission knew."""
    run._client.run.post_event_canceled()


def is_running(pid: int | None) -> bool:
    """Tell whether a process is there."""
    if pid is None or os.name != "posix":
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def scope(workspace: Any) -> str:
    return str(workspace.service_context._get_workspace_scope()).lower()


def cancel_command(run: Any) -> str:
    azml = os.path.relpath(Path(sys.executable).with_name("azml"))
    return f"{azml} run cancel -e {run.experiment.name} -r {run.id}"
