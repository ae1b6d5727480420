"""A rehearsal that runs elsewhere, as in a container beside the tests: found by its address."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from aml_rehearsal import variables
from aml_rehearsal.addresses import Names

SECONDS = 30  # that an answer may take


class RemoteRehearsal:
    """What a client needs of it; the folder keeps the roots that it trusts, and its home."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url.rstrip("/")
        self.folder = folder
        self.roots = folder / "roots.pem"
        self.roots.write_bytes(self.ask("/roots.pem"))
        self.names = Names(**self.told("contributor")["names"])

    def ask(self, path: str) -> bytes:
        if urlsplit(self.url).scheme != "http":
            raise ValueError(f"{self.url}: the address of a rehearsal is http://HOST:PORT")
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with direct.open(self.url + path, timeout=SECONDS) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            said = json.loads(error.read() or b"{}").get("message", error.reason)
            raise ConnectionError(f"{self.url}{path}: {error.code} {said}") from None
        except OSError as error:
            raise ConnectionError(f"{self.url}: no rehearsal answers there: {error}") from None

    def told(self, role: str) -> dict[str, Any]:
        query = urlencode({"roots": str(self.roots), "role": role})
        return dict(json.loads(self.ask(f"/variables.json?{query}")))

    def state(self) -> dict[str, Any]:
        """A copy of what the workspace holds."""
        return dict(json.loads(self.ask("/state.json")))

    def environment(self, role: str = "contributor") -> dict[str, str]:
        """The variables of a process whose client is to go there, logged in with a role."""
        return variables.foreign() | self.variables(role)

    def variables(self, role: str = "contributor") -> dict[str, str]:
        """What leads a client there, without the variables that are set already."""
        return dict(self.told(role)["variables"]) | variables.at_home(self.folder / "home")
