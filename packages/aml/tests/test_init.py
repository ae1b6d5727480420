"""aml init: repos that have training code already, as people have them; and one of them taken all the way."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from aml_project import model_environment, owned, template
from aml_project import project as projects
from aml_project.adoption import makefile
from aml_project.requirements import own_environment
from tests.aml import Done, aml, call
from tests.support import TEMPLATE, copy_of, files_of, run

pytestmark = pytest.mark.slow  # each renders and updates whole repos

HERE = {"AML_TEMPLATE": str(TEMPLATE)}
TRAIN = '''"""Counts rows."""

import argparse
from pathlib import Path

from features import rows

parser = argparse.ArgumentParser()
parser.add_argument("--data-path", type=Path, required=True)
args = parser.parse_args()
Path("outputs").mkdir(exist_ok=True)
Path("outputs", "rows.txt").write_text(str(rows(args.data_path)))
print("rows:", rows(args.data_path))
'''
FEATURES = "def rows(folder):\n    return sum(len(file.read_text().split()) - 1 for file in folder.glob('*.csv'))\n"
PLAIN = {"train.py": TRAIN, "features.py": FEATURES, "data/x.csv": "a\n1\n2\n", "README.md": "Ours.\n"}
CONFIG = {
    f"aml_config/{name}"
    for name in ("train-conda.yml", "inference-conda.yml", "inference-config.yml", "train-local.runconfig",
                 "train-amlcompute.runconfig")
}  # fmt: skip
ROOT = {
    ".cookiecutter.json", ".gitignore", "Makefile", "local.mk", "pyproject.toml", "requirements-dev.txt",
    "requirements-tools.txt",
}  # fmt: skip
SEED = {
    "models/model1/train.py": TRAIN.replace("from features import rows", "rows = len"),
    "models/model1/score.py": "def init(): ...\ndef run(data): return data\n",
    "models/model1/tests/test_score.py": "def test_it(): ...\n",
    "models/model1/aml_config/train-local.runconfig": """\
script: train.py
arguments: [--data-path, /data]
target: local
framework: Python
communicator: None
nodeCount: 1
environment:
  python:
    userManagedDependencies: false
    interpreterPath: python
    condaDependenciesFile: aml_config/train-conda.yml
  docker:
    enabled: true
    baseImage: mcr.microsoft.com/azureml/base:intelmpi2018.3-ubuntu16.04
    arguments: [-v, 'C:\\some\\local\\path\\to\\sample-data:/data']
""",
    "models/model1/aml_config/train-amlcompute.runconfig": """\
script: train.py
arguments: [--data-path, /data]
target: big-cluster
framework: Python
communicator: None
nodeCount: 1
environment:
  python:
    userManagedDependencies: false
    interpreterPath: python
    condaDependenciesFile: aml_config/train-conda.yml
  docker: {enabled: true, baseImage: 'mcr.microsoft.com/azureml/base:intelmpi2018.3-ubuntu16.04', arguments: []}
mpi: {processCountPerNode: 1}
data:
  mydataset:
    dataLocation:
      dataset: {id: <PUT DATASET ID HERE>}
    mechanism: mount
    pathOnCompute: /data
    environmentVariableName: mydataset
    createOutputDirectories: false
    overwrite: false
""",
    "models/model1/aml_config/train-conda.yml": """\
name: train
channels: [conda-forge]
dependencies:
  - python=3.10
  - pip:
      - azureml-defaults
      - scikit-learn==1.4.2
""",
}


@pytest.fixture(autouse=True)
def one_render_for_the_same_answers(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A render takes seconds; and what the computer's Python has installed is none of these tests' business."""
    monkeypatch.setattr(template, "render", cached(template.render, tmp_path_factory))
    monkeypatch.setattr(own_environment, "find", lambda: "")


made: dict[str, Path] = {}


def cached(render: Callable[..., Path], factory: pytest.TempPathFactory) -> Callable[..., Path]:
    def from_cache(folder: Path, answers: dict[str, str], place: Path, **options: bool) -> Path:
        if Path(folder) != TEMPLATE:
            return render(folder, answers, place, **options)
        known = str(sorted(answers.items()))
        if known not in made:
            made[known] = render(folder, answers, factory.mktemp("render"), **options)
        return made[known]

    return from_cache


@pytest.fixture
def repo(tmp_path: Path) -> Callable[..., Path]:
    """A repo of git with some files."""

    def make(files: dict[str, str], *, git: bool = True) -> Path:
        folder = tmp_path / "old-churn"
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        if git:
            run("git", "init", "--quiet", cwd=folder)
            run("git", "add", "--all", cwd=folder)
            run("git", "commit", "--quiet", "--message=ours", cwd=folder)
        return folder

    return make


def own(project: Path) -> dict[str, bytes]:
    return {name: content for name, content in files_of(project).items() if not name.startswith(".git/")}


def init(project: Path, *args: str) -> Done:
    return aml(project, "init", *args, **HERE)


def of_model(files: dict[str, bytes], model: str) -> set[str]:
    begin = f"models/{model}/"
    return {name.removeprefix(begin) for name in files if name.startswith(begin)}


def test_a_script_elsewhere_is_neither_moved_nor_copied_unasked(repo: Callable[..., Path]) -> None:
    project = repo(PLAIN)
    before = own(project)
    done = init(project)
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        "ERROR: train.py: lies outside of models/, and a run gets the folder models/old_churn/ alone:"
        " --move takes it and features.py there, --copy leaves the originals\n"
    )
    assert own(project) == before


def test_copied_all_that_was_there_stays(repo: Callable[..., Path]) -> None:
    project = repo(PLAIN)
    before = own(project)
    done = init(project, "--copy")
    assert done.code == 0, done.err
    assert done.out.splitlines()[:3] == [
        "Added:",
        "  + models/old_churn/train.py                               train.py, copied",
        "  + models/old_churn/features.py                            features.py, copied",
    ]
    assert done.out.endswith(
        "By hand:\n  score.py of old_churn: an outline; it is to load what your script saves below outputs/\n"
        "Next: make setup train check\n"
    )
    after = own(project)
    assert {name: after[name] for name in before} == before
    assert {name for name in after.keys() - before.keys() if not name.startswith("models/")} == ROOT
    files = of_model(after, "old_churn")
    assert files >= CONFIG | {"train.py", "features.py", "score.py", "runtime/serving.py", "Dockerfile", ".amlignore"}
    assert files.isdisjoint({"evaluation.py", "tests/conftest.py", "tests/test_train.py"})
    conda = after["models/old_churn/aml_config/train-conda.yml"].decode()
    assert "pandas" in after["models/old_churn/aml_config/inference-conda.yml"].decode()
    assert "matplotlib" not in conda and "scikit-learn" not in conda and "evaluation.py" not in conda
    assert projects.answers(project)["model_name"] == "old_churn"
    assert owned.read(project) == ["README.md", "models/old_churn/train.py", "pyproject.toml"]


def test_moved_only_its_place_is_another(repo: Callable[..., Path]) -> None:
    project = repo(PLAIN | {"predict.py": "import features\n", "scripts/export.py": "print()\n"})
    before = own(project)
    done = init(project, "--move")
    assert done.code == 0, done.err
    assert "  predict.py: imports what was moved\n" in done.out
    after = own(project)
    moved = {"train.py", "features.py"}
    assert {name: text for name, text in after.items() if name in before} == {
        name: text for name, text in before.items() if name not in moved
    }
    assert {after[f"models/old_churn/{name}"] for name in moved} == {before[name] for name in moved}


def test_a_dry_run_lists_what_is_added_then(repo: Callable[..., Path]) -> None:
    project = repo(PLAIN | {".gitignore": ".venv\n*.tmp"})
    before = own(project)
    shown = init(project, "--copy", "--dry-run").out
    assert own(project) == before
    assert "  + in .gitignore, what is made here and never shared:\n      .azureml/\n" in shown
    assert "      .venv" not in shown
    done = init(project, "--copy").out
    assert done.startswith(shown.replace("Would add:", "Added:"))
    after = own(project)
    assert after[".gitignore"].startswith(b".venv\n*.tmp\n.azureml/\n")
    listed = {line.split()[1] for line in shown.splitlines() if line.startswith("  + ") and " in " not in line[:7]}
    for name in after.keys() - before.keys():
        assert name in listed or any(name.startswith(one) for one in listed if one.endswith("/")), name


def test_of_several_scripts_one_is_to_be_named(repo: Callable[..., Path]) -> None:
    project = repo({"churn/train.py": TRAIN, "churn/features.py": FEATURES, "sales/train.py": "print(1)\n"})
    before = own(project)
    done = init(project, "--copy")
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        "ERROR: churn/train.py, sales/train.py: say which trains a model:"
        " aml init --model churn=churn/train.py, once for each\n"
    )
    assert own(project) == before
    done = init(project, "--move", "--model", "churn=churn/train.py", "--model", "sales=sales/train.py")
    assert done.code == 0, done.err
    assert projects.models(project) == ["churn", "sales"]
    assert (project / "models" / "churn" / "features.py").is_file()
    assert projects.answers(project)["model_name"] == "sales"
    test = (project / "models" / "sales" / "tests" / "test_script.py").read_text()
    assert "--help" not in test  # a script that reads no arguments would train
    assert done.out.count("train.py of sales: takes no --data-path") == 1
    assert "train.py of churn" not in done.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--model", "x=gone.py"], "--model: gone.py: not there"),
        (["--model", "x=README.md"], "--model: README.md: no Python file of this repo"),
        (["--model", "X=train.py"], "--model: the model's name: 1 to 30 characters"),
        (["--model", "json=train.py"], "--model: the model's name: no keyword and no module of Python's own"),
        (["--move", "--copy"], "argument --copy: not allowed with argument --move"),
    ],
)
def test_wrong_use_is_one_line(repo: Callable[..., Path], words: list[str], said: str) -> None:
    project = repo(PLAIN)
    done = init(project, *words)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"ERROR: {said}"), done.err
    assert done.err.count("\n") == 1


def test_without_any_script_it_says_how_to_name_one(repo: Callable[..., Path]) -> None:
    project = repo({"fit.py": "print(1)\n"})
    assert init(project).err == "ERROR: no train.py here: name the script that trains: aml init --model NAME=PATH\n"
    assert init(project, "--model", "churn=fit.py", "--copy").code == 0
    assert (project / "models" / "churn" / "train.py").read_text() == "print(1)\n"


def test_a_package_keeps_its_place_below_the_model(repo: Callable[..., Path]) -> None:
    """train.py of src/ imports by the path from src/, from the root, and relatively."""
    project = repo(
        {
            "src/train.py": "import argparse\nfrom lib.net import f\nfrom src import tools\n",
            "src/lib/__init__.py": "",
            "src/lib/net.py": "from .deep import f\n",
            "src/lib/deep.py": "f = 1\n",
            "src/tools.py": "",
            "src/unused.py": "",
        }
    )
    assert init(project, "--move").code == 0
    files = of_model(own(project), "old_churn")
    assert files >= {"train.py", "lib/__init__.py", "lib/net.py", "lib/deep.py"}
    assert "tools.py" not in files and "src/tools.py" in files
    assert (project / "src" / "unused.py").is_file()


def test_a_score_py_beside_the_script_goes_with_it(repo: Callable[..., Path]) -> None:
    score = "import loading\n\ndef init(): ...\ndef run(data): ...\n"
    project = repo(PLAIN | {"score.py": score, "loading.py": "import joblib\n"})
    said = init(project).err
    assert "--move takes it and the 3 files that go with it there, --copy" in said
    done = init(project, "--move")
    assert "score.py" not in done.out.partition("By hand:")[2]
    files = own(project)
    assert files["models/old_churn/score.py"] == score.encode()
    assert of_model(files, "old_churn").isdisjoint({"score_batch.py", "runtime/serving.py", "sample-request.json"})
    assert {"features.py", "loading.py"} <= of_model(files, "old_churn")
    inference = files["models/old_churn/aml_config/inference-conda.yml"].decode()
    assert "- joblib\n" in inference
    assert "score_batch" not in inference


def test_what_a_script_in_its_place_imports_from_elsewhere_is_told_and_no_package(repo: Callable[..., Path]) -> None:
    project = repo({"models/churn/train.py": TRAIN.replace("features", "common.io"), "common/io.py": FEATURES})
    shown = init(project, "--dry-run", "--copy").out
    assert "  + models/churn/common/io.py " in shown
    done = init(project)
    assert "  train.py of churn: imports common/io.py, which no run gets: put it beside train.py\n" in done.out
    assert "common" not in (project / "models" / "churn" / "aml_config" / "train-conda.yml").read_text()


def test_a_script_in_its_place_needs_no_word(repo: Callable[..., Path]) -> None:
    project = repo({"models/churn/train.py": TRAIN, "models/churn/features.py": FEATURES, "tools/train_all.py": "1\n"})
    before = own(project)
    assert init(project).code == 0
    after = own(project)
    assert {name: after[name] for name in before} == before
    assert of_model(after, "churn") >= CONFIG
    assert (after["models/churn/tests/test_script.py"]).endswith(b'assert "--help" in done.stdout\n')


def test_the_files_of_the_acceleration_template_are_kept_and_checked(repo: Callable[..., Path]) -> None:
    project = repo(SEED)
    before = own(project)
    done = init(project)
    assert done.code == 0, done.err
    after = own(project)
    assert {name: after[name] for name in before} == before
    added = of_model({name: text for name, text in after.items() if name not in before}, "model1")
    assert added >= {
        "aml_config/inference-conda.yml",
        "Dockerfile",
        ".amlignore",
        "deployment/deployment-config-aci.yml",
    }
    assert not any(name.startswith(("runtime", "score", "sample-request")) for name in added)
    assert b"COPY --chown=1000:1000 runtime" not in after["models/model1/Dockerfile.inference"]
    inference = after["models/model1/aml_config/inference-conda.yml"].decode()
    assert "python=3.10" in inference and "scikit-learn==1.4.2" in inference
    assert projects.answers(project)["compute_name"] == "big-cluster"
    checked = aml(project, "check")
    assert checked.code == 1
    assert "models/model1/aml_config/train-amlcompute.runconfig: " in checked.out
    assert all(name.split(":")[0] in before for name in checked.out.splitlines()), checked.out
    assert init(project) == (0, "Nothing to add: old-churn is a project already; models here: model1\n", "")


def test_a_project_lacks_nothing(bake: Callable[..., Path], tmp_path: Path) -> None:
    project = copy_of(bake(), tmp_path)
    (project / "train.py").write_text("print('a script that lies around')\n")
    before = own(project)
    said = "Nothing to add: my-aml-project is a project already; models here: model1\n"
    assert init(project) == (0, said, "")
    assert init(project / "models" / "model1") == (0, said, "")
    assert own(project) == before


def test_a_project_takes_a_script_as_another_model(bake: Callable[..., Path], tmp_path: Path) -> None:
    project = copy_of(bake(compute_name="ours"), tmp_path)
    (project / "train.py").write_text("print('another')\n")
    before = own(project)
    assert init(project, "--model", "churn=train.py", "--copy").code == 0
    after = own(project)
    assert {name for name in before if after[name] != before[name]} == {"pyproject.toml"}
    assert {name.split("/")[1] for name in after.keys() - before.keys()} == {"churn"}
    assert owned.read(project) == ["models/churn/train.py"]
    assert "target: ours" in (project / "models/churn/aml_config/train-amlcompute.runconfig").read_text().replace(
        '"', ""
    )


def test_outside_of_git_it_works_as_well(repo: Callable[..., Path]) -> None:
    project = repo(PLAIN, git=False)
    assert init(project, "--move").code == 0
    assert projects.models(project) == ["old_churn"]


def test_what_can_not_be_written_is_said_before_anything_is(
    repo: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = repo(PLAIN)
    before = own(project)
    writable = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: writable(path, mode) and mode != os.W_OK)
    done = init(project, "--copy")
    assert done == (1, "", f"ERROR: {project}: can't be written to; nothing was written\n")
    monkeypatch.undo()
    assert own(project) == before


def test_a_file_in_the_place_of_a_folder_is_said_as_well(repo: Callable[..., Path]) -> None:
    project = repo(PLAIN | {"models": "a list\n"})
    before = own(project)
    assert init(project, "--copy") == (1, "", "ERROR: models: is no folder; nothing was written\n")
    assert own(project) == before


class Killed(BaseException):
    """What no code expects."""


@pytest.fixture
def torn(
    repo: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, Callable[[str], bool]], bool]:
    """Kill a call at a point, call again, compare with a call that nobody has killed; tell if the point was reached."""
    project = repo(PLAIN | {"features.py": f"import more\n{FEATURES}", "more.py": ""})
    whole: dict[str, dict[str, bytes]] = {}

    def compare(carry: str, is_it: Callable[[str], bool]) -> bool:
        if carry not in whole:
            unharmed = copy_of(project, tmp_path / carry / "whole")
            assert init(unharmed, carry).code == 0
            whole[carry] = own(unharmed)
        killed = copy_of(project, tmp_path / carry / "torn")

        def dies(point: str) -> None:
            if is_it(point):
                raise Killed

        with monkeypatch.context() as patch:
            for module in ("aml_project.files", "aml_project.adoption.additions"):
                patch.setattr(f"{module}.reached", dies)
            try:
                init(killed, carry)
                return False
            except Killed:
                pass
        done = init(killed, carry)
        assert done.code == 0, done.err
        assert own(killed) == whole[carry]
        shutil.rmtree(killed.parent)
        return True

    return compare


@pytest.mark.parametrize(
    ("carry", "point"),
    [
        *(("--move", "after more.py"), ("--move", "after train.py"), ("--move", "before score.py")),
        *(
            ("--move", "before pyproject.toml"),
            ("--move", "before aml_config"),
            ("--move", "before .cookiecutter.json"),
        ),
        *(("--copy", "after features.py"), ("--copy", "before Makefile"), ("--copy", "before .answers.json")),
    ],
)
def test_killed_the_same_command_ends_as_if_it_had_not_been(torn: Callable[..., bool], carry: str, point: str) -> None:
    assert torn(carry, lambda reached: reached == point)


@pytest.mark.full
def test_killed_at_any_point_it_does_so(torn: Callable[..., bool]) -> None:
    points = 0
    while True:
        left = iter(range(points))
        if not torn("--move", lambda _, left=left: next(left, None) is None):
            break
        points += 1
    assert points > 20


def test_a_makefile_is_kept_and_includes_the_verbs_that_it_has_not(repo: Callable[..., Path]) -> None:
    theirs = "all: train\n\ntrain:\n\t@echo ours $(PYTHON)\n\nhelp tools:\n\t@echo theirs\n"
    project = repo(PLAIN | {"Makefile": theirs})
    done = init(project, "--copy")
    assert (project / "Makefile").read_text() == f"{theirs}include aml.mk\n"
    assert "  + in Makefile, a verb of aml a line:\n      include aml.mk\n" in done.out
    assert "  make train: stays yours; the verb is called as .venv/.tools/bin/aml VERB\n" in done.out
    assert "Next: python3 -m venv .venv/.tools && " in done.out

    def say(*words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(["make", "--dry-run", *words], cwd=project, capture_output=True, text=True, check=False)

    assert say().stdout == "echo ours \n" or "echo ours" in say().stdout  # the first target is theirs
    assert ".venv/.tools/bin/aml check ${MODEL:+" in say("check", "MODEL=old_churn").stdout
    assert say("check").stderr == ""
    assert say("help").stdout == "echo theirs\n"
    assert "Makefile" in owned.read(project)


def test_a_makefile_with_other_meanings_of_our_variables_is_left_alone(repo: Callable[..., Path]) -> None:
    project = repo(PLAIN | {"Makefile": "MODEL = resnet\nall:\n\techo $(MODEL)\n"})
    done = init(project, "--copy")
    assert (project / "Makefile").read_text() == "MODEL = resnet\nall:\n\techo $(MODEL)\n"
    assert not (project / makefile.FILE).exists()
    assert "  MODEL: yours already, so make gets no verbs: .venv/.tools/bin/aml takes them all\n" in done.out
    assert ".venv/.tools/bin/aml setup && .venv/.tools/bin/aml train && " in done.out


def test_lists_of_one_s_own_get_what_they_lack(repo: Callable[..., Path]) -> None:
    project = repo(
        PLAIN | {"requirements-dev.txt": "Ruff>=0.4  # ours\nipython", "pyproject.toml": '[project]\nname = "x"\n'}
    )
    assert init(project, "--copy").code == 0
    lines = (project / "requirements-dev.txt").read_text().splitlines()
    assert lines[:2] == ["Ruff>=0.4  # ours", "ipython"]
    assert len(lines) == 3 and lines[2].startswith("pytest==")
    text = (project / "pyproject.toml").read_text()
    assert text.startswith('[project]\nname = "x"\n\n[tool.cruft]\n')


def test_a_runtime_of_one_s_own_stays_alone(repo: Callable[..., Path]) -> None:
    project = repo({"models/churn/train.py": "import runtime\n", "models/churn/runtime.py": "x = 1\n"})
    done = init(project)
    assert "score.py of churn: to be written; the outline would need the name runtime/, which is yours" in done.out
    assert of_model(own(project), "churn").isdisjoint({"score.py", "runtime/serving.py", "score_batch.py"})


def test_what_a_run_would_miss_is_told(repo: Callable[..., Path]) -> None:
    script = "import sys\nimport pandas as pd\n\npd.read_csv('data/x.csv').to_csv(sys.argv[1])\n"
    project = repo({"models/churn/train.py": script, "data/x.csv": "a\n", ".gitignore": "models/\n"}, git=False)
    run("git", "init", "--quiet", cwd=project)
    done = init(project)
    _, _, by_hand = done.out.partition("By hand:\n")
    ignored, script, score, _ = by_hand.splitlines()
    assert ignored == "  models/churn/.amlignore: git ignores it, by a line of yours: nobody else would get this model"
    assert script == (
        "  train.py of churn: takes no --data-path: write its own arguments into the runconfigs;"
        " writes nothing to outputs/, and a run keeps that folder alone;"
        " reads data/x.csv, which no run gets: let it take --data-path"
    )
    assert score == "  score.py of churn: an outline; it is to load what your script saves below outputs/"


def test_a_script_that_is_no_python_gets_all_but_its_packages(repo: Callable[..., Path]) -> None:
    project = repo({"models/churn/train.py": "import torch\nprint 'of the year 2009'\n"})
    done = init(project)
    assert done.code == 0
    said = "  models/churn/train.py: line 2: no Python: "
    assert said in done.out
    assert "; mended, its packages are found by: aml requirements --model churn\n" in done.out
    assert of_model(own(project), "churn") >= CONFIG


def test_a_script_gets_data_path_where_it_knows_it(repo: Callable[..., Path]) -> None:
    project = repo(PLAIN | {"models/plain/train.py": "import sys\nprint(sys.argv[1:])\n"})
    for name in ("plain", "old_churn"):
        (project / ".venv" / name / "bin").mkdir(parents=True)
        (project / ".venv" / name / "bin" / "pytest").touch()
    shutil.copytree(project, project / "models" / "old_churn", ignore=shutil.ignore_patterns("models", ".git", ".venv"))
    assert model_environment.training(project, "plain", ["../../data/x.csv"])[1:] == ["train.py", "../../data/x.csv"]
    assert model_environment.training(project, "old_churn", [])[1:] == ["train.py", "--data-path", "../../data"]


def test_an_update_brings_what_was_added_and_leaves_what_is_the_owner_s(
    repo: Callable[..., Path], tmp_path: Path
) -> None:
    clone = tmp_path / "template"
    run("git", "clone", "--quiet", TEMPLATE, clone, cwd=tmp_path)
    project = repo(
        PLAIN | {"Makefile": "all:\n", "models/churn/train.py": TRAIN, "models/churn/Dockerfile": "FROM ours\n"}
    )
    assert aml(project, "init", AML_TEMPLATE=str(clone)).code == 0
    run("git", "add", "--all", cwd=project)
    run("git", "commit", "--quiet", "--message=init", cwd=project)
    before = own(project)
    rendered = clone / "{{cookiecutter.project_slug}}"
    model = rendered / "models" / "{{cookiecutter.model_name}}"
    changed = [model / name for name in ("Dockerfile", "evaluation.py", ".amlignore", "runtime/tracking.py")]
    changed += [rendered / name for name in ("README.md", "Makefile", "pyproject.toml", ".gitignore")]
    for file in [*changed, clone / "templates" / "frameworks" / "none" / "train.py"]:
        file.write_text(f"{file.read_text()}# of later\n")
    run("git", "commit", "--quiet", "--all", "--message=later", cwd=clone)
    done = aml(project, "update", AML_TEMPLATE=str(clone))
    assert done.code == 0, done
    after = own(project)
    assert {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)} == {
        *(f"models/churn/{name}" for name in (".amlignore", ".answers.json", "runtime/tracking.py")),
        *("requirements-tools.txt", ".gitignore"),
    }


def test_from_a_script_to_a_run(repo: Callable[..., Path]) -> None:
    """The journey, in processes of their own."""
    project = repo(PLAIN)
    done = call(project, "init", "--move", **HERE)
    assert done.code == 0, done.err
    for verb in ("setup", "check", "test"):
        done = call(project, verb)
        assert done.code == 0, done
    trained = call(project, "train")
    assert trained.out.endswith("rows: 2\n"), trained
    assert (project / "models" / "old_churn" / "outputs" / "rows.txt").read_text() == "2"
