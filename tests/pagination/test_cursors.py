"""Pages by cursor, as clients see them."""

from collections.abc import AsyncIterator
from typing import Any, assert_type

import pytest
import sqlmodel
from fastapi import FastAPI
from fastapi import Response as FastAPIResponse
from httpx import ASGITransport, AsyncClient, Response
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy import Row, delete, func, insert, select, text, union_all
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, aliased, contains_eager, joinedload, selectinload
from starlette.requests import HTTPConnection
from starlette.types import Receive, Scope, Send

from fastapi_kit.errors import ConfigurationError
from fastapi_kit.pagination import (
    CursorPage,
    CursorPaginator,
    CursorQuery,
    CursorSigner,
    InvalidCursorError,
    Page,
    Slice,
    Sorting,
    SortKey,
)

from .listings import KEY, SIGNER, SORTING, ItemPage, client_of, make_app
from .tables import Film, Item, ItemOut, Media, Seat, Tag
from .test_selects import Hero, database_url

__all__ = ["database_url"]


def ids(response: Response) -> list[int]:
    return [item["id"] for item in response.json()["items"]]


async def follow(client: AsyncClient, url: str, relation: str = "next") -> list[Response]:
    responses = [await client.get(url)]
    while relation in responses[-1].links:
        last = responses[-1]
        responses.append(await client.get(last.url.join(last.links[relation]["url"])))
    return responses


@pytest.fixture
async def client(memory: AsyncSession) -> AsyncIterator[AsyncClient]:
    async with client_of(make_app(memory)) as client:
        yield client


async def test_a_listing_is_walked_by_its_links(async_session: AsyncSession) -> None:
    client = client_of(make_app(async_session))
    responses = await follow(client, "/items?size=7&sort=-price&sort=id&q=item")

    expected = sorted(range(1, 31), key=lambda n: (-(n % 3), n))
    assert [id_ for response in responses for id_ in ids(response)] == expected
    assert [len(ids(response)) for response in responses] == [7, 7, 7, 7, 2]
    first, last = responses[0], responses[-1]
    assert first.json()["previous"] is None
    assert last.json()["next"] is None
    assert first.links["first"]["url"] == "?size=7&sort=-price&sort=id&q=item"
    assert first.links["next"]["url"] == (
        f"?size=7&sort=-price&sort=id&q=item&cursor={first.json()['next']}"
    )
    back = await follow(client, str(last.url), "prev")
    assert [ids(response) for response in back] == [ids(one) for one in reversed(responses)]


async def test_without_parameters_the_default_order_and_size_count(client: AsyncClient) -> None:
    response = await client.get("/items")

    assert ids(response) == [*range(1, 11)]
    assert list(response.json()) == ["items", "next", "previous"]


async def test_a_cursor_outlives_a_change_of_size(client: AsyncClient) -> None:
    first = await client.get("/items?size=4")

    following = await client.get("/items", params={"size": 2, "cursor": first.json()["next"]})

    assert ids(following) == [5, 6]


async def test_what_means_the_same_is_not_foreign(client: AsyncClient) -> None:
    """Filters in another order, repeated or spelt differently, and defaults written out."""
    first = await client.get("/items?name=item 1&name=item 2&min_price=1&size=1")

    for query in (
        "size=1&min_price=1.00&name=item 2&name=item 1&name=item 2",
        "name=item 1&name=item 2&min_price=1&size=1&sort=id",
    ):
        response = await client.get(f"/items?{query}&cursor={first.json()['next']}")
        assert ids(response) == [2]


def assert_refused(response: Response) -> None:
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["type"] == "/problems/invalid-cursor"


@pytest.mark.parametrize(
    "url",
    [
        "/items?sort=-id",
        "/items?sort=id&sort=price",
        "/items?q=item",
        "/items?min_price=0",
        "/tenants/0",
        "/scoped?tenant=0",
    ],
)
async def test_a_cursor_of_another_listing_is_refused(client: AsyncClient, url: str) -> None:
    cursor = (await client.get("/items?size=1")).json()["next"]

    assert_refused(await client.get(f"{url}{'&' if '?' in url else '?'}cursor={cursor}"))


async def test_a_cursor_of_another_tenant_is_refused(client: AsyncClient) -> None:
    by_path = (await client.get("/tenants/1?size=1")).json()["next"]
    by_scope = (await client.get("/scoped?tenant=1&size=1")).json()["next"]

    assert (await client.get(f"/tenants/1?cursor={by_path}")).status_code == 200
    assert (await client.get(f"/scoped?tenant=1&cursor={by_scope}")).status_code == 200
    assert_refused(await client.get(f"/tenants/2?cursor={by_path}"))
    assert_refused(await client.get(f"/scoped?tenant=2&cursor={by_scope}"))


@pytest.mark.parametrize(
    "changed",
    [
        Sorting(Item, {"by": Item.name}),
        Sorting(Item, {"by": func.lower(Item.name)}),
        Sorting(Item, {"by": SortKey(Item.price, nulls="first")}),
        Sorting(Item, {"by": Item.price}, unique=[Item.name]),
        Sorting(Tag, {"by": Tag.name}),
    ],
)
async def test_a_cursor_of_another_paginator_is_refused(
    sync_memory: Session, changed: Sorting
) -> None:
    """On the same path with the same term, as after the listing was changed."""
    sorting = Sorting(Item, {"by": Item.price})
    cursor = (await asked(sorting, "by")).slice_sync(sync_memory, select(Item)).next

    same = (await asked(sorting, "by", cursor=cursor)).slice_sync(sync_memory, select(Item))
    with pytest.raises(InvalidCursorError):
        (await asked(changed, "by", cursor=cursor)).slice_sync(sync_memory, select(changed.entity))

    assert len(same.items) == 4


@pytest.mark.parametrize("place", ["mounted", "root_path", "stripped"])
async def test_links_are_right_wherever_the_app_stands(memory: AsyncSession, place: str) -> None:
    app = make_app(memory)

    async def stripping(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "path": scope["path"].removeprefix("/shop")}, receive, send)

    outer = FastAPI()
    outer.mount("/shop", app)
    transport = {
        "mounted": ASGITransport(outer),
        "root_path": ASGITransport(app, root_path="/shop"),
        "stripped": ASGITransport(stripping),
    }[place]
    async with AsyncClient(transport=transport, base_url="https://example.com") as client:
        there = await follow(client, "/shop/items?size=7")
        back = await follow(client, str(there[-1].url), "prev")

    assert [id_ for response in there for id_ in ids(response)] == [*range(1, 31)]
    assert [ids(response) for response in reversed(back)] == [ids(one) for one in there]


@pytest.mark.parametrize("cursor", ["", "x", "=", "ä", "%00", "a" * 10_000, "AAAA%0A", "%ED%A0%80"])
async def test_garbage_is_refused(client: AsyncClient, cursor: str) -> None:
    assert_refused(await client.get(f"/items?cursor={cursor}"))


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_an_altered_cursor_is_refused(data: st.DataObject) -> None:
    """One letter changed, added or taken away, be it only in spare bits or the padding."""
    cursor = SIGNER.sign(b'[0,17,"name"]', b"context")
    place = data.draw(st.integers(0, len(cursor)))
    letter = data.draw(st.sampled_from([*"Aa0-_=+/ \n", "", "é"]))
    cut = data.draw(st.integers(0, 2))
    altered = cursor[:place] + letter + cursor[place + cut :]

    assume(altered != cursor)
    with pytest.raises(InvalidCursorError):
        SIGNER.verify(altered, b"context")


def test_what_is_bound_cannot_move_into_the_payload() -> None:
    cursor = SIGNER.sign(b"[1]", b"context")

    with pytest.raises(InvalidCursorError):
        SIGNER.verify(cursor, b"contex")


# Keys


async def test_cursors_of_a_previous_key_count_on(memory: AsyncSession) -> None:
    new = "another key of thirty-two letters"
    async with client_of(make_app(memory)) as client:
        cursor = (await client.get("/items?size=1")).json()["next"]
    async with client_of(make_app(memory, CursorSigner(new, previous=KEY))) as client:
        accepted = await client.get(f"/items?size=1&cursor={cursor}")
    async with client_of(make_app(memory, CursorSigner(new))) as client:
        refused = await client.get(f"/items?cursor={cursor}")
        renewed = await client.get(f"/items?size=1&cursor={accepted.json()['next']}")

    assert ids(accepted) == [2]
    assert_refused(refused)
    assert ids(renewed) == [3]


def test_keys_are_told_apart_and_never_shown() -> None:
    signer = CursorSigner(SecretStr(KEY), previous=[b"x" * 32, "y" * 32])

    assert repr(signer) == "CursorSigner()"
    assert signer.verify(CursorSigner("y" * 32).sign(b"p", b"c"), b"c") == b"p"
    assert signer.verify(CursorSigner(KEY).sign(b"p", b"c"), b"c") == b"p"
    assert CursorSigner(KEY) == SIGNER
    assert len({CursorSigner(KEY), SIGNER}) == 1


@pytest.mark.parametrize("keys", [("short",), ("x" * 32, b"short"), ("x" * 32, ["short"])])
def test_a_short_key_is_refused(keys: Any) -> None:
    with pytest.raises(ConfigurationError, match="has 5 bytes; use 32 or more"):
        CursorSigner(keys[0], previous=keys[1:][0] if keys[1:] else ())


# Parameters


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("size=0", "size"),
        ("size=51", "size"),
        ("size=99999999999999999999", "size"),
        ("sort=metadata", "sort"),
        ("sort=", "sort"),
        ("sort=--id", "sort"),
        ("sort=id&sort=-id", "sort"),
        ("sort=id&sort=price&sort=name", "sort"),
    ],
)
async def test_a_value_out_of_range_is_a_422_that_names_it(
    client: AsyncClient, query: str, name: str
) -> None:
    response = await client.get(f"/items?{query}")

    assert response.status_code == 422
    assert [error["name"] for error in response.json()["errors"]] == [name]


async def test_links_that_are_too_long_are_left_out(client: AsyncClient) -> None:
    """The body has the cursor all the same."""
    junk = "x" * 2000

    response = await client.get(f"/items?junk={junk}")
    following = await client.get(f"/items?junk={junk}&cursor={response.json()['next']}")

    assert response.links.keys() == {"next"}
    assert following.links.keys() == {"prev", "next"}


async def test_a_long_query_of_a_single_page_has_no_links(client: AsyncClient) -> None:
    response = await client.get(f"/items?size=50&junk={'x' * 2000}")

    assert "link" not in response.headers


async def test_openapi_tells_terms_limits_links_and_errors(client: AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()

    operation = document["paths"]["/items"]["get"]
    parameters = {one["name"]: one["schema"] for one in operation["parameters"]}
    assert parameters["sort"]["items"]["enum"] == [
        "id", "-id", "price", "-price", "name", "-name",
    ]  # fmt: skip
    assert (parameters["sort"]["maxItems"], parameters["sort"]["default"]) == (2, ["id"])
    assert (parameters["size"]["maximum"], parameters["size"]["default"]) == (50, 10)
    assert parameters["q"]["maxLength"] == 200
    assert "Link" in operation["responses"]["200"]["headers"]
    assert "InvalidCursorError" in str(operation["responses"]["400"])
    schemas = document["components"]["schemas"]
    assert {"ItemPage", "CursorPage_ItemOut_"} <= schemas.keys()
    assert schemas["ItemPage"]["description"] == "One page of items."
    # Told by the dependency alone, where the error handlers are.
    assert "400" in document["paths"]["/scoped"]["get"]["responses"]


# Statements


async def asked(
    sorting: Sorting, *terms: str, size: int = 4, cursor: str | None = None
) -> CursorQuery[Any]:
    """What a route is given."""
    request = HTTPConnection({"type": "http", "path": "/", "query_string": b"", "headers": []})
    paginator = CursorPaginator(sorting, signer=SIGNER)
    return await paginator(request, FastAPIResponse(), cursor, size, list(terms))


async def walked(session: Session, sorting: Sorting, stmt: Any, *terms: str) -> list[list[Any]]:
    """The items of each page, four on one."""
    cursor: str | None = None
    pages: list[list[Any]] = []
    while not pages or cursor is not None:
        part = (await asked(sorting, *terms, cursor=cursor)).slice_sync(session, stmt)
        pages.append([*part.items])
        cursor = part.next
    return pages


@pytest.mark.parametrize(
    "stmt",
    [
        select(Item).join(Item.tags),
        select(Item).join(Item.tags).distinct(),
        select(Item).join(Item.tags).options(contains_eager(Item.tags)),
        select(Item).where(Item.id == Tag.item_id),
        select(Item).where(Item.tags.any()).options(joinedload(Item.tags)),
        select(Item).where(Item.tags.any()).options(selectinload(Item.tags)),
        select(Item).join(Item.tags).group_by(Item.id),
    ],
)
@pytest.mark.parametrize("terms", [("-id",), ("-price", "id")])
async def test_joins_to_many_give_each_entity_once_and_whole(
    session: Session, stmt: Any, terms: tuple[str, ...]
) -> None:
    pages = await walked(session, SORTING, stmt, *terms)

    found = [item for page in pages for item in page]
    expected = [n for n in range(30, 0, -1) if n % 4]
    if terms != ("-id",):
        expected.sort(key=lambda n: (-(n % 3), n))
    assert [item.id for item in found] == expected
    assert [len(page) for page in pages] == [4, 4, 4, 4, 4, 3]
    assert [len(item.tags) for item in found] == [item.id % 4 for item in found]


async def test_an_alias_is_sorted_by_its_own_columns(session: Session) -> None:
    other = aliased(Item)
    sorting = Sorting(other, {"price": other.price})

    pages = await walked(session, sorting, select(other).where(other.id < 7), "-price")

    assert [item.id for page in pages for item in page] == [5, 2, 4, 1, 6, 3]


async def test_composite_and_renamed_keys_break_ties(sync_memory: Session) -> None:
    pages = await walked(sync_memory, Sorting(Seat, {"row": Seat.row}), select(Seat), "-row")

    found = [(seat.row, seat.number) for page in pages for seat in page]
    assert found == [(2, 3), (2, 2), (2, 1), (1, 3), (1, 2), (1, 1)]


async def test_columns_come_as_rows_and_a_single_one_as_its_value(session: Session) -> None:
    rows = await walked(session, SORTING, select(Item.id, Item.price).where(Item.id < 4), "-price")
    values = await walked(session, Sorting(Item, {"id": Item.id}), select(Item.id), "-id")

    assert isinstance(rows[0][0], Row)
    assert [tuple(row) for row in rows[0]] == [(2, 2), (1, 1), (3, 0)]
    assert rows[0][0].price == 2
    assert values[0] == [30, 29, 28, 27]


async def test_tables_and_subqueries_are_sorted_too(session: Session) -> None:
    table = Item.__table__
    prices = select(Item.price, func.count().label("n")).group_by(Item.price).subquery()
    by_price = Sorting(prices, {"n": prices.c.n}, unique=[prices.c.price])

    rows = await walked(session, Sorting(table, {"id": table.c.id}), select(table), "-id")
    groups = await walked(session, by_price, select(prices), "-n")

    assert rows[0][0].name == "item 30"
    assert [tuple(row) for row in groups[0]] == [(2, 10), (1, 10), (0, 10)]


async def test_subclasses_are_listed_in_the_order_of_their_base(sync_memory: Session) -> None:
    pages = await walked(sync_memory, Sorting(Media, {"kind": Media.kind}), select(Film), "kind")

    assert [len(page) for page in pages] == [4, 3]
    assert {type(film) for film in pages[0]} == {Film}


async def test_an_expression_of_a_subquery_sorts(session: Session) -> None:
    tags = select(func.count(Tag.id)).where(Tag.item_id == Item.id).scalar_subquery()
    sorting = Sorting(Item, {"tags": tags})

    pages = await walked(session, sorting, select(Item), "-tags")

    found = [item.id for page in pages for item in page]
    assert found == sorted(range(1, 31), key=lambda n: (-(n % 4), -n))


async def test_sqlmodel_works_with_its_own_session_and_select(session: Session) -> None:
    sqlmodel.SQLModel.metadata.create_all(session.connection())
    session.execute(insert(Hero), [{"name": f"hero {n % 3}"} for n in range(1, 8)])
    sorting = Sorting(Hero, {"name": Hero.name}, default="name")

    with sqlmodel.Session(session.connection()) as own:
        pages = await walked(own, sorting, sqlmodel.select(Hero), "name")

    assert [hero.id for page in pages for hero in page] == [3, 6, 1, 4, 7, 2, 5]


async def test_the_sync_methods_give_the_same(
    async_session: AsyncSession, session: Session
) -> None:
    page = await asked(SORTING, "id")

    sync = page.fetch_sync(session, select(Item), into=CursorPage[ItemOut])
    cursor = sync.next
    awaited = await (await asked(SORTING, "id")).fetch(
        async_session, select(Item), into=CursorPage[ItemOut]
    )

    assert cursor is not None
    assert sync == awaited
    assert page.size == 4
    assert page.terms == ("id",)


async def test_rows_are_read_by_column_name(sync_memory: Session) -> None:
    page = await asked(SORTING, "id")

    found = page.fetch_sync(sync_memory, select(Item.id, Item.name), into=CursorPage[ItemOut])

    assert found.items[0] == ItemOut(id=1, name="item 1")


async def test_an_emptied_page_leads_back(sync_memory: Session) -> None:
    """Both neighbours of a position whose rows have all gone are still found."""
    part = (await asked(SORTING, "price", "id")).slice_sync(sync_memory, select(Item))
    sync_memory.execute(delete(Tag))
    sync_memory.execute(delete(Item).where(Item.id != part.items[-1].id))

    empty = (await asked(SORTING, "price", "id", cursor=part.next)).slice_sync(
        sync_memory, select(Item)
    )
    back = (await asked(SORTING, "price", "id", cursor=empty.previous)).slice_sync(
        sync_memory, select(Item)
    )
    before = (await asked(SORTING, "price", "id", cursor=back.next)).slice_sync(
        sync_memory, select(Item)
    )

    assert (empty.items, empty.next) == ([], None)
    assert [item.id for item in back.items] == [12]
    assert (back.previous, before.items) == (None, [])


async def test_a_position_is_read_from_the_database_not_from_what_was_loaded(
    session: Session,
) -> None:
    """What the session holds may be older than the rows that were ordered."""
    held = session.get_one(Item, 2)
    session.execute(text("UPDATE item SET price = 50 WHERE id = 2"))
    stmt = select(Item).where(Item.id < 9)

    pages = await walked(session, SORTING, stmt, "-price", "id")

    assert held.price == 2
    assert [item.id for page in pages for item in page] == [2, 5, 8, 1, 4, 7, 3, 6]


# What cannot be paged


NAMED = Sorting(Item, {"name": Item.name})


@pytest.mark.parametrize(
    ("stmt", "message"),
    [
        (select(Item).order_by(Item.id), "ORDER BY of its own"),
        (select(Item.id, Item.name).order_by(Item.id), "ORDER BY of its own"),
        (select(Item).limit(3), "LIMIT or OFFSET of its own"),
        (select(Tag), "selects .*Tag.*the sorting is of .*Item"),
        (select(aliased(Item)), "give Sorting the same class or alias"),
        (select(Item.id), "does not select item.name, which its order needs; select it too"),
        (union_all(select(Item), select(Item)), "A CompoundSelect cannot be sorted"),
        (text("SELECT 1"), "A TextClause cannot be sorted"),
    ],
)
async def test_a_statement_that_cannot_be_sorted_says_why(
    sync_memory: Session, stmt: Any, message: str
) -> None:
    page = await asked(NAMED, "name")

    with pytest.raises(ConfigurationError, match=message):
        page.slice_sync(sync_memory, stmt)


async def test_rows_that_the_order_cannot_tell_apart_are_not_lost(sync_memory: Session) -> None:
    stmt = select(Item.id, Item.name, Tag.name).join(Item.tags)

    with pytest.raises(ConfigurationError, match="one of them would be lost"):
        (await asked(NAMED, "name", size=2)).slice_sync(sync_memory, stmt)


async def test_a_page_of_the_other_kind_is_refused(sync_memory: Session) -> None:
    page = await asked(NAMED, "name")

    with pytest.raises(ConfigurationError, match=r"into=Page\[ItemOut\] has no cursors"):
        page.fetch_sync(sync_memory, select(Item), into=Page[ItemOut])  # type: ignore[type-var]


async def test_each_method_has_its_session(sync_memory: Session) -> None:
    page = await asked(NAMED, "name")

    with pytest.raises(ConfigurationError, match=r"use fetch_sync"):
        await page.fetch(sync_memory, select(Item), into=ItemPage)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=r"use slice_sync"):
        await page.slice(sync_memory, select(Item))  # type: ignore[call-overload]


async def test_a_scope_must_be_tellable(sync_memory: Session) -> None:
    page = await asked(NAMED, "name")

    with pytest.raises(ConfigurationError, match="a Item cannot be a part of a cursor"):
        page.slice_sync(sync_memory, select(Item), scope=Item(id=1))


# Building


def test_equal_paginators_are_one_dependency_to_override() -> None:
    one = CursorPaginator(SORTING, signer=CursorSigner(KEY), size=5)
    same = CursorPaginator(SORTING, signer=CursorSigner(KEY), size=5)

    assert one == same
    assert hash(one) == hash(same)
    assert one != CursorPaginator(SORTING, signer=CursorSigner(KEY))


@pytest.mark.parametrize("sizes", [{"size": 0}, {"size": 101}, {"size": 5, "max_size": 4}])
def test_sizes_that_cannot_work_are_refused(sizes: dict[str, int]) -> None:
    with pytest.raises(ConfigurationError, match=r"size=.* is out of bounds"):
        CursorPaginator(SORTING, signer=SIGNER, **sizes)


async def test_types_are_what_was_asked_for(async_session: AsyncSession, session: Session) -> None:
    """Checked by mypy; here it is only run."""
    page = await asked(SORTING, "id")
    two = select(Item.id, Item.price)

    assert_type(await page.fetch(async_session, select(Item), into=ItemPage), ItemPage)
    assert_type(page.slice_sync(session, select(Item)), Slice[Item])
    assert_type(await page.slice(async_session, two), "Slice[Row[int, int]]")
