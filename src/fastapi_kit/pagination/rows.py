"""Rows as what pages are made of."""

from collections.abc import Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from sqlalchemy import Row
from sqlalchemy.orm import Session

from fastapi_kit.errors import ConfigurationError


def readable(rows: Sequence[Any], into: type[BaseModel] | None) -> Sequence[Any]:
    """Give rows as mappings, which models, dataclasses and dicts can be read from.

    Read by attribute, a column called ``count`` would be the row's own method.
    """
    if into is None or not rows or not isinstance(rows[0], Row):
        return rows
    (item,) = get_args(into.model_fields["items"].annotation)
    kind = get_origin(item) or item
    if isinstance(kind, type) and issubclass(kind, tuple):
        return [tuple(row) for row in rows]
    return [dict(row._mapping) for row in rows]


def refuse_blocking(session: object, name: str, instead: str) -> None:
    """Refuse a session that would block the event loop.

    Args:
        session: What was given.
        name: The function that was called.
        instead: The function for it.

    Raises:
        ConfigurationError: It is a `Session`.
    """
    if isinstance(session, Session):
        raise ConfigurationError(
            f"{name}() got a {type(session).__name__}, which blocks; use {instead}()"
        )
