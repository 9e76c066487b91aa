"""KServe's objects held against its published schemas: JEC_KSERVE_SCHEMAS is the folder of the CRDs' YAML files."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

VARIABLE = "JEC_KSERVE_SCHEMAS"


def validate(manifest: dict[str, Any]) -> None:
    """Raise jsonschema's ValidationError where KServe would refuse the object or not know a field of it.

    Skips the test where the schemas are not here; JEC_REQUIRE_ALL_PARTS=1 makes that a failure.
    """
    folder = os.environ.get(VARIABLE)
    if folder is None:
        message = f"KServe's schemas are not here: set {VARIABLE} to a folder with its CRDs"
        if os.environ.get("JEC_REQUIRE_ALL_PARTS") == "1":
            pytest.fail(message)
        pytest.skip(message)
    # Without a look at the schema itself, which is large and KServe's.
    jsonschema.Draft202012Validator(_schema(Path(folder), manifest["apiVersion"], manifest["kind"])).validate(manifest)


@cache
def _schema(folder: Path, api_version: str, kind: str) -> dict[str, Any]:
    group, _, version = api_version.partition("/")
    for file in folder.glob("*.yaml"):
        definition = yaml.load(file.read_text(), Loader=yaml.CSafeLoader)["spec"]  # safe_load, in C
        if (definition["group"], definition["names"]["kind"]) == (group, kind):
            [served] = [each for each in definition["versions"] if each["name"] == version]
            schema: dict[str, Any] = _strict(served["schema"]["openAPIV3Schema"])
            # The API server knows what metadata is; the CRD doesn't say.
            schema["properties"]["metadata"] = {"type": "object", "required": ["name"]}
            return schema
    raise AssertionError(f"{folder} holds no {kind} of {group}")


def _strict(schema: Any) -> Any:
    """The same, where an object has no fields but those that are named."""
    if isinstance(schema, list):
        return [_strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {key: _strict(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and "additionalProperties" not in schema:
        strict["additionalProperties"] = bool(schema.get("x-kubernetes-preserve-unknown-fields"))
    return strict
