"""The kit's sessions, and its repository beside the statements that it makes."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from benchmarks import databases
from benchmarks.handwritten.sessions import with_routes
from benchmarks.listing import Item
from fastapi_kit.db import Database, ReadSessionDep, Repository, SessionDep

Call = Callable[[AsyncSession], Awaitable[object]]
FEW = select(Item).order_by(Item.id).limit(20)


class ItemRepository(Repository[Item]):
    model = Item


def make_app() -> FastAPI:
    app = FastAPI(lifespan=Database(databases.url()).lifespan)
    return with_routes(app, SessionDep, ReadSessionDep)


@asynccontextmanager
async def in_session(call: Call) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """The call in an open session that never has the rows already."""
    async with Database(databases.url()) as db, db.read_session() as session:

        async def work() -> None:
            await call(session)
            session.expunge_all()

        yield work


async def get(session: AsyncSession) -> object:
    return await session.get(Item, 7)


async def repository_get(session: AsyncSession) -> object:
    return await ItemRepository(session).get(7)


async def listed(session: AsyncSession) -> object:
    return (await session.scalars(FEW)).unique().all()


async def repository_all(session: AsyncSession) -> object:
    return await ItemRepository(session).all(FEW)


statement_get, repository_get_one, statement_list, repository_list = (
    partial(in_session, call) for call in (get, repository_get, listed, repository_all)
)
