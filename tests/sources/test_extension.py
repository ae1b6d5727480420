"""What the template adds to Jinja: the functions that its files call, and what follows from the answers."""

import json

import pytest
import tomli as tomllib
import yaml
from cookiecutter.utils import create_env_with_context
from hypothesis import given
from hypothesis import strategies as st

from aml_template import answers, files
from tests.support import FRAMEWORK_FOLDERS, FRAMEWORKS, QUESTIONS, derived

ENVIRONMENT = create_env_with_context({"cookiecutter": QUESTIONS})
TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def rendered(text: str, **given: str) -> str:
    return str(ENVIRONMENT.from_string(text).render(cookiecutter=derived(**given)))


@pytest.mark.parametrize("text", ["", "x", "x\n", "\n\nx {} } %} #}\n\n", "漢😀 {\n{ a }}"])
def test_a_text_without_jinja_is_rendered_as_it_is(text: str) -> None:
    assert rendered(text) == text


@pytest.mark.parametrize("text", ["{{ 'x' }}", "{% if true %}x{% endif %}", "{# y #}x", "x{##}"])
def test_a_text_with_jinja_is_rendered(text: str) -> None:
    """Also after one without, which is kept from the lexer."""
    assert [rendered(each) for each in ("plain", text, "plain")] == ["plain", "x", "plain"]


@given(TEXT)
def test_a_quoted_text_is_read_as_it_was(text: str) -> None:
    assert tomllib.loads(f"x = {files.quoted(text)}") == {"x": text}
    assert yaml.safe_load(files.quoted(text)) == text


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", ""),
        (" a\n b\t", "a b"),
        ("*a* _b_ [c](d) `e`", r"\*a\* \_b\_ \[c\](d) \`e\`"),
        ("\\<&#~$!", r"\\\<\&\#\~\$\!"),
    ],
)
def test_markdown_is_one_line_without_markup(text: str, line: str) -> None:
    assert files.markdown(text) == line


def test_the_answers_are_told_without_where_files_lay() -> None:
    given_answers = {"notebook": "/home of/me/a b.ipynb", "environment_file": "..\\env.yml", "author": "</é'&"}
    told = json.loads(files.answers_json(derived(**given_answers)))
    assert list(told) == [question for question in QUESTIONS if not question.startswith("_")]
    assert (told["notebook"], told["environment_file"], told["author"]) == ("a b.ipynb", "env.yml", "</é'&")
    of_model = json.loads(files.model_answers_json(derived(**given_answers)))
    assert list(of_model) == ["_commit", *(question for question in told if question in files.OF_MODEL)]
    assert set(of_model) == {"_commit", *files.OF_MODEL}


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("gpu", ["yes", "no"])
def test_packages_are_those_of_azure_ml_and_of_the_framework(framework: str, gpu: str) -> None:
    for purpose in ("train", "inference"):
        given_answers = {"framework": framework, "gpu": gpu}
        block = yaml.safe_load(f"      {files.packages(given_answers, purpose)}")
        folders = [FRAMEWORK_FOLDERS.parent / "environments" / f"{purpose}.txt"]
        folders += [FRAMEWORK_FOLDERS / framework / f"{purpose}-requirements.txt"]
        lines = "".join(file.read_text(encoding="utf-8") for file in folders).splitlines()
        expected = [line.split(" #")[0].strip() for line in lines if not line.startswith("#")]
        if gpu == "yes" and purpose == "train":
            expected = [line.replace("tensorflow-cpu", "tensorflow[and-cuda]") for line in expected]
        assert block == expected


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_file_of_others_has_no_name(framework: str) -> None:
    trains_network, answers_rows = framework in ("pytorch", "tensorflow"), framework != "auto3dseg"
    assert rendered("{{predictor('batch.py')}}", framework=framework) == ("batch.py" if answers_rows else "")
    assert rendered("{{network('images.py')}}", framework=framework) == ("images.py" if trains_network else "")
    own = [rendered(f"{{{{framework('{name}', 'x.py')}}}}", framework=framework) for name in FRAMEWORKS]
    assert own == ["x.py" if name == framework else "" for name in FRAMEWORKS]


GPUS = {"vm_size": "Standard_NC6s_v3"}
RDMA = {"vm_size": "Standard_ND40rs_v2"}


@pytest.mark.parametrize(
    ("given_answers", "launcher", "dockerfile"),
    [
        ({}, "mpi", "azure-ml"),
        (GPUS, "mpi", "azure-ml"),
        (RDMA | {"framework": "none"}, "mpi", "azure-ml"),
        (RDMA | {"framework": "pytorch"}, "mpi", "nvidia"),
        ({"framework": "pytorch", "launcher": "pytorch"}, "mpi", "azure-ml"),
        ({"framework": "pytorch", "launcher": "pytorch", "node_count": "2"}, "pytorch", "azure-ml"),
        (GPUS | {"framework": "pytorch", "launcher": "pytorch", "processes_per_node": "2"}, "pytorch", "azure-ml"),
        (RDMA | {"framework": "tensorflow", "node_count": "2"}, "tensorflow", "nvidia"),
        ({"framework": "none", "launcher": "pytorch", "node_count": "2"}, "mpi", "azure-ml"),
    ],
)
def test_what_starts_a_run_and_what_it_is_built_on(
    given_answers: dict[str, str], launcher: str, dockerfile: str
) -> None:
    found = derived(**given_answers)
    assert answers.launcher(found) == f"launchers/{launcher}.yml"
    assert answers.dockerfile(found) == f"dockerfiles/{dockerfile}.dockerfile"
    assert ("cuda" in answers.base_image(found)) == (found["gpu"] == "yes")


@pytest.mark.parametrize(
    ("data_access", "processes_per_node", "mechanism", "path"),
    [
        ("mount", "1", "mount", "/data"),
        ("mount", "2", "mount", "/data"),
        ("download", "1", "download", "/tmp/x"),
        ("download", "2", "direct", "/tmp/x"),
        ("direct", "1", "direct", "/tmp/x"),
    ],
)
def test_how_a_run_gets_its_data(data_access: str, processes_per_node: str, mechanism: str, path: str) -> None:
    found = derived(framework="none", dataset_name="x", data_access=data_access, processes_per_node=processes_per_node)
    assert (answers.mechanism(found), answers.data_path(found)) == (mechanism, path)


def test_where_nothing_has_asked_for_numbers_none_is_taken_for_0() -> None:
    """An update renders without the hook that refuses bad answers."""
    assert answers.processes({"node_count": "many", "processes_per_node": "2"}) == 0
    assert answers.processes({"node_count": "4", "processes_per_node": "8"}) == 32
