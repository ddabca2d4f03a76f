"""What the token endpoint answers, and how OpenAPI tells of it."""

from typing import Any, Final, Literal

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import JSONResponse

from fastapi_kit.auth.form import FORM_TYPE, TokenRequestError
from fastapi_kit.errors import AppError
from fastapi_kit.logs import get_request_id

__all__ = [
    "NO_STORE",
    "REFRESH_FORM",
    "REVOCATION_FORM",
    "TOKEN_ERRORS",
    "TokenErrorResponse",
    "TokenResponse",
    "as_token_error",
    "error_response",
    "token_form",
    "token_response",
]

NO_STORE: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}
"""RFC 6749 section 5.1; on errors too."""
SERVER_ERRORS = 500
_ERROR_OF_STATUS = {429: "temporarily_unavailable", 503: "temporarily_unavailable"}


class TokenResponse(BaseModel):
    """A token was issued (RFC 6749 section 5.1)."""

    access_token: str = Field(repr=False)
    token_type: Literal["bearer"] = "bearer"  # noqa: S105  # its type, not a password
    expires_in: int = Field(description="Seconds from now.")
    scope: str = Field(description="The scopes that were granted, separated by single spaces.")
    refresh_token: str | None = Field(
        default=None, repr=False, description="Gives new tokens, once. Absent without refresh."
    )


class TokenErrorResponse(BaseModel):
    """A token was refused (RFC 6749 section 5.2), with the members of a problem (RFC 9457).

    Clients of OAuth 2.0 look for ``error``; a bare problem they would take for a token.
    """

    error: str
    error_description: str
    type: str
    title: str
    status: int
    detail: str
    instance: str | None = None
    request_id: str | None = None


def token_response(answer: TokenResponse) -> JSONResponse:
    """The answer that carries tokens."""
    return JSONResponse(answer.model_dump(exclude_none=True), headers=NO_STORE)


def error_response(request: Request, error: TokenRequestError) -> JSONResponse:
    """The answer to a request that is refused."""
    body = TokenErrorResponse(
        error=error.error,
        error_description=error.description,
        type=f"/problems/{error.error.replace('_', '-')}",
        title=error.error.replace("_", " ").capitalize(),
        status=error.status,
        detail=error.description,
        instance=request.url.path if error.status < SERVER_ERRORS else None,
        request_id=get_request_id(),
    ).model_dump(exclude_none=True)
    return JSONResponse(body, error.status, headers={**NO_STORE, **error.headers})


def as_token_error(error: AppError) -> TokenRequestError:
    """An error of the app's own as one that OAuth 2.0 clients understand.

    RFC 6749 has no code for "too often" and "down" at the token endpoint; its section 4.1.2.1 has
    ``temporarily_unavailable`` elsewhere, for the same.
    """
    return TokenRequestError(
        _ERROR_OF_STATUS.get(error.status_code, "access_denied"),
        str(error.detail),
        status=error.status_code,
        headers=error.headers,
    )


def _error(description: str) -> dict[str, Any]:
    return {"model": TokenErrorResponse, "description": description}


TOKEN_ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    400: _error("Refused"),
    429: _error("Too many attempts; try again after `Retry-After` seconds"),
    503: _error("Busy or down; try again after `Retry-After` seconds"),
}

_SCOPE = {"type": "string", "description": "Scopes, separated by single spaces."}
_PASSWORD_PROPERTIES = {
    "username": {"type": "string"},
    "password": {"type": "string", "format": "password"},
}
_REFRESH_TOKEN = {"type": "string", "format": "password"}


def _form(title: str, required: list[str], properties: dict[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "title": title, "required": required, "properties": properties}
    return {"requestBody": {"required": True, "content": {FORM_TYPE: {"schema": schema}}}}


def token_form(*, with_refresh: bool) -> dict[str, Any]:
    """What the token route reads, for OpenAPI."""
    if with_refresh:
        return _form(
            "TokenRequest",
            ["grant_type"],
            {
                "grant_type": {"type": "string", "enum": ["password", "refresh_token"]},
                **_PASSWORD_PROPERTIES,
                "refresh_token": _REFRESH_TOKEN,
                "scope": _SCOPE,
            },
        )
    return _form(
        "PasswordGrant",
        ["grant_type", "username", "password"],
        {
            "grant_type": {"type": "string", "const": "password"},
            **_PASSWORD_PROPERTIES,
            "scope": _SCOPE,
        },
    )


REFRESH_FORM: Final = _form(
    "RefreshGrant",
    ["refresh_token"],
    {
        "grant_type": {"type": "string", "const": "refresh_token"},
        "refresh_token": _REFRESH_TOKEN,
        "scope": _SCOPE,
    },
)
REVOCATION_FORM: Final = _form(
    "Revocation",
    ["token"],
    {
        "token": {"type": "string", "format": "password"},
        "token_type_hint": {"type": "string", "examples": ["refresh_token", "access_token"]},
    },
)
