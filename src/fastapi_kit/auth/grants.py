"""Tokens for a password, and tokens for a refresh token."""

from collections.abc import Awaitable
from datetime import datetime
from inspect import isawaitable
from math import ceil
from typing import Any, Generic, TypeVar

from fastapi_kit.auth.audit import AuditHook, AuthEvent, report
from fastapi_kit.auth.auth import Auth
from fastapi_kit.auth.denylist import ask_store
from fastapi_kit.auth.form import PasswordGrant, RefreshGrant, TokenRequestError
from fastapi_kit.auth.lockout import Lockout, LoginAttempt, LoginLimiter
from fastapi_kit.auth.login import LoginResult, check_login, still_fits
from fastapi_kit.auth.principal import Principal
from fastapi_kit.auth.refresh import (
    RefreshSession,
    RefreshTokens,
    ReusedTokenRefusal,
)
from fastapi_kit.auth.refusal import Refusal
from fastapi_kit.auth.revocation import deny_access_tokens
from fastapi_kit.auth.stores import answered
from fastapi_kit.auth.token_responses import TokenResponse
from fastapi_kit.errors import AppError, TooManyRequestsError

__all__ = ["PasswordGrants", "RefreshGrants"]

UserT = TypeVar("UserT")
ResultT = TypeVar("ResultT")


class PasswordGrants(Generic[UserT]):
    """Logs users in by password (RFC 6749 section 4.3)."""

    def __init__(
        self,
        auth: Auth[UserT],
        *,
        refresh: RefreshTokens | None,
        audit: AuditHook | None,
        limiter: LoginLimiter | None,
        lockout: Lockout | None,
    ) -> None:
        self._auth = auth
        self._refresh = refresh
        self._audit = audit
        self._limiter = limiter
        self._lockout = lockout

    async def __call__(self, grant: PasswordGrant, client: str | None) -> TokenResponse:
        """The tokens of a new session.

        Raises:
            TokenRequestError: The name and password are not an active user's, or a scope is not
                known.
            AppError: The client has to wait, a store is down, or what the limiter raised.
        """
        auth = self._auth
        asked = auth.default_scopes if grant.scopes is None else grant.scopes
        if not asked <= auth.scopes.keys():
            raise TokenRequestError("invalid_scope", "A scope is not known.")
        result = await self._log_in(grant, client)
        if result.user is None:
            raise await self._wrong(client, result.reason, result.subject)
        principal = auth.users.principal(result.user)
        granted = _granted(principal, asked)
        access_token = _access_token(auth, principal, granted, auth.clock())
        refresh_token, session = None, None
        if self._refresh is not None:
            claims = await auth.verify_access_token(access_token)
            refresh_token, session = await self._refresh.start(granted, claims)
        if not await still_fits(
            auth.users, auth.hasher, principal.subject, grant.password, result.password_hash
        ):
            if self._refresh is not None and session is not None:
                await self._refresh.end(session)
            raise await self._wrong(client, "the password was changed", principal.subject)
        event = AuthEvent(
            name="login", subject=principal.subject, client_address=client, session=session
        )
        await report(event, self._audit)
        return _answer(auth, access_token, granted, refresh_token)

    async def _log_in(self, grant: PasswordGrant, client: str | None) -> LoginResult[UserT]:
        await self._ask_limiter(LoginAttempt(grant.username, client))
        if self._lockout is None or client is None:  # nobody could be told from anybody else
            return await self._check(grant)
        wait = await _counted(self._lockout.begin(grant.username, client))
        if wait > 0:
            await self._refused(client, "too many failed attempts")
            raise TooManyRequestsError(
                "There were too many failed attempts; try again later.",
                retry_after_seconds=ceil(wait),
            )
        try:
            result = await self._check(grant)
        except Exception:
            await _counted(self._lockout.abandoned(grant.username, client))
            raise
        if result.user is not None:
            await _counted(self._lockout.succeeded(grant.username, client))
        return result

    async def _check(self, grant: PasswordGrant) -> LoginResult[UserT]:
        return await check_login(
            self._auth.users, self._auth.hasher, grant.username, grant.password
        )

    async def _ask_limiter(self, attempt: LoginAttempt) -> None:
        if self._limiter is None:
            return
        try:
            asked: Any = self._limiter(attempt)
            if isawaitable(asked):
                await asked
        except AppError:
            await self._refused(attempt.client_address, "the limiter refused it")
            raise

    async def _wrong(
        self, client: str | None, reason: str | None, subject: str | None
    ) -> TokenRequestError:
        await self._refused(client, reason, subject=subject)
        return TokenRequestError("invalid_grant", "The user name or password is wrong.")

    async def _refused(
        self, client: str | None, reason: str | None, *, subject: str | None = None
    ) -> None:
        event = AuthEvent(
            name="login_refused", subject=subject, client_address=client, reason=reason
        )
        await report(event, self._audit)


class RefreshGrants(Generic[UserT]):
    """Gives new tokens for a refresh token, which is then used up (RFC 6749 section 6)."""

    def __init__(
        self, auth: Auth[UserT], *, refresh: RefreshTokens, audit: AuditHook | None
    ) -> None:
        self._auth = auth
        self._refresh = refresh
        self._audit = audit

    async def __call__(self, grant: RefreshGrant, client: str | None) -> TokenResponse:
        """The session's next tokens.

        Raises:
            TokenRequestError: The token does not hold, or asks for more than was granted; in the
                latter case it is not used up.
            AppError: A store is down.
        """
        session: RefreshSession | None = None
        try:
            session = await self._refresh.look_up(grant.refresh_token)
            principal = await self._principal_of(session)
            asked = session.scopes if grant.scopes is None else grant.scopes
            if not asked <= session.scopes:
                reason = "a scope was asked for that was not granted at log-in"
                await self._report("refresh_refused", session, client, reason)
                raise TokenRequestError("invalid_scope", "A scope was not granted at log-in.")
            answer = await self._rotated(grant.refresh_token, session, principal, asked)
        except ReusedTokenRefusal as refusal:
            await self._report("refresh_reused", refusal.session, client, refusal.reason)
            await deny_access_tokens(self._auth, refusal.session)
            raise _invalid() from None
        except Refusal as refusal:
            await self._report("refresh_refused", session, client, refusal.reason)
            raise _invalid() from None
        await self._report("refresh", session, client, None)
        return answer

    async def _principal_of(self, session: RefreshSession) -> Principal:
        """What the session's user is and may do now.

        Raises:
            Refusal: There is no such user now. The session is ended.
        """
        auth = self._auth
        if auth.denylist is not None:
            # `Auth.end_all_sessions` tells the deny list alone; what began before it ends here too.
            asked = auth.denylist.is_denied(
                session.id, subject=session.subject, issued_at=session.auth_time
            )
            if await ask_store(asked) is not False:
                await self._refresh.end(session.id)
                raise Refusal("all sessions of the subject were ended")
        user = await auth.users.get(session.subject)
        principal = None if user is None else auth.users.principal(user)
        if principal is None or not principal.active or principal.subject != session.subject:
            await self._refresh.end(session.id)
            raise Refusal("the user is gone or not active")
        return principal

    async def _rotated(
        self, token: str, session: RefreshSession, principal: Principal, asked: frozenset[str]
    ) -> TokenResponse:
        auth = self._auth
        granted = _granted(principal, asked & auth.scopes.keys())
        access_token = _access_token(auth, principal, granted, session.auth_time)
        claims = await auth.verify_access_token(access_token)
        # Only now is anything changed; of several callers with one token, one gets past here.
        successor = await self._refresh.rotate(token, session, claims)
        return _answer(auth, access_token, granted, successor)

    async def _report(
        self,
        name: Any,
        session: RefreshSession | None,
        client: str | None,
        reason: str | None,
    ) -> None:
        event = AuthEvent(
            name=name,
            subject=None if session is None else session.subject,
            session=None if session is None else session.id,
            client_address=client,
            reason=reason,
        )
        await report(event, self._audit)


async def _counted(answer: Awaitable[ResultT]) -> ResultT:
    return await answered(
        answer, by="The lock-out", detail="Log-in is not possible at the moment; try again."
    )


def _granted(principal: Principal, asked: frozenset[str]) -> frozenset[str]:
    return asked if principal.scopes is None else asked & principal.scopes


def _access_token(
    auth: Auth[Any], principal: Principal, scopes: frozenset[str], auth_time: datetime
) -> str:
    return auth.create_access_token(
        subject=principal.subject,
        scopes=scopes,
        roles=principal.roles,
        permissions=principal.permissions,
        auth_time=auth_time,
    )


def _invalid() -> TokenRequestError:
    return TokenRequestError("invalid_grant", "The refresh token is not valid.")


def _answer(
    auth: Auth[Any], access_token: str, scopes: frozenset[str], refresh_token: str | None
) -> TokenResponse:
    return TokenResponse(
        access_token=access_token,
        expires_in=int(auth.access_ttl.total_seconds()),
        scope=" ".join(sorted(scopes)),
        refresh_token=refresh_token,
    )
