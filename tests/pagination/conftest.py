from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

from .tables import Base, demo_rows


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of a database with the demo rows, SQLite's and PostgreSQL's in turn."""
    if request.param == "postgres":
        url: str = request.getfixturevalue("postgres_url")
    else:
        url = f"sqlite:///{tmp_path}/test.db"
    engine = create_engine(url)
    Base.metadata.create_all(engine)
    with Session(engine) as session, session.begin():
        session.add_all(demo_rows())
    engine.dispose()
    return url


@pytest.fixture
def session(database_url: str) -> Iterator[Session]:
    engine = create_engine(database_url)
    with Session(engine) as session:
        yield session
    engine.dispose()


@pytest.fixture
async def async_session(database_url: str) -> AsyncIterator[AsyncSession]:
    engine = create_async_engine(database_url.replace("sqlite:", "sqlite+aiosqlite:"))
    async with AsyncSession(engine) as session:
        yield session
    await engine.dispose()


@pytest.fixture
async def memory() -> AsyncIterator[AsyncSession]:
    """A session on the demo rows in memory, for what does not depend on the database."""
    engine = create_async_engine("sqlite+aiosqlite://", poolclass=StaticPool)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with AsyncSession(engine) as session:
        session.add_all(demo_rows())
        await session.commit()
        yield session
    await engine.dispose()


@pytest.fixture
def sync_memory() -> Iterator[Session]:
    """The same, synchronous."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all(demo_rows())
        session.commit()
        yield session
    engine.dispose()
