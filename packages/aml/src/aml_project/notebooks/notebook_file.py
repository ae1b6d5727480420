"""Find and read notebooks: what one holds, or in one line why it can't be read."""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path

from aml_project.command_line import WRONG_USE, Failure

TYPE_CHECKING = False  # typing's own costs its import
if TYPE_CHECKING:
    from typing import Any

LARGE = 10_000_000  # bytes of a file from which on the outputs are worth a word


class Broken(Exception):
    """What is wrong with a notebook, in one line."""


def find(given: Path) -> list[Path]:
    """The notebooks that are meant by a file or a folder; the one that trains comes first."""
    if given.is_dir():
        found = sorted(path for path in given.glob("*.ipynb") if not path.name.startswith("."))
        training = [path for path in found if path.stem.lower().startswith("train")]
        exact = [path for path in training if path.stem.lower() == "train"]
        first = exact or training or found
        if not found:
            raise Failure(f"{given}: no notebook (*.ipynb) in this folder", WRONG_USE)
        if len(first) > 1:
            named = ", ".join(path.name for path in first[:5])
            raise Failure(f"{given}: which one trains? Call it train.ipynb, or give it alone: {named}", WRONG_USE)
        return [first[0], *(path for path in found if path != first[0])]
    if given.is_symlink() and not given.exists():
        raise Failure(f"{given}: a link that leads nowhere", WRONG_USE)
    if not given.is_file():
        raise Failure(f"{given}: no such notebook", WRONG_USE)
    if given.suffix != ".ipynb":
        raise Failure(f"{given}: not a notebook: its name does not end in .ipynb", WRONG_USE)
    return [given]


def read(path: Path) -> Any:
    """Return the notebook in format 4 without its outputs; older formats are upgraded."""
    raw = parse(path)
    drop_outputs(raw)
    import logging

    import nbformat

    logging.getLogger("traitlets").setLevel(logging.CRITICAL)  # nbformat tells there what it has mended
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            notebook = nbformat.reads(json.dumps(raw), as_version=4)  # type: ignore[no-untyped-call]
        except Exception as error:  # nbformat raises many kinds
            raise Broken(f"not a notebook that can be read: {first_line(error)}") from None
    check(notebook)
    return notebook


def parse(path: Path) -> dict[str, Any]:
    """The file's JSON, with what every notebook has."""
    try:
        raw = json.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise Broken(error.strerror or str(error)) from None
    except RecursionError:
        raise Broken("not a notebook: its JSON is nested too deep") from None
    except ValueError as error:
        what = "UTF-8" if isinstance(error, UnicodeDecodeError) else "JSON"
        raise Broken(f"not a notebook: it is not {what} ({first_line(error)})") from None
    version = raw.get("nbformat") if isinstance(raw, dict) else None
    if not isinstance(version, int):
        raise Broken("not a notebook: its JSON has no nbformat")
    if not 1 <= version <= 4:
        raise Broken(f"notebook format {version}, and this reads 1 to 4: save it in format 4")
    return dict(raw)


def drop_outputs(raw: dict[str, Any]) -> None:
    """Outputs are no part of a script, and many megabytes of them would have to be checked."""
    sheets = raw.get("worksheets")
    for holder in [raw, *(sheets if isinstance(sheets, list) else [])]:
        cells = holder.get("cells") if isinstance(holder, dict) else None
        for cell in cells if isinstance(cells, list) else []:
            if isinstance(cell, dict) and "outputs" in cell:
                cell["outputs"] = []


def check(notebook: Any) -> None:
    """Refuse what is no Python notebook with code in it; name the cell where one is to blame."""
    cells = notebook.get("cells")
    if not isinstance(cells, list):
        raise Broken("not a notebook: it has no list of cells")
    for number, cell in enumerate(cells, 1):
        if not isinstance(cell, dict) or not isinstance(cell.get("source"), str) or "cell_type" not in cell:
            raise Broken(f"cell {number}: it has no source or no type")
        try:
            cell["source"].encode()
        except UnicodeEncodeError:
            raise Broken(f"cell {number}: a character that UTF-8 can't write") from None
        if "\0" in cell["source"]:
            raise Broken(f"cell {number}: a null character, which Python does not allow")
    metadata = mapping(notebook.get("metadata"))
    language = mapping(metadata.get("language_info")).get("name") or mapping(metadata.get("kernelspec")).get("language")
    if isinstance(language, str) and language.lower() not in ("python", "python3", "ipython"):
        raise Broken(f"its language is {language}, and train.py is Python")
    if not any(cell["cell_type"] == "code" and cell["source"].strip() for cell in cells):
        raise Broken("it has no code")


def mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def first_line(error: Exception) -> str:
    """The beginning of what an exception says, without a file that nobody knows."""
    said = (str(error).splitlines() or [type(error).__name__])[0][:200]
    return re.sub(r" ?\(<tokenize>, line (\d+)\)", r" (line \1)", said)
