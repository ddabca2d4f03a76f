"""Pages of what SQLite and PostgreSQL hold."""

import gc
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, assert_type

import pytest
import sqlmodel
import sqlmodel.ext.asyncio.session
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError
from sqlalchemy import (
    Row,
    Select,
    and_,
    create_engine,
    desc,
    event,
    func,
    insert,
    literal_column,
    not_,
    or_,
    select,
    text,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import (
    Session,
    aliased,
    contains_eager,
    joinedload,
    raiseload,
    selectinload,
    with_polymorphic,
)

from fastapi_kit.errors import ConfigurationError
from fastapi_kit.pagination import (
    Page,
    PaginationDep,
    PaginationParams,
    SkipLimitDep,
    SkipLimitPage,
    SkipLimitParams,
    paginate,
    paginate_sync,
    statements,
)

from .tables import Base, Booking, Film, Item, ItemOut, Media, Seat, Tag, TaggedItemOut, demo_rows

SECOND = PaginationParams(page=2, size=5)
ALL = PaginationParams(size=100)
TAGGED = [n for n in range(1, 31) if n % 4]


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def database_url(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """URL of a database with the demo rows, made once for all tests: they commit nothing."""
    with ExitStack() as stack:
        if request.param == "postgres":
            url = stack.enter_context(request.getfixturevalue("postgres").new_database())
        else:
            url = f"sqlite:///{tmp_path_factory.mktemp('selects')}/test.db"
        engine = create_engine(url)
        Base.metadata.create_all(engine)
        with Session(engine) as session, session.begin():
            session.add_all(demo_rows())
        engine.dispose()
        yield url


class Hero(sqlmodel.SQLModel, table=True):
    id: int | None = sqlmodel.Field(default=None, primary_key=True)
    name: str


def ids(items: list[Any]) -> list[int]:
    return [item.id for item in items]


@contextmanager
def counted(session: Session) -> Iterator[list[str]]:
    """Collect the SQL that the session sends."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        sent.append(statement)

    engine = session.get_bind()
    event.listen(engine, "before_cursor_execute", note)
    yield sent
    event.remove(engine, "before_cursor_execute", note)


async def test_the_one_liner_answers_a_page_with_links(async_session: AsyncSession) -> None:
    app = FastAPI()

    @app.get("/items")
    async def items(params: PaginationDep) -> Page[ItemOut]:
        stmt = select(Item).order_by(Item.id)
        return await paginate(async_session, stmt, params, into=Page[ItemOut])

    @app.get("/parts", response_model=SkipLimitPage[ItemOut])
    async def parts(params: SkipLimitDep) -> Any:
        return await paginate(async_session, select(Item), params)

    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        page = await client.get("/items?page=2&size=2")
        part = await client.get("/parts?skip=28&limit=1")

    assert page.json() == {
        "items": [{"id": 3, "name": "item 3"}, {"id": 4, "name": "item 4"}],
        "total": 30,
        "page": 2,
        "size": 2,
        "pages": 15,
    }
    assert page.links["next"]["url"] == "?size=2&page=3"
    assert part.json() == {
        "items": [{"id": 29, "name": "item 29"}],
        "total": 30,
        "skip": 28,
        "limit": 1,
    }
    assert part.links["prev"]["url"] == "?limit=1&skip=27"


async def test_the_farthest_page_does_not_overflow_the_database(
    async_session: AsyncSession,
) -> None:
    page = await paginate(async_session, select(Item), SkipLimitParams(skip=2**63 - 101, limit=100))

    assert (page.items, page.total) == ([], 30)


def test_the_sync_function_gives_the_same(session: Session) -> None:
    page = paginate_sync(session, select(Item), SECOND, into=Page[ItemOut])

    assert ids(page.items) == [6, 7, 8, 9, 10]
    assert (page.total, page.pages) == (30, 6)


async def test_each_function_has_its_session(session: Session) -> None:
    with pytest.raises(ConfigurationError, match=r"got a Session, .*use paginate_sync"):
        await paginate(session, select(Item), SECOND)  # type: ignore[call-overload]


async def test_types_are_what_was_asked_for(async_session: AsyncSession, session: Session) -> None:
    """Checked by mypy; here it is only run."""
    stmt, two = select(Item), select(Item.id, Item.name).order_by(Item.id)
    three = select(Item.id, Item.name, Item.price).order_by(Item.id)
    skip = SkipLimitParams()

    assert_type(await paginate(async_session, stmt, ALL, into=Page[ItemOut]), Page[ItemOut])
    assert_type(await paginate(async_session, stmt, ALL), "Page[Item]")
    assert_type(await paginate(async_session, stmt, skip), "SkipLimitPage[Item]")
    assert_type(await paginate(async_session, two, ALL), "Page[Row[int, str]]")
    assert_type(await paginate(async_session, three, skip), "SkipLimitPage[Row[int, str, int]]")
    assert_type(
        paginate_sync(session, two, skip, into=SkipLimitPage[ItemOut]), SkipLimitPage[ItemOut]
    )
    assert_type(paginate_sync(session, stmt, ALL), "Page[Item]")
    assert_type(paginate_sync(session, union_all(stmt, stmt).order_by("id"), ALL), "Page[Item]")


# Order


def test_ties_keep_their_places(session: Session) -> None:
    stmt = select(Item).order_by(Item.price)
    pages = [
        paginate_sync(session, stmt, PaginationParams(page=n, size=7)).items for n in range(1, 6)
    ]

    expected = sorted(range(1, 31), key=lambda n: (n % 3, n))
    assert [item.id for page in pages for item in page] == expected


def test_ties_run_the_way_of_the_last_term(session: Session) -> None:
    stmt = select(Item).order_by(Item.price.desc().nulls_last())

    page = paginate_sync(session, stmt, PaginationParams(size=3))

    assert ids(page.items) == [29, 26, 23]


def test_a_key_that_orders_already_is_not_repeated(session: Session) -> None:
    for term in (Item.id, Item.id.desc(), Item.__table__.c.id):
        with counted(session) as sent:
            paginate_sync(session, select(Item).order_by(term), ALL)

        assert sent[0].partition("ORDER BY")[2].count("item.id") == 1


def test_the_key_of_another_alias_does_not_break_ties(session: Session) -> None:
    other = aliased(Item)
    stmt = select(other).join(Item, Item.id == other.price + 1).order_by(Item.id)

    with counted(session) as sent:
        paginate_sync(session, stmt, ALL)

    assert "ORDER BY item.id, item_1.id" in sent[-1]


def test_composite_and_renamed_keys_order(session: Session) -> None:
    page = paginate_sync(session, select(Seat).order_by(Seat.row.desc()), PaginationParams(size=4))

    assert [(seat.row, seat.number) for seat in page.items] == [(2, 3), (2, 2), (2, 1), (1, 3)]


def test_columns_need_an_order_of_their_own(session: Session) -> None:
    with pytest.raises(ConfigurationError, match=r"without ORDER BY .* add \.order_by"):
        paginate_sync(session, select(Item.id), ALL)


# What cannot be paged


@pytest.mark.parametrize(
    "stmt",
    [
        select(Item).limit(3),
        select(Item).offset(3),
        select(Item).fetch(3),
        select(Item).limit(literal_column("3")),
        select(Item.id).order_by(Item.id).limit(3),
        union_all(select(Item.id), select(Tag.id)).order_by("id").limit(3),
    ],
)
def test_a_limit_of_its_own_is_refused(session: Session, stmt: Select[Any]) -> None:
    with pytest.raises(ConfigurationError, match="LIMIT or OFFSET of its own"):
        paginate_sync(session, stmt, ALL)


@pytest.mark.parametrize(
    ("stmt", "kind"),
    [
        (text("SELECT 1"), "TextClause"),
        (select(Item).from_statement(text("SELECT 1")), "FromStatement"),
        (insert(Item), "Insert"),
        (Item, "DeclarativeAttributeIntercept"),
    ],
)
def test_what_is_no_select_is_refused(session: Session, stmt: Any, kind: str) -> None:
    with pytest.raises(ConfigurationError, match=f"A {kind} cannot be paged"):
        paginate_sync(session, stmt, ALL)


def test_an_empty_select_is_refused(session: Session) -> None:
    with pytest.raises(ConfigurationError, match="without ORDER BY"):
        paginate_sync(session, select(), ALL)


# Counting


@pytest.mark.parametrize(
    ("params", "queries"),
    [
        (PaginationParams(size=10), 2),  # a full page: there may be more
        (PaginationParams(size=31), 1),  # the only page
        (PaginationParams(page=2, size=29), 1),  # the last page
        (PaginationParams(page=9, size=10), 2),  # past the end
    ],
)
@pytest.mark.parametrize("stmt", [select(Item), select(Item.id).order_by(Item.id)])
def test_a_short_page_tells_the_total_without_counting(
    session: Session, stmt: Select[Any], params: PaginationParams, queries: int
) -> None:
    with counted(session) as sent:
        page = paginate_sync(session, stmt, params)

    assert page.total == 30
    assert len(sent) == queries


def test_an_empty_first_page_tells_that_there_is_nothing(session: Session) -> None:
    with counted(session) as sent:
        page = paginate_sync(session, select(Item).where(Item.id < 0), ALL)

    assert (page.total, page.pages, len(sent)) == (0, 0, 1)


def test_a_count_carries_neither_order_nor_loaders(session: Session) -> None:
    stmt = select(Item).options(joinedload(Item.tags)).order_by(Item.price)

    with counted(session) as sent:
        paginate_sync(session, stmt, SECOND)

    assert sent[-1].split() == ["SELECT", "count(*)", "AS", "count_1", "FROM", "item"]


def test_a_total_is_never_below_what_was_seen(session: Session) -> None:
    """Rows that go between the two queries do not make nonsense of the page."""
    engine = session.get_bind()

    def delete_before_count(
        _connection: Any, cursor: Any, statement: str, params: Any, *_rest: Any
    ) -> tuple[str, Any]:
        if "count(*)" in statement:
            cursor.execute("DELETE FROM tag")
            cursor.execute("DELETE FROM item")
        return statement, params

    event.listen(engine, "before_cursor_execute", delete_before_count, retval=True)
    page = paginate_sync(session, select(Item), SECOND)

    assert (len(page.items), page.total) == (5, 10)


PLAIN = [
    select(Item).where(Item.price == 1),
    select(Item).where(Item.price == 1).where(Item.id > 0),
    select(Item).where(or_(Item.price == 1, Item.id < 0), Item.id > 0),
    select(Item).where(and_(Item.price == 1, Item.id > 0)).where(not_(Item.id < 0)),
    select(Item).where(Item.price.in_([1])).distinct(),
    select(Item).where(Item.price == 1, Item.id.in_(select(Tag.item_id).union(select(Item.id)))),
    select(Item).where(Item.price == 1, or_(Item.tags.any(), ~Item.tags.any())),
    select(aliased(Item, name="other")).where(text("price = 1")),
]


@pytest.mark.parametrize("stmt", PLAIN)
def test_what_cannot_repeat_is_counted_plainly(session: Session, stmt: Select[Item]) -> None:
    with counted(session) as sent:
        page = paginate_sync(session, stmt, SECOND)

    assert ids(page.items) == [16, 19, 22, 25, 28]
    assert page.total == 10
    assert "GROUP BY" not in sent[-1]


@pytest.mark.parametrize("stmt", [select(Film), select(with_polymorphic(Media, [Film]))])
def test_subclasses_in_tables_of_their_own_cannot_repeat(
    session: Session, stmt: Select[Any]
) -> None:
    with counted(session) as sent:
        page = paginate_sync(session, stmt, PaginationParams(page=2, size=3))

    assert (ids(page.items), page.total) == ([4, 5, 6], 7)
    assert "GROUP BY" not in sent[-1]


def test_an_alias_of_a_subquery_can_repeat(session: Session) -> None:
    twice = aliased(Item, union_all(select(Item), select(Item)).subquery())

    page = paginate_sync(session, select(twice), SECOND)

    assert (ids(page.items), page.total) == ([6, 7, 8, 9, 10], 30)


JOINED = [
    select(Item).join(Item.tags),
    select(Item).join(Tag, Tag.item_id == Item.id),
    select(Item).where(Item.id == Tag.item_id),
    select(Item).select_from(Tag).join(Tag.item),
    select(Item).join(Item.tags).distinct(),
    select(Item).join(Item.tags).group_by(Item.id),
    select(Item).join(Item.tags).where(Tag.name.like("tag%")).options(joinedload(Item.tags)),
    select(Item).join(Item.tags).options(contains_eager(Item.tags)),
    select(Item).join(Item.tags).join(aliased(Tag, name="more"), text("more.item_id = item.id")),
    select(Item).where(Item.id.in_(select(Tag.item_id))),
    select(Item).join(select(Tag.item_id).cte("tagged"), text("tagged.item_id = item.id")),
]


@pytest.mark.parametrize("stmt", JOINED)
def test_joins_to_many_give_each_entity_once(session: Session, stmt: Select[Item]) -> None:
    """Pages are full, and the total counts entities, however many rows each has."""
    ordered = stmt.order_by(Item.id)
    pages = [
        paginate_sync(session, ordered, PaginationParams(page=number, size=5))
        for number in range(1, 7)
    ]

    assert [ids(page.items) for page in pages] == [TAGGED[n : n + 5] for n in range(0, 30, 5)]
    assert {(page.total, page.pages) for page in pages} == {(23, 5)}


def test_the_same_column_in_another_role_is_another_statement(session: Session) -> None:
    """What was found out of a statement is remembered by its elements, and where they stand."""
    roles = [
        select(Item).order_by(Item.id),
        select(Item).group_by(Item.id),
        select(Item).order_by(Item.id),
    ]

    pages = [paginate_sync(session, stmt, SECOND) for stmt in roles]

    assert [ids(page.items) for page in pages] == [[6, 7, 8, 9, 10]] * 3
    assert [page.total for page in pages] == [30] * 3


def test_what_is_remembered_of_statements_has_a_bound(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "_MOST_SEEN", 3)

    for _ in range(5):
        page = paginate_sync(session, select(Item).order_by(Item.id.desc()), SECOND)

    assert ids(page.items) == [25, 24, 23, 22, 21]
    assert len(statements._SEEN) <= 3


def test_contains_eager_gives_whole_collections(session: Session) -> None:
    stmt = select(Item).join(Item.tags).options(contains_eager(Item.tags)).order_by(Item.id)

    page = paginate_sync(session, stmt, PaginationParams(size=3), into=Page[TaggedItemOut])

    assert [len(item.tags) for item in page.items] == [1, 2, 3]


def test_an_entity_stands_where_its_first_row_does(session: Session) -> None:
    stmt = select(Item).join(Item.tags).order_by(Tag.name.desc(), Item.id)

    seen = [
        id_
        for number in range(1, 6)
        for id_ in ids(paginate_sync(session, stmt, PaginationParams(page=number, size=5)).items)
    ]

    assert seen == sorted(TAGGED, key=lambda n: (-(n % 4), n))


def test_composite_keys_are_counted_once(session: Session) -> None:
    stmt = select(Seat).join(Booking, Booking.row == Seat.row)

    page = paginate_sync(session, stmt, PaginationParams(page=2, size=4))

    assert [(seat.row, seat.number) for seat in page.items] == [(2, 2), (2, 3)]
    assert page.total == 6


def test_joins_to_one_repeat_nothing(session: Session) -> None:
    stmt = select(Tag).join(Tag.item).order_by(Item.price, Item.id, Tag.id)

    page = paginate_sync(session, stmt, SECOND)

    assert len(page.items) == 5
    assert page.total == sum(n % 4 for n in range(1, 31))


@pytest.mark.parametrize("term", ["name", desc("name")])
def test_joins_cannot_be_ordered_by_a_name_in_text(session: Session, term: Any) -> None:
    with pytest.raises(ConfigurationError, match="give the column itself"):
        paginate_sync(session, select(Item).join(Item.tags).order_by(term), ALL)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    size=st.integers(1, 12),
    least=st.integers(0, 32),
    joined=st.booleans(),
    terms=st.lists(
        st.sampled_from([Item.price, Item.price.desc(), Item.name, Item.id.desc()]), max_size=2
    ),
)
def test_walking_all_pages_sees_each_entity_once(
    session: Session, size: int, least: int, *, joined: bool, terms: list[Any]
) -> None:
    stmt = select(Item).where(Item.id >= least).order_by(*terms)
    stmt = stmt.join(Item.tags) if joined else stmt
    first = paginate_sync(session, stmt, PaginationParams(size=size))
    pages = [
        paginate_sync(session, stmt, PaginationParams(page=number, size=size))
        for number in range(1, first.pages + 1)
    ]

    expected = [n for n in range(1, 31) if n >= least and (n % 4 or not joined)]
    assert sorted(item.id for page in pages for item in page.items) == expected
    assert {page.total for page in pages} <= {len(expected)}
    assert all(len(page.items) == size for page in pages[:-1])


# What rows are read into


def test_collections_loaded_by_join_do_not_shorten_the_page(session: Session) -> None:
    stmt = select(Item).options(joinedload(Item.tags)).order_by(Item.id)

    page = paginate_sync(session, stmt, SECOND, into=Page[TaggedItemOut])

    assert [len(item.tags) for item in page.items] == [2, 3, 0, 1, 2]


async def test_async_reads_what_was_loaded(async_session: AsyncSession) -> None:
    stmt = select(Item).options(selectinload(Item.tags))

    page = await paginate(async_session, stmt, SECOND, into=Page[TaggedItemOut])

    assert [len(item.tags) for item in page.items] == [2, 3, 0, 1, 2]


# What aiosqlite was about to await when SQLAlchemy found that it cannot.
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
async def test_async_makes_no_hidden_query(async_session: AsyncSession) -> None:
    with pytest.raises(ValidationError, match="MissingGreenlet") as caught:
        await paginate(async_session, select(Item), SECOND, into=Page[TaggedItemOut])
    del caught
    gc.collect()  # so that the coroutine goes while the filter holds


def test_equal_values_are_not_taken_for_repeats(session: Session) -> None:
    page = paginate_sync(session, select(Item.price).order_by(Item.price), SECOND, into=Page[int])

    assert page.items == [0, 0, 0, 0, 0]
    assert page.total == 30


class PriceOut(BaseModel):
    price: int
    count: int


PRICES = select(Item.price, func.count().label("count")).group_by(Item.price).order_by(Item.price)


def test_groups_are_counted_as_groups(session: Session) -> None:
    params = PaginationParams(size=2)

    page = paginate_sync(session, PRICES, params, into=Page[PriceOut])

    assert [(row.price, row.count) for row in page.items] == [(0, 10), (1, 10)]
    assert page.total == 3


def test_distinct_values_are_counted_once(session: Session) -> None:
    stmt = select(Item.price).distinct().order_by(Item.price)

    page = paginate_sync(session, stmt, PaginationParams(size=2))

    assert (page.items, page.total) == ([0, 1], 3)


def test_rows_can_become_tuples_or_dicts(session: Session) -> None:
    tuples = paginate_sync(session, PRICES, ALL, into=Page[tuple[int, int]])
    dicts = paginate_sync(session, PRICES, ALL, into=Page[dict[str, int]])

    assert tuples.items[0] == (0, 10)
    assert dicts.items[0] == {"price": 0, "count": 10}


def test_rows_without_into_are_rows(session: Session) -> None:
    page = paginate_sync(session, PRICES, ALL)

    assert isinstance(page.items[0], Row)
    assert page.items[0].price == 0


def test_an_entity_beside_a_value_is_a_row(session: Session) -> None:
    stmt = select(Item, func.count(Tag.id)).join(Tag).group_by(Item.id).order_by(Item.id)

    page = paginate_sync(session, stmt.options(raiseload("*")), SECOND)

    assert [(row[0].id, row[1]) for row in page.items] == [(n, n % 4) for n in TAGGED[5:10]]
    assert page.total == 23


def test_core_tables_and_ctes_can_be_paged(session: Session) -> None:
    cheap = select(Item.__table__).where(Item.price == 1).cte()

    page = paginate_sync(session, select(cheap).order_by(cheap.c.id), SECOND, into=Page[ItemOut])

    assert ids(page.items) == [16, 19, 22, 25, 28]
    assert page.total == 10


def test_sql_by_hand_can_be_paged(session: Session) -> None:
    by_hand = text("SELECT id, price FROM item").columns(Item.id, Item.price).subquery()
    statement = select(by_hand).order_by(by_hand.c.price, by_hand.c.id)

    page = paginate_sync(session, statement, PaginationParams(page=2, size=2))

    assert [tuple(row) for row in page.items] == [(9, 0), (12, 0)]
    assert page.total == 30


def test_unions_can_be_paged(session: Session) -> None:
    low, high = select(Item.id).where(Item.id < 4), select(Item.id).where(Item.id > 28)
    params = PaginationParams(page=2, size=2)

    page = paginate_sync(session, union_all(low, high, low).order_by("id"), params)

    assert (page.items, page.total) == ([2, 2], 8)


# SQLModel


@pytest.fixture
async def heroes(async_session: AsyncSession) -> AsyncConnection:
    connection = await async_session.connection()
    await connection.run_sync(sqlmodel.SQLModel.metadata.create_all)
    await connection.execute(insert(Hero), [{"name": f"hero {n}"} for n in range(1, 8)])
    return connection


async def test_sqlmodel_works_with_its_own_session_and_select(heroes: AsyncConnection) -> None:
    """Its sessions mark `execute` as deprecated; nothing of that may reach the user."""
    async with sqlmodel.ext.asyncio.session.AsyncSession(heroes) as session:
        stmt = sqlmodel.select(Hero).order_by(sqlmodel.col(Hero.name).desc())
        params = PaginationParams(page=2, size=3)

        page = await paginate(session, stmt, params, into=Page[Hero])
        rows = await paginate(session, sqlmodel.select(Hero.id, Hero.name).order_by("id"), params)

    assert ids(page.items) == [4, 3, 2]
    assert page.total == 7
    assert [tuple(row) for row in rows.items] == [(n, f"hero {n}") for n in (4, 5, 6)]
