"""Sessions kept in memory."""

from datetime import datetime, timedelta

from fastapi_kit.auth.refresh import RefreshSession

__all__ = ["MemoryRefreshStore"]

PURGE_EVERY = timedelta(hours=1)


class MemoryRefreshStore:
    """A `RefreshStore` that lives and ends with the process: for one worker, examples and tests.

    Restarting the app logs everybody out. Several workers need a store that they share.
    """

    def __init__(self) -> None:
        self._sessions: dict[str, RefreshSession] = {}
        self._purge_at: datetime | None = None

    def __len__(self) -> int:
        return len(self._sessions)

    # No method awaits anything, so nothing comes between its steps.

    async def add(self, session: RefreshSession) -> None:
        """As `RefreshStore.add`; now and then removes what has expired."""
        began = session.auth_time
        if self._purge_at is None or began >= self._purge_at:
            await self.purge(began)
            self._purge_at = began + PURGE_EVERY
        self._sessions[session.id] = session

    async def get(self, session_id: str) -> RefreshSession | None:
        """As `RefreshStore.get`."""
        return self._sessions.get(session_id)

    async def replace(self, session: RefreshSession, *, token_digest: str) -> bool:
        """As `RefreshStore.replace`."""
        present = self._sessions.get(session.id)
        if present is None or present.token_digest != token_digest:
            return False
        self._sessions[session.id] = session
        return True

    async def remove(self, session_id: str) -> RefreshSession | None:
        """As `RefreshStore.remove`."""
        return self._sessions.pop(session_id, None)

    async def remove_all(
        self, subject: str, *, auth_time: datetime | None = None
    ) -> list[RefreshSession]:
        """As `RefreshStore.remove_all`."""
        found = [
            session
            for session in self._sessions.values()
            if session.subject == subject and auth_time in {None, session.auth_time}
        ]
        for session in found:
            del self._sessions[session.id]
        return found

    async def purge(self, now: datetime) -> int:
        """As `RefreshStore.purge`."""
        over = [session.id for session in self._sessions.values() if session.expires_at <= now]
        for session_id in over:
            del self._sessions[session_id]
        return len(over)
