"""A program of a model's environment, run in the place of the command that was called."""

import signal
import subprocess
import sys

CALLER = """
import sys
from pathlib import Path
from aml_project.model_environment import hand_over

sys.exit(hand_over([sys.executable, "-c", sys.argv[1]], cwd=Path.cwd()))
"""
LASTING = "import os, signal; print(os.getpid(), flush=True); signal.pause()"


def call(program: str) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", CALLER, program], stdout=subprocess.PIPE, text=True)


def test_its_exit_code_is_the_commands() -> None:
    assert call("raise SystemExit(3)").wait() == 3


def test_what_ends_the_command_ends_the_program() -> None:
    """As `kill`, or what runs a container, does it: without that, a server would keep its port."""
    process = call(LASTING)
    assert process.stdout
    pid = int(process.stdout.readline())
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 128 + signal.SIGTERM
    assert process.stdout.read() == "", "the program had its end of the pipe until it ended"
    assert subprocess.run(["kill", "-0", str(pid)], capture_output=True).returncode
