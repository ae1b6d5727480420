"""Register the packages of the cluster's runs under a version that is made of them, so that the same are built once.

    .venv/.tools/bin/python scripts/register_environment.py

`make environment` does the same for one model. Here it is done for each.
"""

import sys
from argparse import Namespace

from aml_project import Project, command  # of .venv/.tools, which make setup makes


@command("Register the packages of the cluster's runs, so that the same are built once.")
def main(args: Namespace) -> None:
    project = Project.here()
    for model in [project.model(args.model)] if args.model else project.models:
        for environment in model.environments():
            print(environment)


if __name__ == "__main__":
    sys.exit(main())
