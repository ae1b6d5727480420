"""A run of score_batch.py: all files, or what an earlier run has left of them."""

import argparse
import hashlib
import os
from contextlib import closing
from pathlib import Path
from typing import Any

from runtime import input_schema
from runtime.batch import files, workers
from runtime.batch.output import Output, Refused
from runtime.batch.progress import Progress

WORTH_A_PROCESS = 50_000_000  # bytes of input


def processes_for(size: int) -> int:
    """As many as have work for longer than they take to start."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(processors, 1 + size // WORTH_A_PROCESS)


def score_files(args: argparse.Namespace) -> None:
    """Score all files, or what an earlier run has left of them."""
    folder, columns, classes = input_schema.find(args.model)
    found = files.list_inputs(args.input, columns)
    inputs = {name: file for name, file in found.items() if file.resolve() != args.output.resolve()}
    if not inputs:
        why = "no file there that this model can score" if args.input.exists() else "no such file or folder"
        raise Refused(f"--input {args.input}: {why}")
    stamps = {name: [file.stat().st_size, file.stat().st_mtime_ns] for name, file in inputs.items()}
    output = Output(args.output, digest(folder), classes, stamps)
    if output.journal.exists() and not args.resume and not args.overwrite:
        raise Refused(f"{output.part}: an earlier run was stopped; --resume goes on, --overwrite begins anew")
    output.open(args.resume)

    number, row = output.position()
    sizes = {name: size for name, (size, _) in stamps.items()}
    done = sum(list(sizes.values())[:number])
    progress = Progress(done, sum(sizes.values()))
    chunks = files.read_chunks(dict(list(inputs.items())[number:]), columns, args.rows_per_chunk, row)
    processes = args.processes or processes_for(progress.whole)
    with closing(workers.work_on(chunks, lines_of, (args.model,), processes)) as results:
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
    from runtime.batch.scorer import (
        writer,  # the framework is imported where it works, and after its threads are counted
    )

    return writer(model)
