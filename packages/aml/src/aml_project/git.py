"""What this package asks of git; it never asks anybody for a password."""

from __future__ import annotations

import os

from aml_project.command_line import REFUSED, Failure

TYPE_CHECKING = False  # typing's own costs its import
if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def git(
    folder: Path | None, *args: str | Path, refused: str = "", code: int = REFUSED, env: Mapping[str, str] | None = None
) -> str:
    """Run git in a folder; return what it prints, or raise a Failure that says what was refused."""
    import subprocess

    where = ["-C", str(folder)] if folder else []
    try:
        done = subprocess.run(
            ["git", *where, *map(str, args)], stdin=subprocess.DEVNULL, capture_output=True, check=False,
            env=os.environ | {"GIT_TERMINAL_PROMPT": "0"} | dict(env or {}),
        )  # fmt: skip
    except FileNotFoundError:
        raise Failure("there is no git here") from None
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["it said nothing"]
        raise Failure(f"{refused or f'git {args[0]}'} (git: {' '.join(said[-1].split())})", code)
    return done.stdout.decode("utf-8", "surrogateescape").strip("\n")


def holds(root: Path) -> bool:
    """Whether a folder lies in a repository that has a commit."""
    try:
        git(root, "rev-parse", "--verify", "--quiet", "HEAD")
    except Failure:
        return False
    return True


def not_held(root: Path, folder: str, *, ignored: bool = False) -> list[str]:
    """The files of a folder that the last commit does not hold as they are; what is gone from it is no loss."""
    if not holds(root):
        return [folder]
    options = ["--porcelain", "-z", "--no-renames", "--untracked-files=all", *(["--ignored"] if ignored else [])]
    listed = git(root, "status", *options, "--", folder).split("\0")
    return [line[3:] for line in listed if line and "D" not in line[:2]]
