"""The models that the tests of this folder share, and a client that runs an app's lifespan."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, TypeVar

import httpx
from fastapi import FastAPI
from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column
from starlette.types import Receive, Scope, Send

from fastapi_kit.db import Base, Database, database_errors
from fastapi_kit.errors import add_error_handlers

T = TypeVar("T")


class Item(Base):
    __tablename__ = "wares"
    __table_args__ = (
        CheckConstraint("stock >= 0", name="stock_not_negative"),
        UniqueConstraint("code", "shelf"),
        Index("uq_wares_lower_tag", text("lower(tag)"), unique=True),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    code: Mapped[int | None]
    shelf: Mapped[int | None]
    tag: Mapped[str | None]
    stock: Mapped[int] = mapped_column(server_default="0")
    touched: Mapped[int] = mapped_column(server_default="0", onupdate=func.abs(-7))


class Note(Base):
    """Its reference is only looked at by COMMIT, which makes COMMIT fail."""

    __tablename__ = "notes"

    id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int] = mapped_column(
        ForeignKey("wares.id", deferrable=True, initially="DEFERRED")
    )
    read_at: Mapped[datetime | None]


class Label(Base):
    __tablename__ = "labels"

    id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("wares.id", ondelete="RESTRICT"))


def build_app(db: Database) -> FastAPI:
    app = FastAPI(lifespan=db.lifespan)
    add_error_handlers(app, extra=[database_errors()])
    return app


async def apart(request: Coroutine[Any, Any, T]) -> T:
    """Do it in a task of its own.

    Before Python 3.12 an await that is ended by an exception, even one that is handled further
    inside, takes the lines that follow it from coverage's sight.
    """
    return await asyncio.create_task(request)


@asynccontextmanager
async def running(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the app within its lifespan; an unhandled error is a 500."""
    async with app.router.lifespan_context(app) as state:

        async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, "state": dict(state or {})}, receive, send)

        transport = httpx.ASGITransport(with_state, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            yield client
