"""Building, starting and stopping a database."""

import asyncio
import sqlite3
import sys
import threading
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import FastAPI
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy import URL, DateTime, make_url, select, text
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.pool import AsyncAdaptedQueuePool, NullPool

from fastapi_kit.db import Base, Database, SessionDep, async_url
from fastapi_kit.errors import ConfigurationError, MissingExtraError

from .shop import Item, Note, running

MEMORY = "sqlite:///file:/{}?vfs=memdb&uri=true"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgres://u:p@h/d", "postgresql+psycopg://u:p@h/d"),
        ("postgresql://u:p@h/d", "postgresql+psycopg://u:p@h/d"),
        ("postgresql+asyncpg://u:p@h/d", "postgresql+asyncpg://u:p@h/d"),
        ("sqlite:///shop.db", "sqlite+aiosqlite:///shop.db"),
        ("sqlite+aiosqlite:////a/shop.db", "sqlite+aiosqlite:////a/shop.db"),
        (SecretStr("sqlite:///shop.db"), "sqlite+aiosqlite:///shop.db"),
        (URL.create("sqlite", database="shop.db"), "sqlite+aiosqlite:///shop.db"),
    ],
)
def test_a_url_gets_an_async_driver(url: Any, expected: str) -> None:
    assert async_url(url).render_as_string(hide_password=False) == expected


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite+aiosqlite:///:memory:",
        "sqlite:///file::memory:?cache=shared&uri=true",
        "sqlite:///file:shop?mode=memory&cache=shared&uri=true",
    ],
)
def test_a_memory_that_sessions_would_share_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"file:/name\?vfs=memdb&uri=true"):
        Database(url)


@pytest.mark.parametrize(
    "url", ["postgresql+psycopg2://h/d", "sqlite+pysqlite:///x.db", "mysql://h/d", "nonsense://"]
)
def test_a_driver_that_is_not_supported_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"postgresql\+psycopg, "):
        Database(url)


@pytest.mark.parametrize(
    "url", ["", "shop.db", "postgresql://u:secret/h", "postgresql://u:s@cret@h/d"]
)
def test_a_url_that_cannot_be_read_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ConfigurationError, match="percent-encode") as caught:
        Database(url)

    assert "cret" not in "".join(traceback.format_exception(caught.value))


@settings(max_examples=50, deadline=None)
@given(st.text(min_size=1))
@example("@")
def test_no_password_is_ever_shown(password: str) -> None:
    marked = f"s3cret{password}s3cret"
    try:
        db = Database(f"postgresql://user:{marked}@host/name")
    except ConfigurationError as error:
        shown = str(error)
    else:
        shown = f"{db!r} {db}"

    assert "s3cret" not in shown


def test_no_password_in_a_query_is_ever_shown() -> None:
    db = Database("postgresql://host/name?password=s3cret")

    assert repr(db) == "Database('postgresql+psycopg://host/name', name='default')"


@pytest.mark.parametrize(
    "options",
    [
        {"pool_size": 0},
        {"max_overflow": -1},
        {"pool_timeout_seconds": -1},
        {"pool_timeout_seconds": float("nan")},
        {"pool_recycle_seconds": 0},
        {"connect_timeout_seconds": 0},
        {"busy_timeout_seconds": -1},
    ],
)
def test_an_option_that_would_switch_a_limit_off_is_refused(
    sqlite_url: str, options: dict[str, Any]
) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        Database(sqlite_url, **options)


@pytest.mark.parametrize("pragmas", [{"a b": 1}, {"synchronous": "OFF; DROP TABLE wares"}])
def test_a_pragma_that_is_not_one_word_is_refused(sqlite_url: str, pragmas: Any) -> None:
    with pytest.raises(ConfigurationError, match="one word"):
        Database(sqlite_url, sqlite_pragmas=pragmas)


def test_without_psycopg_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)

    with pytest.raises(MissingExtraError, match=r"fastapi-kit\[postgres\]"):
        Database("postgresql://h/d")


def test_without_asyncpg_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)

    with pytest.raises(ConfigurationError, match=r"'asyncpg'.*fastapi-kit\[postgres\]"):
        Database("postgresql+asyncpg://h/d")


async def test_engine_options_are_laid_over_ours(sqlite_url: str) -> None:
    db = Database(sqlite_url, engine_options={"pool_size": 2, "connect_args": {"timeout": 3}})

    assert isinstance(db.read_engine.pool, AsyncAdaptedQueuePool)
    assert db.read_engine.pool.size() == 2
    async with db, db.read_session() as session:
        assert await session.scalar(text("PRAGMA busy_timeout")) == 3000


async def test_another_pool_needs_no_options_of_ours(postgres_url: str) -> None:
    async with Database(postgres_url, engine_options={"poolclass": NullPool}) as db:
        await db.ping()


async def test_a_ping_answers(db: Database) -> None:
    await db.ping()


async def test_parameters_are_not_in_an_errors_text(db: Database) -> None:
    with pytest.raises(SQLAlchemyError) as caught:
        async with db.session() as session:
            await session.execute(text("SELECT :word FROM missing"), {"word": "s3cret"})

    assert "s3cret" not in str(caught.value)


async def workers_ended() -> None:
    """Let the driver's thread report a failed open before the event loop ends."""
    for thread in threading.enumerate():
        if "_connection_worker_thread" in thread.name:
            await asyncio.to_thread(thread.join, 10)


def unreachable(tmp_path: Path) -> list[str]:
    return [
        f"sqlite:///{tmp_path}/missing/shop.db",
        "postgresql://user:s3cret@127.0.0.1:1/shop",
        "postgresql+asyncpg://user:s3cret@127.0.0.1:1/shop",
    ]


@pytest.mark.parametrize("which", range(3))
async def test_an_app_whose_database_does_not_answer_does_not_start(
    tmp_path: Path, which: int
) -> None:
    app = FastAPI(lifespan=Database(unreachable(tmp_path)[which]).lifespan)

    with pytest.raises(ConfigurationError, match="check_at_start=False") as caught:
        await running(app).__aenter__()
    await workers_ended()

    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("which", range(3))
async def test_the_check_at_start_can_be_left_to_readiness(tmp_path: Path, which: int) -> None:
    db = Database(unreachable(tmp_path)[which], check_at_start=False)

    async with running(FastAPI(lifespan=db.lifespan)):
        with pytest.raises(SQLAlchemyError):
            await db.ping()
    await workers_ended()


async def test_the_lifespan_closes_every_connection_and_can_run_again(db: Database) -> None:
    app = FastAPI(lifespan=db.lifespan)
    pools = []

    for _ in range(2):
        async with running(app), db.session() as session:
            await session.execute(select(Item))
            pools.append(db.engine.pool)

    assert [pool.checkedin() for pool in pools] == [0, 0]  # type: ignore[attr-defined]


async def test_a_lifespan_without_an_app_works(sqlite_url: str) -> None:
    db = Database(sqlite_url)

    async with db.lifespan(None) as state:
        assert list(state.values()) == [db]


async def test_two_databases_of_one_name_do_not_start(tmp_path: Path) -> None:
    app = FastAPI()
    one, two = (Database(f"sqlite:///{tmp_path}/{name}.db") for name in "ab")

    async with one.lifespan(app):
        with pytest.raises(ConfigurationError, match='name="reports"'):
            await two.lifespan(app).__aenter__()


@pytest.fixture
async def reports(tmp_path: Path) -> AsyncIterator[Database]:
    async with Database(f"sqlite:///{tmp_path}/reports.db", name="reports") as database:
        async with database.engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        yield database


async def test_a_second_database_has_sessions_of_its_own(db: Database, reports: Database) -> None:
    @asynccontextmanager
    async def both(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        async with db.lifespan(app) as first, reports.lifespan(app) as second:
            yield {**first, **second}

    app = FastAPI(lifespan=both)
    reports_session = Annotated[AsyncSession, reports.dependency()]
    reports_reader = Annotated[AsyncSession, reports.read_dependency()]

    @app.post("/")
    async def store(session: SessionDep, other: reports_session) -> None:
        session.add(Item(name="chair"))
        other.add(Item(name="report"))

    @app.get("/")
    async def read(session: SessionDep, other: reports_reader) -> list[list[str]]:
        names = select(Item.name).order_by(Item.id)
        return [list(await each.scalars(names)) for each in (session, other)]

    @app.put("/")
    async def refused(other: reports_reader) -> None:
        other.add(Item(name="no"))

    async with running(app) as client:
        assert (await client.post("/")).status_code == 200
        assert (await client.get("/")).json() == [["lamp", "chair"], ["report"]]
        assert (await client.put("/")).status_code == 500


async def test_a_dependency_can_be_replaced_in_tests(reports: Database) -> None:
    app = FastAPI(lifespan=reports.lifespan)

    @app.get("/")
    async def route(session: Annotated[str, reports.dependency()]) -> str:
        return session

    async def fake() -> str:
        return "fake"

    app.dependency_overrides[reports.dependency().dependency] = fake

    async with running(app) as client:
        assert (await client.get("/")).json() == "fake"


async def test_a_memory_database_keeps_committed_rows_and_sessions_apart() -> None:
    """Even when the pools have closed all their connections."""
    async with Database(MEMORY.format("apart")) as db:
        async with db.engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        async with db.session() as session:
            session.add(Item(name="lamp"))
        await db.engine.dispose()
        await db.read_engine.dispose()
        async with db.session() as session:
            session.add(Item(name="chair"))
            await session.flush()
            await session.rollback()

        async with db.read_session() as session:
            assert list(await session.scalars(select(Item.name))) == ["lamp"]


async def test_a_memory_database_ends_with_its_lifespan() -> None:
    db = Database(MEMORY.format("ends"))
    async with db, db.engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)

    async with db, db.read_session() as session:
        tables = await session.scalars(text("SELECT name FROM sqlite_master"))
        assert list(tables) == []


def test_every_constraint_of_a_model_has_a_name() -> None:
    names = {
        str(c.name)
        for model in (Item, Note)
        for c in model.metadata.tables[model.__tablename__].constraints
    }

    assert names == {
        "ck_wares_stock_not_negative",
        "fk_notes_item_id_wares",
        "pk_wares",
        "pk_notes",
        "uq_wares_code_shelf",
        "uq_wares_name",
    }


def test_a_datetime_is_one_with_time_zone() -> None:
    column = Note.metadata.tables["notes"].c.read_at

    assert isinstance(column.type, DateTime)
    assert column.type.timezone is True


@contextmanager
def switching(url: str) -> Iterator[sqlite3.Connection]:
    """A new file, locked as by another process that is switching it to WAL."""
    connection = sqlite3.connect(str(make_url(url).database), isolation_level=None)
    with closing(connection):
        connection.execute("BEGIN IMMEDIATE")
        yield connection


async def test_a_new_file_that_another_process_switches_to_wal_is_waited_for(
    sqlite_url: str,
) -> None:
    """SQLite itself does not wait there, whatever its time-out is."""
    with switching(sqlite_url) as other:
        async with Database(sqlite_url, busy_timeout_seconds=60) as db:
            asyncio.get_running_loop().call_later(0.05, other.rollback)
            await db.ping()


async def test_a_file_that_stays_locked_is_waited_for_no_longer_than_asked(
    sqlite_url: str,
) -> None:
    with switching(sqlite_url):
        async with Database(sqlite_url, busy_timeout_seconds=0.05) as db:
            with pytest.raises(OperationalError, match="database is locked"):
                await db.ping()
