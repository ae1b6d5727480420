"""Run MONAI's Auto3DSeg by its one file, task.yaml: on the cluster that azureml_config names, or here.

    aml auto3dseg run --input task.yaml

Both files are checked before anything is sent or begun. docs/auto3dseg.md has the whole page.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from aml_project.command_line import DONE, Failure, Parser, note, run

TYPE_CHECKING = False  # typing's own costs its import
if TYPE_CHECKING:
    from typing import Any

EXAMPLE = """  aml auto3dseg run --input task.yaml
  aml auto3dseg run --input task.yaml --local -- --epochs 2
  aml auto3dseg check --input task.yaml"""


def main(argv: list[str] | None = None) -> int:
    what = "Run MONAI's Auto3DSeg by task.yaml, on the cluster that azureml_config names, or here."
    parser = Parser(f"{what} What stands after -- goes to train.py.", EXAMPLE)
    parser.add_argument("what", choices=("run", "check"), help="check: only say what is wrong with the files")
    parser.add_argument("--input", type=Path, default=Path("task.yaml"), help="(default: %(default)s)")
    parser.add_argument("--local", action="store_true", help="run here, whatever azureml_config says")
    parser.add_argument("--dry-run", action="store_true", help="say what a run would get, and send nothing")
    words = sys.argv[1:] if argv is None else argv
    at = words.index("--") if "--" in words else len(words)
    parser.set_defaults(arguments=words[at + 1 :])
    return run(act, parser, words[:at])


def act(args: argparse.Namespace) -> int:
    from aml_project.auto3dseg import datalist, running, task

    if not args.input.is_file():
        raise Failure(f"{args.input}: not there; --input names it")
    keys, folder = task.read(args.input), args.input.resolve().parent
    config = keys.get("azureml_config")
    cloud = (
        not args.local
        and bool(config)
        and (not isinstance(config, dict) or config.get("submit_to_azureml") is not False)
    )
    of_task = task.problems(keys, cloud=cloud)
    of_folder = [] if cloud or of_task else running.of_dataroot(keys, folder)
    of_task += [*task.of_templates(keys, folder), *of_folder]
    found = [f"{args.input.name}: {line}" for line in of_task]
    if isinstance(keys.get("datalist"), str) and not any(": datalist: " in line for line in found):
        try:
            lists = datalist.read(folder / keys["datalist"])
        except Failure as unread:
            raise Failure("\nERROR: ".join([*found, str(unread)])) from None
        name = Path(keys["datalist"]).name
        of_lists = datalist.problems(lists, num_fold=whole(keys.get("num_fold")))
        found += [f"{name}: {line}" for line in of_lists or running.of_files(lists, keys, folder, cloud=cloud)]
    if found:
        raise Failure("\nERROR: ".join(found))
    if args.what == "check":
        print(f"{args.input.name}: nothing wrong; {len(lists['training'])} volumes to learn from")
        return DONE
    if cloud:
        return running.submit(keys, lists, folder, args)
    if config and not args.local:
        note("azureml_config says submit_to_azureml: false, so this runs here")
    return running.here(keys, folder, args)


def whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
