"""Values as the database holds them, so that they compare with their columns as they did there.

What Python sees is not always what is stored: SQLite keeps ``CURRENT_TIMESTAMP`` without the
microseconds that a bound `datetime` has, and decimals as floats that a `Decimal` rounds; a
`TypeDecorator` may map two stored values to one. A position in an order must be exact. So a term's
value is read beside the row and bound again without the types' conversions.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Dialect,
    Double,
    Enum,
    Float,
    Interval,
    Text,
    TypeDecorator,
    bindparam,
    cast,
    type_coerce,
)
from sqlalchemy.types import NullType, TypeEngine, UserDefinedType


class _AsIs(UserDefinedType[Any]):
    """What the driver gives and takes."""

    cache_ok = True


_AS_IS = _AsIs()


@dataclass(frozen=True, eq=False, slots=True)
class Stored:
    """How one term's value is read and bound.

    Args:
        column: Reads it.
        parameter: Binds it, by the name that was given.
    """

    column: ColumnElement[Any]
    parameter: ColumnElement[Any]


def stored(element: ColumnElement[Any], name: str, dialect: Dialect) -> Stored:
    """Give how the value of ``element`` is read, under the label ``name``, and bound, as ``name``."""
    if dialect.name == "sqlite" or isinstance(element.type, NullType):
        return _typed(element, name, _AS_IS)
    type_ = _undecorated(element.type, dialect)
    if dialect.name == "postgresql" and isinstance(type_, Float):
        # The shortest text of a four-byte float is another number when it is read as eight bytes.
        wide: TypeEngine[Any] = Double()
        return Stored(cast(element, wide).label(name), bindparam(name, type_=wide))
    if dialect.name == "postgresql" and _is_text_to_drivers(type_, dialect):
        text = bindparam(name, type_=Text())
        return Stored(cast(element, Text()).label(name), cast(text, type_))
    return _typed(element, name, type_)


def _typed(element: ColumnElement[Any], name: str, type_: TypeEngine[Any]) -> Stored:
    parameter: BindParameter[Any] = bindparam(name, type_=type_)
    return Stored(type_coerce(element, type_).label(name), parameter)


def _undecorated(type_: TypeEngine[Any], dialect: Dialect) -> TypeEngine[Any]:
    # Interval is a decorator too where the database has none, and chooses by itself.
    while isinstance(type_, TypeDecorator) and not isinstance(type_, Interval):
        type_ = type_.load_dialect_impl(dialect)
    return type_


def _is_text_to_drivers(type_: TypeEngine[Any], dialect: Dialect) -> bool:
    # An interval of a year is 360 days to PostgreSQL and 365 to its drivers.
    return isinstance(type_, Enum) or type_.compile(dialect=dialect).startswith("INTERVAL")
