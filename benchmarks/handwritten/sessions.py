"""A session for each request by hand, with the guarantees of the kit's.

It commits before the response is sent and rolls back on every error, a cancelled request finishes
either, and the session is closed. On SQLite writers take the lock when they begin, in turn, so
that no update is lost.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from anyio import CancelScope
from fastapi import Depends, FastAPI, HTTPException, Request
from sqlalchemy import event, update
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

from benchmarks import databases
from benchmarks.listing import Item, ItemOut


def make_engine(begin: str, **pool: Any) -> AsyncEngine:
    url = databases.url()
    if not url.startswith("sqlite"):
        return create_async_engine(url)
    engine = create_async_engine(url, connect_args={"isolation_level": None, "timeout": 5}, **pool)

    @event.listens_for(engine.sync_engine, "connect")
    def on_connect(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def on_begin(connection: Any) -> None:
        connection.exec_driver_sql(begin)

    return engine


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    writing = make_engine("BEGIN IMMEDIATE", pool_size=1, max_overflow=0)
    reading = make_engine("BEGIN")
    yield {
        "sessions": async_sessionmaker(writing, expire_on_commit=False, close_resets_only=False),
        "reading": async_sessionmaker(reading, expire_on_commit=False, close_resets_only=False),
    }
    await writing.dispose()
    await reading.dispose()


@asynccontextmanager
async def unit_of_work(session: AsyncSession) -> AsyncIterator[AsyncSession]:
    try:
        try:
            yield session
        except BaseException:
            with CancelScope(shield=True):
                await session.rollback()
            raise
        with CancelScope(shield=True):
            await commit(session)
    finally:
        with CancelScope(shield=True):
            await session.close()


async def commit(session: AsyncSession) -> None:
    try:
        await session.commit()
    except BaseException:
        await session.rollback()
        raise


async def get_session(request: Request) -> AsyncIterator[AsyncSession]:
    async with unit_of_work(request.state.sessions()) as session:
        yield session


async def get_read_session(request: Request) -> AsyncIterator[AsyncSession]:
    async with unit_of_work(request.state.reading()) as session:
        yield session


SessionDep = Annotated[AsyncSession, Depends(get_session, scope="function")]
ReadSessionDep = Annotated[AsyncSession, Depends(get_read_session, scope="function")]


def with_routes(app: FastAPI, session_dep: Any, read_session_dep: Any) -> FastAPI:
    """The routes that all sessions are measured by."""

    @app.get("/items/{item_id}")
    async def read_item(item_id: int, session: session_dep) -> ItemOut:
        return await item_of(session, item_id)

    @app.get("/reading/{item_id}")
    async def read_only(item_id: int, session: read_session_dep) -> ItemOut:
        return await item_of(session, item_id)

    @app.post("/items/{item_id}")
    async def move_item(item_id: int, session: session_dep) -> dict[str, int]:
        moved = update(Item).where(Item.id == item_id).values(shelf=Item.shelf + 1)
        await session.execute(moved)
        return {"id": item_id}

    return app


async def item_of(session: AsyncSession, item_id: int) -> ItemOut:
    item = await session.get(Item, item_id)
    if item is None:
        raise HTTPException(status_code=404, detail="No such item")
    return ItemOut.model_validate(item, from_attributes=True)


def make_app() -> FastAPI:
    return with_routes(FastAPI(lifespan=lifespan), SessionDep, ReadSessionDep)
