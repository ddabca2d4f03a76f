"""What a caller is told when who they are, or what they may do, is not enough.

- 401 `UnauthorizedError`
    - `NotAuthenticatedError`: no credentials came
    - `InvalidTokenError`: credentials came and do not hold
    - `StaleLoginError`: they hold, and the log-in was too long ago
- 403 `ForbiddenError`
    - `NotAllowedError`: the caller is known and may not do this
- 422 `UnprocessableError`
    - `UnusablePasswordError`: a new password that cannot be hashed
"""

from collections.abc import Iterable, Mapping
from typing import Any

from fastapi_kit.errors import ForbiddenError, UnauthorizedError, UnprocessableError

__all__ = [
    "InvalidTokenError",
    "NotAllowedError",
    "NotAuthenticatedError",
    "StaleLoginError",
    "UnusablePasswordError",
]


class NotAuthenticatedError(UnauthorizedError):
    """401: the request carries no bearer token; the challenge names no error (RFC 6750 section 3.1)."""

    type = "/problems/not-authenticated"
    title = "Not authenticated"
    default_detail = "This needs an access token, sent as 'Authorization: Bearer ...'."


class InvalidTokenError(UnauthorizedError):
    """401: the access token does not hold (RFC 6750 section 3.1, ``invalid_token``).

    The answer never says why: the reason is in the log of ``fastapi_kit.auth``.

    Args:
        detail: As for `AppError`.
        challenge: The challenge's value.
        headers: Sent with the answer.
        **members: As for `AppError`.
    """

    type = "/problems/invalid-token"
    title = "Invalid token"
    default_detail = "The access token is expired, revoked, malformed or invalid."

    def __init__(
        self,
        detail: str | None = None,
        *,
        challenge: str = 'Bearer error="invalid_token"',
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(detail, challenge=challenge, headers=headers, **members)


class StaleLoginError(UnauthorizedError):
    """401: the user must log in again for this (RFC 9470, ``insufficient_user_authentication``).

    Args:
        detail: As for `AppError`.
        max_age_seconds: How long the log-in may be ago, told in the challenge.
        headers: Sent with the answer.
        **members: As for `AppError`.
    """

    type = "/problems/stale-login"
    title = "Log in again"
    default_detail = "This needs a log-in from just now."

    def __init__(
        self,
        detail: str | None = None,
        *,
        max_age_seconds: int,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        challenge = (
            'Bearer error="insufficient_user_authentication", '
            f'error_description="The log-in was too long ago", max_age="{max_age_seconds}"'
        )
        super().__init__(detail, challenge=challenge, headers=headers, **members)


class NotAllowedError(ForbiddenError):
    """403: the caller is known and may not do this (RFC 6750 section 3.1, ``insufficient_scope``).

    Args:
        detail: As for `AppError`.
        scopes: Scopes that a token needs here, told in the challenge.
        headers: Sent with the answer.
        **members: As for `AppError`.
    """

    type = "/problems/not-allowed"
    title = "Not allowed"
    default_detail = "You are not allowed to do this."

    def __init__(
        self,
        detail: str | None = None,
        *,
        scopes: Iterable[str] = (),
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        challenge = 'Bearer error="insufficient_scope"'
        if needed := " ".join(sorted(scopes)):
            challenge += f', scope="{needed}"'
        super().__init__(
            detail, headers={"WWW-Authenticate": challenge, **(headers or {})}, **members
        )


class UnusablePasswordError(UnprocessableError):
    """422: a new password that `PasswordHasher.hash` will not hash.

    It is empty, longer than 4096 bytes in UTF-8, or not valid Unicode. An app raises it too, for
    one that it knows to be breached. Its detail never repeats the password.
    """

    type = "/problems/unusable-password"
    title = "Unusable password"
