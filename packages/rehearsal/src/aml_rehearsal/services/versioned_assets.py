"""What the second generation's kinds of assets share: names, their versions, and how the resource manager tells them.

Each kind has a module that says where its versions are kept: environments and models are also the first generation's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from aml_rehearsal.messages import Refusal, Reply, Request
from aml_rehearsal.services.hosts import arm
from aml_rehearsal.state import Record, creator, now
from aml_rehearsal.workspace import Workspace

WORDS = ("description", "tags", "properties", "isArchived", "stage")  # what may change of a version that is there
PLAIN: Record = {"description": None, "tags": {}, "properties": {}, "isArchived": False}
FIRST = "2024-01-01T00:00:00Z"  # when what nobody has made was made


@dataclass(frozen=True)
class Kind:
    """A kind of asset: what it is called in a path, and how it is found and kept."""

    plural: str
    names: Callable[[Workspace], Iterable[str]]
    versions: Callable[[Workspace, str], list[Record]]  # each with version and properties, oldest first
    keep: Callable[[Workspace, str, str, Record], None]  # a new version; what is there is refused if it differs
    apart: tuple[str, ...] = WORDS  # what it leaves to the table of words


def resource(workspace: Workspace, path: str, properties: Record, created: str = FIRST, **more: Any) -> Record:
    """Something of the workspace as the resource manager tells it."""
    kinds = "/".join(path.split("/")[::2])
    who = {"createdBy": creator("rehearsal")["userName"], "createdByType": "Application"}
    return {
        "id": f"{workspace.names.scope}/{path}",
        "name": path.rpartition("/")[2],
        "type": f"Microsoft.MachineLearningServices/workspaces/{kinds}",
        "properties": properties,
        "systemData": {**who, "createdAt": created, "lastModifiedAt": more.pop("modified", None) or created},
        **more,
    }


def reference(text: str, plural: str) -> tuple[str, str]:
    """The name and the version that an asset is meant by, in any of the ways that the client writes; latest is one."""
    plain = text.removeprefix("azureml:")
    if match := re.search(rf"/{plural}/(?P<name>[^/]+)/(?:versions|labels)/(?P<version>[^/]+)/?$", plain):
        return match["name"], match["version"]
    name, _, version = plain.rpartition("@" if "@" in plain else ":")
    if not name or "/" in plain:
        raise Refusal(400, f"'{text}' names no version of {plural}.", "UserError")
    return name, version


def meant(workspace: Workspace, kind: Kind, text: str) -> tuple[str, Record]:
    """The name and the version that a reference means; refused where it is not there."""
    name, wanted = reference(text, kind.plural)
    versions = kind.versions(workspace, name)
    found = versions[-1:] if wanted == "latest" else [one for one in versions if one["version"] == wanted]
    if not found:
        raise Refusal(404, f"Not found: {kind.plural}/{name}/versions/{wanted}", "UserError")
    return name, found[0]


def seen(request: Request, archived: bool) -> bool:
    """Whether a listing wants what is archived, or what is not."""
    wanted = request.query.get("listViewType") or "ActiveOnly"
    return wanted == "All" or archived == (wanted == "ArchivedOnly")


def first(request: Request, found: Iterable[Record]) -> Record:
    """A listing, as much of it as is asked for."""
    most = int(request.query.get("$top") or 0)
    return {"value": list(found)[: most or None], "nextLink": None}


def words_of(workspace: Workspace, path: str) -> Record:
    """What is said of an asset, which may change: kept apart from what it is."""
    return workspace.state.tables.asset_words.get(path, {})


def say(workspace: Workspace, path: str, wish: Record) -> None:
    said = {key: wish[key] for key in WORDS if wish.get(key) is not None}
    workspace.state.tables.asset_words[path] = {"createdTime": now()} | words_of(workspace, path) | said


def version_of(workspace: Workspace, kind: Kind, name: str, version: str) -> Record | None:
    return next((one for one in kind.versions(workspace, name) if one["version"] == version), None)


def told(workspace: Workspace, kind: Kind, name: str, one: Record) -> Record:
    """A version as the client gets it."""
    path = f"{kind.plural}/{name}/versions/{one['version']}"
    said = dict(words_of(workspace, path))
    created = one.get("createdTime") or said.pop("createdTime", FIRST)
    known = {key: value for key, value in one["properties"].items() if value is not None}
    held = PLAIN | {"isAnonymous": False, "provisioningState": "Succeeded"} | known
    return resource(workspace, path, held | {key: said[key] for key in WORDS if key in said}, created)


def container(workspace: Workspace, kind: Kind, name: str) -> Record:
    """What is known of a name that has versions."""
    versions = kind.versions(workspace, name)
    path = f"{kind.plural}/{name}"
    if not versions:
        raise Refusal(404, f"Not found: {path}", "UserError")
    numbers = [int(one["version"]) for one in versions if one["version"].isdigit()]
    newest = versions[-1]
    said = words_of(workspace, path)
    properties = (
        PLAIN
        | {key: said[key] for key in PLAIN if key in said}
        | {
            "latestVersion": newest["version"],
            "nextVersion": str(max(numbers, default=len(versions)) + 1),
            "provisioningState": "Succeeded",
        }
    )
    if "dataType" in newest["properties"]:
        properties["dataType"] = newest["properties"]["dataType"]
    times = [told(workspace, kind, name, one)["systemData"]["createdAt"] for one in (versions[0], newest)]
    return resource(workspace, path, properties, times[0], modified=times[1])


def add_routes(kind: Kind) -> None:
    """Let the client list, see, make and change the assets of a kind."""
    base = f"{{scope}}/{kind.plural}"

    @arm.route("GET", base)
    def names(workspace: Workspace, request: Request) -> Any:
        every = (container(workspace, kind, name) for name in kind.names(workspace))
        return first(request, [one for one in every if seen(request, one["properties"]["isArchived"])])

    @arm.route("GET PUT", base + "/{name}")
    def name(workspace: Workspace, request: Request) -> Any:
        wanted = request.names["name"]
        if request.method == "PUT":
            container(workspace, kind, wanted)
            say(workspace, f"{kind.plural}/{wanted}", request.json.get("properties") or {})
        return container(workspace, kind, wanted)

    @arm.route("GET", base + "/{name}/versions")
    def versions(workspace: Workspace, request: Request) -> Any:
        wanted = request.names["name"]
        every = [told(workspace, kind, wanted, one) for one in reversed(kind.versions(workspace, wanted))]
        if not every and "$orderBy" not in request.query:
            raise Refusal(404, f"Not found: {kind.plural}/{wanted}", "UserError")
        stage = request.query.get("stage")
        every = [one for one in every if stage is None or one["properties"].get("stage") == stage]
        return first(request, [one for one in every if seen(request, one["properties"]["isArchived"])])

    @arm.route("GET PUT", base + "/{name}/versions/{version}")
    def version(workspace: Workspace, request: Request) -> Any:
        wanted, number = request.names["name"], request.names["version"]
        known = version_of(workspace, kind, wanted, number)
        if request.method == "PUT":
            properties = request.json.get("properties") or {}
            kind.keep(workspace, wanted, number, properties)
            words = {key: properties.get(key) for key in kind.apart}
            say(workspace, f"{kind.plural}/{wanted}/versions/{number}", words)
            made = version_of(workspace, kind, wanted, number)
            assert made is not None
            return Reply(told(workspace, kind, wanted, made), 200 if known else 201)
        if known is None:
            raise Refusal(404, f"Not found: {kind.plural}/{wanted}/versions/{number}", "UserError")
        return told(workspace, kind, wanted, known)
