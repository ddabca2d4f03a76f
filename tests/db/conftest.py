"""A database of each kind, with the shop's tables and one item."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import make_url
from sqlmodel import SQLModel

from fastapi_kit.db import Base, Database

from .library import Card, Library
from .shop import Item


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'shop.db'}"


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(params=["psycopg", "asyncpg"])
def postgres_driver_url(request: pytest.FixtureRequest, postgres_url: str) -> str:
    url = make_url(postgres_url).set(drivername=f"postgresql+{request.param}")
    return url.render_as_string(hide_password=False)


@pytest.fixture(params=["sqlite", "psycopg", "asyncpg"])
def driver_url(request: pytest.FixtureRequest) -> str:
    """A URL for each driver."""
    if request.param == "sqlite":
        return str(request.getfixturevalue("sqlite_url"))
    url = make_url(request.getfixturevalue("postgres_url"))
    return url.set(drivername=f"postgresql+{request.param}").render_as_string(hide_password=False)


async def _filled(url: str) -> AsyncIterator[Database]:
    async with Database(url, pool_timeout_seconds=60, busy_timeout_seconds=60) as database:
        async with database.engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
            await connection.run_sync(Library.metadata.create_all)
            await connection.run_sync(SQLModel.metadata.create_all, tables=[Card.__table__])  # type: ignore[attr-defined]
        async with database.session() as session:
            session.add(Item(name="lamp"))
        yield database


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    async for database in _filled(database_url):
        yield database


@pytest.fixture
async def sqlite_db(sqlite_url: str) -> AsyncIterator[Database]:
    async for database in _filled(sqlite_url):
        yield database


@pytest.fixture
async def postgres_db(postgres_driver_url: str) -> AsyncIterator[Database]:
    async for database in _filled(postgres_driver_url):
        yield database


@pytest.fixture
async def any_db(driver_url: str) -> AsyncIterator[Database]:
    async for database in _filled(driver_url):
        yield database
