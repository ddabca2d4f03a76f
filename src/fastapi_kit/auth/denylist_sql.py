"""Revoked access tokens kept in a database, by SQLAlchemy."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, cast

from sqlalchemy import (
    BigInteger,
    Column,
    CursorResult,
    MetaData,
    String,
    Table,
    and_,
    delete,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from fastapi_kit.auth.denylist import KEPT
from fastapi_kit.auth.policy import utc_now
from fastapi_kit.auth.principal import MAX_SUBJECT_LENGTH
from fastapi_kit.errors import ConfigurationError

__all__ = ["DenyListSource", "SQLAlchemyDenyList", "deny_list_table"]

TABLE_NAME = "auth_deny_list"
TOKEN, SUBJECT = "t:", "s:"
"""What stands before the identifier of a token, and before the subject of ended sessions."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INSERTS: dict[str, Callable[[Table], postgresql.Insert | sqlite.Insert]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
}


class DenyListSource(Protocol):
    """What gives database sessions, such as `fastapi_kit.db.Database`."""

    def session(self) -> AbstractAsyncContextManager[AsyncSession, Any]:
        """A session that commits when its block ends well, and else rolls back."""
        ...

    def read_session(self) -> AbstractAsyncContextManager[AsyncSession, Any]:
        """A session that only reads; on SQLite it must not wait for who writes."""
        ...


def deny_list_table(metadata: MetaData, *, name: str = TABLE_NAME) -> Table:
    """The table of `SQLAlchemyDenyList` as part of the app's own metadata.

    Call it beside the app's models, so that Alembic and ``create_all`` see it:

        deny_list = SQLAlchemyDenyList(db, deny_list_table(Base.metadata))

    Moments are microseconds since 1970, the same in every database.

    Args:
        metadata: Of the app's models.
        name: The table's name.
    """
    return Table(
        name,
        metadata,
        Column("key", String(MAX_SUBJECT_LENGTH + len(TOKEN)), primary_key=True),
        # Tokens that were issued before are refused; for a single token, all of them are.
        Column("issued_before", BigInteger, nullable=False),
        Column("forget_at", BigInteger, nullable=False, index=True),
    )


class SQLAlchemyDenyList:
    """A `DenyList` in SQLite or PostgreSQL, shared by all workers.

    Each authenticated request costs one look-up by primary key. Call `purge` once a day to keep the
    table small. Its methods raise SQLAlchemy's errors, and `ConfigurationError` for another kind of
    database; `Auth` answers them by 503.

    Args:
        db: Gives sessions; `fastapi_kit.db.Database`, or anything alike.
        table: Made by `deny_list_table`; ``None`` means one on a metadata of its own,
            ``store.table.metadata``, which somebody has to create.
        clock: Tells the time, aware, for `purge`.

    Attributes:
        table: Where they are.
    """

    def __init__(
        self,
        db: DenyListSource,
        table: Table | None = None,
        *,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._db = db
        self._clock = clock
        self.table: Table = deny_list_table(MetaData()) if table is None else table

    async def deny(self, jti: str, *, until: datetime) -> bool:
        """As `DenyList.deny`."""
        forever = _microseconds(datetime.max.replace(tzinfo=UTC))
        return await self._put(TOKEN + jti, forever, forget_at=until)

    async def end_sessions(self, subject: str, *, at: datetime) -> None:
        """As `DenyList.end_sessions`."""
        await self._put(SUBJECT + subject, _microseconds(at), forget_at=at + KEPT)

    async def is_denied(self, jti: str, *, subject: str, issued_at: datetime) -> bool:
        """As `DenyList.is_denied`."""
        columns = self.table.c
        query = select(columns.key).where(
            columns.key.in_([TOKEN + jti, SUBJECT + subject]),
            columns.issued_before > _microseconds(issued_at),
        )
        async with self._db.read_session() as db:
            return (await db.execute(query.limit(1))).first() is not None

    async def purge(self) -> int:
        """Forget what no longer matters; the number of rows.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: The database does not answer.
        """
        statement = delete(self.table).where(self.table.c.forget_at <= _microseconds(self._clock()))
        async with self._db.session() as db:
            return _count(await db.execute(statement))

    async def _put(self, key: str, issued_before: int, *, forget_at: datetime) -> bool:
        columns = self.table.c
        values = {"issued_before": issued_before, "forget_at": _microseconds(forget_at)}
        # Several at once: the primary key lets one in, and RETURNING tells which.
        later = (
            update(self.table)
            .where(
                columns.key == key,
                or_(
                    columns.issued_before < values["issued_before"],
                    and_(
                        columns.issued_before == values["issued_before"],
                        columns.forget_at < values["forget_at"],
                    ),
                ),
            )
            .values(values)
        )
        async with self._db.session() as db:
            insert = _INSERTS.get(db.get_bind().dialect.name)
            if insert is None:
                raise ConfigurationError(
                    f"SQLAlchemyDenyList knows {sorted(_INSERTS)}, not "
                    f"{db.get_bind().dialect.name!r}; write a DenyList of your own"
                )
            new = insert(self.table).values(key=key, **values).on_conflict_do_nothing()
            if (await db.execute(new.returning(columns.key))).first() is not None:
                return True
            await db.execute(later)
            return False


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _count(result: object) -> int:
    return cast("CursorResult[Any]", result).rowcount
