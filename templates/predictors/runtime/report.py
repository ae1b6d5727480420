"""The data and the training on one page: outputs/report.html, and outputs/data-profile.json for programs.

The page needs nothing else, so that it can be sent to somebody. It is drawn with numpy and pandas, which are there: a
library that profiles tables would be one more package in each environment.
"""

import argparse
import base64
import html
import json
import os
import platform
import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
import pandas as pd

MODEL = Path(__file__).resolve().parents[1]
BINS = 24  # of a histogram
VALUES = 20  # of a category that the profile names
SHOWN = 200  # columns on the page: data-profile.json has the others as well

Profile = dict[str, Any]


def profile(table: Mapping[Any, Any], labels: Any, label: str) -> Profile:
    """What the columns hold, as the model gets them, and how the labels are spread."""
    columns = {str(name): column(pd.Series(np.asarray(values))) for name, values in table.items()}
    return {"rows": len(labels), "label": {"name": label, **column(pd.Series(np.asarray(labels)))}, "columns": columns}


def column(values: pd.Series) -> Profile:
    """One column: numbers with their spread, everything else with its most frequent values."""
    if values.dtype.kind in "biuf":
        numbers = values.dropna().to_numpy(np.float64)
        found: Profile = {"type": "number", "missing": len(values) - len(numbers), "distinct": int(values.nunique())}
        if not len(numbers):
            return found
        least, quarter, median, three_quarters, most = map(float, np.quantile(numbers, [0, 0.25, 0.5, 0.75, 1]))
        counts, edges = np.histogram(numbers - least, BINS, (0, most - least))  # large numbers leave no room for bins
        return found | {
            "least": least, "quarter": quarter, "median": median, "three_quarters": three_quarters, "most": most,
            "mean": float(numbers.mean()), "deviation": float(numbers.std()),
            "histogram": {"counts": counts.tolist(), "edges": (edges + least).tolist()},
        }  # fmt: skip
    counted = values[values != ""].value_counts()
    return {
        "type": "category", "missing": int((values == "").sum()), "distinct": len(counted),
        "values": {str(value): int(count) for value, count in counted.head(VALUES).items()},
    }  # fmt: skip


def write(outputs: Path, found: Profile, args: argparse.Namespace, metrics: dict[str, float]) -> Path:
    """Write the profile and the page; return the page."""
    text = json.dumps(found, indent=2, ensure_ascii=False)
    (outputs / "data-profile.json").write_text(text + "\n", encoding="utf-8")
    columns = list(found["columns"].items())
    more = f"<p>{len(columns) - SHOWN} more columns are in data-profile.json.</p>" if len(columns) > SHOWN else ""
    page = PAGE.substitute(
        title=html.escape(MODEL.name),
        rows=f"{found['rows']:,} rows, {len(columns):,} columns" if columns else f"{found['rows']:,} images",
        when=datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        metrics="".join(tile(name, value) for name, value in metrics.items()),
        label=html.escape(found["label"]["name"]),
        labels=spread(found["label"], found["rows"]),
        figures="".join(figures(outputs / "evaluation")),
        columns="".join(row(name, each, found["rows"]) for name, each in columns[:SHOWN]),
        of_table="" if columns else " hidden",
        more=more,
        parameters=definitions(vars(args)),
        environment=definitions(environment()),
    )
    path = outputs / "report.html"
    path.write_text(page, encoding="utf-8")
    return path


def tile(name: str, value: float) -> str:
    return f"<div><b>{value:.4g}</b>{html.escape(name.replace('_', ' '))}</div>"


def row(name: str, found: Profile, rows: int) -> str:
    """A line of the table of columns."""
    missing = f"{found['missing'] / max(rows, 1):.1%}" if found["missing"] else "none"
    kind = found["type"]
    cells = f"<th>{html.escape(name)}</th><td>{kind}</td><td>{missing}</td><td>{found['distinct']:,}</td>"
    return f"<tr>{cells}<td>{spread(found, rows)}</td></tr>\n"


def spread(found: Profile, rows: int) -> str:
    """How a column's values are spread: a histogram, or a bar for each of the most frequent ones."""
    if "histogram" in found:
        numbers = " · ".join(f"{name} {found[name]:.6g}" for name in ("least", "median", "most"))
        return f"{histogram(found['histogram']['counts'])}<small>{numbers}</small>"
    if found["type"] == "number":
        return "<small>no value</small>"
    shown = list(found["values"].items())[:5]
    bars = "".join(
        f'<li><i style="width:{100 * count / max(rows, 1):.1f}%"></i>{html.escape(shortened(value))} '
        f"<small>{count / max(rows, 1):.1%}</small></li>"
        for value, count in shown
    )
    others = found["distinct"] - len(shown)
    return f"<ul>{bars}</ul>" + (f"<small>and {others:,} others</small>" if others else "")


def histogram(counts: list[int]) -> str:
    """Bars as SVG, the highest as high as the picture."""
    highest = max(counts)
    bars = "".join(
        f'<rect x="{6 * place}" y="{40 - 40 * count / highest:.1f}" width="5" height="{40 * count / highest:.1f}"/>'
        for place, count in enumerate(counts)
        if count
    )
    box = f'viewBox="0 0 {6 * len(counts)} 40" preserveAspectRatio="none"'
    return f'<svg {box} role="img" aria-label="histogram">{bars}</svg>'


def figures(folder: Path) -> Iterator[str]:
    """The plots of the evaluation, as parts of the page."""
    for file in sorted(folder.glob("*.png")):
        content = base64.b64encode(file.read_bytes()).decode()
        name = html.escape(file.stem.replace("_", " "))
        image = f'<img src="data:image/png;base64,{content}" alt="{name}">'
        yield f"<figure>{image}<figcaption>{name}</figcaption></figure>"


def environment() -> dict[str, str]:
    """What this training ran on: Python, the computer, and the packages that the model's environment names."""
    found = {"Python": platform.python_version(), "system": platform.platform(), "processors": str(os.cpu_count())}
    listed = MODEL / "aml_config" / "train-conda.yml"
    text = listed.read_text(encoding="utf-8") if listed.exists() else ""
    for name in re.findall(r"^ *- *([A-Za-z][\w.-]*)==", text, re.MULTILINE):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue  # named, and not installed where this runs
    return found


def definitions(values: Mapping[str, Any]) -> str:
    return "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(str(value))}</dd>" for name, value in values.items())


def shortened(text: str, most: int = 60) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


PAGE = Template("""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>$title: the training</title>
<style>
:root { color-scheme: light dark; --line: light-dark(#dde2e7, #3a4149); --bar: light-dark(#9db8d2, #48688a); }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin: 0; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; }
small { color: light-dark(#5a6672, #a3adb8); }
.metrics, .figures { display: flex; flex-wrap: wrap; gap: 1rem; }
.metrics { margin-top: 1.2rem; }
.metrics div { border: 1px solid var(--line); border-radius: .4rem; padding: .5rem .9rem; }
.metrics b { display: block; font-size: 1.4rem; font-weight: 600; }
figure { margin: 0; max-width: 26rem; }
img { max-width: 100%; border-radius: .4rem; }
figcaption { font-size: .85rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { padding: .45rem .9rem .45rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
td:last-child { min-width: 15rem; }
svg { display: block; width: 15rem; height: 2.6rem; }
rect { fill: var(--bar); }
ul { list-style: none; margin: 0; padding: 0; max-width: 24rem; }
li { position: relative; isolation: isolate; padding: 0 .3rem; margin-bottom: 2px; overflow-wrap: anywhere; }
li i { position: absolute; inset: 0 auto 0 0; background: var(--bar); opacity: .45; border-radius: 2px; z-index: -1; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1.2rem; margin: 0; }
dd { margin: 0; overflow-wrap: anywhere; }
</style>
<h1>$title</h1>
<small>$rows. Trained $when</small>
<div class="metrics">$metrics</div>
<h2>$label</h2>
$labels
<h2>Evaluation</h2>
<div class="figures">$figures</div>
<section$of_table>
<h2>Columns</h2>
<div class="wide"><table>
<tr><th>column<th>type<th>missing<th>distinct<th>values
$columns</table></div>
$more
</section>
<h2>Parameters</h2>
<dl>$parameters</dl>
<h2>Environment</h2>
<dl>$environment</dl>
</html>
""")
