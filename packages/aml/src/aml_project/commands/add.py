"""Add to a model what not every model needs.

    aml add search --model churn

The file is its owner's from then on, and no update touches it.
"""

from __future__ import annotations

import argparse

from aml_project.command_line import DONE, Failure, Parser, run
from aml_project.project import pick_model, root

ADDITIONS = {"search": "search.yml, which says what `aml search` tries"}
EXAMPLE = "  aml add search"


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
    from aml_project.search import proposal

    file = folder / proposal.FILE
    proposed = proposal.make(folder)
    if args.dry_run:
        print(proposed.text, end="")
        return DONE
    if file.exists():
        if file.read_text(encoding="utf-8") == proposed.text:
            print(f"models/{model}/{file.name}: is there already")
            return DONE
        raise Failure(f"models/{model}/{file.name}: is there already: remove it first, and a new one is written")
    write_whole(file, proposed.text)
    print(f"Wrote models/{model}/{file.name}: {', '.join(proposed.parameters)}, judged by {proposed.metric}.")
    print(f"Look at its ranges, then: make search MODEL={model}")
    return DONE
