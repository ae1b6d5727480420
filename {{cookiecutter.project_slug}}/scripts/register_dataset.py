"""Upload the model's data and register it, if it has changed, as the next version of the dataset that its runs read.

    .venv/.tools/bin/python scripts/register_dataset.py

`make dataset` does the same. Here is the place for what comes before: a query, a download, a check of the columns.
"""

import sys
from argparse import ArgumentParser, Namespace

from aml_project import Failure, Project, command  # of .venv/.tools, which make setup makes

DESCRIPTION = "What the model is trained on"


def options(parser: ArgumentParser) -> None:
    parser.add_argument("-n", "--name", help="of the dataset (default: the one that the runconfigs read)")


@command("Upload the model's data and register it as the next version of the dataset that its runs read.", options)
def main(args: Namespace) -> None:
    project = Project.here()
    model = project.model(args.model)
    if not any(model.data.iterdir()):
        raise Failure(f"{model.data}: empty, and an empty dataset trains nothing")
    print(project.dataset(model.data, args.name, description=DESCRIPTION, model=model.name))


if __name__ == "__main__":
    sys.exit(main())
