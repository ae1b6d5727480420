"""Register the model of the last run, if it is good enough.

    .venv/.tools/bin/python scripts/register_model.py --tag by=me

`make register` does the same with rules that it is given. Here yours stand.
"""

import sys
from argparse import ArgumentParser, Namespace

from aml_project import Project, command  # of .venv/.tools, which make setup makes

LEAST = 0.7  # what a run has to reach in its model's metric, accuracy, r2 or dice, whoever registers it
TAGS = ["stage=test"]


def options(parser: ArgumentParser) -> None:
    parser.add_argument("-n", "--name", help="what it is registered as (default: the model's name)")
    parser.add_argument("--require", action="append", default=[], metavar="METRIC>=NUMBER", help="one more rule")
    parser.add_argument("--tag", action="append", default=[], metavar="KEY=VALUE", help="one more tag")


@command("Register the model of the last run, if it is good enough.", options)
def main(args: Namespace) -> None:
    model = Project.here().model(args.model)
    version = model.register(
        model.last_run(),
        name=args.name,
        require=[f"{model.metric}>={LEAST}", *args.require],
        better_than_current=model.metric,  # than the newest version; None: than nothing
        tags=TAGS + args.tag,
    )
    print(version)


if __name__ == "__main__":
    sys.exit(main())
