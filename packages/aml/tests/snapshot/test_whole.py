"""The files that a run would get: those that the client uploads, and a line about each that should stay at home."""

import contextlib
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from aml_project.command_line import Failure
from aml_project.snapshot import preview
from aml_project.snapshot import whole as snapshot
from tests.conftest import Bake
from tests.runconfigs import said
from tests.support import FRAMEWORKS

ACCOUNT_KEY = "AccountKey=" + "a1B/" * 21 + "ab=="
SAS = "https://x.blob.core.windows.net/c?sv=2024&se=2030&sig=" + "aB3%2F" * 8 + "%3D"
KEY = "-----BEGIN RSA " + "PRIVATE KEY-----\n" + "MIIE" * 16
OWN = "aB1" + "8Q~" + "abcdefghij" * 3 + "abcd"


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        (".env.local", "A=1", "settings that may hold secrets"),
        ("prod.env", "A=1", "settings that may hold secrets"),
        ("id_rsa", "x", "a key or a password"),
        ("a.pfx", "x", "a key or a password"),
        ("deploy.txt", KEY, "a private key"),
        ("server.pem", "-----BEGIN ENCRYPTED DATA-----", "a key"),
        ("util.py", f"C = '{ACCOUNT_KEY}'", "the key of a storage account"),
        ("util.py", f"URL = '{SAS}'", "a SAS token"),
        ("util.py", f"S = '{OWN}'", "the secret of a service principal"),
        ("set.sh", "export AZUREML_SERVICE_PRINCIPAL_PASSWORD=abcdefgh12345678XY", "the secret of a service principal"),
        ("sp.json", '{"clientSecret": "abcdefgh12345678XY"}', "the secret of a service principal"),
        ("config.json", '{"Scope": "/subscriptions/x"}', "the name of your workspace"),
        ("big.csv", "x" * 1_000_001, "data (976.6 kB) would go to every run: register it as a dataset"),
        ("data/small.csv", "x", "data (1 bytes) would go to every run: register it as a dataset"),
        ("a/node_modules/x.js", "x", "installed packages (1 bytes) would go to the run"),
        ("azureml-logs/x.txt", "x", "logs of earlier runs (1 bytes) would go to the run"),
    ],
)
def test_what_should_not_go_to_a_run(project: Path, name: str, content: str, line: str) -> None:
    path = project / "models" / "model1" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    (found,) = said(project)
    assert line in found
    assert found.startswith(f"models/model1/{name.removesuffix('/x.js').removesuffix('/x.txt')}: ")
    assert not any(secret in found for secret in (ACCOUNT_KEY, SAS, OWN))
    with (project / "models" / "model1" / ".amlignore").open("a") as file:
        file.write(name + "\n")
    assert said(project) == []


def test_ordinary_code_tells_no_secret(project: Path) -> None:
    model = project / "models" / "model1"
    (model / "util.py").write_text(
        'import os\npassword = os.environ["AZUREML_SERVICE_PRINCIPAL_PASSWORD"]\n'
        'AZURE_CLIENT_SECRET = os.environ.get("AZURE_CLIENT_SECRET")\nurl = f"{base}?sv=1&sig={token}"\n'
        'def load(AccountKey="..."): ...\nclientSecret = None\nsig = "0" * 64\nKEY = "-----BEGIN CERTIFICATE-----"\n'
    )
    (model / ".env.example").write_text("AZURE_CLIENT_SECRET=\n")
    (model / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\nMII\n")
    (model / "config.json").write_text('{"learning_rate": 0.1}')
    (model / "data").mkdir()
    (model / "data" / "__init__.py").touch()
    (model / "labels.csv").write_text("x" * snapshot.LARGE_DATA)
    assert said(project) == []


def test_published_code_tells_no_secret() -> None:
    """A pattern that fires at the code of the installed packages would fire at users."""
    files = list(Path(yaml.__file__).parents[1].rglob("*.py"))
    assert len(files) > 1000
    fired = {file.name: what for file in files if (what := snapshot._secret(file.name, snapshot._head(file)))}
    assert fired == {}


def test_without_an_ignore_file_everything_goes(project: Path) -> None:
    model = project / "models" / "model1"
    (model / ".amlignore").unlink()
    assert said(project) == [
        "models/model1/.amlignore: missing, and so is .gitignore: every file goes to the run: write one"
    ]
    (model / ".gitignore").write_text("tests/\n")
    assert said(project) == []


def test_where_both_are_there_the_ignore_file_of_azure_ml_counts_alone(model: Path) -> None:
    (model / ".amlignore").write_text("of-azure-ml\n")
    (model / ".gitignore").write_text("of-git\n")
    for name in ("of-azure-ml", "of-git"):
        (model / name).touch()
    assert set(snapshot.take(model).files) == clients_files(model) == {".amlignore", ".gitignore", "of-git"}


@pytest.mark.parametrize("name", [".amlignore", ".gitignore"])
@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"\xff", "not UTF-8: save it as UTF-8"),
        (b"a\n!\n", r"Invalid git pattern: '!\n': mend the pattern"),
        (None, "Is a directory: make it a readable file"),
        (PermissionError(13, "Permission denied"), "Permission denied: make it a readable file"),
    ],
)
def test_an_ignore_file_that_cannot_be_read_is_one_line_and_no_file_is_counted(
    project: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes | OSError | None, line: str
) -> None:
    model = project / "models" / "model1"
    (model / ".amlignore").unlink()
    if content is None:
        (model / name).mkdir()
    else:
        (model / name).write_bytes(content if isinstance(content, bytes) else b"outputs/\n")
    if isinstance(content, OSError):
        deny(monkeypatch, model / name, content)
    taken = snapshot.take(model)
    assert (taken.complete, taken.files, len(taken.findings)) == (False, {}, 1)
    assert taken.findings[0].startswith(f"{name}: ") and taken.findings[0].endswith(line)
    assert said(project) == [f"models/model1/{taken.findings[0]}"]
    with pytest.raises(Failure) as refused:
        snapshot.take_whole(model)
    assert (str(refused.value), refused.value.code) == (f"models/model1/{taken.findings[0]}", 1)
    assert name == ".gitignore" or preview.read_files(model) is None, "a dry run does not guess either"


def deny(monkeypatch: pytest.MonkeyPatch, file: Path, error: OSError) -> None:
    """Let a file not be opened, also by root, who may read everything."""
    opened = Path.open

    def refuse(path: Path, *args: Any, **options: Any) -> Any:
        if path == file:
            raise error
        return opened(path, *args, **options)

    monkeypatch.setattr(Path, "open", refuse)


def test_links(project: Path) -> None:
    model = project / "models" / "model1"
    (model / "broken").symlink_to("nowhere")
    (model / "outside").symlink_to(project / "data")
    (model / "inside.py").symlink_to("train.py")
    (model / "package").mkdir()
    (model / "package" / "loop").symlink_to(model)
    os.mkfifo(model / "pipe")
    lines = "\n".join(said(project))
    for line in [
        "models/model1/broken: a link to nothing; the client crashes on it",
        "models/model1/outside: a link out of this folder, and ",
        "models/model1/package/loop: a link that leads back to its own folder",
        "models/model1/pipe: neither file nor folder; the client crashes on it",
    ]:
        assert line in lines
    assert "inside.py" not in lines
    assert "outside/model1/customers.csv" in snapshot.take(model).files


@pytest.mark.parametrize("break_it", ["broken", "pipe"])
def test_the_real_client_crashes_there(project: Path, break_it: str) -> None:
    from azureml._base_sdk_common.merkle_tree import create_merkletree

    model = project / "models" / "model1"
    (model / "x").symlink_to("nowhere") if break_it == "broken" else os.mkfifo(model / "x")
    with pytest.raises(OSError, match="x"):
        create_merkletree(str(model), lambda _: False)


def clients_files(folder: Path) -> set[str]:
    """What the real client would upload, by its own code."""
    from azureml._base_sdk_common.merkle_tree import DirTreeNode, create_merkletree
    from azureml._base_sdk_common.merkle_tree_differ import compute_diff
    from azureml._project.ignore_file import get_project_ignore_file

    root = create_merkletree(str(folder), get_project_ignore_file(str(folder)).is_file_excluded)
    return {entry.node_path for entry in compute_diff(DirTreeNode(), root) if entry.is_file}


def test_the_snapshot_is_the_clients(bake: Bake) -> None:
    for framework in FRAMEWORKS:
        model = bake(framework=framework) / "models" / "model1"
        taken = snapshot.take(model)
        assert set(taken.files) == clients_files(model)
        assert taken.size == sum((model / name).stat().st_size for name in taken.files)


NAMES = st.sampled_from(["a", "b", "c.py", "d.csv", ".e", "f f", "é"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
PATTERNS = st.lists(
    st.one_of(
        st.builds(
            lambda bang, slash, path, star, end: bang + slash + path + star + end,
            st.sampled_from(["", "", "!"]), st.sampled_from(["", "/", "**/"]), PATHS,
            st.sampled_from(["", "*", "/*", "/**"]), st.sampled_from(["", "/"]),
        ),
        st.sampled_from(["*", "*.py", "# a", "", "?", "[ab]", "/*", "*/", "**", "!*/", "!*.py"]),
    ),
    max_size=5,
)  # fmt: skip


@given(paths=st.lists(PATHS, max_size=8), patterns=PATTERNS, ignore=st.sampled_from([".amlignore", ".gitignore"]))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(paths=["a/b/c.py", "a/d.csv"], patterns=["*", "!a"], ignore=".amlignore")
@example(paths=["a/b/c.py", "b/a/c.py"], patterns=["a/"], ignore=".gitignore")
def test_the_snapshot_is_the_clients_for_any_patterns(
    tmp_path_factory: pytest.TempPathFactory, paths: list[str], patterns: list[str], ignore: str
) -> None:
    folder = tmp_path_factory.mktemp("snapshot")
    for path in paths:
        try:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text("x")
        except OSError:  # one name is a file and a folder
            continue
    (folder / ignore).write_text("\n".join(patterns) + "\n", encoding="utf-8")
    assert set(snapshot.take(folder).files) == clients_files(folder)
    shutil.rmtree(folder)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model's folder with nothing in it but what it leaves at home: nothing."""
    folder = tmp_path / "models" / "one"
    folder.mkdir(parents=True)
    (folder / ".amlignore").touch()
    return folder


def add_files(folder: Path, count: int) -> None:
    folder.mkdir()
    for number in range(count):
        os.mknod(folder / str(number))


def test_as_many_files_as_a_run_may_have_are_fine_and_one_more_is_a_line(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_files(model / "many", snapshot.MAX_FILES - 1)  # and .amlignore
    taken = snapshot.take(model)
    assert (len(taken.files), taken.findings) == (2000, [])
    (model / "one-more").touch()
    assert snapshot.take(model).lines("models/one") == [
        "models/one: 2001 files, and a run may have 2000; most are in many (1999): name it in .amlignore"
    ]
    monkeypatch.setenv("AML_SNAPSHOT_NO_FILE_LIMIT", "True")  # the client's own switch
    assert snapshot.take(model).findings == []


def test_as_many_bytes_as_a_run_may_have_are_fine_and_one_more_is_a_line(model: Path) -> None:
    with (model / "weights.bin").open("wb") as file:
        file.truncate(snapshot.MAX_TOTAL)
    assert snapshot.take(model).findings == []
    (model / "a").write_text("x")
    (model / "b").write_text("xx")
    [line] = snapshot.take(model).lines("models/one")
    largest = "weights.bin (300.0 MB), b (2 bytes), a (1 bytes)"
    assert line.startswith(f"models/one: 300.0 MB, and a run may have 300 MB; the largest: {largest}: register data ")


@pytest.mark.parametrize("limit", [300, pytest.param(snapshot.MAX_LOOKED_AT, marks=pytest.mark.full)])
def test_a_folder_of_very_many_files_is_left_and_said_so(
    model: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(snapshot, "MAX_LOOKED_AT", limit)
    add_files(model / "many", limit - 2)  # and many/ and .amlignore
    assert snapshot.take(model).complete
    (model / "many" / "one-more").touch()
    taken = snapshot.take(model)
    assert not taken.complete
    assert re.fullmatch(
        rf"models/one: more than {limit} files to look at, most in many \(\d+\); stopped counting:"
        r" move them out of the model's folder, or name their folder in .amlignore",
        taken.lines("models/one")[0],
    )
    (model / ".amlignore").write_text("many/\n")
    assert snapshot.take(model).findings == []


@pytest.mark.parametrize(
    ("name", "line", "more"),
    [
        ("data/{}.csv", "data (1 bytes) would go to every run", "data files"),
        ("{}.pfx", "a key or a password would go to the run", "files that tell secrets"),
        ("{}/outputs/x", "outputs of earlier runs (1 bytes) would go to the run", "folders and files of earlier work"),
    ],
)
def test_five_lines_of_a_kind_are_shown_and_the_others_counted(model: Path, name: str, line: str, more: str) -> None:
    def add(number: int) -> list[str]:
        file = model / name.format(number)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x")
        return snapshot.take(model).lines("models/one")

    shown = [add(number) for number in range(7)]
    assert [len(lines) for lines in shown] == [1, 2, 3, 4, 5, 6, 6]
    assert all(line in said for said in shown[4])
    assert shown[6] == [*shown[4], f"models/one: and 2 more {more}: name them in .amlignore"]


@pytest.mark.parametrize("place", [".venv", "my_outputs/outputs"])
def test_a_folder_of_earlier_work_is_one_line_whatever_is_in_it(model: Path, place: str) -> None:
    for inside in ("x", "lib/node_modules/y", "outputs/z"):
        (model / place / inside).parent.mkdir(parents=True, exist_ok=True)
        (model / place / inside).write_text("x")
    [line] = snapshot.take(model).findings
    assert line.startswith(f"{place}: ") and "(3 bytes) would go to the run" in line


def test_what_vanishes_while_it_is_looked_at_is_a_line(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (model / "gone").touch()
    scan = os.scandir

    def scan_and_remove(folder: Path) -> Any:
        with scan(folder) as entries:
            found = list(entries)
        (model / "gone").unlink()
        return contextlib.nullcontext(found)

    monkeypatch.setattr(os, "scandir", scan_and_remove)
    assert snapshot.take(model).findings == [
        "gone: No such file or directory; the client crashes on it: remove it, or name it in .amlignore"
    ]


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (0, "0 bytes"), (1023, "1023 bytes"), (1024, "1.0 kB"), (1536, "1.5 kB"),
        (1 << 20, "1.0 MB"), (1 << 30, "1.0 GB"), (5 << 40, "5120.0 GB"),
    ],
)  # fmt: skip
def test_sizes_as_people_say_them(size: int, shown: str) -> None:
    assert snapshot.readable_size(size) == shown


def test_so_much_is_read_in_search_of_secrets_and_no_more(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also with very large files an answer comes at once."""
    monkeypatch.setattr(snapshot, "HEAD", len(KEY))
    (model / "a.txt").write_text("x" * 2 * len(KEY))
    (model / "b.txt").write_text(KEY)
    monkeypatch.setattr(snapshot, "MAX_READ", len(KEY) + 1)
    assert snapshot.take(model).findings == [
        "b.txt: a private key would go to the run: remove it, or name it in .amlignore"
    ]
    monkeypatch.setattr(snapshot, "MAX_READ", len(KEY))
    assert snapshot.take(model).findings == []
