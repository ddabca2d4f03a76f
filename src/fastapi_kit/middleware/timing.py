"""How long the app took, told to the client."""

from collections.abc import Awaitable
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastapi_kit._asgi import RawHeader, unless_twice


class _ServerTiming(dict[int, RawHeader]):
    """The ``Server-Timing`` header by hundredths of a millisecond, made when it is missing."""

    def __missing__(self, hundredths: int) -> RawHeader:
        return b"server-timing", b"app;dur=%d.%02d" % divmod(hundredths, 100)


_UNTIL_TEN_MILLISECONDS = range(1000)
# Made beforehand for most answers: formatting a number costs more than all else here.
server_timing: dict[int, RawHeader] = _ServerTiming()
server_timing.update({n: server_timing[n] for n in _UNTIL_TEN_MILLISECONDS})


def process_time(seconds: float) -> RawHeader:
    """The ``X-Process-Time`` header."""
    return b"x-process-time", b"%.6f" % seconds


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
        self.app: ASGIApp = unless_twice(TimingMiddleware, app)
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
                # It may stand several times; the app's own metrics stay.
                timing = server_timing[int(seconds * 100_000 + 0.5)]
                headers = [*message.get("headers", ()), timing]
                if self._process_time:
                    headers.append(process_time(seconds))
                message = dict(message, headers=headers)
            return send(message)

        await self.app(scope, receive, send_with_timing)
