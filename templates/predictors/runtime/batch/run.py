"""A run of score_batch.py: what a model says of all files, or of what an earlier run has left; and how far it is."""

import argparse
import hashlib
import io
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from pyarrow.csv import WriteOptions, write_csv

from runtime import formats, input_schema
from runtime.arguments import reading
from runtime.batch import files, workers
from runtime.batch.output import Output, Refused, header

WORTH_A_PROCESS = 50_000_000  # bytes of input
SPECIAL = re.compile('[",\r\n]')  # what CSV puts in quotes
TERMINAL_EVERY, LOG_EVERY = 0.1, 5.0  # seconds between two words of progress


def processes_for(size: int) -> int:
    """As many as have work for longer than they take to start."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(processors, 1 + size // WORTH_A_PROCESS)


def score_files(args: argparse.Namespace) -> None:
    """Score all files, or what an earlier run has left of them."""
    folder, schema = input_schema.find(args.model)
    schema = written(schema, reading(args))
    found = files.list_inputs(args.input, schema.columns)
    inputs = {name: file for name, file in found.items() if file.resolve() != args.output.resolve()}
    if not inputs:
        why = "no file there that this model can score" if args.input.exists() else "no such file or folder"
        raise Refused(f"--input {args.input}: {why}")
    stamps = {name: [file.stat().st_size, file.stat().st_mtime_ns] for name, file in inputs.items()}
    output = Output(args.output, digest(folder, schema.reading), header(schema), stamps)
    if output.journal.exists() and not args.resume and not args.overwrite:
        raise Refused(f"{output.part}: an earlier run was stopped; --resume goes on, --overwrite begins anew")
    output.open(args.resume)

    number, row = output.position()
    sizes = {name: size for name, (size, _) in stamps.items()}
    done = sum(list(sizes.values())[:number])
    progress = Progress(done, sum(sizes.values()))
    chunks = files.read_chunks(
        dict(list(inputs.items())[number:]), schema.columns, args.rows_per_chunk, row, schema.reading
    )
    processes = args.processes or processes_for(progress.whole)
    with closing(workers.work_on(chunks, writer, (args.model, reading(args)), processes)) as results:
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


def written(schema: input_schema.Schema, texts: formats.Reading) -> input_schema.Schema:
    """The schema for tables that are written as the command line says, and else as those of the training."""
    columns = schema.columns
    if decimal := texts.get("decimal"):
        columns = [{**column, "decimal": decimal} if column["type"] == "number" else column for column in columns]
    return replace(schema, columns=columns, reading={**schema.reading, **texts})


def digest(folder: Path, texts: formats.Reading) -> str:
    """What tells one model, and one way of reading, from another."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    parts = [hashlib.sha256(file.read_bytes()).digest() for file in files]
    return hashlib.sha256(b"".join([*parts, json.dumps(texts, sort_keys=True).encode()])).hexdigest()


class Result(NamedTuple):
    """What became of a chunk: rows for the good files, a sentence for each bad one."""

    table: pa.Table
    bad: dict[str, str]


class Lines(NamedTuple):
    """The same as it is written to a file."""

    csv: bytes
    rows: int
    bad: dict[str, str]


class Scorer:
    """A model with what it takes and answers."""

    def __init__(self, model: str, texts: formats.Reading | None = None) -> None:
        from score import load_model  # with its framework, which counts its threads when it is imported

        folder, schema = input_schema.find(model)
        self.predict = load_model(folder, schema)
        self.schema = written(schema, texts or {})

    def score(self, chunk: files.Chunk) -> Result:
        """The result for a chunk; no row of a file that is bad."""
        content = chunk.content
        try:
            if isinstance(content, files.BadFile):
                raise content
            if content is None:
                return Result(self.answer([], [], None), {})
            if files.of_images(self.schema.columns):
                images = dict(zip(chunk.names, content, strict=True))
                names, table, bad = files.read_images(images, self.schema.columns[0])
                return Result(self.answer(names, [0] * len(names), table), bad)
            table = files.table(content, self.schema.columns, chunk.row)
            names = pa.repeat(pa.scalar(chunk.names[0], pa.string()), len(content))
            return Result(self.answer(names, np.arange(chunk.row, chunk.row + len(content)), table), {})
        except files.BadFile as error:
            return Result(self.answer([], [], None), {chunk.names[0]: str(error)})

    def answer(self, names: Any, rows: Any, table: input_schema.Table | None) -> pa.Table:
        """What score.py answers a request: labels with the probability of each, or the numbers of a regression."""
        schema = self.schema
        nothing = np.empty((0, len(schema.classes)) if schema.classes else 0, np.float32)
        outputs = self.predict(table) if table else nothing
        if not np.isfinite(outputs).all():
            what = "probability" if schema.classes else "prediction"
            raise files.BadFile(f"the model gives a {what} that is not a number")
        if schema.task == "regression":
            answers = [pa.array(column) for column in input_schema.answered_numbers(outputs, schema).values()]
        else:
            labels = pa.array(schema.classes, pa.string()).take(
                pa.array(input_schema.chosen(outputs, schema.threshold))
            )
            answers = [labels, *(pa.array(np.ascontiguousarray(column)) for column in outputs.T)]
        return pa.Table.from_arrays(
            [pa.array(names, pa.string()), pa.array(rows, pa.int64()), *answers], header(schema)
        )


def writer(model: str, texts: formats.Reading) -> tuple[Callable[[files.Chunk], Result], Callable[[Result], Lines]]:
    """Load a model; return what scores a chunk, and what makes lines of the result."""
    scorer = Scorer(model, texts)

    def lines(result: Result) -> Lines:
        values = chain(scorer.schema.classes, result.table["file"].unique().to_pylist())
        quoted = any(map(SPECIAL.search, values))  # else it is faster without
        text = io.BytesIO()
        write_csv(result.table, text, WriteOptions(include_header=False, quoting_style="needed" if quoted else "none"))
        return Lines(text.getvalue(), result.table.num_rows, result.bad)

    return scorer.score, lines


class Progress:
    """A bar in a terminal, elsewhere a line every few seconds: rows are counted, the share is that of the bytes."""

    def __init__(self, done: float, whole: int) -> None:
        self.rows, self.done, self.first, self.whole = 0, done, done, max(whole, 1)
        self.began = self.shown = time.monotonic()
        self.terminal = sys.stderr.isatty()

    def add(self, rows: int, done: float) -> None:
        """So many rows more, and so many bytes of all."""
        self.rows += rows
        self.done = done
        if time.monotonic() - self.shown >= (TERMINAL_EVERY if self.terminal else LOG_EVERY):
            self.show()

    def show(self) -> None:
        self.shown = time.monotonic()
        start, end = ("\r", "\033[K") if self.terminal else ("", "\n")
        print(start + self.line(), end=end, file=sys.stderr, flush=True)

    def say(self, line: str) -> None:
        """Print a line for good; the bar goes on below it."""
        print(f"\r{line}\033[K" if self.terminal else line, file=sys.stderr, flush=True)

    def end(self) -> None:
        if self.terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)

    def line(self) -> str:
        seconds = max(time.monotonic() - self.began, 0.001)
        share = min(self.done / self.whole, 1.0)
        text = f"{share:.0%}, {self.rows:,} rows, {self.rows / seconds:,.0f} rows/s"
        if self.first < self.done < self.whole:
            left = round(seconds * (self.whole - self.done) / (self.done - self.first))
            text += f", {left // 60}:{left % 60:02} left"
        room = min(shutil.get_terminal_size().columns - len(text) - 12, 30)
        if not self.terminal or room < 5:
            return f"Scoring: {text}"
        full = round(room * share)
        return f"Scoring [{'#' * full}{'.' * (room - full)}] {text}"
