"""Values in JSON, each kind told from all others."""

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import singledispatch
from typing import Any, Final
from uuid import UUID

from fastapi_kit.errors import ConfigurationError

_MICROSECOND: Final = timedelta(microseconds=1)

_KINDS: Final[dict[str, Callable[[Any], Any]]] = {
    "D": Decimal,
    "b": bytes.fromhex,
    "d": date.fromisoformat,
    "i": lambda microseconds: microseconds * _MICROSECOND,
    "m": datetime.fromisoformat,
    "t": time.fromisoformat,
    "u": UUID,
}


# Lists do not occur among the values, so a list is a value that JSON does not know, with its kind.
@singledispatch
def to_json(value: object) -> list[Any]:
    """Give a value that JSON does not know as one that it does; for ``json.dumps(default=)``.

    Raises:
        ConfigurationError: Values of this type are not known here either.
    """
    raise ConfigurationError(
        f"a {type(value).__name__} cannot be a part of a cursor; use text, a number, a date, a UUID "
        "or the like: cast() what is sorted by, or give the id of what is in scope="
    )


def from_json(value: Any) -> Any:
    """Give the value that `to_json` was given."""
    return _KINDS[value[0]](value[1]) if isinstance(value, list) else value


@to_json.register
def _(value: Decimal) -> list[Any]:
    return ["D", str(value)]


@to_json.register
def _(value: bytes) -> list[Any]:
    return ["b", value.hex()]


@to_json.register
def _(value: datetime) -> list[Any]:
    return ["m", value.isoformat()]


@to_json.register
def _(value: date) -> list[Any]:
    return ["d", value.isoformat()]


@to_json.register
def _(value: time) -> list[Any]:
    return ["t", value.isoformat()]


@to_json.register
def _(value: timedelta) -> list[Any]:
    return ["i", value // _MICROSECOND]


@to_json.register
def _(value: UUID) -> list[Any]:
    return ["u", value.hex]
