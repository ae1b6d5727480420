"""The comment on a pull request of Azure Repos, against a stand-in on loopback that keeps threads as it does."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.aml import Done, aml
from tests.owner import Hurry

TOKEN = "the token of this job"
PLACE = "/collection/project/_apis/git/repositories/repository/pullRequests/7/threads"
TEXT = "### model1\n\n| | here | `model1:3` |\n"


class Service(ThreadingHTTPServer):
    """Threads of comments; who has another token gets nothing."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Door)
        self.threads: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.fails: list[int] = []  # what the next requests are answered, before they are looked at

    def variables(self) -> dict[str, str]:
        return {
            "SYSTEM_COLLECTIONURI": f"http://127.0.0.1:{self.server_port}/collection/",
            "SYSTEM_TEAMPROJECTID": "project",
            "BUILD_REPOSITORY_ID": "repository",
            "SYSTEM_PULLREQUEST_PULLREQUESTID": "7",
            "SYSTEM_ACCESSTOKEN": TOKEN,
            "NO_PROXY": "127.0.0.1",
        }


class Door(BaseHTTPRequestHandler):
    server: Service

    def answer(self) -> None:
        path, _, query = self.path.partition("?")
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "null")
        self.server.asked.append(self.command)
        status, said = 200, None
        assert query == "api-version=7.1" and path.startswith(PLACE)
        if self.server.fails:
            status = self.server.fails.pop(0)
        elif self.headers["Authorization"] != f"Bearer {TOKEN}":
            # Who does not say that it is no browser is sent to the page of a login.
            status = 401 if self.headers["X-TFS-FedAuthRedirect"] == "Suppress" else 302
        elif self.command == "GET":
            said = {"value": self.server.threads}
        elif self.command == "POST":
            number = len(self.server.threads) + 1
            body["comments"] = [comment | {"id": 1} for comment in body["comments"]]
            self.server.threads.append(body | {"id": number})
            said = self.server.threads[-1]
        else:
            _, thread, _, comment = path.removeprefix(PLACE).split("/")
            said = self.server.threads[int(thread) - 1]["comments"][int(comment) - 1]
            said |= body
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(said).encode())

    do_GET = do_POST = do_PATCH = answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as service:
        thread = threading.Thread(target=service.serve_forever, args=[0.01])
        thread.start()
        yield service
        service.shutdown()
        thread.join()


@pytest.fixture
def repo(small: Path) -> Path:
    (small / "summary.md").write_text(TEXT)
    return small


def comment(repo: Path, service: Service, **env: str) -> Done:
    return aml(repo, "ci", "comment", "--file", "summary.md", **service.variables() | env)


def contents(service: Service) -> list[str | None]:
    return [comment.get("content") for thread in service.threads for comment in thread["comments"]]


def test_the_figures_are_on_the_pull_request(repo: Path, service: Service) -> None:
    assert comment(repo, service) == (0, "On pull request 7.\n", "")
    assert contents(service) == [TEXT]
    assert service.threads[0]["status"] == "closed", "nobody has to answer it"


def test_the_next_commit_has_its_figures_in_the_same_place(repo: Path, service: Service) -> None:
    service.threads.append({"id": 1, "comments": [{"id": 1, "content": "Looks good"}]})
    service.threads.append({"id": 2, "comments": [{"id": 1}]})  # one that somebody has deleted
    assert comment(repo, service).code == 0
    (repo / "summary.md").write_text(TEXT.replace("3", "4"))
    assert comment(repo, service).code == 0
    assert contents(service) == ["Looks good", None, TEXT.replace("3", "4")]


def test_a_moment_of_trouble_makes_no_second_comment(repo: Path, service: Service, hurry: Hurry) -> None:
    service.fails = [503]
    assert comment(repo, service).code == 0
    assert (contents(service), service.asked) == ([TEXT], ["GET", "GET", "POST"])


def test_who_may_not_is_told_what_is_missing(repo: Path, service: Service) -> None:
    done = comment(repo, service, SYSTEM_ACCESSTOKEN="another")
    assert done.code == 3
    assert "no comment on pull request 7: the login was not accepted or has expired (401)" in done.err
    service.fails = [403]
    done = comment(repo, service)
    assert "no rights (403)" in done.err and "needs the right to contribute to pull requests" in done.err
    assert "another" not in done.err and TOKEN not in done.err


def test_elsewhere_it_is_wrong_use(repo: Path, service: Service) -> None:
    done = comment(repo, service, SYSTEM_PULLREQUEST_PULLREQUESTID="", SYSTEM_ACCESSTOKEN="")
    assert done.code == 2
    assert "no SYSTEM_PULLREQUEST_PULLREQUESTID, SYSTEM_ACCESSTOKEN" in done.err
    assert aml(repo, "ci", "comment").err == "ERROR: --file: say which\n"
    assert aml(repo, "ci", "comment", "--file", "none.md").err == "ERROR: --file: none.md: not there\n"
    assert aml(repo, "ci", "comment", "--file", "summary.md", "--dry-run") == (0, TEXT, "")
    assert service.asked == []
