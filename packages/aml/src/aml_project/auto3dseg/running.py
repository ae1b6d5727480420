"""Run a task that is fine: here, or on a cluster, where the data is looked at first."""

from __future__ import annotations

import argparse
import json
import os
import re
from pathlib import Path, PurePosixPath

from aml_project import project
from aml_project.auto3dseg import datalist, gpus, job, task, volumes
from aml_project.command_line import DONE, SERVICE_FAILED, Failure, note
from aml_project.names import WORKSPACE

TYPE_CHECKING = False  # typing's own costs its import
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

LOOK = "import importlib.util as u, sys; sys.exit(not all(map(u.find_spec, ('monai', 'mlflow', 'nibabel'))))"
PLACE = re.compile(r"/datastores/([^/\"]+)/paths/([^\"\\]*)")  # in the definition of a dataset


def of_dataroot(keys: Mapping[str, Any], folder: Path) -> list[str]:
    there = (folder / keys["dataroot"]).is_dir()
    return [] if there else [f"dataroot: {keys['dataroot']}: no such folder, seen from the folder of this file"]


def of_files(lists: Mapping[str, Any], keys: Mapping[str, Any], folder: Path, *, cloud: bool) -> list[str]:
    """What is wrong with the files of the datalist, as far as they can be seen from here."""
    if cloud and (lines := datalist.not_relative(lists)):
        return lines
    root = folder / str(keys.get("dataroot") or "")
    if not keys.get("dataroot") or not root.is_dir():
        return []
    if lines := datalist.missing(lists, datalist.in_folder(root), f"dataroot, {keys['dataroot']}"):
        return lines
    names = keys.get("class_names") or []
    plain = 0 if keys.get("sigmoid") or any(isinstance(name, dict) for name in names) else len(names)
    return list(volumes.problems(lists, root, plain))


def here(keys: Mapping[str, Any], folder: Path, args: argparse.Namespace) -> int:
    """Run AutoRunner on this computer, in the folder of task.yaml; stopped, the same command goes on."""
    from aml_project import model_environment

    python = model_environment.python_for_runs(folder)
    refuse_without_monai(str(python))
    model = job.make(folder, keys, name_of(keys))
    words = ["--task", str(args.input.resolve()), "--data-path", str((folder / keys["dataroot"]).resolve())]
    return model_environment.hand_over([python, model / "train.py", *words, *args.arguments], cwd=folder)


def refuse_without_monai(python: str) -> None:
    import subprocess

    found = subprocess.run(
        [python, "-c", LOOK],
        stdin=subprocess.DEVNULL, capture_output=True, check=False,
    )  # fmt: skip
    if found.returncode:
        raise Failure("MONAI is not in this Python: pip install 'aml-project[auto3dseg]', or make setup in a project")


def submit(keys: Mapping[str, Any], lists: Mapping[str, Any], folder: Path, args: argparse.Namespace) -> int:
    """Submit a run of the task, and follow it if azureml_config says so; interrupted, the same command goes on."""
    config = keys["azureml_config"]
    names = workspace_names(folder, config.get("workspace_config_file"))
    given = config.get("conda_environment_file")
    if given and not (folder / given).is_file():
        raise Failure(f"{args.input.name}: azureml_config.conda_environment_file: {given}: not there")
    name = name_of(keys)
    if args.dry_run:
        model = job.make(folder, keys, name)
        print(f"Would submit to {config['compute_cluster_name']}, in {names['workspace_name']}, with these files:")
        print(
            *sorted(f"  {file.relative_to(model).as_posix()}" for file in model.rglob("*") if file.is_file()), sep="\n"
        )
        return DONE

    from aml_project.api import Project, Run
    from aml_project.service.submission import Submission

    model = job.make(folder, keys, name)
    root = model.parents[1]
    project.attach(root, names)
    job.configure(model, folder, config, [(one, "1") for one in config["input_datasets"]], gpu=False)
    opened = Project(root)
    opened._debug = args.debug
    sdk = opened.workspace.sdk
    gpu = of_cluster(sdk, config["compute_cluster_name"], keys, len(lists["training"]))
    datasets = [(one, dataset_version(sdk, one, config.get("default_datastore"))) for one in config["input_datasets"]]
    refuse_what_no_dataset_has(sdk, lists, [one for one, _ in datasets])
    job.configure(model, folder, config, datasets, gpu=gpu)

    experiment = task.experiment(config.get("experiment_name") or name)
    submission = Submission(root, name, job.CONFIG, experiment, args.arguments)
    try:
        accepted = submission.start(sdk, submission.load())
    except KeyboardInterrupt:
        raise KeyboardInterrupt("Interrupted while submitting; the same command again goes on.") from None
    if config.get("display_name"):
        accepted.display_name = config["display_name"]
    if config.get("tags"):
        accepted.set_tags({str(tag): str(value) for tag, value in config["tags"].items()})
    submitted = Run(opened, experiment, accepted.id, sdk=accepted, submission=submission, run_file=folder / "run.json")
    print(f"URL to job: {submitted.url}", flush=True)
    if config.get("wait_for_completion") or config.get("wait_for_completion_show_output"):
        submitted.wait()
        return DONE
    from aml_project.service import run_file

    run_file.write(folder / "run.json", accepted)
    submission.done()
    return DONE


def name_of(keys: Mapping[str, Any]) -> str:
    """The name of the task as a folder and an experiment may have it."""
    return re.sub(r"\W+", "_", str(keys.get("name") or "auto3dseg"), flags=re.ASCII).strip("_")[:30] or "auto3dseg"


def workspace_names(folder: Path, given: str | None) -> dict[str, str]:
    """The workspace of config.json, as the portal has it, here or above; or of a project that is attached."""
    wanted = [folder / given] if given else [
        at / file for at in (folder, *folder.parents) for file in ("config.json", ".azureml/config.json")
    ]  # fmt: skip
    file = next((one for one in wanted if one.is_file()), None)
    if file is None:
        which = f"workspace_config_file, {given}:" if given else "config.json:"
        raise Failure(f"{which} not there; Download config.json on the page of the workspace in the portal")
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        names = {name: str(content[name]) for name in WORKSPACE}
    except (ValueError, KeyError, TypeError):
        raise Failure(f"{file.name}: names no workspace: it holds {', '.join(WORKSPACE)}") from None
    if open_ := next((name for name, text in names.items() if re.fullmatch(r"<.*>", text)), None):
        raise Failure(f"{file.name}: {open_}: is still the placeholder {names[open_]!r}")
    return names


def of_cluster(workspace: Any, name: str, keys: Mapping[str, Any], volumes: int) -> bool:
    """Whether the cluster has GPUs; a Failure says that it is not there, or has not what the task asks for."""
    from aml_project.service import compute

    record = compute.find(workspace, name)
    if record is None:
        raise Failure(f"azureml_config.compute_cluster_name: {name}: no such cluster in the workspace {workspace.name}")
    size = compute.size_of(record)
    count, memory = gpus.of_size(size)
    if keys.get("multigpu") and count == 0:
        raise Failure(f"multigpu: true, and {name} has no GPU ({size}): take a cluster with one, or write false")
    if keys.get("multigpu") and count == 1:
        note(f"multigpu: true, and {name} has one GPU ({size})")
    if hint := gpus.hint(count, memory, volumes, bool(keys.get("algos"))):
        note(f"{name} ({size}): {hint}")
    return count > 0


def dataset_version(workspace: Any, name: str, datastore: str | None) -> str:
    """The newest version of a data asset. A folder of that name in default_datastore becomes one, as hi-ml has it."""
    from aml_project.service import datasets, datastores

    found = datasets.find_version(workspace, name)
    if found is not None:
        return datasets.number(found)
    if not datastore:
        raise Failure(
            f"azureml_config.input_datasets: {name}: no such data asset; default_datastore may have its folder"
        )
    store = datastores.find(workspace, datastore)
    if not datastores.open_datastore(workspace, store, 1).blobs(f"{name}/"):
        raise Failure(f"azureml_config.input_datasets: {name}: no data asset, and no folder of {datastore}")
    place = f"{datastore}/{name}"
    tags = {datasets.CONTENT: place, datasets.PLACE: place}
    made = datasets.register_version(workspace, name, datastore=store, path=f"{name}/**", tags=tags, description=None)
    note(f"{name}: no data asset yet; the folder {name} of {datastore} is registered as one")
    return datasets.number(made)


def refuse_what_no_dataset_has(workspace: Any, lists: Mapping[str, Any], names: list[str]) -> None:
    """Compare the datalist with what the datasets hold, by their listings."""
    there: set[str] = set()
    for name in names:
        listed = listing(workspace, name)
        if listed is None:
            note(f"{name}: can't be listed from here, so nobody has looked for the files of the datalist")
            return
        there |= {f"{name}/{one}" for one in listed} if len(names) > 1 else listed
    where = f"the dataset {names[0]}" if len(names) == 1 else f"the datasets, as {names[0]}/…"
    if lines := datalist.missing(lists, lambda path: os.path.normpath(path) in there, where):
        raise Failure("\nERROR: ".join(lines))


def listing(workspace: Any, name: str) -> set[str] | None:
    """The files of a dataset, seen from its head; None where it is not one folder of a datastore."""
    from aml_project.service import datasets, datastores

    version = datasets.find_version(workspace, name)
    place = PLACE.search(str(getattr(version.latest, "dataflow", "") or ""))
    if not place:
        return None
    from urllib.parse import unquote

    path = PurePosixPath(unquote(place[2]))
    head = str(path.parent if "*" in path.name else path).strip("/").removesuffix("/**")
    try:
        store = datastores.get(workspace, place[1])
        found = datastores.open_datastore(workspace, store, 1).blobs(f"{head}/" if head not in ("", ".") else "")
    except Failure as failure:
        if failure.code == SERVICE_FAILED:
            raise
        return None
    return {blob.removeprefix(f"{head}/") for blob in found}
