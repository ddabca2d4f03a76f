"""Values that come from a request and go into a comparison with a column."""

from collections.abc import Collection, Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum as PythonEnum
from math import isfinite
from types import UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin
from uuid import UUID

from pydantic_core import PydanticCustomError
from sqlalchemy import (
    BigInteger,
    BindParameter,
    DateTime,
    Double,
    Enum,
    Float,
    Integer,
    Numeric,
    SmallInteger,
    String,
    Time,
    TypeDecorator,
    literal,
)
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.types import NullType, TypeEngine

_NUMBERS: Final = (int, float, Decimal)
_KNOWN: Final = (bool, bytes, date, Decimal, float, int, str, time, timedelta, UUID)
_MAX_EXPONENT: Final = 1000  # PostgreSQL ends at 131,072, and 16,383 below the point
_LONGEST: Final = timedelta(days=365 * 1900)
_LARGEST_OFFSET: Final = timedelta(hours=16)  # PostgreSQL's times of day are nearer to UTC
_PLAIN_DIALECT: Final = DefaultDialect()


def bind(type_: TypeEngine[Any], value: Any) -> BindParameter[Any]:
    """Give a bound value, of a type that compares with a column of ``type_``."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        value = value.astimezone(UTC)  # SQLite drops the offset
    elif isinstance(value, Decimal) and isinstance(type_, Float):
        value = float(value)  # PostgreSQL would do so too, and fail on what is then infinite
    return literal(value, _type_of_value(type_, value))


def _type_of_value(type_: TypeEngine[Any], value: Any) -> TypeEngine[Any]:
    # Numbers as what they are: 3,000,000,000 is a fair bound for an INTEGER, and not one itself.
    if python_type(type_) in _NUMBERS:
        if isinstance(value, int):
            return BigInteger()
        return Double() if isinstance(value, float) else Numeric()
    return type_


def python_type(type_: TypeEngine[Any]) -> type[Any]:
    """Give the class of what a column holds; `object` where only the column's type knows."""
    return object if isinstance(type_, TypeDecorator) else type_.python_type


def kinds_of(annotation: Any) -> Iterator[type[Any]]:
    """Give the well-known classes of the values that an annotation allows."""
    if get_origin(annotation) is Literal:
        yield from {type(value) for value in get_args(annotation)}
        return
    if isinstance(annotation, type) and issubclass(annotation, (*_KNOWN, PythonEnum)):
        yield annotation
    for part in get_args(annotation):
        yield from kinds_of(part)


def collects(annotation: Any) -> bool:
    """Give whether an annotation allows several values at once."""
    origin = get_origin(annotation) or annotation
    if origin in (Union, UnionType):
        return any(map(collects, get_args(annotation)))
    several = isinstance(origin, type) and issubclass(origin, Collection)
    return several and not issubclass(origin, str | bytes)


def holds_text(type_: TypeEngine[Any]) -> bool:
    """Give whether a column's values are text to the database; also where nobody knows."""
    while isinstance(type_, TypeDecorator):
        type_ = type_.impl_instance
    if isinstance(type_, Enum):
        return not type_.native_enum
    return isinstance(type_, String | NullType)


def misfit(annotation: Any, type_: TypeEngine[Any]) -> str | None:
    """Give why an annotation's values cannot be compared with a column, `None` if they can."""
    held = python_type(type_)
    for kind in kinds_of(annotation):
        if held is not object and not _fits(kind, held):
            return (
                f"is of {kind.__name__}, and its column holds {held.__name__}; "
                "annotate it with that"
            )
    return None


def _fits(kind: type[Any], held: type[Any]) -> bool:
    if kind in _NUMBERS and held in _NUMBERS:
        return True
    if bool in (kind, held) or datetime in (kind, held):
        return kind is held
    return issubclass(kind, held)


def check(type_: TypeEngine[Any], value: Any) -> None:
    """Refuse a value that a driver or a database would fail on.

    Raises:
        PydanticCustomError: It cannot be compared with a column of the type.
    """
    if isinstance(type_, TypeDecorator):
        _check_decorated(type_, value)
    elif isinstance(type_, Enum) and not isinstance(value, PythonEnum):
        _require(value in type_.enums, "enum", "Input should be one of the column's values")
    elif isinstance(type_, DateTime) and isinstance(value, datetime):
        _check_moment(type_, value)
    elif isinstance(type_, Time) and isinstance(value, time):
        _check_time(type_, value)
    _check_alone(value)


def _check_decorated(type_: TypeDecorator[Any], value: Any) -> None:
    impl = type_.impl_instance
    _check_alone(value)
    if isinstance(impl, DateTime) and isinstance(value, datetime):
        _check_moment(impl, value)
    try:
        stored = type_.process_bind_param(value, _PLAIN_DIALECT)
    except NotImplementedError:  # it changes results only
        stored = value
    except Exception:  # noqa: BLE001  # what the app's type cannot store is not a value of it
        raise _refusal("value_error", "Input is not a value of this column") from None
    _check_alone(stored)
    if isinstance(impl, Integer) and isinstance(stored, int):
        bits = 15 if isinstance(impl, SmallInteger) else 63 if isinstance(impl, BigInteger) else 31
        _require(-(2**bits) <= stored < 2**bits, "out_of_range", "Input is out of range")
    elif isinstance(impl, Float) and isinstance(stored, Decimal):
        near = float(stored)
        fits = isfinite(near) and bool(near) == bool(stored)
        _require(fits, "out_of_range", "Input is out of range")
    elif isinstance(impl, Numeric) and isinstance(stored, Decimal):
        _require(_fits_digits(impl, stored), "out_of_range", "Input is out of range")


def _fits_digits(type_: Numeric[Any], value: Decimal) -> bool:
    # asyncpg's parameters are rounded to the column's digits, and then equal what they did not.
    if type_.precision is None:
        return True
    scale: int = type_.scale or 0
    limit: int = 10**type_.precision
    numerator, denominator = value.as_integer_ratio()
    units: int = numerator * 10**scale
    return units % denominator == 0 and abs(units) < denominator * limit


def _check_moment(type_: DateTime, value: datetime) -> None:
    if type_.timezone:
        _require(value.tzinfo is not None, "timezone_aware", "Input should have timezone info")
        try:
            value.astimezone(UTC)
        except OverflowError:
            raise _refusal("out_of_range", "Input is out of range") from None
    else:
        _require(value.tzinfo is None, "timezone_naive", "Input should not have timezone info")


def _check_time(type_: Time, value: time) -> None:
    offset = value.utcoffset()
    if type_.timezone:
        _require(offset is not None, "timezone_aware", "Input should have timezone info")
        near = offset is None or abs(offset) < _LARGEST_OFFSET
        _require(near, "out_of_range", "Input is out of range")
    else:
        _require(value.tzinfo is None, "timezone_naive", "Input should not have timezone info")


def _check_alone(value: Any) -> None:
    """Refuse what no database takes for a value, whatever the column."""
    if isinstance(value, str):
        _require(_is_text(value), "text", "Input should be text without NUL")
    elif isinstance(value, int):
        _require(-(2**63) <= value < 2**63, "out_of_range", "Input is out of range")
    elif isinstance(value, float):
        _require(value == value, "finite_number", "Input should be a number")
    elif isinstance(value, timedelta):
        # Where intervals are emulated, they are moments since then.
        _require(abs(value) <= _LONGEST, "out_of_range", "Input is out of range")
    elif isinstance(value, Decimal):
        _require(_is_moderate(value), "out_of_range", "Input is out of range")


def _is_moderate(value: Decimal) -> bool:
    exponent = value.as_tuple().exponent  # a letter where it is no finite number
    return (
        isinstance(exponent, int)
        and exponent >= -_MAX_EXPONENT
        and value.adjusted() <= _MAX_EXPONENT
    )


def _is_text(value: str) -> bool:
    # PostgreSQL refuses NUL, and no database takes half of a surrogate pair.
    return "\0" not in value and not any("\ud800" <= letter <= "\udfff" for letter in value)


def _require(holds: bool, kind: Any, message: Any) -> None:  # noqa: FBT001
    if not holds:
        raise _refusal(kind, message)


def _refusal(kind: Any, message: Any) -> PydanticCustomError:
    return PydanticCustomError(kind, message)
