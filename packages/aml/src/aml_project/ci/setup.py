"""What GitHub and Azure have to know of each other, so that jobs log in without a secret; with --yes, it is told them.

    aml ci setup --repository owner/name
    aml ci setup --repository owner/name --reviewer somebody --yes

Each environment of the repo has an app registration of its own, which trusts the jobs of that environment and no
others, and may do what a data scientist may, in this one workspace. Twice the same is once: what is there stays.
"""

from __future__ import annotations

import re
from collections import namedtuple

from aml_project.azure_cli import NOT_FOUND, call, reason, there
from aml_project.ci.subjects import (
    AUDIENCE,
    ENVIRONMENTS,
    ISSUER,
    REPOSITORY,
    app_name,
    asked_prefix,
    immutable,
    of_remote,
)
from aml_project.command_line import DONE, REFUSED, SERVICE_FAILED, WRONG_USE, Failure, Parser, Progress, note, run
from aml_project.names import WORKSPACE, check, option
from aml_project.project import find, known_names, models

TYPE_CHECKING = False  # typing's own costs its import
if TYPE_CHECKING:
    import argparse

VARIABLES = {  # of the repo, for all environments
    "AZURE_SUBSCRIPTION_ID": "subscription_id",
    "AZURE_RESOURCE_GROUP": "resource_group",
    "AZURE_ML_WORKSPACE": "workspace_name",
}
ROLE = "AzureML Data Scientist"  # runs, models, services; no computes, no keys, no other rights
GITHUB, DEVOPS = ".github/workflows/_model.yml", ".azure-pipelines/templates/model.yml"
# What has no lines: Azure DevOps makes identity, credential and connection in one, and only there.
OF_DEVOPS = """Azure DevOps makes its identities itself. For each of {environments}:
  1. Project settings, Service connections, New: Azure Resource Manager, app registration (automatic),
     workload identity federation. Resource group: {group}. Name: that of the environment.
     Do not tick "Grant access permission to all pipelines".
  2. Give the app registration that it shows its role, and take away the Contributor that it came with:
     az role assignment create --assignee APP_ID --role {role} --scope {scope}
     az role assignment delete --assignee APP_ID --role Contributor --scope {group_scope}
Then, once:
  3. Pipelines, Environments, New: {later}. Approvals and checks: Exclusive lock; who approves, for the last.
  4. az pipelines variable-group create --name azure-ml --variables {variables}
  5. {pipelines}
  6. In Azure Repos: Repositories, the repository, Policies of main, Build validation: each of these pipelines.
     Its Security: "Contribute to pull requests" for the project's build service, which comments there."""
PIPELINE = "az pipelines create --name {name} --yml-path .azure-pipelines/{name}.yml --skip-first-run"
ABOUT = """Print the lines that let this repo's jobs of GitHub into Azure ML; --yes runs them.

The subjects are those of the environments. None is of a branch: no job logs in without an environment."""
EXAMPLE = """  aml ci setup --repository owner/name
  aml ci setup --reviewer somebody --yes"""


class Step(namedtuple("Step", "title make sets show", defaults=("", ()))):
    """One thing that is made: the words that make it, the variable that gets what they answer, and the words that
    answer the same, or nothing, where somebody asks whether it is there. A variable stands in words as $NAME."""

    title: str
    make: tuple[str, ...]
    sets: str
    show: tuple[str, ...]
    __slots__ = ()


def main(argv: list[str] | None = None) -> int:
    known = known_names()
    parser = Parser(ABOUT, EXAMPLE)
    parser.add_argument("--repository", metavar="OWNER/NAME", help="on GitHub (default: that of git's remote, origin)")
    parser.add_argument("--branch", default="main", help="whose jobs alone may use the environments (default: main)")
    parser.add_argument("--reviewer", metavar="LOGIN", help="who approves what goes to production")
    parser.add_argument(
        "--ids", metavar="OWNER/REPOSITORY",
        help="the numbers of both, where GitHub names jobs by them (default: as gh says, where it is)",
    )  # fmt: skip
    for field in WORKSPACE:
        given = known.get(field) or None
        shown = (given or "none").replace("%", "%%")
        parser.add_argument(option(field), default=given, help=f"(default: {shown})")
    parser.add_argument("--model", help="(of no meaning here: what CI needs is the same for each)")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--print", "--dry-run", action="store_true", help="print the lines; so it is without --yes, too")
    what.add_argument("--yes", action="store_true", help="run the lines, one after the other, for what is not there")
    return run(act, parser, argv)


def act(args: argparse.Namespace) -> int:
    names = {field: getattr(args, field) or "" for field in WORKSPACE}
    check(names)
    root = find()
    by_hand = of_devops(names, models(root)) if root and (root / DEVOPS).is_file() else ""
    if by_hand and not (root and (root / GITHUB).is_file()):
        print(by_hand)
        if args.yes:
            note("--yes: nothing was run; these are done by hand")
        return DONE
    repository = args.repository or of_remote(root)
    refuse_wrong(repository, args)
    if args.yes:
        missing = [program for program in ("az", "gh") if not there(program)]
        if missing:
            raise Failure(f"{' and '.join(missing)}: not here; print the lines, and run them where both are", REFUSED)
    if by_hand:
        print(by_hand)
    prefix = immutable(repository, args.ids) if args.ids else asked_prefix(repository, sure=args.yes)
    steps = plan(names, repository, prefix, args.branch, args.reviewer)
    if args.yes:
        execute(steps)
    else:
        show(steps)
    if not args.reviewer:
        note("nobody is asked before production: --reviewer LOGIN names who is")
    print(f"{'' if args.yes else '# '}Next: push to {args.branch}; the subjects are {prefix}:environment:…")
    return DONE


def refuse_wrong(repository: str, args: argparse.Namespace) -> None:
    """Refuse what GitHub would not know, or would take for something else."""
    if not re.fullmatch(REPOSITORY, repository) or repository.endswith(".git"):
        raise Failure(f"--repository: OWNER/NAME as GitHub has it, not {repository!r}", WRONG_USE)
    if args.branch.startswith("refs/"):
        raise Failure(f"--branch: its name alone, as main, not {args.branch!r}", WRONG_USE)
    for given, rule, text in (("branch", r"[\w./-]+", args.branch), ("reviewer", r"[A-Za-z0-9-]+", args.reviewer)):
        if text is not None and not re.fullmatch(rule, text, re.ASCII):
            raise Failure(f"--{given}: none that GitHub has: {text!r}", WRONG_USE)
    if args.ids and not re.fullmatch(r"\d+/\d+", args.ids):
        raise Failure(f"--ids: two numbers, as in 1234/5678, not {args.ids!r}", WRONG_USE)


def scope_of(names: dict[str, str]) -> str:
    """The workspace, as roles name it."""
    return (
        f"/subscriptions/{names['subscription_id']}/resourceGroups/{names['resource_group']}"
        f"/providers/Microsoft.MachineLearningServices/workspaces/{names['workspace_name']}"
    )


def of_devops(names: dict[str, str], of: list[str]) -> str:
    """What is done by hand, once, each line of it a comment for the shell that takes the others."""
    scope = scope_of(names)
    told = OF_DEVOPS.format(
        environments=", ".join(ENVIRONMENTS), later=" and ".join(ENVIRONMENTS[1:]), group=names["resource_group"],
        role=quoted(ROLE), scope=quoted(scope), group_scope=quoted(scope.partition("/providers/")[0]),
        variables=" ".join(quoted(f"{name}={names[field]}") for name, field in VARIABLES.items()),
        pipelines="\n     ".join(PIPELINE.format(name=name) for name in [*of, "lint"]),
    )  # fmt: skip
    return "\n".join(f"# {line}" for line in told.splitlines())


def plan(names: dict[str, str], repository: str, prefix: str, branch: str, reviewer: str | None) -> list[Step]:
    """Everything that is made, in order."""
    account = ("--subscription", names["subscription_id"])
    scope = scope_of(names)
    tenant = ("az", "account", "show", *account, *query("tenantId"))
    steps = [Step("The tenant", tenant, "TENANT", tenant)]
    if reviewer:
        asked = ("gh", "api", f"users/{reviewer}", "--jq", ".id")
        steps.append(Step("Who approves", asked, "REVIEWER", asked))
    for environment in ENVIRONMENTS:
        approves = bool(reviewer) and environment == ENVIRONMENTS[-1]
        app, subject = app_name(repository, environment), f"{prefix}:environment:{environment}"
        steps += identity(app, environment, subject)
        steps += [
            Step(
                f"{environment}: the role, in this workspace alone",
                (
                    "az", "role", "assignment", "create", "--assignee-object-id", "$PRINCIPAL",
                    "--assignee-principal-type", "ServicePrincipal", "--role", ROLE, "--scope", scope, *query("id"),
                ),
                show=(
                    "az", "role", "assignment", "list", "--assignee", "$PRINCIPAL", "--role", ROLE, "--scope", scope,
                    *query("[0].id"),
                ),
            ),
            *on_github(repository, environment, branch, approves=approves),
        ]  # fmt: skip
    variables = {"AZURE_TENANT_ID": "$TENANT"} | {name: names[field] for name, field in VARIABLES.items()}
    return steps + [variable(repository, name, text) for name, text in variables.items()]


def identity(name: str, environment: str, subject: str) -> list[Step]:
    """The app registration of an environment: no password, and one subject that it trusts."""
    app, credential = ("az", "ad", "app"), ("az", "ad", "app", "federated-credential")
    trusted = f'{{"name": "{environment}", "issuer": "{ISSUER}", "subject": "{subject}", "audiences": ["{AUDIENCE}"]}}'
    return [
        Step(
            f"{environment}: the app registration, which has no password",
            (*app, "create", "--display-name", name, "--sign-in-audience", "AzureADMyOrg", *query("appId")),
            "APP",
            (*app, "list", "--display-name", name, *query(f"[?displayName=='{name}'].appId | [0]")),
        ),
        Step(
            f"{environment}: its service principal",
            ("az", "ad", "sp", "create", "--id", "$APP", *query("id")),
            "PRINCIPAL",
            ("az", "ad", "sp", "show", "--id", "$APP", *query("id")),
        ),
        Step(
            f"{environment}: the jobs that it trusts",
            (*credential, "create", "--id", "$APP", "--parameters", trusted, *query("name")),
            show=(*credential, "list", "--id", "$APP", *query(f"[?subject=='{subject}'].name | [0]")),
        ),
    ]


def on_github(repository: str, environment: str, branch: str, *, approves: bool) -> list[Step]:
    """The environment: for one branch, so that no other branch gets the login by naming it."""
    place = f"repos/{repository}/environments/{environment}"
    policies = f"{place}/deployment-branch-policies"
    policy = "deployment_branch_policy"
    rules = [f"{policy}[protected_branches]=false", f"{policy}[custom_branch_policies]=true"]
    if approves:
        rules += ["reviewers[][type]=User", "reviewers[][id]=$REVIEWER"]
    given = [word for rule in rules for word in ("-F", rule)]
    return [
        Step(
            f"{environment}: on GitHub{', with who approves' if approves else ''}",
            ("gh", "api", "--method", "PUT", place, *given, "--jq", ".name"),
            show=("gh", "api", place, "--jq", ".name"),
        ),
        Step(
            f"{environment}: for jobs of {branch} alone",
            ("gh", "api", "--method", "POST", policies, "-f", f"name={branch}", "--jq", ".name"),
            show=("gh", "api", policies, "--jq", f'.branch_policies[] | select(.name == "{branch}") | .name'),
        ),
        variable(repository, "AZURE_CLIENT_ID", "$APP", environment),
    ]


def variable(repository: str, name: str, text: str, environment: str = "") -> Step:
    """A variable of GitHub's; none of them is a secret. To set it again does no harm."""
    where = ("--env", environment) if environment else ()
    title = f"{environment}: its {name}" if environment else name
    return Step(title, ("gh", "variable", "set", name, "--repo", repository, *where, "--body", text))


def query(what: str) -> tuple[str, ...]:
    return ("--query", what, "--output", "tsv")


def show(steps: list[Step]) -> None:
    """Print the lines so that a shell takes them as they are."""
    print("# Printed, not run: paste them in this order, or let --yes run them, which leaves alone what is there.")
    for step in steps:
        line = " ".join(map(quoted, step.make))
        print(f"# {step.title}\n{f'{step.sets}=$({line})' if step.sets else line}")


def quoted(word: str) -> str:
    import shlex

    return f'"{word}"' if "$" in word else shlex.quote(word)


def execute(steps: list[Step]) -> None:
    """Make what is missing; stop at the first thing that can't be made."""
    values: dict[str, str] = {}
    for step in steps:
        try:
            with Progress(step.title):
                new, answer = make(step, values)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"Interrupted at: {step.title}. The same command again goes on.") from None
        if step.sets:
            values[step.sets] = answer
        print(f"{step.title}: {'done' if new else 'is there, nothing was changed'}", flush=True)


def make(step: Step, values: dict[str, str]) -> tuple[bool, str]:
    """Make a thing, unless it is there; return whether it was made, and what its words answered."""

    def words(of: tuple[str, ...]) -> list[str]:
        return [re.sub(r"\$([A-Z]+)", lambda found: values[found[1]], word) for word in of]

    if step.show:
        code, answer, said = call(words(step.show))
        if code == 0 and answer:
            return False, answer
        if code not in (0, NOT_FOUND) and "HTTP 404" not in said:
            raise failed(step, said)
    code, answer, said = call(words(step.make))
    if code or (step.sets and not answer):
        raise failed(step, said)
    return True, answer


def failed(step: Step, said: str) -> Failure:
    what = "what came before it is there; the same command again goes on"
    return Failure(f"{step.title}: {reason(said)} ({what})", SERVICE_FAILED)
