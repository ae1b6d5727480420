"""NNI, on this computer or on a cluster, in an environment of its own: .venv/.nni.

What `nnictl create --config` takes lies in outputs/search/nni/ and works by itself. NNI keeps its experiment there: a
search that was killed goes on by `nnictl resume`, which begins what was cut short again with the same values.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shlex
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from aml_project import alone, model_environment, project, tools, work_folder
from aml_project.command_line import DONE, Failure, Progress, note
from aml_project.files import write_whole
from aml_project.kill_points import reached
from aml_project.project import shown
from aml_project.search import folder_of, nni_space, record, results, trials
from aml_project.search.definition import Search
from aml_project.search.engines import Order
from aml_project.search.record import COMPLETE, FAILED, STOPPED, Record, Trial

PARTS = Path(__file__).parents[1] / "nni_parts"
# NNI's last release but one: 3.0 answers the documented `trainingService: {platform: aml}` with an error, and its other
# form, a list, does without what NNI itself reads of it. It starts no server where pkg_resources is missing.
RELEASE = "nni==2.10.1"
PACKAGES = [
    RELEASE, "setuptools==80.9.0", "numpy==2.2.6", "scipy==1.15.3", "scikit-learn==1.7.2", "pandas==2.3.3",
    "websockets==15.0.1",
]  # fmt: skip
CLIENT = "azureml-core==1.61.0.post4"  # of NNI's server, on a cluster
ON_THE_NODE = [RELEASE, "setuptools==80.9.0", "websockets==15.0.1"]
PYTHONS = ">=3.10,<3.12"
FINAL = {"SUCCEEDED": COMPLETE, "EARLY_STOPPED": STOPPED, "FAILED": FAILED, "USER_CANCELED": FAILED,
         "SYS_CANCELED": FAILED}  # fmt: skip
RUNS = "runs.txt"  # that NNI has submitted, in the folder of the search
ENDED = ("DONE", "ERROR", "STOPPED")
STARTS = 3  # NNI gives its own parts ten seconds to find each other
TICK = 1.0  # seconds between two looks
PATIENCE = 15  # looks: of an experiment that goes on, it says for a while that it is done


def kept_in(order: Order) -> Path:
    return folder_of(order.folder) / "nni"


def lacks(search: Search) -> list[str]:
    return nni_space.lacks(search)


def refresh(order: Order) -> bool:
    return alone.holder(kept_in(order)) is not None


def stop(order: Order) -> int:
    from aml_project.search.engines import local

    return local.end(kept_in(order), order.model)


def run(order: Order) -> int:
    if order.write:
        raise Failure(f"nni: what nnictl takes has files beside it: make search writes all to {shown(kept_in(order))}")
    with alone.in_folder(kept_in(order), "search"), alone.interruptible():
        if order.fresh:
            begin_anew(kept_in(order))
        place = environment(order.root, with_client=bool(order.on))
        return (ClusterDriver if order.on else Driver)(order, place).run()


def begin_anew(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.name != "lock":
            shutil.rmtree(entry, ignore_errors=True) if entry.is_dir() else entry.unlink()


def environment(root: Path, *, with_client: bool = False) -> Path:
    """The folder of the environment that has NNI; it is made once, and again for other packages."""
    place = root / ".venv" / ".nni"
    parts = b"".join((PARTS / name).read_bytes() for name in ("loopback.js", "aml_client.py"))
    packages = [*PACKAGES, *([CLIENT] if with_client else [])]
    mark = place / "ready"
    known = [hashlib.sha256(json.dumps(each).encode() + parts).hexdigest() for each in ([*PACKAGES, CLIENT], packages)]
    if mark.is_file() and mark.read_text() in known:
        return place
    uv = tools.find_uv()
    if not uv:
        raise Failure("NNI gets an environment of its own, and there is no uv to make it: call this command by make")
    print(f"Installing {RELEASE.replace('==', ' ')} to .venv/.nni, once", file=sys.stderr, flush=True)
    with Progress("Installing"):
        no_python = "NNI needs Python 3.10 or 3.11, which is not here: install one, as in uv python install 3.11"
        ask(no_python, uv, "venv", "--quiet", "--clear", "--python", PYTHONS, str(place))
        install = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(python_in(place))]
        ask(f"{RELEASE} could not be installed", *install, *packages)
    repair(place)
    mark.write_text(known[-1])
    return place


def repair(place: Path) -> None:
    """Mend in NNI's server what keeps it from use: it listens to the whole network, and gives its tuner ten seconds."""
    [node] = place.glob("lib/python*/site-packages/nni_node")
    main, channel = node / "main.js", node / "core" / "tuner_command_channel" / "websocket_channel.js"
    replaced = {
        node / "loopback.js": (PARTS / "loopback.js").read_text(encoding="utf-8"),
        node / "config" / "aml" / "amlUtil.py": (PARTS / "aml_client.py").read_text(encoding="utf-8"),
        main: f"require('./loopback.js');\n{main.read_text(encoding='utf-8')}",
        channel: channel.read_text(encoding="utf-8").replace("}, 10000);", "}, 60000);"),
    }
    for file, text in replaced.items():
        file.unlink(missing_ok=True)  # it is a link to uv's cache, which the other environments have too
        file.write_text(text, encoding="utf-8")


def ask(trouble: str, *command: str) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise Failure(f"{trouble}: {' '.join(done.stderr.split()[-30:])}")


def python_in(place: Path) -> Path:
    return model_environment.bin_folder(place) / "python"


class Driver:
    """Starts NNI, follows its trials by what its server says, and ends it with the search."""

    def __init__(self, order: Order, place: Path) -> None:
        self.order, self.search, self.place = order, order.search, place
        self.folder = kept_in(order)
        self.record = Record(self.folder)
        self.port = 0

    def run(self) -> int:
        self.write_files()
        if len(self.over) < self.search.trials:
            if self.over:
                print(f"Going on: {self.progress()}", flush=True)
            try:
                self.before()
                with self.server():
                    self.follow()
                self.after()
            except KeyboardInterrupt:
                self.after()
                self.write_results()
                raise KeyboardInterrupt(f"Interrupted: {self.progress()}; the same command goes on.") from None
        self.write_results()
        return self.say_end()

    def before(self) -> None:
        """What is to be done before NNI starts, if anything."""

    def after(self) -> None:
        """What is to be done once it has ended."""

    # What NNI is given

    def write_files(self) -> None:
        """The experiment as NNI documents it, and what its trials run."""
        import yaml

        code = self.folder / "code"
        code.mkdir(parents=True, exist_ok=True)
        write_whole(code / "trial.py", (PARTS / "trial.py").read_text(encoding="utf-8"))
        write_whole(code / "trial.json", json.dumps(self.settings(), indent=2))
        write_whole(self.folder / "nni.yml", f"# nnictl create --config {shown(self.folder / 'nni.yml')}\n"
                    + yaml.safe_dump(self.experiment(), sort_keys=False, allow_unicode=True))  # fmt: skip

    def settings(self) -> dict[str, Any]:
        """What trial.py has to know."""
        order, script = self.order, trials.script_of(self.order.root, self.order.model)
        return {
            "model": str(order.folder),
            "trials": str(self.folder / "trials"),
            "python": str(script.python),
            "arguments": script.data,
            "metric": self.search.metric,
            "whole": [each.name for each in self.search.parameters if getattr(each, "whole", False)],
            "in_workspace": False,
        }

    def experiment(self) -> dict[str, Any]:
        search = self.search
        mode = {"optimize_mode": search.goal}
        tuner: dict[str, Any] = {"name": nni_space.TUNERS[search.algorithm]}
        arguments = {"random": {"seed": search.seed}, "tpe": {**mode, "seed": search.seed}, "grid": {}}
        if arguments[search.algorithm]:
            tuner["classArgs"] = arguments[search.algorithm]
        made: dict[str, Any] = {
            "experimentName": f"The search of {self.order.model}",
            "searchSpace": nni_space.space(search),
            "trialCommand": f"{shlex.quote(str(python_in(self.place)))} trial.py",
            "trialCodeDirectory": "code",
            "trialConcurrency": search.parallel,
            "maxTrialNumber": search.trials,
            "experimentWorkingDirectory": "experiments",
            "tuner": tuner,
        }
        if search.hours:
            made["maxExperimentDuration"] = f"{max(round(search.hours * 3600), 1)}s"
        if search.trial_minutes:
            made["maxTrialDuration"] = f"{max(round(search.trial_minutes * 60), 1)}s"
        if search.stop:
            made["assessor"] = {"name": "Medianstop", "classArgs": {**mode, "start_step": search.stop.after}}
        made["trainingService"] = self.service(made)
        return made

    def service(self, made: dict[str, Any]) -> dict[str, Any]:
        per_gpu = self.search.per_gpu
        if per_gpu and not trials.gpus():
            note("per_gpu: there is no GPU here; without effect")
        elif per_gpu:
            made["trialGpuNumber"] = 1
            return {"platform": "local", "maxTrialNumberPerGpu": per_gpu, "useActiveGpu": True}
        return {"platform": "local"}

    # NNI's server

    @contextlib.contextmanager
    def server(self) -> Iterator[None]:
        """NNI for as long as the search is here: nothing of it outlives this process."""
        theirs, ours = os.pipe()
        said = self.folder / "nnictl.txt"
        try:
            for _ in range(STARTS):
                self.port = free_port()
                Path(f"{said}.code").unlink(missing_ok=True)
                guard = [sys.executable, str(PARTS / "guard.py"), str(theirs), str(said), *self.command()]
                process = subprocess.Popen(
                    guard, cwd=self.folder, env=self.variables(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                    start_new_session=True, pass_fds=[theirs],
                )  # fmt: skip
                with Progress("Starting NNI"):
                    while not (code := read_text(Path(f"{said}.code"))) and process.poll() is None:
                        time.sleep(0.1)
                reached("after nni starts")
                if code == "0":
                    break
                os.close(ours)
                process.wait()
                os.close(theirs)
                theirs, ours = os.pipe()
            else:
                lines = [line for line in read_text(said).splitlines() if line.strip()]
                raise Failure(f"NNI does not start: {lines[-1] if lines else 'it says nothing'} ({shown(said)})")
            print(f"NNI shows it at http://127.0.0.1:{self.port}", flush=True)
            yield
        finally:
            os.close(theirs)
            os.close(ours)
        process.wait()

    def command(self) -> list[str]:
        nnictl = str(model_environment.bin_folder(self.place) / "nnictl")
        port = ["--port", str(self.port)]
        if experiment := self.earlier():
            place = str(self.folder / "experiments")
            return [nnictl, "resume", experiment, "--experiment_dir", place, *port]
        return [nnictl, "create", "--config", "nni.yml", *port]

    def earlier(self) -> str:
        """The experiment of an earlier call, if NNI came to note it."""
        try:
            experiment = (self.folder / "experiments" / "_latest").readlink().name
            with contextlib.closing(
                sqlite3.connect(self.folder / "experiments" / experiment / "db" / "nni.sqlite")
            ) as kept:
                if not kept.execute("select count(*) from ExperimentProfile").fetchone()[0]:
                    return ""
                last = dict(kept.execute("select trialJobId, event from TrialJobEvent order by rowid"))
                self.change(kept, last)
        except (OSError, sqlite3.Error):
            return ""
        return experiment

    def change(self, kept: sqlite3.Connection, last: dict[str, str]) -> None:
        """Say how many trials there are to be, and give NNI's tuner another seed, before it goes on.

        NNI counts what it begins again twice, and what no longer fits; and its tuner would draw from the beginning.
        """
        again = sum(event not in FINAL for event in last.values())
        other = sum(trial.is_over and not self.search.fits(trial.values) for trial in self.record.trials.values())
        for number, text in kept.execute("select rowid, params from ExperimentProfile").fetchall():
            params = json.loads(text)
            params["maxTrialNumber"] = self.search.trials + other + again
            arguments = params.get("tuner", {}).get("classArgs") or {}
            if "seed" in arguments:
                arguments["seed"] = self.search.seed + len(last)
            kept.execute("update ExperimentProfile set params = ? where rowid = ?", (json.dumps(params), number))
        kept.commit()

    def variables(self) -> dict[str, str]:
        own = model_environment.variables_of_a_program()
        path = f"{model_environment.bin_folder(self.place)}{os.pathsep}{own.get('PATH', '')}"
        return {
            **own,
            "PATH": path,
            "NO_PROXY": f"{own.get('NO_PROXY', '')},127.0.0.1,localhost",
            "PYTHONWARNINGS": "ignore",
        }

    def ask(self, path: str) -> Any:
        """What its server answers."""
        address = f"http://127.0.0.1:{self.port}/api/v1/nni{path}"
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        pauses = iter((1, 2, 4))
        while True:
            try:
                with direct.open(address, timeout=30) as answer:
                    text = answer.read().decode()
                    return json.loads(text) if text.strip() else None
            except (OSError, ValueError) as error:
                pause = next(pauses, None)
                if pause is None:
                    raise Failure(f"NNI no longer answers: {error} ({shown(self.folder / 'nnictl.txt')})") from None
                time.sleep(pause)

    # Its trials

    @property
    def over(self) -> list[Trial]:
        return [trial for trial in self.record.of(self.search) if trial.is_over]

    @property
    def best(self) -> Trial | None:
        return record.best(self.over, self.search)

    def follow(self) -> None:
        idle = 0
        while True:
            state = self.ask("/check-status")
            jobs = self.ask("/trial-jobs")
            if not jobs:
                self.refuse_dead_tuner()
            for job in sorted(jobs, key=lambda job: int(job["sequenceId"])):
                self.look(job)
            if state["errors"]:
                raise Failure(f"NNI ended with an error: {' '.join(str(state['errors'][0]).split())}")
            is_over = state["status"] in ENDED and all(job["status"] in FINAL for job in jobs)
            idle = idle + 1 if is_over else 0
            if idle > PATIENCE:
                return
            if len(self.over) >= self.search.trials:
                return
            time.sleep(TICK)

    def refuse_dead_tuner(self) -> None:
        """NNI waits for ever for a tuner that has ended with a traceback."""
        log = self.folder / "experiments" / "_latest" / "log" / "dispatcher.log"
        lines = read_text(log).rstrip().splitlines()
        if lines and "Traceback" in "\n".join(lines[-60:]) and not lines[-1].startswith((" ", "[")):
            raise Failure(f"NNI's tuner has ended: {lines[-1]} ({shown(log)})")

    def look(self, job: dict[str, Any]) -> None:
        known = {trial.run: trial for trial in self.record.trials.values()}
        trial = known.get(job["trialJobId"]) or self.begun(job)
        if trial is None or trial.is_over or job["status"] not in FINAL:
            return
        reached("after trial ends")
        place = self.folder / "trials" / job["trialJobId"]
        final = job.get("finalMetricData") or []
        trial.state = FINAL[job["status"]]
        if job.get("startTime") and job.get("endTime"):
            trial.seconds = round((job["endTime"] - job["startTime"]) / 1000, 3)
        trial.steps = trials.Steps(place / trials.STEPS_FILE).new(self.search.metric)
        with contextlib.suppress(ValueError):
            trial.metrics = trials.read_metrics(place / "outputs" / "metrics.json")
        if final and self.search.metric not in trial.metrics:
            trial.metrics[self.search.metric] = float(json.loads(json.loads(final[-1]["data"])))
        if trial.state == FAILED or (trial.state == COMPLETE and not final):
            trial.state, trial.why = FAILED, self.why(place)
        self.put(place, trial)
        self.record.over(trial)
        is_best = trial.run == (self.best.run if self.best else "")
        line = results.line_of(trial, self.search, True, is_best)
        print(f"{f'{len(self.over)}/{self.search.trials}':>9}  {line}{self.best_so_far()}", flush=True)

    def begun(self, job: dict[str, Any]) -> Trial | None:
        if not job.get("hyperParameters"):
            return None
        drawn = json.loads(job["hyperParameters"][0])["parameters"]
        started = datetime.fromtimestamp(job.get("startTime", 0) / 1000, timezone.utc).isoformat(timespec="seconds")
        values = nni_space.values_of(drawn, self.search)
        return self.record.begun(self.record.next_number, values, started, job["trialJobId"])

    def put(self, place: Path, trial: Trial) -> None:
        """Leave of a trial's folder what it has made, under its number."""
        if place.is_dir():
            work_folder.unlink(place)
            final = trials.place_of(self.folder, trial.number)
            if not final.exists():
                place.rename(final)

    def why(self, place: Path) -> str:
        said = next((line for line in reversed(work_folder.tail(place / "log.txt")) if line.strip()), "")
        if not said:
            return "failed before train.py began"
        try:
            trials.read_metrics(place / "outputs" / "metrics.json")
        except ValueError as error:
            return f"{error}: {said.strip()[: work_folder.LONGEST]}"
        return f"failed: {said.strip()[: work_folder.LONGEST]}"

    def best_so_far(self) -> str:
        best = self.best
        return results.best_so_far(best, best.value(self.search) if best else None)

    def progress(self) -> str:
        best = self.best
        return results.progress(len(self.over), self.search, best, best.value(self.search) if best else None)

    # Its end

    def write_results(self) -> None:
        from aml_project.search import page

        everything = sorted(self.record.trials.values(), key=lambda trial: trial.number)
        results.write_table(self.folder / "trials.csv", everything, self.search)
        page.write(self.folder / "index.html", f"The search of {self.order.model}", everything, self.search)

    def say_end(self) -> int:
        done, best = len(self.over), self.best
        if done < self.search.trials:
            over = (
                "the grid has no more"
                if self.search.algorithm == "grid"
                else "hours are over; the same command goes on"
            )
            print(f"{self.progress()}: {over}.")
        value = best.value(self.search) if best else None
        if best is None or value is None:
            failed = next((trial for trial in self.over if trial.why), None)
            why = f": trial {failed.number} {failed.why}" if failed else ""
            raise Failure(f"none of {done} trials has a {self.search.metric}{why}")
        print(f"Best of {done}: trial {best.number}, {self.search.metric} {value:.6g}: {trials.described(best.values)}")
        print(f"All of them: {shown(self.folder / 'index.html')} and trials.csv")
        return DONE


class ClusterDriver(Driver):
    """NNI's training service for Azure ML: its runner is a run on the cluster, and each trial a child of that run."""

    def __init__(self, order: Order, place: Path) -> None:
        super().__init__(order, place)
        self.workspace: Any = None

    def before(self) -> None:
        from aml_project.service.workspace import open_workspace

        self.workspace = open_workspace(self.order.root, debug=self.order.debug)
        self.after()

    def after(self) -> None:
        """End the runs of a call that was killed: their runners would wait ten minutes for work."""
        from azureml.core import Run

        from aml_project.service.run_log import ENDED

        for run in submitted(self.workspace, self.folder):
            if run.get_status() not in ENDED:
                Run.cancel(run)  # its class would look for the folder that it was submitted from

    def write_files(self) -> None:
        from aml_project.snapshot import whole

        code = self.folder / "code"
        shutil.rmtree(code, ignore_errors=True)
        for name in whole.take_whole(self.order.folder).files:
            (code / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(self.order.folder / name, code / name)
        client = {"model": str(self.order.folder), "config": self.order.config, "experiment": self.order.experiment,
                  "packages": ON_THE_NODE, "runs": str(self.folder / RUNS)}  # fmt: skip
        write_whole(self.folder / "client.json", json.dumps(client))
        super().write_files()

    def settings(self) -> dict[str, Any]:
        from aml_project.runconfigs import reading

        config = reading.read(reading.find(self.order.folder, self.order.config))
        given = config.get("arguments") or []
        arguments = given if isinstance(given, list) else shlex.split(str(given))
        whole = [each.name for each in self.search.parameters if getattr(each, "whole", False)]
        return {"model": "", "trials": "", "python": "", "arguments": arguments, "metric": self.search.metric,
                "whole": whole, "in_workspace": True}  # fmt: skip

    def experiment(self) -> dict[str, Any]:
        return super().experiment() | {"trialCommand": "python3 trial.py"}

    def service(self, made: dict[str, Any]) -> dict[str, Any]:
        subscription, group, name = project.workspace(self.order.root)
        names = {"subscriptionId": subscription, "resourceGroup": group, "workspaceName": name}
        service: dict[str, Any] = {"platform": "aml", **names, "computeTarget": self.order.on}
        if self.search.per_gpu:
            made["trialGpuNumber"] = 1
            service["maxTrialNumberPerGpu"] = self.search.per_gpu
        made["nniManagerIp"] = "127.0.0.1"  # nobody calls it: they speak by the metrics of the run
        return service

    def variables(self) -> dict[str, str]:
        return super().variables() | {"AML_PROJECT_NNI": str(self.folder / "client.json")}

    def why(self, place: Path) -> str:  # noqa: ARG002
        return "failed: its run in the workspace says why"

    def say_end(self) -> int:
        from aml_project.service import run_file

        code = super().say_end()
        if self.best is not None and self.workspace is not None:
            kept = self.order.folder / "run.json"
            if (run := run_of(self.workspace, self.folder, self.best)) is not None:
                run_file.write(kept, run)
                print(f"Its run is noted in {shown(kept)}. Next: make register MODEL={self.order.model}")
        return code


def submitted(workspace: Any, folder: Path) -> list[Any]:
    """The runs of NNI's runners, the newest last."""
    from aml_project.service.submission import find

    found = [find(workspace, run_id) for run_id in read_text(folder / RUNS).split()]
    return [run for run in found if run is not None]


def run_of(workspace: Any, folder: Path, trial: Trial) -> Any:
    """A trial that was cut short may have another run of before."""
    there = [run for one in submitted(workspace, folder) for run in one.get_children(tags={"nni_trial": trial.run})]
    return max(there, key=lambda run: run.status == "Completed", default=None)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def read_text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
