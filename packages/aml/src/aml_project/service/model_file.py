"""The file of a registration: the version that it has made, or why it made none, beside what it was compared with.

Its modelId is where `az ml model register -t` writes it and `az ml model deploy -f` looks for it.
"""

from __future__ import annotations

import json

from aml_project.command_line import Failure
from aml_project.files import write_whole

TYPE_CHECKING = False  # typing's own costs its import, and a dry run has to answer at once
if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

ID = "modelId"


def write(path: Path, model_id: str, figures: Mapping[str, Any], refused: str = "") -> None:
    write_whole(path, json.dumps({ID: model_id, **figures, "refused": refused}, indent=2) + "\n")


def read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}; aml register -t writes it") from None
    except ValueError as error:
        raise Failure(f"{path}: not JSON: {error}") from None
    if not isinstance(content, dict) or not isinstance(content.get(ID), str):
        raise Failure(f"{path}: no {ID} in it; aml register -t writes it")
    return content


def version(path: Path) -> tuple[str, str]:
    """The name and the version that the file is about."""
    content = read(path)
    name, colon, number = content[ID].rpartition(":")
    if not colon:
        raise Failure(f"{path}: {content.get('refused') or 'names no version of a model'}")
    return name, number
