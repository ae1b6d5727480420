"""From v1 to v2: the twins of a folder's files beside them, and a table of what became of each.

Nothing is deleted and no file that its owner has edited is written over: azure_ml/MIGRATION.md notes the hash of each
file as it was written, and whatever differs from that is its owner's.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path

from aml_project.command_line import Failure
from aml_project.files import write_whole
from aml_project.pipeline.engines.v2 import as_yaml
from aml_project.v2 import files as files_of_model
from aml_project.v2 import first_generation, remains
from aml_project.v2.remains import Remain
from aml_project.v2.twins import FOLDER, Twins, shown

REPORT = f"{FOLDER}/MIGRATION.md"
NOTED = "<!-- As aml migrate wrote them; a file that differs is its owner's:"
ABOUT = """`aml migrate` has written the files of v2 beside those of v1, of which none has changed. Called again, it
leaves a file of v2 that you have edited as it is."""
CREATES = {
    "compute": "az ml compute create", "data": "az ml data create", "environment": "az ml environment create",
    "model": "az ml model create",
    "job": "az ml job create", "sweep": "az ml job create", "pipeline": "az ml job create",
    "endpoint": "az ml online-endpoint create", "deployment": "az ml online-deployment create",
}  # fmt: skip


@dataclass
class Migration:
    """What was found in a folder, and what becomes of it."""

    root: Path
    found: int
    carried: list[tuple[str, list[str]]]
    lacking: list[tuple[str, str, str]]
    unreadable: list[tuple[str, str]]
    remains: list[Remain]
    texts: dict[str, str]  # of the files to write, by their path
    written: list[str] = field(default_factory=list)
    same: list[str] = field(default_factory=list)
    edited: list[str] = field(default_factory=list)  # by their owner: left as they are

    def counts(self) -> str:
        without = self.found - len(self.carried) - len(self.unreadable)
        said = f"{files(self.found)} of v1 found: {len(self.carried)} carried over, {without} without a twin"
        unread = f", {len(self.unreadable)} not read" if self.unreadable else ""
        return f"{said}{unread}. To look at: {len(self.lacking)} not the same in v2, {len(self.remains)} still of v1."


def files(count: int) -> str:
    return f"{count} file{'' if count == 1 else 's'}"


def plan(root: Path) -> Migration:
    """What would become of a folder; nothing is written."""
    found = first_generation.find(root)
    remain = remains.find(root)
    if not found and not remain:
        raise Failure(f"{root}: no file of Azure ML's first generation in it: name the folder of the repo")
    twins = Twins(root, found)
    twins.make()
    texts = {shown(root, file): text for file, text in twins.texts.items()}
    for file, content in twins.files.items():
        texts[shown(root, file)] = head(root, file, twins) + as_yaml(content)
    for folder in own_models(root):
        own(twins, texts, folder)
    carried = {file: made for file, made in twins.carried.items() if any(file == each.file for each in found)}
    return Migration(
        root,
        len(found),
        [(shown(root, file), [shown(root, each) for each in made]) for file, made in sorted(carried.items())],
        [(shown(root, file), what, mend) for file, what, mend in twins.lacking],
        [(shown(root, file), why) for file, why in twins.unreadable],
        remain,
        dict(sorted(texts.items())),
    )


def own_models(root: Path) -> list[Path]:
    """The models of a repo of this template, of which `aml add v2` knows more than their v1 files say."""
    if not (root / ".cookiecutter.json").is_file():
        return []
    return sorted(file.parents[1] for file in root.glob(f"models/*/aml_config/{files_of_model.RUNCONFIG}.runconfig"))


def own(twins: Twins, texts: dict[str, str], folder: Path) -> None:
    """Let a model of this template have the files of `aml add v2`, in place of those made of its v1 files alone."""
    place = shown(twins.root, folder)
    for name in [name for name in texts if name.startswith(f"{place}/{FOLDER}/")]:
        del texts[name]
    made = files_of_model.make(folder)
    texts |= {f"{place}/{name}": text for name, text in made.items()}
    for source, targets in twins.carried.items():
        if source.is_relative_to(folder):
            names = [re.sub(r"^(endpoint|deployment)-.*", r"\1.yml", target.name) for target in targets]
            twins.carried[source] = [folder / FOLDER / name for name in dict.fromkeys(names)]


def head(root: Path, file: Path, twins: Twins) -> str:
    """What each file begins with: of what it was made, and how it is handed in."""
    sources = ", ".join(sorted({shown(root, source) for source, made in twins.carried.items() if file in made}))
    command = create(shown(root, file))
    return f"# Made of {sources}.\n" + (f"# {command}\n" if command else "")


def create(name: str) -> str | None:
    kind = Path(name).stem.partition("-")[0]
    return f"{CREATES[kind]} -f {name}" if name.endswith(".yml") and kind in CREATES else None


def write(migration: Migration) -> None:
    """Write what is not there and what is as it was written; the rest is its owner's, and is named."""
    report = migration.root / REPORT
    before = report.read_text(encoding="utf-8") if report.is_file() else ""
    hashes = noted(before)
    table, _, _ = before.partition(NOTED)
    for name, text in migration.texts.items():
        file = migration.root / name
        there = file.read_text(encoding="utf-8", errors="replace") if file.exists() else None
        if there == text:
            migration.same.append(name)
        elif there is None or hash_of(there) == hashes.get(name):
            write_whole(file, text)
            migration.written.append(name)
        else:
            migration.edited.append(name)
            continue
        hashes[name] = hash_of(text)
    new = as_markdown(migration)
    if table and hash_of(table) != hashes.get(REPORT):
        migration.edited.append(REPORT)
        new = table
    else:
        hashes[REPORT] = hash_of(new)
    lines = [f"{name} {value}" for name, value in sorted(hashes.items())]
    text = new + "\n".join([NOTED, *lines, "-->", ""])
    if text != before:
        write_whole(report, text)


def hash_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def noted(report: str) -> dict[str, str]:
    _, _, lines = report.partition(NOTED)
    return dict(re.findall(r"^(.+) ([0-9a-f]{16})$", lines, re.MULTILINE))


def rows(migration: Migration) -> tuple[list[list[str]], list[list[str]], list[list[str]]]:
    """The three parts of the table: carried over, without a twin, still of v1."""
    carried = [
        [source, ", ".join(made) if made != [source] else "stays: v2 reads the same"]
        for source, made in migration.carried
    ]
    lacking = [[file, what, mend] for file, what, mend in migration.lacking]
    lacking += [[file, f"not read: {why}", "mend it, then once more"] for file, why in migration.unreadable]
    remain = [[f"{shown(migration.root, file)}:{line}", what, mend] for file, line, what, mend in migration.remains]
    return carried, lacking, remain


TITLES = ("Carried over", "Not the same in v2", "Still of v1")
HEADS = (("v1", "v2"), ("where", "what", "what to do"), ("where", "what", "instead"))


def as_text(migration: Migration) -> str:
    """The table as it is printed: a file, and below it what there is to say of it."""
    parts = []
    for title, lines in zip(TITLES, rows(migration), strict=True):
        told, last = [f"{title}:"], ""
        for where, *said in lines:
            file, colon, number = where.partition(":")
            if file != last:
                told.append(f"  {file}")
            told.append(f"    {f'line {number}: ' if colon else ''}{' -> '.join(said)}")
            last = file
        parts += ["\n".join(told)] if lines else []
    return "\n\n".join([*parts, migration.counts()])


def as_markdown(migration: Migration) -> str:
    """The table as it is written, with the lines that hand the files in."""
    parts = ["# From v1 to v2", ABOUT, migration.counts()]
    for title, heads, lines in zip(TITLES, HEADS, rows(migration), strict=True):
        if lines:
            table = [heads, ["---"] * len(heads), *lines]
            parts.append(f"## {title}")
            parts.append(
                "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in table)
            )
    order = list(CREATES)
    names = sorted(
        (n for n in migration.texts if create(n)), key=lambda n: (order.index(Path(n).stem.partition("-")[0]), n)
    )
    if names:
        commands = "\n".join(f"    {create(name)}" for name in names)
        parts.append(
            f"## To hand them in\n\nIn this order, from this folder (`az extension add --name ml`):\n\n{commands}"
        )
    return "\n\n".join(parts) + "\n\n"
