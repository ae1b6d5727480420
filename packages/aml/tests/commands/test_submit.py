"""aml submit, as far as it goes without a workspace: its dry run, and what the check keeps back."""

from pathlib import Path

from tests.aml import aml, call
from tests.support import MODEL, files_of, rendered_file


def test_a_dry_run_says_what_would_be_submitted(project: Path, without_client: dict[str, str]) -> None:
    from azureml._base_sdk_common.merkle_tree import DirTreeNode, create_merkletree
    from azureml._base_sdk_common.merkle_tree_differ import compute_diff
    from azureml._project.ignore_file import get_project_ignore_file

    model = project / "models" / "model1"
    (model / "outputs").mkdir()
    (model / "outputs" / "left out").write_text("x")
    (model / "notes.txt").write_text("é")
    before = files_of(project)
    code, out, _ = call(project, "submit", "--dry-run", "-e", "mine", "--", "--seed", "7", **without_client)
    assert code == 0
    assert files_of(project) == before
    rows = dict(line.split(maxsplit=1) for line in out.splitlines()[1:])
    assert rows["workspace"] == "my-workspace in my-group"
    assert rows["experiment"] == "mine"
    assert rows["target"] == "cpu-cluster"
    assert rows["script"] == "train.py --data-path /data --seed 7"
    assert rows["data"] == "model1-data:1 at /data"
    # As many files and bytes as the client itself would take.
    tree = create_merkletree(str(model), get_project_ignore_file(str(model)).is_file_excluded)
    taken = [model / entry.node_path for entry in compute_diff(DirTreeNode(), tree) if entry.is_file]
    assert rows["snapshot"] == f"{len(taken)} files, {sum(path.stat().st_size for path in taken)} bytes"


def test_a_dry_run_says_who_brings_the_data(project: Path) -> None:
    file = project / "models" / "model1" / "aml_config" / "train-amlcompute.runconfig"
    file.write_text(rendered_file(MODEL / "aml_config" / file.name, data_access="direct"), encoding="utf-8")
    _, out, _ = aml(project, "submit", "--dry-run")
    rows = dict(line.split(maxsplit=1) for line in out.splitlines()[1:])
    assert rows["script"] == "train.py --data-path /tmp/model1-data --dataset training"
    assert rows["data"] == "model1-data:1, brought by the script"


def test_a_dry_run_names_a_runconfig_that_cannot_be_read(project: Path) -> None:
    (project / "models" / "model1" / "aml_config" / "train-local.runconfig").write_text("script: [")
    code, out, err = aml(project, "submit", "--dry-run", "-c", "train-local")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith(f"ERROR: {Path('models/model1/aml_config/train-local.runconfig')}: line ")


def test_a_dry_run_counts_no_files_where_the_ignore_file_cannot_be_read(project: Path) -> None:
    """It would be none, and a run of nothing."""
    ignore = project / "models" / "model1" / ".amlignore"
    ignore.write_bytes(b"\xff\n")
    code, out, err = aml(project, "submit", "--dry-run")
    assert (code, out) == (1, "")
    assert err == "ERROR: models/model1/.amlignore: not UTF-8: save it as UTF-8\n"


def test_what_the_check_finds_is_not_submitted(project: Path) -> None:
    file = project / "models" / "model1" / "aml_config" / "train-local.runconfig"
    file.write_text(file.read_text().replace("nodeCount: 1", "nodecount: 1"))
    code, out, err = aml(project, "submit", "-c", "train-local", HTTPS_PROXY="http://127.0.0.1:9")
    assert (code, out) == (1, "")
    assert "nodecount" in err
    assert "nothing was submitted" in err
