"""Submit a run of a model and follow it to its end.

    .venv/.tools/bin/python scripts/submit_run.py -c train-local -- --seed 1

`make submit` does the same. Here is the place for what your team always does.
"""

import sys
from argparse import ArgumentParser, Namespace

from aml_project import Project, command  # of .venv/.tools, which make setup makes

CONFIG = "train-amlcompute"  # on the cluster; train-local: on this computer
EXPERIMENT = None  # the model's name


def options(parser: ArgumentParser) -> None:
    parser.add_argument("-c", "--run-configuration-name", dest="config", default=CONFIG, help="(default: %(default)s)")
    parser.add_argument("-e", "--experiment-name", dest="experiment", default=EXPERIMENT)
    parser.add_argument("arguments", nargs="*", help="after --: more arguments for train.py")


@command("Submit a run of a model and follow it to its end.", options)
def main(args: Namespace) -> None:
    model = Project.here().model(args.model)
    run = model.submit(args.config, args.arguments, experiment=args.experiment)
    print(f"\n{run}")
    for metric, value in run.metrics.items():
        print(f"  {metric:12} {value:.4g}")


if __name__ == "__main__":
    sys.exit(main())
