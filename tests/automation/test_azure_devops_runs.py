"""The pipelines of Azure DevOps, run: their steps in their order, with what one job hands to the next.

Beside a stand-in for make, what the files themselves do; against the rehearsal, from a commit to a service.
"""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.automation.agent import FAILED, SKIPPED, SUCCEEDED, Agent
from tests.automation.pipelines import Node, expanded
from tests.conftest import Bake, Rehearse
from tests.environments import Environments
from tests.support import PYTHON, WORKSPACE, copy_of

GROUP = {"AZURE_SUBSCRIPTION_ID": WORKSPACE["subscription_id"], "AZURE_RESOURCE_GROUP": WORKSPACE["resource_group"],
         "AZURE_ML_WORKSPACE": WORKSPACE["workspace_name"]}  # fmt: skip
ATTACH = "attach --subscription-id {} --resource-group {} --workspace-name {}".format(*GROUP.values())
CONNECTIONS = ("azure-ml-train", "azure-ml-test", "azure-ml-production")
STAGES = ("test", "train", "deploy_test", "deploy_production")
IN_AZURE = ("submit", "wait", "register", "deploy")
Start = Callable[..., Agent]


def logged_in(connection: str) -> dict[str, str]:
    return {"LOGGED_IN": connection}


class Beside:
    """An agent beside a make that notes its calls, and fails at a verb as long as it is told to."""

    def __init__(self, folder: Path, pipeline: Node, repository: Path, reason: str, branch: str) -> None:
        self.calls, self.dies_at = folder / "calls", folder / "dies"
        self.agent = Agent(pipeline, repository, folder / "work", GROUP, logged_in, reason=reason, branch=branch)
        self.agent.work.mkdir()

    def fails_at(self, verb: str) -> None:
        Path(f"{self.dies_at}.{verb}").touch()

    def mended(self, verb: str) -> None:
        Path(f"{self.dies_at}.{verb}").unlink(missing_ok=True)

    def run(self, *, again: bool = False) -> tuple[str, ...]:
        self.calls.write_text("")
        results = self.agent.run(again=again)
        return tuple(results[stage] for stage in STAGES)

    def called(self) -> list[str]:
        return self.calls.read_text().splitlines()


@pytest.fixture
def beside(bake: Bake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Beside]:
    place = tmp_path / "bin" / "make"
    place.parent.mkdir()
    shutil.copy(Path(__file__).with_name("make_stand_in.sh"), place)
    monkeypatch.setenv("PATH", f"{place.parent}{os.pathsep}{os.environ['PATH']}")

    def start(reason: str = "IndividualCI", branch: str = "refs/heads/main") -> Beside:
        project = bake(ci="azure-devops")
        pipeline = expanded(project / ".azure-pipelines" / "model1.yml")
        made = Beside(tmp_path, pipeline, project, reason, branch)
        monkeypatch.setenv("CALLS", str(made.calls))
        monkeypatch.setenv("DIES_AT", str(made.dies_at))
        return made

    return start


def test_a_commit_of_main_goes_all_the_way(beside: Callable[..., Beside]) -> None:
    run = beside()
    assert run.run() == (SUCCEEDED,) * 4, run.agent.log
    gate = "--min accuracy=0.7 --not-worse-than-current accuracy --output-metadata-file registered.json"
    assert run.called() == [
        "check --offline",
        "setup",
        "train",
        "test --junitxml=outputs/tests.xml",
        "ci summary --beside registered/registered.json --output summary.md",
        ATTACH,
        "submit --async (as azure-ml-train)",
        ATTACH,
        "wait (as azure-ml-train)",
        ATTACH,
        f"register {gate} (as azure-ml-train)",
        "ci summary --registered registered.json",
        ATTACH,
        "deploy --target aci --service model1-test --model-metadata-file registered.json (as azure-ml-test)",
        ATTACH,
        "deploy --target aci --service model1 --model-metadata-file registered.json (as azure-ml-production)",
    ]
    train, test, production = ({f"azure-ml-{name}"} for name in ("train", "test", "production"))
    assert run.agent.logged_in == {
        **dict.fromkeys(("train.submit", "train.wait", "train.register"), train),
        "deploy_test.deploy": test,
        "deploy_production.deploy": production,
    }
    assert run.agent.reports == ["<testsuite name='model1'/>\n"]
    assert len(run.agent.summaries) == 2
    assert "test.test: Get the figures of the registered version: Failed" in run.agent.log, "none is registered yet"
    assert json.loads((run.agent.artifacts["registered"] / "registered.json").read_text()) == {"modelId": "model1:1"}

    run.run()
    assert "test.test: Get the figures of the registered version: Succeeded" in run.agent.log


@pytest.mark.parametrize(
    ("reason", "branch"),
    [("PullRequest", "refs/pull/7/merge"), ("PullRequest", "refs/heads/main"), ("Manual", "refs/heads/try")],
)
def test_a_pull_request_and_another_branch_are_tested_only(
    beside: Callable[..., Beside], reason: str, branch: str
) -> None:
    run = beside(reason, branch)
    assert run.run() == (SUCCEEDED, SKIPPED, SKIPPED, SKIPPED), run.agent.log
    assert run.agent.logged_in == {}
    assert not [call for call in run.called() if call.split()[0] in IN_AZURE]


def test_each_push_is_linted_without_a_login(beside: Callable[..., Beside], bake: Bake) -> None:
    run = beside()
    lint = yaml.safe_load((bake(ci="azure-devops") / ".azure-pipelines" / "lint.yml").read_text())
    run.agent.pipeline = {"stages": [{"stage": "lint", "jobs": lint["jobs"]}]}
    assert run.agent.run() == {"lint.lint": SUCCEEDED, "lint": SUCCEEDED}, run.agent.log
    assert run.called() == ["lint", "check --offline"]


def test_a_pull_request_gets_its_figures_with_the_token_of_that_step_alone(beside: Callable[..., Beside]) -> None:
    run = beside("PullRequest", "refs/pull/7/merge")
    run.fails_at("test")
    assert run.run()[0] == FAILED
    comment = "ci comment --file summary.md (with the token of this job)"
    assert [call for call in run.called() if "(with" in call] == [comment], "also for one whose tests fail"
    run.mended("test")
    for run.agent.provider, run.agent.of_fork in (("TfsGit", True), ("GitHub", False)):
        assert run.run()[0] == SUCCEEDED
        assert [call for call in run.called() if "comment" in call] == []


@pytest.mark.parametrize(
    ("verb", "results", "never"),
    [
        ("check", (FAILED, SKIPPED, SKIPPED, SKIPPED), "train"),
        ("test", (FAILED, SKIPPED, SKIPPED, SKIPPED), "submit"),
        ("submit", (SUCCEEDED, FAILED, SKIPPED, SKIPPED), "wait"),
        ("wait", (SUCCEEDED, FAILED, SKIPPED, SKIPPED), "register"),
        ("register", (SUCCEEDED, FAILED, SKIPPED, SKIPPED), "deploy"),
        ("deploy", (SUCCEEDED, SUCCEEDED, FAILED, SKIPPED), "none"),
    ],
)
def test_what_fails_stops_it_and_what_was_found_is_shown(
    beside: Callable[..., Beside], verb: str, results: tuple[str, ...], never: str
) -> None:
    run = beside()
    run.fails_at(verb)
    assert run.run() == results, run.agent.log
    assert never not in [call.split()[0] for call in run.called()]
    reached_register = verb in ("register", "deploy")
    assert len(run.agent.summaries) == 1 + reached_register
    assert ("registered" in run.agent.artifacts) == (verb == "deploy")

    run.mended(verb)
    assert run.run(again=True) == (SUCCEEDED,) * 4, run.agent.log
    first = next(call.split()[0] for call in run.called() if not call.startswith("attach"))
    assert first == ("check" if verb == "test" else verb), "a job runs again as a whole, and none that has succeeded"


@pytest.mark.full
def test_from_a_commit_to_a_service(bake: Bake, environments: Environments, rehearse: Rehearse, tmp_path: Path) -> None:
    """As above, with the verbs themselves and the workspace on loopback; each environment logs in as itself.

    An assertion is good for a second, a token for a few: both are over many times before a training is.
    """
    project = environments.set_up(copy_of(bake(ci="azure-devops", python_version=PYTHON, **WORKSPACE), tmp_path))
    rehearsal = rehearse(project)
    shutil.rmtree(project / ".azureml", ignore_errors=True)
    pipeline = expanded(project / ".azure-pipelines" / "model1.yml")
    work = tmp_path / "work"
    work.mkdir()
    for connection in CONNECTIONS:
        rehearsal.trust(f"sc://acme/ml/{connection}", service="devops")
    rehearsal.workspace.assertions.lifetime, rehearsal.workspace.tokens.lifetime = 1, 3

    def login(connection: str) -> dict[str, str]:
        return rehearsal.job(f"sc://acme/ml/{connection}", service="devops")

    agent = Agent(pipeline, project, work, GROUP, login)
    agent.run()
    assert [agent.results[stage] for stage in STAGES] == [SUCCEEDED] * 4, "\n".join(agent.log)
    state, issued = rehearsal.state(), rehearsal.workspace.assertions.issued
    assert set(issued) == {f"sc://acme/ml/{connection}" for connection in CONNECTIONS}
    assert list(state["models"]) == ["model1:1"]
    assert sorted(state["services"]) == ["model1", "model1-test"]
    assert "accuracy" in agent.summaries[0] and "Registered as `model1:1`" in agent.summaries[1]
    assert "testcase" in agent.reports[0]

    for stage in pipeline["stages"]:  # the same commit with a model that is worse
        for step in (step for job in stage["jobs"] for step in job.get("steps", []) if step.get("name") == "submitted"):
            step["env"]["ARGS"] += " -- --max-iter 1"
    agent.run()
    assert [agent.results[stage] for stage in STAGES] == [SUCCEEDED, FAILED, SKIPPED, SKIPPED], "\n".join(agent.log)
    assert list(rehearsal.state()["models"]) == ["model1:1"]
    assert "Not registered" in "".join(agent.summaries[2:]), agent.summaries
