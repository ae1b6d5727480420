"""Register the model of the last run, if it is good enough.

    .venv/.tools/bin/python scripts/register_model.py --require 'accuracy>=0.8'

`make register` does the same with rules that it is given. Here yours stand.
"""

import sys
from argparse import ArgumentParser, Namespace

from aml_project import Project, command  # of .venv/.tools, which make setup makes

REQUIRE = ["accuracy>=0.7"]  # what a run has to keep, whoever registers it
BETTER = "accuracy"  # in what it has to beat the newest version; None: in nothing
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
        require=REQUIRE + args.require,
        better_than_current=BETTER,
        tags=TAGS + args.tag,
    )
    print(version)


if __name__ == "__main__":
    sys.exit(main())
