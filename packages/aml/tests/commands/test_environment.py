"""register_environment as far as it goes without a workspace: the version, the Dockerfile's text, what is refused."""

import json
import random
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aml_project.command_line import Failure
from aml_project.runconfigs import dockerfile_text, environment_version
from aml_project.runconfigs import environment as runconfig_environment
from aml_project.runconfigs import file as runconfig_file
from aml_project.snapshot import preview
from tests.conftest import Bake
from tests.support import FRAMEWORKS, MODEL, copy_of, files_of, rendered_file
from tests.tier1.test_scripts import WORKSPACE, call, no_client

__all__ = ["no_client"]
RUNCONFIG = Path("models", "model1", "aml_config", "train-amlcompute.runconfig")


@pytest.fixture
def project(bake: Bake, tmp_path: Path) -> Path:
    return copy_of(bake(**WORKSPACE), tmp_path)


def versions(project: Path, *args: str, **env: str) -> dict[str, str]:
    """The versions that a dry run names, by the runconfig."""
    code, out, err = call(project, "register_environment", "--dry-run", *args, **env)
    assert (code, err) == (0, "")
    return {found[1]: found[0] for found in re.findall(r"version ([0-9a-f]{12}), for (\S+)", out)}


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


def write_version(project: Path, version: str) -> None:
    change(project / RUNCONFIG, "  name: model1-train\n", f'  name: model1-train\n  version: "{version}"\n')


def parts_of_the_client(file: Path) -> dict[str, Any]:
    from azureml.core import Environment, RunConfiguration

    section = Environment._serialize_to_dict(RunConfiguration.load(str(file.parents[1]), file.stem).environment)
    return environment_version.image_parts(section, section["python"].get("condaDependencies"))


# ------------------------------------------------------------------------------------------------------------- version


def test_a_dry_run_names_the_version_and_asks_nobody(project: Path, no_client: dict[str, str]) -> None:
    before = files_of(project)
    first = versions(project, PYTHONDONTWRITEBYTECODE="1", **no_client)
    assert list(first) == [str(RUNCONFIG)]
    assert files_of(project) == before
    assert versions(project, "-c", "train-amlcompute", **no_client) == first
    assert versions(project, "--dockerfile", **no_client) != first
    assert versions(project, "--base-image", "other/image:1", **no_client) != first


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
    before = versions(project)
    change(project / RUNCONFIG.parent / "train-conda.yml", *(SAME | OTHER)[what])
    assert (versions(project) == before) == (what in SAME)


SAME_RUN = {
    "a variable of the run": ("environment:\n", "environment:\n  environmentVariables: {A: B}\n"),
    "another spelling": ("condaDependenciesFile", "conda_dependencies_file"),
    "memory": ("shmSize: 2g", "shmSize: 4g"),
    "the platform that is meant": ("  docker:\n", "  docker:\n    platform: {os: Linux, architecture: amd64}\n"),
    "a version that somebody gave": ("  python:\n", "  version: mine\n  python:\n"),
    "the name": ("  name: model1-train\n", "  name: other\n"),
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
    before = versions(project)
    change(project / RUNCONFIG, *(SAME_RUN | OTHER_RUN)[what])
    assert (versions(project) == before) == (what in SAME_RUN)
    assert parts_of_the_client(project / RUNCONFIG) == runconfig_environment.read(project / RUNCONFIG).parts


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


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_quick_reader_reads_every_conda_file(bake: Bake, framework: str) -> None:
    files = list(bake(framework=framework).glob("models/*/aml_config/*-conda.yml"))
    assert files
    for file in files:
        assert preview.read_conda(file) == runconfig_file.read_mapping(file)


CONDA_LINES = [
    "name: a", "name: no", "name: 'a'", "channels:", "channels: [a]", "dependencies:", "  - a", "  - a=1.0", "- a",
    "  - no", "  - 1", "  - pip:", "      - b==1; c > '3'", "      - b # c", "      - b", "    - b", "      - pip:",
    "# c", "", "prefix: /a", "  - a: b", "  - \"a\"", "      b", "  - a\tb",
]  # fmt: skip


@given(st.lists(st.sampled_from(CONDA_LINES), max_size=8))
def test_the_quick_reader_of_conda_files_agrees_or_passes(lines: list[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)

    class File:
        def read_text(self, **_: str) -> str:
            return text

    quick: Any = preview.read_conda(File())  # type: ignore[arg-type]
    if quick:
        real = runconfig_file.parse(text)
        assert environment_version.conda_parts(quick) == environment_version.conda_parts(real)


# --------------------------------------------------------------------------------------------------------- Dockerfiles


def written(folder: Path, text: str) -> str:
    (folder / "Dockerfile").write_text(text, encoding="utf-8")
    return dockerfile_text.standalone(folder / "Dockerfile", folder)


def run_line(text: str) -> str:
    """The shell's line of the RUN that writes a file, joined as Docker joins it."""
    [found] = re.findall(r"^RUN (to=.*?[^\\])$", text, flags=re.MULTILINE | re.DOTALL)
    return str(found).replace("\\\n", "")


@pytest.mark.parametrize(
    ("content", "to"),
    [
        (b"dependencies: [python]\n", "/below/new/place.yml"),
        (b"", "/empty"),
        ("é\\n'\"$HOME `id` $(id)\\\n#\r\n\ttab\x00end".encode(), "/name with 'quotes' é.txt"),
        (b"x" * 64_000, "/large"),
        (b"into a folder\n", "/folder/"),
        (b"into one that is there\n", "/there"),
        (b"beside\n", "relative.txt"),
    ],
)
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_a_copied_file_is_written_with_the_same_bytes(tmp_path: Path, content: bytes, to: str, shell: str) -> None:
    model, image = tmp_path / "model", tmp_path / "image"
    model.mkdir()
    (image / "there").mkdir(parents=True)
    (model / "file.txt").write_bytes(content)
    target = f"{image}{to}" if to.startswith("/") else to
    text = written(model, f"FROM image\nCOPY {json.dumps(['file.txt', target])}\n")
    line = run_line(text)
    assert len(line) < 131_072, "more than a system lets an argument be"
    subprocess.run([shell, "-c", line], cwd=image, check=True, capture_output=True)
    name = to.lstrip("/")
    place = image / name / "file.txt" if to in ("/folder/", "/there") else image / name
    assert place.read_bytes() == content
    assert place.stat().st_mode & 0o777 == 0o644
    assert dockerfile_text.origin_of(text) == "Dockerfile"
    assert "COPY" not in re.sub("^#.*", "", text, flags=re.MULTILINE)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.text(max_size=200))
def test_whatever_is_in_a_file_is_written(tmp_path: Path, content: str) -> None:
    data = content.encode("utf-8", "ignore")
    (tmp_path / "file").write_bytes(data)
    line = run_line(written(tmp_path, f'FROM image\nCOPY ["file", "{tmp_path}/out"]\n'))
    subprocess.run(["sh", "-c", line], check=True)
    assert (tmp_path / "out").read_bytes() == data


def test_the_rendered_dockerfile_builds_from_its_text(project: Path, tmp_path: Path) -> None:
    model = project / "models" / "model1"
    text = dockerfile_text.standalone(model / "Dockerfile", model)
    kept = [line for line in text.splitlines() if re.match(r"[A-Z]+ ", line)]
    assert [line.split()[0] for line in kept] == ["ARG", "FROM", "RUN", "RUN", "ENV"]
    assert kept[1] == "FROM ${BASE_IMAGE} AS environment"
    assert "train.py" not in text
    line = run_line(text).replace("/tmp/train-conda.yml", str(tmp_path / "out.yml"))
    subprocess.run(["sh", "-c", line], check=True)
    assert (tmp_path / "out.yml").read_bytes() == (model / "aml_config" / "train-conda.yml").read_bytes()
    assert dockerfile_text.standalone(model / "Dockerfile", model) == text


def test_the_dockerfile_on_an_image_of_nvidia_builds_from_its_text(project: Path) -> None:
    model = project / "models" / "model1"
    answers = {"framework": "pytorch", "vm_size": "Standard_ND40rs_v2"}
    (model / "Dockerfile").write_text(rendered_file(MODEL / "Dockerfile", **answers), encoding="utf-8")
    text = dockerfile_text.standalone(model / "Dockerfile", model)
    kept = [line for line in text.splitlines() if re.match(r"[A-Z]+ ", line)]
    assert [line.split()[0] for line in kept] == ["ARG", "FROM", "RUN", "RUN", "RUN", "ENV"]
    assert kept[1] == "FROM nvcr.io/nvidia/pytorch:${NVIDIA_VERSION}-py3 AS environment"


MANY = """# syntax=docker/dockerfile:1
ARG IMAGE=image
FROM ${IMAGE} as tools
RUN make

from tools AS Environment
COPY --from=tools /a /b
COPY <<END /c
COPY . .
FROM nothing
END
ADD https://example.com/a.tar /a
# between

RUN a \\
    # why
    && cat <<'X' \\

    && b
FROM nothing
X
# of the next stage
FROM environment
COPY . .
"""


def test_the_text_ends_with_its_stage_and_keeps_what_needs_no_folder(tmp_path: Path) -> None:
    text = written(tmp_path, MANY)
    assert text == MANY[: MANY.index("# of the next stage")] + "# From Dockerfile, by scripts/register_environment.py\n"
    whole = "FROM image\nRUN a\n\nENTRYPOINT b"
    assert written(tmp_path, whole) == f"{whole}\n# From Dockerfile, by scripts/register_environment.py\n"
    with pytest.raises(Failure, match="line 3: COPY none"):
        written(tmp_path, "\n\ncopy\tnone /x\nFROM")
    assert written(tmp_path, "\ufeff\r\nFROM image\r\nRUN a\r\n").startswith("FROM image\nRUN a\n#")


def test_modes_owners_and_users_are_those_of_a_copy(tmp_path: Path) -> None:
    (tmp_path / "a.sh").write_text("a")
    (tmp_path / "a.sh").chmod(0o775)
    assert "chmod 755 " in written(tmp_path, "FROM i\nCOPY a.sh /b\n")
    given = written(tmp_path, "FROM i\nCOPY --link --chown=1000:me --chmod=600 ./a.sh /b/\n")
    assert "to=/b/a.sh;" in given
    assert 'chmod 600 "$to" && chown 1000:me "$to"\n' in given
    lines = written(tmp_path, "FROM i\nUSER me\nadd a.sh .\nUSER 0\nCOPY a.sh /b\n").splitlines()
    users = [line for line in lines if line.startswith(("USER", "RUN"))]
    assert [line.split(";")[0] for line in users] == [
        "USER me",
        "USER 0",
        "RUN to=./a.sh",
        "USER me",
        "USER 0",
        "RUN to=/b",
    ]
    inherited = written(tmp_path, "FROM i AS one\nUSER me\nFROM j AS two\nCOPY a.sh /a\nFROM ONE\nCOPY a.sh /b\n")
    before_a, _, before_b = inherited.partition("RUN to=/a")
    assert ("USER 0" in before_a, "USER 0" in before_b) == (False, True)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("COPY . .", "COPY . .: is a folder: Azure ML has no such file where it builds"),
        ("COPY sub /x", "is a folder"),
        ("COPY *.txt /x", "wildcards, variables and quotes are not read here"),
        ("COPY $A /x", "wildcards, variables and quotes"),
        ("COPY a.txt $HOME/x", "wildcards, variables and quotes"),
        ('COPY "a.txt" /x', "wildcards, variables and quotes"),
        ("COPY ../out.txt /x", "is outside of the model's folder"),
        ("COPY link.txt /x", "is outside of the model's folder"),
        ("COPY none.txt /x", "No such file or directory: a path begins at the model's folder"),
        ("COPY large.txt /x", "is larger than 64 kB"),
        ("ADD a.tar /x", "is no text"),
        ("COPY a.txt b.txt /x/", "one file a line, and where to"),
        ("COPY a.txt", "one file a line, and where to"),
        ("COPY [a.txt, /x]", "not a list in JSON"),
        ("COPY --parents a.txt /x", "without --parents only"),
        ("COPY --chmod=u+x a.txt /x", "--chmod: write a number, as in 644"),
        ("COPY ignored.txt /x", ".dockerignore keeps it out: take it from there"),
        ("COPY sub/deep/ignored.pyc /x", ".dockerignore keeps it out"),
        ("COPY secret/a.txt /x", ".dockerignore keeps it out"),
        ("ONBUILD COPY a.txt /x", "ONBUILD: Azure ML has no such file where it builds"),
        ("RUN --mount=type=bind,target=/x a", "RUN --mount=type=bind,target=/x: Azure ML has no such file"),
        ("RUN --mount=target=/x a", "RUN --mount=target=/x: Azure ML has no such file"),
        ("RUN --mount=type=secret,id=a b", "Azure ML has no such file"),
    ],
)
def test_what_cannot_be_written_is_refused_with_its_line(tmp_path: Path, line: str, said: str) -> None:
    folder = tmp_path / "model"
    (folder / "sub" / "deep").mkdir(parents=True)
    (folder / "secret").mkdir()
    (folder / ".dockerignore").write_text("# x\nignored.txt\n**/*.pyc\n\nsecret\n!secret/kept.txt\na.?xt\n!/a.txt\n")
    for name in ("a.txt", "b.txt", "ignored.txt", "sub/deep/ignored.pyc", "secret/a.txt", "secret/kept.txt"):
        (folder / name).write_text("x")
    (tmp_path / "out.txt").write_text("x")
    (folder / "link.txt").symlink_to(tmp_path / "out.txt")
    (folder / "large.txt").write_text("x" * 64_001)
    (folder / "a.tar").write_bytes(b"\xff\x00")
    with pytest.raises(Failure) as refused:
        written(folder, f"FROM image\n# why\n\n{line}\n")
    assert re.search(r"Dockerfile: line 4: ", str(refused.value))
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "RUN to=/x" in written(folder, "FROM image\nCOPY a.txt /x\n")
    assert "RUN to=/x" in written(folder, "FROM image\nCOPY secret/kept.txt /x\n")
    assert written(folder, f"FROM image AS environment\nFROM environment\n{line}\n"), "after the stage it is no matter"
    (folder / "Dockerfile.dockerignore").write_text("a.txt\n")
    with pytest.raises(Failure, match=r"\.dockerignore keeps it out"):
        written(folder, "FROM image\nCOPY a.txt /x\n")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file or directory"),
        (b"\xff", "not UTF-8"),
        (b"", "no FROM line: it is no Dockerfile"),
        (b"RUN a\n", "no FROM line: it is no Dockerfile"),
        (b"# escape=`\nFROM a\n", "line 1: escape=` is for Windows"),
    ],
)
def test_what_is_no_dockerfile_is_refused(
    project: Path, no_client: dict[str, str], content: bytes | None, said: str
) -> None:
    file = project / "models" / "model1" / "Dockerfile"
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    code, out, err = call(project, "register_environment", "--dockerfile", "--dry-run", **no_client)
    assert (code, out) == (1, "")
    assert err.startswith(f"ERROR: {RUNCONFIG}: models/model1/Dockerfile: {said}")
    assert err.count("\n") == 1


# ------------------------------------------------------------------------------------------ what is picked, and refused


@pytest.mark.parametrize(
    ("args", "named"),
    [
        (["--model", "x"], "--model: no such model: x; models here: model1"),
        (["-c", "gpu"], "-c: no such runconfig: gpu; model1 has train-amlcompute, train-local"),
        (["--dockerfile", "--base-image", "i"], "not allowed with argument"),
        (["--list", "--dockerfile"], "not allowed with argument"),
        (["--base-image", " "], "--base-image: name an image"),
    ],
)
def test_wrong_use_gets_one_line(project: Path, no_client: dict[str, str], args: list[str], named: str) -> None:
    code, out, err = call(project, "register_environment", *args, **no_client)
    assert (code, out) == (2, "")
    assert err.startswith("ERROR: ")
    assert err.count("\n") == 1
    assert named in err


@pytest.mark.parametrize(
    ("args", "edit", "said"),
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
def test_what_cannot_be_registered_is_refused(
    project: Path, no_client: dict[str, str], args: list[str], edit: tuple[str, str], said: str
) -> None:
    if any(edit):
        change(project / RUNCONFIG, *edit)
    code, out, err = call(project, "register_environment", "--dry-run", *args, **no_client)
    assert (code, out, err.count("ERROR: "), err.count("\n")) == (1, "", 1, 1), err
    assert said in err


def test_without_a_run_in_azure_one_has_to_be_named(project: Path, no_client: dict[str, str]) -> None:
    (project / RUNCONFIG).unlink()
    code, _, err = call(project, "register_environment", "--dry-run", **no_client)
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


def test_the_list_shows_without_a_workspace_what_is_in_the_files(project: Path, no_client: dict[str, str]) -> None:
    second = project / "models" / "second"
    (second / "aml_config").mkdir(parents=True)
    (second / "aml_config" / "broken.runconfig").write_text("a: [")
    (second / "aml_config" / "named.runconfig").write_text("target: c\nenvironment: {name: e, version: '3'}\n")
    version = versions(project, "--model", "model1")[str(RUNCONFIG)]
    local = ["model1-train-local", "-", "-", "runs in this computer's Python"]
    first = ["model1-train", "-", version, "no version written: make environment"]
    named = ["e", "3", "-", "is known by its name alone"]
    code, out, err = call(project, "register_environment", "--list", "--dry-run", **no_client)
    assert code == 0
    assert rows(out) == {"train-amlcompute": first, "train-local": local, "named": named}
    assert err.startswith("NOTE: left out: models/second/aml_config/broken.runconfig: line ")
    assert err.count("\n") == 1

    (project / ".azureml" / "config.json").unlink()
    write_version(project, version)
    code, out, err = call(project, "register_environment", "--list", "--model", "model1")
    assert (code, err) == (0, "NOTE: no workspace is attached: make attach; so what is registered was not asked\n")
    assert rows(out) == {"train-amlcompute": ["model1-train", version, version, "not asked"], "train-local": local}
    change(project / RUNCONFIG.with_name("train-conda.yml"), "numpy==2.2.6", "numpy==2.2.5")
    row = rows(call(project, "register_environment", "--list", "--model", "model1")[1])["train-amlcompute"]
    assert row[1] == version
    assert row[2] == versions(project, "--model", "model1")[str(RUNCONFIG)] != version
    assert row[3] == "changed since: make environment"


def check(project: Path) -> str:
    code, out, err = call(project, "check_project")
    assert (code, err) == (int("fine; a run gets" not in out), "")
    return out


def test_the_check_finds_an_environment_that_has_changed_since(project: Path) -> None:
    version = versions(project)[str(RUNCONFIG)]
    write_version(project, version)
    assert "2 runconfigs fine" in check(project)
    conda = project / RUNCONFIG.with_name("train-conda.yml")
    change(conda, "dependencies:\n", "# why\ndependencies:\n")
    assert "2 runconfigs fine" in check(project)
    change(conda, "numpy==2.2.6", "numpy==2.2.5")
    now = versions(project)[str(RUNCONFIG)]
    assert check(project) == (
        f"{RUNCONFIG}: environment.version: is {version}, and what it was made of has changed since to {now}:"
        " make environment\n"
    )
    change(project / RUNCONFIG, f'version: "{version}"', 'version: "202601011200"')
    assert "2 runconfigs fine" in check(project), "a version that somebody gave says nothing about the files"
    change(project / RUNCONFIG, 'version: "202601011200"', f'version: "{now}"')
    assert "2 runconfigs fine" in check(project)
    text = (project / RUNCONFIG).read_text()
    section = text[text.index("environment:\n") : text.index("docker:\n  useDocker")]
    alone = f'environment: {{name: theirs, version: "{version}", docker: {{enabled: true}}}}\n'
    (project / RUNCONFIG).write_text(text.replace(section, alone))
    assert "2 runconfigs fine" in check(project), "what is known by its name alone has no files"


def test_the_check_follows_a_dockerfile_and_what_it_copies(project: Path) -> None:
    from aml_project.runconfigs.editing import edit

    model = project / "models" / "model1"
    use = runconfig_environment.read(project / RUNCONFIG, model / "Dockerfile")
    assert edit(project / RUNCONFIG, use.changes)
    assert versions(project) == {str(RUNCONFIG): use.version}, "it goes on with the same file"
    assert "2 runconfigs fine" in check(project)
    text = yaml.safe_load((project / RUNCONFIG).read_text())["environment"]
    assert text["docker"]["baseDockerfile"] == dockerfile_text.standalone(model / "Dockerfile", model)
    assert text["docker"]["baseImage"] is None
    assert text["python"]["userManagedDependencies"] is True
    change(model / "Dockerfile", 'ENTRYPOINT ["python"', 'ENTRYPOINT ["python", "-O"')
    assert "2 runconfigs fine" in check(project), "that is after the stage"
    change(model / "aml_config" / "train-conda.yml", "numpy==2.2.6", "numpy==2.2.5")
    assert f"environment.version: is {use.version}, and what it was made of has changed since to " in check(project)
    (model / "Dockerfile").unlink()
    assert "environment.version: models/model1/Dockerfile: No such file or directory" in check(project)


def test_going_back_to_the_conda_file(project: Path) -> None:
    from aml_project.runconfigs.editing import edit

    before, model = versions(project), project / "models" / "model1"
    image = yaml.safe_load((project / RUNCONFIG).read_text())["environment"]["docker"]["baseImage"]
    edit(project / RUNCONFIG, runconfig_environment.read(project / RUNCONFIG, model / "Dockerfile").changes)
    back = runconfig_environment.read(project / RUNCONFIG, None, image)
    assert back.version == before[str(RUNCONFIG)]
    edit(project / RUNCONFIG, back.changes)
    assert versions(project) == before
    assert "2 runconfigs fine" in check(project)


def test_the_version_is_the_same_whatever_the_order_of_keys() -> None:
    environment = {"docker": {"baseImage": "i", "platform": {"os": "Windows", "architecture": "arm"}}, "python": {}}
    drawn = random.Random(1)
    versions = set()
    for _ in range(20):
        docker = dict(drawn.sample(list(environment["docker"].items()), 2))
        parts = environment_version.image_parts({"python": {}, "docker": docker}, {"dependencies": ["a"]})
        versions.add(environment_version.version_of(parts))
    assert len(versions) == 1
