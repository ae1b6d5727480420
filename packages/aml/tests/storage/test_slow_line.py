"""A file takes longer than the seconds of silence that are allowed, over a line that is slow and never silent."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from aml_project.storage import container as storage
from aml_project.storage import transfer
from aml_project.storage.local_files import list_files

SIZE, PIECE, PAUSE = 7_500_000, 200_000, 0.15  # taken in 5.6 s, of which the sockets hold back two
SILENCE = 4
ANSWER = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\nETag: x\r\n\r\n"


@pytest.fixture
def slow_port() -> Iterator[int]:
    """A storage that takes one request, slowly, and says that it has it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)

        def take() -> None:
            connection, _ = server.accept()
            with connection:
                got = b""
                while len(got) - got.find(b"\r\n\r\n") - 4 < SIZE:
                    piece = connection.recv(PIECE)
                    if not piece:
                        return  # the other end has lost its patience
                    got += piece
                    time.sleep(PAUSE * len(piece) / PIECE)
                connection.sendall(ANSWER)

        threading.Thread(target=take, daemon=True).start()
        yield int(server.getsockname()[1])


def test_a_slow_line_is_no_lost_one(slow_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CONNECT", "READ"):
        monkeypatch.setattr(storage, name, SILENCE)
    monkeypatch.setattr(storage, "PAUSES", ())
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "large.bin").write_bytes(os.urandom(SIZE))
    (file,), _ = list_files(tmp_path / "data", 100)
    place = storage.Place("slow", "data", f"http://127.0.0.1:{slow_port}")
    opened = storage.Container(place, "sig=none")
    done: list[tuple[int, int]] = []
    began = time.monotonic()
    crew = transfer.Crew(opened, lambda files, size: done.append((files, size)))
    crew.put(file, opened.client.get_blob_client("large.bin"), "0" * 64)
    assert done == [(1, SIZE)]
    assert time.monotonic() - began > 1.2 * SILENCE
