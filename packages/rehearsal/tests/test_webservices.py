"""Models deployed as web services by the real client: the real inference server, its keys, its troubles."""

from __future__ import annotations

from aml_rehearsal import Rehearsal
from callers import Client

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
  - azureml-inference-server-http==1.5.1
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
def refused(step):
    try:
        step()
    except Exception as error:
        return str(error)
def ask(service, key=None, sent={"x": 1}):
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    answered = requests.post(service.scoring_uri, json=sent, headers=headers, timeout=30)
    return [answered.status_code, answered.json()]
'''


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
