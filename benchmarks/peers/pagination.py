"""fastapi-pagination: pages by number and by cursor, counted and not."""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi_pagination import Page, Params, add_pagination, paginate, set_page
from fastapi_pagination.cursor import CursorPage
from fastapi_pagination.customization import CustomizedPage, UseIncludeTotal, UseName
from fastapi_pagination.ext.sqlalchemy import apaginate
from fastapi_pagination.utils import disable_installed_extensions_check
from sqlalchemy import select

from benchmarks.handwritten.paging import SessionDep, lifespan
from benchmarks.listing import Item, ItemOut
from benchmarks.paging_apps import ROWS

disable_installed_extensions_check()  # it warns of sqlmodel, which other tests brought here

UncountedPage: Any = CustomizedPage[
    Page, UseName("UncountedPage"), UseIncludeTotal(include_total=False)
]
UncountedCursorPage: Any = CustomizedPage[
    CursorPage, UseName("UncountedCursorPage"), UseIncludeTotal(include_total=False)
]


def make(kind: Any, *order: Any) -> FastAPI:
    app = FastAPI(lifespan=lifespan)

    async def list_items(session: SessionDep) -> Any:
        return await apaginate(session, select(Item).order_by(*order))

    app.get("/items", response_model=kind[ItemOut])(list_items)
    add_pagination(app)
    return app


def page() -> FastAPI:
    return make(Page, Item.id)


def uncounted_page() -> FastAPI:
    return make(UncountedPage, Item.id)


def cursor_page() -> FastAPI:
    return make(CursorPage, Item.created_at.desc(), Item.id.desc())


def uncounted_cursor_page() -> FastAPI:
    return make(UncountedCursorPage, Item.created_at.desc(), Item.id.desc())


def in_memory() -> Callable[[], object]:
    params = Params(page=3, size=10)

    def work() -> object:
        with set_page(Page[ItemOut]):
            return paginate(ROWS, params)

    return work
