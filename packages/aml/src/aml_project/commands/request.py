"""Send a request to a model that is served here, and print its answer.

aml request --model model1
"""

from __future__ import annotations

import argparse
from pathlib import Path

from aml_project.command_line import DONE, REFUSED, SERVICE_FAILED, Failure, Parser, Progress, run
from aml_project.project import pick_model, root, shown

EXAMPLE = """  aml request
  aml request rows.json --port 5002"""
SECONDS = 60  # that an answer may take


def main(argv: list[str] | None = None) -> int:
    parser = Parser("Send a request to a model that is served here; print its answer.", EXAMPLE)
    parser.add_argument("file", nargs="?", type=Path, help="a JSON file (default: the model's sample-request.json)")
    parser.add_argument("--model", help="a folder of models/ (default: the only one there is)")
    parser.add_argument("--port", type=int, default=5001, help="where make serve listens (default: %(default)s)")
    parser.add_argument("--dry-run", action="store_true", help="say what would be sent, and send nothing")
    return run(send, parser, argv)


def send(args: argparse.Namespace) -> int:
    url = f"http://127.0.0.1:{args.port}/score"
    file = args.file or root() / "models" / pick_model(root(), args.model) / "sample-request.json"
    body = file.read_bytes()
    if args.dry_run:
        print(f"Would send {shown(file)}, {len(body)} bytes, to {url}")
        return DONE
    print(answer_of(url, body))
    return DONE


def answer_of(url: str, body: bytes) -> str:
    """Return the server's answer, laid out for reading."""
    import http.client
    import json
    import urllib.error
    import urllib.request

    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    try:
        with Progress("Waiting for the answer"), urllib.request.urlopen(request, timeout=SECONDS) as response:
            answer = response.read()
    except urllib.error.HTTPError as error:
        said = error.read().decode(errors="replace").strip()
        raise Failure(f"{url} answered {error.code}: {said}", REFUSED if error.code < 500 else SERVICE_FAILED) from None
    except urllib.error.URLError as error:
        raise Failure(f"{url}: {error.reason}. Is the model served? make serve", SERVICE_FAILED) from None
    except (OSError, http.client.HTTPException) as error:
        raise Failure(f"{url} hung up: {error}. Look at what make serve prints", SERVICE_FAILED) from None
    try:
        return json.dumps(json.loads(answer), indent=2, ensure_ascii=False)
    except ValueError:
        raise Failure(f"{url}: the answer is not JSON; is it make serve that listens there?", SERVICE_FAILED) from None
