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
