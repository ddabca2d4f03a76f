"""The example pages 100,000 rows in every way."""

from collections.abc import AsyncIterator

import pytest
from httpx import AsyncClient

from examples.paging import ROWS, app
from fastapi_kit.testing import app_client
from fastapi_kit.testing.walk import walk


@pytest.fixture(scope="module")
async def client() -> AsyncIterator[AsyncClient]:
    async with app_client(app) as client:
        yield client


async def test_pages_and_parts_tell_the_total(client: AsyncClient) -> None:
    page = (await client.get("/page?page=1000&size=100")).json()
    part = (await client.get("/skip?skip=99990&limit=100")).json()

    assert (page["total"], len(page["items"])) == (ROWS, 100)
    assert (part["total"], len(part["items"])) == (ROWS, 10)


async def test_memory_is_walked(client: AsyncClient) -> None:
    assert await walk(client, "/memory", size=3) == ["bags", "books", "boots", "bowls"]


async def test_counting_stops_at_the_cap(client: AsyncClient) -> None:
    body = (await client.get("/counted?sort=rating&category=books&category=boots")).json()
    few = (await client.get("/counted?q=no. 9999&size=100")).json()

    assert body["total"] == {"value": 10_000, "relation": "gte"}
    assert few["total"] == {"value": 11, "relation": "eq"}


@pytest.mark.parametrize("order", ["sort=-price&sort=created", "sort=rating", "sort=-rating"])
async def test_cursors_walk_forward_and_back(client: AsyncClient, order: str) -> None:
    items = await walk(client, f"/cursor?{order}&q=no. 123", size=100)

    assert len(items) == 111


@pytest.fixture
async def exported(client: AsyncClient) -> str:
    return (await client.get("/export")).text


async def test_the_export_is_whole(exported: str) -> None:
    lines = exported.splitlines()

    assert len(lines) == len(set(lines)) == ROWS
