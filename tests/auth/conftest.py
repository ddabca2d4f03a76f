"""Each store of refresh tokens, ready for use."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from fastapi_kit.auth import MemoryRefreshStore, RefreshStore, SQLAlchemyRefreshStore
from fastapi_kit.db import Database


@asynccontextmanager
async def sql_store(url: str) -> AsyncIterator[SQLAlchemyRefreshStore]:
    async with Database(url) as db:
        store = SQLAlchemyRefreshStore(db)
        async with db.engine.begin() as connection:
            await connection.run_sync(store.table.metadata.create_all)
        yield store


@pytest.fixture(params=["memory", "sqlite", "postgres"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[RefreshStore]:
    if request.param == "memory":
        yield MemoryRefreshStore()
        return
    url = f"sqlite:///{tmp_path / 'sessions.db'}"
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_url")
    async with sql_store(url) as made:
        yield made
