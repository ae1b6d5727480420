"""Models deployed as web services by the real client: the real inference server, its keys, its troubles."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from callers import SERVER, Caller, Client
from test_command import gone, processes

from aml_rehearsal import Fault, Provisioning, Rehearsal

SERVICES = "/modelmanagement/v1.0SCOPE/services"
ECHO = "def init(): pass\ndef run(data): return {'said': data}\n"
RAISES = "def init(): raise RuntimeError('the model is not there')\ndef run(data): pass\n"

# What each deployment begins with: a model of one file, a score.py, and the packages that the server needs.
PARTS = '''
import requests
from azureml.core.model import InferenceConfig
from azureml.core.webservice import AciWebservice, AksWebservice, Webservice
SCORE = """
import json, os
from pathlib import Path
import helper

def init():
    global said
    root = Path(os.environ["AZUREML_MODEL_DIR"])
    files = {file.relative_to(root).as_posix(): file.read_text() for file in sorted(root.rglob("*")) if file.is_file()}
    said = {"files": files, "place": root.parts[-3:], "greeting": os.environ.get("GREETING"), "helper": helper.TEXT}

def run(data):
    return said | {"sent": json.loads(data)}
"""
CONDA = f"""
dependencies:
- python={sys.version_info.major}.{sys.version_info.minor}
- pip:
  - %s
"""
def model(name, **files):
    folder = Path(name); folder.mkdir(exist_ok=True)
    for file, text in files.items():
        (folder / file).write_text(text)
    return Model.register(ws, str(folder), name)
def inference(score=SCORE, **variables):
    folder = Path("source"); folder.mkdir(exist_ok=True)
    (folder / "score.py").write_text(score); (folder / "helper.py").write_text("TEXT = 'beside it'")
    Path("conda.yml").write_text(CONDA)
    environment = Environment.from_conda_specification("serving", "conda.yml")
    environment.environment_variables = variables
    return InferenceConfig("score.py", source_directory=str(folder), environment=environment)
def ask(service, key=None, sent={"x": 1}):
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    answered = requests.post(service.scoring_uri, json=sent, headers=headers, timeout=30)
    return [answered.status_code, answered.json()]
'''.replace("%s", SERVER)


def test_a_service_from_its_start_to_its_end(rehearsal: Rehearsal, client: Client) -> None:
    answer = client(f"""{PARTS}
first = model("first", **{{"a.txt": "weights"}})
wish = AciWebservice.deploy_configuration(1, 1, auth_enabled=True, tags={{"a": "1"}}, description="said")
service = Model.deploy(ws, "my-service", [first], inference(GREETING="hello"), wish)
answer["at first"] = service.state
service.wait_for_deployment()
answer["seen"] = [service.state, service.compute_type, service.tags, service.description, service.auth_enabled]
primary, secondary = service.get_keys()
answer["addresses"] = [service.scoring_uri, service.swagger_uri]
answer["answers"] = [ask(service, key) for key in (primary, secondary, None, "wrong")]
answer["through the client"] = service.run(json.dumps({{"x": 2}}))["sent"]
with_key = {{"Authorization": f"Bearer {{primary}}"}}
answer["swagger"] = requests.get(service.swagger_uri, headers=with_key, timeout=30).json()["swagger"]
answer["log"] = service.get_logs()
answer["last lines"] = len(service.get_logs(num_lines=2).splitlines())
answer["listed"] = [one.name for one in Webservice.list(ws, model_name="first")]
service.delete()
answer["gone"] = refused(lambda: Webservice(ws, "my-service"))
""")
    assert answer["at first"] == "Transitioning"
    assert answer["seen"] == ["Healthy", "ACI", {"a": "1"}, "said", True]
    said = {
        "files": {"first/a.txt": "weights"},
        "place": ["azureml-models", "first", "1"],
        "greeting": "hello",
        "helper": "beside it",
        "sent": {"x": 1},
    }
    assert answer["answers"][:2] == [[200, said], [200, said]]
    assert [status for status, _ in answer["answers"][2:]] == [401, 401]
    assert answer["through the client"] == {"x": 2}
    assert answer["swagger"] == "2.0"
    assert "Invoking user's init function" in answer["log"]
    assert answer["last lines"] == 2
    assert answer["listed"] == ["my-service"]
    assert "WebserviceNotFound" in answer["gone"]


def test_a_service_that_fails_says_why_and_is_mended(rehearsal: Rehearsal, client: Client) -> None:
    answer = client(f"""{PARTS}
one, two = model("one", **{{"a.txt": "1"}}), model("two", **{{"b.txt": "2"}})
broken = SCORE.replace("global said", "raise RuntimeError('the model is not there')")
service = Model.deploy(ws, "broken", [one], inference(broken), AciWebservice.deploy_configuration(1, 1))
answer["failed"] = refused(service.wait_for_deployment)
answer["then"] = [service.state, service.scoring_uri, service.error["code"]]
answer["log"] = service.get_logs()
wish = AciWebservice.deploy_configuration(1, 1)
answer["again"] = refused(lambda: Model.deploy(ws, "broken", [one], inference(), wish))
service.update(models=[one, two], inference_config=inference(GREETING="mended"), tags={{"a": "2"}})
service.wait_for_deployment()
answer["mended"] = [service.state, service.tags, service.error, [model.id for model in service.models]]
answer["answer"] = ask(service)
service.update(inference_config=inference(broken))
answer["failed again"] = refused(service.wait_for_deployment)
answer["after that"] = ask(service)
over = Model.deploy(ws, "broken", [two], inference(), wish, overwrite=True)
over.wait_for_deployment()
answer["over it"] = [over.scoring_uri == service.scoring_uri, ask(over)]
over.add_tags({{"b": "3"}})
answer["tags"] = Webservice(ws, "broken").tags
answer["raw"] = Webservice._get(ws, "broken")["environmentImageRequest"]
over.delete()
""")
    for said in (answer["failed"], answer["failed again"]):
        assert "current service state: Failed" in said
        assert "Error in entry script, RuntimeError: the model is not there. More is in the logs" in said
    assert answer["then"] == ["Failed", None, "AciDeploymentFailed"]
    assert "RuntimeError: the model is not there" in answer["log"]
    assert "Service broken with the same name already exists" in answer["again"]
    assert answer["mended"] == ["Healthy", {"a": "2"}, None, ["one:1", "two:1"]]
    status, said = answer["answer"]
    assert (status, said["place"][-1], said["greeting"]) == (200, "azureml-models", "mended")
    assert said["files"] == {"one/1/one/a.txt": "1", "two/1/two/b.txt": "2"}
    assert answer["after that"] == [503, {"message": "No ready replicas for this service"}]
    same, (status, said) = answer["over it"]
    assert same and status == 200 and said["files"] == {"two/b.txt": "2"}
    assert answer["tags"] == {"b": "3"}
    image = answer["raw"]
    assert image["modelIds"] == ["two:1"] and image["environment"]["name"] == "serving"
    assert image["driverProgram"] == image["assets"][0]["id"] and image["assets"][1]["unpack"]
    assert not processes("services/broken")


def test_a_kubernetes_cluster_serves_on_while_it_is_updated(rehearsal: Rehearsal, client: Client) -> None:
    answer = client(f"""{PARTS}
from azureml.core.compute import AksCompute
cluster = ComputeTarget.create(ws, "aks-cluster", AksCompute.provisioning_configuration())
cluster.wait_for_completion()
answer["cluster"] = [AksCompute(ws, "aks-cluster").provisioning_state, type(ws.compute_targets["aks-cluster"]).__name__]
only = model("only", **{{"a.txt": "1"}})
wish = AksWebservice.deploy_configuration(cpu_cores=0.5, memory_gb=1, primary_key="first", secondary_key="second")
service = Model.deploy(ws, "on-aks", [only], inference(GREETING="one"), wish, cluster)
service.wait_for_deployment()
answer["seen"] = [service.state, service.compute_name, service.auth_enabled, service.token_auth_enabled]
answer["address"] = service.scoring_uri
answer["one"] = [ask(service, key)[0] for key in ("first", "second", "third")]
service.regen_key("Primary", set_key="third")
answer["regenerated"] = [ask(service, key)[0] for key in ("first", "second", "third")]
service.update(inference_config=inference("def init(): 1 / 0\\ndef run(data): pass"))
answer["failed"] = refused(service.wait_for_deployment)
answer["still"] = [service.state, ask(service, "third")[1]["greeting"]]
service.update(auth_enabled=False, token_auth_enabled=True)
token, _ = service.get_token()
answer["token"] = [ask(service, key)[0] for key in (token, "third", None)]
service.update(inference_config=inference(GREETING="two"))
service.wait_for_deployment()
answer["two"] = ask(service, token)[1]["greeting"]
answer["listed"] = [[one.name for one in Webservice.list(ws, compute_type=kind)] for kind in ("AKS", "ACI")]
service.delete()
""")
    assert answer["cluster"] == ["Succeeded", "AksCompute"]
    assert answer["seen"] == ["Healthy", "aks-cluster", True, False]
    assert answer["address"].endswith("/api/v1/service/on-aks/score")
    assert answer["one"] == [200, 200, 401]
    assert answer["regenerated"] == [401, 200, 200]
    assert "Error in entry script, ZeroDivisionError: division by zero" in answer["failed"]
    assert answer["still"] == ["Failed", "one"]
    assert answer["token"] == [200, 401, 401]
    assert answer["two"] == "two"
    assert "on-aks" in answer["listed"][0] and "on-aks" not in answer["listed"][1]
    with rehearsal.workspace.state.lock:
        rehearsal.workspace.state.tables.computes.pop("aks-cluster")


# ------------------------------------------------------------------------- what the real client would not send


def score(service: dict[str, Any], path: str = "", body: str = "{}") -> tuple[int, bytes]:
    address = urlsplit(service["scoringUri"])
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=30)
    try:
        connection.request("POST", path or address.path, body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def cpu(cores: float, memory: float = 1) -> dict[str, Any]:
    return {"containerResourceRequirements": {"cpu": cores, "memoryInGB": memory}}


REFUSED = [
    ("Upper", {}, (400, "InvalidServiceName")),
    ("ab", {}, (400, "InvalidServiceName")),
    ("a" * 33, {}, (400, "InvalidServiceName")),
    ("ends-", {}, (400, "InvalidServiceName")),
    ("much", cpu(4.1), (400, "InvalidContainerResourceRequirements")),
    ("little", cpu(0.05), (400, "InvalidContainerResourceRequirements")),
    ("large", cpu(1, 17), (400, "InvalidContainerResourceRequirements")),
    ("nowhere", {"computeType": "AKS", "computeName": "no-such"}, (404, "ComputeNotFound")),
    ("cluster", {"computeType": "AKS", "computeName": "cpu-cluster"}, (400, "UserError")),
    ("edge", {"computeType": "IOT"}, (400, "UserError")),
    ("tls", {"sslEnabled": True}, (400, "UserError")),
    ("empty", {"environmentImageRequest": {"modelIds": ["a:1"]}}, (400, "UserError")),
]


@pytest.mark.parametrize(("name", "changes", "refusal"), REFUSED)
def test_what_azure_would_not_deploy(
    caller: Caller, python: Path, name: str, changes: dict[str, Any], refusal: tuple[int, str]
) -> None:
    status, answer = caller.publish(name, ECHO, python, **changes)
    assert (status, answer["error"]["code"]) == refusal, answer
    assert name not in caller.rehearsal.state()["services"]


def test_files_and_models_must_be_there(caller: Caller, python: Path, rehearsal: Rehearsal) -> None:
    caller.publish("parts", ECHO, python)
    image = caller.published("parts")["environmentImageRequest"]
    for name, changes, code in (
        ("no-model", {"modelIds": ["no-such:1"]}, "ModelNotFound"),
        (
            "no-file",
            {"assets": [image["assets"][0] | {"url": "aml://artifact/LocalUpload/none/score.py"}]},
            "ArtifactNotFound",
        ),
    ):
        status, answer = caller.publish(name, ECHO, python, environmentImageRequest=image | changes)
        assert (status, answer["error"]["code"]) == (404, code)
    change = [{"op": "replace", "path": "/environmentImageRequest", "value": image | {"modelIds": ["no-such:1"]}}]
    assert caller.ask("PATCH", f"{SERVICES}/parts", change)[0] == 404
    assert caller.published("parts")["state"] == "Healthy"
    reader = Caller(rehearsal, "reader")
    assert reader.publish("readers", ECHO, python)[0] == 403
    assert reader.ask("POST", f"{SERVICES}/parts/listkeys")[0] == 403
    assert reader.ask("DELETE", f"{SERVICES}/parts")[0] == 403
    assert reader.ask("GET", f"{SERVICES}/parts")[1]["state"] == "Healthy"
    assert caller.ask("DELETE", f"{SERVICES}/parts")[0] == 202
    assert caller.ask("DELETE", f"{SERVICES}/parts")[0] == 204


def test_a_model_that_is_served_stays(caller: Caller, python: Path) -> None:
    wish = {"name": "served", "url": "aml://asset/none"}
    assert caller.ask("POST", "/modelmanagement/v1.0SCOPE/models", wish)[0] == 200
    caller.publish("serving", ECHO, python)
    service = caller.published("serving")
    state = caller.rehearsal.workspace.state
    with state.lock:
        state.tables.services["serving"]["environmentImageRequest"]["modelIds"].append("served:1")
    status, answer = caller.ask("DELETE", "/modelmanagement/v1.0SCOPE/models/served:1")
    assert (status, answer["error"]["code"]) == (409, "ModelInUse")
    assert score(service) == (200, b'{"said": "{}"}')
    caller.ask("DELETE", f"{SERVICES}/serving")
    assert caller.ask("DELETE", "/modelmanagement/v1.0SCOPE/models/served:1")[0] == 200


def test_a_service_is_deployed_once_at_a_time(caller: Caller, python: Path) -> None:
    slow = "import time\n" + ECHO.replace("pass", "time.sleep(3)")
    assert caller.publish("slow", slow, python)[0] == 202
    assert caller.publish("slow", ECHO, python)[1]["error"]["code"] == "ServiceExists"
    status, answer = caller.publish("slow", ECHO, python, overwrite=True)
    assert (status, answer["error"]["code"]) == (409, "ServiceTransitioning")
    assert caller.published("slow")["state"] == "Healthy"
    assert caller.publish("slow", slow, python, overwrite=True)[0] == 202
    assert caller.ask("DELETE", f"{SERVICES}/slow")[0] == 202  # in the midst of it
    assert gone("services/slow", 15)
    assert caller.publish("slow", ECHO, python)[0] == 202  # the name is free at once
    assert caller.published("slow")["state"] == "Healthy"
    caller.ask("DELETE", f"{SERVICES}/slow")


def test_a_server_that_ends_or_does_not_begin(
    caller: Caller, python: Path, rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller.publish("ends", ECHO, python)
    service = caller.published("ends")
    assert score(service)[0] == 200
    os.kill(processes("services/ends/" + service["deployment"] + "/app")[0], signal.SIGKILL)
    service = caller.published("ends", "Unhealthy")
    assert "The server ended with exit code -9" in service["error"]["message"]
    assert score(service)[0] == 503
    monkeypatch.setattr(rehearsal.workspace.hosting, "seconds", 1)
    caller.publish("late", "import time\n" + ECHO.replace("pass", "time.sleep(60)"), python)
    assert "The server did not answer within 1 seconds" in caller.published("late")["error"]["message"]
    caller.publish("bare", ECHO, Path(sys.executable))
    assert "The environment lacks azureml-inference-server-http" in caller.published("bare")["error"]["message"]
    caller.publish("none", ECHO, Path("no-such-python"))
    assert "there is no no-such-python on the PATH" in caller.published("none")["error"]["message"]
    assert gone("services/late", 15) and gone("services/ends", 15)
    for name in ("ends", "late", "bare", "none"):
        caller.ask("DELETE", f"{SERVICES}/{name}")


def test_the_page_shows_services_and_no_key(caller: Caller, python: Path, rehearsal: Rehearsal) -> None:
    caller.publish("paged", ECHO, python, authEnabled=True, keys={"primaryKey": "S3CRET-1", "secondaryKey": None})
    service = caller.published("paged")
    assert score(service)[0] == 401
    page = caller.send_plain("/")
    assert "paged" in page and service["scoringUri"] in page and "Healthy" in page
    assert "S3CRET" not in caller.send_plain("/state.json")
    assert "Invoking user's init function" in caller.send_plain("/services/paged")
    assert "S3CRET" not in str(caller.ask("GET", f"{SERVICES}/paged"))
    caller.ask("DELETE", f"{SERVICES}/paged")


def test_faults_strike_deployments_too(caller: Caller, python: Path, rehearsal: Rehearsal) -> None:
    rehearsal.faults.add(Fault(r"POST .*/services$", drop="after"))
    with pytest.raises((OSError, http.client.HTTPException)):
        caller.publish("faulty", ECHO, python)
    assert caller.published("faulty")["state"] == "Healthy"  # its caller does not know
    caller.ask("DELETE", f"{SERVICES}/faulty")


def test_what_ends_after_a_service_was_deleted_leaves_the_next_of_its_name_alone(
    caller: Caller, python: Path, rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosting, later = rehearsal.workspace.hosting, list[Callable[[], None]]()
    caller.publish("again", ECHO, python)
    caller.published("again")
    with monkeypatch.context() as held:
        held.setattr(hosting, "thread", later.append)
        caller.ask("DELETE", f"{SERVICES}/again")
    caller.publish("again", ECHO, python)
    folder = hosting.folder / "again" / caller.published("again")["deployment"]
    later[0]()
    assert [each.name for each in hosting.folder.glob("again/*")] == [folder.name]
    assert (folder / "log.txt").stat().st_size
    caller.ask("DELETE", f"{SERVICES}/again")


def test_clusters_that_are_not_ready(
    caller: Caller, python: Path, rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rehearsal.workspace, "provisioning", Provisioning(polls=9))
    computes = "/rp/workspacesSCOPE/computes"
    attached = {"computeType": "AKS", "resourceId": "/of/another/group"}
    assert caller.ask("PUT", f"{computes}/later", {"properties": attached})[1]["properties"]["isAttachedCompute"]
    status, answer = caller.publish("later-on", ECHO, python, computeType="AKS", computeName="later")
    assert (status, answer["error"]["code"]) == (400, "ComputeTargetNotReady")
    wish = {"properties": {"computeType": "AKS", "properties": {"agentCount": 0}}}
    assert caller.ask("PUT", f"{computes}/none", wish)[1]["error"]["code"] == "InvalidAgentCount"
    caller.ask("DELETE", f"{computes}/later")


def test_no_request_is_lost_while_a_kubernetes_cluster_is_updated(
    caller: Caller, python: Path, rehearsal: Rehearsal
) -> None:
    rehearsal.plant_compute("lossless", "AKS")
    slow = "import time\n" + ECHO.replace("return", "time.sleep(0.2); return")
    cluster = {"computeType": "AKS", "computeName": "lossless", "authEnabled": False}
    assert caller.publish("lossless", slow, python, **cluster)[0] == 202
    service = caller.published("lossless")
    said, over = [], threading.Event()

    def ask() -> None:
        while not over.is_set():
            said.append(score(service))

    askers = [threading.Thread(target=ask) for _ in range(4)]
    for asker in askers:
        asker.start()
    newer = ECHO.replace("'said': data", "'newer': data")
    assert caller.publish("lossless", newer, python, **cluster, overwrite=True)[0] == 202
    assert caller.published("lossless")["state"] == "Healthy"
    time.sleep(1)
    over.set()
    for asker in askers:
        asker.join()
    assert {status for status, _ in said} == {200}
    assert {body for _, body in said} == {b'{"said": "{}"}', b'{"newer": "{}"}'}
    caller.ask("DELETE", f"{SERVICES}/lossless")
    with rehearsal.workspace.state.lock:
        rehearsal.workspace.state.tables.computes.pop("lossless")


# ------------------------------------------------------------------------------------------- the end, and after


def test_the_end_of_a_rehearsal_ends_its_services(tmp_path: Path, python: Path) -> None:
    with Rehearsal(tmp_path) as rehearsal:
        caller = Caller(rehearsal)
        assert caller.publish("kept", ECHO, python)[0] == 202
        service = caller.published("kept")
        assert score(service)[0] == 200
        assert processes(f"{tmp_path}/services/kept")
        assert caller.publish("begun", ECHO, python)[0] == 202
    assert gone(str(tmp_path), 5)
    with Rehearsal(tmp_path) as rehearsal:
        caller = Caller(rehearsal)
        status, kept = caller.ask("GET", f"{SERVICES}/kept")
        assert (status, kept["state"], kept["scoringUri"]) == (200, "Unhealthy", None)
        assert "deploy it again" in kept["error"]["message"]
        assert caller.publish("kept", ECHO, python, overwrite=True)[0] == 202
        assert score(caller.published("kept", "Healthy"))[0] == 200
    assert gone(str(tmp_path), 5)


KILLED = """
import sys, time
from pathlib import Path
from aml_rehearsal import Rehearsal
from callers import Caller
with Rehearsal(Path(sys.argv[1])) as rehearsal:
    caller = Caller(rehearsal)
    caller.publish("mine", sys.argv[3], Path(sys.argv[2]))
    print(caller.published("mine")["state"], flush=True)
    time.sleep(600)
"""


def test_a_rehearsal_that_is_killed_leaves_no_service(tmp_path: Path, python: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path), str(python), ECHO]
    own = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    started = subprocess.Popen(command, env=own, stdout=subprocess.PIPE, text=True)
    assert started.stdout is not None and started.stdout.readline() == "Healthy\n"
    assert processes(f"{tmp_path}/services/mine")
    started.kill()
    started.wait()
    over = time.monotonic() + 15
    while processes(f"{tmp_path}/services/mine") and time.monotonic() < over:
        time.sleep(0.1)
    assert not processes(str(tmp_path))
    assert list(tmp_path.glob("services/mine/*/app"))
    with Rehearsal(tmp_path):
        assert not list(tmp_path.glob("services/mine/*/app"))
