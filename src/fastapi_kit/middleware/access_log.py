"""One log line for each request, in OpenTelemetry's names."""

import logging
import re
import traceback
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from opentelemetry.context import get_current
from opentelemetry.trace import get_current_span
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from fastapi_kit._asgi import (
    RouteTemplates,
    header,
    route_path,
    unless_inside,
    unless_twice,
)
from fastapi_kit._misuse import ConfigurationError
from fastapi_kit.logs.access import access_logger, log_access
from fastapi_kit.logs.configure import silence_uvicorn_access
from fastapi_kit.logs.context import RequestContext, context_of, current
from fastapi_kit.logs.redaction import redact_query, redact_text
from fastapi_kit.middleware.request_id import RequestIdMiddleware

_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-"
).match
# RFC 6455 section 7.4.1: a normal close, one because a page was left, one without a code.
_NO_STATUS = 1005
_ORDERLY = frozenset({1000, 1001, _NO_STATUS})
_GONE = (ClientDisconnect, WebSocketDisconnect)
_STARTS = frozenset({"http.response.start", "websocket.http.response.start"})
_BODIES = frozenset(
    {"http.response.body", "http.response.pathsend", "websocket.http.response.body"}
)


@dataclass(frozen=True, kw_only=True)
class AccessLog:
    """What the access line of a request holds, and which requests have none.

    Attributes:
        skip: Paths below the app's root path whose requests are not logged unless they fail
            with a 5xx, such as a probe's ``/livez``.
        redact_query: Names of further query parameters whose values are secret.
    """

    skip: Collection[str] = ()
    redact_query: Collection[str] = ()

    def __post_init__(self) -> None:
        for path in [self.skip] if isinstance(self.skip, str) else self.skip:
            if isinstance(self.skip, str) or not path.startswith("/"):
                raise ConfigurationError(
                    f"skip={self.skip!r} must be a collection of paths that begin with '/', "
                    "such as {'/livez'}"
                )
        if isinstance(self.redact_query, str):
            raise ConfigurationError(
                f"redact_query={self.redact_query!r} must be a collection of parameter names, "
                "such as {'voucher'}"
            )


class AccessLogMiddleware:
    """Writes one line per HTTP request and per WebSocket to the logger ``fastapi_kit.access``.

    The line is written when the answer's last byte is handed over, before background tasks; it
    never gets lost and never raises. uvicorn's own access line is silenced. Fields are
    ``http.request.method``, ``url.path``, ``url.query`` (redacted), ``http.route``,
    ``http.response.status_code``, ``client.address``, ``duration_ms``, ``error.type``, ``trace_id``
    and ``span_id``, and whatever `fastapi_kit.logs.add_log_fields` added.

    Args:
        app: The ASGI app inside.
        options: What to skip and to redact; ``None`` means the defaults of `AccessLog`.

    Raises:
        ConfigurationError: At start: the stack has two of these, or `RequestIdMiddleware` lies inside.
    """

    def __init__(self, app: ASGIApp, *, options: AccessLog | None = None) -> None:
        self.app: ASGIApp = unless_inside(
            self,
            unless_twice(AccessLogMiddleware, app),
            refused=RequestIdMiddleware,
            remedy="access lines would carry no request id; add RequestIdMiddleware after "
            "AccessLogMiddleware (what is added last lies outermost)",
        )
        options = AccessLog() if options is None else options
        silence_uvicorn_access()
        self.skip: frozenset[str] = frozenset(options.skip)
        self.redact: frozenset[str] = frozenset(name.lower() for name in options.redact_query)
        self.templates: RouteTemplates = RouteTemplates()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection (ASGI)."""
        if scope["type"] not in ("http", "websocket") or not access_logger.isEnabledFor(
            logging.INFO
        ):
            await self.app(scope, receive, send)
            return
        context = context_of(scope)
        if context.access_logged:  # by the app that this one is mounted in
            await self.app(scope, receive, send)
            return
        context.access_logged = True
        kind = _Exchange if scope["type"] == "http" else _Socket
        exchange = kind(self, scope, receive, send, context)
        # RequestIdMiddleware has set it already, unless this is used alone. Setting it again would
        # be harmless, but makes every look at any context variable slower.
        token = None if current.get() is context else current.set(context)
        try:
            await self.app(scope, exchange.receive, exchange.send)
        except BaseException as error:
            exchange.fail(error)
            raise
        finally:
            if not exchange.written:
                exchange.finish()
            if token is not None:
                current.reset(token)


class _Exchange:
    """What is seen of one request and its answer, which may be that to a WebSocket's handshake."""

    # Most stay as they are in most requests, so they are the class's.
    status: int | None = None
    close_code: int | None = None
    answered: bool = False
    disconnected: bool = False
    error: BaseException | None = None
    written: bool = False

    def __init__(
        self,
        log: AccessLogMiddleware,
        scope: Scope,
        receive: Receive,
        send: Send,
        context: RequestContext,
    ) -> None:
        self._log = log
        self._scope = scope
        self._receive = receive
        self._send = send
        self._context = context
        # Mounts change both on the way in.
        self._path: str = route_path(scope) if scope.get("root_path") else scope["path"]
        self._app: object = scope.get("app") or log.app
        self._start = perf_counter()

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self.disconnected = not self.answered
        return message

    async def send(self, message: Message) -> None:
        try:
            await self._send(message)
        except OSError:  # how ASGI servers tell that the client has gone
            self.disconnected = True
            raise
        kind = message["type"]
        if kind in _STARTS:
            self.status = message["status"]
        elif kind in _BODIES and not message.get("more_body") and not self.written:
            self.answered = True
            self.finish()

    def fail(self, error: BaseException) -> None:
        """Note what passes on its way to the app's error handlers, or to the server."""
        if isinstance(error, HTTPException) and self._scope["type"] == "http":
            if self.status is None:
                self.status, self.answered = error.status_code, True
                return
        elif self.status is None and isinstance(error, Exception) and not isinstance(error, _GONE):
            self.status = 500
        self.error = error

    def finish(self) -> None:
        """Write the line, once."""
        self.written = True
        try:
            skipped = self._path in self._log.skip
            if not skipped or self.error is not None or (self.status or 0) >= 500:
                self._write()
        except Exception:  # noqa: BLE001  # a handler of the logger may raise anything
            # An answer is worth more than its log line; but say that one was lost.
            _report_loss()

    def _write(self) -> None:
        scope, status, path = self._scope, self.status, self._path
        method = scope.get("method", "WEBSOCKET")
        if "eyJ" in path:
            path = redact_text(path)
        try:
            route = self._log.templates.find(scope, self._app, self._path)
        except Exception:  # noqa: BLE001  # a foreign route class may raise anything
            route = None
        client = scope.get("client")
        # What most lines have, in one dict that need not grow; what few have is added.
        fields: dict[str, Any] = {
            "http.request.method": method,
            "url.path": path,
            "http.route": route,
            "http.response.status_code": status,
            "client.address": client[0] if client else None,
            # Whole microseconds; `round` takes three times as long.
            "duration_ms": int((perf_counter() - self._start) * 1_000_000) / 1000,
        }
        query = scope.get("query_string")
        if query:
            fields["url.query"] = redact_query(str(query, "latin-1"), self._log.redact)
        if self.close_code is not None:
            fields["websocket.close_code"] = self.close_code
        # Looked at here, because most requests end well and belong to no trace: two calls less.
        if (
            self.error is not None
            or self._context.error is not None
            or self.disconnected
            or not self.answered
            or (status or 500) >= 500
        ):
            fields["error.type"] = self._error_type()
        if get_current():
            _add_trace(scope, fields)
        else:
            for name, _ in scope["headers"]:
                if name == b"traceparent":
                    _add_trace(scope, fields)
                    break
        if route is None or status is None or not client:
            fields = {name: value for name, value in fields.items() if value is not None}
        log_access(f"{method} {path} {status or '-'}", fields)

    def _error_type(self) -> str:
        error = self.error if self._context.error is None else self._context.error
        if self.disconnected or isinstance(error, _GONE):
            return "client_disconnected"
        if error is not None:
            return type(error).__qualname__
        if self.status is None:
            return "no_response"
        return str(self.status) if self.answered else "response_incomplete"


class _Socket(_Exchange):
    """What is seen of one WebSocket."""

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "websocket.disconnect" and self.close_code is None:
            self.close_code = message.get("code", _NO_STATUS)
            self.disconnected = self.close_code not in _ORDERLY
        return message

    async def send(self, message: Message) -> None:
        await super().send(message)
        if message["type"] == "websocket.accept":
            self.status, self.answered = 101, True
        elif message["type"] == "websocket.close":
            self.answered = True
            self.close_code = message.get("code", 1000)
            if self.status is None:  # refused before the handshake: servers answer 403
                self.status = 403


def _add_trace(scope: Scope, fields: dict[str, Any]) -> None:
    found = get_current_span().get_span_context()
    if found.is_valid:
        fields["trace_id"] = f"{found.trace_id:032x}"
        fields["span_id"] = f"{found.span_id:016x}"
        return
    parent = header(scope, b"traceparent")
    ids = _TRACEPARENT(parent) if parent else None
    if ids is not None:
        fields["trace_id"], fields["span_id"] = ids.groups()


def _report_loss() -> None:
    try:
        logging.getLogger(__name__).exception(  # noqa: LOG004  # called by one
            "An access line could not be written"
        )
    except Exception:  # noqa: BLE001  # the same handler again
        with suppress(OSError, ValueError):  # standard error may be closed
            traceback.print_exc()
