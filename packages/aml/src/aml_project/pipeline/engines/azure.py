"""A pipeline of Azure ML's first generation, by the client's own Pipeline: submitted once, and followed to its end.

The service gives a run its id before it is submitted. That id is noted first, so that a call after an interruption
submits that very run, or follows it; nothing runs twice.
"""

from __future__ import annotations

import hashlib
import sys
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from aml_project import alone, patience, tools
from aml_project.command_line import DONE, REFUSED, SERVICE_FAILED, Failure, Progress, note
from aml_project.pipeline import azure_steps, folder_of
from aml_project.pipeline.engines import Order
from aml_project.pipeline.record import DONE as STEP_DONE
from aml_project.pipeline.record import FAILED, KEPT, RUNNING, STOPPED, WAITING, Record, StepRun, took
from aml_project.project import shown

NAME, CODE = "azure", "code"
SILENCE = 15  # seconds after which a line says that the run goes on
LINES = 20  # of a failed step's log
CONFLICT = 409


def kept_in(order: Order) -> Path:
    return folder_of(order.folder) / NAME


def lacks(order: Order) -> list[str]:
    found = azure_steps.lacks(order)
    for option, value in (("--from", order.first), ("--only", order.only)):
        if value:
            found.append(f"{option}: on a cluster each step is done again that has changed, and what follows from it:"
                         " leave it out")  # fmt: skip
    return found


def run(order: Order) -> int:
    with alone.in_folder(kept_in(order), "pipeline"):
        if order.publish:
            from aml_project.pipeline import publishing

            return publishing.publish(order)
        return Driver(order).run()


def refresh(order: Order) -> bool:
    """Bring the record up to date; whether the pipeline runs."""
    if alone.holder(kept_in(order)) is not None:
        return True
    driver = Driver(order)
    if not driver.may_run:
        return False
    with alone.in_folder(driver.folder, "pipeline"):
        return driver.find_running()


def stop(order: Order) -> int:
    """End the run in the workspace."""
    driver = Driver(order)
    if not driver.may_run or not driver.find_running():
        raise Failure(f"no pipeline of {order.model} is running in the workspace")
    from aml_project.service.asking import ask

    ask(driver.workspace, driver.parent.cancel)
    print(f"Ending {driver.parent.id}; its steps end with it.")
    return DONE


def connect(order: Order) -> Any:
    from aml_project.service.workspace import open_workspace

    tools.bring("pipeline")
    workspace = open_workspace(order.root, debug=order.debug)
    import azureml.pipeline.core  # noqa: F401 # from here on, a run of a pipeline is one of its class

    return workspace


def provider(workspace: Any, experiment: str) -> Any:
    """What the client asks the service by. Its own retries would send again, in silence, what makes something."""
    from azureml.pipeline.core._aeva_provider import _AevaWorkflowProvider

    made = _AevaWorkflowProvider.create_provider(workspace, experiment)
    made._service_caller._caller.config.retry_policy.retries = 0
    return made


def built(order: Order, workspace: Any, code: Path) -> Any:
    """The pipeline as the client has it, checked by the client; nothing is sent but its files."""
    from aml_project.service.errors import explain
    from aml_project.service.git_address import hide_git_password

    hide_git_password(order.folder)
    azure_steps.fill(code, order.folder)

    def once() -> Any:
        pipeline = azure_steps.Builder(order, workspace, code).build(provider(workspace, order.experiment))
        pipeline._set_experiment_name(order.experiment)
        pipeline.graph._validate_and_finalize(pipeline_parameters=None, regenerate_outputs=order.fresh)
        return pipeline

    from aml_project.service.asking import ask

    with Progress("Preparing the steps"), quiet_output():
        try:
            return ask(workspace, once)
        except Failure:
            raise
        except Exception as error:
            raise Failure(f"not submitted: {explain(error)}", SERVICE_FAILED) from error


def quiet_output() -> Any:
    """The client prints what it does, a line each; what matters is told here."""
    import contextlib
    import io

    return contextlib.redirect_stdout(io.StringIO())


def fingerprint(order: Order) -> str:
    """A text that is the same if, and only if, the same is submitted."""
    from aml_project.snapshot import whole as snapshot

    digest = hashlib.sha256(repr((order.pipeline, order.on, order.config, order.experiment)).encode())
    for name in sorted(snapshot.take(order.folder).files):
        content = hashlib.sha256((order.folder / name).read_bytes()).hexdigest()
        digest.update(f"{content} {name}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


class Driver:
    """Submits a pipeline once, follows its steps, and tells what becomes of them."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.folder = kept_in(order)
        self.record = Record.read(self.folder)
        self.workspace: Any = None
        self.parent: Any = None
        self.states: dict[str, str] = {}  # of the steps, as they were told

    @property
    def noted(self) -> dict[str, Any]:
        """The run of the last call: its workspace, its id, what was submitted; how it has ended, once that was told."""
        return self.record.about

    @property
    def may_run(self) -> bool:
        return bool(self.noted) and not self.noted.get("ended")

    # The run in the workspace

    def run(self) -> int:
        self.workspace = connect(self.order)
        try:
            self.begin()
            print(f"Pipeline {self.parent.id} in experiment {self.parent.experiment.name}\n"
                  f"{self.parent.get_portal_url()}", flush=True)  # fmt: skip
            if self.order.detach:
                print("Not waited for. To follow it: the same command without --detach; to end it: with --stop.")
                return DONE
            return self.follow()
        except KeyboardInterrupt:
            if self.parent is None:
                raise KeyboardInterrupt("Interrupted; the same command goes on.") from None
            raise KeyboardInterrupt(
                "The pipeline goes on in the workspace. To follow it: the same command again. To end it: with --stop."
            ) from None

    def find_running(self) -> bool:
        """Find the run of the last call; whether it goes on."""
        from aml_project.service.run_log import ENDED
        from aml_project.service.submission import find

        self.workspace = connect(self.order)
        self.parent = find(self.workspace, self.noted["run"])
        if self.parent is None:
            return False
        status, steps = self.look()
        for run in steps:
            self.note(noted_of(run))
        return status not in ENDED

    def begin(self) -> None:
        """Find the run that an earlier call has submitted, or submit one."""
        from aml_project.service.run_log import ENDED
        from aml_project.service.submission import find, scope

        noted, wanted = self.noted, fingerprint(self.order)
        if self.may_run:
            if noted["workspace"] != scope(self.workspace):
                raise Failure(
                    f"{shown(self.record.file)}: is of another workspace: attach that one, or remove this file"
                )
            with Progress("Looking for the run of the earlier call"):
                self.parent = find(self.workspace, noted["run"])
            same = noted["what"] == wanted and not self.order.fresh
            if self.parent is None and same:  # it may still be on its way: the same id can't become two
                self.submit(noted["run"])
                return
            if self.parent is not None:
                status = self.look()[0]
                if same or status not in ENDED:
                    if not same:
                        note(
                            f"the pipeline has changed since {self.parent.id}, which goes on as it was; --stop ends it"
                        )
                    return
                note(
                    f"the pipeline has changed since {self.parent.id}, which has {status.lower()}; submitting a new run"
                )
        run_id = self.prepare()
        self.record.begin(
            [step.name for step in self.order.pipeline.order()],
            {"workspace": scope(self.workspace), "run": run_id, "what": wanted, "experiment": self.order.experiment},
        )
        self.submit(run_id)

    def prepare(self) -> str:
        """Have a run in the service that is not submitted yet; its id."""
        from aml_project.service.asking import ask
        from aml_project.service.errors import explain, is_no_refusal

        pipeline = built(self.order, self.workspace, self.folder / CODE)
        graph = pipeline.graph
        with Progress("Preparing the run"):
            try:
                return str(
                    ask(
                        self.workspace,
                        lambda: graph._graph_provider.create_pipeline_run(
                            graph, pipeline_parameters=None, continue_on_step_failure=False,
                            experiment_name=self.order.experiment,
                        ),
                        passes=is_no_refusal, makes="run",  # one that is made twice is submitted once
                    )
                )  # fmt: skip
            except Exception as error:
                raise Failure(f"not submitted: {explain(error)}", SERVICE_FAILED) from error

    def submit(self, run_id: str) -> None:
        """Submit a run; whatever happens on the way, it begins once or not at all."""
        from aml_project.service.asking import renewal
        from aml_project.service.errors import explain, is_no_refusal, status_in
        from aml_project.service.submission import NotKnown, find

        caller = provider(self.workspace, self.order.experiment)._service_caller

        def send() -> Any:
            caller.submit_saved_pipeline_run_async(pipeline_run_id=run_id)
            return find(self.workspace, run_id)

        def passes(error: Exception) -> bool:
            return is_no_refusal(error) or status_in(error) == CONFLICT  # it was submitted: that is found

        with Progress("Submitting"):
            try:
                self.parent = patience.patient(
                    send, passes=passes, renew=renewal(self.workspace), find=lambda: find(self.workspace, run_id),
                    makes="pipeline",
                )  # fmt: skip
            except NotKnown:
                raise
            except Exception as error:
                self.record.say(ended="refused")
                raise Failure(f"not submitted: {explain(error)}", SERVICE_FAILED) from error

    # Its steps

    def look(self) -> tuple[str, list[Any]]:
        """How the run is, and the runs of its steps; after however much trouble."""
        from aml_project.service.asking import ask
        from aml_project.service.errors import explain, is_transient
        from aml_project.service.run_log import PATIENCE, SLOWEST_RETRY, impatient

        impatient(self.parent)

        def once() -> tuple[str, list[Any]]:
            status = self.parent._client.run.get_run().status  # before its steps: once it has ended, none changes
            return str(status), sorted(
                self.parent.get_children(), key=lambda child: str(child._run_dto.get("created_utc"))
            )

        try:
            return ask(
                self.workspace, once, pauses=patience.until(PATIENCE, 1, SLOWEST_RETRY),
                trouble=lambda error: note(f"{explain(error)}; the pipeline goes on, and so does this"),
            )  # fmt: skip
        except Exception as error:
            if not is_transient(error):
                raise
            raise Failure(
                f"{explain(error)}, for {PATIENCE // 60} minutes now; the pipeline goes on, and the same command again"
                " goes on following it", SERVICE_FAILED,
            ) from error  # fmt: skip

    def follow(self) -> int:
        """Tell of each step as it begins and ends, until the run has ended; the exit code."""
        from aml_project.service.run_log import ENDED

        began = spoke = patience.clock.now()
        while True:
            status, steps = self.look()
            new = self.tell(steps)
            if status in ENDED:
                return self.end(status, steps)
            now = patience.clock.now()
            if not new and now - spoke > SILENCE:
                print(f"{status}: {now - began:.0f} s", file=sys.stderr, flush=True)
            if new or now - spoke > SILENCE:
                spoke = now
            patience.clock.sleep(min(1 + (now - began) / 60, 10))

    def note(self, step: StepRun) -> bool:
        """Note a step whose state is new; the second half of a search is noted with the first."""
        known = self.record.steps.get(step.name)
        if known and (known.state, known.run) != (step.state, step.run):
            self.record.note(step)
        was, self.states[step.run] = self.states.get(step.run), step.state
        return was != step.state

    def tell(self, steps: list[Any]) -> bool:
        """A line for each step whose state is new."""
        new = [step for step in map(noted_of, steps) if self.note(step)]
        for step in new:
            took_text = f" in {took(step)}" if step.seconds else ""
            print(f"{step.name:<16} {step.state}{took_text}", flush=True)
        return bool(new)

    def end(self, status: str, steps: list[Any]) -> int:
        """Say how it has ended, and note that it was said."""
        failed = [step for step in steps if step.status == "Failed"]
        if status == "Completed":
            print(f"The pipeline is done: {len(steps)} steps in {seconds_of(self.parent._client.run.get_run()):.0f} s")
            for line in self.registered(steps):
                print(line)
            self.record.say(ended=status)
            return DONE
        for step in failed:
            self.tell_failure(step)
        self.record.say(ended=status)
        if status == "Canceled":
            raise Failure("the pipeline was ended before its end; the same command submits it anew")
        names = ", ".join(step.name for step in failed) or self.why()
        raise Failure(f"the pipeline failed: {names} (all logs: {self.parent.get_portal_url()})", REFUSED)

    def why(self) -> str:
        from aml_project.service.run_log import error_of

        return error_of(self.parent._client.get_runstatus())[1]

    def tell_failure(self, step: Any) -> None:
        """The end of a failed step's log, and what the service says."""
        from aml_project.service.run_log import all_of, error_of

        lines = all_of(step).rstrip().splitlines()[-LINES:]
        print(*(f"{step.name}  | {line}" for line in lines), sep="\n", file=sys.stderr)
        note(f"{step.name}: {error_of(step._client.get_runstatus())[1]}")

    def registered(self, steps: list[Any]) -> list[str]:
        """The versions that the steps have registered."""
        from azureml.core import Model

        from aml_project.service.asking import ask

        names = {step.name for step in self.order.pipeline.steps.values() if step.kind == "register"}
        found = []
        for step in steps:
            if step.name in names:
                run_id = step._run_dto["properties"].get("azureml.reusedrunid") or step.id
                models = ask(self.workspace, partial(Model.list, self.workspace, run_id=run_id))
                found += [f"Registered: {model.name}:{model.version}" for model in models]
        return found


STATES = {"Completed": STEP_DONE, "Failed": FAILED, "Canceled": STOPPED, "Running": RUNNING, "Finalizing": RUNNING}


def noted_of(run: Any) -> StepRun:
    """The run of a step, as the record has it."""
    reused = run._run_dto["properties"].get("azureml.reusedrunid")
    state = KEPT if reused and run.status == "Completed" else STATES.get(run.status, WAITING)
    return StepRun(
        run.name, state, str(run._run_dto.get("start_time_utc") or ""), seconds_of(run._run_dto), run=run.id,
        url=run.get_portal_url(),
    )  # fmt: skip


def seconds_of(run: Any) -> float:
    """How long a run took, by the service's clock."""
    said = run if isinstance(run, dict) else vars(run)
    begin, end = (parsed(said.get(name)) for name in ("start_time_utc", "end_time_utc"))
    return max((end - begin).total_seconds(), 0.0) if begin and end else 0.0


def parsed(moment: Any) -> datetime | None:
    if isinstance(moment, datetime):
        return moment.replace(tzinfo=None)
    try:
        return datetime.fromisoformat(str(moment).rstrip("Z")[:26])
    except ValueError:
        return None
