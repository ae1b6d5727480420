"""Add to a model what not every model needs.

    aml add search --model churn

The files are their owner's from then on, and no update touches them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from aml_project.command_line import DONE, Failure, Parser, note, run
from aml_project.project import pick_model, root

ADDITIONS = {
    "search": "search.yml, which says what `aml search` tries",
    "pipeline": "pipeline.yml, the steps of `aml pipeline`, and the scripts that they lack",
}
EXAMPLE = """  aml add search
  aml add pipeline"""


def main(argv: list[str] | None = None) -> int:
    parser = Parser("Add to a model what not every model needs.", EXAMPLE)
    what = "; ".join(f"{name}: {adds}" for name, adds in ADDITIONS.items())
    parser.add_argument("name", choices=ADDITIONS, help=what)
    parser.add_argument("--model", help="a folder of models/ (default: the only one there is)")
    parser.add_argument("--dry-run", action="store_true", help="show the file, and write nothing")
    return run(act, parser, argv)


def act(args: argparse.Namespace) -> int:
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
        note(f"models/{model}/{' and '.join(kept)}: kept as it was; make check tells whether it fits the steps")
    return DONE


def proposed(name: str, folder: Path) -> tuple[dict[str, str], str]:
    """The files of an addition, the one by which it is there first, and what is said of them."""
    if name == "search":
        from aml_project.search import proposal as searches

        search = searches.make(folder)
        what = f"{', '.join(search.parameters)}, judged by {search.metric}."
        return {searches.FILE: search.text}, f"{what}\nLook at its ranges, then: make search MODEL={folder.name}"
    from aml_project.pipeline import proposal as pipelines

    pipeline = pipelines.make(folder)
    return pipeline.files, f"{', '.join(pipeline.steps)}.\nLook at it, then: make pipeline MODEL={folder.name}"
