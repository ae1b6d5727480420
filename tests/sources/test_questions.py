"""The questions and the rules for their answers, each Azure rule with its source."""

import inspect
import re
from typing import Any

import pytest
from azure.mgmt.resource.resources.v2022_09_01.operations import _operations as resource_client
from azureml._base_sdk_common.common import _valid_workspace_name
from azureml._model_management._util import model_name_validation
from azureml.core.compute import synapse
from azureml.exceptions import WebserviceException

from aml_template.answers import SIZES_BY_GPUS, gpu_maker
from aml_template.rules import RULES, problems
from hooks.pre_gen_project import main
from tests.support import FRAMEWORK_FOLDERS, FRAMEWORKS, QUESTIONS, derived

GOOD = {
    **{question: "" for question in QUESTIONS if not question.startswith("_")},
    "project_name": "My AML Project",
    "project_slug": "my-aml-project",
    "model_name": "model1",
    "framework": "sklearn",
    "task": "classification",
    "python_version": "3.11",
    "compute_name": "cpu-cluster",
    "vm_size": "Standard_DS3_v2",
    "node_count": "1",
    "gpu": "no",
    "processes_per_node": "1",
    "launcher": "mpi",
    "data_access": "mount",
    "dataset_name": "model1-data",
    "search": "no",
    "pipeline": "no",
    "ci": "none",
}

# Names at the edge of each rule. Where the real client has a check of its own, ours must say the same of all of them.
NAMES = [
    *(
        "a",
        "ab",
        "abc",
        "a-b",
        "a_b",
        "a.b",
        "-ab",
        "_ab",
        ".ab",
        "9ab",
        "ab-",
        "ab_",
        "ab.",
        "A-B",
        "a b",
        "a/b",
        "é12",
    ),
    *("", " ", "a" * 16, "a" * 17, "a" * 24, "a" * 32, "a" * 33, "a" * 34, "a" * 90, "a" * 91, "a" * 255, "a" * 256),
    *("(x)", "x(1)", "a--b", "a\n", "cpu-cluster", "no", "über", "漢字"),
]


def accepts(question: str, text: str, **others: str) -> bool:
    return not any(problem.startswith(f"{question}:") for problem in problems(GOOD | others | {question: text}))


def test_every_question_has_a_prompt() -> None:
    asked = [question for question in QUESTIONS if not question.startswith("_")]
    assert list(QUESTIONS["__prompts__"]) == asked
    for question in ("framework", "task", "launcher", "data_access", "search", "pipeline", "ci"):
        assert list(QUESTIONS["__prompts__"][question]) == ["__prompt__", *QUESTIONS[question]]


def test_the_frameworks_are_the_folders() -> None:
    assert sorted(FRAMEWORKS) == sorted(folder.name for folder in FRAMEWORK_FOLDERS.iterdir())


def test_the_defaults_and_the_examples_are_accepted(capsys: pytest.CaptureFixture[str]) -> None:
    assert (main(problems(GOOD)), capsys.readouterr().err) == (0, "")
    assert problems(GOOD | {question: example for question, (_, _, example) in RULES.items()}) == []


def test_all_problems_are_told_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(problems(GOOD | {"compute_name": "x y", "node_count": "0", "model_name": "class"})) == 1
    said = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[:2] for line in said] == [
        ["ERROR", "compute_name"],
        ["ERROR", "node_count"],
        ["ERROR", "model_name"],
    ]
    assert said[0] == (
        "ERROR: compute_name: 2 to 16 characters, starting with a letter, then letters, digits and '-', "
        "not ending in '-' (got 'x y', e.g. 'cpu-cluster')"
    )


@pytest.mark.parametrize(
    ("question", "good", "bad"),
    [
        ("project_name", ["x", 'O\'Brien "Doc" \\', "a\nb", "漢😀", "x" * 80], ["", "  \n", "x" * 81, "\udc80"]),
        (
            "project_slug",
            ["a", "0", "a-b_c", "x" * 60],
            ["", "-a", "_a", "A", "a b", "a ", "a/b", "../a", "é", "x" * 61, "a\n", "con", "nul", "com1", "lpt9"],
        ),
        (
            "model_name",
            ["m", "churn", "a_1", "x" * 30],
            ["", "1a", "_a", "A", "a-b", "x" * 31, "class", "json", "none\n", "aux", "com0"],
        ),
        ("description", ["", "any\n'\" text \x07"], ["\ud800"]),
        ("author", ["", 'Seán "Doc" O\'Brien'], ["\udfff"]),
        (
            "subscription_id",
            ["", "12345678-1234-1234-1234-123456789abc", "12345678-1234-1234-1234-123456789ABC"],
            ["x", "12345678", "12345678-1234-1234-1234-123456789abg"],
        ),
        (
            "vm_size",
            ["Standard_DS3_v2", "Standard_ND96asr_v4", "Standard_M8-2ms", "Standard_D", "Standard_" + "D" * 60],
            ["", "D2", "Standard_", "Standard_D 2", "standard_d2", "Standard_" + "D" * 61],
        ),
        ("node_count", ["1", "4", "1000"], ["", "0", "-1", "1001", "01", "1.5", "one", "٣"]),
        ("gpu", ["no"], ["", "Yes", "true", "1"]),
        ("processes_per_node", ["1", "8", "64"], ["", "0", "-1", "65", "08", "1.5", "all", "٣"]),
    ],
)
def test_rules_of_our_own(question: str, good: list[str], bad: list[str]) -> None:
    custom = {"framework": "none"}
    assert [text for text in good if not accepts(question, text, **custom)] == []
    assert [text for text in bad if accepts(question, text, **custom)] == []


@pytest.mark.parametrize(
    ("vm_size", "maker", "gpus"),
    [
        ("Standard_DS3_v2", "", "1"),
        ("Standard_HB120rs_v3", "", "1"),
        ("Standard_NP10s", "", "1"),  # FPGAs
        ("Standard_NC6", "NVIDIA", "1"),
        ("Standard_NC24r", "NVIDIA", "4"),
        ("Standard_NC12s_v3", "NVIDIA", "2"),
        ("Standard_NC64as_T4_v3", "NVIDIA", "4"),
        ("Standard_ND40rs_v2", "NVIDIA", "8"),
        ("Standard_nd96ASR_v4", "NVIDIA", "8"),
        ("Standard_ND96isr_H100_v5", "NVIDIA", "8"),
        ("Standard_NV72ads_A10_v5", "NVIDIA", "2"),
        ("Standard_NC999_v9", "NVIDIA", "1"),  # one that is not known
        ("Standard_ND96isr_MI300X_v5", "AMD", "1"),
        ("Standard_NV16as_v4", "AMD", "1"),
        ("Standard_NG8ads_V620_v1", "AMD", "1"),
        ("Standard_NV4ads_V710_v5", "AMD", "1"),
    ],
)
def test_what_follows_from_the_vm_size(vm_size: str, maker: str, gpus: str) -> None:
    answers = derived(vm_size=vm_size, framework="pytorch")
    assert (gpu_maker(answers), answers["gpu"]) == (maker, "yes" if maker == "NVIDIA" else "no")
    assert answers["processes_per_node"] == gpus
    assert problems(answers) == []
    for framework in set(FRAMEWORKS) - {"pytorch"}:
        answers = derived(vm_size=vm_size, framework=framework)
        assert answers["processes_per_node"] == "1"
        assert problems(answers) == []


def test_the_table_of_gpus_names_each_size_once() -> None:
    sizes = [size for known in SIZES_BY_GPUS.values() for size in known]
    assert len(sizes) == len({size.lower() for size in sizes})
    for size in sizes:
        assert problems(derived(vm_size=size)) == []


def test_the_gpu_fits_the_vm_size() -> None:
    (line,) = problems(derived(gpu="yes"))
    assert line == (
        "gpu: this VM size has no GPU: answer no, or take one of NC, ND or NV"
        " (got 'yes', and vm_size 'Standard_DS3_v2')"
    )
    (line,) = problems(derived(gpu="no", vm_size="Standard_NC6s_v3"))
    assert line == (
        "gpu: this VM size has GPUs: answer yes, or take one without (got 'no', and vm_size 'Standard_NC6s_v3')"
    )
    (line,) = problems(derived(gpu="yes", vm_size="Standard_ND96isr_MI300X_v5"))
    assert line == (
        "gpu: this VM size has AMD's GPUs, which CUDA does not run on: answer no"
        " (got 'yes', and vm_size 'Standard_ND96isr_MI300X_v5')"
    )


@pytest.mark.parametrize(
    ("given", "lines"),
    [
        (
            {"framework": "sklearn", "node_count": "4", "processes_per_node": "2"},
            (
                "node_count: 1 for sklearn, which trains in one process: choose pytorch, tensorflow, or none for"
                " code of your own (got '4')\n"
                "processes_per_node: 1 for sklearn, which trains in one process: choose pytorch, or none for"
                " code of your own (got '2')"
            ),
        ),
        (
            {"framework": "tensorflow", "processes_per_node": "8"},
            "processes_per_node: 1 for tensorflow, whose strategy drives all GPUs of a node from one process (got '8')",
        ),
        (
            {"framework": "auto3dseg", "node_count": "2", "processes_per_node": "4"},
            (
                "node_count: 1 for auto3dseg, whose AutoRunner starts a process for each GPU of its node itself"
                " (got '2')\n"
                "processes_per_node: 1 for auto3dseg, whose AutoRunner starts a process for each GPU of its node itself"
                " (got '4')"
            ),
        ),
        (
            {"framework": "auto3dseg", "task": "regression"},
            "task: classification for auto3dseg, whose model draws masks (got 'regression')",
        ),
        (
            {"framework": "auto3dseg", "notebook": "analysis.ipynb"},
            "notebook: none for auto3dseg, whose train.py runs task.yaml (got 'analysis.ipynb')",
        ),
        ({"framework": "tensorflow", "node_count": "4"}, ""),
        ({"framework": "pytorch", "node_count": "4", "processes_per_node": "2"}, ""),
        ({"framework": "none", "node_count": "4", "processes_per_node": "2"}, ""),
    ],
)
def test_the_processes_fit_the_framework(given: dict[str, str], lines: str) -> None:
    assert "\n".join(problems(derived(**given))) == lines


def test_a_notebook_reads_what_is_brought_to_it() -> None:
    notebook = {"notebook": "analysis.ipynb", "framework": "pytorch"}
    assert problems(derived(**notebook)) == problems(derived(**notebook, data_access="download")) == []
    (line,) = problems(derived(**notebook, data_access="direct"))
    reason = "data_access: mount, for the train.py that a notebook becomes can't bring its data to the node itself"
    assert line == f"{reason} (got 'direct')"
    (line,) = problems(derived(**notebook, data_access="download", processes_per_node="2"))
    assert line == f"{reason} (got 'download', and processes_per_node '2')"


def test_a_problem_brings_forth_no_other() -> None:
    found = problems(derived(framework="sklearn", gpu="maybe", node_count="0", processes_per_node="x"))
    assert [line.split(": ")[0] for line in found] == ["node_count", "gpu", "processes_per_node"]
    found = problems(derived(vm_size="D2", gpu="yes", framework="sklearn", node_count="4"))
    assert [line.split(": ")[0] for line in found] == ["vm_size", "node_count"]


@pytest.mark.parametrize("name", NAMES)
def test_workspace_name_as_the_client_checks_it(name: str) -> None:
    """azureml-core checks it with check_valid_resource_name. Its \\w lets é pass, which Azure's own rule for
    Microsoft.MachineLearningServices/workspaces (3-33 letters, digits, hyphens, underscores) does not."""
    assert accepts("workspace_name", name) == (
        name == "" or bool(_valid_workspace_name(name) and name.isascii() and not name.endswith("\n"))
    )


@pytest.mark.parametrize("name", NAMES)
def test_compute_name_as_the_client_checks_it(name: str) -> None:
    """azureml-core checks a compute's name in SynapseCompute._attach, and Azure's naming rules give 2-16 for computes.
    For AmlCompute alone they allow up to 32: this rule is the one that holds everywhere."""
    pattern = re.search(r're\.match\("(\^.*?\$)", compute_name\)', inspect.getsource(synapse))
    assert pattern, "the client has changed: look up its rule again"
    assert accepts("compute_name", name) == (bool(re.match(pattern[1], name)) and not name.endswith("\n"))


@pytest.mark.parametrize("name", NAMES)
def test_dataset_name_as_the_client_checks_assets(name: str) -> None:
    """azureml-core checks the name of a registered asset in model_name_validation."""
    try:
        model_name_validation(name)
        valid = not name.endswith("\n")
    except WebserviceException:
        valid = False
    assert accepts("dataset_name", name) == valid


@pytest.mark.parametrize("name", NAMES)
def test_resource_group_as_the_client_checks_it(name: str) -> None:
    """azure-mgmt-resource checks length and pattern; that a name may not end in '.' stands in Azure's naming rules
    for Microsoft.Resources/resourcegroups."""
    rule = re.search(
        r'"resource_group_name",\s+resource_group_name,\s+"str",\s+max_length=(\d+),\s+min_length=1,\s+pattern=r"(.+?)"',
        inspect.getsource(resource_client),
    )
    assert rule, "the client has changed: look up its rule again"
    valid = len(name) <= int(rule[1]) and re.fullmatch(rule[2], name) and not name.endswith((".", "\n"))
    assert accepts("resource_group", name) == (name == "" or bool(valid))


def test_a_number_in_a_replay_file_is_no_answer() -> None:
    edited: dict[str, Any] = {"node_count": 2, "author": None}
    assert problems(GOOD | edited) == ["author: a text (got None)", "node_count: a text (got 2)"]


def test_a_problem_prints_whatever_the_answer_holds(capsys: pytest.CaptureFixture[str]) -> None:
    hostile: dict[str, Any] = {"project_slug": "漢😀\n\x07", "author": "\udc80"}
    main(problems(GOOD | hostile))
    assert len(capsys.readouterr().err.splitlines()) == 2
