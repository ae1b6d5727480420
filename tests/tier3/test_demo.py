"""`make demo` from a clean clone, with nothing but python3, git and make."""

import os
import re
import subprocess
import time
from pathlib import Path

from tests.support import TEMPLATE, log, run


def test_demo(tmp_path: Path) -> None:
    clone = tmp_path / "a clone"
    run("git", "clone", "--quiet", TEMPLATE, clone, cwd=tmp_path)
    # Of the tools on this machine only those count that every machine has.
    path = os.pathsep.join(folder for folder in os.environ["PATH"].split(os.pathsep) if ".venv" not in folder)
    env = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    started = last = time.monotonic()
    silence, lines = 0.0, []
    process = subprocess.Popen(
        ["make", "demo"],
        cwd=clone,
        env=env | {"PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout
    for line in process.stdout:
        now = time.monotonic()
        silence, last = max(silence, now - last), now
        lines.append(line)
        log.info("  %s", line.rstrip())
    assert process.wait() == 0
    said = "".join(lines)
    log.info("  demo: %.0f s, longest silence %.0f s", time.monotonic() - started, silence)
    assert re.search(r"accuracy +0\.\d{3}", said)
    assert re.search(r'"label": "(yes|no)"', said)
    assert "Next: cd demo/my-aml-project" in said
    assert (clone / "demo" / "my-aml-project" / "models" / "model1" / "outputs" / "metrics.json").exists()
