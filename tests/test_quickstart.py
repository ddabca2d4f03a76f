"""The app that the README begins with does what it shows, and is what the README shows."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from examples.quickstart import app
from fastapi_kit.testing import app_client, assert_problem

ROOT = Path(__file__).parent.parent


async def log_in(client: httpx.AsyncClient) -> dict[str, str]:
    form = {
        "grant_type": "password",
        "username": "ada",
        "password": "correct horse battery staple",
    }
    response = await client.post("/auth/token", data=form)
    return {"Authorization": f"Bearer {response.json()['access_token']}"}


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with app_client(app) as client:
        yield client


async def test_items_come_in_pages(client: httpx.AsyncClient) -> None:
    response = await client.get("/items", params={"page": 3, "size": 2})

    assert response.json() == {"items": [5, 6], "total": 100, "page": 3, "size": 2, "pages": 50}
    assert response.headers["x-request-id"]


async def test_removing_needs_a_token(client: httpx.AsyncClient) -> None:
    response = await client.delete("/items/7")

    assert_problem(response, 401)


async def test_an_error_is_a_problem(client: httpx.AsyncClient) -> None:
    response = await client.delete("/items/7", headers=await log_in(client))

    assert_problem(response, 404, detail="Sorry ada, there is no item 7.")


def test_the_readme_shows_it() -> None:
    shown = (ROOT / "examples" / "quickstart.py").read_text()

    assert shown in (ROOT / "README.md").read_text()
    assert len([line for line in shown.splitlines() if line]) <= 20
