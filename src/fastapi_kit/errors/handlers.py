"""Turns every failure into a problem."""

import logging
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, Protocol, TypeGuard

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from fastapi_kit._asgi import Refusal
from fastapi_kit._misuse import ConfigurationError
from fastapi_kit.errors.exceptions import AppError
from fastapi_kit.errors.layers import OutermostLayer, UnhandledErrorLayer, refuse
from fastapi_kit.errors.mounts import warn_of_uncovered_mounts
from fastapi_kit.errors.openapi import document_errors
from fastapi_kit.errors.problem import ProblemResponse, problem, problem_of
from fastapi_kit.errors.validation import field_errors
from fastapi_kit.logs.configure import mark_logged
from fastapi_kit.logs.context import context_of, current

_logger: logging.Logger = logging.getLogger("fastapi_kit.errors")
_NO_BODY = frozenset({204, 205, 304})
_CONTROLS = dict.fromkeys([*range(0x20), 0x7F], " ")  # RFC 9110 section 5.5
_OF_THE_BODY = frozenset({"content-length", "content-type"})
INSTALLED = "fastapi_kit_errors"


class ErrorMap(Protocol):
    """Tells which problem a foreign exception is, such as `fastapi_kit.db.database_errors`."""

    @property
    def exceptions(self) -> tuple[type[Exception], ...]:
        """The exception types that are asked about, subclasses included."""
        ...

    def __call__(self, error: Exception, /) -> AppError | None:
        """The problem; ``None`` means that the exception is an unhandled one."""
        ...


def add_error_handlers(
    app: FastAPI, *, problem_base_url: str | None = None, extra: Sequence[ErrorMap] = ()
) -> None:
    """Answer every failure that a client can see with problem details (RFC 9457).

    Covers HTTPExceptions, validation errors, unknown paths and methods, bodies that are too large,
    and unhandled exceptions, which are logged once and raised again for servers and tests to see;
    over HTTP and WebSocket, in included and mounted routers. Replaces FastAPI's default 422 in
    OpenAPI. A mounted FastAPI app has handlers of its own: call this for it too.

    Args:
        app: The app; before it starts, once.
        problem_base_url: Relative problem types are joined to it; ``None`` leaves them relative.
        extra: Maps of further exceptions to problems.

    Raises:
        ConfigurationError: The app has them already, or has started.
    """
    if app.middleware_stack is not None:
        raise ConfigurationError(
            f"add_error_handlers was called for {app.title!r} after its start; "
            "call it where the app is made"
        )
    if hasattr(app.state, INSTALLED):
        raise ConfigurationError(
            f"add_error_handlers was called twice for {app.title!r}; call it once "
            "(setup_app calls it for you)"
        )
    handlers = _Handlers(problem_base_url, extra)
    setattr(app.state, INSTALLED, handlers)
    by_type: dict[type[Exception], Any] = {
        HTTPException: handlers.http,
        RequestValidationError: handlers.validation,
        WebSocketRequestValidationError: handlers.validation,
        Exception: handlers.unhandled,
    }
    for error_map in extra:
        by_type.update(dict.fromkeys(error_map.exceptions, handlers.mapped(error_map)))
    for exception, handler in by_type.items():
        app.add_exception_handler(exception, handler)
    _wrap_stack(app, handlers)
    _answer_unknown_websockets(app)
    document_errors(app, problem_base_url)


def _wrap_stack(app: FastAPI, handlers: "_Handlers") -> None:
    build = app.build_middleware_stack

    def build_with_layers() -> ASGIApp:
        warn_of_uncovered_mounts(app, INSTALLED)
        layer = Middleware(UnhandledErrorLayer, handlers=handlers)
        added = app.user_middleware
        app.user_middleware = list(_with_layer_inside_cors(added, layer))
        try:
            stack = build()
            # One layer less for every request to pass: the outermost one does its work.
            if answers := _is_replaceable(stack, handlers):
                stack = stack.app
            return OutermostLayer(stack, handlers=handlers, answers=answers)
        except ConfigurationError as error:
            return Refusal(error)
        finally:
            app.user_middleware = added

    # The one public place that is outside of the answers to a 500 and a 413.
    app.build_middleware_stack = build_with_layers  # type: ignore[method-assign]


def _is_replaceable(stack: Any, handlers: "_Handlers") -> TypeGuard[ServerErrorMiddleware]:
    """Whether this is Starlette's layer, which calls our handler and does nothing else."""
    return (
        type(stack) is ServerErrorMiddleware
        and stack.handler == handlers.unhandled
        and not stack.debug
    )


def _with_layer_inside_cors(added: list[Middleware], layer: Middleware) -> Iterable[Middleware]:
    for middleware in added:
        yield middleware
        if isinstance(middleware.cls, type) and issubclass(middleware.cls, CORSMiddleware):
            yield layer


def _answer_unknown_websockets(app: FastAPI) -> None:
    """Let an unknown path be a 404 for a WebSocket too; Starlette's router refuses with 403."""
    not_found = app.router.default

    async def default(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            raise HTTPException(404)
        await not_found(scope, receive, send)

    app.router.default = default


class _Handlers:
    """The exception handlers of one app."""

    def __init__(self, base_url: str | None, extra: Sequence[ErrorMap]) -> None:
        self.base_url = base_url
        self.extra = tuple(extra)

    async def http(self, connection: HTTPConnection, error: Exception) -> Response | None:
        """Answer an HTTPException."""
        assert isinstance(error, HTTPException)  # noqa: S101  # registered for nothing else
        return await self._send(connection, self._answer(connection, error))

    async def validation(self, connection: HTTPConnection, error: Exception) -> Response | None:
        """Answer a request that does not fit its declaration."""
        assert isinstance(error, RequestValidationError | WebSocketRequestValidationError)  # noqa: S101
        body = problem(
            connection.scope,
            422,
            detail="The request is not valid.",
            members={"errors": field_errors(error.errors(), getattr(error, "body", None))},
            base_url=self.base_url,
        )
        return await self._send(connection, ProblemResponse(body, 422))

    def mapped(self, error_map: ErrorMap) -> Any:
        """A handler for a map's exceptions."""

        async def handle(connection: HTTPConnection, error: Exception) -> Response | None:
            known = error_map(error)
            if known is None:
                raise error  # on to `unhandled`
            known.__cause__ = error
            return await self.http(connection, known)

        return handle

    async def unhandled(self, request: Request, error: Exception) -> ASGIApp:
        """Answer what came past everything else, where Starlette's own layer calls for it."""
        response, settled = self.settle(request, error)
        if not settled:
            return response

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            await response(scope, receive, send)
            # Starlette raises the error again all the same; `OutermostLayer` need not.
            context_of(scope).answered = error

        return answer

    def settle(self, connection: HTTPConnection, error: Exception) -> tuple[Response, bool]:
        """The answer to an exception that came past the exception handlers, and whether it is one.

        An HTTPException or a mapped exception from a middleware gets the answer that it would have
        got within them. Any other is logged, once, and answered by 500 without a word about it.
        """
        known = self._known(error)
        if known is None:
            self._log(connection, error)
            body = problem(connection.scope, 500, base_url=self.base_url)
            response: Response = ProblemResponse(body, 500)
        else:
            response = self._answer(connection, known)
        # This answer may pass outside of RequestIdMiddleware.
        for name, value in context_of(connection.scope).id_headers().items():
            response.headers.setdefault(name, value)
        return response, known is not None

    def _answer(self, connection: HTTPConnection, error: HTTPException) -> Response:
        status = error.status_code
        headers = {
            name: _header_value(value)
            for name, value in (error.headers or {}).items()
            if name.lower() not in _OF_THE_BODY
        }
        if status < HTTPStatus.BAD_REQUEST or status in _NO_BODY:
            return Response(status_code=status, headers=headers)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            # The client is not told the detail of one that is not ours; so the log must have it.
            with _logging_for(connection):
                _logger.error("%s: %s", type(error).__qualname__, error.detail, exc_info=error)
        return ProblemResponse(problem_of(connection.scope, error, self.base_url), status, headers)

    def _known(self, error: Exception) -> HTTPException | None:
        """The answer to an exception that was raised outside of the exception handlers."""
        if isinstance(error, HTTPException):
            return error
        for error_map in self.extra:
            if isinstance(error, error_map.exceptions):
                known = error_map(error)
                if known is not None:
                    known.__cause__ = error
                    return known
        return None

    def _log(self, connection: HTTPConnection, error: Exception) -> None:
        if type(error).__module__ == RequestBodyLimitMiddleware.__module__:
            return  # it ends the app's part in a request that Starlette has answered with 413
        context = context_of(connection.scope)
        if context.error is error:  # within this app's CORS, or by an app mounted in it
            return
        context.error = error
        mark_logged(error)
        if isinstance(error, ClientDisconnect):
            return
        with _logging_for(connection):
            _logger.error("Unhandled %s", type(error).__qualname__, exc_info=error)

    async def _send(self, connection: HTTPConnection, response: Response) -> Response | None:
        if isinstance(connection, Request):
            return response
        assert isinstance(connection, WebSocket)  # noqa: S101  # Starlette knows no third kind
        await refuse(connection.scope, connection.receive, connection.send, response)
        return None


def _header_value(value: str) -> str:
    """The value as headers can hold it; what a client sent may have gone into it."""
    return value.encode("latin-1", "replace").decode("latin-1").translate(_CONTROLS).strip()


@contextmanager
def _logging_for(connection: HTTPConnection) -> Generator[None]:
    """Log with the request's fields, outside of its middlewares too."""
    token = current.set(context_of(connection.scope))
    try:
        yield
    finally:
        current.reset(token)
