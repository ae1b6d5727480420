"""Programs of others that know how to log in: az, and gh beside it. Never by a shell."""

from __future__ import annotations

import re

NOT_FOUND = 3  # what az exits with when it was asked to show something that is not there


def call(words: list[str]) -> tuple[int, str, str]:
    """Run one; return how it ended, what it answered, and what it said of that."""
    import shutil
    import subprocess

    program = shutil.which(words[0]) or words[0]  # on Windows its name has an ending
    done = subprocess.run(
        [program, *words[1:]],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    return done.returncode, done.stdout.strip(), done.stderr


def there(program: str) -> bool:
    import shutil

    return shutil.which(program) is not None


def reason(said: str) -> str:
    """Take the sentence that counts out of what az says when it fails: of messages within messages, the innermost."""
    from aml_project.service.errors import shorten

    if "az login" in said:
        return "not logged in, or with another login: `az login`"
    if "gh auth login" in said:
        return "not logged in: `gh auth login`"
    messages = re.findall(r'"message"\s*:\s*"((?:[^"\\]|\\.)+)"', said)
    errors = re.findall(r"^ERROR: (.+)", said, re.MULTILINE)
    return shorten((messages or errors or said.split("\n\n") or [""])[-1]).rstrip(".") or "it failed and said nothing"
