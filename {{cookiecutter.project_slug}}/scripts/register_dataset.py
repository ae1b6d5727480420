"""Upload data/NAME/ and register it, if it has changed, as the next version of the dataset that the runs read.

    .venv/.tools/bin/python scripts/register_dataset.py

`make dataset` does the same. Here is the place for what comes before: a query, a download, a check of the columns.
"""

import sys
from argparse import ArgumentParser, Namespace

from aml_project import Failure, Project, command  # of .venv/.tools, which make setup makes

FOLDER = "data"
DESCRIPTION = "What the models of this repo are trained on"


def options(parser: ArgumentParser) -> None:
    parser.add_argument("-n", "--name", help="of the dataset (default: the one that the runconfigs read)")


@command("Upload data/NAME/ and register it as the next version of the dataset that the runs read.", options)
def main(args: Namespace) -> None:
    project = Project.here()
    folder = project.root / FOLDER
    if not any(folder.iterdir()):
        raise Failure(f"{FOLDER}/: empty, and an empty dataset trains nothing")
    print(project.dataset(folder, args.name, description=DESCRIPTION, model=args.model))


if __name__ == "__main__":
    sys.exit(main())
