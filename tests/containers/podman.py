"""Containers without a daemon and without a public registry: podman with settings, storage and a registry of its own.

Dockerfiles are built as they are. Their FROM is looked up in a registry on loopback, which holds base images made here.
"""

import json
import os
import re
import resource
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.containers import base_image
from tests.support import BIN, PYTHON, SERVER_STARTS_IN, answers, free_port, heartbeat, run

PROGRAMS = ["podman", "runc", "netavark", "aardvark-dns", "iptables", "docker-registry"]
PODMANS_OWN = Path("/usr/lib/podman")  # where Debian keeps netavark and aardvark-dns
SHORT_NAMES = "docker.io"  # where Docker looks for python:3.11-slim, in library/
# What pip is told about where packages come from, here and therefore in a build as well.
PIP_SETTINGS = ("cert", "constraint", "extra-index-url", "find-links", "index-url", "proxy", "timeout", "trusted-host")
LIMIT = 20_000  # of open files and of processes; podman's own default is more than it may set in some virtual machines
PORT = 5001  # of the inference server


@dataclass
class Server:
    """A container that answers on a port of the loopback interface."""

    name: str
    url: str


class Containers:
    """podman and a registry, until close(); nothing of it is left on this computer."""

    def __init__(self, folder: Path) -> None:
        path = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin", str(PODMANS_OWN)])
        missing = [program for program in PROGRAMS if shutil.which(program, path=path) is None]
        if missing:
            pytest.fail(f"Containers need {', '.join(missing)}, not found here: .ci/run installs it on Debian", False)
        self.folder = folder
        self.env = {
            "PATH": path,
            "CONTAINERS_CONF": str(folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
            "CONTAINERS_REGISTRIES_CONF": str(folder / "registries.conf"),
            "BUILDAH_ISOLATION": "chroot",  # a RUN needs no container of its own, only its files
            "BUILDAH_FORMAT": "docker",  # the other format has no health check
            "DISABLE_HC_SYSTEMD": "true",  # the test asks for the health itself
        }
        self.address = f"127.0.0.1:{free_port()}"
        self.log = folder / "registry.log"
        self.write_settings()
        with self.log.open("w") as log:
            self.registry = subprocess.Popen(
                ["docker-registry", "serve", folder / "registry.yml"], stdout=log, stderr=subprocess.STDOUT
            )

    def write_settings(self) -> None:
        # To compile what is installed takes most of a build, and is of use to a server that starts often. (To pip, "no"
        # is how this option is switched on.)
        pip_conf = ["[global]", *pip_settings(), "[install]", "no-compile = no"]
        (self.folder / "pip.conf").write_text("\n".join(pip_conf) + "\n")
        mounts = {"/etc/pip.conf": str(self.folder / "pip.conf")} | {path: path for path in named_by_pip()}
        # npm and uv read no pip.conf: they are told which roots are trusted here.
        for certificates in [line.partition(" = ")[2] for line in pip_settings() if line.startswith("cert = ")]:
            for place, text in (
                ("/tmp/.npmrc", f"cafile={certificates}\n"),
                ("/etc/uv/uv.toml", "system-certs = true\n"),
            ):
                file = self.folder / Path(place).name
                file.write_text(text)
                mounts[place] = str(file)
        hard = {"nofile": resource.RLIMIT_NOFILE, "nproc": resource.RLIMIT_NPROC}
        allowed = {name: [LIMIT, *filter(lambda n: n >= 0, resource.getrlimit(kind))] for name, kind in hard.items()}
        limits = [f"{name}={min(numbers)}:{min(numbers)}" for name, numbers in allowed.items()]
        write_toml(
            self.folder / "containers.conf",
            containers={
                "default_ulimits": limits,
                "log_driver": "k8s-file",
                "volumes": [f"{source}:{target}:ro" for target, source in mounts.items()],
            },
            engine={
                "cgroup_manager": "cgroupfs",
                "events_logger": "file",
                "runtime": "runc",  # the default one of Debian wants cgroups of version 2 alone
                "tmp_dir": str(self.folder / "run"),
            },
            network={"network_backend": "netavark", "network_config_dir": str(self.folder / "networks")},
        )
        write_toml(
            self.folder / "storage.conf",
            storage={
                "driver": "overlay",
                "graphroot": str(self.folder / "storage"),
                "runroot": str(self.folder / "run-storage"),
            },
        )
        registry = {
            "version": 0.1,
            "storage": {"filesystem": {"rootdirectory": str(self.folder / "registry")}},
            "http": {"addr": self.address},
        }
        (self.folder / "registry.yml").write_text(json.dumps(registry))
        self.write_registries([SHORT_NAMES])

    def write_registries(self, hosts: list[str]) -> None:
        """Have every image of these hosts looked up in the registry on loopback."""
        lines = [f'unqualified-search-registries = ["{SHORT_NAMES}"]']
        for host in hosts:
            lines += ["[[registry]]", f'prefix = "{host}"', f'location = "{self.address}/{host}"', "insecure = true"]
        (self.folder / "registries.conf").write_text("\n".join(lines) + "\n")

    def podman(self, *args: str | Path, expect: int = 0) -> str:
        return run("podman", *args, cwd=self.folder, expect=expect, **self.env)

    def publish(self, image: str, reference: str) -> None:
        """Put an image that is here into the registry, under the name of a public one, and forget it here."""
        host, _, name = reference.rpartition("/") if "/" not in reference else reference.partition("/")
        if "." not in host:
            host, name = SHORT_NAMES, reference if host else f"library/{reference}"
        conf = (self.folder / "registries.conf").read_text()
        if f'"{host}"' not in conf:
            self.write_registries([SHORT_NAMES, host])
        self.podman("push", "--quiet", "--tls-verify=false", image, f"{self.address}/{host}/{name}")

    def make_bases(self, model: Path) -> None:
        """Put into the registry what both Dockerfiles of a model begin with."""
        python = run(BIN / "uv", "python", "find", "--system", "--no-project", PYTHON, cwd=model).strip()
        self.make_base(Path(python))
        self.make_conda()
        self.publish("localhost/conda", base_of(model / "Dockerfile"))
        self.publish("localhost/python", base_of(model / "Dockerfile.inference"))

    def make_base(self, python: Path) -> None:
        """Make the image localhost/python."""
        archive = self.folder / "python.tar"
        base_image.write(archive, python)
        binaries = "/opt/python/bin:/usr/local/bin:/usr/bin"
        self.podman("import", "--quiet", "--change", f"ENV PATH={binaries}", archive, "localhost/files")
        archive.unlink()
        self.make("python", "FROM localhost/files\nRUN python3 -m venv /opt/python\n")

    def make_conda(self) -> None:
        """Make the image localhost/conda of it, with what stands for conda."""
        conda = "FROM localhost/python\nRUN pip install --quiet pyyaml uv\nCOPY conda /usr/local/bin/conda\n"
        self.make("conda", conda, {"conda": Path(__file__).with_name("stand_in_conda.py")})

    def make(self, name: str, dockerfile: str, programs: dict[str, Path] | None = None) -> None:
        """Make an image that no registry has."""
        context = self.folder / f"base-{name}"
        context.mkdir()
        for program, source in (programs or {}).items():
            shutil.copy(source, context / program)
            (context / program).chmod(0o755)
        (context / "Dockerfile").write_text(dockerfile)
        self.podman("build", "--quiet", "--tag", f"localhost/{name}", context)

    def build(self, model: Path, dockerfile: str, tag: str, *options: str, expect: int = 0) -> str:
        """Build a Dockerfile of a model's folder, and fetch what it begins with from the registry."""
        return self.podman(
            "build", "--pull-always", "--tag", tag, "--file", model / dockerfile, *options, model, expect=expect
        )

    @contextmanager
    def serving(self, image: str, *options: str, port: int = PORT) -> Iterator[Server]:
        """Start a container of an image that serves, and wait until it answers."""
        own = free_port()
        name = self.podman("run", "--detach", f"--publish=127.0.0.1:{own}:{port}", *options, image).strip()
        server = Server(name, f"http://127.0.0.1:{own}")
        try:
            over = time.monotonic() + SERVER_STARTS_IN
            with heartbeat("the server in the container starts"):
                while not answers(server.url):
                    running = self.podman("inspect", "--format={{.State.Running}}", name).strip() == "true"
                    assert running, self.podman("logs", name)
                    assert time.monotonic() < over, f"no answer in {SERVER_STARTS_IN} s: {self.podman('logs', name)}"
                    time.sleep(0.5)
            yield server
        finally:
            self.podman("rm", "--force", "--time=5", name)

    def close(self) -> None:
        try:
            self.podman("rm", "--all", "--force", "--time=0")
        finally:
            self.registry.terminate()
            self.registry.wait(timeout=30)
            overlay = self.folder / "storage" / "overlay"
            if overlay.is_mount():
                run("umount", overlay, cwd=self.folder.parent)
            run("rm", "--recursive", "--force", self.folder, cwd=self.folder.parent)  # unlike rmtree(), it shows


def base_of(dockerfile: Path) -> str:
    """The image that a Dockerfile begins with."""
    found = re.search(r"^ARG BASE_IMAGE=(\S+)\nFROM \$\{BASE_IMAGE\}", dockerfile.read_text(), flags=re.MULTILINE)
    assert found
    return found[1]


@cache
def pip_settings() -> list[str]:
    """Where pip finds packages on this computer, as lines of a pip.conf."""
    said = run(BIN / "python", "-m", "pip", "config", "list", cwd=Path.cwd())
    settings = {}
    for line in said.splitlines():
        name, _, value = line.partition("=")
        settings[name.rpartition(".")[2]] = value.strip("'\"")
    return [f"{name} = {value}" for name, value in settings.items() if name in PIP_SETTINGS]


def named_by_pip() -> Iterator[str]:
    """The files and folders of this computer that those settings name; an index in a folder names files beside it."""
    for line in pip_settings():
        for word in line.split(" = ", 1)[1].split():
            path = Path(word.removeprefix("file://"))
            if path.is_absolute() and path.exists():
                yield str(path if str(path) == word else path.parent)


def write_toml(file: Path, **tables: dict[str, str | list[str]]) -> None:
    """Strings and lists of strings are written alike in TOML and in JSON."""
    lines: list[str] = []
    for name, table in tables.items():
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    file.write_text("\n".join(lines) + "\n")
