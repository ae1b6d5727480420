"""What Azure DevOps runs a rendered repo by: nothing wrong is found in it, and what would be wrong is found."""

from collections.abc import Callable
from pathlib import Path

import pytest

from aml_project.ci import proposal
from tests.automation.language_service import language_service
from tests.automation.pipelines import Node, changed, expanded, jobs_of, problems, steps_of
from tests.conftest import Bake
from tests.environments import Environments
from tests.support import FRAMEWORKS, copy_of

PIPELINES = ".azure-pipelines"


@pytest.fixture(scope="module")
def project(bake: Bake) -> Path:
    return bake(ci="azure-devops")


@pytest.fixture(scope="module")
def pipeline(project: Path) -> Node:
    return expanded(project / PIPELINES / "model1.yml")


def test_nothing_is_found_in_any_of_them(bake: Bake, environments: Environments) -> None:
    projects = [bake(ci="azure-devops", framework=framework) for framework in FRAMEWORKS] + [bake(ci="both")]
    files = [file for one in projects for file in sorted((one / PIPELINES).rglob("*.yml"))]
    assert len(files) == 4 * len(projects)
    assert {file: found for file, found in language_service(environments, files).items() if found} == {}
    assert [found for one in projects for found in problems(one, expanded(one / PIPELINES / "model1.yml"))] == []


def test_a_second_model_adds_a_file_and_edits_none(project: Path) -> None:
    one = proposal.make(project, ["azure-devops"], ["model1"])
    two = proposal.make(project, ["azure-devops"], ["model1", "churn"])
    assert {path for path, text in two.items() if one.get(path) != text} == {f"{PIPELINES}/churn.yml"}
    assert "models/churn/*" in two[f"{PIPELINES}/churn.yml"] and "model1" not in two[f"{PIPELINES}/churn.yml"]


def stage(pipeline: Node, name: str) -> Node:
    found: Node = next(one for one in pipeline["stages"] if one["stage"] == name)
    return found


def job(pipeline: Node, place: str) -> Node:
    return jobs_of(stage(pipeline, place.split(".", maxsplit=1)[0]))[place.split(".")[1]]


def step(pipeline: Node, place: str, title: str) -> Node:
    return next(one for one in steps_of(job(pipeline, place)) if one.get("displayName") == title)


def say(pipeline: Node, place: str, title: str, script: str) -> None:
    """Put another script into a step."""
    found = step(pipeline, place, title)
    if "inputs" in found:
        found["inputs"]["inlineScript"] = script
    else:
        found["script"] = script


# What the language service lets pass, each with what is said of it.
BREAKS: list[tuple[str, Callable[[Node], object], str]] = [
    ("stage", lambda p: stage(p, "deploy_test").update(dependsOn="trian"), "waits for trian"),
    ("job", lambda p: job(p, "train.wait").update(dependsOn="submitted"), "waits for submitted"),
    ("environment", lambda p: job(p, "deploy_production.deploy").pop("environment"), "no environment"),
    ("another environment", lambda p: job(p, "deploy_test.deploy").update(environment="prod"), "logs in as"),
    ("variable", lambda p: step(p, "test.test", "Test").update(env={"ARGS": "$(MODLE)"}), "$(MODLE) is not defined"),
    ("in the shell", lambda p: say(p, "train.wait", "Take over the run", "echo $RUM"), "$RUM is not defined"),
    ("function", lambda p: stage(p, "train").update(condition="an(succeded())"), "succeded() is no function"),
    ("condition", lambda p: stage(p, "train").update(condition="succeeded()"), "also for a pull request"),
    ("always", lambda p: stage(p, "deploy_test").update(condition="always()"), "also for a pull request"),
    ("expression", lambda p: job(p, "test.test").update(displayName="${{ a"), "open: ${{ a"),
    ("verb", lambda p: step(p, "test.test", "Check").update(script="make chekc"), "make chekc: no such verb"),
    ("time", lambda p: job(p, "train.submit").pop("timeoutInMinutes"), "no timeoutInMinutes"),
    ("path", lambda p: p["trigger"]["paths"]["include"].append("model/*"), "model/*: is not there"),
    ("output", lambda p: step(p, "train.submit", "Submit").update(name="sent"), "nobody sets it"),
    ("not waited for", lambda p: job(p, "train.register").update(dependsOn="wait"), "does not wait for that itself"),
    ("not waited for by a stage", lambda p: stage(p, "deploy_production").update(dependsOn="test"), "not wait for"),
    ("lines", lambda p: say(p, "train.submit", "Submit", "make submit\necho"), "goes on after"),
    ("secret", lambda p: step(p, "train.wait", "Wait")["env"].update(CLIENT_SECRET="x"), "looks like a secret"),
]  # fmt: skip


@pytest.mark.parametrize(("spoil", "said"), [row[1:] for row in BREAKS], ids=[row[0] for row in BREAKS])
def test_what_the_schema_does_not_know_is_found(
    project: Path, pipeline: Node, spoil: Callable[[Node], object], said: str
) -> None:
    broken = changed(pipeline)
    spoil(broken)
    assert [one for one in problems(project, broken) if said in one], problems(project, broken)


def test_the_language_service_finds_the_rest(project: Path, environments: Environments, tmp_path: Path) -> None:
    copy = copy_of(project, tmp_path)
    file = copy / PIPELINES / "templates" / "model.yml"
    text = file.read_text(encoding="utf-8")
    typos = [("timeoutInMinutes", "timeoutMinutes"), ("AzureCLI@2", "AzurCLI@2"), ("azureSubscription", "subscription"),
             ("scriptType: bash", "scriptType: bsh"), ("runOnce", "runonce"), ("steps:", "step:"),
             ("type: string", "type: text")]  # fmt: skip
    files = [file.with_name(f"{number}.yml") for number in range(len(typos))]
    for broken, (right, wrong) in zip(files, typos, strict=True):
        broken.write_text(text.replace(right, wrong, 1), encoding="utf-8")
    found = language_service(environments, files)
    assert [typo for typo, said in zip(typos, found.values(), strict=True) if not said] == []
