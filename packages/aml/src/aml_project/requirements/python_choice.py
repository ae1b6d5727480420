"""Which Python the environments get: the one that the user's packages are for, if it is offered."""

from __future__ import annotations

from aml_project.command_line import Failure
from aml_project.requirements.packaging_library import SpecifierSet

SUPPORTED = ("3.10", "3.11", "3.12", "3.13")  # as the template offers them
PATCHES = range(41)  # of a minor version: more than any ever had


def choose(asked: str, where: str, present: str) -> str:
    """Return the present version if it is allowed, else the newest that is; a Failure if none is."""
    fitting = [version for version in SUPPORTED if allows(asked, version)]
    if present in fitting or (not asked and present):
        return present
    if not fitting:
        raise Failure(
            f"{where}: Python {shown(asked)} is not offered: Azure ML's packages are tested with {SUPPORTED[0]} to"
            f" {SUPPORTED[-1]}; --keep-python takes the packages and stays at {present}"
        )
    return fitting[-1]


def allows(asked: str, minor: str) -> bool:
    """Whether some patch of a minor version is allowed."""
    specifiers = SpecifierSet(asked)
    return any(specifiers.contains(f"{minor}.{patch}") for patch in PATCHES)


def shown(asked: str) -> str:
    return asked.removeprefix("==").removesuffix(".*") if asked.startswith("==") and "," not in asked else asked


def environment(python: str) -> dict[str, str]:
    """Return what markers are evaluated for: the runs have Linux on x86-64."""
    return {
        "implementation_name": "cpython",
        "implementation_version": f"{python}.9",
        "os_name": "posix",
        "platform_machine": "x86_64",
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": f"{python}.9",
        "python_version": python,
        "sys_platform": "linux",
        "extra": "",
    }
