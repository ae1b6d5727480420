"""The upload of a dataset as far as it goes without a network: files, hashes, plans, patterns, specs, progress."""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aml_project import command_line
from aml_project.command_line import Failure
from aml_project.runconfigs import data as runconfig_data
from aml_project.service import datastores
from aml_project.storage import container as storage
from aml_project.storage import dataset_spec, hashes, local_files, pattern, progress, transfer
from aml_project.storage import folder as folders
from aml_project.storage.container import Blob, Place
from aml_project.storage.local_files import LocalFile
from aml_rehearsal.dataset_files import matcher
from tests.aml import aml
from tests.support import files_of

ROOM = 995
NFC, NFD = unicodedata.normalize("NFC", "é.csv"), unicodedata.normalize("NFD", "é.csv")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "data"
    made.mkdir()
    return made


def write(folder: Path, *names: str, content: bytes = b"1,2\n") -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def listed(folder: Path) -> list[str]:
    return [file.name for file in local_files.list_files(folder, ROOM)[0]]


def unheard(files: int, size: int) -> None:
    """Nobody wants to know how far it is."""


def refusal(act: Callable[[], Any]) -> str:
    """The one line of something that is refused."""
    with pytest.raises(Failure) as caught:
        act()
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --------------------------------------------------------------------------------------------------------- listing


def test_all_files_are_listed_by_their_names_in_order(folder: Path) -> None:
    odd = ["#hash?a=1&b%20+=.csv", "a b/c d.csv", "quote'\"`$(HOME);|.csv", NFC, NFD, "日本/empty", " blanks ", "-rf"]
    write(folder, *odd)
    assert len({NFC, NFD}) == 2
    assert listed(folder) == sorted(odd)


def test_what_systems_leave_behind_is_left_out_and_named(folder: Path) -> None:
    write(folder, "a.csv", ".DS_Store", "b/.ipynb_checkpoints/a-checkpoint.csv", ".git/HEAD", "b/Thumbs.db", ".hidden")
    files, left_out = local_files.list_files(folder, ROOM)
    assert [file.name for file in files] == [".hidden", "a.csv"]
    assert left_out == [".DS_Store", ".git", "b/.ipynb_checkpoints", "b/Thumbs.db"]


def test_a_link_within_the_folder_is_read_as_the_file(folder: Path) -> None:
    write(folder, "a.csv", content=b"12345")
    (folder / "same.csv").symlink_to("a.csv")
    assert [(file.name, file.size) for file in local_files.list_files(folder, ROOM)[0]] == [
        ("a.csv", 5),
        ("same.csv", 5),
    ]


def a_link_to(target: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(target)


def touch(path: Path) -> None:
    path.write_bytes(b"x")


REFUSED: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "a link out": ("out.csv", a_link_to("/etc/hostname"), "a link out of the folder: put the file itself here"),
    "a link beside": ("out.csv", a_link_to("../data2/x"), "a link out of the folder"),
    "a link to nothing": ("gone.csv", a_link_to("nothing"), "a link to nothing"),
    "a link to itself": ("loop.csv", a_link_to("loop.csv"), "a link to nothing"),
    "a link to a folder": ("more", a_link_to("sub"), "a link to a folder: put the files themselves here"),
    "a fifo": ("pipe", os.mkfifo, "no regular file"),
    "a backslash": ("a\\b.csv", touch, "a backslash in the name, which Azure takes for a slash"),
    "a dot at the end": ("a.csv.", touch, "a name that ends with a dot, which Azure drops"),
    "a new line": ("a\nb.csv", touch, "a control character in the name"),
    "an escape": ("a\x1b[2Jb.csv", touch, "a control character in the name"),
    "a delete": ("a\x7fb.csv", touch, "a control character in the name"),
    "a C1 character": ("a\x85b.csv", touch, "a control character in the name"),
    "no UTF-8": (os.fsdecode(b"caf\xe9.csv"), touch, "a name that is not UTF-8"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_can_be_no_blob_is_refused_by_its_name_in_one_line(folder: Path, kind: str) -> None:
    name, make, reason = REFUSED[kind]
    write(folder, "a.csv", "sub/a.csv", "../data2/x")
    make(folder / name)
    said = refusal(lambda: listed(folder))
    assert said.isprintable(), "a name must not reach the terminal's own language"
    assert reason in said
    assert (str(folder / name) if name.isprintable() else ascii(str(folder / name))) in said


def test_a_folder_that_ends_with_a_dot_is_refused(folder: Path) -> None:
    write(folder, "v1./a.csv")
    assert "v1./a.csv: a name that ends with a dot" in refusal(lambda: listed(folder))


def test_the_longest_name_is_taken_and_a_longer_one_refused(folder: Path) -> None:
    room = local_files.room_below("images")
    assert len("images/" + "0" * local_files.SHORT + "/") + room == 1024
    longest = "/".join(["n" * 200] * 4) + "/" + "x" * (room - 804)
    write(folder, longest)
    assert [file.name for file in local_files.list_files(folder, room)[0]] == [longest]
    write(folder, f"{longest}y")
    assert f"a name of {room + 1} characters; {room} fit" in refusal(lambda: local_files.list_files(folder, room))


def test_too_many_folders_are_refused(folder: Path) -> None:
    write(folder, "/".join(["d"] * 250) + "/a.csv")
    assert len(listed(folder)) == 1
    write(folder, "/".join(["d"] * 251) + "/a.csv")
    assert "more than 250 folders" in refusal(lambda: listed(folder))


def test_three_problems_are_named_and_the_others_counted(folder: Path) -> None:
    write(folder, *(f"{number}." for number in range(9)))
    said = refusal(lambda: listed(folder))
    assert said.count("a name that ends with a dot") == 3
    assert said.endswith("; and 6 more")


def test_a_folder_without_files_is_refused(folder: Path) -> None:
    (folder / "empty").mkdir()
    assert refusal(lambda: listed(folder)).endswith("data: holds no files")
    assert refusal(lambda: listed(folder / "none")).endswith("none: no such folder")
    write(folder, "a.csv")
    assert refusal(lambda: listed(folder / "a.csv")).endswith("a.csv: no folder")


AS_NOBODY = """
import os, pathlib, sys
sys.path.insert(0, sys.argv[1])
from aml_project.storage import local_files
os.chdir(sys.argv[2])
os.getuid() or os.setuid(65534)  # root may read everything
files, _ = local_files.list_files(pathlib.Path("."), 995)
os.close(files[0].open())
"""


@pytest.mark.parametrize("locked", ["sub", "sub/a.csv"])
def test_what_may_not_be_read_is_named(folder: Path, locked: str) -> None:
    write(folder, "sub/a.csv")
    (folder / locked).chmod(0)
    code = Path(local_files.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", AS_NOBODY, code, folder], capture_output=True, text=True)
    (folder / locked).chmod(0o755)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith(f"{locked}: Permission denied")


# --------------------------------------------------------------------------------------------------------- hashing


class Reads:
    """Hashes a folder as the command does, and counts what was really read."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.memory, self.names = folder, folder.parent / "memory" / "hashes.db", list[str]()
        real = hashes.hash_file

        def hash_file(file: LocalFile, read: Callable[[int, int], None]) -> str:
            self.names.append(file.name)
            return real(file, read)

        monkeypatch.setattr(hashes, "hash_file", hash_file)
        monkeypatch.setattr(hashes, "TOO_YOUNG", -(10**18))  # what was made just now is as good as old

    def __call__(self) -> tuple[dict[str, str], list[str]]:
        self.names.clear()
        found = hashes.hash_files(local_files.list_files(self.folder, ROOM)[0], self.memory, unheard)
        return found, sorted(self.names)


@pytest.fixture
def reads(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Reads:
    return Reads(folder, monkeypatch)


def test_only_what_has_changed_is_read_again(folder: Path, reads: Reads) -> None:
    names = [f"{number}.csv" for number in range(200)]
    write(folder, *names)
    first, read = reads()
    assert read == sorted(names)
    assert reads() == (first, [])
    times = (folder / "7.csv").stat()
    write(folder, "7.csv", content=b"2,1\n")  # of the same size, and then of the same time, as a copy would have it
    os.utime(folder / "7.csv", ns=(times.st_atime_ns, times.st_mtime_ns))
    (folder / "8.csv").rename(folder / "8b.csv")
    second, read = reads()
    assert read == ["7.csv", "8b.csv"]
    assert second["7.csv"] != first["7.csv"]
    assert second["8b.csv"] == first["8.csv"]


def test_what_was_changed_a_moment_ago_is_not_remembered(
    folder: Path, reads: Reads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashes, "TOO_YOUNG", 3600 * 10**9)
    write(folder, "a.csv")
    assert reads()[1] == reads()[1] == ["a.csv"]


@pytest.mark.parametrize("damage", [b"no database at all", b"SQLite format 3\0" + b"\xff" * 5000, b""])
def test_a_damaged_memory_is_begun_anew(folder: Path, reads: Reads, damage: bytes) -> None:
    write(folder, "a.csv", "b.csv")
    first, _ = reads()
    reads.memory.write_bytes(damage)
    assert reads() == (first, ["a.csv", "b.csv"])
    assert reads() == (first, [])


def test_a_failure_keeps_what_was_read_before_it(folder: Path, reads: Reads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashes, "BATCH", 1)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    write(folder, "a.csv", "b.csv", "c.csv")
    files = local_files.list_files(folder, ROOM)[0]
    (folder / "c.csv").unlink()
    assert "c.csv: vanished meanwhile" in refusal(lambda: hashes.hash_files(files, reads.memory, unheard))
    assert reads()[1] == []


def test_a_file_that_changes_while_it_is_read_is_refused(folder: Path, tmp_path: Path) -> None:
    """By whoever writes it after the first piece was read: here, who counts the pieces."""
    write(folder, "log.csv", content=b"x" * (hashes.PIECE + 1))

    def append(files: int, size: int) -> None:
        with (folder / "log.csv").open("ab") as file:
            file.write(b"more")

    files = local_files.list_files(folder, ROOM)[0]
    said = refusal(lambda: hashes.hash_files(files, tmp_path / "hashes.db", append))
    assert said == f"{folder / 'log.csv'}: changes while it is read; call the same command once it is at rest"


def test_what_took_a_files_place_is_not_taken_for_it(folder: Path) -> None:
    write(folder, "a.csv", content=b"abc")
    [file] = local_files.list_files(folder, ROOM)[0]
    write(folder, "b.csv", content=b"xyz")
    os.utime(folder / "b.csv", ns=(file.mtime, file.mtime))
    (folder / "b.csv").replace(folder / "a.csv")
    assert "changes while it is read" in refusal(file.open)


CONTENTS = st.dictionaries(st.sampled_from(["a", "b", "a b", "b a"]), st.sampled_from(["0" * 64, "1" * 64]), min_size=1)


@given(CONTENTS, CONTENTS)
def test_a_folders_content_is_its_names_and_hashes(one: dict[str, str], other: dict[str, str]) -> None:
    def content(known: dict[str, str]) -> str:
        return hashes.content_of([a_file(name) for name in sorted(known)], known)

    assert (content(one) == content(other)) == (one == other)


# ------------------------------------------------------------------------------------------------------------ plans


def a_file(name: str, size: int = 3) -> LocalFile:
    status = os.stat_result((stat.S_IFREG, 1, 0, 0, 0, 0, size, 0, 0, 0))
    return LocalFile(name, f"/nowhere/{name}", status)


def test_only_what_is_not_there_is_sent() -> None:
    names = ["there", "cut off", "other content", "without a hash", "missing", "elsewhere"]
    files = [a_file(name) for name in names]
    known = {name: f"hash of {name}" for name in names}
    blobs = {
        "there": Blob(3, "hash of there", "m"),
        "cut off": Blob(2, "hash of cut off", "m"),
        "other content": Blob(3, "hash of there", "m"),
        "without a hash": Blob(3, "", "m"),
    }
    made = transfer.plan(files, known, blobs, {"hash of elsewhere": "before/elsewhere"})
    assert [file.name for file in made.send] == ["cut off", "other content", "without a hash", "missing"]
    assert [(file.name, source) for file, source in made.copy] == [("elsewhere", "before/elsewhere")]
    assert (made.there, made.size) == (1, 15)


def test_a_folder_is_refused_that_lacks_a_file_or_holds_another() -> None:
    files, known = [a_file("a"), a_file("b")], {"a": "1", "b": "2"}
    there = {"a": Blob(3, "1", ""), "b": Blob(3, "2", "")}
    transfer.verify(files, known, there, "place")
    for blobs in ({"a": there["a"]}, there | {"b": Blob(2, "2", "")}, there | {"b": Blob(3, "1", "")}):
        said = refusal(lambda blobs=blobs: transfer.verify(files, known, blobs, "place"))  # type: ignore[misc]
        assert said == "place: 1 of 2 files have not arrived, b first"
    more = there | {"c": Blob(1, "", "")}
    assert "place: holds 1 more than the folder, c first" in refusal(
        lambda: transfer.verify(files, known, more, "place")
    )


def test_blocks_are_named_by_the_content_and_fit_the_service() -> None:
    def ids(size: int, sha256: str) -> list[str]:
        storage: Any = None
        return transfer.Large(transfer.Crew(storage, unheard), a_file("a", size), None, sha256).ids

    largest = ids(190 * 1024**4, "a" * 64)  # so many that the blocks have to be larger
    assert len(largest) <= transfer.MOST_BLOCKS
    assert {len(name) for name in largest} == {len(ids(transfer.BLOCK + 1, "a" * 64)[0])}, (
        "of one length, as Azure asks"
    )
    assert len(largest[0]) <= 64
    assert not set(ids(3 * transfer.BLOCK, "a" * 64)) & set(ids(3 * transfer.BLOCK, "b" * 64))
    assert not set(ids(3 * transfer.BLOCK, "a" * 64)) & set(largest)


def test_the_folder_in_the_storage_is_named_by_the_content(folder: Path) -> None:
    write(folder, "a.csv")
    one = folders.read(folder, "images", folder.parent / "hashes.db")
    assert re.fullmatch(r"images/[0-9a-f]{16}", one.path)
    assert one.content.startswith(one.path.removeprefix("images/"))
    write(folder, "a.csv", content=b"other")
    other = folders.read(folder, "images", folder.parent / "hashes.db")
    assert other.path != one.path
    write(folder, "a.csv")
    assert folders.read(folder, "images", folder.parent / "hashes.db").path == one.path


# ---------------------------------------------------------------------------------------------------------- patterns


class Listed:
    """A storage that knows names only."""

    def __init__(self, *names: str) -> None:
        self.names, self.place = names, Place("account", "container")

    def blobs(self, prefix: str) -> dict[str, Blob]:
        start = f"{prefix.rstrip('/')}/" if prefix.strip("/") else ""
        return {name[len(start) :]: Blob(1, "", name) for name in self.names if name.startswith(start)}


NAMES = ("a/b/c.csv", "a/b/d/e.txt", "a/bb/f.csv", "g(1).csv", "a/[x].csv", "top.csv")


@pytest.mark.parametrize(
    ("path", "fits"),
    [
        ("**", set(NAMES)),
        ("", set(NAMES)),
        ("a/b", {"a/b/c.csv", "a/b/d/e.txt"}),
        ("a/b/", {"a/b/c.csv", "a/b/d/e.txt"}),
        ("a/b/**", {"a/b/c.csv", "a/b/d/e.txt"}),
        ("a/b/*", {"a/b/c.csv"}),
        ("a/b*/**", {"a/b/c.csv", "a/b/d/e.txt", "a/bb/f.csv"}),
        ("a/**/*.csv", {"a/b/c.csv", "a/bb/f.csv", "a/[x].csv"}),
        ("*.csv", {"g(1).csv", "top.csv"}),
        ("g(1).csv", {"g(1).csv"}),
        ("a/b/c.csv", {"a/b/c.csv"}),
        ("a/[x].csv", {"a/[x].csv"}),
        ("a/b/?.csv", set()),
        ("a/c/**", set()),
        ("b", set()),
    ],
)
def test_a_pattern_means_what_it_means_in_the_client(path: str, fits: set[str]) -> None:
    known: Any = Listed(*NAMES)
    assert set(pattern.matching(known, path)) == fits


@given(st.text(alphabet="abc/*.", max_size=8))
def test_a_run_reads_what_the_pattern_was_said_to_fit(path: str) -> None:
    """Compared with the workspace on loopback, which has read the same rules out of the client."""
    names = ("c", "a/a", "a/b", "b/a", "a/c/a", "a/c/c", "b.a", "a/.b", "ab/ab")
    known: Any = Listed(*names)
    path = path.strip("/")
    assert set(pattern.matching(known, path)) == {name for name in names if matcher(path).fullmatch(name)}


def test_a_patterns_content_is_names_and_marks() -> None:
    one = {"a": Blob(1, "", "x"), "b": Blob(1, "", "y")}
    assert pattern.content_of(one) == pattern.content_of(dict(reversed(one.items())))
    for other in ({"a": Blob(1, "", "x")}, one | {"b": Blob(1, "", "z")}, {"a": one["a"], "c": one["b"]}):
        assert pattern.content_of(other) != pattern.content_of(one)


# --------------------------------------------------------------------------------------------------------------- spec

SPEC: dict[str, Any] = {
    "datasetType": "File",
    "parameters": {"path": {"datastoreName": "workspaceblobstore", "relativePath": "/images/**"}},
    "registration": {"description": "Of cats", "name": "images"},
    "schemaVersion": 1,
}


def spec_with(field: str, value: Any) -> str:
    """The spec with one field changed, or taken away."""
    spec = json.loads(json.dumps(SPEC))
    *outer, last = field.split(".")
    holder = spec
    for name in outer:
        holder = holder[name]
    holder.pop(last, None)
    return json.dumps(spec if value is None else (holder.update({last: value}), spec)[1])


def test_a_spec_is_read(tmp_path: Path) -> None:
    file = tmp_path / "dataset_spec.json"
    file.write_bytes(b"\xef\xbb\xbf" + json.dumps(SPEC).encode())  # as some editors begin a file
    spec = dataset_spec.read(file)
    assert (spec.datastore, spec.path, spec.name) == ("workspaceblobstore", "images/**", "images")
    assert (spec.description, spec.tags) == ("Of cats", {})
    file.write_text(spec_with("registration.tags", {"year": 2026}))
    assert dataset_spec.read(file).tags == {"year": "2026"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "no JSON"),
        ("{", "no JSON"),
        ("[]", "the file: no object"),
        (spec_with("datasetType", "Tabular"), "datasetType: is 'Tabular'; only File datasets are registered here"),
        (spec_with("schemaVersion", 2), "schemaVersion: is 2; only 1 is known"),
        (spec_with("parameters", None), "parameters: missing"),
        (spec_with("parameters.path", None), "parameters.path: missing: write {"),
        (spec_with("parameters.path", "images/**"), "parameters.path: no object: write {"),
        (spec_with("parameters.path.datastoreName", None), "parameters.path.datastoreName: missing"),
        (spec_with("parameters.path.datastoreName", 3), "parameters.path.datastoreName: a text, not 3"),
        (
            spec_with("parameters.path.datastoreName", "my store"),
            "parameters.path.datastoreName: 1 to 255 letters",
        ),
        (spec_with("parameters.path.relativePath", None), "parameters.path.relativePath: missing"),
        (spec_with("parameters.path.relativePath", ""), "parameters.path.relativePath: a text, not ''"),
        (spec_with("registration", None), "registration: missing"),
        (spec_with("registration.name", None), "registration.name: missing"),
        (spec_with("registration.name", "my/images"), "registration.name: 1 to 255 letters, digits"),
        (spec_with("registration.description", 7), "registration.description: a text, not 7"),
        (spec_with("registration.tags", ["a"]), "registration.tags: no object"),
    ],
)
def test_a_wrong_field_of_a_spec_is_named(project: Path, no_client: None, content: str, said: str) -> None:
    (project / "dataset_spec.json").write_text(content)
    code, out, err = aml(project, "dataset", "--spec=dataset_spec.json")
    assert (code, out) == (1, "")
    assert err.startswith(f"ERROR: dataset_spec.json: {said}")
    assert err.count("\n") == 1


# -------------------------------------------------------------------------------------------------------- the command


@pytest.mark.parametrize(
    ("args", "named"),
    [
        (["--name", "a b"], "--name: 1 to 255 letters, digits, "),
        (["--name", "größe"], "--name: 1 to 255 letters"),
        (["--name", "-a"], "--name: expected one argument"),
        (["--name", "_a"], "--name: 1 to 255 letters"),
        (["--name", "a" * 256], "--name: 1 to 255 letters"),
        (["--name", "../a"], "--name: 1 to 255 letters"),
        (["--datastore", "my store"], "--datastore: 1 to 255 letters, digits"),
        (["--account", "mystorage"], "--account and --container: give both, or neither"),
        (["--container", "images"], "--account and --container: give both, or neither"),
        (["--account", "my.host/x", "--container", "images"], "--account: 3 to 24 of a-z and 0-9"),
        (["--account", "mystorage", "--container", "a--b"], "--container: 3 to 63 of a-z, 0-9 and single '-'"),
        (["--account", "mystorage", "--container", "ab"], "--container: 3 to 63 of a-z, 0-9 and single '-'"),
        (["--hours", "0"], "--hours: more than 0 and at most a year"),
        (["--hours", "nan"], "--hours: more than 0 and at most a year"),
        (["--hours", "9000"], "--hours: more than 0 and at most a year"),
        (["--access", "all"], "--access: invalid choice"),
        (["--model", "none"], "--model: no such model: none"),
        (["--spec", "x.json", "--name", "a"], "--spec: names files, dataset and datastore"),
        (["--spec", "x.json", "--from", "data"], "--spec: names files, dataset and datastore"),
        (["--form", "data"], "unrecognized arguments: --form"),
    ],
)
def test_wrong_use_gets_one_line(project: Path, no_client: None, args: list[str], named: str) -> None:
    code, out, err = aml(project, "dataset", *args)
    assert (code, out) == (2, "")
    assert err.startswith("ERROR: ")
    assert err.count("\n") == 1
    assert named in err


def test_a_dry_run_says_what_would_be_done_and_changes_nothing(project: Path, no_client: None) -> None:
    write(project / "data" / "model1", ".DS_Store")
    before = files_of(project)
    code, out, err = aml(project, "dataset", "--dry-run")
    assert (code, err) == (0, "")
    title, *rows = out.splitlines()
    said = {name: text.strip() for name, text in (row.strip().split(":", 1) for row in rows)}
    assert title == "Would upload and register; asked nobody:"
    assert said["dataset"] == "model1-data"
    assert re.fullmatch(r"data/model1: 1 files, \d+(\.\d+)? kB", said["from"])
    assert said["left out"] == ".DS_Store"
    assert said["to"] == "datastore of the workspace, the default one"
    configs = [f"models/model1/aml_config/train-{where}.runconfig" for where in ("amlcompute", "local")]
    assert said["runconfigs"] == ", ".join(configs)
    assert files_of(project) == before


def test_a_dry_run_refuses_what_the_run_would_refuse(project: Path, no_client: None) -> None:
    room = local_files.room_below("images")
    parent = "/".join(["n" * 200] * 4)
    write(project / "images", f"{parent}/{'x' * (room - 804)}")
    args = ["--dry-run", "--from=images", "--name=images"]
    assert aml(project, "dataset", *args)[0] == 0
    write(project / "images", f"{parent}/{'y' * (room - 803)}")
    code, out, err = aml(project, "dataset", *args)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert f"{room} fit" in err


def test_where_the_runconfigs_read_several_datasets_one_has_to_be_named(project: Path, no_client: None) -> None:
    config = project / "models" / "model1" / "aml_config" / "train-local.runconfig"
    config.write_text(config.read_text().replace('name: "model1-data"', 'name: "other"'))
    code, _, err = aml(project, "dataset", "--dry-run")
    assert (code, err) == (2, "ERROR: --name or --model: say which; the runconfigs read model1-data, other\n")
    code, out, _ = aml(project, "dataset", "--dry-run", "--name=other")
    assert "runconfigs: models/model1/aml_config/train-local.runconfig\n" in out
    shutil.rmtree(project / "models" / "model1" / "aml_config")
    assert "the runconfigs read none" in aml(project, "dataset", "--dry-run")[2]


def test_a_new_dataset_is_for_the_runconfigs_that_read_but_one(tmp_path: Path) -> None:
    def reader(file: str, block: str, name: str) -> runconfig_data.Reader:
        return runconfig_data.Reader(tmp_path / file, block, name, "1")

    one, two, three = reader("a", "x", "old"), reader("b", "x", "old"), reader("b", "y", "images")
    assert runconfig_data.concerned([one, two, three], "images") == [three]
    assert runconfig_data.concerned([one, two, three], "old") == [one, two]
    assert runconfig_data.concerned([one, two, three], "new") == [one]
    assert runconfig_data.concerned([two, three], "new") == []


# ------------------------------------------------------------------------------------------- what opens a storage


KEY = "c2VjcmV0" * 11


def a_sas(permissions: str, hours: float) -> str:
    until = datetime.now(timezone.utc) + timedelta(hours=hours)
    return f"?sv=2021-12-02&sp={permissions}&se={until:%Y-%m-%dT%H%%3A%M%%3A%SZ}&sr=c&sig=c2VjcmV0"


def test_a_sas_for_runs_reads_and_lists_for_its_hours() -> None:
    text = storage.signed(Place("account", "container"), KEY, datastores.READING, 24)
    assert "sp=rl" in text.split("&")
    ends = storage.expiry(text)
    assert ends
    assert timedelta(hours=23.9) < ends - datetime.now(timezone.utc) <= timedelta(hours=24)
    assert datastores.fresh(text, 24)
    assert not datastores.may_write(text)
    assert KEY not in text


def test_what_is_no_key_is_said_without_it() -> None:
    said = refusal(lambda: storage.signed(Place("account", "container"), "secret!", "rl", 1))
    assert said.startswith("account: the account key is not one")
    assert "secret!" not in said


@pytest.mark.parametrize(
    ("permissions", "hours", "fresh", "writes"),
    [
        ("rl", 24, True, False),
        ("rl", 13, True, False),
        ("rl", 11, False, False),
        ("rl", -1, False, False),
        ("rl", 24 * 30, False, False),
        ("rwl", 24, False, True),
        ("racwdl", 1, False, True),
        ("rwl", -1, False, False),
        ("rw", 24, False, False),
    ],
)
def test_a_sas_is_kept_while_it_is_fresh_and_used_for_what_it_allows(
    permissions: str, hours: int, fresh: bool, writes: bool
) -> None:
    sas = a_sas(permissions, hours)
    assert datastores.fresh(sas, 24) == fresh
    assert datastores.may_write(sas) == writes


def test_a_sas_of_a_policy_does_not_say_how_long_it_lasts() -> None:
    assert not datastores.fresh("?sp=rl&si=policy&sig=x", 24)
    assert not datastores.may_write("?sp=rl&si=policy&sig=x")


def test_what_opens_a_storage_is_in_no_line() -> None:
    text = f"url: /c/b?sp=rl&sig=c2Vj%2Bcm%3D&se=1 AccountKey={KEY};EndpointSuffix=x"
    assert command_line.without_secrets(text) == "url: /c/b?sp=rl&sig=***&se=1 AccountKey=***;EndpointSuffix=x"
    assert "c2Vj" not in storage.said(ValueError(text))


# ------------------------------------------------------------------------------------------------------------ progress


def test_progress_is_told_in_lines_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "FIRST", 0.01)
    with progress.Bar("Sending", 4, 4000) as bar:
        bar.add(1, 1000)
        bar.over.wait(0.2)
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"Sending: 1/4 files, 1 kB of 4 kB, [\d.e+]+ [kMG]?B/s, 0:0\d left\n", err)


def test_progress_is_silent_where_it_is_quick(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.Bar("Sending", 1, 1) as bar:
        bar.add(1, 1)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("columns", [20, 80, 200])
def test_progress_in_a_terminal_is_one_line_that_is_drawn_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], columns: int
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(progress, "TERMINAL_EVERY", 0.01)
    monkeypatch.setenv("COLUMNS", str(columns))
    with progress.Bar("Sending", 2, 2000) as bar:
        bar.add(1, 1000)
        bar.over.wait(0.2)
        bar.add(1, 1000)
    _, err = capsys.readouterr()
    *drawn, last, end = re.split(r"\r|\n", err)
    assert (err.count("\n"), end) == (1, "")
    assert len(drawn) > 2
    assert "2/2 files, 2 kB of 2 kB" in last
    assert "left" not in last
    if columns == 80:
        assert all(len(line.removesuffix("\033[K")) <= columns for line in drawn)
    assert ("[#" in last) == (columns >= 80)


def test_progress_counts_files_where_they_are_all_empty() -> None:
    with progress.Bar("Sending", 4, 0) as bar:
        bar.add(1, 0)
        said = bar.line()
    assert said.startswith("Sending: 1/4 files, 0 B of 0 B, 0 B/s, ")


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (1_234_567, "1.23 MB"), (5e12, "5 TB")]
)
def test_sizes_are_told_in_three_figures(size: float, text: str) -> None:
    assert progress.bytes_text(size) == text


def test_times_are_told_as_on_a_clock() -> None:
    assert [progress.time_text(seconds) for seconds in (0, 59.6, 61, 3661)] == ["0:00", "1:00", "1:01", "1:01:01"]
