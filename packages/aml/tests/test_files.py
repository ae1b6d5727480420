"""Files and folders are whole or not there: where the disk is full, and wherever the process is killed."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from aml_project import files
from tests.support import files_of


def no_space(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_file_is_written_with_its_folder_and_nothing_beside_it(tmp_path: Path) -> None:
    files.write_whole(tmp_path / "new" / "deep" / "a.json", "é\r\n")
    files.write_whole(tmp_path / "b.bin", b"\xff")
    assert files_of(tmp_path) == {"b.bin": b"\xff", "new/deep/a.json": "é\r\n".encode()}


def test_a_replaced_file_keeps_its_rights_and_a_link_stays_one(tmp_path: Path) -> None:
    place, link = tmp_path / "deep" / "a", tmp_path / "link"
    files.write_whole(place, "old")
    place.chmod(0o640)
    link.symlink_to(place)
    files.write_whole(link, "new")
    assert link.is_symlink()
    assert (place.read_text(), stat.S_IMODE(place.stat().st_mode)) == ("new", 0o640)
    assert files_of(tmp_path) == {"deep/a": b"new", "link": b"new"}


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files.write_whole(tmp_path / "a", "old")
    monkeypatch.setattr(os, "fsync", no_space)
    for name in ("a", "b"):
        with pytest.raises(OSError, match="No space"):
            files.write_whole(tmp_path / name, "new")
        assert files_of(tmp_path) == {"a": b"old"}
    with pytest.raises(OSError, match="No space"):
        files.write_all({tmp_path / "a": b"new"})
    assert files_of(tmp_path) == {"a": b"old"}


@pytest.mark.parametrize("fails", range(3))
def test_of_several_files_all_are_written_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: int) -> None:
    names, real = ["a", "b", "c"], Path.replace
    before = {name: f"old {name}".encode() for name in names}
    for name, content in before.items():
        (tmp_path / name).write_bytes(content)

    def failing(self: Path, target: Path) -> Path:
        if target.name == names[fails]:
            no_space()
        return real(self, target)

    monkeypatch.setattr(Path, "replace", failing)
    with pytest.raises(OSError, match="No space"):
        files.write_all({tmp_path / name: b"new" for name in names})
    assert files_of(tmp_path) == before
    monkeypatch.undo()
    files.write_all({tmp_path / name: b"new" for name in names})
    assert files_of(tmp_path) == dict.fromkeys(names, b"new")


def test_a_folder_is_filled_once_and_whole(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "folder"

    def fail(beside: Path) -> None:
        (beside / "half").write_text("1")
        no_space()

    with pytest.raises(OSError, match="No space"):
        files.place_folder(folder, fail)
    assert files_of(tmp_path) == {}
    assert files.place_folder(folder, lambda beside: (beside / "a").write_text("1")) == folder
    assert files.place_folder(folder, fail) == folder, "what is there stays"
    assert files_of(tmp_path) == {"deep/folder/a": b"1"}


def test_what_a_kill_leaves_behind_is_in_no_models_folder(tmp_path: Path) -> None:
    file = tmp_path / "models" / "one" / "run.json"
    file.parent.mkdir(parents=True)
    (tmp_path / ".azureml").mkdir()
    code = f"from pathlib import Path; from aml_project import files; files.write_whole(Path({str(file)!r}), 'new')"
    variables = os.environ | {"AML_PROJECT_DIE_AT": "before run.json"}
    subprocess.run([sys.executable, "-c", code], env=variables, check=False)
    [left] = files_of(tmp_path)
    assert left.startswith(".azureml/") and left.endswith(".new")


def test_files_of_one_name_are_not_taken_for_each_other(tmp_path: Path) -> None:
    (tmp_path / ".azureml").mkdir()
    places = [tmp_path / "models" / name / "train-conda.yml" for name in ("one", "two")]
    for place in places:
        files.write_whole(place, "old")
    files.write_all(dict(zip(places, (b"1", b"2"), strict=True)))
    assert [place.read_bytes() for place in places] == [b"1", b"2"]
    assert not list((tmp_path / ".azureml").iterdir())


DIES = """
import sys
from pathlib import Path
from aml_project import files
files.write_whole(Path("a.json"), "first")
files.write_whole(Path("a.json"), "second")
files.place_folder(Path("folder"), lambda beside: (beside / "b").write_text("1"))
"""


@pytest.mark.parametrize(
    ("at", "content", "folder"),
    [
        ("before a.json", None, False),
        ("after a.json", "first", False),
        ("before a.json:2", "first", False),
        ("after a.json:2", "second", False),
        ("before folder", "second", False),
        ("somewhere else", "second", True),
    ],
)
def test_killed_at_a_named_point_it_is_whole_or_not_there(
    tmp_path: Path, at: str, content: str | None, folder: bool
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", DIES], cwd=tmp_path, env=os.environ | {"AML_PROJECT_DIE_AT": at}, check=False
    )
    assert done.returncode == (0 if at == "somewhere else" else -signal.SIGKILL)
    file = tmp_path / "a.json"
    assert (file.read_text() if file.exists() else None) == content
    assert (tmp_path / "folder").exists() is folder
