"""An Azure Machine Learning workspace on loopback: the real client, unmodified, works with it over TLS.

with Rehearsal(folder, project=Path(".")) as rehearsal:
    subprocess.run(["azml", "run", "submit-script", "-c", "train-amlcompute"], env=rehearsal.environment())
    print(rehearsal.state()["runs"])
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from aml_rehearsal import variables
from aml_rehearsal.addresses import LOOPBACK, Names
from aml_rehearsal.faults import Fault, Faults, Provisioning

if TYPE_CHECKING:
    from aml_rehearsal.azurite import Azurite

__all__ = ["Fault", "Names", "Provisioning", "Rehearsal"]


class Rehearsal:
    """A workspace that runs as long as the with-block.

    With another host than loopback, clients on other computers reach it, by the address that outside says: anybody who
    can reach it can then run code here.
    """

    def __init__(
        self,
        folder: Path,
        *,
        names: Names | None = None,
        project: Path | None = None,
        port: int = 0,
        host: str = LOOPBACK,
        outside: str = "",
        internet: bool = False,
        deterministic: bool = False,
        fresh: bool = False,
        accounts: Iterable[str] = (),
        blobs: Azurite | None = None,
    ) -> None:
        # Not at the top: the process of each run imports this package as well, and needs none of them.
        from aml_rehearsal import seed, server
        from aml_rehearsal.services import schedules
        from aml_rehearsal.state import NOTE, claim, forget
        from aml_rehearsal.workspace import Workspace

        self.folder = folder.resolve()
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        wishes = seed.read(project) if project else seed.Wishes(Names())
        with ExitStack() as stack:
            stack.enter_context(claim(self.folder))
            (self.folder / NOTE).unlink(missing_ok=True)  # of one that was killed: its process is somebody else's now
            if fresh:
                forget(self.folder)
            self.workspace = Workspace(
                self.folder, names or wishes.names, deterministic=deterministic, accounts=accounts, blobs=blobs
            )
            stack.callback(self.workspace.close)
            seed.furnish(self.workspace)
            self.made = seed.sow(self.workspace, project, wishes) if project else []
            self.server = server.start(self.workspace, port, internet=internet, host=host, outside=outside)
            stack.callback(self.server.close)
            stack.callback(self.workspace.hosting.close)
            over = threading.Event()
            stack.callback(over.set)
            threading.Thread(target=schedules.watch, args=(self.workspace, over), daemon=True).start()
            stack.callback(self.workspace.cancel_runs)  # the nodes hear of it from the server
            self.parts = stack.pop_all()

    @property
    def url(self) -> str:
        """The page, and the proxy."""
        return self.server.url

    @property
    def names(self) -> Names:
        return self.workspace.names

    @property
    def faults(self) -> Faults:
        return self.workspace.faults

    def state(self) -> dict[str, Any]:
        """A copy of what the workspace holds."""
        return self.workspace.state.as_dict()

    def plant_compute(self, name: str, kind: str) -> None:
        """Add a compute target of another kind than a cluster: ComputeInstance, AKS, Kubernetes or VirtualMachine."""
        from aml_rehearsal.services import computes

        with self.workspace.state.lock:
            computes.planted(self.workspace, name, kind)

    def put_clock_forward(self, **lengths: float) -> None:
        """Let time pass for schedules, as in hours=1: what is then due starts within a second or two, once."""
        self.workspace.ahead += timedelta(**lengths)

    def preempt(self, run_id: str) -> None:
        """Take the node away from a run on a cluster, which then starts anew on an empty one, under its id."""
        from aml_rehearsal.state import FINAL

        with self.workspace.state.lock:
            run = self.workspace.state.tables.runs[run_id]
            if run["target"] == "local" or run["status"] in FINAL:
                raise ValueError(f"{run_id} is on no cluster: {run['target']}, {run['status']}")
            self.workspace.preempted.add(run_id)

    def artifact(self, run_id: str, path: str) -> bytes:
        """The content of a run's file."""
        return self.workspace.blobs.read("azureml", f"ExperimentRun/dcid.{run_id}/{path}")

    def snapshot(self, run_id: str) -> dict[str, bytes]:
        """The files that a run was submitted with."""
        tables = self.workspace.state.tables
        with self.workspace.state.lock:
            files = tables.snapshots[tables.runs[run_id]["properties"]["ContentSnapshotId"]]["files"]
        read = self.workspace.blobs.read
        return {name: read(file.get("container", "azureml"), file["blob"]) for name, file in files.items()}

    def environment(self, role: str = "contributor") -> dict[str, str]:
        """The variables of a process whose client is to come here, logged in with a role."""
        return variables.foreign() | self.variables(role)

    def variables(self, role: str = "contributor") -> dict[str, str]:
        """What leads a client here, without the variables that are set already."""
        principal = self.workspace.tokens.principals[role]
        way = self.workspace.entrance.variables
        return way | variables.at_home(self.folder / "home") | variables.login(principal)

    def job(self, subject: str, role: str = "scientist", *, service: str = "github") -> dict[str, str]:
        """What leads a job of CI here, which logs in without a secret: that of GitHub, or of Azure DevOps.

        The subject is what that service says of the job, as in repo:owner/name:environment:test. It is a login where
        `trust` has said so.
        """
        from aml_rehearsal import assertions

        way = self.workspace.entrance.variables | variables.at_home(self.folder / "home")
        client_id = self.workspace.tokens.principals[role].client_id
        token = self.workspace.assertions.job(subject, service)
        return way | assertions.variables(self.url, token, service, client_id)

    def trust(self, subject: str, role: str = "scientist", *, service: str = "github") -> None:
        """Give a principal a federated credential: jobs of that subject log in as it."""
        from aml_rehearsal.assertions import ISSUERS, Trust

        client_id = self.workspace.tokens.principals[role].client_id
        self.workspace.assertions.trusts.setdefault(client_id, set()).add(Trust(subject, ISSUERS[service]))

    def close(self) -> None:
        self.parts.close()

    def __enter__(self) -> Rehearsal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
