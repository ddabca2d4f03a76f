"""Pages by number that are sorted, and counted as far as was chosen."""

from typing import Annotated, Any, assert_type

import pytest
from fastapi import Depends, FastAPI
from fastapi import Response as FastAPIResponse
from sqlalchemy import Select, event, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session
from starlette.requests import HTTPConnection

from fastapi_kit.errors import ConfigurationError
from fastapi_kit.pagination import (
    Count,
    CountedPage,
    CursorPage,
    OffsetPaginator,
    OffsetQuery,
    Page,
    Sorting,
)

from .listings import SORTING, client_of
from .tables import Item, ItemOut, Tag
from .test_selects import counted

CAPPED = OffsetPaginator(SORTING, size=7, max_size=20, max_offset=100, count=Count.capped(20))


def make_app(session: AsyncSession) -> FastAPI:
    app = FastAPI()

    @app.get("/items", responses=CAPPED.responses)
    async def items(page: Annotated[OffsetQuery[Item], Depends(CAPPED)]) -> CountedPage[ItemOut]:
        return await page.fetch(session, select(Item), into=CountedPage[ItemOut])

    return app


async def asked(
    count: Count, page: int = 1, size: int = 7, sort: str = "-price", sorting: Sorting = SORTING
) -> tuple[OffsetQuery[Any], FastAPIResponse]:
    """What a route is given, and the response that takes the links."""
    request = HTTPConnection({"type": "http", "path": "/", "query_string": b"", "headers": []})
    response = FastAPIResponse()
    paginator = OffsetPaginator(sorting, count=count)
    return await paginator(request, response, page, size, [sort]), response


async def page_of(
    session: Session, count: Count, page: int = 1, *, stmt: Any = None, size: int = 7
) -> dict[str, Any]:
    query, response = await asked(count, page, size)
    stmt = select(Item) if stmt is None else stmt
    found = query.fetch_sync(session, stmt, into=CountedPage[ItemOut])
    links = response.headers.get("link", "")
    relations = [part.split('"')[1] for part in links.split(", ")]
    return {
        "ids": [item.id for item in found.items],
        "total": None if found.total is None else (found.total.value, found.total.relation),
        "links": relations,
    }


async def test_pages_are_sorted_counted_and_linked(async_session: AsyncSession) -> None:
    async with client_of(make_app(async_session)) as client:
        response = await client.get("/items?page=2&size=4&sort=-price&sort=id")

    assert response.json() == {
        "items": [{"id": n, "name": f"item {n}"} for n in (14, 17, 20, 23)],
        "total": {"value": 20, "relation": "gte"},
        "page": 2,
        "size": 4,
    }
    assert response.links["next"]["url"] == "?size=4&sort=-price&sort=id&page=3"
    assert "last" not in response.links


@pytest.mark.parametrize(
    ("count", "first", "past_cap", "queries"),
    [
        (Count.none, None, None, 1),
        (Count.has_more, (8, "gte"), (29, "gte"), 1),
        (Count.capped(20), (20, "gte"), (29, "gte"), 2),
        (Count.capped(30), (30, "eq"), (30, "eq"), 2),
        (Count.exact, (30, "eq"), (30, "eq"), 2),
    ],
)
async def test_the_total_says_how_far_was_counted(
    session: Session, count: Count, first: Any, past_cap: Any, queries: int
) -> None:
    with counted(session) as sent:
        page = await page_of(session, count)
    fourth = await page_of(session, count, page=4)

    assert (page["total"], fourth["total"]) == (first, past_cap)
    assert len(sent) == queries
    assert "next" in page["links"]
    assert ("last" in page["links"]) == (first == (30, "eq"))


@pytest.mark.parametrize("count", [Count.none, Count.has_more, Count.capped(1), Count.exact])
async def test_the_last_page_tells_the_total_for_nothing(
    sync_memory: Session, count: Count
) -> None:
    with counted(sync_memory) as sent:
        page = await page_of(sync_memory, count, page=5)

    assert (page["total"], len(page["ids"]), len(sent)) == ((30, "eq"), 2, 1)
    assert "next" not in page["links"]


@pytest.mark.parametrize(
    ("count", "total"), [(Count.none, None), (Count.has_more, None), (Count.capped(20), (20, "gte")), (Count.exact, (30, "eq"))]
)  # fmt: skip
async def test_past_the_end_there_is_what_was_counted(
    sync_memory: Session, count: Count, total: Any
) -> None:
    page = await page_of(sync_memory, count, page=9)

    assert (page["ids"], page["total"]) == ([], total)


async def test_an_empty_listing_has_none(sync_memory: Session) -> None:
    page = await page_of(sync_memory, Count.none, stmt=select(Item).where(Item.id < 0))

    assert (page["ids"], page["total"]) == ([], (0, "eq"))


JOINED = [
    select(Item).join(Item.tags),
    select(Item).join(Item.tags).group_by(Item.id),
    select(Item).where(Item.id.in_(select(Tag.item_id))),
    select(Item.id, Item.name, Item.price).join(Item.tags).distinct(),
    select(Item.id, Item.name, Item.price, func.count()).join(Item.tags).group_by(Item.id),
]


@pytest.mark.parametrize("stmt", JOINED)
@pytest.mark.parametrize("count", [Count.exact, Count.capped(100)])
async def test_joins_to_many_are_counted_by_what_is_listed(
    session: Session, stmt: Select[Any], count: Count
) -> None:
    pages = [await page_of(session, count, page=n, stmt=stmt, size=5) for n in range(1, 6)]

    expected = sorted((n for n in range(1, 31) if n % 4), key=lambda n: (-(n % 3), -n))
    assert [id_ for page in pages for id_ in page["ids"]] == expected
    assert [page["total"] for page in pages] == [(23, "eq")] * 5


async def test_single_columns_are_values(sync_memory: Session) -> None:
    query, _ = await asked(Count.none, sort="-id", sorting=Sorting(Item, {"id": Item.id}))

    page = query.fetch_sync(sync_memory, select(Item.id), into=CountedPage[int])

    assert page.items == [*range(30, 23, -1)]


async def test_an_exact_count_fills_a_plain_page(sync_memory: Session) -> None:
    query, response = await asked(Count.exact)

    page = query.fetch_sync(sync_memory, select(Item), into=Page[ItemOut])

    assert_type(page, Page[ItemOut])
    assert (page.total, page.pages, page.page, page.size) == (30, 5, 1, 7)
    assert 'rel="last"' in response.headers["link"]


async def test_a_total_is_never_below_what_was_seen(session: Session) -> None:
    """Rows that go between the two queries do not make nonsense of the page."""
    query, _ = await asked(Count.exact)
    engine = session.get_bind()

    def vanish(_connection: Any, cursor: Any, statement: str, *_rest: Any) -> None:
        if "count(*)" in statement:
            cursor.execute("DELETE FROM tag")
            cursor.execute("DELETE FROM item")
            cursor.execute(statement)

    event.listen(engine, "before_cursor_execute", vanish)
    page = query.fetch_sync(session, select(Item), into=Page[ItemOut])
    event.remove(engine, "before_cursor_execute", vanish)

    assert (len(page.items), page.total) == (7, 8)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("/items?page=0", "page"),
        ("/items?page=102", "page"),
        ("/items?page=7&size=20", "page"),
        ("/items?size=21", "size"),
        ("/items?sort=metadata", "sort"),
    ],
)
async def test_a_value_out_of_range_is_a_422_that_names_it(
    memory: AsyncSession, url: str, name: str
) -> None:
    async with client_of(make_app(memory)) as client:
        response = await client.get(url)

    assert response.status_code == 422
    assert [error["loc"] for error in response.json()["detail"]] == [["query", name]]


async def test_bounds_terms_and_links_are_documented(memory: AsyncSession) -> None:
    async with client_of(make_app(memory)) as client:
        document = (await client.get("/openapi.json")).json()

    operation = document["paths"]["/items"]["get"]
    parameters = {one["name"]: one["schema"] for one in operation["parameters"]}
    assert parameters["page"]["maximum"] == 101
    assert parameters["size"]["maximum"] == 20
    assert "-price" in parameters["sort"]["items"]["enum"]
    assert "Link" in operation["responses"]["200"]["headers"]


@pytest.mark.parametrize(
    ("into", "count"), [(CursorPage[ItemOut], Count.exact), (Page[ItemOut], Count.capped(5))]
)
async def test_a_page_that_does_not_fit_is_refused(
    sync_memory: Session, into: Any, count: Count
) -> None:
    query, _ = await asked(count)

    with pytest.raises(ConfigurationError, match="does not fit; use CountedPage"):
        query.fetch_sync(sync_memory, select(Item), into=into)


async def test_the_async_method_refuses_a_session_that_blocks(sync_memory: Session) -> None:
    query, _ = await asked(Count.none)

    with pytest.raises(ConfigurationError, match="use fetch_sync"):
        await query.fetch(sync_memory, select(Item), into=Page[ItemOut])  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ({"size": 101}, "size=101 is out of bounds; use 1 to 100"),
        ({"max_size": 0}, "max_size=0 is out of bounds"),
        ({"max_offset": -1}, "max_offset=-1 is out of bounds"),
        ({"max_offset": 2**63 - 101}, "max_offset=.* is out of bounds"),
    ],
)
def test_bounds_that_cannot_work_are_refused(bounds: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        OffsetPaginator(SORTING, **bounds)  # type: ignore[arg-type]


def test_counts_that_count_nothing_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"capped\(0\) counts nothing; use Count.none"):
        Count.capped(0)
    with pytest.raises(ConfigurationError, match="most=-1 is below 0"):
        Count(-1)


def test_equal_paginators_are_one_dependency_to_override() -> None:
    assert OffsetPaginator(SORTING, size=5) == OffsetPaginator(SORTING, size=5)
    assert len({OffsetPaginator(SORTING), OffsetPaginator(SORTING)}) == 1
