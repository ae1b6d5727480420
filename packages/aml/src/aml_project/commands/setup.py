"""Install what a model needs to train, score and be tested here into .venv/MODEL.

    python scripts/install_environment.py MODEL

The packages are the pip sections of the model's two conda files, so this computer and the cluster agree.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

from command_line import DONE, WRONG_USE, Failure, Parser, run

EXAMPLE = "  python scripts/install_environment.py model1"
ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / ".venv" / ".tools"  # what reads the conda files and installs; kept apart from the models' packages
UV = "uv==0.13.8"
YAML = "pyyaml==6.0.3"


def main(argv: list[str] | None = None) -> int:
    parser = Parser("Install what a model needs here into .venv/MODEL.", EXAMPLE)
    parser.add_argument("model", nargs="?", help="a folder of models/")
    parser.add_argument("--tools", action="store_true", help="install the installer (uv) alone, for other commands")
    parser.add_argument("--dry-run", action="store_true", help="list what would be installed, and install nothing")
    return run(install, parser, argv)


def install(args: argparse.Namespace) -> int:
    model = args.model
    if args.tools != (model is None):
        raise Failure("name the model, or --tools", WRONG_USE)
    if args.tools:
        if args.dry_run:
            print(f"Would install uv into {TOOLS.relative_to(ROOT)}")
        else:
            install_tools()
        return DONE
    if not (ROOT / "models" / model / "aml_config").is_dir():
        there = ", ".join(sorted(path.name for path in (ROOT / "models").glob("*/"))) or "none"
        raise Failure(f"models/{model}: no such model; there are: {there}", WRONG_USE)
    try:
        if args.dry_run and not (TOOLS / "ready").exists():
            print(f"Would install uv into {TOOLS.relative_to(ROOT)}, then what the conda files list into .venv/{model}")
            return DONE
        if Path(sys.prefix) != TOOLS:
            own = ["--debug"] * args.debug + ["--dry-run"] * args.dry_run
            return subprocess.run([install_tools(), __file__, model, *own]).returncode
        config = ROOT / "models" / model / "aml_config"
        return install_packages(model, [config / "train-conda.yml", config / "inference-conda.yml"], args.dry_run)
    except subprocess.CalledProcessError:
        raise Failure("the step above failed; once its cause is mended, run this again") from None


def install_tools() -> Path:
    """Make the small environment that does the work; the Python that runs this may have nothing but pip."""
    python = bin_folder(TOOLS) / "python"
    ready = TOOLS / "ready"  # written last: an installation that was killed begins again
    if not ready.exists():
        print("1/3  Installing the installer (uv)", flush=True)
        call(sys.executable, "-m", "venv", TOOLS)
        call(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", UV, YAML)
        ready.touch()
    return python


def install_packages(model: str, conda_files: list[Path], dry_run: bool) -> int:
    """Install the packages of the conda files, and those for work on this repo."""
    target = ROOT / ".venv" / model
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
    requirements = ROOT / "requirements-dev.txt"
    if dry_run:
        print(
            f"Would install Python {version} into .venv/{model}, and beside {requirements.name}:", *unique, sep="\n  "
        )
        return DONE

    uv = bin_folder(TOOLS) / "uv"
    print(f"2/3  Python {version} in {target.relative_to(ROOT)}", flush=True)
    try:
        call(uv, "venv", "--quiet", "--allow-existing", "--python", str(version), target)
    except subprocess.CalledProcessError:
        raise Failure(
            f"Python {version} is not here and can't be fetched: install it, or name another in both conda files"
        ) from None
    print(f"3/3  The packages of {' and '.join(file.name for file in conda_files)}", flush=True)
    call(uv, "pip", "install", "--python", bin_folder(target) / "python", "-r", requirements, *unique)
    print(f"Installed. Next: make train MODEL={model}")
    return DONE


def read_conda_file(file: Path) -> tuple[str | None, list[str], list[str]]:
    """Return the Python version, the pip packages and the other conda packages."""
    import yaml

    version: str | None = None
    pip: list[str] = []
    conda: list[str] = []
    try:
        items = yaml.safe_load(file.read_text(encoding="utf-8"))["dependencies"]
    except (yaml.YAMLError, KeyError, TypeError, OSError) as error:
        raise Failure(f"{file.name}: {' '.join(str(error).split())}") from None
    for item in items:
        if isinstance(item, dict):
            pip += item.get("pip") or []
        elif match := re.fullmatch(r"python\s*==?\s*([\d.]+)(\.\*)?", item):
            version = match[1]
        elif item != "pip":
            conda.append(item)
    return version, pip, conda


def call(*command: object) -> None:
    subprocess.run([str(part) for part in command], check=True)


def bin_folder(environment: Path) -> Path:
    return environment / ("Scripts" if sys.platform == "win32" else "bin")


if __name__ == "__main__":
    sys.exit(main())
