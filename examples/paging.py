"""Every way to page a listing, over 100,000 rows: uvicorn examples.paging:app

Then ask for http://127.0.0.1:8000/cursor?sort=-price&sort=created and follow `next`.
"""

import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import gettempdir
from typing import Annotated

from fastapi import Depends, FastAPI, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from sqlalchemy import Index, insert, select
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from fastapi_kit.errors import add_error_handlers
from fastapi_kit.pagination import (
    Count,
    CountedPage,
    CursorPage,
    CursorPaginator,
    CursorQuery,
    CursorSigner,
    Filters,
    OffsetPaginator,
    OffsetQuery,
    Page,
    PaginationDep,
    SkipLimitDep,
    SkipLimitPage,
    Sorting,
    contains,
    ge,
    iterate,
    le,
    one_of,
    paginate,
    paginate_sequence,
)

ROWS = 100_000
CATEGORIES = ("bags", "books", "boots", "bowls")


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "items"
    # One index for each order that is asked for often; the primary key comes last.
    __table_args__ = (
        Index("by_created", "created_at", "id"),
        Index("by_price", "price_cents", "id"),
        Index("by_rating", "rating", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    category: Mapped[str]
    price_cents: Mapped[int]
    rating: Mapped[int | None]
    created_at: Mapped[datetime]


class ItemOut(BaseModel):
    id: int
    name: str
    category: str
    price_cents: int
    rating: int | None
    created_at: datetime


class ItemPage(CursorPage[ItemOut]):
    """One page of items."""


class ItemFilters(Filters):
    category: Annotated[set[str] | None, one_of(Item.category)] = None
    min_price: Annotated[int | None, ge(Item.price_cents)] = None
    max_price: Annotated[int | None, le(Item.price_cents)] = None
    q: Annotated[str | None, contains(Item.name)] = None


SORTING = Sorting(
    Item,
    {"created": Item.created_at, "price": Item.price_cents, "rating": Item.rating},
    default=("-created",),
    max_terms=2,
)
# From the settings in a real app; there it outlives the process, and so do the cursors.
by_cursor = CursorPaginator(
    SORTING, signer=CursorSigner("a secret of the demo, known to all"), size=50
)
by_page = OffsetPaginator(SORTING, size=50, max_offset=10_000, count=Count.capped(10_000))

FILE = Path(gettempdir()) / f"fastapi-kit-paging-{os.getpid()}.db"
engine = create_async_engine(f"sqlite+aiosqlite:///{FILE}")


async def get_session() -> AsyncIterator[AsyncSession]:
    async with AsyncSession(engine) as session:
        yield session


SessionDep = Annotated[AsyncSession, Depends(get_session)]


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
        await connection.execute(insert(Item), [demo_item(number) for number in range(ROWS)])
    yield
    await engine.dispose()
    FILE.unlink()


def demo_item(number: int) -> dict[str, object]:
    rng = random.Random(number)  # noqa: S311
    category = rng.choice(CATEGORIES)
    return {
        "name": f"{category} no. {number}",
        "category": category,
        "price_cents": rng.randrange(100, 10_000, 50),
        "rating": rng.choice([None, 1, 2, 3, 4, 5]),
        "created_at": datetime(2026, 1, 1) + timedelta(minutes=rng.randrange(ROWS)),  # noqa: DTZ001
    }


app = FastAPI(title="Paging", lifespan=lifespan)
add_error_handlers(app)


@app.get("/page")
async def by_number(params: PaginationDep, session: SessionDep) -> Page[ItemOut]:
    """The tutorial's way: `?page=&size=`, with the exact total."""
    return await paginate(session, select(Item).order_by(Item.id), params, into=Page[ItemOut])


@app.get("/skip")
async def by_skip(params: SkipLimitDep, session: SessionDep) -> SkipLimitPage[ItemOut]:
    """`?skip=&limit=`."""
    stmt = select(Item).order_by(Item.id)
    return await paginate(session, stmt, params, into=SkipLimitPage[ItemOut])


@app.get("/memory")
async def in_memory(params: PaginationDep) -> Page[str]:
    """What is no table."""
    return paginate_sequence(CATEGORIES, params, into=Page[str])


@app.get("/counted", responses=by_page.responses)
async def counted(
    session: SessionDep,
    filters: Annotated[ItemFilters, Query()],
    page: Annotated[OffsetQuery[Item], Depends(by_page)],
) -> CountedPage[ItemOut]:
    """By number, sorted and filtered, counted no further than 10,000."""
    stmt = select(Item).where(*filters.where())
    return await page.fetch(session, stmt, into=CountedPage[ItemOut])


@app.get("/cursor", responses=by_cursor.responses)
async def cursor(
    session: SessionDep,
    filters: Annotated[ItemFilters, Query()],
    page: Annotated[CursorQuery[Item], Depends(by_cursor)],
) -> ItemPage:
    """By cursor: the last page comes as quickly as the first."""
    stmt = select(Item).where(*filters.where())
    return await page.fetch(session, stmt, into=ItemPage, scope=filters)


@app.get("/export")
async def export() -> StreamingResponse:
    """All items as CSV, a thousand rows in memory at a time."""

    async def lines() -> AsyncIterator[str]:
        async with AsyncSession(engine) as session:
            stmt = select(Item.id, Item.name, Item.created_at)
            async for batch in iterate(session, stmt, SORTING, size=1000):
                yield "".join(f"{row.id},{row.name}\n" for row in batch)

    return StreamingResponse(lines(), media_type="text/csv")
