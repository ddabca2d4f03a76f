"""A database of each kind, with the shop's tables and one item."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import create_mock_engine, make_url
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


@cache
def _script(dialect: str) -> str:
    """SQL of all tables and one item; sent at once it costs a fraction of what create_all does."""

    def note(element: Any, *_args: Any, **_options: Any) -> None:
        statements.append(str(element.compile(dialect=engine.dialect)))

    statements: list[str] = []
    engine = create_mock_engine(f"{dialect}://", note)
    # Examples and other tests have models of the same `Base`, some with names of the library's.
    classes = [mapper.class_ for mapper in Base.registry.mappers]
    ours: Any = [it.__table__ for it in classes if it.__module__.startswith(__package__)]
    for metadata in (Base.metadata, Library.metadata):
        tables = [table for table in ours if table.metadata is metadata]
        metadata.create_all(engine, tables=tables, checkfirst=False)
    SQLModel.metadata.create_all(engine, tables=[Card.__table__], checkfirst=False)  # type: ignore[attr-defined]
    lamp = f"INSERT INTO {Item.__tablename__} (name) VALUES ('lamp')"
    return ";\n".join(["BEGIN", *statements, lamp, "COMMIT"])


def _fill(url: str) -> None:
    parts = make_url(url)
    if parts.get_backend_name() == "sqlite":
        with closing(sqlite3.connect(str(parts.database))) as connection:
            connection.executescript(_script("sqlite"))
    else:
        plain = parts.set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(plain, autocommit=True) as server:
            server.execute(_script("postgresql").encode())


async def _filled(url: str) -> AsyncIterator[Database]:
    _fill(url)
    async with Database(url, pool_timeout_seconds=60, busy_timeout_seconds=60) as database:
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
