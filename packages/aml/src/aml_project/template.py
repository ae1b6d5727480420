"""The template that a repo was rendered from: where it lies, at which commit, and a render of any of its commits.

An update and a second model need it; nothing else of this package does.
"""

from __future__ import annotations

import json
import os
import re
import sys
from contextlib import contextmanager
from pathlib import Path

from aml_project import checkout, tools
from aml_project.checkout import FILES_ALONE
from aml_project.command_line import SERVICE_FAILED, Failure, Progress
from aml_project.git import git

TYPE_CHECKING = False  # typing's own costs its import
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

LIST = "requirements-tools.txt"
# The line that names this package, also where wheels stand for it now and it is a comment.
NAMED = re.compile(r"^(?:#\s*)?(aml-project\s*@\s*\S+)\s*$", re.MULTILINE)
ADDRESS = re.compile(r"^git\+(?P<url>.+?)(?:@(?P<commit>[0-9a-f]{7,64}))?(?:#.*)?$")
COOKIECUTTER = "cookiecutter==2.7.1"


def named(root: Path) -> str:
    """The requirement that a repo names its tools by; nothing in a repo of before this package."""
    try:
        found = NAMED.search((root / LIST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ""
    return found[1] if found else ""


def cruft_file(root: Path) -> dict[str, Any]:
    """What cruft has noted: the template's address and commit among it."""
    try:
        return dict(json.loads((root / ".cruft.json").read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise Failure(f".cruft.json: {error}") from None


def commit(root: Path) -> str:
    """The commit of the template that a repo says it is of; nothing where it does not say."""
    found = ADDRESS.match(named(root).partition("@")[2].strip())
    return (found["commit"] if found else "") or str(cruft_file(root).get("commit") or "")


def source(root: Path) -> str:
    """The template's repository as git takes it: a checkout here, else what the repo names, else where this is from."""
    if folder := checkout.noted(root):
        if not (Path(folder) / "cookiecutter.json").is_file():
            raise Failure(f"AML_TEMPLATE: {folder}: no checkout of the template: it has no cookiecutter.json")
        return folder
    requirement = named(root).partition("@")[2].strip()
    if found := ADDRESS.match(requirement):
        return found["url"]
    if requirement:
        raise Failure(f"{LIST}: names no repository of git, which has the commits: AML_TEMPLATE=/path/of/a/checkout")
    if noted := cruft_file(root).get("template"):
        return str(noted)
    if package := tools.checkout():
        return str(package.parents[1])
    found = ADDRESS.match(tools.origin())
    return found["url"] if found else ""


def newest(source: str) -> str:
    """The last commit of the template's default branch, or of what is checked out in a folder."""
    said = git(None, "ls-remote", source, "HEAD", refused=unreachable(source), code=SERVICE_FAILED)
    if not said:
        raise Failure(f"{source}: has no commit")
    return said.split()[0]


def clone(source: str, folder: Path) -> Path:
    """Get the template's history into a folder."""
    with Progress("Getting the template"):
        git(None, "clone", "--quiet", "--no-checkout", source, folder, refused=unreachable(source), code=SERVICE_FAILED)
    return folder


def check_out(repository: Path, commit: str) -> str:
    """Put the files of a commit, which may be a branch or a tag, into a clone; return its full name."""
    unknown = f"{commit}: the template has no such commit; one of yours has to be pushed first"
    git(repository, "-c", "advice.detachedHead=false", "checkout", "--quiet", "--force", commit, refused=unknown)
    return git(repository, "rev-parse", "HEAD")


@contextmanager
def fetched(root: Path) -> Iterator[Path]:
    """The template at the repo's own commit, else at this package's; a checkout as it lies there."""
    place = source(root)
    if not place:
        raise Failure("where the template is can't be known from here: AML_TEMPLATE=/path/of/a/checkout names it")
    if Path(place, "cookiecutter.json").is_file():
        yield Path(place)
        return
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        repository = clone(place, Path(folder, "aml-template"))
        check_out(repository, commit(root) or tools.commit() or "HEAD")
        yield repository


def unreachable(source: str) -> str:
    return f"{source}: the template can't be reached from here; AML_TEMPLATE=/path/of/a/checkout names another place"


def render(template: str | Path, answers: Mapping[str, str], folder: Path, *, hooks: bool = False) -> Path:
    """Render the template into a folder; return the project. With hooks its rules are asked, no more than that."""
    uv = tools.find_uv()
    if not uv:
        raise Failure("there is no uv here, which brings cookiecutter: pip install uv")
    import shutil
    import subprocess

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    config = folder / "config.yml"  # not the owner's, which may hold answers of its own and what was rendered last
    config.write_text(json.dumps({"cookiecutters_dir": f"{folder}/templates", "replay_dir": f"{folder}/replay"}))
    out = folder / "out"
    done = subprocess.run(
        [uv, "run", "--quiet", "--no-project", "--python", sys.executable, "--with", COOKIECUTTER, "cookiecutter",
         "--no-input", "--config-file", config, "--output-dir", out, "--accept-hooks", "yes" if hooks else "no",
         template, *(f"{question}={literal(text)}" for question, text in answers.items())],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        env=os.environ | {FILES_ALONE: "1", "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    if done.returncode:
        raise Failure(refusal(done.stdout + done.stderr))
    return next(out.iterdir())


def refusal(said: str) -> str:
    """What the template's rules have said to the answers, or else the last line of whoever has failed."""
    lines = [line.strip() for line in said.splitlines() if line.strip()] or ["it said nothing"]
    said_by_hook = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    problems = [line for line in said_by_hook if not line.startswith("Stopping generation")]  # cookiecutter's own
    return "\nERROR: ".join(problems) or f"the template could not be rendered: {lines[-1]}"


def literal(text: str) -> str:
    """An answer as cookiecutter takes it, which renders what it is given."""
    if not any(mark in text for mark in ("{{", "{%", "{#")):
        return text
    return "{{ '" + text.encode("unicode_escape").decode("ascii").replace("'", "\\'") + "' }}"


def questions(template: Path) -> dict[str, object]:
    """What a template asks, with its defaults."""
    asked = json.loads((template / "cookiecutter.json").read_text(encoding="utf-8"))
    return {question: default for question, default in asked.items() if not question.startswith("_")}


def cruft_answers(root: Path) -> dict[str, str]:
    """The answers that cruft has noted, of a repo that holds them nowhere else."""
    answers = (cruft_file(root).get("context") or {}).get("cookiecutter") or {}
    return {question: text for question, text in answers.items() if isinstance(text, str) and question[0] != "_"}


def at(requirement: str, commit: str) -> str:
    """A requirement of the template's, at another commit."""
    address, hash_, fragment = requirement.partition("#")
    return f"{re.sub(r'@[0-9a-f]{7,64}$', '', address)}@{commit}{hash_}{fragment}"
