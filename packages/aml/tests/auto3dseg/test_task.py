"""task.yaml: what is wrong with it is told in lines that name the key and the mend, before anything is sent."""

import time
from pathlib import Path
from typing import Any

import pytest

from aml_project.auto3dseg import datalist, task
from aml_project.command_line import Failure

AZURE = {"compute_cluster_name": "gpu", "input_datasets": ["scans"], "default_datastore": "workspaceblobstore"}
GOOD: dict[str, Any] = {
    "name": "t",
    "task": "segmentation",
    "modality": "MRI",
    "datalist": "datalist.json",
    "multigpu": True,
}


def said(*, cloud: bool = True, azure: dict[str, Any] | None = None, **keys: Any) -> list[str]:
    config = {**GOOD, "azureml_config": {**AZURE, **(azure or {})}, **keys}
    return task.problems({key: value for key, value in config.items() if value is not ...}, cloud=cloud)


def test_what_the_page_shows_is_fine() -> None:
    more = {
        "experiment_name": "my new experiment", "wait_for_completion": True, "display_name": "The_name_of_the_new_run",
        "max_run_duration": "3.5h", "tags": {"a": "b"}, "num_nodes": 1,
    }  # fmt: skip
    assert said(azure=more, dataroot="/path/to/local/data") == []
    assert said(cloud=False, dataroot="data", azureml_config=...) == []


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ({"modalty": "CT"}, "modalty: is no key; do you mean modality?"),
        ({"multi_gpu": True}, "multi_gpu: is no key; do you mean multigpu?"),
        ({"roi_size": [96]}, "roi_size: is no key; a parameter of an algorithm goes under training_params"),
        ({"compute_cluster_name": "x"}, "compute_cluster_name: goes under azureml_config"),
        ({"modality": ...}, "modality: missing; it is a text"),
        ({"datalist": ...}, "datalist: missing; it is a text"),
        ({"modality": "<MRI or CT>"}, "modality: is still the placeholder '<MRI or CT>'"),
        ({"datalist": "<your_new_datalist>.json"}, "datalist: is still the placeholder '<your_new_datalist>.json'"),
        ({"modality": "X-ray"}, "modality: CT or MRI, not 'X-ray': the algorithms know no other"),
        ({"multigpu": "yes please"}, "multigpu: true or false, not 'yes please'"),
        ({"task": "detection"}, "task: segmentation, not 'detection': Auto3DSeg does nothing else"),
        ({"class_names": ["a", "a"]}, "class_names: 'a' is there twice"),
        ({"class_names": [{"index": 1}]}, "class_names: each is a text, or has a name and an index"),
        ({"work_dir": "w"}, "work_dir: it works in outputs/, which Azure ML keeps; leave it out"),
        ({"hpo_backend": "optuna"}, "hpo_backend: nni, not 'optuna': AutoRunner has no other"),
        (
            {"hpo": True},
            "search_space: missing; hpo: true needs one, as learning_rate: {_type: choice, _value: [0.1, 0.01]}",
        ),
        (
            {"hpo": True, "search_space": {"learning_rate": {"type": "choice"}}},
            "search_space: learning_rate: as {_type: choice, _value: [0.1, 0.01]}, not {'type': 'choice'}",
        ),
        ({"modality": None}, "modality: missing; it is a text"),
        ({"num_fold": 0}, "num_fold: 1 or more"),
        ({"num_fold": True}, "num_fold: a whole number, not True"),
        ({"algos": 3}, "algos: a text, or a list of texts, not 3"),
        ({"azureml_config": "gpu"}, "azureml_config: names with values, not 'gpu'"),
    ],
)
def test_a_wrong_key_is_a_line(keys: dict[str, Any], line: str) -> None:
    assert said(**keys) == [line]


def test_to_run_here_a_folder_of_data_is_needed() -> None:
    (line,) = said(cloud=False, dataroot="/path/to/local/data")
    assert line == "dataroot: is still the placeholder '/path/to/local/data'"
    (line,) = said(cloud=False)
    assert line == "dataroot: missing; to run here, it is the folder where the paths of the datalist begin"


@pytest.mark.parametrize(
    ("azure", "line"),
    [
        ({"compute_cluster_name": ""}, "compute_cluster_name: missing; it is the name of a cluster of the workspace"),
        (
            {"input_datasets": []},
            "input_datasets: missing; it is a list with the name of a data asset",
        ),
        ({"input_datasets": ["a", "b", "a"]}, "input_datasets: 'a' is there twice"),
        ({"input_datasets": "scans"}, "input_datasets: a list of texts, not 'scans'"),
        ({"input_datasets": ["<name of your AzureML data asset>"]}, "input_datasets: is still the placeholder"),
        ({"input_dataset": "scans"}, "input_dataset: not possible: write input_datasets, a list"),
        ({"wait_for_complete": True}, "wait_for_complete: is no key; do you mean wait_for_completion?"),
        ({"displayname": "x"}, "displayname: is no key; do you mean display_name?"),
        ({"xyz": 1}, "xyz: is no key; docs/auto3dseg.md lists what there is"),
        ({"modality": "CT"}, "modality: goes to the top of the file, not under azureml_config"),
        ({"num_nodes": 0}, "num_nodes: 1 or more, not 0"),
        (
            {"num_nodes": 4},
            "num_nodes: 1, not 4, with segresnet, segresnet2d, dints, swinunetr: MONAI's own algorithms",
        ),
        ({"max_run_duration": "tomorrow"}, "max_run_duration: a number with s, m, h or d, as 3.5h, not 'tomorrow'"),
        ({"experiment_name": "a/b"}, "experiment_name: letters, digits, blanks, - and _, not 'a/b'"),
        ({"wait_for_completion": "yes"}, "wait_for_completion: true or false, not 'yes'"),
        ({"vscode": True}, "vscode: not possible: of Azure ML v2 alone"),
        ({"snapshot_root_directory": "."}, "snapshot_root_directory: not possible: a run gets task.yaml, the datalist"),
        ({"entry_script": "x.py"}, "entry_script: not possible: the run starts its own train.py"),
    ],
)
def test_what_azure_can_t_do_is_refused_by_name(azure: dict[str, Any], line: str) -> None:
    (found,) = said(azure=azure)
    assert found.startswith(f"azureml_config.{line}")


def test_several_nodes_are_for_algorithms_of_one_s_own() -> None:
    own: dict[str, Any] = {"templates_path_or_url": "algorithms"}
    four = {"num_nodes": 4}
    assert said(azure=four, **own) == said(azure=four, algos=["tiny"], **own) == []
    (line,) = said(azure=four, algos=["tiny", "dints"], **own)
    assert line.startswith("azureml_config.num_nodes: 1, not 4, with dints: MONAI's own algorithms count on a folder")
    (line,) = said(azure=four, hpo=True, search_space={"learning_rate": {"_type": "choice", "_value": [1]}}, **own)
    assert line == "azureml_config.num_nodes: 1, not 4, with hpo: true: NNI starts each trial on one node"


def test_every_argument_of_hi_ml_is_honoured_or_refused() -> None:
    """As hi-ml-azure 0.5.4 documents submit_to_azure_if_needed."""
    documented = """compute_cluster_name instance_type resources_properties entry_script aml_workspace
        workspace_config_file ml_client snapshot_root_directory script_params conda_environment_file build_context
        aml_environment_name experiment_name environment_variables pip_extra_index_url private_pip_wheel_path
        docker_base_image docker_shm_size ignored_folders default_datastore input_datasets output_datasets num_nodes
        wait_for_completion wait_for_completion_show_output max_run_duration submit_to_azureml tags after_submission
        hyperdrive_config hyperparam_args strictly_aml_v1 identity_based_auth pytorch_processes_per_node_v2
        use_mpi_run_for_single_node_jobs display_name entry_command python_executable hyperdrive_argument_prefix
        exit_on_completion vscode ssh_key tensorboard_logs jupyter"""
    assert sorted(task.HONOURED | task.REFUSED) == sorted({*documented.split(), "input_dataset"})


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('name: t\nazureml_config:\n  display_name: "The_name\n', "task.yaml: line 3: no YAML: found unexpected end"),
        ("name: a\nhpo_params:\n  tuner: {name: a, name: b}\n", "task.yaml: line 3: name: is there twice"),
        ("- a\n- b\n", "task.yaml: holds no keys"),
        ("", "task.yaml: holds no keys"),
        ("name: [a\nb: c\n", "task.yaml: line 1: no YAML"),
    ],
)
def test_no_yaml_is_one_line(tmp_path: Path, text: str, line: str) -> None:
    (tmp_path / "task.yaml").write_text(text)
    with pytest.raises(Failure) as failure:
        task.read(tmp_path / "task.yaml")
    assert str(failure.value).startswith(line) and "\n" not in str(failure.value)


def test_an_algorithm_that_is_nowhere_is_told(tmp_path: Path) -> None:
    (tmp_path / "algorithms" / "tiny" / "scripts").mkdir(parents=True)
    (tmp_path / "algorithms" / "tiny" / "scripts" / "algo.py").touch()
    own = {"templates_path_or_url": "algorithms"}
    for fine in ({"algos": "dints"}, {"algos": ["tiny"], **own}, own, {}):
        assert not list(task.of_templates(fine, tmp_path))
    (line,) = task.of_templates({"algos": ["dints", "tiny"]}, tmp_path)
    assert line.startswith("algos: 'tiny' is none of MONAI's: segresnet, ")
    (line,) = task.of_templates({"algos": ["small"], **own}, tmp_path)
    assert line == "algos: 'small' is no folder of algorithms with a scripts/algo.py, as an algorithm has"


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"\xef\xbb\xbf{}", "datalist.json: begins with a byte order mark: save it as UTF-8 without one"),
        (b"", "datalist.json: no JSON: Expecting value"),
        (None, "datalist.json: datalist of the task names it, and it can't be read: Is a directory"),
    ],
)
def test_a_file_that_is_no_datalist_is_one_line(tmp_path: Path, content: bytes | None, line: str) -> None:
    file = tmp_path / "datalist.json"
    if content is None:
        file.mkdir()
    else:
        file.write_bytes(content)
    with pytest.raises(Failure) as failure:
        datalist.read(file)
    assert str(failure.value).startswith(line)


def entry(number: int, **more: Any) -> dict[str, Any]:
    return {"image": f"i{number}.nii.gz", "label": f"l{number}.nii.gz", "fold": number % 2, **more}


ENTRIES = [entry(number) for number in range(4)]


def with_a(*keys: str) -> dict[str, Any]:
    """A datalist whose last entry has these keys."""
    return {"training": [*ENTRIES, {key: 0 if key.startswith("fold") else f"{key}.nii.gz" for key in keys}]}


@pytest.mark.parametrize(
    ("lists", "line"),
    [
        ({"training": ENTRIES, "imageTesting": []}, "imageTesting: is no key; do you mean testing?"),
        ({"training": ENTRIES, "test": []}, "test: is no key; do you mean testing?"),
        ({"training": ENTRIES, "other": []}, "other: is no key; the lists are training, validation, testing"),
        ({"testing": []}, "training: missing; it lists the volumes to learn from"),
        ({"training": []}, "training: empty; it lists the volumes to learn from"),
        ({"training": ["a.nii.gz"]}, 'training: a list of entries, each as {"image": …, "label": …}'),
        (with_a("image", "label", "fold:"), "training[4]: 'fold:' is no key; do you mean fold?"),
        (with_a("image", "fold"), "training[4]: has no label"),
        (with_a("img", "label", "fold"), "training[4]: has no image; is it 'img'?"),
        (with_a("image", "labels", "fold"), "training[4]: has no label; is it 'labels'?"),
        ({"training": [entry(0), entry(1, fold="1")]}, "training[1].fold: a whole number from 0, not '1'"),
        ({"training": [entry(0), entry(1, fold=2)]}, "training: folds are numbered from 0 without a gap: 1 is missing"),
        ({"training": [entry(0), {"image": "a", "label": "b"}]}, "training[1]: has no fold, and others have one"),
        ({"training": [entry(0), entry(2)]}, "training: all entries are of one fold, so there is nothing to learn"),
        ({"training": [entry(0), entry(1), entry(0, fold=1)]}, "training[2]: 'i0.nii.gz' is training[0] already"),
        ({"training": [{"image": "a", "label": "b"}] * 1}, "training: 1 entries can't make 5 folds"),
        ({"training": [entry(0), entry(1, label="i1.nii.gz")]}, "training[1]: image and label are the same file"),
        ({"training": [entry(0), entry(1, image=3)]}, "training[1].image: a path, or a list of them, not 3"),
    ],
)  # fmt: skip
def test_a_wrong_datalist_is_a_line(lists: dict[str, Any], line: str) -> None:
    (found,) = datalist.problems(lists)
    assert found.startswith(line)


def test_what_a_datalist_may_say_beside_is_fine() -> None:
    said = {"name": "Hippocampus", "numTraining": 4, "labels": {"0": "background"}, "testing": [{"image": "t.nii.gz"}]}
    assert datalist.problems({"training": ENTRIES, **said}) == []
    assert datalist.problems({"training": [{**one, "patient": 7} for one in ENTRIES]}) == []
    (line,) = datalist.problems({"training": ENTRIES}, num_fold=3)
    assert line == "training: has 2 folds, and num_fold of the task is 3"


def test_paths_that_no_dataset_has_are_told() -> None:
    lists = {"training": [entry(0, image="/data/a.nii.gz"), entry(1, image="../b.nii.gz"), entry(2)]}
    assert [line.split(":")[0] for line in datalist.not_relative(lists)] == ["training[0].image", "training[1].image"]


def test_ten_thousand_entries_take_no_time(tmp_path: Path) -> None:
    """What is missing is counted, beyond the first lines; of the folder, no volume is read."""
    lists = {"training": [entry(number, fold=number % 5) for number in range(10_000)]}
    for number in range(9_980):
        (tmp_path / f"i{number}.nii.gz").touch()
        (tmp_path / f"l{number}.nii.gz").touch()
    began = time.process_time()
    assert datalist.problems(lists) == []
    assert datalist.not_relative(lists) == []
    lines = datalist.missing(lists, datalist.in_folder(tmp_path), "data")
    assert time.process_time() - began < 2
    assert lines[0] == "training[9980].image: 'i9980.nii.gz' is not in data"
    assert lines[-1] == "and 30 lines more of that kind"
