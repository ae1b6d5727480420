"""aml environment, as far as it goes without a workspace: what it picks, lists, refuses, and what check says of it."""

import re
from pathlib import Path

import pytest
import yaml

from aml_project.runconfigs import dockerfile_text
from aml_project.runconfigs import environment as runconfig_environment
from tests.aml import aml, call
from tests.runconfigs import change, said
from tests.support import files_of

RUNCONFIG = Path("models", "model1", "aml_config", "train-amlcompute.runconfig")


def versions(project: Path, *args: str) -> dict[str, str]:
    """The versions that a dry run names, by the runconfig."""
    code, out, err = aml(project, "environment", "--dry-run", *args)
    assert (code, err) == (0, "")
    return named(out)


def named(out: str) -> dict[str, str]:
    return {found[1]: found[0] for found in re.findall(r"version ([0-9a-f]{12}), for (\S+)", out)}


def write_version(project: Path, version: str) -> None:
    change(project / RUNCONFIG, "  name: model1-train\n", f'  name: model1-train\n  version: "{version}"\n')


def test_a_dry_run_names_the_version_and_asks_nobody(project: Path, without_client: dict[str, str]) -> None:
    before = files_of(project)
    code, out, err = call(project, "environment", "--dry-run", **without_client)
    assert (code, err) == (0, "")
    first = named(out)
    assert list(first) == [str(RUNCONFIG)]
    assert files_of(project) == before
    assert versions(project, "-c", "train-amlcompute") == first
    assert versions(project, "--dockerfile") != first
    assert versions(project, "--base-image", "other/image:1") != first
    assert files_of(project) == before


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (None, "No such file or directory"),
        (b"\xff", "not UTF-8"),
        (b"", "no FROM line: it is no Dockerfile"),
        (b"RUN a\n", "no FROM line: it is no Dockerfile"),
        (b"# escape=`\nFROM a\n", "line 1: escape=` is for Windows"),
    ],
)
def test_what_is_no_dockerfile_is_refused(project: Path, content: bytes | None, line: str) -> None:
    file = project / "models" / "model1" / "Dockerfile"
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    code, out, err = aml(project, "environment", "--dockerfile", "--dry-run")
    assert (code, out) == (1, "")
    assert err.startswith(f"ERROR: {RUNCONFIG}: models/model1/Dockerfile: {line}")
    assert err.count("\n") == 1


# ------------------------------------------------------------------------------------------ what is picked, and refused


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (["--model", "x"], "--model: no such model: x; models here: model1"),
        (["-c", "gpu"], "-c: no such runconfig: gpu; model1 has train-amlcompute, train-local"),
        (["--dockerfile", "--base-image", "i"], "not allowed with argument"),
        (["--list", "--dockerfile"], "not allowed with argument"),
        (["--base-image", " "], "--base-image: name an image"),
    ],
)
def test_wrong_use_gets_one_line(project: Path, args: list[str], line: str) -> None:
    code, out, err = aml(project, "environment", *args)
    assert (code, out) == (2, "")
    assert err.startswith("ERROR: ")
    assert err.count("\n") == 1
    assert line in err


@pytest.mark.parametrize(
    ("args", "edit", "line"),
    [
        (
            ["-c", "train-local"],
            ("", ""),
            "its environment runs in this computer's Python: there is nothing to register",
        ),
        (
            ["-c", "train-local", "--dockerfile"],
            ("", ""),
            "runs in this computer's Python: there is nothing to register",
        ),
        ([], ("  name: model1-train\n", ""), "environment.name: 1 to 255 letters, digits"),
        ([], ("name: model1-train", "name: my env"), "environment.name: 1 to 255 letters, digits"),
        ([], ("name: model1-train", "name: AzureML-x"), "has a name that Azure ML keeps for its own"),
        ([], ("train-conda.yml", "none.yml"), "aml_config/none.yml: missing"),
        ([], ("    condaDependenciesFile: aml_config/train-conda.yml\n", ""), "condaDependenciesFile: missing"),
        ([], ("script: train.py", "script: ["), "train-amlcompute.runconfig: line "),
    ],
)
def test_what_cannot_be_registered_is_refused(project: Path, args: list[str], edit: tuple[str, str], line: str) -> None:
    if any(edit):
        change(project / RUNCONFIG, *edit)
    code, out, err = aml(project, "environment", "--dry-run", *args)
    assert (code, out, err.count("ERROR: "), err.count("\n")) == (1, "", 1, 1), err
    assert line in err


def test_without_a_run_in_azure_one_has_to_be_named(project: Path) -> None:
    (project / RUNCONFIG).unlink()
    code, _, err = aml(project, "environment", "--dry-run")
    assert (code, err) == (2, "ERROR: no runconfig of model1 runs in Azure; -c names another\n")
    local = project / RUNCONFIG.with_name("train-local.runconfig")
    change(local, "userManagedDependencies: true", "userManagedDependencies: false")
    assert versions(project, "-c", "train-local")


def test_an_environment_in_a_file_of_its_own_is_read(project: Path) -> None:
    file = project / RUNCONFIG
    before = versions(project)
    config = yaml.safe_load(file.read_text())
    (project / "models" / "model1" / "environment.yml").write_text(yaml.safe_dump(config["environment"]))
    file.write_text(yaml.safe_dump(config | {"environment": "environment.yml"}))
    assert versions(project) == before
    use = runconfig_environment.read(file)
    assert use.file.name == "environment.yml"
    assert list(use.changes) == [("version",)]


# ------------------------------------------------------------------------------------------------------ list, and check


def rows(out: str) -> dict[str, list[str]]:
    return {Path(line.split()[0]).stem: re.split(r"  +", line)[1:] for line in out.splitlines() if ".runconfig" in line}


def test_the_list_shows_without_a_workspace_what_is_in_the_files(project: Path) -> None:
    second = project / "models" / "second"
    (second / "aml_config").mkdir(parents=True)
    (second / "aml_config" / "broken.runconfig").write_text("a: [")
    (second / "aml_config" / "named.runconfig").write_text("target: c\nenvironment: {name: e, version: '3'}\n")
    version = versions(project, "--model", "model1")[str(RUNCONFIG)]
    local = ["model1-train-local", "-", "-", "runs in this computer's Python"]
    first = ["model1-train", "-", version, "no version written: make environment"]
    by_name = ["e", "3", "-", "is known by its name alone"]
    code, out, err = aml(project, "environment", "--list", "--dry-run")
    assert code == 0
    assert rows(out) == {"train-amlcompute": first, "train-local": local, "named": by_name}
    assert err.startswith("NOTE: left out: models/second/aml_config/broken.runconfig: line ")
    assert err.count("\n") == 1

    (project / ".azureml" / "config.json").unlink()
    write_version(project, version)
    code, out, err = aml(project, "environment", "--list", "--model", "model1")
    assert (code, err) == (0, "NOTE: no workspace is attached: make attach; so what is registered was not asked\n")
    assert rows(out) == {"train-amlcompute": ["model1-train", version, version, "not asked"], "train-local": local}
    change(project / RUNCONFIG.with_name("train-conda.yml"), "numpy==2.2.6", "numpy==2.2.5")
    row = rows(aml(project, "environment", "--list", "--model", "model1").out)["train-amlcompute"]
    assert row[1] == version
    assert row[2] == versions(project, "--model", "model1")[str(RUNCONFIG)] != version
    assert row[3] == "changed since: make environment"


def test_the_check_finds_an_environment_that_has_changed_since(project: Path) -> None:
    version = versions(project)[str(RUNCONFIG)]
    write_version(project, version)
    assert said(project) == []
    conda = project / RUNCONFIG.with_name("train-conda.yml")
    change(conda, "dependencies:\n", "# why\ndependencies:\n")
    assert said(project) == []
    change(conda, "numpy==2.2.6", "numpy==2.2.5")
    now = versions(project)[str(RUNCONFIG)]
    [line] = said(project)
    changed = f"environment.version: is {version}, and what it was made of has changed since to {now}: make environment"
    assert line == f"{RUNCONFIG}: {changed}"
    change(project / RUNCONFIG, f'version: "{version}"', 'version: "202601011200"')
    assert said(project) == [], "a version that somebody gave says nothing about the files"
    change(project / RUNCONFIG, 'version: "202601011200"', f'version: "{now}"')
    assert said(project) == []
    text = (project / RUNCONFIG).read_text()
    section = text[text.index("environment:\n") : text.index("docker:\n  useDocker")]
    alone = f'environment: {{name: theirs, version: "{version}", docker: {{enabled: true}}}}\n'
    (project / RUNCONFIG).write_text(text.replace(section, alone))
    assert said(project) == [], "what is known by its name alone has no files"


def test_the_check_follows_a_dockerfile_and_what_it_copies(unasked: None, project: Path) -> None:
    from aml_project.runconfigs.editing import edit

    model = project / "models" / "model1"
    use = runconfig_environment.read(project / RUNCONFIG, model / "Dockerfile")
    assert edit(project / RUNCONFIG, use.changes)
    assert versions(project) == {str(RUNCONFIG): use.version}, "it goes on with the same file"
    assert said(project) == []
    text = yaml.safe_load((project / RUNCONFIG).read_text())["environment"]
    assert text["docker"]["baseDockerfile"] == dockerfile_text.standalone(model / "Dockerfile", model)
    assert text["docker"]["baseImage"] is None
    assert text["python"]["userManagedDependencies"] is True
    change(model / "Dockerfile", 'ENTRYPOINT ["python"', 'ENTRYPOINT ["python", "-O"')
    assert said(project) == [], "that is after the stage"
    change(model / "aml_config" / "train-conda.yml", "numpy==2.2.6", "numpy==2.2.5")
    [line] = said(project)
    assert f"environment.version: is {use.version}, and what it was made of has changed since to " in line
    (model / "Dockerfile").unlink()
    code, out, err = aml(project, "check")
    assert (code, err) == (1, "")
    assert "environment.version: models/model1/Dockerfile: No such file or directory" in out


def test_going_back_to_the_conda_file(project: Path) -> None:
    from aml_project.runconfigs.editing import edit

    before, model = versions(project), project / "models" / "model1"
    image = yaml.safe_load((project / RUNCONFIG).read_text())["environment"]["docker"]["baseImage"]
    edit(project / RUNCONFIG, runconfig_environment.read(project / RUNCONFIG, model / "Dockerfile").changes)
    back = runconfig_environment.read(project / RUNCONFIG, None, image)
    assert back.version == before[str(RUNCONFIG)]
    edit(project / RUNCONFIG, back.changes)
    assert versions(project) == before
    assert said(project) == []
