"""Sessions kept in a database, by SQLAlchemy."""

import json
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, cast

from sqlalchemy import (
    BigInteger,
    Column,
    CursorResult,
    MetaData,
    Row,
    String,
    Table,
    Text,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession

from fastapi_kit.auth.principal import MAX_SUBJECT_LENGTH
from fastapi_kit.auth.refresh import RefreshSession

__all__ = ["SQLAlchemyRefreshStore", "SessionSource", "refresh_sessions_table"]

TABLE_NAME = "auth_refresh_sessions"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class SessionSource(Protocol):
    """What gives database sessions, such as `fastapi_kit.db.Database`."""

    def session(self) -> AbstractAsyncContextManager[AsyncSession, Any]:
        """A session that commits when its block ends well, and else rolls back."""
        ...


def refresh_sessions_table(metadata: MetaData, *, name: str = TABLE_NAME) -> Table:
    """The table of `SQLAlchemyRefreshStore` as part of the app's own metadata.

    Call it beside the app's models, so that Alembic and ``create_all`` see it:

        refresh_sessions = refresh_sessions_table(Base.metadata)
        store = SQLAlchemyRefreshStore(db, refresh_sessions)

    Moments are microseconds since 1970, the same in every database.

    Args:
        metadata: Of the app's models.
        name: The table's name.
    """
    return Table(
        name,
        metadata,
        Column("id", String(64), primary_key=True),
        Column("subject", String(MAX_SUBJECT_LENGTH), nullable=False, index=True),
        Column("scopes", Text, nullable=False),
        Column("token_digest", String(64), nullable=False),
        Column("auth_time", BigInteger, nullable=False),
        Column("expires_at", BigInteger, nullable=False, index=True),
        Column("ends_at", BigInteger, nullable=False),
        Column("access_tokens", Text, nullable=False),
    )


class SQLAlchemyRefreshStore:
    """A `RefreshStore` in SQLite or PostgreSQL, shared by all workers.

    Call `RefreshTokens.purge` once a day to keep the table small. Its methods raise SQLAlchemy's
    errors, which `RefreshTokens` answers by 503.

    Args:
        db: Gives sessions; `fastapi_kit.db.Database`, or anything alike.
        table: Made by `refresh_sessions_table`; ``None`` means one on a metadata of its own,
            ``store.table.metadata``, which somebody has to create.

    Attributes:
        table: Where the sessions are.
    """

    def __init__(self, db: SessionSource, table: Table | None = None) -> None:
        self._db = db
        self.table: Table = refresh_sessions_table(MetaData()) if table is None else table

    async def add(self, session: RefreshSession) -> None:
        """As `RefreshStore.add`."""
        async with self._db.session() as db:
            await db.execute(insert(self.table).values(_row(session)))

    async def get(self, session_id: str) -> RefreshSession | None:
        """As `RefreshStore.get`."""
        async with self._db.session() as db:
            found = await db.execute(select(self.table).where(self.table.c.id == session_id))
            row = found.one_or_none()
        return None if row is None else _session(row)

    async def replace(self, session: RefreshSession, *, token_digest: str) -> bool:
        """As `RefreshStore.replace`."""
        columns = self.table.c
        statement = (
            update(self.table)
            # One statement: the database lets one of many through, and tells us by the row count.
            .where(columns.id == session.id, columns.token_digest == token_digest)
            .values(_row(session))
        )
        async with self._db.session() as db:
            return await _count(db, statement) == 1

    async def remove(self, session_id: str) -> RefreshSession | None:
        """As `RefreshStore.remove`."""
        removed = await self._remove(self.table.c.id == session_id)
        return removed[0] if removed else None

    async def remove_all(
        self, subject: str, *, auth_time: datetime | None = None
    ) -> list[RefreshSession]:
        """As `RefreshStore.remove_all`."""
        which = self.table.c.subject == subject
        if auth_time is not None:
            which &= self.table.c.auth_time == _microseconds(auth_time)
        return await self._remove(which)

    async def purge(self, now: datetime) -> int:
        """As `RefreshStore.purge`."""
        async with self._db.session() as db:
            return await _count(
                db, delete(self.table).where(self.table.c.expires_at <= _microseconds(now))
            )

    async def _remove(self, which: Any) -> list[RefreshSession]:
        # RETURNING: what a refresh at the same moment has just written is in it.
        async with self._db.session() as db:
            found = await db.execute(delete(self.table).where(which).returning(self.table))
            return [_session(row) for row in found]


async def _count(db: AsyncSession, statement: Any) -> int:
    result = cast("CursorResult[Any]", await db.execute(statement))
    return result.rowcount


def _row(session: RefreshSession) -> dict[str, Any]:
    return {
        "id": session.id,
        "subject": session.subject,
        "scopes": " ".join(sorted(session.scopes)),
        "token_digest": session.token_digest,
        "auth_time": _microseconds(session.auth_time),
        "expires_at": _microseconds(session.expires_at),
        "ends_at": _microseconds(session.ends_at),
        "access_tokens": _written(session.access_tokens),
    }


def _session(row: Row[Any]) -> RefreshSession:
    return RefreshSession(
        id=row.id,
        subject=row.subject,
        scopes=frozenset(row.scopes.split()),
        token_digest=row.token_digest,
        auth_time=_moment(row.auth_time),
        expires_at=_moment(row.expires_at),
        ends_at=_moment(row.ends_at),
        access_tokens=_read(row.access_tokens),
    )


def _written(access_tokens: Mapping[str, datetime]) -> str:
    return json.dumps({jti: _microseconds(moment) for jti, moment in access_tokens.items()})


def _read(text: str) -> dict[str, datetime]:
    return {jti: _moment(end) for jti, end in json.loads(text).items()}


def _microseconds(moment: datetime) -> int:
    # In whole numbers: a float would lose the last one or two.
    return (moment - EPOCH) // MICROSECOND


def _moment(microseconds: int) -> datetime:
    return EPOCH + microseconds * MICROSECOND
