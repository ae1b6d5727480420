"""What a verb needs beyond the engine's own packages: brought once, or a line that says why it can't be."""

import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from aml_project import tools
from aml_project.command_line import Failure


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In the place of uv: a program that writes down what it is asked for; `fails` beside it lets it fail."""
    uv, words = tmp_path / "uv", tmp_path / "words"
    uv.write_text(
        f"#!/bin/sh\nprintf '%s\\n' \"$@\" > '{words}'\n"
        f"[ ! -e '{tmp_path}/fails' ] || {{ cat '{tmp_path}/fails' >&2; exit 1; }}\n"
    )
    uv.chmod(0o755)
    monkeypatch.setattr(tools, "find_uv", lambda: str(uv))
    monkeypatch.setattr(tools, "AZURE", ("azureml.core", "no_such_module", "no_such_package.module"))
    return words


def test_what_is_here_is_not_installed_again(asked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "AZURE", ("azureml.core", "azure.storage.blob"))
    tools.bring_azure()
    assert not asked.exists()


def test_what_is_missing_is_installed_where_this_runs(asked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tools.bring_azure()
    command, packages = asked.read_text().split(sys.executable)
    assert command.split() == ["pip", "install", "--quiet", "--python"]
    assert packages.split("\n")[1:-1] == tools.requirements("azure")
    lacks = "no_such_module and no_such_package.module are not in this Python"
    assert capsys.readouterr() == ("", f"{lacks}: installing what Azure ML's commands need, once\n")


def test_the_packages_of_an_extra_are_those_of_this_python_alone() -> None:
    names = [Requirement(text).name for text in tools.requirements("azure")]
    assert {"azureml-core", "azure-storage-blob"} <= set(names)
    assert ("setuptools" in names) == (sys.version_info >= (3, 12))
    assert "pyyaml" not in names, "what every verb needs is here already"
    assert "nbconvert" in [Requirement(text).name for text in tools.requirements("notebooks")]
    assert tools.requirements("no-such-extra") == []


@pytest.mark.parametrize(
    ("owner", "name", "value"),
    [
        (sys, "prefix", sys.base_prefix),
        (tools, "find_uv", lambda: None),
        (tools, "DISTRIBUTION", "no-such-distribution"),
    ],
)
def test_where_nothing_can_be_brought_it_is_one_line(
    asked: Path, monkeypatch: pytest.MonkeyPatch, owner: object, name: str, value: object
) -> None:
    monkeypatch.setattr(owner, name, value)
    with pytest.raises(Failure, match=r"not in this Python, and it is not an environment .*: call this .* by make$"):
        tools.bring_azure()
    assert not asked.exists()


def test_what_uv_says_is_in_the_line(asked: Path) -> None:
    asked.with_name("fails").write_text("error: no\n  network\n")
    with pytest.raises(
        Failure, match=r"are not in this Python, and uv can't bring them: error: no network$"
    ) as refused:
        tools.bring_azure()
    assert refused.value.code == 1


@pytest.mark.parametrize(
    ("noted", "origin"),
    [
        ({}, "aml-project"),
        ({"url": "file:///a/aml.whl", "archive_info": {}}, "file:///a/aml.whl"),
        (
            {
                "url": "https://example.com/a.git",
                "vcs_info": {"vcs": "git", "commit_id": "c0ffee", "requested_revision": "main"},
                "subdirectory": "packages/aml",
            },
            "git+https://example.com/a.git@c0ffee#subdirectory=packages/aml",
        ),
    ],
)
def test_where_it_came_from_is_what_an_installer_has_noted(
    monkeypatch: pytest.MonkeyPatch, noted: dict[str, object], origin: str
) -> None:
    monkeypatch.setattr(tools, "direct_url", lambda: noted)
    monkeypatch.setattr(tools, "checkout", lambda: None)
    assert (tools.origin(), tools.source()) == (origin, origin)
    assert tools.sibling("rehearsal") == origin.replace("packages/aml", "packages/rehearsal")
    assert tools.commit() == ("c0ffee" if "vcs_info" in noted else "")


def test_a_checkout_is_where_the_sources_lie() -> None:
    folder = tools.checkout()
    assert folder is not None
    assert (folder.name, tools.source()) == ("aml", str(folder))
    assert Path(tools.sibling("rehearsal"), "pyproject.toml").is_file()
    assert metadata.version(tools.DISTRIBUTION) in (folder / "pyproject.toml").read_text()
