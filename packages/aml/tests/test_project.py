"""Which folder a model's data lies in, in repos of each age."""

from pathlib import Path

import pytest

from aml_project.command_line import Failure
from aml_project.project import data_folder, data_path


def put(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("a,b\n1,2\n")


def test_each_model_has_a_folder_of_its_own_or_all_share_one(tmp_path: Path) -> None:
    put(tmp_path, "data/mine.csv", "data/images/a.csv")
    assert data_folder(tmp_path, "churn") == tmp_path / "data"
    assert data_path(tmp_path, "churn") == "../../data"
    (tmp_path / "data" / "mine.csv").unlink()
    put(tmp_path, "data/README.md", "data/churn/mine.csv")
    assert data_folder(tmp_path, "churn") == tmp_path / "data" / "churn"
    assert data_path(tmp_path, "churn") == "../../data/churn"


@pytest.mark.parametrize("name", ["mine.csv", "mine.parquet"])
def test_a_table_that_would_not_be_read_is_named(tmp_path: Path, name: str) -> None:
    put(tmp_path, f"data/{name}", "data/churn/customers.csv")
    with pytest.raises(Failure) as caught:
        data_folder(tmp_path, "churn")
    assert str(caught.value) == (
        f"data/{name}: churn has a folder of its own, data/churn/, so this is not read: "
        "move it to data/churn/, in place of the sample, or away from data/"
    )
