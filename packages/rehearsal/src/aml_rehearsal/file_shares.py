"""Azure's file shares, as their clients ask for them: each is a folder here, opened by its account's key."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import re
from email.utils import formatdate
from pathlib import Path
from urllib.parse import urlsplit
from xml.sax.saxutils import escape, quoteattr

from aml_rehearsal.messages import Reply, Request
from aml_rehearsal.workspace import Workspace

SUFFIX = "file.core.windows.net"
SIGNED = (  # what a key signs of the headers, beside those of Azure's own
    *("content-encoding", "content-language", "content-length", "content-md5", "content-type", "date"),
    *("if-modified-since", "if-match", "if-none-match", "if-unmodified-since", "range"),
)
SHARE = re.compile(r"[a-z0-9](-?[a-z0-9])*")
RANGE = re.compile(r"bytes=(\d+)-(\d*)")


class Refused(Exception):
    """What a file share says instead of an answer."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        said = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
        headers = {"Content-Type": "application/xml", "x-ms-error-code": code}
        self.reply = Reply(f'<?xml version="1.0" encoding="utf-8"?>{said}'.encode(), status, headers)


def hosts(workspace: Workspace) -> dict[str, str]:
    """The accounts by the hosts that their shares are reached as."""
    return {f"{name}.{SUFFIX}": name for name in workspace.blobs.keys}


def share_folder(workspace: Workspace, account: str, share: str) -> Path:
    if not (3 <= len(share) <= 63 and SHARE.fullmatch(share)):
        raise Refused(400, "InvalidResourceName", f"The share name '{share}' is not valid.")
    return workspace.folder / "file-shares" / account / share


def answer(workspace: Workspace, request: Request, address: str) -> Reply:
    try:
        account = hosts(workspace)[request.host]
        with workspace.state.lock:
            known = account in workspace.state.tables.storage_accounts
        if not known:
            raise Refused(404, "ResourceNotFound", f"There is no storage account {account} yet.")
        check_key(request, address, account, workspace.blobs.keys[account])
        return serve(request, place(workspace, request, account))
    except Refused as refused:
        return refused.reply


def check_key(request: Request, address: str, account: str, key: str) -> None:
    """Refuse what the account's key has not signed."""
    authorization = request.headers.get("authorization", "")
    if not authorization.startswith("SharedKey "):
        message = "The rehearsal's file shares are opened by their account's key alone, not by a SAS or a login."
        raise Refused(403, "AuthenticationFailed", message)
    headers = request.headers | ({"content-length": ""} if request.headers.get("content-length") == "0" else {})
    lines = [request.method, *(headers.get(name, "") for name in SIGNED)]
    lines += [f"{name}:{text}" for name, text in sorted(headers.items()) if name.startswith("x-ms-")]
    lines += [f"/{account}{urlsplit(address).path}"]
    lines += [f"{name.lower()}:{text}" for name, text in sorted(request.query.items())]
    digest = hmac.new(base64.b64decode(key), "\n".join(lines).encode(), hashlib.sha256).digest()
    if not hmac.compare_digest(authorization, f"SharedKey {account}:{base64.b64encode(digest).decode()}"):
        raise Refused(403, "AuthenticationFailed", f"The key is not that of the account {account}.")


def place(workspace: Workspace, request: Request, account: str) -> Path:
    """Where what a request names lies on this computer."""
    share, *parts = request.path.strip("/").split("/")
    if not share:
        raise Refused(501, "NotImplemented", "The rehearsal does not play the list of an account's file shares.")
    if {"", ".", ".."} & {*parts} or "\0" in request.path:
        raise Refused(400, "InvalidResourceName", f"The specified resource name {request.path} is not valid.")
    folder = share_folder(workspace, account, share)
    if request.query.get("restype") != "share" and not folder.is_dir():
        raise Refused(404, "ShareNotFound", f"The specified share {share} does not exist.")
    return folder.joinpath(*parts)


def serve(request: Request, found: Path) -> Reply:
    kind, comp = request.query.get("restype", "file"), request.query.get("comp", "")
    method = "GET" if request.method == "HEAD" else request.method
    action = ACTIONS.get((method, kind, comp))
    if action is None:
        what = f"{request.method} of a {kind}{comp and f', {comp}'}"
        raise Refused(501, "NotImplemented", f"The rehearsal does not play this of file shares: {what}.")
    return action(request, found)


def make_folder(request: Request, found: Path) -> Reply:
    of_share = request.query["restype"] == "share"
    try:
        found.mkdir(parents=of_share)
    except FileExistsError:
        code = "ShareAlreadyExists" if of_share else "ResourceAlreadyExists"
        raise Refused(409, code, f"The specified {request.query['restype']} already exists.") from None
    except (FileNotFoundError, NotADirectoryError):
        raise Refused(404, "ParentNotFound", "The specified parent path does not exist.") from None
    return Reply(b"", 201, described(found))


def look_at_folder(request: Request, found: Path) -> Reply:
    if not found.is_dir():
        missing = "ShareNotFound" if request.query["restype"] == "share" else "ResourceNotFound"
        raise Refused(404, missing, f"The specified {request.query['restype']} does not exist.")
    return Reply(b"", 200, described(found))


def list_folder(request: Request, found: Path) -> Reply:
    look_at_folder(request, found)
    prefix = request.query.get("prefix", "").lower()  # names differ by more than their case
    entries = []
    for entry in sorted(found.iterdir()):
        if entry.name.lower().startswith(prefix):
            name = f"<Name>{escape(entry.name)}</Name>"
            size = "" if entry.is_dir() else f"<Content-Length>{entry.stat().st_size}</Content-Length>"
            kind = "Directory" if entry.is_dir() else "File"
            entries.append(f"<{kind}>{name}<Properties>{size}</Properties></{kind}>")
    share, _, path = request.path.strip("/").partition("/")
    top = f"<EnumerationResults ShareName={quoteattr(share)} DirectoryPath={quoteattr(path)}>"
    text = f"{top}<Entries>{''.join(entries)}</Entries><NextMarker/></EnumerationResults>"
    content = f'<?xml version="1.0" encoding="utf-8"?>{text}'.encode()
    return Reply(content, 200, {"Content-Type": "application/xml"})


def remove_folder(request: Request, found: Path) -> Reply:
    look_at_folder(request, found)
    try:
        found.rmdir()
    except OSError:
        raise Refused(409, "DirectoryNotEmpty", "The specified directory is not empty.") from None
    return Reply(b"", 202)


def make_file(request: Request, found: Path) -> Reply:
    """A file has its size, and nothing in it yet."""
    if not found.parent.is_dir():
        raise Refused(404, "ParentNotFound", "The specified parent path does not exist.")
    if found.is_dir():
        raise Refused(409, "ResourceTypeMismatch", "There is a directory of this name.")
    with found.open("wb") as stream:
        stream.truncate(int(request.headers.get("x-ms-content-length", "0")))
    return Reply(b"", 201, described(found))


def write_range(request: Request, found: Path) -> Reply:
    first, last = asked(request, found)
    clears = request.headers.get("x-ms-write", "update").lower() == "clear"
    content = bytes(last + 1 - first) if clears else request.body
    size = found.stat().st_size
    if len(content) != last + 1 - first or last >= size:
        raise Refused(416, "InvalidRange", f"The range {first}-{last} is not that of the content, or of the file.")
    with found.open("r+b") as stream:
        stream.seek(first)
        stream.write(content)
    return Reply(b"", 201, described(found))


def read_file(request: Request, found: Path) -> Reply:
    first, last = asked(request, found)
    size = found.stat().st_size
    if request.method == "HEAD":
        return Reply(b"", 200, described(found) | {"Content-Length": str(size), "x-ms-type": "File"})
    part = "range" in request.headers or "x-ms-range" in request.headers
    if part and first >= size:
        raise Refused(416, "InvalidRange", "The range specified is invalid for the current size of the resource.")
    with found.open("rb") as stream:
        stream.seek(first)
        content = stream.read(last + 1 - first)
    headers = {"Content-Type": "application/octet-stream", "x-ms-type": "File"}
    if part:
        headers["Content-Range"] = f"bytes {first}-{first + len(content) - 1}/{size}"
    return Reply(content, 206 if part else 200, described(found) | headers)


def remove_file(request: Request, found: Path) -> Reply:
    asked(request, found)
    with contextlib.suppress(FileNotFoundError):  # another request was faster
        found.unlink()
    return Reply(b"", 202)


def asked(request: Request, found: Path) -> tuple[int, int]:
    """The first and the last byte of a file that a request is about."""
    if not found.is_file():
        raise Refused(404, "ResourceNotFound", "The specified resource does not exist.")
    text = request.headers.get("x-ms-range") or request.headers.get("range")
    end = found.stat().st_size - 1
    if not text:
        return 0, end
    match = RANGE.fullmatch(text)
    if not match:
        raise Refused(416, "InvalidRange", f"{text} is no range of a file.")
    return int(match[1]), int(match[2]) if match[2] else end


def described(found: Path) -> dict[str, str]:
    about = found.stat()
    return {
        "Last-Modified": formatdate(about.st_mtime, usegmt=True),
        "ETag": f'"{about.st_mtime_ns:x}"',
        "x-ms-server-encrypted": "true",
    }


ACTIONS = {
    ("PUT", "share", ""): make_folder,
    ("GET", "share", ""): look_at_folder,
    ("PUT", "directory", ""): make_folder,
    ("GET", "directory", ""): look_at_folder,
    ("GET", "directory", "list"): list_folder,
    ("DELETE", "directory", ""): remove_folder,
    ("PUT", "file", ""): make_file,
    ("PUT", "file", "range"): write_range,
    ("GET", "file", ""): read_file,
    ("DELETE", "file", ""): remove_file,
}
