"""All checks of one model: each runconfig, the files that it names, and what of the folder goes to a run."""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aml_project.checks import pipeline_rules, runconfig_rules, script_arguments, search_rules, v2_rules
from aml_project.checks.client_loader import Client
from aml_project.command_line import Failure
from aml_project.runconfigs import deployment_files as config_files
from aml_project.runconfigs import environment as runconfig_environment
from aml_project.runconfigs.environment_version import is_ours
from aml_project.runconfigs.file import Unreadable, read_mapping
from aml_project.runconfigs.schema import Reading, camel_case, nearest
from aml_project.snapshot import whole as snapshot

CONDA_KEYS = ("name", "channels", "dependencies", "prefix", "variables")  # the client refuses any other
MAX_SCRIPT = 1_000_000
PYTHON = re.compile(r"python\s*==?\s*([\d.]+?)(\.\*)?")


@dataclass
class Checked:
    """What was found about a model, and how much there was to look at."""

    findings: list[str] = field(default_factory=list)
    runconfigs: int = 0
    files: int = 0
    size: int = 0


def check_model(root: Path, model: str, config: str | None, client: Client) -> Checked:
    """Check a model of the repo with all its runconfigs, or one of them."""
    folder, checked = root / "models" / model, Checked()
    found = checked.findings
    if not folder.is_dir():
        found.append(f"models/{model}: no such folder: name one of models/")
        return checked
    taken = snapshot.take(folder)
    checked.files, checked.size = len(taken.files), taken.size
    names = []
    try:
        names = list(_runconfigs(folder))
        if config is not None:
            wanted = (config, f"{config}.runconfig")
            there = ", ".join(name.removesuffix(".runconfig") for name in names)
            names = [name for name in names if name in wanted][:1]
            if not names:
                found.append(f"models/{model}/aml_config: no runconfig {config!r}: take one of {there or 'none'}")
        found += [f"models/{model}/{line}" for line in _layout(folder)]
    except OSError as error:
        found.append(f"models/{model}/aml_config: {error.strerror}: make it readable")
    readings: dict[str, dict[str, Any]] = {}
    for name in names:
        label = f"models/{model}/aml_config/{name}"
        reading, lines = _check_runconfig(root, folder, folder / "aml_config" / name)
        if reading is not None:
            lines += _check_script(folder, reading, taken)
            readings[name] = reading.config
        found += [f"{label}: {line}" for line in lines]
        if not lines:
            client.ask(label, folder, name)  # of a file that is at fault it may only say something else
    checked.runconfigs = len(names)
    scripts = {str(reading.get("script")) for reading in readings.values() if reading.get("script")}
    if config is None:
        scripts |= pipeline_rules.scripts(folder)
    found += [f"models/{model}/{line}" for line in _check_code(folder, scripts, taken)]
    found += taken.lines(f"models/{model}")
    if config is None:
        found += [f"models/{model}/aml_config/{line}" for line in _agreements(folder, readings)]
        found += [f"models/{model}/{line}" for line in config_files.findings(folder)]
        found += [f"models/{model}/{line}" for line in search_rules.findings(folder)]
        found += [f"models/{model}/{line}" for line in pipeline_rules.findings(folder, taken)]
        found += [f"models/{model}/{line}" for line in v2_rules.findings(folder)]
    return checked


def _runconfigs(folder: Path) -> Iterator[str]:
    """The files of aml_config/ that `-c` can name; the client itself writes them without a suffix."""
    for file in sorted((folder / "aml_config").iterdir()) if (folder / "aml_config").is_dir() else []:
        if file.suffix == ".runconfig" or (not file.suffix and not file.name.startswith(".") and not file.is_dir()):
            yield file.name


def _layout(folder: Path) -> Iterator[str]:
    """Places where the client looks for runconfigs, and does not."""
    names = list(_runconfigs(folder))
    if not (folder / "aml_config").is_dir() and (folder / ".aml_config").is_dir():
        yield "aml_config: renamed to .aml_config, as az ml folder attach does in a model's folder: rename it back"
    elif not names:
        yield "aml_config: no runconfig in it: write one, as in aml_config/train-local.runconfig"
    for name in names:
        if f"{name}.runconfig" in names:
            yield f"aml_config/{name}: the client takes this file for -c {name}, and not {name}.runconfig: remove one"
    if names:
        for file in sorted((folder / ".azureml").glob("*.runconfig")):
            yield f".azureml/{file.name}: the client does not look here while there is aml_config/: move it there"


def _check_runconfig(root: Path, folder: Path, file: Path) -> tuple[Reading | None, list[str]]:
    """Read and check a runconfig by itself."""
    try:
        raw = read_mapping(file)
    except Unreadable as error:
        return None, [f"{error}: mend the file"]
    for key, value in raw.items():
        if camel_case(key) == "environment" and isinstance(value, str):
            try:  # the section may be a file of its own
                raw[key] = read_mapping(folder / value)
            except (Unreadable, ValueError) as error:
                return None, [f"{key}: {value}: {error}: name a file of this model, or write the section here"]
    reading = Reading(raw)
    lines = list(reading.findings)
    lines += runconfig_rules.disagreements(reading.config, reading.doubtful, _vm_size(root, reading.config))
    if "environment" not in reading.doubtful:
        lines += _conda_file(folder, reading.config)
        lines += _registered_version(file, reading.config)
    return reading, lines


def _vm_size(root: Path, config: dict[str, Any]) -> str | None:
    """The VM that the run will have, where this repo says so."""
    if config.get("target") == "amlcompute":
        return runconfig_rules.section(config, "amlcompute").get("vmSize")
    try:
        answers = json.loads((root / ".cookiecutter.json").read_text(encoding="utf-8"))
        if isinstance(answers, dict) and answers.get("compute_name") == config.get("target"):
            return str(answers.get("vm_size") or "") or None
    except (OSError, ValueError, RecursionError):
        pass  # without the answers nothing is known about the cluster
    return None


def _conda_file(folder: Path, config: dict[str, Any]) -> Iterator[str]:
    """The packages: the client reads the file even where it has no use for it."""
    environment = runconfig_rules.section(config, "environment")
    python = runconfig_rules.section(environment, "python")
    place = "environment.python.condaDependenciesFile"
    name = python.get("condaDependenciesFile")
    if not name:
        if not (python.get("userManagedDependencies") or runconfig_rules.is_registered(environment)):
            yield f"{place}: missing, and the client takes packages of its own: write aml_config/train-conda.yml"
        return
    try:
        content = read_mapping(folder / name)
    except (Unreadable, ValueError) as error:
        yield f"{place}: {name}: {error}: name a conda file; its path begins at the model's folder"
        return
    for key in content:
        if key not in CONDA_KEYS:
            near = nearest(key, list(CONDA_KEYS))
            yield f"{place}: {name}: the client refuses the key {key!r}: {f'write {near}' if near else 'remove it'}"
    packages = content.get("dependencies", [])
    if not isinstance(packages, list):
        yield f"{place}: {name}: dependencies is no list: write one `- package` a line"
        return
    for item in packages:
        pip = item.get("pip") if isinstance(item, dict) else item
        ok = all(isinstance(package, str) for package in pip) if isinstance(pip, list) else isinstance(item, str)
        if not ok:
            what = f"dependencies: {str(item)[:60]!r} is no package"
            yield f"{place}: {name}: {what}: write `- package=version`, or `- pip:` and a list"


def _registered_version(file: Path, config: dict[str, Any]) -> Iterator[str]:
    """A version that `aml environment` has written stands for what the image was built from then."""
    written = runconfig_rules.section(config, "environment").get("version")
    if not is_ours(written):
        return
    try:
        use = runconfig_environment.resolve(file, file, config)
    except Failure as failure:
        yield f"environment.version: {failure}"
        return
    if use.nothing is None and use.version != written:
        yield (
            f"environment.version: is {written}, and what it was made of has changed since to {use.version}:"
            " make environment"
        )


def _check_script(folder: Path, reading: Reading, taken: snapshot.Snapshot) -> Iterator[str]:
    """The script is there, goes to the run, and takes its arguments."""
    name = reading.config.get("script")
    if not name or not reading.doubtful.isdisjoint(("script", "command")) or reading.config.get("command"):
        return
    path = _inside(folder, name)
    if path is None or not path.is_file():
        near = nearest(name, [file for file in taken.files if file.endswith(".py")])
        yield f"script: {name}: no such file in the model's folder: write {near or 'its path from there'}"
        return
    relative = path.relative_to(folder.resolve()).as_posix()
    if taken.complete and Path(name).as_posix() not in taken.files and relative not in taken.files:
        yield f"script: {name}: the ignore file keeps it from the run: take it out of .amlignore"
    tree = _parsed(path)
    if isinstance(tree, ast.Module) and "arguments" not in reading.doubtful:
        arguments = list(reading.config.get("arguments", []))
        lenient = any(runconfig_rules.PLACEHOLDER.search(text) for text in arguments)
        if refusal := script_arguments.refusal(tree, arguments, lenient=lenient, folder=folder):
            yield f"arguments: {name} refuses them: {refusal}: write what it takes (python {name} --help)"


def _check_code(folder: Path, scripts: set[str], taken: snapshot.Snapshot) -> Iterator[str]:
    """The scripts compile, and so do the modules of the folder that they import, which go to the run too."""
    waiting, seen = deque(sorted(scripts)), set(scripts)
    while waiting:
        name = waiting.popleft()
        path = _inside(folder, name)
        if path is None or not path.is_file():
            continue  # said where the script is named
        if name not in scripts and taken.complete and name not in taken.files:
            yield f"{name}: imported, but the ignore file keeps it from the run: take it out of .amlignore"
        tree = _parsed(path)
        if isinstance(tree, str):
            yield f"{name}: {tree}: mend it"
        if not isinstance(tree, ast.Module):
            continue
        for module in _imported(tree):
            for file in (f"{module.replace('.', '/')}.py", f"{module.replace('.', '/')}/__init__.py"):
                if file not in seen and (folder / file).is_file():
                    seen.add(file)
                    waiting.append(file)


def _inside(folder: Path, name: str) -> Path | None:
    """A file of the folder, whatever it is called; None for one outside."""
    try:
        path = (folder / name).resolve()
        return path if path.is_relative_to(folder.resolve()) else None
    except (OSError, ValueError, RuntimeError):
        return None


def _parsed(file: Path) -> ast.Module | str | None:
    """The code of a Python file, or what is wrong with it; nothing of another or a very large file."""
    try:
        if file.suffix != ".py" or file.stat().st_size > MAX_SCRIPT:
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(file.read_bytes())
            compile(tree, file.name, "exec", dont_inherit=True)
    except SyntaxError as error:
        return f"line {error.lineno}: {error.msg}" if error.lineno else str(error.msg)
    except (ValueError, RecursionError, MemoryError) as error:
        return f"does not compile: {error}"
    except OSError as error:
        return error.strerror or str(error)
    return tree


def _imported(tree: ast.Module) -> Iterator[str]:
    """The modules that a file imports, be it late, and the packages that they are in: what Python would look for."""
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            yield from (".".join(parts[:length]) for length in range(1, len(parts) + 1))


def _agreements(folder: Path, readings: dict[str, dict[str, Any]]) -> Iterator[str]:
    """What two files of a model say about the same thing."""
    versions: dict[str, dict[str, str]] = {}
    for name, config in readings.items():
        for entry in runconfig_rules.section(config, "data").values():
            dataset = runconfig_rules.section(entry, "dataLocation", "dataset")
            if dataset.get("name") and dataset.get("version"):
                versions.setdefault(dataset["name"], {}).setdefault(dataset["version"], name)
    for dataset_name, by_version in versions.items():
        if len(by_version) > 1:
            (one, first), (two, second), *_ = by_version.items()
            yield f"{second}: data: {dataset_name} is version {two} here and {one} in {first}: write the same"
    pythons = {
        name: _python_version(folder / "aml_config" / name) for name in ("train-conda.yml", "inference-conda.yml")
    }
    if None not in pythons.values() and len(set(pythons.values())) > 1:
        train, inference = pythons.values()
        yield (
            f"inference-conda.yml: dependencies: python={inference}, but train-conda.yml has python={train}:"
            " write the same, or the model may not load where it serves"
        )


def _python_version(conda_file: Path) -> str | None:
    try:
        packages = read_mapping(conda_file).get("dependencies")
    except Unreadable:
        return None
    for item in packages if isinstance(packages, list) else []:
        if isinstance(item, str) and (match := PYTHON.fullmatch(item.strip())):
            return match[1]
    return None
