"""What score.py is served with: its model, an honest status and a line in the log for each answer, /swagger.json."""

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
import numpy as np
from azureml_inference_server_http.api.aml_response import AMLResponse
from inference_schema import schema_decorators
from inference_schema.parameter_types.abstract_parameter_type import AbstractParameterType
from inference_schema.schema_util import is_schema_decorated

from runtime import input_schema

BOOT_FAILED = 3  # the exit code by which the server gives up, instead of starting its worker again and again
SAID = 200  # characters of an error in the log
LOG_REQUESTS = os.environ.get("LOG_REQUESTS", "true").lower() != "false"
SMALLEST_IMAGE = "R0lGODdhAQABAIEAAICAgAAAAAAAAAAAACwAAAAAAQABAAAIBAABBAQAOw=="  # one grey pixel

numbers = count(1)  # of the requests of this worker
handled_runs: set[Callable[..., Any]] = set()  # which runtime/server.py may call without Flask
encode = json.JSONEncoder(ensure_ascii=False).encode  # json.dumps would make one for each line
origin = {"model": "local", "code": os.environ.get("CODE_COMMIT") or "unknown"}


def find_model() -> tuple[Path, input_schema.Schema]:
    """Find the model below AZUREML_MODEL_DIR: its folder and its schema. Without one the server ends."""
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

    handled_runs.add(handle)
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
        line |= summary(answer["predictions"])
    sys.stdout.write(encode(line) + "\n")
    sys.stdout.flush()


def summary(predictions: list[dict[str, Any]]) -> dict[str, Any]:
    """What the log says of the predictions: how often each label came, or how large the numbers were."""
    if "label" in predictions[0]:
        return {"labels": Counter(prediction["label"] for prediction in predictions)}
    values = [prediction["value"] for prediction in predictions]
    return {"values": {"least": min(values), "mean": sum(values) / len(values), "most": max(values)}}


class Schema(AbstractParameterType):
    """A part of the description, handed over as it is."""

    def deserialize_input(self, input_data: Any) -> Any:
        return input_data

    def input_to_swagger(self) -> dict[str, Any]:
        return dict(self.sample_input)


def publish(run: Callable[..., Any], schema: input_schema.Schema) -> None:
    """Show at /swagger.json what a request may hold and what is answered: it is known once the model is loaded.

    The inference server reads that from the decorators of inference-schema. They want a sample when run() is
    defined, which is too early: so they are applied here, for their record alone.
    """
    if is_schema_decorated(run):
        return  # init() a second time, as in a notebook: the decorators refuse to be applied again
    columns = schema.columns
    number = {"type": "number", "format": "float", "x-nullable": True}
    text = {"type": "string", "x-nullable": True}
    image = {"type": "string", "format": "byte"}  # base64, as OpenAPI calls it
    kinds: dict[str, dict[str, Any]] = {"number": number, "category": text, "date": text, "image": image}
    row = {column["name"]: _example(column) for column in columns}
    rows = {
        "type": "array",
        "minItems": 1,
        "items": {
            "type": "object",
            "required": [column["name"] for column in columns],
            "properties": {column["name"]: kinds[column["type"]] | {"example": _example(column)} for column in columns},
        },
        "example": [row],
    }
    predictions = {
        "type": "object",
        "required": ["predictions"],
        "properties": {"predictions": {"type": "array", "items": _prediction(schema)}},
        "example": input_schema.answer(_output(schema), schema),
    }
    described = schema_decorators.input_schema("data", Schema(rows), convert_to_provided_type=False)(run)
    schema_decorators.output_schema(Schema(predictions))(described)


def _prediction(schema: input_schema.Schema) -> dict[str, Any]:
    """What is answered for a row."""
    if schema.task == "regression":
        names = list(input_schema.answered_numbers(_output(schema), schema))
        return {"type": "object", "required": names, "properties": {name: {"type": "number"} for name in names}}
    return {
        "type": "object",
        "required": ["label", "probabilities"],
        "properties": {
            "label": {"type": "string", "enum": schema.classes},
            "probabilities": {
                "type": "object",
                "required": schema.classes,
                "properties": {label: {"type": "number"} for label in schema.classes},
            },
        },
    }


def _output(schema: input_schema.Schema) -> np.ndarray:
    """What a model may make of one row."""
    count = len(schema.classes)
    return np.zeros(1) if schema.task == "regression" else np.full((1, count), 1 / count)


def _example(column: input_schema.Column) -> float | str:
    if column["type"] == "number":
        return 0.5
    if column["type"] == "date":
        return str(column["latest"] or "2024-01-31")
    return SMALLEST_IMAGE if column["type"] == "image" else str(next(iter(column["categories"]), ""))
