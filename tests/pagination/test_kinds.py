"""Every kind of column orders a listing, on SQLite and through both drivers of PostgreSQL."""

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from fastapi_kit.pagination import Sorting, SortKey

from .kinds import VALUES, Base, Kind, kinds
from .walking import pages_back, pages_of, rows_of

KEYS = {
    **{name: getattr(Kind, name) for name in VALUES},
    "stamped": Kind.stamped,
    "lower": func.lower(Kind.letters),
    "length": func.length(Kind.text),
    "negative": -Kind.whole,
    "labelled": (Kind.small + 1).label("more"),
    "first": SortKey(Kind.whole, nulls="first"),
    "last": SortKey(Kind.whole, nulls="last"),
}
SORTING = Sorting(Kind, KEYS, max_terms=3)


@pytest.fixture(scope="module", params=["sqlite", "psycopg", "asyncpg"])
async def session(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[AsyncSession]:
    if request.param == "sqlite":
        url = f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('kinds')}/test.db"
    else:
        url = request.getfixturevalue("postgres_server").replace("psycopg", request.param)
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    async with AsyncSession(engine, expire_on_commit=False) as session:
        async with session.begin():
            session.add_all(kinds())
        yield session
    await engine.dispose()


@pytest.mark.parametrize("direction", ["", "-"])
@pytest.mark.parametrize("name", KEYS)
# SQLite has no decimals of its own; SQLAlchemy says so whenever one is read.
@pytest.mark.filterwarnings("ignore:Dialect sqlite")
async def test_pages_follow_the_database_order(
    session: AsyncSession, name: str, direction: str
) -> None:
    await session.run_sync(_walk, (f"{direction}{name}",))


def _walk(session: Session, terms: tuple[str, ...]) -> None:
    order = SORTING.keyset(terms, session).order_by(backward=False)
    expected = session.scalars(select(Kind.id).order_by(*order)).all()

    pages = pages_of(session, select(Kind), SORTING, terms, size=4)
    back = pages_back(session, select(Kind), SORTING, terms, pages[-1], size=4)

    assert [row.id for row in rows_of(pages)] == expected
    assert [page.rows for page in back] == [page.rows for page in pages[:-1]]


@pytest.mark.parametrize("terms", [("double",), ("-double",), ("-exact",)])
async def test_not_a_number_has_a_place_on_postgresql(
    session: AsyncSession, terms: tuple[str, ...]
) -> None:
    if session.get_bind().dialect.name == "sqlite":
        return  # which stores it as NULL
    async with session.begin_nested() as savepoint:
        session.add_all(Kind(double=float("nan"), exact=Decimal("nan")) for _ in range(5))
        await session.flush()
        await session.run_sync(_walk, terms)
        await savepoint.rollback()
