"""A Dockerfile's text as Azure ML builds it, without the files beside it; what can't be written so is refused."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aml_project.command_line import Failure
from aml_project.runconfigs import dockerfile_text
from tests.support import MODEL, rendered_file


def written(folder: Path, text: str) -> str:
    (folder / "Dockerfile").write_text(text, encoding="utf-8")
    return dockerfile_text.standalone(folder / "Dockerfile", folder)


def run_line(text: str) -> str:
    """The shell's line of the RUN that writes a file, joined as Docker joins it."""
    [found] = re.findall(r"^RUN (to=.*?[^\\])$", text, flags=re.MULTILINE | re.DOTALL)
    return str(found).replace("\\\n", "")


@pytest.mark.parametrize(
    ("content", "to"),
    [
        (b"dependencies: [python]\n", "/below/new/place.yml"),
        (b"", "/empty"),
        ("é\\n'\"$HOME `id` $(id)\\\n#\r\n\ttab\x00end".encode(), "/name with 'quotes' é.txt"),
        (b"x" * 64_000, "/large"),
        (b"into a folder\n", "/folder/"),
        (b"into one that is there\n", "/there"),
        (b"beside\n", "relative.txt"),
    ],
)
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_a_copied_file_is_written_with_the_same_bytes(tmp_path: Path, content: bytes, to: str, shell: str) -> None:
    model, image = tmp_path / "model", tmp_path / "image"
    model.mkdir()
    (image / "there").mkdir(parents=True)
    (model / "file.txt").write_bytes(content)
    target = f"{image}{to}" if to.startswith("/") else to
    text = written(model, f"FROM image\nCOPY {json.dumps(['file.txt', target])}\n")
    line = run_line(text)
    assert len(line) < 131_072, "more than a system lets an argument be"
    subprocess.run([shell, "-c", line], cwd=image, check=True, capture_output=True)
    name = to.lstrip("/")
    place = image / name / "file.txt" if to in ("/folder/", "/there") else image / name
    assert place.read_bytes() == content
    assert place.stat().st_mode & 0o777 == 0o644
    assert dockerfile_text.origin_of(text) == "Dockerfile"
    assert "COPY" not in re.sub("^#.*", "", text, flags=re.MULTILINE)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.text(max_size=200))
def test_whatever_is_in_a_file_is_written(tmp_path: Path, content: str) -> None:
    data = content.encode("utf-8", "ignore")
    (tmp_path / "file").write_bytes(data)
    line = run_line(written(tmp_path, f'FROM image\nCOPY ["file", "{tmp_path}/out"]\n'))
    subprocess.run(["sh", "-c", line], check=True)
    assert (tmp_path / "out").read_bytes() == data


def test_the_rendered_dockerfile_builds_from_its_text(project: Path, tmp_path: Path) -> None:
    model = project / "models" / "model1"
    text = dockerfile_text.standalone(model / "Dockerfile", model)
    kept = [line for line in text.splitlines() if re.match(r"[A-Z]+ ", line)]
    assert [line.split()[0] for line in kept] == ["ARG", "FROM", "RUN", "RUN", "ENV"]
    assert kept[1] == "FROM ${BASE_IMAGE} AS environment"
    assert "train.py" not in text
    line = run_line(text).replace("/tmp/train-conda.yml", str(tmp_path / "out.yml"))
    subprocess.run(["sh", "-c", line], check=True)
    assert (tmp_path / "out.yml").read_bytes() == (model / "aml_config" / "train-conda.yml").read_bytes()
    assert dockerfile_text.standalone(model / "Dockerfile", model) == text


def test_the_dockerfile_on_an_image_of_nvidia_builds_from_its_text(project: Path) -> None:
    model = project / "models" / "model1"
    answers = {"framework": "pytorch", "vm_size": "Standard_ND40rs_v2"}
    (model / "Dockerfile").write_text(rendered_file(MODEL / "Dockerfile", **answers), encoding="utf-8")
    text = dockerfile_text.standalone(model / "Dockerfile", model)
    kept = [line for line in text.splitlines() if re.match(r"[A-Z]+ ", line)]
    assert [line.split()[0] for line in kept] == ["ARG", "FROM", "RUN", "RUN", "RUN", "ENV"]
    assert kept[1] == "FROM nvcr.io/nvidia/pytorch:${NVIDIA_VERSION}-py3 AS environment"


MANY = """# syntax=docker/dockerfile:1
ARG IMAGE=image
FROM ${IMAGE} as tools
RUN make

from tools AS Environment
COPY --from=tools /a /b
COPY <<END /c
COPY . .
FROM nothing
END
ADD https://example.com/a.tar /a
# between

RUN a \\
    # why
    && cat <<'X' \\

    && b
FROM nothing
X
# of the next stage
FROM environment
COPY . .
"""


def test_the_text_ends_with_its_stage_and_keeps_what_needs_no_folder(tmp_path: Path) -> None:
    text = written(tmp_path, MANY)
    assert text == MANY[: MANY.index("# of the next stage")] + "# From Dockerfile, by scripts/register_environment.py\n"
    whole = "FROM image\nRUN a\n\nENTRYPOINT b"
    assert written(tmp_path, whole) == f"{whole}\n# From Dockerfile, by scripts/register_environment.py\n"
    with pytest.raises(Failure, match="line 3: COPY none"):
        written(tmp_path, "\n\ncopy\tnone /x\nFROM")
    assert written(tmp_path, "\ufeff\r\nFROM image\r\nRUN a\r\n").startswith("FROM image\nRUN a\n#")


def test_modes_owners_and_users_are_those_of_a_copy(tmp_path: Path) -> None:
    (tmp_path / "a.sh").write_text("a")
    (tmp_path / "a.sh").chmod(0o775)
    assert "chmod 755 " in written(tmp_path, "FROM i\nCOPY a.sh /b\n")
    given = written(tmp_path, "FROM i\nCOPY --link --chown=1000:me --chmod=600 ./a.sh /b/\n")
    assert "to=/b/a.sh;" in given
    assert 'chmod 600 "$to" && chown 1000:me "$to"\n' in given
    lines = written(tmp_path, "FROM i\nUSER me\nadd a.sh .\nUSER 0\nCOPY a.sh /b\n").splitlines()
    users = [line for line in lines if line.startswith(("USER", "RUN"))]
    assert [line.split(";")[0] for line in users] == [
        "USER me",
        "USER 0",
        "RUN to=./a.sh",
        "USER me",
        "USER 0",
        "RUN to=/b",
    ]
    inherited = written(tmp_path, "FROM i AS one\nUSER me\nFROM j AS two\nCOPY a.sh /a\nFROM ONE\nCOPY a.sh /b\n")
    before_a, _, before_b = inherited.partition("RUN to=/a")
    assert ("USER 0" in before_a, "USER 0" in before_b) == (False, True)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("COPY . .", "COPY . .: is a folder: Azure ML has no such file where it builds"),
        ("COPY sub /x", "is a folder"),
        ("COPY *.txt /x", "wildcards, variables and quotes are not read here"),
        ("COPY $A /x", "wildcards, variables and quotes"),
        ("COPY a.txt $HOME/x", "wildcards, variables and quotes"),
        ('COPY "a.txt" /x', "wildcards, variables and quotes"),
        ("COPY ../out.txt /x", "is outside of the model's folder"),
        ("COPY link.txt /x", "is outside of the model's folder"),
        ("COPY none.txt /x", "No such file or directory: a path begins at the model's folder"),
        ("COPY large.txt /x", "is larger than 64 kB"),
        ("ADD a.tar /x", "is no text"),
        ("COPY a.txt b.txt /x/", "one file a line, and where to"),
        ("COPY a.txt", "one file a line, and where to"),
        ("COPY [a.txt, /x]", "not a list in JSON"),
        ("COPY --parents a.txt /x", "without --parents only"),
        ("COPY --chmod=u+x a.txt /x", "--chmod: write a number, as in 644"),
        ("COPY ignored.txt /x", ".dockerignore keeps it out: take it from there"),
        ("COPY sub/deep/ignored.pyc /x", ".dockerignore keeps it out"),
        ("COPY secret/a.txt /x", ".dockerignore keeps it out"),
        ("ONBUILD COPY a.txt /x", "ONBUILD: Azure ML has no such file where it builds"),
        ("RUN --mount=type=bind,target=/x a", "RUN --mount=type=bind,target=/x: Azure ML has no such file"),
        ("RUN --mount=target=/x a", "RUN --mount=target=/x: Azure ML has no such file"),
        ("RUN --mount=type=secret,id=a b", "Azure ML has no such file"),
    ],
)
def test_what_cannot_be_written_is_refused_with_its_line(tmp_path: Path, line: str, said: str) -> None:
    folder = tmp_path / "model"
    (folder / "sub" / "deep").mkdir(parents=True)
    (folder / "secret").mkdir()
    (folder / ".dockerignore").write_text("# x\nignored.txt\n**/*.pyc\n\nsecret\n!secret/kept.txt\na.?xt\n!/a.txt\n")
    for name in ("a.txt", "b.txt", "ignored.txt", "sub/deep/ignored.pyc", "secret/a.txt", "secret/kept.txt"):
        (folder / name).write_text("x")
    (tmp_path / "out.txt").write_text("x")
    (folder / "link.txt").symlink_to(tmp_path / "out.txt")
    (folder / "large.txt").write_text("x" * 64_001)
    (folder / "a.tar").write_bytes(b"\xff\x00")
    with pytest.raises(Failure) as refused:
        written(folder, f"FROM image\n# why\n\n{line}\n")
    assert re.search(r"Dockerfile: line 4: ", str(refused.value))
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "RUN to=/x" in written(folder, "FROM image\nCOPY a.txt /x\n")
    assert "RUN to=/x" in written(folder, "FROM image\nCOPY secret/kept.txt /x\n")
    assert written(folder, f"FROM image AS environment\nFROM environment\n{line}\n"), "after the stage it is no matter"
    (folder / "Dockerfile.dockerignore").write_text("a.txt\n")
    with pytest.raises(Failure, match=r"\.dockerignore keeps it out"):
        written(folder, "FROM image\nCOPY a.txt /x\n")
