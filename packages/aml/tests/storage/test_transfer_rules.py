"""What the upload decides, tried with a storage in memory: what is sent, copied or there; one request, or blocks."""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from azure.core.exceptions import ResourceNotFoundError

from aml_project.command_line import SERVICE_FAILED, Failure
from aml_project.storage import transfer
from aml_project.storage.container import Blob
from aml_project.storage.local_files import LocalFile, list_files
from tests.owner import Hurry

BLOCK = 100
SHA = "a" * 64


class Memory:
    """A container in memory: its blobs, the blocks that wait, and the requests that it has had."""

    def __init__(self) -> None:
        self.blobs, self.blocks = dict[str, bytes](), dict[str, dict[str, bytes]]()
        self.asked = list[str]()
        self.client = SimpleNamespace(get_blob_client=lambda name: MemoryBlob(self, name))

    def source(self, name: str) -> str:
        return name

    def patient(self, act: Callable[[], Any], _: object) -> Any:
        return act()


class MemoryBlob:
    def __init__(self, memory: Memory, name: str) -> None:
        self.memory, self.name = memory, name

    def upload_blob(self, content: bytes, *, length: int, validate_content: bool, **_: Any) -> None:
        self.take("put", content, length, validate_content)
        self.memory.blobs[self.name] = content

    def get_block_list(self, _: str) -> tuple[list[Any], list[Any]]:
        if self.name not in self.memory.blocks:
            raise ResourceNotFoundError
        return [], [SimpleNamespace(id=number) for number in self.memory.blocks[self.name]]

    def stage_block(self, number: str, content: bytes, *, length: int, validate_content: bool) -> None:
        self.take("block", content, length, validate_content)
        self.memory.blocks.setdefault(self.name, {})[number] = content

    def commit_block_list(self, blocks: list[Any], **_: Any) -> None:
        self.memory.asked.append("commit")
        waiting = self.memory.blocks.pop(self.name)
        self.memory.blobs[self.name] = b"".join(waiting[block.id] for block in blocks)

    def take(self, how: str, content: bytes, length: int, validate_content: bool) -> None:
        assert validate_content, "what is damaged on the way would be kept"
        assert length == len(content)
        self.memory.asked.append(how)


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Memory:
    monkeypatch.setattr(transfer, "BLOCK", BLOCK)
    return Memory()


def files_in(folder: Path, **contents: bytes) -> list[LocalFile]:
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return list_files(folder, 100)[0]


def sent(memory: Any, files: list[LocalFile]) -> list[tuple[int, int]]:
    """Send files; return what has been told of it, in the order of size."""
    done = list[tuple[int, int]]()
    hashes = {file.name: SHA for file in files}
    transfer.carry_out(transfer.Plan(files), memory, "there", hashes, lambda count, size: done.append((count, size)))
    return sorted(done)


# -------------------------------------------------------------------------------------------------------- the plan


def test_what_is_there_is_not_sent_and_what_is_elsewhere_is_copied(tmp_path: Path) -> None:
    files = files_in(tmp_path, a=b"1", b=b"22", c=b"333", d=b"4444")
    hashes = {file.name: file.name * 64 for file in files}
    blobs = {"a": Blob(1, hashes["a"], ""), "b": Blob(3, hashes["b"], ""), "c": Blob(3, hashes["d"], "")}
    made = transfer.plan(files, hashes, blobs, {hashes["c"]: "before/c"})
    assert made.there == 1
    assert [(file.name, source) for file, source in made.copy] == [("c", "before/c")]
    assert [file.name for file in made.send] == ["b", "d"]
    assert made.size == 2 + 3 + 4


def test_a_folder_that_lacks_files_or_has_strange_ones_is_refused(tmp_path: Path) -> None:
    files = files_in(tmp_path, a=b"1", b=b"2", c=b"3")
    hashes = {file.name: SHA for file in files}
    there = {file.name: Blob(1, SHA, "") for file in files}
    transfer.verify(files, hashes, there, "place")
    for blobs, said, code in (
        ({"a": there["a"]}, "2 of 3 files have not arrived, b first", SERVICE_FAILED),
        (there | {"a": Blob(2, SHA, "")}, "1 of 3 files have not arrived, a first", SERVICE_FAILED),
        (there | {"z": there["a"], "y": there["a"]}, "holds 2 more than the folder, y first: remove them there", 1),
    ):
        with pytest.raises(Failure) as caught:
            transfer.verify(files, hashes, blobs, "place")
        assert (str(caught.value), caught.value.code) == (f"place: {said}", code)


# ----------------------------------------------------------------------------------------------------- what is sent


@pytest.mark.parametrize(
    ("size", "asked", "told"),
    [
        (0, ["put"], [(1, 0)]),
        (1, ["put"], [(1, 1)]),
        (BLOCK, ["put"], [(1, BLOCK)]),
        (BLOCK + 1, ["block", "block", "commit"], [(0, 1), (0, BLOCK), (1, 0)]),
        (3 * BLOCK, ["block", "block", "block", "commit"], [(0, BLOCK)] * 3 + [(1, 0)]),
    ],
)
def test_a_file_goes_in_one_request_or_in_blocks(
    memory: Memory, tmp_path: Path, size: int, asked: list[str], told: list[tuple[int, int]]
) -> None:
    content = os.urandom(size)
    assert sent(memory, files_in(tmp_path, a=content)) == told
    assert sorted(memory.asked) == sorted(asked)
    assert memory.blobs == {"there/a": content}


def test_a_file_that_is_read_in_pieces_is_whole(
    memory: Memory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = os.read
    monkeypatch.setattr(os, "read", lambda descriptor, size: read(descriptor, min(size, 30)))
    content = os.urandom(2 * BLOCK + 1)
    sent(memory, files_in(tmp_path, a=content, b=content[:31]))
    assert memory.blobs == {"there/a": content, "there/b": content[:31]}


def test_only_the_blocks_that_lack_are_sent(memory: Memory, tmp_path: Path) -> None:
    content = os.urandom(2 * BLOCK + 1)
    [file] = files_in(tmp_path, a=content)
    large: Any = transfer.Large(transfer.Crew(memory, print), file, MemoryBlob(memory, "there/a"), SHA)  # type: ignore[arg-type]
    memory.blocks["there/a"] = {large.ids[1]: content[BLOCK : 2 * BLOCK], "of another content": b"?"}
    assert sent(memory, [file]) == [(0, 1), (0, BLOCK), (0, BLOCK), (1, 0)]
    assert sorted(memory.asked) == ["block", "block", "commit"]
    assert memory.blobs == {"there/a": content}


def test_the_first_failure_is_told(memory: Memory) -> None:
    crew: Any = transfer.Crew(memory, print)  # type: ignore[arg-type]
    crew.fail(Failure("the first"))
    crew.fail(Failure("the second"))
    assert (str(crew.error), crew.over.is_set()) == ("the first", True)


def test_no_thread_keeps_a_call_that_was_interrupted(
    memory: Memory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer that does not come would keep it for minutes."""
    answered, before = threading.Event(), set(threading.enumerate())

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(memory, "patient", lambda *_: answered.wait(60))
    monkeypatch.setattr(threading.Thread, "join", interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            sent(memory, files_in(tmp_path, a=b"1"))
        left = set(threading.enumerate()) - before
        assert left and all(thread.daemon for thread in left)
    finally:
        answered.set()


# ----------------------------------------------------------------------------------------------------------- copies


class CopiedBlob:
    """A blob whose copy goes through these states; what is done with it is noted."""

    def __init__(self, *states: str) -> None:
        self.states, self.done = list(states), list[str]()

    def state(self) -> str:
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]

    def start_copy_from_url(self, address: str) -> dict[str, str]:
        self.done.append(f"copy {address}")
        return {"copy_status": self.state(), "copy_id": "7"}

    def get_blob_properties(self) -> Any:
        return SimpleNamespace(copy=SimpleNamespace(status=self.state()))

    def abort_copy(self, copy_id: str) -> None:
        self.done.append(f"abort {copy_id}")

    def upload_blob(self, content: bytes, **_: Any) -> None:
        self.done.append(f"send {content.decode()}")


@pytest.mark.parametrize(
    ("states", "pauses", "then"),
    [
        (["success"], 0, []),
        (["pending", "pending", "success"], 2, []),
        (["pending", "failed"], 1, ["send 1"]),
        (["aborted"], 0, ["send 1"]),
        (["pending"], 1200, ["abort 7", "send 1"]),
    ],
)
def test_a_copy_is_waited_for_and_given_up_in_the_end(
    tmp_path: Path, hurry: Hurry, states: list[str], pauses: int, then: list[str]
) -> None:
    (tmp_path / "a.csv").write_bytes(b"1")
    [file], _ = list_files(tmp_path, 100)
    blob, done = CopiedBlob(*states), list[tuple[int, int]]()
    storage: Any = SimpleNamespace(
        client=SimpleNamespace(get_blob_client=lambda _: blob),
        source=lambda name: name,
        patient=lambda act, _: act(),
    )
    transfer.Crew(storage, lambda files, size: done.append((files, size))).copy(file, "before/a.csv", "a.csv", "0" * 64)
    assert blob.done == ["copy before/a.csv", *then]
    assert hurry.pauses == pytest.approx([0.5] * pauses)
    assert done == [(1, 1)]


def test_nothing_is_waited_for_or_sent_once_another_file_has_failed(tmp_path: Path, hurry: Hurry) -> None:
    [file] = files_in(tmp_path, a=b"1")
    blob, storage = CopiedBlob("pending"), Memory()
    storage.client = SimpleNamespace(get_blob_client=lambda _: blob)
    crew = transfer.Crew(storage, lambda *_: None)  # type: ignore[arg-type]
    crew.fail(Failure("another file"))
    crew.copy(file, "before/a", "a", SHA)
    assert (blob.done, hurry.pauses) == (["copy before/a", "abort 7"], [])
