"""Measure what this template's render costs beside the cheapest render that could write the same files.

    python benchmarks/render.py --runs 15

The floor is a throw-away template of the rendered project itself: as many files of the same sizes, but no hooks and
no Jinja in any file. What is above the floor is this template's own; the rest is cookiecutter's.
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
GOAL = 1.25

Run = tuple[float, float]  # seconds of wall time, seconds of CPU time


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the render of the default project, against its floor.")
    parser.add_argument("--runs", type=int, default=15, help="renders of each of the two (default: %(default)s)")
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as name:
        measure(Path(name), runs)


def measure(work: Path, runs: int) -> None:
    """Render both by turns, so that what else the machine does slows both alike; print the table."""
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
    print(
        f"{len(files)} files, {sum(map(len, files.values())) / 1000:.0f} kB; {runs} runs of each, by turns", flush=True
    )

    ours_runs, floor_runs = [], []
    for number in range(1, runs + 1):
        ours_runs.append(render(TEMPLATE, work / "out", env))
        floor_runs.append(render(floor, work / "out", env))
        if number % 5 == 0:
            print(f"  {number} of {runs}", flush=True)

    print(f"\n{'':16}{'ours':>10}{'floor':>10}{'ratio':>8}{'goal':>8}")
    statistics: list[tuple[str, Callable[[list[float]], float]]] = [("minimum", min), ("median", median)]
    for index, kind in enumerate(("wall", "cpu")):
        for statistic, of in statistics:
            ours, least = (of([run[index] for run in done]) for done in (ours_runs, floor_runs))
            print(f"{kind + ', ' + statistic:16}{ours:9.3f}s{least:9.3f}s{ours / least:8.2f}{GOAL:8.2f}")


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
