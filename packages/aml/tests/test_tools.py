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
    monkeypatch.setattr(tools, "requirements", lambda _: ["packaging", "no-such-package==1"])
    return words


def test_what_is_here_is_not_installed_again(asked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "requirements", lambda _: ["packaging>=20", "PyYAML"])
    tools.bring_azure()
    assert not asked.exists()


@pytest.mark.parametrize("package", ["no-such-package", "packaging<1"])
def test_what_is_missing_or_of_another_version_is_installed_where_this_runs(
    asked: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], package: str
) -> None:
    monkeypatch.setattr(tools, "requirements", lambda _: ["PyYAML", package])
    tools.bring_azure()
    words = ["pip", "install", "--quiet", "--python", sys.executable, "PyYAML", package]
    assert asked.read_text().splitlines() == words
    assert capsys.readouterr() == ("", "Installing what talks to Azure ML, once\n")


def test_the_packages_of_an_extra_are_those_of_this_python_alone() -> None:
    names = [Requirement(text).name for text in tools.requirements("azure")]
    assert {"azureml-core", "azure-storage-blob"} <= set(names)
    assert ("setuptools" in names) == (sys.version_info >= (3, 12))
    assert "pyyaml" not in names, "what every verb needs is here already"
    assert "nbconvert" in [Requirement(text).name for text in tools.requirements("notebooks")]
    assert tools.requirements("no-such-extra") == []


@pytest.mark.parametrize(
    ("owner", "name", "value"), [(sys, "prefix", sys.base_prefix), (tools, "find_uv", lambda: None)]
)
def test_where_nothing_can_be_brought_it_is_one_line(
    asked: Path, monkeypatch: pytest.MonkeyPatch, owner: object, name: str, value: object
) -> None:
    monkeypatch.setattr(owner, name, value)
    with pytest.raises(Failure, match=r"^what talks to Azure ML is not in this Python, .*: call this command by make$"):
        tools.bring_azure()
    assert not asked.exists()


def test_what_uv_says_is_in_the_line(asked: Path) -> None:
    asked.with_name("fails").write_text("error: no\n  network\n")
    with pytest.raises(Failure, match=r"^what talks to Azure ML could not be installed: error: no network$") as refused:
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
    assert tools.origin() == origin
    assert tools.source("notebooks") == ["--with", f"aml-project[notebooks] @ {origin}"]
    assert tools.commit() == ("c0ffee" if "vcs_info" in noted else "")


def test_a_checkout_is_where_the_sources_lie() -> None:
    folder = tools.checkout()
    assert folder is not None
    assert tools.source("") == ["--with-editable", str(folder)]
    assert Path(tools.sibling("rehearsal"), "pyproject.toml").is_file()
    assert metadata.version(tools.DISTRIBUTION) in (folder / "pyproject.toml").read_text()
