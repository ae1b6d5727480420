"""Work on chunks in several processes, each with one thread; the results come in the order of the chunks."""

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

AHEAD = 2  # chunks for each process that are read and not yet worked on

Work = Callable[[Any], Any]


class WorkerDied(Exception):
    """A process is gone: killed, most often because memory ran out."""


def one_thread() -> None:
    """Called before a framework is imported: the processes are many already."""
    os.environ["OMP_NUM_THREADS"] = os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = "1"


def work_on(
    chunks: Iterable[Any], begin: Callable[..., Work], args: tuple[Any, ...], count: int
) -> Generator[tuple[Any, Any], None, None]:
    """Pairs of a chunk and what the function that begin(*args) returns makes of it, in each process its own."""
    one_thread()
    if count == 1:
        work = begin(*args)
        for chunk in chunks:
            yield chunk, work(chunk)
        return
    # Started from nothing: a fork would take over the threads and locks of this process.
    context = multiprocessing.get_context("spawn")
    processes = []
    idle: SimpleQueue[Connection] = SimpleQueue()
    interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)  # they inherit that: Ctrl-C is for this process alone
    for _ in range(count):
        ours, theirs = context.Pipe()
        process = context.Process(target=serve, args=(theirs, begin, args), daemon=True)
        process.start()
        theirs.close()
        processes.append(process)
        idle.put(ours)
    signal.signal(signal.SIGINT, interrupt)

    def ask(chunk: Any) -> Any:
        connection = idle.get()
        try:
            connection.send(chunk)
            failed, result = connection.recv()
        except (EOFError, OSError):
            raise WorkerDied("a process was killed: by hand, or because memory ran out") from None
        finally:
            idle.put(connection)
        if failed:
            raise result
        return result

    waiting: deque[tuple[Any, Future[Any]]] = deque()
    with ThreadPoolExecutor(count) as threads:
        try:
            for chunk in chunks:
                waiting.append((chunk, threads.submit(ask, chunk)))
                if len(waiting) > AHEAD * count:
                    first, result = waiting.popleft()
                    yield first, result.result()
            for first, result in waiting:
                yield first, result.result()
        finally:
            for process in processes:
                process.kill()
            threads.shutdown(wait=True, cancel_futures=True)


def serve(connection: Connection, begin: Callable[..., Work], args: tuple[Any, ...]) -> None:
    """A process of its own: it works until the one that asks is gone."""
    work: Work | None = None
    while True:
        try:
            chunk = connection.recv()
        except EOFError:
            return
        try:
            work = work or begin(*args)
            answer = False, work(chunk)
        except Exception as error:
            answer = True, error
        try:
            connection.send(answer)
        except OSError:
            return
