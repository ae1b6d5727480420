"""Score files with the model that train.py saved: a row of the result for each row of them, in their order.

python score_batch.py --input FOLDER --output outputs/scores.csv
A ParallelRunStep, whose entry script this is as well, calls init() and run() instead.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from runtime import batch
from runtime.arguments import add_text_arguments, reading

DONE, REFUSED, INTERRUPTED = 0, 1, 130  # and 2 of argparse, for wrong use

scorer: Any  # set by init(), once in each process of the step


def init() -> None:
    """Load the model that lies below --model, an argument of the step, or else below AZUREML_MODEL_DIR."""
    global scorer
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--model", default=os.environ.get("AZUREML_MODEL_DIR"))
    add_text_arguments(parser)
    args, _ = parser.parse_known_args()  # the step adds arguments of its own
    if not args.model:
        raise SystemExit("--model: missing among the step's arguments, and there is no AZUREML_MODEL_DIR")
    batch.one_thread()
    scorer = batch.Scorer(args.model, reading(args))


def run(mini_batch: Any) -> pd.DataFrame:
    """Return a row for each row of the files (of a FileDataset) or of the DataFrame (of a TabularDataset).

    A bad file gives a line in the log and no row. The step counts the rows that it gets, and takes the inputs beyond
    them for failed: where the rows of other files would hide a bad one, the whole batch fails.
    """
    if isinstance(mini_batch, pd.DataFrame):
        chunk = batch.Chunk([""], 0, mini_batch, True, 1.0)
        result = scorer.score(chunk)
        if result.bad:
            raise batch.BadFile(result.bad[""])
        return result.table.to_pandas()
    inputs = {str(file): Path(file) for file in mini_batch}
    chunks = batch.read_chunks(inputs, scorer.schema.columns, reading=scorer.schema.reading)
    results = [scorer.score(chunk) for chunk in chunks]
    bad = {name: why for result in results for name, why in result.bad.items()}
    for name, why in bad.items():
        print(f"Bad file {name}: {why}", flush=True)
    rows = pa.concat_tables([result.table for result in results], promote_options="permissive").to_pandas()
    rows = rows[~rows["file"].isin(bad)].reset_index(drop=True)
    if bad and len(rows) >= len(inputs):
        raise batch.BadFile(f"{len(bad)} of {len(inputs)} files are bad, {next(iter(bad))} among them")
    return rows


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Score files; a row of the result for each of their rows.")
    add = parser.add_argument
    add("--model", default="outputs/model", help="folder below which the model lies (default: %(default)s)")
    add("--input", type=Path, required=True, help="CSV or Parquet, or images: a file, or a folder with them")
    add("--output", type=Path, required=True, help="the CSV file to write")
    add("--processes", type=int, help="default: one for each 50 MB of input, at most one for each processor")
    add("--rows-per-chunk", type=int, help=f"default: {batch.ROWS}, or {batch.IMAGES} images")
    add("--error-threshold", type=int, default=0, help="bad files to leave out before it stops; -1: all of them")
    add("--resume", action="store_true", help="go on where an earlier run was stopped, if one was")
    add("--overwrite", action="store_true", help="begin anew where an earlier run was stopped")
    add_text_arguments(parser)  # where the tables are written otherwise than those of the training
    args = parser.parse_args(argv)
    for name, least in (("processes", 1), ("rows_per_chunk", 1), ("error_threshold", -1)):
        if getattr(args, name) is not None and getattr(args, name) < least:
            parser.error(f"--{name.replace('_', '-')}: {least} or more")
    if args.output.suffix.lower() != ".csv":
        parser.error(f"--output {args.output}: must end with .csv")
    if args.resume and args.overwrite:
        parser.error("--resume or --overwrite, not both")
    return args


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    try:
        batch.score_files(args)
    except KeyboardInterrupt:
        print("\nInterrupted; the same command with --resume goes on", file=sys.stderr)
        return INTERRUPTED
    except (batch.Refused, FileNotFoundError) as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return REFUSED
    except (batch.WorkerDied, OSError) as error:
        print(f"ERROR: {error}; the same command with --resume goes on", file=sys.stderr)
        return REFUSED
    return DONE


if __name__ == "__main__":
    sys.exit(main())
