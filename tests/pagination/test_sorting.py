"""A whitelist that cannot work is refused when it is made."""

from typing import Any

import pytest
from sqlalchemy import (
    JSON,
    Column,
    Integer,
    MetaData,
    String,
    Table,
    cast,
    func,
    literal_column,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import INET
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    column_property,
    composite,
    mapped_column,
)

from fastapi_kit.errors import ConfigurationError
from fastapi_kit.pagination import Sorting, SortKey, iterate, iterate_sync
from fastapi_kit.pagination.sort_parameter import sort_parameter

from .tables import Item, Seat, Tag


class Base(DeclarativeBase):
    pass


class Thing(Base):
    __tablename__ = "thing"

    id: Mapped[int] = mapped_column(primary_key=True)
    data: Mapped[dict[str, Any]] = mapped_column(JSON)
    pair: Mapped[tuple[int, str]] = composite(
        lambda a, b: (a, b), mapped_column("a", Integer), mapped_column("b", String)
    )
    twice: Mapped[int] = column_property(id * 2)  # noqa: A003


VIEW = Table("view", MetaData(), Column("n", Integer), Column("address", INET))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((Item, {}), r"Sorting\(Item, {}\) allows nothing to sort by; name a column"),
        ((Item, {"": Item.id}), "'' cannot be a name to sort by"),
        ((Item, {"-id": Item.id}), "'-id' cannot be a name to sort by"),
        ((Item, {"id": "id"}), "'id' is no column or expression of columns: 'id'"),
        ((Item, {"id": text("id")}), "'id' is no column or expression"),
        ((Item, {"tags": Item.tags}), "'tags' is a relationship; sort by a column"),
        ((Thing, {"pair": Thing.pair}), "'pair' is no column or expression"),
        ((Item, {"tag": Tag.name}), "sorts Item by tag.name, which is not its own column"),
        ((Item, {"tag": func.max(Tag.name)}), "sorts Item by tag.name"),
        ((Item, {"id": Item.id.desc()}), "'id' has a direction or placement of its own"),
        ((Thing, {"data": Thing.data}), r"'data' is of type JSON\(\), which cannot be sorted by"),
        ((VIEW, {"address": VIEW.c.address}), "'address' is of type INET"),
        ((object(), {"id": Item.id}), "is of nothing that has rows"),
        ((VIEW, {"n": VIEW.c.n}), r"view has no primary key.*give unique="),
    ],
)
def test_a_key_that_cannot_sort_is_refused(arguments: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Sorting(*arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"default": ("created",)}, "is not what may be asked for; use id, -id, price, -price"),
        ({"default": ("id", "price")}, "use 1 or fewer"),
        ({"default": ("id", "-id"), "max_terms": 2}, "use each name once"),
        ({"max_terms": 0}, "max_terms=0 is out of bounds; use 1 to 2"),
        ({"max_terms": 3}, "max_terms=3 is out of bounds; use 1 to 2"),
    ],
)
def test_terms_that_cannot_be_asked_for_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Sorting(Item, {"id": Item.id, "price": Item.price}, **options)


def test_a_placement_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="nulls='middle' is no placement"):
        SortKey(Item.id, nulls="middle")  # type: ignore[arg-type]


def test_whatever_has_an_order_is_taken() -> None:
    sorting = Sorting(
        Thing,
        {
            "data": cast(Thing.data, String),
            "twice": Thing.twice,
            "kind": literal_column("kind", String),
            "count": select(func.count()).where(Tag.item_id == Thing.id).scalar_subquery(),
            "alone": func.random(),
        },
    )

    assert sorting.terms[:4] == ("data", "-data", "twice", "-twice")
    assert sorting.name == "Thing"


def order_by(session: Session, sorting: Sorting, *terms: str, backward: bool = False) -> list[str]:
    return [str(term) for term in sorting.keyset(terms, session).order_by(backward=backward)]


def test_the_primary_key_breaks_ties_in_the_last_terms_direction(sync_memory: Session) -> None:
    sorting = Sorting(Seat, {"row": Seat.row, "number": Seat.number}, max_terms=2)

    assert order_by(sync_memory, sorting) == ["seat.row ASC", "seat.place ASC"]
    assert order_by(sync_memory, sorting, "-number") == ["seat.place DESC", "seat.row DESC"]
    assert order_by(sync_memory, sorting, "row", "-number") == ["seat.row ASC", "seat.place DESC"]
    assert order_by(sync_memory, sorting, "row", backward=True) == [
        "seat.row DESC",
        "seat.place DESC",
    ]


def test_terms_after_a_unique_one_are_left_out(sync_memory: Session) -> None:
    sorting = Sorting(Item, {"id": Item.id, "price": Item.price}, max_terms=2)

    assert order_by(sync_memory, sorting, "id", "price") == ["item.id ASC"]


def test_nulls_are_placed_only_where_the_database_would_not(session: Session) -> None:
    lower = func.lower(Item.name)
    sorting = Sorting(
        Item,
        {
            "native": lower,
            "last": SortKey(lower, nulls="last"),
            "first": SortKey(lower, nulls="first"),
            "never": SortKey(lower, nulls="last", nullable=False),
        },
    )
    last_natively = session.get_bind().dialect.name == "postgresql"

    terms = {
        name: order_by(session, sorting, name)[0] for name in ("native", "last", "first", "never")
    }

    assert terms["native"] == terms["never"] == "lower(item.name) ASC"
    assert terms["last"].endswith("NULLS LAST") is not last_natively
    assert terms["first"].endswith("NULLS FIRST") is last_natively


def test_names_of_terms_are_told_to_generators_where_they_differ() -> None:
    plain = Sorting(Item, {"price": Item.price})
    clashing = Sorting(Item, {"price": Item.price, "price_desc": Item.id})

    assert "x-enum-varnames" in repr(sort_parameter(plain))
    assert "x-enum-varnames" not in repr(sort_parameter(clashing))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"size": 0}, "size=0 is below 1"), ({"sort": ["name"]}, "cannot be sorted by; use id, -id")],
)
def test_batches_that_cannot_be_are_refused(
    sync_memory: Session, options: dict[str, Any], message: str
) -> None:
    sorting = Sorting(Item, {"id": Item.id})

    with pytest.raises(ConfigurationError, match=message):
        next(iterate_sync(sync_memory, select(Item), sorting, **options))


async def test_batches_hold_all_rows_and_no_empty_one(memory: Any) -> None:
    sorting = Sorting(Item, {"id": Item.id})

    batches = [
        [item.id for item in batch]
        async for batch in iterate(memory, select(Item), sorting, size=15, sort=("-id",))
    ]
    none = [batch async for batch in iterate(memory, select(Item).where(Item.id < 0), sorting)]

    assert batches == [[*range(30, 15, -1)], [*range(15, 0, -1)]]
    assert none == []


async def test_batches_need_a_session_that_does_not_block(sync_memory: Session) -> None:
    with pytest.raises(ConfigurationError, match="use iterate_sync"):
        await anext(aiter(iterate(sync_memory, select(Item), Sorting(Item, {"id": Item.id}))))  # type: ignore[call-overload]
