"""A comment on a pull request of Azure Repos; on GitHub, its own command writes it.

A run has the token of its own job for that, and no other: SYSTEM_ACCESSTOKEN, which its step is given.
"""

from __future__ import annotations

import os
from typing import Any

from aml_project.command_line import SERVICE_FAILED, WRONG_USE, Failure
from aml_project.patience import patient
from aml_project.service.errors import explain, is_transient

TIMEOUT = 20  # seconds
VERSION = {"api-version": "7.1"}
COLLECTION, PROJECT, REPOSITORY, NUMBER, TOKEN = NEEDED = (
    "SYSTEM_COLLECTIONURI", "SYSTEM_TEAMPROJECTID", "BUILD_REPOSITORY_ID", "SYSTEM_PULLREQUEST_PULLREQUESTID",
    "SYSTEM_ACCESSTOKEN",
)  # fmt: skip


def write(text: str) -> str:
    """Put a text on the pull request that this run is of; one that begins with the same line gives way to it.

    Return which pull request that is.
    """
    if missing := [name for name in NEEDED if not os.environ.get(name)]:
        raise Failure(f"a comment is for a run of Azure DevOps on a pull request: no {', '.join(missing)}", WRONG_USE)
    title = text.partition("\n")[0]

    def put() -> None:
        for thread in asked("GET", "")["value"]:
            for comment in thread["comments"][:1]:
                if (comment.get("content") or "").partition("\n")[0].rstrip() == title:
                    asked("PATCH", f"/{thread['id']}/comments/{comment['id']}", {"content": text})
                    return
        # Closed from the start: it asks for no answer, which a policy of the branch may want of each comment.
        first = {"parentCommentId": 0, "content": text, "commentType": "text"}
        asked("POST", "", {"comments": [first], "status": "closed"})

    number = os.environ[NUMBER]
    try:
        patient(put, passes=is_transient)
    except Exception as error:
        right = "; its build service needs the right to contribute to pull requests"
        raise Failure(f"no comment on pull request {number}: {explain(error)}{right}", SERVICE_FAILED) from error
    return number


def asked(method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """What Azure DevOps answers about the threads of comments."""
    import requests

    collection, project, repository, number, token = (os.environ[name] for name in NEEDED)
    threads = f"{collection.rstrip('/')}/{project}/_apis/git/repositories/{repository}/pullRequests/{number}/threads"
    # Without the second header, it answers a wrong token with the page of a login.
    headers = {"Authorization": f"Bearer {token}", "X-TFS-FedAuthRedirect": "Suppress"}
    answer = requests.request(
        method, f"{threads}{path}", params=VERSION, headers=headers, json=body, timeout=TIMEOUT, allow_redirects=False
    )
    answer.raise_for_status()
    return answer.json()
