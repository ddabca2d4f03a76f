"""Pages as the kit makes them, on the same session as those by hand."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

from fastapi import Depends, FastAPI
from sqlalchemy import select

from benchmarks.handwritten.paging import SessionDep, lifespan
from benchmarks.listing import Item, ItemOut
from fastapi_kit.pagination import (
    Count,
    CountedPage,
    CursorPage,
    CursorPaginator,
    CursorQuery,
    CursorSigner,
    OffsetPaginator,
    OffsetQuery,
    Page,
    PaginationDep,
    PaginationParams,
    Sorting,
    link_header_responses,
    paginate,
    paginate_sequence,
)

SORTING = Sorting(
    Item,
    {
        "created": Item.created_at,
        "price": Item.price,
        "rating": Item.rating,
        "shelf": Item.shelf,
    },
    default=("-created",),
    max_terms=2,
)
SIGNER = CursorSigner("0123456789abcdef0123456789abcdef")


class ItemPage(Page[ItemOut]):
    """One page of items."""


class ItemCountedPage(CountedPage[ItemOut]):
    """One page of items."""


class ItemCursorPage(CursorPage[ItemOut]):
    """One page of items."""


def first_layer() -> FastAPI:
    app = FastAPI(lifespan=lifespan)

    @app.get("/items", responses=link_header_responses())
    async def list_items(params: PaginationDep, session: SessionDep) -> ItemPage:
        return await paginate(session, select(Item).order_by(Item.id), params, into=ItemPage)

    return app


def by_page(count: Count, into: type[Any]) -> FastAPI:
    paginator = OffsetPaginator(SORTING, count=count)
    app = FastAPI(lifespan=lifespan)

    @app.get("/items", response_model=into, responses=paginator.responses)
    async def list_items(
        session: SessionDep, page: Annotated[OffsetQuery[Item], Depends(paginator)]
    ) -> Any:
        return await page.fetch(session, select(Item), into=into)

    return app


def counted() -> FastAPI:
    return by_page(Count.exact, ItemPage)


def capped() -> FastAPI:
    return by_page(Count.capped(10_000), ItemCountedPage)


def uncounted() -> FastAPI:
    return by_page(Count.none, ItemCountedPage)


def by_cursor() -> FastAPI:
    paginator = CursorPaginator(SORTING, signer=SIGNER)
    app = FastAPI(lifespan=lifespan)

    @app.get("/items", responses=paginator.responses)
    async def list_items(
        session: SessionDep, page: Annotated[CursorQuery[Item], Depends(paginator)]
    ) -> ItemCursorPage:
        return await page.fetch(session, select(Item), into=ItemCursorPage)

    return app


ROWS: Sequence[ItemOut] = [
    ItemOut.model_validate(
        {
            "id": number,
            "name": f"Item {number}",
            "category": "garden",
            "price": number,
            "rating": None,
            "created_at": "2024-01-01T00:00:00Z",
        }
    )
    for number in range(1000)
]


def in_memory() -> Callable[[], object]:
    params = PaginationParams(page=3, size=10)
    return lambda: paginate_sequence(ROWS, params, into=ItemPage)


def in_memory_by_hand() -> Callable[[], object]:
    page, size = 3, 10

    def work() -> object:
        start = (page - 1) * size
        return ItemPage(
            items=list(ROWS[start : start + size]),
            total=len(ROWS),
            page=page,
            size=size,
            pages=-(-len(ROWS) // size),
        )

    return work
