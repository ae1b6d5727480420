"""Submit a model's run, follow its log, and write run.json once it has completed.

    aml submit --model model1 -c train-amlcompute

What `az ml run submit-script` does, with a check before and without a second run after an interruption.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from aml_project.api import plan_run, project_of
from aml_project.command_line import DONE, Parser, run
from aml_project.project import attached_name

TYPE_CHECKING = False  # typing's own costs its import
if TYPE_CHECKING:
    from typing import Any

    from aml_project.api import Model

EXAMPLE = """  aml submit -c train-local
  aml submit -c train-amlcompute -- --seed 1"""


def main(argv: list[str] | None = None) -> int:
    parser = Parser("Submit a model's run, follow its log, and write run.json once it has completed.", EXAMPLE)
    parser.add_argument("--model", help="a folder of models/ (default: the only one there is)")
    parser.add_argument(
        "-c", "--run-configuration-name", dest="config", default="train-amlcompute", metavar="CONFIG",
        help="a runconfig of the model's aml_config/ (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "-e", "--experiment-name", dest="experiment", metavar="NAME", help="(default: the model's name)"
    )
    parser.add_argument(
        "-t", "--output-metadata-file", dest="run_file", type=Path, metavar="FILE",
        help="where the run is noted for its registration (default: run.json in the model's folder)",
    )  # fmt: skip
    parser.add_argument("--async", dest="wait", action="store_false", help="do not wait for the end of the run")
    parser.add_argument(
        "--docker", choices=("auto", "yes", "no"), default="auto",
        help="for a run on this computer: auto takes Docker where its daemon answers (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--skip-check", action="store_true", help="do without the check that comes first")
    parser.add_argument("--dry-run", action="store_true", help="say what would be submitted, and submit nothing")
    parser.add_argument("arguments", nargs="*", help="after --: more arguments for the script")
    return run(submit, parser, argv)


def submit(args: argparse.Namespace) -> int:
    model = project_of(args).model(args.model)
    run_file = args.run_file or model.folder / "run.json"
    if args.dry_run:
        return describe(model, args, run_file)
    names = ("config", "arguments", "wait", "experiment", "run_file", "docker", "skip_check")
    model.submit(**{name: getattr(args, name) for name in names})
    register = register_command(model, run_file)
    if args.wait:
        print(f"\nCompleted: {show(model, run_file)}. Next: {register}")
    else:
        follow = register.replace("make register", "make wait", 1)
        print(f"Submitted, not waited for: {show(model, run_file)}. Next: {follow}, then {register}")
    return DONE


def describe(model: Model, args: argparse.Namespace, run_file: Path) -> int:
    """Say what would be submitted, from the files alone."""
    from aml_project.runconfigs import reading
    from aml_project.snapshot import preview

    file, experiment = plan_run(model.folder, args.config, args.experiment)
    config, files = reading.read(file), preview.read_files(model.folder)
    if files is None:
        from aml_project.snapshot import whole as snapshot

        files = snapshot.take_whole(model.folder).files
    arguments = [*as_list(config.get("arguments")), *args.arguments]
    rows = {
        "workspace": attached_name(model.project.root),
        "experiment": experiment,
        "runconfig": show(model, file),
        "target": config.get("target"),
        "script": " ".join(map(str, [config.get("script") or config.get("command"), *arguments])),
        "data": ", ".join(datasets(config)) or "none",
        "snapshot": f"{len(files)} files, {sum(files.values())} bytes",
        "run file": show(model, run_file),
    }
    print("Would submit, and submits nothing:")
    for name, value in rows.items():
        print(f"  {name:11}{value}")
    return DONE


def datasets(config: dict[str, Any]) -> list[str]:
    """List the data that a runconfig asks for."""
    found = []
    data = config.get("data")
    for name, entry in data.items() if isinstance(data, dict) else ():
        try:
            dataset = entry["dataLocation"]["dataset"]
            what = f"{dataset['name']}:{dataset.get('version', 'latest')}" if "name" in dataset else dataset["id"]
        except (KeyError, TypeError):
            what = str(name)
        direct = isinstance(entry, dict) and str(entry.get("mechanism")).lower() == "direct"
        place = ", brought by the script" if direct else f" at {entry.get('pathOnCompute')}"
        found.append(f"{what}{place}" if isinstance(entry, dict) else what)
    return found


def as_list(value: object) -> list[Any]:
    return value if isinstance(value, list) else str(value).split() if value else []


def show(model: Model, path: Path) -> str:
    """Write a path as one would type it here."""
    return os.path.relpath(path) if path.is_relative_to(model.project.root) else str(path)


def register_command(model: Model, run_file: Path) -> str:
    default = run_file.resolve() == model.folder / "run.json"
    return f"make register MODEL={model.name}" + ("" if default else f' ARGS="-f {run_file.resolve()}"')
