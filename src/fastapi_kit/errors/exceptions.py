"""The errors that a client sees."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, ClassVar

from starlette.exceptions import HTTPException

from fastapi_kit._misuse import ConfigurationError

RESERVED_MEMBERS = frozenset({"type", "title", "status", "detail", "instance", "request_id"})


# RFC 9110's phrases, which Python's http module learned in 3.13.
_RENAMED = {413: "Content Too Large", 416: "Range Not Satisfiable", 422: "Unprocessable Content"}


def phrase(status_code: int) -> str:
    """The reason phrase of a status (RFC 9110 section 15)."""
    try:
        return _RENAMED.get(status_code) or HTTPStatus(status_code).phrase
    except ValueError:
        return "Error"


class AppError(HTTPException):
    """An error that the client is told about, as problem details (RFC 9457).

    Subclass it once per kind of problem and raise the subclass; or raise it directly with a status.
    It is a Starlette ``HTTPException``, so its status is right even in an app without our handlers.

    Args:
        detail: One sentence for the client about this occurrence. ``None`` means the class's
            ``default_detail``, or else the title. Never put SQL, secrets or an exception's text here.
        status_code: HTTP status from 400 to 599; ``None`` means the class's.
        headers: Sent with the answer, for example ``Retry-After``.
        **members: Extension members of the problem (RFC 9457 section 3.2), JSON values.

    Raises:
        ConfigurationError: The status is no error status, or a member has a standard member's name.
    """

    status_code: int = 400
    type: ClassVar[str] = "about:blank"
    """The problem type's URI; a relative one is joined to ``problem_base_url``."""
    title: ClassVar[str] = ""
    """A summary that is the same for each occurrence; empty means the status' own phrase."""
    default_detail: ClassVar[str] = ""

    def __init__(
        self,
        detail: str | None = None,
        *,
        status_code: int | None = None,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        status = type(self).status_code if status_code is None else status_code
        if not 400 <= status <= 599:
            raise ConfigurationError(
                f"status_code={status} of {type(self).__name__} is not an error status; "
                "use one from 400 to 599"
            )
        if reserved := RESERVED_MEMBERS & members.keys():
            raise ConfigurationError(
                f"{sorted(reserved)} are standard members of a problem; "
                "give extension members other names"
            )
        text = detail or self.default_detail or self.title or phrase(status)
        super().__init__(status_code=status, detail=text, headers=headers)
        self.members: dict[str, Any] = members

    def __repr__(self) -> str:
        return f"{type(self).__name__}(status_code={self.status_code}, detail={self.detail!r})"


class BadRequestError(AppError):
    """400: the request cannot be understood."""

    status_code = 400


class UnauthorizedError(AppError):
    """401: who is calling is not known; carries a ``WWW-Authenticate`` challenge.

    Args:
        detail: As for `AppError`.
        challenge: The challenge's value (RFC 9110 section 11.6.1).
        headers: Sent with the answer.
        **members: As for `AppError`.
    """

    status_code = 401

    def __init__(
        self,
        detail: str | None = None,
        *,
        challenge: str = "Bearer",
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(
            detail, headers={"WWW-Authenticate": challenge, **(headers or {})}, **members
        )


class ForbiddenError(AppError):
    """403: the caller is known and may not do this."""

    status_code = 403


class NotFoundError(AppError):
    """404: there is no such thing, or the caller must not learn of it."""

    status_code = 404


class ConflictError(AppError):
    """409: the request does not fit the present state."""

    status_code = 409


class UnprocessableError(AppError):
    """422: well formed, but a value is not acceptable.

    Args:
        detail: As for `AppError`.
        errors: What is wrong where: mappings with ``detail``, ``type``, ``in`` and
            ``pointer`` (a JSON pointer into the body) or ``name`` (a parameter).
        headers: Sent with the answer.
        **members: As for `AppError`.
    """

    status_code = 422

    def __init__(
        self,
        detail: str | None = None,
        *,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        if errors:
            members["errors"] = [dict(error) for error in errors]
        super().__init__(detail, headers=headers, **members)


class _RetryLaterError(AppError):
    def __init__(
        self,
        detail: str | None = None,
        *,
        retry_after_seconds: int | None = None,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        headers = dict(headers or {})
        if retry_after_seconds is not None:
            headers["Retry-After"] = str(retry_after_seconds)
        super().__init__(detail, headers=headers or None, **members)


class TooManyRequestsError(_RetryLaterError):
    """429: the caller asks too often.

    Args:
        detail: As for `AppError`.
        retry_after_seconds: Sent as ``Retry-After``; ``None`` sends none.
        headers: Sent with the answer.
        **members: As for `AppError`.
    """

    status_code = 429


class ServiceUnavailableError(_RetryLaterError):
    """503: something that the answer needs is down or busy; trying again may help.

    Args:
        detail: As for `AppError`.
        retry_after_seconds: Sent as ``Retry-After``; ``None`` sends none.
        headers: Sent with the answer.
        **members: As for `AppError`.
    """

    status_code = 503
