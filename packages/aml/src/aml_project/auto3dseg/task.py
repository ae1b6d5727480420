"""task.yaml: what it may hold, and what is wrong with it, each in a line that names the key and the mend.

The keys are those of MONAI's AutoRunner, of its page for Azure ML, and of azureml_config what hi-ml's
submit_to_azure_if_needed documents. That one takes some and ignores them; here each is honoured or refused.
"""

from __future__ import annotations

import re
from pathlib import Path

from aml_project.auto3dseg.wrong import meant
from aml_project.command_line import Failure

TYPE_CHECKING = False  # typing's own costs its import
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

TEXT, TRUTH, WHOLE, TEXTS, NAMED = "a text", "true or false", "a whole number", "a list of texts", "names with values"
REQUIRED = ("modality", "datalist")
KEYS = {
    "name": TEXT, "task": TEXT, "modality": TEXT, "datalist": TEXT, "dataroot": TEXT, "multigpu": TRUTH,
    "class_names": "a list", "sigmoid": TRUTH, "num_fold": WHOLE, "analyze": TRUTH, "algo_gen": TRUTH, "train": TRUTH,
    "ensemble": TRUTH, "hpo": TRUTH, "hpo_backend": TEXT, "hpo_params": NAMED, "search_space": NAMED,
    "not_use_cache": TRUTH, "allow_skip": TRUTH, "algos": "a text, or a list of texts", "templates_path_or_url": TEXT,
    "mlflow_tracking_uri": TEXT, "mlflow_experiment_name": TEXT, "training_params": NAMED, "azureml_config": NAMED,
}  # fmt: skip
MODALITIES = ("CT", "MRI")
MONAIS = ("segresnet", "segresnet2d", "dints", "swinunetr")  # the algorithms that AutoRunner downloads
# Of azureml_config: what is honoured,
HONOURED = {
    "compute_cluster_name": TEXT, "input_datasets": TEXTS, "default_datastore": TEXT, "experiment_name": TEXT,
    "display_name": TEXT, "wait_for_completion": TRUTH, "wait_for_completion_show_output": TRUTH,
    "docker_base_image": TEXT, "docker_shm_size": TEXT, "conda_environment_file": TEXT, "environment_variables": NAMED,
    "max_run_duration": TEXT, "tags": NAMED, "workspace_config_file": TEXT, "num_nodes": WHOLE,
    "submit_to_azureml": TRUTH,
}  # fmt: skip
CLOUD_REQUIRED = {
    "compute_cluster_name": "the name of a cluster of the workspace",
    "input_datasets": "a list with the name of a data asset of the workspace",
}
# and what is refused, and why.
_OWN = "the run starts its own train.py, which runs AutoRunner"
_FILES = "a run gets task.yaml, the datalist, the algorithms and what runs them, and nothing else of the folder"
_OBJECT = "an object of Python, which no file can hold"
_V2 = "of Azure ML v2 alone, and this submits a run of v1"
REFUSED = {
    "input_dataset": "write input_datasets, a list",
    "entry_script": _OWN, "entry_command": _OWN, "script_params": _OWN, "python_executable": _OWN,
    "snapshot_root_directory": _FILES, "ignored_folders": _FILES,
    "aml_workspace": _OBJECT, "ml_client": _OBJECT, "after_submission": _OBJECT, "build_context": _OBJECT,
    "hyperdrive_config": f"{_OBJECT}; hpo: true searches",
    "hyperparam_args": "hpo: true with search_space searches", "hyperdrive_argument_prefix": "hpo: true searches",
    "aml_environment_name": "name the packages in conda_environment_file, the image in docker_base_image",
    "pip_extra_index_url": "write --extra-index-url among the pip packages of conda_environment_file",
    "private_pip_wheel_path": "write the wheel's address among the pip packages of conda_environment_file",
    "output_datasets": "what a run writes to outputs/ is kept with it",
    "strictly_aml_v1": "every run is of v1",
    "exit_on_completion": "the command ends with the run in any case",
    "use_mpi_run_for_single_node_jobs": "AutoRunner starts its processes itself",
    "pytorch_processes_per_node_v2": "AutoRunner starts a process for each GPU itself",
    "instance_type": _V2, "resources_properties": _V2, "identity_based_auth": _V2, "vscode": _V2, "ssh_key": _V2,
    "tensorboard_logs": _V2, "jupyter": _V2,
}  # fmt: skip
# work_dir is refused as well, but not of azureml_config.
ELSEWHERE = {"work_dir": "it works in outputs/, which Azure ML keeps", "input": "it is this file"}
DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
EXPERIMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,254}")


def read(file: Path) -> dict[str, Any]:
    """The keys of a task.yaml; a Failure says what is wrong with it as YAML."""
    import yaml

    try:
        text = file.read_text(encoding="utf-8")
        content = yaml.safe_load(text)
        if line := twice(yaml.compose(text, yaml.SafeLoader)):
            raise Failure(f"{file.name}: {line}")
    except UnicodeDecodeError:
        raise Failure(f"{file.name}: not UTF-8") from None
    except yaml.MarkedYAMLError as error:
        mark = error.context_mark or error.problem_mark
        line = f"line {mark.line + 1}: " if mark else ""
        raise Failure(f"{file.name}: {line}no YAML: {error.problem}; is a quote or a colon missing?") from None
    except yaml.YAMLError as error:
        raise Failure(f"{file.name}: no YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise Failure(f"{file.name}: holds no keys; it begins with name: and modality:")
    return content


def twice(node: Any) -> str:
    """The first key that a mapping of YAML has twice, of which the last would win; nothing if there is none."""
    seen = set()
    for key, value in node.value if node and node.id == "mapping" else ():
        if key.value in seen:
            return f"line {key.start_mark.line + 1}: {key.value}: is there twice"
        seen.add(key.value)
        if line := twice(value):
            return line
    return ""


def problems(task: Mapping[str, Any], *, cloud: bool) -> list[str]:
    """What is wrong with the keys and their values; for a cluster also what is missing there."""
    found = [f"{key}: missing; it is {KEYS[key]}" for key in REQUIRED if task.get(key) in (None, "")]
    if not cloud and not task.get("dataroot"):
        found.append("dataroot: missing; to run here, it is the folder where the paths of the datalist begin")
    for key, value in task.items():
        if cloud and key == "dataroot":
            continue  # the page leaves its placeholder there: a run has the data asset
        if key in ELSEWHERE:
            found.append(f"{key}: {ELSEWHERE[key]}; leave it out")
        elif key not in KEYS and key in {**HONOURED, **REFUSED}:
            found.append(f"{key}: goes under azureml_config")
        elif key not in KEYS:
            known = meant(key, KEYS, "a parameter of an algorithm goes under training_params")
            found.append(f"{key}: {known}")
        elif value is not None or key not in REQUIRED:
            found += [f"{key}{line}" for line in wrong_value(value, KEYS[key])]
    said = {line.partition(":")[0] for line in found}
    found += [line for line in wrong_task(task) if line.partition(":")[0] not in said]
    if cloud and isinstance(task.get("azureml_config"), dict):
        config = task["azureml_config"]
        found += [f"azureml_config.{line}" for line in [*of_azureml(config), *of_nodes(task, config.get("num_nodes"))]]
    return found


def wrong_task(task: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with values that are of the right type."""
    if task.get("task", "segmentation") != "segmentation":
        yield f"task: segmentation, not {task['task']!r}: Auto3DSeg does nothing else"
    modality = str(task.get("modality") or "CT")
    if modality.upper() not in (*MODALITIES, "MR"):
        yield f"modality: CT or MRI, not {modality!r}: the algorithms know no other"
    if task.get("num_fold") is not None and task["num_fold"] < 1:
        yield "num_fold: 1 or more"
    if task.get("hpo_backend", "nni") != "nni":
        yield f"hpo_backend: nni, not {task['hpo_backend']!r}: AutoRunner has no other"
    if task.get("hpo") and not task.get("search_space"):
        yield "search_space: missing; hpo: true needs one, as learning_rate: {_type: choice, _value: [0.1, 0.01]}"
    for name, asked in (task.get("search_space") or {}).items():
        values = asked.get("_value") if isinstance(asked, dict) and isinstance(asked.get("_type"), str) else None
        if not isinstance(values, list) or not values:
            yield f"search_space: {name}: as {{_type: choice, _value: [0.1, 0.01]}}, not {asked!r}"
    names = [name.get("name") if isinstance(name, dict) else name for name in task.get("class_names") or []]
    if not all(isinstance(name, str) and name for name in names):
        yield "class_names: each is a text, or has a name and an index"
    elif len(set(names)) < len(names):
        yield f"class_names: {next(name for name in names if names.count(name) > 1)!r} is there twice"


def of_azureml(config: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with azureml_config."""
    for key, kind in CLOUD_REQUIRED.items():
        if not config.get(key) and not (key == "input_datasets" and "input_dataset" in config):
            yield f"{key}: missing; it is {kind}"
    for key, value in config.items():
        if key in REFUSED:
            yield f"{key}: not possible: {REFUSED[key]}"
        elif key not in HONOURED and key in KEYS:
            yield f"{key}: goes to the top of the file, not under azureml_config"
        elif key not in HONOURED:
            yield f"{key}: {meant(key, [*HONOURED, *REFUSED], 'docs/auto3dseg.md lists what there is')}"
        elif value is not None:
            yield from (f"{key}{line}" for line in wrong_value(value, HONOURED[key]))
    assets = config.get("input_datasets") or []
    if fits(assets, TEXTS) and len(set(assets)) < len(assets):
        yield f"input_datasets: {next(name for name in assets if assets.count(name) > 1)!r} is there twice"
    if isinstance(config.get("max_run_duration"), str) and not DURATION.fullmatch(config["max_run_duration"].strip()):
        yield f"max_run_duration: a number with s, m, h or d, as 3.5h, not {config['max_run_duration']!r}"
    if isinstance(config.get("experiment_name"), str) and not experiment(config["experiment_name"]):
        yield f"experiment_name: letters, digits, blanks, - and _, not {config['experiment_name']!r}"


def of_nodes(task: Mapping[str, Any], nodes: Any) -> Iterator[str]:
    """What is wrong with a number of nodes: MONAI's own algorithms know the GPUs of one, and the files of all."""
    if not fits(nodes, WHOLE) or nodes == 1:
        return
    templates = str(task.get("templates_path_or_url") or "")
    of_monai = [name for name in algorithms(task) if name in MONAIS]
    if nodes < 1:
        yield f"num_nodes: 1 or more, not {nodes}"
    elif task.get("hpo"):
        yield f"num_nodes: 1, not {nodes}, with hpo: true: NNI starts each trial on one node"
    elif of_monai or not templates or "://" in templates:
        yield (
            f"num_nodes: 1, not {nodes}, with {', '.join(of_monai or MONAIS)}: MONAI's own algorithms count on a folder"
            " that all nodes share; take a VM size with more GPUs, or an algorithm of your own in templates_path_or_url"
        )


def algorithms(task: Mapping[str, Any]) -> list[str]:
    """The algorithms that a task names; none are all that its templates have."""
    named = task.get("algos") or []
    return [named] if isinstance(named, str) else named if fits(named, TEXTS) else []


def of_templates(task: Mapping[str, Any], folder: Path) -> Iterator[str]:
    """The algorithms that are in no template: AutoRunner would say so once the data is analysed, on the cluster."""
    templates = str(task.get("templates_path_or_url") or "")
    if "://" in templates:
        return
    for name in algorithms(task):
        if not templates and name not in MONAIS:
            yield f"algos: {name!r} is none of MONAI's: {', '.join(MONAIS)}; templates_path_or_url is for your own"
        elif (
            templates
            and (folder / templates).is_dir()
            and not (folder / templates / name / "scripts/algo.py").is_file()
        ):
            yield f"algos: {name!r} is no folder of {templates} with a scripts/algo.py, as an algorithm has"


def wrong_value(value: Any, kind: str) -> Iterator[str]:
    """What is wrong with the type of a value: the end of a line that begins with its key."""
    if isinstance(value, str) and re.fullmatch(r"<.*>(\.json)?|/path/to/.*", value):
        yield f": is still the placeholder {value!r}"
    elif isinstance(value, list) and any(isinstance(one, str) and re.fullmatch(r"<.*>", one) for one in value):
        yield f": is still the placeholder {value[0]!r}"
    elif not fits(value, kind):
        yield f": {kind}, not {value!r}"


def fits(value: Any, kind: str) -> bool:
    texts = isinstance(value, list) and all(isinstance(one, str) and one for one in value)
    return {
        TEXT: isinstance(value, str),
        TRUTH: isinstance(value, bool),
        WHOLE: isinstance(value, int) and not isinstance(value, bool),
        TEXTS: texts,
        NAMED: isinstance(value, dict),
        "a list": isinstance(value, list),
        "a text, or a list of texts": isinstance(value, str) or texts,
    }[kind]


def seconds(duration: str) -> int:
    """A duration as hi-ml writes it, 3.5h, in seconds."""
    found = DURATION.fullmatch(duration.strip())
    assert found
    return int(float(found[1]) * SECONDS[found[2]])


def experiment(name: str) -> str:
    """The name of an experiment, as Azure ML takes it: blanks become hyphens; nothing if it can't be one."""
    fitting = "-".join(name.split())
    return fitting if EXPERIMENT.fullmatch(fitting) else ""
