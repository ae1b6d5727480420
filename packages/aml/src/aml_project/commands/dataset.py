"""Upload a folder and register it as the next version of a dataset, which the runconfigs then read.

    aml dataset --from data --name customers

Only what is not in the storage yet is sent, whatever has interrupted an earlier call; what has not changed gets no new
version. With --spec, files that lie in a datastore already are registered.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from aml_project.command_line import DONE, WRONG_USE, Failure, Parser, Progress, note, run
from aml_project.names import check
from aml_project.project import data_folder, pick_model, root

TYPE_CHECKING = False  # typing's own costs its import
if TYPE_CHECKING:
    from typing import Any

    from aml_project.runconfigs.data import Reader
    from aml_project.storage.container import Storage
    from aml_project.storage.folder import Brought, Folder

ESCAPED = frozenset('"%&*:<>?|')  # what the client's own downloads write as %22 and so on, seen with dataprep 5.5
EXAMPLE = """  aml dataset
  aml dataset --from ~/images --name images --account mystorage --container images
  aml dataset --spec dataset_spec.json"""


def main(argv: list[str] | None = None) -> int:
    parser = Parser("Upload a folder and register it as the next version of a dataset.", EXAMPLE)
    parser.add_argument("--from", dest="folder", type=Path, metavar="FOLDER", help="what to upload (default: data/NAME/)")
    parser.add_argument("--name", help="of the dataset (default: the one that the runconfigs read)")
    parser.add_argument(
        "--spec", type=Path, metavar="FILE", help="a dataset_spec.json: registers files that are in a datastore already"
    )
    parser.add_argument("--description", help="a sentence for people")
    parser.add_argument("--datastore", metavar="NAME", help="where it goes (default: the workspace's own)")
    parser.add_argument("--account", help="a storage account of your own; its container becomes a datastore")
    parser.add_argument("--container", help="the container there; made if it is missing")
    parser.add_argument(
        "--access", choices=("sas", "key", "identity"), default="sas",
        help="how runs open that container: by a SAS to read and list, by the account's key, or by their own identity "
        "(default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--hours", type=float, default=24, help="how long the SAS holds (default: %(default)s)")
    parser.add_argument("--model", help="whose runconfigs are written (default: of all that read the dataset)")
    parser.add_argument("--no-write", action="store_true", help="print the lines for the runconfigs, and write none")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done; ask and change nothing")
    return run(register, parser, argv)


def register(args: argparse.Namespace) -> int:
    from aml_project.runconfigs.data import concerned, readers

    check_options(args)
    if args.spec:
        from aml_project.storage.dataset_spec import read as read_spec

        spec = read_spec(args.spec)
        args.name, args.datastore = spec.name, spec.datastore
    found = readers(root(), args.model)
    args.name = args.name or only([reader.name for reader in found])
    check({"dataset_name": args.name}, {"dataset_name": "--name"})
    reading = concerned(found, args.name)
    if args.dry_run:
        return describe(args, reading)
    try:
        version = register_spec(args, spec) if args.spec else register_folder(args, source(args, reading))
    except KeyboardInterrupt:
        raise KeyboardInterrupt("Interrupted; the same command sends only what is missing.") from None
    tell(reading, args.name, version, args.no_write)
    return DONE


def check_options(args: argparse.Namespace) -> None:
    """Refuse options that do not go together, and names that nothing has."""
    if args.spec and (args.folder or args.name or args.account or args.datastore):
        raise Failure(
            "--spec: names files, dataset and datastore; leave --from, --name, --account, --datastore", WRONG_USE
        )
    if bool(args.account) != bool(args.container):
        raise Failure("--account and --container: give both, or neither", WRONG_USE)
    if not 0 < args.hours <= 24 * 365:
        raise Failure(f"--hours: more than 0 and at most a year, not {args.hours:g}", WRONG_USE)
    given = {"storage_account": args.account, "container": args.container, "datastore": args.datastore}
    check({field: text for field, text in given.items() if text is not None}, {"storage_account": "--account"})
    if args.model:
        pick_model(root(), args.model)


def only(names: list[str]) -> str:
    """Return the one dataset that the runconfigs read."""
    there = sorted(set(names))
    if len(there) != 1:
        raise Failure(f"--name or --model: say which; the runconfigs read {', '.join(there) or 'none'}", WRONG_USE)
    return there[0]


def register_folder(args: argparse.Namespace, source: Path) -> str:
    """Upload, and register a version if there is none of this content; return its number."""
    from aml_project.storage import folder as folders

    folder = folders.read(source, args.name, root() / ".azureml" / "hashes.db")
    if folder.left_out:
        note(f"left out: {', '.join(folder.left_out[:3])}" + (" …" if len(folder.left_out) > 3 else ""))
    if odd := [file.name for file in folder.files if not ESCAPED.isdisjoint(file.name)]:
        which = f"{len(odd)} name{'' if len(odd) == 1 else 's'}, as in {odd[0]}"
        note(f"a run may find %26 for & in {which}; and the like for {''.join(sorted(ESCAPED - {'&'}))}")

    from aml_project.service import datasets
    from aml_project.service.workspace import open_workspace

    workspace = open_workspace(root(), debug=args.debug)
    newest = datasets.find_version(workspace, args.name)
    datastore, storage = destination(workspace, args)
    place = f"{datastore.name}/{folder.path}"
    store, _, earlier = datasets.tag(newest, datasets.PLACE).partition("/")
    brought = folders.bring(folder, storage, earlier if store == datastore.name else None)
    print(summary(folder, brought, place), flush=True)
    if (datasets.tag(newest, datasets.CONTENT), datasets.tag(newest, datasets.PLACE)) == (folder.content, place):
        print(f"Dataset {args.name}, version {datasets.number(newest)}: holds this already; no new version")
        return datasets.number(newest)
    tags = {datasets.CONTENT: folder.content, datasets.PLACE: place}
    tags |= {"files": str(len(folder.files)), "bytes": str(folder.size)}
    with Progress("Registering"):
        version = datasets.register_version(
            workspace,
            args.name,
            datastore=datastore,
            path=f"{folder.path}/**",
            tags=tags,
            description=args.description,
        )
    print(f"Dataset {args.name}, version {datasets.number(version)}: registered")
    return datasets.number(version)


def source(args: argparse.Namespace, reading: list[Reader]) -> Path:
    """The folder to upload, as one would type it here: by default that of the models whose runconfigs read the dataset."""
    models = [args.model] if args.model else [reader.file.parents[1].name for reader in reading]
    found = {args.folder} if args.folder else {data_folder(root(), model) for model in models} or {root() / "data"}
    if len(found) > 1:
        raise Failure(f"--from or --model: say which; {', '.join(sorted(set(models)))} read {args.name}", WRONG_USE)
    return Path(os.path.relpath(found.pop()))


def destination(workspace: Any, args: argparse.Namespace) -> tuple[Any, Storage]:
    """Return the datastore that the dataset goes into, and its container, opened for writing."""
    from aml_project.service import datastores
    from aml_project.storage.container import Place, Storage
    from aml_project.storage.transfer import THREADS

    if not args.account:
        datastore = datastores.find(workspace, args.datastore)
        return datastore, datastores.open_datastore(workspace, datastore, THREADS)
    place = Place(args.account, args.container, f"https://{args.account}.blob.core.windows.net")
    storage = Storage(place, datastores.credential(workspace, place.account), THREADS)
    if storage.make():
        print(f"Container {place}: made")
    name = args.datastore or args.container.replace("-", "_")
    return datastores.register(workspace, name, storage, access=args.access, hours=args.hours), storage


def summary(folder: Folder, brought: Brought, place: str) -> str:
    from aml_project.storage.progress import bytes_text

    parts = [f"{brought.sent} sent"]
    if brought.copied:
        parts.append(f"{brought.copied} copied from the version before")
    if brought.there:
        parts.append(f"{brought.there} there already")
    return f"{len(folder.files)} files, {bytes_text(folder.size)} in {place}: {', '.join(parts)}"


def register_spec(args: argparse.Namespace, spec: Any) -> str:
    """Register what a spec names; return the version's number."""
    from aml_project.service import datasets, datastores
    from aml_project.service.workspace import open_workspace
    from aml_project.storage.pattern import content_of, matching

    workspace = open_workspace(root(), debug=args.debug)
    datastore = datastores.find(workspace, spec.datastore)
    storage = datastores.open_datastore(workspace, datastore, 1)
    blobs = matching(storage, spec.path)
    if not blobs:
        raise Failure(f"{args.spec}: parameters.path.relativePath: no file in {storage.place} fits {spec.path!r}")
    content, place = content_of(blobs), f"{datastore.name}/{spec.path}"
    newest = datasets.find_version(workspace, spec.name)
    if (datasets.tag(newest, datasets.CONTENT), datasets.tag(newest, datasets.PLACE)) == (content, place):
        print(f"Dataset {spec.name}, version {datasets.number(newest)}: holds this already; no new version")
        return datasets.number(newest)
    tags = spec.tags | {datasets.CONTENT: content, datasets.PLACE: place, "files": str(len(blobs))}
    with Progress("Registering"):
        version = datasets.register_version(
            workspace,
            spec.name,
            datastore=datastore,
            path=spec.path,
            tags=tags,
            description=args.description or spec.description,
        )
    print(f"Dataset {spec.name}, version {datasets.number(version)}: registered, {len(blobs)} files of {place}")
    return datasets.number(version)


def tell(reading: list[Reader], name: str, version: str, no_write: bool) -> None:
    """Write the version into the runconfigs, and say which; or say what to write."""
    from aml_project.runconfigs.data import write

    line = f'name: "{name}", version: "{version}"'
    if not reading:
        note(f"no runconfig reads that dataset; for one that shall, below data.BLOCK.dataLocation.dataset: {line}")
    for reader in reading:
        where = f"{os.path.relpath(reader.file)}: data.{reader.block}.dataLocation.dataset: "
        if no_write:
            print(f"{where}{line}")
        elif write(reader, name, version):
            print(f"{where}{line}: written")
        else:
            print(f"{where}{line}")


def describe(args: argparse.Namespace, reading: list[Reader]) -> int:
    """Say what would be done, from the files alone."""
    rows = {"dataset": args.name}
    if args.spec:
        rows["from"] = f"{args.datastore}, as {args.spec} says"
    else:
        from aml_project.storage.local_files import list_files, room_below
        from aml_project.storage.progress import bytes_text

        folder = source(args, reading)
        files, left_out = list_files(folder, room_below(args.name))
        rows["from"] = f"{folder}: {len(files)} files, {bytes_text(sum(file.size for file in files))}"
        rows["left out"] = ", ".join(left_out) or "nothing"
        own = f"{args.account}/{args.container}, opened by {args.access}" if args.account else ""
        rows["to"] = own or f"datastore {args.datastore or 'of the workspace, the default one'}"
    rows["runconfigs"] = ", ".join(os.path.relpath(reader.file) for reader in reading) or "none reads it"
    print("Would upload and register; asked nobody:" if not args.spec else "Would register; asked nobody:")
    for name, value in rows.items():
        print(f"  {name + ':':12}{value}")
    return DONE
