"""runtime/batch.py, its processes: nothing waits for what it does not need, and the results keep their order."""

import itertools
import multiprocessing
import os
import threading
from collections.abc import Iterator
from contextlib import closing
from multiprocessing.reduction import ForkingPickler

import pyarrow as pa
import pytest

from runtime import batch

SECONDS = 60.0  # after which what should be there at once is not


def beginning(other: str) -> tuple[batch.Step, batch.Step]:
    """The steps: in this process they say so, and in the other one happens what the test is about."""
    is_this = multiprocessing.parent_process() is None
    if other == "is never ready" and not is_this:
        threading.Event().wait()
    if other == "dies" and not is_this:
        os._exit(1)

    def predict(chunk: int) -> int:
        if other == "fails" and not is_this:
            raise ValueError("as it should")
        return chunk

    return predict, lambda chunk: (chunk, "this" if is_this else "the other")


def test_this_process_works_before_the_others_are_there() -> None:
    results = list(batch.work_on(range(20), beginning, ("is never ready",), 3))
    assert results == [(chunk, (chunk, "this")) for chunk in range(20)]
    assert not multiprocessing.active_children()


def test_the_others_join_when_they_are_there_and_the_order_stays() -> None:
    with closing(batch.work_on(itertools.count(), beginning, ("works",), 2)) as results:
        for place, (chunk, (made, who)) in enumerate(results):
            assert chunk == made == place
            if who == "the other":
                break
    assert not multiprocessing.active_children()


@pytest.mark.parametrize(("other", "error"), [("dies", batch.WorkerDied), ("fails", ValueError)])
def test_what_goes_wrong_in_another_process_ends_the_run(other: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        for _ in batch.work_on(itertools.count(), beginning, (other,), 2):
            pass
    assert not multiprocessing.active_children()


def test_in_one_process_the_next_chunk_is_read_and_the_last_one_written_meanwhile() -> None:
    """A model is never asked for two at once: it may not be made for it."""
    read, asked = [[threading.Event() for _ in range(6)] for _ in range(2)]
    model = threading.Lock()

    def chunks() -> Iterator[int]:
        for chunk in range(5):
            read[chunk].set()
            yield chunk

    def predict(chunk: int) -> int:
        assert model.acquire(blocking=False)
        asked[chunk].set()
        assert chunk == 4 or read[chunk + 1].wait(SECONDS)
        model.release()
        return chunk

    def finish(chunk: int) -> int:
        assert chunk == 4 or asked[chunk + 1].wait(SECONDS)
        return chunk * 10

    results = list(batch.work_on(chunks(), lambda: (predict, finish), (), 1))
    assert results == [(chunk, chunk * 10) for chunk in range(5)]


def test_no_more_is_read_than_is_worked_on_soon() -> None:
    """Memory stays the same, however slow the model is."""
    taken = itertools.count()
    with closing(batch.work_on(taken, lambda: (str, str), (), 1)) as results:
        for _ in range(50):
            next(results)
    assert next(taken) < 50 + 3 * (batch.AHEAD + 1)


def test_of_a_slice_its_own_rows_go_to_another_process() -> None:
    batch = pa.record_batch({"x": range(100_000), "c": pa.array(["a", None] * 50_000).dictionary_encode()})
    part = batch.slice(70_000, 10)
    sent = bytes(ForkingPickler.dumps(part))
    assert len(sent) < 5_000
    assert ForkingPickler.loads(sent).equals(part)
