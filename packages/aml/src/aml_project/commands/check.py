"""Check what a run would be made of, before anything is sent: the runconfigs, the script, the files that go with it.

The client ignores a key that it does not know and believes a text like 'false'; here each of these is a line.
"""

from __future__ import annotations

import argparse

from aml_project import command_line
from aml_project.project import root

EXAMPLE = """  aml check --model model1
  aml check --ci"""


def main(argv: list[str] | None = None) -> int:
    parser = command_line.Parser(__doc__.partition("\n")[0], EXAMPLE)
    parser.add_argument("--model", help="a folder of models/ (default: each of them)")
    parser.add_argument("-c", "--config", help="one runconfig of its aml_config/ (default: each of them)")
    parser.add_argument(
        "--ci", action="store_true", help="ask the workspace as well what would stop CI: login, role, quota, names"
    )
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
    findings, summary = examine(here, meant, args.config)
    if differing := ages.differing(here, models):
        command_line.note(differing)
    for model in meant if args.config is None else ():
        for line in pipeline_rules.notes(here / "models" / model):
            command_line.note(f"models/{model}/{line}")
    if args.ci:
        from aml_project.ci import checks

        findings = findings + checks.examine(here, meant)
    for finding in findings:
        print(finding)
    if findings:
        return command_line.REFUSED
    print(summary)
    return command_line.DONE
