"""The environment of a model on this computer, .venv/MODEL: what it is called, whether it is there, what it runs.

Two models may need two versions of a package, and none of them has what this package needs: so each has its own.
"""

from __future__ import annotations

import sys

from aml_project.command_line import REFUSED, Failure
from aml_project.project import data_path

TYPE_CHECKING = False  # typing's own costs its import
if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Any

GUNICORN_ARGS = "--worker-class gthread --threads 64"  # azmlinfsrv's: one slow client would stop its other workers
WINDOWS = sys.platform == "win32"
DATA_PATH = ("data-path", "data_path")  # as a script spells it that takes the folder of its data
LOAD = "import sys; from runtime import data; data.load_tabular_dataset(*sys.argv[1:3]).to_parquet(sys.argv[3])"


def bin_folder(environment: Path) -> Path:
    return environment / ("Scripts" if WINDOWS else "bin")


def program(root: Path, model: str, name: str) -> Path:
    """Return a program of a model's environment, which may not be there."""
    return bin_folder(root / ".venv" / model) / (f"{name}.exe" if WINDOWS else name)


def server(root: Path, model: str, folder: Path, *, azure: bool = False) -> list[str | Path]:
    """The command that serves the score.py of a folder; a folder without a server of its own has Azure ML's."""
    if azure or not (folder / "runtime" / "server.py").is_file():
        return [program(root, model, "azmlinfsrv")]
    return [program(root, model, "python"), "-m", "runtime.server"]


def read_conda_file(file: Path) -> tuple[str | None, list[str], list[str]]:
    """Return the Python version, the pip packages and the other conda packages."""
    import re

    from aml_project.runconfigs.reading import read_conda

    version: str | None = None
    pip: list[str] = []
    conda: list[str] = []
    for item in read_conda(file, file.name).get("dependencies") or []:
        if isinstance(item, dict):
            pip += item.get("pip") or []
        elif match := re.fullmatch(r"python\s*==?\s*([\d.]+)(\.\*)?", item):
            version = match[1]
        elif item != "pip":
            conda.append(item)
    return version, pip, conda


def installed(root: Path, model: str) -> None:
    """Refuse to go on where `make setup` has not been."""
    if not program(root, model, "pytest").exists():
        raise Failure(f"nothing is installed for {model} yet: make setup MODEL={model}")


def trained(root: Path, model: str) -> None:
    """Refuse to go on without a model that can be served."""
    folder = root / "models" / model
    if (folder / "outputs" / "model").is_dir():
        return
    if (folder / "tests" / "test_notebook.py").is_file():
        adapt = "what a notebook trains is served once score.py is adapted to it (tests/test_notebook.py)"
        raise Failure(f"models/{model}/outputs/model: not there; {adapt}")
    raise Failure(f"{model} is not trained yet: make train MODEL={model}")


def python_for_runs(folder: Path) -> Path:
    """The Python that a run on this computer gets where Docker does not run: the model's, or else the active one.

    The process that asks may have another one, with none of the model's packages: that of the tools, or of the az.
    """
    from pathlib import Path

    made = program(folder.parent.parent, folder.name, "python")
    import shutil

    return made if made.exists() else Path(shutil.which("python") or sys.executable)


def training(root: Path, model: str, arguments: Sequence[str]) -> list[str | Path]:
    """The command that trains a model on its data; a script that knows no --data-path is not given one."""
    from aml_project.local_imports import closure, mentions

    installed(root, model)
    takes = mentions(list(closure(root / "models" / model / "train.py", [])), *DATA_PATH)
    data = ["--data-path", data_path(root, model)] if takes else []
    return [program(root, model, "python"), "train.py", *data, *arguments]


def variables_of_a_program(own: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment variables for a program of the model's own Python, of this process or of those given.

    Jupyter tells its children to draw by a package of its own, which the model's environment does not have.
    """
    import os

    variables = os.environ if own is None else own
    return {name: text for name, text in variables.items() if not (name == "MPLBACKEND" and "inline" in text)}


def run_in_model(root: Path, model: str, command: Sequence[str | Path], **variables: str) -> int:
    """Run a program in the model's folder and return its exit code."""
    return hand_over(command, cwd=root / "models" / model, **variables)


def hand_over(command: Sequence[str | Path], cwd: Path, **variables: str) -> int:
    """Run a program to its end and return its exit code; Ctrl-C is the program's own business, and `kill` ends both."""
    import signal
    import subprocess

    process = subprocess.Popen([str(part) for part in command], cwd=cwd, env=variables_of_a_program() | variables)
    earlier = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        return code_of(process)
    finally:
        signal.signal(signal.SIGTERM, earlier)


def run_and_print(root: Path, model: str, command: Sequence[str | Path]) -> int:
    """The same, with this process printing what the program says: a notebook shows nothing else."""
    import subprocess

    process = subprocess.Popen(
        [str(part) for part in command],
        cwd=root / "models" / model,
        env=variables_of_a_program() | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    for line in process.stdout or ():
        print(line, end="", flush=True)
    return code_of(process)


def load_tabular_dataset(root: Path, model: str, name: str, version: str) -> Any:
    """A dataset as a DataFrame: the model's environment has what reads it, and hands it over as Parquet."""
    from pathlib import Path
    from tempfile import TemporaryDirectory

    installed(root, model)
    try:
        import pandas as pd
    except ImportError:
        mend = f"uv pip install --python {sys.executable} pandas pyarrow"
        raise Failure(f"pandas is not in this Python, which would show the table: {mend}") from None
    with TemporaryDirectory() as folder:
        file = Path(folder, "table.parquet")
        command: list[str | Path] = [program(root, model, "python"), "-c", LOAD, name, version, file]
        if run_and_print(root, model, command):
            raise Failure(f"{name}: it could not be read: what was said stands above")
        return pd.read_parquet(file)


def code_of(process: subprocess.Popen[Any]) -> int:
    """Wait for the end of a program."""
    while True:
        try:
            code = process.wait()
            break
        except KeyboardInterrupt:  # the terminal has told the program as well: it ends by its own manners
            continue
    return code if code >= 0 else min(128 - code, 255) or REFUSED


def commit_of(root: Path) -> str:
    """The commit that an answer of the model names; nothing outside of git."""
    import subprocess

    try:
        said = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--exclude", "*"],
            cwd=root, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
    except OSError:
        return ""
    return said.stdout.strip() if said.returncode == 0 else ""
