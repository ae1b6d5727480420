"""Where this template comes from, which the rendered files and the last hook ask for as template_place().

Neither cookiecutter nor cruft tells a template its repository's address and commit. It reads git's own files: to start
git would take longer than the rest.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, unquote

ROOT = Path(__file__).resolve().parents[1]
PUBLIC = "git+https://github.com/org/aml-template"


def template_place(answers: Mapping[str, str]) -> dict[str, str]:
    """The template's folder, its address as pip takes it, its commit ("" if it is not known)."""
    return {"root": str(ROOT), "address": address(ROOT, str(answers.get("_template", ""))), "commit": commit(ROOT)}


def address(root: Path, template: str = "") -> str:
    """Where others get the template: its repository, else the zip that it was named as, else the public repository."""
    repository = upstream(root)
    if repository:
        return f"git+{repository}"
    archive = public(template)
    return archive if archive.startswith("http") and archive.lower().endswith(".zip") else PUBLIC


def upstream(root: Path, hops: int = 3) -> str:
    """The address of a repository's origin; while that lies on this machine, of the origin's own."""
    url = origin(root)
    if not url or public(url):
        return public(url)
    path = root / (unquote(url.removeprefix("file://")) if url.startswith("file://") else url)
    return upstream(path if path.is_dir() else Path(f"{path}.git"), hops - 1) if hops else ""


def public(url: str) -> str:
    """An address over http, https or ssh, without a password, token or query; "" for any other."""
    _, colon, rest = url.partition(":")
    if colon and not rest.startswith("//"):  # the other addresses do without the expression, which has to be compiled
        scp = re.fullmatch(r"((?:[^@/:]+@)?(?:[\w.-]{2,}|\[[0-9a-fA-F:]+\])):(?!:)/*(.+)", url)
        url = f"ssh://{scp[1]}/{scp[2]}" if scp else url
    scheme, _, rest = url.partition("://")
    scheme = scheme.lower()
    login, slash, path = rest.partition("/")
    user, _, host = login.rpartition("@")
    if scheme not in ("http", "https", "ssh") or not host or not path:
        return ""
    # Over ssh the user is part of the address; over http it is whoever has cloned it.
    user = f"{user.partition(':')[0]}@" if user and scheme == "ssh" else ""
    path = quote(re.split("[?#]", path)[0], safe="/%:~!$&'()*+,;=", errors="surrogateescape")
    return f"{scheme}://{user}{host}{slash}{path}"


def origin(root: Path) -> str:
    """What a repository's config says of the remote "origin"."""
    section = ""
    for line in map(str.strip, read(shared_folder(git_folder(root)), "config").splitlines()):
        if line.startswith("["):
            section = line
        elif re.match(r'\[\s*remote\s+"origin"\s*\]', section, re.IGNORECASE):
            found = re.match(r'url\s*=\s*(?:"(.*?)"|([^#;]*))', line, re.IGNORECASE)
            if found:
                return (found[1] or found[2]).strip().replace("\\\\", "\\")
    return ""


def commit(root: Path) -> str:
    """The commit that is checked out."""
    folder = git_folder(root)
    head = read(folder, "HEAD").strip()
    if head.startswith("ref: "):
        name, shared = head.removeprefix("ref: "), shared_folder(folder)
        packed = (line.split(" ") for line in read(shared, "packed-refs").splitlines())
        head = read(shared, name).strip() or next((line[0] for line in packed if line[1:] == [name]), "")
    return head if len(head) in (40, 64) and set(head) <= set("0123456789abcdef") else ""


def git_folder(root: Path) -> Path:
    """Where git keeps what is checked out in a folder; a bare repository is that itself."""
    link = read(root, ".git")  # a file in a worktree and in a submodule
    if link.startswith("gitdir: "):
        return root / link.removeprefix("gitdir: ").strip()
    return root / ".git" if (root / ".git").is_dir() else root


def shared_folder(folder: Path) -> Path:
    """Where git keeps what all worktrees of a repository share."""
    return folder / read(folder, "commondir").strip()


def read(folder: Path, name: str) -> str:
    """A file's text; "" where there is none."""
    try:
        return (folder / name).read_text(encoding="utf-8", errors="surrogateescape")
    except (OSError, ValueError):  # ValueError: a name that no file can have
        return ""
