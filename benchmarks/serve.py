"""Measure what the rendered score.py answers per second, through the real inference server.

    python benchmarks/serve.py

Three entry scripts take turns within one run: one that returns its request, which is the floor of the server; the
project's own, which uses ONNX; and the one that comes to mind first, which gives a DataFrame to the pipeline. The last
two must give the same answers before they are measured: a fast wrong answer is worth nothing.
"""

import argparse
import contextlib
import csv
import http.client
import itertools
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple

TEMPLATE = Path(__file__).resolve().parents[1]
TOLERANCE = 1e-4  # of a probability, as in the project's onnx_export.py
MOST_ROWS = 10_000  # as in the project's score.py
CLIENTS = (1, 8)
GOALS = {"echo": 0.6, "DataFrame": 4.0}  # score.py's requests per second, as a multiple of theirs

ECHO = """
import json

def init():
    pass

def run(data):
    return json.loads(data)
"""

# Missing categories are "" in training. Filling them in before pandas is the cheapest way: the comparison is fair.
DATAFRAME = """
import json
import os
from pathlib import Path

import joblib
import pandas as pd

def init():
    global pipeline, categories
    folder = Path(os.environ["AZUREML_MODEL_DIR"])
    pipeline = joblib.load(folder / "model.pkl")
    columns = json.loads((folder / "schema.json").read_text(encoding="utf-8"))["columns"]
    categories = [column["name"] for column in columns if column["type"] == "category"]

def run(data):
    frame = pd.DataFrame(json.loads(data)["data"])
    frame[categories] = frame[categories].fillna("")
    probabilities = pipeline.predict_proba(frame)
    labels = pipeline.classes_[probabilities.argmax(axis=1)]
    return {
        "predictions": [
            {"label": label, "probabilities": dict(zip(pipeline.classes_, row))}
            for label, row in zip(labels.tolist(), probabilities.tolist())
        ]
    }
"""

Row = dict[str, Any]


class Load(NamedTuple):
    """What the clients saw in one cell of the table."""

    rate: float  # requests per second
    p50: float  # milliseconds
    p99: float


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure score.py, an echo and the DataFrame way side by side.")
    parser.add_argument("--project", type=Path, help="a rendered and trained project (default: make one, for minutes)")
    parser.add_argument("--seconds", type=float, default=3, help="length of one measurement (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each (default: %(default)s)")
    args = parser.parse_args()
    with contextlib.ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        project = args.project.resolve() if args.project else make_project(work)
        name = json.loads((project / ".cookiecutter.json").read_text(encoding="utf-8"))["model_name"]
        model = project / "models" / name
        if not (model / "outputs" / "model" / "model.onnx").exists():
            sys.exit(f"ERROR: {model} has no outputs/model/model.onnx: is it trained, and did the export succeed?")
        scripts = {"echo": work / "echo.py", "score.py": model / "score.py", "DataFrame": work / "dataframe.py"}
        scripts["echo"].write_text(ECHO)
        scripts["DataFrame"].write_text(DATAFRAME)

        say("Starting the servers")
        azmlinfsrv = project / ".venv" / name / "bin" / "azmlinfsrv"
        ports = {
            title: stack.enter_context(serve(azmlinfsrv, script, model / "outputs" / "model", work / f"{title}.log"))
            for title, script in scripts.items()
        }
        rows = read_rows(project / "data" / "customers.csv", model / "outputs" / "model" / "schema.json")
        say("Comparing the answers of score.py with those of the pipeline")
        if not same_answers(ports["score.py"], ports["DataFrame"], rows):
            return 1
        report(measure(ports, rows[0], args.seconds, args.rounds))
    return 0


def say(line: str) -> None:
    """Print at once: a pipe would keep a slow step's line until the next one."""
    print(line, flush=True)


def make_project(work: Path) -> Path:
    """Render, install and train the default project, as its first user would."""
    say("Rendering, installing and training the default project")
    config = work / "config.yml"
    config.write_text(json.dumps({"cookiecutters_dir": str(work / "templates"), "replay_dir": str(work / "replay")}))
    env = os.environ | {"COOKIECUTTER_CONFIG": str(config)}
    cookiecutter = Path(sys.executable).with_name("cookiecutter")
    out = work / "out"
    subprocess.run([cookiecutter, "--no-input", "-o", out, TEMPLATE], env=env, check=True, stdout=subprocess.DEVNULL)
    project = next(out.iterdir())
    for target in ("setup", "train"):
        command = ["make", "--no-print-directory", target]
        with subprocess.Popen(
            command, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            assert process.stdout
            for line in process.stdout:
                if not line.startswith(" + "):  # the hundred packages that it installed
                    say(f"  {line.rstrip()}")
        if process.returncode:
            sys.exit(f"ERROR: make {target} failed")
    return project


@contextlib.contextmanager
def serve(azmlinfsrv: Path, script: Path, model_dir: Path, log: Path) -> Iterator[int]:
    """Run the inference server as `make serve` does, with one worker; yield its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command: list[str | Path] = [azmlinfsrv, "--entry_script", script, "--model_dir", model_dir, "--port", str(port)]
    with log.open("w") as file:
        server = subprocess.Popen(
            [*command, "--worker_count", "1"],
            cwd=script.parent,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + 60
        while not is_up(port):
            if server.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"ERROR: the server of {script.name} did not start:\n{log.read_text()}")
            time.sleep(0.2)
        yield port
    finally:
        server.terminate()
        try:
            server.wait(timeout=30)
        except subprocess.TimeoutExpired:
            server.kill()


def is_up(port: int) -> bool:
    """Tell whether the server answers at its health path, which it does after init()."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def read_rows(data: Path, schema: Path) -> list[Row]:
    """Read the sample table as requests hold it: without the label, and null where a value is missing."""
    columns = json.loads(schema.read_text(encoding="utf-8"))["columns"]
    types = {column["name"]: float if column["type"] == "number" else str for column in columns}
    with data.open(encoding="utf-8", newline="") as file:
        return [
            {name: kind(row[name]) if row[name] else None for name, kind in types.items()}
            for row in csv.DictReader(file)
        ]


def same_answers(onnx: int, dataframe: int, rows: list[Row]) -> bool:
    """Compare the labels and probabilities of both servers: every sample row, odd rows, small and full requests."""
    nothing = dict.fromkeys(rows[0])
    unseen = {name: "never seen" if isinstance(value, str) else value for name, value in rows[0].items()}
    odd = [nothing, unseen, *({**rows[0], name: None} for name in rows[0])]
    gaps = [row for row in rows if None in row.values()]
    full = list(itertools.islice(itertools.cycle(odd + rows), MOST_ROWS))
    requests = [[row] for row in odd + gaps[:50] + rows[:50]] + [rows[at : at + 100] for at in range(0, len(rows), 100)]
    labels, largest = 0, 0.0
    for request in [*requests, odd + rows, full]:
        body = json.dumps({"data": request}).encode()
        ours, theirs = (post(port, body)["predictions"] for port in (onnx, dataframe))
        if not len(ours) == len(theirs) == len(request):
            say(f"  {len(request)} rows were answered by {len(ours)} and {len(theirs)}")
            return False
        for our, their in zip(ours, theirs, strict=True):
            labels += our["label"] != their["label"]
            if our["probabilities"].keys() != their["probabilities"].keys():
                say(f"  classes differ: {our} and {their}")
                return False
            largest = max(
                largest, *(abs(p - their["probabilities"][label]) for label, p in our["probabilities"].items())
            )
    say(
        f"  {len(rows)} rows ({len(gaps)} with gaps) and {len(odd)} odd ones, in {len(requests) + 2} requests of"
        f" 1 to {len(full)}: {labels} labels differ; largest difference of a probability {largest:.1e}"
        f" (at most {TOLERANCE:.0e})"
    )
    return not labels and largest <= TOLERANCE


def post(port: int, body: bytes) -> Any:
    """Send one request to /score; return its answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", "/score", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        answer = response.read()
        if response.status != 200:
            sys.exit(f"ERROR: the server answered {response.status}: {answer.decode(errors='replace')[:300]}")
        return json.loads(answer)
    finally:
        connection.close()


def measure(ports: dict[str, int], row: Row, seconds: float, rounds: int) -> dict[tuple[str, int], Load]:
    """Load the servers by turns, round after round, so that a busy spell of the machine meets all; take medians."""
    body = json.dumps({"data": [row]}).encode()
    found: dict[tuple[str, int], list[Load]] = {(title, clients): [] for clients in CLIENTS for title in ports}
    with ProcessPoolExecutor(max(CLIENTS)) as pool:
        for port in ports.values():
            load(pool, port, body, max(CLIENTS), 0.5)  # starts the pool's processes, and warms the server
        for number in range(1, rounds + 1):
            for (title, clients), loads in found.items():
                loads.append(load(pool, ports[title], body, clients, seconds))
                say(f"  round {number}: {title}, {clients} client(s): {loads[-1].rate:.0f} requests/s")
    return {cell: Load(*map(median, zip(*loads, strict=True))) for cell, loads in found.items()}


def load(pool: ProcessPoolExecutor, port: int, body: bytes, clients: int, seconds: float) -> Load:
    """Let clients, a process each, send requests back to back for some seconds."""
    start = time.monotonic() + 0.1  # the same for all of them, whenever they get their task
    futures = [pool.submit(client, port, body, start, start + seconds) for _ in range(clients)]
    times = [taken for future in futures for taken in future.result()]
    cuts = quantiles(times, n=100)
    return Load(len(times) / seconds, cuts[49] * 1000, cuts[98] * 1000)


def client(port: int, body: bytes, start: float, end: float) -> list[float]:
    """Return the seconds that each request took that was answered before the end.

    On bare sockets: an HTTP library would take about as long as the server does, and share its processors.
    """
    head = f"POST /score HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    request = head.encode() + b"\r\nConnection: close\r\n\r\n" + body
    times = []
    time.sleep(max(0.0, start - time.monotonic()))
    while (began := time.monotonic()) < end:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            connection.sendall(request)
            answer = connection.recv(65536)
            while more := connection.recv(65536):  # until the server closes, as it does after each answer
                answer += more
        if not answer.startswith(b"HTTP/1.1 200 "):
            raise RuntimeError(f"the server answered {answer[:300]!r}")
        if (now := time.monotonic()) <= end:
            times.append(now - began)
    return times


def report(found: dict[tuple[str, int], Load]) -> None:
    """Print every cell, then score.py's rate beside the others'."""
    print(f"\n{'entry script':14}{'clients':>8}{'req/s':>8}{'p50 ms':>9}{'p99 ms':>9}")
    for (title, clients), cell in found.items():
        print(f"{title:14}{clients:8}{cell.rate:8.0f}{cell.p50:9.2f}{cell.p99:9.2f}")
    print(f"\n{'ratio of req/s':22}" + "".join(f"{clients:6} client(s)" for clients in CLIENTS) + f"{'goal':>8}")
    for other, goal in GOALS.items():
        ratios = [found["score.py", clients].rate / found[other, clients].rate for clients in CLIENTS]
        print(f"{'score.py / ' + other:22}" + "".join(f"{ratio:16.2f}" for ratio in ratios) + f"{goal:8.2f}")


if __name__ == "__main__":
    sys.exit(main())
