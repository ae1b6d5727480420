"""A notebook and a list of packages go into a render: what is another file then, and what stays."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import tomli

from tests.conftest import Bake
from tests.support import BIN, TEMPLATE, cookiecutter, files_of


def test_a_render_takes_a_notebook_and_packages_over(bake: Bake, tmp_path: Path) -> None:
    cell: dict[str, Any] = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    cells = [{**cell, "source": "A = 1\nprint(A, open('x.csv').read())"}]
    notebook = {"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": cells}
    (tmp_path / "my nb.ipynb").write_text(json.dumps(notebook))
    (tmp_path / "x.csv").write_text("x")
    (tmp_path / "requirements.txt").write_text("pandas==2.2.3\n")
    done = cookiecutter(tmp_path, notebook="my nb.ipynb", environment_file="requirements.txt")
    assert (done.returncode, done.stderr) == (0, "")
    before, after = files_of(bake()), files_of(tmp_path / "my-aml-project")
    assert sorted(after.keys() - before.keys()) == [
        *("data/model1/x.csv", "models/model1/tests/test_notebook.py", "notebooks/my nb.ipynb")
    ]
    assert sorted(before.keys() - after.keys()) == ["data/model1/customers.csv"]
    changed = {name for name in before.keys() & after.keys() if before[name] != after[name]}
    config = "models/model1/aml_config"
    made = {"models/model1/train.py", f"{config}/train-conda.yml", f"{config}/inference-conda.yml", "pyproject.toml"}
    assert changed - {".cookiecutter.json", "models/model1/.answers.json"} == made
    skipped = tomli.loads(after["pyproject.toml"].decode())["tool"]["cruft"]["skip"]
    assert skipped == ["models/model1/train.py", "models/model1/tests/test_notebook.py"]


def test_nothing_is_started_when_nothing_is_given(tmp_path: Path) -> None:
    """The hooks alone run in processes of their own, and import no subprocess."""
    log = tmp_path / "log"
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        "import os, sys\n"
        "leave = os._exit\n"
        "def told(code):\n"
        "    seen = {'subprocess', 'pathlib', 'json', 'importlib.util'} & set(sys.modules)\n"
        f"    open({str(log)!r}, 'a').write(f'{{os.path.basename(sys.argv[0])}} {{sorted(seen)}}\\n')\n"
        "    leave(code)\n"
        "os._exit = told\n"  # which is how a hook ends
    )
    done = subprocess.run(
        [str(BIN / "cookiecutter"), "--no-input", str(TEMPLATE)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(site)},
        capture_output=True,
    )
    assert done.returncode == 0
    started = log.read_text().splitlines()
    assert len(started) == 2, started
    assert all("subprocess" not in line and "pathlib" not in line for line in started), started
