"""What a statement lists: its order, what makes a row unique, and whether rows can repeat.

SQLAlchemy has no public accessor for a statement's ORDER BY, LIMIT and joins. They are found by
comparing what `get_children()` gives with and without them, which is public.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeGuard, TypeVar, TypeVarTuple, cast

from sqlalchemy import (
    Alias,
    BooleanClauseList,
    ClauseElement,
    CompoundSelect,
    Join,
    Label,
    Select,
    Table,
    UnaryExpression,
    asc,
    desc,
    inspect,
)
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import Grouping

from fastapi_kit.errors import ConfigurationError

# A statement of one thing gives pages of it, one of two or more gives pages of rows.
T1 = TypeVar("T1")
T2 = TypeVar("T2")
Ts = TypeVarTuple("Ts")

AnySelect: TypeAlias = Select[*tuple[Any, ...]]
AnyUnion: TypeAlias = CompoundSelect[*tuple[Any, ...]]
AnyStatement: TypeAlias = AnySelect | AnyUnion


@dataclass(frozen=True, slots=True)
class Rows:
    """A statement that lists values or rows; what is ordered and counted is the statement itself.

    Args:
        statement: Ordered.
        unordered: The same without ORDER BY.
        scalar: Each row has one value, which stands for it.
    """

    statement: AnyStatement
    unordered: AnyStatement
    scalar: bool


@dataclass(frozen=True, slots=True)
class Entities:
    """A statement that lists the entities of one mapped class.

    Args:
        statement: Ordered, with the primary key as the last term, so that ties keep their places.
        unordered: The same without ORDER BY.
        order: The terms of the order.
        keys: The primary key's columns.
        repeats: Joins or the like may give an entity several times.
    """

    statement: AnySelect
    unordered: AnySelect
    order: Sequence[Any]
    keys: Sequence[Any]
    repeats: bool


@dataclass(frozen=True, slots=True)
class Unordered:
    """A statement that will be ordered by whoever asks for a page of it.

    Args:
        statement: Without ORDER BY.
        entity: The mapped class, or alias of one, that is all that it selects; else `None`.
        repeats: Joins or the like may give an entity several times.
    """

    statement: AnySelect
    entity: Any
    repeats: bool


def examine(statement: object) -> Rows | Entities:
    """Give what the statement lists.

    Raises:
        ConfigurationError: It is no select, it has a LIMIT or OFFSET of its own, or its rows have
            no order and nothing to order them by.
    """
    if _is_select(statement):
        return _examine_entities(statement) or _examine_rows(statement)
    if _is_union(statement):
        return _examine_rows(statement)
    raise ConfigurationError(
        f"A {type(statement).__name__} cannot be paged; give a select() or a union of them"
    )


def examine_unordered(statement: object) -> Unordered:
    """Give what the statement lists, which has no order yet.

    Raises:
        ConfigurationError: It is no plain select, or has an ORDER BY, LIMIT or OFFSET of its own.
    """
    if not _is_select(statement):
        raise ConfigurationError(
            f"A {type(statement).__name__} cannot be sorted; give a select(), "
            "of a subquery where it is a union"
        )
    entity = _only_entity(statement)
    elements = list(statement.get_children())
    inspected: Any = None if entity is None else inspect(entity)
    if inspected is not None and _is_plain(statement, elements, inspected.selectable):
        return Unordered(statement, entity, repeats=False)
    unordered = statement.order_by(None)
    if len(list(unordered.get_children())) != len(elements):
        raise ConfigurationError(
            "The statement has an ORDER BY of its own, and the request chooses the order; "
            "leave it out"
        )
    _refuse_limit(unordered, elements)
    return Unordered(statement, entity, repeats=entity is not None)


def _is_select(statement: object) -> TypeGuard[AnySelect]:
    return isinstance(statement, Select)


def _is_union(statement: object) -> TypeGuard[AnyUnion]:
    return isinstance(statement, CompoundSelect)


def _examine_rows(statement: AnyStatement) -> Rows:
    unordered = statement.order_by(None)
    elements = list(unordered.get_children())
    _refuse_limit(unordered, elements)
    if not _added(statement.get_children(), elements):
        raise ConfigurationError(
            "A statement of columns without ORDER BY has no stable pages; "
            "add .order_by() with columns that are unique together"
        )
    return Rows(statement, unordered, scalar=len(statement.selected_columns) == 1)


def _examine_entities(statement: AnySelect) -> Entities | None:
    """Give what a select of one mapped class lists; `None` if it selects anything else."""
    unordered = statement.order_by(None)
    whole, elements = [*statement.get_children()], [*unordered.get_children()]
    # Routes make their statements anew for each request, but of the same elements.
    seen = (*map(id, whole), None, *map(id, elements))
    found = _SEEN.get(seen)
    if found is None:
        entity = _only_entity(statement)
        if entity is None:
            return None
        found = _ordered(entity, _added(whole, elements), unordered, elements)
        if not found.repeats and statement.whereclause is None:
            if len(_SEEN) >= _MOST_SEEN:
                _SEEN.clear()
            _SEEN[seen] = found
    ordered = statement.order_by(*found.ties) if found.ties else statement
    return Entities(ordered, unordered, [*found.order, *found.ties], found.keys, found.repeats)


@dataclass(frozen=True, slots=True)
class _Ordered:
    """What is found out about a select of entities.

    Args:
        elements: What the statement consists of; kept, so that no other object gets their ids.
        order: The terms of its own order.
        ties: The terms to add, so that no two entities share a place.
        keys: As for `Entities`.
        repeats: As for `Entities`.
    """

    elements: Sequence[ClauseElement]
    order: Sequence[Any]
    ties: Sequence[Any]
    keys: Sequence[Any]
    repeats: bool


# By the ids of the elements with the order and without it. Only plain listings of a table: they
# have no values of a request, and their few elements live as long as the models.
_SEEN: dict[tuple[int | None, ...], _Ordered] = {}
_MOST_SEEN = 256


def _ordered(
    entity: Any,
    order: list[Any],
    unordered: AnySelect,
    elements: Sequence[ClauseElement],
) -> _Ordered:
    inspected: Any = inspect(entity)
    mapper = inspected.mapper
    keys = [getattr(entity, mapper.get_property_by_column(c).key) for c in mapper.primary_key]
    repeats = not _is_plain(unordered, elements, inspected.selectable)
    if repeats:
        _refuse_limit(unordered, elements)
        _refuse_names(order)
    direction = desc if order and _descends(order[-1]) else asc
    ties = [direction(key) for key in keys if not any(_orders_by(term, key) for term in order)]
    return _Ordered([*elements, *order], order, ties, keys, repeats)


def _only_entity(statement: AnySelect) -> Any:
    """Give the mapped class, or alias of one, that is all that the statement selects."""
    described = statement.column_descriptions
    if len(described) != 1:
        return None
    entity = described[0].get("entity")
    return entity if described[0]["expr"] is entity else None


def _added(whole: Iterable[ClauseElement], part: Sequence[ClauseElement]) -> list[ClauseElement]:
    remaining = Counter(map(id, part))
    added: list[ClauseElement] = []
    for element in whole:
        if remaining[id(element)]:
            remaining[id(element)] -= 1
        else:
            added.append(element)
    return added


def _refuse_limit(unordered: AnyStatement, elements: Sequence[ClauseElement]) -> None:
    if len(list(unordered.limit(None).offset(None).get_children())) != len(elements):
        raise ConfigurationError(
            "The statement has a LIMIT or OFFSET of its own, which paging would replace; "
            "leave it out, or page over select(...) from it as a subquery"
        )


def _refuse_names(order: Sequence[Any]) -> None:
    for term in map(bare, order):
        if term.__visit_name__ == "textual_label_reference":
            raise ConfigurationError(
                f"order_by({str(term)!r}) names a column by text, which a select with joins cannot "
                "be paged by; give the column itself"
            )


def _is_plain(statement: AnySelect, elements: Sequence[ClauseElement], selectable: Any) -> bool:
    """Whether the statement is one table (or a subclass's) and conditions: no row can repeat.

    What is not recognised counts as not plain, which is slower and right too.
    """
    tables = set(tables_of(selectable))
    known = set(_conditions(statement.whereclause))
    return all(element in tables or _is_known(element, known) for element in elements)


def tables_of(selectable: Any) -> Iterator[Any]:
    """Give the tables of which a mapped class' selectable is made."""
    if isinstance(selectable, Table | Alias | Join):
        yield selectable
    if isinstance(selectable, Join):  # a subclass in tables of its own
        yield from tables_of(selectable.left)
        yield from tables_of(selectable.right)


def _conditions(clause: Any) -> Iterator[int]:
    if clause is None:
        return
    yield id(clause)
    if isinstance(clause, Grouping):
        yield from _conditions(cast("Any", clause).element)
    elif isinstance(clause, BooleanClauseList):
        for part in clause.clauses:
            yield from _conditions(part)


def _is_known(element: Any, known: set[int]) -> bool:
    # SQLAlchemy flattens and_() within several conditions, which leaves only its parts.
    return id(element) in known or (
        isinstance(element, BooleanClauseList) and all(id(p) in known for p in element.clauses)
    )


def _orders_by(term: Any, key: Any) -> bool:
    # A set compares columns by hash, with which SQLAlchemy's annotated copies equal the original.
    # Not `shares_lineage()`: it takes the column of an alias for that of the table.
    return key.expression in {bare(term)}


def bare(term: Any) -> Any:
    """Give what a term of an order or a labelled column is of."""
    wrapped = isinstance(term, UnaryExpression | Label)
    return bare(cast("Any", term).element) if wrapped else term


def _descends(term: Any) -> bool:
    if not isinstance(term, UnaryExpression):
        return False
    unary = cast("Any", term)
    return unary.modifier is operators.desc_op or _descends(unary.element)
