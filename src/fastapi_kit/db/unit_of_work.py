"""One session from its first statement to its commit or rollback."""

from contextlib import AbstractAsyncContextManager, suppress
from types import TracebackType

from anyio import CancelScope
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session


class UnitOfWork(AbstractAsyncContextManager[AsyncSession, None]):
    """Gives a session; commits it when the block ends well, and rolls it back when it raises.

    Either way the session is closed for good: used again, it raises ``InvalidRequestError``.
    """

    # A class and not a generator: it costs less on every request.
    __slots__ = ("_session",)

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def __aenter__(self) -> AsyncSession:
        return self._session

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # A cancelled caller still finishes here, or its connection would be lost to the pool.
        with CancelScope(shield=True):
            await self._session.run_sync(commit if exc_type is None else discard)


def commit(session: Session) -> None:
    """Commit, or roll back when that fails, and close."""
    try:
        session.commit()
    except BaseException:
        # SQLite stays inside the transaction after a failed COMMIT, and the pool would hand that
        # on to the next request.
        _roll_back(session)
        raise
    finally:
        session.close()


def discard(session: Session) -> None:
    """Roll back and close."""
    try:
        _roll_back(session)
    finally:
        session.close()


def _roll_back(session: Session) -> None:
    # What the caller raised says more than a ROLLBACK that failed: its connection is gone, and
    # the database has rolled back by itself.
    with suppress(SQLAlchemyError):
        session.rollback()
