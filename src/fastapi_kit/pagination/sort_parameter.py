"""The query parameter that chooses from a `Sorting`."""

from inspect import Parameter
from typing import Annotated, Any

from fastapi import Query
from pydantic import WithJsonSchema

from fastapi_kit.pagination.parameters import refused
from fastapi_kit.pagination.sorting import Sorting


def sort_parameter(sorting: Sorting) -> Parameter:
    """Give ``sort``, which may repeat, with the whitelist as an enum in OpenAPI."""
    term = Annotated[str, WithJsonSchema(_schema_of_term(sorting))]
    query = Query(
        description="What to sort by, the most important first; '-' in front says descending.",
        json_schema_extra={"maxItems": sorting.max_terms},
    )
    annotation = Annotated[list[term], query]
    default = list(sorting.default)
    return Parameter("sort", Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def read_terms(sorting: Sorting, sort: list[str]) -> tuple[str, ...]:
    """Give the terms that a request asks for.

    Raises:
        RequestValidationError: They cannot be sorted by.
    """
    if fault := sorting.fault(sort):
        raise refused("sort", "enum", f"Input should be terms to sort by: {fault}", sort)
    return tuple(sort)


def _schema_of_term(sorting: Sorting) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string", "enum": list(sorting.terms)}
    # Generators of clients make names of the values, and none tells "-price" from "price" well.
    names = [f"{term.removeprefix('-')}{'_desc' * term.startswith('-')}" for term in sorting.terms]
    if len(set(names)) == len(names):
        schema["x-enum-varnames"] = names
    return schema
