"""What an update has left of a template that copied its engine into scripts/."""

from pathlib import Path

from aml_project.checks import older_template


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def test_what_is_left_is_named_with_what_to_do(tmp_path: Path) -> None:
    write(tmp_path / "scripts/azure_ml/compute.py", "edited = True\n")
    write(tmp_path / "scripts/own_python.py", "edited = True\n")
    write(tmp_path / "scripts/report.py", "import os\n\nfrom command_line import run\n")
    gone, needing = older_template.leftovers(tmp_path)
    assert gone == (
        "scripts/azure_ml/compute.py, scripts/own_python.py: of an older template, used by nothing now; "
        "keep elsewhere what is yours, and remove it"
    )
    assert needing == (
        "scripts/report.py: imports the older template's scripts; call `aml`, or import aml_project, in their place"
    )


def test_many_are_counted(tmp_path: Path) -> None:
    for name in older_template.ENGINE["upload"].split():
        write(tmp_path / f"scripts/upload/{name}.py", "")
    (line,) = older_template.leftovers(tmp_path)
    assert "scripts/upload/dataset_spec.py, scripts/upload/folder.py, scripts/upload/hashes.py and 6 more: " in line


def test_a_models_module_of_before_runtime_is_named_unless_it_is_used(tmp_path: Path) -> None:
    model = tmp_path / "models" / "model1"
    (model / "aml_config").mkdir(parents=True)
    write(model / "train.py", "import argparse\nimport figures\nfrom runtime.data import download\n")
    for name in ("figures", "run_data", "network"):
        write(model / f"{name}.py", "import tables\n")
    (line,) = older_template.leftovers(tmp_path)
    assert line.startswith("models/model1/run_data.py: of an older template")


def test_scripts_of_today_and_of_ones_own_are_not(tmp_path: Path) -> None:
    assert older_template.leftovers(tmp_path) == []
    write(tmp_path / "scripts/submit_run.py", "from aml_project import Project\n")
    write(tmp_path / "scripts/ours/checks.py", "import checks_of_ours\n")
    write(tmp_path / "scripts/upload/photos.py", "import os\n")
    write(tmp_path / "scripts/photos.py", "from upload import photos\n")
    write(tmp_path / "scripts/latin.py", "")
    (tmp_path / "scripts/latin.py").write_bytes(b"# \xe9\nimport os\n")
    write(tmp_path / "models/model1/upload.py", "import upload\n")
    assert older_template.leftovers(tmp_path) == []
