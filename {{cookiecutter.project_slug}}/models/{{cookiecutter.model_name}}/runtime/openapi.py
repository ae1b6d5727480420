"""Show at /swagger.json what a request may hold and what is answered: it is known once the model is loaded."""

from collections.abc import Callable
from typing import Any

import numpy as np
from inference_schema.parameter_types.abstract_parameter_type import AbstractParameterType
from inference_schema.schema_decorators import input_schema, output_schema
from inference_schema.schema_util import is_schema_decorated

from runtime.input_schema import Column, answer

SMALLEST_IMAGE = "R0lGODdhAQABAIEAAICAgAAAAAAAAAAAACwAAAAAAQABAAAIBAABBAQAOw=="  # one grey pixel


class Schema(AbstractParameterType):
    """A part of the description, handed over as it is."""

    def deserialize_input(self, input_data: Any) -> Any:
        return input_data

    def input_to_swagger(self) -> dict[str, Any]:
        return dict(self.sample_input)


def publish(run: Callable[..., Any], columns: list[Column], classes: list[str]) -> None:
    """Describe the columns and the answer.

    The inference server reads that from the decorators of inference-schema. They want a sample when run() is
    defined, which is too early: so they are applied here, for their record alone.
    """
    if is_schema_decorated(run):
        return  # init() a second time, as in a notebook: the decorators refuse to be applied again
    number = {"type": "number", "format": "float", "x-nullable": True}
    text = {"type": "string", "x-nullable": True}
    image = {"type": "string", "format": "byte"}  # base64, as OpenAPI calls it
    kinds: dict[str, dict[str, Any]] = {"number": number, "category": text, "image": image}
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
        "properties": {
            "predictions": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["label", "probabilities"],
                    "properties": {
                        "label": {"type": "string", "enum": classes},
                        "probabilities": {
                            "type": "object",
                            "required": classes,
                            "properties": {label: {"type": "number"} for label in classes},
                        },
                    },
                },
            }
        },
        "example": answer(np.full((1, len(classes)), 1 / len(classes)), classes),
    }
    output_schema(Schema(predictions))(input_schema("data", Schema(rows), convert_to_provided_type=False)(run))


def _example(column: Column) -> float | str:
    if column["type"] == "number":
        return 0.5
    return SMALLEST_IMAGE if column["type"] == "image" else str(next(iter(column["categories"]), ""))
