"""The bearer token of a request (RFC 6750 section 2.1), and how OpenAPI tells of it."""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Generic, TypeVar

from fastapi.openapi.models import HTTPBearer, OAuth2, OAuthFlowPassword, OAuthFlows
from fastapi.security.base import SecurityBase
from starlette.requests import HTTPConnection

from fastapi_kit.auth.caller import Caller
from fastapi_kit.auth.dependency import Dependency
from fastapi_kit.auth.exceptions import InvalidTokenError
from fastapi_kit.auth.refusal import Refusal
from fastapi_kit.errors import AppError, ServiceUnavailableError

__all__ = ["BearerScheme", "bearer_token"]

UserT = TypeVar("UserT")

_BEARER = re.compile(r"bearer(?=[\s,]|$)", re.IGNORECASE)
_CREDENTIALS = re.compile(r"bearer +(\S+)", re.IGNORECASE)


def bearer_token(connection: HTTPConnection) -> str | None:
    """The token that the request carries; ``None`` when it carries none.

    Credentials of another scheme (``Basic``) count as none, as RFC 6750 section 3.1 has it.

    Raises:
        Refusal: There are two ``Authorization`` headers, of which a proxy may have checked the
            other, or the one is not ``Bearer``, spaces and one token.
    """
    # The raw headers: ASGI has their names in lower case, and `Headers` takes five times as long.
    headers: list[tuple[bytes, bytes]] = connection.scope["headers"]
    found = [value for name, value in headers if name == b"authorization"]
    if not found:
        return None
    if len(found) > 1:
        raise Refusal("there is more than one Authorization header")
    value = found[0].decode("latin-1")
    credentials = _CREDENTIALS.fullmatch(value)
    if credentials is not None:
        return credentials[1]
    if _BEARER.match(value) is None:
        return None
    raise Refusal("the Authorization header does not hold one token")


class BearerScheme(Dependency, SecurityBase, Generic[UserT]):
    """The dependency beneath all others of one `Auth`: the caller, or ``None``.

    FastAPI shows it in OpenAPI, and Swagger's Authorize button logs in by it, or, without a
    token URL, asks for a token. An override of it in
    ``app.dependency_overrides`` takes the connection and replaces who is calling for every guard of
    that app, as `fastapi_kit.testing.as_user` does.
    """

    def __init__(
        self,
        identify: Callable[[HTTPConnection], Awaitable[Caller[UserT] | None]],
        *,
        token_url: str | None,
        scopes: Mapping[str, str],
        scheme_name: str | None = None,
        asks_store: bool = False,
        unfit_for_production: str | None = None,
    ) -> None:
        model, own_name = _shown(token_url, scopes)
        self.model: OAuth2 | HTTPBearer = model  # pyright: ignore[reportIncompatibleVariableOverride]
        self.scheme_name: str = own_name if scheme_name is None else scheme_name
        self._identify = identify
        self.unfit_for_production: str | None = unfit_for_production
        self.raises: tuple[type[AppError], ...] = (
            (InvalidTokenError, ServiceUnavailableError) if asks_store else (InvalidTokenError,)
        )
        """What it raises, for who builds the OpenAPI schema."""

    async def __call__(self, connection: HTTPConnection) -> Caller[UserT] | None:
        """The caller; raises `InvalidTokenError`."""
        app = connection.scope.get("app")
        overrides = getattr(app, "dependency_overrides", None)
        if overrides and self in overrides:
            # FastAPI applies overrides to what a route names; guards call the scheme themselves.
            caller: Caller[UserT] | None = await overrides[self](connection)
            return caller
        return await self._identify(connection)


def _shown(token_url: str | None, scopes: Mapping[str, str]) -> tuple[OAuth2 | HTTPBearer, str]:
    """What OpenAPI shows, under the name that FastAPI has for it."""
    if token_url is None:
        return HTTPBearer(bearerFormat="JWT"), "HTTPBearer"
    flow = OAuthFlowPassword(tokenUrl=token_url, scopes=dict(scopes))
    return OAuth2(flows=OAuthFlows(password=flow)), "OAuth2PasswordBearer"
