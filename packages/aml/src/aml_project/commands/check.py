"""Check what a run would be made of, before anything is sent: the runconfigs, the script, the files that go with it.

The client ignores a key that it does not know and believes a text like 'false'; here each of these is a line.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import command_line

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = "  python scripts/check_project.py --model model1"


def main(argv: list[str] | None = None) -> int:
    parser = command_line.Parser(__doc__.partition("\n")[0], EXAMPLE)
    parser.add_argument("--model", help="a folder of models/ (default: each of them)")
    parser.add_argument("-c", "--config", help="one runconfig of its aml_config/ (default: each of them)")
    return command_line.run(act, parser, argv)


def act(args: argparse.Namespace) -> int:
    models = sorted(path.name for path in (ROOT / "models").glob("*") if path.is_dir())
    if not models:
        raise command_line.Failure("models/: no model here", command_line.WRONG_USE)
    if args.model is not None and args.model not in models:
        listed = ", ".join(models)
        raise command_line.Failure(
            f"--model: no such model: {args.model}; models here: {listed}", command_line.WRONG_USE
        )
    if args.config and args.model is None and len(models) > 1:
        raise command_line.Failure("--config: say of which --model", command_line.WRONG_USE)
    findings, summary = _examine(ROOT, [args.model] if args.model is not None else models, args.config)
    for finding in findings:
        print(finding)
    if findings:
        return command_line.REFUSED
    print(summary)
    return command_line.DONE


def check(root: Path, model: str, config: str | None = None) -> list[str]:
    """Return what is wrong with a model, one line each; with one of its runconfigs alone, if that is named."""
    return _examine(root, [model], config)[0]


def _examine(root: Path, models: list[str], config: str | None) -> tuple[list[str], str]:
    """The findings about some models, and what to say if there are none."""
    try:
        from checks import model_check
    except ModuleNotFoundError as error:  # --help works with any Python, this does not
        how = f"make setup MODEL={models[0]}"
        return [f"scripts/check_project.py: {error.name} is not installed in this Python: {how}, then make check"], ""
    from checks.client_loader import Client
    from checks.snapshot import readable_size

    findings: list[str] = []
    runconfigs = files = size = 0
    with Client() as client:
        for model in models:
            checked = model_check.check_model(root, model, config, client)
            findings += checked.findings
            runconfigs += checked.runconfigs
            files += checked.files
            size += checked.size
        findings += client.findings()
    lines = [" ".join(line.split()).encode("utf-8", "backslashreplace").decode() for line in findings]
    whose = models[0] if len(models) == 1 else f"{len(models)} models"
    counted = f"{runconfigs} runconfig{'' if runconfigs == 1 else 's'}"
    return lines, f"{whose}: {counted} fine; a run gets {files} files, {readable_size(size)}"


if __name__ == "__main__":
    sys.exit(main())
