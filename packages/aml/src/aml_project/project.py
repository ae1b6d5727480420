"""Where the project is that a command is for, which models it has, and which workspace it is attached to.

It imports next to nothing: attaching and wrong use have to be quick.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from aml_project import files
from aml_project.command_line import WRONG_USE, Failure
from aml_project.names import WORKSPACE

TABLES = (".csv", ".parquet")
ANSWERS = ".cookiecutter.json"
MODEL_ANSWERS = ".answers.json"  # in the model's folder
CONFIG = Path(".azureml", "config.json")
NOT_ATTACHED = "no workspace is attached: make attach"
SCOPE = "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.MachineLearningServices/workspaces/{}"


def find(start: Path | None = None) -> Path | None:
    """Return the project that a folder lies in (default: the one that the user stands in), or None."""
    start = start or Path.cwd()
    for folder in (start, *start.parents):
        if (folder / "models").is_dir() and ((folder / ANSWERS).is_file() or models(folder)):
            return folder
    return None


def root() -> Path:
    """Return the project that the user stands in; outside of one, a Failure says so."""
    found = find()
    if found is None:
        raise Failure(f"{Path.cwd()}: no project here or above: none of these folders has a models/", WRONG_USE)
    return found


def models(root: Path) -> list[str]:
    """The names of the project's models: folders that say what they run on."""
    return sorted(path.name for path in (root / "models").glob("*/") if (path / "aml_config").is_dir())


def data_folder(root: Path, model: str) -> Path:
    """Where a model's data lies: data/NAME; data/ itself in a repo whose models share it, as they did before.

    Where both hold tables, nobody can tell which are meant: an update from then brings the sample to data/NAME.
    """
    own, shared = root / "data" / model, root / "data"
    if not own.is_dir():
        return shared
    if left := sorted(path.name for kind in TABLES for path in shared.glob(f"*{kind}")):
        instead = f"move it to data/{model}/, in place of the sample, or away from data/"
        raise Failure(f"data/{left[0]}: {model} has a folder of its own, data/{model}/, so this is not read: {instead}")
    return own


def data_path(root: Path, model: str) -> str:
    """The same, as the programs in the model's folder call it."""
    return Path("..", "..", data_folder(root, model).relative_to(root)).as_posix()


def draws_masks(root: Path, model: str) -> bool:
    """Whether a model segments volumes by a task.yaml, and answers no rows."""
    return (root / "models" / model / "task.yaml").is_file()


def task(folder: Path) -> str:
    """What the model of a folder was made for: classification, as before there was the question, or regression."""
    try:
        answers = json.loads((folder / MODEL_ANSWERS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "classification"
    return str(answers.get("task", "classification"))


def metric(root: Path, model: str) -> str:
    """What a model is judged by, of all that its metrics.json has: a share of 1, whatever the data is."""
    if draws_masks(root, model):
        return "dice"
    return "r2" if task(root / "models" / model) == "regression" else "accuracy"


def pick_model(root: Path, given: str | None) -> str:
    """Return the name of the model that is meant: the given one, or the only one there is."""
    there = models(root)
    if given is None and len(there) == 1:
        return there[0]
    listed = ", ".join(there) or "none"
    if given is None:
        raise Failure(f"--model: say which; models here: {listed}", WRONG_USE)
    if given not in there:
        raise Failure(f"--model: no such model: {given}; models here: {listed}", WRONG_USE)
    return given


def shown(path: Path) -> str:
    """A path as the user sees it: from the project's root, or as it is."""
    folder = find()
    text = path.relative_to(folder).as_posix() if folder and path.is_relative_to(folder) else str(path)
    return " ".join(text.encode("utf-8", "backslashreplace").decode().split())


def answers(root: Path) -> dict[str, str]:
    """The answers that the project was rendered with; nothing if it was not."""
    try:
        return dict(json.loads((root / ANSWERS).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise Failure(f"{ANSWERS}: {error}") from None


def model_answers(root: Path, model: str) -> dict[str, str]:
    """The answers that a model was made with, and the template's commit as `_commit`; nothing if it does not say."""
    try:
        return dict(json.loads((root / "models" / model / MODEL_ANSWERS).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise Failure(f"models/{model}/{MODEL_ANSWERS}: {error}") from None


def attached(root: Path) -> dict[str, str]:
    """The three names of the workspace that is attached; nothing if none is, or if no such file can be made out."""
    try:
        config = json.loads((root / CONFIG).read_text(encoding="utf-8"))
        scope = re.match(SCOPE.format(*["([^/]+)"] * 3), config.get("Scope") or "", re.IGNORECASE)
        names = scope.groups() if scope else [config[field] for field in WORKSPACE]
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return {}
    return dict(zip(WORKSPACE, map(str, names), strict=True))


def workspace(root: Path) -> tuple[str, str, str]:
    """Return subscription id, resource group and name of the attached workspace; a Failure says that there is none."""
    names = attached(root)
    if not names:
        there = (root / CONFIG).exists()
        raise Failure(f"{CONFIG}: names no workspace; write it anew: make attach" if there else NOT_ATTACHED)
    return names["subscription_id"], names["resource_group"], names["workspace_name"]


def known_names() -> dict[str, str]:
    """What answers and attached workspace say of a name, for the defaults of options; nothing outside of a project."""
    here = find()
    return answers(here) | attached(here) if here else {}


def attached_name(root: Path) -> str:
    """The attached workspace in words."""
    names = attached(root)
    return f"{names['workspace_name']} in {names['resource_group']}" if names else "none attached yet: make attach"


def attach(root: Path, names: dict[str, str]) -> Path:
    """Write the file that the clients look for, from any folder of the project upwards.

    Scope is what `az ml run` goes by, the three names are what the portal's download holds; the SDKs read both.
    """
    three = {field: names[field] for field in WORKSPACE}
    config = {"Id": None, "Scope": SCOPE.format(*three.values()), **three}
    (root / CONFIG).parent.mkdir(exist_ok=True)
    files.write_whole(root / CONFIG, json.dumps(config, indent=2) + "\n")
    return root / CONFIG
