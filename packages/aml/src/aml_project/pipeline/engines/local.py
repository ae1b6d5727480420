"""A pipeline on this computer: each step is a process in the model's environment, independent ones side by side.

What a step has left stays in outputs/pipeline/steps/STEP/, in a folder that is named by what the step was made of
(cache.py). So it runs again only if that has changed, whatever was killed in between.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import threading
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from aml_project import alone, model_environment, project, work_folder
from aml_project.command_line import DONE, REFUSED, SERVICE_FAILED, Failure, Progress, note
from aml_project.files import write_whole
from aml_project.kill_points import reached
from aml_project.pipeline import MADE, cache, environment, folder_of, own_steps, page, record
from aml_project.pipeline.cache import Result
from aml_project.pipeline.definition import DATA, Source, Step
from aml_project.pipeline.engines import Order
from aml_project.pipeline.record import FAILED, GOOD, KEPT, LEFT_OUT, RUNNING, STOPPED, WAITING, Record, StepRun
from aml_project.project import shown

PARALLEL = Path(__file__).parents[1] / "parallel_parts" / "driver.py"
PAGE = "index.html"
PAGE_EVERY = 1.0  # seconds
LAST_LINES = 10  # of the log of a step that has failed
TRACKING = "MLFLOW_TRACKING_URI"


def lacks(order: Order) -> list[str]:  # noqa: ARG001 # it has all that pipeline.yml can say
    return []


def kept_in(order: Order) -> Path:
    return folder_of(order.folder)


def refresh(order: Order) -> bool:
    """The record is always up to date here."""
    return alone.holder(kept_in(order)) is not None


def stop(order: Order) -> int:
    if not alone.end(kept_in(order)):
        raise Failure(f"no pipeline of {order.model} is running here")
    print(f"The pipeline of {order.model} has ended; the same command without --stop goes on with it.")
    return DONE


def run(order: Order) -> int:
    model_environment.installed(order.root, order.model)
    with alone.in_folder(kept_in(order), "pipeline"), alone.interruptible():
        return Driver(order).run()


class Driver:
    """Starts each step once what it needs is there, and notes what becomes of it, until nothing is left to start."""

    def __init__(self, order: Order) -> None:
        self.order, self.pipeline = order, order.pipeline
        self.folder = kept_in(order)
        self.contents = cache.Contents(order.root)
        self.results: dict[str, Result] = {}
        self.packages: dict[Path, list[str]] = {}
        self.keys: dict[str, str] = {}
        self.code: dict[str, dict[str, Path]] = {}  # of each step
        self.code_was: dict[str, str] = {}  # when it began
        self.running: dict[str, work_folder.Running] = {}
        self.ended: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.slots = max(2, os.cpu_count() or 1)
        self.attached = bool(project.attached(order.root))
        self.record = Record(self.folder)
        self.wanted = [order.only] if order.only else [step.name for step in self.pipeline.order()]
        self.page_written, self.page_is_old = 0.0, True
        self.exit_code = DONE

    def run(self) -> int:
        self.begin()
        try:
            if self.order.only:
                self.find_needs(self.order.only)
            self.go_on()
        except KeyboardInterrupt:
            self.end_all()
            done = sum(self.record.steps[name].state in GOOD for name in self.wanted)
            said = f"Interrupted: {done} of {len(self.wanted)} steps are done; the same command goes on."
            raise KeyboardInterrupt(said) from None
        except BaseException:
            self.end_all()
            raise
        return self.say_end()

    def begin(self) -> None:
        """Note the run; of what --from, --only and --fresh want again, a call that was stopped may have done a part."""
        order = self.order
        wish = {"first": order.first, "only": order.only, "fresh": order.fresh}
        before = Record.read(self.folder)
        goes_on = before.about.get("wish") == wish and not before.about.get("over")
        self.since = float(before.about["since"]) if goes_on else time.time()
        if order.fresh and not goes_on:
            shutil.rmtree(self.folder / "steps", ignore_errors=True)
        first = order.first or order.only
        self.again = {first, *self.pipeline.downstream(first)} if first else set()
        self.record.begin(self.pipeline.steps, {"wish": wish, "since": self.since})
        for name, step in before.steps.items():
            if name in self.record.steps and name not in self.wanted:
                self.record.note(step)  # as it was

    def find_needs(self, only: str) -> None:
        """Have the results that the one step reads, which it does not make itself."""
        for source in self.pipeline.steps[only].inputs.values():
            if not source.step or source.step in self.results:
                continue
            self.find_needs(source.step)
            step = self.pipeline.steps[source.step]
            result = self.kept(step, self.folder_of(step))
            if result is None:
                why = f"it needs {step.name}, which is not done with the files as they are now"
                raise Failure(f"--only {self.order.only}: {why}: make pipeline does it")
            self.results[step.name] = result

    def go_on(self) -> None:
        while True:
            self.start_ready()
            if not self.running:
                return
            self.draw()
            try:
                self.finish(self.ended.get(timeout=PAGE_EVERY if self.page_is_old else None))
            except queue.Empty:
                continue

    def start_ready(self) -> None:
        """Settle each step that need not run, and start those that can."""
        for name in self.wanted:
            step = self.pipeline.steps[name]
            if self.record.steps[name].state != WAITING:
                continue
            states = {need: self.record.steps[need].state for need in step.needs if need in self.wanted}
            lacking = [need for need, state in states.items() if state in (FAILED, LEFT_OUT)]
            if lacking:
                self.settle(StepRun(step.name, LEFT_OUT, why=f"{lacking[0]} {states[lacking[0]]}"))
            elif all(state in GOOD for state in states.values()):
                try:
                    self.begin_step(step)
                except Failure as failure:
                    self.exit_code = REFUSED
                    self.settle(StepRun(name, FAILED, why=f"can't begin: {failure}"))

    def begin_step(self, step: Step) -> None:
        if step.kind == "register" and not self.attached:
            why = "no workspace is attached: make attach, then the same command registers"
            self.settle(StepRun(step.name, LEFT_OUT, why=why))
            return
        folder = self.folder_of(step)
        if result := self.kept(step, folder):
            place = self.named(folder)
            self.results[step.name] = result
            # What an earlier call with the same wish has done was asked for, as by this one.
            state = record.DONE if step.name in self.again else KEPT
            self.settle(StepRun(step.name, state, began(result.ended - result.seconds), result.seconds, folder=place))
        elif self.ended_unseen(step, folder):
            self.judge(step, folder, 0, self.ended_at(folder) - (folder / work_folder.LOG).stat().st_ctime)
        elif len(self.running) < self.slots:
            self.start(step, folder)

    def kept(self, step: Step, folder: Path) -> Result | None:
        """What the step has made before of the same, unless it is to be done again."""
        result = cache.find(self.contents, folder, step.outputs.values())
        return result if result and self.counts(step, result.ended) else None

    def ended_unseen(self, step: Step, folder: Path) -> bool:
        """Whether its script went to its end while nobody was there to note it."""
        noted = (folder / cache.DONE).exists()  # and changed since, or it would be a result
        return not noted and work_folder.ended_well(folder) and self.counts(step, self.ended_at(folder))

    def counts(self, step: Step, ended: float) -> bool:
        """Whether what has ended then was not to be done again."""
        return step.name not in self.again or ended >= self.since

    def ended_at(self, folder: Path) -> float:
        return (folder / work_folder.ENDED).stat().st_mtime

    def folder_of(self, step: Step) -> Path:
        """Where a step runs, or has run: named by what it is made of."""
        if step.name not in self.keys:
            self.keys[step.name] = self.key_of(step)
        return self.folder / "steps" / step.name / self.keys[step.name]

    def named(self, folder: Path) -> str:
        return folder.relative_to(self.folder).as_posix()

    def key_of(self, step: Step) -> str:
        folder = self.order.folder
        inputs = {name: self.content_of(source) for name, source in step.inputs.items()}
        more: dict[str, Any] = {
            "kind": step.kind,
            "script": step.script,
            "outputs": {name: [one.kind, one.path, one.suffix] for name, one in step.outputs.items()},
            "arguments": step.words(self.pipeline.parameters),
        }
        if step.registration:
            more["rules"], more["workspace"] = repr(step.registration), project.attached(self.order.root)
            return cache.key_of(self.contents, {}, inputs, more)
        python = environment.python_of(self.order.root, self.order.model, step)
        if python not in self.packages:
            self.packages[python] = cache.packages_of(python)
        script = "train.py" if step.kind == "search" else step.script
        if not (folder / script).is_file():
            raise Failure(f"models/{folder.name}/pipeline.yml: {step.name}: {script} is not there")
        code = cache.code_of(self.contents, folder, script)
        if step.kind == "search":
            code[step.script] = folder / step.script
        if step.parallel:
            code["driver"] = PARALLEL
            more["parallel"] = [step.parallel.over, step.parallel.items, step.parallel.error_threshold]
        self.code[step.name] = code
        more["packages"] = self.packages[python]
        return cache.key_of(self.contents, code, inputs, more)

    def place_of(self, source: Source) -> Path:
        """Where an input of a step lies."""
        if source.step:
            return self.results[source.step].outputs[source.name]
        if source.name == DATA:
            return project.data_folder(self.order.root, self.order.model)
        path = self.pipeline.inputs[source.name].path
        return Path(os.path.normpath(self.order.folder / path))

    def content_of(self, source: Source) -> str:
        if source.step:
            return self.results[source.step].contents[source.name]
        place = self.place_of(source)
        if not place.exists():
            raise Failure(f"{shown(place)}: not there; pipeline.yml has it as the input {source.name}")
        with Progress(f"Reading {shown(place)}"):
            return self.contents.of(place)

    def start(self, step: Step, folder: Path) -> None:
        if step.kind == "search" and not (folder / cache.DONE).exists():  # it goes on with what it has tried
            work_folder.end_leftover(folder)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / work_folder.ENDED).unlink(missing_ok=True)
        else:
            tops = {one.path.split("/")[0] for one in step.outputs.values() if one.path}
            work_folder.make(folder, self.order.folder, without=tops)
            for output in filter(lambda one: one.is_argument, step.outputs.values()):
                place = cache.place_of(folder, output)
                (place if output.kind == "folder" else place.parent).mkdir(parents=True, exist_ok=True)
        self.code_was[step.name] = self.code_is(step)
        reached("before step starts")
        process, line = work_folder.start(folder, self.command(step, folder), self.variables())
        reached("after step starts")
        self.settle(StepRun(step.name, RUNNING, began(time.time()), folder=self.named(folder)))
        running = self.running[step.name] = work_folder.Running(folder=folder, process=process, line=line)
        threading.Thread(target=self.wait_for, args=(step.name, running), daemon=True).start()

    def code_is(self, step: Step) -> str:
        """The state of a step's code; it is read from where it lies."""
        code = self.code.get(step.name, {})
        return cache.fingerprint(file for path in code.values() for file in cache.files_below(path))

    def wait_for(self, name: str, running: work_folder.Running) -> None:
        running.process.wait()
        self.ended.put(name)

    def variables(self) -> dict[str, str]:
        tracking = os.environ.get(TRACKING) or (self.order.folder / "mlruns").as_uri()
        return model_environment.variables_of_a_program() | {"PYTHONUNBUFFERED": "1", TRACKING: tracking}

    def command(self, step: Step, folder: Path) -> list[str | Path]:
        order = self.order
        places = {name: self.place_of(source) for name, source in step.inputs.items()}
        if step.registration:
            rules = {
                "require": step.registration.require,
                "better_than_current": step.registration.better_than_current or None,
                "name": step.registration.name or None,
            }
            asset, metrics = places["model"], str(places.get("metrics", ""))
            maker = step.inputs["model"].step or step.name
            given = {"root": order.root, "model": order.model, "step": maker, "rules": rules}
            return list(own_steps.command("register", **given, asset=asset, metrics=metrics))
        over = step.parallel.over if step.parallel else ""
        words: list[str | Path] = []
        for name, place in places.items():
            words += [f"--{name}", place] if name != over else []
        for output in step.outputs.values():
            if output.is_argument and not (step.parallel and output.kind == "file"):
                words += [f"--{output.name}", cache.place_of(folder, output)]
        words += step.words(self.pipeline.parameters)
        if step.kind == "search":
            given = {"root": order.root, "model": order.model, "file": step.script, "folder": folder}
            return list(own_steps.command("search", **given, words=list(map(str, words))))
        python = environment.python_of(order.root, order.model, step)
        if not step.parallel:
            return [python, *work_folder.module(step.script), *words]
        driven: list[str | Path] = [python, PARALLEL, "--script", step.script, "--over", places[over]]
        for name, number in (
            ("items", step.parallel.items),
            ("processes", step.parallel.processes),
            ("error-threshold", step.parallel.error_threshold),
        ):
            driven.append(f"--{name}={number}")
        rows = [cache.place_of(folder, one) for one in step.outputs.values() if one.kind == "file"]
        return [*driven, *(f"--rows={place}" for place in rows), "--", *words]

    def finish(self, name: str) -> None:
        """Note what has become of a step whose process has ended."""
        reached("after step ends")
        running = self.running.pop(name)
        running.close()
        step, code = self.pipeline.steps[name], running.process.returncode
        self.judge(step, running.folder, code, time.monotonic() - running.began)

    def judge(self, step: Step, folder: Path, code: int, seconds: float) -> None:
        work_folder.unlink(folder)
        about = StepRun(step.name, record.DONE, self.record.steps[step.name].started, round(seconds, 3))
        about.folder = self.named(folder)
        if code:
            about.state, about.why = FAILED, work_folder.crash(folder, code)
            by_service = step.kind == "register" and code == SERVICE_FAILED
            self.exit_code = SERVICE_FAILED if by_service and self.exit_code in (DONE, SERVICE_FAILED) else REFUSED
        elif lacking := [one for one in step.outputs.values() if cache.is_missing(cache.place_of(folder, one))]:
            what = ", ".join(f"{one.name}: {one.path or one.kind + one.suffix}" for one in lacking)
            about.state, about.why = FAILED, f"ended well and left nothing as its output {what}"
            (folder / work_folder.ENDED).unlink(missing_ok=True)
            self.exit_code = REFUSED
        else:
            reached("before result")
            outputs = step.outputs.values()
            self.results[step.name] = cache.keep(self.contents, folder, outputs, seconds, self.ended_at(folder))
            if self.code_was.get(step.name, "") not in ("", self.code_is(step)):
                note(f"{step.name}: its code has changed while it ran; the next call runs it again")
                (folder / cache.DONE).unlink()
                (folder / work_folder.ENDED).unlink()
            cache.forget_old(folder.parent)
        self.settle(about)

    def settle(self, step: StepRun) -> None:
        self.record.note(step)
        self.page_is_old = True
        if step.state == RUNNING:
            return
        why = f"  {step.why}" if step.why else ""
        width = max(map(len, self.record.steps))
        line = f"{step.name:{width}}  {step.state:9}  {record.took(step):>9}{why}"
        print(line.rstrip(), flush=True)

    def end_all(self) -> None:
        """End what runs; the same command begins it again."""
        work_folder.end_all(list(self.running.values()))
        for name in self.running:
            step = self.record.steps[name]
            step.state = STOPPED
            with contextlib.suppress(OSError):
                self.record.note(step)
        self.running.clear()
        self.draw(at_once=True)

    def draw(self, *, at_once: bool = False) -> None:
        """Write the page; it is made of the record, so that one more call makes up for one that failed."""
        if not self.page_is_old or (not at_once and time.monotonic() - self.page_written < PAGE_EVERY):
            return
        is_running = bool(self.running)
        text = page.text(self.order.model, self.pipeline, self.record, is_running)
        with contextlib.suppress(OSError):
            write_whole(self.folder / PAGE, text, sync=False)
        self.page_written, self.page_is_old = time.monotonic(), False

    def say_end(self) -> int:
        if self.exit_code == DONE:
            self.place_model()
        self.record.say(over=True)
        self.draw(at_once=True)
        steps = [self.record.steps[name] for name in self.wanted]
        failed = [step for step in steps if step.state == FAILED]
        if failed:
            raise Failure("\nERROR: ".join(map(self.told, failed)), self.exit_code)
        if all(step.state == KEPT for step in steps):
            print(f"Nothing has changed: all {len(steps)} steps are as before.")
        print(f"The graph: {shown(self.folder / PAGE)}")
        return DONE

    def told(self, step: StepRun) -> str:
        """The end of a step that has failed: what became of it, the last of its log, and where that is."""
        if not step.folder:
            return f"{step.name} {step.why}"
        log = self.folder / step.folder / work_folder.LOG
        lines = [line for line in work_folder.tail(log) if line.strip()][-LAST_LINES:]
        shown_lines = "".join(f"\n  | {line}" for line in lines)
        return f"{step.name} {step.why}{shown_lines}\n  the whole log: {shown(log)}"

    def place_model(self) -> None:
        """Have the model where `make serve` and `make batch` find it, and say to `make register` what it is."""
        makers = [step for step in self.pipeline.order() if makes_model(step) and step.name in self.results]
        if not makers:
            return
        step = makers[-1]
        result = self.results[step.name]
        reached("before outputs")
        new = cache.place_outputs(result.folder, self.order.folder)
        reached("after outputs")
        made = self.folder / MADE
        said = json.dumps({"step": step.name, "folder": self.named(result.folder)}) + "\n"
        if not made.is_file() or made.read_text(encoding="utf-8") != said:
            write_whole(made, said)
            os.utime(made, (result.ended, result.ended))  # a registration that followed it is newer
        if new:
            print(f"models/{self.order.model}/outputs has what {step.name} has made: {', '.join(new)}")


def began(seconds: float) -> str:
    """A time since 1970 as the record has it."""
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="seconds")


def makes_model(step: Step) -> bool:
    """Whether a step leaves outputs/model, which is what is served."""
    return step.kind in ("command", "search") and any(one.path == "outputs/model" for one in step.outputs.values())
