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

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / ".venv" / ".tools"  # what reads the conda files and installs; kept apart from the models' packages
UV = "uv==0.13.8"
YAML = "pyyaml==6.0.3"


def main() -> int:
    parser = argparse.ArgumentParser(description="Install what a model needs into .venv/MODEL.")
    parser.add_argument("model", help="a folder of models/")
    model = parser.parse_args().model
    config = ROOT / "models" / model / "aml_config"
    if not config.is_dir():
        return fail(f"models/{model}: no such model")
    try:
        if Path(sys.prefix) != TOOLS:
            return subprocess.run([install_tools(), __file__, model]).returncode
        return install(model, [config / "train-conda.yml", config / "inference-conda.yml"])
    except subprocess.CalledProcessError:
        return fail("the step above failed; once its cause is mended, run this again")


def install_tools() -> Path:
    """Make the small environment that does the work; the Python that runs this may have nothing but pip."""
    python = bin_folder(TOOLS) / "python"
    ready = TOOLS / "ready"  # written last: an installation that was killed begins again
    if not ready.exists():
        print("1/3  Installing the installer (uv)", flush=True)
        run(sys.executable, "-m", "venv", TOOLS)
        run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", UV, YAML)
        ready.touch()
    return python


def install(model: str, conda_files: list[Path]) -> int:
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
        return fail(f"{' and '.join(file.name for file in conda_files)} must name the same python=")
    version = versions.pop()

    uv = bin_folder(TOOLS) / "uv"
    print(f"2/3  Python {version} in {target.relative_to(ROOT)}", flush=True)
    try:
        run(uv, "venv", "--quiet", "--allow-existing", "--python", str(version), target)
    except subprocess.CalledProcessError:
        return fail(
            f"Python {version} is not here and can't be fetched: install it, or name another in both conda files"
        )
    print(f"3/3  The packages of {' and '.join(file.name for file in conda_files)}", flush=True)
    requirements = ROOT / "requirements-dev.txt"
    unique = list(dict.fromkeys(packages))
    run(uv, "pip", "install", "--python", bin_folder(target) / "python", "-r", requirements, *unique)
    print(f"Installed. Next: make train MODEL={model}")
    return 0


def read_conda_file(file: Path) -> tuple[str | None, list[str], list[str]]:
    """Return the Python version, the pip packages and the other conda packages."""
    import yaml

    version: str | None = None
    pip: list[str] = []
    conda: list[str] = []
    try:
        items = yaml.safe_load(file.read_text(encoding="utf-8"))["dependencies"]
    except (yaml.YAMLError, KeyError, TypeError, OSError) as error:
        raise SystemExit(f"ERROR: {file.name}: {' '.join(str(error).split())}") from None
    for item in items:
        if isinstance(item, dict):
            pip += item.get("pip") or []
        elif match := re.fullmatch(r"python\s*==?\s*([\d.]+)(\.\*)?", item):
            version = match[1]
        elif item != "pip":
            conda.append(item)
    return version, pip, conda


def run(*command: object) -> None:
    subprocess.run([str(part) for part in command], check=True)


def bin_folder(environment: Path) -> Path:
    return environment / ("Scripts" if sys.platform == "win32" else "bin")


def fail(message: str) -> int:
    print(f"ERROR: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
