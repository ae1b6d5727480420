"""Notebooks as the tests write them, and the scripts that come of them.

They need the standard library only, so that the scripts run at once. What they do in their folder, as plain Python, is
what the scripts have to do in the model's: print the same, and write the same, below outputs/.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.aml import Done

Cell = str | dict[str, Any]
Convert = Callable[..., Done]

KEPT = "notebooks/"  # where originals are
DATA = {
    "input/table.csv": b"a,b\n1,2\n",
    "input/more/deep.json": b"[1, 2]",
    "input/parts/one.txt": b"1",
    "input/parts/two.txt": b"2",
    "input/it's.pkl": b"\x80\x04K\x07.",
}


def code(source: str | list[str] | Any, **metadata: Any) -> dict[str, Any]:
    return {"cell_type": "code", "metadata": metadata, "source": source, "outputs": [], "execution_count": None}


def nb(*cells: Cell, **changes: Any) -> dict[str, Any]:
    """A notebook; a text is a cell of code."""
    return {
        "nbformat": 4,
        "nbformat_minor": 4,
        "metadata": {"language_info": {"name": "python"}},
        "cells": [code(cell) if isinstance(cell, str) else cell for cell in cells],
    } | changes


def write(path: Path, *cells: Cell, **changes: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(nb(*cells, **changes)), encoding="utf-8")
    return path


def write_data(folder: Path) -> None:
    """Put the files of DATA into a folder."""
    for name, content in DATA.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def train_py(project: Path) -> Path:
    return project / "models" / "model1" / "train.py"


def start(script: Path, *args: str, expect: int = 0) -> str:
    """Run a script as `make train` does; return what it prints."""
    done = subprocess.run([sys.executable, "-S", script.name, *args], cwd=script.parent, capture_output=True, text=True)
    assert done.returncode == expect, f"{done.stderr}\n{script.read_text()}"
    return done.stdout + (done.stderr if expect else "")
