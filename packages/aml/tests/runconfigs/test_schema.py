"""The schema of a runconfig: it has the client's keys, and is read as JSON Schema says."""

import datetime
from typing import Any

import jsonschema
from hypothesis import HealthCheck, assume, given, settings

from aml_project.runconfigs import schema as runconfig_schema
from tests.runconfigs import RUNCONFIGS, resolved


def test_the_keys_are_those_of_the_client() -> None:
    """At every depth: one more would do nothing, one less would be refused though it works."""
    from azureml._base_sdk_common.abstract_run_config_element import _AbstractRunConfigElement
    from azureml.core import RunConfiguration

    compared = 0

    def compare(schema: dict[str, Any], kind: Any, place: str) -> None:
        nonlocal compared
        schema = resolved(schema)
        if "$comment" in schema:
            return  # left to the client
        fields = {
            runconfig_schema.camel_case(info.serialized_name or name): info
            for name, info in kind._field_to_info_dict.items()
        }
        assert set(schema["properties"]) == set(fields), place
        compared += len(fields)
        for key, info in fields.items():
            ours = resolved(schema["properties"][key])
            for inner in (info.field_type, info.list_element_type):
                if isinstance(inner, type) and issubclass(inner, _AbstractRunConfigElement):
                    element = ours if inner is info.field_type else ours.get("items") or ours["additionalProperties"]
                    compare(element, inner, f"{place}.{key}")

    compare(runconfig_schema.SCHEMA, RunConfiguration, "")
    assert compared > 100


@given(config=RUNCONFIGS)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_walk_agrees_with_json_schema(config: Any) -> None:
    """Our reading of the schema file is the standard's, wherever the keys are written as the client writes them."""

    def written_so(value: Any) -> Any:
        if isinstance(value, dict):
            return {runconfig_schema.camel_case(str(key)): written_so(item) for key, item in value.items()}
        return [written_so(item) for item in value] if isinstance(value, list) else value

    def beyond_json(value: Any) -> bool:
        """Dates, and 1.0, which JSON Schema takes for the integer that the client does not take it for."""
        if isinstance(value, dict | list):
            return any(map(beyond_json, value.values() if isinstance(value, dict) else value))
        return isinstance(value, datetime.date) or (isinstance(value, float) and value.is_integer())

    config = written_so(config)
    assume(isinstance(config, dict) and not beyond_json(config))
    valid = jsonschema.Draft202012Validator(runconfig_schema.SCHEMA).is_valid(config)
    assert (not runconfig_schema.Reading(config).findings) == valid
