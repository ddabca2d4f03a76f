"""`auth_router`: the token endpoint of RFC 6749, revocation by RFC 7009, and log-out."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Final, Generic, Literal, TypeVar

from fastapi import APIRouter, Depends, Response
from starlette.requests import Request

from fastapi_kit.auth.audit import AuditHook, AuthEvent, EventName, report
from fastapi_kit.auth.auth import Auth
from fastapi_kit.auth.caller import Caller
from fastapi_kit.auth.dependency import Unfit
from fastapi_kit.auth.exceptions import InvalidTokenError, NotAuthenticatedError
from fastapi_kit.auth.form import (
    PasswordGrant,
    RefreshGrant,
    TokenRequestError,
    read_form,
    read_grant,
    read_refresh_grant,
    read_revocation,
)
from fastapi_kit.auth.grants import PasswordGrants, RefreshGrants
from fastapi_kit.auth.lockout import Lockout, LoginLimiter, MemoryLockout
from fastapi_kit.auth.names import as_names
from fastapi_kit.auth.refresh import RefreshTokens
from fastapi_kit.auth.revocation import end_every_session, end_session_of, revoke_token
from fastapi_kit.auth.token_responses import (
    NO_STORE,
    REFRESH_FORM,
    REVOCATION_FORM,
    TOKEN_ERRORS,
    TokenResponse,
    as_token_error,
    error_response,
    token_form,
    token_response,
)
from fastapi_kit.errors import (
    AppError,
    ConfigurationError,
    ServiceUnavailableError,
    error_responses,
)

__all__ = ["RouteName", "auth_router"]

UserT = TypeVar("UserT")

RouteName = Literal["token", "refresh", "revoke", "logout", "logout_all"]
ROUTES: Final[tuple[RouteName, ...]] = ("token", "refresh", "revoke", "logout", "logout_all")
Form = Mapping[str, str]


def client_address(request: Request) -> str | None:
    """The address that the request came from, as the server tells it."""
    return None if request.client is None else request.client.host


def auth_router(
    auth: Auth[UserT],
    *,
    refresh: RefreshTokens | None = None,
    include: Collection[RouteName] | None = None,
    audit: AuditHook | None = None,
    limiter: LoginLimiter | None = None,
    lockout: Lockout | bool = True,
    client_address: Callable[[Request], str | None] = client_address,
) -> APIRouter:
    """A router with ``POST token``, where users log in by name and password, and what goes with it.

    Include it so that the token route's path is the `Auth`'s ``token_url``:

        app.include_router(auth_router(auth), prefix="/auth")    # token_url="/auth/token"

    - ``token``: tokens for a password (RFC 6749 section 4.3), or, with `refresh`, for a refresh
      token (section 6). A scope that is not declared is ``invalid_scope``; one that the user may
      not have (`Principal.scopes`) is left out, and the answer's ``scope`` says what was granted.
    - ``refresh``: the latter, for clients that want a path of its own.
    - ``revoke``: ends the session of a refresh token, or an access token (RFC 7009). 200 for any
      token, known or not.
    - ``logout``: ends the caller's session; ``logout-all``: every session of the caller. Both want
      an access token, and answer 204.

    Args:
        auth: Whose users log in.
        refresh: Gives refresh tokens with each log-in; ``None`` gives none.
        include: The routes, by name; ``None`` means ``token``, and with `refresh` all of them. A
            route that could end nothing, without `refresh` and deny list, is an error.
        audit: Is told each `AuthEvent`, which is logged in any case.
        limiter: Is asked before a password is hashed, and refuses by raising
            `TooManyRequestsError`.
        lockout: Makes clients wait that fail too often. ``True`` means `MemoryLockout()`;
            ``False`` means none, where the limiter does as much.
        client_address: Where a request comes from. Never read ``X-Forwarded-For`` here: whoever
            sends it writes it. Tell the server which proxies to trust instead.

    Raises:
        ConfigurationError: `include` names something else, or a route that cannot work: one that
            gives tokens where the `Auth` issues none, or that could end nothing.
        TypeError: `include` is one string instead of a collection.
    """
    names = _checked(include, auth, refresh)
    if isinstance(lockout, bool):
        lockout_or_none: Lockout | None = MemoryLockout(clock=auth.clock) if lockout else None
    else:
        lockout_or_none = lockout
    by_password = PasswordGrants(
        auth, refresh=refresh, audit=audit, limiter=limiter, lockout=lockout_or_none
    )
    routes = _Routes(auth, refresh, by_password, audit, client_address)
    # Nobody who logs in depends on the `Auth`'s own dependencies, which tell the same.
    marks = [Depends(Unfit(reason))] if (reason := auth.scheme.unfit_for_production) else []
    router = APIRouter(tags=["auth"], dependencies=marks)
    add_to: dict[RouteName, Callable[[APIRouter], None]] = {
        "token": routes.add_token,
        "refresh": routes.add_refresh,
        "revoke": routes.add_revoke,
        "logout": routes.add_logout,
        "logout_all": routes.add_logout_all,
    }
    for name in ROUTES:
        if name in names:
            add_to[name](router)
    return router


def _checked(
    include: Collection[RouteName] | None, auth: Auth[Any], refresh: RefreshTokens | None
) -> frozenset[str]:
    if include is None:
        include = ROUTES if refresh is not None else ("token",)
    names = as_names("include", include)
    if unknown := names.difference(ROUTES):
        raise ConfigurationError(
            f"include={sorted(unknown)} are no routes; there are {', '.join(ROUTES)}"
        )
    if not auth.issues_tokens and names & {"token", "refresh"}:
        raise ConfigurationError(
            "this Auth issues no tokens; give it users=... and issuer=TokenIssuer(...)"
        )
    if refresh is None and "refresh" in names:
        raise ConfigurationError(
            "include has 'refresh'; give auth_router(refresh=RefreshTokens(store)) too"
        )
    if refresh is None and auth.denylist is None and (idle := names.difference({"token"})):
        raise ConfigurationError(
            f"include={sorted(idle)} could end nothing; give auth_router(refresh=...), or Auth a "
            "denylist"
        )
    return names


class _Routes(Generic[UserT]):
    """The routes, as methods."""

    def __init__(
        self,
        auth: Auth[UserT],
        refresh: RefreshTokens | None,
        by_password: PasswordGrants[UserT],
        audit: AuditHook | None,
        client_address: Callable[[Request], str | None],
    ) -> None:
        self._auth = auth
        self._refresh = refresh
        self._by_password = by_password
        self._by_refresh = (
            None if refresh is None else RefreshGrants(auth, refresh=refresh, audit=audit)
        )
        self._audit = audit
        self._client_address = client_address

    def add_token(self, router: APIRouter) -> None:
        router.add_api_route(
            "/token",
            self.token,
            methods=["POST"],
            summary="Log in",
            response_model=TokenResponse,
            responses=TOKEN_ERRORS,
            openapi_extra=token_form(with_refresh=self._by_refresh is not None),
        )

    async def token(self, request: Request) -> Response:
        """Give tokens for a user name and password, or for a refresh token (RFC 6749)."""
        return await self._answered(request, self._tokens)

    def add_refresh(self, router: APIRouter) -> None:
        router.add_api_route(
            "/refresh",
            self.refresh,
            methods=["POST"],
            summary="Refresh",
            response_model=TokenResponse,
            responses=TOKEN_ERRORS,
            openapi_extra=REFRESH_FORM,
        )

    async def refresh(self, request: Request) -> Response:
        """Give new tokens for a refresh token, which is then used up (RFC 6749 section 6)."""
        return await self._answered(request, self._only_refreshed)

    def add_revoke(self, router: APIRouter) -> None:
        router.add_api_route(
            "/revoke",
            self.revoke,
            methods=["POST"],
            summary="Revoke a token",
            response_class=Response,
            responses=TOKEN_ERRORS,
            openapi_extra=REVOCATION_FORM,
        )

    async def revoke(self, request: Request) -> Response:
        """End the session of a refresh token, or an access token (RFC 7009)."""
        return await self._answered(request, self._revoked)

    def add_logout(self, router: APIRouter) -> None:
        self._add_ending(router, "/logout", self.logout, "Log out")

    async def logout(self, request: Request) -> Response:
        """End this session: its refresh token, and its access tokens where there is a deny list."""
        caller = await self._caller(request)
        await end_session_of(self._auth, self._refresh, caller.claims)
        await self._report("logout", caller.principal.subject, self._client_address(request))
        return Response(status_code=204, headers=NO_STORE)

    def add_logout_all(self, router: APIRouter) -> None:
        self._add_ending(router, "/logout-all", self.logout_all, "Log out everywhere")

    async def logout_all(self, request: Request) -> Response:
        """End every session of the caller, on all devices."""
        subject = (await self._caller(request)).principal.subject
        await end_every_session(self._auth, self._refresh, subject)
        await self._report("logout_all", subject, self._client_address(request))
        return Response(status_code=204, headers=NO_STORE)

    def _add_ending(
        self,
        router: APIRouter,
        path: str,
        endpoint: Callable[[Request], Awaitable[Response]],
        summary: str,
    ) -> None:
        router.add_api_route(
            path,
            endpoint,
            methods=["POST"],
            summary=summary,
            status_code=204,
            dependencies=[Depends(self._auth.scheme)],
            responses=error_responses(
                NotAuthenticatedError, InvalidTokenError, ServiceUnavailableError
            ),
        )

    async def _tokens(self, form: Form, client: str | None) -> Response:
        grant = read_grant(form)
        if isinstance(grant, PasswordGrant):
            return token_response(await self._by_password(grant, client))
        return await self._refreshed(grant, client)

    async def _only_refreshed(self, form: Form, client: str | None) -> Response:
        return await self._refreshed(read_refresh_grant(form), client)

    async def _refreshed(self, grant: RefreshGrant, client: str | None) -> Response:
        if self._by_refresh is None:
            raise TokenRequestError(
                "unsupported_grant_type", "Only grant_type=password is supported."
            )
        return token_response(await self._by_refresh(grant, client))

    async def _revoked(self, form: Form, client: str | None) -> Response:
        subject, done = await revoke_token(self._auth, self._refresh, read_revocation(form))
        if not done:
            raise TokenRequestError(
                "unsupported_token_type", "Access tokens cannot be revoked here."
            )
        if subject is not None:
            await self._report("revoke", subject, client)
        return Response(headers=NO_STORE)

    async def _answered(
        self, request: Request, answer: Callable[[Form, str | None], Awaitable[Response]]
    ) -> Response:
        try:
            return await answer(await read_form(request), self._client_address(request))
        except TokenRequestError as error:
            return error_response(request, error)
        except AppError as error:
            return error_response(request, as_token_error(error))

    async def _caller(self, request: Request) -> Caller[UserT]:
        caller = await self._auth.scheme(request)
        if caller is None:
            raise NotAuthenticatedError
        return caller

    async def _report(self, name: EventName, subject: str, client: str | None) -> None:
        event = AuthEvent(name=name, subject=subject, client_address=client)
        await report(event, self._audit)
