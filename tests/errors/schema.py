"""As much of JSON Schema and OpenAPI as our own documents use."""

from collections.abc import Iterator
from typing import Any

KINDS = {"string": str, "integer": int, "object": dict, "array": list}


def references(document: Any) -> Iterator[str]:
    """Every ``$ref`` in a document."""
    if isinstance(document, dict):
        if isinstance(document.get("$ref"), str):
            yield document["$ref"]
        for part in document.values():
            yield from references(part)
    elif isinstance(document, list):
        for part in document:
            yield from references(part)


def resolve(document: Any, reference: str) -> Any:
    """What a local ``$ref`` stands for; KeyError if it dangles."""
    for name in reference.removeprefix("#/").split("/"):
        document = document[name]
    return document


def fits(document: Any, schema: Any, value: Any) -> bool:
    """Whether a value is as its schema says."""
    if "$ref" in schema:
        return fits(document, resolve(document, schema["$ref"]), value)
    if "oneOf" in schema:
        return sum(fits(document, part, value) for part in schema["oneOf"]) == 1
    if not isinstance(value, KINDS[schema["type"]]):
        return False
    if "const" in schema and value != schema["const"]:
        return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    if isinstance(value, list):
        return all(fits(document, schema["items"], item) for item in value)
    if isinstance(value, dict):
        properties = schema["properties"]
        return value.keys() >= set(schema.get("required", ())) and all(
            fits(document, properties[name], item)
            for name, item in value.items()
            if name in properties
        )
    return True
