"""Bring a folder into the storage, or take what lies there already, and register it as a dataset's next version."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aml_project.command_line import Failure, Progress, note
from aml_project.service import datasets, datastores
from aml_project.storage import folder as folders
from aml_project.storage.container import Container, Place
from aml_project.storage.folder import Brought, Folder
from aml_project.storage.pattern import content_of, matching
from aml_project.storage.plan import Plan
from aml_project.storage.progress import bytes_text
from aml_project.storage.transfer import THREADS

ESCAPED = frozenset('"%&*:<>?|')  # what the client's own downloads write as %22 and so on, seen with dataprep 5.5


def read_folder(plan: Plan, memory: Path) -> Folder:
    """Read what is to be uploaded; say what stays behind or comes out otherwise."""
    folder = folders.read(plan.folder, plan.name, memory)
    if folder.left_out:
        note(f"left out: {', '.join(folder.left_out[:3])}" + (" …" if len(folder.left_out) > 3 else ""))
    if odd := [file.name for file in folder.files if not ESCAPED.isdisjoint(file.name)]:
        which = f"{len(odd)} name{'' if len(odd) == 1 else 's'}, as in {odd[0]}"
        note(f"a run may find %26 for & in {which}; and the like for {''.join(sorted(ESCAPED - {'&'}))}")
    return folder


def bring(workspace: Any, plan: Plan, folder: Folder) -> tuple[str, bool]:
    """Upload, and register a version if there is none of this content; return its number, and whether it is new."""
    newest = datasets.find_version(workspace, plan.name)
    datastore, storage = opened(workspace, plan)
    place = f"{datastore.name}/{folder.path}"
    store, _, earlier = datasets.tag(newest, datasets.PLACE).partition("/")
    brought = folders.bring(folder, storage, earlier if store == datastore.name else None)
    print(summary(folder, brought, place), flush=True)
    tags = {"files": str(len(folder.files)), "bytes": str(folder.size)}
    tags |= {datasets.CONTENT: folder.content, datasets.PLACE: place}
    return next_version(workspace, plan, newest, datastore=datastore, path=f"{folder.path}/**", tags=tags)


def take(workspace: Any, plan: Plan) -> tuple[str, bool]:
    """Register what a spec names; return the version's number, and whether it is new."""
    datastore = datastores.find(workspace, plan.datastore)
    storage = datastores.open_datastore(workspace, datastore, 1)
    path = plan.spec.path
    blobs = matching(storage, path)
    if not blobs:
        raise Failure(f"{plan.spec.file}: parameters.path.relativePath: no file in {storage.place} fits {path!r}")
    place = f"{datastore.name}/{path}"
    print(f"{len(blobs)} files of {place}", flush=True)
    tags = plan.spec.tags | {datasets.CONTENT: content_of(blobs), datasets.PLACE: place, "files": str(len(blobs))}
    newest = datasets.find_version(workspace, plan.name)
    return next_version(workspace, plan, newest, datastore=datastore, path=path, tags=tags)


def next_version(
    workspace: Any, plan: Plan, newest: Any, *, datastore: Any, path: str, tags: dict[str, str]
) -> tuple[str, bool]:
    """Register files as the next version, unless the newest is of this very content."""
    if all(datasets.tag(newest, name) == tags[name] for name in (datasets.CONTENT, datasets.PLACE)):
        return datasets.number(newest), False
    with Progress("Registering"):
        version = datasets.register_version(
            workspace, plan.name, datastore=datastore, path=path, tags=tags, description=plan.description
        )
    return datasets.number(version), True


def opened(workspace: Any, plan: Plan) -> tuple[Any, Container]:
    """Return the datastore that the dataset goes into, and its container, opened for writing."""
    if not plan.account:
        datastore = datastores.find(workspace, plan.datastore)
        return datastore, datastores.open_datastore(workspace, datastore, THREADS)
    place = Place(plan.account, plan.container, f"https://{plan.account}.blob.core.windows.net")
    storage = Container(place, datastores.credential(workspace, place.account), THREADS)
    if storage.make():
        print(f"Container {place}: made")
    name = plan.datastore or plan.container.replace("-", "_")
    return datastores.register(workspace, name, storage, access=plan.access, hours=plan.hours), storage


def summary(folder: Folder, brought: Brought, place: str) -> str:
    parts = [f"{brought.sent} sent"]
    if brought.copied:
        parts.append(f"{brought.copied} copied from the version before")
    if brought.there:
        parts.append(f"{brought.there} there already")
    return f"{len(folder.files)} files, {bytes_text(folder.size)} in {place}: {', '.join(parts)}"
