"""A database for code that is not async."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Self

from anyio import CancelScope, CapacityLimiter, Semaphore, fail_after, to_thread
from fastapi import Depends
from pydantic import SecretStr
from sqlalchemy import URL, Engine, create_engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session, sessionmaker

from fastapi_kit.db.engine import EngineOptions, build_engines
from fastapi_kit.db.sqlite import MemoryAnchor, Pragmas, checked_pragmas
from fastapi_kit.db.unit_of_work import commit, discard
from fastapi_kit.db.url import is_sqlite, sync_url
from fastapi_kit.errors import ConfigurationError

_POOL_OPTIONS = frozenset({"max_overflow", "pool", "pool_size", "pool_timeout", "poolclass"})


class SyncDatabase:
    """One database of the app, for routes and services that are not async.

    A `Database` is the better choice for new code: here each request holds a thread while it waits
    for the database. What the two promise is the same: sessions commit before the response, any
    raised error rolls back, SQLite is set up right, read sessions cannot write.

    No more requests hold a session at once than there are connections; further ones wait their
    turn on the event loop, without a thread. Without that bound the threads that wait for a
    connection keep those that have one from ever giving it back.

    ```python
    db = SyncDatabase("postgresql://...")
    SyncSession = Annotated[Session, db.dependency()]
    app = FastAPI(lifespan=db.lifespan)
    ```

    Args:
        url: As for `Database`; PostgreSQL by psycopg, or SQLite.
        pool_size: Connections that are kept open.
        max_overflow: Connections beyond these, closed after use.
        pool_timeout_seconds: How long a request waits for its turn, or a session for a connection,
            before SQLAlchemy's ``TimeoutError``, which `database_errors` answers by 503.
        pool_recycle_seconds: As for `Database`.
        pool_pre_ping: As for `Database`.
        connect_timeout_seconds: As for `Database`.
        busy_timeout_seconds: As for `Database`.
        sqlite_pragmas: As for `Database`.
        check_at_start: As for `Database`.
        echo: As for `Database`.
        engine_options: Further arguments of SQLAlchemy's ``create_engine``, but not the pool's.

    Raises:
        ConfigurationError: The URL or an option cannot be used.
        MissingExtraError: The URL is PostgreSQL's and psycopg is not installed.
    """

    def __init__(
        self,
        url: str | URL | SecretStr,
        *,
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
        self.url: URL = sync_url(url)
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
            extra=_without_pool(engine_options or {}),
        )
        self._engine, self._read_engine = build_engines(self.url, options, create_engine)
        self._anchor = MemoryAnchor(self.url)
        self._anchor.attach(self._engine)
        self._anchor.attach(self._read_engine)
        turns = Semaphore(pool_size + max_overflow)
        writers = Semaphore(1) if is_sqlite(self.url) else turns
        self._sessions = _Sessions(self._engine, writers, pool_timeout_seconds)
        self._read_sessions = _Sessions(self._read_engine, turns, pool_timeout_seconds)

    def __repr__(self) -> str:
        return f"SyncDatabase({str(self.url.set(query={}))!r})"

    @property
    def engine(self) -> Engine:
        """The engine that writes, for ``create_all`` and instrumentation."""
        return self._engine

    @property
    def read_engine(self) -> Engine:
        """The engine whose transactions cannot write."""
        return self._read_engine

    @contextmanager
    def session(self) -> Generator[Session]:
        """A session that commits when the ``with`` block ends well and else rolls back.

        For scripts and jobs; it blocks, and takes no turn among the requests.
        """
        with self._sessions.session() as session:
            yield session

    @contextmanager
    def read_session(self) -> Generator[Session]:
        """As `session`, but the database refuses to write."""
        with self._read_sessions.session() as session:
            yield session

    def dependency(self) -> Any:
        """A dependency that gives a session, for ``Annotated[Session, db.dependency()]``.

        It commits after the route function and before the response is sent. All uses in a request
        share one session. Its ``.dependency`` is the key for ``app.dependency_overrides``.
        Use one kind of session in a request: it takes one turn for each.
        """
        return Depends(self._sessions, scope="function")

    def read_dependency(self) -> Any:
        """As `dependency`, with sessions that cannot write."""
        return Depends(self._read_sessions, scope="function")

    def ping(self) -> None:
        """Return when the database answers: ``Health(checks={"database": db.ping})``.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: It does not answer, or no connection is free.
        """
        with self._read_engine.connect() as connection:
            connection.exec_driver_sql("SELECT 1")

    @asynccontextmanager
    async def lifespan(self, _app: object) -> AsyncGenerator[None]:
        """The app's lifespan, which closes the connections at its end.

        Raises:
            ConfigurationError: The database does not answer.
        """
        with self:
            if self._check_at_start:
                await to_thread.run_sync(self._require_answer)
            yield

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._engine.dispose()
        self._read_engine.dispose()
        self._anchor.close()

    def _require_answer(self) -> None:
        try:
            self.ping()
        except SQLAlchemyError as error:
            raise ConfigurationError(
                f"{self!r} does not answer. Start it or correct its URL; to start the app without "
                "it and leave it to a readiness check, pass check_at_start=False"
            ) from error


class _Sessions:
    """The sessions of one engine; called by FastAPI, those of requests.

    FastAPI's ``Depends(max_concurrency=...)`` would bound the requests too, but each declaration
    by itself, and a request would wait without end.
    """

    def __init__(self, engine: Engine, turns: Semaphore, timeout_seconds: float) -> None:
        self._maker = sessionmaker(engine, expire_on_commit=False, close_resets_only=False)
        self._turns = turns
        self._timeout_seconds = timeout_seconds

    @contextmanager
    def session(self) -> Generator[Session]:
        session = self._maker()
        try:
            yield session
        except BaseException:
            discard(session)
            raise
        commit(session)

    async def __call__(self) -> AsyncIterator[Session]:
        await self._take_turn()
        try:
            session = self._maker()
            try:
                yield session
            except BaseException:
                await _in_thread(discard, session)
                raise
            await _in_thread(commit, session)
        finally:
            self._turns.release()

    async def _take_turn(self) -> None:
        try:
            with fail_after(self._timeout_seconds):
                await self._turns.acquire()
        except TimeoutError as error:
            raise PoolTimeoutError(
                f"No turn for a session within {self._timeout_seconds} seconds"
            ) from error


async def _in_thread(finish: Callable[[Session], None], session: Session) -> None:
    # A limiter of its own: with those of the requests, all threads could be waiting for what is
    # given back here. Shielded, since a cancelled request must give back its connection too.
    with CancelScope(shield=True):
        await to_thread.run_sync(finish, session, limiter=CapacityLimiter(1))


def _without_pool(extra: Mapping[str, Any]) -> Mapping[str, Any]:
    if refused := _POOL_OPTIONS & extra.keys():
        raise ConfigurationError(
            f"engine_options={sorted(refused)} would change the pool, by whose size requests are "
            "bounded; use pool_size, max_overflow and pool_timeout_seconds of SyncDatabase"
        )
    return extra
