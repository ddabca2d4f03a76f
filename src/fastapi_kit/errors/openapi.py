"""Errors in OpenAPI: what each route can answer, in the shape that it does."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from functools import cache
from typing import Any
from urllib.parse import urljoin

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts

from fastapi_kit._misuse import ConfigurationError
from fastapi_kit.errors.exceptions import AppError, phrase
from fastapi_kit.errors.problem import PROBLEM_JSON, ProblemDetails

Schema = dict[str, Any]
_REF = "#/components/schemas/"
# The other members of a path item are no operations.
_METHODS = frozenset({"delete", "get", "head", "options", "patch", "post", "put", "query", "trace"})
_DEFAULT_422 = f"{_REF}HTTPValidationError"


def error_responses(*errors: type[AppError] | int) -> dict[int | str, dict[str, Any]]:
    """The ``responses=`` of a route that can answer these errors.

    Several problem types with one status stand side by side (``oneOf``). Works in any app; with
    `add_error_handlers` the schemas are shared as components.

    Args:
        *errors: `AppError` subclasses, or statuses for errors without a type of their own.

    Raises:
        ConfigurationError: A status is no error status.
    """
    responses: dict[int | str, dict[str, Any]] = {}
    for error in errors:
        if isinstance(error, int) and not 400 <= error <= 599:
            raise ConfigurationError(
                f"{error} is not an error status; give statuses from 400 to 599 "
                "or AppError subclasses"
            )
        status = error if isinstance(error, int) else error.status_code
        _add(responses.setdefault(status, {}), status, error)
    return responses


def _add(response: dict[str, Any], status: int, error: type[AppError] | int) -> None:
    schema = _general_schema() if isinstance(error, int) else _schema_of(error)
    title = phrase(status) if isinstance(error, int) else error.title or phrase(status)
    response.setdefault("description", title)
    content = response.setdefault("content", {}).setdefault(PROBLEM_JSON, {})
    present = content.get("schema")
    if present is None:
        content["schema"] = schema
        return
    known = present.get("oneOf", [present])
    if all(_type_of(schema) != _type_of(other) for other in known):  # exactly one may fit
        content["schema"] = {"oneOf": [*known, schema]}
        if title not in response["description"]:
            response["description"] += f"; {title}"


def _type_of(schema: Schema) -> object:
    return schema.get("properties", {}).get("type", {}).get("const", schema)


@cache
def _general() -> Schema:
    schema = ProblemDetails.model_json_schema(by_alias=True)
    definitions = schema.pop("$defs")
    for part in (schema, *definitions.values()):
        part["properties"] = {
            name: _without_null(member) for name, member in part["properties"].items()
        }
    # Inlined: a reference would dangle in an app without our handlers.
    schema["properties"]["errors"]["items"] = definitions["FieldError"]
    return _of_type(schema, "Problem", "about:blank")


def _of_type(schema: Schema, title: str, type_: str) -> Schema:
    schema["title"] = title
    schema["properties"]["type"] |= {"const": type_}
    schema["properties"]["type"].pop("default", None)
    schema["required"] = ["type", "title", "status"]
    return schema


def _without_null(member: Schema) -> Schema:
    """The schema of a member that is left out where it has no value."""
    kinds = member.pop("anyOf", None)
    if kinds is None:
        return member
    del member["default"]
    return {**kinds[0], **member}


def _general_schema() -> Schema:
    return deepcopy(_general())


def _schema_of(error: type[AppError]) -> Schema:
    if error.type == "about:blank":
        return _general_schema()
    schema = _of_type(_general_schema(), error.__name__, error.type)
    schema["description"] = (
        (error.__doc__ or error.title or phrase(error.status_code)).strip().split("\n")[0]
    )
    schema["properties"]["status"] |= {"const": error.status_code}
    return schema


def document_errors(app: FastAPI, problem_base_url: str | None) -> None:
    """Make the app's OpenAPI tell the errors that its routes answer."""
    generate = app.openapi
    done: list[Schema] = []

    def openapi() -> Schema:
        schema = generate()
        # FastAPI makes a new one when routes were added, and gives the same one until then.
        if not done or schema is not done[0]:
            _document(app, schema, problem_base_url)
            done[:] = [schema]
        return schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend it


def _document(app: FastAPI, schema: Schema, base_url: str | None) -> None:
    raised = {
        (str(context.path_format), method.lower()): list(callables_of(context.dependant))
        for context in iter_route_contexts(app.routes)
        if getattr(context, "dependant", None) is not None
        for method in context.methods or ()
    }
    components: dict[str, Schema] = schema.setdefault("components", {}).setdefault("schemas", {})
    paths: dict[str, dict[str, Schema]] = schema.get("paths", {})
    for path, operations in paths.items():
        for method, operation in operations.items():
            if method in _METHODS and "responses" in operation:
                _document_operation(operation, raised.get((path, method), []))
                _share_schemas(operation["responses"], components, base_url)
    _drop_unused_default(schema, components)
    if not components:
        del schema["components"]["schemas"]


def callables_of(dependant: Dependant) -> Iterator[object]:
    """The callables that a route depends on, each once, outermost first."""
    seen: set[int] = set()
    waiting = [dependant]
    while waiting:
        current = waiting.pop(0)
        if current.call is not None and id(current.call) not in seen:
            seen.add(id(current.call))
            yield current.call
        waiting.extend(current.dependencies)


def _document_operation(operation: dict[str, Any], guards: list[object]) -> None:
    responses: dict[str, Schema] = operation["responses"]
    default = responses.get("422", {}).get("content", {}).get("application/json", {})
    if default.get("schema", {}).get("$ref") == _DEFAULT_422:
        responses["422"] = {}
        _add(responses["422"], 422, 422)
    if "requestBody" in operation:
        _add(responses.setdefault("400", {}), 400, 400)
    for guard in guards:
        for error in getattr(guard, "raises", ()):
            _add(responses.setdefault(str(error.status_code), {}), error.status_code, error)
        sentence = getattr(guard, "description", None)
        if isinstance(sentence, str) and sentence not in operation.get("description", ""):
            operation["description"] = f"{operation.get('description', '')}\n\n{sentence}".strip()


def _share_schemas(
    responses: Mapping[str, Schema], components: dict[str, Schema], base_url: str | None
) -> None:
    for response in responses.values():
        content = response.get("content", {}).get(PROBLEM_JSON)
        if content is None or "schema" not in content:
            continue
        parts = content["schema"].get("oneOf")
        if parts is None:
            content["schema"] = _shared(content["schema"], components, base_url)
        else:
            content["schema"]["oneOf"] = [_shared(part, components, base_url) for part in parts]


def _shared(schema: Schema, components: dict[str, Schema], base_url: str | None) -> Schema:
    """A reference to the schema among the components; itself where its name is taken."""
    name = schema.get("title")
    if name is None or "const" not in schema.get("properties", {}).get("type", {}):
        return schema  # the app's own, or a reference already
    schema = deepcopy(schema)
    kind = schema["properties"]["type"]
    if base_url:
        kind["const"] = urljoin(base_url, kind["const"])
    if components.setdefault(name, schema) != schema:
        return schema
    return {"$ref": f"{_REF}{name}"}


def _drop_unused_default(schema: Schema, components: dict[str, Schema]) -> None:
    for name in ("HTTPValidationError", "ValidationError"):
        if name in components and f"'{_REF}{name}'" not in repr(schema):
            del components[name]
