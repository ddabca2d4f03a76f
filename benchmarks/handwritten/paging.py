"""Pages by number and by cursor, by hand: the same validation, guarantees and answers as ours.

A cursor is signed and bound to path and order; its page has a ``Link`` header and a way back.
What it cannot do and the kit can: NULLs, mixed directions, several terms, joins, enums and the like.
"""

import hashlib
import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from sqlalchemy import ColumnElement, Select, func, literal, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from benchmarks import databases
from benchmarks.listing import Item, ItemOut

MAX_OFFSET = 1_000_000
KEY = b"0123456789abcdef0123456789abcdef"
MAC_BYTES = 12
Sort = Literal["created", "-created", "price", "-price"]
COLUMNS: dict[str, Any] = {"created": Item.created_at, "price": Item.price}
LINK_DOCUMENTED: dict[int | str, dict[str, Any]] = {
    200: {"headers": {"Link": {"schema": {"type": "string"}}}}
}


class ItemPage(BaseModel):
    items: list[ItemOut]
    total: int
    page: int
    size: int
    pages: int


class ItemCursorPage(BaseModel):
    items: list[ItemOut]
    next: str | None
    previous: str | None


def make_engine() -> tuple[Any, async_sessionmaker[AsyncSession]]:
    engine = create_async_engine(databases.url())
    return engine, async_sessionmaker(engine, expire_on_commit=False)


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    engine, sessions = make_engine()
    yield {"sessions": sessions}
    await engine.dispose()


async def get_session(request: Request) -> AsyncIterator[AsyncSession]:
    async with request.state.sessions() as session:
        yield session


SessionDep = Annotated[AsyncSession, Depends(get_session, scope="function")]


def kept_query(request: Request, name: str) -> str:
    """The other query parameters as they came, to be followed by one more."""
    query = request.scope["query_string"].decode("latin-1")
    kept = [part for part in query.split("&") if part and part.partition("=")[0] != name]
    return "&".join([*kept, ""])


def page_links(request: Request, page: int, pages: int) -> str:
    kept = kept_query(request, "page")
    numbers = {"first": 1}
    if page > 1:
        numbers["prev"] = max(1, min(page - 1, pages))
    if page < pages:
        numbers["next"] = page + 1
    numbers["last"] = max(1, pages)
    return ", ".join(f'<?{kept}page={n}>; rel="{rel}"' for rel, n in numbers.items())


def cursor_links(request: Request, following: str | None, preceding: str | None) -> str:
    kept = kept_query(request, "cursor")
    links = [f'<?{kept.removesuffix("&")}>; rel="first"']
    if preceding is not None:
        links.append(f'<?{kept}cursor={preceding}>; rel="prev"')
    if following is not None:
        links.append(f'<?{kept}cursor={following}>; rel="next"')
    return ", ".join(links)


def too_far(page: int, most: int) -> RequestValidationError:
    error = {
        "type": "less_than_equal",
        "loc": ("query", "page"),
        "msg": f"Input should be less than or equal to {most} for this size",
        "input": str(page),
        "ctx": {"le": most},
    }
    return RequestValidationError([error])


def sign(payload: bytes, context: str) -> str:
    message = context.encode() + b"\0" + payload
    mac = hashlib.blake2b(message, key=KEY, digest_size=MAC_BYTES).digest()
    return urlsafe_b64encode(mac + payload).rstrip(b"=").decode()


def pack(item: Item, context: str, sort: Sort, *, backward: bool) -> str:
    if sort.endswith("created"):
        value: object = item.created_at.isoformat()
    else:
        value = item.price
    payload = json.dumps([backward, value, item.id], separators=(",", ":"))
    return sign(payload.encode(), context)


def unpack(cursor: str, context: str, sort: Sort) -> tuple[bool, Any, int]:
    try:
        raw = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
    except ValueError:
        raise bad_cursor() from None
    payload = raw[MAC_BYTES:]
    # The text as a whole: base64 has several spellings of the same bytes.
    if not hmac.compare_digest(sign(payload, context).encode(), cursor.encode()):
        raise bad_cursor()
    backward, value, number = json.loads(payload)
    if sort.endswith("created"):
        value = datetime.fromisoformat(value)
    return backward, value, number


def bad_cursor() -> HTTPException:
    return HTTPException(400, "The cursor does not belong to this listing; start again.")


def in_order(sort: Sort, *, backward: bool = False) -> list[ColumnElement[Any]]:
    column = COLUMNS[sort.removeprefix("-")]
    if sort.startswith("-") != backward:
        return [column.desc(), Item.id.desc()]
    return [column.asc(), Item.id.asc()]


def after(sort: Sort, value: Any, number: int, *, backward: bool) -> ColumnElement[bool]:
    column = COLUMNS[sort.removeprefix("-")]
    key = tuple_(column, Item.id)
    bound = tuple_(literal(value, column.type), literal(number, Item.id.type))
    return key < bound if sort.startswith("-") != backward else key > bound


async def fetch_page(
    request: Request,
    response: Response,
    session: AsyncSession,
    listing: Select[Item],
    page: int,
    size: int,
) -> ItemPage:
    """The page, counted exactly where it does not tell the total itself."""
    skipped = (page - 1) * size
    if skipped > MAX_OFFSET:
        raise too_far(page, MAX_OFFSET // size + 1)
    items = (await session.scalars(listing.limit(size).offset(skipped))).all()
    total = skipped + len(items)
    if len(items) == size or (skipped and not items):
        counted = (await session.scalars(select(func.count()).select_from(Item))).one()
        total = max(counted, total) if items else counted
    pages = -(-total // size)
    response.headers["Link"] = page_links(request, page, pages)
    return ItemPage.model_validate(
        {"items": items, "total": total, "page": page, "size": size, "pages": pages},
        from_attributes=True,
    )


def offset() -> FastAPI:
    """Pages by number in one order."""
    app = FastAPI(lifespan=lifespan)

    @app.get("/items", responses=LINK_DOCUMENTED)
    async def list_items(
        request: Request,
        response: Response,
        session: SessionDep,
        page: Annotated[int, Query(ge=1, le=MAX_OFFSET + 1)] = 1,
        size: Annotated[int, Query(ge=1, le=100)] = 10,
    ) -> ItemPage:
        listing = select(Item).order_by(Item.id)
        return await fetch_page(request, response, session, listing, page, size)

    return app


def sorted_offset() -> FastAPI:
    """Pages by number, sorted as the request asks."""
    app = FastAPI(lifespan=lifespan)

    @app.get("/items", responses=LINK_DOCUMENTED)
    async def list_items(
        request: Request,
        response: Response,
        session: SessionDep,
        page: Annotated[int, Query(ge=1, le=MAX_OFFSET + 1)] = 1,
        size: Annotated[int, Query(ge=1, le=100)] = 10,
        sort: Sort = "-created",
    ) -> ItemPage:
        listing = select(Item).order_by(*in_order(sort))
        return await fetch_page(request, response, session, listing, page, size)

    return app


def keyset() -> FastAPI:
    """Pages by cursor, sorted as the request asks."""
    app = FastAPI(lifespan=lifespan)

    @app.get("/items", responses=LINK_DOCUMENTED)
    async def list_items(
        request: Request,
        response: Response,
        session: SessionDep,
        cursor: str | None = None,
        size: Annotated[int, Query(ge=1, le=100)] = 10,
        sort: Sort = "-created",
    ) -> ItemCursorPage:
        context = f"{request.scope['path']} {sort}"
        backward, listing = False, select(Item)
        if cursor is not None:
            backward, value, number = unpack(cursor, context, sort)
            listing = listing.where(after(sort, value, number, backward=backward))
        listing = listing.order_by(*in_order(sort, backward=backward)).limit(size + 1)
        found = (await session.scalars(listing)).all()
        more, items = len(found) > size, found[:size]
        if backward:
            items = items[::-1]
        has_next = cursor is not None if backward else more
        has_previous = more if backward else cursor is not None
        following = preceding = None
        if items and has_next:
            following = pack(items[-1], context, sort, backward=False)
        if items and has_previous:
            preceding = pack(items[0], context, sort, backward=True)
        response.headers["Link"] = cursor_links(request, following, preceding)
        return ItemCursorPage.model_validate(
            {"items": items, "next": following, "previous": preceding}, from_attributes=True
        )

    return app
