"""What is left of a template that copied its engine into scripts/: an update removes it but for what was edited."""

from __future__ import annotations

import re
from pathlib import Path

from aml_project.project import models

ENGINE = {  # folder of scripts/: its modules
    "": (
        "attach_workspace check_project command_line convert_notebook create_compute create_workspace "
        "deploy_model import_environment install_environment own_python send_request"
    ),
    "azure_ml": (
        "compute datasets datastores deployment environments errors git_address local_docker names once "
        "registration run_file run_log submission tokens workspace"
    ),
    "checks": (
        "client_loader model_check preview runconfig_file runconfig_rules runconfig_schema script_arguments snapshot"
    ),
    "conversion": (
        "awaits beside cells display edits figures file_calls file_paths formatting header magics names "
        "notebook_file parameters report rewriting runtime script test_notebook tracing"
    ),
    "dependencies": (
        "azure_needs code_packages conda_editing conda_environment found import_names imports library merging "
        "own_environment package_names packaging_library pyproject_file python_choice requirements_file texts "
        "writing"
    ),
    "deployments": "config_files local_service plan sample_request source to_azure to_here",
    "runconfigs": "data dockerfile_text editing environment environment_version reading",
    "upload": "dataset_spec folder hashes local_files pattern progress storage streaming transfer",
}
# What lay beside train.py and is in runtime/ now.
BESIDE_TRAIN = (
    "batch_files batch_output batch_progress batch_run batch_scorer batch_workers checkpoints distributed encoding "
    "figures images input_schema loading onnx_export openapi resuming run_data samples serving stopping tables tracking"
)
SHOWN = 3  # files that a line names


def leftovers(root: Path) -> list[str]:
    """A line about the files of an older template, and one about those that need its engine to be there."""
    scripts = root / "scripts"
    engine = [scripts / folder / f"{name}.py" for folder, names in ENGINE.items() for name in names.split()]
    left = sorted(file for file in engine if file.is_file())
    for model in models(root):
        left += unused(root / "models" / model)
    modules = [name for name in (*filter(None, ENGINE), *ENGINE[""].split()) if not list(scripts.glob(f"{name}*"))]
    needing = [file for file in sorted(scripts.rglob("*.py")) if file not in left and imports(file, *modules)]
    lines = []
    if left:
        what = "of an older template, used by nothing now; keep elsewhere what is yours, and remove it"
        lines.append(f"{named(left, root)}: {what}")
    if needing:
        what = "imports the older template's scripts; call `aml`, or import aml_project, in their place"
        lines.append(f"{named(needing, root)}: {what}")
    return lines


def unused(model: Path) -> list[Path]:
    """The model's modules of before runtime/ that no other module of its folder imports; one may be its owner's."""
    there = sorted(model.glob("*.py"))
    former = [file for file in there if file.stem in BESIDE_TRAIN.split()]
    return [file for file in former if not any(imports(other, file.stem) for other in there if other != file)]


def imports(file: Path, *modules: str) -> bool:
    wanted = rf"^\s*(?:from|import) (?:{'|'.join(modules)})\b|^import .*\b(?:{'|'.join(modules)})\b"
    return re.search(wanted, file.read_text(encoding="utf-8", errors="replace"), re.MULTILINE) is not None


def named(files: list[Path], root: Path) -> str:
    more = f" and {len(files) - SHOWN} more" if len(files) > SHOWN else ""
    return ", ".join(file.relative_to(root).as_posix() for file in files[:SHOWN]) + more
