"""Values are set in a runconfig, and every other character of it stays."""

import copy
import itertools
import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import assume, example, given
from hypothesis import strategies as st

from aml_project.command_line import Failure
from aml_project.runconfigs import editing as runconfig_edit
from aml_project.runconfigs.editing import Key, Value
from aml_project.runconfigs.file import MAX_BYTES, Unreadable, parse
from tests.conftest import Bake

VERSION = ("data", "training", "dataLocation", "dataset", "version")
DOCKER = ("environment", "docker")
DOCKERFILE = "FROM image\n\n# packages\nRUN pip install 'a==1' \\\n    && echo \"é\"\n"


def runconfig(project: Path, name: str) -> str:
    return (project / "models" / "model1" / "aml_config" / f"{name}.runconfig").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["train-amlcompute", "train-local"])
def test_only_the_line_of_the_value_changes(bake: Bake, name: str) -> None:
    before = runconfig(bake(), name)
    after = runconfig_edit.set_values(before, {VERSION: "12"})
    changed = [pair for pair in zip(before.splitlines(), after.splitlines(), strict=True) if pair[0] != pair[1]]
    assert changed == [('        version: "1"', '        version: "12"')]


def test_a_dockerfile_stands_in_the_file_as_one_reads_it(bake: Bake) -> None:
    before = runconfig(bake(), "train-amlcompute")
    changes: dict[Key, Value] = {
        ("environment", "version"): "0123",
        (*DOCKER, "baseImage"): None,
        (*DOCKER, "baseDockerfile"): DOCKERFILE,
    }
    after = runconfig_edit.set_values(before, changes)
    assert (
        "    enabled: true\n    baseImage: null\n    baseDockerfile: |\n      FROM image\n\n      # packages\n"
        '      RUN pip install \'a==1\' \\\n          && echo "é"\n  version: "0123"\ndocker:\n'
    ) in after
    assert [line for line in before.splitlines() if line not in after.splitlines()] == [
        line for line in before.splitlines() if line.startswith("    baseImage:")
    ]
    assert runconfig_edit.set_values(after, changes) == after, "twice is once"
    shorter = runconfig_edit.set_values(after, {(*DOCKER, "baseDockerfile"): "FROM other\n"})
    assert '    baseDockerfile: |\n      FROM other\n  version: "0123"\n' in shorter
    assert "RUN" not in shorter


@pytest.mark.parametrize(
    ("before", "key", "new", "after"),
    [
        ("a: 1 # why\nb: 2\n", "a", "no", 'a: "no" # why\nb: 2\n'),
        ("a: no\n", "a", "no", "a: no\n"),  # as it is meant already
        ('a: "no"\n', "a", "no", 'a: "no"\n'),
        ("a: 1\n", "a", "1", 'a: "1"\n'),
        ("a: 1\n", "a", True, "a: true\n"),
        ("a:   # none\nb: 2\n", "a", "x", 'a: "x"   # none\nb: 2\n'),
        ("a: x\nb: 2\n", "a", None, "a: null\nb: 2\n"),
        ("a:\n  b: 1\n", "a.c", "x", 'a:\n  b: 1\n  c: "x"\n'),
        ("a:\nb: 2\n", "a.b.c", None, "a:\n  b:\n    c: null\nb: 2\n"),
        ("a: ~ # none\nb: 2\n", "a.b", 7, "a:  # none\n  b: 7\nb: 2\n"),
        ("a:\n    b: 1 # one\n\n# of c\nc: 2", "a.d", True, "a:\n    b: 1 # one\n    d: true\n\n# of c\nc: 2"),
        ("c: 2", "a.d", True, "c: 2\na:\n  d: true"),
        ("a:\n  b: [1,\n    2]\n", "a.c", 3, "a:\n  b: [1,\n    2]\n  c: 3\n"),
        ("a:\n  b:\n  - 1\n  - 2\n", "a.c", 3, "a:\n  b:\n  - 1\n  - 2\n  c: 3\n"),
        ("a:\r\n  b: 'x'\r\n", "a.c", 3, "a:\r\n  b: 'x'\r\n  c: 3\r\n"),
        ("\ufeffa: 'x'\n", "a", "y: z", '\ufeffa: "y: z"\n'),
        ("a: 'it''s\n  two lines' # why\n", "a", "one", 'a: "one" # why\n'),
        ("a: &x !!str 1\n", "a", "2", 'a: "2"\n'),
        ("'a': 1\n\"b\": {'c':1}\n", "b.c", "2", "'a': 1\n\"b\": {'c':\"2\"}\n"),
        ("node_count: 1\n", "nodeCount", 2, "node_count: 2\n"),  # as the client spells it
        ("node_count: 1\nnodeCount: 1\n", "nodeCount", 2, "node_count: 1\nnodeCount: 2\n"),
        ("x: &x {b: 1}\na:\n  <<: *x\n", "a.b", 2, "x: &x {b: 1}\na:\n  <<: *x\n  b: 2\n"),
        ("n: {}\n", "n.no", "x", 'n: {"no": "x"}\n'),
        # in braces
        ("a: {b: 1}\n", "a.c", "x", 'a: {b: 1, c: "x"}\n'),
        ("a: {b: 1,\n  # two\n}\n", "a.b", 2, "a: {b: 2,\n  # two\n}\n"),
        ("a: {b: 1 # one\n}\n", "a.c", 2, "a: {b: 1, c: 2 # one\n}\n"),
        ("a: {}\n", "a.b.c", "x", 'a: {b: {c: "x"}}\n'),
        ("a: {b: , c}\n", "a.b", 2, "a: {b: 2 , c}\n"),
        ("a: {b, c}\n", "a.c", 2, "a: {b, c: 2}\n"),
        ("a: {b: ~}\n", "a.b.c", 2, "a: {b: {c: 2}}\n"),
        ('{"script": "a.py"}', "target", "local", '{"script": "a.py", target: "local"}'),
        # many lines
        ("a: {b: 1}\n", "a.c", "x\ny\n", 'a: {b: 1, c: "x\\ny\\n"}\n'),
        ("a: x # why\nb: 1\n", "a", "x\ny", "a: |- # why\n  x\n  y\nb: 1\n"),
        ("a: | # why\n  one\n  # two\n# three\nb: 1\n", "a", "x", 'a: "x" # why\n# three\nb: 1\n'),
        ("a: |+\n  one\n\nb: 1\n", "a", "x\ny\n", "a: |\n  x\n  y\n\nb: 1\n"),
        ("b: 1\na: |\n  one\n  # two\n\n", "c", "x", 'b: 1\na: |\n  one\n  # two\nc: "x"\n\n'),
        ("a: 1\n  # deeper\nb: 1\n", "a", "x\ny\n", 'a: "x\\ny\\n"\n  # deeper\nb: 1\n'),  # it would be part of it
        ("a: 1\r\n", "a", "x\n\ny\n", "a: |\r\n  x\r\n\r\n  y\r\n"),
        ("a:\n x\n", "a", "y\nz", "a:\n |-\n  y\n  z\n"),
        ("a: 1\n", "a", " x\ny\n", 'a: " x\\ny\\n"\n'),
        (
            "a: 1\n",
            "a",
            "x\x85\u2028\ufeff\x7f\x00😀\n",
            'a: "x\\U00000085\\U00002028\\U0000feff\\U0000007f\\u0000😀\\n"\n',
        ),
    ],
)
def test_every_way_of_writing_it(before: str, key: str, new: Value, after: str) -> None:
    assert runconfig_edit.set_values(before, {tuple(key.split(".")): new}) == after


keys = st.one_of(st.text("abcxyz", min_size=1, max_size=2), st.sampled_from(["no", "a b", "a: b", "é", "1", "~", "#"]))
texts = st.one_of(
    st.text(max_size=8),
    st.sampled_from(["no", "1", "1e3", "~", "", "#", "a: b", "- a", "'", '"', "{", "%", "&a", "*a", "2020-01-01", "="]),
    st.lists(st.sampled_from(["", " ", "a", " a", "# a", "a: b", "a  ", "\t", "---", "..."]), max_size=5).map(
        "\n".join
    ),
)
values = st.one_of(texts, st.booleans(), st.none(), st.integers(-9, 99))
configs = st.recursive(
    st.dictionaries(keys, values, min_size=1, max_size=3),
    lambda inner: st.dictionaries(keys, st.one_of(values, inner, st.lists(values, max_size=3)), max_size=3),
    max_leaves=6,
).filter(bool)


def is_subsequence(part: str, whole: str) -> bool:
    rest = iter(whole)
    return all(character in rest for character in part)


@given(
    configs,
    st.lists(keys, min_size=1, max_size=3).map(tuple),
    values,
    st.tuples(st.sampled_from([None, True, False]), st.sampled_from([None, "|", '"', "'"])),
    st.sampled_from(["\n", "\r\n"]),
)
def test_what_was_asked_for_changes_and_nothing_else(
    config: dict[str, Any], key: Key, new: Value, styles: tuple[bool | None, str | None], newline: str
) -> None:
    flow, style = styles
    text = yaml.safe_dump(config, default_flow_style=flow, default_style=style, allow_unicode=True)
    text = f"# first\n{text}# last\n".replace("\n", newline)
    try:
        before = parse(text)
    except Unreadable:  # no text for a runconfig
        assume(False)
    try:
        after = runconfig_edit.set_values(text, {key: new})
    except Failure:
        parents = [value_at(before, key[:depth]) for depth in range(1, len(key))]
        odd = not all(isinstance(parent, dict) or parent is None for parent in parents)
        odd = odd or "\n..." in text.replace("\r", "\n")  # the document's end is marked: nothing can follow it
        assert odd or isinstance(value_at(before, key), dict | list), "what can be set is set"
        return
    changed = parse(after)
    spelt, wanted = key, copy.deepcopy(before)
    section = wanted
    for depth, part in enumerate(spelt[:-1]):
        if section.get(part) is None:
            assert set(section) | {part} == set(value_at(changed, spelt[:depth])), "a new section is the only new key"
            section[part] = {}
        section = section[part]
    section[spelt[-1]] = new
    assert json.dumps(changed, default=repr, sort_keys=True) == json.dumps(wanted, default=repr, sort_keys=True)
    assert after.startswith(f"# first{newline}")
    assert after.endswith(f"# last{newline}")
    if value_at(before, key) is None and "\n" not in str(new) and style is None and "null" not in text:
        assert is_subsequence(text, after), "what was there is still there"
    assert newline == "\n" or "\n" not in after.replace("\r\n", "")
    assert runconfig_edit.set_values(after, {key: new}) == after


def value_at(config: Any, key: Key) -> Any:
    for part in key:
        config = config.get(part) if isinstance(config, dict) else None
    return config


@given(texts)
@example("\ud800")
def test_every_text_stays_the_text_that_it_is(text: str) -> None:
    for before in ("a:\n", "a: {}\n"):
        after = runconfig_edit.set_values(before, {("a", "b"): text})
        assert parse(after) == {"a": {"b": text}}
        if after.isascii():
            assert yaml.safe_load(after) == {"a": {"b": text}}, "for a reader of YAML 1.1 as well"


def test_a_file_is_written_whole_and_stays_what_it_is(tmp_path: Path) -> None:
    file, link = tmp_path / "x.runconfig", tmp_path / "link.runconfig"
    file.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: '2' # two\r\n")
    file.chmod(0o640)
    link.symlink_to(file)
    assert runconfig_edit.edit(link, {("b",): "3"})
    assert file.read_bytes() == b'\xef\xbb\xbfa: 1\r\nb: "3" # two\r\n'
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert link.is_symlink()
    before = file.stat()
    assert not runconfig_edit.edit(file, {("b",): "3"})
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.runconfig", "x.runconfig"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [1\n", "line 2: "),
        ("a:\n  b: [1]\n", "line 2: a.b is no single value; write it by hand"),
        ("a:\n  b: {c: 1}\n", "line 2: a.b is no single value; write it by hand"),
        ("c: 1\na: 5\n", "line 2: a is no section; write a.b by hand"),
        ("a: [1]\n", "line 1: a is no section; write a.b by hand"),
        ("x: &x {b: 1}\na: *x\n", "line 1: a.b can't be set without changing something else; write it by hand"),
        ("x: &x 1\na:\n  b: *x\n", "line 3: a.b can't be set without changing something else; write it by hand"),
        ("x: &x 1\na: {c: *x}\n", "line 2: a.b can't be set without changing something else; write it by hand"),
        ("x: &x\n  y: 1\na:\n  b: &y 2\nz: *y\nd: 1\n", "line 4: a.b can't be set"),
        ("", "it is empty"),
        ("- a\n", "not a mapping"),
        (b"a: 1\nb: \xff\n", "line 2: not UTF-8"),
        ("a: 1\n---\nb: 1\n", "line 2: "),
        ("x: '" + "y" * MAX_BYTES + "'\n", f"larger than {MAX_BYTES // 1000} kB"),
    ],
)
def test_what_cannot_be_set_is_left_alone(tmp_path: Path, text: str | bytes, said: str) -> None:
    file = tmp_path / "x.runconfig"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    before = file.read_bytes()
    with pytest.raises(Failure) as refused:
        runconfig_edit.edit(file, {("c",): "1", ("a", "b"): "2"})
    assert str(refused.value).startswith(f"{os.path.relpath(file)}: {said}") or said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert file.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["x.runconfig"]


def test_a_file_may_become_as_large_as_one_may_be(tmp_path: Path) -> None:
    file = tmp_path / "x.runconfig"
    file.write_text("a: 1\n")
    most = MAX_BYTES - len('a: ""\n')
    assert runconfig_edit.edit(file, {("a",): "x" * most})
    with pytest.raises(Failure, match="larger than"):
        runconfig_edit.edit(file, {("a",): "x" * (most + 1)})
    assert file.stat().st_size == MAX_BYTES


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "x.runconfig"
    with pytest.raises(Failure, match=r"x\.runconfig: No such file or directory; nothing was written$"):
        runconfig_edit.edit(file, {("a",): "2"})
    file.write_text("a: 1\n")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Failure, match=r"x\.runconfig: No space left on device; nothing was written$"):
        runconfig_edit.edit(file, {("a",): "2"})
    assert (file.read_text(), len(list(tmp_path.iterdir()))) == ("a: 1\n", 1)


# An edit that kills itself when it is about to do something in the file's folder for the nth time.
KILLED = """
import os, signal, sys
from pathlib import Path
from aml_project.runconfigs.editing import edit

file, at = Path(sys.argv[1]), int(sys.argv[2])
seen = 0


def act(event, args):
    global seen
    if args and str(file.parent) in str(args[0]):
        if event == "open" and str(args[0]) == str(file) and args[2] & (os.O_WRONLY | os.O_RDWR):
            sys.exit("it writes into the file itself")
        seen += 1
        if seen == at:
            os.kill(os.getpid(), signal.SIGKILL)


sys.addaudithook(act)
edit(file, {("a",): "1", ("b", "c"): "x"})
"""


def test_killed_at_any_step_the_file_is_the_old_one_or_the_new_one(tmp_path: Path) -> None:
    file, old, new = tmp_path / "x.runconfig", "a: ''\n# why\nb: {c: ''}\n", 'a: "1"\n# why\nb: {c: "x"}\n'
    left = []
    for step in itertools.count(1):
        file.write_text(old)
        done = subprocess.run(
            [sys.executable, "-c", KILLED, file, str(step)], stderr=subprocess.PIPE, text=True, check=False
        )
        left.append(file.read_text())
        if done.returncode == 0:
            break
        assert (done.returncode, done.stderr) == (-signal.SIGKILL, "")
    steps_before, steps_after = left.count(old), left.count(new)
    assert steps_before > 3 and steps_after > 0
    assert left == [old] * steps_before + [new] * steps_after, "one step puts it in its place"


@pytest.mark.full
def test_killed_at_any_moment_the_file_is_the_old_one_or_the_new_one(tmp_path: Path) -> None:
    file = tmp_path / "x.runconfig"
    code = (
        "from pathlib import Path; from aml_project.runconfigs.editing import edit\n"
        "print('ready', flush=True)\n"
        f"for n in range(10**9): edit(Path({str(file)!r}), {{('a',): str(n), ('b', 'c'): 'x' * (n % 7)}})"
    )
    file.write_text("a: ''\n# why\nb: {c: ''}\n")
    for attempt in range(25):
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            time.sleep(attempt * 0.004)  # any moment will do: there is nothing to wait for
            process.send_signal(signal.SIGKILL)
        said = parse(file.read_text())
        assert said["a"] == "" or said["b"]["c"] == "x" * (int(said["a"]) % 7)
        assert "\n# why\n" in file.read_text()
