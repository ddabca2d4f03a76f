"""Request id, timing and security headers in one layer, for `fastapi_kit.app.setup_app`."""

from collections.abc import Awaitable
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastapi_kit.logs.context import current
from fastapi_kit.middleware.request_id import RequestIdMiddleware
from fastapi_kit.middleware.security_headers import SecurityHeaders, SecurityHeadersMiddleware
from fastapi_kit.middleware.timing import TimingMiddleware, process_time, server_timing


class AnswerHeadersMiddleware(RequestIdMiddleware, TimingMiddleware, SecurityHeadersMiddleware):
    """`RequestIdMiddleware` around `TimingMiddleware` around `SecurityHeadersMiddleware`.

    Most of what such a layer costs is to be called, for the request and for each message of its
    answer, and to copy the message that holds the headers; together they do so once.

    Args:
        app: The ASGI app inside.
        process_time: Also add ``X-Process-Time``, in seconds.
        headers: Which security headers.

    Raises:
        ConfigurationError: At start: the stack has one of them already.
    """

    def __init__(self, app: ASGIApp, *, process_time: bool, headers: SecurityHeaders) -> None:
        # Each hands on the app inside, or its refusal of it.
        RequestIdMiddleware.__init__(self, app)
        TimingMiddleware.__init__(self, self.app, process_time=process_time)
        SecurityHeadersMiddleware.__init__(self, self.app, headers=headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection (ASGI)."""
        if scope["type"] != "http":
            await RequestIdMiddleware.__call__(self, scope, receive, send)
            return
        start = perf_counter()
        secure = scope.get("scheme") == "https"
        context = self._identified(scope)

        # Not async itself, which would cost a coroutine for each message.
        def send_with_headers(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                headers = self._with_id(message.get("headers", ()), context)
                headers += self._missing(headers, secure=secure)
                seconds = perf_counter() - start
                headers.append(server_timing[int(seconds * 100_000 + 0.5)])
                if self._process_time:
                    headers.append(process_time(seconds))
                message = dict(message, headers=headers)
            return send(message)

        token = current.set(context)
        try:
            await self.app(scope, receive, send_with_headers)
        finally:
            current.reset(token)
