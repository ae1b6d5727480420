"""The process of one run: it plays the node, from the environment to the outputs. It is started with the job's file.

It stands for the wrapper that Azure ML puts around a user's script, on a cluster and on one's own computer, and
knows nothing of azureml: the script runs in the Python of its own environment.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

from aml_rehearsal import interpreters
from aml_rehearsal.interpreters import Failed
from aml_rehearsal.output_folders import OutputFolder

LOG = "user_logs/std_log.txt"
BUILD_LOG = "azureml-logs/20_image_build_log.txt"
IN_RUNS = str(Path(__file__).parent / "in_runs")  # what each Python of a run starts with
BEAT = 0.25  # seconds between two reports
LOOK = 1  # seconds between two looks at what is mounted
PATIENCE = 10  # seconds that a process gets to end by itself
DOWNLOADS = 8  # files at once
CHUNK = 1 << 20
PREEMPTED = 75  # what the node's process ends with
ATTEMPTS = 12  # to reach the rehearsal; if it is gone, so is the run


class Canceled(Exception):
    """The run is to stop."""


class Preempted(Canceled):
    """The node is taken away."""


class Channel:
    """The way to the service."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.server = urlsplit(job["server"]).netloc
        self.base = f"/nodes/{job['run']}"
        self.headers = {"Authorization": f"Bearer {job['token']}"}
        self.attempts = ATTEMPTS
        self.heeds = True  # that the run is to stop
        self.killfile = Path("azureml-setup/killfile")  # how the client cancels a run on its own computer

    def send(self, method: str, what: str, body: bytes = b"", **query: str) -> dict[str, Any]:
        path = f"{self.base}/{what}" + (f"?{urlencode(query)}" if query else "")
        for left in range(self.attempts - 1, -1, -1):
            connection = http.client.HTTPConnection(self.server, timeout=60)
            try:
                connection.request(method, path, body, self.headers)
                response = connection.getresponse()
                answer = json.loads(response.read())
                if response.status >= 400:
                    raise Failed(answer["error"]["message"])
                break
            except (OSError, http.client.HTTPException):
                if not left:
                    self.attempts = 1  # it is gone: no need to wait for it again
                    raise
                time.sleep(BEAT)
            finally:
                connection.close()
        if self.heeds and (answer.get("cancel") or self.killfile.exists()):
            raise Canceled
        if self.heeds and answer.get("preempted"):
            raise Preempted
        return dict(answer)

    def status(self, status: str, error: str = "") -> None:
        self.send("POST", "status", json.dumps({"status": status, "error": error}).encode())

    def log(self, path: str, text: bytes) -> None:
        self.send("POST", "log", text, path=path)


class Node:
    def __init__(self, job: dict[str, Any]) -> None:
        self.job = job
        self.work = Path.cwd()
        self.root = Path(job["root"]) if "root" in job else None  # of a cluster's node; absent on one's own computer
        self.channel = Channel(job)
        self.processes: list[subprocess.Popen[bytes]] = []
        self.folders: list[OutputFolder] = []
        self.looked = 0.0  # when the folders that are mounted were looked at

    def run(self) -> int:
        status, error = "Completed", ""
        try:
            self.channel.status("Preparing")
            python = self.python()
            places = self.fetch_data()
            self.fetch_references()
            self.make_folders(places)
            self.lead_job()
            self.channel.status("Running")
            self.execute(python, places)
            self.channel.status("Finalizing")
            self.upload()
            self.hand_in()
        except Preempted:
            self.kill()  # without a word to the script, and nothing of it is kept
            return PREEMPTED
        except Canceled:
            status = "Canceled"
        except Failed as failed:
            status, error = "Failed", str(failed)
        except Exception as failed:
            status, error = "Failed", f"The node failed: {failed!r}"
        finally:
            self.stop()
        if status == "Failed":
            self.quietly(self.upload)
        self.channel.heeds = False
        for folder in self.folders:
            if folder.mounted and status != "Completed":
                self.quietly(functools.partial(folder.write_back, over=True))
        self.quietly(lambda: self.channel.status(status, error))
        return status != "Completed"

    @staticmethod
    def quietly(step: Any) -> None:
        with contextlib.suppress(Canceled, Failed, OSError):
            step()

    def say(self, line: str, log: str = LOG) -> None:
        self.channel.log(log, f"{line}\n".encode())

    # ------------------------------------------------------------------------------------------- environment

    def python(self) -> str:
        """The Python that runs the script."""
        if self.job["docker"] and self.root is None and not self.job["interpreter"]:
            self.say("The rehearsal has no containers: the conda file's packages are installed beside them.", BUILD_LOG)
        # Packages come from the outside, not through the rehearsal.
        outside = {name: text for name, text in os.environ.items() if text != self.job["server"]}
        built = interpreters.provide(
            self.job, Path(self.job["cache"]), outside, lambda text: self.channel.log(BUILD_LOG, text)
        )
        return str(built)

    # -------------------------------------------------------------------------------------------------- data

    def fetch_data(self) -> dict[str, str]:
        """Bring each dataset to its path; return where the paths really lead."""
        places = {}
        for data in self.job["data"]:
            if data["direct"]:  # the script does that: the variable tells it which dataset
                self.job["environment"][data["variable"]] = data["saved"]
                self.replace(f"DatasetConsumptionConfig:{data['name']}", data["saved"])
                continue
            answer = self.channel.send("GET", "data", saved=data["saved"])
            path = data["path"]
            folder = self.place(path or data["name"], relative=bool(path) and not Path(path).is_absolute())
            try:
                self.download(self.targets(data, answer["files"], folder))
            except Failed as failed:
                raise Failed(f"data: {data['name']}: {answer['dataset']}: {failed}") from None
            if path and Path(path).is_absolute():
                places[path] = str(folder)
            self.job["environment"][data["variable"]] = str(folder)
            self.job["environment"][f"AZUREML_DATAREFERENCE_{data['name']}"] = str(folder)
            self.replace(f"DatasetConsumptionConfig:{data['name']}", str(folder))
        return places

    def fetch_references(self) -> None:
        """Bring what the run reads of datastores that is no dataset: folders, or single files."""
        for one in sorted(self.job["reads"], key=longest_first):
            place = self.place(one["path"])
            files = self.channel.send("GET", "folder", store=one["store"], path=one["blobs"])["files"]
            if [file["name"] for file in files] == [""]:
                place.rmdir()
            self.download({place / file["name"] if file["name"] else place: file for file in files})
            self.lead(one["name"], place)

    def lead(self, name: str, place: Path) -> None:
        """Let the script find a place by a variable, and where an argument names it."""
        variable = f"AZUREML_DATAREFERENCE_{name}"
        self.job["environment"][variable] = str(place)
        for text in (f"${variable}", f"DatasetConsumptionConfig:{name}", f"DatasetOutputConfig:{name}"):
            self.replace(text, str(place))

    def targets(self, data: dict[str, Any], files: list[dict[str, str]], folder: Path) -> dict[Path, dict[str, str]]:
        """Where each file is to lie: below the folder, and on no other's place."""
        found: dict[Path, dict[str, str]] = {}
        inside = folder.resolve()
        for file in files:
            target = (folder / file["name"]).resolve()
            if inside not in target.parents:
                raise Failed(f"the name {file['name']} leads out of the folder")
            if target in found:
                raise Failed(f"{found[target]['name']} and {file['name']} want the same place")
            if target.exists() and not data["overwrite"] and self.root is None:
                raise Failed(f"{target} exists and overwrite is false")
            found[target] = file
        return found

    def download(self, files: dict[Path, dict[str, str]]) -> None:
        """Bring files, several at once; the first that fails ends it, and so does the run's end."""
        over = threading.Event()
        with concurrent.futures.ThreadPoolExecutor(DOWNLOADS) as pool:
            waiting = {pool.submit(download, file, target, over) for target, file in files.items()}
            try:
                while waiting:
                    done, waiting = concurrent.futures.wait(waiting, BEAT, concurrent.futures.FIRST_EXCEPTION)
                    for future in done:
                        future.result()
                    self.channel.status("Preparing")
            finally:
                over.set()
                pool.shutdown(cancel_futures=True)

    def place(self, path: str, *, relative: bool = False) -> Path:
        """A cluster's node has its own root; on one's own computer the path is what it says.

        A relative path is one of the script's working directory, where its user has asked for it.
        """
        node = self.root / "mounted" / path.lstrip("/") if self.root else Path(path)
        folder = self.work / path if relative else node
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Failed(f"pathOnCompute: {path}: {error.strerror}") from None
        return folder

    def replace(self, text: str, by: str) -> None:
        self.job["arguments"] = [argument.replace(text, by) for argument in self.job["arguments"]]
        self.job["command"] = self.job["command"].replace(text, by)

    def make_folders(self, places: dict[str, str]) -> None:
        """Make the folders that go to datastores, and see that those are there."""
        for output in sorted(self.job["writes"], key=longest_first):
            self.channel.send("GET", "output", name=output["name"])
            path = output["path"]
            if not path:
                folder = Path(tempfile.mkdtemp(prefix="output-", dir=self.root))
            elif not output["made"]:
                folder = self.place(str(Path(path).parent)) / Path(path).name  # the script makes it
            elif Path(path).is_absolute():
                folder = self.place(path)
                places[path] = str(folder)
            else:
                folder = self.work / path
                folder.mkdir(parents=True, exist_ok=True)
            self.job["environment"][output["name"]] = str(folder)
            self.lead(output["name"], folder)
            self.folders.append(
                OutputFolder(
                    output["name"],
                    folder.resolve(),
                    mounted=output["mounted"],
                    globs=output["globs"],
                    send=self.channel.send,
                )
            )

    def lead_job(self) -> None:
        """Bring what a job of the second generation reads, and let it find that and what it writes."""
        known = self.job.get("second")
        if known is None:
            return
        found = {f"inputs.{name}": direct or self.fetch_input(name) for name, direct in known["inputs"].items()}
        for folder in self.folders:
            found[f"outputs.{folder.name}"] = str(folder.folder / known["outputs"][folder.name])
        for name, place in found.items():
            kind, _, plain = name.partition(".")
            self.job["environment"][f"AZURE_ML_{kind.upper().rstrip('S')}_{plain}"] = place
            self.job["environment"][f"AZUREML_DATAREFERENCE_{plain}"] = place
            self.replace(f"${{{{{name}}}}}", place)

    def fetch_input(self, name: str) -> str:
        """Bring the files of an input; where that is one file, it lies in a folder of its own."""
        files = self.channel.send("GET", "input", name=name)["files"]
        folder = self.place(f"inputs/{name}")
        alone = [file["name"] for file in files] == [""]
        if alone:
            files[0]["name"] = Path(unquote(urlsplit(files[0]["url"]).path)).name
        try:
            self.download({folder / file["name"]: file for file in files})
        except Failed as failed:
            raise Failed(f"inputs: {name}: {failed}") from None
        return str(folder / files[0]["name"] if alone else folder)

    def hand_in(self) -> None:
        """Send what the script has written to datastores; the run ends with the datasets of it."""
        for folder in self.folders:
            folder.write_back(over=True)
        if self.folders:
            self.channel.send("POST", "outputs")

    def seen_by(self, places: dict[str, str], number: int) -> dict[str, str]:
        """Where paths lead on a node: a script that brings its data itself has it on a disk that no other node sees."""
        if self.root and any(data["direct"] for data in self.job["data"]):
            disk = self.root / f"node{number}" / "tmp"
            disk.mkdir(parents=True, exist_ok=True)
            places = places | {"/tmp": str(disk)}  # noqa: S108 (a path of the script's, made safe by this)
        return places

    def command(self, python: str, places: dict[str, str], number: int) -> list[str]:
        """What a process runs: the script with its arguments, or the command line by a shell."""
        line: str = self.job["command"]
        if not line:
            return [python, self.job["script"], *self.arguments(places, number)]
        for path, folder in self.seen_by(places, number).items() if self.root else ():
            line = re.sub(rf"(?<![^\s='\"]){re.escape(path)}(?=[/\s'\";]|$)", folder.replace("\\", r"\\"), line)
        return [shutil.which("bash") or "sh", "-c", line] if os.name != "nt" else ["cmd", "/c", line]

    def arguments(self, places: dict[str, str], number: int) -> list[str]:
        """The arguments of a process, with its node's own root in front of the paths that its data has there."""
        places = self.seen_by(places, number)
        found = []
        for argument in self.job["arguments"]:
            option, equals, text = argument.rpartition("=")
            for path, folder in places.items():
                if self.root and not inside(text, str(self.root)) and inside(text, path):
                    text = folder + text[len(path) :]
                    break
            found.append(option + equals + text)
        return found

    # ---------------------------------------------------------------------------------------------- execution

    def execute(self, python: str, places: dict[str, str]) -> None:
        """Run the script in as many processes as were asked for; the first that fails ends them all."""
        alone = len(self.job["processes"]) == 1
        logs = [LOG if alone else f"user_logs/std_log_process_{rank}.txt" for rank in range(len(self.job["processes"]))]
        for folder in ("outputs", "logs"):
            (self.work / folder).mkdir(exist_ok=True)
        if self.job.get("driver"):
            target = self.work / self.job["script"]
            target.parent.mkdir(exist_ok=True)
            shutil.copyfile(Path(__file__).with_name("parallel_driver.py"), target)
        pumps = []
        for rank, (own, log) in enumerate(zip(self.job["processes"], logs, strict=True)):
            per_node = int(own.get("OMPI_COMM_WORLD_LOCAL_SIZE") or own.get("LOCAL_WORLD_SIZE") or 1)
            command = self.command(python, places, rank // per_node)
            variables = dict(self.job.get("own", os.environ))  # a cluster does not know its caller's variables
            variables |= {name: str(text) for name, text in (self.job["environment"] | own).items()}
            variables["PATH"] = os.pathsep.join((str(Path(python).parent), variables.get("PATH", os.defpath)))
            found = [IN_RUNS, *filter(None, [variables.get("PYTHONPATH")])]
            variables["PYTHONPATH"] = os.pathsep.join(found)
            process = subprocess.Popen(
                command,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self.processes.append(process)
            pumps.append(Pump(process, log))
        over = time.monotonic() + self.job["seconds"]
        late = False
        while any(process.poll() is None for process in self.processes) and not late:
            time.sleep(BEAT)
            self.report(pumps)
            if any(process.poll() for process in self.processes):
                break
            late = time.monotonic() > over
        codes = [process.poll() for process in self.processes]
        self.stop()
        for pump in pumps:
            pump.thread.join(PATIENCE)
        self.report(pumps)
        if late:
            raise Failed(f"The run took longer than maxRunDurationSeconds: {self.job['seconds']}")
        failed = [rank for rank, code in enumerate(codes) if code]
        if failed:
            code, last = codes[failed[0]], pumps[failed[0]].last
            which = "" if alone else f" (process {failed[0]} of {len(codes)})"
            ended = f"was ended by signal {-code}" if code and code < 0 else f"ended with exit code {code}"
            raise Failed(f"{self.job['script'] or 'The command'} {ended}{which}: {last}")

    def report(self, pumps: list[Pump]) -> None:
        for pump in pumps:
            if text := pump.taken():
                self.channel.log(pump.log, text)
        self.channel.status("Running")
        if time.monotonic() > self.looked + LOOK:
            for folder in self.folders:
                if folder.mounted:
                    folder.write_back()
            self.looked = time.monotonic()

    def stop(self) -> None:
        """End every process that is left, and all that they started, also where they have ended themselves."""
        left = [process for process in self.processes if process.poll() is None]
        for process in left:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM) if hasattr(os, "killpg") else process.terminate()
        over = time.monotonic() + PATIENCE
        while time.monotonic() < over and any(process.poll() is None for process in left):
            time.sleep(0.05)
        self.kill()

    def kill(self) -> None:
        """End all processes at once, with what they started."""
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError, PermissionError):  # that, where it waits to be taken note of
                os.killpg(process.pid, signal.SIGKILL) if hasattr(os, "killpg") else process.kill()
            process.wait()
        self.processes = []  # another one may get the number of one that is gone

    def upload(self) -> None:
        """Keep what the script wrote to outputs/, and to the folders that are watched."""
        folders = (["outputs"] if self.job["outputs"] else []) + [
            name for name in self.job["watched"] if name != "outputs"
        ]
        for folder in folders:
            for file in sorted((self.work / folder).rglob("*")):
                if file.is_file() and self.work in file.resolve().parents:
                    path = file.relative_to(self.work).as_posix()
                    self.channel.send("POST", "artifact", file.read_bytes(), path=path)


class Pump:
    """Takes what a process prints as it comes."""

    def __init__(self, process: subprocess.Popen[bytes], log: str) -> None:
        self.process, self.log, self.tail = process, log, b""
        self.lock, self.waiting = threading.Lock(), bytearray()
        self.thread = threading.Thread(target=self.take, daemon=True)
        self.thread.start()

    def take(self) -> None:
        assert self.process.stdout is not None
        while text := os.read(self.process.stdout.fileno(), 65536):
            with self.lock:
                self.waiting += text

    def taken(self) -> bytes:
        with self.lock:
            text, self.waiting = bytes(self.waiting), bytearray()
        self.tail = (self.tail + text)[-2000:]
        return text

    @property
    def last(self) -> str:
        """The last line that says something."""
        lines = self.tail.decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")


def longest_first(one: dict[str, Any]) -> int:
    """An order in which no name is taken for the beginning of another one."""
    return -len(one["name"])


def inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def download(file: dict[str, str], target: Path, over: threading.Event) -> None:
    """Bring one file; under its name it is whole, or not there."""
    partial = target.parent / f".{uuid.uuid4().hex}.partial"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as sink:
            for chunk in content(file, over):
                sink.write(chunk)
        partial.replace(target)
    except OSError as error:
        raise Failed(f"{error.strerror}: {target}") from None
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()


def content(file: dict[str, str], over: threading.Event) -> Iterator[bytes]:
    """A blob, piece by piece."""
    blob = f"datastore {file['store']}: {file['name']}" if file["store"] else file["url"].partition("?")[0]
    try:
        with urllib.request.urlopen(file["url"], timeout=60) as source:
            left = int(source.headers["Content-Length"])
            while left and not over.is_set():
                chunk = source.read(min(left, CHUNK))
                if not chunk:
                    raise Failed(f"{blob} ended {left} bytes early")
                left -= len(chunk)
                yield chunk
            if left:
                raise Canceled
    except urllib.error.HTTPError as error:
        raise Failed(f"{blob} can't be read: {error.headers.get('x-ms-error-code') or error.reason}") from None
    except (OSError, http.client.HTTPException) as error:
        raise Failed(f"{blob} can't be read: {error}") from None


def main() -> int:
    file = Path(sys.argv[1])
    job = json.loads(file.read_text(encoding="utf-8"))
    file.unlink()  # it holds the run's token: the script need not find it
    node = Node(job)
    try:
        return node.run()
    finally:
        if node.root:  # whoever has started it may be gone
            shutil.rmtree(node.root, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
