"""The files of a dataset: found as the client finds them, opened with the datastore's own credential."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from urllib.parse import parse_qs, quote, unquote

import yaml
from azure.core.exceptions import AzureError, HttpResponseError
from azure.storage.blob import BlobProperties, ContainerClient

from aml_rehearsal.messages import Refusal
from aml_rehearsal.services import datastores
from aml_rehearsal.state import Record
from aml_rehearsal.workspace import Workspace

# How a dataset's definition names a place in a datastore, in the two forms that clients write.
ADDRESS = re.compile(r"azureml://subscriptions/.+?/datastores/(?P<store>[^/]+)/paths/(?P<path>.*)", re.DOTALL)
PAIR = re.compile(
    r"datastoreName[\"']?:\s*[\"']?(?P<store>[\w-]+).{0,80}?relativePath[\"']?:\s*[\"']?(?P<path>[^\"'\n,}]*)",
    re.DOTALL,
)
GLOBS = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*"}


@dataclass(frozen=True)
class File:
    """One file of a dataset, as a node needs it."""

    name: str  # below the folder that the run sees
    url: str  # where this computer reads it, signed
    store: str


def title(dataset: Record) -> str:
    if dataset["name"] is None:
        return f"The unregistered dataset {dataset['latest']['savedDatasetId']}"
    return f"Dataset {dataset['name']} version {dataset['latest']['versionId']}"


def files(workspace: Workspace, dataset: Record) -> list[File]:
    """All files of a dataset; refused, with the reason, where its datastore does not let them be listed."""
    wanted = places(dataset)
    found: list[File] = []
    for store, path in wanted:
        try:
            with workspace.state.lock:
                place = Place(workspace, datastores.find(workspace, store))
            for blob in place.matching(path):
                # Of several places, each keeps its whole path below its datastore's name, as in the client.
                name = blob[len(root(path)) :] if len(wanted) == 1 else f"{store}/{blob}"
                found.append(File(name.strip("/") or blob.rpartition("/")[2], place.url(blob), store))
        except Refusal as refusal:
            raise Refusal(refusal.reply.status, f"{title(dataset)}: {refusal}") from None
    if not found:
        raise Refusal(400, f"{title(dataset)} holds no file: nothing lies at {', '.join(map('/'.join, wanted))}.")
    return found


def folder(workspace: Workspace, store: str, path: str) -> list[File]:
    """All files at a path of a datastore, by their names below it; the name of a single file is empty."""
    with workspace.state.lock:
        place = Place(workspace, datastores.find(workspace, store))
    return below(place, path)


def below(place: Place, path: str) -> list[File]:
    return [File(blob[len(path) :].strip("/"), place.url(blob), place.name) for blob in place.matching(path)]


def places(dataset: Record) -> list[tuple[str, str]]:
    """The datastores and the paths that a dataset names."""
    found = []
    for address in addresses(dataset):
        match = ADDRESS.fullmatch(address)
        if match is None:
            raise Refusal(400, f"{title(dataset)}: {address} is no path of a datastore.")
        found.append((match["store"], unquote(match["path"]).lstrip("/")))
    text = dataset["latest"].get("dataflow") or ""
    return found or [(match["store"], unquote(match["path"]).lstrip("/")) for match in PAIR.finditer(text)]


def addresses(dataset: Record) -> list[str]:
    """What a dataset of today's clients reads, as they wrote it: of a datastore, or of the web."""
    text = dataset["latest"].get("dataflow") or ""
    steps = json.loads(text).get("meta", {}).get("RsDataflow", "") if text else ""
    entries = (yaml.safe_load(steps) or {}).get("paths") or [] if steps else []
    return [str(address) for entry in entries for address in entry.values()]


def root(path: str) -> str:
    """The folder that the names of a path's files are relative to."""
    plain = path.partition("*")[0]
    return plain if plain == path else plain[: plain.rfind("/") + 1]


def matcher(path: str) -> re.Pattern[str]:
    if "*" not in path:  # a file, or all that a folder holds
        folder = re.escape(path.rstrip("/"))
        return re.compile(f"{folder}(?:/.*)?" if folder else ".*", re.DOTALL)
    parts = re.split(r"(\*\*/|\*\*|\*)", path)
    return re.compile("".join(GLOBS.get(part, re.escape(part)) for part in parts), re.DOTALL)


class Place:
    """The container of a datastore, opened as the datastore says."""

    def __init__(self, workspace: Workspace, store: Record) -> None:
        self.blobs, self.name = workspace.blobs, store["name"]
        storage = store.get("azureStorageSection")
        if not storage or store.get("dataStoreType", "AzureBlob") != "AzureBlob":
            raise self.refused(f"it is a {store.get('dataStoreType')}; the rehearsal reads blob storage only")
        self.account, self.container = storage["accountName"], storage["containerName"]
        if self.account not in workspace.state.tables.storage_accounts:
            raise self.refused(f"the rehearsal has no storage account {self.account}")
        self.kind, self.credential = storage.get("credentialType"), str(storage.get("credential") or "")
        if not self.credential:  # it is opened by who reads it: the cluster's own identity
            self.kind, self.credential = "AccountKey", workspace.blobs.keys[self.account]

    def refused(self, reason: str) -> Refusal:
        return Refusal(400, f"datastore {self.name}: {reason}")

    def matching(self, path: str) -> Iterator[str]:
        """The names of the blobs at a path, without the empty ones that only stand for a folder."""
        fits = matcher(path)
        known = [blob for blob in self.listed(path.partition("*")[0].rstrip("/")) if fits.fullmatch(blob.name)]
        folders = {blob.name[:at] for blob in known for at, letter in enumerate(blob.name) if letter == "/"}
        for blob in known:
            if not blob.name.endswith("/") and (blob.size or blob.name not in folders):
                yield blob.name

    def client(self) -> ContainerClient:
        return self.blobs.service(self.account, self.credential).get_container_client(self.container)

    def listed(self, prefix: str) -> list[BlobProperties]:
        try:
            return list(self.client().list_blobs(name_starts_with=prefix or None))
        except (AzureError, ValueError) as error:
            raise self.refused(self.why(error)) from None

    def why(self, error: Exception, wanted: str = "read and list") -> str:
        """Why the storage does not let its blobs be listed, or written."""
        status = error.status_code if isinstance(error, HttpResponseError) else None
        if status == 404:
            return f"there is no container {self.container} in the account {self.account}"
        if self.kind != "Sas":
            return f"its account key is refused by {self.account}"
        sas = {name: texts[0] for name, texts in parse_qs(self.credential.lstrip("?")).items()}
        if "se" in sas and moment(sas["se"]) < datetime.now(timezone.utc):
            return f"its SAS expired at {sas['se']}"
        if "sp" in sas and not {word[0] for word in wanted.split(" and ")} <= set(sas["sp"]):
            return f"its SAS may not {wanted}, only sp={sas['sp']}"
        return f"its SAS is refused by {self.account}"

    def url(self, blob: str) -> str:
        """Where a node, which is on this computer, reads a blob."""
        if self.kind == "Sas":
            signature = self.credential.lstrip("?")
        else:
            signature = self.blobs.signature(self.container, blob, "r", self.account, self.credential)
        return f"{self.blobs.url(self.account)}/{self.container}/{quote(blob)}?{signature}"


def moment(text: str) -> datetime:
    """The time that a SAS names, by the second or by the day."""
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return datetime.max.replace(tzinfo=timezone.utc)
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)
