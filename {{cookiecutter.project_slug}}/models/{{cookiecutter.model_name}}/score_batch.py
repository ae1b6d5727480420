"""Score files with the model that train.py saved: a row of the result for each row of them, in their order.

python score_batch.py --input ../../data --output outputs/scores.csv
A ParallelRunStep, whose entry script this is as well, calls init() and run() instead.
"""

import argparse
import hashlib
import os
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

import batch_files
import batch_workers
import input_schema
from batch_output import Output, Refused
from batch_progress import Progress

WORTH_A_PROCESS = 50_000_000  # bytes of input
DONE, REFUSED, INTERRUPTED = 0, 1, 130  # and 2 of argparse, for wrong use

scorer: Any  # set by init(), once in each process of the step


def init() -> None:
    """Load the model that lies below --model, an argument of the step, or else below AZUREML_MODEL_DIR."""
    global scorer
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--model", default=os.environ.get("AZUREML_MODEL_DIR"))
    args, _ = parser.parse_known_args()  # the step adds arguments of its own
    if not args.model:
        raise SystemExit("--model: missing among the step's arguments, and there is no AZUREML_MODEL_DIR")
    batch_workers.one_thread()
    from batch_scorer import Scorer

    scorer = Scorer(args.model)


def run(mini_batch: Any) -> pd.DataFrame:
    """Return a row for each row of the files (of a FileDataset) or of the DataFrame (of a TabularDataset).

    A bad file gives a line in the log and no row. The step counts the rows that it gets, and takes the inputs beyond
    them for failed: where the rows of other files would hide a bad one, the whole batch fails.
    """
    if isinstance(mini_batch, pd.DataFrame):
        chunk = batch_files.Chunk([""], 0, mini_batch, True, 1.0)
        result = scorer.score(chunk)
        if result.bad:
            raise batch_files.BadFile(result.bad[""])
        return result.table.to_pandas()
    inputs = {str(file): Path(file) for file in mini_batch}
    results = [scorer.score(chunk) for chunk in batch_files.read_chunks(inputs, scorer.columns)]
    bad = {name: why for result in results for name, why in result.bad.items()}
    for name, why in bad.items():
        print(f"Bad file {name}: {why}", flush=True)
    rows = pa.concat_tables([result.table for result in results], promote_options="permissive").to_pandas()
    rows = rows[~rows["file"].isin(bad)].reset_index(drop=True)
    if bad and len(rows) >= len(inputs):
        raise batch_files.BadFile(f"{len(bad)} of {len(inputs)} files are bad, {next(iter(bad))} among them")
    return rows


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Score files; a row of the result for each of their rows.")
    add = parser.add_argument
    add("--model", default="outputs/model", help="folder below which the model lies (default: %(default)s)")
    add("--input", type=Path, required=True, help="CSV or Parquet, or images: a file, or a folder with them")
    add("--output", type=Path, required=True, help="the CSV file to write")
    add("--processes", type=int, help="default: one for each 50 MB of input, at most one for each processor")
    add("--rows-per-chunk", type=int, help=f"default: {batch_files.ROWS}, or {batch_files.IMAGES} images")
    add("--error-threshold", type=int, default=0, help="bad files to leave out before it stops; -1: all of them")
    add("--resume", action="store_true", help="go on where an earlier run was stopped, if one was")
    add("--overwrite", action="store_true", help="begin anew where an earlier run was stopped")
    args = parser.parse_args(argv)
    for name, least in (("processes", 1), ("rows_per_chunk", 1), ("error_threshold", -1)):
        if getattr(args, name) is not None and getattr(args, name) < least:
            parser.error(f"--{name.replace('_', '-')}: {least} or more")
    if args.output.suffix.lower() != ".csv":
        parser.error(f"--output {args.output}: must end with .csv")
    if args.resume and args.overwrite:
        parser.error("--resume or --overwrite, not both")
    return args


def processes_for(size: int) -> int:
    """As many as have work for longer than they take to start."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(processors, 1 + size // WORTH_A_PROCESS)


def score_files(args: argparse.Namespace) -> None:
    """Score all files, or what an earlier run has left of them."""
    folder, columns, classes = input_schema.find(args.model)
    found = batch_files.list_inputs(args.input, columns)
    inputs = {name: file for name, file in found.items() if file.resolve() != args.output.resolve()}
    if not inputs:
        raise Refused(f"--input {args.input}: no file there that this model can score")
    stamps = {name: [file.stat().st_size, file.stat().st_mtime_ns] for name, file in inputs.items()}
    output = Output(args.output, digest(folder), classes, stamps)
    if output.journal.exists() and not args.resume and not args.overwrite:
        raise Refused(f"{output.part}: an earlier run was stopped; --resume goes on, --overwrite begins anew")
    output.open(args.resume)

    number, row = output.position()
    sizes = {name: size for name, (size, _) in stamps.items()}
    done = sum(list(sizes.values())[:number])
    progress = Progress(done, sum(sizes.values()))
    chunks = batch_files.read_chunks(dict(list(inputs.items())[number:]), columns, args.rows_per_chunk, row)
    processes = args.processes or processes_for(progress.whole)
    with closing(batch_workers.work_on(chunks, lines_of, (args.model,), processes)) as results:
        for chunk, (lines, rows, bad) in results:
            if output.is_done(chunk.names[0]):
                continue  # a bad file of which later chunks were read ahead
            for name, why in bad.items():
                progress.say(f"Bad file {name}: {why}")
            if 0 <= args.error_threshold < output.bad_files() + len(bad):
                output.take_back(chunk.names[0])
                output.save()
                raise Refused(
                    f"more bad files than --error-threshold {args.error_threshold}; "
                    "repair them, remove them or allow for more, then --resume goes on"
                )
            output.add(chunk.names, lines, rows, chunk.last, bad)
            read = sum(sizes[name] for name in chunk.names)
            progress.add(rows, done + read * chunk.share)
            done += read if chunk.last else 0
    output.finish()
    progress.end()
    total = sum(entry.rows for entry in output.entries.values())
    bad_files = f", {output.bad_files()} bad ones left out" if output.bad_files() else ""
    print(f"Scored {total} rows of {len(inputs)} files{bad_files}: {args.output}")


def digest(folder: Path) -> str:
    """What tells one model from another."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return hashlib.sha256(b"".join(hashlib.sha256(file.read_bytes()).digest() for file in files)).hexdigest()


def lines_of(model: str) -> Any:
    """What makes lines of a chunk, in each process its own."""
    from batch_scorer import writer  # the framework is imported where it works, and after its threads are counted

    return writer(model)


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    try:
        score_files(args)
    except KeyboardInterrupt:
        print("\nInterrupted; the same command with --resume goes on", file=sys.stderr)
        return INTERRUPTED
    except (Refused, FileNotFoundError) as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return REFUSED
    except (batch_workers.WorkerDied, OSError) as error:
        print(f"ERROR: {error}; the same command with --resume goes on", file=sys.stderr)
        return REFUSED
    return DONE


if __name__ == "__main__":
    sys.exit(main())
