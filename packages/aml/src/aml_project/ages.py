"""Whether the repo, this package and what each model has of the template are of one age."""

from __future__ import annotations

import re
from importlib import metadata

from aml_project import project, template, tools

TYPE_CHECKING = False  # typing's own costs its import
if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

VERSION = re.compile(r"^__version__ = \"([^\"]*)\"", re.MULTILINE)


def differing(root: Path, models: Sequence[str]) -> str:
    """Say in one line what is of another age than the rest, and the mend; nothing where all is of one."""
    commit, own = template.commit(root), tools.commit()
    found = []
    if commit and own and not own.startswith(commit):
        found.append(f"{template.LIST} is of the template's commit {commit[:7]}, this aml of {own[:7]}")
    for model in models:
        of, version = project.model_answers(root, model).get("_commit", ""), runtime(root / "models" / model)
        if version not in ("", package()):
            found.append(f"models/{model}/runtime is of version {version}, this aml of {package()}")
        elif of and commit and of != commit:
            found.append(f"models/{model} is of the template's commit {of[:7]}, the repo of {commit[:7]}")
    return f"{'; '.join(found)}: make update brings them together" if found else ""


def package() -> str:
    try:
        return metadata.version(tools.DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return ""


def runtime(model: Path) -> str:
    """The version of a model's runtime/; nothing where there is none."""
    try:
        found = VERSION.search((model / "runtime" / "__init__.py").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    return found[1] if found else "unknown"
