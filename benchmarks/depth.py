"""Times of single pages at several depths of a large table: started by `benchmarks.pagination`.

A page is a session, its statement, the entities and the two cursors; no request around it, which
would hide differences.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from statistics import median
from time import perf_counter
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import HTTPConnection
from starlette.responses import Response

from benchmarks.handwritten.paging import make_engine
from benchmarks.listing import Item
from benchmarks.paging_apps import SIGNER, SORTING
from fastapi_kit.pagination import CursorPaginator

SIZE = 50
WARM_UP = 12  # pages
PAGINATOR = CursorPaginator(SORTING, signer=SIGNER, size=SIZE)
ORDERS: dict[str, tuple[list[str], list[Any]]] = {
    "homogeneous": (["-created"], [Item.created_at.desc(), Item.id.desc()]),
    "mixed": (["-price", "created"], [Item.price.desc(), Item.created_at, Item.id]),
    "nullable": (["-rating"], [Item.rating.desc(), Item.id.desc()]),
    "tied": (["shelf", "-created"], [Item.shelf, Item.created_at.desc(), Item.id.desc()]),
}
Page = Callable[[AsyncSession], Awaitable[Any]]


async def query(cursor: str | None, sort: list[str], size: int = SIZE) -> Any:
    connection = HTTPConnection({"type": "http", "path": "/items", "query_string": b""})
    return await PAGINATOR(connection, Response(), cursor, size, sort)


async def cursor_at(session: AsyncSession, order: str, depth: int) -> str:
    """The cursor of the page that so many rows stand before."""
    sort, terms = ORDERS[order]
    last_and_next = select(Item.id).order_by(*terms).offset(depth - 1).limit(2)
    ids = (await session.scalars(last_and_next)).all()
    # A cursor knows its place, not its statement: from a page of these two rows it is the same.
    of_two: Select[Item] = select(Item).where(Item.id.in_(ids))
    page = await (await query(None, sort, size=1)).slice(session, of_two)
    cursor: str = page.next
    return cursor


def by_cursor(cursor: str, sort: list[str]) -> Page:
    async def fetch(session: AsyncSession) -> Any:
        page = await (await query(cursor, sort)).slice(session, select(Item))
        return page.items

    return fetch


def by_offset(depth: int, terms: list[Any]) -> Page:
    async def fetch(session: AsyncSession) -> Any:
        rows = await session.scalars(select(Item).order_by(*terms).offset(depth).limit(SIZE))
        return rows.all()

    return fetch


async def ids_of(page: Page, session: AsyncSession) -> list[int]:
    return [item.id for item in await page(session)]


async def one_page(sessions: Any, page: Page) -> float:
    """µs for it, its session included."""
    start = perf_counter()
    async with sessions() as session:
        await page(session)
    return (perf_counter() - start) * 1e6


async def main(
    depths: list[int], rounds: int, pages: int, offset_rounds: int
) -> dict[str, dict[str, list[list[float]]]]:
    """For each order and depth: µs of page two and of the page there, round by round."""
    engine, sessions = make_engine()
    times: dict[str, dict[str, list[list[float]]]] = {"by cursor": {}, "by OFFSET": {}}
    for order, (sort, terms) in ORDERS.items():
        for depth in depths:
            async with sessions() as session:
                two = by_cursor(await cursor_at(session, order, SIZE), sort)
                deep = by_cursor(await cursor_at(session, order, depth), sort)
                skipping = by_offset(depth, terms)
                if await ids_of(deep, session) != await ids_of(skipping, session):
                    raise RuntimeError(f"the page at {depth:,} of {order} keys is not OFFSET's")
            key = f"{order}, {depth}"
            times["by cursor"][key] = await paired(sessions, two, deep, rounds, pages)
            skipped = by_offset(SIZE, terms)
            times["by OFFSET"][key] = await paired(sessions, skipped, skipping, offset_rounds, 1)
    await engine.dispose()
    return times


async def paired(
    sessions: Any, first: Page, second: Page, rounds: int, pages: int
) -> list[list[float]]:
    for page in (first, second):
        # Drivers and servers plan a statement anew until they know it, which is no matter of depth.
        for _ in range(min(WARM_UP, pages * 2)):
            await one_page(sessions, page)
    found: list[list[float]] = []
    for _ in range(rounds):
        times: tuple[list[float], list[float]] = ([], [])
        for number in range(pages):
            for which in (0, 1) if number % 2 == 0 else (1, 0):
                times[which].append(await one_page(sessions, (first, second)[which]))
        # What waits for another process waits long; the median of the round does not know of it.
        found.append([median(one) for one in times])
    return found


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(**json.loads(sys.argv[1])))))
