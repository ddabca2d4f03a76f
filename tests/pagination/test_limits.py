"""The dependencies: what they read, refuse and document."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, WebSocket
from fastapi.testclient import TestClient
from httpx import ASGITransport, AsyncClient

from fastapi_kit.errors import ConfigurationError
from fastapi_kit.pagination import (
    PaginationDep,
    PaginationLimits,
    PaginationParams,
    SkipLimitDep,
    SkipLimitLimits,
    SkipLimitParams,
    get_pagination,
    get_skip_limit,
)

small = PaginationLimits(default_size=5, max_size=20, max_offset=100)
FewItems = Annotated[PaginationParams, Depends(small)]
FewSkipped = Annotated[SkipLimitParams, Depends(SkipLimitLimits(default_limit=5, max_skip=100))]


def make_app() -> FastAPI:
    app = FastAPI()

    @app.get("/pages")
    async def pages(params: PaginationDep) -> list[int]:
        return [params.page, params.size, params.offset, params.limit]

    @app.get("/small")
    async def small_pages(params: FewItems) -> list[int]:
        return [params.page, params.size, params.offset, params.limit]

    @app.get("/parts")
    async def parts(params: SkipLimitDep) -> list[int]:
        return [params.skip, params.limit, params.offset]

    @app.get("/few")
    async def few(params: FewSkipped) -> list[int]:
        return [params.skip, params.limit, params.offset]

    @app.websocket("/socket")
    async def socket(websocket: WebSocket, params: PaginationDep) -> None:
        await websocket.accept()
        await websocket.send_json([params.page, params.size])
        await websocket.close()

    return app


@pytest.fixture
async def client() -> AsyncIterator[AsyncClient]:
    async with AsyncClient(transport=ASGITransport(make_app()), base_url="http://test") as client:
        yield client


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("/pages", [1, 10, 0, 10]),
        ("/pages?page=3&size=100", [3, 100, 200, 100]),
        ("/pages?page=10001&size=100", [10001, 100, 1_000_000, 100]),
        ("/small", [1, 5, 0, 5]),
        ("/small?page=21", [21, 5, 100, 5]),
        ("/parts", [0, 10, 0]),
        ("/parts?skip=7&limit=100", [7, 100, 7]),
        ("/few?skip=100", [100, 5, 100]),
    ],
)
async def test_reads_what_is_asked_for(client: AsyncClient, url: str, expected: list[int]) -> None:
    response = await client.get(url)

    assert response.json() == expected


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("/pages?page=0", "page"),
        ("/pages?page=-1", "page"),
        ("/pages?page=", "page"),
        ("/pages?page=one", "page"),
        ("/pages?page=1.5", "page"),
        ("/pages?page=NaN", "page"),
        ("/pages?page=9223372036854775807", "page"),
        ("/pages?page=" + "9" * 5000, "page"),
        ("/pages?page=10002&size=100", "page"),
        ("/small?page=22", "page"),
        ("/pages?size=0", "size"),
        ("/pages?size=101", "size"),
        ("/small?size=21", "size"),
        ("/parts?skip=-1", "skip"),
        ("/parts?skip=9223372036854775807", "skip"),
        ("/few?skip=101", "skip"),
        ("/parts?limit=0", "limit"),
        ("/parts?limit=101", "limit"),
    ],
)
async def test_a_value_out_of_bounds_is_a_422_that_names_it(
    client: AsyncClient, url: str, name: str
) -> None:
    response = await client.get(url)

    assert response.status_code == 422
    assert [error["loc"] for error in response.json()["detail"]] == [["query", name]]


async def test_a_page_too_far_says_how_far_is_allowed(client: AsyncClient) -> None:
    response = await client.get("/small?page=22")

    (error,) = response.json()["detail"]
    assert error["ctx"] == {"le": 21}
    assert error["msg"] == "Input should be less than or equal to 21 for this size"


async def test_the_last_of_repeated_values_counts(client: AsyncClient) -> None:
    response = await client.get("/pages?page=2&page=4")

    assert response.json() == [4, 10, 30, 10]


async def test_bounds_and_defaults_are_documented(client: AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()

    page, size = document["paths"]["/small"]["get"]["parameters"]
    assert (page["name"], page["in"], page["required"]) == ("page", "query", False)
    assert _bounds(page) == {"minimum": 1, "maximum": 101, "default": 1}
    assert _bounds(size) == {"minimum": 1, "maximum": 20, "default": 5}


def _bounds(parameter: dict[str, Any]) -> dict[str, int]:
    return {name: parameter["schema"][name] for name in ("minimum", "maximum", "default")}


async def test_skip_and_limit_are_documented(client: AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()

    skip, limit = document["paths"]["/few"]["get"]["parameters"]
    assert _bounds(skip) == {"minimum": 0, "maximum": 100, "default": 0}
    assert _bounds(limit) == {"minimum": 1, "maximum": 100, "default": 5}


def test_a_websocket_reads_them_too() -> None:
    with (
        TestClient(make_app()) as client,
        client.websocket_connect("/socket?page=2&size=3") as socket,
    ):
        assert socket.receive_json() == [2, 3]


async def test_equal_limits_are_one_dependency_to_override() -> None:
    app = make_app()
    twin = PaginationLimits(default_size=5, max_size=20, max_offset=100)
    app.dependency_overrides[twin] = lambda: PaginationParams(page=7, size=7)

    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        response = await client.get("/small")

    assert response.json() == [7, 7, 42, 7]


def test_the_plain_names_are_the_default_limits() -> None:
    assert get_pagination == PaginationLimits()
    assert hash(get_pagination) == hash(PaginationLimits())
    assert get_skip_limit == SkipLimitLimits()
    assert get_pagination != small
    assert replace(small, default_size=10, max_size=100, max_offset=1_000_000) == get_pagination


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ({"default_size": 101}, "default_size=101 is out of bounds; use 1 to 100"),
        ({"default_size": 20, "max_size": 10}, "default_size=20 is out of bounds; use 1 to 10"),
        ({"default_size": 0}, "default_size=0 is out of bounds; use 1 to 100"),
        ({"max_size": 0}, "max_size=0 is out of bounds"),
        ({"max_offset": -1}, "max_offset=-1 is out of bounds"),
        ({"max_offset": 2**63 - 100}, "max_offset=9223372036854775708 is out of bounds"),
    ],
)
def test_page_limits_that_cannot_work_are_refused(bounds: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        PaginationLimits(**bounds)


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ({"default_limit": 101}, "default_limit=101 is out of bounds; use 1 to 100"),
        ({"max_limit": 0}, "max_limit=0 is out of bounds"),
        ({"max_skip": 2**63}, "max_skip=9223372036854775808 is out of bounds"),
    ],
)
def test_skip_limits_that_cannot_work_are_refused(bounds: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        SkipLimitLimits(**bounds)


def test_params_made_by_hand_are_checked() -> None:
    with pytest.raises(ValueError, match="page=0 is below 1"):
        PaginationParams(page=0)
    with pytest.raises(ValueError, match="size=0 is below 1"):
        PaginationParams(size=0)
    with pytest.raises(ValueError, match="skip=-1 is below 0"):
        SkipLimitParams(skip=-1)
    with pytest.raises(ValueError, match="limit=0 is below 1"):
        SkipLimitParams(limit=0)
