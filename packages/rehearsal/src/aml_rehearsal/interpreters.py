"""The Python of an environment: the one that is active here, or one built of what its conda file asks for."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aml_rehearsal import conda_file

UV = [sys.executable, "-I", "-m", "uv"]
LEFT_OUT = "left-out.txt"  # in an environment's folder: what is to be told of it each time
PLACE = re.compile(r"(--find-links|-f|--extra-index-url|--index-url|-i)[ =]+(https?://\S+)")
Say = Callable[[bytes], None]  # takes what is to be read in the log


class Failed(Exception):
    """Why it can't go on."""


def wish(environment: dict[str, Any]) -> dict[str, Any]:
    """What an environment of the client's says of its Python."""
    python = environment["python"]
    return {
        "interpreter": python["interpreterPath"] if python["userManagedDependencies"] else "",
        "packages": (python.get("condaDependencies") or {}).get("dependencies") or [],
    }


def provide(wished: dict[str, Any], cache: Path, outside: dict[str, str], say: Say) -> Path:
    """The Python that is wished for, built unless it is there; outside are the variables that lead to the packages."""
    if wished["interpreter"]:
        named = str(wished["interpreter"])
        active = shutil.which(named) or (shutil.which("python3") if named == "python" else None)
        if active is None:
            raise Failed(f"interpreterPath: there is no {wished['interpreter']} on the PATH")
        return Path(active)
    return build(wished["packages"], cache, outside, say)


def build(dependencies: list[Any], cache: Path, outside: dict[str, str], say: Say) -> Path:
    wanted = conda_file.read(dependencies)
    for note in wanted.notes:
        say(f"Warning: {note}\n".encode())
    if wanted.unknown:
        raise Failed(f"The environment can't be built: the package index can't have {', '.join(wanted.unknown)}")
    key = hashlib.sha256(json.dumps([wanted.version, "pip", sorted(wanted.packages)]).encode()).hexdigest()[:16]
    target = cache / "environments" / key
    python = target / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if python.exists():
        say(f"The environment {key} is built already.\n".encode())
    else:
        say(f"Building the environment {key}: Python {wanted.version}, {len(wanted.packages)} packages\n".encode())
        target.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, ignore_cleanup_errors=True) as name:
            partial = Path(name) / key
            outside = {name: text for name, text in outside.items() if name != "VIRTUAL_ENV"}
            make(wanted.version, partial, outside, say)
            install(wanted.packages, partial / python.relative_to(target), outside, say)
            with contextlib.suppress(OSError):  # somebody else has built the same
                partial.rename(target)
    if (target / LEFT_OUT).exists() and (told := (target / LEFT_OUT).read_bytes()):
        say(told)
    version = version_of(target)
    if re.fullmatch(r"[\d.]+", wanted.version) and not f"{version}.".startswith(f"{wanted.version}."):
        say(f"Warning: Python {wanted.version}: not at hand, so it is {version}\n".encode())
    return python


def make(version: str, folder: Path, outside: dict[str, str], say: Say) -> None:
    """An empty environment: of the very version if that is at hand, else of the same minor one, else fetched."""
    venv = [*UV, "venv", "--quiet", "--relocatable", "--seed"]  # conda brings pip along, and setuptools
    minor = ".".join(version.split(".")[:2])
    for wanted in dict.fromkeys((version, minor) if minor[:1].isdigit() else (version,)):
        if not subprocess.run(
            [*venv, "--no-python-downloads", "--python", wanted, str(folder)],
            env=outside,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ).returncode:
            return
    say(f"Python {version} is not at hand.\n".encode())
    try:
        step([*venv, "--python", version, str(folder)], outside, say)
    except Failed as failed:
        raise Failed(f"Python {version} is not at hand, and can't be fetched. {failed}") from None


def version_of(folder: Path) -> str:
    """The version of an environment's Python."""
    told = re.search(r"^version_info\s*=\s*([\d.]+)", (folder / "pyvenv.cfg").read_text(encoding="utf-8"), re.MULTILINE)
    return told[1] if told else ""


def install(packages: list[str], python: Path, outside: dict[str, str], say: Say) -> None:
    """Install packages; places to look for them that can't be reached are left out."""
    lines, left_out = [], []
    for line in packages:
        place = PLACE.fullmatch(line.strip())
        if place and not reached(place[2], outside):
            left_out.append(f"Warning: {place[1]} {without_login(place[2])}: can't be reached, so it is left out\n")
        else:
            lines.append(line)
    (python.parent.parent / LEFT_OUT).write_text("".join(left_out), encoding="utf-8")
    requirements = python.parent.parent / "requirements.txt"
    requirements.write_text("\n".join(lines), encoding="utf-8")
    more = ["--index-strategy", "unsafe-best-match"] if any(map(PLACE.fullmatch, lines)) else []  # as pip does
    step([*UV, "pip", "install", "--python", str(python), *more, "-r", str(requirements)], outside, say)


def reached(address: str, outside: dict[str, str]) -> bool:
    """Whether anybody answers at an address."""
    proxies = {name: outside.get(f"{name}_proxy") or outside.get(f"{name.upper()}_PROXY") for name in ("http", "https")}
    handler = urllib.request.ProxyHandler({name: proxy for name, proxy in proxies.items() if proxy})
    try:
        request = urllib.request.Request(address, method="HEAD")  # noqa: S310 (http or https, as PLACE says)
        urllib.request.build_opener(handler).open(request, timeout=5).close()
    except urllib.error.HTTPError:
        return True
    except urllib.error.URLError as error:
        return isinstance(error.reason, ssl.SSLError)  # the installer has roots of its own
    except (OSError, ValueError):
        return False
    return True


def without_login(address: str) -> str:
    return re.sub(r"//[^/@]*@", "//", address)


def step(command: list[str], outside: dict[str, str], say: Say) -> None:
    done = subprocess.run(command, env=outside, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    say(done.stdout or b" ")
    if done.returncode:
        said = done.stdout.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise Failed(f"The environment can't be built: {' '.join(said[-3:])}")
