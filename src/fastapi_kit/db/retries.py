"""Transactions that are tried again where the database asks for it."""

import random
from collections.abc import Awaitable, Callable
from typing import Any, Literal, TypeVar

from anyio import sleep
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from fastapi_kit.db.database import Database
from fastapi_kit.db.errors import error_code
from fastapi_kit.db.url import is_sqlite
from fastapi_kit.errors import ConfigurationError

ResultT = TypeVar("ResultT")

# After these the database has rolled back for certain, and asks to try again. Not so a connection
# that is lost: the COMMIT may have been done.
_ROLLED_BACK = frozenset({"40001", "40P01", "SQLITE_BUSY_SNAPSHOT"})
_FIRST_PAUSE_SECONDS = 0.01


async def run_transaction(
    database: Database,
    work: Callable[[AsyncSession], Awaitable[ResultT]],
    *,
    isolation_level: Literal["REPEATABLE READ", "SERIALIZABLE"] | None = None,
    attempts: int = 5,
) -> ResultT:
    """What ``work`` gives, in a unit of work that is tried again when others stood in its way.

    A serialisation failure or a deadlock rolls back, and the next attempt starts afresh, with a
    session of its own, after a short random pause. When the last one fails too, its error is
    raised, which `database_errors` answers by 503.

    Args:
        database: Where to work; in a route, `DatabaseDep`.
        work: Called with a session, once per attempt: what it does beside the database is done
            each time.
        isolation_level: Of PostgreSQL's transaction; `None` means the server's. ``SERIALIZABLE``
            makes concurrent transactions as good as one after the other, which SQLite's always are.
        attempts: How often it is tried at most.

    Raises:
        ConfigurationError: ``attempts`` is below 1.
        sqlalchemy.exc.DBAPIError: No attempt succeeded.
    """
    if attempts < 1:
        raise ConfigurationError(f"attempts={attempts} would never run it; use at least 1")
    options: dict[str, Any] = {}
    if isolation_level is not None and not is_sqlite(database.url):
        options["isolation_level"] = isolation_level
    for attempt in range(1, attempts):
        try:
            return await _once(database, work, options)
        except DBAPIError as error:
            if error_code(error) not in _ROLLED_BACK:
                raise
        # Random, so that those who collided do not collide again.
        await sleep(random.uniform(0, _FIRST_PAUSE_SECONDS * 2**attempt))  # noqa: S311
    return await _once(database, work, options)


async def _once(
    database: Database,
    work: Callable[[AsyncSession], Awaitable[ResultT]],
    options: dict[str, Any],
) -> ResultT:
    async with database.session() as session:
        if options:
            await session.connection(execution_options=options)
        return await work(session)
