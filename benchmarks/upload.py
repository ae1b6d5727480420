"""Measure the upload of a dataset: ours beside the plain loop of the storage package's documentation, and beside az.

    python benchmarks/upload.py

All upload to Azurite, the storage emulator, by turns, each in a process of its own and into a storage of its own.
Azurite answers one request at a time, and on bare loopback at once: there, nobody can be much faster than a loop. So
the small files also go over a link that takes as long as one to a storage account, and that is where they are judged.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from statistics import median
from typing import Any

from azure.storage.blob import ContainerSasPermissions, generate_container_sas
from slow_link import link, probe

from aml_rehearsal.azurite import ACCOUNT, Azurite, cache_folder

SCRIPTS = Path(__file__).resolve().parents[1] / "{{cookiecutter.project_slug}}" / "scripts"
STORAGE = "azure-storage-blob==12.27.1"  # what azureml-core leaves room for
CLI = "azure-cli==2.91.0"
SMALL = 20_000  # bytes
WARM = 300  # files that are uploaded before the measurement
COUNTS = (1_000, 10_000, 100_000)  # files that are listed, hashed and compared
FILES_OF_A_FOLDER = 100
AT_REST = 2.5  # seconds after which the memory of hashes trusts a file's times
HELD_UP = 30  # ms that 8 MB may take longer on the link, beside its delay: 280 MB/s, where small files need 20
CONTAINER = "bench"
OURS, LOOP, AZ, SOCKETS = "ours", "loop", "az upload-batch", "bare sockets"

LOOP_GOAL, AZ_GOAL = 5.0, 3.0  # times as fast as these, over the link
LARGE_GOAL = 1.1  # times the fastest
MEMORY_GOAL = 300  # MB
AGAIN_GOAL = 0.1  # times the first upload
LINEAR_GOAL = 1.5  # times the seconds for a file among a tenth as many

# What a process says of itself at its end. getrusage's maximum would count the copy of its parent that it began as.
PEAK_CODE = """
import atexit, json, resource, sys

def peak():
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # bytes, but for Linux
    if sys.platform == "linux":
        with open("/proc/self/status") as file:
            kilobytes = next(int(line.split()[1]) for line in file if line.startswith("VmHWM:"))
    print(json.dumps({"peak": kilobytes}), flush=True)

atexit.register(peak)
"""
# Each contender gets the folder as its argument, and how to reach the container from its environment.
OURS_CODE = """
import json, os, sys, time
from pathlib import Path

scripts, source, memory = sys.argv[1:]
sys.path.insert(0, scripts)
import azure.storage.blob, requests
from aml_project.storage import folder, transfer
from aml_project.storage.container import Place, Container

began = time.perf_counter()
read = folder.read(Path(source), "data", Path(memory))
place = Place("rehearsal", os.environ["BENCH_CONTAINER"], os.environ["BENCH_URL"])
brought = folder.bring(read, Container(place, os.environ["BENCH_KEY"], transfer.THREADS))
print(json.dumps({"seconds": time.perf_counter() - began, "sent": brought.sent, "there": brought.there}))
"""
LOOP_CODE = """
import os, sys
from pathlib import Path
from azure.storage.blob import ContainerClient

root = Path(sys.argv[1])
url, name, key = (os.environ[part] for part in ("BENCH_URL", "BENCH_CONTAINER", "BENCH_KEY"))
container = ContainerClient(url, name, credential=key)
for path in root.rglob("*"):
    if path.is_file():
        with path.open("rb") as file:
            container.upload_blob(path.relative_to(root).as_posix(), file)
"""
SOCKETS_CODE = """
import os, socket, sys, threading
from pathlib import Path
from urllib.parse import urlsplit

root, sas = Path(sys.argv[1]), os.environ["BENCH_SAS"]
url = urlsplit(os.environ["BENCH_URL"])
names = [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]

def work():
    with socket.create_connection((url.hostname, url.port)) as connection:
        while names:
            try:
                name = names.pop()
            except IndexError:
                return
            content = (root / name).read_bytes()
            head = f"PUT {url.path}/{os.environ['BENCH_CONTAINER']}/{name}?{sas} HTTP/1.1\\r\\nHost: {url.netloc}\\r\\n"
            head += f"x-ms-version: 2021-12-02\\r\\nx-ms-blob-type: BlockBlob\\r\\n"
            head += f"Content-Length: {len(content)}\\r\\n\\r\\n"
            connection.sendall(head.encode() + content)
            answer = connection.recv(65536)
            while b"\\r\\n\\r\\n" not in answer:
                answer += connection.recv(65536)
            assert answer.startswith(b"HTTP/1.1 201 "), answer

threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""
AZ_CODE = """
import runpy
runpy.run_module("azure.cli", run_name="__main__", alter_sys=True)
"""
# Without a network: what is there already is made up of the files themselves, all but every tenth.
PLAN_CODE = """
import json, sys, time
from pathlib import Path

scripts, source, memory = sys.argv[1:]
sys.path.insert(0, scripts)
from aml_project.storage import folder, transfer
from aml_project.storage.container import Blob

began = time.perf_counter()
read = folder.read(Path(source), "data", Path(memory))
took = time.perf_counter() - began
blobs = {file.name: Blob(file.size, read.hashes[file.name], "") for file in read.files[: len(read.files) * 9 // 10]}
began = time.perf_counter()
plan = transfer.plan(read.files, read.hashes, blobs, {})
took += time.perf_counter() - began
print(json.dumps({"seconds": took, "sent": len(plan.send), "there": plan.there}))
"""


@dataclass
class Taken:
    """What a process took."""

    seconds: float  # with its start
    memory: float  # MB at its peak
    said: dict[str, Any] = field(default_factory=dict)


@dataclass
class Tools:
    """What the contenders are started with."""

    folder: Path
    scripts: Path
    storage: Path  # the Python that has the storage package
    az: Path | None  # the Python that has the CLI

    def command(self, name: str, data: Path, memory: Path, container: str = CONTAINER) -> list[str]:
        if name == AZ:
            words = ["storage", "blob", "upload-batch", "--destination", container, "--source", str(data)]
            words += ["--no-progress", "--only-show-errors", "--output", "none"]
            return [str(self.az), "-I", "-c", PEAK_CODE + AZ_CODE, *words]
        code = {OURS: OURS_CODE, LOOP: LOOP_CODE, SOCKETS: SOCKETS_CODE, "plan": PLAN_CODE}[name]
        own = [str(self.scripts), str(data), str(memory)] if name in (OURS, "plan") else [str(data)]
        return [str(self.storage), "-c", PEAK_CODE + code, *own]

    def contenders(self) -> list[str]:
        return [OURS, LOOP, *([AZ] if self.az else [])]


class Goals:
    """What has been measured against what was wanted."""

    def __init__(self) -> None:
        self.missed = 0

    def judge(self, what: str, found: float, goal: float, *, least: bool = False, form: str = ".2f") -> None:
        reached = found >= goal if least else found <= goal
        self.missed += not reached
        rule = f"at {'least' if least else 'most'} {goal:g}"
        print(f"Goal: {what}: {found:{form}}, {rule}: {'reached' if reached else 'missed'}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the upload of a dataset beside a loop and az.")
    parser.add_argument("--files", type=int, default=2000, help="small files (default: %(default)s)")
    parser.add_argument("--size", type=int, default=1000, help="MB of the large file (default: %(default)s)")
    parser.add_argument("--delay", type=float, default=10, help="ms there and back on the link (default: %(default)s)")
    parser.add_argument("--turns", type=int, default=5, help="measurements of each (default: %(default)s)")
    parser.add_argument("--skip-az", action="store_true", help="leave az out, whose installation takes 700 MB")
    parser.add_argument("--only", choices=("small", "large", "plan"), help="measure only this")
    parser.add_argument(
        "--tools", type=Path, default=cache_folder() / "tools", help="where both packages are installed"
    )
    args = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an owner's Python keeps what it has compiled
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started ends, too
    goals = Goals()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        az = None if args.skip_az or args.only == "plan" else installed(args.tools, CLI)
        tools = Tools(folder, folder / "scripts", installed(args.tools, STORAGE), az)
        shutil.copytree(SCRIPTS, tools.scripts, ignore=shutil.ignore_patterns("__pycache__"))
        if args.only in (None, "small"):
            small_files(tools, goals, args.files, args.delay, args.turns)
        if args.only in (None, "large"):
            large_file(tools, goals, args.size, args.turns)
        if args.only in (None, "plan"):
            planning(tools, goals, args.turns)
    return int(goals.missed > 0)


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def installed(folder: Path, package: str) -> Path:
    """Install a package into an environment of its own, once; return its Python."""
    place = folder / package.replace("==", "-")
    python, whole = place / "bin" / "python", place / "whole"
    if not whole.exists():
        say(f"Installing {package}, once")
        uv = [sys.executable, "-I", "-m", "uv"]
        subprocess.run([*uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(place)], check=True)
        subprocess.run([*uv, "pip", "install", "--quiet", "--python", str(python), package], check=True)
        subprocess.run([str(python), "-m", "compileall", "-q", str(place / "lib")], stdout=subprocess.DEVNULL)
        whole.touch()
    return python


# The small files


def small_files(tools: Tools, goals: Goals, files: int, delay: float, turns: int) -> None:
    bare, delayed = probe(delay)
    print(f"The link: {delayed.ping:.1f} ms there and back, {bare.ping:.1f} ms on bare loopback;", end=" ")
    print(f"8 MB and their answer: {delayed.block:.1f} ms, {bare.block:.1f} ms", flush=True)
    if abs(delayed.ping - delay) > max(1, delay / 5) or delayed.block - bare.block > delay + HELD_UP:
        sys.exit("ERROR: the link does not do what it says: is this computer too busy?")
    data = tools.folder / "small"
    make(data, files, SMALL)
    found: dict[tuple[str, float], list[Taken]] = {}
    again: list[Taken] = []
    for turn in range(turns):
        for milliseconds in (delay, 0):
            names = [*tools.contenders(), *([] if milliseconds else [SOCKETS])]
            for name in names[:: -1 if turn % 2 else 1]:
                first, second = upload(tools, name, data, milliseconds)
                found.setdefault((name, milliseconds), []).append(first)
                if second and milliseconds:
                    again.append(second)
                where = f"over {milliseconds:g} ms" if milliseconds else "on bare loopback"
                say(f"  turn {turn + 1} of {turns}: {name} {where}: {first.seconds:.2f} s")
    shutil.rmtree(data)

    times = {cell: median(one.seconds for one in taken) for cell, taken in found.items()}
    print(f"\n| {files} files of {SMALL // 1000} kB, medians of {turns} | over {delay:g} ms | times ours", end="")
    print(" | bare loopback | times ours | peak memory |\n|---|---|---|---|---|---|")
    for name in [*tools.contenders(), SOCKETS]:
        cells = []
        for milliseconds in (delay, 0):
            took = times.get((name, milliseconds))
            cells += [f"{took:.2f} s", f"{took / times[OURS, milliseconds]:.2f}"] if took else ["", ""]
        peak = max(one.memory for milliseconds in (delay, 0) for one in found.get((name, milliseconds), []))
        print(f"| {name} | {' | '.join(cells)} | {peak:.0f} MB |")
    faster = {name: times[name, delay] / times[OURS, delay] for name in tools.contenders()}
    goals.judge("the loop's time over the link, by ours", faster[LOOP], LOOP_GOAL, least=True)
    if tools.az:
        goals.judge("az's time over the link, by ours", faster[AZ], AZ_GOAL, least=True)
    judge_ours(goals, [*found[OURS, delay], *found[OURS, 0]], found[OURS, delay], again)


def judge_ours(goals: Goals, taken: list[Taken], first: list[Taken], again: list[Taken]) -> None:
    """Judge what does not depend on the others: memory, and a second upload of the same."""
    goals.judge("MB of memory at our peak", max(one.memory for one in [*taken, *again]), MEMORY_GOAL, form=".0f")
    whole = median(one.seconds for one in again), median(one.seconds for one in first)
    work, before = (median(one.said["seconds"] for one in many) for many in (again, first))
    print(f"A second upload: {work:.3f} s after {before:.2f} s;", end=" ")
    print(f"with the start of Python {whole[0]:.2f} s after {whole[1]:.2f} s")
    goals.judge("the second's time by the first's, without the start of Python", work / before, AGAIN_GOAL, form=".3f")
    goals.judge("files that the second upload sends", max(one.said["sent"] for one in again), 0, form=".0f")


def make(folder: Path, files: int, size: int) -> None:
    """Fill a folder with files of random bytes."""
    say(f"Making {files} files of {size} bytes")
    for number in range(files):
        below = folder / f"{number // FILES_OF_A_FOLDER:04}"
        if number % FILES_OF_A_FOLDER == 0:
            below.mkdir(parents=True)
        (below / f"{number:06}.bin").write_bytes(os.urandom(size))
    time.sleep(AT_REST)


def upload(tools: Tools, name: str, data: Path, delay: float = 0) -> tuple[Taken, Taken | None]:
    """Let a contender upload a folder into a fresh storage; look whether it is there; let ours do it again."""
    with tempfile.TemporaryDirectory(dir=tools.folder) as folder, contextlib.ExitStack() as stack:
        azurite = Azurite(Path(folder) / "azurite")
        stack.callback(azurite.stop)
        port = stack.enter_context(link(azurite.port, delay)) if delay else azurite.port
        container = azurite.container(CONTAINER)
        url = f"http://127.0.0.1:{port}/{ACCOUNT}"
        warm_up(tools, name, azurite)
        env = variables(tools, azurite, url, CONTAINER)
        command = tools.command(name, data, Path(folder) / "hashes.db")
        os.sync()  # so that none waits for what the one before it has written
        first = run(command, env)
        sizes = sorted(path.stat().st_size for path in data.rglob("*") if path.is_file())
        blobs = {blob.name: blob for blob in container.list_blobs()}
        if sorted(blob.size for blob in blobs.values()) != sizes:
            sys.exit(f"ERROR: {name} has uploaded {len(blobs)} of {len(sizes)} files")
        if name != OURS:
            return first, None
        second = run(command, env)
        if {blob.name: blob.etag for blob in container.list_blobs()} != {key: blob.etag for key, blob in blobs.items()}:
            sys.exit("ERROR: the second upload has written blobs")
        return first, second


def warm_up(tools: Tools, name: str, azurite: Azurite) -> None:
    """Let a contender upload something else first: a storage account is never cold, and az prepares its first start."""
    data = tools.folder / "warm"
    if not data.exists():
        make(data, WARM, SMALL)
    azurite.container("warm")
    memory = tools.folder / "warm.db"
    run(tools.command(name, data, memory, "warm"), variables(tools, azurite, azurite.url(ACCOUNT), "warm"))


def variables(tools: Tools, azurite: Azurite, url: str, container: str) -> dict[str, str]:
    """The environment of a contender: how it reaches the storage, and nothing of this computer's Azure."""
    sas = generate_container_sas(
        ACCOUNT,
        container,
        account_key=azurite.key,
        permission=ContainerSasPermissions(write=True, create=True),
        expiry=datetime.now(timezone.utc) + timedelta(hours=1),
    )
    opened = f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={azurite.key};BlobEndpoint={url};"
    return {name: text for name, text in os.environ.items() if not name.startswith("AZURE_")} | {
        "BENCH_URL": url,
        "BENCH_CONTAINER": container,
        "BENCH_KEY": azurite.key,
        "BENCH_SAS": sas,
        "AZURE_STORAGE_CONNECTION_STRING": opened,
        "AZURE_CONFIG_DIR": str(tools.folder / "azure"),
        "AZURE_CORE_COLLECT_TELEMETRY": "0",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }


def run(command: list[str], env: dict[str, str]) -> Taken:
    """Run a process to its end."""
    began = time.perf_counter()
    done = subprocess.run(
        command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    took = time.perf_counter() - began
    lines = done.stdout.splitlines()
    if done.returncode:
        sys.exit(f"ERROR: exit code {done.returncode}\n" + "\n".join(lines[-20:]))
    said = {key: value for line in lines if line.startswith("{") for key, value in json.loads(line).items()}
    return Taken(took, said["peak"] * 1024 / 1e6, said)


# The large file


def large_file(tools: Tools, goals: Goals, size: int, turns: int) -> None:
    data = tools.folder / "large"
    data.mkdir()
    say(f"Making a file of {size} MB")
    with (data / "large.bin").open("wb") as file:
        for _ in range(size):
            file.write(os.urandom(1_000_000))
    time.sleep(AT_REST)
    found: dict[str, list[Taken]] = {}
    again: list[Taken] = []
    for turn in range(turns):
        for name in tools.contenders()[:: -1 if turn % 2 else 1]:
            first, second = upload(tools, name, data)
            found.setdefault(name, []).append(first)
            again += [second] if second else []
            say(f"  turn {turn + 1} of {turns}: {name}: {first.seconds:.2f} s")
    shutil.rmtree(data)
    times = {name: median(one.seconds for one in taken) for name, taken in found.items()}
    fastest = min(times.values())
    print(f"\n| one file of {size} MB, medians of {turns} | bare loopback | MB/s | times the fastest | peak memory |")
    print("|---|---|---|---|---|")
    for name, took in times.items():
        peak = max(one.memory for one in found[name])
        print(f"| {name} | {took:.2f} s | {size / took:.0f} | {took / fastest:.2f} | {peak:.0f} MB |")
    goals.judge("our time by the fastest's", times[OURS] / fastest, LARGE_GOAL)
    judge_ours(goals, found[OURS], found[OURS], again)


# Listing, hashing, comparing


def planning(tools: Tools, goals: Goals, turns: int) -> None:
    folders = {count: tools.folder / f"{count}" for count in COUNTS}
    for count, data in folders.items():
        make(data, count, 16)
    found: dict[tuple[int, str], list[Taken]] = {}
    for turn in range(turns):
        for count, data in folders.items():
            memory = tools.folder / f"{count}.db"
            for how in ("cold", "warm"):
                taken = run(tools.command("plan", data, memory), dict(os.environ))
                if taken.said["sent"] != count - count * 9 // 10 or taken.said["there"] != count * 9 // 10:
                    sys.exit(f"ERROR: of {count} files, {taken.said['sent']} are planned")
                found.setdefault((count, how), []).append(taken)
                say(f"  turn {turn + 1} of {turns}: {count} files, {how}: {taken.said['seconds']:.2f} s")
            memory.unlink()
    print(f"\n| list, hash, compare; medians of {turns} | nothing remembered | per file", end="")
    print(" | all remembered | per file | peak memory |\n|---|---|---|---|---|---|")
    each: dict[tuple[int, str], float] = {}
    for count in COUNTS:
        cells = []
        for how in ("cold", "warm"):
            took = median(one.said["seconds"] for one in found[count, how])
            each[count, how] = took / count
            cells += [f"{took:.3f} s", f"{took / count * 1e6:.0f} µs"]
        peak = max(one.memory for how in ("cold", "warm") for one in found[count, how])
        print(f"| {count} files | {' | '.join(cells)} | {peak:.0f} MB |")
    for how, words in (("cold", "with nothing remembered"), ("warm", "with all remembered")):
        ratio = each[COUNTS[2], how] / each[COUNTS[1], how]
        goals.judge(f"a file's time among {COUNTS[2]} by that among {COUNTS[1]}, {words}", ratio, LINEAR_GOAL)


if __name__ == "__main__":
    sys.exit(main())
