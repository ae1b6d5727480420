"""aml workspace: the lines that it prints, the names in them, and with an az of ours how --yes goes through them."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aml_project import names
from aml_project.azure_cli import reason
from aml_project.commands.workspace import (
    TEMPLATE,
    Step,
    attach_line,
    container_name,
    key_vault_name,
    plan,
    storage_account_name,
)
from tests.aml import aml, start
from tests.conftest import Bake
from tests.owner import make_finds_tools, wait_for
from tests.support import WORKSPACE, copy_of, files_of

STEPS = ["group create", "storage account create", "storage container-rm create", "deployment group create"]
SHOWS = ["group show", "storage account show", "storage container-rm show", "resource show"]
# An az that notes what it is called with, says what it is told to, and knows what has been made.
AZ = f"""#!{sys.executable}
import json, os, sys, time
words, folder = sys.argv[1:], os.path.dirname(os.path.abspath(__file__))
with open(f"{{folder}}/calls", "a") as calls:
    print(json.dumps(words), file=calls)
orders = json.load(open(f"{{folder}}/orders"))
for prefix, (code, said) in orders.items():
    if " ".join(words).startswith(prefix):
        if code == "sleep":
            time.sleep(60)
        print(said, file=sys.stderr)
        sys.exit(code)
"""
MISSING = dict.fromkeys(SHOWS, (3, "ERROR: (ResourceNotFound) not there"))


class Az:
    """The fake az of a test, alone on PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        (folder / "az").write_text(AZ)
        (folder / "az").chmod(0o755)
        self.obey({})

    def obey(self, orders: dict[str, Any]) -> None:
        (self.folder / "orders").write_text(json.dumps(orders))
        (self.folder / "calls").unlink(missing_ok=True)

    def calls(self) -> list[list[str]]:
        file = self.folder / "calls"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def made(self) -> list[str]:
        lines = [" ".join(words) for words in self.calls()]
        return [step for line in lines for step in STEPS if line.startswith(step)]


@pytest.fixture
def az(tmp_path: Path) -> Az:
    return Az(tmp_path / "az-bin")


def lines_of(text: str) -> list[list[str]]:
    """The commands of a printed text, as a shell would take them."""
    return [words for words in (shlex.split(line, comments=True) for line in text.splitlines()) if words]


def printed(project: Path, *args: str, **env: str) -> list[list[str]]:
    code, out, err = aml(project, "workspace", "--location=westeurope", *args, **env)
    assert (code, err) == (0, "")
    return lines_of(out)


def value(words: list[str], option: str) -> str:
    return words[words.index(option) + 1]


def test_the_lines_are_printed_in_order_and_nothing_else_happens(project: Path, az: Az, no_client: None) -> None:
    before = files_of(project)
    lines = printed(project, PATH=str(az.folder))
    assert printed(project, "--print") == lines == printed(project, "--dry-run")
    assert len(lines) == 5
    for words, step in zip(lines, STEPS, strict=False):
        assert " ".join(words).startswith(f"az {step} ")
    group, account, container, workspace, attach = lines
    assert {value(words, "--subscription") for words in lines[:4]} == {WORKSPACE["subscription_id"]}
    assert value(group, "--name") == "my-group"
    assert value(group, "--location") == value(account, "--location") == "westeurope"
    assert value(container, "--storage-account") == value(account, "--name")
    assert value(container, "--name") == "my-aml-project"
    for option, wanted in {
        "--allow-blob-public-access": "false", "--https-only": "true", "--min-tls-version": "TLS1_2",
        "--access-tier": "Hot", "--sku": "Standard_LRS",
    }.items():  # fmt: skip
        assert value(account, option) == wanted
    assert value(container, "--public-access") == "off"
    given = dict(word.split("=", 1) for word in workspace[workspace.index("--parameters") + 1 :])
    assert given["workspaceName"] == "my-workspace"
    assert given["storageAccount"] == value(account, "--name")
    assert (project / value(workspace, "--template-file")).is_file()
    assert attach[:2] == ["make", "attach"]
    assert az.calls() == []
    assert files_of(project) == before


def test_what_is_given_is_what_is_made(project: Path) -> None:
    options = ("--storage-account=mine123", "--container=my-data", "--sku=Standard_ZRS", "--workspace-name=other")
    _, account, container, workspace, attach = printed(project, *options)
    assert (value(account, "--name"), value(account, "--sku")) == ("mine123", "Standard_ZRS")
    assert (value(container, "--name"), value(container, "--storage-account")) == ("my-data", "mine123")
    assert "workspaceName=other" in workspace and "storageAccount=mine123" in workspace
    assert "--workspace-name other" in attach[2]
    location = aml(project, "workspace", "--location", "West Europe")[1]
    assert value(lines_of(location)[0], "--location") == "westeurope"


@pytest.mark.parametrize(
    ("args", "named"),
    [
        ([], "give --location"),
        (["--location", "west europe; rm -rf ."], "--location: an Azure region"),
        (["--location", "westeurope", "--subscription-id", "x"], "--subscription-id: a GUID, not 'x'"),
        (["--location", "westeurope", "--resource-group", "$(touch x)"], "--resource-group: 1 to 90 letters"),
        (["--location", "westeurope", "--workspace-name", "'; az group delete"], "--workspace-name: 3 to 33"),
        (["--location", "westeurope", "--storage-account", "My-Account"], "--storage-account: 3 to 24 of a-z and 0-9"),
        (["--location", "westeurope", "--storage-account", ""], "give --storage-account"),
        (["--location", "westeurope", "--container", "a--b"], "--container: 3 to 63 of a-z"),
        (["--location", "westeurope", "--sku", "Premium_LRS"], "--sku: invalid choice: 'Premium_LRS'"),
        (["--location", "westeurope", "--print", "--yes"], "--yes: not allowed with argument --print"),
    ],
)
def test_wrong_use_gets_one_line(project: Path, az: Az, args: list[str], named: str) -> None:
    code, out, err = aml(project, "workspace", *args, PATH=str(az.folder))
    assert (code, out) == (2, "")
    assert err.startswith("ERROR: ")
    assert err.count("\n") == 1
    assert named in err
    assert az.calls() == []


def test_all_that_is_missing_or_wrong_is_named_at_once(bake: Bake, tmp_path: Path) -> None:
    project = copy_of(bake(), tmp_path)  # attached to nothing
    err = aml(project, "workspace")[2]
    assert err == "ERROR: give --subscription-id and --resource-group and --workspace-name and --location\n"
    names_ = ("--subscription-id=x", "--resource-group=g", "--workspace-name=-", "--location=westeurope")
    assert aml(project, "workspace", *names_)[2].count("ERROR: ") == 2


def matching(pattern: str) -> st.SearchStrategy[str]:
    return st.from_regex(pattern, fullmatch=True)


ANSWERS = st.fixed_dictionaries(
    {field: matching(names.RULES[field][0]) for field in (*names.WORKSPACE, "location", "storage_account")}
)


@given(ANSWERS, st.text(max_size=80))
@example(dict.fromkeys(names.WORKSPACE, "0__") | {"location": "we1", "storage_account": "abc"}, "")
@example(dict.fromkeys(names.WORKSPACE, "A" * 33) | {"location": "we1", "storage_account": "abc"}, "É-é")
@example(dict.fromkeys(names.WORKSPACE, "a(b)c") | {"location": "we1", "storage_account": "abc"}, "a" * 62 + "-b")
@example(dict.fromkeys(names.WORKSPACE, "x") | {"location": "we1", "storage_account": "abc"}, "7")
def test_any_answers_give_names_that_azure_takes(answers: dict[str, str], slug: str) -> None:
    made = {
        "storage_account": storage_account_name(answers),
        "key_vault": key_vault_name(answers),
        "container": container_name(slug),
    }
    for field, name in made.items():
        assert re.fullmatch(names.RULES[field][0], name), (field, name)
    # What Microsoft documents of each, in other words than the rules of ours.
    account, vault, container = made.values()
    assert 3 <= len(account) <= 24 and account.isascii() and account.isalnum() and account == account.lower()
    assert 3 <= len(vault) <= 24 and vault[0].isalpha() and vault.isascii() and vault.isalnum()
    assert 3 <= len(container) <= 63 and container == container.lower() and container.isascii()
    assert "--" not in container and container[0] != "-" != container[-1]
    assert container.replace("-", "").isalnum()


@given(ANSWERS, ANSWERS)
def test_the_names_are_the_workspaces_own(one: dict[str, str], other: dict[str, str]) -> None:
    """The same workspace has the same names, however it is spelled; another one has other names."""
    shouted = {field: text.upper() if text.isascii() else text for field, text in one.items()}
    assert storage_account_name(one) == storage_account_name(shouted)
    for field in names.WORKSPACE:
        changed = one | {field: other[field]}
        if changed[field].lower() != one[field].lower():
            assert storage_account_name(changed) != storage_account_name(one)
            assert key_vault_name(changed) != key_vault_name(one)


HOSTILE = st.text(alphabet=st.sampled_from("a'\"$`\\ ;|&()<>*?~#!\n{}[]-é"), max_size=12)


@given(st.fixed_dictionaries(dict.fromkeys((*names.WORKSPACE, "location", "storage_account", "container"), HOSTILE)))
def test_no_name_gets_out_of_its_quotes(texts: dict[str, str]) -> None:
    """The rules would refuse most of these; should one come through, it still is one word of one command."""
    steps: list[Step] = plan(texts | {"key_vault": texts["storage_account"]}, "Standard_LRS")
    for step in steps:
        assert shlex.split(shlex.join(step.make)) == step.make
    outer = shlex.split(attach_line(texts))
    assert outer[:2] == ["make", "attach"] and len(outer) == 3
    inner = shlex.split(outer[2].removeprefix("ARGS="))
    assert inner == [word for field in names.WORKSPACE for word in (names.option(field), texts[field])]


@pytest.mark.parametrize("group", ["my-group", "a(b)c", "grün-é", "-_-"])
def test_a_real_shell_takes_the_printed_lines_as_they_are(project: Path, az: Az, tmp_path: Path, group: str) -> None:
    """sh runs the whole text: az and make get the words that the lists hold."""
    text = aml(project, "workspace", "--location=westeurope", f"--resource-group={group}")[1]
    shutil.copy(az.folder / "az", az.folder / "make")
    done = subprocess.run(
        ["sh", "-e"], input=text, cwd=project, env={"PATH": f"{az.folder}:/usr/bin:/bin"}, text=True, check=True,
        capture_output=True,
    )  # fmt: skip
    assert done.stdout == ""
    assert az.calls() == [words[1:] for words in lines_of(text)]
    assert value(az.calls()[0], "--name") == group


def test_make_hands_the_three_names_on_as_they_are(project: Path) -> None:
    """The last line, with the real make: two shells read it, one after the other."""
    make_finds_tools(project)
    lines = aml(project, "workspace", "--location=westeurope", "--resource-group=a(b)c")[1].splitlines()
    [line] = [line for line in lines if line.startswith("make attach")]
    subprocess.run(["sh", "-ec", line], cwd=project, check=True, capture_output=True)
    attached = json.loads((project / ".azureml" / "config.json").read_text())
    assert (attached["resource_group"], attached["workspace_name"]) == ("a(b)c", "my-workspace")


def test_yes_makes_what_is_missing_in_order(project: Path, az: Az, no_client: None) -> None:
    path = str(az.folder)
    az.obey(MISSING)
    code, out, err = aml(project, "workspace", "--location=westeurope", "--yes", PATH=path)
    assert (code, err) == (0, "")
    titles = ("Resource group", "Storage account", "Container", "Workspace")
    assert out.splitlines()[:4] == [f"{title}: made" for title in titles]
    assert "make attach ARGS='--subscription-id " in out
    assert "make compute, make dataset" in out
    assert az.made() == STEPS
    assert az.calls()[0][:2] == ["account", "show"]
    made = [words for words in az.calls() if any(" ".join(words).startswith(step) for step in STEPS)]
    assert made == [[*words[1:], "--output", "none"] for words in printed(project)[:4]], (
        "what is run is what is printed"
    )

    az.obey({})  # now all of it is there
    code, out, _ = aml(project, "workspace", "--location=westeurope", "--yes", PATH=path)
    assert (code, az.made()) == (0, [])
    assert out.splitlines()[:4] == [f"{title}: is there already, nothing was changed" for title in titles]


@pytest.mark.parametrize("number", range(4))
def test_yes_stops_at_the_first_that_fails(project: Path, az: Az, number: int) -> None:
    az.obey({STEPS[number]: (1, "WARNING: a\nERROR: (QuotaExceeded) No.\nCode: QuotaExceeded\nMessage: No.")} | MISSING)
    code, out, err = aml(project, "workspace", "--location=westeurope", "--yes", PATH=str(az.folder))
    assert code == 3
    assert out.count(": made\n") == number
    assert az.made() == STEPS[: number + 1]
    assert err.count("\n") == 1
    assert ": (QuotaExceeded) No (what came before it is there; the same command again goes on)" in err


def test_trouble_with_looking_is_no_reason_to_make_it(project: Path, az: Az) -> None:
    az.obey({"resource show": (1, "ERROR: (AuthorizationFailed) You may not.")} | {s: MISSING[s] for s in SHOWS[:3]})
    code, _, err = aml(project, "workspace", "--location=westeurope", "--yes", PATH=str(az.folder))
    assert (code, az.made()) == (3, STEPS[:3])
    assert err.startswith("ERROR: workspace: (AuthorizationFailed) You may not")


def test_az_is_missing_or_nobody_is_logged_in(project: Path, az: Az, tmp_path: Path) -> None:
    yes = ("--location=westeurope", "--yes")
    assert aml(project, "workspace", *yes, PATH=str(tmp_path / "empty")) == (
        1, "", "ERROR: az is not here: install the Azure CLI, or print the lines and run them where it is\n",
    )  # fmt: skip
    for said, told in {
        "ERROR: Please run 'az login' to setup account.": "not logged in, or with another login: `az login`",
        "ERROR: Subscription 'x' not found. Check the spelling.": "Subscription 'x' not found. Check the spelling",
        "": "it failed and said nothing",
    }.items():
        az.obey({"account show": (1, said)})
        assert aml(project, "workspace", *yes, PATH=str(az.folder)) == (3, "", f"ERROR: {told}\n")
        assert az.made() == []


def test_ctrl_c_is_one_line(project: Path, az: Az) -> None:
    az.obey({"storage account create": ("sleep", "")} | MISSING)
    process = start(project, "workspace", "--location=westeurope", "--yes", PATH=str(az.folder))
    wait_for(lambda: len(az.made()) == 2, process)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "Resource group: made\n")
    assert err.splitlines()[-1] == "Interrupted at: Storage account. The same command again goes on."
    assert "Traceback" not in err


def test_of_az_failures_the_innermost_message_is_told() -> None:
    inner = {"code": "Conflict", "message": "The vault is soft-deleted."}
    said = f"ERROR: {json.dumps({'message': 'Please list operations.', 'details': [inner]})}"
    assert reason(said) == "The vault is soft-deleted"
    assert reason("WARNING: x\nERROR: The location is wrong.\nMore.\n") == "The location is wrong"
    assert reason("Traceback\n\nBoom") == "Boom"
    assert len(reason("ERROR: " + "x" * 5000)) < 400


def test_the_template_asks_for_what_it_is_given() -> None:
    """Parameters and resources of the file belong together, and to the line that deploys it."""
    template = json.loads(TEMPLATE.read_text())
    text = json.dumps(template["resources"]) + json.dumps(template["variables"])
    assert set(re.findall(r"parameters\('(\w+)'\)", text)) == set(template["parameters"])
    assert set(re.findall(r"variables\('(\w+)'\)", text)) == set(template["variables"])
    texts = dict.fromkeys(("location", "storage_account", "container", "key_vault", *names.WORKSPACE), "x")
    deploy = plan(texts, "Standard_LRS")[-1].make
    given = [word.split("=")[0] for word in deploy[deploy.index("--parameters") + 1 :]]
    assert sorted(given) == sorted(template["parameters"])
    types = [resource["type"] for resource in template["resources"]]
    assert types == [
        "Microsoft.KeyVault/vaults", "Microsoft.Insights/components", "Microsoft.MachineLearningServices/workspaces",
    ]  # fmt: skip
    workspace = template["resources"][-1]
    assert set(workspace["properties"]) == {"friendlyName", "storageAccount", "keyVault", "applicationInsights"}
    assert "secret" not in text.lower()
