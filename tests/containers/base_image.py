"""A base image without a public registry: this computer's Python, a shell, and the libraries that they need."""

import json
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

COMMANDS = ["bash", "cat", "chmod", "chown", "env", "id", "install", "ls", "mkdir", "rm", "sed", "sh", "sleep", "true"]
# What a slim Debian has and wheels expect, though Python itself does not name it.
LIBRARIES = re.compile(r"lib(c|dl|gcc_s|m|nss_dns|nss_files|pthread|resolv|rt|stdc\+\+|util)\.so\.\d+")
NOT_NEEDED = shutil.ignore_patterns(
    "__pycache__", "config-*", "dist-packages", "EXTERNALLY-MANAGED", "idlelib", "site-packages", "test", "tkinter"
)
DESCRIBE = "import json, sys, sysconfig; print(json.dumps([sys.executable, sysconfig.get_path('stdlib')]))"


def write(archive: Path, python: Path) -> None:
    """Write the file system as a tar; Python lies in /usr/local, as in Python's own images."""
    root = archive.with_suffix(".root")
    said = subprocess.run([python, "-c", DESCRIBE], capture_output=True, text=True, check=True).stdout
    executable, standard_library = map(Path, json.loads(said))

    for folder in ("etc", "root", "tmp", "usr/bin", "usr/lib", "usr/lib64", "usr/local/bin", "usr/sbin"):
        (root / folder).mkdir(parents=True)
    (root / "tmp").chmod(0o1777)
    for name in ("bin", "lib", "lib64", "sbin"):
        (root / name).symlink_to(f"usr/{name}")
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")
    (root / "etc/nsswitch.conf").write_text("hosts: files dns\n")

    installed = root / "usr/local/lib" / standard_library.name
    shutil.copytree(standard_library, installed, ignore=NOT_NEEDED)
    binary = root / "usr/local/bin" / standard_library.name  # python3.11
    shutil.copy(executable.resolve(), binary)
    for name in ("python3", "python"):
        binary.with_name(name).symlink_to(binary.name)
    wheels = Path("/usr/share/python-wheels")  # where Debian keeps the pip that venv installs
    if wheels.is_dir():
        shutil.copytree(wheels, root / wheels.relative_to("/"))

    commands = {name: Path(found) for name in COMMANDS if (found := shutil.which(name))}
    for name, program in commands.items():
        shutil.copy(program.resolve(), root / "usr/bin" / name)
    extensions = (standard_library / "lib-dynload").glob("*.so")
    for library in {*needed([executable, *commands.values(), *extensions]), *listed()}:
        target = root / library.parent.resolve().relative_to("/") / library.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library.resolve(), target)
    with tarfile.open(archive, "w") as tar:
        tar.add(root, arcname=".", filter=owned_by_root)
    shutil.rmtree(root)


def needed(programs: Iterable[Path]) -> Iterator[Path]:
    """The libraries that programs are linked with."""
    said = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=False).stdout
    yield from map(Path, re.findall(r"(/\S+\.so\S*) \(0x", said))


def listed() -> Iterator[Path]:
    """Those that a slim Debian has besides, where this computer keeps its own."""
    said = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    for name, path in re.findall(r"^\s+(\S+) \(libc6,[^)]*\) => (\S+)$", said, flags=re.MULTILINE):
        if LIBRARIES.fullmatch(name):
            yield Path(path)


def owned_by_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return entry
