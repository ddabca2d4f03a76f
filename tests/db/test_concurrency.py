"""What happens when many want the database at once."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from anyio import CancelScope
from anyio.lowlevel import checkpoint
from sqlalchemy import event, select, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncSession

from fastapi_kit.db import Base, Database, SessionDep, database_errors
from fastapi_kit.errors import ServiceUnavailableError

from .shop import Item, build_app, running

Load = Callable[[AsyncSession], Any]


async def load(session: AsyncSession) -> Item:
    return await session.get_one(Item, 1)


async def load_locked(session: AsyncSession) -> Item:
    return await session.get_one(Item, 1, with_for_update=True)


async def add_one(db: Database, load: Load) -> None:
    async with db.session() as session:
        item = await load(session)
        await asyncio.sleep(0)
        item.stock += 1


async def stock(db: Database) -> int:
    async with db.read_session() as session:
        return (await load(session)).stock


async def test_400_read_modify_writes_on_sqlite_are_all_right(sqlite_db: Database) -> None:
    app = build_app(sqlite_db)

    @app.post("/buy")
    async def buy(session: SessionDep) -> None:
        item = await session.get_one(Item, 1)
        await asyncio.sleep(0)
        item.stock += 1

    async with running(app) as client:
        responses = await asyncio.gather(*(client.post("/buy") for _ in range(400)))

    assert {response.status_code for response in responses} == {200}
    assert await stock(sqlite_db) == 400


async def test_two_processes_on_one_sqlite_file_lose_no_update(sqlite_db: Database) -> None:
    """Each has a writing connection of its own, so BEGIN IMMEDIATE and the busy time-out decide."""
    async with Database(sqlite_db.url, busy_timeout_seconds=60, pool_timeout_seconds=60) as other:
        await asyncio.gather(
            *(add_one(db, load) for _ in range(50) for db in (sqlite_db, other)),
        )

    assert await stock(sqlite_db) == 100


async def test_row_locks_lose_no_update_on_postgresql(postgres_db: Database) -> None:
    await asyncio.gather(*(add_one(postgres_db, load_locked) for _ in range(100)))

    assert await stock(postgres_db) == 100


async def test_without_row_locks_postgresql_loses_updates(postgres_db: Database) -> None:
    """Why the docs ask for ``with_for_update`` there."""
    async with postgres_db.session() as slow:
        item = await load(slow)
        await add_one(postgres_db, load)
        item.stock += 1

    assert await stock(postgres_db) == 1


async def test_a_writer_on_sqlite_takes_the_lock_with_its_first_read(sqlite_db: Database) -> None:
    async with Database(sqlite_db.url, busy_timeout_seconds=0) as other, sqlite_db.session() as one:
        await load(one)
        with pytest.raises(OperationalError) as caught:
            await add_one(other, load)

    answer = database_errors()(caught.value)
    assert isinstance(answer, ServiceUnavailableError)
    assert answer.headers == {"Retry-After": "1"}


async def test_readers_on_sqlite_do_not_wait_for_the_writer(sqlite_db: Database) -> None:
    async with Database(sqlite_db.url, busy_timeout_seconds=0) as other, sqlite_db.session() as one:
        (await load(one)).stock = 5
        await one.flush()

        assert await stock(other) == 0
        assert await stock(sqlite_db) == 0


async def test_a_reader_sees_one_moment(db: Database) -> None:
    """On SQLite; PostgreSQL's default isolation shows each statement what is committed by then."""
    expected = [0, 0] if db.url.get_backend_name() == "sqlite" else [0, 1]

    async with db.read_session() as session:
        before = await session.scalar(select(Item.stock))
        await add_one(db, load)
        after = await session.scalar(select(Item.stock))

    assert [before, after] == expected


async def test_readers_do_not_queue_for_one_connection(sqlite_db: Database) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(3):
            session = await stack.enter_async_context(sqlite_db.read_session())
            assert (await load(session)).stock == 0


@pytest.mark.parametrize(
    "statement",
    ["INSERT INTO wares (name) VALUES ('x')", "DELETE FROM wares", "CREATE TABLE t (n INTEGER)"],
)
async def test_a_read_session_cannot_write(db: Database, statement: str) -> None:
    with pytest.raises(DBAPIError) as caught:
        async with db.read_session() as session:
            await session.execute(text(statement))

    assert database_errors()(caught.value) is None
    assert await stock(db) == 0


async def test_a_read_session_does_not_drop_changes_in_silence(db: Database) -> None:
    with pytest.raises(DBAPIError):
        async with db.read_session() as session:
            (await load(session)).stock = 5


async def test_reading_leaves_the_connection_able_to_write(postgres_db: Database) -> None:
    for _ in range(3):
        assert await stock(postgres_db) >= 0
        await add_one(postgres_db, load)

    assert await stock(postgres_db) == 3


@pytest.fixture
async def tiny(database_url: str) -> AsyncIterator[Database]:
    """One connection, and next to no patience."""
    async with Database(
        database_url, pool_size=1, max_overflow=0, pool_timeout_seconds=0.05
    ) as database:
        async with database.engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        yield database


async def test_an_exhausted_pool_is_a_503_within_its_time_out(tiny: Database) -> None:
    app = build_app(tiny)

    @app.get("/")
    async def route(session: SessionDep) -> None:
        await session.execute(select(Item.id))

    async with running(app) as client, tiny.session() as session:
        await session.execute(select(Item.id))
        async with asyncio.timeout(5):
            response = await client.get("/")

    assert response.status_code == 503
    assert response.headers["retry-after"] == "1"


async def test_a_session_that_was_not_used_takes_no_connection(tiny: Database) -> None:
    async with tiny.session() as session:
        await session.execute(select(Item.id))
        async with tiny.session():
            pass


async def test_the_default_time_out_is_short(database_url: str) -> None:
    db = Database(database_url)

    assert [engine.pool.timeout() for engine in (db.engine, db.read_engine)] == [5, 5]  # type: ignore[attr-defined]


async def test_a_ping_with_an_exhausted_pool_fails(tiny: Database) -> None:
    async with tiny.read_session() as session:
        await session.execute(select(Item.id))
        with pytest.raises(PoolTimeoutError):
            await tiny.ping()


async def test_pragmas_are_on_every_connection(sqlite_db: Database) -> None:
    async def pragmas(session: AsyncSession) -> list[Any]:
        names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout", "query_only")
        return [await session.scalar(text(f"PRAGMA {name}")) for name in names]

    async with sqlite_db.session() as writer, sqlite_db.read_session() as reader:
        assert await pragmas(writer) == ["wal", 1, 1, 60_000, 0]
        assert await pragmas(reader) == ["wal", 1, 1, 60_000, 1]
        async with sqlite_db.read_session() as another:
            assert await pragmas(another) == ["wal", 1, 1, 60_000, 1]


async def test_pragmas_can_be_laid_over(sqlite_url: str) -> None:
    db = Database(sqlite_url, sqlite_pragmas={"synchronous": "FULL"})

    async with db, db.session() as session:
        assert await session.scalar(text("PRAGMA synchronous")) == 2


async def test_a_block_that_raises_rolls_back(db: Database) -> None:
    async def block() -> None:
        async with db.session() as session:
            (await load(session)).stock = 5
            await session.flush()
            raise KeyError

    with pytest.raises(KeyError):
        await block()

    assert await stock(db) == 0


async def test_a_block_that_times_out_rolls_back_and_frees_its_connection(db: Database) -> None:
    """More often than the pool has connections."""

    async def block() -> None:
        async with asyncio.timeout(None) as deadline, db.session() as session:
            (await load(session)).stock = 5
            await session.flush()
            deadline.reschedule(0)
            await asyncio.Event().wait()

    for _ in range(20):
        with pytest.raises(TimeoutError):
            await block()

    assert await stock(db) == 0


async def test_a_statement_cancelled_in_the_middle_frees_its_connection(
    postgres_driver_url: str,
) -> None:
    async with Database(postgres_driver_url, pool_size=1, max_overflow=0) as db:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05), db.session() as session:
                await session.execute(text("SELECT pg_sleep(60)"))

        await db.ping()


async def test_a_statement_cancelled_on_sqlite_does_not_keep_the_write_lock(
    sqlite_url: str,
) -> None:
    """Its cursor lives on until the garbage collector runs, and SQLite with it."""
    slow = text(
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 1000000) "
        "SELECT count(*) FROM c"
    )

    async def cancelled(db: Database) -> None:
        async with asyncio.timeout(0.1), db.session() as session:
            await session.connection()
            await session.execute(slow)

    async with Database(sqlite_url, busy_timeout_seconds=5) as db:
        gc.disable()
        try:
            with pytest.raises(TimeoutError):
                await cancelled(db)
            async with db.session() as session:
                await session.execute(text("CREATE TABLE t (n INTEGER)"))
        finally:
            gc.enable()


async def test_a_commit_cancelled_in_the_middle_frees_its_connection(db: Database) -> None:
    committing = asyncio.Event()

    def on_commit(_connection: object) -> None:
        committing.set()

    event.listen(db.engine.sync_engine, "commit", on_commit)
    task = asyncio.create_task(add_one(db, load))
    await committing.wait()
    task.cancel()
    await asyncio.wait([task])

    await add_one(db, load)
    assert await stock(db) in {1, 2}
    assert db.engine.pool.checkedout() == 0  # type: ignore[attr-defined]


async def test_a_cancelled_scope_still_rolls_back_and_frees_its_connection(db: Database) -> None:
    """A cancel scope cancels every further await, the ROLLBACK's too unless it is shielded."""
    with CancelScope() as scope:
        async with db.session() as session:
            (await load(session)).stock = 5
            await session.flush()
            scope.cancel()
            await checkpoint()

    assert db.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    assert await stock(db) == 0


async def test_a_scope_cancelled_after_the_last_await_still_commits(db: Database) -> None:
    with CancelScope() as scope:
        async with db.session() as session:
            (await load(session)).stock = 5
            scope.cancel()

    assert await stock(db) == 5


async def test_a_lost_connection_is_a_503_and_the_next_request_works(
    postgres_db: Database,
) -> None:
    app = build_app(postgres_db)

    @app.post("/fail")
    async def fail(session: SessionDep) -> None:
        pid = await session.scalar(text("SELECT pg_backend_pid()"))
        async with postgres_db.session() as other:
            await other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        await session.execute(text("SELECT 1"))

    @app.post("/work")
    async def work(session: SessionDep) -> None:
        (await load(session)).stock += 1

    async with running(app) as client:
        failed = await client.post("/fail")
        worked = await client.post("/work")

    assert failed.status_code == 503
    assert worked.status_code == 200


async def test_an_error_of_the_body_is_not_hidden_by_a_lost_connection(
    postgres_db: Database,
) -> None:
    async def block() -> None:
        async with postgres_db.session() as session:
            pid = await session.scalar(text("SELECT pg_backend_pid()"))
            async with postgres_db.session() as other:
                await other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
            raise KeyError

    with pytest.raises(KeyError):
        await block()

    assert await stock(postgres_db) == 0
    assert postgres_db.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
