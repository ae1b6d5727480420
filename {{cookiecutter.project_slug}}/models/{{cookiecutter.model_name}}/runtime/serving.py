"""What every answer of score.py comes with: an honest status, a line in the log, the model and code that gave it."""

import json
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timezone
from functools import wraps
from itertools import count
from pathlib import Path
from typing import Any

import flask
from azureml_inference_server_http.api.aml_response import AMLResponse

from runtime import input_schema

BOOT_FAILED = 3  # the exit code by which the server gives up, instead of starting its worker again and again
SAID = 200  # characters of an error in the log
LOG_REQUESTS = os.environ.get("LOG_REQUESTS", "true").lower() != "false"

numbers = count(1)  # of the requests of this worker
encode = json.JSONEncoder(ensure_ascii=False).encode  # json.dumps would make one for each line
origin = {"model": "local", "code": os.environ.get("CODE_COMMIT") or "unknown"}


def find_model() -> tuple[Path, list[input_schema.Column], list[str]]:
    """Find the model below AZUREML_MODEL_DIR: its folder, its columns, its classes. Without one the server ends."""
    root = os.environ.get("AZUREML_MODEL_DIR", "")
    try:
        if not root:
            raise FileNotFoundError("AZUREML_MODEL_DIR: names no folder; azmlinfsrv --model_dir FOLDER sets it")
        found = input_schema.find(root)
    except FileNotFoundError as error:
        if "azureml_inference_server_http.server.entry" not in sys.modules:
            raise
        print(f"ERROR: {error}", file=sys.stderr, flush=True)
        os._exit(BOOT_FAILED)  # an exception would be buried in two tracebacks of the server
    # The service lays version 3 of a model into …/azureml-models/NAME/3.
    deployed = re.search(r"/azureml-models/[^/]+/(\d+)(/|$)", found[0].resolve().as_posix())
    origin["model"] = os.environ.get("MODEL_VERSION") or (deployed[1] if deployed else "local")
    return found


def handled(run: Callable[..., Any]) -> Callable[..., Any]:
    """Make of run() what the server calls: a BadRequest becomes an answer with status 400, each request a line."""

    @wraps(run)
    def handle(*args: Any, **kwargs: Any) -> Any:
        began = time.perf_counter()
        status, answer, error = 500, None, ""
        if flask.has_request_context():
            flask.after_this_request(name_origin)
            if flask.request.method == "OPTIONS":  # a browser asks first; the server leaves that to a @rawhttp run()
                return AMLResponse("", 200)
        try:
            answer = run(*args, **kwargs)
            status = 200
        except input_schema.BadRequest as bad:
            status, error = 400, str(bad)
            return AMLResponse({"message": error}, status, json_str=True)
        except Exception as failure:  # the server answers with 500, and logs the traceback
            error = f"{type(failure).__name__}: {failure}"
            raise
        finally:
            if LOG_REQUESTS:
                log(status, time.perf_counter() - began, answer, error)
        return answer

    return handle


def name_origin(response: flask.Response) -> flask.Response:
    """Say in the headers which version of the model and which commit of the code answered."""
    response.headers.add("x-model-version", origin["model"])
    response.headers.add("x-code-commit", origin["code"])
    return response


def log(status: int, seconds: float, answer: Any, error: str) -> None:
    """Print one line of JSON: the server's own print() would put words before it."""
    line = {
        "time": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
        "worker": os.getpid(),
        "request": next(numbers),
        "status": status,
        "ms": round(seconds * 1000, 2),
        **origin,
    }
    if error:
        line["error"] = error[:SAID]
    elif isinstance(answer, dict) and "predictions" in answer:
        line["rows"] = len(answer["predictions"])
        line["labels"] = Counter(prediction["label"] for prediction in answer["predictions"])
    sys.stdout.write(encode(line) + "\n")
    sys.stdout.flush()
