"""What /swagger.json says is what is answered and refused: schemathesis asks with data that fit and that don't."""

import random
import re
from pathlib import Path

import pytest

from tests.environments import Environments
from tests.support import BIN, PYTHON, rendered, run, served

PHASES = "--phases=examples,coverage,fuzzing"  # each request by itself: none leads to another


def train(project: Path, folder: Path, *args: str) -> Path:
    """Train on a small table; return what azmlinfsrv serves."""
    draw = random.Random(0)
    sizes = [draw.gauss(50, 20) for _ in range(200)]
    rows = [
        f"{size:.1f},{draw.choice(['Bern', 'Basel'])},{'yes' if size > 50 else 'no'},{3 * size:.1f}" for size in sizes
    ]
    (folder / "data.csv").write_text("\n".join(["size,city,sold,price", *rows]) + "\n")
    model = project / "models" / "model1"
    command: list[str | Path] = [
        project / ".venv/model1/bin/python",
        model / "train.py",
        "--data-path",
        folder / "data.csv",
        *args,
    ]
    run(*command, cwd=folder)
    return folder / "outputs"


@pytest.mark.parametrize(
    ("args", "cases"),
    [
        (["--label=sold", "--drop=price"], 220),
        pytest.param(["--label=sold", "--drop=price"], 1000, marks=pytest.mark.full),
        pytest.param(["--label=price", "--task=regression"], 300, marks=pytest.mark.full),
    ],
)
def test_what_is_described_is_what_is_answered(
    tmp_path: Path, environments: Environments, args: list[str], cases: int
) -> None:
    project = rendered(tmp_path, python_version=PYTHON)
    environments.link_model(project, "model1")
    outputs = train(project, tmp_path, *args)
    command: list[str | Path] = [
        project / ".venv/model1/bin/azmlinfsrv", "--entry_script=score.py", f"--model_dir={outputs}", "--port={port}",
    ]  # fmt: skip
    asked = 0
    with served(project / "models" / "model1", tmp_path / "log", command, OMP_NUM_THREADS="1") as url:
        for version in ("2", "3", "3.1"):
            asking = [f"{url}/swagger.json?version={version}", f"--url={url}", f"--max-examples={cases}", PHASES]
            said = run(BIN / "schemathesis", "run", *asking, "--seed=1", "--no-shrink", cwd=tmp_path)
            asked += int(re.findall(r"(\d+) generated", said)[0])
    print(f"{asked} requests of schemathesis, no mismatch")
    assert asked > 3 * cases
    assert '"status": 500' not in (tmp_path / "log").read_text()
