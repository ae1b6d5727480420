"""One line for whatever a command fails with."""

from __future__ import annotations

import re
from collections.abc import Iterator

LIMIT = 400  # characters; what the service adds after them is a trace of its own
NOT_ATTACHED = "not attached to a workspace: in the repo's root, `make attach` or `folder attach -g GROUP -w WORKSPACE`"
NOT_LOGGED_IN = "not logged in: `az login`, or set AZUREML_SERVICE_PRINCIPAL_ID, _PASSWORD and _TENANT_ID"
# What the client says about something that the user can mend, and what that means.
MEANINGS = (
    (r"default workspace not set", NOT_ATTACHED),
    (r"subscription id cannot be determined", f"{NOT_ATTACHED[:-1]} --subscription-id ID`"),  # azml has no default
    (r"default experiment not set", "which experiment? -e NAME"),
    (r"run 'az login'|az login to|No subscription found|not logged in|get_accessible_subscriptions", NOT_LOGGED_IN),
    (
        r"output streaming for the run interrupted",
        "interrupted; the run goes on. Once it is over: `run show -e EXPERIMENT -r RUN -t run.json`; or `run cancel`",
    ),
    (r"ResourceGroupNotFound", "no such resource group"),
    (r"ResourceNotFound|No workspaces? found", "no such workspace"),
)
# Where the client's sentence lies: in JSON, perhaps within JSON, or in the dump that its exceptions print.
SENTENCES = (r'"message"\s*:\s*"((?:[^"\\]|\\.)+)"', r"(?s)(?:^|\s)Message: (.+?)(?:\s+InnerException|\Z)")


def one_line(error: BaseException) -> str:
    """Say what went wrong, without the client's class names, JSON and line breaks."""
    causes = list(chain(error))
    text = " ".join(str(cause) for cause in causes)
    if found := re.search(r"AADSTS\d+[^\r\n\"]*", text):
        return f"wrong credentials: {shorten(found[0])}"
    for symptom, meaning in MEANINGS:
        if re.search(symptom, text, re.IGNORECASE):
            return meaning
    said = message_of(error)
    if any(isinstance(cause, ConnectionError) or type(cause).__name__ == "ConnectionError" for cause in causes):
        host = re.search(r"host='([^']+)'", text)
        return f"{host[1] if host else 'the service'}: not reachable; is there a network, or a proxy to set?"
    if type(error).__name__ == "ActivityFailedException":
        return f"the run failed: {said} (its log: above, or in the Studio)"
    if said.startswith("Failed to load RunConfiguration"):
        return f"{said}: no such runconfig in ./aml_config; the command belongs into a model's folder"
    return said


def message_of(error: BaseException) -> str:
    """Take the sentence out of an exception."""
    text = str(getattr(error, "message", None) or error)
    for pattern in SENTENCES:
        if found := re.search(pattern, text.replace('\\"', '"')):
            text = found[1]
            break
    text = re.sub(r'^\s*Activity Failed:\s*|"\s*$', "", text).lstrip('"')
    return shorten(text) or type(error).__name__


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception and those that it came from."""
    seen: set[int] = set()
    while error and id(error) not in seen:
        seen.add(id(error))
        yield error
        inner = getattr(error, "inner_exception", None)
        error = inner if isinstance(inner, BaseException) else error.__cause__ or error.__context__


def shorten(text: str) -> str:
    line = " ".join(re.sub(r"\\[nrt]", " ", text).split())
    return line if len(line) <= LIMIT else f"{line[: LIMIT - 1]}…"
