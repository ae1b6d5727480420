"""Log to MLflow: to mlruns/ here, to the job's own run in Azure ML."""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

AT_ONCE = 1000  # metrics that MLflow takes in one request


class Log:
    """Begins the run when there is something to log: to import MLflow takes seconds, and training need not wait for it.

    From then on everything else of MLflow, as in mlflow.log_text(), goes to the same run.
    """

    def __init__(self, args: argparse.Namespace, active: bool) -> None:
        self.args, self.active, self.began = args, active, False

    def metrics(self, values: dict[str, float], step: int | None = None) -> None:
        if step is not None and self.active:
            tell_the_search(values, step)
        if self.begin():
            sys.modules["mlflow"].log_metrics(values, step=step)

    def steps(self, rows: Iterable[tuple[int, dict[str, float]]]) -> None:
        """Log what each step had, where it is known only at the end: together, not with a request for each."""
        rows = list(rows)
        if self.begin():
            mlflow, now = sys.modules["mlflow"], int(time.time() * 1000)
            metrics = [
                mlflow.entities.Metric(name, value, now, step) for step, row in rows for name, value in row.items()
            ]
            for at in range(0, len(metrics), AT_ONCE):
                mlflow.MlflowClient().log_batch(mlflow.active_run().info.run_id, metrics[at : at + AT_ONCE])
            for step, row in rows:
                tell_the_search(row, step)

    def folder(self, path: Path) -> None:
        """Keep the files of a folder, under its name."""
        if self.begin():
            sys.modules["mlflow"].log_artifacts(str(path), path.name)

    def file(self, path: Path) -> None:
        """Keep one file."""
        if self.begin():
            sys.modules["mlflow"].log_artifact(str(path))

    def begin(self) -> bool:
        if self.active and not self.began:
            import mlflow

            mlflow.start_run()
            mlflow.log_params(vars(self.args))
            self.began = True
        return self.active

    def end(self, status: str) -> None:
        if self.began:
            sys.modules["mlflow"].end_run(status)


def tell_the_search(values: dict[str, float], step: int) -> None:
    """Where this training is a trial of `make search`: let it end early if others do better."""
    if file := os.environ.get("AML_STEPS_FILE"):
        with Path(file).open("a", encoding="utf-8") as steps:
            steps.write(json.dumps({"step": step, "metrics": values}) + "\n")


@contextmanager
def tracked(args: argparse.Namespace, active: bool = True) -> Iterator[Log]:
    """The log of this training; one that is not active, as in the other processes of a run, keeps nothing."""
    log = Log(args, active)
    try:
        yield log
    except BaseException:
        log.end("FAILED")
        raise
    log.end("FINISHED")
