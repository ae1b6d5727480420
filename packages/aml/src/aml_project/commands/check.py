"""Check what a run would be made of, before anything is sent: the runconfigs, the script, the files that go with it.

The client ignores a key that it does not know and believes a text like 'false'; here each of these is a line.
"""

from __future__ import annotations

import argparse
import contextlib

from aml_project import command_line
from aml_project.project import root

TYPE_CHECKING = False  # typing's own costs its import
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

EXAMPLE = """  aml check --model model1
  aml check --ci
  aml check --offline"""


def main(argv: list[str] | None = None) -> int:
    parser = command_line.Parser(__doc__.partition("\n")[0], EXAMPLE)
    parser.add_argument("--model", help="a folder of models/ (default: each of them)")
    parser.add_argument("-c", "--config", help="one runconfig of its aml_config/ (default: each of them)")
    ci = parser.add_argument_group("of what would stop CI: subjects, login, role, quota, names")
    asks = ci.add_mutually_exclusive_group()
    asks.add_argument(
        "--ci", action="store_true", help="ask for as long as it takes (default: two seconds, where the repo has CI)"
    )
    asks.add_argument("--offline", action="store_true", help="do not ask")
    return command_line.run(act, parser, argv)


def act(args: argparse.Namespace) -> int:
    here = root()
    models = sorted(path.name for path in (here / "models").glob("*") if path.is_dir())  # also one without runconfigs
    if not models:
        raise command_line.Failure("models/: no model here", command_line.WRONG_USE)
    if args.model is not None and args.model not in models:
        raise command_line.Failure(
            f"--model: no such model: {args.model}; models here: {', '.join(models)}", command_line.WRONG_USE
        )
    if args.config and args.model is None and len(models) > 1:
        raise command_line.Failure("--config: say of which --model", command_line.WRONG_USE)

    from aml_project import ages
    from aml_project.checks import pipeline_rules
    from aml_project.checks.older_template import leftovers
    from aml_project.checks.project_check import examine

    for line in leftovers(here):
        command_line.note(line)
    meant = models if args.model is None else [args.model]
    with asking(here, meant, args) as told:
        findings, summary = examine(here, meant, args.config)
        more, notes = told()
    if differing := ages.differing(here, models):
        command_line.note(differing)
    for model in meant if args.config is None else ():
        for line in pipeline_rules.notes(here / "models" / model):
            command_line.note(f"models/{model}/{line}")
    for line in notes:
        command_line.note(line)
    findings = findings + more
    for finding in findings:
        print(finding)
    if findings:
        return command_line.REFUSED
    print(summary)
    return command_line.DONE


@contextlib.contextmanager
def asking(
    here: Path, models: list[str], args: argparse.Namespace
) -> Iterator[Callable[[], tuple[list[str], list[str]]]]:
    """Have asked, while something else is checked, what would stop CI; what is yielded tells the answers."""
    from aml_project.ci import proposal

    if args.ci:
        from aml_project.ci import checks

        yield lambda: checks.examine(here, models)
    elif args.offline or args.config or not proposal.here(here):
        yield lambda: ([], [])
    else:
        from aml_project import tools
        from aml_project.ci.beforehand import Asking

        tools.bring_azure()  # for two processes, of which one brings it
        with Asking(here, models) as asked:
            yield asked.told
