"""aml add ci: which files a repo gets, for whom, and what becomes of them when a model is renamed or removed."""

import json
import subprocess
from pathlib import Path

import pytest

from aml_project.ci import proposal
from tests.aml import aml
from tests.support import files_of

GITHUB = [
    ".github/dependabot.yml",
    ".github/workflows/_model.yml",
    ".github/workflows/lint.yml",
    ".github/workflows/retrain.yml",
]


def model(root: Path, name: str, metric: str = "accuracy") -> None:
    folder = root / "models" / name
    (folder / "aml_config").mkdir(parents=True)
    (folder / "train.py").write_text(f"metrics = {{{metric!r}: 1.0}}\n")


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    root = tmp_path / "repo"
    model(root, "model1")
    (root / ".cookiecutter.json").write_text("{}")
    return root


def origin(root: Path, address: str) -> None:
    for command in (["init"], ["add", "."], ["commit", "--message=x"], ["remote", "add", "origin", address]):
        subprocess.run(["git", *command], cwd=root, check=True, capture_output=True)


def ci_files(root: Path) -> list[str]:
    return sorted(name for name in files_of(root) if name.startswith((".github/", ".azure-pipelines/")))


def test_a_repo_gets_a_file_for_each_model_and_those_that_they_share(repo: Path) -> None:
    model(repo, "churn")
    code, out, err = aml(repo, "add", "ci", "--on", "github")
    own = [".github/workflows/churn.yml", ".github/workflows/model1.yml"]
    assert (code, err, ci_files(repo)) == (0, "", sorted([*GITHUB, *own]))
    assert "Next: make ci ARGS=setup" in out
    for path in GITHUB:
        assert "model1" not in (repo / path).read_text() and "churn" not in (repo / path).read_text()
    assert "models/churn/**" in (repo / own[0]).read_text()
    assert "model1" not in (repo / own[0]).read_text()


@pytest.mark.parametrize(("name", "on"), [("lint", "azure-devops"), ("retrain", "github")])
def test_a_model_does_not_take_the_name_of_a_file_that_all_share(repo: Path, name: str, on: str) -> None:
    model(repo, name)
    done = aml(repo, "add", "ci", "--on", on)
    assert (done.code, ci_files(repo)) == (1, [])
    assert f"/{name}.yml: is a file of all models" in done.err
    (repo / "models" / name).rename(repo / "models" / "other")
    assert aml(repo, "add", "ci", "--on", on).code == 0
    before = files_of(repo)
    done = aml(repo, "model", "rename", "other", name)
    assert (done.code, files_of(repo)) == (1, before)
    assert f"/{name}.yml: is there already" in done.err


def test_what_is_there_is_kept(repo: Path) -> None:
    assert aml(repo, "add", "ci", "--on", "github").code == 0
    file = repo / ".github" / "workflows" / "model1.yml"
    file.write_text(file.read_text().replace("0.7", "0.8"))
    before = files_of(repo)
    code, out, err = aml(repo, "add", "ci")
    assert (code, out) == (0, "The files of CI are there already.\n")
    assert err == "NOTE: .github/workflows/model1.yml: kept as it was\n"
    assert files_of(repo) == before
    model(repo, "churn")
    assert aml(repo, "add", "ci").code == 0
    after = files_of(repo)
    assert {name: after[name] for name in before} == before


def test_a_dry_run_writes_nothing(repo: Path) -> None:
    before = files_of(repo)
    code, out, _ = aml(repo, "add", "ci", "--on", "github", "--dry-run")
    assert (code, files_of(repo)) == (0, before)
    assert out.splitlines()[1:] == [f"  {path}" for path in [*GITHUB, ".github/workflows/model1.yml"]]


@pytest.mark.parametrize(
    ("answer", "address", "meant"),
    [
        ("none", "", ["github"]),
        ("none", "https://dev.azure.com/org/project/_git/repo", ["azure-devops"]),
        ("none", "git@github.com:org/repo.git", ["github"]),
        ("both", "", ["github", "azure-devops"]),
        ("azure-devops", "git@github.com:org/repo.git", ["azure-devops"]),
    ],
)
def test_who_runs_it_is_who_was_asked_for_or_hosts_it(repo: Path, answer: str, address: str, meant: list[str]) -> None:
    (repo / ".cookiecutter.json").write_text(json.dumps({"ci": answer}))
    if address:
        origin(repo, address)
    assert proposal.meant(repo) == meant


@pytest.mark.parametrize(
    ("metric", "gate"),
    [
        ("accuracy", "--min accuracy=0.7 --not-worse-than-current accuracy"),
        ("roc_auc", "--min roc_auc=0.7 --not-worse-than-current roc_auc"),
        ("rmse", "--not-worse-than-current rmse"),
        ("r2", "--min r2=0.7 --not-worse-than-current r2"),
    ],
)
def test_the_gate_is_of_the_metric_that_the_model_has(repo: Path, metric: str, gate: str) -> None:
    model(repo, "other", metric)
    assert aml(repo, "add", "ci", "--on", "github", "--model", "other").code == 0
    assert f"gate: {gate}\n" in (repo / ".github" / "workflows" / "other.yml").read_text()


@pytest.mark.parametrize("name", ["a", "a_b", "test_", "a_name_of_thirty_letters_and_m"])
def test_a_service_has_a_name_that_azure_takes(name: str) -> None:
    from aml_project.serving.plan import check_arguments

    for end in ("-test", "-prod"):
        check_arguments("aci", name, None, f"{proposal.service(name)}{end}", 1.0)


def test_a_renamed_model_takes_its_workflow_along_and_the_lines_of_its_owner(repo: Path) -> None:
    assert aml(repo, "add", "ci", "--on", "github").code == 0
    file = repo / ".github" / "workflows" / "model1.yml"
    file.write_text(file.read_text().replace("0.7", "0.8").replace("branches: [main]", "branches: [main, model1]"))
    done = aml(repo, "model", "rename", "model1", "churn")
    assert done.code == 0, done.err
    assert ci_files(repo) == sorted([*GITHUB, ".github/workflows/churn.yml"])
    text = (file.parent / "churn.yml").read_text()
    for line in (
        "models/churn/**",
        'model: "churn"',
        "--service churn-prod",
        "accuracy=0.8",
        "branches: [main, model1]",
    ):
        assert line in text
    assert text.count("model1") == 1


def test_a_removed_model_takes_its_workflow_along(repo: Path) -> None:
    model(repo, "churn")
    assert aml(repo, "add", "ci", "--on", "github").code == 0
    assert aml(repo, "model", "remove", "churn", "--force").code == 0
    assert ci_files(repo) == sorted([*GITHUB, ".github/workflows/model1.yml"])


def test_the_option_is_of_ci_alone(repo: Path) -> None:
    assert aml(repo, "add", "search", "--on", "github") == (2, "", "ERROR: --on: goes with ci\n")
