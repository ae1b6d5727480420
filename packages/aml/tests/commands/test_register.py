"""aml register, as far as it goes without a workspace."""

import json
from pathlib import Path

import pytest

from tests.aml import aml, call

RUN = {"_experiment_name": "exp", "run_id": "exp_1", "status": "Completed"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "not there; a run that completes writes it: make submit"),
        ("", "empty, as an interrupted client leaves it"),
        ("{", "not JSON"),
        ("[]", "no _experiment_name in it"),
        ('{"_experiment_name": "e"}', "no run_id in it"),
        ('{"_experiment_name": 3, "run_id": "r"}', "no _experiment_name in it"),
        (b"\xff\xfe", "not a text file"),
    ],
)
def test_a_run_file_that_names_no_run_is_refused(project: Path, content: str | bytes | None, said: str) -> None:
    file = project / "models" / "model1" / "run.json"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    code, _, err = aml(project, "register")
    assert code == 1
    assert err.startswith(f"ERROR: {Path('models/model1/run.json')}: ")
    assert said in err
    assert err.count("\n") == 1


def test_a_dry_run_says_what_would_be_registered(project: Path, without_client: dict[str, str]) -> None:
    (project / "models" / "model1" / "run.json").write_text(json.dumps(RUN))
    args = [
        "-n",
        "mine",
        "--tag",
        "stage=a=b",
        "--require",
        "auc>0.5",
        "--max",
        "a=b=3",
        "--min",
        "f1=0.5",
        "--better-than-current",
        "loss:min",
    ]
    code, out, _ = call(project, "register", "--dry-run", *args, **without_client)
    assert code == 0
    assert "Would register outputs/model of run exp_1 (exp) as mine" in out
    assert "stage=a=b" in out
    assert "f1>=0.5, a=b<=3, auc>0.5, loss:min better than the newest version's" in out
