"""The first lines of the package's README are true."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def test_the_example_prints_what_it_says(client_python: Path, tmp_path: Path) -> None:
    code, said = re.findall(
        r"^```(?:python)?\n(.*?)^```$", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )[1:3]
    (tmp_path / "try.py").write_text(code)
    _, introduction, answer = said.splitlines()
    command = [sys.executable, "-m", "aml_rehearsal.command", "shell", "--", str(client_python), "try.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100)
    first, last = done.stdout.splitlines()
    assert first.rpartition(":")[0] == introduction.rpartition(":")[0], done.stderr
    assert last == answer


def test_it_names_pages_that_are_there() -> None:
    places = re.findall(r"\]\(([^)#:]+)\)", README.read_text(encoding="utf-8"))
    assert len(places) >= 3 and all((README.parent / place).is_file() for place in places)
    assert shutil.which("aml-rehearsal", path=str(Path(sys.executable).parent))
