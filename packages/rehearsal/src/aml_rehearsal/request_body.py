"""The body of a request, read to its end."""

from __future__ import annotations

from email.message import Message
from io import BufferedIOBase

LARGEST = 1 << 30  # bytes of one request


def read(headers: Message, source: BufferedIOBase) -> bytes:
    """Read a body; a ValueError where the caller went away before, or what it sends is not HTTP."""
    body = bytearray()
    if "chunked" in (headers.get("Transfer-Encoding") or ""):
        while size := int(source.readline(100).split(b";")[0], 16):
            body += exactly(size, source)
            source.readline()
        source.readline()
    else:
        body += exactly(int(headers.get("Content-Length") or 0), source)
    return bytes(body)


def exactly(size: int, source: BufferedIOBase) -> bytes:
    body = source.read(size) if 0 <= size <= LARGEST else b""
    if len(body) != size:
        raise ValueError(f"{len(body)} bytes instead of {size}")  # half a file must not be kept as a whole one
    return body
