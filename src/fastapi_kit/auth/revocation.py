"""Ending sessions: their refresh tokens, and the access tokens that came with them."""

from typing import Any

from fastapi_kit.auth.auth import Auth
from fastapi_kit.auth.caller import AccessClaims
from fastapi_kit.auth.denylist import ask_store
from fastapi_kit.auth.exceptions import InvalidTokenError
from fastapi_kit.auth.policy import MAX_LEEWAY
from fastapi_kit.auth.refresh import RefreshSession, RefreshTokens

__all__ = ["deny_access_tokens", "end_every_session", "end_session_of", "revoke_token"]


async def end_every_session(auth: Auth[Any], refresh: RefreshTokens | None, subject: str) -> None:
    """End all sessions of this subject: after a password change, for "log out everywhere".

    No refresh token of the subject works from now on, and, where the `Auth` has a deny list, no
    access token; else those that are out hold until they expire. Store the new password first, so
    that nobody logs in with the old one in between.

    Args:
        auth: Whose deny list is told.
        refresh: As given to `auth_router`; ``None`` where there are no refresh tokens.
        subject: As `Principal.subject`.

    Raises:
        ServiceUnavailableError: A store is down. Some sessions may go on: try again.
    """
    if refresh is not None:
        await refresh.end_all(subject)
    if auth.denylist is not None:
        await auth.end_all_sessions(subject)


async def end_session_of(
    auth: Auth[Any], refresh: RefreshTokens | None, claims: AccessClaims
) -> None:
    """End the session that this access token belongs to: its subject's, of the same log-in."""
    if refresh is not None:
        moment = claims.auth_time or claims.issued_at
        for session in await refresh.end_all(claims.subject, auth_time=moment):
            await deny_access_tokens(auth, session)
    if auth.denylist is not None:
        await auth.deny(claims)


async def revoke_token(
    auth: Auth[Any], refresh: RefreshTokens | None, token: str
) -> tuple[str | None, bool]:
    """Revoke a refresh or access token (RFC 7009 section 2).

    Whose it was, ``None`` for one that is unknown or over; and whether such a token can be revoked
    here at all.
    """
    session = None if refresh is None else await refresh.end_by_token(token)
    if session is not None:
        await deny_access_tokens(auth, session)
        return session.subject, True
    try:
        claims = await auth.verify_access_token(token)
    except InvalidTokenError:
        return None, True  # section 2.2: an invalid token needs no revoking
    if auth.denylist is None:
        return claims.subject, False
    await auth.deny(claims)
    return claims.subject, True


async def deny_access_tokens(auth: Auth[Any], session: RefreshSession) -> None:
    """Refuse the access tokens of a session that has ended, where there is a deny list.

    Raises:
        ServiceUnavailableError: The deny list is down: the tokens hold until they expire.
    """
    if auth.denylist is None:
        return
    for token_id, expires_at in session.access_tokens.items():
        await ask_store(auth.denylist.deny(token_id, until=expires_at + MAX_LEEWAY))
