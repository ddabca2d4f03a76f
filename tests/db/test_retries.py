"""Transactions that are tried again."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from fastapi_kit.db import Database, DatabaseDep, database_errors, run_transaction
from fastapi_kit.errors import ConfigurationError

from .shop import Item, build_app, running


async def add_one(session: AsyncSession) -> int:
    item = await session.get_one(Item, 1)
    await asyncio.sleep(0)
    item.stock += 1
    return item.stock


async def stock(db: Database) -> int:
    async with db.read_session() as session:
        return (await session.get_one(Item, 1)).stock


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
async def test_what_collides_is_tried_again(any_db: Database, level: Any) -> None:
    """Without row locks, and without one update lost."""
    results = await asyncio.gather(
        *(run_transaction(any_db, add_one, isolation_level=level, attempts=50) for _ in range(10))
    )

    assert sorted(results) == list(range(1, 11))
    assert await stock(any_db) == 10


async def test_write_skew_is_prevented(postgres_db: Database) -> None:
    """Each sees one item and adds another; one after the other, the second would see two."""
    both = asyncio.Barrier(2)
    attempts = 0

    async def add_second(session: AsyncSession) -> None:
        nonlocal attempts
        attempts += 1
        seen = await session.scalar(select(func.count()).select_from(Item))
        if attempts <= 2:
            await both.wait()
        if seen == 1:
            session.add(Item(name=f"item {attempts}"))

    await asyncio.gather(
        *(
            run_transaction(postgres_db, add_second, isolation_level="SERIALIZABLE")
            for _ in range(2)
        )
    )

    async with postgres_db.read_session() as session:
        assert await session.scalar(select(func.count()).select_from(Item)) == 2
    assert attempts == 3


def failing(sqlstate: str) -> Callable[[AsyncSession], Any]:
    async def work(session: AsyncSession) -> None:
        work.attempts += 1  # type: ignore[attr-defined]
        sql = f"DO $$ BEGIN RAISE SQLSTATE '{sqlstate}'; END $$"
        await session.execute(text(sql))

    work.attempts = 0  # type: ignore[attr-defined]
    return work


@pytest.mark.parametrize(("sqlstate", "attempts"), [("40001", 3), ("40P01", 3), ("55P03", 1)])
async def test_only_what_was_rolled_back_for_certain_is_tried_again(
    postgres_db: Database, sqlstate: str, attempts: int
) -> None:
    work = failing(sqlstate)

    with pytest.raises(DBAPIError):
        await run_transaction(postgres_db, work, attempts=3)

    assert work.attempts == attempts  # type: ignore[attr-defined]
    assert postgres_db.engine.pool.checkedout() == 0  # type: ignore[attr-defined]


async def test_a_connection_that_is_lost_is_not_tried_again(postgres_db: Database) -> None:
    attempts = 0

    async def work(session: AsyncSession) -> None:
        nonlocal attempts
        attempts += 1
        await session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    with pytest.raises(DBAPIError) as caught:
        await run_transaction(postgres_db, work)

    assert attempts == 1
    assert str(database_errors()(caught.value)).startswith("503")


async def test_an_error_of_the_work_is_not_tried_again(db: Database) -> None:
    attempts = 0

    async def work(session: AsyncSession) -> None:
        nonlocal attempts
        attempts += 1
        session.add(Item(name="lamp"))

    with pytest.raises(IntegrityError):
        await run_transaction(db, work)

    assert attempts == 1


async def test_when_no_attempt_succeeds_it_is_a_503(postgres_db: Database) -> None:
    app: FastAPI = build_app(postgres_db)

    @app.post("/")
    async def buy(database: DatabaseDep) -> None:
        await run_transaction(database, failing("40001"), attempts=1)

    async with running(app) as client:
        response = await client.post("/")

    assert (response.status_code, response.headers["retry-after"]) == (503, "1")


async def test_the_isolation_is_for_one_transaction(postgres_db: Database) -> None:
    async def level(session: AsyncSession) -> str:
        return str(await session.scalar(text("SHOW transaction_isolation")))

    assert await run_transaction(postgres_db, level, isolation_level="SERIALIZABLE") == (
        "serializable"
    )
    assert await run_transaction(postgres_db, level) == "read committed"


async def test_no_attempts_are_refused(db: Database) -> None:
    with pytest.raises(ConfigurationError, match="attempts=0 would never run it"):
        await run_transaction(db, add_one, attempts=0)
