"""Add a model to the repo, rename one, or remove one.

    aml model add churn framework=pytorch

A model is its folder of models/, its data in data/NAME and its environment in .venv/NAME. What Azure ML has of it is
left alone.
"""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path

from aml_project import hook, project, template
from aml_project.command_line import DONE, WRONG_USE, Failure, Parser, note, run
from aml_project.files import write_whole
from aml_project.git import git, holds, not_held
from aml_project.names import check_model

EXAMPLE = """  aml model add churn
  aml model add churn framework=pytorch notebook=churn.ipynb
  aml model rename model1 churn
  aml model remove churn"""
# What a second model does not take over from the first: these are of its own.
OWN = ("model_name", "dataset_name", "notebook", "environment_file")
# What the template derives from other answers, unless it is told.
DERIVED = {"gpu": {"vm_size"}, "processes_per_node": {"framework", "vm_size", "gpu"}}
LEFT = (".aml-add-", ".aml-remove-")  # in .venv/: what a killed command has left there


def main(argv: list[str] | None = None) -> int:
    parser = Parser("Add a model to the repo, rename one, or remove one.", EXAMPLE)
    parser.add_argument("action", choices=("add", "rename", "remove"))
    parser.add_argument("name", help="of the model: its folder of models/")
    parser.add_argument("more", nargs="*", metavar="NEW | QUESTION=ANSWER", help="the new name; answers of a new model")
    parser.add_argument("--force", action="store_true", help="remove what git does not hold as well")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and change nothing")
    return run(act, parser, argv)


def act(args: argparse.Namespace) -> int:
    import shutil

    root = project.root()
    for left in [path for path in (root / ".venv").glob(".aml-*") if path.name.startswith(LEFT)]:
        shutil.rmtree(left)
    return {"add": add, "rename": rename, "remove": remove}[args.action](root, args)


def add(root: Path, args: argparse.Namespace) -> int:
    """Render the template beside, and take over what is the model's alone."""
    import shutil

    name = args.name
    check_model(name)
    if (root / "models" / name).exists():
        raise Failure(f"models/{name}: is there already")
    given = dict(pair(text) for text in args.more)
    answers = inherited(project.answers(root), given) | {"model_name": name}
    shown = ", ".join(f"{question}={text}" for question, text in {"framework": "", **answers, **given}.items()
                      if question in ("framework", "python_version", *given) and text)  # fmt: skip
    if args.dry_run:
        print(f"Would add models/{name} and data/{name}: {shown}")
        return DONE
    with template.fetched(root) as folder:
        if folder.is_dir() and (unknown := given.keys() - template.questions(folder).keys()):
            asked = ", ".join(sorted(template.questions(folder)))
            raise Failure(f"{', '.join(sorted(unknown))}: no such question; there are {asked}", WRONG_USE)
        answers = {question: text for question, text in answers.items() if question in template.questions(folder)}
        stage = root / ".venv" / f"{LEFT[0]}{name}"
        try:
            rendered = template.render(folder, answers, stage, hooks=True)
            for part in ("data", "models"):  # the model comes last: from then on it is there
                source, target = rendered / part / name, root / part / name
                if source.is_dir() and not target.exists():
                    target.parent.mkdir(exist_ok=True)
                    source.rename(target)
        finally:
            shutil.rmtree(stage, ignore_errors=True)
    print(f"Added models/{name} and data/{name}: {shown}", flush=True)
    later = complete(root, answers)
    if later:
        print("Once what is said above is mended:", *later, sep="\n  ")
    print(f"Next: make setup train test MODEL={name}")
    return DONE


def pair(text: str) -> tuple[str, str]:
    """An answer of the command line; a path in it is one from where the user stands."""
    question, equals, answer = text.partition("=")
    if not equals or question == "model_name":
        raise Failure(f"{text}: an answer is QUESTION=ANSWER, as in framework=pytorch", WRONG_USE)
    if question in ("notebook", "environment_file") and answer:
        answer = str(Path(answer).expanduser().absolute())
    return question, answer


def inherited(answers: dict[str, str], given: dict[str, str]) -> dict[str, str]:
    """The answers of a second model: the repo's own, but for what is each model's, and what follows from others."""
    derived = [question for question, of in DERIVED.items() if of & given.keys()]
    return {question: text for question, text in answers.items() if question not in (*OWN, *derived)} | given


def complete(root: Path, answers: dict[str, str]) -> list[str]:
    """Do what follows a render: a notebook, packages, additions; return the commands for what could not be done."""
    before = Path.cwd()
    os.chdir(root)
    try:
        return hook.complete({"notebook": "", "environment_file": "", **answers})
    finally:
        os.chdir(before)


def rename(root: Path, args: argparse.Namespace) -> int:
    """Rename a model; its folder goes last, so that the same command goes on where it was killed."""
    import shutil

    old = project.pick_model(root, args.name)
    if len(args.more) != 1:
        raise Failure(f"say its new name: aml model rename {old} NEW", WRONG_USE)
    (new,) = args.more
    check_model(new)
    if (root / "models" / new).exists():
        raise Failure(f"models/{new}: is there already")
    texts = {
        file: text for file in named_in(root, old) if (text := renamed(file.read_text(encoding="utf-8"), old, new))
    }
    data = (root / "data" / old).is_dir()
    if data and (root / "data" / new).exists():
        raise Failure(f"data/{new}: is there already")
    folders = [f"models/{old}", *([f"data/{old}"] if data else [])]
    from aml_project import owned
    from aml_project.ci import proposal

    workflows = proposal.renamed(root, old, new)
    if args.dry_run:
        print(f"Would rename {' and '.join(folders)} to {new}, and the name in:", flush=True)
        print(*sorted(f"  {path}" for path in [*map(project.shown, texts), *workflows]), sep="\n")
        return DONE

    for file, text in texts.items():
        write_whole(file, text)
    for path, (instead, text) in workflows.items():
        move(root, path, instead)
        write_whole(root / instead, text)
    owned.rename(root, f"models/{old}", f"models/{new}")
    for name in (".cookiecutter.json", ".cruft.json"):
        rename_answer(root / name, old, new)
    # Its scripts begin with its path, so it can't be moved.
    environment = (root / ".venv" / old).is_dir()
    shutil.rmtree(root / ".venv" / old, ignore_errors=True)
    for folder in reversed(folders):
        move(root, folder, f"{folder.partition('/')[0]}/{new}")
    print(f"Renamed {' and '.join(folders)} to {new}.")
    if environment:
        print(f"Next: make setup MODEL={new}")
    note(f"Azure ML keeps {old} for what it has: the registered models, the experiment; the dataset is read as before")
    return DONE


def named_in(root: Path, model: str) -> list[Path]:
    """The files that the template has written with a model's name, or the owner in the same words."""
    folder = root / "models" / model
    inner = ("aml_config", "azure_ml", "deployment", "tests")
    own = [*folder.glob("*"), *(file for name in inner for file in folder.glob(f"{name}/*"))]
    found = [
        root / "README.md",
        root / "Makefile",
        root / "pyproject.toml",
        *sorted((root / "scripts").glob("*.py")),
        root / "data" / model / "README.md",
        *own,
    ]
    return [file for file in found if file.is_file() and file.name != project.MODEL_ANSWERS and is_text(file)]


def is_text(file: Path) -> bool:
    try:
        file.read_text(encoding="utf-8")
    except ValueError:
        return False
    return True


def renamed(text: str, old: str, new: str) -> str:
    """A text with a model's new name where the template says the name; "" if it says none. Prose is left alone."""
    if old not in text:
        return ""
    said = rf"\b{old}\b"
    places = (
        rf"((?:\bmodels|\bdata|\.venv)/){said}(?!-)",
        rf"((?:\bMODEL=|--model[ =]|[ \"]-[emnt] \"?)){said}(?=[\s:`\"']|$|-train\b|-server\b)",
        rf"(^MODEL *[:?]?= *\"?){said}(?=\"?$)",
        rf"(packages of ){said}(?= into \.venv/)",
        rf"(docker run .* ){said}(?=(?:-train|-server)?$)",
        rf"(name: \"?){said}(?=-(?:train|inference)\b)",
        rf"(^(?:name|  experiment_name): \"){said}(?=\"$)",  # of task.yaml
        rf"(^(?:name|experiment_name): |azureml:){said}(?=$|@latest$|-(?:train|inference)@latest$)",  # of azure_ml/
    )
    done = text
    for place in places:
        done = re.sub(place, rf"\g<1>{new}", done, flags=re.MULTILINE)
    return done if done != text else ""


def rename_answer(file: Path, old: str, new: str) -> None:
    """The repo's first model is called so in its answers, which updates render with."""
    if file.is_file():
        text = file.read_text(encoding="utf-8")
        write_whole(file, re.sub(rf'("model_name": )"{old}"', rf'\g<1>"{new}"', text))


def move(root: Path, old: str, new: str) -> None:
    """Rename a folder, in git as well if that holds it."""
    if holds(root) and git(root, "ls-files", old):
        git(root, "mv", old, new)
    else:
        (root / old).rename(root / new)


def remove(root: Path, args: argparse.Namespace) -> int:
    """Remove a model; its folder goes first out of sight, so that it is there or not."""
    import shutil

    from aml_project import owned
    from aml_project.ci import proposal

    name = project.pick_model(root, args.name)
    if project.models(root) == [name]:
        raise Failure(f"models/{name}: the only model of this repo")
    if args.more:
        raise Failure(f"one model at a time: {' '.join(args.more)}", WRONG_USE)
    workflows = list(proposal.renamed(root, name, name))
    folders = [f"{part}/{name}" for part in ("data", "models") if (root / part / name).is_dir()]
    unheld = [
        file for path in [*folders, *workflows] for file in not_held(root, path, ignored=path.startswith("data/"))
    ]
    if unheld and not args.force:
        more = f" and {len(unheld) - 1} more" if len(unheld) > 1 else ""
        raise Failure(f"{unheld[0]}{more}: git does not hold it as it is: commit it, or --force removes it for good")
    gone = [*folders, *workflows, *([f".venv/{name}"] if (root / ".venv" / name).is_dir() else [])]
    answers = project.model_answers(root, name)
    has_pipeline = (root / "models" / name / "pipeline.yml").is_file()
    if args.dry_run:
        print(f"Would remove {', '.join(gone)}")
        return DONE
    owned.rename(root, f"models/{name}", "")
    for path in workflows:
        (root / path).unlink()
    shutil.rmtree(root / ".venv" / name, ignore_errors=True)
    for folder in folders:  # the model comes last: until then the same command goes on
        beside = root / ".venv" / f"{LEFT[1]}{folder.replace('/', '-')}"
        beside.parent.mkdir(exist_ok=True)
        (root / folder).rename(beside)
        shutil.rmtree(beside)
    if holds(root):
        git(root, "rm", "-r", "--quiet", "--cached", "--ignore-unmatch", *folders, *workflows)
    print(f"Removed {', '.join(gone)}.")
    dataset = f", the dataset {answers['dataset_name']}" if answers.get("dataset_name") else ""
    published = ", published pipelines with their schedules" if has_pipeline else ""
    note(f"Azure ML keeps what it has of {name}: registered models, the experiment{dataset}{published}")
    return DONE
