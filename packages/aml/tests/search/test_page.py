"""The page of a search: all that it needs is in it, whatever was tried and whatever a log says."""

import json
import re
from pathlib import Path

import pytest

from aml_project.search import page
from aml_project.search.page_process import PageProcess
from aml_project.search.record import COMPLETE, FAILED, RUNNING, STOPPED, Trial
from aml_project.values import Values
from search.test_definition import of

SEARCH = of("x: {low: 0.0, high: 1.0}\nkind: [a, b]\nn: {low: 1, high: 9, when: {kind: b}}")


def made(folder: Path, trials: list[Trial]) -> tuple[str, list[str], list[dict[str, object]]]:
    """The page's text, the headings of its plots, and its rows."""
    text = page.text(folder, "The search of <m>", trials, SEARCH)
    rows = re.search(r"columns = .*?, rows = (.*);$", text, re.MULTILINE)
    assert rows
    return text, re.findall(r"<h2>(.*?)</h2>", text), json.loads(rows[1])


def values(number: int) -> Values:
    return {"x": number / 1000, "kind": "b", "n": number % 9 + 1} if number % 2 else {"x": number / 1000, "kind": "a"}


def test_a_thousand_trials_are_one_page_with_every_plot(tmp_path: Path) -> None:
    trials = [Trial(number, values(number), COMPLETE, {"m": number % 97 / 7}) for number in range(1, 998)]
    trials += [
        Trial(998, values(998), FAILED, why="ended with the code 1"),
        Trial(999, values(999), STOPPED, steps=[(0, 1.0), (1, 0.5)]),
        Trial(1000, values(1000), RUNNING),
    ]
    text, headings, rows = made(tmp_path, trials)
    assert headings == [
        "History",
        "Parallel coordinates: the best 100 of 997",
        "Importance of each parameter",
        "Each parameter by itself",
        "m by step",
        "Trials",
    ]
    assert "1000 trials: 997 complete, 1 failed, 1 stopped early, 1 running. minimize m, by tpe." in text
    assert len(rows) == 1000
    assert rows[0]["best"] and rows[0]["cells"][2] == 0  # type: ignore[index]
    assert re.findall(r"<(?:script|link|img)[^>]*(?:src|href)=", text) == []


def test_what_a_log_says_is_text(tmp_path: Path) -> None:
    folder = tmp_path / "trials" / "0001"
    folder.mkdir(parents=True)
    (folder / "log.txt").write_bytes(b"</script><script>alert(1)</script> \xff\n")
    text, _, rows = made(tmp_path, [Trial(1, values(1), FAILED, why="</script>")])
    assert rows[0]["log"] == "</script>\n\n</script><script>alert(1)</script> \N{REPLACEMENT CHARACTER}"
    assert "<script>alert" not in text
    assert "The search of &lt;m&gt;" in text


@pytest.mark.usefixtures("own_page")
def test_a_process_of_its_own_draws_the_same(tmp_path: Path) -> None:
    trials = [Trial(number, values(number), COMPLETE, {"m": number / 2}) for number in range(1, 9)]
    process = PageProcess()
    process.begin()
    given = process.text(tmp_path, "The search of <m>", trials, SEARCH)
    assert given == page.text(tmp_path, "The search of <m>", trials, SEARCH)
    assert process.process is None


@pytest.mark.usefixtures("own_page")
def test_a_process_that_was_killed_is_told(tmp_path: Path) -> None:
    process = PageProcess()
    process.begin()
    assert process.process
    process.process.kill()
    process.process.wait()
    with pytest.raises(ValueError, match="its process ended with -9"):
        process.text(tmp_path, "m", [], SEARCH)
    process.begin()
    process.end()
    assert process.process is None


@pytest.mark.parametrize(
    ("trials", "headings"),
    [
        ([], []),
        ([Trial(1, values(1), FAILED)], []),
        ([Trial(1, values(1), COMPLETE, {"m": 1.0})], ["History"]),
        ([Trial(n, values(2), COMPLETE, {"m": 1.0}) for n in (1, 2)], ["History"]),
        (
            [Trial(n, values(n), COMPLETE, {"m": 1.0}) for n in (1, 2)],
            ["History", "Parallel coordinates", "Each parameter by itself"],
        ),
    ],
)
def test_few_trials_are_a_page_too(tmp_path: Path, trials: list[Trial], headings: list[str]) -> None:
    assert made(tmp_path, trials)[1] == [*headings, "Trials"]
