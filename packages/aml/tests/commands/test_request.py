"""aml request: whatever listens on the port, a failure is one line."""

import socket
import threading
from pathlib import Path

import pytest

from tests.aml import aml


@pytest.mark.parametrize(
    ("answer", "code", "named"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 3, "the answer is not JSON"),
        (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 4\r\n\r\nrow!", 1, "answered 400: row!"),
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\nsad!", 3, "answered 500: sad!"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{", 3, "hung up"),
        (b"", 3, "make serve"),
    ],
)
def test_a_request_fails_in_one_line(project: Path, tmp_path: Path, answer: bytes, code: int, named: str) -> None:
    """Whatever listens on the port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        request = tmp_path / "request.json"
        request.write_text("{}")
        got, out, err = aml(project, "request", request, f"--port={server.getsockname()[1]}")
        thread.join()
    assert (got, out) == (code, "")
    assert err.count("\n") == 1 and err.startswith("ERROR: ")
    assert named in err


def test_a_mask_is_written_and_its_dice_told(project: Path, tmp_path: Path) -> None:
    """A volume is sent as the bytes that it is."""
    mask = b"\x1f\x8b a mask"
    asked = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                asked.append(connection.recv(65536))
                head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(mask)}\r\nx-dice: ball=0.9\r\n\r\n"
                connection.sendall(head.encode() + mask)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        volume = tmp_path / "volume.nii.gz"
        volume.write_bytes(b"\x1f\x8b a volume")
        written = tmp_path / "mask.nii.gz"
        done = aml(project, "request", volume, f"--port={server.getsockname()[1]}", f"--output={written}")
        thread.join()
    assert done == (0, f"{written}: a mask of 9 bytes, Dice ball=0.9\n", "")
    assert written.read_bytes() == mask
    assert b"application/octet-stream" in asked[0]
