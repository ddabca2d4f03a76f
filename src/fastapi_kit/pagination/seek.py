"""The rows that follow a position in an order, or precede it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, select, true, tuple_, union_all
from sqlalchemy.orm import Session

from fastapi_kit.errors import ConfigurationError
from fastapi_kit.pagination.keyset import Condition, Keyset
from fastapi_kit.pagination.position import Position
from fastapi_kit.pagination.sorting import Sorting
from fastapi_kit.pagination.statements import AnySelect, Unordered, bare, examine_unordered


@dataclass(frozen=True, slots=True)
class Part:
    """Some rows of a listing, and where its other rows are.

    Args:
        rows: In the listing's order, whichever way they were sought.
        before: Where the rows before these are; `None` if there are none.
        after: Where the rows after these are; `None` if there are none.
    """

    rows: Sequence[Any]
    before: Position | None
    after: Position | None


def examine_sorted(stmt: object, sorting: Sorting) -> Unordered:
    """Give what the statement lists, which `sorting` shall order.

    Raises:
        ConfigurationError: It cannot be ordered, or lists something else than `sorting` sorts.
    """
    listing = examine_unordered(stmt)
    if listing.entity is None or listing.entity is sorting.entity:
        return listing
    both = (listing.entity, sorting.entity)
    if all(isinstance(entity, type) for entity in both) and issubclass(*both):
        return listing
    raise ConfigurationError(
        f"The statement selects {listing.entity!r}, and the sorting is of {sorting.entity!r}; "
        "give Sorting the same class or alias"
    )


def seek(
    session: Session, listing: Unordered, keyset: Keyset, position: Position | None, size: int
) -> Part:
    """Give at most ``size`` rows that follow the position in its direction.

    Args:
        session: Where they are.
        listing: What is listed.
        keyset: Its order in the session's database.
        position: Where to begin; `None` means at the start.
        size: Rows.

    Raises:
        ConfigurationError: Rows do not have the order's columns, or share all of their values.
    """
    statement = _statement(listing, keyset, position, size + 1)
    parameters = None if position is None else keyset.parameters(position)
    found = session.execute(statement, parameters)
    if listing.entity is None:
        rows, wide = _split_rows(found, listing.statement, size)
    else:
        wide = found.unique(_identity).all()
        rows = [row[0] for row in wide]
    return _part(rows, wide, len(keyset.columns), position, size)


def _part(
    rows: Sequence[Any], wide: Sequence[Any], width: int, position: Position | None, size: int
) -> Part:
    """Give the part; the last ``width`` columns of its ``wide`` rows are their positions."""
    before = after = _back_to(position)
    backward = position is not None and position.backward
    more, rows = len(rows) > size, rows[:size]
    if rows:
        first, last = tuple(wide[0])[-width:], tuple(wide[len(rows) - 1])[-width:]
        if backward:
            rows, first, last = rows[::-1], last, first
        before, after = Position(first, backward=True), Position(last)
    if backward:
        return Part(rows, before if more else None, after)
    return Part(rows, None if position is None else before, after if more else None)


def _identity(row: Sequence[Any]) -> int:
    # What a join repeats is one object; to compare positions too would cost more and tell no more.
    return id(row[0])


def _back_to(position: Position | None) -> Position | None:
    """Give where the rows are that a search with no result turned its back on."""
    if position is None:
        return None
    return Position(position.values, backward=not position.backward, inclusive=True)


def _statement(
    listing: Unordered, keyset: Keyset, position: Position | None, limit: int
) -> AnySelect:
    backward = position is not None and position.backward
    statement = listing.statement
    if listing.entity is None:
        refuse_unselected(statement, keyset)
    segments = () if position is None else keyset.segments(position)
    if len(segments) > 1 or listing.repeats:
        keys = keys_of_page(listing, keyset, segments, limit, backward=backward)
        statement = where_key_in(statement, keyset, keys)
    else:
        statement = statement.where(*segments)
    statement = statement.add_columns(*keyset.columns)
    statement = statement.order_by(*keyset.order_by(backward=backward))
    # A page of entities that joins repeat is cut by their keys alone.
    return statement if listing.repeats else statement.limit(limit)


def keys_of_page(
    listing: Unordered,
    keyset: Keyset,
    segments: Sequence[Condition],
    limit: int,
    *,
    offset: int = 0,
    backward: bool = False,
) -> AnySelect:
    """Select what is unique of the page's rows: the first of all segments' first rows.

    Args:
        listing: What is listed.
        keyset: Its order.
        segments: Which rows follow the position; none means that all do.
        limit: Rows on the page.
        offset: Rows to skip; for no segments only.
        backward: Whether to walk from the end.
    """
    base = listing.statement.with_only_columns(*keyset.labels, maintain_column_froms=True)
    if listing.repeats:
        base = base.distinct()
    base = base.order_by(*keyset.order_by(backward=backward)).limit(limit + offset)
    arms = [
        select(*keyset.named).select_from(base.where(segment).subquery())
        for segment in segments or [true()]
    ]
    unique = select(*(keyset.named[number] for number in keyset.unique))
    # The order of a union is not promised, and its parts together are more than a page.
    first = (
        unique.select_from(union_all(*arms).subquery())
        .order_by(*keyset.order_named(backward=backward))
        .limit(limit)
        .offset(offset or None)
    )
    # Wrapped once more because MariaDB and MySQL take no LIMIT directly inside IN.
    return unique.select_from(first.subquery())


def where_key_in(statement: AnySelect, keyset: Keyset, keys: AnySelect) -> AnySelect:
    """Give the statement of the rows that have these keys."""
    return statement.where(_row([keyset.elements[n] for n in keyset.unique]).in_(keys))


def _row(columns: Sequence[ColumnElement[Any]]) -> ColumnElement[Any]:
    return columns[0] if len(columns) == 1 else tuple_(*columns)


def refuse_unselected(statement: AnySelect, keyset: Keyset) -> None:
    """Refuse a statement of columns that lacks one which its order needs.

    Raises:
        ConfigurationError: It lacks one.
    """
    # Adding a column could change what DISTINCT and GROUP BY make of the rows.
    selected = {bare(column) for column in statement.selected_columns}
    for element in keyset.elements:
        if element not in selected:
            raise ConfigurationError(
                f"The statement does not select {element}, which its order needs; select it too"
            )


def _split_rows(found: Any, statement: AnySelect, size: int) -> tuple[Sequence[Any], Sequence[Any]]:
    """Give the statement's own rows, and the same with their positions at the end."""
    width = len(statement.selected_columns)
    frozen = found.freeze()
    wide = frozen().all()
    if len(wide) > size and wide[size][width:] == wide[size - 1][width:]:
        raise ConfigurationError(
            "Two rows of the statement have the same place in the order, so one of them would be "
            "lost between pages; give Sorting unique=[...], columns that tell all rows apart"
        )
    own = frozen()
    rows = own.scalars().all() if width == 1 else own.columns(*range(width)).all()
    return rows, wide
