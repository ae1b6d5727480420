"""From a checkout of the template on this computer, make takes the template's packages from there: local.mk says where.

The file is this computer's own: git ignores it, and an update does not bring it.
"""

import os

FILE = "local.mk"
FILES_ALONE = "AML_FILES_ALONE"  # set where this package renders for itself: an update, a second model


def note(answers: dict[str, str], root: str, project: str = "") -> None:
    """Write the checkout's place into the project. A file that is there is kept: its owner may have edited it."""
    path, folder = os.path.join(project, FILE), checkout(answers, root)
    if not folder or os.path.exists(path) or compares(answers, project):
        return
    with open(f"{path}.part", "w", encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        file.write(text(folder))
    os.replace(f"{path}.part", path)


def text(folder: str) -> str:
    """What local.mk says of a checkout."""
    comment = "# Of this computer: the checkout that make takes the template's packages from."
    return f"{comment}\nAML_TEMPLATE := {quoted(folder)}\n"


def checkout(answers: dict[str, str], root: str) -> str:
    """The folder that the template was named by; "" for a clone or an unpacked zip, which are whoever renders' own."""
    template = answers.get("_template", "")
    if "_commit" in answers:  # cruft renders from a clone, and keeps a path as an absolute one
        return os.path.realpath(template) if os.path.isfile(os.path.join(template, "cookiecutter.json")) else ""
    if os.path.basename(os.path.dirname(root)) == ".cookiecutters":  # the next clone of that name replaces this one
        return ""
    # cookiecutter renders from the very folder that it was given, and from one of its own otherwise.
    return root if answers.get("_repo_dir") == template else ""


def compares(answers: dict[str, str], project: str = "") -> bool:
    """Whether cruft renders to compare, for update and diff: it does so in a temporary folder of Python's."""
    if "_commit" not in answers:
        return False
    import re
    import tempfile

    parent, name = os.path.split(os.path.dirname(os.path.abspath(project)))
    temporary = os.path.samefile(parent, tempfile.gettempdir())
    return temporary and re.fullmatch(r"tmp\w{8}", name) is not None


def renders_files_alone(answers: dict[str, str]) -> bool:
    """Whether the files are all that is wanted of a render, and not what its answers have done besides."""
    return compares(answers) or bool(os.environ.get(FILES_ALONE))


def noted(project: "str | os.PathLike[str]") -> str:
    """The checkout that make takes the packages from: by the environment, or else by local.mk; "" if there is none."""
    import re

    folder = os.environ.get("AML_TEMPLATE", "")
    try:
        with open(os.path.join(project, FILE), encoding="utf-8", errors="surrogateescape") as file:
            lines = [line.partition("=")[2].strip() for line in file if re.match(r"AML_TEMPLATE\s*[:?]?=", line)]
    except FileNotFoundError:
        lines = []
    folder = folder or (lines[-1].replace("$$", "$").replace("\\#", "#") if lines else "")
    return os.path.join(project, os.path.expanduser(folder)) if folder else ""


def quoted(path: str) -> str:
    """A path as make reads it in an assignment."""
    return path.replace("$", "$$").replace("#", "\\#")
