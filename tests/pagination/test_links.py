"""`Link` headers: right for whoever follows them, wherever the app stands."""

import re
from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, FastAPI, Response
from httpx import ASGITransport, AsyncClient
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.datastructures import MutableHeaders

from fastapi_kit.pagination import (
    LinkTarget,
    Page,
    PaginationDep,
    PaginationLimits,
    PaginationParams,
    SkipLimitDep,
    SkipLimitPage,
    link_header_responses,
    paginate_sequence,
)

NEAR = PaginationLimits(default_size=10, max_offset=30)


def make_app(*, rows: int = 95) -> FastAPI:
    router = APIRouter(prefix="/items")

    @router.get("", responses=link_header_responses())
    async def pages(params: PaginationDep, response: Response) -> Page[int]:
        response.headers["Link"] = '</style.css>; rel="preload"'
        return paginate_sequence(range(rows), params, into=Page[int])

    @router.get("/parts")
    async def parts(params: SkipLimitDep) -> SkipLimitPage[int]:
        return paginate_sequence(range(rows), params, into=SkipLimitPage[int])

    @router.get("/near")
    async def near(params: Annotated[PaginationParams, Depends(NEAR)]) -> Page[int]:
        return paginate_sequence(range(rows), params, into=Page[int])

    app = FastAPI()
    app.include_router(router)
    return app


def client_of(app: FastAPI) -> AsyncClient:
    return AsyncClient(transport=ASGITransport(app), base_url="http://test")


async def links(app: FastAPI, url: str) -> dict[str, str]:
    async with client_of(app) as client:
        response = await client.get(url)
    found = {name: link["url"] for name, link in response.links.items() if name is not None}
    found.pop("preload", None)
    return found


async def test_a_page_in_the_middle_links_to_all_others() -> None:
    assert await links(make_app(), "/items?page=3&size=20") == {
        "first": "?size=20&page=1",
        "prev": "?size=20&page=2",
        "next": "?size=20&page=4",
        "last": "?size=20&page=5",
    }


async def test_the_first_page_has_no_prev() -> None:
    assert await links(make_app(), "/items") == {
        "first": "?page=1",
        "next": "?page=2",
        "last": "?page=10",
    }


async def test_the_last_page_has_no_next() -> None:
    assert (await links(make_app(rows=20), "/items?page=2")).keys() == {"first", "prev", "last"}


async def test_a_page_past_the_end_leads_back_to_the_last_one() -> None:
    found = await links(make_app(), "/items?page=50")

    assert found == {"first": "?page=1", "prev": "?page=10", "last": "?page=10"}


async def test_an_empty_listing_is_its_own_first_and_last_page() -> None:
    assert await links(make_app(rows=0), "/items") == {"first": "?page=1", "last": "?page=1"}


async def test_parts_link_by_skip() -> None:
    assert await links(make_app(), "/items/parts?skip=15&limit=10") == {
        "first": "?limit=10&skip=0",
        "prev": "?limit=10&skip=5",
        "next": "?limit=10&skip=25",
        "last": "?limit=10&skip=85",
    }


async def test_a_part_near_the_start_leads_back_to_the_start() -> None:
    assert (await links(make_app(), "/items/parts?skip=5"))["prev"] == "?skip=0"


async def test_last_is_left_out_where_it_would_be_refused() -> None:
    assert (await links(make_app(), "/items/near?page=2")).keys() == {"first", "prev", "next"}


async def test_next_past_the_bound_is_refused_rather_than_the_end_of_the_listing() -> None:
    async with client_of(make_app()) as client:
        response = await client.get("/items/near?page=4")
        beyond = await client.get(response.url.join(response.links["next"]["url"]))

    assert beyond.status_code == 422


async def test_a_link_header_of_the_route_stays() -> None:
    async with client_of(make_app()) as client:
        response = await client.get("/items")

    assert response.links.keys() == {"first", "next", "last", "preload"}


async def test_other_parameters_are_kept_repeated_ones_too() -> None:
    found = await links(make_app(), "/items?tag=a&page=2&q=x%26y&tag=b&flag&empty=")

    assert found["next"] == "?tag=a&q=x%26y&tag=b&flag&empty=&page=3"


async def test_the_own_parameter_is_replaced_however_it_is_written() -> None:
    assert (await links(make_app(), "/items?page=1&&p%61ge=2"))["next"] == "?page=3"


async def test_what_would_end_a_link_early_is_escaped() -> None:
    async with client_of(make_app()) as client:
        response = await client.get('/items?q=1>; rel="x", <http://evil/%zz\u00e9')

    assert response.links.keys() == {"first", "next", "last", "preload"}
    kept = "q=1%3E%3B%20rel%3D%22x%22%2C%20%3Chttp://evil/%25zz%C3%A9"
    assert response.links["next"]["url"].replace("=%22", "%3D%22") == f"?{kept}&page=2"


async def test_a_long_query_links_only_to_its_neighbours() -> None:
    """Four links of a long query would exceed what proxies take as headers."""
    found = await links(make_app(), "/items?page=2&q=" + "x" * 1200)

    assert found.keys() == {"prev", "next"}


async def test_a_long_query_without_neighbours_has_no_links() -> None:
    assert await links(make_app(rows=3), "/items?q=" + "x" * 1200) == {}


@settings(max_examples=50, deadline=None)
@given(query=st.binary(max_size=60))
def test_any_query_gives_a_header_that_is_ascii_and_keeps_the_parameters(query: bytes) -> None:
    headers = MutableHeaders()

    LinkTarget(query, headers, 1000).add_links("page", offset=10, limit=10, total=30)

    targets = re.findall(r'<\?([!$-:=?-Z_a-z~]*)>; rel="(\w+)"', headers["Link"])
    assert [relation for _, relation in targets] == ["first", "prev", "next", "last"]
    asked = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    expected = [pair for pair in asked if pair[0] != "page"] + [("page", "3")]
    assert parse_qsl(targets[2][0], keep_blank_values=True) == expected


async def follow(client: AsyncClient, url: str) -> list[int]:
    seen: list[int] = []
    response = await client.get(url)
    while True:
        seen += response.json()["items"]
        if "next" not in response.links:
            return seen
        response = await client.get(response.url.join(response.links["next"]["url"]))


async def test_following_next_sees_each_item_once() -> None:
    async with client_of(make_app()) as client:
        assert await follow(client, "/items?size=7") == list(range(95))
        assert await follow(client, "/items/parts?limit=7") == list(range(95))


async def test_links_are_right_in_a_mounted_app() -> None:
    outer = FastAPI()
    outer.mount("/shop", make_app())

    async with client_of(outer) as client:
        assert await follow(client, "/shop/items?size=40") == list(range(95))


async def test_links_are_right_behind_a_proxy_that_strips_a_prefix_unannounced() -> None:
    app = make_app()

    async def proxy(scope, receive, send):  # type: ignore[no-untyped-def]
        scope = {**scope, "path": scope["path"].removeprefix("/public"), "scheme": "http"}
        await app(scope, receive, send)

    transport = ASGITransport(proxy)
    async with AsyncClient(transport=transport, base_url="https://shop.example") as client:
        assert await follow(client, "/public/items?size=40") == list(range(95))


async def test_links_are_right_with_a_root_path() -> None:
    transport = ASGITransport(make_app(), root_path="/api")
    async with AsyncClient(transport=transport, base_url="http://test") as client:
        assert await follow(client, "/api/items?size=40") == list(range(95))


async def test_the_header_is_documented_beside_the_response() -> None:
    async with client_of(make_app()) as client:
        document = (await client.get("/openapi.json")).json()

    answer = document["paths"]["/items"]["get"]["responses"]["200"]
    assert answer["headers"]["Link"]["schema"] == {"type": "string"}
    schema = answer["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/Page_int_"}


def test_another_status_can_carry_the_header() -> None:
    assert link_header_responses(206).keys() == {206}
