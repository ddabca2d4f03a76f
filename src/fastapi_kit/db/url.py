"""Database URLs: which driver they mean, and which of them the kit refuses."""

from pydantic import SecretStr
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from fastapi_kit.errors import ConfigurationError

# Plain schemes, as platforms and tutorials write them, and the async driver that each gets.
_ASYNC_DRIVERS = {
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "sqlite": "sqlite+aiosqlite",
}
_SUPPORTED = frozenset(
    {
        "postgresql+asyncpg",
        "postgresql+psycopg",
        "postgresql+psycopg_async",
        "sqlite+aiosqlite",
    }
)
# The driver of the same database for code that is not async.
_SYNC_DRIVERS = {
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
    "sqlite": "sqlite+pysqlite",
    "sqlite+aiosqlite": "sqlite+pysqlite",
    "sqlite+pysqlite": "sqlite+pysqlite",
}
MEMORY_REMEDY = "sqlite:///file:/name?vfs=memdb&uri=true"


def async_url(url: str | URL | SecretStr) -> URL:
    """The URL with the async driver that the kit uses for its database.

    ``postgres://`` and ``postgresql://`` get ``postgresql+psycopg``, ``sqlite://`` gets
    ``sqlite+aiosqlite``; a driver that is named already stays.

    Args:
        url: ``dialect://user:password@host/name``. It never appears in an error as a whole.

    Raises:
        ConfigurationError: The URL cannot be parsed, its driver is not supported, or it names a
            SQLite database in memory that all sessions would share one connection to.
    """
    parsed = _parse(url)
    driver = _ASYNC_DRIVERS.get(parsed.drivername, parsed.drivername)
    return _checked(parsed, driver, _SUPPORTED)


def sync_url(url: str | URL | SecretStr) -> URL:
    """As `async_url`, with the driver for code that is not async: psycopg, or Python's sqlite3.

    Raises:
        ConfigurationError: As for `async_url`.
    """
    parsed = _parse(url)
    driver = _SYNC_DRIVERS.get(parsed.drivername, parsed.drivername)
    return _checked(parsed, driver, frozenset(_SYNC_DRIVERS.values()))


def _checked(url: URL, driver: str, supported: frozenset[str]) -> URL:
    parsed = url.set(drivername=driver)
    if driver not in supported:
        raise ConfigurationError(
            f"The database driver {driver!r} is not supported; "
            f"use one of {', '.join(sorted(supported))}"
        )
    if is_sqlite(parsed) and _shares_one_connection(parsed):
        raise ConfigurationError(
            f"The SQLite database {parsed.database or ':memory:'!r} in memory is refused: sessions "
            "would share one connection and lose each other's committed rows. "
            f"Use a file, or {MEMORY_REMEDY!r} for a database in memory"
        )
    return parsed


def is_sqlite(url: URL) -> bool:
    """Whether the URL is SQLite's, by whatever driver."""
    return url.get_backend_name() == "sqlite"


def is_memdb(url: URL) -> bool:
    """Whether this is SQLite's shared database in memory, which lives while a connection does."""
    return is_sqlite(url) and url.query.get("vfs") == "memdb"


def _parse(url: str | URL | SecretStr) -> URL:
    text = url.get_secret_value() if isinstance(url, SecretStr) else url
    try:
        parsed = make_url(text)
    except (ArgumentError, ValueError):
        parsed = None  # the parser's message can hold a piece of the password: do not chain it
    if parsed is None or _has_second_at(text, parsed):
        raise ConfigurationError(
            "The database URL cannot be parsed; write dialect://user:password@host/name and "
            "percent-encode special characters of the password"
        )
    return parsed


def _has_second_at(text: str | URL, parsed: URL) -> bool:
    # Of a password with an "@" the rest would be read, and shown, as a part of the host or name.
    return isinstance(text, str) and not is_sqlite(parsed) and text.count("@") > 1


def _shares_one_connection(url: URL) -> bool:
    database = url.database or ":memory:"
    return ":memory:" in database or url.query.get("mode") == "memory"
