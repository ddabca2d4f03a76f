"""What the log lines of one request have in common."""

from collections.abc import Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, Literal

from starlette.types import Scope

from fastapi_kit.logs.redaction import loggable

_SCOPE_KEY = "fastapi_kit.log"


class RequestContext:
    """One request's id and fields; one object, so that threads and tasks of the request share it.

    Attributes:
        request_id: Empty until `RequestIdMiddleware` sets it.
        fields: For each of its log lines.
        access_logged: Whether an `AccessLogMiddleware` has taken charge of it.
        error: The exception that nobody handled.
        answered: The exception that was answered outside of the exception handlers.
        id_header: The name of the header that tells the id.
        socket: Where a WebSocket stands, as its client sees it.
    """

    # Most stay as they are in most requests, so they are the class's.
    fields: Mapping[str, Any] = MappingProxyType({})
    request_id: str = ""
    access_logged: bool = False
    error: BaseException | None = None
    answered: BaseException | None = None
    id_header: str = "X-Request-ID"
    socket: Literal["connecting", "open", "closed"] = "connecting"

    def id_headers(self) -> dict[str, str]:
        """The header that tells the id, for answers that pass outside of the middleware."""
        return {self.id_header: self.request_id} if self.request_id else {}


current: ContextVar[RequestContext | None] = ContextVar("fastapi_kit.log", default=None)


def context_of(scope: Scope) -> RequestContext:
    """The request's context, made on first use; it outlives the middlewares that fill it."""
    context: RequestContext | None = scope.get(_SCOPE_KEY)
    if context is None:
        context = scope[_SCOPE_KEY] = RequestContext()
    return context


def add_log_fields(**fields: object) -> None:
    """Add fields to every later log line of this request, its access line included.

    A field that is there already is replaced. Values are kept as JSON at this moment, those of
    secret-sounding names (``password``, ``token``, ...) redacted. Outside a request, or in an app
    without `RequestIdMiddleware` and `AccessLogMiddleware`, nothing happens.
    """
    context = current.get()
    if context is not None:
        # Atomic: of two threads that set a new dict each, one would lose its fields.
        context.__dict__.setdefault("fields", {}).update(loggable(fields))


def get_request_id() -> str | None:
    """The id of the request being served; ``None`` outside of one."""
    context = current.get()
    return (context.request_id or None) if context is not None else None
