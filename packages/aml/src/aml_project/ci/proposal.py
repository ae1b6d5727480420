"""The files that GitHub or Azure DevOps run a repo by: templates/ci, with the names of the models.

A file that is called MODEL there is one for each model; the others are shared. A render waits for it.
"""

from __future__ import annotations

import re
from pathlib import Path

from aml_project import project, tools
from aml_project.command_line import Failure
from aml_project.git import git, holds

# Who runs them: the folder of templates/ci, and the file by which a repo is known to have it.
PROVIDERS = {"github": ".github/workflows/_model.yml", "azure-devops": ".azure-pipelines/templates/model.yml"}
BOTH = "both"
SHARES = {"accuracy", "dice", "f1", "f1_macro", "r2", "roc_auc"}  # metrics that are 1 at best
LEAST = 0.7
LONGEST = 27  # of a service's 32 letters: "-test" and "-prod" follow


def make(root: Path, providers: list[str], models: list[str]) -> dict[str, str]:
    """The text of each file, by its path from the root; those of a model come after what they call."""
    shared: dict[str, str] = {}
    own: dict[str, str] = {}
    for folder in [sources() / provider for provider in providers]:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            path, text = file.relative_to(folder).as_posix(), file.read_text(encoding="utf-8")
            if "MODEL" not in path:
                shared[path] = text
                continue
            own |= {path.replace("MODEL", model): of_model(text, root, model) for model in models}
    if both := sorted(shared.keys() & own.keys()):
        raise Failure(f"{both[0]}: is a file of all models, and {Path(both[0]).stem} is one of them: aml model rename")
    return shared | own


def sources() -> Path:
    """Where templates/ci is: in this package or, in a checkout, beside it."""
    inside = Path(__file__).parent / "templates"
    if inside.is_dir():
        return inside
    package = tools.checkout()
    if not package:
        raise Failure("the files of CI are not in this package: pip install aml-project, from its own repository")
    return package.parents[1] / "templates" / "ci"


def of_model(text: str, root: Path, model: str, of: str = "") -> str:
    """A file of one model: its name, its gate and its services stand where the template has a word in capitals.

    `of` is the folder of models/ that it has now, where it is to be called otherwise.
    """
    values = {"MODEL": model, "GATE": gate(root, of or model), "SERVICE": service(model)}
    return re.sub(r"\b(MODEL|GATE|SERVICE)\b", lambda found: values[found[1]], text)


def gate(root: Path, model: str) -> str:
    """What a model must keep to be registered: it is no worse than the version before and, if that is a share, 0.7."""
    from aml_project.search.proposal import metric_of, texts

    folder, usual = root / "models" / model, project.metric(root, model)
    metric = usual if usual in texts(folder / "evaluation.py") | texts(folder / "train.py") else metric_of(folder)
    compared = f"--not-worse-than-current {metric}"
    return f"--min {metric}={LEAST} {compared}" if metric in SHARES else compared


def service(model: str) -> str:
    """What the services of a model are called, before -test and -prod."""
    return model.replace("_", "-")[:LONGEST].strip("-")


def here(root: Path) -> list[str]:
    """Who runs this repo already."""
    return [provider for provider, file in PROVIDERS.items() if (root / file).is_file()]


def meant(root: Path) -> list[str]:
    """Who is to run a repo that does not say: as before, else who hosts it, else GitHub."""
    if known := here(root) or of_answer(project.answers(root).get("ci", "none")):
        return known
    address = git(root, "remote", "get-url", "origin", refused="") if holds(root) and git(root, "remote") else ""
    return ["azure-devops"] if re.search(r"dev\.azure\.com|visualstudio\.com", address) else ["github"]


def of_answer(answer: str) -> list[str]:
    """What `none`, `github`, `azure-devops` or `both` stands for."""
    return [provider for provider in PROVIDERS if answer in (provider, BOTH)]


def renamed(root: Path, old: str, new: str) -> dict[str, tuple[str, str]]:
    """What becomes of a model's files if it is called otherwise: by their path, the new one and the text.

    A line that the owner has written stays as it is.
    """
    files = {}
    for provider in here(root):
        folder = sources() / provider
        for file in sorted(path for path in folder.rglob("*MODEL*") if path.is_file()):
            name, text = file.relative_to(folder).as_posix(), file.read_text(encoding="utf-8")
            before, after = (of_model(text, root, model, of=old).splitlines() for model in (old, new))
            path = name.replace("MODEL", old)
            if (root / path).is_file():
                if new != old and (root / name.replace("MODEL", new)).exists():
                    raise Failure(f"{name.replace('MODEL', new)}: is there already")
                instead = dict(zip(before, after, strict=True))
                lines = (root / path).read_text(encoding="utf-8").splitlines()
                files[path] = name.replace("MODEL", new), "".join(f"{instead.get(line, line)}\n" for line in lines)
    return files
