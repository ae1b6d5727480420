"""The version of an environment follows what its image is built from, and nothing else."""

import random
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aml_project.runconfigs import environment as runconfig_environment
from aml_project.runconfigs import environment_version
from tests.conftest import Bake
from tests.runconfigs import change
from tests.support import FRAMEWORKS

RUNCONFIG = Path("models", "model1", "aml_config", "train-amlcompute.runconfig")


def version(project: Path) -> str:
    return str(runconfig_environment.read(project / RUNCONFIG).version)


def parts_of_the_client(file: Path) -> dict[str, Any]:
    from azureml.core import Environment, RunConfiguration

    section = Environment._serialize_to_dict(RunConfiguration.load(str(file.parents[1]), file.stem).environment)
    return environment_version.image_parts(section, section["python"].get("condaDependencies"))


SAME = {
    "a comment": ("dependencies:\n", "# why\ndependencies:  # these\n\n"),
    "the order of conda's packages": ("  - python=3.11\n  - pip\n", "  - pip\n  - python=3.11\n"),
    "the name in the conda file": ("name: model1-train\n", "name: other\n"),
    "no name": ("name: model1-train\n", ""),
    "quotes": ("  - pip\n", "  - 'pip'\n"),
    "another style": ("channels:\n  - conda-forge\n", "channels: [conda-forge]\n"),
    "an empty section": ("channels:\n", "variables: {}\nchannels:\n"),
    "other line ends": ("\n", "\r\n"),
}
OTHER = {
    "a package's version": ("numpy==2.2.6", "numpy==2.2.5"),
    "one package less": ("      - matplotlib==3.10.9\n", ""),
    "the order of pip's packages": (
        "      - numpy==2.2.6\n      - matplotlib==3.10.9\n",
        "      - matplotlib==3.10.9\n      - numpy==2.2.6\n",
    ),
    "one more channel": ("  - conda-forge\n", "  - conda-forge\n  - defaults\n"),
    "a variable of the conda file": ("channels:\n", "variables: {A: B}\nchannels:\n"),
}


@pytest.mark.parametrize("what", [*SAME, *OTHER])
def test_the_version_follows_what_is_installed(project: Path, what: str) -> None:
    before = version(project)
    change(project / RUNCONFIG.parent / "train-conda.yml", *(SAME | OTHER)[what])
    assert (version(project) == before) == (what in SAME)


SAME_RUN = {
    "a variable of the run": ("environment:\n", "environment:\n  environmentVariables: {A: B}\n"),
    "another spelling": ("condaDependenciesFile", "conda_dependencies_file"),
    "memory": ("shmSize: 2g", "shmSize: 4g"),
    "the platform that is meant": ("  docker:\n", "  docker:\n    platform: {os: Linux, architecture: amd64}\n"),
    "a version that somebody gave": ("  python:\n", "  version: mine\n  python:\n"),
    "the name": ("  name: model1-train\n", "  name: other\n"),
    "the interpreter, where conda brings its own": ("interpreterPath: python\n", "interpreterPath: /opt/bin/python\n"),
}  # fmt: skip
OTHER_RUN = {
    "the image": ("20251130.v1", "20251130.v2"),
    "the platform": ("    enabled: true\n", "    enabled: true\n    platform: {os: Windows}\n"),
    "the registry": ("    enabled: true\n", "    enabled: true\n    baseImageRegistry: {address: my.registry}\n"),
    "a Python that is there": ("userManagedDependencies: false", "userManagedDependencies: true"),
    "the conda environment below": ("    interpreterPath: python\n", "    baseCondaEnvironment: base\n"),
    "the inferencing stack": ("  python:\n", "  inferencingStackVersion: latest\n  python:\n"),
    "R": ("  python:\n", "  r: {rVersion: '3.6', cranPackages: [{name: a, version: '1'}]}\n  python:\n"),
    "a build context": (
        "  docker:\n", "  docker:\n    buildContext: {locationType: git, location: 'https://example.com/a.git'}\n",
    ),
    "Spark's packages": (
        "  python:\n", "  spark: {packages: [{group: a, artifact: b, version: '1'}]}\n  python:\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", [*SAME_RUN, *OTHER_RUN])
def test_the_version_follows_what_the_runconfig_builds(project: Path, what: str) -> None:
    before = version(project)
    change(project / RUNCONFIG, *(SAME_RUN | OTHER_RUN)[what])
    assert (version(project) == before) == (what in SAME_RUN)
    assert parts_of_the_client(project / RUNCONFIG) == runconfig_environment.read(project / RUNCONFIG).parts


def test_a_python_that_is_there_is_known_by_its_interpreter() -> None:
    def version_with(interpreter: str | None) -> str:
        python = {"userManagedDependencies": True, "interpreterPath": interpreter}
        return environment_version.version_of(environment_version.image_parts({"python": python}, None))

    assert version_with("/opt/bin/python") != version_with("python") == version_with(None) == version_with("")


def test_the_version_stays_from_one_release_to_the_next() -> None:
    """Where it changes, every environment of every project is built once more."""
    environment = {"docker": {"baseImage": "image:1"}, "python": {"condaDependenciesFile": "c.yml"}}
    conda = {"channels": ["conda-forge"], "dependencies": ["python=3.11", {"pip": ["six==1.17.0"]}]}
    parts = environment_version.image_parts(environment, conda)
    assert environment_version.version_of(parts) == "43a01db41d2f"


@given(st.dictionaries(st.text(max_size=3), st.text(max_size=3)))
def test_a_version_is_known_as_ours_and_a_date_is_not(parts: dict[str, str]) -> None:
    version = environment_version.version_of(parts)
    assert re.fullmatch("[0-9a-f]{12}", version)
    assert environment_version.is_ours(version)
    for other in ("202601011200", version.upper(), f"{version}0", version[:11], "", None, 7):
        assert other == version or not environment_version.is_ours(other)


def test_no_two_of_many_versions_are_equal() -> None:
    made = {environment_version.version_of({"n": number}) for number in range(20_000)}
    assert len(made) == 20_000
    assert all(map(environment_version.is_ours, made))


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_client_reads_the_same_environment(bake: Bake, framework: str) -> None:
    [file] = bake(framework=framework).glob("models/*/aml_config/train-amlcompute.runconfig")
    parts = parts_of_the_client(file)
    assert parts == runconfig_environment.read(file).parts
    assert parts["python"]["condaDependencies"]["dependencies"]


def test_the_version_is_the_same_whatever_the_order_of_keys() -> None:
    environment = {"docker": {"baseImage": "i", "platform": {"os": "Windows", "architecture": "arm"}}, "python": {}}
    drawn = random.Random(1)
    versions = set()
    for _ in range(20):
        docker = dict(drawn.sample(list(environment["docker"].items()), 2))
        parts = environment_version.image_parts({"python": {}, "docker": docker}, {"dependencies": ["a"]})
        versions.add(environment_version.version_of(parts))
    assert len(versions) == 1
