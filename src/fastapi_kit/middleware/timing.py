"""How long the app took, told to the client."""

from collections.abc import Awaitable
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastapi_kit._asgi import unless_twice


class TimingMiddleware:
    """Adds a ``Server-Timing`` header: milliseconds until the answer's first byte.

    Browsers show it in their network panel (W3C Server Timing). Time is monotonic.

    Args:
        app: The ASGI app inside.
        process_time: Also add ``X-Process-Time``, in seconds.

    Raises:
        ConfigurationError: At start: the stack has two of these.
    """

    def __init__(self, app: ASGIApp, *, process_time: bool = False) -> None:
        self.app: ASGIApp = unless_twice(self, app)
        self._process_time = process_time

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection (ASGI)."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start = perf_counter()

        # Not async itself, which would cost a coroutine for each message.
        def send_with_timing(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                seconds = perf_counter() - start
                # Server-Timing may stand several times; the app's own metrics stay.
                headers = [
                    *message.get("headers", ()),
                    (b"server-timing", b"app;dur=%.2f" % (seconds * 1000)),
                ]
                if self._process_time:
                    headers.append((b"x-process-time", b"%.6f" % seconds))
                message = {**message, "headers": headers}
            return send(message)

        await self.app(scope, receive, send_with_timing)
