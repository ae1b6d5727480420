"""Follow a run: its log as it comes, each line once, until the run ends; whatever the network does meanwhile."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from typing import Any

from aml_project import patience
from aml_project.command_line import SERVICE_FAILED, Failure, note
from aml_project.service.asking import ask
from aml_project.service.errors import explain, is_transient

ENDED = ("Completed", "Failed", "Canceled")
TIMEOUT = 20  # seconds without a byte until a request counts as lost
PATIENCE = 900  # seconds of trouble at a stretch until this gives up
SLOWEST_RETRY = 30
SILENCE = 15  # seconds after which a line says that the run goes on
# The logs that say what the script prints; of many processes, those of the first.
LOGS = r"(user_logs/std_log\D*0*(_ps)?\.txt)|(azureml-logs/\d\d.+\.txt)"
OTHER_RANK = r".*_(rank|worker|process)_0*[1-9]\d*\.txt"


class Follower:
    """Keeps, for each log, how much of it was printed."""

    def __init__(self, run: Any, is_alive: Callable[[], bool] = lambda: True) -> None:
        import requests

        self.run, self.is_alive = run, is_alive
        self.session = requests.Session()
        self.printed: dict[str, int] = {}  # bytes, up to the end of the last whole line
        self.rest: dict[str, bytes] = {}  # what came after it
        self.current = ""
        self.spoke = patience.clock.now()
        impatient(run)

    def follow(self) -> Any:
        """Print the log until the run has ended; return its details (the client's RunDetailsDto)."""
        began, ended, last_status = patience.clock.now(), False, ""
        while True:
            details = self.look()
            if details.status in ENDED and ended:
                self.print_rest()
                return details
            ended = details.status in ENDED  # then once more: the last lines may have come with the status
            if ended:
                continue
            self.give_sign(details.status, last_status, began)
            last_status = details.status
            if not self.is_alive():
                raise ProcessLookupError(details.status)
            patience.clock.sleep(min(1 + (patience.clock.now() - began) / 60, 10))

    def look(self) -> Any:
        """Print what is new; return the run's details, after however much trouble."""

        def once() -> Any:
            details = self.run._client.get_runstatus()
            self.print_logs(self.logs(details))
            return details

        try:
            return ask(
                self.run.experiment.workspace, once, pauses=patience.until(PATIENCE, 1, SLOWEST_RETRY),
                trouble=lambda error: note(f"{explain(error)}; the run goes on, and so does this"),
            )  # fmt: skip
        except Exception as error:
            if not is_transient(error):
                raise
            raise Failure(
                f"{explain(error)}, for {PATIENCE // 60} minutes now; the run goes on, and"
                " the same command again goes on following it",
                SERVICE_FAILED,
            ) from error

    def logs(self, details: Any) -> dict[str, str]:
        """Return the address of each log to print, in the order in which the service writes them."""
        logs = dict(details.log_files or {})
        container = self.run._container
        for folder in ("user_logs", "system_logs"):
            logs.update(
                self.run._client.artifacts.get_files_by_artifact_prefix_id(f"ExperimentRun/{container}/{folder}")
            )
        wanted = [name for name in logs if re.match(LOGS, name) and not re.match(OTHER_RANK, name)]
        return {name: logs[name] for name in sorted(wanted)}

    def print_logs(self, logs: Mapping[str, str]) -> None:
        for name, address in logs.items():
            at = self.printed.get(name, 0)
            new = self.fetch(address, at)
            if not new:
                continue
            whole = new.rfind(b"\n") + 1
            self.rest[name] = new[whole:]
            if whole:
                self.show(name, new[:whole])
                self.printed[name] = at + whole

    def print_rest(self) -> None:
        """Print last lines that have no end."""
        for name, rest in self.rest.items():
            if rest:
                self.show(name, rest + b"\n")
        self.rest.clear()

    def show(self, name: str, lines: bytes) -> None:
        if name != self.current:
            print(f"\n--- {name}")
            self.current = name
        print(lines.decode(errors="replace"), end="", flush=True)
        self.spoke = patience.clock.now()

    def fetch(self, address: str, at: int) -> bytes:
        """Return what a log holds from a position on."""
        answer = self.session.get(address, headers={"Range": f"bytes={at}-"}, timeout=TIMEOUT)
        if answer.status_code in (404, 416):  # not there yet; nothing new
            return b""
        answer.raise_for_status()
        return answer.content if answer.status_code == 206 else answer.content[at:]

    def give_sign(self, status: str, last: str, began: float) -> None:
        now = patience.clock.now()
        if status != last or now - self.spoke > SILENCE:
            print(f"{status}: {now - began:.0f} s", file=sys.stderr, flush=True)
            self.spoke = now


def all_of(run: Any) -> str:
    """What the script of a run has printed so far."""
    follower = Follower(run)
    logs = follower.logs(run._client.get_runstatus())
    return b"".join(follower.fetch(address, 0) for address in logs.values()).decode("utf-8", "replace")


def impatient(run: Any) -> None:
    """The client would repeat a request in silence, for minutes; and wait 100 seconds for a byte."""
    for client in (run._client.run, run._client.artifacts):
        client.retries = 0
        client._client.config.connection.timeout = TIMEOUT


def error_of(details: Any) -> tuple[str, str]:
    """Return code and message of a failed run's error."""
    error = details.error.as_dict() if hasattr(details.error, "as_dict") else details.error
    error = (error or {}).get("error") or error or {}
    message = " ".join(str(error.get("message") or "").split())
    return str(error.get("code") or ""), message or "the service gives no reason"
