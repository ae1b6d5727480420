"""A container of Azure's blob storage: opened, listed, written to, with patience where the network has none."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple, TypeVar
from urllib.parse import parse_qs, quote, unquote
from xml.etree import ElementTree

from aml_project.command_line import SERVICE_FAILED, Failure, without_secrets
from aml_project.patience import patient
from aml_project.service.errors import explain

T = TypeVar("T")

CONNECT, READ = 20, 30  # seconds of silence that are taken for a lost connection
PAUSES = (1, 2, 4, 8, 15)  # seconds before the tries after the first
TRANSIENT = {408, 429, 500, 502, 503, 504}
PAGE = 5_000  # blobs that are listed at a time: as many as the storage does
VERSION = "2021-12-02"  # of the protocol, where it is spoken here
STORAGE_SCOPE = "https://storage.azure.com/.default"
OWN_HOURS = 7 * 24  # an upload may take days
PARTS = ("Properties/Content-Length", "Metadata/sha256", "Properties/Content-MD5", "Properties/Etag")
SHA256 = "sha256"  # of a blob's content, in its metadata


@dataclass(frozen=True)
class Place:
    """Where a container is, without what opens it."""

    account: str
    container: str
    address: str = ""  # of the account, where it is not Azure's usual one

    @property
    def url(self) -> str:
        return (self.address or f"https://{self.account}.blob.core.windows.net").rstrip("/")

    def __str__(self) -> str:
        return f"{self.account}/{self.container}"


class Blob(NamedTuple):
    size: int
    sha256: str  # as whoever wrote it has noted it; often nothing
    mark: str  # what changes with the content: its MD5, or else its tag


class Container:
    """A container that is open."""

    def __init__(self, place: Place, credential: Any, threads: int = 1) -> None:
        """`credential` is an account key, a SAS, or a login that gives tokens."""
        import requests
        from azure.core.pipeline.transport import RequestsTransport
        from azure.storage.blob import ContainerClient

        from aml_project.storage.streaming import Streaming

        self.place, self.credential = place, credential
        self.login = None if isinstance(credential, str) else credential
        self.by_key = isinstance(credential, str) and not is_sas(credential)
        # For what is asked without the storage package, a SAS stands for the key.
        self.sas = "" if self.login else signed(place, credential, "rl", OWN_HOURS) if self.by_key else credential
        self.sas = self.sas.lstrip("?")
        self.session = requests.Session()
        self.session.mount(place.url, Streaming(pool_connections=1, pool_maxsize=threads))
        # What the environment says of proxies and certificates is looked up once, not for each small file again.
        found = self.session.merge_environment_settings(place.url, {}, None, None, None)
        self.session.proxies.update(found["proxies"])
        self.session.verify = found["verify"]
        self.session.trust_env = False
        transport = RequestsTransport(
            session=self.session,
            use_env_settings=False,
            connection_verify=found["verify"],
            connection_timeout=CONNECT,
            read_timeout=READ,
        )
        self.client: Any = ContainerClient(
            place.url,
            place.container,
            credential=self.login or (credential if self.by_key else self.sas),
            transport=transport,
            retry_total=0,  # patient() knows of more: a 429, and what Retry-After says
            max_single_put_size=1 << 30,
        )

    def make(self) -> bool:
        """Make the container; False if it is there already."""
        from azure.core.exceptions import HttpResponseError, ResourceExistsError

        def make() -> bool:
            try:
                self.client.create_container()
            except ResourceExistsError:
                return False
            except HttpResponseError as error:
                if error.status_code != 403 or self.by_key:
                    raise
                self.page("", "")  # a SAS of the container may write there, and yet not make it
                return False
            return True

        return self.patient(make)

    def blobs(self, prefix: str) -> dict[str, Blob]:
        """Return the blobs below a folder by their names there.

        Asked and read without the storage package, whose own listing took twice as long for 2,000 blobs.
        """
        start, marker, found = f"{prefix.rstrip('/')}/" if prefix.strip("/") else "", "", {}
        while True:
            page = ElementTree.fromstring(self.patient(lambda: self.page(start, marker)))  # noqa: B023, S314
            for entry in page.iter("Blob"):
                name = entry.find("Name")
                assert name is not None and name.text
                text = unquote(name.text) if name.get("Encoded") == "true" else name.text
                size, sha256, md5, tag = (entry.findtext(part) or "" for part in PARTS)
                found[text[len(start) :]] = Blob(int(size or 0), sha256, md5 or tag)
            marker = page.findtext("NextMarker") or ""
            if not marker:
                return found

    def page(self, start: str, marker: str) -> bytes:
        """Ask for some thousands of blobs."""
        from azure.core.exceptions import HttpResponseError, ServiceRequestError
        from requests import RequestException

        query = {"restype": "container", "comp": "list", "include": "metadata", "prefix": start, "marker": marker}
        query |= {"maxresults": str(PAGE)}
        headers = {"x-ms-version": VERSION}
        if self.login:
            headers["Authorization"] = f"Bearer {self.login.get_token(STORAGE_SCOPE).token}"
        address = f"{self.place.url}/{self.place.container}?{self.sas}"
        try:
            answer = self.session.get(address, params=query, headers=headers, timeout=(CONNECT, READ))
        except RequestException as error:
            raise ServiceRequestError(said(error), error=error) from None
        if answer.status_code >= 300:
            refused: Any = HttpResponseError(answer.reason)
            refused.status_code, refused.response = answer.status_code, answer
            refused.error_code = answer.headers.get("x-ms-error-code", "")
            raise refused
        return answer.content

    def source(self, name: str) -> str:
        """The address of a blob for a copy within the account, where a key opens both ends and a SAS but one."""
        address = f"{self.place.url}/{self.place.container}/{quote(name)}"
        return f"{address}?{self.sas}" if self.sas and not self.by_key else address

    def patient(self, act: Callable[[], T], stop: Callable[[], bool] = lambda: False) -> T:
        """Do something until it succeeds or there is no hope; a Failure says in one line why."""
        from azure.core.exceptions import AzureError
        from requests import RequestException

        def passes(error: Exception) -> bool:
            if stop() or not isinstance(error, (AzureError, RequestException)):
                return False
            return status_of(error) in TRANSIENT if refuses(error) else "CERTIFICATE_VERIFY" not in str(error)

        try:
            return patient(act, passes=passes, pauses=PAUSES)
        except (AzureError, RequestException) as error:
            said = self.meaning(error) if refuses(error) else f"{self.place}: {explain(error)}"
            raise Failure(said, SERVICE_FAILED) from error

    def meaning(self, error: Any) -> str:
        """Say what the storage's refusal means."""
        given = getattr(error, "error_code", "")
        code = str(getattr(given, "value", given) or "")
        until = expiry(self.sas)
        if error.status_code in (401, 403) and not self.by_key and until and until < datetime.now(timezone.utc):
            return f"{self.place}: the SAS has expired, at {until:%Y-%m-%d %H:%M} UTC: get a new one"
        if error.status_code in (401, 403):
            how = "the login" if self.login else "the account key" if self.by_key else "the SAS"
            return f"{self.place}: {how} does not allow this ({error.status_code} {code})"
        if code == "ContainerNotFound":
            return f"{self.place}: no such container"
        return f"{self.place}: the storage answered {error.status_code} {code}: {said(error)}"


def status_of(error: BaseException) -> int:
    return getattr(error, "status_code", None) or 0


def refuses(error: BaseException) -> bool:
    """Tell whether this is the storage's answer; else an answer was lost, or its second half."""
    return status_of(error) >= 300


def said(error: BaseException) -> str:
    """The first line of an exception."""
    return without_secrets((str(error).strip() or type(error).__name__).splitlines()[0])[:200]


def is_sas(text: str) -> bool:
    return "sig=" in text


def signed(place: Place, key: str, permissions: str, hours: float) -> str:
    """Make a SAS for a container with the account's key."""
    from azure.storage.blob import ContainerSasPermissions, generate_container_sas

    now = datetime.now(timezone.utc)
    try:
        return str(
            generate_container_sas(
                place.account,
                place.container,
                account_key=key,
                permission=ContainerSasPermissions.from_string(permissions),
                start=now - timedelta(minutes=15),  # clocks differ
                expiry=now + timedelta(hours=hours),
            )
        )
    except ValueError:
        raise Failure(f"{place.account}: the account key is not one: it is base64 text of 88 characters") from None


def expiry(sas: str) -> datetime | None:
    """When a SAS ends, if it says so."""
    text = parse_qs(sas.lstrip("?")).get("se", [""])[0]
    try:
        return datetime.fromisoformat(re.sub(r"Z$", "+00:00", text)).astimezone(timezone.utc)
    except ValueError:
        return None
