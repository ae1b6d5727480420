"""A project, its models and what they become, as objects: for notebooks, for scripts, and for the verbs of commands/.

    project = Project.here()
    model = project.model()
    run = model.submit("train-amlcompute", {"seed": 1})
    version = model.register(run, require=["accuracy>=0.7"])
    model.deploy("aci")

Arguments are called as the options of the verbs, and what goes wrong is a Failure with one sentence. Importing this
costs next to nothing: a method imports what it needs, Azure's client among it.
"""

from __future__ import annotations

import functools
import os
import re
from collections import namedtuple
from pathlib import Path

from aml_project import project
from aml_project.command_line import SERVICE_FAILED, WRONG_USE, Failure, Progress, note, told

TYPE_CHECKING = False  # typing's own costs its import
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, TypeVar

    from aml_project.runconfigs.environment import Use
    from aml_project.service.submission import Submission
    from aml_project.serving.plan import Service

    Method = TypeVar("Method", bound=Callable[..., Any])
    Arguments = Mapping[str, object] | Sequence[str]
    Pairs = Mapping[str, object] | Sequence[str]

EXPERIMENT = r"[a-zA-Z0-9][\w-]{0,254}"
SERVICE_ERRORS = ("ServiceError", "SystemError")  # codes of a run's error that are none of the script's
# The options of the verbs as the arguments of the methods here are called; the others are called alike.
ARGUMENTS = {"-c": "config", "-e": "experiment", "-f": "run_file", "--from": "folder", "--set": "parameters"}


def in_one_sentence(method: Method) -> Method:
    """Let whatever goes wrong in a method be a Failure, whose sentence names arguments rather than a verb's options."""

    @functools.wraps(method)
    def act(self: Any, *args: Any, **given: Any) -> Any:
        try:
            return method(self, *args, **given)
        except Exception as error:
            message, code = (str(error), error.code) if isinstance(error, Failure) else told(error)
            if self._debug is None and code == WRONG_USE:  # no verb has called it
                message = re.sub(r"(?<![\w-])(--[a-z][a-z-]*|-[cef]\b)", as_argument, message)
            raise Failure(message, code) from error

    return act  # type: ignore[return-value]


def as_argument(option: re.Match[str]) -> str:
    return ARGUMENTS.get(option[0], option[0].lstrip("-").replace("-", "_"))


class Project:
    """A folder with models/, and the workspace that it is attached to."""

    def __init__(self, path: str | Path) -> None:
        self.root = Path(path).resolve()
        self._debug: bool | None = (
            None  # True shows the client's own log, False silences the process: a verb's business
        )
        self._opened: dict[tuple[str, str, str], Any] = {}
        if project.find(self.root) != self.root:
            raise Failure(f"{path}: no project: it has no models/", WRONG_USE)

    def __repr__(self) -> str:
        names = ", ".join(project.models(self.root)) or "none"
        return f"Project {self.root.name}: models {names}; workspace {project.attached_name(self.root)}"

    @classmethod
    def here(cls) -> Project:
        """The project that the working folder lies in: a notebook in notebooks/ finds it as well."""
        return cls(project.root())

    @property
    def models(self) -> list[Model]:
        return [Model(self, name) for name in project.models(self.root)]

    @in_one_sentence
    def model(self, name: str | None = None) -> Model:
        """A model by its folder's name, or the only one there is."""
        return Model(self, project.pick_model(self.root, name))

    @property
    def workspace(self) -> Workspace:
        """The workspace that is attached; nobody is asked before something of it is needed."""
        return Workspace(self, *project.workspace(self.root))

    @in_one_sentence
    def check(self) -> list[str]:
        """What would fail in Azure ML, one line each, found in the files of all models; nothing if all is well."""
        from aml_project.checks.project_check import examine

        return examine(self.root, project.models(self.root), None)[0]

    @in_one_sentence
    def dataset(
        self,
        folder: str | Path | None = None,
        name: str | None = None,
        *,
        spec: str | Path | None = None,
        description: str | None = None,
        datastore: str | None = None,
        account: str | None = None,
        container: str | None = None,
        access: str = "sas",
        hours: float = 24,
        model: str | None = None,
        write: bool = True,
    ) -> Dataset:
        """Upload a folder (data/NAME) and register it, if it has changed, as the next version that the runconfigs read.

        `spec` registers files that lie in a datastore already; `account` and `container` are storage of your own.
        """
        from aml_project.runconfigs import data
        from aml_project.storage import plan

        planned = plan.make(
            self.root, folder, name, spec=spec, description=description, datastore=datastore, account=account,
            container=container, access=access, hours=hours, model=model,
        )  # fmt: skip
        from aml_project.service import uploads

        read = None if planned.spec else uploads.read_folder(planned, self.root / ".azureml" / "hashes.db")
        sdk = self.workspace.sdk
        version, new = uploads.bring(sdk, planned, read) if read else uploads.take(sdk, planned)
        data.tell(self.root, planned.reading, planned.name, version, write=write)
        return Dataset(planned.name, version, new)

    @in_one_sentence
    def cluster(
        self,
        name: str | None = None,
        *,
        vm_size: str | None = None,
        min_nodes: int | None = None,
        max_nodes: int | None = None,
        idle_seconds: int | None = None,
        low_priority: bool = False,
        ssh_user: str | None = None,
        ssh_key_file: str | Path | None = None,
        model: str | None = None,
    ) -> Cluster:
        """Make the cluster that the runconfigs name, or change the limits of the one that is there."""
        from aml_project.runconfigs import clusters

        wish = clusters.wish(
            self.root, name, vm_size=vm_size, min_nodes=min_nodes, max_nodes=max_nodes, idle_seconds=idle_seconds,
            low_priority=low_priority, ssh_user=ssh_user, ssh_key_file=Path(ssh_key_file) if ssh_key_file else None,
            model=model,
        )  # fmt: skip
        from aml_project.service import compute

        name = wish.cluster["name"]
        sdk = self.workspace.sdk
        with Progress(f"Cluster {name}: waiting for Azure"):
            said, limits = compute.ensure(sdk, wish.cluster, wish.given, say=note)
        if limits["min_nodes"] > 0:
            kept = clusters.nodes(limits["min_nodes"])
            note(f"{kept} kept: that costs money while idle; --min-nodes 0 ends it")
        if wish.file and wish.needed > limits["max_nodes"]:
            asks = f"{wish.file} asks for {clusters.nodes(wish.needed)}"
            note(f"{asks}, and {name} has at most {limits['max_nodes']}: --max-nodes {wish.needed}")
        return Cluster(name, said, **limits)


class Workspace:
    """An Azure ML workspace, by its names; it is opened, with whatever login there is, when it is needed."""

    def __init__(self, project: Project, subscription_id: str, resource_group: str, name: str) -> None:
        self._project, self._debug = project, project._debug
        self.subscription_id, self.resource_group, self.name = subscription_id, resource_group, name

    def __repr__(self) -> str:
        return f"Workspace {self.name} in {self.resource_group}"

    @property
    def sdk(self) -> Any:
        """The workspace as azureml-core has it (azureml.core.Workspace), for what there is no method for here."""
        names, opened = (self.subscription_id, self.resource_group, self.name), self._project._opened
        if names not in opened:
            from aml_project.service.workspace import connect

            opened[names] = connect(*names, ask=True, debug=self._debug)
        return opened[names]


class Model:
    """A folder of models/: what it trains, registers and serves."""

    def __init__(self, project: Project, name: str) -> None:
        self.project, self.name = project, name
        self._debug = project._debug

    def __repr__(self) -> str:
        return f"Model {self.name}: runconfigs {', '.join(self.runconfigs) or 'none'}"

    @property
    def folder(self) -> Path:
        return self.project.root / "models" / self.name

    @property
    def data(self) -> Path:
        """The folder of the data that it trains on."""
        return project.data_folder(self.project.root, self.name)

    @property
    def metric(self) -> str:
        """What it is judged by: accuracy, r2 of numbers, dice of masks."""
        return project.metric(self.project.root, self.name)

    @property
    def runconfigs(self) -> list[str]:
        """What submit() takes: the names of the runconfigs."""
        from aml_project.runconfigs import reading

        return reading.names(self.folder)

    @in_one_sentence
    def check(self, config: str | None = None) -> list[str]:
        """What would fail in Azure ML, one line each, found in the files; nothing if all is well."""
        from aml_project.checks import project_check

        return project_check.check(self.project.root, self.name, config)

    @in_one_sentence
    def train(self, arguments: Arguments | None = None) -> dict[str, float]:
        """Train here, without Azure, in the environment of `make setup`; return what outputs/metrics.json says then."""
        import json

        from aml_project import model_environment

        root = self.project.root
        command = model_environment.training(root, self.name, words_of(arguments))
        code = model_environment.run_and_print(root, self.name, command)
        if code:
            raise Failure(f"train.py of {self.name} ended with the code {code}: what it said stands above")
        file = self.folder / "outputs" / "metrics.json"
        return dict(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else {}

    @in_one_sentence
    def load_tabular_dataset(self, name: str, version: int | str = "latest") -> Any:
        """A dataset of the workspace as a pandas DataFrame, read as train.py reads it: of files, or a tabular one.

        Within a run, `load_tabular_dataset` of the model's runtime/data.py does the same.
        """
        from aml_project import model_environment

        return model_environment.load_tabular_dataset(self.project.root, self.name, name, str(version))

    @in_one_sentence
    def submit(
        self,
        config: str = "train-amlcompute",
        arguments: Arguments | None = None,
        *,
        wait: bool = True,
        experiment: str | None = None,
        run_file: str | Path | None = None,
        docker: str = "auto",
        skip_check: bool = False,
    ) -> Run:
        """Train where the runconfig says: "train-amlcompute" on the cluster, "train-local" here; tracked in both cases.

        `arguments` are the script's: {"seed": 1, "resume": True} is --seed 1 --resume. With `wait` the log is printed
        as it comes, and a run that fails is a Failure. Interrupted, the same call goes on with the same run.
        """
        file, experiment = plan_run(self.folder, config, experiment)
        config = file.stem
        if not skip_check:
            self._refuse_what_would_fail(config)

        from aml_project import model_environment
        from aml_project.service import local_docker
        from aml_project.service.submission import Submission

        sdk = self.project.workspace.sdk
        submission = Submission(self.project.root, self.name, config, experiment, words_of(arguments))
        run_config = submission.load()
        if run_config.target == "local":
            use_docker, why = local_docker.decide(docker, model_environment.python_for_runs(self.folder))
            local_docker.apply(run_config, use_docker)
            print(why, flush=True)
        noted = Path(run_file) if run_file else self.folder / "run.json"
        try:
            accepted = submission.start(sdk, run_config)
        except KeyboardInterrupt:
            raise KeyboardInterrupt("Interrupted while submitting; the same command again goes on.") from None
        noted.unlink(missing_ok=True)  # what it names is no longer the newest run
        run = Run(self.project, experiment, accepted.id, sdk=accepted, submission=submission, run_file=noted)
        print(f"Run {run.id} in experiment {experiment}\n{run.url}", flush=True)
        if wait:
            return run.wait()
        from aml_project.service import run_file as records

        records.write(noted, accepted)
        submission.done()
        return run

    def _refuse_what_would_fail(self, config: str) -> None:
        """Check the files first: what is found would cost minutes in the cloud."""
        import threading

        from aml_project import tools
        from aml_project.checks.project_check import check
        from aml_project.service.workspace import import_client, quiet

        tools.bring_azure()
        quiet(self._debug)
        client = threading.Thread(target=import_client)  # it takes as long as the check, and much of that is waiting
        client.start()
        findings = check(self.project.root, self.name, config)
        client.join()
        if findings:
            note("nothing was submitted; --skip-check (in Python: skip_check=True) submits all the same")
            raise Failure("\nERROR: ".join(findings))

    def last_run(self, run_file: str | Path | None = None) -> Run:
        """The run that was submitted last, as run.json, or another file of that kind, names it."""
        from aml_project.service import run_file as records

        path = Path(os.path.relpath(run_file or self.folder / "run.json"))
        try:
            noted = records.read(path)
        except records.BadRunFile as error:
            raise Failure(str(error)) from None
        return Run(self.project, noted.experiment, noted.run_id, run_file=path)

    @in_one_sentence
    def search(self, trials: int | None = None, *, fresh: bool = False) -> list[Trial]:
        """Try the hyperparameters that search.yml names, here; return the trials, the best first.

        Interrupted, the same call goes on. `fresh` removes what was tried before.
        """
        from aml_project.search import definition, engines, folder_of, record, results
        from aml_project.search.trials import place_of

        wanted = definition.read(self.folder)
        if trials is not None:
            wanted = definition.with_trials(wanted, trials)
        engines.get("local").run(engines.Order(self.project.root, self.name, wanted, fresh=fresh))
        folder = folder_of(self.folder)
        return [
            Trial(one.number, one.state, one.value(wanted), one.values, one.metrics, place_of(folder, one.number))
            for one in results.ordered(record.Record(folder).of(wanted), wanted)
        ]

    @in_one_sentence
    def trial(self, number: int | None = None) -> Run:
        """A trial of the last search, the best one if none is named, as a run of the workspace: register() takes it."""
        from aml_project.service import trial_run

        found = trial_run.chosen(self.folder, number)
        with Progress(f"Registering trial {found.trial.number}"):
            sdk = trial_run.bring(self.project.workspace.sdk, self.folder, found)
        return Run(self.project, sdk.experiment.name, sdk.id, sdk=sdk)

    @in_one_sentence
    def pipeline(
        self,
        parameters: Pairs = (),
        *,
        first: str | None = None,
        only: str | None = None,
        fresh: bool = False,
        on: str | None = None,
        config: str = "train-amlcompute",
        experiment: str | None = None,
        wait: bool = True,
        skip_check: bool = False,
    ) -> dict[str, Step]:
        """Run the steps of pipeline.yml that have changed: here, or `on` a cluster; return what became of each.

        `parameters` are other values for this call, as in {"seed": 7}. Here, `first` names a step to be done again with
        all that stands on it, `only` one to be done alone. Interrupted, the same call goes on. `config`, `experiment`,
        `wait` and `skip_check` are for a cluster, as in submit().
        """
        from aml_project.pipeline import definition, engines, record

        settings = [f"{name}={value}" for name, value in pairs("set", parameters).items()]
        wanted = definition.with_parameters(definition.read(self.folder), settings)
        definition.refuse_unknown(wanted, {"first": first, "only": only})
        if only and (first or fresh):
            raise Failure(f"only: not with {'first' if first else 'fresh'}: give one of them", WRONG_USE)
        if on and (first or only):
            raise Failure(f"{'first' if first else 'only'}: not with on: a cluster does what has changed", WRONG_USE)
        experiment = plan_run(self.folder, config, experiment)[1] if on else self.name
        engine = engines.get("azure" if on else "local")
        order = engines.Order(
            self.project.root, self.name, wanted, first=first, only=only, fresh=fresh, on=on, config=config,
            experiment=experiment, detach=not wait, debug=bool(self._debug),
        )  # fmt: skip
        if lacking := engine.lacks(order):
            raise Failure("\nERROR: ".join(lacking))
        if on and not skip_check:
            from aml_project.checks import project_check

            project_check.refuse_a_pipeline_that_would_fail(self.project.root, self.name, config)
        engine.run(order)
        kept = record.Record.read(engine.kept_in(order))
        return {
            name: Step(
                name, one.state, one.seconds, kept.folder / one.folder if one.folder else None,
                Run(self.project, experiment, one.run) if one.run else None,
            )
            for name, one in kept.steps.items()
        }  # fmt: skip

    @in_one_sentence
    def register(
        self,
        run: Run | None = None,
        *,
        require: str | Sequence[str] = (),
        better_than_current: str | None = None,
        not_worse_than_current: str | None = None,
        tags: Pairs = (),
        properties: Pairs = (),
        name: str | None = None,
        description: str | None = None,
        asset_path: str = "outputs/model",
    ) -> ModelVersion:
        """Register the model of a run (the last one) as the next version, with the run's metrics as tags.

        `require` is what the run has to keep, as in ["accuracy>=0.7", "loss<1"]; `better_than_current` names a metric
        that has to be better than the newest version's (of your own, with :min where smaller is better); with
        `not_worse_than_current` as good is enough. `tags` and `properties` are a dictionary, or texts ("stage=test").
        """
        from aml_project.service import registration, registration_rules

        name, bounds = name or self.name, [require] if isinstance(require, str) else list(require)
        rules: dict[str, Any] = {
            "name": name,
            "asset_path": asset_path,
            "better_than_current": better_than_current,
            "not_worse_than_current": not_worse_than_current,
        }
        said = {option: pairs(option, given) for option, given in {"tag": tags, "property": properties}.items()}
        registration.check_arguments(**rules, require=bounds)
        run = run or self.last_run()
        sdk = self.project.workspace.sdk
        try:
            with Progress("Registering"):
                registered = registration.register(
                    sdk, **rules, experiment=run.experiment, run_id=run.id, requirements=bounds,
                    tags=said["tag"], properties=said["property"], description=description, say=note,
                )  # fmt: skip
        except registration_rules.Refused as refused:
            raise Failure(f"not registered: {refused}") from refused
        return ModelVersion(registered.name, registered.version, registered.id, run.id, dict(registered.tags or {}))

    @in_one_sentence
    def environment(
        self,
        config: str = "train-amlcompute",
        *,
        dockerfile: str | Path | None = None,
        base_image: str | None = None,
        write: bool = True,
    ) -> Environment:
        """Register what a runconfig's image is built from, under a version that is a hash of it."""
        return self._registered(config, dockerfile, base_image, write)[0]

    @in_one_sentence
    def environments(
        self, *, dockerfile: str | Path | None = None, base_image: str | None = None, write: bool = True
    ) -> list[Environment]:
        """The same for each runconfig that runs in Azure."""
        return self._registered(None, dockerfile, base_image, write)

    def _registered(
        self, config: str | None, dockerfile: str | Path | None, base_image: str | None, write: bool
    ) -> list[Environment]:
        from aml_project.runconfigs import environment

        file = None if dockerfile is None else Path(dockerfile)
        uses = environment.to_register(self.folder, config, dockerfile=file, base_image=base_image)
        if write:
            from aml_project.runconfigs.editing import edited

            for use in uses:  # before anything is sent: what can't be written is not registered
                edited(use.file, use.changes)
        return [self._register(use, write) for use in uses]

    def _register(self, use: Use, write: bool) -> Environment:
        from aml_project.runconfigs import environment
        from aml_project.service import environments

        sdk = self.project.workspace.sdk
        if len(use.changes) == 1:  # what stands in the file is registered, and not what is still to be written there
            environments.agree(use.runconfig, use.parts)
        with Progress(f"Registering {use.name}"):
            new = environments.register(sdk, use.name, use.version, use.parts)
        environment.write(use, not write)
        return Environment(use.name, use.version, new)

    @in_one_sentence
    def deploy(
        self,
        target: str,
        *,
        version: int | str | None = None,
        name: str | None = None,
        service: str | None = None,
        docker: str = "auto",
        timeout: float | None = None,
    ) -> Service:
        """Serve a registered version (the newest): "local" on this computer, "aci" or "aks" in Azure.

        What does not answer the model's sample request is taken back, to what ran before. Here, the version may be
        "local" as well: the model of the last training.
        """
        from aml_project.serving import plan, to_this_computer

        planned = plan.make(
            self.project.root, self.name, target, version=version, name=name, service=service, docker=docker,
            timeout=timeout,
        )  # fmt: skip

        def open_workspace() -> Any:
            return self.project.workspace.sdk

        if target == "local":
            return to_this_computer.deploy(planned, open_workspace)
        from aml_project.serving import to_azure

        return to_azure.deploy(planned, open_workspace())


class Run:
    """A run in the workspace."""

    def __init__(
        self,
        project: Project,
        experiment: str,
        id: str,  # noqa: A002 # as Azure ML calls it
        *,
        sdk: Any = None,
        submission: Submission | None = None,
        run_file: Path | None = None,
    ) -> None:
        self.project, self.experiment, self.id = project, experiment, id
        self._sdk, self._submission, self._run_file = sdk, submission, run_file
        self._debug = project._debug
        self._seen = sdk.status if sdk is not None else ""

    def __repr__(self) -> str:
        return f"Run {self.id} in experiment {self.experiment}{f': {self._seen}' if self._seen else ''}"

    @property
    def sdk(self) -> Any:
        """The run as azureml-core has it (azureml.core.Run), for what there is no method for here."""
        if self._sdk is None:
            from aml_project.service import submission

            workspace = self.project.workspace
            self._sdk = submission.find(workspace.sdk, self.id)
            if self._sdk is None:
                raise Failure(f"run {self.id}: not in the workspace {workspace.name}; is another one attached?")
        return self._sdk

    @property
    @in_one_sentence
    def status(self) -> str:
        """Queued, Running, Completed, Failed, Canceled …, as the service says now."""
        from azureml.core import Run as AnyRun

        self._seen = str(AnyRun.get_status(self.sdk))  # a step's own says Finished
        return self._seen

    @property
    @in_one_sentence
    def metrics(self) -> dict[str, float]:
        """The metrics that are numbers; of one that was logged often, the last."""
        from aml_project.service import registration

        return registration.read_metrics(self.sdk)

    @property
    @in_one_sentence
    def url(self) -> str:
        """Its page in Azure ML Studio."""
        return str(self.sdk.get_portal_url())

    @in_one_sentence
    def wait(self) -> Run:
        """Print the log as it comes until the run has ended; a Failure says how, if it has not completed."""
        from aml_project.service import run_file, submission
        from aml_project.service.run_log import Follower, error_of

        sdk, noted = self.sdk, self._submission
        try:
            details = noted.follow(sdk) if noted else Follower(sdk).follow()
            self._seen = str(details.status)
            if self._seen == "Completed" and self._run_file:
                sdk.get_status()  # the record that is written is the one of the end
                run_file.write(self._run_file, sdk)
        except KeyboardInterrupt:
            cancel = submission.cancel_command(sdk)
            raise KeyboardInterrupt(
                f"The run goes on. To follow it: the same command again. To cancel it: {cancel}"
            ) from None
        if noted:
            noted.done()
        if details.status == "Completed":
            return self
        if details.status == "Canceled":
            file = self._run_file
            unwritten = f"; no {file.name} was written" if file and not file.exists() else ""
            raise Failure(f"run {self.id} was canceled{unwritten}")
        code, message = error_of(details)
        raise Failure(
            f"run {self.id} failed: {message} (log: above, and {self.url})",
            SERVICE_FAILED if code in SERVICE_ERRORS else 1,
        )

    @in_one_sentence
    def cancel(self) -> None:
        """End the run."""
        if self._submission:
            self._submission.end_process()
        self.sdk.cancel()


class ModelVersion(namedtuple("ModelVersion", "name version id run_id tags")):
    """A version of a registered model."""

    name: str
    version: int
    id: str
    run_id: str
    tags: dict[str, str]
    __slots__ = ()

    def __repr__(self) -> str:
        return f"Model {self.name}, version {self.version}, id {self.id}, of run {self.run_id}"


class Trial(namedtuple("Trial", "number state value values metrics folder")):
    """A training of a search here: its values, and what it has reached in the search's metric and in all of them."""

    number: int
    state: str
    value: float | None
    values: dict[str, Any]
    metrics: dict[str, float]
    folder: Path
    __slots__ = ()

    def __repr__(self) -> str:
        reached = "" if self.value is None else f", {self.value:.6g}"
        return f"Trial {self.number}, {self.state}{reached}: {self.values}"


class Step(namedtuple("Step", "name state seconds folder run")):
    """What became of a step of a pipeline: where its log and its outputs are, or on a cluster its run."""

    name: str
    state: str
    seconds: float
    folder: Path | None
    run: Run | None
    __slots__ = ()

    def __repr__(self) -> str:
        took = f" in {self.seconds:.1f} s" if self.seconds else ""
        return f"Step {self.name}: {self.state}{took}"


class Dataset(namedtuple("Dataset", "name version is_new")):
    """A version of a registered dataset, and whether this call has made it."""

    name: str
    version: str
    is_new: bool
    __slots__ = ()

    def __repr__(self) -> str:
        said = "registered" if self.is_new else "holds this already; no new version"
        return f"Dataset {self.name}, version {self.version}: {said}"


class Environment(namedtuple("Environment", "name version is_new")):
    """A version of a registered environment, and whether this call has made it."""

    name: str
    version: str
    is_new: bool
    __slots__ = ()

    def __repr__(self) -> str:
        said = "registered" if self.is_new else "is registered already, nothing to build"
        return f"Environment {self.name}, version {self.version}: {said}"


class Cluster(namedtuple("Cluster", "name said min_nodes max_nodes idle_seconds")):
    """A cluster, what was done about it, and the limits that it has now."""

    name: str
    said: str
    min_nodes: int
    max_nodes: int
    idle_seconds: int
    __slots__ = ()

    def __repr__(self) -> str:
        return f"Cluster {self.name}: {self.said}"


def project_of(args: argparse.Namespace) -> Project:
    """The project that a verb is for."""
    found = Project.here()
    found._debug = args.debug
    return found


def plan_run(folder: Path, config: str, experiment: str | None) -> tuple[Path, str]:
    """The runconfig's file and the experiment of a run; a Failure says that there can't be such ones."""
    from aml_project.runconfigs import reading

    experiment = experiment or folder.name
    if not re.fullmatch(EXPERIMENT, experiment):
        rule = "1 to 255 letters, digits, '-' and '_', starting with a letter or digit"
        raise Failure(f"-e: {rule}, not {experiment!r}", WRONG_USE)
    return reading.find(folder, config), experiment


def words_of(arguments: Arguments | None) -> list[str]:
    """The arguments of a script as it reads them: {"seed": 1, "resume": True} as --seed 1 --resume."""
    if arguments is None or isinstance(arguments, list | tuple):
        return list(map(str, arguments or ()))
    words: list[str] = []
    for name, value in arguments.items():  # type: ignore[union-attr]
        if value is None or value is False:
            continue
        words.append(name if name.startswith("-") else f"--{name.replace('_', '-')}")
        if value is not True:
            words += map(str, value if isinstance(value, list | tuple) else [value])
    return words


def pairs(option: str, given: Pairs) -> dict[str, str]:
    """Names and texts, from a dictionary or from KEY=VALUE texts."""
    if not isinstance(given, list | tuple):
        return {name: str(value) for name, value in given.items()}  # type: ignore[union-attr]
    found = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise Failure(f"--{option}: KEY=VALUE, not {text!r}", WRONG_USE)
        found[key.strip()] = value
    return found
