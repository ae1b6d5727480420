"""Wheels of one's own, which lie in the workspace's storage: whoever builds an environment reads them there unasked."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from azure.core.exceptions import ResourceNotFoundError

from aml_rehearsal.azurite import Azurite

ADDRESS = re.compile(r"(?:[\w.-]+ *@ *)?https://(?P<host>[^/]+)/(?P<container>[^/]+)/(?P<blob>[^?#]+\.whl)(?:[?#].*)?")


def at_hand(packages: list[Any], blobs: Azurite, folder: Path) -> list[Any]:
    """A conda file's packages, with a file of the folder for each wheel that is in the workspace's storage."""
    return [
        {"pip": [fetched(str(line), blobs, folder) for line in item.get("pip") or []]}
        if isinstance(item, dict)
        else item
        for item in packages
    ]


def fetched(line: str, blobs: Azurite, folder: Path) -> str:
    """Its content is in its path, so that another wheel of the same name makes another environment."""
    match = ADDRESS.fullmatch(line.strip())
    if match is None or match["host"] not in blobs.hosts:
        return line
    account = blobs.hosts[match["host"]]
    blob = blobs.service(account, blobs.keys[account]).get_blob_client(match["container"], unquote(match["blob"]))
    try:
        content = bytes(blob.download_blob().readall())
    except ResourceNotFoundError:
        return line  # which then can't be had, and is named
    file = folder / hashlib.sha256(content).hexdigest()[:16] / Path(unquote(match["blob"])).name
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(".part")
        partial.write_bytes(content)
        partial.replace(file)
    return str(file)
