"""Send a request to a model that is served here, and print its answer.

aml request --model model1
"""

from __future__ import annotations

import argparse
from pathlib import Path

from aml_project.command_line import DONE, REFUSED, SERVICE_FAILED, Failure, Parser, Progress, run
from aml_project.files import write_whole
from aml_project.project import pick_model, root, shown
from aml_project.serving.request_body import is_volume, kind_of, sample_of

EXAMPLE = """  aml request
  aml request rows.json --port 5002"""
SECONDS = 60  # that an answer may take


def main(argv: list[str] | None = None) -> int:
    parser = Parser("Send a request to a model that is served here; print its answer.", EXAMPLE)
    parser.add_argument("file", nargs="?", type=Path, help="JSON, or a volume (default: the model's sample request)")
    parser.add_argument("--model", help="a folder of models/ (default: the only one there is)")
    parser.add_argument("--port", type=int, default=5001, help="where make serve listens (default: %(default)s)")
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="where a mask goes (default: the model's outputs/answer.nii.gz)"
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be sent, and send nothing")
    return run(send, parser, argv)


def send(args: argparse.Namespace) -> int:
    url = f"http://127.0.0.1:{args.port}/score"
    file = args.file or sample_of(root() / "models" / pick_model(root(), args.model))
    body = file.read_bytes()
    if args.dry_run:
        print(f"Would send {shown(file)}, {len(body)} bytes, to {url}")
        return DONE
    answer, dice = answer_of(url, body)
    if not is_volume(answer):
        print(laid_out(url, answer))
        return DONE
    mask = args.output or root() / "models" / pick_model(root(), args.model) / "outputs" / "answer.nii.gz"
    write_whole(mask, answer)
    print(f"{shown(mask)}: a mask of {len(answer)} bytes{f', Dice {dice}' if dice else ''}")
    return DONE


def laid_out(url: str, answer: bytes) -> str:
    """An answer, to be read."""
    import json

    try:
        return json.dumps(json.loads(answer), indent=2, ensure_ascii=False)
    except ValueError:
        raise Failure(f"{url}: the answer is not JSON; is it make serve that listens there?", SERVICE_FAILED) from None


def answer_of(url: str, body: bytes) -> tuple[bytes, str]:
    """Return the server's answer, and the Dice where it says one."""
    import http.client
    import urllib.error
    import urllib.request

    request = urllib.request.Request(url, body, {"Content-Type": kind_of(body)})
    try:
        with Progress("Waiting for the answer"), urllib.request.urlopen(request, timeout=SECONDS) as response:
            return response.read(), str(response.headers.get("x-dice") or "")
    except urllib.error.HTTPError as error:
        said = error.read().decode(errors="replace").strip()
        raise Failure(f"{url} answered {error.code}: {said}", REFUSED if error.code < 500 else SERVICE_FAILED) from None
    except urllib.error.URLError as error:
        raise Failure(f"{url}: {error.reason}. Is the model served? make serve", SERVICE_FAILED) from None
    except (OSError, http.client.HTTPException) as error:
        raise Failure(f"{url} hung up: {error}. Look at what make serve prints", SERVICE_FAILED) from None
