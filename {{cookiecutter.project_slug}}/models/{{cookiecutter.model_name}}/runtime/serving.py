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
from werkzeug.exceptions import MethodNotAllowed

from runtime import input_schema

BOOT_FAILED = 3  # the exit code by which the server gives up, instead of starting its worker again and again
SAID = 200  # characters of an error in the log
LOG_REQUESTS = os.environ.get("LOG_REQUESTS", "true").lower() != "false"
VERSIONS = {"2": "2", "2.0": "2", "3": "3.0", "3.0": "3.0", "3.1": "3.1"}  # as they are asked for, and what they are
UNREAD = "The body could not be read to its end: it is cut off, or its chunks are malformed."
SMALLEST_IMAGE = "R0lGODdhAQABAIEAAICAgAAAAAAAAAAAACwAAAAAAQABAAAIBAABBAQAOw=="  # one grey pixel

max_bytes = input_schema.MAX_BYTES  # of a request, for runtime/server.py; a score.py may set another number
numbers = count(1)  # of the requests of this worker
handled_runs: set[Callable[..., Any]] = set()  # which runtime/server.py may call without Flask
encode = json.JSONEncoder(ensure_ascii=False).encode  # json.dumps would make one for each line
origin = {"model": "local", "code": os.environ.get("CODE_COMMIT") or "unknown"}
descriptions: dict[str, dict[str, Any]] = {}  # what /swagger.json answers, by its version
offered: set[str] = set()  # what a request may ask for beside its answer: "explain"


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
            if flask.request.method != "POST":
                return refuse_method(MethodNotAllowed(["POST", "OPTIONS"]))
        try:
            if "explain" not in offered and asked("explain"):
                raise input_schema.BadRequest("This model gives no reasons: ask without explain=true.")
            answer = run(*args, **kwargs)
            status = 200
        except input_schema.BadRequest as bad:
            status, error = 400, str(bad)
            return AMLResponse({"message": error}, status, json_str=True)
        except Exception as failure:
            if unread(failure):
                status, error = 400, UNREAD
                return AMLResponse({"message": error}, status, json_str=True)
            # the server answers with 500, and logs the traceback
            error = f"{type(failure).__name__}: {failure}"
            raise
        finally:
            if LOG_REQUESTS:
                log(status, time.perf_counter() - began, answer, error)
        return answer

    handled_runs.add(handle)
    return handle


def asked(name: str) -> bool:
    """Whether the request's address says so: /score?explain=true."""
    if not flask.has_request_context() or not flask.request.query_string:
        return False
    said: str = flask.request.args.get(name, "false")
    if said not in ("true", "false"):
        raise input_schema.BadRequest(f"{name} must be true or false, not {said[:80]!r}.")
    return said == "true"


def refuse_method(error: MethodNotAllowed) -> AMLResponse:
    """Name the methods that there are, as HTTP wants it."""
    return AMLResponse({"message": error.description}, 405, {"Allow": ", ".join(error.valid_methods or [])}, True)


def unread(error: Exception) -> bool:
    """Whether gunicorn came to no end of the body: chunks that are none, or a client that went away."""
    return type(error).__module__ == "gunicorn.http.errors"


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


def publish(schema: input_schema.Schema, max_rows: int, *, explained: bool = False) -> None:
    """Show at /swagger.json what a request may hold and what is answered: it is known once the model is loaded."""
    if explained:
        offered.add("explain")
    for version in VERSIONS.values():
        descriptions[version] = describe(schema, max_rows, version, explained)
    # The server of Azure ML, whose own description leaves out what is refused, calls init() before it has its routes.
    if routes := sys.modules.get("azureml_inference_server_http.server.routes"):
        if errors := sys.modules.get("gunicorn.http.errors"):
            for kind in (errors.ParseException, errors.NoMoreData):
                routes.main_blueprint.register_error_handler(kind, refuse_unread)
        routes.main_blueprint.record(_take_over)


def _take_over(state: Any) -> None:
    state.app.register_error_handler(MethodNotAllowed, refuse_method)
    state.app.view_functions["main.get_swagger_specification"] = answer_description


def refuse_unread(_: Exception) -> AMLResponse:
    return AMLResponse({"message": UNREAD}, 400, json_str=True)


def answer_description() -> AMLResponse:
    version = flask.request.args.get("version", "2")
    if version not in VERSIONS:
        said = f"There is no version {version[:80]!r}: ask for one of {', '.join(VERSIONS)}."
        return AMLResponse({"message": said}, 404, json_str=True)
    return AMLResponse(descriptions[VERSIONS[version]], 200, json_str=True)


def describe(schema: input_schema.Schema, max_rows: int, version: str, explained: bool) -> dict[str, Any]:
    """The service as OpenAPI has it, in version 2 (Swagger), 3.0 or 3.1."""
    place = "#/definitions/" if version == "2" else "#/components/schemas/"

    def content(part: dict[str, Any], kind: str) -> dict[str, Any]:
        return {"schema": part} if version == "2" else {"content": {kind: {"schema": part}}}

    def answers(said: str, part: dict[str, Any], *, kind: str = "application/json", **refused: str) -> dict[str, Any]:
        error = content({"$ref": f"{place}ErrorResponse"}, "application/json")
        refused |= {"default": "Another refusal, or a failure that the log tells of."}
        found: dict[str, Any] = {"200": {"description": said} | content(part, kind)}
        found |= {status.strip("_"): {"description": why} | error for status, why in refused.items()}
        return {"responses": found} | ({"produces": sorted({kind, "application/json"})} if version == "2" else {})

    def choice(name: str, said: str, kind: str, among: list[Any]) -> dict[str, Any]:
        part: dict[str, Any] = {"type": kind, "enum": among}
        found: dict[str, Any] = {"name": name, "in": "query", "required": False, "description": said}
        return found | (part if version == "2" else {"schema": part})

    said = "The rows to answer, each with every column."
    body = content({"$ref": f"{place}ServiceInput"}, "application/json") | {"description": said, "required": True}
    explain = choice("explain", "Whether each answer comes with what each column adds to it.", "boolean", [True, False])
    asking: dict[str, Any] = {"parameters": [explain] * explained}
    if version == "2":
        asking["parameters"].append({"name": "serviceInputPayload", "in": "body"} | body)
        asking["consumes"] = ["application/json"]
    else:
        asking["requestBody"] = body
        if schema.columns[0]["type"] == "image":
            body["content"]["application/octet-stream"] = {"schema": {"type": "string", "format": "binary"}}
    up = answers("It is up.", {"type": "string"}, kind="text/html")
    paths = {
        "/": {"get": {"operationId": "ServiceHealthCheck"} | up},
        "/score": {
            "post": {"operationId": "RunMLService", "security": [{"Bearer": []}, {}]}
            | asking
            | answers("What the model makes of each row.", {"$ref": f"{place}ServiceOutput"}, _400="What is wrong.")
        },
        "/swagger.json": {
            "get": {
                "operationId": "GetSwaggerSpec",
                "parameters": [choice("version", "Of OpenAPI.", "string", list(VERSIONS))],
            }
            | answers("This description.", {"type": "object"}, _404="There is no such version.")
        },
    }
    message = {"type": "object", "required": ["message"], "properties": {"message": {"type": "string"}}}
    parts = {
        "ServiceInput": _request(schema, max_rows),
        "ServiceOutput": _answer(schema, explained),
        "ErrorResponse": message,
    }
    key = {
        "type": "apiKey", "name": "Authorization", "in": "header",
        "description": "Bearer KEY, which the service in Azure asks for and no server on your own computer does.",
    }  # fmt: skip
    prefix = os.environ.get("SERVICE_PATH_PREFIX", "").strip("/")
    return {
        **({"swagger": "2.0"} if version == "2" else {"openapi": f"{version}.{'0' if version == '3.1' else '3'}"}),
        "info": {
            "title": os.environ.get("SERVICE_NAME", "ML service"),
            "version": os.environ.get("SERVICE_VERSION", "1.0"),
        },
        "paths": {(f"/{prefix}" if prefix else "") + path: what for path, what in paths.items()},
        **(
            {"definitions": _spelled(parts, version), "securityDefinitions": {"Bearer": key}}
            if version == "2"
            else {"components": {"schemas": _spelled(parts, version), "securitySchemes": {"Bearer": key}}}
        ),
    }


def _spelled(part: Any, version: str) -> Any:
    """A schema that is written for 3.1, in which a type may be one of several, as the earlier versions spell it."""
    if isinstance(part, list):
        return [_spelled(entry, version) for entry in part]
    if not isinstance(part, dict) or version == "3.1":
        return part
    part = {name: _spelled(entry, version) for name, entry in part.items()}
    if isinstance(part.get("type"), list):
        part["type"] = part["type"][0]
        part["x-nullable" if version == "2" else "nullable"] = True
    return part


def _request(schema: input_schema.Schema, max_rows: int) -> dict[str, Any]:
    """What a request holds."""
    number = {
        "type": ["number", "null"],
        "format": "float",
        "minimum": -input_schema.LARGEST,
        "maximum": input_schema.LARGEST,
    }
    text = {"type": ["string", "null"]}
    image = {"type": "string", "format": "byte"}  # base64, as OpenAPI calls it
    kinds: dict[str, dict[str, Any]] = {
        "number": number, "category": text, "date": text | {"format": "date"}, "image": image,
    }  # fmt: skip
    names = [column["name"] for column in schema.columns]
    row = {column["name"]: _example(column) for column in schema.columns}
    rows = {
        "type": "array",
        "minItems": 1,
        "maxItems": max_rows,
        "items": {
            "type": "object",
            "required": names,
            "properties": {column["name"]: kinds[column["type"]] for column in schema.columns},
        },
    }
    return {"type": "object", "required": ["data"], "properties": {"data": rows}, "example": {"data": [row]}}


def _answer(schema: input_schema.Schema, explained: bool) -> dict[str, Any]:
    """What is answered."""
    prediction = _prediction(schema)
    properties: dict[str, Any] = {"predictions": {"type": "array", "items": prediction}}
    if explained:
        part: dict[str, Any] = {
            "type": "object",
            "required": ["base", "contributions"],
            "properties": {
                "base": {"type": "number"},
                "contributions": {"type": "object", "additionalProperties": {"type": "number"}},
            },
        }
        by_label = {"type": "object", "additionalProperties": part}
        prediction["properties"]["explanation"] = part if schema.task == "regression" else by_label
        properties["explained"] = {"type": "string", "enum": ["log-odds", "probability", "value"]}
    return {
        "type": "object",
        "required": ["predictions"],
        "properties": properties,
        "example": input_schema.answer(_output(schema), schema),
    }


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
