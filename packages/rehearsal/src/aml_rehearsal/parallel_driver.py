"""What a ParallelRunStep runs on its node: it hands mini batches to workers, and keeps what they return.

The node puts this file beside the user's and starts it with the Python of the step's environment, as the service does
with its own driver: so it imports nothing but the standard library, and pandas and azureml only for tables.
"""

from __future__ import annotations

import argparse
import importlib.util
import inspect
import json
import logging
import os
import pickle
import queue
import subprocess
import sys
import threading
import traceback
import types
from pathlib import Path
from typing import Any

UNITS = {"": 1, "kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30}
LOGS = Path("logs")
TABLE = "table"  # the kind of a mini batch that is a data frame, in a file of its own
KEYS = "keys"  # what a mini batch has in common, where it is a part of a partitioned dataset; in a file, too


def options(given: list[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--scoring_module_name", required=True)
    parser.add_argument("--mini_batch_size", default="1")
    parser.add_argument("--partition_keys", type=json.loads)
    parser.add_argument("--error_threshold", type=int, default=-1)
    parser.add_argument("--allowed_failed_count", type=int, default=-1)
    parser.add_argument("--allowed_failed_percent", type=float, default=100)
    parser.add_argument("--output_action", default="append_row")
    parser.add_argument("--append_row_file_name", default="parallel_run_step.txt")
    parser.add_argument("--output")
    parser.add_argument("--run_invocation_timeout", type=float, default=60)
    parser.add_argument("--run_max_try", type=int, default=3)
    parser.add_argument("--process_count_per_node", type=int, default=int(os.environ.get("AML_CORES_PER_NODE", "1")))
    return parser.parse_known_args(given)


def inputs(rest: list[str], kind: str) -> list[str]:
    """The values of --KIND0, --KIND1 …, in order."""
    found: list[str] = []
    while f"--{kind}{len(found)}" in rest:
        found.append(rest[rest.index(f"--{kind}{len(found)}") + 1])
    return found


# ------------------------------------------------------------------------------------------------- the mini batches


def mini_batches(size: str, rest: list[str], folder: Path) -> list[dict[str, Any]]:
    """What each call of run() gets: some files, or some rows of a table."""
    tables = inputs(rest, "input_ds_")
    if tables:
        return [batch for name in tables for batch in slices(name, size, folder)]
    roots = [os.environ[f"AZUREML_DATAREFERENCE_{name}"] for name in inputs(rest, "input_fds_")]
    files: list[str] = []
    for root in [*roots, *inputs(rest, "input")]:
        place = Path(root)
        found = sorted(file for file in place.rglob("*") if file.is_file()) if place.is_dir() else [place]
        files += [str(file) for file in found]
    step = int(size)
    return [{"files": files[at : at + step], "items": len(files[at : at + step])} for at in range(0, len(files), step)]


def divided(keys: list[str], rest: list[str], folder: Path) -> list[dict[str, Any]]:
    """One mini batch for each value of the keys by which the datasets are partitioned."""
    from azureml.core import Run  # type: ignore[import-not-found,unused-ignore] # that of the step's environment

    known, found = Run.get_context().input_datasets, []
    for name in [*inputs(rest, "input_ds_"), *inputs(rest, "input_fds_")]:
        dataset = known[name]
        if unknown := [key for key in keys if key not in (dataset.partition_keys or [])]:
            raise SystemExit(f"The dataset {name} is not partitioned by {', '.join(unknown)}: {dataset.partition_keys}")
        for number, values in enumerate(dataset.get_partition_key_values(keys)):
            part = dataset
            for key, value in values.items():
                part = part.filter(dataset[key] == value)
            place = folder / f"{name}-{number}"
            kept = {KEYS: written(values, place.with_suffix(".keys"))}
            if hasattr(part, "to_pandas_dataframe"):
                table = part.to_pandas_dataframe()
                found.append({TABLE: written(table, place.with_suffix(".pickle")), "items": len(table)} | kept)
            else:
                files = sorted(part.download(str(place)))
                found.append({"files": files, "items": len(files)} | kept)
    return found


def written(content: Any, file: Path) -> str:
    file.write_bytes(pickle.dumps(content))
    return str(file)


def slices(name: str, size: str, folder: Path) -> list[dict[str, Any]]:
    """A table in parts of about so many bytes."""
    from azureml.core import Run  # type: ignore[import-not-found,unused-ignore] # that of the step's environment

    table = Run.get_context().input_datasets[name].to_pandas_dataframe()
    number = size.lower().rstrip("kmgb")
    wanted = int(number) * UNITS[size.lower()[len(number) :]]
    a_row = max(1, len(table.to_csv(index=False, header=False).encode()) // max(1, len(table)))
    step = max(1, wanted // a_row)
    found = []
    for at in range(0, len(table), step):
        part = table.iloc[at : at + step].reset_index(drop=True)
        found.append({TABLE: written(part, folder / f"{name}-{at}.pickle"), "items": len(part)})
    return found


# ------------------------------------------------------------------------------------------------------- the driver


class InitFailed(Exception):
    """No worker could begin."""


class Driver:
    """All mini batches, several at once, each tried until it succeeds or has had its tries."""

    def __init__(self, wish: argparse.Namespace, batches: list[dict[str, Any]], given: list[str]) -> None:
        self.wish, self.given, self.count = wish, given, len(batches)
        self.waiting: queue.Queue[dict[str, Any]] = queue.Queue()
        for index, batch in enumerate(batches):
            self.waiting.put({**batch, "index": index, "tries": 0})
        self.items = sum(batch["items"] for batch in batches)
        self.lock = threading.Lock()
        self.rows: list[str] = []
        self.done = self.failed_items = self.failed_batches = 0
        self.workers: dict[int, Worker] = {}
        self.over = threading.Event()
        self.reason = ""

    def run(self) -> str:
        """Work; the reason for which it was given up, if it was."""
        most = int(os.environ.get("AZUREML_NODE_COUNT", "1")) * self.wish.process_count_per_node
        workers = min(most, max(1, self.count))
        print(f"{self.count} mini batches of {self.items} items, {workers} of at most {most} workers", flush=True)
        threads = [threading.Thread(target=self.work, args=(number,)) for number in range(workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        share = 100 * self.failed_batches / max(1, self.count)
        if not self.reason and share > self.wish.allowed_failed_percent:
            self.reason = f"{share:g} % of the mini batches failed, more than {self.wish.allowed_failed_percent:g} %"
        return self.reason

    def work(self, number: int) -> None:
        """One worker's mini batches; a worker that takes too long or dies is replaced."""
        try:
            while not self.over.is_set():
                with self.lock:
                    if self.done == self.count:
                        return
                try:
                    batch = self.waiting.get(timeout=0.1)  # another worker's may still come back
                except queue.Empty:
                    continue
                if number not in self.workers or not self.workers[number].alive():
                    self.workers[number] = Worker(number, self.given)
                self.take(batch, self.workers[number].answer(batch, self.wish.run_invocation_timeout))
        except InitFailed as error:
            self.give_up(f"init() failed: {error}")
        except Exception as error:
            self.give_up(f"The driver failed: {error!r}")
        finally:
            if number in self.workers:
                self.workers[number].stop()

    def take(self, batch: dict[str, Any], told: dict[str, Any]) -> None:
        """What became of a mini batch."""
        batch["tries"] += 1
        with self.lock:
            if "error" in told and batch["tries"] < self.wish.run_max_try:
                print(f"Mini batch {batch['index']}, try {batch['tries']}: {told['error']}", flush=True)
                self.waiting.put(batch)
                return
            self.done += 1
            if "error" in told:
                print(f"Mini batch {batch['index']} failed, try {batch['tries']}: {told['error']}", flush=True)
                self.failed_batches += 1
                self.failed_items += batch["items"]
            else:
                self.rows += told["rows"]
                self.failed_items += max(0, batch["items"] - told["count"])
        most, allowed = self.wish.error_threshold, self.wish.allowed_failed_count
        if 0 <= most < self.failed_items:
            self.give_up(f"{self.failed_items} items failed, more than the error_threshold of {most}")
        if 0 <= allowed < self.failed_batches:
            self.give_up(f"{self.failed_batches} mini batches failed, more than the allowed_failed_count of {allowed}")

    def give_up(self, reason: str) -> None:
        with self.lock:
            self.reason = self.reason or reason
        self.over.set()
        for worker in list(self.workers.values()):
            worker.process.kill()


class Worker:
    """A process that has called init() and calls run() for each mini batch that it is handed."""

    def __init__(self, number: int, given: list[str]) -> None:
        own = {**os.environ, "AML_WORKER": str(number)}
        command = [sys.executable, __file__, "--worker", *given]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, env=own, text=True, encoding="utf-8")
        self.answers: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()
        begun = json.loads(self.answers.get() or '{"error": "the process ended"}')
        if "error" in begun:
            self.stop()
            raise InitFailed(begun["error"])

    def read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.answers.put(line)
        self.answers.put("")  # it has ended

    def alive(self) -> bool:
        return self.process.poll() is None

    def answer(self, batch: dict[str, Any], seconds: float) -> dict[str, Any]:
        assert self.process.stdin is not None
        try:
            print(json.dumps(batch), file=self.process.stdin, flush=True)
            told = self.answers.get(timeout=seconds)
        except queue.Empty:
            self.stop()
            return {"error": f"run() took longer than the run_invocation_timeout of {seconds:g} seconds"}
        except OSError:
            told = ""
        if not told:
            self.stop()
            return {"error": f"the worker ended with exit code {self.process.returncode}"}
        return dict(json.loads(told))

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


# ------------------------------------------------------------------------------------------------------- the worker


def worker(given: list[str]) -> None:
    """Call the user's init() once and run() for each line of input; what the script prints goes to files of its own."""
    wish, _ = options(given)
    number = f"process{int(os.environ['AML_WORKER']):03d}"
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    for stream, kind in ((1, "stdout"), (2, "stderr")):
        file = LOGS / "user" / kind / "0" / f"{number}.{kind}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), stream)
    sys.argv = [wish.scoring_module_name, *given]
    offer_entry_script(wish, number)

    def tell(**told: Any) -> None:
        print(json.dumps(told), file=answers, flush=True)

    try:
        module = entry(wish.scoring_module_name)
        if hasattr(module, "init"):
            module.init()
    except BaseException as error:
        note(number)
        tell(error=f"{type(error).__name__}: {error}")
        return
    tell(begun=True)
    for line in sys.stdin:
        batch = json.loads(line)
        try:
            rows, count = result(call(module.run, batch))
            tell(rows=rows, count=count)
        except Exception as error:
            note(number)
            tell(error=f"{type(error).__name__}: {error}")
        sys.stdout.flush()


def entry(name: str) -> Any:
    """The user's entry script, as a module."""
    file = Path(name)
    sys.path[:0] = [str(Path.cwd()), str(file.parent.absolute())]
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    return module


def offer_entry_script(wish: argparse.Namespace, number: str) -> None:
    """What a script imports of azureml_user.parallel_run: its logger and its folders."""
    log = LOGS / "user" / "entry_script_log" / "0" / f"{number}.log.txt"
    log.parent.mkdir(parents=True, exist_ok=True)

    class EntryScript:
        def __init__(self) -> None:
            self.logger = logging.getLogger("EntryScript")
            self.working_dir, self.output_dir = str(Path.cwd()), wish.output

    logging.basicConfig(filename=log, level=logging.INFO)
    module = types.ModuleType("azureml_user.parallel_run")
    module.EntryScript = EntryScript  # type: ignore[attr-defined]
    sys.modules.update({"azureml_user": types.ModuleType("azureml_user"), "azureml_user.parallel_run": module})


def call(run: Any, batch: dict[str, Any]) -> Any:
    """run(), with the context if it takes one."""
    content = pickle.loads(Path(batch[TABLE]).read_bytes()) if TABLE in batch else batch["files"]  # noqa: S301
    if len(inspect.signature(run).parameters) < 2:
        return run(content)
    values = pickle.loads(Path(batch[KEYS]).read_bytes()) if KEYS in batch else None  # noqa: S301
    known = {"minibatch_index": str(batch["index"]), "partition_key_value": values, "dataset_info": None}
    return run(content, types.SimpleNamespace(**known))


def result(returned: Any) -> tuple[list[str], int]:
    """The rows for the common file, and how many items succeeded."""
    if hasattr(returned, "to_csv"):
        return [returned.to_csv(sep=" ", header=False, index=False)], len(returned)
    if isinstance(returned, (str, bytes, dict)) or not hasattr(returned, "__len__"):
        raise TypeError(f"run() returns a list, an array or a data frame, not a {type(returned).__name__}")
    return [f"{row}\n" for row in returned], len(returned)


def note(number: str) -> None:
    """Keep where it failed for the one who looks for it."""
    file = LOGS / "user" / "error" / "0" / f"{number}.txt"
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as log:
        traceback.print_exc(file=log)


def main(given: list[str]) -> str | None:
    if given[:1] == ["--worker"]:
        worker(given[1:])
        return None
    wish, rest = options(given)
    folder = Path("driver") / "tables"
    folder.mkdir(parents=True, exist_ok=True)
    keys = wish.partition_keys
    batches = divided(keys, rest, folder) if keys else mini_batches(str(wish.mini_batch_size), rest, folder)
    driver = Driver(wish, batches, given)
    reason = driver.run()
    LOGS.mkdir(exist_ok=True)
    told = {"mini_batches": driver.count, "failed": driver.failed_batches, "failed_items": driver.failed_items}
    (LOGS / "job_result.txt").write_text(json.dumps({**told, "error": reason}, indent=1), encoding="utf-8")
    if reason:
        return f"The step was given up: {reason}. See logs/user/error."
    if wish.output:
        Path(wish.output).mkdir(parents=True, exist_ok=True)
        if wish.output_action.lower() == "append_row":
            (Path(wish.output) / wish.append_row_file_name).write_text("".join(driver.rows), encoding="utf-8")
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
