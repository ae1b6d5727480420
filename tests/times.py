"""What each test takes of the processors, its own process and those that it has waited for: a plugin, and a table.

make test ARGS=--junitxml=tests.xml
.venv/bin/python tests/times.py tests.xml
"""

import os
import sys
from collections import defaultdict
from collections.abc import Iterator
from xml.etree import ElementTree

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """Note it before the report of the last phase is made."""
    try:
        return (yield)
    finally:
        item.user_properties.append(("cpu", f"{processor() - item.stash[BEFORE]:.3f}"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    item.stash[BEFORE] = processor()
    return (yield)


BEFORE = pytest.StashKey[float]()


def processor() -> float:
    return sum(os.times()[:4])


def main() -> None:
    """Print the files of tests of a run, the slowest first."""
    totals: dict[str, list[float]] = defaultdict(lambda: [0, 0, 0])
    for case in ElementTree.parse(sys.argv[1]).iter("testcase"):
        cpu = case.find("properties/property[@name='cpu']")
        spent = float(cpu.attrib["value"]) if cpu is not None else 0
        row = totals[case.attrib["classname"].replace(".", "/").removeprefix("tests/") + ".py"]
        for column, value in enumerate((1, float(case.attrib["time"]), spent)):
            row[column] += value
    rows = sorted(totals.items(), key=lambda row: -row[1][2])
    print("| file | tests | s | CPU s |\n|---|---|---|---|")
    for file, (tests, elapsed, spent) in [
        *rows,
        ("all", [sum(column) for column in zip(*totals.values(), strict=True)]),
    ]:
        print(f"| {file} | {tests:.0f} | {elapsed:.0f} | {spent:.0f} |")


if __name__ == "__main__":
    main()
