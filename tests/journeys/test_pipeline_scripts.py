"""The scripts that `aml add pipeline` writes, run by hand in the model's environment, on rows and on images."""

import json
import re
from pathlib import Path

import pytest

from tests.aml import aml
from tests.environments import Environments
from tests.support import PYTHON, files_of, rendered, run

IMAGES = """
import sys
from pathlib import Path
import numpy as np
from PIL import Image
random = np.random.default_rng(0)
for name, brightness in (("dark", 40), ("light", 200)):
    folder = Path(sys.argv[1], name)
    folder.mkdir(parents=True)
    for number in range(10):
        pixels = random.normal(brightness, 20, (8, 8, 3)).clip(0, 255).astype("uint8")
        Image.fromarray(pixels).save(folder / f"{number}.png")
"""


class Scripts:
    """A model's scripts, each called with words that its argparse takes."""

    def __init__(self, project: Path) -> None:
        self.folder, self.python = project / "models" / "model1", project / ".venv" / "model1" / "bin" / "python"

    def __call__(self, script: str, words: str, expect: int = 0) -> str:
        return run(self.python, script, *words.split(), cwd=self.folder, expect=expect)

    def judge(self, out: Path, label: str, *train: str) -> str:
        self("train.py", " ".join([f"--data-path {out}/train", *train]))
        said = self("evaluate.py", f"--data-path {out}/test --output-path {out}/judged {label}")
        metrics = json.loads((out / "judged" / "metrics.json").read_text())
        assert f"accuracy {metrics['accuracy']:.3f}" in said
        assert {"accuracy", "f1_macro", "roc_auc"} <= metrics.keys()
        assert (out / "judged" / "roc_curve.png").exists()
        return said


def made(folder: Path, framework: str, environments: Environments, **answers: str) -> Scripts:
    project = rendered(folder, framework=framework, python_version=PYTHON, **answers)
    environments.set_up(project)
    assert aml(project, "add", "pipeline").code == 0
    return Scripts(project)


@pytest.mark.parametrize("framework", ["sklearn", pytest.param("pytorch", marks=pytest.mark.full)])
def test_rows_are_held_out_and_judge_the_model(tmp_path: Path, environments: Environments, framework: str) -> None:
    scripts, out = made(tmp_path, framework, environments), tmp_path / "out"
    table = tmp_path / "data"
    table.mkdir()
    head, *lines = (scripts.folder.parents[1] / "data" / "model1" / "customers.csv").read_text().splitlines()
    short, contract = lines[0].rpartition(",")[0], lines[:400]
    (table / "rows.csv").write_text("\n".join([head, *contract, contract[0], f"{short},"]) + "\n")  # twice; no label
    words = f"--data-path {table} --label churned --train-path {out}/train --test-path {out}/test"
    scripts("prepare.py", words)
    train, test = ((out / part / "rows.csv").read_text().splitlines() for part in ("train", "test"))
    assert train[0] == test[0] == head
    assert (len(train), len(test)) == (321, 81)
    assert not set(train[1:]) & set(test[1:])
    before = files_of(out)
    scripts("prepare.py", words)
    assert files_of(out) == before
    scripts("prepare.py", f"{words} --seed 1")
    assert files_of(out) != before
    assert "80 " in scripts.judge(out, "--label churned", "--label churned")
    wrong = scripts("prepare.py", words.replace("churned", "bought"), expect=1)
    assert re.fullmatch(r"--label bought: no such column; the data has tenure_months, .*churned\n", wrong)


@pytest.mark.full
@pytest.mark.parametrize("framework", ["sklearn", "pytorch"])
def test_numbers_are_held_out_of_all_rows_and_judge_the_model(
    tmp_path: Path, environments: Environments, framework: str
) -> None:
    scripts, out = made(tmp_path, framework, environments, task="regression"), tmp_path / "out"
    scripts("prepare.py", f"--label monthly_fee --train-path {out}/train --test-path {out}/test")
    train, test = ((out / part / "rows.csv").read_text().splitlines() for part in ("train", "test"))
    assert (len(train), len(test)) == (1601, 401)
    scripts("train.py", f"--data-path {out}/train")
    said = scripts("evaluate.py", f"--data-path {out}/test --output-path {out}/judged --label monthly_fee")
    metrics = json.loads((out / "judged" / "metrics.json").read_text())
    assert f"Judged by 400 {'rows' if framework == 'sklearn' else 'samples'}: rmse {metrics['rmse']:.4g}, R² " in said
    assert metrics["r2"] > 0.7
    assert (out / "judged" / "residuals.png").exists()


def test_images_are_held_out_of_each_class_and_judge_the_model(tmp_path: Path, environments: Environments) -> None:
    scripts, out = made(tmp_path, "pytorch", environments), tmp_path / "out"
    data = tmp_path / "images"
    run(scripts.python, "-c", IMAGES, data, cwd=tmp_path)
    words = f"--data-path {data} --train-path {out}/train --test-path {out}/test"
    assert "16 samples to train on, 4 to judge by" in scripts("prepare.py", words)
    train, test = files_of(out / "train"), files_of(out / "test")
    assert {name.partition("/")[0] for name in test} == {"dark", "light"}
    assert train | test == files_of(data)
    assert "Judged by 4 samples: accuracy 1.000" in scripts.judge(out, "", "--image-size 8 --epochs 3")
