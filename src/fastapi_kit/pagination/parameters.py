"""Query parameters of the dependencies that read which part of a listing is wanted.

These are asynchronous callables with plain query parameters because that is the cheapest way that
FastAPI has: a synchronous function would go through a thread, a query model costs more to validate.
"""

from inspect import Parameter, Signature
from typing import Annotated, Any, Final

from fastapi import Query, Response
from fastapi.exceptions import RequestValidationError
from starlette.requests import HTTPConnection

from fastapi_kit.errors import ConfigurationError
from fastapi_kit.pagination.links import LinkTarget

DEFAULT_SIZE: Final = 10  # items
MAX_SIZE: Final = 100  # items
MAX_OFFSET: Final = 1_000_000  # items; PostgreSQL takes about half a second to skip that many
INT64_MAX: Final = 2**63 - 1


def check_bounds(**bounds: tuple[int, int, int]) -> None:
    """Refuse a value, given with its lowest and highest, that is out of these.

    Raises:
        ConfigurationError: A value is.
    """
    for name, (value, lowest, highest) in bounds.items():
        if not lowest <= value <= highest:
            raise ConfigurationError(f"{name}={value} is out of bounds; use {lowest} to {highest}")


def whole_number(name: str, default: int, least: int, most: int, description: str) -> Parameter:
    """Give a query parameter within bounds."""
    query = Query(ge=least, le=most, description=description)
    return Parameter(
        name, Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[int, query]
    )


def signature(*query: Parameter) -> Signature:
    """Give the signature of a dependency that reads these from the query."""
    given = {"connection": HTTPConnection, "response": Response}
    return Signature(
        [*(Parameter(n, Parameter.KEYWORD_ONLY, annotation=a) for n, a in given.items()), *query]
    )


def target(connection: HTTPConnection, response: Response, max_offset: int) -> LinkTarget:
    """Give where the links of the answer to a request go."""
    return LinkTarget(connection.scope["query_string"], response.headers, max_offset)


def page_too_far(page: int, most: int) -> RequestValidationError:
    """Give the error of a page whose offset is over the bound."""
    message = f"Input should be less than or equal to {most} for this size"
    return refused("page", "less_than_equal", message, str(page), le=most)


def refused(
    name: str, kind: str, message: str, value: object, **context: object
) -> RequestValidationError:
    """Give the error of a query parameter.

    It is FastAPI's own, so that the body is the one that the OpenAPI document promises whether or
    not the app has our handlers.
    """
    error: dict[str, Any] = {
        "type": kind,
        "loc": ("query", name),
        "msg": message,
        "input": value,
        "ctx": context,
    }
    return RequestValidationError([error])
