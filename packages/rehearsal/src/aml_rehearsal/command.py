"""The command: aml-rehearsal shell or serve, in any folder; status and stop for one that serves."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aml_rehearsal.addresses import LOOPBACK, Names, numeric

if TYPE_CHECKING:
    from aml_rehearsal import Rehearsal

EXAMPLES = """examples:
  aml-rehearsal shell                          a shell in which the client finds the rehearsal; exit ends it
  aml-rehearsal shell -- make submit register  one command instead of the shell; its exit code is ours
  aml-rehearsal serve --port 8801              no shell: prints the variables for another terminal; Ctrl-C ends it
  eval "$(aml-rehearsal serve --detach)"       in the background, and this terminal's client finds it
  eval "$(aml-rehearsal status)"               the same for another terminal; it says whether one runs here
  aml-rehearsal stop                           ends the one that runs here
"""
URL = "what clients on other computers call it, with --host (default: AML_REHEARSAL_URL, else http://localhost:PORT)"
WORKSPACE = "SUBSCRIPTION/GROUP/NAME (default: AML_REHEARSAL_WORKSPACE, else those of the folder's config.json)"
COMMANDS = ("shell", "serve", "status", "stop")
SECONDS = 60  # that one in the background may take to end


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="aml-rehearsal",
        description="A workspace of Azure Machine Learning on this computer: the real client, no account.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "what",
        choices=COMMANDS,
        metavar=f"{{{','.join(COMMANDS)}}}",  # what is missing, where none is given
        help="open a shell, or only serve; say whether one runs, or end it",
    )
    parser.add_argument("--project", type=Path, default=Path(), help="the folder to rehearse (default: this one)")
    parser.add_argument("--folder", type=Path, help="where it is kept (default: PROJECT/.rehearsal)")
    parser.add_argument("--port", type=port, default=0, help="of the page (default: a free one)")
    parser.add_argument(
        "--host", type=host, default=LOOPBACK, help="where serve listens, as 0.0.0.0 (default: for this computer alone)"
    )
    parser.add_argument("--url", default=os.environ.get("AML_REHEARSAL_URL", ""), help=URL)
    parser.add_argument("--workspace", type=names_of, default=os.environ.get("AML_REHEARSAL_WORKSPACE"), help=WORKSPACE)
    parser.add_argument("--detach", action="store_true", help="serve in the background: stop ends it")
    parser.add_argument("--fresh", action="store_true", help="forget the runs and models of earlier rehearsals")
    parser.add_argument("--version", action="version", version=f"aml-rehearsal {metadata.version('aml-rehearsal')}")
    own, command = split(sys.argv[1:] if argv is None else argv)
    args = parser.parse_args(own)
    if command and args.what != "shell":
        parser.error(f"a command belongs to shell, not to {args.what}")
    if args.detach and args.what != "serve":
        parser.error(f"--detach belongs to serve, not to {args.what}")
    if args.host != LOOPBACK and args.what != "serve":
        parser.error(f"--host belongs to serve, not to {args.what}")
    if not args.project.is_dir():
        print(f"ERROR: {args.project}: no such folder", file=sys.stderr)
        return 2
    args.folder = args.folder or args.project / ".rehearsal"
    if args.what == "status":
        return status(args.folder)
    if args.what == "stop":
        return stop(args.folder)
    if args.host != LOOPBACK and not args.detach:
        print(f"WARNING: whoever reaches {args.host} can run code on this computer, as its user.", file=sys.stderr)
    return detach(args.folder, own) if args.detach else rehearse(args, command)


def host(text: str) -> str:
    if not numeric(text) or ":" in text:
        raise argparse.ArgumentTypeError(f"an address of this computer, or 0.0.0.0 for all of them, not {text}")
    return text


def names_of(text: str) -> Names:
    parts = [part for part in text.split("/") if part]
    if len(parts) != 3:
        raise argparse.ArgumentTypeError(f"SUBSCRIPTION/GROUP/NAME, not {text}")
    return Names(*parts)


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
    from aml_rehearsal.state import Unavailable

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what has started ends in order
    try:
        from aml_rehearsal import Rehearsal, seed

        wishes = seed.read(args.project)
        names = args.workspace or wishes.names
        for file in wishes.nameless if not args.workspace else ():
            print(f"WARNING: {file} names no workspace, as the client will say, too.", file=sys.stderr)
        where = {"port": args.port, "host": args.host, "outside": args.url}
        rehearsal = Rehearsal(args.folder, names=names, internet=True, fresh=args.fresh, **where)
    except Unavailable as error:
        return failed(str(error))
    except OSError as error:
        return failed(unusable(error))
    except KeyboardInterrupt:
        print("Interrupted before it had started.", file=sys.stderr)
        return 130
    with rehearsal, noted(rehearsal):
        print(introduction(names, rehearsal.workspace.entrance.outside))
        if not command:
            for line in next_steps(rehearsal, args.project):
                print(f"  {line}")
        sys.stdout.flush()
        if args.what == "serve":
            return serve(rehearsal)
        return shell(rehearsal.environment(), args.project, command)


def failed(why: str) -> int:
    print(f"ERROR: the rehearsal can't start: {why}", file=sys.stderr)
    return 3


def unusable(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}; --folder names another place" if error.filename else str(error)


def introduction(names: Names, url: str) -> str:
    return f"The workspace {names.workspace_name} in {names.resource_group} is a rehearsal. Its page: {url}"


@contextmanager
def noted(rehearsal: Rehearsal) -> Iterator[None]:
    """Leave a note in the folder while it runs; git is to see nothing of the folder."""
    from aml_rehearsal.state import NOTE

    ignored = rehearsal.folder / ".gitignore"
    if not ignored.exists():
        ignored.write_text("*\n")
    note = rehearsal.folder / NOTE
    said = introduction(rehearsal.workspace.names, rehearsal.url)
    text = json.dumps({"pid": os.getpid(), "said": said, "variables": rehearsal.variables()})
    partial = note.with_suffix(".partial")
    partial.touch(mode=0o600)  # it holds the password of the login
    partial.write_text(text)
    partial.replace(note)
    try:
        yield
    finally:
        note.unlink(missing_ok=True)


def running(folder: Path) -> dict[str, Any] | None:
    """The note of what runs in a folder; None where nothing does, whatever was left there."""
    from aml_rehearsal.state import NOTE, held

    try:
        note = dict(json.loads((folder / NOTE).read_text()))
        return note if held(folder) else None  # asked last: to ask takes the folder for a moment
    except (OSError, ValueError):
        return None  # it is just starting, or ending


def detach(folder: Path, own: list[str]) -> int:
    """Start the same in the background, and wait until it is there."""
    log = folder / "serve.log"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        log.touch()
    except OSError as error:
        return failed(unusable(error))
    if running(folder):
        print(f"ERROR: {folder}: a rehearsal is running here already; aml-rehearsal stop ends it", file=sys.stderr)
        return 3
    with log.open("w") as file:
        started = subprocess.Popen(
            [sys.executable, "-m", "aml_rehearsal.command", *(word for word in own if word != "--detach")],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    while started.poll() is None:
        if running(folder):
            said = [line for line in log.read_text().splitlines() if line.startswith("WARNING: ")]
            print("".join(f"{line}\n" for line in said), file=sys.stderr, end="")
            return status(folder)
        time.sleep(0.1)
    print(log.read_text(), file=sys.stderr, end="")
    return started.returncode or 3


def status(folder: Path) -> int:
    """Print what runs in a folder, and the variables that lead a client there: lines for a shell's eval."""
    note = running(folder)
    if note is None:
        print(f"No rehearsal runs in {folder}.", file=sys.stderr)
        return 1
    print(f"# {note['said']}")
    print_variables(note["variables"])
    return 0


def stop(folder: Path) -> int:
    """End what runs in a folder, and wait for its end."""
    from aml_rehearsal.state import held

    note = running(folder)
    if note is None and held(folder):
        print(f"ERROR: {folder}: a rehearsal is starting or ending here, or is a program's own", file=sys.stderr)
        return 3
    if note is None:
        print(f"No rehearsal runs in {folder}.")
        return 0
    with contextlib.suppress(ProcessLookupError):
        os.kill(note["pid"], signal.SIGTERM)
    over = time.monotonic() + SECONDS
    while held(folder):
        if time.monotonic() > over:
            print(f"ERROR: process {note['pid']} has not ended in {SECONDS} seconds", file=sys.stderr)
            return 3
        time.sleep(0.1)
    print("The rehearsal has ended. What was made and run is kept for the next one.")
    return 0


def print_variables(variables: dict[str, str]) -> None:
    for name, text in variables.items():
        print(f"export {name}={shlex.quote(text)}")


def serve(rehearsal: Rehearsal) -> int:
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):  # before it is said that Ctrl-C ends it
        signal.signal(number, lambda *_: over.set())
    entrance = rehearsal.workspace.entrance
    if entrance.apart:
        print("In a terminal of another computer, or outside of this container:")
        print(f"curl -fsS {entrance.outside}/roots.pem -o roots.pem")
        print(f'eval "$(curl -fsS "{entrance.outside}/variables?roots=$PWD/roots.pem")"')
    else:
        print("In the other terminal:")
        print_variables(rehearsal.variables())
    print("Ctrl-C ends it.", flush=True)
    while not over.wait(1):
        pass
    return 0


def next_steps(rehearsal: Rehearsal, project: Path) -> list[str]:
    """What the project is still to do before its runs can start: nothing, or a line for each step."""
    from aml_rehearsal import seed

    if not any(project.glob("models/*/aml_config")):
        return [f"in Python: {get(rehearsal.workspace.names)}"]
    wishes, tables = seed.read(project), rehearsal.workspace.state.tables
    steps = [] if (project / ".azureml").exists() else [attach(wishes.names)]
    with rehearsal.workspace.state.lock:
        missing = ["dataset"] if wishes.datasets.keys() - tables.datasets.keys() else []
        missing += ["compute"] if wishes.clusters.keys() - tables.computes.keys() else []
    steps += [f"make {' '.join(missing)}"] if missing else []
    return [f"{word}: {step}" for word, step in zip(("first", "then"), steps, strict=False)]


def get(names: Names) -> str:
    """How code of one's own gets the workspace."""
    place = f'subscription_id="{names.subscription_id}", resource_group="{names.resource_group}"'
    return f'Workspace.get("{names.workspace_name}", {place})'


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
