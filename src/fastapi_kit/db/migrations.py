"""The database's schema, brought up to date by Alembic when the app starts.

Needs the extra ``migrations``.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from anyio import CancelScope, current_time, sleep
from sqlalchemy import Connection, MetaData, func, select
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from fastapi_kit.db.database import Database
from fastapi_kit.db.errors import error_code
from fastapi_kit.db.sync import SyncDatabase
from fastapi_kit.db.types import UTCDateTime
from fastapi_kit.errors import ConfigurationError, MissingExtraError

try:
    from alembic import command, context
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory
except ImportError as _error:  # pragma: no cover  # tested in a process of its own
    raise MissingExtraError(
        "fastapi_kit.db.migrations", package="alembic", extra="migrations"
    ) from _error

__all__ = ["DatabaseBehindError", "Migrations", "run_migrations"]

# Any number will do, as long as nobody else in the database locks it.
_ADVISORY_LOCK = 3278274548
_POLL_SECONDS = 0.1


class DatabaseBehindError(RuntimeError):
    """The database's schema is older than the app; the message names the missing revisions."""


class Migrations:
    """The app's migrations: upgraded at start under a lock, and known to the readiness check.

    ```python
    migrations = Migrations(db, Path(__file__).parent / "migrations")
    app = FastAPI(lifespan=compose(db.lifespan, migrations.lifespan))
    app.include_router(Health(checks={"migrations": migrations.check}).router)
    ```

    Several workers can start at once: one upgrades and the others wait for it, on PostgreSQL for an
    advisory lock, on SQLite for the write lock. A database that is up to date is not locked.

    Args:
        database: What is upgraded.
        directory: Alembic's script directory, with ``env.py`` and ``versions``; see
            `run_migrations`.
        version_table: Where Alembic keeps the revision.
        lock_timeout_seconds: How long to wait for another worker's upgrade.

    Raises:
        ConfigurationError: There is no ``env.py`` in the directory.
    """

    def __init__(
        self,
        database: Database,
        directory: Path | str,
        *,
        version_table: str = "alembic_version",
        lock_timeout_seconds: float = 300,
    ) -> None:
        if not (Path(directory) / "env.py").is_file():
            raise ConfigurationError(
                f"directory={str(directory)!r} has no env.py; make it by `alembic init`"
            )
        self._database = database
        self._directory = Path(directory)
        self._version_table = version_table
        self._lock_timeout_seconds = lock_timeout_seconds

    async def upgrade(self) -> None:
        """Bring the database to the newest schema; return at once when it has it.

        On SQLite the whole upgrade is one transaction, without enforced foreign keys, which are
        checked before it commits; so tables can be copied to be altered. On PostgreSQL Alembic
        makes the transactions, and ``autocommit_block`` works.
        A database that a newer app has upgraded already is left as it is.

        Raises:
            TimeoutError: Another worker held the lock for too long.
            sqlalchemy.exc.SQLAlchemyError: A step failed; what its transaction did is rolled back.
        """
        if not await self._missing():
            return
        async with self._locked() as connection:
            await connection.run_sync(self._upgrade)

    async def check(self) -> None:
        """Return when the database has the app's schema, or a newer one.

        Raises:
            DatabaseBehindError: It is behind.
            sqlalchemy.exc.SQLAlchemyError: It does not answer.
        """
        if missing := await self._missing():
            raise DatabaseBehindError(
                f"The database is behind the app: {sorted(missing)} are missing; "
                "run the migrations, Migrations(...).upgrade()"
            )

    @asynccontextmanager
    async def lifespan(self, _app: object) -> AsyncGenerator[None]:
        """`upgrade` as a part of the app's lifespan, after the database's."""
        await self.upgrade()
        yield

    @cached_property
    def _scripts(self) -> ScriptDirectory:
        return ScriptDirectory.from_config(self._config())

    def _config(self) -> Config:
        config = Config(attributes={"version_table": self._version_table})
        config.set_main_option("script_location", str(self._directory).replace("%", "%%"))
        return config

    async def _missing(self) -> set[str]:
        async with self._database.read_engine.connect() as connection:
            return await connection.run_sync(self._missing_in)

    def _missing_in(self, connection: Connection) -> set[str]:
        """The newest revisions, as far as the database does not have them."""
        options = {"version_table": self._version_table}
        current = MigrationContext.configure(connection, opts=options).get_current_heads()
        known = {script.revision for script in self._scripts.walk_revisions()}
        if not known.issuperset(current):
            return set()  # a newer app was here, and this one is being replaced
        applied = {script.revision for script in self._scripts.get_all_current(current)}
        return set(self._scripts.get_heads()) - applied

    def _upgrade(self, connection: Connection) -> None:
        missing = self._missing_in(connection)  # another worker may have done it meanwhile
        if not _is_sqlite(connection):
            connection.commit()  # Alembic makes no transactions of its own within one
        if missing:
            config = self._config()
            config.attributes["connection"] = connection
            command.upgrade(config, "heads")
        if _is_sqlite(connection):
            connection.commit()

    @asynccontextmanager
    async def _locked(self) -> AsyncGenerator[AsyncConnection]:
        async with self._database.engine.connect() as connection:
            try:
                await self._lock(connection)
                yield connection
            finally:
                # It goes, with its lock and its foreign keys off, instead of back to the pool.
                with CancelScope(shield=True):
                    await connection.invalidate()

    async def _lock(self, connection: AsyncConnection) -> None:
        # Polled, because waiting inside of PostgreSQL would be an open statement, for whose end a
        # CREATE INDEX CONCURRENTLY of the one that has the lock would wait.
        deadline = current_time() + self._lock_timeout_seconds
        while not await connection.run_sync(_try_lock):
            if current_time() >= deadline:
                raise TimeoutError(
                    f"Another worker has been upgrading {self._database!r} for more than "
                    f"{self._lock_timeout_seconds} seconds; see what it does, or raise "
                    "lock_timeout_seconds"
                )
            await sleep(_POLL_SECONDS)


def run_migrations(metadata: MetaData, **options: Any) -> None:
    """All that an ``env.py`` has to do: ``run_migrations(Base.metadata)``.

    Called by `Migrations` it uses that one's connection. Called by Alembic's own command line it
    connects to ``sqlalchemy.url`` of ``alembic.ini``, for ``alembic revision --autogenerate``.
    SQLite's tables are altered by copying (``render_as_batch``).

    Args:
        metadata: Of the models, all of which the ``env.py`` has to import.
        **options: Further arguments of Alembic's ``context.configure``.

    Raises:
        ConfigurationError: Called by the command line, without ``sqlalchemy.url``.
        sqlalchemy.exc.IntegrityError: On SQLite, a migration broke a foreign key.
    """
    given: Connection | None = context.config.attributes.get("connection")
    if given is not None:
        _run(given, metadata, options)
        return
    url = context.config.get_main_option("sqlalchemy.url")
    if url is None:
        raise ConfigurationError(
            "alembic.ini has no sqlalchemy.url; add it, so that the command line finds a database"
        )
    database = SyncDatabase(url, sqlite_pragmas={"foreign_keys": "OFF"})
    with database, database.engine.connect() as connection:
        if _is_sqlite(connection):
            connection.begin()
        _run(connection, metadata, options)
        connection.commit()


def _run(connection: Connection, metadata: MetaData, options: dict[str, Any]) -> None:
    defaults: dict[str, Any] = {
        "version_table": context.config.attributes.get("version_table", "alembic_version"),
        "render_as_batch": _is_sqlite(connection),
        "render_item": _render_item,
    }
    before = _broken_foreign_keys(connection)
    context.configure(connection=connection, target_metadata=metadata, **(defaults | options))
    with context.begin_transaction():
        context.run_migrations()
    if broken := _broken_foreign_keys(connection) - before:
        tables = sorted({(table, parent) for table, _rowid, parent, _number in broken})
        raise IntegrityError(
            "PRAGMA foreign_key_check",
            None,
            ValueError(f"a migration left rows without what they refer to: {tables}"),
        )


def _broken_foreign_keys(connection: Connection) -> set[tuple[Any, ...]]:
    # SQLite's are not enforced meanwhile.
    if not _is_sqlite(connection):
        return set()
    return {tuple(row) for row in connection.exec_driver_sql("PRAGMA foreign_key_check")}


def _render_item(kind: str, item: Any, _context: object) -> str | Literal[False]:
    # What a migration says should not change with the kit.
    if kind == "type" and isinstance(item, UTCDateTime):
        return "sa.DateTime(timezone=True)"
    return False


def _is_sqlite(connection: Connection) -> bool:
    return connection.dialect.name == "sqlite"


def _try_lock(connection: Connection) -> bool:
    if not _is_sqlite(connection):
        locked = connection.scalar(select(func.pg_try_advisory_lock(_ADVISORY_LOCK)))
        connection.commit()  # the lock is the session's
        return bool(locked)
    cursor = connection.connection.cursor()  # within a transaction the pragma would do nothing
    cursor.execute("PRAGMA foreign_keys=OFF")
    cursor.close()
    try:
        connection.begin()
    except OperationalError as error:
        if error_code(error) != "SQLITE_BUSY":
            raise
        return False
    return True
