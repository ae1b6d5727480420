"""What the tests share: the template's places, renders, and commands that show that they are alive."""

import json
import logging
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from cookiecutter.prompt import prompt_for_config
from cookiecutter.utils import create_env_with_context
from jinja2 import FileSystemLoader

TEMPLATE = Path(__file__).resolve().parents[1]
PROJECT = TEMPLATE / "{{cookiecutter.project_slug}}"
MODEL = PROJECT / "models" / "{{cookiecutter.model_name}}"
FRAMEWORK_FOLDERS = TEMPLATE / "templates" / "frameworks"
QUESTIONS: dict[str, Any] = json.loads((TEMPLATE / "cookiecutter.json").read_text(encoding="utf-8"))
FRAMEWORKS: list[str] = QUESTIONS["framework"]
# What a command prints while it waits: seconds, on a busy machine also where it usually need not wait.
SIGN_OF_LIFE = re.compile(r"^(Connecting to|Registering|Cluster|Comparing|Getting) .*: \d+ s\n", re.MULTILINE)
# The workspace that a project is rendered for, where a test needs one.
WORKSPACE = {
    "subscription_id": "12345678-1234-1234-1234-123456789abc",
    "resource_group": "my-group",
    "workspace_name": "my-workspace",
}
PYTHONS: list[str] = QUESTIONS["python_version"]
BIN = Path(sys.executable).parent
# A project that is installed takes the Python at hand if it is offered: another one may have to be fetched first.
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
PYTHON = HERE if HERE in PYTHONS else PYTHONS[0]

SERVER_STARTS_IN = 120  # seconds, on a machine that is busy

log = logging.getLogger("progress")


def answer(text: str) -> str:
    """Write a text so that cookiecutter, which renders answers that are not typed in, takes it as it is."""
    return "{{ '" + text.encode("unicode_escape").decode("ascii").replace("'", "\\'") + "' }}" if text else ""


def cookiecutter(folder: Path, *args: str, **answers: str) -> subprocess.CompletedProcess[str]:
    """Run the cookiecutter command in a folder, as a user does."""
    command = [str(BIN / "cookiecutter"), "--no-input", *args, str(TEMPLATE)]
    command += [f"{question}={text}" for question, text in answers.items()]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def rendered(folder: Path, *args: str, **answers: str) -> Path:
    """Render a project in a folder and return where it lies."""
    before = set(folder.iterdir())
    done = cookiecutter(folder, *args, **answers)
    assert done.returncode == 0, done.stderr
    new = set(folder.iterdir()) - before
    return new.pop() if new else folder / answers.get("project_slug", "my-aml-project")


def derived(**given: str) -> dict[str, str]:
    """All answers, as cookiecutter derives from those that are given what the others are."""
    return dict(derived_from(tuple(given.items())))


@cache
def derived_from(given_answers: tuple[tuple[str, str], ...]) -> dict[str, str]:
    given = dict(given_answers)
    context = {question: text for question, text in QUESTIONS.items() if question != "__prompts__"}
    context |= {question: [text] if isinstance(context[question], list) else text for question, text in given.items()}
    answers = prompt_for_config({"cookiecutter": context}, no_input=True)
    return {question: text for question, text in answers.items() if isinstance(text, str)}


def rendered_file(file: Path, **given: str) -> str:
    """The text of one file of a render: quicker than all of them, where many answers are to be tried."""
    environment = create_env_with_context({"cookiecutter": QUESTIONS})
    environment.loader = FileSystemLoader(TEMPLATE / "templates")
    template = environment.from_string(file.read_text(encoding="utf-8"))
    return str(template.render(cookiecutter=derived(**given)))


def files_of(project: Path) -> dict[str, bytes]:
    """All files below a folder, by their names."""
    return {
        path.relative_to(project).as_posix(): path.read_bytes() for path in sorted(project.rglob("*")) if path.is_file()
    }


def shown_commands(page: Path) -> dict[str, list[list[str]]]:
    """The lines of a page's code blocks without their comments: a list for each block, under the heading above it."""
    blocks: dict[str, list[list[str]]] = {}
    for section in re.split(r"^## ", page.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        heading, _, text = section.partition("\n")
        found = re.findall(r"^```\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
        blocks[heading] = [[re.split(r"\s+# ", line)[0] for line in block.splitlines()] for block in found]
    return blocks


def copy_of(project: Path, folder: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(project, folder / project.name, symlinks=True))


@contextmanager
def heartbeat(what: str) -> Iterator[None]:
    """Say what starts, every 15 seconds that it still runs, and how long it took."""
    started, over = time.monotonic(), threading.Event()

    def beat() -> None:
        while not over.wait(15):
            log.info("  … %s: %.0f s", what, time.monotonic() - started)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        log.info("  %s: %.1f s", what, time.monotonic() - started)


def run(*command: str | Path, cwd: Path, expect: int = 0, **env: str) -> str:
    """Run a command with signs of life; return what it printed, on both channels."""
    with heartbeat(" ".join(Path(part).name if os.sep in str(part) else str(part) for part in command)[:100]):
        done = subprocess.run(
            [str(part) for part in command],
            cwd=cwd,
            env=os.environ | env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    assert done.returncode == expect, f"exit {done.returncode} instead of {expect}:\n{done.stdout[-8000:]}"
    return done.stdout


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def served(project: Path, log: Path, command: list[str | Path], **env: str) -> Iterator[str]:
    """Start a server on a {port}, which is $PORT as well, wait until it answers, end it as Ctrl-C does."""
    port = free_port()
    command = [str(part).replace("{port}", str(port)) for part in command]
    variables = os.environ | {"PORT": str(port)} | env
    with log.open("w") as output:
        server = subprocess.Popen(
            command, cwd=project, env=variables, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    url = f"http://127.0.0.1:{port}"
    try:
        over = time.monotonic() + SERVER_STARTS_IN
        while not answers(url):
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < over, f"no answer in {SERVER_STARTS_IN} s:\n{log.read_text()}"
            time.sleep(0.25)
        yield url
    finally:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGINT)
            server.wait(timeout=30)


def answers(url: str) -> bool:
    """Whether somebody does, whatever it is."""
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True
