"""Measure what this template's render costs beside the cheapest render that could write the same files.

    python benchmarks/render.py --runs 15
    python benchmarks/render.py --before COMMIT

The floor is a throw-away template of the rendered project itself: as many files of the same sizes, but no hooks and
no Jinja in any file. What is above the floor is this template's own; the rest is cookiecutter's. With --before an
earlier commit of the template takes its turn as well, and the table says which share of its time is saved since then.
"""

import argparse
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

TEMPLATE = Path(__file__).resolve().parents[1]
COOKIECUTTER = Path(sys.executable).with_name("cookiecutter")
GOAL = 1.2

Run = tuple[float, float]  # seconds of wall time, seconds of CPU time


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the render of the default project, against its floor.")
    parser.add_argument("--runs", type=int, default=15, help="renders of each (default: %(default)s)")
    parser.add_argument("--before", metavar="COMMIT", help="an earlier commit of the template, to compare with as well")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        measure(Path(name), args.runs, args.before)


def measure(work: Path, runs: int, before: str | None) -> None:
    """Render all by turns, so that what else the machine does slows all alike; print the table."""
    config = work / "config.yml"
    config.write_text(json.dumps({"cookiecutters_dir": str(work / "templates"), "replay_dir": str(work / "replay")}))
    env = os.environ | {"COOKIECUTTER_CONFIG": str(config)}
    # A user's cookiecutter has its byte code. Compiled anew at each start, it would raise the floor and hide our part.
    env.pop("PYTHONDONTWRITEBYTECODE", None)

    # The first render of each is also the warm-up: it writes the byte code and fills the file cache.
    render(TEMPLATE, work / "out", env)
    files = contents(work / "out")
    floor = write_floor(work / "floor", files)
    render(floor, work / "out", env)
    if contents(work / "out") != files:
        sys.exit("ERROR: the floor does not render the same files, so there is nothing to compare with")
    templates = {"ours": TEMPLATE, "floor": floor}
    if before:
        templates["before"] = earlier(before, work / "before")
        render(templates["before"], work / "out", env)
    size = sum(map(len, files.values())) / 1000
    print(f"{len(files)} files, {size:.0f} kB; {runs} runs of each, by turns", flush=True)

    done: dict[str, list[Run]] = {name: [] for name in templates}
    for number in range(1, runs + 1):
        for name, template in templates.items():
            done[name].append(render(template, work / "out", env))
        if number % 5 == 0:
            print(f"  {number} of {runs}", flush=True)

    headings = ["ours", "floor", "ratio", "goal", *(["before", "saved"] if before else [])]
    print("\n" + " " * 16 + "".join(f"{heading:>10}" for heading in headings))
    statistics: list[tuple[str, Callable[[list[float]], float]]] = [("minimum", min), ("median", median)]
    for index, kind in enumerate(("wall", "cpu")):
        for statistic, of in statistics:
            took = {name: of([run[index] for run in turns]) for name, turns in done.items()}
            line = f"{kind + ', ' + statistic:16}{took['ours']:9.3f}s{took['floor']:9.3f}s"
            line += f"{took['ours'] / took['floor']:10.2f}{GOAL:10.2f}"
            if before:
                line += f"{took['before']:9.3f}s{1 - took['ours'] / took['before']:10.0%}"
            print(line)


def earlier(commit: str, folder: Path) -> Path:
    """Unpack the template as it was at a commit."""
    archive = folder.with_suffix(".zip")
    subprocess.run(["git", "archive", f"--output={archive}", commit], cwd=TEMPLATE, check=True)
    shutil.unpack_archive(archive, folder)
    return folder


def render(template: Path, out: Path, env: dict[str, str]) -> Run:
    """Time one whole process of cookiecutter, its hooks included; its output stays in `out` until the next."""
    shutil.rmtree(out, ignore_errors=True)
    command: list[str | Path] = [COOKIECUTTER, "--no-input", "-o", out, template]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def contents(out: Path) -> dict[str, bytes]:
    """Read the rendered files; a brace that Jinja would act on becomes another byte, in ours and so in the floor."""
    return {
        str(path.relative_to(out)): re.sub(rb"\{(?=[{%#])", b"(", path.read_bytes())
        for path in out.rglob("*")
        if path.is_file()
    }


def write_floor(template: Path, files: dict[str, bytes]) -> Path:
    """Write a template that renders these files as they are."""
    template.mkdir()
    slug = Path(next(iter(files))).parts[0]
    (template / "cookiecutter.json").write_text(json.dumps({"project_slug": slug}))
    for name, content in files.items():
        path = template / "{{cookiecutter.project_slug}}" / Path(name).relative_to(slug)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return template


if __name__ == "__main__":
    main()
