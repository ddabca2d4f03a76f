"""A database, and the sessions that it gives."""

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Self

from fastapi import Depends
from pydantic import SecretStr
from sqlalchemy import URL
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

from fastapi_kit.db.engine import EngineOptions, build_engines
from fastapi_kit.db.sqlite import MemoryAnchor, Pragmas, checked_pragmas
from fastapi_kit.db.unit_of_work import UnitOfWork
from fastapi_kit.db.url import async_url
from fastapi_kit.errors import ConfigurationError

DEFAULT_NAME = "default"


class Database:
    """One database of the app: its connections, and units of work on it.

    Build it once and give its `lifespan` to the app; routes then ask for `SessionDep`.
    Connections are made when first used and closed when the lifespan ends, after which the object
    may be started again. A script uses ``async with Database(url) as db``.

    On SQLite every connection has WAL, foreign keys and a busy time-out; writing sessions share one
    connection and queue for it in order, reading ones have the pool. On PostgreSQL both share the
    pool.

    Args:
        url: PostgreSQL or SQLite. ``postgres://``, ``postgresql://`` and ``sqlite://`` get an async
            driver (psycopg, aiosqlite); asyncpg may be named. Never shown with its password.
        name: What a second database of the same app is called; routes reach the one that is called
            ``"default"`` by `SessionDep`, any other by `dependency`.
        pool_size: Connections that are kept open.
        max_overflow: Connections beyond these, closed after use.
        pool_timeout_seconds: How long a session waits for a connection before SQLAlchemy's
            ``TimeoutError``; short, so that an overloaded app answers 503 instead of piling up.
        pool_recycle_seconds: Age from which a connection is replaced before it is used.
        pool_pre_ping: Test each connection before use, for one round trip; it saves one failed
            request per connection where a firewall or proxy drops idle ones. Not for SQLite.
        connect_timeout_seconds: How long making a connection may take. Not for SQLite.
        busy_timeout_seconds: How long SQLite waits for the lock of another process.
        sqlite_pragmas: Laid over ``journal_mode=WAL``, ``synchronous=NORMAL``, ``foreign_keys=ON``.
        check_at_start: Refuse to start while the database does not answer; ``False`` starts anyway
            and leaves it to a readiness check.
        echo: Log every statement, without its parameters.
        engine_options: Further arguments of SQLAlchemy's ``create_async_engine``, laid over ours.

    Raises:
        ConfigurationError: The URL or an option cannot be used.
        MissingExtraError: The URL is PostgreSQL's and psycopg is not installed.
    """

    def __init__(
        self,
        url: str | URL | SecretStr,
        *,
        name: str = DEFAULT_NAME,
        pool_size: int = 5,
        max_overflow: int = 10,
        pool_timeout_seconds: float = 5,
        pool_recycle_seconds: int = 1800,
        pool_pre_ping: bool = False,
        connect_timeout_seconds: int = 5,
        busy_timeout_seconds: float = 5,
        sqlite_pragmas: Pragmas | None = None,
        check_at_start: bool = True,
        echo: bool = False,
        engine_options: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = name
        self.url: URL = async_url(url)
        self._check_at_start = check_at_start
        options = EngineOptions(
            pool_size=pool_size,
            max_overflow=max_overflow,
            pool_timeout_seconds=pool_timeout_seconds,
            pool_recycle_seconds=pool_recycle_seconds,
            pre_ping=pool_pre_ping,
            connect_timeout_seconds=connect_timeout_seconds,
            busy_timeout_seconds=busy_timeout_seconds,
            pragmas=checked_pragmas(sqlite_pragmas),
            echo=echo,
            extra=engine_options or {},
        )
        self._engine, self._read_engine = build_engines(self.url, options, create_async_engine)
        self._anchor = MemoryAnchor(self.url)
        self._anchor.attach(self._engine.sync_engine)
        self._anchor.attach(self._read_engine.sync_engine)
        self._sessions = _session_maker(self._engine)
        self._read_sessions = _session_maker(self._read_engine)

    def __repr__(self) -> str:
        shown = self.url.set(query={})  # a query can hold secrets too; `str` masks the password
        return f"Database({str(shown)!r}, name={self.name!r})"

    @property
    def engine(self) -> AsyncEngine:
        """The engine that writes, for ``create_all``, migrations and instrumentation."""
        return self._engine

    @property
    def read_engine(self) -> AsyncEngine:
        """The engine whose transactions cannot write."""
        return self._read_engine

    def session(self) -> UnitOfWork:
        """A session that commits when the ``async with`` block ends well and else rolls back.

        The same unit of work as `SessionDep`, for scripts, jobs, WebSockets and streams.
        On SQLite its first statement takes the write lock: do not hold two at once.
        """
        return UnitOfWork(self._sessions())

    def read_session(self) -> UnitOfWork:
        """As `session`, but the database refuses to write.

        PostgreSQL runs it in a ``READ ONLY`` transaction, SQLite on a ``query_only`` connection.
        """
        return UnitOfWork(self._read_sessions())

    def dependency(self) -> Any:
        """A dependency on this very database, for apps with more than one.

        ``ReportsSession = Annotated[AsyncSession, reports.dependency()]`` has all guarantees of
        `SessionDep`. Its ``.dependency`` is the key for ``app.dependency_overrides``.
        """
        return Depends(_BoundSession(self), scope="function")

    def read_dependency(self) -> Any:
        """As `dependency`, with sessions that cannot write."""
        return Depends(_BoundReadSession(self), scope="function")

    async def ping(self) -> None:
        """Return when the database answers ``SELECT 1``: ``Health(checks={"database": db.ping})``.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: It does not answer, or no connection is free.
        """
        async with self._read_engine.connect() as connection:
            await connection.exec_driver_sql("SELECT 1")

    @asynccontextmanager
    async def lifespan(self, app: object) -> AsyncGenerator[dict[str, Any]]:
        """The app's lifespan, ``FastAPI(lifespan=db.lifespan)``; routes find the database by it.

        Raises:
            ConfigurationError: The database does not answer, or another one of the same name is
                started on the same app.
        """
        with _only_one(app, self):
            async with self:
                if self._check_at_start:
                    await self._require_answer()
                yield {state_key(self.name): self}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._engine.dispose()
        await self._read_engine.dispose()
        self._anchor.close()

    async def _require_answer(self) -> None:
        try:
            await self.ping()
        except SQLAlchemyError as error:
            raise ConfigurationError(
                f"{self!r} does not answer. Start it or correct its URL; to start the app without "
                "it and leave it to a readiness check, pass check_at_start=False"
            ) from error


def state_key(name: str) -> str:
    """Where in the lifespan state the database of this name is."""
    return f"fastapi_kit.db:{name}"


@dataclass(frozen=True, slots=True)
class _BoundSession:
    # Equal for the same database, so that `dependency_overrides` finds it.
    database: Database

    async def __call__(self) -> AsyncIterator[AsyncSession]:
        async with self.database.session() as session:
            yield session


@dataclass(frozen=True, slots=True)
class _BoundReadSession:
    database: Database

    async def __call__(self) -> AsyncIterator[AsyncSession]:
        async with self.database.read_session() as session:
            yield session


def _session_maker(engine: AsyncEngine) -> async_sessionmaker[AsyncSession]:
    return async_sessionmaker(
        engine,
        expire_on_commit=False,  # the response is made of objects that were committed
        close_resets_only=False,  # a streaming body must not reopen the session, and leak it
    )


@contextmanager
def _only_one(app: object, database: Database) -> Generator[None]:
    # Of two lifespans that yield one key the last wins silently, and routes would write to the
    # wrong database.
    state = getattr(app, "state", None)
    if state is None:
        yield
        return
    key = state_key(database.name)
    if getattr(state, key, database) is not database:
        raise ConfigurationError(
            f"Two databases of this app are called {database.name!r}; give the second a name, "
            'Database(url, name="reports"), and reach it by its dependency()'
        )
    setattr(state, key, database)
    try:
        yield
    finally:
        delattr(state, key)
