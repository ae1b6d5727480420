"""The project that a benchmark measures: rendered, installed and trained as its first user would."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

TEMPLATE = Path(__file__).resolve().parents[1]
WORKSPACE = (
    "subscription_id=12345678-1234-1234-1234-123456789abc",
    "resource_group=my-group",
    "workspace_name=my-workspace",
)

# What takes the place of the linear model in train.py. A forest is exact as ONNX without a scaler.
FOREST = "RandomForestClassifier(n_estimators={trees}, random_state=args.seed)"
TREES = 100  # as many as scikit-learn takes by default
BOOSTING = "HistGradientBoostingClassifier(random_state=args.seed)"


def render(folder: Path, *answers: str) -> Path:
    """Render the default project, for the Python that runs this; return its folder."""
    own = folder / "cookiecutter"  # not the owner's folders: those hold the answers of the last render
    own.mkdir(exist_ok=True)
    config = {"cookiecutters_dir": f"{own}/templates", "replay_dir": f"{own}/replay"}
    (own / "config.yml").write_text(json.dumps(config))
    python = f"python_version={sys.version_info.major}.{sys.version_info.minor}"
    out = folder / "rendered"
    known = set(out.iterdir()) if out.exists() else set()
    command: list[str | Path] = [Path(sys.executable).with_name("cookiecutter"), "--no-input"]
    command += ["--config-file", own / "config.yml", "-o", out, TEMPLATE, python, *answers]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    (made,) = set(out.iterdir()) - known
    return made


def make(project: Path, *targets: str) -> None:
    """Run targets of its Makefile, and show what they say."""
    for target in targets:
        command = ["make", "--no-print-directory", target]
        with subprocess.Popen(
            command, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            assert process.stdout
            for line in process.stdout:
                if not line.startswith(" + "):  # the hundred packages that it installed
                    say(f"  {line.rstrip()}")
        if process.returncode:
            sys.exit(f"ERROR: make {target} failed in {project}")


def trained(folder: Path) -> Path:
    """Render, install and train the default project; return its folder."""
    say("Rendering, installing and training the default project")
    project = render(folder)
    make(project, "setup", "train")
    return project


def model_of(project: Path) -> Path:
    """The folder of the model that it was rendered with."""
    answers = json.loads((project / ".cookiecutter.json").read_text(encoding="utf-8"))
    return project / "models" / str(answers["model_name"])


def bin_of(model: Path) -> Path:
    """Where the model's own Python and its tools lie."""
    return model.parents[1] / ".venv" / model.name / "bin"


def tools_of(project: Path) -> Path:
    """Where the project's commands lie."""
    return project / ".venv" / ".tools" / "bin"


def run(python: Path, model: Path, *command: str | Path, **variables: str) -> str:
    """Run a Python in the model's folder; what it prints."""
    environment = os.environ | variables
    done = subprocess.run([python, *command], cwd=model, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"ERROR: {' '.join(map(str, command))[:80]} ended with {done.returncode}: {done.stderr}")
    return done.stdout


def train_other(linear: Path, estimator: str, folder: Path) -> Path:
    """Train another model with the code of the project's, below a folder; return its own folder."""
    name = estimator.partition("(")[0]
    say(f"Training a {name}")
    model = folder / name
    shutil.copytree(linear, model, ignore=shutil.ignore_patterns("outputs", "mlruns", "__pycache__"))
    train = (model / "train.py").read_text(encoding="utf-8")
    imported = f"from sklearn.ensemble import {name}\n\n\ndef build_model("
    edited, count = re.subn(r"LogisticRegression\(\n.*?\n +\)\n", f"{estimator}\n", train, flags=re.DOTALL)
    assert count == 1, "train.py has another linear model than this benchmark knows"
    edited = edited.replace(", StandardScaler())", ")").replace("def build_model(", imported, 1)
    (model / "train.py").write_text(edited, encoding="utf-8")
    run(bin_of(linear) / "python", model, "train.py", "--data-path", linear.parents[1] / "data" / "model1")
    return model


def say(line: str) -> None:
    """Print at once: a pipe would keep a slow step's line until the next one."""
    print(line, flush=True)
