"""The run of a whole search in MLflow, of which each trial's run is a child.

It is run by its path in the model's Python, which has MLflow and none of this package: `begin NAME` prints the run's
id, `end ID` takes on stdin, as JSON, what has come of the search.
"""

import json
import sys

import mlflow


def begin(name: str) -> None:
    with mlflow.start_run(run_name=name, tags={"aml.search": name}) as run:
        print(f"\nrun {run.info.run_id}")


def end(run_id: str) -> None:
    result = json.load(sys.stdin)
    with mlflow.start_run(run_id=run_id):
        mlflow.set_tags(result["tags"])
        mlflow.log_metrics(result["metrics"])
        for file in result["files"]:
            mlflow.log_artifact(file)


if __name__ == "__main__":
    {"begin": begin, "end": end}[sys.argv[1]](sys.argv[2])
