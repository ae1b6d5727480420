"""aml dataset as its owner calls it, with the real client and a workspace on loopback.

Whatever happens on the way, the same command again finishes: nothing is lost, nothing doubled, and no version of a
dataset names a file that is not there. What opens a storage is nowhere to be seen.
"""

import hashlib
import json
import logging
import random
import re
import subprocess
import threading
import time
import unicodedata
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError

from aml_project.service.uploads import ESCAPED
from aml_project.storage import container as storages
from aml_project.storage.container import Place
from aml_project.storage.hashes import content_of
from aml_rehearsal import Fault, Rehearsal
from aml_rehearsal.azurite import ACCOUNT, SECOND
from aml_rehearsal.dataset_files import files as files_of_dataset
from tests.aml import Done
from tests.conftest import Rehearse
from tests.owner import Owner, PythonWith, kill, set_up, wait_for, wait_until_quiet
from tests.support import PYTHON, files_of

log = logging.getLogger("progress")
KILLS = 10
NAME = "images"
SENT = r"PUT .*blob\.core.* 20[12]$"  # what has arrived of files
OWN = ("--account", SECOND, "--container", "my-data")
CLIENT = ("azureml-core==1.61.0.post4", "azureml-dataset-runtime")
DOWNLOAD = """
import sys
from azureml.core import Dataset, Workspace

Dataset.get_by_name(Workspace.from_config("."), sys.argv[1]).download(sys.argv[2])
"""
FILES = {f"{number}.csv": f"{number}\n".encode() for number in range(30)} | {
    "a b/#1?&%20+=.csv": b"odd",
    unicodedata.normalize("NFC", "é.csv"): b"composed",
    unicodedata.normalize("NFD", "é.csv"): b"decomposed",
    "empty": b"",
}


class Bringer(Owner):
    """Whoever uploads a folder of pictures."""

    def __init__(self, folder: Path, rehearsal: Rehearsal) -> None:
        super().__init__(folder, rehearsal)
        self.folder = folder / "pictures"
        self.env: dict[str, str] = {}
        self.heard = 0

    def write(self, files: dict[str, bytes]) -> None:
        for name, content in files.items():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_bytes(content)

    def call(self, verb: str, *args: str | Path, **variables: str) -> Done:
        return super().call(verb, *args, **self.env | variables)

    def bring(self, *args: str, name: str = NAME) -> str:
        """Register the folder; return what is said about it."""
        return self.out("dataset", "--from=pictures", f"--name={name}", *args)

    def versions(self, name: str = NAME) -> list[dict[str, Any]]:
        return list(self.rehearsal.state()["datasets"].get(name, []))

    def seen(self, version: dict[str, Any]) -> dict[str, bytes]:
        """A version's files as a run reads them, with what the datastore holds."""
        found = files_of_dataset(self.rehearsal.workspace, version)
        return {file.name: urllib.request.urlopen(file.url).read() for file in found}

    def check(self, *contents: dict[str, bytes], name: str = NAME) -> None:
        """The versions hold these files, one after the other, and what their tags say of them is true."""
        versions = self.versions(name)
        assert len(versions) == len(contents)
        for version, files in zip(versions, contents, strict=True):
            assert self.seen(version) == files
            hashes = {file: hashlib.sha256(content).hexdigest() for file, content in files.items()}
            listed: Any = [SimpleNamespace(name=file, size=len(files[file])) for file in sorted(files)]
            size = sum(map(len, files.values()))
            tags = {"content": content_of(listed, hashes), "files": str(len(files)), "bytes": str(size)}
            assert version["tags"] == tags | {"place": version["tags"]["place"]}

    def sent(self, pattern: str = SENT) -> list[str]:
        """The requests that were done since this was asked last."""
        lines = self.rehearsal.server.requests[self.heard :]
        self.heard += len(lines)
        return [line for line in lines if re.search(pattern, line)]

    @property
    def runconfigs(self) -> dict[str, str]:
        folder = self.project / "models" / "model1" / "aml_config"
        return {file.name: file.read_text() for file in sorted(folder.glob("*.runconfig"))}


@pytest.fixture
def owner(project: Path, rehearse: Rehearse) -> Bringer:
    made = Bringer(project, rehearse(project))
    made.write(FILES)
    return made


# -------------------------------------------------------------------------------------------------------- versions


def test_a_version_for_each_content_and_none_for_the_same(owner: Bringer) -> None:
    before = owner.runconfigs
    for name, text in before.items():
        owner.project.joinpath("models/model1/aml_config", name).write_text(f"# of mine\n{text}\n# at the end")
    before = owner.runconfigs
    out = owner.bring("--description", "Of cats")
    assert f"{len(FILES)} files, " in out
    assert f"{len(FILES)} sent" in out
    assert f"Dataset {NAME}, version 1: registered" in out
    assert out.count(f'data.training.dataLocation.dataset: name: "{NAME}", version: "1": written') == 2
    assert owner.versions()[0]["description"] == "Of cats"
    assert owner.runconfigs == {name: text.replace('"model1-data"', f'"{NAME}"') for name, text in before.items()}
    owner.check(FILES)
    owner.sent()

    out = owner.bring()
    assert f"{len(FILES)} there already" in out
    assert f"Dataset {NAME}, version 1: holds this already; no new version" in out
    assert owner.sent() == []
    owner.check(FILES)

    changed = FILES | {"7.csv": b"8\n", "new.csv": b"new"}
    owner.write(changed)
    out = owner.bring("--no-write")
    assert f"1 sent, {len(changed) - 1} copied from the version before" in out
    assert out.count(f'data.training.dataLocation.dataset: name: "{NAME}", version: "2"\n') == 2
    assert 'version: "2"' not in "".join(owner.runconfigs.values())
    owner.check(FILES, changed)

    owner.write(FILES)
    (owner.folder / "new.csv").unlink()
    out = owner.bring()
    assert f"{len(FILES)} there already" in out
    assert f"Dataset {NAME}, version 3: registered" in out
    owner.check(FILES, changed, FILES)
    places = [version["tags"]["place"] for version in owner.versions()]
    assert places[0] == places[2] != places[1]
    assert owner.runconfigs == {
        name: text.replace('name: "model1-data"\n        version: "1"', f'name: "{NAME}"\n        version: "3"')
        for name, text in before.items()
    }


def test_a_dataset_that_no_runconfig_reads_is_told_how_to_be_read(owner: Bringer) -> None:
    for name, text in owner.runconfigs.items():
        start, _, rest = text.partition("\ndata:\n")
        more = re.sub(
            r"(?s)^( +training:.*?)\n(?=\S|\n\S|\n#)",
            lambda match: f"{match[1]}\n{match[1].replace('training:', 'more:')}\n",
            rest,
        )
        owner.project.joinpath("models/model1/aml_config", name).write_text(f"{start}\ndata:\n{more}")
    before = owner.runconfigs
    code, _, err = owner.call("dataset", "--from", "pictures", "--name", NAME)
    assert code == 0, err
    assert "NOTE: no runconfig reads that dataset; for one that shall, below data.BLOCK.dataLocation.dataset: " in err
    assert f'name: "{NAME}", version: "1"\n' in err
    assert owner.runconfigs == before


def test_without_options_it_is_the_data_folder_and_the_dataset_of_the_runconfigs(owner: Bringer) -> None:
    code, out, err = owner.call("dataset")
    assert code == 0, err
    [_, registered] = owner.versions("model1-data")
    assert "Dataset model1-data, version 2: registered" in out
    data = owner.project / "data" / "model1"
    assert owner.seen(registered) == {file.name: file.read_bytes() for file in data.iterdir()}
    assert all('version: "2"' in text for text in owner.runconfigs.values())


def test_the_clients_own_engine_reads_every_byte(owner: Bringer, tmp_path: Path, python_with: PythonWith) -> None:
    """Downloaded by azureml itself; names that it writes otherwise are those that a NOTE tells of."""
    code, _, err = owner.call("dataset", "--from", "pictures", "--name", NAME)
    assert code == 0, err
    assert "NOTE: a run may find %26 for & in 1 name, as in a b/#1?&%20+=.csv; and the like for " in err
    env = owner.rehearsal.environment()
    command = [str(python_with(*CLIENT)), "-c", DOWNLOAD, NAME, str(tmp_path / "got")]
    done = subprocess.run(command, cwd=owner.project, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    written = {name.translate({ord(sign): f"%{ord(sign):02X}" for sign in ESCAPED}): FILES[name] for name in FILES}
    assert files_of(tmp_path / "got") == written


# --------------------------------------------------------------------------------------------------------- trouble

BLOBS = rf"{ACCOUNT}\.blob\.core\.windows\.net/"


def test_one_call_is_enough_whatever_the_network_does(owner: Bringer) -> None:
    large = random.Random(7).randbytes(20 << 20)
    files = FILES | {"large.bin": large}
    owner.write({"large.bin": large})
    faults = [
        Fault(rf"PUT {BLOBS}.*/large\.bin", drop="before"),
        Fault(rf"PUT {BLOBS}.*/large\.bin", skip=2, drop="after"),
        Fault(rf"PUT {BLOBS}.*/0\.csv", status=500),
        Fault(rf"PUT {BLOBS}.*/1\.csv", status=503, times=2),
        Fault(rf"PUT {BLOBS}.*/2\.csv", status=429, headers={"Retry-After": "2"}),
        Fault(rf"GET {BLOBS}", status=503),
        Fault(rf"GET {BLOBS}", skip=1, drop="half"),
        Fault(r"POST .*/datasets", status=500),
        Fault(r"GET .*/datasets/query", skip=1, status=503),
    ]
    for fault in faults:
        owner.rehearsal.faults.add(fault)
    owner.bring()
    assert owner.rehearsal.faults.waiting == [], "each has struck"
    owner.check(files)
    owner.sent()
    owner.rehearsal.faults.clear()
    owner.bring()
    assert owner.sent() == []
    owner.check(files)


@pytest.mark.parametrize("fault", [{"drop": "before"}, {"drop": "after"}, {"expire_tokens": True}])
def test_trouble_while_registering_makes_one_version(owner: Bringer, fault: dict[str, Any]) -> None:
    owner.rehearsal.faults.add(Fault(r"POST .*/datasets", **fault))
    code, _, err = owner.call("dataset", "--from", "pictures", "--name", NAME)
    assert len(owner.rehearsal.faults.fired) == 1
    assert code == 0, err
    owner.check(FILES)


def test_ctrl_c_says_that_the_same_command_goes_on(owner: Bringer) -> None:
    owner.rehearsal.faults.add(Fault(rf"PUT {BLOBS}.*/7\.csv", delay=20))
    process = owner.start("dataset", "--from", "pictures", "--name", NAME)
    owner.when_struck(process)
    others = len(FILES) - 1
    wait_for(lambda: len(owner.requests(SENT)) == others, process)
    done = owner.interrupt(process)
    assert (done.code, done.out) == (130, "")
    assert done.err.endswith("\nInterrupted; the same command sends only what is missing.\n")
    assert owner.versions() == []
    owner.sent()
    owner.bring()
    assert [line for line in owner.sent() if "/7.csv" not in line] == []
    owner.check(FILES)


@pytest.mark.parametrize("at", ["before dataset", "after dataset", "before train-local.runconfig"])
def test_killed_at_a_named_point_it_goes_on(owner: Bringer, at: str) -> None:
    """Between upload and registration; registered, and nobody knows; registered, and not written everywhere."""
    owner.die("dataset", "--from=pictures", f"--name={NAME}", at=at)
    assert len(owner.versions()) == (0 if at.startswith("before dataset") else 1)
    check_finished(owner, NAME, FILES)


def test_killed_while_it_sends_it_goes_on(owner: Bringer) -> None:
    files = FILES | {"large.bin": random.Random(7).randbytes(9 << 20)}
    owner.write(files)
    owner.rehearsal.faults.add(Fault(rf"PUT {BLOBS}.*/large\.bin", skip=1, delay=20))
    process = owner.start("dataset", "--from=pictures", f"--name={NAME}")
    owner.when_struck(process)
    kill(process)
    owner.rehearsal.faults.clear()
    check_finished(owner, NAME, files)


@pytest.mark.full
def test_it_is_killed_at_any_moment(owner: Bringer) -> None:
    """kill -9 between its first request and its end; then the same command again."""
    files = FILES | {"large.bin": random.Random(7).randbytes(9 << 20)}
    owner.write(files)
    requests, draw = owner.usual("dataset", "--from=pictures", "--name=first"), random.Random(7)
    killed = 0
    for number in range(KILLS):
        killed += owner.kill_at_random(draw, requests, "dataset", "--from=pictures", f"--name=kill-{number}")
        check_finished(owner, f"kill-{number}", files)
    log.info("  %d calls, %d killed", KILLS, killed)
    assert killed > 0


def check_finished(owner: Bringer, name: str, files: dict[str, bytes]) -> None:
    """What a killed call has left is whole, and the same call again sends what is missing and nothing else."""
    client = owner.rehearsal.workspace.blobs.containers["azureml-blobstore"]
    wait_until_quiet(owner.rehearsal)
    listed = client.list_blob_names(name_starts_with=f"{name}/")
    there = {blob.rpartition(f"{name}/")[2].partition("/")[2] for blob in listed}
    if owner.versions(name):
        owner.check(files, name=name)
    owner.sent()
    owner.bring(name=name)
    owner.check(files, name=name)
    puts = [match[1] for line in owner.sent() if (match := re.search(rf"/{name}/\w+/(.+) 20\d$", line))]
    assert sorted(set(puts)) == sorted(files.keys() - there), "what is missing, and nothing else"
    assert all(puts.count(file) == 1 for file in FILES.keys() - there)
    assert puts.count("large.bin") <= 3
    read = re.findall(rf'name: "({name})"\n +version: "(\d+)"', "".join(owner.runconfigs.values()))
    assert read == [(name, "1")] * 2


# ----------------------------------------------------------------------------------------- storage of one's own


def store(owner: Bringer, name: str = "my_data") -> dict[str, Any]:
    return dict(owner.rehearsal.state()["datastores"][name])


def opened(owner: Bringer, name: str = "my_data") -> tuple[str, str, Any]:
    """How a datastore is opened, by what, and its container opened so."""
    storage = store(owner, name)["azureStorageSection"]
    assert (storage["accountName"], storage["containerName"]) == (SECOND, "my-data")
    blobs, credential = owner.rehearsal.workspace.blobs, str(storage.get("credential") or "")
    service = blobs.service(SECOND, credential or blobs.keys[SECOND])
    return str(storage["credentialType"]), credential, service.get_container_client("my-data")


def test_runs_open_ones_own_storage_by_a_sas_that_only_reads(owner: Bringer) -> None:
    out = owner.bring(*OWN)
    assert f"Container {SECOND}/my-data: made" in out
    kind, sas, container = opened(owner)
    assert kind == "Sas"
    assert "sp=rl" in sas.split("&")
    assert len(list(container.list_blob_names())) == len(FILES)
    with pytest.raises(HttpResponseError, match="AuthorizationPermissionMismatch"):
        container.upload_blob("new.csv", b"1")
    with pytest.raises(HttpResponseError, match="AuthorizationPermissionMismatch"):
        container.delete_blob(next(container.list_blob_names()))
    owner.check(FILES)
    owner.sent()

    out = owner.bring(*OWN)
    assert "made" not in out
    assert "no new version" in out
    assert opened(owner)[1] == sas, "it is fresh"
    assert owner.sent() == []

    owner.bring(*OWN, "--hours", "72")
    renewed = opened(owner)[1]
    assert renewed != sas
    owner.check(FILES)
    expired = storages.signed(Place(SECOND, "my-data"), owner.rehearsal.workspace.blobs.keys[SECOND], "rl", -1)
    with owner.tables() as tables:
        tables.datastores["my_data"]["azureStorageSection"]["credential"] = expired
    owner.bring(*OWN)
    ends = storages.expiry(opened(owner)[1])
    assert ends and ends.timestamp() > time.time() + 23 * 3600
    owner.check(FILES)


@pytest.mark.parametrize(("access", "kind"), [("key", "AccountKey"), ("identity", "None")])
def test_runs_open_ones_own_storage_as_they_are_told(owner: Bringer, access: str, kind: str) -> None:
    key = owner.rehearsal.workspace.blobs.keys[SECOND]
    for _ in range(2):
        owner.bring(*OWN, "--access", access, "--datastore", "pictures")
        found, credential, _ = opened(owner, "pictures")
        assert (found, credential) == (kind, key if access == "key" else "")
    changes = [line for line in owner.rehearsal.server.requests if re.match(r"(POST|PUT) .*/datastores", line)]
    assert len(changes) == 1, "the second call has changed nothing"
    owner.check(FILES)


def test_a_datastore_of_another_container_is_not_taken_over(owner: Bringer) -> None:
    before = store(owner, "workspaceblobstore")
    said = owner.error("dataset", "--from=pictures", f"--name={NAME}", *OWN, "--datastore=workspaceblobstore", code=2)
    assert f"datastore workspaceblobstore: is {ACCOUNT}/azureml-blobstore, not {SECOND}/my-data" in said
    assert store(owner, "workspaceblobstore") == before


def test_what_opens_the_storage_may_come_from_the_environment(owner: Bringer) -> None:
    key, call = owner.rehearsal.workspace.blobs.keys[SECOND], ("--from=pictures", f"--name={NAME}", *OWN)
    place = Place(SECOND, "my-data")
    owner.env = {"AZURE_STORAGE_SAS_TOKEN": storages.signed(place, key, "rwl", -1)}
    assert f"{SECOND}/my-data: the SAS has expired, at 20" in owner.error("dataset", *call, code=3)
    owner.env = {"AZURE_STORAGE_KEY": key}
    owner.bring(*OWN)
    assert not [line for line in owner.rehearsal.server.requests if "listKeys" in line], "nobody else was asked"
    owner.env = {"AZURE_STORAGE_SAS_TOKEN": f"?{storages.signed(place, key, 'rwl', 1)}"}
    owner.write({"new.csv": b"new"})
    owner.bring(*OWN)  # the SAS that runs have is fresh still
    owner.check(FILES, FILES | {"new.csv": b"new"})
    said = owner.error("dataset", *call, "--datastore=other", code=1)
    assert "needs the account's key: set AZURE_STORAGE_KEY, or take --access identity" in said
    owner.bring(*OWN, "--datastore=other", "--access=identity")
    assert opened(owner, "other")[:2] == ("None", "")


def test_a_reader_is_told_that_he_may_not(owner: Bringer) -> None:
    owner.role = "reader"
    said = owner.error("dataset", "--from=pictures", f"--name={NAME}", code=3)
    assert f"{ACCOUNT}/azureml-blobstore: the login does not allow this (403 " in said
    assert owner.versions() == []
    owner.role = "contributor"
    owner.bring()
    owner.role = "reader"
    assert "no new version" in owner.bring(), "to see that all is there he may"
    owner.role = "stranger"
    assert "no rights (403)" in owner.error("dataset", "--from=pictures", f"--name={NAME}", code=3)


# --------------------------------------------------------------------------------------------------------- secrets


@contextmanager
def watched() -> Iterator[set[str]]:
    """The argument lists of all processes that there are meanwhile."""
    found, over = set[str](), threading.Event()

    def watch() -> None:
        while not over.wait(0.01):
            for process in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    found.add(process.read_bytes().decode(errors="replace"))
                except OSError:
                    continue

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def test_what_opens_a_storage_is_nowhere_to_be_seen(owner: Bringer) -> None:
    """Neither printed, with --debug and when it fails, nor in a file, nor in the arguments of a process."""
    keys = set(owner.rehearsal.workspace.blobs.keys.values())
    call = ("--from=pictures", f"--name={NAME}", "--debug")
    said: list[str] = []
    with watched() as arguments:
        said += owner.start("dataset", *call, *OWN).communicate()  # a process: it has arguments
        said += owner.call("dataset", *call)[1:]
        owner.env = {"AZURE_STORAGE_KEY": owner.rehearsal.workspace.blobs.keys[SECOND]}
        owner.write({"8.csv": b"other"})
        for pattern, status in ((rf"PUT {SECOND}\.blob", 403), (rf"GET {SECOND}\.blob", 400), (r"/datastores", 400)):
            owner.rehearsal.faults.add(Fault(pattern, status=status, times=100))
            code, *both = owner.call("dataset", *call, *OWN, "--access=key")
            assert (code, "Traceback" in both[1]) == (3, True), both
            said += both
            owner.rehearsal.faults.clear()
        place = Place(SECOND, "my-data")
        owner.env = {"AZURE_STORAGE_SAS_TOKEN": storages.signed(place, owner.env["AZURE_STORAGE_KEY"], "rwl", 1)}
        owner.rehearsal.faults.add(Fault(rf"PUT {SECOND}\.blob", status=403, times=100))
        code, *both = owner.call("dataset", *call, *OWN, "--access=identity")
        assert code == 3
        said += both
    assert any("aml_project" in line for line in arguments)
    home = Path(owner.rehearsal.variables()["HOME"])
    files = [path for folder in (owner.project, home) for path in folder.rglob("*") if path.is_file()]
    assert {"hashes.db", "train-local.runconfig"} <= {path.name for path in files}
    texts = {str(path): path.read_bytes().decode(errors="replace") for path in files}
    texts |= {"output": "".join(said), "arguments": "\n".join(arguments)}
    for where, text in texts.items():
        assert not [key for key in keys if key in text], where
        assert not re.search(r"sig=(?!\*|\||\")[\w%+/]{20,}", text), where


def test_a_name_reaches_no_shell(owner: Bringer) -> None:
    """Of a file, of a folder: what they would run in a shell leaves a mark."""
    files = {
        "$(touch mark).csv": b"1",
        "`touch mark`": b"2",
        ";touch mark;": b"3",
        "a|touch mark&": b"4",
        "--help": b"5",
    }
    for file in owner.folder.rglob("*"):
        if file.is_file():
            file.unlink()
    owner.write(files)
    odd = owner.folder.rename(owner.project / "$(touch mark);x")
    code, _, err = owner.call("dataset", "--from", odd.name, "--name", NAME)
    assert code == 0, err
    owner.check(files)
    assert not list(owner.project.rglob("mark"))
    assert not Path(owner.rehearsal.variables()["HOME"], "mark").exists()


# ------------------------------------------------------------------------------------------------------------ a spec


def test_a_spec_registers_what_lies_in_a_datastore(owner: Bringer) -> None:
    container = owner.rehearsal.workspace.blobs.containers["azureml-blobstore"]
    container.upload_blob("raw/2026/a.csv", b"a")
    container.upload_blob("raw/2026/deep/b.csv", b"b")
    container.upload_blob("raw/other.csv", b"c")
    where = {"datastoreName": "workspaceblobstore", "relativePath": "/raw/2026/**"}
    spec: dict[str, Any] = {
        "datasetType": "File",
        "parameters": {"path": where},
        "registration": {"description": "Of 2026", "name": "raw", "tags": {"year": "2026"}},
        "schemaVersion": 1,
    }
    file = owner.project / "dataset_spec.json"
    file.write_text(json.dumps(spec))
    for number in (1, 1, 2):
        if number == 2:
            container.upload_blob("raw/2026/a.csv", b"A", overwrite=True)
        code, out, err = owner.call("dataset", "--spec", "dataset_spec.json")
        assert code == 0, err
        assert f"Dataset raw, version {number}: " in out
        newest = owner.versions("raw")[-1]
        assert newest["latest"]["versionId"] == str(number)
        content = b"A" if number == 2 else b"a"
        assert owner.seen(newest) == {"a.csv": content, "deep/b.csv": b"b"}
        assert newest["description"] == "Of 2026"
        assert (newest["tags"]["year"], newest["tags"]["files"]) == ("2026", "2")
    assert all('name: "raw"' in text for text in owner.runconfigs.values())
    where["relativePath"] = "nothing/**"
    file.write_text(json.dumps(spec))
    said = owner.error("dataset", "--spec", "dataset_spec.json", code=1)
    assert "dataset_spec.json: parameters.path.relativePath: no file in " in said
    where["datastoreName"] = "none"
    file.write_text(json.dumps(spec))
    said = owner.error("dataset", "--spec", "dataset_spec.json", code=1)
    assert "datastore none: not in the workspace my-workspace" in said


# ------------------------------------------------------------------------------------------------------------- runs

TRAIN = """
import hashlib, json, pathlib, sys
folder = pathlib.Path(sys.argv[1])
files = {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
         for file in folder.rglob("*") if file.is_file()}
pathlib.Path("outputs").mkdir(exist_ok=True)
pathlib.Path("outputs", "seen.json").write_text(json.dumps(files))
"""


def test_a_run_on_the_cluster_and_one_here_read_what_was_registered(owner: Bringer, tmp_path: Path) -> None:
    """By a SAS that only reads, out of a storage of one's own, at the path that the script is told."""
    set_up(owner.project, "model1")
    model = owner.project / "models" / "model1"
    (model / "train.py").write_text(TRAIN)
    (model / "aml_config" / "train-conda.yml").write_text(f"dependencies: [python={PYTHON}, pip, {{pip: []}}]\n")
    here = model / "aml_config" / "train-local.runconfig"
    here.write_text(here.read_text().replace("/tmp/model1-data", str(tmp_path / "seen")))
    for config in ("train-local", "train-amlcompute"):
        file = model / "aml_config" / f"{config}.runconfig"
        file.write_text(re.sub(r'"--data-path", ("[^"]+")', r"\1", file.read_text()))
    owner.bring(*OWN)
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
    for config in ("train-local", "train-amlcompute"):
        code, _, err = owner.call("submit", "-c", config, "--skip-check")
        assert code == 0, err
        run_id = json.loads((model / "run.json").read_text())["run_id"]
        assert json.loads(owner.rehearsal.artifact(run_id, "outputs/seen.json")) == hashes
        [read] = owner.rehearsal.state()["runs"][run_id]["inputDatasets"]
        assert read["identifier"]["savedId"] == owner.versions()[0]["latest"]["savedDatasetId"]
