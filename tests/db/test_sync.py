"""Databases for code that is not async."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from threading import Timer
from typing import Annotated, Any

import anyio.to_thread
import pytest
from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import make_url, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session

from fastapi_kit.db import Base, SyncDatabase, database_errors
from fastapi_kit.errors import ConfigurationError, add_error_handlers

from .shop import Item, apart, running


@pytest.fixture
def db(database_url: str) -> Iterator[SyncDatabase]:
    with SyncDatabase(database_url, pool_size=2, max_overflow=1, pool_timeout_seconds=60) as db:
        Base.metadata.create_all(db.engine)
        with db.session() as session:
            session.add(Item(name="lamp"))
        yield db


def build_app(db: SyncDatabase) -> FastAPI:
    app = FastAPI(lifespan=db.lifespan)
    add_error_handlers(app, extra=[database_errors()])
    return app


def stock(db: SyncDatabase) -> int:
    with db.read_session() as session:
        return session.get_one(Item, 1).stock


def checked_out(db: SyncDatabase) -> list[int]:
    return [engine.pool.checkedout() for engine in (db.engine, db.read_engine)]  # type: ignore[attr-defined]


async def test_100_requests_with_a_sync_login_do_not_deadlock(db: SyncDatabase) -> None:
    """Each takes two threads one after the other, holding a connection all the while."""
    app = build_app(db)

    def current_user(session: Annotated[Session, db.dependency()]) -> int:
        return session.scalars(select(Item.id)).one()

    @app.post("/buy")
    def buy(
        user: Annotated[int, Depends(current_user)], session: Annotated[Session, db.dependency()]
    ) -> None:
        session.get_one(Item, user, with_for_update=True).stock += 1

    async with running(app) as client:
        async with asyncio.timeout(60):
            responses = await asyncio.gather(*(client.post("/buy") for _ in range(100)))
        assert {response.status_code for response in responses} == {200}
        assert stock(db) == 100
        assert checked_out(db) == [0, 0]


async def test_readers_and_writers_share_one_bound(db: SyncDatabase) -> None:
    app = build_app(db)

    @app.get("/")
    def read(session: Annotated[Session, db.read_dependency()]) -> int:
        return session.get_one(Item, 1).stock

    @app.post("/")
    def write(session: Annotated[Session, db.dependency()]) -> None:
        session.get_one(Item, 1, with_for_update=True).stock += 1

    async with running(app) as client:
        requests = (client.request(method, "/") for method in ["GET", "POST"] * 25)
        responses = await asyncio.gather(*requests)

    assert {response.status_code for response in responses} == {200}
    assert stock(db) == 25


async def test_no_turn_within_the_time_out_is_a_503(database_url: str) -> None:
    with SyncDatabase(database_url, pool_size=1, max_overflow=0, pool_timeout_seconds=0.1) as db:
        app = build_app(db)
        holding, release = asyncio.Event(), asyncio.Event()

        @app.get("/hold")
        async def hold(session: Annotated[Session, db.dependency()]) -> None:
            holding.set()
            await release.wait()

        @app.get("/late")
        async def late(session: Annotated[Session, db.dependency()]) -> None: ...

        async with running(app) as client:
            held = asyncio.create_task(client.get("/hold"))
            await holding.wait()
            refused = await apart(client.get("/late"))
            release.set()
            answers = [(await held).status_code, (await client.get("/late")).status_code]

    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert answers == [200, 200]


async def test_it_commits_before_the_response(db: SyncDatabase) -> None:
    app = build_app(db)

    @app.post("/")
    def create(session: Annotated[Session, db.dependency()]) -> None:
        session.add(Item(name="lamp"))

    async with running(app) as client:
        response = await apart(client.post("/"))

        assert response.status_code == 409
        assert checked_out(db) == [0, 0]


async def test_a_raised_error_rolls_back(db: SyncDatabase) -> None:
    app = build_app(db)

    @app.post("/")
    def fail(session: Annotated[Session, db.dependency()]) -> None:
        session.get_one(Item, 1).stock = 5
        session.flush()
        raise HTTPException(404)

    async with running(app) as client:
        assert (await client.post("/")).status_code == 404
        assert stock(db) == 0


async def test_a_cancelled_request_gives_back_its_turn_and_connection(db: SyncDatabase) -> None:
    app = build_app(db)
    started = asyncio.Event()

    @app.post("/")
    async def wait(session: Annotated[Session, db.dependency()]) -> None:
        await anyio.to_thread.run_sync(session.get_one, Item, 1)
        started.set()
        await asyncio.Event().wait()

    async with running(app) as client:
        for _ in range(5):
            started.clear()
            task = asyncio.create_task(client.post("/"))
            await started.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        assert checked_out(db) == [0, 0]


async def test_a_session_of_a_finished_request_is_closed(db: SyncDatabase) -> None:
    app = build_app(db)
    kept: list[Session] = []

    @app.get("/")
    def keep(session: Annotated[Session, db.dependency()]) -> None:
        kept.append(session)

    async with running(app) as client:
        await client.get("/")

    with pytest.raises(Exception, match="closed"):
        kept[0].execute(text("SELECT 1"))


async def test_a_dependency_can_be_overridden(db: SyncDatabase) -> None:
    app = build_app(db)

    @app.get("/")
    def read(session: Annotated[Any, db.dependency()]) -> str:
        return str(session)

    app.dependency_overrides[db.dependency().dependency] = lambda: "mine"
    async with running(app) as client:
        assert (await client.get("/")).json() == "mine"


def test_a_block_commits_or_rolls_back(db: SyncDatabase) -> None:
    def fail() -> None:
        with db.session() as session:
            session.get_one(Item, 1).stock = 9
            session.flush()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with db.session() as session:
        session.get_one(Item, 1).stock += 1

    assert stock(db) == 1


@pytest.mark.parametrize("statement", ["DELETE FROM wares", "CREATE TABLE t (n INTEGER)"])
def test_a_read_session_cannot_write(db: SyncDatabase, statement: str) -> None:
    with pytest.raises(DBAPIError), db.read_session() as session:
        session.execute(text(statement))

    assert stock(db) == 0


def test_sqlite_is_set_up_as_for_async_code(sqlite_url: str) -> None:
    with SyncDatabase(sqlite_url) as db, db.session() as session:
        names = ("journal_mode", "foreign_keys", "busy_timeout")
        values = [session.scalar(text(f"PRAGMA {name}")) for name in names]

    assert values == ["wal", 1, 5000]


def test_a_locked_sqlite_is_sqlalchemys_error(sqlite_url: str) -> None:
    with (
        SyncDatabase(sqlite_url, busy_timeout_seconds=0) as one,
        SyncDatabase(sqlite_url, busy_timeout_seconds=0) as two,
        one.session() as session,
    ):
        session.execute(text("SELECT 1"))
        with pytest.raises(DBAPIError) as caught, two.session() as late:
            late.execute(text("SELECT 1"))

    assert str(database_errors()(caught.value)).startswith("503")


def test_a_new_file_that_another_process_switches_to_wal_is_waited_for(sqlite_url: str) -> None:
    file = str(make_url(sqlite_url).database)
    with closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        release = Timer(0.05, other.rollback)
        release.start()
        with SyncDatabase(sqlite_url, busy_timeout_seconds=60) as db, db.session() as session:
            session.execute(text("SELECT 1"))
        release.join()


def test_a_database_in_memory_lasts_while_it_is_open() -> None:
    url = "sqlite:///file:/sync?vfs=memdb&uri=true"
    with SyncDatabase(url) as db:
        with db.session() as session:
            session.execute(text("CREATE TABLE t (n INTEGER)"))
        with db.read_session() as session:
            assert session.scalar(text("SELECT count(*) FROM t")) == 0


def test_the_pool_is_bounded(database_url: str) -> None:
    with ExitStack() as stack:
        db = stack.enter_context(
            SyncDatabase(database_url, pool_size=1, max_overflow=1, pool_timeout_seconds=0.05)
        )
        for _ in range(2):
            stack.enter_context(db.read_session()).execute(text("SELECT 1"))
        with pytest.raises(PoolTimeoutError):
            db.ping()


async def test_it_says_at_the_start_that_it_does_not_answer(postgres_url: str) -> None:
    db = SyncDatabase(postgres_url.replace(":5432", ":1"), connect_timeout_seconds=1)

    with pytest.raises(ConfigurationError, match="does not answer"):
        await db.lifespan(None).__aenter__()


async def test_it_may_start_without_an_answer(postgres_url: str) -> None:
    db = SyncDatabase(postgres_url.replace(":5432", ":1"), check_at_start=False)

    async with db.lifespan(None):
        assert "postgresql" in repr(db)


def test_its_repr_hides_secrets() -> None:
    db = SyncDatabase("postgresql://me:hush@localhost/shop?password=hush")

    assert repr(db) == "SyncDatabase('postgresql+psycopg://me:***@localhost/shop')"


@pytest.mark.parametrize("url", ["postgresql+asyncpg://localhost/shop", "mysql://localhost/shop"])
def test_other_drivers_are_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="is not supported; use one of postgresql\\+psy"):
        SyncDatabase(url)


def test_the_pool_is_not_changed_behind_its_back(sqlite_url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"\['pool_size'\] would change the pool"):
        SyncDatabase(sqlite_url, engine_options={"pool_size": 1})
