"""By what a listing may be sorted, and the total order that a choice from it makes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Column,
    ColumnElement,
    Label,
    SelectBase,
    Table,
    TypeDecorator,
    UnaryExpression,
    inspect,
    select,
)
from sqlalchemy.exc import NoInspectionAvailable, SQLAlchemyError
from sqlalchemy.orm import RelationshipProperty, Session
from sqlalchemy.types import NullType, TypeEngine

from fastapi_kit.errors import ConfigurationError
from fastapi_kit.pagination.keyset import Keyset
from fastapi_kit.pagination.order import Nulls, Order, Term
from fastapi_kit.pagination.statements import bare, tables_of

# What a cursor can carry; databases order everything else by rules of its own kind, if at all.
_CARRIED = (bool, bytes, date, datetime, Decimal, Enum, float, int, str, time, timedelta, UUID)


@dataclass(frozen=True, eq=False)
class SortKey:
    """What one name of a `Sorting` sorts by, with a word on its NULLs.

    Args:
        expression: A column, or an expression of the model's own columns.
        nulls: Where rows without a value stand. ``"native"`` is the database's own placement, which
            its indexes have too: PostgreSQL takes NULL for larger than all values, SQLite for
            smaller. ``"first"`` and ``"last"`` ask for a place whatever the direction; where that
            is not the native one, the database cannot walk a plain index.
        nullable: Whether NULL can occur; ``None`` means as the column says, and for an expression
            that it can.
    """

    expression: Any
    nulls: Nulls = "native"
    nullable: bool | None = None

    def __post_init__(self) -> None:
        if self.nulls not in ("native", "first", "last"):
            raise ConfigurationError(
                f"nulls={self.nulls!r} is no placement; use 'native', 'first' or 'last'"
            )


class Sorting:
    """The names by which a listing may be sorted, and what each sorts by.

    A request says ``?sort=price`` or, for descending, ``?sort=-price``. The primary key is appended
    in the last term's direction, so that no two rows tie.

    Args:
        entity: A mapped class, SQLModel's too, an alias of one, a table, a subquery or a CTE.
        keys: The names and their columns, expressions of the entity's own columns, or `SortKey`.
        default: The terms when the request does not say, such as ``("-created",)``; empty means
            the primary key alone.
        max_terms: How many terms a request may combine. Each combination needs an index of its own
            to be quick.
        unique: Columns that are unique together and never NULL; ``None`` means the primary key.

    Raises:
        ConfigurationError: There is no name or a bad one, ``default`` is not made of the names, a
            column is not the entity's own or of a type without an order that a cursor can carry, or
            there is no primary key and no ``unique``.
    """

    def __init__(
        self,
        entity: Any,
        keys: Mapping[str, Any],
        *,
        default: Sequence[str] = (),
        max_terms: int = 1,
        unique: Sequence[Any] | None = None,
    ) -> None:
        self.entity = entity
        self.max_terms = max_terms
        self.default: tuple[str, ...] = (default,) if isinstance(default, str) else tuple(default)
        self._model = _Model(entity)
        self.name: str = self._model.name
        self._keys = {name: self._key(name, key) for name, key in keys.items()}
        self._unique = self._unique_columns(unique)
        self.terms: tuple[str, ...] = tuple(
            f"{sign}{name}" for name in self._keys for sign in ("", "-")
        )
        """What a request may ask for."""
        self._keysets: dict[tuple[tuple[str, ...], str, str], Keyset] = {}
        self._check(max_terms)

    def _key(self, name: str, key: Any) -> SortKey:
        if not name or name.startswith("-"):
            raise ConfigurationError(
                f"{name!r} cannot be a name to sort by; '-' in front says descending"
            )
        given = key if isinstance(key, SortKey) else SortKey(key)
        element = self._model.element(name, given.expression)
        nullable = _nullable(element) if given.nullable is None else given.nullable
        return SortKey(element, given.nulls, nullable)

    def _unique_columns(self, columns: Sequence[Any] | None) -> tuple[ColumnElement[Any], ...]:
        given = self._model.primary_key() if columns is None else columns
        if not given:
            raise ConfigurationError(
                f"{self._model.name} has no primary key, so ties would have no order; "
                "give unique=[...], columns that are unique together"
            )
        return tuple(self._model.element("unique", column) for column in given)

    def _check(self, max_terms: int) -> None:
        if not self._keys:
            raise ConfigurationError(
                f"Sorting({self._model.name}, {{}}) allows nothing to sort by; name a column"
            )
        if not 1 <= max_terms <= len(self._keys):
            raise ConfigurationError(
                f"max_terms={max_terms} is out of bounds; use 1 to {len(self._keys)}"
            )
        if fault := self.fault(self.default):
            raise ConfigurationError(
                f"default={self.default!r} is not what may be asked for; use {fault}"
            )

    def fault(self, terms: Sequence[str]) -> str | None:
        """Give what is wrong with the terms, `None` where they can be sorted by."""
        if len(terms) > self.max_terms:
            return f"{self.max_terms} or fewer"
        if not set(terms) <= set(self.terms):
            return ", ".join(self.terms)
        if len({term.removeprefix("-") for term in terms}) < len(terms):
            return "each name once"
        return None

    def keyset(self, terms: tuple[str, ...], session: Session) -> Keyset:
        """Give the total order that the terms make in the session's database.

        The terms must be without `fault`.
        """
        dialect = session.get_bind(**self._model.bind_arguments).dialect
        known = (terms, dialect.name, dialect.driver)
        keyset = self._keysets.get(known)
        if keyset is None:
            keyset = self._keysets[known] = Keyset(self._order(terms), dialect)
        return keyset

    def _order(self, terms: tuple[str, ...]) -> Order:
        total = tuple(self._total(terms))
        unique = [
            number
            for number, term in enumerate(total)
            if any(column in {term.element} for column in self._unique)
        ]
        return Order(self._name(terms), total, tuple(unique))

    def _name(self, terms: tuple[str, ...]) -> str:
        chosen = [self._keys[term.removeprefix("-")] for term in terms]
        keys = [
            f"{key.expression} {type(key.expression.type).__name__} {key.nulls}" for key in chosen
        ]
        return ", ".join([self.name, *terms, *keys, *map(str, self._unique)])

    def _total(self, terms: tuple[str, ...]) -> Iterator[Term]:
        missing = list(self._unique)
        descending = False
        for term in terms:
            key, descending = self._keys[term.removeprefix("-")], term.startswith("-")
            left = [column for column in missing if column not in {key.expression}]
            nullable = bool(key.nullable) and len(left) == len(missing)
            yield Term(key.expression, descending, nullable, key.nulls)
            if not left:
                return  # further terms could not tell rows apart
            missing = left
        for column in missing:
            yield Term(column, descending, nullable=False, nulls="native")


class _Model:
    """What a sorting is of, and which columns are its own."""

    def __init__(self, entity: Any) -> None:
        try:
            inspected: Any = inspect(entity)
        except NoInspectionAvailable:
            raise ConfigurationError(
                f"Sorting({entity!r}, ...) is of nothing that has rows; "
                "give a mapped class, a table or a subquery"
            ) from None
        self._entity = entity
        self._mapper: Any = getattr(inspected, "mapper", None)
        self._selectable: Any = inspected if self._mapper is None else inspected.selectable
        self.name = _name(inspected if self._mapper is None else inspected.class_)
        self.bind_arguments: dict[str, Any] = (
            {"clause": inspected} if self._mapper is None else {"mapper": inspected.mapper}
        )

    def primary_key(self) -> list[Any]:
        if self._mapper is None:
            return list(self._selectable.primary_key)
        columns = self._mapper.primary_key
        keys = [self._mapper.get_property_by_column(column).key for column in columns]
        return [getattr(self._entity, key) for key in keys]

    def element(self, name: str, expression: Any) -> ColumnElement[Any]:
        """Give the column element that an attribute stands for, checked to be sortable."""
        if isinstance(getattr(expression, "property", None), RelationshipProperty):
            raise ConfigurationError(f"{name!r} is a relationship; sort by a column")
        try:
            (element,) = select(expression).selected_columns
        except (SQLAlchemyError, ValueError):
            raise ConfigurationError(
                f"{name!r} is no column or expression of columns: {expression!r}"
            ) from None
        if isinstance(element, Label):
            element = element.element
        if isinstance(element, UnaryExpression) and element.modifier is not None:
            raise ConfigurationError(
                f"{name!r} has a direction or placement of its own; requests give the direction, "
                "and SortKey(..., nulls=...) the placement"
            )
        self._check_owner(name, element)
        _check_type(name, element.type)
        return element

    def _check_owner(self, name: str, element: Any) -> None:
        own = {self._selectable, *tables_of(self._selectable)}
        for column in _columns(element):
            if column.table not in own:
                raise ConfigurationError(
                    f"{name!r} sorts {self.name} by {column}, which is not its own column; "
                    "use a column of its own, or a correlated .scalar_subquery()"
                )


def _name(rows: Any) -> str:
    if isinstance(rows, type):
        return rows.__name__
    # A subquery without a name of its own is given another one in each process.
    return str(rows.name) if isinstance(rows, Table) else type(rows).__name__


def _columns(element: Any) -> Iterator[Any]:
    """The columns in an expression, not those inside of its subqueries."""
    if isinstance(element, SelectBase):
        return
    if getattr(element, "table", None) is not None:
        yield element
        return
    for child in element.get_children():
        yield from _columns(child)


def _check_type(name: str, type_: TypeEngine[Any]) -> None:
    while isinstance(type_, TypeDecorator) and not _is_carried(type_):
        type_ = type_.impl_instance
    if not _is_carried(type_):
        raise ConfigurationError(
            f"{name!r} is of type {type_!r}, which cannot be sorted by; "
            "cast() it to a type with an order, such as String"
        )


def _is_carried(type_: TypeEngine[Any]) -> bool:
    # NullType is that of functions which SQLAlchemy does not know, lower() among them.
    return isinstance(type_, NullType) or issubclass(type_.python_type, _CARRIED)


def _nullable(element: Any) -> bool:
    column = bare(element)
    return not (isinstance(column, Column) and column.nullable is False)
