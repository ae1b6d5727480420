"""A requirements.txt as pip reads it; what a run in Azure ML could not install is listed."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aml_project.command_line import Failure
from aml_project.requirements import conda_environment, package_list, requirements_file
from requirements.lists import take, wanted, write
from tests.aml import told
from tests.support import files_of


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Pandas == 2.2.2", "pandas==2.2.2"),
        ("scikit_learn<2,>=1.2", "scikit-learn>=1.2,<2"),
        (
            "requests[security,socks]>=2 ; python_version >= '3.8'  # why",
            'requests[security,socks]>=2; python_version >= "3.8"',
        ),
        ("numpy==1.26.4 --hash=sha256:0123 --hash=sha256:4567", "numpy==1.26.4"),
        ("torch==2.1.0+cu118", "torch==2.1.0"),
        ("sklearn==0.0.post1", "scikit-learn"),
        ("tensorflow-macos==2.15.0", "tensorflow==2.15.0"),
        ("a @ https://example.com/a-1.0-py3-none-any.whl", "a @ https://example.com/a-1.0-py3-none-any.whl"),
        ("b@https://example.com/b.zip", "b @ https://example.com/b.zip"),
        ("b [x] @ https://example.com/b.zip", "b[x] @ https://example.com/b.zip"),
        ("https://example.com/a_b-new-py3-none-any.whl", "a-b @ https://example.com/a_b-new-py3-none-any.whl"),
        ("six===1.16.ours", "six===1.16.ours"),
        ("https://example.com/a_b-1.0-py3-none-any.whl", "a-b @ https://example.com/a_b-1.0-py3-none-any.whl"),
        (
            "git+https://example.com/x/y.git@v1#egg=y&subdirectory=z",
            "y @ git+https://example.com/x/y.git@v1#subdirectory=z",
        ),
        ("certifi @ file:///croot/certifi_1690232220950/recipe/certifi", "certifi"),
        ("six @ file:///opt/conda/feedstock_root/build_artifacts/six-1.16.0-py3-none-any.whl", "six==1.16.0"),
    ],
)
def test_a_line_is_carried_over(tmp_path: Path, line: str, expected: str) -> None:
    assert wanted(requirements_file.read(write(tmp_path, line))) == [expected]


@pytest.mark.parametrize(
    ("line", "note"),
    [
        ("six @ file:///opt/conda/feedstock_root/build_artifacts/six-1.16.0-py3-none-any.whl", ""),
        ("six @ file:///croot/six_1690232220950", "six ({}) was built by conda, which does not say its version: …"),
        ("six==1.16 --hash=sha256:0123", "the hashes are left out: a conda file has no place for them"),
        ("six --global-option=a", "left out, a conda file has no place for options of pip: --global-option=a ({})"),
        ("torch==2.1.0+cu118", "torch==2.1.0+cu118 ({}): +cu118 is a build of its own, not on the index"),
        ("sklearn", "sklearn ({}) is scikit-learn"),
    ],
)
def test_what_is_changed_of_a_line_is_told(tmp_path: Path, line: str, note: str) -> None:
    told = requirements_file.read(write(tmp_path, line)).notes.lines()
    begin, _, _ = note.format("requirements.txt:1").partition("…")
    assert len(told) == bool(note) and "".join(told).startswith(begin)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("-e .", "on this computer only"),
        ("-e git+https://example.com/x.git#egg=x", "on this computer only"),
        ("--editable=./x", "on this computer only"),
        ("./dist/x-1.0-py3-none-any.whl", "on this computer only"),
        ("x-1.0-py3-none-any.whl", "on this computer only"),
        ("C:\\wheels\\x.whl", "on this computer only"),
        ("file:///srv/me/x", "on this computer only"),
        ("x @ file:///srv/me/x", "on this computer only"),
        ("git+ssh://git@example.com/x/y.git#egg=y", "without a key"),
        ("y @ git+ssh://git@example.com/x/y.git", "without a key"),
        ("git@example.com:x/y.git", "without a key"),
        ("x @ http://example.com/x-1.0.tar.gz", "without https"),
        ("https://example.com/archive", "does not say which package"),
        ("--index-url https://example.com/simple", "private index"),
        ("-i https://example.com/simple", "private index"),
        ("--extra-index-url=https://example.com/simple", "private index"),
        ("--trusted-host example.com", "private index"),
        ("--find-links ./wheels", "public index alone"),
        ("--pre", "options of pip"),
        ("--no-binary :all:", "options of pip"),
        ("-r https://example.com/more.txt", "is not read: fetch it"),
        ("--constraint ${HOME}/more.txt", "is not read: fetch it"),
        ("${PRIVATE_PACKAGE}", "variable"),
        ("x @ https://${TOKEN}@example.com/x.whl", "variable"),
        ("pip==24.0", "comes with the environment"),
    ],
)
def test_what_cannot_be_carried_over_is_listed(tmp_path: Path, line: str, why: str) -> None:
    read = requirements_file.read(write(tmp_path, f"{line}\n"))
    assert wanted(read) == []
    (note,) = read.notes.lines()
    assert why in note
    assert "(requirements.txt:1)" in note


def test_lists_that_name_lists_and_constraints(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write(tmp_path / "in", "-r deeper.txt\nb\\\n>=1\n")
    write(tmp_path / "in", "c==3", "deeper.txt")
    write(tmp_path, "a<2\nz<9\n", "limits.txt")
    read = requirements_file.read(write(tmp_path, "a>=1\n-r in/requirements.txt\n-c limits.txt\n", "all.txt"))
    assert wanted(read) == ["a>=1", "c==3", "b>=1"]
    assert [str(one) for one in read.constraints] == ["a<2", "z<9"]


@pytest.mark.parametrize("line", ["-r more.txt", "-r 'more.txt'", '--requirement="more.txt"', "-r ./more.txt"])
def test_the_name_of_a_list_may_be_in_quotes(tmp_path: Path, line: str) -> None:
    write(tmp_path, "six\n", "more.txt")
    assert wanted(requirements_file.read(write(tmp_path, line))) == ["six"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("six\n-r missing.txt\n", "requirements.txt:2: missing.txt: not there"),
        ("-r ''\n", "requirements.txt:1: '': not there; it is looked for beside requirements.txt"),
        ("-r '\n", "requirements.txt:1: ': not there; it is looked for beside requirements.txt"),
        ("-r\n", "requirements.txt:1: no name: not there"),
        ("-r requirements.txt\n", "requirements.txt:1: requirements.txt leads back to itself"),
        ("six\n\nnot a requirement\n", "requirements.txt:3: no requirement: not a requirement"),
        ("numpy=1.0\n", "pip writes numpy==1.0"),
        ("--magic yes\n", "no option of a requirements file: --magic"),
        ("- six\n", "no option of a requirements file: - six"),
        ("six\n-r in/deeper.txt\n", "in/deeper.txt:2: no requirement: not a requirement"),
        ("-c in/around.txt\n", "in/around.txt:1: ../requirements.txt leads back to itself"),
        ("six==banana\n", "no requirement: six==banana"),
        ("six\0\n", "not a text file"),
    ],
)
def test_a_list_that_is_wrong_gets_one_line(project: Path, text: str, said: str) -> None:
    (project / "in").mkdir()
    write(project / "in", "six\nnot a requirement\n", "deeper.txt")
    write(project / "in", "-r ../requirements.txt\n", "around.txt")
    before = files_of(project / "models")
    done = take(project, write(project, text))
    assert (done.code, done.out) == (1, "")
    told(done, f"ERROR: …{said}")
    assert files_of(project / "models") == before


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
def test_lists_of_other_encodings(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "requirements.txt"
    file.write_bytes("six==1.16.0\r\nattrs\r\n".encode(encoding))
    assert wanted(requirements_file.read(file)) == ["six==1.16.0", "attrs"]


@settings(deadline=None, max_examples=200)
@given(text=st.text(max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    for read in (requirements_file.take, conda_environment.take_item):
        with suppress(Failure):
            read(text.strip(), "x:1", package_list.Found("x"))
