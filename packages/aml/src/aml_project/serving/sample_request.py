"""Send the model's sample request to a service: what counts is an answer."""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.request
from pathlib import Path

from aml_project.command_line import REFUSED, SERVICE_FAILED, Failure
from aml_project.serving.request_body import is_volume, kind_of, sample_of

SECONDS = 60  # that an answer may take
ALIVE = 5  # seconds for a server to answer that it is alive
PATIENCE = 60.0  # seconds until a service that is up can be reached, too
VERSION = "x-model-version"  # the header in which score.py says which version answers
STARTING = (502, 503, 504)  # what stands before a service says this until it is there
LONGEST = 300  # characters of an answer that are printed


def read(folder: Path) -> bytes:
    """Return the model's sample request."""
    file = sample_of(folder)
    try:
        body = file.read_bytes()
        if not is_volume(body):
            json.loads(body)
    except FileNotFoundError:
        raise Failure(f"models/{folder.name}/{file.name}: not there; it is what a deployment is tried with") from None
    except ValueError as error:
        raise Failure(f"models/{folder.name}/{file.name}: not JSON: {error}") from None
    return body


def ask(url: str, body: bytes, version: str, key: str | None = None) -> str:
    """Return the answer of a version in a line; a Failure says that there was none, or what was refused."""
    headers = {"Content-Type": kind_of(body)} | ({"Authorization": f"Bearer {key}"} if key else {})
    over = time.monotonic() + PATIENCE
    while True:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=SECONDS) as response:
                by = response.headers.get(VERSION) or version  # a score.py of the owner's may not say it
                if by == version:
                    return _in_a_line(response.read())
                if time.monotonic() > over:
                    raise Failure(f"version {by} answers the sample request, not {version}", SERVICE_FAILED)
        except urllib.error.HTTPError as error:
            said = _in_a_line(error.read())
            if error.code not in STARTING or time.monotonic() > over:
                raise Failure(f"the sample request got {error.code}: {said}", REFUSED) from None
        except (OSError, http.client.HTTPException) as error:
            if time.monotonic() > over:
                why = getattr(error, "reason", error)
                raise Failure(f"the sample request got no answer: {why}", SERVICE_FAILED) from None
        time.sleep(1)


def is_up(url: str) -> bool:
    """Tell whether a server answers that it is alive."""
    try:
        with urllib.request.urlopen(url, timeout=ALIVE) as response:
            return bool(response.status == http.client.OK)
    except (OSError, http.client.HTTPException):
        return False


def _in_a_line(answer: bytes) -> str:
    if is_volume(answer):
        return f"a mask of {len(answer)} bytes"
    text = answer.decode(errors="replace")
    try:
        text = json.dumps(json.loads(text), ensure_ascii=False)
    except ValueError:
        text = " ".join(text.split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
