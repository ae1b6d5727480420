"""NNI's server: started so that nothing of it outlives this process, asked, and gone on with where it was killed."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aml_project import model_environment
from aml_project.command_line import Failure, Progress
from aml_project.kill_points import reached
from aml_project.project import shown
from aml_project.search.nni_environment import PARTS
from aml_project.search.nni_files import CLIENT, CONFIG
from aml_project.search.record import COMPLETE, FAILED, STOPPED

FINAL = {"SUCCEEDED": COMPLETE, "EARLY_STOPPED": STOPPED, "FAILED": FAILED, "USER_CANCELED": FAILED,
         "SYS_CANCELED": FAILED}  # fmt: skip
STARTS = 3  # NNI gives its own parts ten seconds to find each other


class Server:
    """NNI's in an environment, which keeps its experiment in a folder."""

    def __init__(self, folder: Path, environment: Path) -> None:
        self.folder, self.environment = folder, environment
        self.experiments, self.said = folder / "experiments", folder / "nnictl.txt"
        self.port = 0

    @contextlib.contextmanager
    def running(self, trials: int, seed: int) -> Iterator[None]:
        """For as long as the search is here: with so many trials more than have ended, drawn from this seed on."""
        theirs, ours = os.pipe()
        try:
            for _ in range(STARTS):
                self.port = free_port()
                Path(f"{self.said}.code").unlink(missing_ok=True)
                command = self.command(trials, seed)
                guard = [sys.executable, str(PARTS / "guard.py"), str(theirs), str(self.said), *command]
                process = subprocess.Popen(
                    guard, cwd=self.folder, env=self.variables(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                    start_new_session=True, pass_fds=[theirs],
                )  # fmt: skip
                with Progress("Starting NNI"):
                    while not (code := read_text(Path(f"{self.said}.code"))) and process.poll() is None:
                        time.sleep(0.1)
                reached("after nni starts")
                if code == "0":
                    break
                os.close(ours)
                process.wait()
                os.close(theirs)
                theirs, ours = os.pipe()
            else:
                lines = [line for line in read_text(self.said).splitlines() if line.strip()]
                raise Failure(f"NNI does not start: {lines[-1] if lines else 'it says nothing'} ({shown(self.said)})")
            print(f"NNI shows it at http://127.0.0.1:{self.port}", flush=True)
            yield
        finally:
            os.close(theirs)
            os.close(ours)
        process.wait()

    def command(self, trials: int, seed: int) -> list[str]:
        nnictl = str(model_environment.bin_folder(self.environment) / "nnictl")
        port = ["--port", str(self.port)]
        if experiment := self.earlier(trials, seed):
            return [nnictl, "resume", experiment, "--experiment_dir", str(self.experiments), *port]
        return [nnictl, "create", "--config", CONFIG, *port]

    def earlier(self, trials: int, seed: int) -> str:
        """The experiment of an earlier call, if NNI came to note it."""
        try:
            experiment = (self.experiments / "_latest").readlink().name
            with contextlib.closing(sqlite3.connect(self.experiments / experiment / "db" / "nni.sqlite")) as kept:
                if not kept.execute("select count(*) from ExperimentProfile").fetchone()[0]:
                    return ""
                change(kept, trials, seed)
        except (OSError, sqlite3.Error):
            return ""
        return experiment

    def variables(self) -> dict[str, str]:
        own = model_environment.variables_of_a_program()
        path = f"{model_environment.bin_folder(self.environment)}{os.pathsep}{own.get('PATH', '')}"
        return {
            **own,
            "PATH": path,
            "NO_PROXY": f"{own.get('NO_PROXY', '')},127.0.0.1,localhost",
            "PYTHONWARNINGS": "ignore",
            "AML_PROJECT_NNI": str(self.folder / CLIENT),
        }

    def ask(self, path: str) -> Any:
        """What it answers."""
        address = f"http://127.0.0.1:{self.port}/api/v1/nni{path}"
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        pauses = iter((1, 2, 4))
        while True:
            try:
                with direct.open(address, timeout=30) as answer:
                    text = answer.read().decode()
                    return json.loads(text) if text.strip() else None
            except (OSError, ValueError) as error:
                pause = next(pauses, None)
                if pause is None:
                    raise Failure(f"NNI no longer answers: {error} ({shown(self.said)})") from None
                time.sleep(pause)

    def refuse_dead_tuner(self) -> None:
        """NNI waits for ever for a tuner that has ended with a traceback."""
        log = self.experiments / "_latest" / "log" / "dispatcher.log"
        lines = read_text(log).rstrip().splitlines()
        if lines and "Traceback" in "\n".join(lines[-60:]) and not lines[-1].startswith((" ", "[")):
            raise Failure(f"NNI's tuner has ended: {lines[-1]} ({shown(log)})")


def change(kept: sqlite3.Connection, trials: int, seed: int) -> None:
    """Say how many trials there are to be, and give NNI's tuner another seed, before it goes on.

    NNI counts what it begins again twice; and its tuner would draw from the beginning.
    """
    last = dict(kept.execute("select trialJobId, event from TrialJobEvent order by rowid"))
    again = sum(event not in FINAL for event in last.values())
    for number, text in kept.execute("select rowid, params from ExperimentProfile").fetchall():
        params = json.loads(text)
        params["maxTrialNumber"] = trials + again
        arguments = params.get("tuner", {}).get("classArgs") or {}
        if "seed" in arguments:
            arguments["seed"] = seed + len(last)
        kept.execute("update ExperimentProfile set params = ? where rowid = ?", (json.dumps(params), number))
    kept.commit()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def read_text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
