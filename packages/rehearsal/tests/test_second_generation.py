"""The workspace by the second generation's client: azure-ai-ml."""

from __future__ import annotations

from callers import Caller, Client

from aml_rehearsal import Rehearsal
from aml_rehearsal.faults import Provisioning
from aml_rehearsal.services.history import new_run
from aml_rehearsal.tokens import LEARNING, MANAGEMENT, STORAGE


def test_workspace_and_datastores(rehearsal: Rehearsal, ml_client: Client) -> None:
    answer = ml_client("""
found = ml.workspaces.get(ml.workspace_name)
answer["workspace"] = found.name, found.location, found.storage_account.rpartition("/")[2]
answer["listed"] = [one.name for one in ml.workspaces.list()]
answer["default"] = ml.datastores.get_default().name
answer["stores"] = sorted(one.name for one in ml.datastores.list())[:2]
answer["key"] = ml.datastores.get("workspaceblobstore", include_secrets=True).credentials.account_key
credentials = AccountKeyConfiguration(account_key="a2V5")
store = AzureBlobDatastore(name="second_store", account_name="rehearsaldata", container_name="c",
                           credentials=credentials)
made = ml.datastores.create_or_update(store)
answer["made"] = made.account_name, made.container_name, ml.datastores.get("second_store").description
ml.datastores.delete("second_store")
answer["gone"] = refused(ml.datastores.get, "second_store")[:2]
""")
    names = rehearsal.workspace.names
    assert answer["workspace"] == [names.workspace_name, "westeurope", "rehearsal"]
    assert answer["listed"] == [names.workspace_name]
    assert answer["default"] == "workspaceblobstore"
    assert answer["key"] == rehearsal.workspace.blobs.key
    assert answer["made"] == ["rehearsaldata", "c", None]
    assert answer["gone"] == [404, "UserError"]


def test_datastores_of_other_kinds(client: Client, ml_client: Client) -> None:
    """What the first generation has registered: a database is no datastore of the second."""
    client("""
from azureml.core import Datastore
principal = {"tenant_id": "t", "client_id": "c", "client_secret": "s"}
Datastore.register_azure_file_share(ws, "share", "files", "account", account_key="a2V5")
Datastore.register_azure_data_lake(ws, "lake", "one", **principal)
Datastore.register_azure_data_lake_gen2(ws, "newer", "two", "account", **principal)
Datastore.register_azure_sql_database(ws, "sql", "server", "base", username="me", password="p")
""")
    answer = ml_client("""
kinds = {one.name: one for one in ml.datastores.list()}
answer["share"] = kinds["share"].type, kinds["share"].file_share_name
answer["lake"] = kinds["lake"].type, kinds["lake"].store_name, kinds["lake"].credentials.client_id
answer["newer"] = kinds["newer"].type, kinds["newer"].filesystem, kinds["newer"].credentials.tenant_id
answer["sql"] = "sql" in kinds, refused(ml.datastores.get, "sql")[0]
for name in ("share", "lake", "newer"):
    ml.datastores.delete(name)
""")
    client("""
from azureml.core import Datastore
Datastore.get(ws, "sql").unregister()
""")
    assert answer["share"] == ["AzureFile", "files"]
    assert answer["lake"] == ["AzureDataLakeGen1", "one", "c"]
    assert answer["newer"] == ["AzureDataLakeGen2", "two", "t"]
    assert answer["sql"] == [False, 404]


def test_environments(rehearsal: Rehearsal, ml_client: Client, client: Client) -> None:
    """One list with the first generation, in whose words the same environment is told."""
    answer = ml_client("""
Path("conda.yml").write_text("dependencies: [python=3.11, {pip: [six]}]")
wish = Environment(name="second-env", image="mcr.microsoft.com/azureml/base", conda_file="conda.yml",
                   description="two", tags={"a": "1"})
made = ml.environments.create_or_update(wish)
answer["made"] = made.version, made.conda_file, made.image
ml.environments.create_or_update(Environment(name="second-env", version="2", image="python:3.11"))
answer["latest"] = ml.environments.get("second-env", label="latest").version
first = ml.environments.get("second-env", "1")
answer["first"] = first.description, first.tags
answer["versions"] = [one.version for one in ml.environments.list(name="second-env")]
answer["names"] = [one.name for one in ml.environments.list()]
answer["curated"] = ml.environments.get("AzureML-sklearn-1.5", label="latest").version
answer["other"] = refused(ml.environments.create_or_update,
                          Environment(name="second-env", version="2", image="python:3.12"))[:2]
ml.environments.archive("second-env", version="1")
answer["active"] = [one.version for one in ml.environments.list(name="second-env")]
ml.environments.archive("second-env")
answer["archived"] = "second-env" in [one.name for one in ml.environments.list()]
answer["missing"] = refused(ml.environments.get, "second-env", "7")[:2]
""")
    conda = {"dependencies": ["python=3.11", {"pip": ["six"]}]}
    assert answer["made"] == ["1", conda, "mcr.microsoft.com/azureml/base"]
    assert answer["latest"] == "2"
    assert answer["first"] == ["two", {"a": "1"}]
    assert answer["versions"] == ["2", "1"]
    assert {"second-env", "AzureML-sklearn-1.5"} <= set(answer["names"])
    assert answer["other"] == [409, "EnvironmentExists"]
    assert answer["active"] == ["2"]
    assert not answer["archived"]
    assert answer["missing"] == [404, "UserError"]
    seen = client("""
found = Environment.get(ws, "second-env", version="1")
answer["python"] = list(found.python.conda_dependencies.pip_packages), found.docker.base_image
""")
    assert seen["python"] == [["six"], "mcr.microsoft.com/azureml/base"]


def test_data(rehearsal: Rehearsal, ml_client: Client, client: Client) -> None:
    answer = ml_client("""
Path("a.csv").write_text("n\\n1\\n")
Path("folder/deep").mkdir(parents=True); Path("folder/deep/b.csv").write_text("n\\n2\\n")
Path("folder/MLTable").write_text("paths: [{pattern: ./**/*.csv}]\\ntransformations: [{read_delimited: {}}]")
made = [ml.data.create_or_update(Data(name=f"second-{kind}", type=kind, path=path, tags={"a": "1"}))
        for kind, path in (("uri_file", "a.csv"), ("uri_folder", "folder"), ("mltable", "folder"))]
answer["made"] = [[one.name, one.version, one.type] for one in made]
answer["paths"] = [one.path for one in made]
again = ml.data.create_or_update(Data(name="second-uri_file", type="uri_file", path="folder/deep/b.csv"))
answer["again"] = again.version, ml.data.get("second-uri_file", label="latest").version
answer["versions"] = [one.version for one in ml.data.list(name="second-uri_file")]
answer["names"] = {one.name: one.type for one in ml.data.list()}
answer["first"] = ml.data.get("second-uri_file", "1").tags
far = Data(name="second-uri_file", version="1", type="uri_file", path="azureml://datastores/workspaceblobstore/paths/x")
answer["moved"] = refused(ml.data.create_or_update, far)[:2]
ml.data.archive("second-mltable")
answer["active"] = "second-mltable" in [one.name for one in ml.data.list()]
table = ml.data.get("numbers", label="latest")
answer["first generation"] = table.type, table.version
""")
    assert answer["made"] == [[f"second-{kind}", "1", kind] for kind in ("uri_file", "uri_folder", "mltable")]
    assert answer["paths"][0].endswith("/a.csv")
    assert answer["again"] == ["2", "2"]
    assert answer["versions"] == ["2", "1"]
    assert answer["names"]["second-uri_folder"] == "uri_folder"
    assert answer["names"]["numbers"] == "mltable"
    assert answer["first"] == {"a": "1"}
    assert answer["moved"] == [400, "UserError"]
    assert not answer["active"]
    assert answer["first generation"] == ["mltable", "1"]
    seen = client("""
found = Dataset.get_by_name(ws, "second-uri_folder")
answer["files"] = sorted(found.to_path())
""")
    assert "/deep/b.csv" in seen["files"]


def test_computes(rehearsal: Rehearsal, ml_client: Client) -> None:
    """The clusters of the first generation; one takes its time, as the client waits for it, another fails."""
    rehearsal.workspace.provisioning = Provisioning(polls=1)
    answer = ml_client("""
wish = AmlCompute(name="second-cluster", size="Standard_DS3_v2", tier="low_priority", min_instances=0, max_instances=3,
                  idle_time_before_scale_down=120, tags={"a": "1"})
made = ml.compute.begin_create_or_update(wish).result()
answer["made"] = made.provisioning_state, made.tier, made.max_instances, made.idle_time_before_scale_down, made.size
answer["listed"] = sorted(one.name for one in ml.compute.list())
answer["sizes"] = [vars(one)["vCPUs"] for one in ml.compute.list_sizes() if one.name == "Standard_DS3_v2"]
answer["usage"] = [one.limit for one in ml.compute.list_usage()]
answer["nodes"] = list(ml.compute.list_nodes("second-cluster"))
wish.max_instances = 4
answer["larger"] = ml.compute.begin_update(wish).result().max_instances
wish.size = "Standard_DS4_v2"
answer["other size"] = refused(lambda: ml.compute.begin_create_or_update(wish).result())[:2]
ml.compute.begin_delete("second-cluster").result()
answer["gone"] = refused(ml.compute.get, "second-cluster")[:2]
none = AmlCompute(name="none", size="none")
answer["no size"] = refused(lambda: ml.compute.begin_create_or_update(none).result())[:2]
""")
    rehearsal.workspace.provisioning = Provisioning(error="No quota.")
    failed = ml_client("""
wish = AmlCompute(name="second-failed", size="Standard_DS3_v2", max_instances=1)
answer["said"] = str(refused_by_client(lambda: ml.compute.begin_create_or_update(wish).result()))
ml.compute.begin_delete("second-failed").result()
""")
    rehearsal.workspace.provisioning = Provisioning()
    assert answer["made"] == ["Succeeded", "low_priority", 3, 120, "Standard_DS3_v2"]
    assert {"cpu-cluster", "second-cluster"} <= set(answer["listed"])
    assert answer["sizes"] == [4]
    assert answer["usage"] == [rehearsal.workspace.quota]
    assert [answer["nodes"], answer["larger"]] == [[], 4]
    assert answer["other size"] == [400, "ComputePropertyImmutable"]
    assert answer["gone"] == [404, "ComputeNotFound"]
    assert answer["no size"] == [400, "InvalidVmSize"]
    assert "No quota." in failed["said"]


def test_who_may_only_look(rehearsal: Rehearsal) -> None:
    reader = Caller(rehearsal, "reader")
    assert reader.arm("GET", "SCOPE/jobs")[0] == 200
    for method, path in (
        ("PUT", "SCOPE/jobs/a-reader-s"),
        ("POST", "SCOPE/datastores/workspaceblobstore/listSecrets"),
        ("PUT", "SCOPE/environments/a/versions/1"),
        ("POST", "SCOPE/codes/a/versions/1/startPendingUpload"),
    ):
        status, answer = reader.arm(method, path, {"properties": {}})
        assert (status, answer["error"]["code"]) == (403, "AuthorizationFailed")


def test_whom_a_token_is_for_counts(caller: Caller) -> None:
    """A token of the machine learning service opens its own host, not the resource manager; one of storage neither."""
    tokens = caller.rehearsal.workspace.tokens
    for audience, arm, api in ((LEARNING, 401, 200), (STORAGE, 401, 401), (MANAGEMENT, 200, 200)):
        caller.token = tokens.issue("somebody", "contributor", audience=audience)
        status, answer = caller.arm("GET", "SCOPE/jobs")
        assert status == arm, answer
        if arm == 401:
            assert answer["error"]["code"] == "InvalidAuthenticationTokenAudience"
        assert caller.ask("GET", "/history/v1.0SCOPE/experiments")[0] == api


def test_a_search_and_a_pipeline_are_jobs(rehearsal: Rehearsal, ml_client: Client) -> None:
    """As the client reads them; of a pipeline's steps it asks the run history."""
    with rehearsal.workspace.state.lock:
        for name, kind, parent in (
            ("a-search", "hyperdrive", None),
            ("a-trial", "azureml.scriptrun", "a-search"),
            ("a-pipeline", "azureml.PipelineRun", None),
            ("a-step", "azureml.StepRun", "a-pipeline"),
        ):
            new_run(rehearsal.workspace, "searches", name, runType=kind, parentRunId=parent, status="Completed")
    answer = ml_client("""
answer["kinds"] = [ml.jobs.get(name).type for name in ("a-search", "a-trial", "a-pipeline", "a-step")]
listed = [one.name for one in ml.jobs.list()]
answer["listed"] = [name in listed for name in ("a-search", "a-trial", "a-pipeline", "a-step")]
answer["children"] = [[one.name for one in ml.jobs.list(parent_job_name=name)] for name in ("a-search", "a-pipeline")]
""")
    assert answer["kinds"] == ["sweep", "command", "pipeline", "base"]
    assert answer["listed"] == [True, False, True, False]
    assert answer["children"] == [["a-trial"], ["a-step"]]
