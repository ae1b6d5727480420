"""What a repo lacks to be a project: worked out before anything is written, then written so that a kill loses nothing.

Every file is the template's own, rendered beside without a framework. What is there stays as it is: only to a few lists
of the repo's lines are added. A model appears with its aml_config/, the repo's answers come last: until then the same
command goes on.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from aml_project import checkout, files, local_imports, owned, project, template
from aml_project.adoption import makefile, packages
from aml_project.adoption.scripts import Script, python_files
from aml_project.command_line import WRONG_USE, Failure
from aml_project.git import git
from aml_project.kill_points import reached
from aml_project.model_environment import DATA_PATH
from aml_project.names import RULES
from aml_project.requirements import imports
from aml_project.runconfigs.file import Unreadable, read_mapping

MOVE, COPY = "move", "copy"
SMOKE = Path(__file__).with_name("test_script.py")
NO_PARSER = "\n\ndef test_it_finds_all"  # from here on, the smoke test is for scripts that read their arguments
PARSERS = {"argparse", "click", "typer", "docopt"}
SERVES, COPY_RUNTIME = "Dockerfile.inference", re.compile(rb"^COPY .*runtime \./runtime\n", re.MULTILINE)
# Of the template's model what a script of one's own has no use for, and what score.py is an outline with.
OF_TRAINING = ("data", "report", "pictures", "images")  # in runtime/
NOT_WANTED = ("train.py", "evaluation.py", "tests/", *(f"runtime/{name}.py" for name in OF_TRAINING))
OUTLINE = ("runtime/", "sample-request.json", "score_batch.py", "score.py")
TOOLS, DEV, IGNORED = template.LIST, "requirements-dev.txt", ".gitignore"
WHY = {
    "train.py": "the script that trains",
    "aml_config/train-conda.yml": "the packages of training, by what the code imports",
    "aml_config/inference-conda.yml": "the packages of score.py where it serves",
    "aml_config/inference-config.yml": "how score.py is served in Azure ML",
    "aml_config/train-local.runconfig": "a run on this computer",
    "aml_config/train-amlcompute.runconfig": "a run on the cluster",
    ".amlignore": "what a run does not get",
    ".dockerignore": "what the images do not get",
    ".answers.json": "which template this is of, for updates",
    "Dockerfile": "trains, with the packages of the cluster",
    "Dockerfile.inference": "serves",
    "deployment/": "the service: here, in a container, on Kubernetes",
    "runtime/": "what score.py imports",
    "score.py": "an outline, to be adapted",
    "score_batch.py": "scores whole files by score.py",
    "sample-request.json": "an outline, to be adapted",
    "tests/test_script.py": "tries that train.py starts",
    TOOLS: "where make gets the commands from",
    DEV: "pytest and ruff, beside the packages of a model",
    "Makefile": "a verb of aml a line",
    makefile.FILE: "the same verbs for make, but for yours",
    IGNORED: "what is made here and never shared",
    owned.FILE: "which files are yours, for updates",
    project.ANSWERS: "the answers that the rest was rendered with",
    checkout.FILE: "where the template lies on this computer; git ignores it",
}


@dataclass
class Plan:
    """What is to be written: all of it is known before the first file is."""

    root: Path
    models: list[str] = field(default_factory=list)
    carried: list[tuple[Path, Path]] = field(default_factory=list)  # from where to where, in the order of the work
    is_move: bool = False
    files: dict[str, bytes] = field(default_factory=dict)  # by their path from the root
    lines: dict[str, tuple[list[str], bytes]] = field(default_factory=dict)  # added ones, and the whole file then
    by_hand: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    own_targets: set[str] = field(default_factory=set)

    def why(self, path: str) -> str:
        inner = path.split("/", 2)[2] if path.startswith("models/") else path
        return WHY.get(inner) or WHY[f"{inner.split('/')[0]}/"]


def make(root: Path, scripts: list[Script], carry: str) -> Plan:
    """Work out what is missing."""
    is_project = (root / project.ANSWERS).is_file() or (root / ".cruft.json").is_file()
    plan = Plan(root, is_move=carry == MOVE)
    todo = [one for one in scripts if not (is_project and (root / "models" / one.model / "aml_config").is_dir())]
    if not todo and is_project:
        return plan
    code = {script.model: code_of(root, script, carry) for script in todo}
    for script in todo if carry else []:
        take_along(plan, script.model, code[script.model])
    rendered: dict[str, bytes] = {}
    with template.fetched(root) as folder, tempfile.TemporaryDirectory() as scratch:
        for script in todo:
            rendered |= add_model(plan, script, code[script.model], folder, Path(scratch))
        if not is_project:
            add_root(plan, rendered, folder)
        add_owned(plan, rendered, is_project=is_project)
    check_places(plan)
    tell(plan, todo)
    return plan


def code_of(root: Path, script: Script, carry: str) -> dict[Path, Path]:
    """The code of a model: each file, and where it lies in the model's folder then; the script is the first."""
    folder = root / "models" / script.model
    # In the model's folder lies what an earlier call has moved before it was killed.
    places = [root, root / "src", folder]
    found = local_imports.closure(script.file, places) if script.file else {}
    if script.is_in_place(root):
        return found | {file: file.relative_to(folder) for file in imports.code_files(folder)}
    assert script.file
    if (score := script.file.with_name("score.py")).is_file():
        found |= local_imports.closure(score, places)
    found[script.file] = Path("train.py")
    if not carry:
        raise Failure(outside(root, script.model, list(found)), WRONG_USE)
    return found


def outside(root: Path, model: str, found: list[Path]) -> str:
    """What to say of a script that a run would not get."""
    script, *others = [file.relative_to(root).as_posix() for file in found]
    along = f" and the {len(others)} files that go with it" if others[1:] else f" and {others[0]}" if others else ""
    return (
        f"{script}: lies outside of models/, and a run gets the folder models/{model}/ alone:"
        f" --move takes it{along} there, --copy leaves the originals"
    )


def take_along(plan: Plan, model: str, sources: dict[Path, Path]) -> None:
    """Note what is to be moved or copied into the model's folder: the script comes last, what it imports before."""
    taken = {source for source, _ in plan.carried}
    for source, inner in reversed(sources.items()):
        target = plan.root / "models" / model / inner
        if target == source or (target.is_file() and target.read_bytes() == source.read_bytes() and not plan.is_move):
            continue
        shown = source.relative_to(plan.root).as_posix()
        if target.exists():
            raise Failure(f"models/{model}/{inner.as_posix()}: is there already, and {shown} is to go there")
        if plan.is_move and source in taken:
            raise Failure(f"{shown}: two models import it, and each needs its own: --copy")
        plan.carried.append((source, target))


def add_model(plan: Plan, script: Script, code: dict[Path, Path], folder: Path, scratch: Path) -> dict[str, bytes]:
    """Add what a model lacks; return what the template has of it."""
    root, model = plan.root, script.model
    here, begin = root / "models" / model, f"models/{model}/"
    plan.models.append(model)
    answers = answers_for(root, model)
    rendered = render(folder, answers, scratch)
    outline = outline_for(plan, here, code, below(begin, rendered))
    stage = scratch / "code" / model
    packages.lay(stage, {path.as_posix(): file.read_bytes() for file, path in code.items()})
    base = {name: rendered[begin + name] for name in packages.FILES.values()}
    found = packages.find(here, stage, base, outline, folder)
    plan.notes += found.notes
    if found.trouble:
        plan.by_hand.append(f"{found.trouble}; mended, its packages are found by: aml requirements --model {model}")
    if found.python != json.loads(rendered[project.ANSWERS])["python_version"]:
        rendered = render(folder, answers | {"python_version": found.python}, scratch)
    inner = below(begin, rendered)
    wanted = {path: text for path, text in inner.items() if not path.startswith(NOT_WANTED + OUTLINE)}
    wanted |= found.texts | outline
    if not outline and not (here / "runtime").is_dir():
        wanted[SERVES] = COPY_RUNTIME.sub(b"", wanted[SERVES])  # a folder that is not there
    if script.file and not any((here / "tests").glob("test_*train*.py")):
        wanted["tests/test_script.py"] = smoke_test(root, script.file)
    carried = {target for _, target in plan.carried}
    for path in wanted:
        if not (here / path).exists() and here / path not in carried:
            plan.files[begin + path] = wanted[path]
    return rendered | {begin + path: text for path, text in wanted.items()}


def below(begin: str, contents: dict[str, bytes]) -> dict[str, bytes]:
    """The files of a folder, by their path from there."""
    return {path.removeprefix(begin): content for path, content in contents.items() if path.startswith(begin)}


def outline_for(plan: Plan, here: Path, code: dict[Path, Path], inner: dict[str, bytes]) -> dict[str, bytes]:
    """The outline of score.py and what it imports, for a model that has none; score.py comes last, as it says so."""
    paths = {path.as_posix(): file for file, path in code.items()}
    if "score.py" in paths:
        return {}
    runtime = {path: file for path, file in paths.items() if path == "runtime.py" or path.startswith("runtime/")}
    if any(file.read_bytes() != inner.get(path) for path, file in runtime.items()):
        said = "to be written; the outline would need the name runtime/, which is yours"
        plan.by_hand.append(f"score.py of {here.name}: {said}")
        return {}
    inner = {path: text for path, text in inner.items() if not path.startswith(NOT_WANTED)}
    return {path: text for part in OUTLINE for path, text in inner.items() if path.startswith(part)}


def answers_for(root: Path, model: str) -> dict[str, str]:
    """The template's answers for a model, as far as the repo says something of them."""
    slug = re.sub(r"[^a-z0-9_]+", "-", root.name.lower()).strip("-_")[:60]
    name = root.name if root.name.isprintable() and root.name.strip() else "AML project"
    found = {"project_name": name[:80], "project_slug": slug or "aml-project"}
    given = project.answers(root)
    shared = (*found, "python_version", "description", "author", "compute_name", "vm_size", "gpu", "data_access")
    found |= {question: given[question] for question in shared if question in given}
    for file in sorted((root / "models" / model / "aml_config").glob("*.runconfig")):
        said = said_by(file)
        found |= {question: text for question, text in said.items() if re.fullmatch(RULES[question][0], text)}
    return {**found, "model_name": model, "framework": "none"}


def said_by(runconfig: Path) -> dict[str, str]:
    """The cluster and the dataset that a runconfig of the owner's names."""
    try:
        config = read_mapping(runconfig)
        datasets = [data["dataLocation"]["dataset"].get("name") for data in (config.get("data") or {}).values()]
    except (Unreadable, AttributeError, KeyError, TypeError):
        return {}
    target, dataset = config.get("target"), datasets[0] if len(datasets) == 1 else None
    found = {"compute_name": target if target not in ("local", "amlcompute") else None, "dataset_name": dataset}
    return {question: text for question, text in found.items() if isinstance(text, str)}


def render(folder: Path, answers: dict[str, str], scratch: Path) -> dict[str, bytes]:
    """The files of a render, by their path in it."""
    rendered = template.render(folder, answers, scratch / "render", hooks=True)
    paths = sorted(path for path in rendered.rglob("*") if path.is_file())
    return {path.relative_to(rendered).as_posix(): path.read_bytes() for path in paths}


def smoke_test(root: Path, script: Path) -> bytes:
    """A test that train.py compiles, and, where it reads its arguments, that it answers --help."""
    text = SMOKE.read_text(encoding="utf-8")
    read = local_imports.closure(script, [root, root / "src"])
    modules = {module.split(".")[0] for file in read for module, _ in local_imports.imported(file)}
    if not modules & PARSERS:
        text = text.partition(NO_PARSER)[0].replace("import subprocess\nimport sys\n", "") + "\n"
    return text.encode()


def add_root(plan: Plan, rendered: dict[str, bytes], folder: Path) -> None:
    """Add what belongs around the models."""
    root = plan.root
    if not template.named(root):
        add_lines(plan, TOOLS, rendered[TOOLS], key=str.strip)
    add_lines(plan, DEV, rendered[DEV], key=lambda line: re.split(r"[\s=<>!~\[;@]", line.lower())[0])
    add_lines(plan, IGNORED, rendered[IGNORED], key=lambda line: line.strip().strip("/"))
    add_makefile(plan, rendered["Makefile"])
    if not (root / checkout.FILE).exists() and (template.source(root) == str(folder)):
        plan.files[checkout.FILE] = checkout.text(str(folder.resolve())).encode()
    if not (root / project.ANSWERS).exists():
        plan.files[project.ANSWERS] = rendered[project.ANSWERS]


def add_owned(plan: Plan, rendered: dict[str, bytes], *, is_project: bool) -> None:
    """Name what the owner has of the files that the template has as well: no update is to touch those.

    Of a model that has its answers that was done before it got them.
    """
    root, file = plan.root, plan.root / owned.FILE
    done = tuple(
        f"models/{model}/" for model in plan.models if (root / "models" / model / project.MODEL_ANSWERS).exists()
    )
    scripts = {f"models/{model}/train.py" for model in plan.models}
    names = sorted(path for path in {*rendered, *scripts} if not path.startswith(("data/", *done)))
    if is_project:
        names = [name for name in names if name.startswith("models/")]
    carried = {target.relative_to(root).as_posix() for _, target in plan.carried}
    theirs = [name for name in names if name in carried or name in plan.lines or differs(plan, name, rendered)]
    before = file.read_text(encoding="utf-8", errors="surrogateescape") if file.is_file() else ""
    after = owned.with_skipped(before, theirs if is_project else sorted({*theirs, owned.FILE}))
    if after is None:
        plan.by_hand.append(
            f"{owned.FILE}: add to skip of [tool.cruft]: {', '.join(theirs)}; else an update changes these"
        )
    elif not file.is_file():
        plan.files[owned.FILE] = after.encode()
    elif after != before:
        there = set(before.splitlines())
        shown = [line for line in after.splitlines() if line.strip() and line not in there]
        plan.lines[owned.FILE] = (shown, after.encode(errors="surrogateescape"))


def differs(plan: Plan, name: str, rendered: dict[str, bytes]) -> bool:
    file = plan.root / name
    return name not in plan.files and file.is_file() and file.read_bytes() != rendered.get(name)


def add_lines(plan: Plan, path: str, content: bytes, key: Callable[[str], str]) -> None:
    """Add a list, or to the one that is there the lines that it lacks."""
    file = plan.root / path
    if not file.exists():
        plan.files[path] = content
        return
    there = {key(line) for line in file.read_text(encoding="utf-8", errors="surrogateescape").splitlines()}
    lacking = [line for line in content.decode().splitlines() if line and line[0] != "#" and key(line) not in there]
    if lacking:
        append(plan, path, lacking)


def append(plan: Plan, path: str, lines: list[str]) -> None:
    before = (plan.root / path).read_bytes()
    gap = b"" if not before or before.endswith(b"\n") else b"\n"
    plan.lines[path] = (lines, before + gap + "\n".join([*lines, ""]).encode())


def add_makefile(plan: Plan, content: bytes) -> None:
    """Add the verbs, beside those targets that a Makefile of the owner's has."""
    file = makefile.find(plan.root)
    if not file:
        plan.files["Makefile"] = content
        return
    text = file.read_text(encoding="utf-8", errors="surrogateescape")
    if text.encode(errors="surrogateescape") == content or f"\n{makefile.INCLUDE}\n" in f"\n{text}":
        return
    verbs, ours = makefile.verbs_but(makefile.targets(text), content.decode()).encode(), plan.root / makefile.FILE
    foreign = ours.exists() and ours.read_bytes() != verbs
    if names := makefile.clash(text) or (ours.name if foreign else ""):
        plan.own_targets = {"setup", "train", "check"}
        plan.by_hand.append(f"{names}: yours already, so make gets no verbs: .venv/.tools/bin/aml takes them all")
        return
    plan.own_targets = makefile.targets(text) & makefile.targets(content.decode()) - {"help", "tools"}
    if plan.own_targets:
        named = ", ".join(sorted(plan.own_targets))
        plan.by_hand.append(f"make {named}: stays yours; the verb is called as .venv/.tools/bin/aml VERB")
    plan.files[makefile.FILE] = verbs
    append(plan, file.name, [makefile.INCLUDE])


def check_places(plan: Plan) -> None:
    """Refuse, before anything is written, what could not be written as a whole."""
    paths = [plan.root / path for path in (*plan.files, *plan.lines)] + [target for _, target in plan.carried]
    if plan.is_move:
        paths += [source for source, _ in plan.carried]
    for path in paths:
        place = next(folder for folder in path.parents if folder.exists())
        shown = project_path(plan.root, place)
        if not place.is_dir():
            raise Failure(f"{shown}: is no folder; nothing was written")
        if not os.access(place, os.W_OK):
            raise Failure(f"{shown}: can't be written to; nothing was written")


def project_path(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix() if path != root else str(root)


def tell(plan: Plan, scripts: list[Script]) -> None:
    """Say what is left to the owner."""
    root, said = plan.root, []
    if ignored := ignored_by_git(plan):
        said.append(f"{ignored}: git ignores it, by a line of yours: nobody else would get this model")
    of: dict[str, list[str]] = {}
    for script in scripts:
        for line in about(root, script, plan):
            of.setdefault(line, []).append(script.model)
    said += [f"train.py of {', '.join(models)}: {line}" for line, models in of.items()]
    outlined = [model for model in plan.models if f"models/{model}/score.py" in plan.files]
    if outlined:
        said.append(
            f"score.py of {', '.join(outlined)}: an outline; it is to load what your script saves below outputs/"
        )
    if moved := importers(plan):
        said.append(moved)
    plan.by_hand = said + plan.by_hand


def about(root: Path, script: Script, plan: Plan) -> Iterator[str]:
    """What the text of a script says against a run."""
    if not script.file:
        yield "not there, and aml train calls it: rename the script, also where the runconfigs name it"
        return
    folder = root / "models" / script.model
    read = list(local_imports.closure(script.file, [root, root / "src"]))
    carried = {source for source, _ in plan.carried}
    missing = [file.relative_to(root).as_posix() for file in read if folder not in file.parents and file not in carried]
    paths = sorted({path for file in read for path in read_from_root(root, file, folder)})
    lacks = []
    if missing:
        lacks.append(f"imports {some(missing)}, which no run gets: put it beside train.py")
    if not local_imports.mentions(read, *DATA_PATH):
        lacks.append("takes no --data-path: write its own arguments into the runconfigs")
    if not local_imports.mentions(read, "outputs"):
        lacks.append("writes nothing to outputs/, and a run keeps that folder alone")
    if paths:
        lacks.append(f"reads {some(paths)}, which no run gets: let it take --data-path")
    if lacks:
        yield "; ".join(lacks)


def some(names: list[str]) -> str:
    return f"{', '.join(names[:3])}{f' and {len(names) - 3} more' if names[3:] else ''}"


def read_from_root(root: Path, file: Path, folder: Path) -> Iterator[str]:
    """The texts in a script that name a file of the repo by its path from the root, and none of the model's."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and 0 < len(node.value) < 200:
            text = node.value
            with_suffix = "." in text.rpartition("/")[2].strip(".") and "\0" not in text and not text.startswith("/")
            if with_suffix and (root / text).is_file() and not (folder / text).exists():
                yield text


def ignored_by_git(plan: Plan) -> str:
    """The first of the files that git would not take."""
    paths = [path for path in plan.files if path != checkout.FILE]
    paths += [target.relative_to(plan.root).as_posix() for _, target in plan.carried]
    try:
        return git(plan.root, "check-ignore", "--no-index", *paths).splitlines()[0] if paths else ""
    except Failure:  # none of them, or no git here
        return ""


def importers(plan: Plan) -> str:
    """Who else imports what is moved."""
    gone = {source for source, _ in plan.carried} if plan.is_move else set()
    if not gone:
        return ""
    places = [plan.root, plan.root / "src"]
    found = [file.relative_to(plan.root).as_posix() for file in python_files(plan.root)
             if file not in gone and local_imports.imports_one(file, gone, places)]  # fmt: skip
    return f"{some(found)}: imports what was moved" if found else ""


def write(plan: Plan) -> None:
    """Write it, so that the same command goes on wherever this is killed.

    The code goes first, and of it the script last. Which files are the owner's is noted before a model gets its
    answers; with its aml_config/ it is a model, and with the repo's answers this is a project.
    """
    root = plan.root
    for source, target in plan.carried:
        target.parent.mkdir(parents=True, exist_ok=True)
        if plan.is_move:
            source.rename(target)
            reached(f"after {target.name}")
        else:
            files.write_whole(target, source.read_bytes())
            shutil.copymode(source, target)
    last = {f"models/{model}": f"models/{model}/aml_config/" for model in plan.models}
    late = (*last.values(), *(f"{model}/{project.MODEL_ANSWERS}" for model in last), project.ANSWERS)
    for path, content in plan.files.items():
        if not path.startswith(late):
            files.write_whole(root / path, content)
    for path, (_, content) in plan.lines.items():
        files.write_whole(root / path, content)
    for model, config in last.items():
        if (answers := f"{model}/{project.MODEL_ANSWERS}") in plan.files:
            files.write_whole(root / answers, plan.files[answers])
        new = {path.removeprefix(config): content for path, content in plan.files.items() if path.startswith(config)}
        if (root / config).exists():
            for name, content in new.items():
                files.write_whole(root / config / name, content)
        else:
            files.place_folder(root / config, partial(packages.lay, contents=new))
    if project.ANSWERS in plan.files:
        files.write_whole(root / project.ANSWERS, plan.files[project.ANSWERS])
