"""run.json: the run that was submitted, for the command that registers its model.

It has the form that `az ml run submit-script -t run.json` writes, so that either may write it and either may read it.
The file is whole or absent: it is written beside its place and then moved there.
"""

from __future__ import annotations

import json
from collections import namedtuple

from aml_project.files import write_whole

TYPE_CHECKING = False  # typing's own costs its import, and a dry run has to answer at once
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

# A run's record also holds a token with which anyone may write to it. No file gets that.
LEFT_OUT = ("token", "token_expiry_time_utc", "options")


RunFile = namedtuple("RunFile", "experiment run_id")  # what a registration needs of the file


class BadRunFile(ValueError):
    """The file is absent, or not what a submission writes; the text is for the user."""


def read(path: Path) -> RunFile:
    """Return the run that the file names."""
    try:
        content = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BadRunFile(f"{path}: not there; a run that completes writes it: make submit") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadRunFile(f"{path}: {getattr(error, 'strerror', None) or 'not a text file'}") from None
    if not content.strip():
        raise BadRunFile(f"{path}: empty, as an interrupted client leaves it; remove it and submit again")
    try:
        run = json.loads(content)
    except ValueError as error:
        raise BadRunFile(f"{path}: not JSON: {error}") from None
    fields = [run.get(key) if isinstance(run, dict) else None for key in ("_experiment_name", "run_id")]
    for key, value in zip(("_experiment_name", "run_id"), fields, strict=True):
        if not isinstance(value, str) or not value:
            raise BadRunFile(f"{path}: no {key} in it, so no run; a submission writes it: make submit")
    return RunFile(str(fields[0]), str(fields[1]))


def write(path: Path, run: Any) -> None:
    """Write the record of a run (azureml.core.Run), whole or not at all."""
    record = {key: value for key, value in run._run_dto.items() if key not in LEFT_OUT}
    record["_experiment_name"] = run.experiment.name
    text = json.dumps(record, indent=4, sort_keys=True, default=str) + "\n"
    write_whole(path, text)
