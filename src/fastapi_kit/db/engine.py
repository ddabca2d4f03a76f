"""The two engines of a database: one for writing, one that cannot write."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import URL, Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.engine.interfaces import DBAPIConnection, Dialect
from sqlalchemy.exc import DataError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

from fastapi_kit.db.sqlite import Pragmas, prepare_engine
from fastapi_kit.db.types import UnstorableMomentError
from fastapi_kit.db.url import is_sqlite
from fastapi_kit.errors import ConfigurationError, MissingExtraError

EngineT = TypeVar("EngineT", Engine, AsyncEngine)


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """How connections are pooled and made; the arguments of `Database` say what each means."""

    pool_size: int
    max_overflow: int
    pool_timeout_seconds: float
    pool_recycle_seconds: int
    pre_ping: bool
    connect_timeout_seconds: int
    busy_timeout_seconds: float
    pragmas: Pragmas
    echo: bool
    extra: Mapping[str, Any]

    def __post_init__(self) -> None:
        _at_least("pool_size", self.pool_size, 1)
        _at_least("max_overflow", self.max_overflow, 0)
        _at_least("pool_timeout_seconds", self.pool_timeout_seconds, 0)
        _at_least("pool_recycle_seconds", self.pool_recycle_seconds, 1)
        _at_least("connect_timeout_seconds", self.connect_timeout_seconds, 1)
        _at_least("busy_timeout_seconds", self.busy_timeout_seconds, 0)


def _at_least(name: str, value: float, minimum: int) -> None:
    if not value >= minimum:
        raise ConfigurationError(f"{name}={value} is too small; use at least {minimum}")


def build_engines(
    url: URL, options: EngineOptions, create: Callable[..., EngineT]
) -> tuple[EngineT, EngineT]:
    """The engine that writes and the engine that only reads.

    Args:
        url: With the driver.
        options: How connections are pooled and made.
        create: SQLAlchemy's ``create_async_engine`` or ``create_engine``.
    """
    if is_sqlite(url):
        return _sqlite_engines(url, options, create)
    return _postgres_engines(url, options, create)


def core(engine: Engine | AsyncEngine) -> Engine:
    """The engine that has the events and the pool."""
    return engine.sync_engine if isinstance(engine, AsyncEngine) else engine


def _sqlite_engines(
    url: URL, options: EngineOptions, create: Callable[..., EngineT]
) -> tuple[EngineT, EngineT]:
    # SQLite lets one transaction write at a time. With one connection for writing, writers of this
    # process queue in the pool, in order, instead of polling for the lock; the lock's time-out is
    # left for the writers of other processes.
    connect_args = {"isolation_level": None, "timeout": options.busy_timeout_seconds}
    one = {"pool_size": 1, "max_overflow": 0, "pool_pre_ping": False}
    writer = _engine(url, options, create, connect_args, **one)
    patience = {"busy_timeout_seconds": options.busy_timeout_seconds}
    prepare_engine(core(writer), pragmas=options.pragmas, begin="BEGIN IMMEDIATE", **patience)
    reader = _engine(url, options, create, connect_args, pool_pre_ping=False)
    # `query_only` comes last: a new database still has to be switched to WAL.
    read_only = {**options.pragmas, "query_only": "ON"}
    prepare_engine(core(reader), pragmas=read_only, begin="BEGIN", **patience)
    return writer, reader


def _postgres_engines(
    url: URL, options: EngineOptions, create: Callable[..., EngineT]
) -> tuple[EngineT, EngineT]:
    time_out = "timeout" if url.drivername == "postgresql+asyncpg" else "connect_timeout"
    writer = _engine(url, options, create, {time_out: options.connect_timeout_seconds})
    # The same pool. The drivers send BEGIN READ ONLY, which costs no round trip of its own.
    return writer, writer.execution_options(postgresql_readonly=True)


def _engine(
    url: URL,
    options: EngineOptions,
    create: Callable[..., EngineT],
    connect_args: dict[str, Any],
    **pool: Any,
) -> EngineT:
    arguments: dict[str, Any] = {
        "pool_recycle": options.pool_recycle_seconds,
        "pool_pre_ping": options.pre_ping,
        "echo": options.echo,
        "hide_parameters": True,  # the text of an SQL error is logged, and rows hold secrets
    }
    if "poolclass" not in options.extra:  # another class would refuse a queue's arguments
        arguments["pool_size"] = options.pool_size
        arguments["max_overflow"] = options.max_overflow
        arguments["pool_timeout"] = options.pool_timeout_seconds
    arguments |= {**pool, **options.extra}
    arguments["connect_args"] = {**connect_args, **options.extra.get("connect_args", {})}
    try:
        engine = create(url, **arguments)
    except ImportError as error:
        raise _missing_driver(url) from error
    event.listen(core(engine), "do_connect", _connect)
    event.listen(core(engine), "handle_error", _raise_data_error)
    return engine


def _missing_driver(url: URL) -> ConfigurationError:
    package = url.get_driver_name().removesuffix("_async")
    if package == "psycopg":
        return MissingExtraError("A PostgreSQL database", package=package, extra="postgres")
    return ConfigurationError(
        f"The driver {package!r} of {url.drivername!r} is not installed; install it, or use "
        "postgresql:// with the extra fastapi-kit[postgres]"
    )


def _connect(
    dialect: Dialect, _record: object, cargs: list[Any], cparams: dict[str, Any]
) -> DBAPIConnection:
    # asyncpg reports a refused or timed-out connection as a bare OSError, which nobody could tell
    # from a file's.
    try:
        return dialect.connect(*cargs, **cparams)
    except OSError as error:
        raise OperationalError(None, None, error, connection_invalidated=True) from error


def _raise_data_error(context: ExceptionContext) -> None:
    # An integer beyond 64 bits or a lone surrogate fails while a driver binds it, as a bare
    # OverflowError or UnicodeError; a moment without an offset while SQLAlchemy does. They are
    # values that the database cannot hold, like any other.
    error = context.original_exception
    bare = context.sqlalchemy_exception is None and isinstance(error, (OverflowError, UnicodeError))
    if bare or isinstance(error, UnstorableMomentError):
        raise DataError(context.statement, None, error, hide_parameters=True)
