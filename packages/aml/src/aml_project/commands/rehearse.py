"""Open a shell with a workspace on this computer: the real client, no Azure account.

aml rehearse -- make submit
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from aml_project import tools
from aml_project.command_line import Failure, Parser, run
from aml_project.files import write_whole
from aml_project.model_environment import bin_folder, hand_over
from aml_project.project import root

EXAMPLE = """  aml rehearse
  aml rehearse -- make submit register"""
PLACE = Path(".venv", ".rehearsal")


def main(argv: list[str] | None = None) -> int:
    parser = Parser("Open a shell with a workspace on this computer, no Azure account.", EXAMPLE)
    parser.add_argument("command", nargs="*", help="after --: one command instead of the shell")
    return run(rehearse, parser, argv)


def rehearse(args: argparse.Namespace) -> int:
    place = root() / PLACE
    install(place)
    command = ["--", *args.command] if args.command else []
    return hand_over([bin_folder(place) / "aml-rehearsal", "shell", *command], cwd=root())


def install(place: Path) -> None:
    """Have the rehearsal of the same commit as this package, in an environment of its own."""
    wanted = tools.sibling("rehearsal")
    ready = place / "ready"  # written last: an installation that was killed begins again
    if ready.is_file() and ready.read_text(encoding="utf-8") == wanted:
        return
    uv = tools.find_uv()
    if not uv:
        raise Failure("there is no uv to install the rehearsal with: make setup")
    print(f"Installing the rehearsal into {PLACE}", flush=True)
    import subprocess

    editable = ["--editable"] if Path(wanted).is_dir() else []
    for step in (
        ["venv", "--quiet", "--allow-existing", "--python", sys.executable, str(place)],
        ["pip", "install", "--quiet", "--python", str(bin_folder(place) / "python"), *editable, wanted],
    ):
        if subprocess.run([uv, *step]).returncode:
            raise Failure(f"the rehearsal could not be installed from {wanted} (aml vendor keeps it in the repo)")
    write_whole(ready, wanted)
