"""Every public operation of the second generation's client, called: what works, what is refused, what is not played.

With REWRITE_OPERATIONS=1 in the environment, the section of the page is written before it is compared.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from callers import ML_CLIENT_RELEASE, Client

PAGE = Path(__file__).parents[3] / "docs" / "rehearsal-operations.md"
HEADING = "## MLClient"
CALLS = r"""
import inspect, typing
from azure.ai.ml.data_transfer import FileSystem
from azure.ai.ml.entities import (
    AzureMLOnlineInferencingServer, BatchEndpoint, CodeConfiguration, CommandComponent, DataImport,
    ManagedOnlineEndpoint, ModelPackage, Workspace)
Path("src").mkdir(); Path("src/train.py").write_text("print(1)"); Path("data.csv").write_text("n")
own = "operations"
shared = dict(share_with_name=own, share_with_version="1", registry_name="shared")
def environment(version=None):
    return Environment(name=own, version=version, image="python:3.11")
def data(version=None):
    return Data(name=own, version=version, type="uri_file", path="data.csv")
def model(version=None):
    return Model(name=own, version=version, path="data.csv")
def job(name, line="true"):
    return command(name=name, command=line, environment="AzureML-sklearn-1.5@latest", compute="cpu-cluster")
def cluster(name=own, most=2):
    return AmlCompute(name=name, size="Standard_DS3_v2", max_instances=most)
def component():
    return CommandComponent(name=own, version="1", command="true", code="src", environment=own + ":1")
def store():
    return AzureBlobDatastore(name=own, account_name="rehearsal", container_name="azureml-blobstore")
ml.environments.create_or_update(environment()); ml.data.create_or_update(data()); ml.models.create_or_update(model())
environment_of_nothing = Environment(image="python:3.11", conda_file={"dependencies": ["python=3.11"]})
done = ml.jobs.create_or_update(command(command="true", environment=environment_of_nothing, compute="cpu-cluster"))
wait(done.name)
calls = {
    "workspaces.begin_create": lambda: ml.workspaces.begin_create(Workspace(name=ml.workspace_name)).result(),
    "workspaces.begin_update": lambda: ml.workspaces.begin_update(ml.workspaces.get()).result(),
    "workspaces.get": lambda: ml.workspaces.get(ml.workspace_name).name,
    "workspaces.list": lambda: list(ml.workspaces.list())[0],
    "datastores.create_or_update": lambda: ml.datastores.create_or_update(store()),
    "datastores.delete": lambda: ml.datastores.delete(own),
    "datastores.get": lambda: ml.datastores.get("workspaceblobstore", include_secrets=True),
    "datastores.get_default": lambda: ml.datastores.get_default(),
    "datastores.list": lambda: list(ml.datastores.list())[0],
    "environments.archive": lambda: ml.environments.archive(own, version="1"),
    "environments.create_or_update": lambda: ml.environments.create_or_update(environment()),
    "environments.get": lambda: ml.environments.get(own, label="latest"),
    "environments.list": lambda: list(ml.environments.list())[0],
    "environments.restore": lambda: ml.environments.restore(own, version="1"),
    "data.archive": lambda: ml.data.archive(own, version="1"),
    "data.create_or_update": lambda: ml.data.create_or_update(data()),
    "data.get": lambda: ml.data.get(own, label="latest"),
    "data.list": lambda: list(ml.data.list())[0],
    "data.restore": lambda: ml.data.restore(own, version="1"),
    "models.archive": lambda: ml.models.archive(own, version="1"),
    "models.create_or_update": lambda: ml.models.create_or_update(model()),
    "models.download": lambda: ml.models.download(own, "1", "down"),
    "models.get": lambda: ml.models.get(own, label="latest"),
    "models.list": lambda: list(ml.models.list())[0],
    "models.restore": lambda: ml.models.restore(own, version="1"),
    "compute.begin_create_or_update": lambda: ml.compute.begin_create_or_update(cluster()).result(),
    "compute.begin_delete": lambda: ml.compute.begin_delete(own).result(),
    "compute.begin_update": lambda: ml.compute.begin_update(cluster(most=3)).result(),
    "compute.begin_attach": lambda: ml.compute.begin_attach(cluster(own + "2")).result(),
    "compute.get": lambda: ml.compute.get("cpu-cluster"),
    "compute.list": lambda: list(ml.compute.list())[0],
    "compute.list_nodes": lambda: list(ml.compute.list_nodes("cpu-cluster")),
    "compute.list_sizes": lambda: ml.compute.list_sizes()[0],
    "compute.list_usage": lambda: list(ml.compute.list_usage())[0],
    "jobs.archive": lambda: ml.jobs.archive(done.name),
    "jobs.begin_cancel": lambda: ml.jobs.begin_cancel(done.name).result(),
    "jobs.create_or_update": lambda: ml.jobs.create_or_update(command(
        command="true", environment=environment_of_nothing, compute="cpu-cluster")),
    "jobs.download": lambda: ml.jobs.download(done.name, download_path="job"),
    "jobs.get": lambda: ml.jobs.get(done.name),
    "jobs.list": lambda: list(ml.jobs.list())[0],
    "jobs.restore": lambda: ml.jobs.restore(done.name),
    "jobs.show_services": lambda: ml.jobs.show_services(done.name),
    "jobs.stream": lambda: streamed(done.name),
    "jobs.update": lambda: ml.jobs.update(done.name, tags={"a": "1"}),
    "jobs.validate": lambda: ml.jobs.validate(job("valid")),
    "compute.enable_sso": lambda: ml.compute.enable_sso(name="cpu-cluster"),
    "data.import_data": lambda: ml.data.import_data(DataImport(
        name=own, path="azureml://datastores/workspaceblobstore", source=FileSystem(path="x", connection="azureml:c"))),
    "data.share": lambda: ml.data.share(own, "1", **shared),
    "data.mount": lambda: ml.data.mount(f"azureml:{own}:1"),
    "datastores.mount": lambda: ml.datastores.mount("workspaceblobstore"),
    "environments.share": lambda: ml.environments.share(own, "1", **shared),
    "models.share": lambda: ml.models.share(own, "1", **shared),
    "models.package": lambda: ml.models.package(own, "1", ModelPackage(
        target_environment=own, inferencing_server=AzureMLOnlineInferencingServer(
            code_configuration=CodeConfiguration(code="src", scoring_script="train.py")))),
    "workspaces.begin_delete": lambda: ml.workspaces.begin_delete(ml.workspace_name, delete_dependent_resources=False),
    "workspaces.begin_diagnose": lambda: ml.workspaces.begin_diagnose(ml.workspace_name).result(),
    "workspaces.begin_provision_network": lambda: ml.workspaces.begin_provision_network(),
    "workspace_outbound_rules.get": lambda: ml.workspace_outbound_rules.get(ml.workspace_name, own),
    "workspace_outbound_rules.list": lambda: list(ml.workspace_outbound_rules.list(ml.workspace_name)),
    "online_endpoints.begin_create_or_update": lambda: ml.online_endpoints.begin_create_or_update(
        ManagedOnlineEndpoint(name=own, auth_mode="key")),
    "batch_endpoints.begin_create_or_update": lambda: ml.batch_endpoints.begin_create_or_update(
        BatchEndpoint(name=own)),
    "components.archive": lambda: ml.components.archive(own, version="1"),
    "components.create_or_update": lambda: ml.components.create_or_update(component()),
    "components.download": lambda: ml.components.download(own, "component", version="1"),
    "components.get": lambda: ml.components.get(own, label="latest"),
    "components.list": lambda: list(ml.components.list())[0],
    "components.prepare_for_sign": lambda: ml.components.prepare_for_sign(component()),
    "components.restore": lambda: ml.components.restore(own, version="1"),
    "components.validate": lambda: ml.components.validate(component()),
}
MADE_UP = {"version": "1", "download_path": "down", "location": "westeurope", "lines": 1, "node_index": 0}

def made_up(method):
    named = inspect.signature(method).parameters.values()
    wanted = [each for each in named if each.default is each.empty and each.kind is each.POSITIONAL_OR_KEYWORD]
    return [MADE_UP.get(each.name, own) for each in wanted]

def called(group, method):
    try:
        if f"{group}.{method}" in calls:
            calls[f"{group}.{method}"]()
        else:
            function = getattr(getattr(ml, group), method)
            found = function(*made_up(function))
            if hasattr(found, "by_page"):
                list(found)
        return "works"
    except BaseException as error:
        said = []
        while error:
            said.append(f"{type(error).__name__} {getattr(error, 'status_code', '')}: {error}")
            error = error.__cause__ or error.__context__
        return "\n".join(said)

# What takes a thing away comes last, what restores it after that.
def turn(method):
    return "restore" in method, "delete" in method or "archive" in method, "create" not in method, method

for name, prop in sorted(vars(MLClient).items()):
    kind = typing.get_type_hints(prop.fget).get("return") if isinstance(prop, property) else None
    if "operations" in getattr(kind, "__module__", ""):
        public = [method for method in dir(kind) if not method.startswith("_") and callable(getattr(kind, method))]
        answer[name] = {method: called(name, method) for method in sorted(public, key=turn)}
"""


# The groups of which something is played: each of their methods is called as people do.
PLAYED = ("workspaces", "datastores", "environments", "data", "models", "compute", "components", "jobs")
# What the client does not do, whoever answers.
ALONE = {
    "data.mount": "by the client itself: on Linux, with another package",
    "datastores.mount": "by the client itself: on Linux, with another package",
    "data.list_materialization_status": "by the client itself: it fails before it asks",
}


def outcome(method: str, said: str) -> str:
    """What a call has shown, in the table's words."""
    if said == "works":
        return "works"
    if method in ALONE:
        return f"refused {ALONE[method]}"
    if re.search(r"^\w+Error 501: ", said, re.MULTILINE):
        return "not played: 501"
    if match := re.search(r"^\w+Error (4\d\d): \((\w+)\)", said, re.MULTILINE):
        return f"refused: {match[1]} {match[2]}"
    return f"fails: {said[:300]}"


def section(told: dict[str, dict[str, str]]) -> str:
    """The part of the page that is about the second generation's client."""
    shown = {f"{group}.{name}": said for group in PLAYED for name, said in sorted(told[group].items())}
    works = sum(said == "works" for said in shown.values())
    left = [group for group in sorted(told) if group not in PLAYED]
    refused = ", ".join(f"`{group}`" for group in left if "not played: 501" in told[group].values())
    others = ", ".join(f"`{group}`" for group in left if "not played: 501" not in told[group].values())
    lines = [
        HEADING,
        "",
        f"Every public operation of the `MLClient` of azure-ai-ml {ML_CLIENT_RELEASE}. Of the groups that are played,",
        f"{works} of {len(shown)} operations work. Not played, and refused with 501 and its name, is what these ask",
        f"for: {refused}. Not looked at are {others}.",
        "",
        "| operation | |",
        "|---|---|",
        *(f"| {name} | {said} |" for name, said in shown.items()),
    ]
    return "\n".join(lines) + "\n"


def test_each_operation(ml_client: Client) -> None:
    answer = ml_client(CALLS)
    told = {
        group: {name: outcome(f"{group}.{name}", said) for name, said in methods.items()}
        for group, methods in answer.items()
    }
    broken = {f"{group}.{name}": said for group in PLAYED for name, said in told[group].items() if said[:5] == "fails"}
    assert not broken, broken
    page = PAGE.read_text() if PAGE.exists() else "# What the rehearsal plays\n"
    page = page if HEADING in page else f"{page}\n{HEADING}\n"
    kept = re.search(rf"{HEADING}\n?.*?(?=\n## |\Z)", page, re.DOTALL)
    assert kept
    if os.environ.get("REWRITE_OPERATIONS"):
        PAGE.write_text(page.replace(kept[0], section(told)))
        return
    assert kept[0].strip() == section(told).strip(), "REWRITE_OPERATIONS=1 writes it anew"


def test_what_is_not_played_says_so(ml_client: Client) -> None:
    """An endpoint, a schedule, a registry: by their names, before anything is made."""
    answer = ml_client("""
answer |= {kind: refused(lambda: list(getattr(ml, kind).list()))
           for kind in ("online_endpoints", "batch_endpoints", "schedules", "registries")}
""")
    for kind, (status, code, said) in answer.items():
        assert (status, code) == (501, "NotImplemented")
        assert f"does not play {kind.replace('_', ' ')}" in said
