"""Show the whole way: render the default project, train and serve it here, then submit and register it in a rehearsal.

make demo
"""

import argparse
import contextlib
import json
import os
import queue
import re
import shlex
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TEMPLATE = Path(__file__).resolve().parents[1]
NAMES = "--subscription-id 12345678-1234-1234-1234-123456789abc --resource-group my-group --workspace-name my-workspace"
# The rendered README's section 3. Attaching needs no workspace; the rest runs in a rehearsal of it.
ATTACH = f'make attach ARGS="{NAMES}"'
IN_REHEARSAL = {
    "make attach ARGS=--check": "Asking the workspace, a rehearsal on this computer",
    "make dataset": "Uploading and registering the data",
    "make compute": "Making the cluster",
    "make check": "Checking what would be sent",
    'make submit ARGS="-c train-local"': "Training here, tracked in the workspace",
    "make submit": "Training on the cluster",
    'make register ARGS="--min accuracy=0.7 --better-than-current accuracy"': "Registering the model",
}
STEPS = 5 + len(IN_REHEARSAL)
BEAT = 10  # seconds of silence before a sign of life
SERVER_STARTS_IN = 120  # seconds, on a computer that is busy
ENDS_IN = 20  # seconds that a command gets to end by itself
# The installers' lists of packages; the Studio's addresses, where a rehearsal's runs are not.
NOISE = re.compile(r" [-+~] \S+==|.*https://\S+\.azureml\.ms/")


def main() -> int:
    parser = argparse.ArgumentParser(description="Render, train, serve, submit and register the default project.")
    parser.add_argument("--folder", type=Path, default=TEMPLATE / "demo", help="where (default: %(default)s)")
    folder = parser.parse_args().folder.resolve()
    project = folder / "my-aml-project"
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))  # in order: what was started is ended
    try:
        render(folder, project)
        install_and_train(project)
        answer = serve_and_ask(project)
        print(f"\nThe model's answer to models/model1/sample-request.json:\n{indented(answer)}")
        print(heading(5, "Naming the workspace", ATTACH), flush=True)
        run("sh", "-c", ATTACH, cwd=project)
        rehearse(project)
    except subprocess.CalledProcessError as error:
        print(f"ERROR: the step above failed: exit code {error.returncode}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; what was started is ended.", file=sys.stderr)
        return 130
    print(f"\n{registered(project)}\n\n{what_next(project)}")
    return 0


def render(folder: Path, project: Path) -> None:
    """Render the default answers, on the Python at hand if it is one that the template offers."""
    print(heading(1, f"Rendering {os.path.relpath(project)}", "cookiecutter --no-input"), flush=True)
    offered = json.loads((TEMPLATE / "cookiecutter.json").read_text(encoding="utf-8"))["python_version"]
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    python = here if here in offered else offered[0]
    if project.exists():
        shutil.rmtree(project)  # our own, of an earlier demo
    cookiecutter = Path(sys.executable).with_name("cookiecutter")
    run(
        cookiecutter, "--no-input", "--default-config", "-o", folder, TEMPLATE, f"python_version={python}", cwd=TEMPLATE
    )


def install_and_train(project: Path) -> None:
    print(heading(2, "Installing and training", "make setup train"), flush=True)
    run("make", "setup", "train", cwd=project)


def serve_and_ask(project: Path) -> str:
    """Start the inference server, send it the sample, stop it; return the answer."""
    print(heading(3, "Serving it", "make serve"), flush=True)
    port, log = free_port(), project / "models" / "model1" / "outputs" / "serve.log"
    with log.open("w") as output, started("make", "serve", f"PORT={port}", cwd=project, output=output) as server:
        over = time.monotonic() + SERVER_STARTS_IN
        while not answers(port):
            if server.poll() is not None or time.monotonic() > over:
                print(log.read_text(), file=sys.stderr)
                raise subprocess.CalledProcessError(server.returncode or 1, server.args)
            time.sleep(0.25)
        print(heading(4, "Asking it", "make request"), flush=True)
        command = ["make", "--silent", "request", f"PORT={port}"]
        done = subprocess.run(command, cwd=project, check=True, stdout=subprocess.PIPE, text=True, env=own_variables())
    return done.stdout.strip()


def answers(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).close()
    except OSError:
        return False
    return True


def rehearse(project: Path) -> None:
    """Walk the way to a registered model, in one rehearsal, as in its shell."""
    script = ["set -e"]
    for number, (command, what) in enumerate(IN_REHEARSAL.items(), 6):
        script += [f"printf '%s\\n' {shlex.quote(heading(number, what, command))}", command]
    print("\nStarting the rehearsal: make rehearse", flush=True)
    run("make", "rehearse", f"CMD={'; '.join(script)}", cwd=project)


def registered(project: Path) -> str:
    """Describe the model that the workspace holds now."""
    with contextlib.closing(sqlite3.connect(project / ".rehearsal" / "state.db")) as kept:
        ((text,),) = kept.execute("SELECT text FROM models")
    model = json.loads(text)
    metrics = "\n".join(f"  {name:<16} {float(value):.3f}" for name, value in sorted(model["kvTags"].items()))
    return f"Registered: {model['name']}, version {model['version']}, of the run {model['runId']}\n{metrics}"


def what_next(project: Path) -> str:
    return f"""Next: cd {shlex.quote(os.path.relpath(project))}
  README.md                   explains each of these commands
  make rehearse               opens a shell with the same workspace; its page shows the runs and the model
  models/model1/train.py      is what you edit; then make train, or make submit
  make attach ARGS="…"        with the names of your own workspace: then the same commands work there"""


def heading(number: int, what: str, command: str) -> str:
    return f"\n=== {number}/{STEPS}  {what}: {command}"


def run(*command: str | Path, cwd: Path) -> None:
    """Run a command; show what it says but for the noise, and signs of life when it says nothing."""
    with started(*command, cwd=cwd, output=subprocess.PIPE) as process:
        begun = time.monotonic()
        lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threading.Thread(target=read_lines, args=(process, lines), daemon=True).start()
        while True:
            try:
                line = lines.get(timeout=BEAT)
            except queue.Empty:
                print(f"  … {time.monotonic() - begun:.0f} s", flush=True)
                continue
            if line is None:
                break
            if not NOISE.match(line):
                print(line, end="", flush=True)
        if process.wait():
            raise subprocess.CalledProcessError(process.returncode, process.args)


def read_lines(process: "subprocess.Popen[str]", lines: "queue.SimpleQueue[str | None]") -> None:
    assert process.stdout
    for line in process.stdout:
        lines.put(line)
    lines.put(None)


@contextlib.contextmanager
def started(*command: str | Path, cwd: Path, output: Any) -> "Iterator[subprocess.Popen[str]]":
    """A command in a process group of its own, which ends with the block, whatever ends that."""
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=own_variables(),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )
    try:
        yield process
    finally:
        impatient = signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not leave something behind
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            if process.poll() is None:
                os.killpg(process.pid, number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=ENDS_IN)
        signal.signal(signal.SIGINT, impatient)


def own_variables() -> dict[str, str]:
    """The environment without what the make that runs this has told its children."""
    return {name: text for name, text in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}


def indented(text: str) -> str:
    return re.sub(r"^", "  ", text, flags=re.MULTILINE)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
