"""Train on each odd table, score it with what came of that, and see whether all that happened is what must happen.

.venv/model1/bin/python -m tests.odd_tables.corpus --model models/model1 [--small] [--show] [NAME …]

It runs in the environment of a rendered model, and all in one process: to start one for each table would take longer
than
"""

import argparse
import csv
import importlib
import io
import json
import os
import re
import shutil
import sys
import tempfile
import time
import traceback
import urllib.parse
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import feather, parquet

from tests.odd_tables.odd_table import TABLES, OddTable, written

for group in ("cells", "headers_and_labels", "typed", "files", "scored"):
    importlib.import_module(f"tests.odd_tables.{group}")  # which adds its tables

SAME = 1e-6
ROUNDED = 1e-5  # ONNX computes in 32 bits, which hold seven digits of a large number
MISSING = {"", "#N/A", "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"}
AGREED, BAD, REFUSED = "trained and agreed", "trained, and a bad file named", "refused as expected"


class Wrong(Exception):
    """What happened is not what must happen."""


class Done(NamedTuple):
    """A command that ran in this process."""

    code: int
    said: str


class Served(NamedTuple):
    """The service's answers to some rows, and those of the pipeline that train.py has fitted to the same requests."""

    labels: list[str]
    probabilities: np.ndarray
    own: np.ndarray


class Model:
    """The scripts of a rendered model, as they are imported."""

    train: Any
    read: Any = None  # the features that the last training has read, before they were parted

    def __init__(self, folder: Path) -> None:
        sys.path.insert(0, str(folder))
        self.train, self.score, self.batch = map(importlib.import_module, ("train", "score", "score_batch"))
        profile = self.train.report.profile

        def remember(features: Any, *rest: Any) -> Any:
            self.read = features
            return profile(features, *rest)

        self.train.report.profile = remember
        # What is drawn and logged is tried elsewhere, and takes longer than the training.
        figure = importlib.import_module("matplotlib.figure").Figure
        figure.savefig = lambda *_, **__: None
        evaluation = importlib.import_module("evaluation")
        for name in ("plot_confusions", "plot_roc", "plot_recall", "plot_calibration"):
            setattr(evaluation, name, lambda *_: figure())
        importlib.import_module("runtime.tracking").Log.begin = lambda _: False

    def fit(self, data: Path, table: OddTable) -> Done:
        sys.argv = ["train.py", "--data-path", str(data), "--label", table.label, *table.args]
        return called(self.train.main)

    def serve(self, rows: list[dict[str, Any]], folder: Path) -> Served:
        """What the service answers."""
        os.environ["AZUREML_MODEL_DIR"] = str(folder)
        self.score.init()
        pipeline = joblib.load(folder / "model.pkl")
        columns, classes = self.score.schema.columns, self.score.schema.classes
        predictions: list[Any] = []
        own = []
        for start in range(0, len(rows), self.score.MAX_ROWS):
            body = json.dumps({"data": rows[start : start + self.score.MAX_ROWS]})
            with redirect_stdout(io.StringIO()):
                answer = self.score.run(body)
            if not isinstance(answer, dict):
                raise Wrong(f"the service refuses what was trained on: {answer.get_data(as_text=True)[:300]}")
            predictions += answer["predictions"]
            table = self.score.input_schema.read_request(body, columns, self.score.MAX_ROWS)
            own.append(pipeline.predict_proba(pd.DataFrame(table)))
        probabilities = [[row["probabilities"][name] for name in classes] for row in predictions]
        return Served([row["label"] for row in predictions], np.array(probabilities), np.concatenate(own))

    def score_files(self, data: Path, folder: Path, *options: str) -> Done:
        """What comes of a batch; its result is scores.csv."""
        command = [f"--model={folder}", f"--input={data}", f"--output={folder / 'scores.csv'}", *options]
        return called(lambda: self.batch.main(command))


def called(main: Any) -> Done:
    """Run what would be a command; a traceback is wrong, whatever was expected."""
    text = io.StringIO()
    with redirect_stdout(text), redirect_stderr(text), warnings.catch_warnings():
        warnings.simplefilter("always")  # and not once for each line of the code, of which others have seen the first
        for unseen in (DeprecationWarning, PendingDeprecationWarning, ResourceWarning):
            warnings.simplefilter("ignore", unseen)
        try:
            code = main()
        except SystemExit as ended:
            code = ended.code
        except Exception:
            raise Wrong(f"{text.getvalue()}{traceback.format_exc(limit=-3)}") from None
    if isinstance(code, str):
        return Done(1, f"{text.getvalue()}{code}")
    return Done(code or 0, text.getvalue())


def judge(table: OddTable, model: Model, folder: Path) -> str:
    """How the table was dealt with, if that is what must happen."""
    data = written(table.content, folder / "data")
    outputs = folder / "outputs" / "model"
    with inside(folder):
        done = model.fit(data, table)
        if table.types is None:
            check_refusal(done, table)
            return REFUSED
        if done.code:
            raise Wrong(f"refused: {done.said}")
        check_notes(done.said, table.says)
        schema = json.loads((outputs / "schema.json").read_text(encoding="utf-8"))
        found = {column["name"]: column["type"] for column in schema["columns"]}
        if found != table.types:
            raise Wrong(f"the columns are {difference(found, table.types)}; it said {done.said}")
        own = None if table.then is not None else joblib.load(outputs / "model.pkl").predict_proba(model.read)
        scored = data if table.then is None else written(table.then, folder / "then")
        if table.then_says:
            check_bad_file(model.score_files(scored, outputs), table)
            return BAD
        check_answers(table, scored, schema["columns"], own, model)
    return AGREED


def check_refusal(done: Done, table: OddTable) -> None:
    if done.code != 1:
        raise Wrong(f"trained, exit code {done.code}: {done.said}")
    line = done.said.splitlines()[-1]
    if not re.search(table.says[0], line):
        raise Wrong(f"the line does not fit {table.says[0]}: {line}")
    if (Path("outputs") / "model").exists():
        raise Wrong("a model was left behind")


def check_notes(said: str, wanted: Iterable[str]) -> None:
    """Each pattern fits something that was said, and no NOTE and no warning was said that none of them fits."""
    for pattern in wanted:
        if not re.search(pattern, said):
            raise Wrong(f"nothing fits {pattern} of what was said: {said}")
    for line in said.splitlines():
        if re.search("NOTE|Warning", line) and not any(re.search(pattern, line) for pattern in wanted):
            raise Wrong(f"not expected: {line}")


def check_bad_file(done: Done, table: OddTable) -> None:
    line = next((line for line in done.said.splitlines() if "Bad file" in line), "")
    if done.code != 1 or not re.search(table.then_says, line):
        raise Wrong(f"the batch ends with {done.code}, and no bad file fits {table.then_says}: {done.said}")


def check_answers(table: OddTable, data: Path, columns: list[Any], own: Any, model: Model) -> None:
    """Service and batch for each row, the training for each that has a label."""
    outputs = Path("outputs", "model").absolute()
    rows = list(client_rows(table, data))
    served = model.serve([request(row, columns, table) for row in rows], outputs)
    done = model.score_files(data, outputs)
    if done.code:
        raise Wrong(f"the batch ends with {done.code}: {done.said}")
    with (outputs / "scores.csv").open(newline="", encoding="utf-8") as opened:
        _, *lines = csv.reader(opened)
    compare("service and batch", served.probabilities, np.array([line[3:] for line in lines], dtype=float), SAME)
    compare("service and pipeline", served.probabilities, served.own, ROUNDED)
    if served.labels != [line[2] for line in lines]:
        raise Wrong("service and batch name other labels")
    if own is not None:
        has_label = [str(row[table.label]) not in MISSING for row in rows]
        compare("training and service", own, served.own[has_label], SAME)


def compare(whose: str, one: np.ndarray, other: np.ndarray, close: float) -> None:
    if one.shape != other.shape:
        raise Wrong(f"{whose}: {one.shape} and {other.shape} probabilities")
    differences = np.abs(one - other).max(axis=1)
    far = ~(differences <= close)
    if far.any():
        raise Wrong(
            f"{whose} differ in {np.count_nonzero(far)} of {len(one)} rows, by up to {differences.max():.2g}, "
            f"first in row {far.argmax()}"
        )


# The client: what somebody sends to the service who has the same files and knows nothing of our reader.
def client_rows(table: OddTable, data: Path) -> Iterator[dict[str, Any]]:
    if isinstance(table.same_as, pa.Table):
        yield from table.same_as.to_pylist()
    elif isinstance(table.same_as, str):
        yield from rows_of_csv(table.same_as)
    else:
        found = [data] if data.is_file() else sorted(data.rglob("*"))
        for file in found:
            below = file.relative_to(data).parts
            if file.is_file() and not any(part.startswith((".", "_")) for part in below):
                folders = dict(part.split("=", 1) for part in below[:-1] if "=" in part)
                keys = {name: None if "HIVE" in text else urllib.parse.unquote(text) for name, text in folders.items()}
                for row in rows_of_file(file):
                    yield row | keys


def rows_of_file(file: Path) -> list[dict[str, Any]]:
    if file.suffix == ".parquet":
        return list(parquet.ParquetFile(file).read().to_pylist())
    if file.suffix == ".feather":
        return list(feather.read_table(file).to_pylist())
    return list(rows_of_csv(file.read_bytes().decode("utf-8-sig"))) if file.suffix.lower() == ".csv" else []


def rows_of_csv(text: str) -> Iterator[dict[str, Any]]:
    csv.field_size_limit(sys.maxsize)
    lines = (
        row for row in csv.reader(io.StringIO(text, newline="")) if row and not (len(row) == 1 and not row[0].strip())
    )
    header = [name or f"Unnamed: {place}" for place, name in enumerate(next(lines))]
    for row in lines:
        yield dict(zip(header, row, strict=True))


def request(row: dict[str, Any], columns: list[Any], table: OddTable) -> dict[str, Any]:
    return {column["name"]: sent(row[column["name"]], column["type"], table.meant) for column in columns}


def sent(value: Any, kind: str, meant: dict[str, Any]) -> Any:
    """A value as JSON has it."""
    if value is None or value in meant:
        return meant.get(value)
    if kind == "number":
        try:
            number = float(value) if not isinstance(value, str) or (value.isascii() and "_" not in value) else None
        except ValueError:
            return None
        return None if number is None or np.isnan(number) else number
    if isinstance(value, bool | str):
        return value
    return (
        value.isoformat() if hasattr(value, "isoformat") else value.decode() if isinstance(value, bytes) else str(value)
    )


def difference(found: dict[str, str], wanted: dict[str, str]) -> str:
    pairs = [(name, found.get(name, "absent"), wanted.get(name, "absent")) for name in {**found, **wanted}]
    shown = [f"{name[:40]!r} {one}, not {other}" for name, one, other in pairs if one != other]
    return ", ".join(shown[:5]) or f"in another order: {list(found)[:5]}"


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def main() -> int:
    parser = argparse.ArgumentParser(description="Train on odd tables, and score them.")
    parser.add_argument("names", nargs="*", help="of tables, or what such names contain (default: all)")
    parser.add_argument("--model", type=Path, required=True, help="folder of a rendered model")
    parser.add_argument("--small", action="store_true", help="only what `make test` has")
    parser.add_argument("--show", action="store_true", help="a line for each table, with the seconds that it took")
    args = parser.parse_args()
    model = Model(args.model.resolve())
    chosen = [
        table
        for table in TABLES.values()
        if (not args.names or any(name in table.name for name in args.names)) and not (table.full and args.small)
    ]
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as place:
        for number, table in enumerate(chosen):
            folder = Path(place) / str(number)  # a name in it would fit the patterns that look for one
            began = time.process_time()
            try:
                result = judge(table, model, folder)
            except Wrong as wrong:
                result = "wrong"
                print(f"WRONG {table.name} ({table.why}): {wrong}", flush=True)
            except Exception:
                result = "wrong"
                print(f"WRONG {table.name} ({table.why}): {traceback.format_exc(limit=-3)}", flush=True)
            counts[result] += 1
            if args.show:
                print(f"{time.process_time() - began:5.2f} s  {result}: {table.name}", flush=True)
            shutil.rmtree(folder, ignore_errors=True)
    print(
        f"{len(chosen)} odd tables: " + ", ".join(f"{counts[name]} {name}" for name in (AGREED, BAD, REFUSED, "wrong"))
    )
    return 1 if counts["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
