"""Modules, parameters that are data, and schedules of pipelines: by the real client; when a schedule is due."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from callers import Caller, Client
from test_pipelines import BUILD

from aml_rehearsal import Rehearsal
from aml_rehearsal.messages import Refusal
from aml_rehearsal.services import schedules

PARTS = (
    BUILD
    + """
from azureml.data.datapath import DataPath, DataPathComputeBinding
def read(parameter):
    return (parameter, DataPathComputeBinding(mode="mount"))
"""
)


def test_modules(rehearsal: Rehearsal, client: Client) -> None:
    """Published in versions, found by name and by id, and used as steps."""
    rehearsal.workspace.blobs.write("azureml-blobstore", "for-modules/a.csv", b"a ")
    answer = client(
        PARTS
        + """
from azureml.pipeline.core import Module, ModuleVersion
from azureml.pipeline.core.graph import InputPortDef, OutputPortDef
from azureml.pipeline.steps import ModuleStep
own = Module.create(ws, "copies", "copies tables")
reads = InputPortDef("reads", default_datastore_mode="mount", default_data_reference_name=store.name, label="tables")
writes = OutputPortDef("writes", default_datastore_name=store.name, default_datastore_mode="mount")
def publish(version, text, **options):
    return own.publish_python_script("copy.py", "a copy", [reads], [writes], {"say": text}, version=version,
                                     source_directory="src", runconfig=run_config, **options,
                                     arguments=["--in", reads, "--out", writes, "--say", text])
publish("1", "one")
publish("2", "two", is_default=True)
answer["again"] = refused(lambda: Module.create(ws, "copies", "once more"))
answer["same"] = refused(lambda: publish("2", "two"))
found = Module.get(ws, name="copies")
answer["found"] = [found.name, found.description, found.status, found.default_version,
                   sorted(one.version for one in found.module_version_list())]
answer["by id"] = Module.get(ws, module_id=found.id).name
version = ModuleVersion.get(ws, found.get_default().module_version_id)
answer["version"] = [version.version, version.module().name]
def used(version):
    made = PipelineData("made", datastore=store)
    source = DataReference(store, "tables", "for-modules")
    return ModuleStep(found, version=version, inputs_map={"reads": source}, outputs_map={"writes": made},
                      compute_target="cpu-cluster", runconfig=run_config,
                      arguments=["--in", source, "--out", made, "--say", f"by {version}"])
run = experiment.submit(Pipeline(ws, [used("1"), used(None)]))
answer["ended"] = run.wait_for_completion(show_output=False)
answer["made"] = sorted(content(child, "writes")[0] for child in run.get_steps())
found.set_default_version("1")
found.disable()
again = Module.get(ws, module_id=found.id)
answer["changed"] = [again.default_version, again.status]
"""
    )
    assert "copies exists" in answer["again"]
    assert "already exist" in answer["same"]
    assert answer["found"] == ["copies", "copies tables", "Active", "2", ["1", "2"]]
    assert answer["by id"] == "copies"
    assert answer["version"] == ["2", "copies"]
    assert answer["ended"] == "Finished"
    assert answer["made"] == ["a by 1", "a by None"]
    assert answer["changed"] == ["1", "Disabled"]


def test_schedules_and_parameters_that_are_data(rehearsal: Rehearsal, client: Client, caller: Caller) -> None:
    """A schedule of time starts at once and then when it is due, one of data when a blob comes."""
    write = rehearsal.workspace.blobs.write
    write("azureml-blobstore", "for-parameters/a/a.csv", b"a")
    write("azureml-blobstore", "for-parameters/b/b.csv", b"b")
    write("azureml-blobstore", "for-schedules/old.csv", b"old")
    answer = client(
        PARTS
        + """
place = PipelineParameter("place", DataPath(store, "for-parameters/a"))
made = OutputFileDatasetConfig("made", (store, "by-schedules/{run-id}"))
read = read(place)
one = step("one", ["--in", read, "--out", made], inputs=[read])
pipeline = Pipeline(ws, [one])
def result(run):
    return [run.wait_for_completion(show_output=False), *content(run.find_step_run("one")[0], "made")]
answer["default"] = result(experiment.submit(pipeline))
other = {"place": DataPath(store, "for-parameters/b")}
answer["given"] = result(experiment.submit(pipeline, pipeline_parameters=other))
published = pipeline.publish("for schedules", "waits")
daily = Schedule.create(ws, "daily", published.id, "scheduled", recurrence=ScheduleRecurrence("Day", 1))
blobs = Schedule.create(ws, "on data", published.id, "scheduled", datastore=store, polling_interval=7,
                        data_path_parameter_name="place", path_on_datastore="for-schedules")
far = "2999-01-01T00:00:00"
later = Schedule.create(ws, "later", published.id, "scheduled", recurrence=ScheduleRecurrence("Week", 1, far))
answer["ids"] = {one.name: one.id for one in Schedule.list(ws, active_only=True)}
later.update(name="last", recurrence=ScheduleRecurrence("Month", 2, far))
later = Schedule.get(ws, later.id)
answer["later"] = [later.name, later.recurrence.frequency, later.get_last_pipeline_run()]
later.disable()
answer["disabled"] = [Schedule.get(ws, later.id).status, len(Schedule.list(ws)),
                      len(Schedule.list(ws, active_only=False))]
later.enable()
answer["enabled"] = Schedule.get(ws, later.id).status
answer["of pipeline"] = len(Schedule.get_schedules_for_pipeline_id(ws, published.id))
"""
    )
    assert answer["default"] == ["Finished", "a"]
    assert answer["given"] == ["Finished", "b"]
    assert answer["later"] == ["last", "Month", None]
    assert answer["disabled"] == ["Disabled", 2, 3]
    assert (answer["enabled"], answer["of pipeline"]) == ("Active", 3)
    ids = answer["ids"]

    def runs(name: str) -> list[dict[str, Any]]:
        status, listed = caller.ask("GET", f"/pipelines/v1.0SCOPE/PipelineRuns/Schedule/{ids[name]}")
        assert status == 200
        return [run for run in listed if run["Status"]["StatusCode"] == "Finished"]

    def outputs(name: str) -> list[bytes]:
        places = [place for run in runs(name) for place in run["outputs"].values()]
        found = [f"{place['made']['path']}/made.csv" for place in places]
        return [rehearsal.workspace.blobs.read("azureml-blobstore", path) for path in found]

    caller.until(lambda: len(runs("daily")) == 1)
    write("azureml-blobstore", "for-schedules/new.csv", b"new")
    write("azureml-blobstore", "for-schedules/deeper/not.csv", b"not")
    rehearsal.put_clock_forward(minutes=8)
    caller.until(lambda: len(runs("on data")) == 1)
    assert outputs("on data") == [b"new"]
    rehearsal.put_clock_forward(days=1)
    caller.until(lambda: len(runs("daily")) == 2)
    assert outputs("daily") == [b"a", b"a"]
    assert runs("later") == []
    last = caller.ask("GET", f"/pipelines/v1.0SCOPE/PipelineRuns/Schedule/{ids['daily']}/Last")[1]
    assert last["Id"] == runs("daily")[-1]["Id"]
    assert (last["RunType"], last["RunHistoryExperimentName"]) == ("Schedule", "scheduled")
    for one in ids.values():
        caller.ask("PUT", f"/pipelines/v1.0SCOPE/Schedules/{one}", {"EntityStatus": "1"})


MONDAY = datetime(2030, 7, 1, 10, 30, tzinfo=timezone.utc)


def times(count: int, **recurrence: Any) -> list[str]:
    """When a schedule that was made on that Monday is due."""
    found: list[str] = []
    after = datetime(2030, 7, 1, 10, 29, tzinfo=timezone.utc)
    for _ in range(count):
        after = schedules.following(recurrence, after, since=MONDAY).astimezone(timezone.utc)
        found.append(f"{after:%m-%d %H:%M}")
    return found


@pytest.mark.parametrize(
    ("recurrence", "due"),
    [
        ({"Frequency": "Minute", "Interval": 15}, ["07-01 10:30", "07-01 10:45", "07-01 11:00"]),
        ({"Frequency": "0", "Interval": 15}, ["07-01 10:30", "07-01 10:45", "07-01 11:00"]),
        ({"Frequency": "Hour", "Interval": 1, "StartTime": "2030-01-01T12:55:00"}, ["07-01 10:55", "07-01 11:55"]),
        ({"Frequency": "Day", "Interval": 2, "StartTime": "2030-07-04T08:00:00"}, ["07-04 08:00", "07-06 08:00"]),
        ({"Frequency": "Month", "Interval": 1, "StartTime": "2030-05-31T09:00:00"}, ["07-31 09:00", "08-31 09:00"]),
        ({"Frequency": "Month", "Interval": 3, "StartTime": "2030-06-30T09:00:00"}, ["09-30 09:00", "12-30 09:00"]),
        (
            {"Frequency": "Day", "Interval": 1, "Schedule": {"Hours": [6, 18], "Minutes": [15]}},
            ["07-01 10:30", "07-01 18:15", "07-02 06:15"],
        ),
        (
            {"Frequency": "Week", "Interval": 1, "Schedule": {"WeekDays": ["Friday", "Monday"], "Hours": [11]}},
            ["07-01 10:30", "07-01 11:30", "07-05 11:30", "07-08 11:30"],
        ),
        (
            {
                "Frequency": "Day",
                "Interval": 1,
                "StartTime": "2030-07-01T08:00:00",
                "TimeZone": "W. Europe Standard Time",
            },
            ["07-02 06:00", "07-03 06:00"],
        ),
    ],
)
def test_when_a_schedule_is_due(recurrence: dict[str, Any], due: list[str]) -> None:
    assert times(len(due), **recurrence) == due


def test_a_time_zone_that_is_not_known_is_refused() -> None:
    with pytest.raises(Refusal, match="Dateline Standard Time"):
        times(1, Frequency="Day", TimeZone="Dateline Standard Time")
