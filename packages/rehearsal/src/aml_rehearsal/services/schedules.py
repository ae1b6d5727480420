"""Schedules of published pipelines: when each is due, and the runs that they start while a rehearsal runs."""

from __future__ import annotations

import calendar
import sys
import threading
from datetime import datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from aml_rehearsal import dataset_files
from aml_rehearsal.messages import Refusal
from aml_rehearsal.services import datastores
from aml_rehearsal.services.pipeline_records import ACTIVE, find, kept
from aml_rehearsal.services.pipeline_runs import PipelineRun, of_published
from aml_rehearsal.state import Record
from aml_rehearsal.workspace import Workspace

LOOK = 1.0  # seconds between two looks at the clock
FREQUENCIES = ("Minute", "Hour", "Day", "Week", "Month")
DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
POLLING = 5  # minutes between two looks at a datastore
TOO_FAR = 5000  # days and intervals that are tried for one that fits
# The client names time zones as Windows does.
ZONES = {
    "GMT Standard Time": "Europe/London", "W. Europe Standard Time": "Europe/Berlin",
    "Romance Standard Time": "Europe/Paris", "Central Europe Standard Time": "Europe/Budapest",
    "Central European Standard Time": "Europe/Warsaw", "E. Europe Standard Time": "Europe/Chisinau",
    "FLE Standard Time": "Europe/Kiev", "GTB Standard Time": "Europe/Bucharest",
    "Turkey Standard Time": "Europe/Istanbul", "Russian Standard Time": "Europe/Moscow",
    "Eastern Standard Time": "America/New_York", "Central Standard Time": "America/Chicago",
    "Mountain Standard Time": "America/Denver", "US Mountain Standard Time": "America/Phoenix",
    "Pacific Standard Time": "America/Los_Angeles", "Alaskan Standard Time": "America/Anchorage",
    "Hawaiian Standard Time": "Pacific/Honolulu", "Atlantic Standard Time": "America/Halifax",
    "E. South America Standard Time": "America/Sao_Paulo", "Argentina Standard Time": "America/Buenos_Aires",
    "South Africa Standard Time": "Africa/Johannesburg", "Egypt Standard Time": "Africa/Cairo",
    "Israel Standard Time": "Asia/Jerusalem", "Arabian Standard Time": "Asia/Dubai",
    "India Standard Time": "Asia/Kolkata", "China Standard Time": "Asia/Shanghai",
    "SE Asia Standard Time": "Asia/Bangkok", "Singapore Standard Time": "Asia/Singapore",
    "Korea Standard Time": "Asia/Seoul", "Tokyo Standard Time": "Asia/Tokyo",
    "W. Australia Standard Time": "Australia/Perth", "AUS Eastern Standard Time": "Australia/Sydney",
    "New Zealand Standard Time": "Pacific/Auckland",
}  # fmt: skip


def pipeline_of(workspace: Workspace, endpoint_id: str, version: str | None = None) -> str:
    """The pipeline that an endpoint stands for."""
    record = find(workspace, "PipelineEndpoints", endpoint_id)
    version = version or record["DefaultVersion"]
    for known in record["PipelineVersionList"]:
        if known["Version"] == version:
            return str(known["PipelineId"])
    raise Refusal(404, f"The pipeline endpoint {record['Name']} has no version {version}.")


def planned(workspace: Workspace, wish: Record) -> Record:
    """What a new schedule begins with: refused where it could never start a run."""
    target(workspace, wish)
    begun = {"ProvisioningStatus": "1", "since": workspace.clock().isoformat()}
    if wish.get("Recurrence"):
        zone(wish["Recurrence"])
        return begun
    return begun | {"seen": blobs(workspace, wish["DataStoreTriggerInfo"])}


def target(workspace: Workspace, schedule: Record) -> str:
    """The pipeline that a schedule is for."""
    if schedule.get("PipelineEndpointId"):
        return pipeline_of(workspace, schedule["PipelineEndpointId"])
    return str(find(workspace, "Pipelines", schedule["PipelineId"])["Id"])


def zone(recurrence: Record) -> tzinfo:
    name = recurrence.get("TimeZone") or "UTC"
    try:
        return timezone.utc if name == "UTC" else ZoneInfo(ZONES[name])
    except (KeyError, ZoneInfoNotFoundError):
        raise Refusal(501, f"The rehearsal does not know the time zone {name}: try UTC.", "NotImplemented") from None


# --------------------------------------------------------------------------------------------------- when it is due


def following(recurrence: Record, after: datetime, *, since: datetime) -> datetime:
    """When a schedule that was made at some time is due next; the first time at once, if it names no start."""
    at_home = zone(recurrence)
    frequency = str(recurrence["Frequency"])
    frequency = FREQUENCIES[int(frequency)] if frequency.isdigit() else frequency
    given, times = recurrence.get("StartTime"), recurrence.get("Schedule") or {}
    start = since.astimezone(at_home)
    if given:
        start = datetime.fromisoformat(given.rstrip("Z")).replace(tzinfo=at_home)
    every, after = max(1, int(recurrence.get("Interval") or 1)), after.astimezone(at_home)
    if not given and after < start:
        return start  # it was not started yet
    if any(times.get(name) for name in ("Hours", "Minutes", "WeekDays")):
        return among(times, frequency, every, start, after)
    if given and start > after:
        return start
    return stepped(frequency, every, start, after)


def stepped(frequency: str, every: int, start: datetime, after: datetime) -> datetime:
    """The first after some time of those that follow each other from the start on."""
    if frequency == "Month":
        months = max(0, (after.year - start.year) * 12 + after.month - start.month) // every * every
        while (found := month_later(start, months)) <= after:
            months += every
        return found
    length = {"Minute": 60, "Hour": 3600, "Day": 86400, "Week": 7 * 86400}[frequency] * every
    return start + timedelta(seconds=length * (int((after - start).total_seconds() // length) + 1))


def month_later(start: datetime, months: int) -> datetime:
    year, month = divmod(start.month - 1 + months, 12)
    last = calendar.monthrange(start.year + year, month + 1)[1]
    return start.replace(year=start.year + year, month=month + 1, day=min(start.day, last))


def among(times: Record, frequency: str, every: int, start: datetime, after: datetime) -> datetime:
    """The first after some time, on the days and at the hours that were named."""
    days = {DAYS[int(day)] if str(day).isdigit() else str(day) for day in times.get("WeekDays") or []}
    hours, minutes = times.get("Hours") or [start.hour], times.get("Minutes") or [start.minute]
    first = start.replace(hour=0, minute=0, second=0, microsecond=0)
    day = max(first, after.replace(hour=0, minute=0, second=0, microsecond=0))
    for _ in range(TOO_FAR):
        passed = (day.date() - first.date()).days
        turn = passed // 7 if frequency == "Week" else passed
        named = DAYS[(day.weekday() + 1) % 7] in (days or ({DAYS[(start.weekday() + 1) % 7]}))
        if turn % every == 0 and (named or (frequency == "Day" and not days)):
            due = sorted(day.replace(hour=hour, minute=minute) for hour in hours for minute in minutes)
            for found in due:
                if found > after and found >= start:
                    return found
        day = (day + timedelta(days=1)).replace(hour=0, minute=0)
    raise Refusal(400, f"The schedule is never due: {times}")


# ------------------------------------------------------------------------------------------------ what it then starts


def watch(workspace: Workspace, over: threading.Event) -> None:
    """Start what is due, until the rehearsal ends. What was due while none ran has passed."""
    with workspace.state.lock:
        for schedule in kept(workspace, "Schedules").values():
            if schedule.get("Recurrence"):
                go_on(workspace, schedule)
    while not over.wait(LOOK):
        with workspace.state.lock:
            active = [key for key, one in kept(workspace, "Schedules").items() if one["EntityStatus"] in ACTIVE]
        for key in active:
            look(workspace, key)


def go_on(workspace: Workspace, schedule: Record) -> None:
    """Let a schedule count from now on: it was not watched, or was another one."""
    schedule["looked"] = workspace.clock().isoformat()


def look(workspace: Workspace, key: str) -> None:
    """Start the runs of one schedule that are due, and remember until when it was looked at."""
    with workspace.state.lock:
        schedule, moment = find(workspace, "Schedules", key), workspace.clock()
        try:
            recurrence = schedule.get("Recurrence")
            fired = due_by_time(schedule, moment) if recurrence else due_by_data(workspace, schedule, moment)
            for values in fired:
                fire(workspace, schedule, values)
        except Refusal as refusal:  # the next time comes
            print(f"The schedule {schedule['Name']} has started no run: {refusal}", file=sys.stderr)


def due_by_time(schedule: Record, moment: datetime) -> list[Record]:
    """Once, however many times have passed since the last look."""
    since = datetime.fromisoformat(schedule["since"])
    before = schedule.get("looked")
    after = datetime.fromisoformat(before) if before else since - timedelta(microseconds=1)
    if following(schedule["Recurrence"], after, since=since) > moment:
        return []
    schedule["looked"] = moment.isoformat()
    return [{}]


def due_by_data(workspace: Workspace, schedule: Record, moment: datetime) -> list[Record]:
    """Once for each blob that has come or changed since the last look, in the folder itself."""
    trigger = schedule["DataStoreTriggerInfo"]
    after = datetime.fromisoformat(schedule.get("looked") or schedule["since"])
    if moment < after + timedelta(minutes=trigger.get("PollingInterval") or POLLING):
        return []
    schedule["looked"] = moment.isoformat()
    seen, now = schedule.get("seen") or {}, blobs(workspace, trigger)
    schedule["seen"] = now
    changed = sorted(name for name, etag in now.items() if seen.get(name) != etag)
    name = trigger.get("DataPathParameterName")
    path = {"DataStoreName": trigger["DataStoreName"]}
    return [{"DataPathAssignments": {name: path | {"RelativePath": blob}}} if name else {} for blob in changed]


def blobs(workspace: Workspace, trigger: Record) -> dict[str, str]:
    """What lies in the folder of a datastore that is watched, not below its own folders, and in which state."""
    folder = (trigger.get("PathOnDataStore") or "").strip("/")
    prefix = f"{folder}/" if folder else ""
    place = dataset_files.Place(workspace, datastores.find(workspace, trigger["DataStoreName"]))
    return {blob.name: str(blob.etag) for blob in place.listed(prefix) if "/" not in blob.name[len(prefix) :]}


def fire(workspace: Workspace, schedule: Record, values: Record) -> None:
    wish: Record = dict(schedule.get("PipelineSubmissionInfo") or {})
    for name, given in values.items():
        wish[name] = (wish.get(name) or {}) | given
    wish |= {"RunType": "Schedule", "RunSource": "Schedule", "ScheduleId": schedule["Id"]}
    record = of_published(workspace, target(workspace, schedule), wish)
    try:
        PipelineRun(workspace, record).start()
    except Refusal:
        del kept(workspace, "PipelineRuns")[record["Id"]]
        raise
