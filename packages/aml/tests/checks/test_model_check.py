"""What the check says of a model's folder: its files, their agreement, its code; and its silence where all is well."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import Bake
from tests.runconfigs import CLOUD, LOCAL, RUNCONFIGS, edited, loads, put, runconfig, said
from tests.support import FRAMEWORKS, copy_of


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_folder_that_was_worked_in_is_fine(bake: Bake, tmp_path: Path, framework: str) -> None:
    """The outcome of training, testing and serving stays at home, as .amlignore says."""
    project = copy_of(bake(framework=framework), tmp_path)
    model = project / "models" / "model1"
    litter = ["outputs/model/model.pkl", "mlruns/0/meta.yaml", ".env", "run.json", ".git/config", "__pycache__/x.pyc"]
    for name in [*litter, ".venv/bin/python", ".azureml/config.json", "logs/a.txt"]:
        (model / name).parent.mkdir(parents=True, exist_ok=True)
        (model / name).write_text("x")
    assert said(project) == []


def test_what_the_client_itself_saves_is_fine(small: Path) -> None:
    """Every key, its defaults and its empty values: load and save, then check."""
    from azureml.core import RunConfiguration

    model = small / "models" / "model1"
    for name in (LOCAL, CLOUD):
        RunConfiguration.load(str(model), name).save(str(model), f"{name}.runconfig")
        assert len(runconfig(small, name).read_text().splitlines()) > 90
    assert said(small) == []
    assert loads(small) is None


def test_names_in_snake_case_are_what_the_client_takes_them_for(small: Path) -> None:
    text = runconfig(small).read_text()
    runconfig(small).write_text(text.replace("nodeCount", "node_count").replace("baseImage", "base_image"))
    assert said(small) == []
    assert loads(small) is None
    runconfig(small).write_text(text + "\nnode_count: 4\n")
    assert said(small)[0].endswith("node_count: is there twice, as nodeCount too: remove one of them")


# A few lines that stand for 9 ** 11 values.
MANY = b"a0: &a0 [x]\n" + b"".join(
    b"a%d: &a%d [%s]\n" % (number, number, b", ".join([b"*a%d" % (number - 1)] * 9)) for number in range(1, 12)
)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", "it is empty: mend the file"),
        (b"# only a comment\n", "it is empty"),
        (b"- a\n- b\n", "not a mapping: write `key: value` lines"),
        (b"a: 1\n\tb: 2\n", "line 2: a tab: YAML is indented by spaces"),
        (b"a: 1\nb: [1, 2\n", "line 3: "),
        (b"script: a.py\nscript: b.py\n", "line 2: 'script' is there twice"),
        (b"mpi:\n  nodeCount: 1\n  nodeCount: 2\n", "line 3: 'nodeCount' is there twice"),
        (b"a: 1\nb: \xff\n", "line 2: not UTF-8"),
        (b"a: 1\nb: \x00\n", "line 2: a character that YAML does not allow"),
        (b"a: &x\n  b: *x\n", "line 1: it contains itself"),
        (b"a: *nothing\n", "line 1: found undefined alias"),
        (b"a: 1\n---\nb: 1\n", "line 2: "),
        (b"? [a]\n: 1\n", "line 1: a key that is no word"),
        (b"<<: 1\n", "line 1: `<<` takes over a mapping"),
        (b"a: " + b"[" * 100 + b"]" * 100, "line 1: nested too deep"),
        (b"a: " + b"[" * 20_000, "nested too deep"),
        (MANY, "more than 20000 values"),
        (b"a: " + b"x" * 1_100_000, "larger than 100 kB"),
    ],
)  # fmt: skip
def test_what_is_no_mapping_is_one_line_with_its_number(small: Path, content: bytes, line: str) -> None:
    runconfig(small).write_bytes(content)
    found = said(small)
    assert len(found) == 1, found
    assert found[0].startswith("models/model1/aml_config/train-amlcompute.runconfig: ")
    assert line in found[0]


def test_places_that_are_no_files(small: Path) -> None:
    folder = small / "models" / "model1" / "aml_config"
    (folder / "a.runconfig").mkdir()
    (folder / "b.runconfig").symlink_to("nowhere")
    shutil.copy(runconfig(small, LOCAL), folder / "train-local")
    (folder.parent / ".azureml").mkdir()
    (folder.parent / ".azureml" / "x.runconfig").touch()
    lines = "\n".join(said(small))
    for line in [
        "aml_config/a.runconfig: not a file: mend",
        "aml_config/b.runconfig: a link to nothing: mend",
        "aml_config/train-local: the client takes this file for -c train-local",
        ".azureml/x.runconfig: the client does not look here",
    ]:
        assert line in lines
    assert said(small, "other") == ["models/other: no such folder: name one of models/"]
    assert said(small, config="no-such") [0].endswith(
        "aml_config: no runconfig 'no-such': take one of a, b, train-amlcompute, train-local, train-local"
    )  # fmt: skip


def test_a_folder_that_attach_has_renamed(small: Path) -> None:
    """az ml folder attach does this in a model's folder."""
    folder = small / "models" / "model1" / "aml_config"
    folder.rename(folder.with_name(".aml_config"))
    assert said(small)[0].startswith("models/model1/aml_config: renamed to .aml_config")
    shutil.rmtree(folder.with_name(".aml_config"))
    assert said(small) == [
        "models/model1/aml_config: no runconfig in it: write one, as in aml_config/train-local.runconfig"
    ]


def test_what_two_files_say_of_one_thing(project: Path) -> None:
    edited(project, put("2", "data", "training", "dataLocation", "dataset", "version"))
    conda = project / "models" / "model1" / "aml_config" / "inference-conda.yml"
    conda.write_text(re.sub(r"python=3\.\d+", "python=3.9", conda.read_text()))
    versions, python = said(project)
    assert "train-local.runconfig: data: model1-data is version 1 here and 2 in train-amlcompute.runconfig" in versions
    assert re.search(r"inference-conda.yml: dependencies: python=3\.9, but train-conda.yml has python=3\.1", python)
    assert said(project, config=CLOUD) == []


def test_an_environment_in_a_file_of_its_own(small: Path) -> None:
    config = yaml.safe_load(runconfig(small).read_text())
    own = runconfig(small).with_name("environment.yml")
    own.write_text(yaml.safe_dump(config["environment"]))
    edited(small, put("aml_config/environment.yml", "environment"))
    assert said(small) == []
    assert loads(small) is None
    own.write_text("docker: {enabeld: true}\n")
    lines = "\n".join(said(small))
    assert "environment.docker.enabeld: the client ignores this key: write enabled" in lines


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("- a\n", "not a mapping"),
        ("name: x\ndependancies: []\n", "the client refuses the key 'dependancies': write dependencies"),
        ("dependencies: python=3.11\n", "dependencies is no list"),
        ("dependencies:\n- pip: numpy\n", "is no package"),
        ("dependencies:\n- pip:\n  - 1.5\n", "is no package"),
    ],
)
@pytest.mark.parametrize("name", [LOCAL, CLOUD])
def test_conda_files(small: Path, name: str, text: str, line: str) -> None:
    """Also where the user's own Python runs the script: the client reads the file all the same."""
    (small / "models" / "model1" / "aml_config" / "train-conda.yml").write_text(text)
    (found,) = said(small, config=name)
    assert f"{name}.runconfig: environment.python.condaDependenciesFile: aml_config/train-conda.yml: " in found
    assert line in found


def test_code_that_does_not_compile_or_stays_at_home(project: Path) -> None:
    model = project / "models" / "model1"
    (model / "runtime" / "data.py").write_text("def f(:\n")
    with (model / ".amlignore").open("a") as file:
        file.write("evaluation.py\n")
    late, broken, *_ = sorted(said(project))  # train.py imports evaluation.py when it has trained
    assert late.startswith("models/model1/evaluation.py: imported, but the ignore file keeps it from the run")
    assert broken.startswith("models/model1/runtime/data.py: line 1: ")
    (model / "train.py").write_bytes(b"x = '\xff'\n")
    assert said(project)[0].startswith("models/model1/train.py: ")


@given(config=RUNCONFIGS)
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_mapping_makes_the_check_raise(small: Path, config: Any) -> None:
    runconfig(small, "any").write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    for line in said(small, config="any"):
        assert line.startswith("models/model1/aml_config/any.runconfig: ")


@given(
    content=st.one_of(st.binary(max_size=60), st.text("ab:-[]{}&*<>|!'\"#\t\n ,?%@`0.~", max_size=60).map(str.encode))
)
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_content_makes_the_check_raise(small: Path, content: bytes) -> None:
    runconfig(small, "any").write_bytes(content)
    assert said(small, config="any")
