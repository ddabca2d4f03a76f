"""The form of a token request, read as RFC 6749 wants it rather than as browsers send them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request

from fastapi_kit.auth.names import is_scope_token

__all__ = [
    "FORM_TYPE",
    "PasswordGrant",
    "RefreshGrant",
    "TokenRequestError",
    "read_form",
    "read_grant",
    "read_refresh_grant",
    "read_revocation",
]

FORM_TYPE = "application/x-www-form-urlencoded"
MAX_BODY_BYTES = 16 * 1024
MAX_PARAMETERS = 32
MAX_LOGIN_LENGTH = 320
"""Characters; an e-mail address by RFC 3696 erratum 1690 has at most 254, by RFC 5321's parts 320."""
MAX_PASSWORD_LENGTH = 1024
"""Characters; NIST SP 800-63B asks for at least 64."""
MAX_TOKEN_LENGTH = 8192
"""Characters; as much as is looked at of an access token."""


class TokenRequestError(Exception):
    """The request is refused, with an error of RFC 6749 section 5.2.

    Args:
        error: One of the RFC's error codes.
        description: For the developer of the client, in ASCII without quotes and backslashes, and
            with nothing of the request in it.
        status: The answer's; RFC 6749 has 400 for what it names.
        headers: Sent with the answer.
    """

    def __init__(
        self,
        error: str,
        description: str,
        *,
        status: int = 400,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(error, description)
        self.error = error
        self.description = description
        self.status = status
        self.headers: dict[str, str] = dict(headers or {})


@dataclass(frozen=True, slots=True)
class PasswordGrant:
    """A token request by password (RFC 6749 section 4.3.2)."""

    username: str
    password: str = field(repr=False)
    scopes: frozenset[str] | None
    """``None`` when the request asks for none."""


@dataclass(frozen=True, slots=True)
class RefreshGrant:
    """A token request by refresh token (RFC 6749 section 6)."""

    refresh_token: str = field(repr=False)
    scopes: frozenset[str] | None
    """``None`` when the request asks for all that it had."""


async def read_form(request: Request) -> Mapping[str, str]:
    """The form in a request's body.

    Raises:
        TokenRequestError: It is no such form, repeats a parameter, or is too large.
    """
    kinds = request.headers.getlist("content-type")
    # Of two, a proxy may have gone by the other.
    if len(kinds) != 1 or kinds[0].partition(";")[0].strip().lower() != FORM_TYPE:
        raise TokenRequestError("invalid_request", f"The body must be {FORM_TYPE}.")
    return _parsed(await _body(request))


def read_grant(form: Mapping[str, str]) -> PasswordGrant | RefreshGrant:
    """The grant in a token request's form.

    Raises:
        TokenRequestError: It lacks a parameter, or is of another type.
    """
    grant_type = form.get("grant_type")
    if grant_type is None:
        # FastAPI's tutorial leaves it out; RFC 6749 sections 4.3.2 and 6 require it.
        meant = "refresh_token" if "refresh_token" in form else "password"
        raise TokenRequestError(
            "invalid_request",
            f"The parameter grant_type is missing; add grant_type={meant} to the form.",
        )
    if grant_type == "refresh_token":
        return read_refresh_grant(form)
    if grant_type != "password":
        raise TokenRequestError("unsupported_grant_type", "This grant_type is not supported.")
    return PasswordGrant(
        username=_required(form, "username", MAX_LOGIN_LENGTH),
        password=_required(form, "password", MAX_PASSWORD_LENGTH),
        scopes=_scopes(form.get("scope")),
    )


def read_refresh_grant(form: Mapping[str, str]) -> RefreshGrant:
    """The refresh grant in a form; on a route of its own it need not say ``grant_type``.

    Raises:
        TokenRequestError: It lacks a parameter, or is of another type.
    """
    if form.get("grant_type", "refresh_token") != "refresh_token":
        raise TokenRequestError(
            "unsupported_grant_type", "Only grant_type=refresh_token is supported."
        )
    return RefreshGrant(
        refresh_token=_required(form, "refresh_token", MAX_TOKEN_LENGTH),
        scopes=_scopes(form.get("scope")),
    )


def read_revocation(form: Mapping[str, str]) -> str:
    """The token that is to be revoked (RFC 7009 section 2.1).

    ``token_type_hint`` is not read: the kinds of tokens are told apart by how they look.

    Raises:
        TokenRequestError: There is none.
    """
    return _required(form, "token", MAX_TOKEN_LENGTH)


async def _body(request: Request) -> bytes:
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                raise TokenRequestError("invalid_request", "The body is too large.")
    except ClientDisconnect:
        raise TokenRequestError("invalid_request", "The body is not complete.") from None
    return bytes(body)


def _parsed(body: bytes) -> Mapping[str, str]:
    try:
        pairs = parse_qsl(
            body.decode(),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MAX_PARAMETERS,
        )
    except ValueError:  # not UTF-8, or too many
        raise TokenRequestError("invalid_request", "The form cannot be read.") from None
    form = dict(pairs)
    if len(form) != len(pairs):
        # RFC 6749 section 3.2. The last value winning is how one proxy checks what another reads.
        raise TokenRequestError("invalid_request", "A parameter occurs more than once.")
    # Section 3.2 again: a parameter without a value counts as absent.
    return {name: value for name, value in form.items() if value}


def _required(form: Mapping[str, str], name: str, max_length: int) -> str:
    value = form.get(name)
    if value is None:
        raise TokenRequestError("invalid_request", f"The parameter {name} is missing.")
    if len(value) > max_length:
        raise TokenRequestError("invalid_request", f"The parameter {name} is too long.")
    return value


def _scopes(value: str | None) -> frozenset[str] | None:
    if value is None:
        return None
    names = value.split(" ")
    if not all(is_scope_token(name) for name in names):
        raise TokenRequestError("invalid_scope", "The parameter scope is not a list of scopes.")
    return frozenset(names)
