"""`make demo` from a clean clone, with nothing but python3, git and make."""

import os
import re
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support import TEMPLATE, log, run, shown_commands

MORE_THAN_NEEDED = ("node", "npm", "npx", "az", "docker", "podman", "uv", "uvx", "cookiecutter")
LONGEST_SILENCE = 120  # seconds: generous, because others may use the machine
PATIENCE = 1200  # seconds until a demo that does not end is ended
# The demo with some lines in its rehearsal, in the project of an earlier one, whose workspace holds what that has made.
AGAIN = """
import sys
sys.path.insert(0, "tools")
import demo
demo.render = demo.install_and_train = demo.serve_and_ask = lambda *args: ""
demo.IN_REHEARSAL = dict.fromkeys(sys.argv[1:], "Once more")
del sys.argv[1:]
sys.exit(demo.main())
"""


class Demo(NamedTuple):
    """A clone, the environment of a machine that has little, and what the demo has said there."""

    clone: Path
    env: dict[str, str]
    lines: list[str]
    silence: float

    @property
    def project(self) -> Path:
        return self.clone / "demo" / "my-aml-project"

    def again(self, *lines: str) -> "subprocess.Popen[str]":
        return start(self.clone, self.env, ".venv/bin/python", "-c", AGAIN, *lines)


def start(clone: Path, env: dict[str, str], *command: str) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        command, cwd=clone, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    watchdog = threading.Timer(PATIENCE, process.kill)
    watchdog.daemon = True
    watchdog.start()
    return process


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    folder = tmp_path_factory.mktemp("demo")
    clone = folder / "a clone"
    run("git", "clone", "--quiet", TEMPLATE, clone, cwd=folder)
    env = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    env["PATH"] = bare_path(folder / "bin")
    assert not [tool for tool in MORE_THAN_NEEDED if shutil.which(tool, path=env["PATH"])]
    started = last = time.monotonic()
    silence, lines = 0.0, []
    process = start(clone, env, "make", "demo")
    assert process.stdout
    for line in process.stdout:
        now = time.monotonic()
        silence, last = max(silence, now - last), now
        lines.append(line.rstrip())
        log.info("  %s", line.rstrip())
    assert process.wait() == 0
    log.info("  demo: %.0f s, longest silence %.0f s", time.monotonic() - started, silence)
    return Demo(clone, env, lines, silence)


def bare_path(folder: Path) -> str:
    """The PATH without the tools that not every machine has."""
    bare = []
    for number, place in enumerate(os.environ["PATH"].split(os.pathsep)):
        if ".venv" in place or not Path(place).is_dir():
            continue
        if not any((Path(place) / tool).exists() for tool in MORE_THAN_NEEDED):
            bare.append(place)
            continue
        others = folder / str(number)
        others.mkdir(parents=True)
        for tool in Path(place).iterdir():
            if tool.name not in MORE_THAN_NEEDED:
                (others / tool.name).symlink_to(tool)
        bare.append(str(others))
    return os.pathsep.join(bare)


def left_over(clone: Path) -> list[str]:
    """The processes that were started from a clone and still run, once a run has heard that its workspace is gone."""
    over = time.monotonic() + 30
    while (found := processes_of(clone)) and time.monotonic() < over:
        time.sleep(0.2)
    return found


def processes_of(clone: Path) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it has ended meanwhile
        if str(clone) in command:
            found.append(command)
    return found


def test_it_walks_the_whole_way(demo: Demo) -> None:
    said = "\n".join(demo.lines)
    steps = [re.match(r"=== (\d+)/(\d+)  [^:]+: (.+)", line) for line in demo.lines if line.startswith("===")]
    assert [(int(step[1]), int(step[2])) for step in steps if step] == [(number, 12) for number in range(1, 13)]
    commands = [step[3] for step in steps if step]
    (shown, _) = shown_commands(demo.project / "README.md")["3. Train in Azure ML"]
    assert commands[5:] == [line for line in shown[1:] if line != "az login"]
    assert commands[4].startswith("make attach ARGS=")
    assert re.search(r'"label": "(yes|no)"', said)
    registered = said.split("\nRegistered: ")[1]
    run_id = re.match(r"model1, version 1, of the run (model1_\w+)\n", registered)
    assert run_id and f"Run {run_id[1]} in experiment model1" in said
    accuracy = re.search(r"accuracy +(0\.\d{3})", registered)
    assert accuracy and float(accuracy[1]) > 0.74
    assert "Next: cd demo/my-aml-project" in said


def test_it_is_calm(demo: Demo) -> None:
    assert demo.silence < LONGEST_SILENCE
    own = demo.lines[next(number for number, line in enumerate(demo.lines) if line.startswith("===")) :]
    # Signs of life, and what has to be fetched: how many of them, is the machine's affair.
    lasting = [line for line in own if re.search(r"(:|…) \d+ s$|^\s*(Downloading|Downloaded|Building|Built) ", line)]
    assert len(own) - len(lasting) < 130, "the lists of the installers are left out:\n" + "\n".join(own)
    assert not [line for line in own if "Traceback" in line or line.startswith(("WARNING:root", " + "))]


def test_it_ends_what_it_has_started(demo: Demo) -> None:
    assert left_over(demo.clone) == []
    process = demo.again('make submit ARGS="-c train-local"')
    assert process.stdout
    for line in process.stdout:
        if line.startswith("Run "):
            process.send_signal(signal.SIGINT)
            break
    rest, _ = process.communicate(timeout=120)
    assert process.returncode == 130, rest
    assert "Interrupted; what was started is ended." in rest
    assert "Registered: " not in rest
    assert left_over(demo.clone) == []


def test_it_says_that_a_step_failed(demo: Demo) -> None:
    runconfig = demo.project / "models" / "model1" / "aml_config" / "train-local.runconfig"
    runconfig.write_text(f"nodecount: 1\n{runconfig.read_text()}")
    process = demo.again("make check", "make submit")
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 1, said
    assert [line[4:8] for line in said.splitlines() if line.startswith("===")][-1] == "6/12"
    assert re.search(r"ERROR: the step above failed: exit code \d+\n$", said)
    assert left_over(demo.clone) == []
