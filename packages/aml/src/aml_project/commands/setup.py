"""Install what a model needs to train, score and be tested here into .venv/MODEL.

    aml setup --model MODEL

The packages are the pip sections of the model's two conda files, so this computer and the cluster agree.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from aml_project.command_line import DONE, Failure, Parser, run
from aml_project.model_environment import bin_folder, read_conda_file
from aml_project.project import pick_model, root
from aml_project.tools import find_uv

EXAMPLE = """  aml setup
  aml setup --model model1 --dry-run"""


def main(argv: list[str] | None = None) -> int:
    parser = Parser("Install what a model needs here into .venv/MODEL.", EXAMPLE)
    parser.add_argument("--model", help="a folder of models/ (default: the only one there is)")
    parser.add_argument("--dry-run", action="store_true", help="list what would be installed, and install nothing")
    return run(install, parser, argv)


def install(args: argparse.Namespace) -> int:
    model = pick_model(root(), args.model)
    config = root() / "models" / model / "aml_config"
    return install_packages(model, [config / "train-conda.yml", config / "inference-conda.yml"], args.dry_run)


def install_packages(model: str, conda_files: list[Path], dry_run: bool) -> int:
    """Install the packages of the conda files, and those for work on this repo."""
    target = root() / ".venv" / model
    packages: list[str] = []
    versions = set()
    for file in conda_files:
        version, pip, conda = read_conda_file(file)
        versions.add(version)
        packages += pip
        if conda:
            print(f"NOTE: {file.name}: from conda only, so not installed here: {', '.join(conda)}")
    if len(versions) != 1 or None in versions:
        raise Failure(f"{' and '.join(file.name for file in conda_files)} must name the same python=")
    version, unique = versions.pop(), list(dict.fromkeys(packages))
    requirements = root() / "requirements-dev.txt"
    if dry_run:
        print(
            f"Would install Python {version} into .venv/{model}, and beside {requirements.name}:", *unique, sep="\n  "
        )
        return DONE

    uv = find_uv()
    if not uv:
        raise Failure("there is no uv here, which installs: pip install uv")
    print(f"1/2  Python {version} in {target.relative_to(root())}", flush=True)
    if call(uv, "venv", "--quiet", "--allow-existing", "--python", str(version), target):
        raise Failure(
            f"Python {version} is not here and can't be fetched: install it, or name another in both conda files"
        )
    print(f"2/2  The packages of {' and '.join(file.name for file in conda_files)}", flush=True)
    if call(uv, "pip", "install", "--python", bin_folder(target) / "python", "-r", requirements, *unique):
        raise Failure("the step above failed; once its cause is mended, run this again")
    print(f"Installed. Next: make train MODEL={model}")
    return DONE


def call(*command: object) -> int:
    import subprocess

    return subprocess.run([str(part) for part in command]).returncode
