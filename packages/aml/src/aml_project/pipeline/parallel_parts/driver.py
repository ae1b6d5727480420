"""What a parallel step runs, with the Python of the model: init() once in each process, run() for some items at a time.

As ParallelRunStep calls them. What run() returns is appended to one file, in the order of the items. It imports nothing
but the standard library; what pandas returns says itself how it is written.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import multiprocessing
import os
import sys
import traceback
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import SimpleNamespace
from typing import Any

script = SimpleNamespace()  # its run(), in each process that has begun


def begin(file: str, arguments: list[str]) -> None:
    """Import the script and call its init(), in a process that is to call run()."""
    sys.argv = [file, *arguments]
    module = importlib.import_module(file.removesuffix(".py").replace("/", "."))
    if hasattr(module, "init"):
        module.init()
    script.run = module.run


def call(number: int, files: list[str]) -> tuple[str, int, str]:
    """The rows that run() returns for some items, how many they are, and why there are none."""
    try:
        if len(inspect.signature(script.run).parameters) < 2:
            returned = script.run(files)
        else:
            returned = script.run(files, SimpleNamespace(minibatch_index=str(number), partition_key_value=None))
        return (*rows_of(returned), "")
    except Exception as error:
        traceback.print_exc()
        return "", 0, f"{type(error).__name__}: {error}"
    finally:
        sys.stdout.flush()


def rows_of(returned: Any) -> tuple[str, int]:
    if hasattr(returned, "to_csv"):
        return returned.to_csv(sep=" ", header=False, index=False), len(returned)
    if isinstance(returned, str | bytes | dict) or not hasattr(returned, "__len__"):
        raise TypeError(f"run() returns a list, an array or a data frame, not a {type(returned).__name__}")
    return "".join(f"{row}\n" for row in returned), len(returned)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--script", required=True)
    parser.add_argument("--over", type=Path, required=True, help="the folder of the items, or one item")
    parser.add_argument("--items", type=int, required=True, help="that run() gets at a time")
    parser.add_argument("--processes", type=int, required=True)
    parser.add_argument("--error-threshold", type=int, required=True, help="items that may fail; -1: all of them")
    parser.add_argument("--rows", type=Path, help="the file that they are appended to")
    parser.add_argument("arguments", nargs="*", help="those of the script, behind --")
    given = parser.parse_args()
    files = sorted(str(file) for file in given.over.rglob("*") if file.is_file()) or [str(given.over)]
    batches = [files[at : at + given.items] for at in range(0, len(files), given.items)]
    processes = min(given.processes, len(batches))
    print(f"{len(batches)} mini batches of {len(files)} items, {processes} processes", flush=True)
    sys.path[0] = str(Path.cwd())  # and not the folder of this file
    failed = 0
    pool = ProcessPoolExecutor(
        processes, multiprocessing.get_context("spawn"), begin, (given.script, given.arguments)
    )  # fmt: skip
    try:
        with pool, Path(given.rows or os.devnull).open("w", encoding="utf-8") as rows:
            for batch, (text, count, why) in zip(batches, pool.map(call, range(len(batches)), batches), strict=True):
                rows.write(text)
                failed += max(len(batch) - count, 0)
                if why:
                    print(f"{Path(batch[0]).name} and what follows it: {why}", flush=True)
                if 0 <= given.error_threshold < failed:
                    pool.shutdown(cancel_futures=True)
                    print(f"{failed} items failed, and {given.error_threshold} may (error-threshold)", flush=True)
                    return 1
    except BrokenProcessPool:
        print("A process has ended by itself, in init() or run(): what it said stands above", flush=True)
        return 1
    print(f"{len(files) - failed} of {len(files)} items", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
