"""Access tokens that hold no longer, though they have not expired."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Protocol, TypeVar

from fastapi_kit.auth.caller import AccessClaims
from fastapi_kit.auth.policy import MAX_LEEWAY, MAX_TTL, utc_now
from fastapi_kit.auth.refusal import Refusal
from fastapi_kit.auth.stores import answered

__all__ = ["DenyList", "MemoryDenyList", "ask_store", "require_not_denied", "revoke", "spend"]

ResultT = TypeVar("ResultT")

KEPT = MAX_TTL + MAX_LEEWAY
"""How long an end of sessions matters: as long as the longest token could hold."""


class DenyList(Protocol):
    """Where revoked access tokens are kept: any object with these methods.

    Revocation as RFC 7009 has it. It is asked on each authenticated request. Where several
    processes serve, they must share it. Whatever a method raises is answered by 503: a token is
    never let through because nobody knows.

    Identifiers and subjects have 1 to 255 printable characters; moments are aware, and matter to
    the microsecond.
    """

    async def deny(self, jti: str, *, until: datetime) -> bool:
        """Refuse the token with this identifier; ``False`` if it was refused already.

        Of several callers at once, one is told ``True``. After ``until``, an aware moment, it may
        be forgotten.
        """
        ...

    async def end_sessions(self, subject: str, *, at: datetime) -> None:
        """Refuse every token of the subject that was issued before this aware moment.

        A later end replaces an earlier one, never the other way round. It may be forgotten after
        `TokenPolicy`'s longest lifetime and leeway, 366 days and 5 minutes.
        """
        ...

    async def is_denied(self, jti: str, *, subject: str, issued_at: datetime) -> bool:
        """Whether this token is refused, by its identifier or by an end of sessions.

        Only a plain ``False`` lets it through. `issued_at` is its ``iat``.
        """
        ...


class MemoryDenyList:
    """A `DenyList` that lives and ends with the process: for one process, and for tests.

    A restart forgets it, and tokens that were revoked hold again until they expire.

    Args:
        clock: Tells the time, aware; what no longer matters is forgotten by it.
    """

    def __init__(self, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._clock = clock
        self._denied: dict[str, datetime] = {}
        self._ended: dict[str, datetime] = {}
        self._purge_at = clock()

    async def deny(self, jti: str, *, until: datetime) -> bool:
        """As `DenyList.deny`."""
        self._purge()
        known = self._denied.get(jti)
        self._denied[jti] = until if known is None else max(known, until)
        return known is None

    async def end_sessions(self, subject: str, *, at: datetime) -> None:
        """As `DenyList.end_sessions`."""
        self._purge()
        self._ended[subject] = max(at, self._ended.get(subject, at))

    async def is_denied(self, jti: str, *, subject: str, issued_at: datetime) -> bool:
        """As `DenyList.is_denied`."""
        ended = self._ended.get(subject)
        return jti in self._denied or (ended is not None and issued_at < ended)

    def __len__(self) -> int:
        return len(self._denied) + len(self._ended)

    def _purge(self) -> None:
        now = self._clock()
        if now < self._purge_at:
            return
        self._purge_at = now + PURGE_EVERY
        self._denied = {jti: until for jti, until in self._denied.items() if now < until}
        self._ended = {subject: at for subject, at in self._ended.items() if now < at + KEPT}


PURGE_EVERY = MAX_LEEWAY


async def require_not_denied(store: DenyList, claims: AccessClaims) -> None:
    """Refuse a token that was revoked.

    Raises:
        Refusal: It was.
        ServiceUnavailableError: The store does not say.
    """
    asked = store.is_denied(claims.token_id, subject=claims.subject, issued_at=claims.issued_at)
    denied: object = await ask_store(asked)
    if denied is not False:  # fails closed when a store forgets to answer
        raise Refusal("the token was revoked")


async def revoke(store: DenyList, token_id: str, expires_at: datetime) -> bool:
    """Refuse a token for as long as any leeway could accept it; ``False`` if it was refused before.

    Raises:
        ServiceUnavailableError: The store does not answer.
    """
    return await ask_store(store.deny(token_id, until=expires_at + MAX_LEEWAY))


async def spend(store: DenyList, token_id: str, expires_at: datetime) -> None:
    """Use a token up.

    Raises:
        Refusal: Someone has used it before.
        ServiceUnavailableError: The store does not answer.
    """
    first: object = await revoke(store, token_id, expires_at)
    if first is not True:
        raise Refusal("the token was used before")


async def ask_store(answer: Awaitable[ResultT]) -> ResultT:
    """The deny list's answer.

    Raises:
        ServiceUnavailableError: It gives none.
    """
    return await answered(
        answer,
        by="The deny list",
        detail="Whether the access token still holds cannot be told now.",
    )
