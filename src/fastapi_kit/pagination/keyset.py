"""What stands after a row in an order, in SQL that an index can answer.

``a < x OR (a = x AND b < y)`` is as slow as OFFSET. So neighbouring terms that run one way and hold
no NULL are compared as one row value; and where that leaves several groups of terms, what follows
is a union of disjoint segments, each an equality on the groups before and a range on the next one.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from operator import ge, gt, le, lt
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Dialect, Label, and_, column, tuple_

from fastapi_kit.pagination.order import Order, Term
from fastapi_kit.pagination.position import Position
from fastapi_kit.pagination.stored import stored

Condition: TypeAlias = ColumnElement[bool]

# Where NULL counts as larger than every value, unless a statement says otherwise.
_NULL_IS_LARGEST = frozenset({"oracle", "postgresql"})


class Keyset:
    """An order on one database: its ORDER BY, its position's values, and what follows a position.

    All of it is made once and used by every request, which brings the position's values only.

    Args:
        order: The order.
        dialect: The database's.
    """

    def __init__(self, order: Order, dialect: Dialect) -> None:
        self.name: str = f"{order.name}, {dialect.name}"
        self.elements: tuple[ColumnElement[Any], ...] = tuple(term.element for term in order.terms)
        """What is compared."""
        self.unique: tuple[int, ...] = order.unique
        """The numbers of the elements that are unique together."""
        self._terms = order.terms
        self._null_is_largest = dialect.name in _NULL_IS_LARGEST
        each = [stored(t.element, _parameter(n), dialect) for n, t in enumerate(order.terms)]
        self.columns: tuple[ColumnElement[Any], ...] = tuple(one.column for one in each)
        """What reads a row's position, labelled."""
        self.labels: tuple[Label[Any], ...] = tuple(
            t.element.label(_parameter(n)) for n, t in enumerate(order.terms)
        )
        """The elements, labelled for a subquery."""
        # Columns by name alone: those of each request's subqueries would take longer to make than
        # all the rest of its statement.
        self.named: tuple[ColumnElement[Any], ...] = tuple(column(one.name) for one in self.labels)
        """What the labels are called outside of the subquery."""
        self._bound = [one.parameter for one in each]
        self._order_by = self._both_ways(self.elements)
        self._order_named = self._both_ways(self.named)
        self._groups = _groups(order.terms)
        self._segments: dict[tuple[bool, ...], list[Condition]] = {}

    def order_by(self, *, backward: bool) -> Sequence[ColumnElement[Any]]:
        """Give the terms of the ORDER BY that walks the order, or walks it from the end."""
        return self._order_by[backward]

    def order_named(self, *, backward: bool) -> Sequence[ColumnElement[Any]]:
        """Give the same outside of a subquery of the labels."""
        return self._order_named[backward]

    def parameters(self, position: Position) -> Mapping[str, Any]:
        """Give what the segments of a position need when they are executed."""
        return {_parameter(number): value for number, value in enumerate(position.values)}

    def segments(self, position: Position) -> Sequence[Condition]:
        """Give conditions that each row after the position meets one of, and no other row any."""
        nulls = (value is None for value in position.values)
        shape = (position.backward, position.inclusive, *nulls)
        found = self._segments.get(shape)
        if found is None:
            found = self._segments[shape] = list(self._make_segments(position))
        return found

    def _both_ways(
        self, columns: Sequence[ColumnElement[Any]]
    ) -> tuple[Sequence[ColumnElement[Any]], ...]:
        pairs = list(zip(self._terms, columns, strict=True))
        return tuple(
            [self._directed(term, one, backward=backward) for term, one in pairs]
            for backward in (False, True)
        )

    def _directed(
        self, term: Term, element: ColumnElement[Any], *, backward: bool
    ) -> ColumnElement[Any]:
        directed = element.desc() if term.descending != backward else element.asc()
        first = self._nulls_come_first(term, backward=backward)
        if not term.nullable or first == self._natively_first(term, backward=backward):
            return directed
        return directed.nulls_first() if first else directed.nulls_last()

    def _natively_first(self, term: Term, *, backward: bool) -> bool:
        return self._null_is_largest == (term.descending != backward)

    def _nulls_come_first(self, term: Term, *, backward: bool) -> bool:
        if term.nulls == "native":
            return self._natively_first(term, backward=backward)
        return (term.nulls == "first") != backward

    def _make_segments(self, position: Position) -> Iterator[Condition]:
        same: list[Condition] = []
        for group in self._groups:
            last = group is self._groups[-1]
            for following in self._following(
                group, position, inclusive=last and position.inclusive
            ):
                yield and_(*same, following)
            same.extend(self._equal(number, position) for number in group)

    def _equal(self, number: int, position: Position) -> Condition:
        element = self.elements[number]
        return (
            element.is_(None) if position.values[number] is None else element == self._bound[number]
        )

    def _following(
        self, group: Sequence[int], position: Position, *, inclusive: bool
    ) -> Iterator[Condition]:
        """Give the ranges of a group's values that come after the position's."""
        term = self._terms[group[0]]
        nulls_first = self._nulls_come_first(term, backward=position.backward)
        if position.values[group[0]] is None:
            if nulls_first:
                yield term.element.is_not(None)
            return
        after = _comparison(descending=term.descending != position.backward, inclusive=inclusive)
        elements = [self.elements[number] for number in group]
        bound = [self._bound[number] for number in group]
        yield after(_row(elements), _row(bound))
        if term.nullable and not nulls_first:
            yield term.element.is_(None)


def _parameter(number: int) -> str:
    return f"keyset_{number}"


def _groups(terms: Sequence[Term]) -> list[list[int]]:
    """Number the terms, those together that one row value can compare."""

    def kind(number: int) -> object:
        term = terms[number]
        return (number,) if term.nullable else term.descending

    return [list(group) for _, group in groupby(range(len(terms)), key=kind)]


def _comparison(*, descending: bool, inclusive: bool) -> Any:
    if descending:
        return le if inclusive else lt
    return ge if inclusive else gt


def _row(parts: Sequence[ColumnElement[Any]]) -> Any:
    return parts[0] if len(parts) == 1 else tuple_(*parts)
