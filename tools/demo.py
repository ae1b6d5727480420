"""Show what the template gives: render the default project, install, train and serve it, and send it a request.

make demo
"""

import argparse
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

TEMPLATE = Path(__file__).resolve().parents[1]


def main() -> int:
    parser = argparse.ArgumentParser(description="Render, train and serve the default project; send it a request.")
    parser.add_argument("--folder", type=Path, default=TEMPLATE / "demo", help="where (default: %(default)s)")
    folder = parser.parse_args().folder.resolve()
    project = folder / "my-aml-project"
    try:
        render(folder, project)
        step("2/4  Installing and training: make setup train")
        run("make", "setup", "train", cwd=project)
        answer = serve_and_ask(project)
    except subprocess.CalledProcessError as error:
        print(f"ERROR: this failed: {' '.join(map(str, error.cmd))}", file=sys.stderr)
        return 1
    model = project / "models" / "model1"
    metrics = json.loads((model / "outputs" / "metrics.json").read_text(encoding="utf-8"))
    print("\nMetrics on the rows held out:")
    for name, value in metrics.items():
        print(f"  {name:<16} {value:.3f}")
    print(f"\nThe model's answer to {(model / 'sample-request.json').relative_to(project)}:\n{answer}")
    print(f"Next: cd {os.path.relpath(project)}, read README.md, edit {(model / 'train.py').relative_to(project)}")
    return 0


def render(folder: Path, project: Path) -> None:
    """Render the default answers, on the Python at hand if it is one that the template offers."""
    step(f"1/4  Rendering {os.path.relpath(project)}: cookiecutter --no-input")
    offered = json.loads((TEMPLATE / "cookiecutter.json").read_text(encoding="utf-8"))["python_version"]
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    python = here if here in offered else offered[0]
    if project.exists():
        shutil.rmtree(project)  # our own, of an earlier demo
    cookiecutter = Path(sys.executable).with_name("cookiecutter")
    run(
        cookiecutter, "--no-input", "--default-config", "-o", folder, TEMPLATE, f"python_version={python}", cwd=TEMPLATE
    )


def serve_and_ask(project: Path) -> str:
    """Start the inference server, send it the sample, stop it; return the answer."""
    step("3/4  Serving it: make serve")
    port, log = free_port(), project / "models" / "model1" / "outputs" / "serve.log"
    with log.open("w") as output:
        server = subprocess.Popen(
            ["make", "serve", f"PORT={port}"],
            cwd=project,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        for _ in range(240):
            if server.poll() is not None:
                print(log.read_text(), file=sys.stderr)
                raise subprocess.CalledProcessError(server.returncode, server.args)
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).close()
                break
            except OSError:
                time.sleep(0.25)
        step("4/4  Asking it: make request")
        done = subprocess.run(
            ["make", "--silent", "request", f"PORT={port}"], cwd=project, check=True, stdout=subprocess.PIPE, text=True
        )
    finally:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(timeout=30)
    return re.sub(r"^", "  ", done.stdout.strip(), flags=re.MULTILINE)


def step(what: str) -> None:
    print(f"\n=== {what}", flush=True)


def run(*command: str | Path, cwd: Path) -> None:
    subprocess.run(command, cwd=cwd, check=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
