"""The places in the stack that exception handlers do not reach."""

import json
from collections.abc import Awaitable
from http import HTTPStatus
from typing import Protocol

from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from fastapi_kit.errors.exceptions import UnprocessableError, phrase
from fastapi_kit.errors.problem import ProblemResponse, problem
from fastapi_kit.errors.strict_json import BODILESS, strictly
from fastapi_kit.logs.configure import answered_instead
from fastapi_kit.logs.context import context_of

# Starlette's body limit and trusted hosts answer by themselves, in plain text.
_PLAIN_TEXTS = {
    413: (b"Content Too Large", "The request's body is too large."),
    400: (b"Invalid host header", "The Host header names no host of this service."),
}
_STARTS = frozenset({"http.response.start", "websocket.http.response.start"})
_POLICY_VIOLATION, _INTERNAL_ERROR = 1008, 1011  # RFC 6455 section 7.4.1


class Handlers(Protocol):
    """What the layers need of an app's exception handlers."""

    base_url: str | None

    def settle(self, connection: HTTPConnection, error: Exception, /) -> tuple[Response, bool]:
        """The answer to an exception, and whether that settles it; if not, it is raised again."""
        ...


class OutermostLayer:
    """Turns the plain-text errors of Starlette's own middlewares into problems.

    Lies outside of every other middleware, because they answer without calling further in. For
    the same reason it sees to what a WebSocket raises, which Starlette's error middleware lets
    pass, and, unless that one is left inside, to what a request raises.

    Args:
        app: The stack inside.
        handlers: The app's exception handlers.
        answers: Whether what a request raises has not been answered inside.
    """

    def __init__(self, app: ASGIApp, *, handlers: Handlers, answers: bool) -> None:
        self.app = app
        self._handlers = handlers
        self._answers = answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection (ASGI)."""
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        answer = _Answer(scope, receive, send, self._handlers.base_url)
        if scope["method"] not in BODILESS:
            receive = strictly(scope, receive)
        try:
            await self.app(scope, receive, answer.send)
        except Exception as error:
            if not self._answers:
                settled = context_of(scope).answered is error
            else:
                started = answer.started
                settled = await _settle(
                    self._handlers, error, scope, receive, send, started=started
                )
            if not settled:
                raise

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        context = context_of(scope)
        received: Message = {}

        async def receive_and_note() -> Message:
            nonlocal received
            received = message = await receive()
            if message["type"] == "websocket.disconnect":
                context.socket = "closed"
            return message

        async def send_and_note(message: Message) -> None:
            if message["type"] == "websocket.accept":
                context.socket = "open"
            elif message["type"] != "websocket.send":
                answered_instead.set(message["type"] in _STARTS or answered_instead.get())
                context.socket = "closed"
            await send(message)

        try:
            answer = _Answer(scope, receive_and_note, send_and_note, self._handlers.base_url)
            await self.app(scope, receive_and_note, answer.send)
        except WebSocketDisconnect:
            return  # the client has gone, which is how most WebSockets end
        except Exception as error:
            told = UnprocessableError() if _is_about(received, error) else error
            response, settled = self._handlers.settle(HTTPConnection(scope), told)
            if settled or context.socket == "open" or _takes_answers(scope):
                await refuse(scope, receive_and_note, send_and_note, response)
            if not settled:
                raise


class _Answer:
    """One answer on its way out, a plain-text error of Starlette's replaced by a problem.

    Attributes:
        started: Whether an HTTP answer has gone out, in part at least.
    """

    started: bool = False
    _held: Message | None = None

    def __init__(self, scope: Scope, receive: Receive, send: Send, base_url: str | None) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._base_url = base_url

    # Not async itself, which would cost a coroutine for each message.
    def send(self, message: Message) -> Awaitable[None]:
        """Send a message (ASGI)."""
        if self._held is not None:
            start, self._held = self._held, None
            self.started = True
            return self._replace(start, message)
        if message["type"] in _STARTS:
            if message["status"] in _PLAIN_TEXTS and _is_plain_text(message):
                self._held = message
                return _nothing()
            self.started = True
        return self._send(message)

    async def _replace(self, start: Message, body: Message) -> None:
        answer = self._in_place_of(start, body)
        if answer is not None:
            await answer(self._scope, self._receive, self._send)
        else:
            await self._send(start)
            await self._send(body)

    def _in_place_of(self, start: Message, body: Message) -> Response | None:
        expected, detail = _PLAIN_TEXTS[start["status"]]
        if body.get("body") != expected:
            return None
        scope = self._scope
        content = problem(scope, start["status"], detail=detail, base_url=self._base_url)
        response = ProblemResponse(content, start["status"], context_of(scope).id_headers())
        added = {name for name, _ in response.raw_headers}
        kept = [pair for pair in start.get("headers", ()) if pair[0] not in added]
        response.raw_headers += kept
        return response


async def refuse(scope: Scope, receive: Receive, send: Send, response: Response) -> None:
    """Tell a WebSocket's client: by an HTTP answer before the handshake, by a close after it."""
    socket = context_of(scope).socket
    if socket == "connecting" and _takes_answers(scope):
        await response(scope, receive, send)
    elif socket != "closed":
        status = response.status_code
        failed = status >= HTTPStatus.INTERNAL_SERVER_ERROR
        code = _INTERNAL_ERROR if failed else _POLICY_VIOLATION
        reason = f"{status} {phrase(status)}"
        await send({"type": "websocket.close", "code": code, "reason": reason})


def _is_about(message: Message, error: Exception) -> bool:
    """Whether the error is what Starlette's ``receive_text`` and its like make of this message."""
    if message.get("type") != "websocket.receive":
        return False
    text, data = message.get("text"), message.get("bytes") or b""
    if isinstance(error, KeyError):  # a message of the other kind
        return error.args == ("text" if text is None else "bytes",)
    if isinstance(error, json.JSONDecodeError):
        return error.doc == (data.decode(errors="replace") if text is None else text)
    return isinstance(error, UnicodeDecodeError) and error.object == data


def _takes_answers(scope: Scope) -> bool:
    """Whether the server has ASGI's extension for HTTP answers in place of a handshake."""
    return "websocket.http.response" in (scope.get("extensions") or {})


async def _nothing() -> None:
    """What sending a message that is held back comes to."""


def _is_plain_text(message: Message) -> bool:
    return any(
        name == b"content-type" and value.startswith(b"text/plain")
        for name, value in message.get("headers", ())
    )


class UnhandledErrorLayer:
    """Answers an unhandled exception inside of CORS, and raises it again.

    Starlette's own answer to it is sent outside of all middlewares: without the CORS headers, a
    browser tells its script of a network error instead of a 500.
    """

    def __init__(self, app: ASGIApp, *, handlers: Handlers) -> None:
        self.app = app
        self._handlers = handlers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection (ASGI)."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def send_and_note(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, send_and_note)
        except Exception as error:
            if not await _settle(self._handlers, error, scope, receive, send, started=started):
                raise


async def _settle(
    handlers: Handlers,
    error: Exception,
    scope: Scope,
    receive: Receive,
    send: Send,
    *,
    started: bool,
) -> bool:
    """Answer an exception that came past the exception handlers; whether that is all it needs."""
    response, settled = handlers.settle(HTTPConnection(scope), error)
    if not started:
        await response(scope, receive, send)
    return settled and not started
