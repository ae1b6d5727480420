"""A rendered project in the hands of its owner: trained, edited, served and asked, through its Makefile.

The project has the most hostile answers and lies in a folder with a space in its name. test_journey.py installs such a
one by its own lines, and runs its own tests.
"""

import csv
import json
import re
import shutil
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import validate

from tests.conftest import Bake
from tests.environments import Environments
from tests.journeys.test_resolve import packages
from tests.renders.test_docs import measuring_script
from tests.renders.test_free_text import HOSTILE
from tests.support import (
    BIN,
    PYTHON,
    PYTHONS,
    answer,
    copy_of,
    files_of,
    free_port,
    rendered,
    run,
    served,
)


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory, environments: Environments) -> Path:
    """A project, rendered, with its tools and not yet touched."""
    folder = tmp_path_factory.mktemp("owner") / "my repos é"
    folder.mkdir()
    texts = {"project_name": answer(HOSTILE[:80]), "description": answer(HOSTILE), "author": answer(HOSTILE)}
    project = rendered(folder, project_slug="hostile", python_version=PYTHON, **texts)
    environments.link_tools(project, PYTHON)
    return project


@pytest.fixture(scope="session")
def project(fresh: Path, environments: Environments) -> Path:
    """The same, installed and trained."""
    assert "nothing is installed for model1 yet: make setup MODEL=model1" in run("make", "train", cwd=fresh, expect=2)
    environments.link_model(fresh, "model1")
    assert "model1 is not trained yet: make train MODEL=model1" in run("make", "serve", cwd=fresh, expect=2)
    said = run("make", "train", cwd=fresh)
    trained = re.search(r"Trained on 1400 rows, tested on 600: accuracy (0\.\d+)", said)
    assert trained
    assert float(trained[1]) > 0.74, "0.693 is what naming the commonest label gives"
    return fresh


def post(url: str, body: Any) -> tuple[int, Any]:
    request = urllib.request.Request(f"{url}/score", json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def sample(project: Path, model: str = "model1") -> Any:
    return json.loads((project / "models" / model / "sample-request.json").read_text(encoding="utf-8"))


def test_help_lists_the_commands(fresh: Path) -> None:
    said = run("make", cwd=fresh)
    for command in ("setup", "train", "test", "lint", "serve", "request", "attach"):
        assert f"make {command} " in said
    assert "Models here: model1" in said


def test_linting_changes_nothing(project: Path) -> None:
    before = files_of(project / "models" / "model1")
    run("make", "lint", cwd=project)
    assert files_of(project / "models" / "model1") == before


def test_serve_and_request(project: Path, tmp_path: Path) -> None:
    with served(project, tmp_path / "log", ["make", "serve", "PORT={port}"]) as url:
        said = run("make", "--silent", "request", f"PORT={url.split(':')[-1]}", cwd=project)
        assert [row["label"] for row in json.loads(said)["predictions"]] == ["yes", "no"]

        bad = tmp_path / "bad.json"
        bad.write_text('{"data": [{}]}')
        send: list[str | Path] = [".venv/.tools/bin/aml", "request", bad, "--port", url.split(":")[-1]]
        assert "answered 400" in run(*send, cwd=project, expect=1)

        for version in ("2", "3", "3.1"):
            with urllib.request.urlopen(f"{url}/swagger.json?version={version}", timeout=10) as response:
                validate(json.load(response))
    assert "Is the model served? make serve" in run("make", "request", f"PORT={free_port()}", cwd=project, expect=2)


def test_the_inference_packages_alone_serve_the_model(project: Path, tmp_path: Path) -> None:
    """What is in inference-conda.yml is all that score.py needs, for the ONNX model and for the pipeline."""
    python = tmp_path / "venv" / "bin" / "python"
    run(BIN / "uv", "venv", "--quiet", "--python", PYTHON, python.parents[1], cwd=tmp_path)
    run(BIN / "uv", "pip", "install", "--quiet", "--python", python, *packages(project, "inference"), cwd=tmp_path)
    model = project / "models" / "model1"
    answers = []
    for name in ("model.onnx", "model.pkl"):
        deployed = tmp_path / name / "azureml-models" / "churn" / "1"
        deployed.mkdir(parents=True)
        for file in (name, "schema.json"):
            (deployed / file).write_bytes((model / "outputs" / "model" / file).read_bytes())
        command: list[str | Path] = [
            python.with_name("azmlinfsrv"),
            "--entry_script=score.py",
            f"--model_dir={tmp_path / name}",
            "--port={port}",
        ]
        with served(model, tmp_path / f"{name}.log", command) as url:
            status, said = post(url, sample(project))
            assert status == 200
            answers.append([row["probabilities"] for row in said["predictions"]])
    for onnx, pipeline in zip(*answers, strict=True):
        assert onnx == pytest.approx(pipeline, abs=1e-5)


def copy_code(project: Path, to: Path) -> Path:
    """Copy the model's code without what it was trained to be; return the folder."""
    trained = shutil.ignore_patterns("outputs", "mlruns", "__pycache__")
    return Path(shutil.copytree(project / "models" / "model1", to, ignore=trained, dirs_exist_ok=True))


def test_a_failure_inside_is_500_without_a_traceback(project: Path, tmp_path: Path) -> None:
    model = project / "models" / "model1"
    copy_code(project, tmp_path)
    score = (tmp_path / "score.py").read_text()
    (tmp_path / "score.py").write_text(score.replace("input_schema.answer(predict(table), schema)", "1 / 0"))
    command: list[str | Path] = [project / ".venv/model1/bin/azmlinfsrv", "--entry_script=score.py", "--port={port}"]
    with served(tmp_path, tmp_path / "log", [*command, f"--model_dir={model / 'outputs'}"]) as url:
        status, said = post(url, sample(project))
    assert status == 500
    assert "ZeroDivisionError" not in json.dumps(said)
    log = (tmp_path / "log").read_text()
    assert '  File "' in log, "the traceback is ours to read"
    assert '"status": 500' in log and '"error": "ZeroDivisionError: division by zero"' in log


# What the owner writes into train.py, and whether ONNX can take its place: exactly, not quite, not at all.
MODELS = {
    "RandomForestClassifier(random_state=args.seed)": True,
    "HistGradientBoostingClassifier(random_state=args.seed)": False,
    "make_pipeline(FunctionTransformer(dense), FunctionTransformer(lambda rows: rows + 0), Stranger())": False,
}
STRANGER = """
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.preprocessing import FunctionTransformer


class Stranger(GaussianNB):
    def fit(self, X, y):
        return super().fit(X, y)


def dense(rows):
    return rows.toarray() if hasattr(rows, "toarray") else np.asarray(rows)


def build_model("""


COMPARE = """
import json, sys, joblib, numpy, pandas, score
from pathlib import Path
from runtime import tables
frame = pandas.read_csv(sys.argv[1]).drop(columns=sys.argv[2])
score.init()
rows = json.loads(frame.to_json(orient="records"))
got = [list(row["probabilities"].values()) for row in score.run(json.dumps({"data": rows}))["predictions"]]
table = pandas.DataFrame(tables.read_by(Path(sys.argv[1]), score.schema, sys.argv[2])[0])
want = joblib.load("outputs/model/model.pkl").predict_proba(table)
print("largest difference", abs(numpy.array(got) - want).max())
"""


@pytest.mark.parametrize("estimator", MODELS)
def test_another_model_scores_with_onnx_or_without(project: Path, tmp_path: Path, estimator: str) -> None:
    """The owner edits build_model(); whatever the model is, scoring gives its own probabilities."""
    model = copy_code(project, tmp_path / "model")
    train = (model / "train.py").read_text()
    edited, replaced = re.subn(r"LogisticRegression\(\n.*\n +\)\n", f"{estimator}\n", train)
    assert replaced == 1
    edited = edited.replace("def build_model(", STRANGER, 1)
    if MODELS[estimator]:
        edited = edited.replace(", StandardScaler())", ")")
    (model / "train.py").write_text(edited)
    (model / "outputs" / "model").mkdir(parents=True)
    (model / "outputs" / "model" / "model.onnx").write_text("of an earlier training")

    python = project / ".venv" / "model1" / "bin" / "python"
    said = run(python, "train.py", "--data-path", project / "data" / "model1", cwd=model)
    assert (model / "outputs" / "model" / "model.onnx").exists() == MODELS[estimator]
    assert ("No ONNX export, score.py will use the slower model.pkl" in said) != MODELS[estimator]

    compare_answers(python, model, project / "data" / "model1" / "customers.csv", "churned")


def compare_answers(python: Path, model: Path, data: Path, label: str) -> None:
    """What score.py answers for each row of the data are the probabilities of the saved pipeline."""
    said = run(python, "-c", COMPARE, data, label, cwd=model, AZUREML_MODEL_DIR="outputs")
    assert float(said.split("largest difference ")[1]) < 1e-4


def test_the_measuring_script_runs(project: Path, tmp_path: Path) -> None:
    model = copy_code(project, tmp_path / "model")
    (model / "read.py").write_text(measuring_script(), encoding="utf-8")
    python = project / ".venv" / "model1" / "bin" / "python"
    said = run(python, "read.py", "--data-path", project / "data" / "model1", cwd=model).splitlines()
    assert [line.split(" files")[0] for line in said] == ["first: 1", "again: 1"]


def test_columns_of_any_name_and_kind(project: Path, tmp_path: Path) -> None:
    """A table from real life: ONNX takes no spaces in a name, and knows neither booleans nor dates."""
    header = ['größe in "cm"', "O'Brien", "a b", "a_b", "flag", "when", "empty", "klass"]
    rows = []
    for i in range(300):
        number, category = i * 7 % 50 / 3 if i % 9 else "", ["x", "ü", ""][i % 3]
        day, label = f"2024-01-{i % 28 + 1:02}", [1.0, 2.0, 10.0][i % 3]
        rows.append([number, category, i % 4, -(i % 5), i % 2 == 0, day, "", label])
    data = tmp_path / "table.csv"
    with data.open("w", newline="", encoding="utf-8") as table:
        csv.writer(table).writerows([header, *rows])
    copy_code(project, tmp_path)
    python = project / ".venv" / "model1" / "bin" / "python"
    said = run(python, "train.py", "--data-path", data, "--label", "klass", cwd=tmp_path)
    assert "Warning" not in said
    schema = json.loads((tmp_path / "outputs" / "model" / "schema.json").read_text(encoding="utf-8"))
    named = [name for name in header[:-1] if name != "empty"]  # there is nothing to learn from it, which is told
    assert [column["name"] for column in schema["columns"]] == named and "'empty'" in said
    assert schema["classes"] == ["1", "10", "2"]
    assert (tmp_path / "outputs" / "model" / "model.onnx").exists(), said
    compare_answers(python, tmp_path, data, "klass")


def test_in_a_job_it_logs_to_the_jobs_run(project: Path, tmp_path: Path) -> None:
    """Azure ML sets these variables and starts the run; train.py joins it and opens no other."""
    python = project / ".venv" / "model1" / "bin" / "python"
    store = f"file:{tmp_path / 'service'}"
    start = "import mlflow; mlflow.set_experiment('the job'); print('RUN', mlflow.start_run().info.run_id)"
    run_id = run(python, "-c", start, cwd=tmp_path, MLFLOW_TRACKING_URI=store).split("RUN ")[1].strip()
    train = project / "models" / "model1" / "train.py"
    run(
        python,
        train,
        "--data-path",
        project / "data" / "model1",
        cwd=tmp_path,
        MLFLOW_TRACKING_URI=store,
        MLFLOW_RUN_ID=run_id,
    )
    runs = [path.parent for path in (tmp_path / "service").glob("*/*/meta.yaml")]
    assert [path.name for path in runs] == [run_id]
    assert (runs[0] / "metrics" / "roc_auc").exists()
    assert not (tmp_path / "mlruns").exists()


def test_wrong_commands_are_one_line(fresh: Path, tmp_path: Path) -> None:
    for verb in ("setup", "train"):
        said = run("make", verb, "MODEL=nosuch", cwd=fresh, expect=2)
        assert "ERROR: --model: no such model: nosuch; models here: model1" in said


@pytest.fixture
def unset(bake: Bake, environments: Environments, tmp_path: Path) -> Path:
    """A project with its tools, for which nothing is installed yet."""
    project = copy_of(bake(python_version=PYTHON), tmp_path)
    environments.link_tools(project, PYTHON)
    return project


@pytest.mark.parametrize(
    ("was", "becomes", "said"),
    [
        (f"python={PYTHON}", f"python={PYTHONS[-1]}.99", "must name the same python="),
        ("pandas==2.3.3", "pandas==2.3.3\n      - no-such-package-at-all==1", "the step above failed"),
        ("  - pip:\n", "  - pip: [", "train-conda.yml: "),
    ],
)
def test_a_broken_conda_file_is_one_line(unset: Path, was: str, becomes: str, said: str) -> None:
    config = unset / "models" / "model1" / "aml_config" / "train-conda.yml"
    config.write_text(config.read_text().replace(was, becomes))
    output = run("make", "setup", "MODEL=model1", cwd=unset, expect=2)
    (line,) = (line for line in output.splitlines() if line.startswith("ERROR: "))
    assert said in line
    assert "Traceback" not in output


def test_a_python_that_is_nowhere_is_one_line(unset: Path) -> None:
    for file in (unset / "models" / "model1" / "aml_config").glob("*-conda.yml"):
        file.write_text(file.read_text().replace(f"python={PYTHON}", "python=3.99"))
    said = run("make", "setup", "MODEL=model1", cwd=unset, expect=2, UV_OFFLINE="1")
    assert "ERROR: Python 3.99 is not here and can't be fetched" in said
    assert "Traceback" not in said
