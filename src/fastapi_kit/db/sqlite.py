"""SQLite held right: pragmas on every connection, and a BEGIN that loses no update.

Python's driver begins a transaction too late (at the first write) and deferred, so of 400
concurrent read-modify-writes 384 are lost, or 361 fail with "database is locked" once BEGIN is
sent but deferred. Here writers send ``BEGIN IMMEDIATE`` and readers ``BEGIN``.
"""

import re
import sqlite3
import time
from asyncio import CancelledError, sleep
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, cast

from sqlalchemy import URL, Connection, event
from sqlalchemy.engine import AdaptedConnection, Engine
from sqlalchemy.exc import OperationalError

from fastapi_kit.db.url import is_memdb
from fastapi_kit.errors import ConfigurationError

Pragmas = Mapping[str, str | int]

DEFAULT_PRAGMAS: Pragmas = {
    "journal_mode": "WAL",  # readers and the writer do not wait for each other
    "synchronous": "NORMAL",  # with WAL, safe against a crash of the process
    "foreign_keys": "ON",
}
_POLL_SECONDS = 0.01
_PRIMARY_CODE = 0xFF  # beyond it lies what kind of busy it is
_WORD = re.compile(r"[A-Za-z0-9_-]+")


def checked_pragmas(pragmas: Pragmas | None) -> Pragmas:
    """The default pragmas with the user's laid over them.

    Raises:
        ConfigurationError: A name or a value is not one plain word.
    """
    merged = {**DEFAULT_PRAGMAS, **(pragmas or {})}
    for name, value in merged.items():
        if not (_WORD.fullmatch(name) and _WORD.fullmatch(str(value))):
            raise ConfigurationError(
                f"sqlite_pragmas={{{name!r}: {value!r}}} is not a plain pragma; "
                "name and value are one word each"
            )
    return merged


def prepare_engine(
    engine: Engine, *, pragmas: Pragmas, begin: str, busy_timeout_seconds: float
) -> None:
    """Have every new connection take the pragmas, and every transaction start with ``begin``."""

    def on_connect(connection: Any, _record: object) -> None:
        deadline = time.monotonic() + busy_timeout_seconds
        cursor = connection.cursor()
        for name, value in pragmas.items():
            while not _executed(cursor, f"PRAGMA {name}={value}", deadline):
                _pause(connection)
        cursor.close()

    def on_begin(connection: Connection) -> None:
        _begin(connection, begin)

    event.listen(engine, "connect", on_connect)
    event.listen(engine, "begin", on_begin)
    event.listen(engine, "invalidate", _roll_back_before_close)


def _executed(cursor: Any, pragma: str, deadline: float) -> bool:
    # SQLite's own time-out does not count here: of two processes that switch a new file to WAL at
    # once, one is told at once that it is locked.
    try:
        cursor.execute(pragma)
    except sqlite3.OperationalError as error:
        # SQLAlchemy's adapter raises some of its own, without a code.
        busy = getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE == sqlite3.SQLITE_BUSY
        if not busy or time.monotonic() >= deadline:
            raise
        return False
    return True


def _pause(connection: sqlite3.Connection | AdaptedConnection) -> None:
    if isinstance(connection, AdaptedConnection):  # the event loop goes on
        connection.run_async(lambda _driver: sleep(_POLL_SECONDS))
    else:
        time.sleep(_POLL_SECONDS)


def _begin(connection: Connection, statement: str) -> None:
    # `exec_driver_sql` would cross to aiosqlite's thread three times (cursor, execute, close); this
    # crosses once. SQLAlchemy does not wrap what an event raises, so it is done here.
    driver = connection.connection.dbapi_connection
    try:
        if isinstance(driver, sqlite3.Connection):
            driver.execute(statement)
        else:
            cast("AdaptedConnection", driver).run_async(lambda driver: driver.execute(statement))
    except sqlite3.Error as error:
        raise OperationalError(statement, None, error) from error


def _roll_back_before_close(connection: Any, _record: object, _reason: object) -> None:
    # SQLAlchemy closes the connection of a cancelled statement. SQLite only marks it as closed
    # while a cursor lives, and the cursor of a cancelled statement lives until the garbage
    # collector runs: until then it would keep the write lock.
    # Awaiting may be cancelled once more, but by then the driver's thread has its order.
    with suppress(Exception, CancelledError):
        connection.rollback()


class MemoryAnchor:
    """Keeps a ``memdb`` database alive from its first connection until the `Database` closes.

    SQLite drops a database in memory with its last connection, and a pool may close any of its own.
    """

    def __init__(self, url: URL) -> None:
        self._url = url
        self._connection: sqlite3.Connection | None = None

    def attach(self, engine: Engine) -> None:
        """Open with the engine's first connection; a URL that is not in memory needs none."""
        if is_memdb(self._url):
            event.listen(engine, "connect", self._open)

    def _open(self, _connection: object, _record: object) -> None:
        if self._connection is None:
            # Opening a database in memory touches no disk, so it may happen on the event loop.
            self._connection = sqlite3.connect(
                f"{self._url.database}?vfs=memdb", uri=True, check_same_thread=False
            )

    def close(self) -> None:
        """Let the database go, with all that is in it."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
