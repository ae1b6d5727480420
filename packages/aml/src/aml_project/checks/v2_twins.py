"""Do both generations of a model say the same? The files of azure_ml/ beside the runconfigs, where both name it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aml_project.command_line import Failure
from aml_project.runconfigs import reading
from aml_project.v2 import files
from aml_project.v2.files import File, section
from aml_project.v2.keys import Finding

Found = Iterator[tuple[File, Finding]]
WITH = "write the same in both"


def findings(folder: Path, there: dict[str, File]) -> Found:
    """What differs; nothing where a model has but one of the two, or where a file says it in a way of its own."""
    try:
        file = folder / "aml_config" / f"{files.RUNCONFIG}.runconfig"
        config = reading.read(file) if file.is_file() else {}
        served = files.read_served(folder)
    except Failure:
        return  # told where it is checked
    if config and (job := there.get(files.JOB)):
        yield from of_job(job, config)
    if config and (compute := there.get("compute.yml")):
        yield from of_compute(compute, config)
    for purpose, of in (("train", config), ("inference", served)):
        if of and (environment := there.get(f"environment-{purpose}.yml")):
            yield from of_environment(environment, of, folder, purpose)
    yield from of_names(there)


def of_job(job: File, config: dict[str, Any]) -> Found:
    said, source = job.content, f"{files.RUNCONFIG}.runconfig"
    if job.kind != "commandJob":
        return
    rows: list[tuple[tuple[str, ...], Any, Any, str]] = []
    if "compute" in said:
        rows.append((("compute",), said["compute"], f"azureml:{config.get('target')}", "target"))
    data = files.data_of(config)
    for name, entry in section(said, "inputs").items():
        if name in data and isinstance(entry, dict):
            rows.append((("inputs", name, "path"), entry.get("path"), data[name][0], f"data.{name}"))
            rows.append(
                (("inputs", name, "mode"), entry.get("mode", "ro_mount"), data[name][1], f"data.{name}.mechanism")
            )
    nodes = section(said, "resources").get("instance_count", 1)
    rows.append((("resources", "instance_count"), nodes, files.nodes_of(config), "nodeCount"))
    started = section(said, "distribution")
    wanted = files.distribution_of(config)
    if (started or wanted) and started != wanted:
        rows.append((("distribution",), words(started), words(wanted), "communicator and its processes"))
    script = str(config.get("script") or "train.py")
    if script not in str(said.get("command")):
        rows.append((("command",), " ".join(str(said.get("command")).split()), script, "script"))
    for place, here, other, key in rows:
        if here != other:
            yield job, Finding(place, f"is {here}, and {source} has {key}: {other}: {WITH}")


def words(distribution: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in distribution.items()) or "one process"


def of_compute(compute: File, config: dict[str, Any]) -> Found:
    said, source = compute.content, f"{files.RUNCONFIG}.runconfig"
    if said.get("name") != config.get("target"):
        yield (
            compute,
            Finding(("name",), f"is {said.get('name')}, and {source} has target: {config.get('target')}: {WITH}"),
        )
    most, nodes = said.get("max_instances"), files.nodes_of(config)
    if isinstance(most, int) and most < nodes:
        yield (
            compute,
            Finding(("max_instances",), f"is {most}, and {source} has nodeCount: {nodes}: write {nodes} or more"),
        )


def of_environment(environment: File, config: dict[str, Any], folder: Path, purpose: str) -> Found:
    said, wanted = environment.content, section(config, "environment")
    source = f"{files.RUNCONFIG}.runconfig" if purpose == "train" else files.INFERENCE
    name = files.environment_name(config, folder.name, purpose)
    if said.get("name") != name:
        yield (
            environment,
            Finding(("name",), f"is {said.get('name')}, and {source} has environment.name: {name}: {WITH}"),
        )
    image = section(wanted, "docker").get("baseImage")
    if image and "image" in said and said["image"] != image:
        yield environment, Finding(("image",), f"is {said['image']}, and {source} has baseImage: {image}: {WITH}")
    conda = section(wanted, "python").get("condaDependenciesFile")
    written = said.get("conda_file")
    if conda and isinstance(written, str):
        path = os.path.relpath((environment.path.parent / written).resolve(), folder.resolve())
        if path != os.path.normpath(conda):
            yield (
                environment,
                Finding(("conda_file",), f"is {path}, and {source} has condaDependenciesFile: {conda}: {WITH}"),
            )


def of_names(there: dict[str, File]) -> Found:
    """What one file of azure_ml/ calls another."""
    job, data = there.get(files.JOB), there.get("data.yml")
    if job and data:
        dataset, version = data.content.get("name"), data.content.get("version")
        for key, entry in section(job.content, "inputs").items():
            path = str(entry.get("path")) if isinstance(entry, dict) else ""
            called, _, asked = path.removeprefix("azureml:").partition(":")
            if called == dataset and asked and version is not None and asked != str(version):
                yield data, Finding(("version",), f"is {version}, and job.yml reads {key} by {path}: {WITH}")
    for kind in ("", "batch-"):
        endpoint, deployment = there.get(f"{kind}endpoint.yml"), there.get(f"{kind}deployment.yml")
        if endpoint and deployment:
            name, wanted = endpoint.content.get("name"), deployment.content.get("endpoint_name")
            if wanted and name != wanted:
                problem = f"is {wanted}, and {kind}endpoint.yml has name: {name}: {WITH}"
                yield deployment, Finding(("endpoint_name",), problem)
