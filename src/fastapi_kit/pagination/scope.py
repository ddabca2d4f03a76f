"""What a cursor is bound to beside its listing, so that what means the same is the same."""

import json
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from decimal import Context, Decimal
from enum import Enum
from functools import singledispatch
from typing import Any, Final, cast

from pydantic import BaseModel

from fastapi_kit.pagination.filters import Filters
from fastapi_kit.pagination.values import to_json

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def canonical(scope: object) -> str:
    """Give the same text for scopes that mean the same, and another for all others.

    Of models count the fields that differ from their defaults. Sets and mappings have no order, nor
    have a filter's values; decimals have no trailing zeros, moments no offset.

    Args:
        scope: `None`, text, numbers, dates, UUIDs and the like, models, and collections of these.

    Raises:
        ConfigurationError: A part of it is of another type.
    """
    return json.dumps(_plain(scope), separators=(",", ":"))


@singledispatch
def _plain(value: object) -> Any:
    return value if value is None or isinstance(value, float | int | str) else to_json(value)


@_plain.register
def _(value: Enum) -> Any:
    return _plain(value.value)


@_plain.register
def _(value: Decimal) -> Any:
    exact = Context(prec=max(1, len(value.as_tuple().digits)))
    return ["D", str(value.normalize(exact))]


@_plain.register
def _(value: datetime) -> Any:
    return to_json(value if value.tzinfo is None else value - _EPOCH)


@_plain.register(list)
@_plain.register(tuple)
def _(value: list[Any] | tuple[Any, ...]) -> Any:
    return ["list", *map(_plain, value)]


@_plain.register(AbstractSet)
def _(value: AbstractSet[Any]) -> Any:
    return ["set", *sorted(map(_plain, value), key=json.dumps)]


@_plain.register(Mapping)
def _(value: Mapping[Any, Any]) -> Any:
    items = ([_plain(key), _plain(part)] for key, part in value.items())
    return ["map", *sorted(items, key=json.dumps)]


@_plain.register
def _(value: BaseModel) -> Any:
    return _plain(_set_members(value))


@_plain.register
def _(value: Filters) -> Any:
    return _plain({name: _unordered(part) for name, part in _set_members(value).items()})


def _unordered(value: Any) -> Any:
    return set(cast("Iterable[Any]", value)) if isinstance(value, list | tuple) else value


def _set_members(model: BaseModel) -> dict[str, Any]:
    fields = type(model).model_fields
    return {
        name: value
        for name, value in model
        if name not in fields or value != fields[name].get_default(call_default_factory=True)
    }
