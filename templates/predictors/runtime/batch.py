"""What score_batch.py does: what a model says of all rows of all files, in their order, however large the files are.

Files are read a chunk at a time, scored in one process or in several, and written so that a run which is killed at any
moment can go on: no row lost, none doubled.
"""

import argparse
import csv
import hashlib
import importlib
import io
import json
import multiprocessing
import os
import re
import shutil
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from itertools import chain
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
from pyarrow.csv import WriteOptions, write_csv

from runtime import formats, input_schema, tables
from runtime.arguments import reading
from runtime.formats import one_line
from runtime.input_schema import Schema, answered_numbers

if sys.platform != "win32":
    import fcntl

ROWS, IMAGES = 10_000, 64  # in a chunk, unless it is said
AHEAD = 2  # chunks that are read and not yet worked on, for each process
WORTH_A_PROCESS = 50_000_000  # bytes of input
EVERY = 0.5  # seconds between two lines of the journal: that much is scored again after a kill
TERMINAL_EVERY, LOG_EVERY = 0.1, 5.0  # seconds between two words of progress
SPECIAL = re.compile('[",\r\n]')  # what CSV puts in quotes

BadFile = formats.BadTable


class Refused(Exception):
    """What is there does not fit what is asked for, in a sentence that says what to do."""


class WorkerDied(Exception):
    """A process is gone: killed, most often because memory ran out."""


def processes_for(size: int) -> int:
    """As many as have work for longer than they take to start."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(processors, 1 + size // WORTH_A_PROCESS)


def score_files(args: argparse.Namespace) -> None:
    """Score all files, or what an earlier run has left of them."""
    folder, schema = input_schema.find(args.model)
    schema = written(schema, reading(args))
    found = list_inputs(args.input, schema.columns)
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
    chunks = read_chunks(dict(list(inputs.items())[number:]), schema.columns, args.rows_per_chunk, row, schema.reading)
    processes = args.processes or processes_for(progress.whole)
    with closing(work_on(chunks, writer, (args.model, reading(args)), processes)) as results:
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


def written(schema: Schema, texts: formats.Reading) -> Schema:
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


# Reading


class Chunk(NamedTuple):
    """Some rows of one file, or some images."""

    names: list[str]  # the file's, or the images'
    row: int  # number of the first row in its file
    content: Any  # a RecordBatch, None at the end of a file; a list of images; or what is wrong
    last: bool  # nothing follows of them
    share: float  # how much of the file is read by then


def list_inputs(path: Path, columns: list[input_schema.Column]) -> dict[str, Path]:
    """The files that a model with these columns can score, tables or images, by what the result calls them."""
    files = formats.list_files(path, images().ENDINGS if of_images(columns) else formats.ENDINGS)
    names = [file.relative_to(path).as_posix() if file != path else file.name for file in files]
    return dict(zip((os.fsencode(name).decode(errors="replace") for name in names), files, strict=True))


def of_images(columns: list[input_schema.Column]) -> bool:
    return bool(columns[0]["type"] == "image")


def images() -> Any:
    """The module that reads them: only frameworks that have models of images come with it."""
    return importlib.import_module("runtime.images")


def read_chunks(
    inputs: dict[str, Path],
    columns: list[input_schema.Column],
    size: int | None = None,
    row: int = 0,
    reading: formats.Reading | None = None,
) -> Iterator[Chunk]:
    """All rows of the files, from a row of the first one on, in chunks of at most so many."""
    size = size or (IMAGES if of_images(columns) else ROWS)
    if of_images(columns):
        names = list(inputs)
        for start in range(0, len(names), size):
            group = names[start : start + size]
            yield Chunk(group, 0, [inputs[name] for name in group], True, 1.0)
        return
    for name, file in inputs.items():
        try:
            for content, share in formats.stream(file, columns, size, row, reading):
                yield Chunk([name], row, content, False, share)
                row += len(content)
            yield Chunk([name], row, None, True, 1.0)
        except BadFile as error:
            yield Chunk([name], row, error, True, 1.0)
        row = 0


def read_images(
    inputs: dict[str, Path], column: input_schema.Column
) -> tuple[list[str], input_schema.Table, dict[str, str]]:
    """The names of the images that can be read, their pixels, and what is wrong with the others."""
    pixels: dict[str, np.ndarray] = {}
    bad: dict[str, str] = {}
    for name, file in inputs.items():
        try:
            pixels[name] = images().read_image(file, column["size"])
        except images().BadImage as error:
            bad[name] = one_line(error).removeprefix(f"{file}: ")
    return list(pixels), {column["name"]: np.stack(list(pixels.values()))} if pixels else {}, bad


# Scoring


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

    def score(self, chunk: Chunk) -> Result:
        """The result for a chunk; no row of a file that is bad."""
        content = chunk.content
        try:
            if isinstance(content, BadFile):
                raise content
            if content is None:
                return Result(self.answer([], [], None), {})
            if of_images(self.schema.columns):
                images = dict(zip(chunk.names, content, strict=True))
                names, table, bad = read_images(images, self.schema.columns[0])
                return Result(self.answer(names, [0] * len(names), table), bad)
            table = tables.to_table(content, self.schema.columns, chunk.row)
            names = pa.repeat(pa.scalar(chunk.names[0], pa.string()), len(content))
            return Result(self.answer(names, np.arange(chunk.row, chunk.row + len(content)), table), {})
        except BadFile as error:
            return Result(self.answer([], [], None), {chunk.names[0]: str(error)})

    def answer(self, names: Any, rows: Any, table: input_schema.Table | None) -> pa.Table:
        """What score.py answers a request: labels with the probability of each, or the numbers of a regression."""
        schema = self.schema
        nothing = np.empty((0, len(schema.classes)) if schema.classes else 0, np.float32)
        outputs = self.predict(table) if table else nothing
        if not np.isfinite(outputs).all():
            what = "probability" if schema.classes else "prediction"
            raise BadFile(f"the model gives a {what} that is not a number")
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


def writer(model: str, texts: formats.Reading) -> tuple[Callable[[Chunk], Result], Callable[[Result], Lines]]:
    """Load a model; return what scores a chunk, and what makes lines of the result."""
    scorer = Scorer(model, texts)

    def lines(result: Result) -> Lines:
        values = chain(scorer.schema.classes, result.table["file"].unique().to_pylist())
        quoted = any(map(SPECIAL.search, values))  # else it is faster without
        text = io.BytesIO()
        write_csv(result.table, text, WriteOptions(include_header=False, quoting_style="needed" if quoted else "none"))
        return Lines(text.getvalue(), result.table.num_rows, result.bad)

    return scorer.score, lines


# Processes

T = TypeVar("T")
Step = Callable[[Any], Any]
Begin = Callable[..., tuple[Step, Step]]  # what asks the model, and what makes of its answer what is written


def one_thread() -> None:
    """Called before a framework is imported: the threads and processes here are many already."""
    os.environ["OMP_NUM_THREADS"] = os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = "1"


def work_on(
    chunks: Iterable[Any], begin: Begin, args: tuple[Any, ...], count: int
) -> Generator[tuple[Any, Any], None, None]:
    """Pairs of a chunk and what the two steps that begin(*args) returns make of it, in each process its own.

    This process is one of them, so that work begins before the others are there. It reads and writes besides: while its
    model is asked for one chunk, the next is read, and the one before becomes text.
    """
    one_thread()
    processes, connections = start(begin, args, count - 1) if count > 1 else ([], [])
    threads = ThreadPoolExecutor(2 * count)
    idle: SimpleQueue[Step] = SimpleQueue()  # what a chunk can be given to

    def welcome(connection: Connection) -> None:
        with suppress(EOFError, OSError):  # the first chunk will tell
            connection.recv()
        idle.put(partial(ask, connection))

    def work(chunk: Any) -> Any:
        worker = idle.get()
        try:
            made = worker(chunk)
        finally:
            idle.put(worker)
        return finish(made) if worker is predict else made

    try:
        for connection in connections:
            threads.submit(welcome, connection)
        predict, finish = begin(*args)
        idle.put(predict)
        waiting: deque[tuple[Any, Future[Any]]] = deque()
        with closing(ahead(chunks)) as read:
            for chunk in read:
                waiting.append((chunk, threads.submit(work, chunk)))
                if len(waiting) > AHEAD * count:
                    first, result = waiting.popleft()
                    yield first, result.result()
        for first, result in waiting:
            yield first, result.result()
    finally:
        for process in processes:
            process.kill()
        threads.shutdown(cancel_futures=True)
        for process in processes:
            process.join()


def ahead(items: Iterable[T]) -> Generator[T, None, None]:
    """The items; a thread has the next ones ready."""
    iterator, end = iter(items), object()
    thread = ThreadPoolExecutor(1)
    try:
        waiting: deque[Future[Any]] = deque(thread.submit(next, iterator, end) for _ in range(AHEAD))
        while (item := waiting.popleft().result()) is not end:
            waiting.append(thread.submit(next, iterator, end))
            yield item
    finally:
        thread.shutdown(cancel_futures=True)


def start(begin: Begin, args: tuple[Any, ...], count: int) -> tuple[list[BaseProcess], list[Connection]]:
    """Processes that will work, and where they are asked."""
    # Started from nothing: a fork would take over the threads and locks of this process.
    context = multiprocessing.get_context("spawn")
    processes: list[BaseProcess] = []
    connections: list[Connection] = []
    interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)  # they inherit that: Ctrl-C is for this process alone
    for _ in range(count):
        ours, theirs = context.Pipe()
        process = context.Process(target=serve, args=(theirs, begin, args), daemon=True)
        process.start()
        theirs.close()
        processes.append(process)
        connections.append(ours)
    signal.signal(signal.SIGINT, interrupt)
    return processes, connections


def ask(connection: Connection, chunk: Any) -> Any:
    try:
        connection.send(chunk)
        failed, result = connection.recv()
    except (EOFError, OSError):
        raise WorkerDied("a process was killed: by hand, or because memory ran out") from None
    if failed:
        raise result
    return result


def serve(connection: Connection, begin: Begin, args: tuple[Any, ...]) -> None:
    """A process of its own: it says that it is there, and works until the one that asks is gone."""
    predict, finish = begin(*args)
    with suppress(EOFError, OSError):
        connection.send(None)
        while True:
            chunk = connection.recv()
            try:
                answer = False, finish(predict(chunk))
            except Exception as error:
                answer = True, error
            connection.send(answer)


def packed(batch: pa.RecordBatch) -> tuple[Callable[[bytes], pa.RecordBatch], tuple[bytes]]:
    """How rows go to another process: pickled, a slice of a block would take the whole block along."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    return unpacked, (sink.getvalue().to_pybytes(),)


def unpacked(content: bytes) -> pa.RecordBatch:
    return pa.ipc.open_stream(content).read_next_batch()


ForkingPickler.register(pa.RecordBatch, packed)


# Writing


class Entry(NamedTuple):
    """How far one file of the input is scored."""

    stamp: list[int]  # its size and time of change
    rows: int
    begin: int  # where its rows begin in FILE.part, and where they end
    end: int
    done: bool
    bad: str = ""

    def is_nothing(self) -> bool:
        """Its rows were taken back, for the file to be repaired or left out."""
        return not self.done and self.rows == 0


class Output:
    """The file that is written, and the journal beside it."""

    def __init__(self, path: Path, model: str, columns: list[str], stamps: dict[str, list[int]]) -> None:
        self.path, self.model, self.columns, self.stamps = path, model, columns, stamps
        self.part, self.journal = path.with_name(path.name + ".part"), path.with_name(path.name + ".journal")
        self.entries: dict[str, Entry] = {}
        self.unsaved: dict[str, Entry] = {}
        self.size: int  # of FILE.part
        self.saved = time.monotonic()

    def open(self, resume: bool) -> None:
        """Begin; or go on where an earlier run was stopped, if all that it has scored is as it was."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.lines = self.journal.open("a+b")
        claim(self.lines)
        if resume and self.read_journal():
            self.check()
            if not self.part.exists() and self.path.exists():
                self.path.replace(self.part)  # killed in its very last moment
            self.rows: IO[bytes] = self.part.open("r+b")
            if self.rows.seek(0, os.SEEK_END) < self.size:
                raise Refused(f"{self.part}: shorter than its journal says; --overwrite begins anew")
            cut(self.rows, self.size)
            return
        cut(self.lines, 0)
        self.rows = self.part.open("wb")
        self.size = self.rows.write(header_line(self.columns))
        self.write_line({"model": self.model})

    def read_journal(self) -> bool:
        """Take over what an earlier run has scored. Its last line may be a torn one."""
        self.lines.seek(0)
        text = self.lines.read()
        whole = text[: text.rfind(b"\n") + 1]
        for line in whole.splitlines():
            record = json.loads(line)
            if "model" in record and record["model"] != self.model:
                raise Refused(
                    f"{self.journal}: was begun with another model or way of reading; --overwrite begins anew"
                )
            if "model" not in record:
                self.entries.update((name, Entry(*entry)) for name, entry in record.items())
        cut(self.lines, len(whole))
        if self.entries and self.last().is_nothing():
            self.entries.popitem()
        if not self.entries:
            return False
        self.size = self.last().end
        return True

    def check(self) -> None:
        """What is scored must still be there, unchanged and in the same order; what follows may be anything."""
        now = list(self.stamps)
        for place, (name, entry) in enumerate(self.entries.items()):
            if self.stamps.get(name) != entry.stamp:
                raise Refused(f"{name}: has changed since it was scored; --overwrite begins anew")
            if now[place] != name:
                raise Refused(f"{now[place]}: was not there when {name} was scored; --overwrite begins anew")

    def last(self) -> Entry:
        return self.entries[next(reversed(self.entries))]

    def position(self) -> tuple[int, int]:
        """The number of the file that comes next, and the row of it."""
        if not self.entries:
            return 0, 0
        last = self.last()
        return (len(self.entries), 0) if last.done else (len(self.entries) - 1, last.rows)

    def is_done(self, name: str) -> bool:
        return name in self.entries and self.entries[name].done

    def bad_files(self) -> int:
        return sum(bool(entry.bad) for entry in self.entries.values())

    def add(self, names: list[str], rows: bytes, count: int, done: bool, bad: dict[str, str]) -> None:
        """Write rows of one file, or of several that are done with them. A bad file keeps none."""
        if bad and len(names) == 1:
            return self.take_back(names[0], bad[names[0]])
        begin = self.size
        self.size += self.rows.write(rows)
        for name in names:
            before = self.entries.get(name)
            earlier, start = (before.rows, before.begin) if before else (0, begin)
            more = count if len(names) == 1 else int(name not in bad)
            entry = Entry(self.stamps[name], earlier + more, start, self.size, done, bad.get(name, ""))
            self.entries[name] = self.unsaved[name] = entry
        if time.monotonic() - self.saved > EVERY:
            self.save()
        return None

    def take_back(self, name: str, bad: str = "") -> None:
        """Remove what is written of the last file: it is bad, or it has to be scored again."""
        begin = self.entries[name].begin if name in self.entries else self.size
        self.entries[name] = self.unsaved[name] = Entry(self.stamps[name], 0, begin, begin, bool(bad), bad)
        if begin < self.size:
            self.save()  # the journal knows first: it never counts on rows that are gone
            self.size = begin
            cut(self.rows, self.size)

    def save(self) -> None:
        self.rows.flush()
        os.fsync(self.rows.fileno())
        if self.unsaved:
            self.write_line(self.unsaved)
        self.unsaved = {}
        self.saved = time.monotonic()

    def write_line(self, record: dict[str, Any]) -> None:
        self.lines.write(json.dumps(record, separators=(",", ":")).encode() + b"\n")
        self.lines.flush()

    def finish(self) -> None:
        """Give the result its name."""
        self.save()
        self.part.replace(self.path)
        self.journal.unlink()


def header(schema: Schema) -> list[str]:
    """The columns of the result."""
    if schema.task == "regression":
        return ["file", "row", *answered_numbers(np.empty(0), schema)]
    return ["file", "row", "label", *(f"probability_{label}" for label in schema.classes)]


def header_line(columns: list[str]) -> bytes:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(columns)
    return line.getvalue().encode()


def cut(file: IO[bytes], size: int) -> None:
    file.flush()
    file.truncate(size)
    file.seek(size)


def claim(file: IO[bytes]) -> None:
    """Take the output for this process alone, until it ends."""
    if sys.platform == "win32":
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise Refused(f"{file.name}: another process writes this output just now") from None


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
