"""Submit a model's run, follow its log, and write run.json once it has completed.

    aml submit --model model1 -c train-amlcompute

What `az ml run submit-script` does, with a check before and without a second run after an interruption.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path

from aml_project.command_line import DONE, REFUSED, SERVICE_FAILED, WRONG_USE, Failure, Parser, note, run
from aml_project.model_environment import python_for_runs
from aml_project.project import attached_name, pick_model, root

TYPE_CHECKING = False  # typing's own costs its import
if TYPE_CHECKING:
    from typing import Any

    from aml_project.service.submission import Submission

EXAMPLE = """  aml submit -c train-local
  aml submit -c train-amlcompute -- --seed 1"""
SERVICE_ERRORS = ("ServiceError", "SystemError")  # codes of a run's error that are none of the script's


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
    model = pick_model(root(), args.model)
    experiment = args.experiment or model
    if not re.fullmatch(r"[a-zA-Z0-9][\w-]{0,254}", experiment):
        raise Failure(
            f"-e: 1 to 255 letters, digits, '-' and '_', starting with a letter or digit, not {experiment!r}", WRONG_USE
        )
    folder = root() / "models" / model
    config = args.config.removesuffix(".runconfig")
    file = folder / "aml_config" / f"{config}.runconfig"
    if not file.is_file():
        there = ", ".join(sorted(path.stem for path in file.parent.glob("*.runconfig"))) or "none"
        raise Failure(f"-c: no such runconfig: {args.config}; {model} has {there}", WRONG_USE)
    run_file = args.run_file or folder / "run.json"
    if args.dry_run:
        return describe(folder, file, experiment, args, run_file)
    if not args.skip_check and not passes_check(model, config, args.debug):
        return REFUSED

    from aml_project.service import local_docker
    from aml_project.service.submission import Submission
    from aml_project.service.workspace import open_workspace

    workspace = open_workspace(root(), debug=args.debug)
    submission = Submission(root(), model, config, experiment, args.arguments)
    run_config = submission.load()
    if run_config.target == "local":
        use_docker, why = local_docker.decide(args.docker, python_for_runs(folder))
        local_docker.apply(run_config, use_docker)
        print(why, flush=True)
    try:
        accepted = submission.start(workspace, run_config)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("Interrupted while submitting; the same command again goes on.") from None
    run_file.unlink(missing_ok=True)  # what it names is no longer the newest run
    print(f"Run {accepted.id} in experiment {experiment}\n{accepted.get_portal_url()}", flush=True)
    if not args.wait:
        write_run_file(run_file, accepted)
        submission.done()
        print(
            f"Submitted, not waited for: {show(run_file)}. Once it has completed: {register_command(model, run_file)}"
        )
        return DONE
    return finish(submission, accepted, model, run_file)


def finish(submission: Submission, accepted: Any, model: str, run_file: Path) -> int:
    """Follow the run to its end, and do what its end asks for."""
    from aml_project.service.run_log import error_of
    from aml_project.service.submission import cancel_command

    try:
        details = submission.follow(accepted)
        if details.status == "Completed":
            accepted.get_status()  # the record that is written is the one of the end
            write_run_file(run_file, accepted)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"The run goes on. To follow it: the same command again. To cancel it: {cancel_command(accepted)}"
        ) from None
    submission.done()
    if details.status == "Completed":
        print(f"\nCompleted: {show(run_file)}. Next: {register_command(model, run_file)}")
        return DONE
    if details.status == "Canceled":
        raise Failure(f"run {accepted.id} was canceled; no {run_file.name} was written")
    code, message = error_of(details)
    raise Failure(
        f"run {accepted.id} failed: {message} (log: above, and {accepted.get_portal_url()})",
        SERVICE_FAILED if code in SERVICE_ERRORS else REFUSED,
    )


def passes_check(model: str, config: str, debug: bool) -> bool:
    """Run the check of the files first: what it finds would cost minutes in the cloud."""
    import threading

    from aml_project import tools
    from aml_project.checks.project_check import check
    from aml_project.service.workspace import quiet

    tools.bring_azure()
    quiet(debug)
    client = threading.Thread(target=import_client)  # it takes as long as the check, and much of that is waiting
    client.start()
    findings = check(root(), model, config)
    client.join()
    for finding in findings:
        print(f"ERROR: {finding}", file=sys.stderr)
    if findings:
        note("nothing was submitted; --skip-check submits all the same")
    return not findings


def import_client() -> None:
    import contextlib

    with contextlib.suppress(Exception):  # whoever needs it will say what is wrong
        import azureml.core  # noqa: F401


def write_run_file(path: Path, accepted: Any) -> None:
    from aml_project.service import run_file

    run_file.write(path, accepted)


def describe(folder: Path, file: Path, experiment: str, args: argparse.Namespace, run_file: Path) -> int:
    """Say what would be submitted, from the files alone."""
    from aml_project.runconfigs import reading
    from aml_project.snapshot import preview

    config, files = reading.read(file), preview.read_files(folder)
    if files is None:
        from aml_project.snapshot import whole as snapshot

        files = snapshot.take_whole(folder).files
    arguments = [*as_list(config.get("arguments")), *args.arguments]
    rows = {
        "workspace": attached_name(root()),
        "experiment": experiment,
        "runconfig": show(file),
        "target": config.get("target"),
        "script": " ".join(map(str, [config.get("script") or config.get("command"), *arguments])),
        "data": ", ".join(datasets(config)) or "none",
        "snapshot": f"{len(files)} files, {sum(files.values())} bytes",
        "run file": show(run_file),
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


def show(path: Path) -> str:
    """Write a path as one would type it here."""
    return os.path.relpath(path) if path.is_relative_to(root()) else str(path)


def register_command(model: str, run_file: Path) -> str:
    default = run_file.resolve() == root() / "models" / model / "run.json"
    return f"make register MODEL={model}" + ("" if default else f' ARGS="-f {run_file.resolve()}"')
