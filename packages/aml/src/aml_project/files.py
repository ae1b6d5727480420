"""Write files so that they are whole or not there, whatever is killed."""

from __future__ import annotations

import os

TYPE_CHECKING = False  # typing's own costs its import
if TYPE_CHECKING:
    from pathlib import Path


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file beside its place and move it there: who reads it finds the old content or the new one.

    The rights of a file that is replaced stay as they are, and a link stays a link.
    """
    place = path.resolve() if path.is_symlink() else path
    beside = place.with_name(f".{place.name}.{os.getpid()}.new")
    try:
        beside.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
        if place.exists():
            beside.chmod(place.stat().st_mode)
        beside.replace(place)
    finally:
        beside.unlink(missing_ok=True)
