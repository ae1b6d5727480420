"""What a newer template means for a repo: git merges what has changed there into what its owner has made of the files.

The repo's own files and each model are parts, each rendered at the commit that it is of and at the new one, with its
own answers. A part is merged alone: two models have the same files, and what moves in one must not be found in the
other.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aml_project import owned, project, template
from aml_project.command_line import WRONG_USE, Failure, Progress
from aml_project.files import write_whole
from aml_project.git import git
from aml_project.kill_points import reached

# The owner's alone, whatever the template has there.
NEVER = ("data", ".git", ".azureml", ".venv", "local.mk", ".cruft.json", template.LIST)
# Written by the render from the answers that are in them: nobody merges these.
RENDERED = (project.ANSWERS, project.MODEL_ANSWERS)
# As git comes, whatever its owner has set, and nobody in particular.
PLAIN = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "GIT_LFS_SKIP_SMUDGE": "1"}
PLAIN |= {f"GIT_{role}_{what}": "aml" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


@dataclass
class Part:
    """What is rendered with the same answers: a model, or the repo around its models."""

    folder: str  # from the project's root; "" for the repo around
    answers: dict[str, str]
    commit: str
    called: str = ""  # what a model's files call it, where its folder was renamed by hand

    def has(self, path: str) -> bool:
        """Whether a file of the project is of this part."""
        if self.folder:
            return path.startswith(f"{self.folder}/")
        return not path.startswith("models/") and path.split("/", maxsplit=1)[0] not in NEVER


@dataclass
class Plan:
    """An update that is ready to be written: the new content of files, None for one that goes."""

    commit: str
    files: dict[str, bytes | None] = field(default_factory=dict)
    new: set[str] = field(default_factory=set)
    conflicts: dict[str, str] = field(default_factory=dict)  # by file: what is to be done


def parts(root: Path, base: str | None) -> list[Part]:
    """The repo and its models, each with its answers and the commit that it is of."""
    commit = base or template.commit(root)
    if not commit:
        raise Failure(f"{template.LIST}: names no commit of the template: --from COMMIT says of which it is", WRONG_USE)
    answers = project.answers(root) or template.cruft_answers(root)
    if not answers:
        raise Failure(f"{project.ANSWERS}: not there; it holds the answers that the repo was rendered with")
    found = [Part("", answers, commit)]
    for model in project.models(root):
        own = project.model_answers(root, model)
        at = base or own.pop("_commit", "") or commit
        own.pop("_commit", None)
        if not own and model != answers["model_name"]:
            own = guessed(root / "models" / model)
        called = name_within(root / "models" / model)
        found.append(Part(f"models/{model}", {**answers, "model_name": model, **own}, at, called))
    return found


def name_within(folder: Path) -> str:
    """What a model's files call it; nothing where they do not agree, or call it as the folder is called."""
    config = folder / "aml_config"
    places = {"train-conda.yml": r"^name: (\w+)-train$", "train-local.runconfig": r"^# .* -e (\w+)$"}
    names = set()
    for name, place in places.items():
        said = re.search(place, text_of(config / name), re.MULTILINE)
        names.add(said[1] if said else "")
    name = names.pop()
    return name if not names and name != folder.name else ""


def text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""


def guessed(folder: Path) -> dict[str, str]:
    """The answers of a model that has not kept them, read from what they became."""
    import yaml

    conda = "".join(text_of(file) for file in sorted(folder.glob("aml_config/*-conda.yml")))
    network = {"pytorch": r"\btorch==", "tensorflow": r"\btensorflow(?:-cpu|\[and-cuda\])?=="}
    named = [framework for framework, package in network.items() if re.search(package, conda)]
    exports = any(
        (folder / place).is_file() for place in ("runtime/saving.py", "runtime/onnx_export.py", "onnx_export.py")
    )
    found = {
        "framework": named[0] if named else "sklearn" if exports else "none",
        "dataset_name": f"{folder.name}-data",
    }
    if python := re.search(r"\bpython=([\d.]+)", conda):
        found["python_version"] = python[1]
    try:
        run = yaml.safe_load((folder / "aml_config" / "train-amlcompute.runconfig").read_text(encoding="utf-8"))
        (data,) = run["data"].values()
        framework = str(run.get("framework", ""))
        processes = run.get("mpi" if run.get("communicator") == "Mpi" else framework.lower()) or {}
        found |= {
            "compute_name": run["target"],
            "node_count": str(run.get("nodeCount", 1)),
            "dataset_name": data["dataLocation"]["dataset"]["name"],
            "data_access": data["mechanism"].lower(),
            "gpu": "yes" if "cuda" in json.dumps(run["environment"]) else "no",
            "processes_per_node": str(processes.get("processCountPerNode", 1)),
        }
    except (OSError, yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError):
        pass  # what is not there is as in the rest of the repo
    return found


def plan(root: Path, source: str, wanted: str, base: str | None) -> Plan:
    """Work out an update; nothing of the project is written."""
    found = parts(root, base)
    skipped = set(owned.read(root))
    skipped |= {f"{file.parents[1].relative_to(root).as_posix()}/train.py"
                for file in root.glob("models/*/tests/test_notebook.py")}  # fmt: skip
    tracked = [path for path in git(root, "ls-files", "-z").split("\0") if path and not is_below(path, skipped)]
    with tempfile.TemporaryDirectory() as scratch, Progress("Comparing with the template"):
        renders = Renders(template.clone(source, Path(scratch, "aml-template")), Path(scratch))
        update = Plan(template.check_out(renders.clone, wanted))
        for part in found:
            old, new = renders.of(part, part.commit, part.called), renders.of(part, update.commit)
            sides = [{path: file for path, file in side.items() if part.has(path) and not is_below(path, skipped)}
                     for side in (old, files_of(root, tracked), new)]  # fmt: skip
            merge(sides, Path(scratch, "merge"), update)
        name_commit(root, renders.of(found[0], update.commit), update)
    for path in [path for path in update.new if (root / path).exists()]:
        del update.files[path]
        update.conflicts[path] = "the template has such a file now, and git does not hold yours: move it away"
    return update


def is_below(path: str, folders: set[str]) -> bool:
    return any(path == folder or path.startswith(f"{folder.rstrip('/')}/") for folder in folders)


class Renders:
    """The template as it was for some answers at some commits, each rendered once."""

    def __init__(self, clone: Path, folder: Path) -> None:
        self.clone, self.folder = clone, folder
        self.made: dict[str, Path] = {}

    def of(self, part: Part, commit: str, called: str = "") -> dict[str, Path]:
        """The files of a part; of a model that its files call otherwise, as if they lay in its own folder."""
        given = part.answers | ({"model_name": called} if called else {})
        known = f"{commit} {sorted(given.items())}"
        if known not in self.made:
            template.check_out(self.clone, commit)
            asked = template.questions(self.clone)
            answers = {question: text for question, text in given.items() if question in asked}
            self.made[known] = template.render(self.clone, answers, self.folder / f"render{len(self.made)}")
        project = self.made[known]
        files = files_of(project, [path.relative_to(project).as_posix() for path in project.rglob("*")])
        return {re.sub(f"^models/{called}/", f"{part.folder}/", path): file for path, file in files.items()}


def files_of(folder: Path, paths: list[str]) -> dict[str, Path]:
    """The files among some paths: no folders, no submodules, no links."""
    return {path: folder / path for path in paths if (folder / path).is_file() and not (folder / path).is_symlink()}


def merge(sides: list[dict[str, Path]], folder: Path, update: Plan) -> None:
    """Let git merge what differs between the first and the last side into the second; note what that changes."""
    old, ours, new = sides
    for path in [path for path in new if path.rpartition("/")[2] in RENDERED]:
        note(update, path, ours.get(path), new[path].read_bytes())
    old, ours, new = (
        {path: file for path, file in side.items() if path.rpartition("/")[2] not in RENDERED} for side in sides
    )
    with repository(folder) as work:
        commits = [keep(work, old)]
        commits += [keep(work, side, commits[0]) for side in (new, ours)]
        lay(work, ours)
        in_merge(work, "reset", "--quiet", commits[2])
        # A merge that ends with conflicts is no failure here: they are listed.
        with_conflicts = not succeeds(work, "merge", "--quiet", "--no-commit", "--no-ff", f"{commits[1]}")
        stages: dict[str, set[str]] = {}
        for line in filter(None, in_merge(work, "ls-files", "--unmerged", "-z").split("\0")):
            stages.setdefault(line.partition("\t")[2], set()).add(line.split()[2])
        if with_conflicts and not stages:
            raise Failure("git could not merge the template into this repo")
        for path, sides_of in stages.items():
            settle(path, sides_of, old, work, update)
        after = {path.relative_to(work).as_posix() for path in work.rglob("*") if path.is_file()}
        after = {path for path in after if not path.startswith(".git/")}
        for path in sorted(after | ours.keys()):
            note(update, path, ours.get(path), (work / path).read_bytes() if path in after else None)


def settle(path: str, stages: set[str], old: Mapping[str, Path], work: Path, update: Plan) -> None:
    """Say what to do about a file that git has not merged."""
    if {"2", "3"} <= stages:
        marked = b"<<<<<<< " in (work / path).read_bytes()
        todo = "both have changed the same lines: choose between the markers" if marked else "both have changed it"
        update.conflicts[path] = todo
    elif "2" in stages:
        update.conflicts[path] = "you have changed it, the template has it no more: take over what you need, remove it"
    elif "3" in stages and path in old:  # its owner has removed it
        (work / path).unlink(missing_ok=True)


def note(update: Plan, path: str, ours: Path | None, content: bytes | None) -> None:
    """Note the content that a file is to have, if it has another."""
    if (ours.read_bytes() if ours else None) != content:
        update.files[path] = content
        if ours is None:
            update.new.add(path)


@contextmanager
def repository(folder: Path) -> Iterator[Path]:
    """An empty repository of git, for one merge."""
    folder.mkdir()
    try:
        in_merge(folder, "init", "--quiet")
        for setting in ("core.autocrlf=false", "merge.directoryRenames=false", "merge.renameLimit=5000", "gc.auto=0"):
            in_merge(folder, "config", *setting.split("="))
        yield folder
    finally:
        shutil.rmtree(folder)


def in_merge(folder: Path, *args: str) -> str:
    return git(folder, *args, env=PLAIN)


def succeeds(folder: Path, *args: str) -> bool:
    try:
        in_merge(folder, *args)
    except Failure:
        return False
    return True


def keep(work: Path, side: Mapping[str, Path], parent: str = "") -> str:
    """Make a commit of some files."""
    lay(work, side)
    in_merge(work, "add", "--all", "--force")
    parents = ["-p", parent] if parent else []
    return in_merge(work, "commit-tree", *parents, "-m", "side", in_merge(work, "write-tree"))


def lay(work: Path, side: Mapping[str, Path]) -> None:
    """Let a working tree hold these files alone."""
    for path in work.iterdir():
        if path.name != ".git":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for name, file in side.items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, work / name)


def name_commit(root: Path, new: Mapping[str, Path], update: Plan) -> None:
    """Name the new commit where the old one is named: for make, and for cruft."""
    list_, cruft = root / template.LIST, root / ".cruft.json"
    if before := template.named(root):
        text = list_.read_text(encoding="utf-8")
        note(update, template.LIST, list_, text.replace(before, template.at(before, update.commit)).encode())
    elif template.LIST in new:
        note(update, template.LIST, None, new[template.LIST].read_bytes())
    if cruft.is_file():
        text = cruft.read_text(encoding="utf-8")
        note(
            update, cruft.name, cruft, re.sub(r'("commit": )"\w*"', rf'\g<1>"{update.commit}"', text, count=1).encode()
        )


def write(root: Path, update: Plan) -> None:
    """Write an update: from the moment that it lies ready, it is done by this call or by the next."""
    ready = place(root)
    beside = ready.with_name(f"{ready.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir()
    listed: dict[str, str | None] = {}
    for number, (path, content) in enumerate(update.files.items()):
        listed[path] = None if content is None else str(number)
        if content is not None:
            (beside / str(number)).write_bytes(content)
    text = json.dumps({"commit": update.commit, "files": listed, "conflicts": update.conflicts})
    write_whole(beside / "update.json", text)
    beside.rename(ready)
    reached("an update is ready")
    finish(root)


def is_interrupted(root: Path) -> bool:
    """Whether an update lies ready that an earlier call has left."""
    return place(root).is_dir()


def finish(root: Path) -> Plan | None:
    """Write an update that lies ready, which an earlier call may have left; None if there is none."""
    ready = place(root)
    if not ready.is_dir():
        return None
    noted = json.loads((ready / "update.json").read_text(encoding="utf-8"))
    update = Plan(noted["commit"], conflicts=noted["conflicts"])
    for path, number in noted["files"].items():
        target = root / path
        if number is None:
            target.unlink(missing_ok=True)
            for folder in target.parents:
                if folder == root or not folder.is_dir() or any(folder.iterdir()):
                    break
                folder.rmdir()
        else:
            for half in target.parent.glob(f".{target.name}.*.new"):  # of a call that was killed
                half.unlink()
            write_whole(target, (ready / number).read_bytes())
        update.files[path] = None if number is None else b""
    over = ready.with_name(f"{ready.name}.part")
    shutil.rmtree(over, ignore_errors=True)
    ready.rename(over)
    reached("an update is over")
    shutil.rmtree(over)
    return update


def place(root: Path) -> Path:
    """Where an update lies ready: in git's own folder, which nobody commits."""
    below = git(root, "rev-parse", "--show-prefix").rstrip("/").replace("/", "-")
    return Path(git(root, "rev-parse", "--absolute-git-dir"), f"aml-update{f'-{below}' if below else ''}")
