"""Work on chunks in this process and in others, with one thread for each model; the results come in their order."""

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler
from queue import SimpleQueue
from typing import Any, TypeVar

import pyarrow as pa

AHEAD = 2  # chunks that are read and not yet worked on, for each process

T = TypeVar("T")
Step = Callable[[Any], Any]
Begin = Callable[..., tuple[Step, Step]]  # what asks the model, and what makes of its answer what is written


class WorkerDied(Exception):
    """A process is gone: killed, most often because memory ran out."""


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
