"""A pipeline that others call: published, behind an address that stays, and on a schedule.

What is published is named by its content, an endpoint and its schedule by their names: the same call again finds each
of them, and makes only what is missing.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

from aml_project.command_line import DONE, SERVICE_FAILED, WRONG_USE, Failure, Progress, note
from aml_project.pipeline import azure_steps
from aml_project.pipeline.engines import Order, azure

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
UNITS = ("minute", "hour", "day", "week", "month")
WHEN = re.compile(rf"every (?:(\d+) )?({'|'.join(UNITS)})s?(?: at (\d\d?):(\d\d))?")
WEEKLY = re.compile(rf"every ({'|'.join(DAYS)})(?: at (\d\d?):(\d\d))?", re.IGNORECASE)
SHORT = {"hourly": "every hour", "daily": "every day", "weekly": "every week", "monthly": "every month"}
NEVER = "never"


class When(NamedTuple):
    """When a schedule is due: every so many units from the first time on, which is in UTC."""

    frequency: str
    interval: int
    first: datetime


def parse_when(text: str, now: datetime) -> When:
    """Read 'every day at 06:00', 'every 6 hours', 'every monday'; a ValueError says what is wrong."""
    said = SHORT.get(text.strip().lower(), " ".join(text.lower().split()))
    now = now.replace(second=0, microsecond=0)
    if found := WEEKLY.fullmatch(said):
        first = at(now, found[2], found[3])
        ahead = (DAYS.index(found[1].capitalize()) - first.weekday()) % 7
        first += timedelta(days=ahead)
        return When("Week", 1, first if first > now else first + timedelta(days=7))
    found = WHEN.fullmatch(said)
    if not found or found[1] == "0" or (found[3] and found[2] in ("minute", "hour")):
        forms = "every day at 06:00, every monday, every 6 hours, or never"
        raise ValueError(f"write it as {forms}; not {text!r}")
    unit, interval = found[2], int(found[1] or 1)
    length = timedelta(**{f"{'day' if unit == 'month' else unit}s": interval * (30 if unit == "month" else 1)})
    if not found[3]:
        return When(unit.capitalize(), interval, now + length)
    first = at(now, found[3], found[4])
    return When(unit.capitalize(), interval, first if first > now else first + timedelta(days=1))


def at(now: datetime, hour: str | None, minute: str | None) -> datetime:
    return now if hour is None else now.replace(hour=int(hour), minute=int(minute or 0))


def publish(order: Order) -> int:
    """Have the pipeline in the workspace to be called, and say how it is."""
    when = None
    if order.schedule and order.schedule != NEVER:
        try:
            when = parse_when(order.schedule, datetime.now(timezone.utc).replace(tzinfo=None))
        except ValueError as error:
            raise Failure(f"--schedule: {error}", WRONG_USE) from None
    endpoint_name = order.endpoint or (order.model if order.schedule else "")
    workspace = azure.connect(order)
    if order.schedule == NEVER:
        end_schedule(workspace, endpoint_name)
        return DONE
    try:
        published = have_published(workspace, order)
        parameters = ", ".join(map(azure_steps.key, [*azure_steps.read_inputs(order), *order.pipeline.parameters]))
        print(f"Published: {published.name}, version {published.version}; parameters: {parameters or 'none'}")
        if not endpoint_name:
            print(f"To be called at {published.endpoint}")
            return DONE
        endpoint = have_endpoint(workspace, endpoint_name, published)
        print(f"Endpoint {endpoint.name}, default version {endpoint.default_version}: {endpoint.endpoint}")
        if when:
            have_schedule(workspace, order, endpoint, when)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("Interrupted; the same command again makes what is missing.") from None
    return DONE


def provider_of(workspace: Any) -> Any:
    return azure.provider(workspace, "")


def make_once(workspace: Any, what: str, find: Any, make: Any) -> Any:
    """Find something, or make it; whatever happens on the way, it is there once."""
    from aml_project.service.asking import ask
    from aml_project.service.errors import explain, is_no_refusal

    def looked() -> Any:
        return ask(workspace, find)

    with Progress(f"Making the {what}"), azure.quiet_output():
        try:
            return looked() or ask(workspace, make, passes=is_no_refusal, find=looked, makes=what)
        except Failure:
            raise
        except Exception as error:
            raise Failure(f"the {what} was not made: {explain(error)}", SERVICE_FAILED) from error


def have_published(workspace: Any, order: Order) -> Any:
    """The pipeline as it is now, published (azureml.pipeline.core.PublishedPipeline)."""
    from azureml.pipeline.core import PublishedPipeline

    version = azure.fingerprint(order)[:12]

    def find() -> Any:
        known = PublishedPipeline.list(workspace)
        return next((one for one in known if (one.name, one.version) == (order.model, version)), None)

    made: list[Any] = []

    def make() -> Any:
        made[:] = made or [azure.built(order, workspace, azure.kept_in(order) / azure.CODE)]
        return made[0].publish(order.model, f"pipeline.yml of {order.model}", version)

    return make_once(workspace, "published pipeline", find, make)


def have_endpoint(workspace: Any, name: str, published: Any) -> Any:
    """The endpoint of that name, with what was published as its default."""
    from azureml.pipeline.core import PipelineEndpoint

    from aml_project.service.asking import ask

    def find() -> Any:
        return find_endpoint(workspace, name)

    def make() -> Any:
        about = f"Stands for the newest {published.name}"
        return PipelineEndpoint.publish(workspace, name, about, published, _workflow_provider=provider_of(workspace))

    endpoint = make_once(workspace, "endpoint", find, make)
    versions = {one.pipeline_id: one.version for one in endpoint.pipeline_version_list}
    if versions.get(published.id) == endpoint.default_version:
        return endpoint

    def lead() -> Any:
        newest = find_endpoint(workspace, name)
        known = [one.pipeline_id for one in newest.pipeline_version_list]
        (newest.set_default if published.id in known else newest.add_default)(published)
        return find_endpoint(workspace, name)

    return ask(workspace, lead, makes="default version")


def find_endpoint(workspace: Any, name: str) -> Any:
    from azureml.pipeline.core import PipelineEndpoint

    from aml_project.service.errors import status_in

    try:
        return PipelineEndpoint.get(workspace, name=name, _workflow_provider=provider_of(workspace))
    except Exception as error:
        if status_in(error) == 404:
            return None
        raise


def name_of_schedule(endpoint_name: str) -> str:
    return f"{endpoint_name} by itself"


def find_schedule(workspace: Any, endpoint_name: str) -> Any:
    from azureml.pipeline.core import Schedule

    wanted = name_of_schedule(endpoint_name)
    known = Schedule.list(workspace, active_only=True, _workflow_provider=provider_of(workspace))
    return next((one for one in known if one.name == wanted), None)


def have_schedule(workspace: Any, order: Order, endpoint: Any, when: When) -> None:
    """Let the endpoint run by itself."""
    from azureml.pipeline.core import Schedule, ScheduleRecurrence

    from aml_project.service.asking import ask

    recurrence = ScheduleRecurrence(when.frequency, when.interval, start_time=when.first)

    def make() -> Any:
        return Schedule.create_for_pipeline_endpoint(
            workspace, name_of_schedule(endpoint.name), endpoint.id, order.experiment, recurrence=recurrence,
            description=order.schedule, _workflow_provider=provider_of(workspace),
        )  # fmt: skip

    schedule = make_once(workspace, "schedule", lambda: find_schedule(workspace, endpoint.name), make)
    if schedule.description != order.schedule:
        ask(workspace, lambda: schedule.update(recurrence=recurrence, description=order.schedule), makes="other times")
    elif schedule.recurrence.start_time != recurrence.start_time:
        note("the schedule is there already, and stays as it is")
        return
    print(
        f"Scheduled {order.schedule}, in UTC, the first time {when.first:%Y-%m-%d %H:%M}; to end it: --schedule never"
    )


def end_schedule(workspace: Any, endpoint_name: str) -> None:
    from aml_project.service.asking import ask

    schedule = ask(workspace, lambda: find_schedule(workspace, endpoint_name))
    if schedule is None:
        raise Failure(f"--schedule never: {endpoint_name} has none")
    ask(workspace, schedule.disable)
    print(f"{endpoint_name} no longer runs by itself")
