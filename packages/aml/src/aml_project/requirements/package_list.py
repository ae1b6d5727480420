"""What a list of packages says, whatever its format: packages, a Python, and what can't be carried over."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from aml_project.requirements.packaging_library import SpecifierSet, Version, canonicalize_name
from aml_project.requirements.text_files import hide, show

ORDER = ("===", "==", "~=", ">=", ">", "!=", "<=", "<")
CONDA, PIP = 0, 1  # which word counts where both name a package: pip installs last


@dataclass(frozen=True)
class Wanted:
    """A package that is asked for; its name in the one spelling that all agree upon."""

    name: str
    specifier: str = ""
    extras: tuple[str, ...] = ()
    url: str = ""
    marker: str = ""
    where: str = ""
    rank: int = PIP
    origin: str = ""  # under which comment a new one goes into the conda file

    def __str__(self) -> str:
        """The requirement as it is written into a conda file."""
        extras = f"[{','.join(self.extras)}]" if self.extras else ""
        target = f" @ {self.url}" if self.url else self.specifier
        return f"{self.name}{extras}{target}" + (f"{' ' * bool(self.url)}; {self.marker}" if self.marker else "")

    def without_marker(self) -> str:
        return str(replace(self, marker=""))


@dataclass
class Notes:
    """What the user is told: what was left out, by the reason, and what was decided."""

    left: dict[str, list[str]] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    def leave_out(self, what: str, where: str, why: str) -> None:
        item = f"{show(what)} ({where})" if where else show(what)
        items = self.left.setdefault(why, [])
        if item not in items:
            items.append(item)

    def say(self, line: str) -> None:
        if hide(line) not in self.said:
            self.said.append(hide(line))

    def lines(self) -> list[str]:
        return [f"left out, {why}: {', '.join(items)}" for why, items in self.left.items()] + self.said


@dataclass
class Found:
    """What a file asks for."""

    label: str
    wanted: list[Wanted] = field(default_factory=list)
    constraints: list[Wanted] = field(default_factory=list)
    python: str = ""  # "==3.11.*", ">=3.9"
    python_where: str = ""
    notes: Notes = field(default_factory=Notes)


def canonical(name: str) -> str:
    return str(canonicalize_name(name))


def tidy(specifiers: SpecifierSet) -> str:
    """Write specifiers in the order in which one reads them: from, not, up to."""
    each = {str(one): one for one in specifiers}.values()
    return ",".join(map(str, sorted(each, key=lambda one: (ORDER.index(one.operator), str(one)))))


def pinned(specifier: str) -> str:
    """Return the one version that a specifier allows, or nothing."""
    parts = specifier.split(",")
    exact = len(parts) == 1 and parts[0].startswith("==") and not parts[0].endswith(".*")
    return parts[0].lstrip("=") if exact else ""


def agree(one: str, other: str) -> bool:
    """Whether some version meets both: one of those that they name, or one beside these."""
    both = SpecifierSet(f"{one},{other}" if one and other else one or other)
    candidates = {"0"}
    for part in both:
        try:
            version = Version(part.version.removesuffix(".*"))
        except ValueError:
            return True  # "===" compares texts
        release = ".".join(map(str, version.release))
        candidates |= {part.version.removesuffix(".*"), release, f"{release}.1", f"{release}.post1"}
        candidates.add(".".join(map(str, (*version.release[:-1], version.release[-1] + 1))))
    return any(both.contains(candidate, prereleases=True) for candidate in candidates)
