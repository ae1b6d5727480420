"""Write several files: all of them or none."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from aml_project import files
from aml_project.command_line import Failure


def replace_all(contents: Mapping[Path, bytes]) -> None:
    """Put new contents in the place of files; whatever stops it, the old ones are there again."""
    try:
        files.write_all(contents)
    except OSError as error:
        shown = os.path.relpath(error.filename) if error.filename else "the conda files"
        raise Failure(f"{shown}: {error.strerror}; nothing was written") from None
