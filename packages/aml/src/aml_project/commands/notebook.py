"""Make a model's train.py from a notebook, or a pipeline of its steps.

    aml notebook analysis.ipynb
    aml notebook analysis.ipynb --steps

The original is kept in notebooks/, what it reads is copied to data/NAME/. The script takes its data from --data-path
and writes to outputs/. Of a folder, the notebook called train* (or the only one) becomes train.py, every other one a
module beside it. With --steps each part of a notebook becomes a script, and models/NAME/pipeline.yml runs them.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from aml_project.command_line import DONE, REFUSED, WRONG_USE, Failure, Parser, note, run
from aml_project.files import write_whole
from aml_project.notebooks import notebook_file
from aml_project.project import data_folder, data_path, pick_model, root, shown

TYPE_CHECKING = False  # typing's own costs its import
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aml_project.notebooks.script import Script

TEST = Path("tests", "test_notebook.py")  # of a converted script
TEST_OF_STEPS = "test_steps.py"  # what it is where a pipeline was made
EXAMPLE = """  aml notebook analysis.ipynb
  aml notebook analysis.ipynb --steps "Prepare data,Training,Evaluation"
  aml notebook ../experiments --model model1 --force"""


def main(argv: list[str] | None = None) -> int:
    parser = Parser("Make a model's train.py from a notebook, or from a folder of notebooks.", EXAMPLE)
    parser.add_argument("notebook", type=Path, help="a file, or a folder whose train*.ipynb becomes train.py")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="(default: train.py of the model)")
    parser.add_argument("--model", help="a folder of models/ (default: the only one there is)")
    parser.add_argument(
        "--steps", nargs="?", const="", metavar="HEADINGS",
        help="a script for each part, and a pipeline.yml (default: the headings of the level that names steps)",
    )  # fmt: skip
    parser.add_argument("--force", action="store_true", help="replace a script that git does not hold as it is")
    parser.add_argument("--no-data", action="store_true", help="do not copy what the notebook reads to data/NAME/")
    parser.add_argument("--dry-run", action="store_true", help="print the script; write nothing")
    # Of the hook: what the render has just written is no work of anybody.
    parser.add_argument("--fresh", action="store_true", help=argparse.SUPPRESS)
    return run(convert, parser, argv)


def convert(args: argparse.Namespace) -> int:
    notebooks = notebook_file.find(args.notebook)
    if args.steps is not None and (args.output or args.notebook.is_dir()):
        raise Failure(
            "--steps: of one notebook, into the folder of a model: give it alone, without --output", WRONG_USE
        )
    model = None if args.output else pick_model(root(), args.model)
    folder = root() / "models" / model if model else args.output.resolve().parent
    scripts = targets(notebooks, folder, args.output)
    if model and not args.dry_run:
        for notebook in notebooks:
            keep(notebook, args.force or args.fresh)
    given = os.fspath(args.notebook)
    later = f'make notebook NB="{kept_name(given) if model else given}" where there is a network'
    from aml_project.tools import start_again

    code = start_again(("nbconvert", "IPython"), later, extra="notebooks")
    if code is not None:
        return code
    return (
        convert_here(args, scripts, model) if args.steps is None else convert_to_steps(args, notebooks[0], str(model))
    )


def targets(notebooks: list[Path], folder: Path, output: Path | None) -> dict[Path, Path]:
    """Where each notebook's script goes."""
    if output and len(notebooks) > 1:
        raise Failure("--output: for one notebook; a folder's go to the model", WRONG_USE)
    if output and output.suffix != ".py":
        raise Failure(f"--output: a file that ends in .py, not {output}", WRONG_USE)
    found = {notebooks[0]: output.resolve() if output else folder / "train.py"}
    for notebook in notebooks[1:]:
        name = module_name(notebook.stem)
        while folder / f"{name}.py" in found.values():
            name += "_"
        found[notebook] = folder / f"{name}.py"
    return found


def module_name(stem: str) -> str:
    """A name that can be imported, and hides no module of Python's own."""
    import keyword

    name = "".join(c if c.isalnum() or c == "_" else "_" for c in stem).strip("_") or "notebook"
    name = name if name[0].isalpha() else f"notebook_{name}"
    taken = name in sys.stdlib_module_names or keyword.iskeyword(name) or not name.isidentifier() or name == "train"
    return f"{name}_notebook" if taken else name


def kept_name(given: str) -> str:
    """How the original is called from the repo's root, once it is kept."""
    path = Path(given)
    return "notebooks" if path.is_dir() else f"notebooks/{path.name}"


def keep(notebook: Path, force: bool) -> None:
    """Copy an original to notebooks/."""
    import filecmp
    import shutil

    place = root() / "notebooks" / notebook.name
    if place.exists() and place.resolve() == notebook.resolve():
        return
    if place.exists() and not force and not filecmp.cmp(notebook, place, shallow=False):
        raise Failure(f"notebooks/{notebook.name}: another notebook of this name is there; --force replaces it")
    place.parent.mkdir(exist_ok=True)
    shutil.copyfile(notebook, place)


def convert_here(args: argparse.Namespace, scripts: dict[Path, Path], model: str | None) -> int:
    """Convert, in a Python that has nbconvert; one notebook that fails keeps no other one back."""
    from aml_project.notebooks import cells, report
    from aml_project.notebooks.formatting import formatted
    from aml_project.notebooks.script import convert as to_script

    to_python = cells.python_of_ipython()
    modules = {source.name: target.stem for source, target in list(scripts.items())[1:]}
    modules |= {path.name: path.stem for path in next(iter(scripts)).parent.glob("*.py")}
    data = data_folder(root(), model) if model else root() / "data"
    done: dict[Path, Script] = {}
    failed = False
    for number, (notebook, target) in enumerate(scripts.items()):
        try:
            script = to_script(
                notebook,
                to_python,
                notebook=notebook.name,
                script=target.name,
                modules=modules,
                is_module=number > 0,
                data=data,
                data_path=data_path(root(), model) if model else "../../data",
            )
        except notebook_file.Broken as error:
            print(f"ERROR: {report.one_line(f'{notebook.name}: {error}')}", file=sys.stderr)
            failed = True
            continue
        neat = formatted(script.text)
        script.text = neat or script.text
        if args.dry_run:
            print(script.text, end="")
        elif write(target, script.text, args.force or args.fresh):
            report.tell(notebook, shown(target), script, is_formatted=neat is not None)
        else:
            print(f"{shown(target)}: as it was, nothing to change")
        done[notebook] = script
        failed = failed or any(finding.is_error for finding in script.findings)
    if model and done and not args.dry_run:
        bring_along(args, done, model)
        leave_alone([scripts[notebook] for notebook in done], model)
    return REFUSED if failed else DONE


def convert_to_steps(args: argparse.Namespace, notebook: Path, model: str) -> int:
    """Convert a notebook to scripts and a pipeline.yml, in a Python that has nbconvert; all of them or none."""
    from aml_project.notebooks import cells, report, step_scripts
    from aml_project.notebooks.formatting import formatted

    folder = root() / "models" / model
    try:
        made = step_scripts.convert(
            notebook,
            cells.python_of_ipython(),
            wanted=[text for text in args.steps.split(",") if text.strip()],
            modules={path.name: path.stem for path in folder.glob("*.py")},
            data=data_folder(root(), model),
            data_path=data_path(root(), model),
            model=model,
        )
    except notebook_file.Broken as error:
        raise Failure(report.one_line(f"{notebook.name}: {error}")) from None
    neat = {name: formatted(text) if name.endswith(".py") else text for name, text in made.files.items()}
    texts = {folder / name: text or made.files[name] for name, text in neat.items()}
    if args.dry_run:
        for target, text in texts.items():
            print(f"# {shown(target)}\n{text}")
        return DONE
    changed = write_all(texts, args.force or args.fresh)
    if changed:
        report.tell_of_steps(notebook, shown(folder), made, is_formatted=None not in neat.values())
    else:
        print(f"{shown(folder / 'pipeline.yml')} and its steps: as they were, nothing to change")
    bring_along(args, {notebook: made.script}, model, TEST_OF_STEPS)
    leave_alone(texts, model)
    return REFUSED if any(finding.is_error for finding in made.script.findings) else DONE


def write(target: Path, text: str, force: bool) -> bool:
    """Write a script, unless it is there already."""
    return bool(write_all({target: text}, force))


def write_all(texts: Mapping[Path, str], force: bool) -> list[Path]:
    """Write those files that are not there already; what nobody else keeps is not replaced without being told to."""
    changed = [path for path, text in texts.items() if not path.exists() or path.read_bytes() != text.encode()]
    for path in changed:
        if path.exists() and not force and not in_git(path):
            raise Failure(f"{shown(path)}: git does not hold it as it is: commit it, or --force replaces it")
        if not path.parent.is_dir():
            raise Failure(f"{path.parent}: no such folder", WRONG_USE)
    for path in changed:
        write_whole(path, texts[path])
    return changed


def in_git(file: Path) -> bool:
    """Whether the last commit holds a file just as it is."""
    import subprocess

    git = ["git", "-C", str(file.parent)]
    try:
        known = subprocess.run([*git, "ls-files", "--error-unmatch", file.name], capture_output=True).returncode == 0
        same = subprocess.run([*git, "diff", "--quiet", "HEAD", "--", file.name], capture_output=True).returncode == 0
    except OSError:
        return False
    return known and same


def bring_along(args: argparse.Namespace, done: dict[Path, Script], model: str, test: str = TEST.name) -> None:
    """Copy what lies beside the notebooks and belongs to them; give the model the test of what was made."""
    import shutil

    from aml_project.notebooks import companions

    folder, data = root() / "models" / model, data_folder(root(), model)
    imports = {name for script in done.values() for name in script.imports}
    copies = companions.modules_of(imports, next(iter(done)).parent, folder)
    if not args.no_data:
        read = [copy for notebook, script in done.items() for copy in companions.data_of(script, notebook.parent, data)]
        size = sum(copy.source.stat().st_size for copy in read)
        if size > companions.MOST:
            note(f"the {len(read)} files that it reads hold {size / 1e6:.0f} MB: put them into {shown(data)}/ yourself")
        else:
            copies += read
    sample = data / companions.SAMPLE
    is_ours = args.fresh and companions.is_sample(sample)
    brought, kept = companions.bring(copies, {sample} if is_ours else set())
    for copy in brought:
        print(f"  copied  {shown(copy.target)}")
    for copy in kept:
        note(f"{shown(copy.target)}: another file has this name; the notebook's was not copied")
    has_data = any(data in copy.target.parents and copy.target != sample for copy in copies)
    if is_ours and has_data and companions.is_sample(sample):
        sample.unlink()
        print(f"  removed {shown(sample)}, the sample")
    if not (folder / TEST).exists():
        (folder / TEST).parent.mkdir(exist_ok=True)
        shutil.copyfile(Path(companions.__file__).with_name(test), folder / TEST)


def leave_alone(scripts: Iterable[Path], model: str) -> None:
    """Have an update of the project leave alone what was made of notebooks."""
    from aml_project import owned

    made = [*scripts, root() / "models" / model / TEST]
    if owned.add(root(), [path.relative_to(root()).as_posix() for path in made]):
        print(f"  noted   {owned.FILE}: cruft update leaves these files alone")
