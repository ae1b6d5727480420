"""Print the Azure CLI's lines that make a workspace and what it stands on; with --yes, run them.

    aml workspace --resource-group my-group --workspace-name my-workspace --location westeurope

Resource group, storage account, container for the data, workspace: in this order, with names that Azure takes. Only
commands that az has by itself: neither generation's extension is needed, and it does not matter which is installed.
Twice the same is once: what is there stays.
"""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path

from aml_project.azure_cli import NOT_FOUND, call, reason
from aml_project.command_line import DONE, REFUSED, SERVICE_FAILED, Failure, Parser, Progress, run
from aml_project.names import WORKSPACE, check, option
from aml_project.project import find, known_names

TEMPLATE = Path(__file__).with_name("workspace.template.json")
API_VERSION = "2022-10-01"  # of the workspace, as in the template
SKUS = ("Standard_LRS", "Standard_ZRS", "Standard_GRS", "Standard_GZRS")
EXAMPLE = """  aml workspace --subscription-id 12345678-1234-1234-1234-123456789abc \\
      --resource-group my-group --workspace-name my-workspace --location westeurope
  aml workspace --location westeurope --yes"""


def main(argv: list[str] | None = None) -> int:
    known = known_names()
    parser = Parser(
        "Print the Azure CLI's lines that make a workspace and what it stands on; --yes runs them.", EXAMPLE
    )
    for field in WORKSPACE:
        given = known.get(field) or None
        shown = (given or "none").replace("%", "%%")
        parser.add_argument(option(field), default=given, help=f"(default: {shown})")
    parser.add_argument(
        "--location", help="the Azure region, as in westeurope: where the data will lie, and at what price (no default)"
    )
    parser.add_argument("--storage-account", metavar="NAME", help="(default: made from the workspace's three names)")
    parser.add_argument(
        "--container", metavar="NAME", default=container_name(known.get("project_slug") or (find() or Path.cwd()).name),
        help="for the data (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--sku", choices=SKUS, default=SKUS[0], help="how often the storage keeps its data (default: %(default)s)"
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--print", "--dry-run", action="store_true", help="print the lines; so it is without --yes, too")
    what.add_argument(
        "--yes", action="store_true", help="run the lines, each after the one before it, for what is not there yet"
    )
    return run(create, parser, argv)


def create(args: argparse.Namespace) -> int:
    names: dict[str, str] = {field: getattr(args, field) or "" for field in WORKSPACE}
    names["location"] = "".join((args.location or "").split()).lower()  # az itself takes "West Europe", too
    names["container"] = args.container
    check(names | ({} if args.storage_account is None else {"storage_account": args.storage_account}))
    names["storage_account"] = args.storage_account or storage_account_name(names)
    names["key_vault"] = key_vault_name(names)
    steps = plan(names, args.sku)
    if args.yes:
        execute(steps, names)
    else:
        print_lines(steps)
    print(f"{'Next' if args.yes else '# Then, in the folder of this repo'}:\n{attach_line(names)}")
    own = f"--account {names['storage_account']} --container {names['container']}"
    print(f'{"and then" if args.yes else "# And then"}: make compute, make dataset ARGS="{own}"')
    return DONE


class Step:
    """One thing that is made: the words of az that make it, and those that fail where it is not there yet."""

    def __init__(self, title: str, make: list[str], show: list[str]) -> None:
        self.title, self.make, self.show = title, make, show


def plan(names: dict[str, str], sku: str) -> list[Step]:
    """Return what has to be there, in order."""
    account = ["--subscription", names["subscription_id"]]
    group = ["--resource-group", names["resource_group"], *account]
    container = ["az", "storage", "container-rm"]
    in_account = ["--name", names["container"], "--storage-account", names["storage_account"], *group]
    scope = (
        f"/subscriptions/{names['subscription_id']}/resourceGroups/{names['resource_group']}"
        f"/providers/Microsoft.MachineLearningServices/workspaces/{names['workspace_name']}"
    )
    return [
        Step(
            "Resource group",
            ["az", "group", "create", "--name", names["resource_group"], "--location", names["location"], *account],
            ["az", "group", "show", "--name", names["resource_group"], *account],
        ),
        Step(  # open to a login or a key only, by TLS 1.2 and newer only
            "Storage account",
            [
                "az", "storage", "account", "create", "--name", names["storage_account"], *group,
                "--location", names["location"], "--kind", "StorageV2", "--sku", sku, "--access-tier", "Hot",
                "--https-only", "true", "--min-tls-version", "TLS1_2", "--allow-blob-public-access", "false",
            ],
            ["az", "storage", "account", "show", "--name", names["storage_account"], *group],
        ),
        Step(  # by the resource manager: its maker has no right to the account's data yet, and this needs no key
            "Container",
            [*container, "create", *in_account, "--public-access", "off"],
            [*container, "show", *in_account],
        ),
        Step(
            "Workspace",
            [
                "az", "deployment", "group", "create", "--name", f"workspace-{names['workspace_name']}", *group,
                "--template-file", os.path.relpath(TEMPLATE),
                "--parameters", f"workspaceName={names['workspace_name']}",
                f"storageAccount={names['storage_account']}", f"keyVault={names['key_vault']}",
                f"location={names['location']}",
            ],
            ["az", "resource", "show", "--ids", scope, "--api-version", API_VERSION],
        ),
    ]  # fmt: skip


def print_lines(steps: list[Step]) -> None:
    """Print the commands so that a shell takes them as they are, whatever the names hold."""
    import shlex

    print("# Printed, not run: paste them one by one, or let --yes run them, which leaves alone what is there.")
    for step in steps:
        once = ", with its key vault and its log; once: run again, it resets who may read the vault"
        print(f"# {step.title}{once if step.title == 'Workspace' else ''}\n{shlex.join(step.make)}")


def attach_line(names: dict[str, str]) -> str:
    """Return the line that attaches; make hands what is in ARGS to a shell, so it is quoted for that one as well."""
    import shlex

    args = shlex.join([word for field in WORKSPACE for word in (option(field), names[field])])
    return f"make attach ARGS={shlex.quote(args)}"


def execute(steps: list[Step], names: dict[str, str]) -> None:
    """Make what is missing; stop at the first thing that can't be made."""
    import shutil

    if not shutil.which("az"):
        raise Failure("az is not here: install the Azure CLI, or print the lines and run them where it is", REFUSED)
    with Progress("Asking az for its login"):
        code, said = quietly(["az", "account", "show", "--subscription", names["subscription_id"]])
    if code:
        raise Failure(reason(said), SERVICE_FAILED)
    for step in steps:
        try:
            with Progress(f"{step.title}: waiting for Azure"):
                made = make(step)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"Interrupted at: {step.title}. The same command again goes on.") from None
        print(f"{step.title}: {'made' if made else 'is there already, nothing was changed'}", flush=True)


def quietly(words: list[str]) -> tuple[int, str]:
    """Call az; return how it ended, and what it said of that."""
    code, _, said = call([*words, "--output", "none"])
    return code, said


def make(step: Step) -> bool:
    """Make a thing, unless it is there: making it again would reset what its owner has set since."""
    code, said = quietly(step.show)
    if code == 0:
        return False
    if code == NOT_FOUND:
        code, said = quietly(step.make)
    if code:
        what = "what came before it is there; the same command again goes on"
        raise Failure(f"{step.title.lower()}: {reason(said)} ({what})", SERVICE_FAILED)
    return True


def storage_account_name(names: dict[str, str]) -> str:
    """Return a name that nobody else has, always the same for the same workspace."""
    return stem(names, 14) + fingerprint(names)


def key_vault_name(names: dict[str, str]) -> str:
    return f"kv{stem(names, 12)}{fingerprint(names)}"


def stem(names: dict[str, str], length: int) -> str:
    return re.sub(r"[^a-z0-9]", "", names["workspace_name"].lower())[:length]


def fingerprint(names: dict[str, str]) -> str:
    """Return ten digits that differ where the names do; it is no secret, and hashlib's import would take too long."""
    whole = "/".join(names[field].lower() for field in WORKSPACE)
    return f"{int.from_bytes(whole.encode(), 'big') % (2**40 - 87):010x}"


def container_name(text: str) -> str:
    """Make a container's name out of a project's."""
    name = re.sub(r"[^a-z0-9]+", "-", text.lower())[:63].strip("-")
    return name if len(name) >= 3 else f"{name}-data".strip("-")
