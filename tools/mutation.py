"""Change the engine in small wrong ways, one at a time, and see whether its tests notice.

    make mutation
    python tools/mutation.py --module registration --sample 20

Only the modules that decide something are changed: what is accepted, refused, merged, sent, kept. A change that no test
notices is a survivor; each is listed, with the line as it was and as it passed.
"""

import argparse
import ast
import contextlib
import copy
import importlib
import os
import random
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
GOAL = 0.9
AT_ONCE = 2
ENGINE, TESTS = "packages/aml/src/aml_project", "packages/aml/tests"
# What a model serves with needs its packages: make mutation installs them.
MODEL, MODEL_TESTS = "{{cookiecutter.project_slug}}/models/{{cookiecutter.model_name}}", "templates/runtime/tests"
PREDICTORS = "templates/predictors"
MODEL_PYTHON = ROOT / ".venv/model/bin/python"
# module: the tests that are to notice.
TARGETS = {
    "aml_template/answers.py": ["tests/sources/test_questions.py", "tests/sources/test_extension.py"],
    "aml_template/rules.py": ["tests/sources/test_questions.py"],
    **{
        f"{ENGINE}/{module}.py": [f"{TESTS}/{test}" for test in tests.split()]
        for module, tests in {
            "names": "test_names.py commands/test_attach.py",
            "patience": "test_patience.py",
            "checks/runconfig_rules": "checks/test_runconfig_rules.py",
            "checks/script_arguments": "checks/test_script_arguments.py",
            "runconfigs/editing": "runconfigs/test_editing.py",
            "runconfigs/environment_version": "runconfigs/test_environment_version.py",
            "snapshot/whole": "snapshot/test_whole.py",
            "service/registration": "service/test_registration_rules.py service/test_registration.py",
            "service/submission": "service/test_submission_rules.py service/test_submission.py commands/test_submit.py",
            "requirements/merging": "requirements/test_merging.py",
            "requirements/requirements_file": "requirements/test_requirements_file.py",
            "notebooks/tracing": "notebooks/test_tracing.py notebooks/test_file_paths.py",
            "storage/transfer": "storage/test_transfer_rules.py storage/test_transfer.py",
        }.items()
    },
    f"{MODEL}/runtime/input_schema.py": [f"{MODEL_TESTS}/test_input_schema.py"],
    f"{PREDICTORS}/runtime/batch.py": [f"{MODEL_TESTS}/{test}.py" for test in ("test_reading", "test_output")],
}
OPPOSITE: dict[type[ast.AST], Any] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.And: ast.Or, ast.Or: ast.And,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv,
}  # fmt: skip


class Mutant(NamedTuple):
    """A module with one change."""

    module: str
    line: int
    before: str
    after: str
    text: str


def mutants(module: str, text: str) -> Iterator[Mutant]:
    """Every change that this file knows to make to a module."""
    tree = ast.parse(text)
    lines = text.splitlines()
    for number in range(sum(1 for _ in places(tree))):
        changed = copy.deepcopy(tree)
        node = next(place for count, place in enumerate(places(changed)) if count == number)
        before = ast.unparse(node)
        line = node.lineno if isinstance(node, (ast.expr, ast.stmt)) else 0
        change(node)
        after = ast.unparse(node)
        yield Mutant(module, line, lines[line - 1].strip(), f"{before}  ->  {after}", ast.unparse(changed))


def places(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes that can be changed, in the order of the text; not what only types or documents."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Assign) and isinstance(tree, ast.Module) and is_constant(node.value):
            continue  # a limit or a pause: what it decides is decided where it is compared
        if isinstance(node, (ast.arg, ast.AnnAssign)):
            if isinstance(node, ast.AnnAssign) and node.value is not None:
                yield from places(ast.Module(body=[ast.Expr(node.value)], type_ignores=[]))
            continue
        if changeable(node):
            yield node
        yield from places(node)


def is_constant(value: ast.expr) -> bool:
    """Whether a value is numbers and texts alone, as `10_000, 64` and `1 << 20` are."""
    parts = (ast.Constant, ast.Tuple, ast.BinOp, ast.operator, ast.expr_context)
    return all(isinstance(part, parts) for part in ast.walk(value))


def changeable(node: ast.AST) -> bool:
    if isinstance(node, ast.Compare):
        return type(node.ops[0]) in OPPOSITE
    if isinstance(node, ast.BoolOp):
        return True
    if isinstance(node, ast.BinOp):
        # A text that is put together is what the user is told, which is no decision.
        return type(node.op) in OPPOSITE and not any(isinstance(part, ast.JoinedStr) for part in ast.walk(node))
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, ast.Not)
    if isinstance(node, ast.Constant):
        return isinstance(node.value, (bool, int))
    return isinstance(node, (ast.Continue, ast.Break))


def change(node: ast.AST) -> None:
    """Make the one change that a node knows."""
    match node:
        case ast.Compare():
            node.ops[0] = OPPOSITE[type(node.ops[0])]()
        case ast.BoolOp() | ast.BinOp():
            node.op = OPPOSITE[type(node.op)]()
        case ast.UnaryOp():
            node.op = ast.UAdd()
            node.operand = ast.Call(ast.Name("bool"), [node.operand], [])
        case ast.Constant():
            node.value = (not node.value) if isinstance(node.value, bool) else int(str(node.value)) + 1
        case ast.Continue():
            node.__class__ = ast.Break  # type: ignore[assignment]
        case ast.Break():
            node.__class__ = ast.Continue  # type: ignore[assignment]


class Copy:
    """A copy of the repository in which one mutant at a time is tried."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
            cwd=ROOT, capture_output=True, text=True, check=True,
        ).stdout.split("\0")  # fmt: skip
        for name in filter(None, listed):
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, folder / name)
        self.moment = int(time.time())

    def put(self, module: str, text: str) -> None:
        """Write a module, as of another second than before: else the bytecode of the text before may do for it."""
        (self.folder / module).write_text(text, encoding="utf-8")
        self.moment -= 1
        os.utime(self.folder / module, (self.moment, self.moment))

    def start(self, module: str, seconds: int, imports: Path | None = None) -> int:
        """Run the tests of a module in a fork of this process, which has imported what they need; return its id."""
        child = os.fork()
        if child:
            return child
        code = 1
        try:
            os.setsid()
            signal.alarm(seconds)  # of which it dies
            os.chdir(self.folder)
            for stream in range(3):
                os.dup2(os.open(os.devnull, os.O_RDWR), stream)
            # First what failed last: what has noticed one mutant may well notice the next.
            options = ["-x", "--failed-first", "-o", f"cache_dir={self.folder}.cache", f"--basetemp={self.folder}.tmp"]
            options += ["-m", "not full"]
            if module.startswith(MODEL):
                os.chdir(MODEL)
                tests = [str(self.folder / test) for test in TARGETS[module]]
                os.execv(MODEL_PYTHON, [str(MODEL_PYTHON), "-m", "pytest", *options, *tests])
            sources = [str(self.folder / "packages/aml/src"), str(self.folder)]
            sys.path[:1] = sources
            os.environ["PYTHONPATH"] = os.pathsep.join(sources)
            code = pytest.main([*options, *TARGETS[module]])
            if imports:
                imports.write_text("\n".join(installed_modules()))
        finally:
            os._exit(code)


def installed_modules() -> list[str]:
    """What this process has imported of the packages that are installed here, which no mutant changes.

    Without the plug-in of hypothesis, which is to be imported when pytest starts.
    """
    place = sysconfig.get_path("purelib") + os.sep
    files = {name: getattr(module, "__file__", None) or "" for name, module in sys.modules.items()}
    return [name for name, file in files.items() if file.startswith(place) and not name.startswith("_hypothesis")]


def untouched(place: Copy, module: str) -> int:
    """How many seconds the tests of a module may take: five times what they take as it is, and they have to pass then.

    What they import of other packages is imported here as well, once for all.
    """
    imports = Path(f"{place.folder}.imports")
    began = time.monotonic()
    child = place.start(module, 1200, imports)
    if ended(child, os.waitpid(child, 0)[1]):
        raise SystemExit(f"ERROR: {' '.join(TARGETS[module])}: fails as it is, so it can't tell a mutant")
    seconds = 20 + 5 * int(time.monotonic() - began)
    for name in imports.read_text().split() if imports.exists() else []:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    return seconds


def ended(child: int, status: int) -> bool:
    """Whether a process has failed; what it has started, and left, ends with it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    return status != 0


def try_all(module: str, chosen: list[Mutant], copies: list[Copy]) -> Iterator[tuple[Mutant, bool]]:
    """Yield each mutant of a module and whether it is noticed: its tests fail, or never end, with it in place."""
    seconds = untouched(copies[0], module)
    original = (copies[0].folder / module).read_text(encoding="utf-8")
    waiting, idle, running = chosen[::-1], list(copies), dict[int, tuple[Copy, Mutant]]()
    try:
        while waiting or running:
            while waiting and idle:
                place, mutant = idle.pop(), waiting.pop()
                place.put(module, mutant.text)
                running[place.start(module, seconds)] = place, mutant
            child, status = os.wait()
            place, mutant = running.pop(child)
            yield mutant, ended(child, status)
            idle.append(place)
    finally:
        for child in running:
            ended(child, 0)
        for place in copies:
            place.put(module, original)


def where(mutant: Mutant) -> str:
    return f"{mutant.module}:{mutant.line}: {mutant.after}"


def main() -> int:
    os.environ["CI"] = "1"  # the same texts for each mutant (tests/conftest.py)
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--module", default="", help="only modules whose path holds this text")
    parser.add_argument("--sample", type=int, default=0, metavar="N", help="so many of each module (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="another seed, another sample (default: %(default)s)")
    args = parser.parse_args()
    survivors: list[Mutant] = []
    tried: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        copies = [Copy(Path(folder, str(number))) for number in range(AT_ONCE)]
        for module in (module for module in TARGETS if args.module in module):
            chosen = list(mutants(module, (copies[0].folder / module).read_text(encoding="utf-8")))
            if args.sample and len(chosen) > args.sample:
                chosen = random.Random(f"{args.seed} {module}").sample(chosen, args.sample)
            tried[module] = len(chosen)
            for number, (mutant, noticed) in enumerate(try_all(module, chosen, copies), 1):
                print(f"{number}/{len(chosen)} {'noticed ' if noticed else 'SURVIVED'} {where(mutant)}", flush=True)
                if not noticed:
                    survivors.append(mutant)
    return report(tried, survivors)


def report(tried: dict[str, int], survivors: list[Mutant]) -> int:
    """Print what was noticed of each module, and the survivors; return 1 if one module is short of the goal."""
    print()
    short = 0
    for module, count in tried.items():
        noticed = count - sum(mutant.module == module for mutant in survivors)
        short |= noticed < GOAL * count
        print(f"{noticed:5} of {count:4} noticed {noticed / max(count, 1):5.0%}  {module}")
    print(f"The goal is {GOAL:.0%} of each." + (" These survived:" if survivors else ""))
    for mutant in survivors:
        print(f"  {where(mutant)}\n      in: {mutant.before}")
    return short


if __name__ == "__main__":
    sys.exit(main())
