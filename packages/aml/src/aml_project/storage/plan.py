"""What the files and the arguments say about a dataset that is to be registered, before anybody is asked."""

from __future__ import annotations

import os
from collections import namedtuple
from pathlib import Path

from aml_project.command_line import WRONG_USE, Failure
from aml_project.names import check
from aml_project.project import data_folder, pick_model
from aml_project.runconfigs import data

TYPE_CHECKING = False  # typing's own costs its import, and a dry run has to answer at once
if TYPE_CHECKING:
    from aml_project.storage.dataset_spec import Spec

ACCESS = ("sas", "key", "identity")  # how runs open a container of one's own

# Its name; the folder that is uploaded, or what a spec.json says of files that are there; a sentence for people; where
# it goes, with the container of one's own and how that is opened; which runconfigs read it.
Plan = namedtuple("Plan", "name folder spec description datastore account container access hours reading")


def make(
    root: Path,
    folder: str | Path | None = None,
    name: str | None = None,
    *,
    spec: str | Path | None = None,
    description: str | None = None,
    datastore: str | None = None,
    account: str | None = None,
    container: str | None = None,
    access: str = "sas",
    hours: float = 24,
    model: str | None = None,
) -> Plan:
    """Complete what is given by what the runconfigs say; a Failure says what is wrong."""
    if spec and (folder or name or account or datastore):
        raise Failure(
            "--spec: names files, dataset and datastore; leave --from, --name, --account, --datastore", WRONG_USE
        )
    check_storage(datastore, account, container, access, hours)
    said = read_spec(Path(spec)) if spec else None
    if said:
        name, datastore, description = said.name, said.datastore, description or said.description
    found = data.readers(root, pick_model(root, model) if model else None)
    name = name or data.only(found)
    check({"dataset_name": name}, {"dataset_name": "--name"})
    reading = data.concerned(found, name)
    if not folder and not spec:
        folder = data_of(root, name, [model] if model else [reader.file.parents[1].name for reader in reading])
    source = Path(os.path.relpath(folder or root))  # as one would type it here
    reading += [reader for reader in data.unwritten(root, found, name) if reader not in reading]
    return Plan(name, source, said, description, datastore, account, container, access, hours, reading)


def data_of(root: Path, name: str, models: list[str]) -> Path:
    """The data folder of the models that read a dataset; they may share one, as in a repo whose only one is data/."""
    folders = {data_folder(root, model) for model in models}
    if len(folders) > 1:
        raise Failure(f"--from or --model: say which; {' and '.join(sorted(set(models)))} read {name}", WRONG_USE)
    return folders.pop() if folders else root / "data"


def check_storage(datastore: str | None, account: str | None, container: str | None, access: str, hours: float) -> None:
    """Refuse what does not go together, and names that nothing has."""
    if bool(account) != bool(container):
        raise Failure("--account and --container: give both, or neither", WRONG_USE)
    if access not in ACCESS:
        raise Failure(f"--access: {', '.join(ACCESS)}; not {access!r}", WRONG_USE)
    if not 0 < hours <= 24 * 365:
        raise Failure(f"--hours: more than 0 and at most a year, not {hours:g}", WRONG_USE)
    given = {"storage_account": account, "container": container, "datastore": datastore}
    check({field: text for field, text in given.items() if text is not None}, {"storage_account": "--account"})


def read_spec(file: Path) -> Spec:
    from aml_project.storage import dataset_spec

    return dataset_spec.read(file)
