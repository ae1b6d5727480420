"""aml check has nothing to say about what is rendered, whatever the answers."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from aml_project.checks.client_loader import Client
from aml_project.checks.model_check import check_model
from aml_template.rules import problems
from tests.conftest import Bake
from tests.runconfigs import CLOUD, runconfig, said
from tests.support import FRAMEWORKS, MODEL, PYTHONS, QUESTIONS, copy_of, derived, rendered_file

HOSTILE = {
    "compute_name": "no",
    "dataset_name": "1e3",
    "model_name": "yes",
    "description": "'\"\\ é 😀 #: {}",
    "author": "null",
}
TEMPLATE_RUNCONFIG = MODEL / "aml_config" / f"{CLOUD}.runconfig"


def test_fresh_renders_are_fine(bake: Bake, tmp_path: Path) -> None:
    """Each framework on each Python, and hostile answers; the client's own loader has its say about all of them."""
    renders = [render for framework in FRAMEWORKS for render in for_each_python(bake, tmp_path, framework)]
    with Client() as client:
        for project, model in [*((render, "model1") for render in renders), (bake(**HOSTILE), "yes")]:
            checked = check_model(project, model, None, client)
            assert (checked.findings, checked.runconfigs) == ([], 2), project
        assert len(client.questions) == 2 * len(FRAMEWORKS) * len(PYTHONS) + 2
        assert client.findings() == []


def for_each_python(bake: Bake, folder: Path, framework: str) -> Iterator[Path]:
    """A render of a framework; of it for another Python, what that changes of a model's folder."""
    for python in PYTHONS:
        project = copy_of(bake(framework=framework), folder / framework / python)
        for template in [*(MODEL / "aml_config").iterdir(), *MODEL.glob("Dockerfile*")]:
            text = rendered_file(template, framework=framework, python_version=python)
            (project / "models" / "model1" / template.relative_to(MODEL)).write_text(text, encoding="utf-8")
        yield project


CPU, GPUS = {"vm_size": "Standard_DS3_v2"}, {"vm_size": "Standard_ND40rs_v2"}
PROCESSES = [
    CPU,
    CPU | {"node_count": "4"},
    CPU | {"node_count": "4", "launcher": "pytorch"},
    CPU | {"processes_per_node": "2"},
    GPUS | {"node_count": "4"},
    GPUS | {"node_count": "4", "launcher": "pytorch", "processes_per_node": "8"},
]


@pytest.mark.parametrize("data_access", QUESTIONS["data_access"])
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_fresh_render_is_fine_on_every_number_of_processes(
    bake: Bake, tmp_path: Path, framework: str, data_access: str
) -> None:
    project = copy_of(bake(framework=framework), tmp_path)
    tried = 0
    for processes in PROCESSES:
        answers = derived(framework=framework, data_access=data_access, **processes)
        if not problems(answers):
            (project / ".cookiecutter.json").write_text(json.dumps(answers))
            runconfig(project).write_text(rendered_file(TEMPLATE_RUNCONFIG, **answers), encoding="utf-8")
            assert said(project, config=CLOUD) == [], answers
            tried += 1
    assert tried == {"sklearn": 1, "auto3dseg": 1, "tensorflow": 4}.get(framework, 6)


@pytest.mark.parametrize(
    "vm_size",
    ["Standard_NC6s_v3", "Standard_nd96asr_v4", "Standard_D2", "Standard_NP10s", "Standard_NV4as_v4", "Standard_X"],
)
def test_the_image_of_a_fresh_render_fits_its_vm(bake: Bake, tmp_path: Path, vm_size: str) -> None:
    project, answers = copy_of(bake(), tmp_path), derived(vm_size=vm_size)
    (project / ".cookiecutter.json").write_text(json.dumps(answers))
    runconfig(project).write_text(rendered_file(TEMPLATE_RUNCONFIG, **answers), encoding="utf-8")
    assert said(project) == []
