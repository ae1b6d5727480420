"""What is registered, and what is refused: arguments, bounds, the newest version, the run, its files and its data.

Decided by functions, which are asked here with what they read of the client's objects.
"""

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aml_project.command_line import WRONG_USE, Failure
from aml_project.service import datasets, registration, registration_rules
from aml_project.service.errors import explain
from aml_project.service.registration_rules import Better, Refused

WORKSPACE = SimpleNamespace(name="mine", service_context=None)
PREFIX = "ExperimentRun/dcid.r1/outputs/model"


class Answer(Exception):
    """The service answers so."""

    def __init__(self, status_code: int) -> None:
        super().__init__("the service is tired")
        self.status_code = status_code


# ------------------------------------------------------------------------------------------------------- numbers


@given(st.one_of(st.integers(), st.floats(allow_nan=False)))
@example(1e-7)
@example(1e300)
@example(-0.0)
def test_a_metric_is_written_plainly_and_exactly(value: float) -> None:
    text = registration_rules.plain(value)
    assert "e" not in text.replace("inf", "")
    assert float(text) == float(value)
    assert registration_rules.number(text) == float(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [(3, "3"), (10**400, "1" + 400 * "0"), (0.5, "0.5"), (100.0, "100"), (1e-7, "0.0000001"), (1e22, "1" + 22 * "0"),
     (float("inf"), "inf"), (float("nan"), "nan")],
)  # fmt: skip
def test_a_number_is_written_as_people_do(value: float, text: str) -> None:
    assert registration_rules.plain(value) == text


def test_a_tag_that_is_no_number_is_none() -> None:
    assert [registration_rules.number(text) for text in ("", "nan", "good", "0.5")] == [None, None, None, 0.5]


# ----------------------------------------------------------------------------------------------------- arguments


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("accuracy>=0.8", ("accuracy", ">=", 0.8)),
        (" f1 score < 1e3 ", ("f1 score", "<", 1000.0)),
        ("loss==-1", ("loss", "==", -1.0)),
        ("a/b:c>0", ("a/b:c", ">", 0.0)),
    ],
)
def test_a_requirement_is_read(text: str, read: tuple[str, str, float]) -> None:
    assert registration_rules.parse_requirement(text) == read


@pytest.mark.parametrize(
    "text", ["", "accuracy", ">=1", "accuracy>=", "accuracy>=high", "accuracy>=nan", "a=>1", "a=1"]
)
def test_a_requirement_that_can_not_be_read_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a metric, one of >= <= == > <, and a number"):
        registration_rules.parse_requirement(text)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("accuracy", ("accuracy", False)),
        ("loss:min", ("loss", True)),
        ("cost:min", ("cost", True)),
        (" rmse", ("rmse", True)),
        ("rmse:max", ("rmse", False)),
        ("a:b:max", ("a:b", False)),
        ("a:b", ("a:b", False)),
    ],
)
def test_the_better_way_is_read(text: str, read: tuple[str, bool]) -> None:
    assert registration_rules.parse_better(text) == read


@pytest.mark.parametrize("text", ["", " ", ":min", " :max"])
def test_a_better_way_without_a_metric_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a metric, as in 'accuracy'"):
        registration_rules.parse_better(text)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("outputs/model", "outputs/model"),
        ("outputs\\model", "outputs/model"),
        ("./outputs//model/", "outputs/model"),
        ("..model", "..model"),
    ],
)
def test_a_path_is_written_as_the_service_does(text: str, path: str) -> None:
    assert registration_rules.parse_asset_path(text) == path


@pytest.mark.parametrize("text", ["", " ", ".", "..", "outputs/..", "../outputs", "/outputs"])
def test_a_path_that_is_none_of_the_runs_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a file or folder of the run"):
        registration_rules.parse_asset_path(text)


def test_the_option_that_is_malformed_is_named() -> None:
    fine: dict[str, Any] = {"name": "a" * 255, "asset_path": "outputs", "require": ["a>1"], "better_than_current": "a"}
    registration.check_arguments(**fine)
    registration.check_arguments(**fine | {"better_than_current": None})
    # An empty metric is what a script gives whose variable is empty: it must not register what is worse.
    for option, value in {
        "name": "a" * 256,
        "asset_path": "..",
        "require": ["a>1", "a"],
        "better_than_current": "",
    }.items():
        with pytest.raises(Failure, match=f"^--{option.replace('_', '-')}: ") as caught:
            registration.check_arguments(**fine | {option: value})
        assert caught.value.code == WRONG_USE


# -------------------------------------------------------------------------------------------------------- bounds


@pytest.mark.parametrize(
    ("comparison", "kept"),
    [(">=", (False, True, True)), ("<=", (True, True, False)), ("==", (False, True, False)),
     (">", (False, False, True)), ("<", (True, False, False))],
)  # fmt: skip
def test_a_bound_is_kept_below_at_or_above_it(comparison: str, kept: tuple[bool, bool, bool]) -> None:
    assert tuple(registration_rules.COMPARISONS[comparison](value, 0.5) for value in (0.4, 0.5, 0.6)) == kept


def test_all_bounds_that_are_missed_are_named() -> None:
    bounds = [registration_rules.parse_requirement(text) for text in ("a>=0.9", "b<1", "c==3")]
    registration_rules.check_requirements({"a": 0.9, "b": 0.5, "c": 3}, bounds)
    with pytest.raises(registration_rules.Refused, match=r"^a is 0\.89, not >= 0\.9; b is 1, not < 1$"):
        registration_rules.check_requirements({"a": 0.89, "b": 1.0, "c": 3}, bounds)
    with pytest.raises(registration_rules.Refused, match=r"no metric 'c'; it has a, b$"):
        registration_rules.check_requirements({"a": 1.0, "b": 0.1}, bounds)


def test_of_what_is_logged_the_last_number_counts() -> None:
    logged = {"loss": [3, 2, 0.5], "none yet": [], "auc": 0.9, "n": 7, "is good": True, "way": "up", "ways": ["up"]}
    run = SimpleNamespace(get_metrics=lambda: logged)
    assert registration.read_metrics(run) == {"loss": 0.5, "auc": 0.9, "n": 7}


def test_a_list_of_names_is_not_too_long() -> None:
    names = [f"m{number:02}" for number in range(14)]
    assert registration_rules.some(names[:12]) == ", ".join(names[:12])
    assert registration_rules.some(names) == ", ".join(names[:12]) + " and 2 more"
    assert registration_rules.unknown("a", {}) == "the run has no metric 'a'; it has none that is a number"


# ----------------------------------------------------------------------------------------------- the newest version


def version(**fields: Any) -> Any:
    """A version of a model, as the client lists it."""
    return SimpleNamespace(**{"id": "m:3", "tags": {}, "run_id": None, "url": None} | fields)


@pytest.mark.parametrize(
    ("metric", "new", "tag", "refused"),
    [
        (Better("auc", False), 0.8, "0.7", ""),
        (Better("auc", False), 0.7, "0.7", "auc is 0.7, not above the 0.7 of m:3"),
        (Better("auc", False), 0.6, "0.7", "auc is 0.6, not above the 0.7 of m:3"),
        (Better("auc", False), float("nan"), "0.7", "auc is nan, not above the 0.7 of m:3"),
        (Better("loss", True), 0.6, "0.7", ""),
        (Better("loss", True), 0.7, "0.7", "loss is 0.7, not below the 0.7 of m:3"),
        (Better("loss", True), 0.8, "0.7", "loss is 0.8, not below the 0.7 of m:3"),
    ],
)
def test_only_what_is_better_is_let_through(metric: Better, new: float, tag: str, refused: str) -> None:
    said = ""
    try:
        registration.check_better(WORKSPACE, {metric.metric: new}, metric, version(tags={metric.metric: tag}))
    except Refused as error:
        said = str(error)
    assert said == refused


@pytest.mark.parametrize(
    ("smaller", "new", "refused"),
    [
        (False, 0.7, ""),
        (False, 0.8, ""),
        (False, 0.6, "auc is 0.6, below the 0.7 of m:1"),
        (True, 0.7, ""),
        (True, 0.6, ""),
        (True, 0.8, "auc is 0.8, above the 0.7 of m:1"),
        (False, float("nan"), "auc is nan, below the 0.7 of m:1"),
    ],
)
def test_what_is_as_good_is_let_through_where_that_is_enough(smaller: bool, new: float, refused: str) -> None:
    said = ""
    try:
        registration_rules.check_way("auc", new, 0.7, "m:1", smaller, or_equal=True)
    except Refused as error:
        said = str(error)
    assert said == refused


def test_a_metric_that_the_run_has_not_can_not_be_better() -> None:
    with pytest.raises(Refused, match=r"^the run has no metric 'auc'; it has loss$"):
        registration.check_better(WORKSPACE, {"loss": 1}, Better("auc", False), version(tags={"auc": "0.1"}))


@pytest.mark.parametrize("tags", [None, {}, {"auc": "good"}])
def test_where_the_version_does_not_say_its_run_is_asked(
    tags: dict[str, str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = {"r0": SimpleNamespace(get_metrics=lambda: {"auc": [0.1, 0.7]})}
    monkeypatch.setattr("azureml.core.Run.get", lambda _, run_id: runs[run_id])
    current = version(tags=tags, run_id="r0")
    registration.check_better(WORKSPACE, {"auc": 0.8}, Better("auc", False), current)
    with pytest.raises(Refused, match=r"^auc is 0.6, not above the 0.7 of m:3$"):
        registration.check_better(WORKSPACE, {"auc": 0.6}, Better("auc", False), current)


def test_where_nothing_says_what_there_is_to_beat_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([404, 500])

    def get(*_: object) -> None:
        raise Answer(next(answers))

    monkeypatch.setattr("azureml.core.Run.get", get)
    for run_id in (None, "deleted"):
        with pytest.raises(Refused, match=r"^m:3 has no auc to compare with; register once without"):
            registration.check_better(WORKSPACE, {"auc": 0.8}, Better("auc", False), version(run_id=run_id))
    with pytest.raises(Answer):  # which says nothing about the model
        registration.check_better(WORKSPACE, {"auc": 0.8}, Better("auc", False), version(run_id="r0"))


# ------------------------------------------------------------------------------------- the run, its files, its data


def test_only_a_completed_run_of_the_experiment_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    status = ["Completed", "Failed"]
    run = SimpleNamespace(experiment=SimpleNamespace(name="exp"), get_status=lambda: status.pop(0))
    monkeypatch.setattr("azureml.core.Run.get", lambda *_: run)
    with pytest.raises(Refused, match=r"^run r1: of the experiment exp, not another$"):
        registration.find_run(WORKSPACE, "another", "r1")
    assert registration.find_run(WORKSPACE, "exp", "r1") is run
    with pytest.raises(Refused, match=r"^run r1: Failed; only the model of a completed run is registered$"):
        registration.find_run(WORKSPACE, "exp", "r1")


def test_a_run_that_is_not_there_is_refused_and_trouble_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([404, 403])

    def get(*_: object) -> None:
        raise Answer(next(answers))

    monkeypatch.setattr("azureml.core.Run.get", get)
    with pytest.raises(Refused, match=r"^run r1: not in the workspace mine; is another one attached"):
        registration.find_run(WORKSPACE, "exp", "r1")
    with pytest.raises(Answer):
        registration.find_run(WORKSPACE, "exp", "r1")


def test_what_is_refused_is_said_in_full() -> None:
    names = ", ".join(f"metric_number_{number}" for number in range(40))
    assert explain(Refused(names)) == names


def test_what_is_refused_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def refuse(*_: object) -> None:
        asked.append(1)
        raise Refused("no")

    monkeypatch.setattr(registration, "find_run", refuse)
    with pytest.raises(Refused, match=r"^no$"):
        registration.register(
            WORKSPACE, name="m", asset_path="outputs", experiment="e", run_id="r", tags={}, properties={}
        )
    assert asked == [1]


def test_the_version_of_this_run_and_these_files_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    artifacts = {"a0": None, "a1": [f"{PREFIX}-other"], "a2": [PREFIX, f"{PREFIX}-other"], "a3": [PREFIX]}

    def asset(_: object, name: str) -> Any:
        prefixes = artifacts[name]
        return SimpleNamespace(artifacts=prefixes and [SimpleNamespace(prefix=prefix) for prefix in prefixes])

    monkeypatch.setattr("azureml._restclient.assets_client.AssetsClient.__init__", lambda *_: None)
    monkeypatch.setattr("azureml._restclient.assets_client.AssetsClient.get_asset_by_id", asset)
    others = [
        version(run_id="r0", url="aml://asset/a3"),
        version(run_id="r1"),
        version(run_id="r1", url="https://elsewhere/a3"),
        *(version(run_id="r1", url=f"aml://asset/{name}") for name in ("a0", "a1", "a2")),
    ]
    mine = version(run_id="r1", url="aml://asset/a3")
    assert registration.find_version(WORKSPACE, others, "r1", PREFIX) is None
    assert registration.find_version(WORKSPACE, [*others, mine, others[0]], "r1", PREFIX) is mine


def run_with(*files: str) -> Any:
    found = [(path, "address") for path in files if path.startswith("outputs/model")]
    artifacts = SimpleNamespace(get_files_by_artifact_prefix_id=lambda _: found)
    return SimpleNamespace(id="r1", _client=SimpleNamespace(artifacts=artifacts), get_file_names=lambda: list(files))


def test_a_file_or_a_folder_of_the_run_is_enough() -> None:
    registration.check_files(run_with("outputs/model", "logs/a"), PREFIX, "outputs/model")
    registration.check_files(run_with("outputs/model/a/b", "outputs/model.txt"), PREFIX, "outputs/model")


@pytest.mark.parametrize(
    ("files", "has"),
    [
        (["logs/a", "outputs/z", "outputs/model.txt"], "outputs/model.txt, outputs/z, logs/a"),
        ([], "no files at all"),
    ],
)
def test_files_that_the_run_has_not_are_refused(files: list[str], has: str) -> None:
    with pytest.raises(Refused, match=rf"^run r1 has no outputs/model; it has {has}$"):
        registration.check_files(run_with(*files), PREFIX, "outputs/model")


def run_that_read(lineage: list[str] | None, definition: Any) -> Any:
    """A run of which the service lists these ids, "" for what has none, and that was configured so."""
    listed = [SimpleNamespace(identifier=SimpleNamespace(saved_id=one) if one else None) for one in lineage or ()]
    details = SimpleNamespace(input_datasets=listed if lineage else lineage, run_definition=definition)
    return SimpleNamespace(_client=SimpleNamespace(get_runstatus=lambda: details))


def dataset(**fields: str) -> Any:
    return {"dataLocation": {"dataset": fields}}


@pytest.mark.parametrize(
    ("lineage", "definition", "ids"),
    [
        (["1", "", "2", "1"], {"data": {"a": dataset(id="9")}}, ["1", "2"]),
        (None, {"data": {"a": dataset(id="9"), "b": dataset(id="8"), "c": dataset(id="9")}}, ["9", "8"]),
        ([], {"data": {"a": dataset(name="there", version="3"), "b": dataset(name="gone", version="1")}}, ["there:3"]),
        (
            [],
            {"data": {"a": None, "b": {}, "c": {"dataLocation": None}, "d": {"dataLocation": {}}, "e": dataset()}},
            [],
        ),
        ([], {"data": None}, []),
        ([], None, []),
    ],
)
def test_a_model_is_linked_to_the_data_that_its_run_read(
    monkeypatch: pytest.MonkeyPatch, lineage: list[str] | None, definition: Any, ids: list[str]
) -> None:
    def find(_: object, name: str, number: str) -> Any:
        there = SimpleNamespace(latest=SimpleNamespace(saved_dataset_id=f"{name}:{number}"))
        return there if name == "there" else None

    monkeypatch.setattr(datasets, "find_version", find)
    assert registration.input_datasets(WORKSPACE, run_that_read(lineage, definition)) == ids
