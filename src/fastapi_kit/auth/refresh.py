"""Refresh tokens: opaque, used once, in sessions that end (RFC 6749 section 6, RFC 9700 section 4.14)."""

import hashlib
import re
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hmac import compare_digest
from typing import Protocol, TypeVar

from fastapi_kit.auth.caller import AccessClaims
from fastapi_kit.auth.policy import utc_now
from fastapi_kit.auth.refusal import Refusal
from fastapi_kit.auth.stores import answered
from fastapi_kit.errors import ConfigurationError

__all__ = ["RefreshSession", "RefreshStore", "RefreshTokens", "ReusedTokenRefusal"]

ResultT = TypeVar("ResultT")

SESSION_BYTES = 16
SECRET_BYTES = 32
"""RFC 6749 section 10.10 wants guessing at less than 2**-128; these are 256 bits, and used once."""
_TOKEN = re.compile(r"[A-Za-z0-9_-]{64}")
MAX_ACCESS_TOKENS = 20
"""Remembered of a session, so that ending it can end them too."""


@dataclass(frozen=True, slots=True)
class RefreshSession:
    """A log-in and all that was refreshed from it: what a `RefreshStore` keeps.

    One row per log-in, replaced at each refresh, and no row per token: then the whole family of
    tokens ends by removing one row, which no refresh at the same moment can slip past.
    """

    id: str
    """64 hexadecimal digits, a digest of what all of the session's tokens begin with."""
    subject: str
    """As `Principal.subject`."""
    scopes: frozenset[str]
    """What was granted at log-in; a refresh may ask for less, never for more."""
    token_digest: str = field(repr=False)
    """64 hexadecimal digits, SHA-256 of the one token that may be used next."""
    auth_time: datetime
    """When the user logged in, aware UTC, to the microsecond."""
    expires_at: datetime
    """From when on the token is refused, aware UTC: unused for too long, or the session ends."""
    ends_at: datetime
    """When the session ends, however often it is refreshed, aware UTC; no token lives longer."""
    access_tokens: Mapping[str, datetime] = field(default_factory=dict[str, datetime], repr=False)
    """``jti`` and ``exp`` of the session's access tokens that have not expired; the last 20."""


class RefreshStore(Protocol):
    """Where sessions are kept. Each method is a transaction of its own, committed on return.

    Whatever a method raises is answered by 503, never by "there is no such session". Moments are
    aware UTC, to the microsecond.
    """

    async def add(self, session: RefreshSession) -> None:
        """Keep a new session."""
        ...

    async def get(self, session_id: str) -> RefreshSession | None:
        """The session with this id, or ``None``."""
        ...

    async def replace(self, session: RefreshSession, *, token_digest: str) -> bool:
        """Put this in place of the session with its id, where that still has this token.

        Whether it did so. Of many callers at once with one `token_digest`, exactly one is told yes:
        compare and set in a single step (``UPDATE ... WHERE token_digest = :token_digest`` and a
        row count), never a look and then a write.
        """
        ...

    async def remove(self, session_id: str) -> RefreshSession | None:
        """Remove this session. Gives it as it stood then; ``None`` when it was gone already."""
        ...

    async def remove_all(
        self, subject: str, *, auth_time: datetime | None = None
    ) -> list[RefreshSession]:
        """Remove this subject's sessions, and give them as they stood then.

        Args:
            subject: As `Principal.subject`.
            auth_time: Only those that began at this moment; ``None`` means all.
        """
        ...

    async def purge(self, now: datetime) -> int:
        """Remove the sessions that have expired or ended; gives how many."""
        ...


class ReusedTokenRefusal(Refusal):
    """A refresh token came a second time: it was stolen, or a thief's came first."""

    def __init__(self, session: RefreshSession) -> None:
        super().__init__("the token was used before; its session is ended")
        self.session = session


class RefreshTokens:
    """Issues refresh tokens and takes each of them once; for ``auth_router(auth, refresh=...)``.

    A token has 48 random bytes, of which 32 are new at each refresh; the store has digests only.
    A token that comes a second time ends its session (RFC 9700 section 4.14.2), for whoever came
    first may have been the thief. A client must not send one twice: not from two tabs at once, and
    not again after an answer got lost; it logs in instead.

    Args:
        store: Keeps the sessions: `MemoryRefreshStore`, `SQLAlchemyRefreshStore`, or your own. One
            that fails is answered by 503.
        idle: How long a token may lie unused; a second at least.
        absolute: How long a session lasts in all, until the user logs in again.
        clock: Tells the time, aware; tests give their own.

    Raises:
        ConfigurationError: The durations are not a second <= idle <= absolute, or the clock is
            naive.
    """

    def __init__(
        self,
        store: RefreshStore,
        *,
        idle: timedelta = timedelta(days=14),
        absolute: timedelta = timedelta(days=60),
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        if not timedelta(seconds=1) <= idle <= absolute:
            raise ConfigurationError(
                f"idle={idle} is not from a second to absolute={absolute}; a lifetime of 0 is "
                "not 'for ever'"
            )
        if clock().tzinfo is None:
            raise ConfigurationError("clock() gives a naive datetime; give datetime.now(UTC)")
        self.store = store
        self._idle = idle
        self._absolute = absolute
        self._clock = clock

    async def start(self, scopes: frozenset[str], access: AccessClaims) -> tuple[str, str]:
        """A session that begins with this access token: its first refresh token, and its id.

        Raises:
            ServiceUnavailableError: The store is down.
        """
        now = self._now()
        raw = secrets.token_bytes(SESSION_BYTES + SECRET_BYTES)
        session = RefreshSession(
            id=_session_id(raw),
            subject=access.subject,
            scopes=scopes,
            token_digest=_digest(raw),
            auth_time=access.auth_time or access.issued_at,
            expires_at=now + self._idle,
            ends_at=now + self._absolute,
            access_tokens={access.token_id: access.expires_at},
        )
        await _answered(self.store.add(session))
        return _text(raw), session.id

    async def look_up(self, token: str) -> RefreshSession:
        """The session of a token that may be used now; the token stays as it is.

        Raises:
            ReusedTokenRefusal: It was used before. The session is ended.
            Refusal: It is none of ours, its session is over, or it lay unused for too long.
            ServiceUnavailableError: The store is down.
        """
        raw = _decoded(token) if _TOKEN.fullmatch(token) else b""
        session = await _answered(self.store.get(_session_id(raw))) if raw else None
        if session is None:
            raise Refusal("no session has this token")
        if not compare_digest(session.token_digest, _digest(raw)):
            raise await self._reused(session)
        if self._now() >= session.expires_at:
            await self.end(session.id)
            raise Refusal("the session has expired")
        return session

    async def rotate(self, token: str, session: RefreshSession, access: AccessClaims) -> str:
        """The refresh token that comes in place of this one.

        Args:
            token: The token that is used up.
            session: What `look_up` gave for it.
            access: The access token that goes out with the new one.

        Raises:
            ReusedTokenRefusal: It has been used since it was looked up. The session is ended.
            ServiceUnavailableError: The store is down.
        """
        now = self._now()
        # The beginning stays: by it an old token is known for what it is.
        successor = _decoded(token)[:SESSION_BYTES] + secrets.token_bytes(SECRET_BYTES)
        rotated = replace(
            session,
            token_digest=_digest(successor),
            expires_at=min(now + self._idle, session.ends_at),
            access_tokens=_still_live(session.access_tokens, access, now),
        )
        store = self.store
        if not await _answered(store.replace(rotated, token_digest=session.token_digest)):
            raise await self._reused(session)
        return _text(successor)

    async def end(self, session_id: str) -> RefreshSession | None:
        """End this session; gives it as it was, or ``None`` when it was over already.

        Raises:
            ServiceUnavailableError: The store is down.
        """
        return await _answered(self.store.remove(session_id))

    async def end_by_token(self, token: str) -> RefreshSession | None:
        """End the session of this token, used or not; ``None`` when it has none.

        Raises:
            ServiceUnavailableError: The store is down.
        """
        if _TOKEN.fullmatch(token) is None:
            return None
        return await self.end(_session_id(_decoded(token)))

    async def end_all(
        self, subject: str, *, auth_time: datetime | None = None
    ) -> list[RefreshSession]:
        """End the subject's sessions; gives them as they were.

        Args:
            subject: As `Principal.subject`.
            auth_time: Only the one that began with the log-in of this moment; ``None`` means all.

        Raises:
            ServiceUnavailableError: The store is down.
        """
        return await _answered(self.store.remove_all(subject, auth_time=auth_time))

    async def purge(self) -> int:
        """Remove what has expired from the store; gives how many sessions that were.

        Nothing depends on it but the store's size: call it once a day.

        Raises:
            ServiceUnavailableError: The store is down.
        """
        return await _answered(self.store.purge(self._now()))

    async def _reused(self, session: RefreshSession) -> "ReusedTokenRefusal":
        # As it stood at the end: the thief's latest access tokens are to end with it.
        ended = await self.end(session.id)
        return ReusedTokenRefusal(session if ended is None else ended)

    def _now(self) -> datetime:
        return self._clock().astimezone(UTC)


async def _answered(answer: Awaitable[ResultT]) -> ResultT:
    """What the store answers; whatever it raises is 503, never "there is no such session"."""
    return await answered(
        answer,
        by="The store of refresh tokens",
        detail="Sessions cannot be reached at the moment; try again.",
    )


def _still_live(
    known: Mapping[str, datetime], access: AccessClaims, now: datetime
) -> dict[str, datetime]:
    live = [(token_id, expires_at) for token_id, expires_at in known.items() if now < expires_at]
    return dict([*live, (access.token_id, access.expires_at)][-MAX_ACCESS_TOKENS:])


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode()  # 48 bytes need no padding, and leave no spare bits


def _decoded(token: str) -> bytes:
    return urlsafe_b64decode(token)


def _digest(raw: bytes) -> str:
    # Plain SHA-256: there is nothing to guess in 256 random bits, so nothing to make slow.
    return hashlib.sha256(raw).hexdigest()


def _session_id(raw: bytes) -> str:
    return _digest(raw[:SESSION_BYTES])
