"""The command: aml-rehearsal shell, or aml-rehearsal serve."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aml_rehearsal import Names, Rehearsal

EXAMPLES = """examples:
  aml-rehearsal shell                          a shell in which the client finds the rehearsal; exit ends it
  aml-rehearsal shell -- make submit register  one command instead of the shell; its exit code is ours
  aml-rehearsal serve --port 8801              no shell: prints the variables for another terminal; Ctrl-C ends it
"""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="aml-rehearsal",
        description="A workspace of Azure Machine Learning on this computer: the real client, no account.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=["shell", "serve"], help="open a shell, or only serve")
    parser.add_argument("--project", type=Path, default=Path(), help="the project to rehearse (default: this folder)")
    parser.add_argument("--folder", type=Path, help="where it is kept (default: PROJECT/.rehearsal)")
    parser.add_argument("--port", type=port, default=0, help="of the page (default: a free one)")
    parser.add_argument("--fresh", action="store_true", help="forget the runs and models of earlier rehearsals")
    own, command = split(sys.argv[1:] if argv is None else argv)
    args = parser.parse_args(own)
    if command and args.what == "serve":
        parser.error("a command belongs to shell, not to serve")
    if not any(args.project.glob("models/*/aml_config")):
        print(
            f"ERROR: {args.project.resolve()}: no models/*/aml_config here: --project names the project",
            file=sys.stderr,
        )
        return 2
    return rehearse(args, command)


def port(text: str) -> int:
    if not (text.isdecimal() and int(text) < 65536):
        raise argparse.ArgumentTypeError(f"a number from 0 to 65535, not {text}")
    return int(text)


def split(argv: list[str]) -> tuple[list[str], list[str]]:
    """What is ours, and what follows --."""
    if "--" not in argv:
        return argv, []
    at = argv.index("--")
    return argv[:at], argv[at + 1 :]


def rehearse(args: argparse.Namespace, command: list[str]) -> int:
    from aml_rehearsal import Rehearsal, seed
    from aml_rehearsal.state import Unavailable

    folder = args.folder or args.project / ".rehearsal"
    try:
        names = seed.read(args.project).names
        rehearsal = Rehearsal(folder, names=names, port=args.port, internet=True, fresh=args.fresh)
    except (Unavailable, OSError) as error:
        print(f"ERROR: the rehearsal can't start: {error}", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        print("Interrupted before it had started.", file=sys.stderr)
        return 130
    with rehearsal:
        print(
            f"The workspace {names.workspace_name} in {names.resource_group} is a rehearsal. Its page: {rehearsal.url}"
        )
        if not command:
            for line in next_steps(rehearsal, args.project):
                print(f"  {line}")
        sys.stdout.flush()
        if args.what == "serve":
            return serve(rehearsal.variables())
        return shell(rehearsal.environment(), args.project, command)


def serve(variables: dict[str, str]) -> int:
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):  # before it is said that Ctrl-C ends it
        signal.signal(number, lambda *_: over.set())
    print("In the other terminal:")
    for name, text in variables.items():
        print(f"export {name}={shlex.quote(text)}")
    print("Ctrl-C ends it.", flush=True)
    while not over.wait(1):
        pass
    return 0


def next_steps(rehearsal: Rehearsal, project: Path) -> list[str]:
    """What the project is still to do before its runs can start: nothing, or a line for each step."""
    from aml_rehearsal import seed

    wishes, tables = seed.read(project), rehearsal.workspace.state.tables
    steps = [] if (project / ".azureml").exists() else [attach(wishes.names)]
    with rehearsal.workspace.state.lock:
        missing = ["dataset"] if wishes.datasets.keys() - tables.datasets.keys() else []
        missing += ["compute"] if wishes.clusters.keys() - tables.computes.keys() else []
    steps += [f"make {' '.join(missing)}"] if missing else []
    return [f"{word}: {step}" for word, step in zip(("first", "then"), steps, strict=False)]


def attach(names: Names) -> str:
    """The command that attaches the project."""
    options = [part for option, text in vars(names).items() for part in (f"--{option.replace('_', '-')}", text)]
    return f"make attach ARGS={shlex.quote(shlex.join(options))}"


def shell(environment: dict[str, str], project: Path, command: list[str]) -> int:
    """Run the command, or a shell, among the variables that lead the client here."""
    interactive = not command
    if interactive:
        command = [os.environ.get("SHELL") or "/bin/sh"]
        if Path(command[0]).name == "bash" and sys.stdin.isatty():
            rc = Path(environment["HOME"]) / ".bashrc"
            rc.write_text("PS1='(rehearsal) \\w \\$ '\n")
        print('You are logged in. Type "exit" to end the rehearsal.', flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the rehearsal ends in order
    signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl-C is for what runs in the shell, which does not inherit this
    try:
        code = subprocess.run(command, cwd=project, env=environment).returncode
    except OSError as error:
        print(f"ERROR: {command[0]}: {error.strerror}", file=sys.stderr)
        return 2
    if interactive:
        return 0  # what failed in the shell is no failure of the rehearsal
    return code if code >= 0 else 128 - code  # as a shell says that a signal has ended it


if __name__ == "__main__":
    sys.exit(main())
