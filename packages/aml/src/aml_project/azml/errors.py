"""One line for whatever a command fails with: what the scripts say, and what only azml and az run into."""

from __future__ import annotations

import re

from aml_project.service.errors import chain, explain, message_of

NOT_ATTACHED = "not attached to a workspace: in the repo's root, `make attach` or `folder attach -g GROUP -w WORKSPACE`"
# What the client's commands say about something that the user can mend, and what that means.
MEANINGS = (
    (r"default workspace not set", NOT_ATTACHED),
    (r"subscription id cannot be determined", f"{NOT_ATTACHED[:-1]} --subscription-id ID`"),  # azml has no default
    (
        r"no module named 'azureml\.pipeline",
        "what submits pipelines is missing: in the repo's root, `make client`",
    ),
    (r"default experiment not set", "which experiment? -e NAME"),
    (
        r"output streaming for the run interrupted",
        "interrupted; the run goes on. Once it is over: `run show -e EXPERIMENT -r RUN -t run.json`; or `run cancel`",
    ),
)


def one_line(error: BaseException) -> str:
    """Say what went wrong, without the client's class names, JSON and line breaks."""
    text = " ".join(str(cause) for cause in chain(error))
    for symptom, meaning in MEANINGS:
        if re.search(symptom, text, re.IGNORECASE):
            return meaning
    if type(error).__name__ == "ActivityFailedException":  # the message is the script's: not to be read for meanings
        return f"the run failed: {message_of(error)} (its log: above, or in the Studio)"
    said = str(explain(error))
    if said.startswith("Failed to load RunConfiguration"):
        return f"{said}: no such runconfig in ./aml_config; the command belongs into a model's folder"
    return said
