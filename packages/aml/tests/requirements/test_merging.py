"""Whose version counts: the user's pins win, those of Azure ML's own packages stay."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aml_project.requirements import conda_editing, merging, requirements_file
from requirements.lists import PURPOSES, conda_file, pip_of, take, versions, write
from tests.aml import told
from tests.support import files_of


def test_the_users_pins_win_and_those_of_azure_ml_stay(project: Path) -> None:
    before = versions(project)
    lines = "Pandas==2.2.2\nscikit_learn==1.6.1\nazureml-core==1.40\nmlflow_skinny==3.1\nmlflow==3.1\nlightgbm\nnumpy\n"
    done = take(project, write(project, lines))
    assert done.code == 0
    after = versions(project)
    assert after == before | {"pandas": "==2.2.2", "scikit-learn": "==1.6.1", "lightgbm": ""}
    assert versions(project, "inference")["lightgbm"] == ""
    assert versions(project, "inference")["pandas"] == "==2.2.2"
    stays = "{} stays: the releases of Azure ML's packages go together"
    told(
        done,
        "NOTE: left out, mlflow-skinny stands for it, …: mlflow==3.1 (requirements.txt:5)",
        f"NOTE: azureml-core==1.40 (requirements.txt:3): {stays.format('azureml-core==1.61.0.post4')}",
        f"NOTE: mlflow-skinny==3.1 (requirements.txt:4): {stays.format('mlflow-skinny==2.22.5')}",
    )
    assert "# from requirements.txt\n      - lightgbm\n" in conda_file(project).read_text()


def test_what_azure_ml_has_in_the_same_release_is_not_told(project: Path) -> None:
    before = versions(project)
    lines = "azureml-core\nazureml-defaults>=1.60\nmlflow-skinny==2.22.5\nmlflow==2.22.5\n"
    told(take(project, write(project, lines)), "NOTE: for training only, as no server needs it: mlflow")
    assert versions(project) == before | {"mlflow": "==2.22.5"}


def test_a_part_of_azure_ml_that_is_not_there_is_told(project: Path) -> None:
    before = versions(project)
    wheel = "azureml-core @ https://example.com/azureml_core-1.61.0.post4-py3-none-any.whl"
    together = "the releases of Azure ML's packages go together"
    told(
        take(project, write(project, f"azureml-train-core==1.61\n{wheel}\nstandard-chunk\nstandard-imghdr\n")),
        "NOTE: left out, another part of Azure ML's packages: …: azureml-train-core==1.61 (requirements.txt:1)",
        f"NOTE: {wheel} (requirements.txt:2): azureml-core==1.61.0.post4 stays: {together}",
    )
    assert versions(project) == before | {"standard-chunk": ""}


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("pandas==2.2.2", ["pandas==2.2.2"]),
        ("pandas @ https://example.com/pandas.zip", ["pandas @ https://example.com/pandas.zip"]),
        ("pandas", ["pandas==2.3.3", 'pandas==2.3.2; python_version < "3.10"']),
    ],
)
def test_a_package_that_its_owner_has_twice(project: Path, line: str, kept: list[str]) -> None:
    """A version or an address counts instead of both; a name alone leaves both as they are."""
    for purpose in PURPOSES:
        file = conda_file(project, purpose)
        two = '- pandas==2.3.3\n      - pandas==2.3.2; python_version < "3.10"\n'
        file.write_text(file.read_text().replace("- pandas==2.3.3\n", two))
    told(take(project, write(project, line)))
    for purpose in PURPOSES:
        assert [entry for entry in pip_of(project, purpose) if entry.startswith("pandas")] == kept


def test_a_pin_that_contradicts_azure_ml_is_left_out(project: Path) -> None:
    lines = "flask==2.0.1\ncryptography==41.0.7\nnumpy==2.4.0\nurllib3==2.2.1\ntyping_extensions==4.5.0\npytest==7.0\n"
    done = take(project, write(project, lines))
    assert done.code == 0
    after = versions(project)
    assert after["urllib3"] == "==2.2.1" and after["numpy"] == "==2.2.6"
    assert not {"flask", "cryptography", "typing-extensions", "pytest"} & set(after)
    told(
        done,
        "NOTE: left out, Azure ML's own packages need other versions of it: flask==2.0.1 (…:1; ~=3.1.0), "
        "cryptography==41.0.7 (…), numpy==2.4.0 (…; numpy==2.2.6 stays), typing-extensions==4.5.0 (…:5; …)",
        "NOTE: left out, requirements-dev.txt has it for the work on this repo: pytest==7.0 (requirements.txt:6)",
    )


def test_our_pins_give_way_to_what_the_user_has(project: Path) -> None:
    done = take(project, write(project, "tensorflow==2.15.0\nprotobuf==4.24.4\n"))
    assert done.code == 0
    after = versions(project)
    assert (after["numpy"], after["onnx"]) == ("<2", "")
    assert versions(project, "inference")["numpy"] == "<2"
    told(
        done,
        "NOTE: numpy==2.2.6 becomes numpy<2: tensorflow==2.15.0 (requirements.txt:1) was built for that",
        "NOTE: onnx==1.20.1 goes without its version, because of protobuf==4.24.4 (requirements.txt:2)",
    )


@pytest.mark.parametrize(
    ("lines", "numpy", "note"),
    [
        ("numba==0.59.1", "<2", "numpy==2.2.6 becomes numpy<2: numba==0.59.1 (requirements.txt:1) was built for that"),
        ("numba==0.60\nnumpy", "<2.1", "numpy (requirements.txt:2) becomes numpy<2.1: numba==0.60 ("),
        ("numpy>=1.20\nnumba<0.60", ">=1.20,<2", "numpy>=1.20 (…:1) becomes numpy>=1.20,<2: numba<0.60 ("),
        (
            "scikit-learn==1.7.2\nnumba==0.59.1",
            "<2",
            "numpy==2.2.6 becomes numpy<2: numba==0.59.1 (requirements.txt:2)",
        ),
        ("numba==0.60\ntensorflow==2.15", "<2", "numpy==2.2.6 becomes numpy<2: tensorflow==2.15 ("),
        ("scipy<3,<1.13", "<2", "numpy==2.2.6 becomes numpy<2: scipy<1.13,<3 (requirements.txt:1) was built for that"),
        ("scipy~=1.12.0", "<2", "numpy==2.2.6 becomes numpy<2: scipy~=1.12.0 (requirements.txt:1) was built for that"),
        # These leave room for a release that goes with ours,
        ("scipy~=1.12", "==2.2.6", ""),
        ("scipy==1.*", "==2.2.6", ""),
        ("pandas==2.2.*", "==2.2.6", ""),
        ("scipy>=1.10", "==2.2.6", ""),
        ("scipy<1.14", "==2.2.6", ""),
        ("scipy==1.13", "==2.2.6", ""),
        ("scipy", "==2.2.6", ""),
        # and here a numpy is named that is old enough.
        ("numba==0.59.1\nnumpy==1.26.4", "==1.26.4", ""),
        ("numba==0.59.1\nnumpy<2", "<2", ""),
        ("numba==0.59.1\nnumpy>=1.22,<1.27", ">=1.22,<1.27", ""),
    ],
)
def test_numpy_is_as_old_as_the_users_packages_need(project: Path, lines: str, numpy: str, note: str) -> None:
    file = write(project, lines)
    done = take(project, file)
    assert done.code == 0
    told(done, *[f"NOTE: {note}"] * bool(note))
    assert all(f"numpy{numpy}" in pip_of(project, purpose) for purpose in PURPOSES)
    told(take(project, file))


def test_tools_are_for_training_only(project: Path) -> None:
    done = take(project, write(project, "jupyterlab==4.2.0\nseaborn\nblack\nlightgbm\n"))
    assert done.code == 0
    assert {"jupyterlab", "seaborn", "black", "lightgbm"} <= set(versions(project))
    assert {"jupyterlab", "seaborn", "black"}.isdisjoint(versions(project, "inference"))
    told(done, "NOTE: for training only, as no server needs it: jupyterlab, seaborn, black")


def test_of_lines_for_several_systems_one_stays(project: Path) -> None:
    lines = (
        "xgboost==2.0.3; python_version < '3.11'\nxgboost==2.1.1; python_version >= '3.11'\n"
        "pywin32; sys_platform == 'win32'\nuvloop; sys_platform != 'win32'\ntorch; platform_machine == 'arm64'\n"
    )
    done = take(project, write(project, lines))
    assert done.code == 0
    assert 'xgboost==2.1.1; python_version >= "3.11"' in pip_of(project)
    assert "torch" not in versions(project) and "uvloop" in versions(project)
    told(
        done,
        'NOTE: left out, not for Linux and Python 3.11: xgboost==2.0.3; python_version < "3.11" (requirements.txt:1), '
        'torch; platform_machine == "arm64" (requirements.txt:5)',
        "NOTE: left out, for Windows or macOS alone; the runs have Linux: pywin32 (requirements.txt:3)",
    )


def test_two_lines_of_one_package_are_one(tmp_path: Path) -> None:
    text = "a>=1\nA<3\nb==1\nb==2\nc[x]\nc[y]==1\n"
    new = "; python_version >= '3.9'"
    text += f"d>=1{new}\nd<3{new}\ne>=1{new}\ne<3\n"
    read = requirements_file.read(write(tmp_path, text))
    merged = merging.combined(read.wanted, read.notes)
    assert [str(one) for one in merged.values()] == [
        *("a>=1,<3", "b==2", "c[x,y]==1"),
        *('d>=1,<3; python_version >= "3.9"', "e>=1,<3"),
    ]
    assert read.notes.lines() == ["b==1 (requirements.txt:3): b==2 (requirements.txt:4) counts instead"]


WHEEL = "b @ https://example.com/b-1.5-py3-none-any.whl"
EARLY = WHEEL.replace("1.5", "1.5rc1")


@pytest.mark.parametrize(
    ("lines", "merged", "notes"),
    [
        (f"{WHEEL}\nb", WHEEL, []),
        (f"b\n{WHEEL}", WHEEL, []),
        (f"{WHEEL}\n{WHEEL}", WHEEL, []),
        # The address says which version it is,
        (f"{WHEEL}\nb==1.5", WHEEL, []),
        (f"b>=1\n{WHEEL}", WHEEL, []),
        (f"b>=1\n{EARLY}", EARLY, []),
        (f"{WHEEL}\nb==1.4", WHEEL, [f"b==1.4 (requirements.txt:2): {WHEEL} (requirements.txt:1) counts instead"]),
        (f"b>=2\n{WHEEL}", WHEEL, [f"b>=2 (requirements.txt:1): {WHEEL} (requirements.txt:2) counts instead"]),
        # or it does not.
        (
            "b==1.5\nb @ git+https://example.com/b.git",
            "b @ git+https://example.com/b.git",
            ["b==1.5 (requirements.txt:1): b @ git+https://example.com/b.git (requirements.txt:2) counts instead"],
        ),
        (
            f"b[x] @ https://example.com/b.zip\n{WHEEL}",
            WHEEL.replace("b @", "b[x] @"),
            [f"b[x] @ https://example.com/b.zip (requirements.txt:1): {WHEEL} (requirements.txt:2) counts instead"],
        ),
    ],
)
def test_an_address_counts_more_than_a_version(tmp_path: Path, lines: str, merged: str, notes: list[str]) -> None:
    read = requirements_file.read(write(tmp_path, lines))
    assert [str(one) for one in merging.combined(read.wanted, read.notes).values()] == [merged]
    assert read.notes.lines() == notes


@pytest.mark.parametrize(
    ("lines", "limits", "merged", "note"),
    [
        ("lightgbm>=4", "LightGBM<4.6", "lightgbm>=4,<4.6", ""),
        ("lightgbm", "lightgbm==4.5.0", "lightgbm==4.5.0", ""),
        ("lightgbm[dask]>=4", "lightgbm<4.6", "lightgbm[dask]>=4,<4.6", ""),
        ("lightgbm==4.5.0", "lightgbm<5", "lightgbm==4.5.0", ""),
        ("lightgbm==4.5.0", "lightgbm<4", "lightgbm<4", "lightgbm==4.5.0 (requirements.txt:1): lightgbm<4 (limits.t"),
        ("lightgbm", "lightgbm<4\nlightgbm>=3", "lightgbm>=3,<4", ""),
        (WHEEL, "b<2", WHEEL, ""),
        (WHEEL, "b<1", WHEEL, f"b<1 (limits.txt:1): {WHEEL} (requirements.txt:1) counts instead"),
        ("lightgbm", "lightgbm<4; sys_platform == 'win32'", "lightgbm", "left out, not for Linux and Python 3.11: "),
        *(
            (line, limit, "", f"left out, Azure ML's own packages need other versions of it: {told} ~=3.1.0)")
            for line, limit, told in (
                ("flask", "flask<3", "flask<3 (limits.txt:1;"),
                ("flask==2.0.1", "flask<4", "flask==2.0.1 (requirements.txt:1;"),
            )
        ),
        # Of what is there, too; a version of ours that is allowed stays.
        ("six", "pandas<2.3", "pandas<2.3", ""),
        ("six", "pandas==2.2.3", "pandas==2.2.3", ""),
        ("six", "pandas<3", "pandas==2.3.3", ""),
        ("six", "pandas>=1,!=2.0", "pandas==2.3.3", ""),
        ("pandas", "pandas<3", "pandas==2.3.3", ""),
        ("pandas[perf]", "pandas<2.3", "pandas[perf]<2.3", ""),
        ("six", WHEEL.replace("b @", "pandas @"), WHEEL.replace("b @", "pandas @"), ""),
        ("six", "azureml-core<1.50", "azureml-core==1.61.0.post4", "azureml-core<1.50 (limits.txt:1): azureml-core==1"),
        (
            "six",
            "lightgbm<4",
            "",
            "left out, a constraint on a package that nothing here names: lightgbm<4 (limits.txt:",
        ),
    ],
)
def test_a_constraint_bounds_what_is_merged(project: Path, lines: str, limits: str, merged: str, note: str) -> None:
    write(project, limits, "limits.txt")
    file = write(project, f"{lines}\n-c limits.txt\n")
    for _ in range(2):
        done = take(project, file)
        assert done.code == 0
        told(done, *[f"NOTE: {note}"] * bool(note))
        for purpose in PURPOSES:
            assert pip_of(project, purpose).count(merged) == bool(merged)
            assert versions(project, purpose), "one entry a package"


def test_the_same_again_changes_nothing(project: Path) -> None:
    file = write(
        project, "pandas==2.2.2\nlightgbm==4.5.0\ntensorflow==2.15.0\nb @ https://example.com/b-1-py3-none-any.whl\n"
    )
    assert take(project, file)[0] == 0
    before = files_of(project)
    code, out, _ = take(project, file)
    assert code == 0 and out == "Nothing to change: the conda files of model1 have all of it.\n"
    assert take(project, file, "--check")[0] == 0
    assert files_of(project) == before
    write(project, "pandas==2.2.3\nlightgbm==4.5.0\nsix\n")
    take(project, file)
    text = conda_file(project).read_text()
    assert text.count("# from requirements.txt") == 1
    assert text.endswith("b-1-py3-none-any.whl\n      - six\n")


NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9]{0,3}([-_.]{1,2}[A-Za-z0-9]{1,3})?", fullmatch=True) | st.sampled_from(
    [
        "Pandas",
        "scikit_learn",
        "numpy",
        "mlflow",
        "azureml_core",
        "jupyter",
        "ONNX",
        "setuptools",
        "flask",
        "pywin32",
        "pip",
    ]
)
LINES = st.builds(
    lambda name, extras, specifier, marker: f"{name}{extras}{specifier}{marker}",
    NAMES,
    st.sampled_from(["", "[a]", "[B_c,a]"]),
    st.sampled_from(["", "==1.0", "==2.0+cpu", ">=1,<2", "~=1.4", "!=1.5", "==1.*", "<0.5", "===1.x",
                     " @ https://example.com/a#b=c"]),
    st.sampled_from(["", " ; python_version >= '3.11'", " ; sys_platform == 'win32'"]),
)  # fmt: skip


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(LINES, max_size=12))
def test_any_list_gives_one_entry_a_package_and_none_the_second_time(
    project: Path, tmp_path: Path, lines: list[str]
) -> None:
    file = write(tmp_path, "\n".join(lines))
    files = {purpose: conda_editing.read(conda_file(project, purpose)) for purpose in PURPOSES}
    for turn in range(2):
        read = requirements_file.read(file)
        read.wanted = [replace(one, origin="from requirements.txt") for one in read.wanted]
        merged = merging.merge(read, files, "3.11", {})
        for purpose, conda in files.items():
            text = conda_editing.changed(conda, merged.changes[purpose])
            assert turn == 0 or text == conda.text
            new = write(tmp_path, text, f"{purpose}.yml")
            files[purpose] = conda_editing.read(new)
            names = [entry.wanted.name for entry in files[purpose].entries if entry.wanted]
            assert len(names) == len(set(names)) == len(files[purpose].entries)
            assert "azureml-core" in names
