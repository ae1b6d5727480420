"""Lists of packages as the tests write them, and the conda files that they are merged into."""

from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from aml_project.requirements.own_environment import OWN_PYTHON
from aml_project.requirements.package_list import Found
from tests.aml import Done, aml

PURPOSES = ("train", "inference")


def take(project: Path, *args: str | Path) -> Done:
    """Run the verb, where no Python of the user's is found."""
    return aml(project, "requirements", *args, **{OWN_PYTHON: ""})


def conda_file(project: Path, purpose: str = "train") -> Path:
    return project / "models" / "model1" / "aml_config" / f"{purpose}-conda.yml"


def pip_of(project: Path, purpose: str = "train") -> list[str]:
    config = yaml.safe_load(conda_file(project, purpose).read_text(encoding="utf-8"))
    return list(config["dependencies"][2]["pip"])


def versions(project: Path, purpose: str = "train") -> dict[str, str]:
    """The pip section by name; a name that is there twice fails."""
    lines = [Requirement(line) for line in pip_of(project, purpose)]
    names = [canonicalize_name(line.name) for line in lines]
    assert len(names) == len(set(names)), names
    return dict(zip(names, (str(line.specifier) for line in lines), strict=True))


def write(folder: Path, text: str, name: str = "requirements.txt") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def code(project: Path, text: str) -> None:
    """Add lines to the model's train.py."""
    file = project / "models" / "model1" / "train.py"
    file.write_text(file.read_text() + text, encoding="utf-8")


def wanted(read: Found) -> list[str]:
    return [str(one) for one in read.wanted]
