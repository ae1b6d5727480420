"""Write several files: all of them or none."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

from aml_project.command_line import Failure


def replace_all(contents: Mapping[Path, bytes]) -> None:
    """Put new contents in the place of files; whatever stops it, the old ones are there again."""
    targets = {path.resolve(): content for path, content in contents.items()}
    beside: dict[Path, Path] = {}
    done: dict[Path, bytes] = {}
    try:
        for path, content in targets.items():
            beside[path] = staged(path, content)
        for path, temporary in beside.items():
            before = path.read_bytes()
            temporary.replace(path)
            done[path] = before
    except BaseException as error:
        for path, before in done.items():
            with contextlib.suppress(OSError):
                staged(path, before).replace(path)
        if isinstance(error, OSError):
            shown = os.path.relpath(error.filename) if error.filename else "the conda files"
            raise Failure(f"{shown}: {error.strerror}; nothing was written") from None
        raise
    finally:
        for temporary in beside.values():
            with contextlib.suppress(OSError):
                temporary.unlink()


def staged(path: Path, content: bytes) -> Path:
    """Write a content beside its file, with the file's own mode."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).chmod(stat.S_IMODE(path.stat().st_mode))
    except BaseException:
        Path(name).unlink()
        raise
    return Path(name)
