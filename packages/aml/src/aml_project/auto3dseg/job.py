"""What a run gets: a model's folder of task.yaml, the datalist, the algorithms, what runs them; nothing else travels.

It is made in .azureml/auto3dseg/ beside task.yaml, a project like any other: what submits a model submits it.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from aml_project import tools
from aml_project.auto3dseg.task import seconds
from aml_project.command_line import Failure
from aml_project.files import write_whole

TYPE_CHECKING = False  # typing's own costs its import
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

CONFIG = "train-amlcompute"
DATA = "/data"
RUNTIME = ("__init__", "arguments", "data", "input_schema", "tracking")  # of every model
RUNNING = ("autorunner", "cache", "ensemble", "nodes", "search", "volumes")  # of runtime/, and of this framework
OWN = ("train.py", "evaluation.py", *(f"runtime/{name}.py" for name in RUNNING))
IMAGE = "mcr.microsoft.com/azureml/openmpi4.1.0-"
CPU, CUDA = f"{IMAGE}ubuntu22.04:20251130.v1", f"{IMAGE}cuda11.8-cudnn8-ubuntu22.04"
PYTHON = "3.11"
OF_CODE = (".py", ".yaml", ".yml", ".json")  # of an algorithm


def sources() -> dict[str, Path]:
    """Where the files are that run AutoRunner: in this package or, in a checkout, in the template's folders."""
    inside = Path(__file__).parent / "model"
    if inside.is_dir():
        return {name: inside / name for name in [*OWN, *runtime(), *LISTS]}
    package = tools.checkout()
    if not package:
        raise Failure("what runs AutoRunner is not in this package: pip install aml-project, from its own repository")
    root = package.parents[1]
    shared = root / "{{cookiecutter.project_slug}}" / "models" / "{{cookiecutter.model_name}}"
    own = root / "templates" / "frameworks" / "auto3dseg"
    return {
        name: (own if name in (*OWN, *LISTS) else shared) / name
        for name in [*OWN, *runtime(), "train-requirements.txt"]
    } | {"azure-ml.txt": root / "templates" / "environments" / "train.txt"}


LISTS = ("azure-ml.txt", "train-requirements.txt")


def runtime() -> list[str]:
    return [f"runtime/{name}.py" for name in RUNTIME]


def make(folder: Path, task: Mapping[str, Any], name: str) -> Path:
    """Make the folder of a run, from the folder that task.yaml lies in; return it."""
    model = folder / ".azureml" / "auto3dseg" / "models" / name
    shutil.rmtree(model, ignore_errors=True)
    found = sources()
    for file in [*OWN, *runtime()]:
        (model / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(found[file], model / file)
    datalist = folder / task["datalist"]
    shutil.copyfile(datalist, model / datalist.name)
    own = {**task, "datalist": datalist.name, "dataroot": DATA}
    templates = str(task.get("templates_path_or_url") or "")
    if templates and "://" not in templates:
        copy_code(folder / templates, model / "algorithms")
        own["templates_path_or_url"] = "algorithms"
    import yaml

    text = yaml.safe_dump(own, sort_keys=False, allow_unicode=True)
    write_whole(
        model / "task.yaml",
        f"# {task.get('name') or name}, as it was submitted; dataroot is where the dataset is.\n{text}",
    )
    write_whole(model / ".amlignore", "outputs/\nmlruns/\nrun.json\n__pycache__/\n")
    return model


def copy_code(source: Path, target: Path) -> None:
    """Copy the templates of algorithms, as far as they are code."""
    if not any(source.glob("*/scripts/algo.py")):
        raise Failure(
            f"templates_path_or_url: {source.name}: no folder of it has a scripts/algo.py, as an algorithm has"
        )
    for file in source.rglob("*"):
        if file.suffix in OF_CODE and file.is_file():
            place = target / file.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place)


def configure(
    model: Path, folder: Path, config: Mapping[str, Any], datasets: Sequence[tuple[str, str]], *, gpu: bool
) -> None:
    """Write the runconfig and the conda file of a run, from azureml_config; `datasets` are names and versions."""
    (model / "aml_config").mkdir(exist_ok=True)
    given = config.get("conda_environment_file")
    conda = (folder / given).read_text(encoding="utf-8") if given else conda_file()
    write_whole(model / "aml_config" / "train-conda.yml", conda)
    several = len(datasets) > 1
    data = {
        f"dataset{number}": {
            "dataLocation": {"dataset": {"name": name, "version": version}},
            "mechanism": "mount",
            "pathOnCompute": f"{DATA}/{name}" if several else DATA,
            "environmentVariableName": f"dataset{number}",
            "createOutputDirectories": False,
            "overwrite": False,
        }
        for number, (name, version) in enumerate(datasets)
    }
    runconfig: dict[str, Any] = {
        "script": "train.py",
        "arguments": ["--data-path", DATA],
        "target": config["compute_cluster_name"],
        **launcher(config.get("num_nodes") or 1, gpu=gpu),
        "environment": {
            "name": "auto3dseg",
            "environmentVariables": {
                name: str(value) for name, value in (config.get("environment_variables") or {}).items()
            },
            "python": {
                "userManagedDependencies": False,
                "interpreterPath": "python",
                "condaDependenciesFile": "aml_config/train-conda.yml",
            },
            "docker": {"enabled": True, "baseImage": config.get("docker_base_image") or (CUDA if gpu else CPU)},
        },
        "docker": {"useDocker": True, "shmSize": config.get("docker_shm_size") or ("16g" if gpu else "2g")},
        "data": data,
        "history": {"outputCollection": True, "snapshotProject": True, "directoriesToWatch": ["logs"]},
    }
    if config.get("max_run_duration"):
        runconfig["maxRunDurationSeconds"] = seconds(config["max_run_duration"])
    # JSON is YAML, and a name such as "no" stays a text.
    write_whole(model / "aml_config" / f"{CONFIG}.runconfig", json.dumps(runconfig, indent=2) + "\n")


def launcher(nodes: int, *, gpu: bool) -> dict[str, Any]:
    """What starts train.py: on several nodes Azure ML's launcher for PyTorch, once on each."""
    if nodes == 1:
        return {"framework": "Python", "communicator": "None", "nodeCount": 1}
    backend = "Nccl" if gpu else "Gloo"
    counts = {"processCount": nodes, "nodeCount": nodes}
    torch = {"communicationBackend": backend, **counts}
    return {"framework": "PyTorch", "communicator": backend, "nodeCount": nodes, "pytorch": torch}


def conda_file() -> str:
    """The packages of a run: those of the framework, with what logs to Azure ML."""
    found = sources()
    lines = [line for name in LISTS for line in found[name].read_text(encoding="utf-8").splitlines()]
    listed = "\n".join(f"      - {line}" for line in lines if line and not line.startswith("#"))
    return (
        f"name: auto3dseg\nchannels: [conda-forge]\ndependencies:\n  - python={PYTHON}\n  - pip\n  - pip:\n{listed}\n"
    )
