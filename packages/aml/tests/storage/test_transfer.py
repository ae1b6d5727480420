"""The upload against real blob storage: every byte arrives, whatever network, files and rights do meanwhile.

Azurite holds the blobs. Between it and the upload stands the workspace on loopback, which makes the faults and lists
the requests. Asserted on what the storage holds afterwards, read with a key of its own.
"""

import hashlib
import logging
import os
import random
import re
import threading
import time
import traceback
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from aml_project.command_line import SERVICE_FAILED, Failure, without_secrets
from aml_project.storage import container as storages
from aml_project.storage import folder as folders
from aml_project.storage import transfer
from aml_project.storage.container import Container, Place
from aml_project.storage.folder import Brought
from aml_project.storage.local_files import LocalFile, room_below
from aml_rehearsal import Fault, Rehearsal
from aml_rehearsal.azurite import ACCOUNT
from tests.owner import wait_until_quiet

log = logging.getLogger("progress")
BLOCK = 64 << 10
NAME = "images"
ODD = {
    "a b/c d.csv": b"blanks",
    " blanks around ": b"blanks",
    "#hash?query=1&b%20c%2Fd+e=f%.bin": bytes(range(256)) * 99,
    "quote'\"`$(HOME);|<>*:.csv": b"quotes",
    unicodedata.normalize("NFC", "Größe/é.csv"): b"composed",
    unicodedata.normalize("NFD", "Größe/é.csv"): b"decomposed",
    "日本/😀.csv": "日本".encode(),
    "<&amp;>/]]>.xml": b"as a listing would write it",
    "...a/.b": b"dots",
    "~/-rf": b"an option",
    "empty": b"",
    "/".join(["n" * 200] * 4) + "/" + "x" * (room_below(NAME) - 804): b"1,024 characters",
}


class Bench:
    """A folder, a container, and the upload between them."""

    def __init__(self, rehearsal: Rehearsal, folder: Path, container: str) -> None:
        self.rehearsal, self.folder, self.container = rehearsal, folder, container
        self.blobs = rehearsal.workspace.blobs
        self.client = self.blobs.client.create_container(container)
        self.credential: Any = self.blobs.key
        self.heard = len(rehearsal.server.requests)

    def write(self, files: dict[str, bytes]) -> None:
        for name, content in files.items():
            file = self.folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)

    def storage(self, address: str = "") -> Container:
        return Container(Place(ACCOUNT, self.container, address), self.credential, transfer.THREADS)

    def read(self) -> folders.Folder:
        return folders.read(self.folder, NAME, self.folder.parent / "hashes.db")

    def bring(self, earlier: str | None = None) -> Brought:
        return folders.bring(self.read(), self.storage(), earlier)

    def refused(self) -> str:
        """The one line of an upload that fails."""
        with pytest.raises(Failure) as caught:
            self.bring()
        assert caught.value.code == SERVICE_FAILED
        assert "\n" not in str(caught.value)
        return str(caught.value)

    def held(self) -> dict[str, bytes]:
        """What the storage holds, by name."""
        names = list(self.client.list_blob_names())
        return {name: self.client.download_blob(name).readall() for name in names}

    def check(self, files: dict[str, bytes]) -> None:
        """The folder is in the storage, byte for byte, and nothing else is."""
        path = self.read().path
        assert self.held() == {f"{path}/{name}": content for name, content in files.items()}

    def check_whole(self) -> None:
        """Whatever has arrived is what it says it is."""
        for blob in self.client.list_blobs(include=["metadata"]):
            content = self.client.download_blob(blob.name).readall()
            assert (blob.metadata or {}).get("sha256") == hashlib.sha256(content).hexdigest(), blob.name

    def puts(self) -> list[str]:
        """What has been written since this was asked last."""
        lines = self.rehearsal.server.requests[self.heard :]
        self.heard += len(lines)
        return [line for line in lines if line.startswith("PUT ") and line.endswith((" 201", " 202"))]


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    with Rehearsal(tmp_path_factory.mktemp("rehearsal")) as started:
        yield started


@pytest.fixture
def bench(rehearsal: Rehearsal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """An upload that finds the storage by the proxy, and waits less between two attempts.

    For an answer it waits as long as it always does: on a busy computer one may take seconds, and a request that is
    sent again for that would count as one too many.
    """
    for variable in ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "REQUESTS_CA_BUNDLE"):
        monkeypatch.setenv(variable, rehearsal.variables()[variable])
    monkeypatch.setattr(storages, "PAUSES", (0.1, 0.2, 0.4))
    monkeypatch.setattr(transfer, "BLOCK", BLOCK)
    rehearsal.faults.clear()
    folder = tmp_path / "data"
    folder.mkdir()
    return Bench(rehearsal, folder, f"c{hashlib.sha256(str(tmp_path).encode()).hexdigest()[:12]}")


def numbered(count: int) -> dict[str, bytes]:
    return {f"{number}.csv": f"{number}\n".encode() for number in range(count)}


def noise(size: int, seed: int = 7) -> bytes:
    return random.Random(seed).randbytes(size)


# ------------------------------------------------------------------------------------------------------ every byte


def test_every_name_and_every_byte_arrives_once(bench: Bench) -> None:
    sizes = {f"size-{size}": noise(size) for size in (1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 5 * BLOCK + 1)}
    files = ODD | sizes
    bench.write(files)
    path = bench.read().path
    assert max(len(f"{path}/{name}") for name in files) == 1024
    assert bench.bring() == Brought(len(files), 0, 0)
    bench.check(files)
    bench.check_whole()
    bench.puts()
    assert bench.bring() == Brought(0, 0, len(files))
    assert bench.puts() == []


def test_of_a_changed_folder_only_the_change_is_sent(bench: Bench) -> None:
    one = numbered(20) | ODD
    bench.write(one)
    first = bench.read().path
    assert bench.bring() == Brought(len(one), 0, 0)
    times = (bench.folder / "7.csv").stat()
    bench.write({"7.csv": b"8\n"})  # as long as before, and as old
    os.utime(bench.folder / "7.csv", ns=(times.st_atime_ns, times.st_mtime_ns))
    (bench.folder / "8.csv").rename(bench.folder / "8 renamed.csv")
    bench.puts()
    assert bench.bring(first) == Brought(0, len(one), 0), "8.csv has the content already"
    bench.write({"7.csv": b"new"})
    assert bench.bring(first) == Brought(1, len(one) - 1, 0)
    two = {name: content for name, content in one.items() if name != "8.csv"}
    two |= {"7.csv": b"new", "8 renamed.csv": one["8.csv"]}
    path = bench.read().path
    held = bench.held()
    assert {name: content for name, content in held.items() if name.startswith(path)} == {
        f"{path}/{name}": content for name, content in two.items()
    }
    assert {name: content for name, content in held.items() if name.startswith(first)} == {
        f"{first}/{name}": content for name, content in one.items()
    }
    bench.check_whole()


@pytest.mark.parametrize(("many", "page"), [(230, 100), pytest.param(5_100, storages.PAGE, marks=pytest.mark.full)])
def test_more_files_than_a_page_lists(bench: Bench, monkeypatch: pytest.MonkeyPatch, many: int, page: int) -> None:
    monkeypatch.setattr(storages, "PAGE", page)
    files = {f"{number % 100}/{number}.csv": f"{number}\n".encode() for number in range(many)}
    bench.write(files)
    storage = bench.storage(bench.blobs.url(ACCOUNT))  # straight to Azurite: the proxy would be measured
    began = time.monotonic()
    assert folders.bring(bench.read(), storage) == Brought(many, 0, 0)
    seconds = time.monotonic() - began
    began = time.monotonic()
    assert folders.bring(bench.read(), storage) == Brought(0, 0, many)
    log.info("  %d files sent in %.1f s, found there in %.1f s", many, seconds, time.monotonic() - began)
    path, before = bench.read().path, len(bench.rehearsal.server.requests)
    held = bench.storage().blobs(path)
    assert len(bench.rehearsal.server.requests) - before == -(-many // page)
    assert {name: blob.sha256 for name, blob in held.items()} == {
        name: hashlib.sha256(content).hexdigest() for name, content in files.items()
    }
    for name in random.Random(7).sample(sorted(files), 50):
        assert bench.client.download_blob(f"{path}/{name}").readall() == files[name]


# --------------------------------------------------------------------------------------------------------- trouble

FAULTS: dict[str, dict[str, Any]] = {
    "500": {"status": 500},
    "503, three times": {"status": 503, "times": 3},
    "429 that names a time": {"status": 429, "headers": {"Retry-After": "1"}},
    "nothing arrives": {"drop": "before"},
    "the answer is lost": {"drop": "after"},
    "half an answer": {"drop": "half"},
    "a stall": {"delay": 5},
}
# What is struck: a small file, a block, what makes a file of the blocks, the question for blocks, the list.
WHERE = [r"PUT .*/small", r"PUT .*/large", r"GET .*/large", r"GET .*windows\.net/c[0-9a-f]{12}$"]


@pytest.mark.parametrize("fault", FAULTS)
def test_after_any_trouble_everything_is_there_once(bench: Bench, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    if "delay" in FAULTS[fault]:
        monkeypatch.setattr(storages, "READ", 2)
    files = {"small.csv": b"1,2\n", "large.bin": noise(4 * BLOCK + 1)} | numbered(10)
    bench.write(files)
    times = FAULTS[fault].get("times", 1)
    for pattern in WHERE:
        # Of the six requests for the large file, the first brings a block and the last commits; the first comes again,
        # but where half an answer is all that there is to it.
        for skip in (0, 4 if fault == "half an answer" else 5) if "large" in pattern else (0,):
            bench.rehearsal.faults.add(Fault(pattern, skip=skip, **FAULTS[fault]))
    began = time.monotonic()
    assert bench.bring() == Brought(len(files), 0, 0)
    assert len(bench.rehearsal.faults.fired) == 5 * times
    if "429" in fault:
        assert time.monotonic() - began > 0.8
    bench.check(files)
    bench.check_whole()
    assert bench.bring() == Brought(0, 0, len(files))


@pytest.mark.parametrize("fault", ["503, three times", "nothing arrives", "the answer is lost"])
def test_trouble_without_end_is_told_and_the_next_call_sends_what_is_missing(bench: Bench, fault: str) -> None:
    files = numbered(120) | {"large.bin": noise(6 * BLOCK)}  # more than can be on their way at a time
    bench.write(files)
    bench.rehearsal.faults.add(Fault(r"PUT .*windows\.net/c", skip=20, **FAULTS[fault] | {"times": 1000}))
    began = time.monotonic()
    said = bench.refused()
    assert said.startswith(f"{ACCOUNT}/{bench.container}: ")
    assert re.search("answered 503" if "503" in fault else "the connection was lost|not reachable", said)
    assert time.monotonic() - began < 60
    bench.rehearsal.faults.clear()
    wait_until_quiet(bench.rehearsal)
    there = bench.held()
    bench.check_whole()
    assert 0 < len(there) < len(files)
    bench.puts()
    assert bench.bring() == Brought(len(files) - len(there), 0, len(there))
    sent = [line.split()[1].rpartition("/")[2] for line in bench.puts()]
    missing = {name for name in files if not any(path.endswith(f"/{name}") for path in there)}
    assert sorted(name for name in sent if name != "large.bin") == sorted(missing - {"large.bin"})
    bench.check(files)


def test_a_refusal_is_not_asked_again(bench: Bench) -> None:
    bench.write({"a.csv": b"1"})
    bench.rehearsal.faults.add(Fault(r"PUT .*/a\.csv", status=400, times=9))
    assert "the storage answered 400" in bench.refused()
    assert len(bench.rehearsal.faults.fired) == 1


@pytest.mark.full
def test_a_stall_of_a_minute_is_waited_out(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the patience that the command has."""
    monkeypatch.undo()
    for variable in ("HTTPS_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE"):
        monkeypatch.setenv(variable, bench.rehearsal.variables()[variable])
    bench.write(numbered(5))
    bench.rehearsal.faults.add(Fault(r"PUT .*/3\.csv", delay=60))
    began = time.monotonic()
    assert bench.bring() == Brought(5, 0, 0)
    assert storages.READ <= time.monotonic() - began < 60, "another connection is faster than the one that is silent"
    bench.check(numbered(5))


# ----------------------------------------------------------------------------------------------------- large files


def test_blocks_that_have_arrived_are_not_sent_again(bench: Bench) -> None:
    content = noise(12 * BLOCK + 5)
    bench.write({"large.bin": content})
    bench.rehearsal.faults.add(Fault(r"PUT .*/large\.bin", skip=7, status=403, times=100))
    bench.refused()
    assert bench.held() == {}, "a file is there whole or not at all"
    bench.rehearsal.faults.clear()
    assert len(bench.puts()) == 7
    assert bench.bring() == Brought(1, 0, 0)
    assert len(bench.puts()) == 13 - 7 + 1, "what was missing, and the commit"
    bench.check({"large.bin": content})
    bench.check_whole()


def test_blocks_of_another_content_are_not_taken_for_this_ones(bench: Bench) -> None:
    """Under the same name in the same folder, where a folder of other content never is."""
    contents = [noise(4 * BLOCK, seed) for seed in (1, 2)]
    for number, content in enumerate(contents):
        bench.write({"large.bin": content})
        read, storage = bench.read(), bench.storage()
        made = transfer.plan(read.files, read.hashes, {}, {})
        if number == 0:
            bench.rehearsal.faults.add(Fault(r"PUT .*/large\.bin", skip=3, status=403, times=100))
            with pytest.raises(Failure):
                transfer.carry_out(made, storage, "same", read.hashes, lambda *_: None)
            bench.rehearsal.faults.clear()
            assert len(bench.puts()) == 3
        else:
            transfer.carry_out(made, storage, "same", read.hashes, lambda *_: None)
            assert len(bench.puts()) == 5
    assert bench.held() == {"same/large.bin": contents[1]}


# --------------------------------------------------------------------------------- files that do not stay as they are


def change_size(file: Path) -> None:
    with file.open("ab") as opened:
        opened.write(b"more")


def change_content(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[::-1])


def replace_by_fifo(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


CHANGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "grows": (change_size, "changes while it is read"),
    "other content": (change_content, "changes while it is read"),
    "vanishes": (Path.unlink, "vanished meanwhile"),
    "a fifo": (replace_by_fifo, "changes while it is read"),
}


@pytest.mark.parametrize("size", [100, 6 * BLOCK])
@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_changes_while_others_are_sent_is_named(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, change: str, size: int
) -> None:
    act, reason = CHANGES[change]
    file = bench.folder / "zz.bin"
    bench.write(numbered(12) | {file.name: noise(size)})
    folder, opened = bench.read(), LocalFile.open

    def change_first(listed: LocalFile) -> int:
        """It has been listed and hashed, others are on their way, and it is about to be read."""
        if listed.name == file.name:
            with lock:
                if not changed:
                    changed.append(file)
                    act(file)
        return opened(listed)

    changed, lock = list[Path](), threading.Lock()
    monkeypatch.setattr(LocalFile, "open", change_first)
    with pytest.raises(Failure) as caught:
        folders.bring(folder, bench.storage())
    monkeypatch.setattr(LocalFile, "open", opened)
    assert str(caught.value).startswith(f"{file}: {reason}")
    assert not [name for name in bench.held() if name.endswith(file.name)]
    bench.check_whole()
    file.unlink(missing_ok=True)
    bench.write({file.name: b"at rest"})
    bench.bring()
    path = bench.read().path
    assert bench.client.download_blob(f"{path}/{file.name}").readall() == b"at rest"


def test_a_file_that_is_written_all_the_time_never_arrives_in_halves(bench: Bench) -> None:
    """By a thread that does nothing else; whatever the upload says, no blob is a mixture."""
    file, over = bench.folder / "busy.bin", threading.Event()
    bench.write({file.name: noise(3 * BLOCK, 0)} | numbered(5))

    def write() -> None:
        seed = 0
        while not over.wait(0.001):
            seed += 1
            file.write_bytes(noise(3 * BLOCK, seed))

    writer = threading.Thread(target=write)
    writer.start()
    said = []
    try:
        for _ in range(10):
            with pytest.raises(Failure) as caught:
                bench.bring()
            said.append(str(caught.value))
    finally:
        over.set()
        writer.join()
    assert all(line.startswith(f"{file}: changes while it is read") for line in said), said
    bench.check_whole()
    bench.bring()
    bench.check_whole()


# ---------------------------------------------------------------------------------------------------------- rights


def sas(bench: Bench, permissions: str, hours: float = 1) -> str:
    return storages.signed(Place(ACCOUNT, bench.container), bench.blobs.key, permissions, hours)


def test_the_sas_of_a_run_reads_and_lists_and_writes_nothing(bench: Bench) -> None:
    files = numbered(3)
    bench.write(files)
    bench.bring()
    bench.credential = sas(bench, "rl")
    assert bench.bring() == Brought(0, 0, 3), "it may list"
    bench.write({"new.csv": b"1"})
    said = bench.refused()
    assert said.startswith(f"{ACCOUNT}/{bench.container}: the SAS does not allow this (403 Auth")
    assert len(bench.held()) == 3


def test_an_expired_sas_is_told_so(bench: Bench) -> None:
    bench.write(numbered(1))
    bench.credential = sas(bench, "rwl", -0.1)
    said = bench.refused()
    assert said.startswith(f"{ACCOUNT}/{bench.container}: the SAS has expired, at 20")
    assert "sig" not in said


@pytest.mark.parametrize("fault", [{"drop": "before"}, {"status": 400}, {"status": 503}])
def test_a_traceback_shows_no_sas(bench: Bench, fault: dict[str, Any]) -> None:
    """As --debug prints it; an exception of the network holds the whole address."""
    bench.write(numbered(1))
    bench.credential = sas(bench, "rwl")
    bench.rehearsal.faults.add(Fault(r"PUT .*windows\.net/c", times=100, **fault))
    with pytest.raises(Failure) as caught:
        bench.bring()
    shown = "".join(traceback.format_exception(caught.value))
    assert "Traceback" in shown
    signature = bench.credential.rpartition("sig=")[2].partition("&")[0]
    assert signature not in without_secrets(shown)
    assert signature not in str(caught.value)


def test_a_sas_that_may_write_is_enough(bench: Bench) -> None:
    files = numbered(3) | {"large.bin": noise(3 * BLOCK)}
    bench.write(files)
    bench.credential = f"?{sas(bench, 'rcwl')}"
    first = bench.read().path
    assert not bench.storage().make(), "the container is there, and a SAS of a container can't ask for it"
    assert bench.bring() == Brought(4, 0, 0)
    bench.check(files)
    bench.write({"4.csv": b"4"})
    assert bench.bring(first) == Brought(1, 4, 0)
    bench.check_whole()


def test_another_accounts_key_is_refused(bench: Bench) -> None:
    bench.write(numbered(1))
    bench.credential = bench.blobs.keys["rehearsaldata"]
    assert bench.refused().startswith(f"{ACCOUNT}/{bench.container}: the account key does not allow this (403 Auth")


@pytest.mark.parametrize(("role", "may"), [("contributor", True), ("reader", False)])
def test_a_login_may_what_its_role_may(bench: Bench, role: str, may: bool) -> None:
    files = numbered(3) | {"large.bin": noise(3 * BLOCK)}
    bench.write(files)
    first = bench.read().path
    token = bench.rehearsal.workspace.tokens.issue(role, role)
    bench.credential = SimpleNamespace(get_token=lambda *_, **__: SimpleNamespace(token=token, expires_on=2**40))
    if not may:
        assert "the login does not allow this (403 AuthorizationPermissionMismatch)" in bench.refused()
        assert bench.held() == {}
        return
    assert bench.bring() == Brought(4, 0, 0)
    bench.check(files)
    bench.write({"4.csv": b"4"})
    assert bench.bring(first) == Brought(1, 4, 0)
    bench.check_whole()


def test_a_container_that_is_not_there_is_named(bench: Bench) -> None:
    bench.write(numbered(1))
    bench.client.delete_container()
    assert bench.refused() == f"{ACCOUNT}/{bench.container}: no such container"
    assert bench.storage().make()
    assert not bench.storage().make()
    bench.bring()
    bench.check(numbered(1))


def test_a_copy_that_fails_is_sent_instead(bench: Bench) -> None:
    files = numbered(5)
    bench.write(files)
    first = bench.read().path
    bench.bring()
    bench.write({"new.csv": b"1"})
    path = bench.read().path
    for number in range(3):  # the first request for each is its copy
        bench.rehearsal.faults.add(Fault(rf"PUT .*/{path}/{number}\.csv", status=409))
    bench.bring(first)
    held = {name: content for name, content in bench.held().items() if name.startswith(path)}
    assert held == {f"{path}/{name}": content for name, content in (files | {"new.csv": b"1"}).items()}
    bench.check_whole()


def test_what_somebody_else_has_put_into_the_folder_is_named(bench: Bench) -> None:
    bench.write(numbered(2))
    bench.bring()
    path = bench.read().path
    bench.client.upload_blob(f"{path}/strange.csv", b"?")
    with pytest.raises(Failure, match=r"holds 1 more than the folder, strange\.csv first: remove them there"):
        bench.bring()
    bench.client.delete_blob(f"{path}/strange.csv")
    bench.client.upload_blob(f"{path}/1.csv", b"?", overwrite=True)
    assert bench.bring() == Brought(1, 0, 1), "what was written over is sent again"
    bench.check(numbered(2))
