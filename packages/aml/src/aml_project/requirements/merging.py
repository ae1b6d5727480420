"""Decide what of the packages that a user has goes into the conda files: their pins win, Azure ML's own stay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from aml_project.requirements.azure_needs import DELICATE, DIRECT, OF_OURS, OLDER_NUMPY, STANDS_FOR_MLFLOW, THROUGH
from aml_project.requirements.conda_editing import Change, CondaFile, Entry
from aml_project.requirements.package_list import Found, Notes, Wanted, agree, pinned, tidy
from aml_project.requirements.package_names import is_for_another_system, is_for_training_only
from aml_project.requirements.packaging_library import Marker, SpecifierSet, Version
from aml_project.requirements.python_choice import environment
from aml_project.requirements.requirements_file import named_by_file

TRAIN = "train"
OTHER_SYSTEM = "for Windows or macOS alone; the runs have Linux"
CONTRADICTS = "Azure ML's own packages need other versions of it"


@dataclass
class Merge:
    """The files that are merged into, and what came of it."""

    files: Mapping[str, CondaFile]
    python: str
    tools: Mapping[str, str]  # of requirements-dev.txt: name, specifier
    notes: Notes
    changes: dict[str, Change] = field(default_factory=dict)

    def ours(self, name: str) -> list[Entry]:
        return [entry for file in self.files.values() for entry in file.by_name(name)]

    def names(self) -> set[str]:
        return {name for file in self.files.values() for name in file.names()}


def merge(found: Found, files: Mapping[str, CondaFile], python: str, tools: Mapping[str, str]) -> Merge:
    """Return the changes to both files, and tell what was decided."""
    work = Merge(files, python, tools, found.notes)
    wanted = combined(applicable(found.wanted, work), work.notes)
    wanted = constrained(wanted, applicable(found.constraints, work), work)
    accepted = [one for one in wanted.values() if is_accepted(one, work)]
    accepted = [capped(one, accepted, work) for one in accepted]
    only_train = [one.name for one in accepted if is_for_training_only(one.name)]
    if only_train:
        work.notes.say(f"for training only, as no server needs it: {', '.join(only_train)}")
    for purpose, file in files.items():
        work.changes[purpose] = Change(python)
        for one in accepted:
            if purpose == TRAIN or not is_for_training_only(one.name):
                place(one, file, work.changes[purpose])
        relax(accepted, file, work.changes[purpose], work.notes)
    return work


def applicable(wanted: list[Wanted], work: Merge) -> list[Wanted]:
    """Return what is meant for the system of the runs."""
    kept = []
    for one in wanted:
        if is_for_another_system(one.name):
            work.notes.leave_out(one.without_marker(), one.where, OTHER_SYSTEM)
        elif one.marker and not Marker(one.marker).evaluate(environment(work.python)):
            work.notes.leave_out(str(one), one.where, f"not for Linux and Python {work.python}")
        else:
            kept.append(one)
    return kept


def combined(wanted: list[Wanted], notes: Notes) -> dict[str, Wanted]:
    """Return one entry for each package; of two that contradict each other, the one that would be installed last."""
    result: dict[str, Wanted] = {}
    for one in sorted(wanted, key=lambda one: one.rank):
        before = result.get(one.name)
        result[one.name] = both(before, one, notes) if before else one
    return result


def both(first: Wanted, last: Wanted, notes: Notes) -> Wanted:
    extras = tuple(sorted({*first.extras, *last.extras}))
    marker = last.marker if first.marker == last.marker else ""
    counts, other = (first, last) if first.url and not last.url else (last, first)
    common = replace(counts, extras=extras, marker=marker)
    if counts.url:  # pip installs what lies there
        if other.url not in ("", counts.url) or not is_at(counts.url, other.specifier):
            notes.say(f"{other} ({other.where}): {counts} ({counts.where}) counts instead")
    elif not agree(first.specifier, last.specifier):
        notes.say(f"{first} ({first.where}): {last} ({last.where}) counts instead")
    elif exact := next((one.specifier for one in (first, last) if pinned(one.specifier)), ""):
        return replace(common, specifier=exact)
    else:
        return replace(common, specifier=joined(first.specifier, last.specifier))
    return common


def is_at(address: str, specifier: str) -> bool:
    """Whether an address is known to have a version that a specifier lets through."""
    _, version = named_by_file(address)
    return not specifier or bool(version and SpecifierSet(specifier).contains(version, prereleases=True))


def joined(one: str, other: str) -> str:
    return tidy(SpecifierSet(",".join(part for part in (one, other) if part)))


def constrained(wanted: dict[str, Wanted], constraints: list[Wanted], work: Merge) -> dict[str, Wanted]:
    """Add what a list of constraints says of the packages that are there, the user's and ours."""
    for name, limit in combined(constraints, work.notes).items():
        ours = [entry.wanted for entry in work.ours(name) if entry.wanted]
        given = wanted.get(name)
        if not given and not ours:
            work.notes.leave_out(str(limit), limit.where, "a constraint on a package that nothing here names")
        elif given and (given.specifier or given.url or not ours):
            wanted[name] = bounded(given, limit, work.notes)
        elif limit.url or not all(pinned(one.specifier) and agree(one.specifier, limit.specifier) for one in ours):
            wanted[name] = bounded(given, limit, work.notes) if given else limit
    return wanted


def bounded(one: Wanted, limit: Wanted, notes: Notes) -> Wanted:
    """Return a package within what a constraint lets through."""
    within = both(one, limit, notes)
    return replace(within, origin=one.origin, where=one.where if within.specifier == one.specifier else within.where)


def is_accepted(one: Wanted, work: Merge) -> bool:
    """Whether a package goes into the files as the user has it; else what is there stays, and the user is told."""
    ours, notes = work.ours(one.name), work.notes
    if one.name.startswith("azureml-") or one.name in DELICATE:
        if not ours and one.name.startswith("azureml-"):
            notes.leave_out(
                str(one), one.where, "another part of Azure ML's packages: add the release that goes with azureml-core"
            )
        elif not any(meets(entry, one) for entry in ours):
            kept = f"{ours[0].text.split(';')[0]} stays" if ours else "no server needs it"
            notes.say(f"{one} ({one.where}): {kept}: the releases of Azure ML's packages go together")
        return False
    if one.name == "mlflow" and not is_same_mlflow(one, work):
        notes.leave_out(
            str(one), one.where, f"{STANDS_FOR_MLFLOW} stands for it, of the release that Azure ML works with"
        )
        return False
    if one.name in work.tools:
        notes.leave_out(str(one), one.where, "requirements-dev.txt has it for the work on this repo")
        return False
    for needed in (DIRECT.get(one.name, ""), THROUGH.get(one.name, "")):
        if needed and one.specifier and not agree(one.specifier, needed):
            stays = f"; {ours[0].text} stays" if ours else ""
            notes.leave_out(str(one), f"{one.where}; {needed}{stays}", CONTRADICTS)
            return False
    return True


def meets(entry: Entry, one: Wanted) -> bool:
    ours = entry.wanted.specifier if entry.wanted else ""
    return not one.url and (not one.specifier or not ours or agree(ours, one.specifier))


def is_same_mlflow(one: Wanted, work: Merge) -> bool:
    skinny = [entry.wanted.specifier for entry in work.ours(STANDS_FOR_MLFLOW) if entry.wanted]
    return bool(one.specifier) and (one.specifier in skinny or not skinny)


def place(one: Wanted, file: CondaFile, change: Change) -> None:
    """Put a package in the place of ours, or among the new ones."""
    places = [
        number
        for number, entry in enumerate(file.entries)
        if entry.wanted is not None and entry.wanted.name == one.name
    ]
    if not places:
        change.added.setdefault(one.origin, []).append(str(one))
        return
    first = file.entries[places[0]].wanted
    if one.specifier or one.url:
        change.removed |= set(places[1:])
    elif first:  # without a wish, what is there is as good, and tested
        one = replace(first, extras=tuple(sorted({*first.extras, *one.extras})))
    if str(one) != str(first):
        change.replaced[places[0]] = str(one)


def relax(accepted: list[Wanted], file: CondaFile, change: Change, notes: Notes) -> None:
    """Take our pin away from a package that the user does not name where a pin of the user's contradicts it."""
    wanted = {one.name: one for one in accepted}
    cap, because = numpy_cap(accepted)
    for number, entry in enumerate(file.entries):
        ours = entry.wanted
        if ours is None or ours.name in wanted or not pinned(ours.specifier):
            continue
        for name, needed in OF_OURS.get(f"{ours.name}{ours.specifier}", {}).items():
            one = wanted.get(name)
            if one and one.specifier and not agree(one.specifier, needed):
                change.replaced[number] = str(replace(ours, specifier=""))
                notes.say(f"{entry.text} goes without its version, because of {one} ({one.where})")
        if ours.name == "numpy" and cap and not agree(ours.specifier, cap):
            change.replaced[number] = str(replace(ours, specifier=cap))
            notes.say(f"{entry.text} becomes numpy{cap}: {because} was built for that")


def capped(one: Wanted, accepted: list[Wanted], work: Merge) -> Wanted:
    """Keep a numpy that the user leaves open from becoming newer than the user's other packages can take."""
    cap, because = numpy_cap(accepted) if one.name == "numpy" else ("", "")
    if not cap or one.url or not agree(one.specifier, f">={cap.lstrip('<')}") or not agree(one.specifier, cap):
        return one
    old = replace(one, specifier=joined(one.specifier, cap))
    if not all(entry.wanted and entry.wanted.specifier == old.specifier for entry in work.ours("numpy")):
        work.notes.say(f"{one} ({one.where}) becomes numpy{old.specifier}: {because} was built for that")
    return old


def numpy_cap(accepted: list[Wanted]) -> tuple[str, str]:
    """Return the specifier that keeps numpy old enough for all of these, and which of them needs it."""
    wanted = {one.name: one for one in accepted}
    caps = [
        (cap, f"{one} ({one.where})")
        for name, before, cap in OLDER_NUMPY
        if (one := wanted.get(name)) and one.specifier and not agree(one.specifier, f">={before}")
    ]
    return min(caps, key=lambda cap: Version(cap[0].lstrip("<"))) if caps else ("", "")
