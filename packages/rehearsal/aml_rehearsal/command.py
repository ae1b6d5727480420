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
    parser.add_argument("--port", type=int, default=0, help="of the page (default: a free one)")
    parser.add_argument("--fresh", action="store_true", help="forget the runs and models of earlier rehearsals")
    parser.add_argument("--empty", action="store_true", help="without the cluster and the dataset of the runconfigs")
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


def split(argv: list[str]) -> tuple[list[str], list[str]]:
    """What is ours, and what follows --."""
    if "--" not in argv:
        return argv, []
    at = argv.index("--")
    return argv[:at], argv[at + 1 :]


def rehearse(args: argparse.Namespace, command: list[str]) -> int:
    import shutil

    from aml_rehearsal import Rehearsal, seed
    from aml_rehearsal.azurite import Unavailable

    folder = args.folder or args.project / ".rehearsal"
    if args.fresh and (folder / "state.json").exists():
        shutil.rmtree(folder)  # ours: the file says so
    try:
        names = seed.read(args.project).names
        project = None if args.empty else args.project
        rehearsal = Rehearsal(folder, names=names, project=project, port=args.port, internet=True)
    except (Unavailable, OSError) as error:
        print(f"ERROR: the rehearsal can't start: {error}", file=sys.stderr)
        return 3
    with rehearsal:
        names = rehearsal.workspace.names
        print(
            f"The workspace {names.workspace_name} in {names.resource_group} is a rehearsal. Its page: {rehearsal.url}"
        )
        for line in rehearsal.made:
            print(f"  made: {line}")
        sys.stdout.flush()
        if args.what == "serve":
            return serve(rehearsal.variables())
        return shell(rehearsal.environment(), args.project, command, attached=(args.project / ".azureml").exists())


def serve(variables: dict[str, str]) -> int:
    print("In the other terminal:")
    for name, text in variables.items():
        print(f"export {name}={shlex.quote(text)}")
    print("Ctrl-C ends it.", flush=True)
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    while not over.wait(1):
        pass
    return 0


def shell(environment: dict[str, str], project: Path, command: list[str], *, attached: bool) -> int:
    """Run the command, or a shell, among the variables that lead the client here."""
    if not command:
        command = [os.environ.get("SHELL") or "/bin/sh"]
        if Path(command[0]).name == "bash" and sys.stdin.isatty():
            rc = Path(environment["HOME"]) / ".bashrc"
            rc.write_text("PS1='(rehearsal) \\w \\$ '\n")
        if not attached:
            print("  first: make attach (with the three names above)")
        print('You are logged in. Type "exit" to end the rehearsal.', flush=True)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for what runs in the shell
    try:
        return subprocess.run(command, cwd=project, env=environment).returncode
    except OSError as error:
        print(f"ERROR: {command[0]}: {error.strerror}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
