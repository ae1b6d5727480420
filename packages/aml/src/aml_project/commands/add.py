"""Add to a model, or to the repo, what not every one needs.

    aml add search --model churn
    aml add ci

The files are their owner's from then on, and no update touches them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from aml_project.command_line import DONE, WRONG_USE, Failure, Parser, note, run
from aml_project.project import models, pick_model, root

ADDITIONS = {
    "search": "search.yml, which says what `aml search` tries",
    "pipeline": "pipeline.yml, the steps of `aml pipeline`, and the scripts that they lack",
    "v2": "azure_ml/, the files of Azure ML's second generation, by the same names as the runconfigs",
    "ci": "what GitHub or Azure DevOps runs: from a commit to a served model",
    "infra": "what it needs in Azure, as Bicep: the workspace, its cluster, an identity for each environment of CI",
}
HOSTS = ("github", "azure-devops", "both")
EXAMPLE = """  aml add search
  aml add pipeline
  aml add ci --on azure-devops"""


def main(argv: list[str] | None = None) -> int:
    parser = Parser("Add to a model, or to the repo, what not every one needs.", EXAMPLE)
    what = "; ".join(f"{name}: {adds}" for name, adds in ADDITIONS.items())
    parser.add_argument("name", choices=ADDITIONS, help=what)
    parser.add_argument("--model", help="a folder of models/ (default: the only one there is; ci: each)")
    parser.add_argument("--on", choices=HOSTS, help="of ci: who runs it (default: who hosts the repo, else github)")
    parser.add_argument("--dry-run", action="store_true", help="show what would be written, and write nothing")
    return run(act, parser, argv)


def act(args: argparse.Namespace) -> int:
    if args.name == "ci":
        return add_ci(root(), args)
    if args.name == "infra":
        return add_infra(root(), args)
    if args.on:
        raise Failure("--on: goes with ci", WRONG_USE)
    model = pick_model(root(), args.model)
    folder = root() / "models" / model
    from aml_project.files import write_whole

    files, said = proposed(args.name, folder)
    main, *scripts = files
    if args.dry_run:
        print(files[main], end="")
        return DONE
    if (folder / main).exists():
        if (folder / main).read_text(encoding="utf-8") == files[main]:
            print(f"models/{model}/{main}: is there already")
            return DONE
        raise Failure(f"models/{model}/{main}: is there already: remove it first, and a new one is written")
    new = [name for name in scripts if not (folder / name).exists()]
    for name in (*new, main):  # it comes last: from then on all is there
        write_whole(folder / name, files[name])
    print(f"Wrote models/{model}/{', '.join([main, *new])}: {said}")
    if kept := [name for name in scripts if (folder / name).read_text(encoding="utf-8") != files[name]]:
        to_what = "the steps" if args.name == "pipeline" else "the others"
        note(f"models/{model}/{' and '.join(kept)}: kept as it was; make check tells whether it fits {to_what}")
    return DONE


def proposed(name: str, folder: Path) -> tuple[dict[str, str], str]:
    """The files of an addition, the one by which it is there first, and what is said of them."""
    if name == "search":
        from aml_project.search import proposal as searches

        search = searches.make(folder)
        what = f"{', '.join(search.parameters)}, judged by {search.metric}."
        return {searches.FILE: search.text}, f"{what}\nLook at its ranges, then: make search MODEL={folder.name}"
    if name == "v2":
        from aml_project.v2 import files

        line = f"az ml job create -f models/{folder.name}/{files.FOLDER}/{files.JOB}"
        return files.make(folder), f"by the names of the runconfigs.\nLook at them, then: make check, and {line}"
    from aml_project.pipeline import proposal as pipelines

    pipeline = pipelines.make(folder)
    return pipeline.files, f"{', '.join(pipeline.steps)}.\nLook at it, then: make pipeline MODEL={folder.name}"


def add_ci(root: Path, args: argparse.Namespace) -> int:
    """Write the files of CI that are not there; a second model has but its own."""
    from aml_project.ci import proposal

    providers = proposal.of_answer(args.on) if args.on else proposal.meant(root)
    files = proposal.make(root, providers, [pick_model(root, args.model)] if args.model else models(root))
    return write_new(root, files, args, "make ci ARGS=setup, which says what has to be made for it, once")


def add_infra(root: Path, args: argparse.Namespace) -> int:
    """Write the files of infra/ that are not there."""
    from aml_project.ci import infra

    if args.on or args.model:
        raise Failure("--on, --model: infra is of the whole repo", WRONG_USE)
    line = "az deployment group create --resource-group NAME --parameters"
    return write_new(root, infra.make(root), args, f"look at {infra.VALUES}, then: {line} {infra.VALUES}")


def write_new(root: Path, files: dict[str, str], args: argparse.Namespace, then: str) -> int:
    """Write what is not there, and say what was kept."""
    from aml_project.files import write_whole

    called = {"ci": "CI", "infra": "infra/"}[args.name]
    new = [path for path in files if not (root / path).exists()]
    kept = [path for path in files if path not in new and (root / path).read_text(encoding="utf-8") != files[path]]
    if args.dry_run:
        print("Would write:", *(f"  {path}" for path in new), sep="\n")
        return DONE
    for path in new:
        write_whole(root / path, files[path])
    print(f"Wrote {', '.join(new)}." if new else f"The files of {called} are there already.")
    if kept:
        note(f"{', '.join(kept)}: kept as it was")
    if new:
        print(f"Next: {then}")
    return DONE
