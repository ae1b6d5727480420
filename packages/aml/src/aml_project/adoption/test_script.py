"""train.py starts: the cheapest thing that a run on the cluster could fail at."""

import py_compile
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[1] / "train.py"


def test_it_compiles(tmp_path: Path) -> None:
    py_compile.compile(str(SCRIPT), cfile=str(tmp_path / "train.pyc"), doraise=True)


def test_it_finds_all_that_it_imports_and_names_its_arguments(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), "--help"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--help" in done.stdout
