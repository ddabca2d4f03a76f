"""The shop starts on whatever database it finds, and is ready once that has its schema."""

import asyncio

from sqlalchemy import text

from examples.shop import migrations
from examples.shop.app import create_app
from examples.shop.demo import ITEMS
from examples.shop.settings import Settings
from fastapi_kit.db import Database
from fastapi_kit.db.migrations import Migrations
from fastapi_kit.testing import app_client
from tests.shop.conftest import log_in


async def totals(settings: Settings) -> tuple[int, int]:
    """How many items and users a worker finds that starts."""
    async with app_client(create_app(settings)) as client:
        items = await client.get("/api/v1/items")
        users = await client.get("/api/v1/users", headers=await log_in(client, "admin"))
    return items.json()["total"], users.json()["total"]


async def test_workers_that_start_at_once_make_one_schema(empty: Settings) -> None:
    assert await asyncio.gather(*(totals(empty) for _ in range(4))) == [(ITEMS, 3)] * 4


async def test_workers_that_start_at_once_fill_the_shop_once(empty: Settings) -> None:
    """All of them find the schema, and nobody in it."""
    async with Database(empty.database_url) as db:
        await Migrations(db, migrations.__path__[0]).upgrade()

    assert await asyncio.gather(*(totals(empty) for _ in range(4))) == [(ITEMS, 3)] * 4


async def test_a_database_that_is_behind_is_not_ready(empty: Settings) -> None:
    async with app_client(create_app(empty)) as client, Database(empty.database_url) as db:
        async with db.session() as session:
            await session.execute(text("DELETE FROM alembic_version"))
        response = await client.get("/readyz")

    assert response.status_code == 503
    assert response.json()["checks"]["database"]["status"] == "ok"
    assert response.json()["checks"]["migrations"]["status"] == "failed"
