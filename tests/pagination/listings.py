"""A small app whose listings the tests of cursors, filters and counts ask for."""

from decimal import Decimal
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query
from httpx import ASGITransport, AsyncClient
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from fastapi_kit.errors import add_error_handlers
from fastapi_kit.pagination import (
    CursorPage,
    CursorPaginator,
    CursorQuery,
    CursorSigner,
    Filters,
    Sorting,
    contains,
    ge,
    le,
    one_of,
)

from .tables import Item, ItemOut

KEY = "a key of thirty-two letters or more"
SIGNER = CursorSigner(KEY)
SORTING = Sorting(
    Item, {"id": Item.id, "price": Item.price, "name": Item.name}, default=("id",), max_terms=2
)


class ItemFilters(Filters):
    name: Annotated[set[str] | None, one_of(Item.name)] = None
    min_price: Annotated[Decimal | None, ge(Item.price)] = None
    max_price: Annotated[int | None, le(Item.price)] = None
    q: Annotated[str | None, contains(Item.name)] = None


class ItemPage(CursorPage[ItemOut]):
    """One page of items."""


def make_app(session: AsyncSession, signer: CursorSigner = SIGNER) -> FastAPI:
    by_cursor = CursorPaginator(SORTING, signer=signer, size=10, max_size=50)
    app = FastAPI()
    add_error_handlers(app)

    @app.get("/items", responses=by_cursor.responses)
    async def items(
        filters: Annotated[ItemFilters, Query()],
        page: Annotated[CursorQuery[Item], Depends(by_cursor)],
    ) -> ItemPage:
        stmt = select(Item).where(*filters.where())
        return await page.fetch(session, stmt, into=ItemPage, scope=filters)

    @app.get("/tenants/{tenant}")
    async def tenant_items(
        tenant: int, page: Annotated[CursorQuery[Item], Depends(by_cursor)]
    ) -> CursorPage[ItemOut]:
        stmt = select(Item).where(Item.price == tenant)
        return await page.fetch(session, stmt, into=CursorPage[ItemOut])

    @app.get("/scoped")
    async def scoped_items(
        tenant: int, page: Annotated[CursorQuery[Item], Depends(by_cursor)]
    ) -> dict[str, Any]:
        stmt = select(Item).where(Item.price == tenant)
        part = await page.slice(session, stmt, scope=("tenant", tenant))
        return {"ids": [item.id for item in part.items], "next": part.next}

    return app


def client_of(app: FastAPI) -> AsyncClient:
    return AsyncClient(transport=ASGITransport(app), base_url="http://test")
