"""Change the engine in small wrong ways, one at a time, and see whether its tests notice.

    make mutation
    python tools/mutation.py --module registration --sample 20

Only the modules that decide something are changed: what is accepted, refused, merged, sent, kept. A change that no test
notices is a survivor; each is listed, with the line as it was and as it passed.
"""

import argparse
import ast
import copy
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
GOAL = 0.9
AT_ONCE = 2
ENGINE, TESTS = "packages/aml/src/aml_project", "packages/aml/tests"
# module: the tests that are to notice.
TARGETS = {
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
            "service/submission": "service/test_submission.py commands/test_submit.py",
            "requirements/merging": "requirements/test_merging.py",
            "requirements/requirements_file": "requirements/test_requirements_file.py",
            "notebooks/tracing": "notebooks/test_tracing.py notebooks/test_file_paths.py",
            "storage/transfer": "storage/test_transfer.py",
        }.items()
    },
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
        if isinstance(node, ast.Assign) and isinstance(tree, ast.Module) and isinstance(node.value, ast.Constant):
            continue  # a limit or a pause: what it decides is decided where it is compared
        if isinstance(node, (ast.arg, ast.AnnAssign)):
            if isinstance(node, ast.AnnAssign) and node.value is not None:
                yield from places(ast.Module(body=[ast.Expr(node.value)], type_ignores=[]))
            continue
        if changeable(node):
            yield node
        yield from places(node)


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

    def notices(self, module: str, text: str, seconds: float) -> bool:
        """Whether the tests of a module fail, or never end, with this text in its place."""
        file = self.folder / module
        original = file.read_bytes()
        file.write_text(text, encoding="utf-8")
        try:
            return self.tested(TARGETS[module], seconds) != 0
        finally:
            file.write_bytes(original)

    def tested(self, tests: list[str], seconds: float) -> int:
        sources = os.pathsep.join([str(self.folder / "packages/aml/src"), str(self.folder)])
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-m", "not full", "-p", "no:cacheprovider", *tests]
        environment = os.environ | {"PYTHONPATH": sources, "PYTHONDONTWRITEBYTECODE": "1", "CI": "1"}
        try:
            return subprocess.run(
                command, cwd=self.folder, env=environment, timeout=seconds, capture_output=True, check=False
            ).returncode
        except subprocess.TimeoutExpired:
            return 1


def try_all(chosen: list[Mutant]) -> list[Mutant]:
    """Return the survivors; a line each as they are tried."""
    survivors: list[Mutant] = []
    with tempfile.TemporaryDirectory() as folder:
        copies: Queue[Copy] = Queue()
        for number in range(AT_ONCE):
            copies.put(Copy(Path(folder, str(number))))
        limits = {module: untouched(copies, module) for module in dict.fromkeys(one.module for one in chosen)}

        def attempt(mutant: Mutant) -> bool:
            place = copies.get()
            try:
                return place.notices(mutant.module, mutant.text, limits[mutant.module])
            finally:
                copies.put(place)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            for number, (mutant, noticed) in enumerate(zip(chosen, pool.map(attempt, chosen), strict=True), 1):
                print(f"{number}/{len(chosen)} {'noticed ' if noticed else 'SURVIVED'} {where(mutant)}", flush=True)
                if not noticed:
                    survivors.append(mutant)
    return survivors


def untouched(copies: "Queue[Copy]", module: str) -> float:
    """How long the tests of a module may take: five times what they take as it is, and they have to pass then."""
    place = copies.get()
    began = time.monotonic()
    code = place.tested(TARGETS[module], 1200)
    copies.put(place)
    if code:
        raise SystemExit(f"ERROR: {' '.join(TARGETS[module])}: fails as it is, so it can't tell a mutant")
    return 20 + 5 * (time.monotonic() - began)


def where(mutant: Mutant) -> str:
    return f"{mutant.module}:{mutant.line}: {mutant.after}"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--module", default="", help="only modules whose path holds this text")
    parser.add_argument("--sample", type=int, default=0, metavar="N", help="so many of each module (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="another seed, another sample (default: %(default)s)")
    args = parser.parse_args()
    chosen: list[Mutant] = []
    for module in (module for module in TARGETS if args.module in module):
        found = list(mutants(module, (ROOT / module).read_text(encoding="utf-8")))
        if args.sample and len(found) > args.sample:
            found = random.Random(f"{args.seed} {module}").sample(found, args.sample)
        chosen += found
    survivors = try_all(chosen)
    share = 1 - len(survivors) / max(len(chosen), 1)
    print(f"\n{len(chosen) - len(survivors)} of {len(chosen)} noticed, {share:.0%}; the goal is {GOAL:.0%}")
    for mutant in survivors:
        print(f"  {where(mutant)}\n      in: {mutant.before}")
    return 0 if share >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
