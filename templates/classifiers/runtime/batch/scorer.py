"""Chunks of rows in, rows of the result out."""

import io
import re
from collections.abc import Callable
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from pyarrow.csv import WriteOptions, write_csv

from runtime import input_schema
from runtime.batch import files
from runtime.batch.output import header
from score import load_model

SPECIAL = re.compile('[",\r\n]')  # what CSV puts in quotes


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

    def __init__(self, model: str) -> None:
        folder, self.schema = input_schema.find(model)
        self.predict = load_model(folder, self.schema)

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


def writer(model: str) -> tuple[Callable[[files.Chunk], Result], Callable[[Result], Lines]]:
    """Load a model; return what scores a chunk, and what makes lines of the result."""
    scorer = Scorer(model)

    def lines(result: Result) -> Lines:
        texts = chain(scorer.schema.classes, result.table["file"].unique().to_pylist())
        quoted = any(map(SPECIAL.search, texts))  # else it is faster without
        text = io.BytesIO()
        write_csv(result.table, text, WriteOptions(include_header=False, quoting_style="needed" if quoted else "none"))
        return Lines(text.getvalue(), result.table.num_rows, result.bad)

    return scorer.score, lines
